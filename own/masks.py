"""What the values of a mask mean: which are foreground, and where it says nothing."""

from typing import NamedTuple

import cv2
import numpy as np

from common.errors import UserError

# The grey values of a mask that says nothing in places: 255 there is foreground, 0 background.
UNLABELLED, WHITE = 128, 255
VOID = (192, 224, 224)  # what Pascal VOC paints over outlines that are not labelled, blue first
FEW_LABELS = 4  # are named one by one
FINE = 8  # so many values above the darkest may be a gradient; fewer have no neighbouring values
STRIP = 512  # rows of a mask that are looked at together
LARGEST_TABLE = 2**20  # entries


class Mask(NamedTuple):
    """A mask, understood."""

    foreground: np.ndarray  # bool (height, width, 1)
    labelled: np.ndarray  # bool (height, width, 1): where it says something
    meaning: str  # which values are the foreground, in words; empty for strokes


def understood(pixels, path, lossy):
    """The `Mask` that pixels of a file stand for, integers (height, width, channels), blue first.

    Transparent ones hold strokes: the light ones are foreground, the dark ones background. lossy:
    the name of the file's format, if it may have changed pixels. Raises `UserError`, which names
    the file, if it is not clear what they mean.
    """
    if pixels.min() < 0:
        raise UserError(f"{path} holds values below 0, of which it is not known what they mean; "
                        "give 0 and 255, and 128 for what is not labelled")
    if np.iinfo(pixels.dtype).max > WHITE and pixels.max() <= WHITE:
        pixels = pixels.astype("uint8")
    white = WHITE if pixels.dtype == np.uint8 else 65535
    grey, void = in_grey(pixels)
    if pixels.shape[2] == 4 and (pixels[..., 3] < white).any():
        middle = white // 2 + 1
        return Mask(grey >= middle, pixels[..., 3:] >= middle, "")
    levels = levels_of(grey)
    if len(levels) > 2:
        check_values(grey, path, lossy)
    if mask := of_three(grey, levels, white, path):
        return mask
    if len(levels) > 2 and has_soft_edges(grey, levels, path):
        threshold = (float(levels[0]) + float(levels[-1])) / 2
        words = f"foreground is all above {threshold:g} (soft edges are cut in the middle)"
        return Mask(grey > threshold, np.ones(grey.shape, bool), words)
    return of_labels(grey, levels, void)


def in_grey(pixels):
    """The grey values of pixels, (height, width, 1), and where they have the colour VOID, bool.

    Colours become float32: rounded, a label that is a dark blue would be 0.
    """
    first = np.ascontiguousarray(pixels[..., :1])
    if pixels.shape[2] < 3 or (first == pixels[..., 1:3]).all():
        return first, np.zeros(first.shape, bool)
    colours = pixels[..., :3]
    void = (colours == VOID).all(axis=2, keepdims=True)
    grey = cv2.cvtColor(colours.astype("float32"), cv2.COLOR_BGR2GRAY)[..., np.newaxis]
    return grey, void


def levels_of(grey):
    """The values that occur, in ascending order."""
    if grey.dtype != np.uint8:
        return np.unique(grey)
    counts = cv2.calcHist([grey], [0], None, [256], [0, 256])  # sorting takes ten times as long
    return np.flatnonzero(counts).astype("uint8")


def check_values(grey, path, lossy):
    """Raise `UserError` for many values, (height, width, 1), that are those of no mask."""
    if lossy:
        raise UserError(f"{path} is {lossy}, which smears the values of a mask; save it as PNG")
    left, middle, right = grey[:, :-2], grey[:, 1:-1], grey[:, 2:]
    turns = ((middle > left) & (middle > right)) | ((middle < left) & (middle < right))
    # Of photographs 0.13 to 0.55 turn, of masks less than 0.1, if they are not nearly all flat.
    if turns.mean() > 0.1 and (middle == left).mean() < 0.6:
        raise UserError(f"{path} changes from pixel to pixel, as a photograph does and no mask; "
                        "give one of two values, or strokes in a PNG that keeps its transparency, "
                        "and name the image before its mask")


def of_three(grey, levels, white, path):
    """The `Mask` of black, white and a grey in the middle that is not labelled, or None.

    grey: (height, width, 1), levels: its values, white: the largest one possible. Raises
    `UserError` if there are a few other values too.
    """
    scale = white / WHITE  # 127 is in the middle too, and what is half of 16 bits
    is_middle = abs(levels / scale - (UNLABELLED - 0.5)) < 2
    is_one_of_three = is_middle | np.isin(levels, (0, white))
    if not is_middle.any() or (levels[-1] != white and len(levels) > 1):
        return None
    middle = np.isin(grey, levels[is_middle])
    if is_one_of_three.all():
        words = f"foreground is {white}; {levels[is_middle][0]} is not labelled"
        return Mask(grey == white, ~middle, words)
    nearly = np.isin(grey, levels[is_one_of_three]).mean() > 0.99
    if nearly and levels[0] == 0 and middle.mean() > 0.01:
        raise UserError(f"{path} holds 0, 128 for unlabelled, and 255, but a few other values too; "
                        "paint without soft edges")
    return None


