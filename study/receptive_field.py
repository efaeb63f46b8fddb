"""How far around a pixel the network looks, before and after training, and which of its levels it needs."""

import numpy as np

import train
from common import metrics
from common.plots import BLUE
from data import draw_mask, random_stream
from study.figures import GREY, finish, panels
from study.numbers import mean
from study.other_images import paint
from study.results import with_interval

RINGS = (2, 4, 8, 12, 16, 24, 32, 48, 64, 80)  # pixels around the centre
MOMENTS = ("before", "after")  # training
LEVELS = range(1, 6)  # of the U-Net, from full size down


def ring_columns(moment):
    """The columns that hold the share of the gradient within each of RINGS, at one of MOMENTS."""
    return [f"gradient within {radius} {moment} training" for radius in RINGS]


def level_column(level):
    """The column that holds the IoU of a network that is cut below a level."""
    return f"iou cut below level {level}"


def needed_levels(run, settings, images=10):
    """IoU on validation images with the U-Net cut below each level: what comes up from there says nothing any more.

    Each of its channels is held at its mean over all pixels of these images, so that only its pattern is lost.
    """
    import model
    from common.backend import keras

    X, Y = (array[:images] for array in run.validation)
    from_below = keras.Model(run.network.inputs,
                             [run.network.get_layer(f"up_{level}_sample").output for level in LEVELS])
    row = {}
    for level, features in zip(LEVELS, from_below.predict_on_batch(X), strict=True):
        convolution = run.network.get_layer(f"up_{level}_convolution_1")
        kernel, bias = convolution.get_weights()  # (3, 3, channels, filters), (filters,)
        deep, mean = np.arange(kernel.shape[2]) < features.shape[3], features.mean(axis=(0, 1, 2))
        convolution.set_weights([np.where(deep[:, np.newaxis], 0, kernel),
                                 bias + np.einsum("ijcf,c->f", kernel[:, :, deep], mean)])
        row[level_column(level)] = metrics.iou(Y, metrics.predicted(model.predict(run.network, X))).mean()
        convolution.set_weights([kernel, bias])
    return row


def receptive_field(run, settings, images=8):
    """The share of the gradient that lies within each of RINGS of the centre, before and after training.

    The effective receptive field of Luo et al. 2016 (arXiv 1701.04128): the absolute gradient of the logit of the
    central pixel with respect to every pixel of the image, averaged over images whose shape covers that pixel. (On
    plain background a trained network may have no gradient at all: its last ReLUs are all 0 there.)
    """
    generator, masks = random_stream(settings.seed, "test"), []
    while len(masks) < images:
        mask = draw_mask(generator, settings)
        if mask[settings.size[0] // 2, settings.size[1] // 2]:
            masks.append(mask)
    X = np.stack([paint(generator, mask, settings) for mask in masks])[..., np.newaxis].astype("float32")
    untrained = train.compiled(settings, *run.train)
    rows, columns = np.ogrid[: settings.size[0], : settings.size[1]]
    distance = np.hypot(rows - settings.size[0] // 2, columns - settings.size[1] // 2)
    row = {}
    for moment, network in zip(MOMENTS, (untrained, run.network), strict=True):
        field = abs(gradients(network, X)).mean(axis=(0, 3))
        total = field.sum() or np.nan  # a network whose ReLUs are all 0 has no gradient
        row |= {column: field[distance <= radius].sum() / total
                for column, radius in zip(ring_columns(moment), RINGS, strict=True)}
    return row


def gradients(network, X):
    """The gradient of the logit of the central pixel with respect to each pixel, up to a factor, shaped like X.

    On any backend of Keras: the images become the only weights, and one step of plain gradient descent, which starts
    from 0 and goes down the negative logit, moves them by the gradient. The network is not trainable afterwards.
    """
    from common.backend import keras

    class Images(keras.layers.Layer):
        """The images, plus a weight for each of their pixels."""

        def build(self, shape):
            self.offset = self.add_weight(shape=shape, initializer="zeros")

        def call(self, images):
            return images + self.offset

    inputs, images = keras.Input(batch_shape=X.shape), Images(dtype="float32")
    logits = keras.Model(network.inputs, network.layers[-1].input)
    logits.trainable = False
    centre = logits(images(inputs))[:, X.shape[1] // 2, X.shape[2] // 2]
    probe = keras.Model(inputs, centre)
    probe.compile(keras.optimizers.SGD(1.0), lambda _, logit: -logit)
    probe.train_on_batch(X, np.zeros((len(X), 1), "float32"))
    return keras.ops.convert_to_numpy(images.offset)


def draw(results, path, title):
    """How much of the gradient of a pixel's logit lies within a distance, before and after training."""
    figure, (axes,) = panels(1, 3.6)
    for moment, colour in zip(MOMENTS, (GREY, BLUE), strict=True):
        for variant, style in zip(results.variants, ("-", "--"), strict=False):
            values = results.stacked(variant, ring_columns(moment))  # (seeds, radii)
            axes.plot(RINGS, values.T, color=colour, lw=0.5, alpha=0.4, ls=style)
            axes.plot(RINGS, values.mean(axis=0), color=colour, lw=2.5, ls=style,
                      label=f"{moment} training, {results.settings(variant).fill} fill")
    axes.set(xlabel="distance from the pixel, pixels", ylabel="share of the gradient within it", ylim=(0, 1.02),
             xlim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    finish(figure, path, title)


def radius_of_half(moment):
    """The radius that holds half of the gradient, between those measured on a straight line: pixels."""

    def text(results, variant):
        shares = results.stacked(variant, ring_columns(moment))  # (seeds, radii)
        return with_interval([np.interp(0.5, [0, *of], [0, *RINGS]) for of in shares if np.isfinite(of).all()], ".1f")
    return text


NUMBERS = {
    **{f"radius of half of the gradient {moment} training, pixels": radius_of_half(moment) for moment in MOMENTS},
    **{f"IoU cut below level {level}": mean(level_column(level)) for level in LEVELS},
}
