"""Images and masks as people have them: every file that holds one is read and written here."""

import contextlib
import io
import os
import re
from pathlib import Path

from common.checks import LARGEST_SIDE, SMALLEST_SIDE

# A header that claims more pixels gets no memory. OpenCV reads this when it starts.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(LARGEST_SIDE**2))

import cv2
import numpy as np

from common.errors import UserError
from common.files import read_file, write_bytes
from common.screen import silent

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
# Deviations of grey values differ by such a factor for what the images show, as training on them expects. An image may
# mean what it shows as it is if its median differs by so many deviations at most, and its deviation by such a factor.
TOLERATED, NEAR, STRETCHED = 1.4, (1.5, 2.0), 4.0
UNLABELLED = 128  # the grey value of a mask that says nothing, beside 0 and 255


def read_image(path):
    """An image, (height, width, channels): one channel if it is grey, or red, green and blue.

    uint8 grey values 0..255, or float32 of the same range if the file has 16 bits. Transparency is left out; the
    orientation that a camera notes in its files is followed. Raises `UserError` for a file that cannot be used.
    """
    image = decode(path, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)[..., ::-1]  # OpenCV has blue first
    if image.shape[2] == 3 and (image[..., :1] == image[..., 1:]).all():
        image = image[..., :1]
    return np.ascontiguousarray(image if image.dtype == np.uint8 else image / np.float32(257))


def images_in(folder, flag):
    """The paths of the image files of a folder, in the order of their names, 2 before 10.

    Raises `UserError`, which names the flag, if there is none, or one has an impossible name.
    """
    try:
        paths = [path for path in Path(folder).iterdir()
                 if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")]
    except OSError as error:
        raise UserError(f"{flag} {folder} cannot be read ({error.strerror}); name a folder of images") from None
    for path in paths:
        try:
            path.name.encode()  # in another encoding it can be neither drawn nor listed
        except UnicodeEncodeError:
            raise UserError(f"{flag} {folder} holds {path.name!a}, which is no name in UTF-8; rename it") from None
    if not paths:
        raise UserError(f"{flag} {folder} holds no images ({', '.join(SUFFIXES)}); name a folder that does")
    return sorted(paths, key=lambda path: [int(part) if part.isdecimal() else part.casefold()
                                           for part in re.split(r"(\d+)", path.name)])


def is_mask_of(mask, image, twins=()):
    """Whether a file may be the mask of an image, by its name: cell_mask or cell of cell, Y_1 of X_1.

    mask, image: paths. In one folder the same name is that of a mask only with a suffix in `twins`: cell.png of
    cell.jpg.
    """
    if mask.stem == image.stem:
        return mask.parent != image.parent or (mask.suffix in twins and mask.suffix != image.suffix)
    return mask.stem in mask_stems(image)


def mask_stems(image):
    """What the mask of an image, a path, may be called: as the image, cell_mask of cell, Y_1 of X_1."""
    return [image.stem, f"{image.stem}_mask", *(
        [f"Y_{image.stem.removeprefix('X_')}"] if image.stem.startswith("X_") else [])]


def in_channels(image, channels):
    """An image, (height, width, 1 or 3), with as many channels: colour turned into grey, or grey repeated."""
    if image.shape[2] > channels:
        return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)[..., np.newaxis]
    return np.broadcast_to(image, (*image.shape[:2], channels))


def check_same_size(image, image_path, mask, mask_path):
    """Raise `UserError` unless an image and its mask, (height, width, channels), are of one size."""
    if image.shape[:2] != mask.shape[:2]:
        raise UserError("{} has {} x {} pixels, but {} has {} x {}; make them the same size".format(
            mask_path, *mask.shape[:2], image_path, *image.shape[:2]))


def in_8_bits(image):
    """An image as uint8: one of 16 bits, float32, is stretched to the range that it uses."""
    if image.dtype == np.uint8:
        return image
    low, high = map(np.float32, np.percentile(image[::7, ::7], (0.5, 99.5)))  # the same type: no copy in float64
    result = np.empty(image.shape, "uint8")
    for row in range(0, len(image), 256):  # a large image has no room for two more of its size
        strip = (image[row : row + 256] - low) * (255 / max(high - low, np.float32(1e-3)))
        result[row : row + 256] = strip.clip(0, 255)
    return result