def of_labels(grey, levels, void):
    """The `Mask` of two values, of which the brighter is foreground, or of labels of objects.

    Not labelled is what has the colour VOID, and 255 where the other labels are 1, 2, 3 and so on,
    as Pascal VOC has them. grey, void: (height, width, 1); levels: the values of grey.
    """
    everywhere = np.ones(grey.shape, bool)
    if len(levels) <= 2 and not void.any():
        threshold = levels[0] if len(levels) == 2 else 0
        name = "the brighter colour" if grey.dtype == np.float32 else str(levels[-1])
        words = f"foreground is {name}" if levels[-1] > 0 else "no foreground is marked"
        return Mask(grey > threshold, everywhere, words)
    count = len(levels) - 1
    if grey.dtype == np.float32:
        words = f"foreground is all that is not black ({count} colours)"
        if void.any():
            words = ("foreground is all that is not black; (224, 224, 192) is not labelled, as in "
                     "Pascal VOC")
        return Mask((grey > 0) & ~void, ~void, words)
    is_consecutive = np.array_equal(levels[:-1], np.arange(count))
    if levels[-1] == WHITE and is_consecutive and count < WHITE:
        names = f"1 to {count - 1}" if count > 2 else "1"
        words = f"foreground is {names}; 255 is not labelled, as in Pascal VOC"
        void = grey == WHITE
        return Mask((grey > 0) & ~void, ~void, words)
    names = f"{count} labels" if count > FEW_LABELS else ", ".join(map(str, levels[1:]))
    return Mask(grey > 0, everywhere, f"foreground is all above 0 ({names})")


def has_soft_edges(grey, levels, path):
    """Whether the values between the darkest and the brightest are soft edges; if not, labels.

    A soft edge goes up step by step: its pixels lie between a darker and a brighter one. A label
    ends at once: its pixels are part of an area, or stand alone on black, and differ much from
    others. What most pixels say counts, of those in the middle half of all values: where a soft
    edge begins and ends, rounding makes areas of it. Raises `UserError` if it is not clear.

    grey: (height, width, 1), levels: its values in ascending order.
    """
    edges, labels, flat = np.zeros(3, int)
    for row in range(0, len(grey), STRIP):
        above = min(row, 1)
        strip = grey[row - above : row + STRIP + 1, :, 0]
        kinds = kinds_of(ranks_of(strip, levels), len(levels) - 1)
        edges, labels, flat = [
            count + np.count_nonzero(kind[above : above + STRIP])
            for count, kind in zip((edges, labels, flat), kinds, strict=True)]
    if labels > 2 * edges:
        return False
    if edges > 2 * (labels + flat):
        return True
    raise UserError(f"{path} holds {len(levels)} values, which are clearly neither labels nor soft "
                    "edges; give a mask of two values, 0 and 255")


def ranks_of(values, levels):
    """The rank of each value among all levels, 0 the darkest, float32 of the shape of values."""
    if levels.dtype == np.float32 or levels[-1] >= LARGEST_TABLE:
        return np.searchsorted(levels, values).astype("float32")
    table = np.zeros(int(levels[-1]) + 1, "float32")  # many times faster than a search
    table[levels] = np.arange(len(levels))
    return table[values]


def kinds_of(ranks, last):
    """Which pixels in the middle half of the values look like soft edges, labels, and neither.

    ranks: as `ranks_of` returns them, (height, width); last: that of the brightest. Returns three
    bool arrays of that shape.
    """
    square = np.ones((3, 3), "uint8")
    darkest, brightest = cv2.erode(ranks, square), cv2.dilate(ranks, square)
    is_middle = (ranks >= last / 4) & (ranks <= last * 3 / 4)
    flat = is_middle & (darkest == brightest)

    beside = np.pad(ranks, 1, constant_values=-1)
    has_equal_beside = (beside[1:-1, 2:] == ranks) | (beside[1:-1, :-2] == ranks)
    has_equal_above = (beside[2:, 1:-1] == ranks) | (beside[:-2, 1:-1] == ranks)
    is_area = has_equal_beside & has_equal_above
    without_black = np.where(ranks == 0, last, ranks).astype("float32")
    stands_alone = (brightest == ranks) & (cv2.erode(without_black, square) == ranks)
    jump = np.maximum(brightest - ranks, ranks - darkest)
    differs_much = jump > (2 if last >= FINE else 0)

    edges = is_middle & (darkest < ranks) & (ranks < brightest) & ~is_area
    labels = is_middle & differs_much & (is_area | stands_alone)
    return edges, labels, flat
