"""Images and masks as people have them: every such file is read here, and strokes are written."""

import contextlib
import re
from pathlib import Path

import cv2
import numpy as np

from common import LARGEST_SIDE
from common.checks import SMALLEST_SIDE
from common.errors import UserError
from common.files import read_file
from common.images import write_png
from common.screen import silent

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
UNLABELLED = 128  # the grey value of a mask that says nothing, beside 0 and 255
LARGEST_FILE = 2**30  # bytes
JPEG, PNG, TIFF = b"\xff\xd8", b"\x89PNG", (b"II", b"MM")  # how such files begin


def read_image(path):
    """An image, (height, width, channels): one channel if it is grey, or red, green and blue.

    uint8 grey values 0..255, or float32 of the same range if the file has 16 bits. Transparency is
    left out; the orientation that a camera notes in its files is followed. Raises `UserError` for
    a file that cannot be used.
    """
    image = decode(path, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)[..., ::-1]  # blue comes first
    if image.shape[2] == 3 and (image[..., :1] == image[..., 1:]).all():
        image = image[..., :1]
    if image.dtype == np.uint16:
        image = image / np.float32(257)
    return np.ascontiguousarray(image)


def images_in(folder, flag):
    """The paths of the image files of a folder, in the order of their names, 2 before 10.

    Raises `UserError`, which names the flag, if there is none, or one has an impossible name.
    """
    def by_number(path):
        parts = re.split(r"(\d+)", path.name)
        return [int(part) if part.isdecimal() else part.casefold() for part in parts]

    paths = []
    try:
        for path in sorted(Path(folder).iterdir(), key=by_number):
            hidden = path.name.startswith(".")
            if path.suffix.lower() in SUFFIXES and path.is_file() and not hidden:
                path.name.encode()  # in another encoding it can be neither drawn nor listed
                paths.append(path)
    except OSError as error:
        raise UserError(f"{flag} {folder} cannot be read ({error.strerror}); name a folder of "
                        "images") from None
    except UnicodeEncodeError:
        raise UserError(f"{flag} {folder} holds {path.name!a}, which is no name in UTF-8; rename "
                        "it") from None
    if not paths:
        raise UserError(f"{flag} {folder} holds no images ({', '.join(SUFFIXES)}); name a folder "
                        "that does")
    return paths


def in_channels(image, channels):
    """An image, (height, width, 1 or 3), with so many channels: colour as grey, grey repeated."""
    if image.shape[2] > channels:
        image = np.ascontiguousarray(image)
        return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., np.newaxis]
    return np.broadcast_to(image, (*image.shape[:2], channels))


def in_8_bits(image):
    """An image as uint8: one of 16 bits, float32, is stretched to the range that it uses."""
    if image.dtype == np.uint8:
        return image
    # float32, as the image is: no copy in float64
    low, high = np.percentile(image[::7, ::7], (0.5, 99.5)).astype("float32")
    scale = 255 / max(high - low, np.float32(1e-3))
    result = np.empty(image.shape, "uint8")
    for row in range(0, len(image), 256):  # a large image has no room for two more of its size
        strip = (image[row : row + 256] - low) * scale
        result[row : row + 256] = strip.clip(0, 255)
    return result


def check_same_size(image, image_path, mask, mask_path):
    """Raise `UserError` unless an image and a mask, (height, width, channels), are of one size."""
    (height, width), (mask_height, mask_width) = image.shape[:2], mask.shape[:2]
    if (height, width) != (mask_height, mask_width):
        raise UserError(f"{mask_path} has {mask_height} x {mask_width} pixels, but {image_path} "
                        f"has {height} x {width}; make them the same size")


def read_mask(path):
    """A mask and where it says something: foreground and labelled, both bool (height, width, 1).

    Of two values the brighter is the foreground, of more all but 0: the labels of instances.
    Values between 0 and white that lie along edges alone are soft edges, and cut in the middle.
    A PNG with transparency holds strokes, light ones on the foreground and dark ones on the
    background, and says nothing between them. Nor does 128 in a mask of 0, 128 and 255.
    Raises `UserError` for a file that cannot be used.
    """
    image = decode(path, cv2.IMREAD_UNCHANGED)
    if image.dtype == np.uint16:
        image = image.astype("uint8") if image.max() <= 255 else image / np.float32(257)
    values = image
    if image.shape[2] > 2:  # as float32: rounded, a label that is a dark blue would be 0
        colours = image[..., :3].astype("float32")
        values = cv2.cvtColor(colours, cv2.COLOR_BGR2GRAY)[..., np.newaxis]
    if image.shape[2] == 4 and (image[..., 3] < 255).any():
        return values >= UNLABELLED, image[..., 3:] >= UNLABELLED
    return by_value(values, path)


