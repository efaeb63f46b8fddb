"""How far around a pixel a network looks, before and after training, and the levels it needs."""

from functools import partial

import numpy as np

import train
from common import metrics
from common.plots import BLUE
from data import draw_mask, random_stream
from study.figures import GREY, finish, panels
from study.measuring import paint
from study.statistics import with_interval

RINGS = (2, 4, 8, 12, 16, 24, 32, 48, 64, 80)  # pixels around the centre
MOMENTS = ("before", "after")  # training
LEVELS = range(1, 6)  # of the U-Net, from full size down


def ring_columns(moment):
    """The columns of the share of the gradient within each of RINGS, at one of MOMENTS."""
    return [f"gradient within {radius} {moment} training" for radius in RINGS]


def level_column(level):
    """The column of the IoU of a network that is cut below a level."""
    return f"iou cut below level {level}"


def needed_levels(run, settings, images=10):
    """IoU on validation images with the U-Net cut below each level.

    Each channel that comes up from there is held at its mean over all pixels of these images, so
    that only its pattern is lost.
    """
    import model
    from common.backend import keras

    X, Y = run.validation
    X, Y = X[:images], Y[:images]
    samplings = [run.network.get_layer(f"up_{level}_sample").output for level in LEVELS]
    from_below = keras.Model(run.network.inputs, samplings)
    row = {}
    for level, features in zip(LEVELS, from_below.predict_on_batch(X), strict=True):
        convolution = run.network.get_layer(f"up_{level}_convolution_1")
        kernel, bias = convolution.get_weights()  # (3, 3, channels, filters), (filters,)
        channels = np.arange(kernel.shape[2])
        deep = channels < features.shape[3]  # those that come from below
        mean = features.mean(axis=(0, 1, 2))
        constant = np.einsum("ijcf,c->f", kernel[:, :, deep], mean)
        convolution.set_weights([np.where(deep[:, np.newaxis], 0, kernel), bias + constant])
        predictions = metrics.predicted(model.predict(run.network, X))
        row[level_column(level)] = metrics.iou(Y, predictions).mean()
        convolution.set_weights([kernel, bias])
    return row


def receptive_field(run, settings, count=8):
    """The share of the gradient within each of RINGS of the centre, before and after training.

    The effective receptive field of Luo et al. 2016 (arXiv 1701.04128): the absolute gradient of
    the logit of the central pixel with respect to every pixel of the image, averaged over images
    whose shape covers that pixel. (On plain background a trained network may have no gradient at
    all: its last ReLUs are all 0 there.)
    """
    generator, (height, width) = random_stream(settings.seed, "test"), settings.size
    masks = []
    while len(masks) < count:
        mask = draw_mask(generator, settings)
        if mask[height // 2, width // 2]:
            masks.append(mask)
    images = [paint(generator, mask, settings) for mask in masks]
    X = np.stack(images)[..., np.newaxis].astype("float32")
    rows = np.arange(height) - height // 2
    columns = np.arange(width) - width // 2
    distance = np.hypot(rows[:, np.newaxis], columns)
    untrained = train.compile_network(settings, *run.train)
    row = {}
    for moment, network in zip(MOMENTS, (untrained, run.network), strict=True):
        field = abs(gradients(network, X)).mean(axis=(0, 3))  # (height, width)
        total = field.sum() or np.nan  # a network whose ReLUs are all 0 has no gradient
        for name, radius in zip(ring_columns(moment), RINGS, strict=True):
            row[name] = field[distance <= radius].sum() / total
    return row


def gradients(network, X):
    """The gradient of the logit of the central pixel with respect to each pixel, shaped like X.

    Up to a factor, and on any backend of Keras: the images become the only weights, and one step
    of plain gradient descent, which starts from 0 and goes down the negative logit, moves them by
    the gradient. The network is not trainable afterwards.
    """
    from common.backend import keras

    class Images(keras.layers.Layer):
        """The images, plus a weight for each of their pixels."""

        def build(self, shape):
            self.offset = self.add_weight(shape=shape, initializer="zeros")

        def call(self, images):
            return images + self.offset

    n, height, width, _ = X.shape
    inputs = keras.Input(batch_shape=X.shape)
    images = Images(dtype="float32")
    logits = keras.Model(network.inputs, network.layers[-1].input)
    logits.trainable = False
    logit = logits(images(inputs))[:, height // 2, width // 2]
    probe = keras.Model(inputs, logit)
    probe.compile(keras.optimizers.SGD(1.0), lambda _, logit: -logit)
    probe.train_on_batch(X, np.zeros((n, 1), "float32"))
    return keras.ops.convert_to_numpy(images.offset)


def draw(results, path, title):
    """How much of the gradient of a pixel's logit lies within a distance, by moment."""
    figure, (axes,) = panels(1, 3.6)
    for moment, colour in (("before", GREY), ("after", BLUE)):
        for variant, style in zip(results.variants, ("-", "--"), strict=False):
            shares = results.stacked(variant, ring_columns(moment))  # (seeds, rings)
            label = f"{moment} training, {results.settings(variant).fill} fill"
            mean = shares.mean(axis=0)
            axes.plot(RINGS, shares.T, color=colour, lw=0.5, alpha=0.4, ls=style)
            axes.plot(RINGS, mean, color=colour, lw=2.5, ls=style, label=label)
    axes.set(
        xlabel="distance from the pixel, pixels",
        ylabel="share of the gradient within it",
        xlim=(0, None), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    finish(figure, path, title)


def radius_of_half(results, variant, moment):
    """The radius that holds half of the gradient, pixels, on straight lines between RINGS."""
    radii = []
    for shares in results.stacked(variant, ring_columns(moment)):
        if np.isfinite(shares).all():
            radii.append(np.interp(0.5, [0, *shares], [0, *RINGS]))
    return with_interval(radii, ".1f")


NUMBERS = {f"radius of half of the gradient {moment} training, pixels":
           partial(radius_of_half, moment=moment) for moment in MOMENTS}
NUMBERS |= {f"IoU cut below level {level}": level_column(level) for level in LEVELS}
