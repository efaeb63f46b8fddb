"""Image files as OpenCV decodes them, and the sentence that refuses what it would get wrong.

Every file is turned as its own orientation tag says: an image, a mask, whatever its format.
"""

import contextlib
from typing import NamedTuple

import cv2
import numpy as np

from common import LARGEST_SIDE
from common.checks import SMALLEST_SIDE
from common.errors import UserError
from common.files import read_file
from common.screen import silent

LARGEST_FILE = 2**30  # bytes
# How files begin; a WebP or an AVIF does so a few bytes later.
JPEG, PNG, WEBP, AVIF = b"\xff\xd8", b"\x89PNG", b"WEBP", b"ftypavif"
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
JPEG_2000 = (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP")
# Tags of a TIFF, and of the EXIF part of other files, which is a small TIFF.
BITS, COMPRESSION, COLOURS, ORIENTATION, SAMPLES, PLANES, EXTRA = 258, 259, 262, 274, 277, 284, 338
# Compressions that OpenCV reads; others may come out black. The lossy one is JPEG.
COMPRESSIONS, LOSSY = (1, 2, 3, 4, 5, 7, 8, 32773, 32946), 7
WHITE_IS_ZERO, PLANAR, ALPHA = 0, 2, (1, 2)  # of COLOURS, PLANES and EXTRA
CHANNELS = {WHITE_IS_ZERO: 1, 1: 1, 2: 3, 3: 1, 6: 3}  # by COLOURS: grey, RGB, palette, YCbCr
# By orientation: whether rows and columns are exchanged, then flipped.
QUARTER_TURN = 5  # orientations from here on do the former
TURNS = {
    1: (False, ()), 2: (False, (1,)), 3: (False, (0, 1)), 4: (False, (0,)),
    5: (True, ()), 6: (True, (1,)), 7: (True, (0, 1)), 8: (True, (0,)),
}


class Decoded(NamedTuple):
    """An image file, decoded."""

    pixels: np.ndarray  # as they are stored, upright, blue first: (height, width, channels)
    orientation: int  # the tag that it was turned by, 1..8
    lossy: str | None  # the name of its format, if that changes pixels
    white_is_zero: bool  # a TIFF whose tag says so


def decode(path):
    """The file of an image or a mask, a `Decoded`.

    The values of a TIFF count as they are stored, also where white is 0. Raises `UserError`, which
    names the file, if it cannot be used.
    """
    content, pixels, pages = read_bytes(path), None, 1
    tags = check_format(content, path)
    if is_cut(content):
        content = b""  # of which OpenCV makes no image
    with silent(), contextlib.suppress(cv2.error):  # its decoders write to stderr
        pixels = cv2.imdecode(np.frombuffer(content, "uint8"), cv2.IMREAD_UNCHANGED)
        if pixels is not None:
            pages = cv2.imcount(str(path))
    if pixels is None:
        raise UserError(f"{path} is not an image that OpenCV can read, is damaged, or is larger "
                        f"than {LARGEST_SIDE} x {LARGEST_SIDE} pixels; save it anew as PNG, or "
                        "remove it")
    if pages > 1:
        raise UserError(f"{path} holds {pages} pages; save each as a file of its own")
    check_size(pixels, path)
    white_is_zero = tags.get(COLOURS) == WHITE_IS_ZERO
    if white_is_zero and pixels.itemsize == 1:  # OpenCV inverts these, and no others
        pixels = ~pixels
    orientation = noted(content)
    if not tags:  # a TIFF has been turned
        pixels = np.ascontiguousarray(turned(pixels, orientation))
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    return Decoded(pixels, orientation, lossy_format(content, tags), white_is_zero)


def check_size(pixels, path):
    """Raise `UserError` for pixels, (height, width[, channels]), that are too few or too many."""
    height, width = pixels.shape[:2]
    if min(height, width) < SMALLEST_SIDE:
        raise UserError(f"{path} has {height} x {width} pixels, which is too small; give images of "
                        f"at least {SMALLEST_SIDE} pixels a side")
    if max(height, width) > LARGEST_SIDE:
        raise UserError(f"{path} has {height} x {width} pixels, which is too large; cut it into "
                        f"parts of at most {LARGEST_SIDE} pixels a side")


def check_format(content, path):
    """The tags of a TIFF, as `tiff_tags`; of other files none.

    Raises `UserError` for what OpenCV reads, but wrongly: as black, as a mixture of channels or as
    one of several.
    """
    if content[4:12] == AVIF:
        raise UserError(f"{path} is an AVIF, which OpenCV does not turn as its camera was held; "
                        "save it as PNG")
    if not content.startswith(TIFF):
        return {}
    tags = tiff_tags(content)
    compression, colours = tags.get(COMPRESSION, 1), tags.get(COLOURS, 1)
    samples, extra = tags.get(SAMPLES, 1), tags.get(EXTRA)
    if compression not in COMPRESSIONS:
        raise UserError(f"{path} is a TIFF compressed in a way that OpenCV cannot read (number "
                        f"{compression}); save it without compression, or as PNG")
    if colours not in CHANNELS:
        raise UserError(f"{path} is a TIFF that is neither grey nor RGB (its colours are of kind "
                        f"{colours}); save it as RGB, or as PNG")
    is_rgba = colours == 2 and samples == 4 and extra in ALPHA
    if samples != CHANNELS[colours] and not is_rgba:
        raise UserError(f"{path} holds {samples} channels that are not marked as the colours of an "
                        "image; save one of them, or three as RGB, or a PNG")
    if tags.get(PLANES) == PLANAR and samples > 1 and tags.get(BITS) != 8:
        raise UserError(f"{path} holds its colours one after the other (planar), which OpenCV "
                        "mixes up at 16 bits; save them pixel by pixel (contiguous), or as PNG")
    return tags


def tiff_tags(content):
    """The tags of the first page of a TIFF: {number of the tag: the first number that it holds}.

    Of a damaged file they may be anything.
    """
    order = "little" if content.startswith(b"II") else "big"

    def number(at, length):
        return int.from_bytes(content[at : at + length], order)

    is_big = number(2, 2) == 43  # of more than 4 GiB, or made so
    size = 8 if is_big else 4  # of an offset, bytes
    at = number(size, size)
    count = number(at, 8 if is_big else 2)
    first, length = at + (8 if is_big else 2), 4 + 2 * size  # of an entry
    last = min(len(content), first + count * length)
    tags = {}
    for entry in range(first, last, length):
        tag, kind = number(entry, 2), number(entry + 2, 2)
        width = {3: 2, 4: 4, 16: 8}.get(kind, 1)  # bytes a number
        at = entry + 4 + size
        if number(entry + 4, size) * width > size:  # so many numbers are elsewhere
            at = number(at, size)
        tags[tag] = number(at, width)
    return tags


def orientation(path):
    """The orientation that a file notes, 1..8 as in EXIF; 1 is upright, or none is noted.

    Raises `UserError` if it cannot be read.
    """
    return noted(read_bytes(path))


def noted(content):
    """The `orientation` of the content of a file."""
    tiff = content if content.startswith(TIFF) else exif(content)
    value = tiff_tags(tiff).get(ORIENTATION)
    return value if value in TURNS else 1


def turned(pixels, orientation):
    """Pixels, (height, width[, channels]), turned upright by an orientation."""
    is_exchanged, axes = TURNS[orientation]
    if is_exchanged:
        pixels = pixels.swapaxes(0, 1)
    return np.flip(pixels, axes)


def exif(content):
    """What a JPEG, PNG or WebP notes in EXIF: a small TIFF, empty if there is none."""
    for kind, start, end in parts(content):
        data = content[start:end]
        is_app1 = kind == b"\xff\xe1" and data.startswith(b"Exif\0\0")
        if is_app1 or kind in (b"eXIf", b"EXIF"):
            return data.removeprefix(b"Exif\0\0")
    return b""


def parts(content):
    """Yield kind, start and end of each part of a JPEG, up to its pixels, a PNG or a WebP."""
    if content.startswith(JPEG):
        at = 2
        while content[at : at + 1] == b"\xff" and content[at : at + 2] != b"\xff\xda":
            end = at + 2 + int.from_bytes(content[at + 2 : at + 4])
            yield content[at : at + 2], at + 4, end
            at = end
    elif content.startswith(PNG):
        at = 8
        while at < len(content):
            end = at + 8 + int.from_bytes(content[at : at + 4])
            yield content[at + 4 : at + 8], at + 8, end
            at = end + 4  # a checksum
    elif content[8:12] == WEBP:
        at = 12
        while at < len(content):
            length = int.from_bytes(content[at + 4 : at + 8], "little")
            yield content[at : at + 4], at + 8, at + 8 + length
            at += 8 + length + length % 2


def is_cut(content):
    """Whether a PNG has less than its parts say: OpenCV would take up to 4 GB for what they say."""
    if not content.startswith(PNG):
        return False
    for kind, _, end in parts(content):
        if kind == b"IEND" or end > len(content):
            return end > len(content)
    return True


def lossy_format(content, tags):
    """The name of the format of a file, with the tags of a TIFF, if it may have changed pixels."""
    if content.startswith(JPEG):
        return "a JPEG"
    if content.startswith(JPEG_2000):
        return "a JPEG 2000"
    if tags.get(COMPRESSION) == LOSSY:
        return "a TIFF compressed as JPEG"
    if content[8:12] == WEBP and any(kind == b"VP8 " for kind, _, _ in parts(content)):
        return "a WebP with losses"
    return None


def is_animation(path):
    """Whether a GIF or WebP holds more than one picture."""
    with silent(), contextlib.suppress(cv2.error):
        return cv2.imcount(str(path)) > 1
    return False


def read_bytes(path):
    """The content of a file. Raises `UserError`, which names it, if it cannot be read."""
    try:
        return read_file(path, LARGEST_FILE)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check its name") from None
