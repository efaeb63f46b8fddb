"""What a training step sees of one's own images: crops of those that are labelled."""

import dataclasses
from typing import NamedTuple

import cv2
import numpy as np

from common.errors import UserError
from data import random_stream
from own.exposure import STEP_OF_16_BITS, exposure, matched
from own.images import check_same_size, fingerprint_of, in_channels, read_image, read_mask
from own.names import check_pairs
from own.scale import is_painted, reduced, reduced_mask, times_reduced

EXCERPT = 2048  # side of what is shown and scored of a large image, pixels
RARE = 0.01  # share of the pixels of an image; fewer than that are listed to be drawn from


class Labelled(NamedTuple):
    """One's own image with its mask."""

    image: np.ndarray  # grey values 0..255, uint8 or float32 (height, width, channels)
    mask: np.ndarray  # int8 (height, width, 1): 1 foreground, 0 background, -1 unlabelled


def read_labelled(settings):
    """The settings' images with their masks, a list of `Labelled`, in colour if one of them is.

    Raises `UserError`, which names the file, for one that cannot be used or does not fit
    its image, if their names say that they are mixed up, and if none marks any foreground, or any
    background.
    """
    check_pairs(settings.image, settings.mask)
    images, masks = [], []
    for image_path, mask_path in zip(settings.image, settings.mask, strict=True):
        image, (foreground, is_labelled) = read_image(image_path), read_mask(mask_path)
        check_same_size(image, image_path, is_labelled, mask_path)
        step = 1 if image.dtype == np.uint8 else STEP_OF_16_BITS
        _, deviation = cv2.meanStdDev(image)  # NumPy would copy a large image to float64
        if deviation.max() < 0.01 * step:
            raise UserError(f"{image_path} has one grey value alone, or nearly; name an image that "
                            "shows something")
        images.append(image)
        masks.append(np.where(is_labelled, foreground, -1).astype("int8"))
    for name, label in (("foreground", 1), ("background", 0)):
        if not any((mask == label).any() for mask in masks):
            raise UserError(f"{' '.join(settings.mask)} marks no {name}; give a mask of both, 0 "
                            "and 255, or light strokes on the foreground and dark ones on the "
                            "background, in a transparent PNG")
    channels = max(image.shape[2] for image in images)
    images = [np.ascontiguousarray(in_channels(image, channels)) for image in images]
    return list(map(Labelled, images, masks))


def prepared_for_training(settings, labelled, wanted=None):
    """The settings as they suit `Labelled` images, and these as the network will see them.

    The images are reduced as the settings say, or else as suits the labelled objects. With --match
    all are brought to the exposure `wanted`, or else to that which they have on average. Of masks
    that are no strokes, what is not labelled has no weight. The settings hold the fingerprints of
    the images as they were. Raises `UserError` if --reduce leaves no foreground.
    """
    times = settings.reduce or times_reduced(labelled)
    fingerprints = [fingerprint_of(image) for image, _ in labelled]
    images = [reduced(image, times) for image, _ in labelled]
    masks = [reduced_mask(mask, times) for _, mask in labelled]
    if not any((mask > 0).any() for mask in masks):
        raise UserError(f"--reduce {times} leaves no foreground of {' '.join(settings.mask)}; give "
                        "a smaller number")
    if settings.match and (len(images) > 1 or wanted is not None):
        exposures = [exposure(image) for image in images]
        if wanted is None:
            wanted = np.mean(exposures, axis=0)
        images = [matched(image, present, wanted)
                  for image, present in zip(images, exposures, strict=True)]
    settings = dataclasses.replace(settings, reduce=times, fingerprints=tuple(fingerprints))
    if not any(is_painted(mask >= 0) for mask in masks):
        settings = dataclasses.replace(settings, unlabelled=0.0)
    return settings, list(map(Labelled, images, masks))


def excerpt(labelled, side=EXCERPT):
    """Of a large `Labelled` image a square around the middle of its foreground."""
    image, mask = labelled
    pixels = mask > 0 if (mask > 0).any() else mask >= 0
    part = square_around(pixels, side)
    return Labelled(image[part], mask[part])