def exposure(image):
    """Median and standard deviation of the grey values of each channel of an image, float64 (channels, 2).

    The median, for it is the background's, however large the foreground is up to a half. Of a large image a million
    pixels count, evenly spread.
    """
    step = max(1, int((image[..., 0].size / 10**6) ** 0.5))
    pixels = image[::step, ::step].reshape(-1, image.shape[2])
    return np.stack([np.median(pixels, axis=0), pixels.std(axis=0, dtype="float64")], axis=1)


def near(before, after):
    """Whether two `exposure`s are so alike that an image may be taken as it is: docs/real.md."""
    ratio = np.maximum(before[:, 1], 1e-3) / np.maximum(after[:, 1], 1e-3)
    moved = abs(before[:, 0] - after[:, 0]) / np.maximum(after[:, 1], 1e-3)
    return moved.max() <= NEAR[0] and np.maximum(ratio, 1 / ratio).max() <= NEAR[1]


def matched(image, before, after):
    """An image, or a part of it, brought from one `exposure` to another: float32 of the same shape.

    Of two deviations that differ by more than a factor of TOLERATED only what is beyond it is made up for. An image of
    next to nothing is not stretched to the contrast of one of something: STRETCHED is the most.
    """
    ratio = after[:, 1] / np.maximum(before[:, 1], 1e-3)
    scale = np.minimum(ratio / np.clip(ratio, 1 / TOLERATED, TOLERATED), STRETCHED)
    return (image * scale.astype("float32") + (after[:, 0] - before[:, 0] * scale).astype("float32")).astype("float32")


def read_mask(path):
    """A mask and where it says something: foreground and labelled, both bool (height, width, 1).

    Of two values the brighter is the foreground, of more all but 0: the labels of instances; values between 0 and white
    that lie along edges alone are soft edges, and cut in the middle. A PNG with transparency holds strokes, light ones
    on the foreground and dark ones on the background, and says nothing between them; nor does the third value of 0, 128
    and 255. Raises `UserError` for a file that cannot be used.
    """
    image = decode(path, cv2.IMREAD_UNCHANGED)
    if image.dtype != np.uint8:
        image = image.astype("uint8") if image.max() <= 255 else image / np.float32(257)
    values = image
    if image.shape[2] > 2:  # as float32: rounded, a label that is a dark blue would be 0
        values = cv2.cvtColor(image[..., :3].astype("float32"), cv2.COLOR_BGR2GRAY)[..., np.newaxis]
    if image.shape[2] == 4 and (image[..., 3] < 255).any():
        return values >= UNLABELLED, image[..., 3:] >= UNLABELLED
    return by_value(values, path)


def by_value(values, path):
    """Foreground and labelled of the values of a mask without transparency, 0..255; as of `read_mask`."""
    found, counts = np.unique(values, return_counts=True)
    if len(found) > 2 and is_jpeg(path):
        raise UserError(f"{path} is a JPEG, which smears the values of a mask; save it as PNG")
    if len(found) > 2 and (values[:, 1:] == values[:, :-1]).mean() < 0.5:
        raise UserError(f"{path} changes from pixel to pixel, as a photograph does and no mask; give one of two "
                        "values, or strokes in a PNG that keeps its transparency")
    middle = abs(found - (UNLABELLED - 0.5)) < 2  # 127 too, and what is half of 16 bits
    three = middle | np.isin(found, (0, 255))
    if middle.any() and three.all() and (255 in found or len(found) == 1):
        return values > UNLABELLED + 1, abs(values - (UNLABELLED - 0.5)) >= 2
    if middle.any() and {0, 255} <= {*found} and counts[three].sum() > 0.99 * values.size and (
            counts[middle].sum() > 0.01 * values.size):
        raise UserError(f"{path} holds 0, 128 for unlabelled, and 255, but a few other values too; paint without soft "
                        "edges")
    threshold = found[0] if len(found) == 2 else UNLABELLED - 1 if found[-1] >= 224 and only_edges(values) else 0
    return values > threshold, np.ones(values.shape, bool)


def only_edges(values):
    """Whether what lies between the darkest and the brightest value of a mask is nowhere as large as 3 x 3 pixels."""
    flat = cv2.erode(values, np.ones((3, 3), "uint8")) == cv2.dilate(values, np.ones((3, 3), "uint8"))
    inner = values[..., 0]
    return not (flat & (inner > inner.min()) & (inner < inner.max())).any()


