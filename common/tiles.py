"""A large image in overlapping tiles, and the mean of a prediction over flips and turns."""

import numpy as np


def in_tiles(predict, image, tile, margin, grid):
    """What `predict` makes of an image of any size, in tiles that fit into the memory.

    predict: of an image (height, width, channels) of any size to an array (height, width, 1).
    tile: largest side of the tiles, pixels; margin: how much of it is dropped at every side where
    the image goes on, at least as far as `predict` sees. `grid` divides both, so that what pools by
    it meets the pixels in the same groups. Returns float32 (height, width, 1), up to rounding what
    `predict` makes of the whole.
    """
    height, width = image.shape[:2]
    tall = side_of_tiles(height, tile, margin, grid)
    wide = side_of_tiles(width, tile, margin, grid)
    result = np.empty((height, width, 1), "float32")
    for top in starts(height, tall, margin):
        for left in starts(width, wide, margin):
            part = predict(image[top : top + tall, left : left + wide])
            # What the next tile sees better is overwritten by it.
            row = margin if top else 0
            column = margin if left else 0
            result[top + row : top + tall, left + column : left + wide] = part[row:, column:]
    return result


def side_of_tiles(side, most, margin, grid):
    """The side of as few tiles as cover a side of an image, all as large but the last; pixels."""
    if side <= most:
        return side
    overlap = 2 * margin
    number = -(-(side - overlap) // (most - overlap))
    without_grid = -(-(side + overlap * (number - 1)) // number)
    return without_grid + -without_grid % grid


def starts(side, tile, margin):
    """Where tiles start along a side, pixels."""
    overlap = 2 * margin
    last = max(1, side - overlap)
    return range(0, last, max(1, tile - overlap))


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
