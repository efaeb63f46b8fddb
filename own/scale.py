"""How much images are reduced for the network: until the labelled objects fit into a crop.

A crop of a photograph of 12 megapixels shows a piece of one coin, from which nobody could tell what
a coin is. Thin things keep their pixels. What it is worth: docs/own_details.md.
"""

import cv2
import numpy as np

# Objects are reduced to about so many pixels across: a crop holds several, with their surroundings.
WIDTH = 32
STROKES_ACROSS = 3  # a stroke is taken for so small a part of the width of what it lies in
# What would be thinner than so many pixels may be such a share of the foreground, no more.
THIN, THIN_SHARE = 5, 0.1
SMALLEST = 64  # side of a reduced image, pixels


def times_reduced(samples):
    """How many times images with these masks should be reduced: a whole number, 1 for not at all.

    samples: a list of `crops.Labelled`.
    """
    width = max(width_of_objects(mask) for _, mask in samples)
    side = min(min(mask.shape[:2]) for _, mask in samples)
    times = max(1, min(round(width / WIDTH), side // SMALLEST))
    while times > 1 and any(is_thin(mask, times) for _, mask in samples):
        times -= 1
    return times


def is_painted(labelled):
    """Whether a mask holds a few strokes. labelled: where it says something, bool, any shape."""
    return labelled.mean() < 0.5


def width_of_objects(mask):
    """How many pixels the labelled objects of a mask measure across, where they are widest.

    mask: int8 (height, width, 1), 1 foreground, -1 unlabelled. Half of the foreground belongs to
    objects of this width or less; 0 without foreground.
    """
    foreground = (mask[..., 0] > 0).astype("uint8")
    if not foreground.any():
        return 0.0
    to_border = cv2.distanceTransform(foreground, cv2.DIST_L2, cv2.DIST_MASK_5)
    count, objects = cv2.connectedComponents(foreground)
    widths = np.zeros(count)
    np.maximum.at(widths, objects.ravel(), 2 * to_border.ravel())
    width = float(np.median(widths[objects[foreground > 0]]))
    if is_painted(mask >= 0):
        width *= STROKES_ACROSS
    return width


def is_thin(mask, times):
    """Whether much of a mask, int8 (height, width, 1), would be thin if it were reduced.

    Strokes never are, however narrow: they say little of the width of what they lie in.
    """
    if is_painted(mask >= 0):
        return False
    small = (reduced_mask(mask, times) > 0).astype("uint8")
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (THIN, THIN))
    thick = cv2.morphologyEx(small, cv2.MORPH_OPEN, disc)
    whole = max(small.sum(), (mask > 0).sum() / times**2)  # some may be gone from the reduced mask
    return thick.sum() < (1 - THIN_SHARE) * whole


def reduced(image, times):
    """An image, (height, width, channels), so many times smaller; each pixel is a mean."""
    if times == 1:
        return image
    height, width = (max(1, round(side / times)) for side in image.shape[:2])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return small.reshape(height, width, -1)


def reduced_mask(mask, times):
    """A mask, int8 (height, width, 1), so many times smaller; each pixel is what most are there.

    It is labelled if a quarter of them is: thin strokes are not lost.
    """
    if times == 1:
        return mask
    foreground = reduced((mask > 0).astype("float32"), times)
    background = reduced((mask == 0).astype("float32"), times)
    is_labelled = foreground + background >= 0.25
    return np.where(is_labelled, foreground >= background, -1).astype("int8")


def reduced_part(part, times):
    """Slices of rows and columns of an image: where they lie in the reduced one."""
    slices = []
    for whole in part:
        start, stop = whole.start, whole.stop
        if start is not None:
            start, stop = start // times, -(-stop // times)
        slices.append(slice(start, stop))
    return tuple(slices)


def enlarged_part(part, times):
    """Slices of rows and columns of a reduced image: where they lie in the image."""
    rows, columns = part
    return (slice(rows.start * times, rows.stop * times),
            slice(columns.start * times, columns.stop * times))


def enlarged(probabilities, height, width):
    """Probabilities, float32 (height, width, 1), brought to so many pixels."""
    if probabilities.shape[:2] == (height, width):
        return probabilities
    return cv2.resize(probabilities, (width, height))[..., np.newaxis]
