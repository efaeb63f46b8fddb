"""One exposure for all images: a network sees each as bright as those that it was trained on.

An exposure is the median and the standard deviation of the grey values of each channel, float64
(channels, 2). What it is worth: docs/own_details.md.
"""

from typing import NamedTuple

import numpy as np

from common import metrics
from common.tiles import in_tiles
from own.images import in_channels
from own.scale import enlarged, reduced, reduced_part

PIXELS = 10**6  # of a large image so many count, evenly spread
# What images show makes their deviations differ by such a factor; what is beyond is exposure.
TOLERATED = 1.4
# An image of next to nothing is stretched until one step of its file is so many grey values.
STRETCHED = 4.0
STEP_OF_16_BITS = 1 / 257  # in grey values; those of 8 bits are 1
# An image may be taken as it is if its median differs by so many deviations at most, and its
# deviation by such a factor. Farther away it may be if the network is so many times surer of it.
NEAR_MEDIAN, NEAR_DEVIATION = 1.5, 2.0
SURER = 3.0
SMALLEST_SHARE = 0.001  # of the pixels: what is found in less counts as nothing
SMALLEST = 1e-3  # a deviation; a channel may have one grey value alone
MIDDLE = 512  # side of the part of an image by which its exposure is chosen, pixels
# Tiles overlap by so many pixels. The network sees further, up to 224, but what lies there changed
# no more than two pixels in a million of three trained networks.
MARGIN = 128
# No two images of one of the nine sets in docs/own_details.md lean both ways by so much.
LEANING = 0.08
LEAN_PIXELS = 2**16  # so many count, evenly spread
WHOLE = (slice(None), slice(None))  # rows and columns


def exposure(image):
    """The exposure of an image, (height, width, channels).

    The median, for it is the background's, however large the foreground is up to a half.
    """
    step = max(1, int((image[..., 0].size / PIXELS) ** 0.5))
    pixels = image[::step, ::step].reshape(-1, image.shape[2])
    median = np.median(pixels, axis=0)
    deviation = np.maximum(pixels.std(axis=0, dtype="float64"), SMALLEST)
    return np.stack([median, deviation], axis=1)


