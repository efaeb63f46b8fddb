"""One exposure for all images: a network sees each as bright as those that it was trained on.

An exposure is the median and the standard deviation of the grey values of each channel, float64
(channels, 2). What it is worth: docs/own.md.
"""

import numpy as np

from common import metrics
from common.tiles import in_tiles
from own.images import in_channels
from own.scale import enlarged, reduced, reduced_part

PIXELS = 10**6  # of a large image so many count, evenly spread
# What images show makes their deviations differ by such a factor; what is beyond is exposure.
TOLERATED = 1.4
STRETCHED = 4.0  # an image of next to nothing is stretched in contrast by no more than this
# An image may be taken as it is if its median differs by so many deviations at most, and its
# deviation by such a factor.
NEAR_MEDIAN, NEAR_DEVIATION = 1.5, 2.0
SMALLEST = 1e-3  # a deviation; an image may have one grey value alone
MIDDLE = 512  # side of the part of an image by which its exposure is chosen, pixels
# Tiles overlap by so many pixels. The network sees further, up to 224, but what lies there changed
# no more than two pixels in a million of three trained networks.
MARGIN = 128
WHOLE = (slice(None), slice(None))  # rows and columns


def exposure(image):
    """The exposure of an image, (height, width, channels).

    The median, for it is the background's, however large the foreground is up to a half.
    """
    step = max(1, int((image[..., 0].size / PIXELS) ** 0.5))
    pixels = image[::step, ::step].reshape(-1, image.shape[2])
    median = np.median(pixels, axis=0)
    deviation = pixels.std(axis=0, dtype="float64")
    return np.stack([median, deviation], axis=1)


def near(present, wanted):
    """Whether two exposures are so alike that an image with the first may be taken as it is."""
    median, deviation = present.T
    wanted_median, wanted_deviation = wanted.T
    unit = np.maximum(wanted_deviation, SMALLEST)
    distance = abs(median - wanted_median) / unit
    ratio = np.maximum(deviation, SMALLEST) / unit
    largest_ratio = np.maximum(ratio, 1 / ratio).max()
    return distance.max() <= NEAR_MEDIAN and largest_ratio <= NEAR_DEVIATION


def matched(image, present, wanted):
    """An image, or a part of it, brought from one exposure to another: float32 of the same shape.

    Its median becomes that of the other, its deviation too, but for a factor of TOLERATED.
    """
    median, deviation = present.T
    wanted_median, wanted_deviation = wanted.T
    ratio = wanted_deviation / np.maximum(deviation, SMALLEST)
    tolerated = np.clip(ratio, 1 / TOLERATED, TOLERATED)
    scale = np.minimum(ratio / tolerated, STRETCHED)
    shift = wanted_median - median * scale
    return (image * scale.astype("float32") + shift.astype("float32")).astype("float32")


def trained_exposure(network):
    """The exposure of what a network was trained on, as its first layer holds it."""
    from common.backend import keras

    layer = network.get_layer("normalisation")
    median = keras.ops.convert_to_numpy(layer.mean).ravel()
    variance = keras.ops.convert_to_numpy(layer.variance).ravel()
    return np.stack([median, variance**0.5], axis=1)


def best_exposure(network, image, present, try_both):
    """The exposure to see an image at: its present one, or that which the network was trained on.

    It is the network's, but where the two are near. There it is the one at which the network is
    surer of the middle of the image; without try_both, which takes time, the present one.
    """
    import model

    trained = trained_exposure(network)
    if not near(present, trained) or np.allclose(present, trained):
        return trained
    if not try_both:
        return present
    top, left = (max(0, (side - MIDDLE) // 2) for side in image.shape[:2])
    middle = image[top : top + MIDDLE, left : left + MIDDLE]
    doubts = []
    for wanted in (trained, present):
        seen = matched(middle, present, wanted)
        doubts.append(doubt(model.predict(network, seen[np.newaxis], batch=1)))
    return present if doubts[1] < doubts[0] else trained


def uncertainty(probabilities):
    """How far from certain the pixels are on average: 0 if all are 0 or 1, 1 if all are 0.5."""
    return float((1 - abs(2 * probabilities - 1)).mean())


def doubt(probabilities):
    """The `uncertainty`, divided by the share of the smaller of foreground and background."""
    share = metrics.predicted(probabilities).mean()
    return uncertainty(probabilities) / max(min(share, 1 - share), 0.001)


def predict_image(
        network, image, match=False, average=False, try_both=True, part=WHOLE, times=1):
    """Probabilities, float32 (height, width, 1), of one image of any kind and size.

    image: (height, width, 1 or 3), turned into the colours or the grey that the network knows.
    match: see it at `best_exposure`, for which try_both counts. average: as of `model.predict`.
    part: slices of rows and columns, the only ones to predict. times: how many times the image is
    reduced, as in the training; the probabilities are as large as it was.
    """
    import model

    height, width = image[part].shape[:2]
    image = reduced(in_channels(image, network.input_shape[3]), times)
    part = reduced_part(part, times)
    present = wanted = exposure(image)
    if match:
        wanted = best_exposure(network, image, present, try_both)

    def predict_tile(tile):
        seen = matched(tile, present, wanted)
        return model.predict(network, seen[np.newaxis], average, batch=1)[0]

    P = in_tiles(predict_tile, image[part], model.TILE, MARGIN, model.FACTOR)
    return enlarged(P, height, width)
