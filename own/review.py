"""What is said of the masks before a training: a mistake in them shows here, or nowhere."""

import os

import cv2
import numpy as np

from own.decoding import orientation
from own.images import read_image, read_mask_with_meaning
from own.scale import is_painted

# Of fewer pixels, or of a single object that is a smaller share of its image, little is learned.
FEW_PIXELS, SMALL_SHARE = 500, 0.02
FEW_WORDS = ("so few mean little; the fit will look good, and yet little may be found elsewhere: "
             "label more")


def mask_lines(settings):
    """How the settings' masks were understood: a line of each, and a question where one arises.

    Returns a list of text. Raises `UserError` for a file that cannot be used.
    """
    lines, pixels = [], 0
    for image_path, mask_path in zip(settings.image, settings.mask, strict=True):
        image_name, name = os.path.basename(image_path), os.path.basename(mask_path)
        mask = read_mask_with_meaning(mask_path)
        foreground = mask.foreground & mask.labelled
        share = foreground.mean()
        pixels += foreground.sum()
        painted = is_painted(mask.labelled)
        parts, _ = cv2.connectedComponents(foreground.astype("uint8"))
        objects = parts - 1  # the background is one of them
        words = painted_words(mask) if painted else drawn_words(mask, share, objects)
        lines.append(f"{name}: {words}")
        if share > mask.labelled.mean() / 2 and not painted:
            lines.append(f"{name}: more than half of it is foreground; is it inverted? The "
                         "foreground is what is to be found")
        if len(np.unique(read_image(image_path)[::3, ::3])) <= 2:
            lines.append(f"{image_name} has two values alone, as masks have; are it and {name} "
                         "exchanged? The image is named first")
        lines += turned_lines(image_path, mask_path)
    is_small_object = objects == 1 and share < SMALL_SHARE and not painted
    if pixels < FEW_PIXELS:
        lines.append(f"only {pixels} pixels are foreground: {FEW_WORDS}")
    elif len(settings.mask) == 1 and is_small_object:
        lines.append(f"only one object is foreground: {FEW_WORDS}")
    if settings.reduce > 1:
        lines.append(f"images are seen reduced {settings.reduce} times, so that objects fit into a "
                     "crop; --reduce 1 leaves them as they are")
    return lines


def drawn_words(mask, share, objects):
    """Which values of a `Mask` are the foreground, and how much that is.

    share: of the image, 0..1; objects: how many parts do not touch each other.
    """
    words = mask.meaning or "foreground is what is painted in a light colour"
    count = "1 object" if objects == 1 else f"{objects} separate objects"
    pixels = np.count_nonzero(mask.foreground & mask.labelled)
    words = f"{words}: {pixels:,} pixels, {100 * share:.3g}% of the image, {count}"
    unlabelled = 1 - mask.labelled.mean()
    return f"{words}; {100 * unlabelled:.3g}% is not labelled" if unlabelled else words


def painted_words(mask):
    """How much is painted in a `Mask`."""
    foreground = np.count_nonzero(mask.labelled & mask.foreground)
    background = np.count_nonzero(mask.labelled) - foreground
    words = f"{foreground:,} pixels are painted as foreground, {background:,} as background"
    return f"{mask.meaning}: {words}" if mask.meaning else words


def turned_lines(image_path, mask_path):
    """What is said, in a list, of an image or a mask that its orientation tag turns."""
    names = f"{os.path.basename(image_path)} and {os.path.basename(mask_path)}"
    tags = orientation(image_path), orientation(mask_path)
    if tags == (1, 1):
        return []
    if tags[0] == tags[1]:
        return [f"{names} are turned upright, as their orientation tags ({tags[0]}) say"]
    return [f"{names} are each turned as its own orientation tag says ({tags[0]} and {tags[1]}; 1 "
            "is upright): see in fit.png that they lie alike"]