def lean(image):
    """To which side the grey values of an image lean, -1..1: above 0 where few of them are light.

    So it is where light objects lie on a dark background. It is the L-skewness (Hosking 1990), the
    same at every exposure, and the opposite in the negative. image: (height, width, channels).
    """
    grey = in_channels(image, 1).ravel()
    values = np.sort(grey[:: max(1, grey.size // LEAN_PIXELS)]).astype("float64")
    values -= values.mean()
    rank = np.linspace(-1, 1, len(values))
    spread = (rank * values).mean()
    skewness = ((1.5 * rank**2 - 0.5) * values).mean()
    return skewness / max(spread, 1e-9)  # an image may have one grey value alone


def are_opposite(one, other):
    """Whether an image of the one `lean` looks like the negative of one of the other."""
    return one * other < 0 and min(abs(one), abs(other)) > LEANING


def near(present, wanted):
    """Whether two exposures are so alike that an image with the first may be taken as it is."""
    median, deviation = present.T
    wanted_median, wanted_deviation = wanted.T
    distance = abs(median - wanted_median) / wanted_deviation
    ratio = deviation / wanted_deviation
    largest_ratio = np.maximum(ratio, 1 / ratio).max()
    return distance.max() <= NEAR_MEDIAN and largest_ratio <= NEAR_DEVIATION


def matched(image, present, wanted):
    """An image, or a part of it, brought from one exposure to another: float32 of the same shape.

    Its median becomes that of the other, its deviation too, but for a factor of TOLERATED.
    """
    median, _ = present.T
    wanted_median, _ = wanted.T
    scale = np.minimum(stretch(present, wanted), largest_stretch(image))
    shift = wanted_median - median * scale
    return (image * scale.astype("float32") + shift.astype("float32")).astype("float32")


def stretch(present, wanted):
    """The factor in contrast from one exposure to another, of each channel."""
    _, deviation = present.T
    _, wanted_deviation = wanted.T
    ratio = wanted_deviation / deviation
    return ratio / np.clip(ratio, 1 / TOLERATED, TOLERATED)


def largest_stretch(image):
    """By what factor the contrast of an image, uint8 or float32 of 16 bits, is raised at most."""
    return STRETCHED if image.dtype == np.uint8 else STRETCHED / STEP_OF_16_BITS


def trained_exposure(network):
    """The exposure of what a network was trained on, as its first layer holds it."""
    from common.backend import keras

    layer = network.get_layer("normalisation")
    median = keras.ops.convert_to_numpy(layer.mean).ravel()
    variance = keras.ops.convert_to_numpy(layer.variance).ravel()
    return np.stack([median, variance**0.5], axis=1)


def best_exposure(network, image, present, try_both):
    """The exposure to see an image at: its present one, or that which the network was trained on.

    An image whose exposure is near is seen at the one at which the network is surer of the middle
    of the image; without try_both, which takes time, at its present one. An image that is not near
    is seen at the network's, unless the network is much surer at the present one: the light may be
    the same where the image shows something else.
    """
    import model

    trained = trained_exposure(network)
    if np.allclose(present, trained):
        return present
    is_near = near(present, trained)
    if not try_both:
        return present if is_near else trained
    top, left = (max(0, (side - MIDDLE) // 2) for side in image.shape[:2])
    middle = image[top : top + MIDDLE, left : left + MIDDLE]
    doubts, shares = [], []
    for wanted in (trained, present):
        seen = matched(middle, present, wanted)
        probabilities = model.predict(network, seen[np.newaxis], batch=1)
        doubts.append(doubt(probabilities))
        shares.append(smaller_share(probabilities))
    matched_doubt, present_doubt = doubts
    if not is_near:  # of an image that is far too dark it may be sure that it is empty
        matched_doubt = matched_doubt / SURER if shares[1] > SMALLEST_SHARE else 0.0
    return present if present_doubt < matched_doubt else trained


def uncertainty(probabilities):
    """How far from certain the pixels are on average: 0 if all are 0 or 1, 1 if all are 0.5."""
    return float((1 - abs(2 * probabilities - 1)).mean())


def smaller_share(probabilities):
    """The share of the foreground or of the background, whichever is smaller."""
    share = metrics.predicted(probabilities).mean()
    return min(share, 1 - share)


def doubt(probabilities):
    """The `uncertainty`, divided by the share of the smaller of foreground and background."""
    return uncertainty(probabilities) / max(smaller_share(probabilities), SMALLEST_SHARE)


class Prepared(NamedTuple):
    """An image as a network sees it, but for its exposure."""

    image: np.ndarray  # in the network's channels, reduced; uint8 or float32
    present: np.ndarray  # its exposure
    wanted: np.ndarray  # that at which it is seen

    def how(self):
        """How it is seen, for metrics.csv."""
        if self.present is self.wanted:
            return "as it is"
        if stretch(self.present, self.wanted).max() > largest_stretch(self.image):
            return "too faint to match"
        return "matched"


def prepared(network, image, match, try_both=True, times=1):
    """An image of any kind and size as `Prepared`; the arguments are those of `predict_image`."""
    image = reduced(in_channels(image, network.input_shape[3]), times)
    present = wanted = exposure(image)
    if match:
        wanted = best_exposure(network, image, present, try_both)
    return Prepared(image, present, wanted)


def predict_image(
        network, image, match=False, average=False, try_both=True, part=WHOLE, times=1):
    """Probabilities, float32 (height, width, 1), of one image of any kind and size.

    image: (height, width, 1 or 3), turned into the colours or the grey that the network knows.
    match: see it at `best_exposure`, for which try_both counts. average: as of `model.predict`.
    part: slices of rows and columns, the only ones to predict. times: how many times the image is
    reduced, as in the training; the probabilities are as large as it was.
    """
    height, width = image[part].shape[:2]
    seen = prepared(network, image, match, try_both, times)
    return predict_prepared(network, seen, average, reduced_part(part, times), (height, width))


def predict_prepared(network, seen, average, part, size):
    """Probabilities of a `Prepared` image, or a part of it, brought to a size; see there."""
    import model

    def predict_tile(tile):
        exposed = matched(tile, seen.present, seen.wanted)
        return model.predict(network, exposed[np.newaxis], average, batch=1)[0]

    P = in_tiles(predict_tile, seen.image[part], model.TILE, MARGIN, model.FACTOR)
    return enlarged(P, *size)
