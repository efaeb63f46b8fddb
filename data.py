"""What the network sees: noise images with one shape in each, and their masks; or crops of one's own images.

In memory: images X are float32 (n, height, width, 1) in grey values 0..255, masks Y are
float32 (n, height, width, 1) in {0, 1}; one's own images have one channel or three. On disk: 8-bit grey PNGs
X_1.png, Y_1.png, ..., masks 0 or 255. Run as a script, it shows what the data looks like (vis/data.png).
"""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from common.command_line import fields_of, parse
from common.errors import UserError, run_script
from common.files import check_folder, clear_numbered
from common.images import check_same_size, exposure, in_channels, matched, read_image, read_mask, write_png
from common.settings import Settings
from common.tiles import square_around

# Each purpose draws from a random stream of its own: no validation image can equal a training image.
STREAMS = ("train", "validation", "test", "augmentation", "labels", "supervision")


def create_data(n, settings=Settings(), stream="train", folder=None):
    """Synthesise n samples; given a folder, also write them there as a data set.

    The first k samples are the same whatever n is. `stream` is one of STREAMS.
    Returns X, float32 (n, height, width, 1) in 0..255, and Y, the same shape, in {0, 1}.
    """
    generator = random_stream(settings.seed, stream)
    images, masks = zip(*(draw_sample(generator, settings) for _ in range(n)), strict=True)
    X, Y = (np.stack(arrays)[..., np.newaxis].astype("float32") for arrays in (images, masks))
    if folder is not None:
        write_data(X, Y, folder)
    return X, Y


def random_stream(seed, stream):
    """The random generator of one of STREAMS, always the same for the same seed."""
    return np.random.default_rng(seed).spawn(len(STREAMS))[STREAMS.index(stream)]


def draw_sample(generator, settings):
    """One image, integer (height, width), and its mask, bool (height, width)."""
    noise = generator.integers(settings.noise, size=settings.size)
    if settings.task == "larger":
        larger, smaller = draw_two(generator, settings)
        return fill(generator, noise, larger | smaller, settings), larger
    mask = draw_mask(generator, settings)
    return fill(generator, noise, mask, settings), mask


def fill(generator, noise, mask, settings):
    """Fill the shape `mask`, bool (height, width), in `noise`, integer of that size, as the settings say."""
    if settings.fill == "noise":
        added = settings.strength * generator.integers(settings.noise, size=mask.shape)
        return noise + mask * added.round().astype(int)
    return np.where(mask, settings.level, noise)


def draw_mask(generator, settings):
    """A circle or rectangle as a mask, bool (height, width).

    A radius of r, for a rectangle half its height and half its width, drawn apart, spans 2r + 1 pixels and is uniform
    on the settings' range; so are the sides where there is --side. The centre is uniform over all pixels around which
    the whole shape fits, or for a circle with --placement central over those two radii from every border, with
    --placement border over those where it touches one of the four.
    """
    if settings.shape == "circle":
        radius = generator.integers(settings.radius[0], settings.radius[1] + 1)
        margin = 2 * radius if settings.placement == "central" else radius
        centre = [generator.integers(margin, side - margin) for side in settings.size]
        if settings.placement == "border":
            axis, far = generator.integers(2, size=2)
            centre[axis] = settings.size[axis] - 1 - radius if far else radius
        return circle(centre, radius, settings.size)
    if settings.side == (0, 0):
        radii = generator.integers(settings.radius[0], settings.radius[1] + 1, size=2)
        centre = [generator.integers(r, side - r) for r, side in zip(radii, settings.size, strict=True)]
        top, bottom = centre - radii, centre + radii + 1
    else:
        sides = generator.integers(settings.side[0], settings.side[1] + 1, size=2)
        top = generator.integers(np.array(settings.size) - sides + 1)
        bottom = top + sides
    mask = np.zeros(settings.size, bool)
    mask[top[0] : bottom[0], top[1] : bottom[1]] = True
    return mask


