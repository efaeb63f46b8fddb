"""What is said of the masks before a training: a mistake in them shows here, or nowhere."""

import os

import cv2
import numpy as np

from own.decoding import orientation
from own.images import read_mask_with_meaning

# Of fewer pixels, or of a single object that is a smaller share of its image, little is learned.
FEW_PIXELS, SMALL_SHARE = 500, 0.02
FEW_WORDS = ("so few mean little; the fit will look good, and yet little may be found elsewhere: "
             "label more")
PAINTED = 0.5  # an image of which less is labelled was painted on


def mask_lines(settings, labelled):
    """How the settings' masks were understood: a line of each, and a question where one arises.

    labelled: their `Labelled` images, as `read_labelled` returns them. Returns a list of text.
    Raises `UserError` for a file that can no longer be read.
    """
    lines, pixels = [], 0
    rows = zip(settings.image, settings.mask, labelled, strict=True)
    for image_path, mask_path, (image, mask) in rows:
        image_name, name = os.path.basename(image_path), os.path.basename(mask_path)
        foreground, is_labelled = mask > 0, mask >= 0
        meaning = read_mask_with_meaning(mask_path).meaning
        pixels += foreground.sum()
        is_painted = is_labelled.mean() < PAINTED
        parts, _ = cv2.connectedComponents(foreground.astype("uint8"))
        objects = parts - 1  # the background is one of them
        if is_painted:
            lines.append(f"{name}: {painted_words(meaning, mask)}")
        else:
            lines.append(f"{name}: {drawn_words(meaning, mask, objects)}")
        if foreground.sum() > is_labelled.sum() / 2 and not is_painted:
            lines.append(f"{name}: more than half of it is foreground; is it inverted? The "
                         "foreground is what is to be found")
        if len(np.unique(image[::3, ::3])) <= 2:
            lines.append(f"{image_name} has two values alone, as masks have; are it and {name} "
                         "exchanged? The image is named first")
        lines += turned_lines(image_path, mask_path)
    is_small = not is_painted and foreground.mean() < SMALL_SHARE
    if pixels < FEW_PIXELS:
        lines.append(f"only {pixels} pixels are foreground: {FEW_WORDS}")
    elif len(labelled) == 1 and objects == 1 and is_small:
        lines.append(f"only one object is foreground: {FEW_WORDS}")
    return lines


def drawn_words(meaning, mask, objects):
    """Which values of a mask are the foreground, and how much that is.

    mask: int8 (height, width, 1), as in `Labelled`; objects: parts that do not touch each other.
    """
    meaning = meaning or "foreground is what is painted in a light colour"
    share = 100 * (mask > 0).mean()
    words = f"{meaning}: {share:.3g}% of the image, {objects} separate objects"
    if objects == 1:
        words = words.removesuffix("s").replace("separate ", "")
    if (mask < 0).any():
        words += f"; {100 * (mask < 0).mean():.3g}% is not labelled"
    return words


def painted_words(meaning, mask):
    """How much is painted in a mask, int8 (height, width, 1), as in `Labelled`."""
    words = (f"{(mask > 0).sum():,} pixels are painted as foreground and {(mask == 0).sum():,} as "
             "background")
    return f"{meaning}: {words}" if meaning else words


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