def by_value(values, path):
    """Foreground and labelled of a mask without transparency, values 0..255; see `read_mask`."""
    levels, counts = np.unique(values, return_counts=True)
    if len(levels) > 2 and read_bytes(path).startswith(JPEG):  # whatever its name says
        raise UserError(f"{path} is a JPEG, which smears the values of a mask; save it as PNG")
    if len(levels) > 2 and (values[:, 1:] == values[:, :-1]).mean() < 0.5:
        raise UserError(f"{path} changes from pixel to pixel, as a photograph does and no mask; "
                        "give one of two values, or strokes in a PNG that keeps its transparency")

    from_middle = abs(values - (UNLABELLED - 0.5))
    is_middle = abs(levels - (UNLABELLED - 0.5)) < 2  # 127 too, and what is half of 16 bits
    is_one_of_three = is_middle | np.isin(levels, (0, 255))
    if is_middle.any() and is_one_of_three.all() and (255 in levels or len(levels) == 1):
        return values > UNLABELLED + 1, from_middle >= 2
    nearly = counts[is_one_of_three].sum() > 0.99 * values.size
    if nearly and 0 in levels and 255 in levels and counts[is_middle].sum() > 0.01 * values.size:
        raise UserError(f"{path} holds 0, 128 for unlabelled, and 255, but a few other values too; "
                        "paint without soft edges")

    threshold = 0
    if len(levels) == 2:
        threshold = levels[0]
    elif levels[-1] >= 224 and has_only_edges(values):
        threshold = UNLABELLED - 1
    return values > threshold, np.ones(values.shape, bool)


def has_only_edges(values):
    """Whether what lies between the darkest and the brightest value is nowhere 3 x 3 pixels large.

    values: of a mask, (height, width, 1).
    """
    square = np.ones((3, 3), "uint8")
    flat = cv2.erode(values, square) == cv2.dilate(values, square)
    values = values[..., 0]
    between = (values > values.min()) & (values < values.max())
    return not (flat & between).any()


def decode(path, flags):
    """What OpenCV reads from an image file, blue first: uint8 or uint16 (height, width, channels).

    Raises `UserError`, which names the file, if it cannot be used.
    """
    content, image, pages = read_bytes(path), None, 1
    if is_cut(content):
        content = b""  # of which OpenCV makes no image
    with silent(), contextlib.suppress(cv2.error):  # its decoders write to stderr
        image = cv2.imdecode(np.frombuffer(content, "uint8"), flags)
        if content.startswith(TIFF):
            pages = cv2.imcount(str(path))
    if image is None:
        raise UserError(f"{path} is not an image that OpenCV can read, is damaged, or is larger "
                        f"than {LARGEST_SIDE} x {LARGEST_SIDE} pixels; save it anew as PNG, or "
                        "remove it")
    if pages > 1:
        raise UserError(f"{path} holds {pages} pages; save each as a file of its own")
    if image.dtype not in (np.uint8, np.uint16):
        raise UserError(f"{path} holds numbers of the kind {image.dtype}; save it with 8 or 16 "
                        "bits a channel")
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST_SIDE:
        raise UserError(f"{path} has {height} x {width} pixels, which is too small; give images of "
                        f"at least {SMALLEST_SIDE} pixels a side")
    if max(height, width) > LARGEST_SIDE:
        raise UserError(f"{path} has {height} x {width} pixels, which is too large; cut it into "
                        f"parts of at most {LARGEST_SIDE} pixels a side")
    return image.reshape(height, width, -1)


def is_cut(content):
    """Whether a PNG has less than its parts say: OpenCV would take up to 4 GB for what they say."""
    at = 8
    while content.startswith(PNG) and content[at + 4 : at + 8] != b"IEND":
        at += 12 + int.from_bytes(content[at : at + 4])  # length, kind, content and checksum
        if at > len(content):
            return True
    return False


def read_bytes(path):
    """The content of a file. Raises `UserError`, which names it, if it cannot be read."""
    try:
        return read_file(path, LARGEST_FILE)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check its name") from None


def write_strokes(strokes, folder):
    """Write strokes on images as the only PNGs of a folder, for `read_mask`.

    strokes: {path of an image: RGBA uint8 (height, width, 4)}; those on a picture of another size
    are brought to the image's. Returns {path of the image: path of the mask}, text. Raises
    `UserError` if one cannot be written.
    """
    files = {}
    for old in Path(folder).glob("*.png"):
        old.unlink()
    for path, layer in strokes.items():
        height, width = read_image(path).shape[:2]
        layer = cv2.resize(layer, (width, height), interpolation=cv2.INTER_NEAREST)
        mask_path = Path(folder, f"{path.stem}.png")
        write_png(mask_path, cv2.cvtColor(layer, cv2.COLOR_RGBA2BGRA))
        files[str(path)] = str(mask_path)
    return files