def circle(centre, radius, size):
    """The mask of a circle, bool (height, width); what lies outside the image is missing. All in pixels."""
    rows, columns = np.ogrid[: size[0], : size[1]]
    return (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= (radius + 0.5) ** 2


def relabel(Y, settings):
    """The masks to train on, as --labels says, instead of the true ones Y: the same shape, float32 in {0, 1}.

    'moved' is the mask of another shape, drawn like the true one until the two do not overlap; 'random' has as many
    foreground pixels, anywhere. Raises `UserError` as `draw_elsewhere` does.
    """
    if settings.labels == "true":
        return Y
    generator = random_stream(settings.seed, "labels")
    if settings.labels == "random":
        return np.stack([generator.permutation(mask.ravel()).reshape(mask.shape) for mask in Y])
    moved = [draw_elsewhere(generator, mask[..., 0] > 0, settings) for mask in Y]
    return np.stack(moved)[..., np.newaxis].astype("float32")


def supervised(settings, Y):
    """The masks Y with -1, which the loss passes over, at the pixels that are not supervised.

    --supervised-pixels are the first of one random order of the pixels, of each sample its own: fewer are a part of
    more. --supervised-window lies anywhere in the sample.
    """
    if not settings.supervised_pixels and not settings.supervised_window:
        return Y
    generator = random_stream(settings.seed, "supervision")
    seen = np.zeros(Y.shape, bool)
    for of_sample in seen:
        if side := settings.supervised_window:
            top, left = (generator.integers(whole - side + 1) for whole in Y.shape[1:3])
            of_sample[top : top + side, left : left + side] = True
        else:
            of_sample.flat[generator.permutation(of_sample.size)[: settings.supervised_pixels]] = True
    return np.where(seen, Y, np.float32(-1))


def draw_elsewhere(generator, mask, settings):
    """The mask of a shape that does not overlap with `mask`, both bool (height, width).

    Raises `UserError` if there is no room for one.
    """
    for _ in range(1000):
        other = draw_mask(generator, settings)
        if not (mask & other).any():
            return other
    raise UserError("--labels moved finds no room for a second shape; allow smaller ones with --radius")


def draw_two(generator, settings):
    """The masks of two shapes that do not touch, bool (height, width): one at least a quarter larger than the other.

    Raises `UserError` if there is no room for them.
    """
    for _ in range(1000):
        larger, smaller = sorted((draw_mask(generator, settings) for _ in range(2)), key=np.sum, reverse=True)
        beside = cv2.dilate(larger.astype("uint8"), np.ones((3, 3), "uint8")) > 0
        if larger.sum() >= 1.25 * smaller.sum() and not (beside & smaller).any():
            return larger, smaller
    raise UserError("--task larger finds no room for two shapes of different size; allow smaller ones with --radius, "
                    "or --side of rectangles")


def augment(generator, image, mask):
    """The same sample flipped, turned by quarters and shifted at random; image and mask alike, (height, width, 1).

    Every pixel stays with its label, and none is added or lost: what leaves at one border enters at the other.
    No shift cuts the foreground in two. An image that is not square is turned by halves, so that it keeps its size.
    """
    turns = generator.integers(4) if image.shape[0] == image.shape[1] else 2 * generator.integers(2)
    mirror = 1 - 2 * generator.integers(2)
    image, mask = (np.rot90(array, turns)[:, ::mirror] for array in (image, mask))
    shift = []
    for axis, side in enumerate(mask.shape[:2]):
        foreground = np.flatnonzero((mask > 0).any(axis=(1 - axis, 2)))
        first, last = (foreground[0], foreground[-1]) if foreground.size else (side - 1, 0)
        shift.append(generator.integers(-first, side - last))
    return tuple(np.roll(array, shift, axis=(0, 1)) for array in (image, mask))


class Labelled(NamedTuple):
    """One's own image with its mask."""

    image: np.ndarray  # grey values 0..255, uint8 or float32 (height, width, channels)
    mask: np.ndarray  # int8 (height, width, 1): 1 foreground, 0 background, -1 unlabelled


def read_labelled(settings, to=None):
    """The settings' own images with their masks, a list of `Labelled`, in colour if one of them has any.

    With --match all are brought nearly to the exposure `to`, or that which they have on average, by `matched`. Raises
    `UserError`, which names the file, for one that cannot be used or does not fit its image, and if none marks any
    foreground, or any background.
    """
    labelled = []
    for image_path, mask_path in zip(settings.image, settings.mask, strict=True):
        image, (foreground, known) = read_image(image_path), read_mask(mask_path)
        check_same_size(image, image_path, known, mask_path)
        if exposure(image)[:, 1].max() < 0.01:
            raise UserError(f"{image_path} has one grey value alone, or nearly; name an image that shows something")
        labelled.append(Labelled(image, np.where(known, foreground, -1).astype("int8")))
    for kind, value in (("foreground", 1), ("background", 0)):
        if labelled and not any((mask == value).any() for _, mask in labelled):
            raise UserError(f"--mask {' '.join(settings.mask)} marks no {kind}; give a mask of both, 0 and 255, or "
                            "light strokes on the foreground and dark ones on the background, in a transparent PNG")
    channels = max((image.shape[2] for image, _ in labelled), default=1)
    labelled = [Labelled(np.ascontiguousarray(in_channels(image, channels)), mask) for image, mask in labelled]
    if not settings.match or (len(labelled) < 2 and to is None):
        return labelled
    exposures = [exposure(image) for image, _ in labelled]
    to = np.mean(exposures, axis=0) if to is None else to
    return [Labelled(matched(image, of, to), mask)
            for (image, mask), of in zip(labelled, exposures, strict=True)]


def excerpt(image, mask, side=2048):
    """What is shown and scored of a `Labelled` image: of a large one a square around the middle of its foreground."""
    part = square_around(mask > 0 if (mask > 0).any() else mask >= 0, side)
    return Labelled(image[part], mask[part])


class Pixels:
    """Some pixels of an image, to draw from; of many there is no list, which would take more memory than the image."""

    def __init__(self, among):
        self.among = among  # bool (height, width, 1)
        self.few = np.flatnonzero(among) if among.mean() < 0.01 else None

    def draw(self, generator):
        """Row and column of one of them at random."""
        while True:
            index = generator.choice(self.few) if self.few is not None else generator.integers(self.among.size)
            if self.among.flat[index]:
                return np.unravel_index(index, self.among.shape[:2])


def crops(labelled, settings):
    """Yield crops of `Labelled` images for ever: grey values and masks, float32 (1, crop, crop, channels or 1).

    Every second is drawn around a pixel of the foreground, however rare that is, the others around any labelled one.
    Each is turned by quarters and flipped, and its contrast, brightness and tint change as the settings say.
    """
    generator = random_stream(settings.seed, "augmentation")
    pixels = [{number: Pixels(mask >= least) for number, (_, mask) in enumerate(labelled) if (mask >= least).any()}
              for least in (1, 0)]
    exposures = [exposure(image).T for image, _ in labelled]
    while True:
        for around in pixels:
            number = [*around][generator.integers(len(around))]
            x, y = crop(generator, *labelled[number], around[number].draw(generator), settings.crop)
            contrast = np.exp(generator.uniform(-1, 1) * np.log(settings.contrast))
            moved = settings.brightness * generator.normal() + settings.tint * generator.normal(size=x.shape[2])
            middle, deviation = exposures[number]
            x = middle + contrast * (x - middle) + moved * deviation
            yield x[np.newaxis].astype("float32"), y[np.newaxis].astype("float32")


def crop(generator, image, mask, place, side):
    """A random crop in which the pixel `place` (row, column) lies, turned and flipped; image and mask alike.

    Beyond its border an image is mirrored. image, mask: (height, width, channels); returns (side, side, channels).
    """
    corner = [int(np.clip(at - generator.integers(side), 0, max(0, whole - side)))
              for at, whole in zip(place, mask.shape[:2], strict=True)]
    turns, mirror = generator.integers(4), 1 - 2 * generator.integers(2)

    def cut(array):
        part = array[corner[0] : corner[0] + side, corner[1] : corner[1] + side]
        missing = [(0, side - length) for length in part.shape[:2]]
        return np.rot90(np.pad(part, [*missing, (0, 0)], mode="reflect"), turns)[:, ::mirror]

    return cut(image), cut(mask)


def write_data(X, Y, folder):
    """Write X_1.png, Y_1.png, ... into `folder`, in place of any data set that is there.

    X: grey values 0..255, Y: {0, 1}, both (n, height, width, 1). Raises `UserError` if a file cannot be written.
    """
    for letter, images in (("X", X), ("Y", Y * 255)):
        clear_numbered(folder, letter)
        for number, image in enumerate(images, start=1):
            write_png(Path(folder, f"{letter}_{number}.png"), image)


def main():
    from common import plots  # Matplotlib starts slowly: --help and mistakes do not need it

    settings = Settings(**parse("Show what the data looks like, in vis/data.png.", fields_of("seed", "vis")))
    check_folder(settings.vis, "--vis")
    kinds = [(shape, fill) for shape in ("circle", "rectangle") for fill in ("noise", "constant")]
    drawn = [create_data(4, dataclasses.replace(settings, shape=shape, fill=fill)) for shape, fill in kinds]
    named = [(f"{shape}, {fill} fill", X[-1], Y[-1]) for (shape, fill), (X, Y) in zip(kinds, drawn, strict=True)]
    path = Path(settings.vis, "data.png")
    plots.samples(named, path)
    print(f"look at {path}")


if __name__ == "__main__":
    run_script(main)
