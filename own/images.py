"""Images and masks as people have them: every such file is read here, and strokes are written."""

import contextlib
import re
from pathlib import Path

import cv2
import numpy as np

from common.checkpoints import fingerprint
from common.errors import UserError
from common.folders import left_in
from common.images import write_png
from own.decoding import QUARTER_TURN, decode, is_animation, orientation
from own.masks import understood

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".bmp", ".gif", ".webp",
            ".jp2", ".j2k", ".pgm", ".ppm")
# Images, and files of microscopes and cameras, that OpenCV does not read, or not as they are seen.
OTHER_SUFFIXES = (".heic", ".heif", ".avif", ".jxl", ".svg", ".psd", ".xcf", ".ico", ".tga", ".exr",
                  ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".dcm", ".nii", ".npy",
                  ".czi", ".nd2", ".lif", ".oib", ".oif", ".lsm", ".svs", ".ndpi", ".vsi", ".ims")


def read_image(path):
    """An image, (height, width, channels): one channel if it is grey, or red, green and blue.

    uint8 grey values 0..255, or float32 of the same range if the file has 16 bits. Transparency is
    left out. It is turned upright as its own orientation tag says, and so are masks: whatever is
    made of an image lies as the image is seen, and has no such tag. Raises `UserError` for a file
    that cannot be used.
    """
    image = decode(path).pixels[..., :3][..., ::-1]  # blue comes first
    if image.dtype not in (np.uint8, np.uint16):
        raise UserError(f"{path} holds numbers of the kind {image.dtype}; save it with 8 or 16 "
                        "bits a channel")
    image = without_equal_channels(image)
    if image.dtype == np.uint16:
        image = image / np.float32(257)
    return np.ascontiguousarray(image)


def without_equal_channels(image):
    """An image, (height, width, channels), with one channel if all are equal."""
    return image[..., :1] if (image[..., :1] == image[..., 1:]).all() else image


def fingerprint_of(image):
    """Text that tells the pixels of an image from others, whatever its file and its channels."""
    return f"{fingerprint([without_equal_channels(image).astype('float32')]):08x}"


def images_in(folder, flag):
    """The paths of the image files of a folder, in the order of their names, 2 before 10.

    Raises `UserError`, which names the flag, if there is none, or one has an impossible name.
    """
    paths, _ = images_and_others_in(folder, flag)
    return paths


def images_and_others_in(folder, flag):
    """The paths of the images of a folder, as `images_in`, and of what is passed over.

    These are files that look like images by their names: of a kind that is not read, animations,
    and links to nothing. Raises what `images_in` raises.
    """
    def by_number(path):
        parts = re.split(r"(\d+)", path.name)
        return [int(part) if part.isdecimal() else part.casefold() for part in parts]

    images, others = [], []
    try:
        for path in sorted(Path(folder).iterdir(), key=by_number):
            suffix = path.suffix.lower()
            if path.name.startswith(".") or suffix not in SUFFIXES + OTHER_SUFFIXES:
                continue
            path.name.encode()  # in another encoding it can be neither drawn nor listed
            is_read = suffix in SUFFIXES and path.is_file()
            if not is_read or (suffix in (".gif", ".webp") and is_animation(path)):
                others.append(path)
            else:
                images.append(path)
    except OSError as error:
        raise UserError(f"{flag} {folder} cannot be read ({error.strerror}); name a folder of "
                        "images") from None
    except UnicodeEncodeError:
        raise UserError(f"{flag} {folder} holds {path.name!a}, which is no name in UTF-8; rename "
                        "it") from None
    if not images:
        remedy = "name a folder that does"
        if below := folders_with_images(folder):
            remedy = f"its folder {below[0].name} does: name that"
        raise UserError(f"{flag} {folder} holds no images ({', '.join(SUFFIXES)}); {remedy}")
    return images, others


def folders_with_images(folder):
    """The paths of the folders in a folder that hold images, but for what a run left in one."""
    found = []
    for path in sorted(Path(folder).iterdir()):
        if path.name.startswith(".") or not path.is_dir() or left_in(path):
            continue
        with contextlib.suppress(OSError):  # one that cannot be read
            if any(file.suffix.lower() in SUFFIXES for file in path.iterdir()):
                found.append(path)
    return found


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
    if (height, width) == (mask_height, mask_width):
        return
    if (height, width) == (mask_width, mask_height):
        tags = [orientation(mask_path), orientation(image_path)]
        if (tags[0] >= QUARTER_TURN) != (tags[1] >= QUARTER_TURN):
            raise UserError(f"{mask_path} would fit {image_path} if both lay as they are stored, "
                            f"but they are turned as their orientation tags say ({tags[0]} and "
                            f"{tags[1]}; 1 is upright); turn the mask so that it lies as the image "
                            "is seen, or save both without such a tag")
    raise UserError(f"{mask_path} has {mask_height} x {mask_width} pixels, but {image_path} "
                    f"has {height} x {width}; make them the same size")


def read_mask(path):
    """A mask and where it says something: foreground and labelled, both bool (height, width, 1).

    Of two values the brighter is the foreground, of labels all above 0, of soft edges the brighter
    half: `own.masks` says what else there is. It is turned as its own orientation tag says. Raises
    `UserError` for a file that cannot be used.
    """
    foreground, labelled, _ = read_mask_with_meaning(path)
    return foreground, labelled


def read_mask_with_meaning(path):
    """What `read_mask` returns, and which values are the foreground, in words: a `Mask`."""
    pixels, _, lossy, white_is_zero = decode(path)
    if pixels.dtype.kind not in "iu":
        raise UserError(f"{path} holds numbers of the kind {pixels.dtype}; save it with 8 or 16 "
                        "bits a channel")
    mask = understood(pixels, path, lossy)
    if white_is_zero:
        meaning = f"{mask.meaning} (its tag says that white is 0; the stored values count)"
        mask = mask._replace(meaning=meaning)
    return mask


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
