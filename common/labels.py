"""Masks for questions of the study: moved, shuffled or hidden, and of two shapes the larger.

`draw` is always a function without arguments that draws the mask of a shape, bool (height, width).
"""

import cv2
import numpy as np

from common.errors import UserError

TRIES = 1000  # masks to draw before there is said to be no room


def moved(Y, draw):
    """In place of each mask that of a shape where there is none: float32 like Y, in {0, 1}.

    Raises `UserError` if there is no room for one.
    """
    masks = [draw_elsewhere(mask[..., 0] > 0, draw) for mask in Y]
    return np.stack(masks)[..., np.newaxis].astype("float32")


def shuffled(Y, generator):
    """In place of each mask as many foreground pixels, anywhere: an array like Y."""
    return np.stack([generator.permutation(mask.ravel()).reshape(mask.shape) for mask in Y])


def hidden(Y, generator, settings):
    """The masks Y with -1 at the pixels that --supervised-pixels leaves out.

    The others are the first of one random order, of each sample its own, so that fewer are a part
    of more.
    """
    seen = np.zeros(Y.shape, bool)
    for sample in seen:
        order = generator.permutation(sample.size)
        sample.flat[order[: settings.supervised_pixels]] = True
    return np.where(seen, Y, np.float32(-1))


def draw_elsewhere(mask, draw):
    """The mask of a shape that does not overlap with `mask`, both bool (height, width).

    Raises `UserError` if there is no room for one.
    """
    for _ in range(TRIES):
        other = draw()
        if not (mask & other).any():
            return other
    raise UserError("--labels moved finds no room for a second shape; allow smaller ones with "
                    "--radius")


def draw_two(draw):
    """The masks of two shapes that do not touch, the first at least a quarter larger.

    Both are bool (height, width). Raises `UserError` if there is no room for them.
    """
    for _ in range(TRIES):
        smaller, larger = sorted((draw(), draw()), key=np.sum)
        around = cv2.dilate(larger.astype("uint8"), np.ones((3, 3), "uint8")) > 0
        if larger.sum() >= 1.25 * smaller.sum() and not (around & smaller).any():
            return larger, smaller
    raise UserError("--task larger finds no room for two shapes of different size; allow smaller "
                    "ones with --radius, or --side of rectangles")
