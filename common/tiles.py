"""A large image in overlapping tiles, and the mean of a prediction over flips and turns."""

import numpy as np


def in_tiles(predict, image, tile, margin, grid):
    """What `predict` makes of an image of any size, in tiles that fit into the memory.

    predict: of an image (height, width, channels) of any size to an array (height, width, 1).
    tile: side of the tiles, pixels; margin: how much of it is dropped at every side where the image
    goes on, at least as far as `predict` sees. `grid` divides both, so that what pools by it meets
    the pixels in the same groups. Returns float32 (height, width, 1), up to rounding what `predict`
    makes of the whole.
    """
    height, width = image.shape[:2]
    result = np.empty((height, width, 1), "float32")
    for top in starts(height, tile, margin, grid):
        for left in starts(width, tile, margin, grid):
            part = predict(image[top : top + tile, left : left + tile])
            # What the next tile sees better is overwritten by it.
            row = margin if top else 0
            column = margin if left else 0
            result[top + row : top + tile, left + column : left + tile] = part[row:, column:]
    return result


def starts(side, tile, margin, grid):
    """Where tiles start along a side, pixels; the last may be smaller than the others."""
    last = max(0, side - tile)
    last += -last % grid
    return [*range(0, last, tile - 2 * margin), last]


def averaged(predict, images):
    """The mean of what `predict` makes of images in all eight flips and turns.

    images: (..., height, width, channels).
    """
    total, sides = 0, (-3, -2)
    for turns in range(4):
        for mirror in (1, -1):
            turned = np.rot90(images, turns, sides)
            prediction = predict(turned[..., ::mirror, :])
            total += np.rot90(prediction[..., ::mirror, :], -turns, sides)
    return total / 8
