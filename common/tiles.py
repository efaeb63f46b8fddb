"""A large image in overlapping tiles, and the mean of a prediction over flips and turns."""

import numpy as np


def in_tiles(predict, image, tile, margin, grid):
    """What `predict` makes of an image, (height, width, channels), of any size, in tiles that fit into the memory.

    predict: of an image (height, width, channels) of any size to an array (height, width, 1).
    tile: side of the tiles, pixels; margin: how much of it is dropped at every side where the image goes on, at least
    as far as `predict` sees. `grid` divides both, so that what pools by it meets the pixels in the same groups.
    Returns float32 (height, width, 1), up to rounding what `predict` makes of the whole.
    """
    result = np.empty((*image.shape[:2], 1), "float32")
    rows, columns = (spans(side, tile, margin, grid) for side in image.shape[:2])
    for top, above, below in rows:
        for left, before, after in columns:
            part = predict(image[top : top + tile, left : left + tile])
            result[above:below, before:after] = part[above - top : below - top, before - left : after - left]
    return result


def spans(side, tile, margin, grid):
    """Where tiles start along a side, and from where to where each is kept: a list of (start, first, end)."""
    last = max(0, -(-(side - tile) // grid) * grid)  # the start of the last tile, which may be smaller
    starts = [*range(0, last, tile - 2 * margin), last]
    borders = [0, *(start + margin for start in starts[1:]), side]
    return list(zip(starts, borders[:-1], borders[1:], strict=True))


def averaged(predict, images):
    """The mean of what `predict` makes of images, (..., height, width, channels), in all eight flips and turns."""
    total = 0
    for turns in range(4):
        for mirror in (1, -1):
            turned = np.rot90(images, turns, axes=(-3, -2))[..., ::mirror, :]
            total += np.rot90(predict(turned)[..., ::mirror, :], -turns, axes=(-3, -2))
    return total / 8


def square_around(pixels, side):
    """Where a square of `side` pixels lies around the middle of some pixels, bool (height, width, 1).

    Returns slices of rows and columns; some of the pixels lie there, if there are any.
    """
    pixels = pixels[..., 0]

    def around(place):
        return tuple(slice(start := int(np.clip(at - side / 2, 0, max(0, whole - side))), start + side)
                     for at, whole in zip(place, pixels.shape, strict=True))

    counts = [pixels.sum(axis=axis).cumsum() for axis in (1, 0)]
    part = around([np.searchsorted(count, count[-1] / 2) for count in counts])
    if not pixels[part].any():  # they lie in several places, and none is there
        part = around(np.unravel_index(pixels.argmax(), pixels.shape))
    return part