def square_around(pixels, side):
    """Where a square of `side` pixels lies around the middle of pixels, bool (height, width, 1).

    Returns slices of rows and columns; one of the pixels lies there, if there are any.
    """
    pixels = pixels[..., 0]
    by_row, by_column = pixels.sum(axis=1).cumsum(), pixels.sum(axis=0).cumsum()
    middle = [np.searchsorted(sums, sums[-1] / 2) for sums in (by_row, by_column)]
    part = square_at(middle, side, pixels.shape)
    if not pixels[part].any():  # they lie in several places, and the middle is in none of them
        first = np.unravel_index(pixels.argmax(), pixels.shape)
        part = square_at(first, side, pixels.shape)
    return part


def square_at(centre, side, size):
    """Slices of rows and columns: a square with that centre, moved into an image of that size."""
    slices = []
    for place, whole in zip(centre, size, strict=True):
        start = int(np.clip(place - side / 2, 0, max(0, whole - side)))
        slices.append(slice(start, start + side))
    return tuple(slices)


class Pixels:
    """Pixels of an image to draw from. Of many there is no list, which would need much memory."""

    def __init__(self, among):
        self.among = among  # bool (height, width, 1)
        self.listed = np.flatnonzero(among) if among.mean() < RARE else None

    def draw(self, generator):
        """Row and column of one of them at random."""
        while True:
            if self.listed is not None:
                index = generator.choice(self.listed)
            else:
                index = generator.integers(self.among.size)
            if self.among.flat[index]:
                return np.unravel_index(index, self.among.shape[:2])


def crops(labelled, settings):
    """Yield crops of `Labelled` images for ever: grey values and masks, float32.

    These are (1, crop, crop, channels) and (1, crop, crop, 1). Every second crop is drawn around a
    pixel of the foreground, however rare that is, the others around any labelled one. Each is
    turned by quarters and flipped, and its contrast, brightness and tint change as the settings
    say.
    """
    generator = random_stream(settings.seed, "augmentation")
    foreground, anywhere = {}, {}  # Pixels of each image that has any
    for number, (_, mask) in enumerate(labelled):
        if (mask > 0).any():
            foreground[number] = Pixels(mask > 0)
        if (mask >= 0).any():
            anywhere[number] = Pixels(mask >= 0)
    exposures = [exposure(image).T for image, _ in labelled]
    while True:
        for pixels in (foreground, anywhere):
            numbers = list(pixels)
            number = numbers[generator.integers(len(numbers))]
            place = pixels[number].draw(generator)
            x, y = crop(generator, *labelled[number], place, settings.crop)
            median, deviation = exposures[number]
            contrast = np.exp(generator.uniform(-1, 1) * np.log(settings.contrast))
            shift = settings.brightness * generator.normal()
            shift = shift + settings.tint * generator.normal(size=x.shape[2])
            x = median + contrast * (x - median) + shift * deviation
            yield x[np.newaxis].astype("float32"), y[np.newaxis].astype("float32")


def crop(generator, image, mask, place, side):
    """A random crop in which the pixel `place` lies, turned and flipped; image and mask alike.

    image, mask: (height, width, channels); place: row and column. Beyond its border an image is
    mirrored. Returns two arrays (side, side, channels).
    """
    corner = []
    for position, whole in zip(place, mask.shape[:2], strict=True):
        start = position - generator.integers(side)
        corner.append(int(np.clip(start, 0, max(0, whole - side))))
    top, left = corner
    turns = generator.integers(4)
    mirror = 1 - 2 * generator.integers(2)
    crops = []
    for array in (image, mask):
        part = array[top : top + side, left : left + side]
        missing = [(0, side - length) for length in part.shape[:2]]
        part = np.pad(part, [*missing, (0, 0)], mode="reflect")
        crops.append(np.rot90(part, turns)[:, ::mirror])
    return crops