def decode(path, flags):
    """What OpenCV reads from an image file, blue first: uint8 or uint16 (height, width, channels).

    Raises `UserError`, which names the file, if it cannot be used.
    """
    content = read_bytes(path)
    with silent(), contextlib.suppress(cv2.error):  # its decoders write to stderr
        image = None
        image = cv2.imdecode(np.frombuffer(content, "uint8"), flags) if content and not cut_png(content) else None
        pages = cv2.imcount(str(path)) if content[:2] in (b"II", b"MM") else 1  # of a TIFF
    if image is None:
        raise UserError(f"{path} is not an image that OpenCV can read, is damaged, or is larger than {LARGEST_SIDE} x "
                        f"{LARGEST_SIDE} pixels; save it anew as PNG, or remove it")
    if pages > 1:
        raise UserError(f"{path} holds {pages} pages; save each as a file of its own")
    if image.dtype not in (np.uint8, np.uint16):
        raise UserError(f"{path} holds numbers of the kind {image.dtype}; save it with 8 or 16 bits a channel")
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST_SIDE:
        raise UserError(f"{path} has {height} x {width} pixels, which is too small; give images of at least "
                        f"{SMALLEST_SIDE} pixels a side")
    if max(height, width) > LARGEST_SIDE:
        raise UserError(f"{path} has {height} x {width} pixels, which is too large; cut it into parts of at most "
                        f"{LARGEST_SIDE} pixels a side")
    return image.reshape(height, width, -1)


def cut_png(content):
    """Whether a PNG holds less than it says: OpenCV would take memory for what one of its parts claims, up to 4 GB."""
    at = 8
    while content[:4] == b"\x89PNG" and content[at + 4 : at + 8] != b"IEND":
        at += 12 + int.from_bytes(content[at : at + 4], "big")  # length, name and checksum
        if at > len(content):
            return True
    return False


def read_bytes(path):
    """The content of a file. Raises `UserError`, which names it, if it cannot be read."""
    try:
        return read_file(path, 2**30)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check its name") from None


def is_jpeg(path):
    """Whether a file is a JPEG, by its first bytes; its name may say something else."""
    return read_bytes(path)[:2] == b"\xff\xd8"


def write_png(path, image):
    """Write an image, grey or BGR, 0..255, (height, width[, channels]). Raises `UserError` if it cannot be written."""
    # Compression 1 and no filter, for noise cannot be predicted from its neighbours: a test picture is written in a
    # third of the time of OpenCV's own choice of filter, and no larger; an overview is a third larger.
    options = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]
    _, content = cv2.imencode(".png", image.astype("uint8"), options)
    write_bytes(path, content.tobytes())


def write_strokes(strokes, folder):
    """Write strokes on images, {path: RGBA uint8 (height, width, 4)}, as the only PNGs of a folder, for `read_mask`.

    Those on a picture of another size are brought to the image's. Returns the names of the files, {image: mask}. Raises
    `UserError` if one cannot be written.
    """
    files = {}
    for old in Path(folder).glob("*.png"):
        old.unlink()
    for path, layer in strokes.items():
        files[str(path)] = str(Path(folder, f"{path.stem}.png"))
        layer = cv2.resize(layer, read_image(path).shape[1::-1], interpolation=cv2.INTER_NEAREST)
        write_png(files[str(path)], cv2.cvtColor(layer, cv2.COLOR_RGBA2BGRA))
    return files


def write_figure(figure, path, colours=None):
    """Write a Matplotlib figure as PNG and forget it; in 256 colours it is a third of the bytes."""
    import matplotlib.pyplot as plt
    from PIL import Image

    content = io.BytesIO()
    figure.savefig(content, format="png")
    plt.close(figure)
    if colours:
        few = Image.open(content).convert("RGB").quantize(colours)
        content = io.BytesIO()
        few.save(content, "png", optimize=True)
    write_bytes(path, content.getvalue())


def write_grey_figure(figure, path):
    """Write a figure without colours as 8-bit grey: noise does not compress, and RGBA is 4 times the bytes."""
    import matplotlib.pyplot as plt

    figure.canvas.draw()
    write_png(path, cv2.cvtColor(np.asarray(figure.canvas.buffer_rgba()), cv2.COLOR_RGBA2GRAY))
    plt.close(figure)
