"""The layers that the networks are built from, and how their weights start."""

import math

import numpy as np

from common.backend import keras

layers, ops = keras.layers, keras.ops
MaxPooling2D, VarianceScaling = layers.MaxPooling2D, keras.initializers.VarianceScaling
if keras.backend.backend() == "jax":
    from common import on_jax

    MaxPooling2D, VarianceScaling = on_jax.MaxPooling2D, on_jax.VarianceScaling

OUTPUT = 0  # the level of the last convolution, for --gain


@keras.saving.register_keras_serializable("one_image")
class Border(layers.Layer):
    """Add one pixel on each side of a feature map (n, height, width, channels).

    mode: 'mean' is the map's own mean, of each channel, 'reflect' mirrors the map at its outermost
    pixel, 'circular' goes on at the opposite side. Only these --paddings need this layer; a file of
    a network with it opens where this module was imported.
    """

    def __init__(self, mode, **kwargs):
        super().__init__(**kwargs)
        self.mode = mode

    def call(self, x):
        around = [[0, 0], [1, 1], [1, 1], [0, 0]]
        if self.mode == "mean":
            mean = ops.mean(x, axis=(1, 2), keepdims=True)
            return mean + ops.pad(x - mean, around)
        if self.mode == "reflect":
            return ops.pad(x, around, mode="reflect")
        x = ops.concatenate([x[:, -1:], x, x[:, :1]], axis=1)
        return ops.concatenate([x[:, :, -1:], x, x[:, :, :1]], axis=2)

    def compute_output_shape(self, input_shape):
        n, height, width, channels = input_shape
        return n, height and height + 2, width and width + 2, channels

    def get_config(self):
        return {**super().get_config(), "mode": self.mode}


@keras.saving.register_keras_serializable("one_image")
class Coordinates(layers.Layer):
    """Add two planes to feature maps (n, height, width, channels); their mean square is 1.

    kind: 'ramp' rises down the image and across it, 'noise' is fixed, 'flat' is 1 everywhere. All
    three cost the same number of parameters (Liu et al. 2018, arXiv 1807.03247).
    """

    def __init__(self, kind, **kwargs):
        super().__init__(**kwargs)
        self.kind = kind

    def build(self, input_shape):
        _, height, width, _ = input_shape
        if self.kind == "ramp":
            planes = np.meshgrid(ramp(height), ramp(width), indexing="ij")
        elif self.kind == "noise":
            planes = np.random.default_rng(0).standard_normal((2, height, width))
        else:
            planes = np.ones((2, height, width))
        self.planes = np.stack(planes, axis=-1)[np.newaxis].astype("float32")

    def call(self, x):
        planes = ops.cast(ops.convert_to_tensor(self.planes), x.dtype)
        several = ops.broadcast_to(planes, (ops.shape(x)[0], *self.planes.shape[1:]))
        return ops.concatenate([x, several], axis=-1)

    def get_config(self):
        return {**super().get_config(), "kind": self.kind}


def ramp(side):
    """Numbers that rise evenly along a side, with mean 0 and mean square 1."""
    numbers = np.linspace(-1, 1, side)
    return numbers / np.sqrt((numbers**2).mean())


def convolution(x, filters, settings, name, level=1):
    """A 3x3 ReLU convolution, which keeps height and width; level: of the U-Net, for --padding."""
    padding = settings.padding if among(level, settings.padding_levels) else "zero"
    if padding != "zero":
        x = Border(padding, name=f"{name}_border")(x)
    return layers.Conv2D(
        filters, 3, padding="same" if padding == "zero" else "valid", activation="relu",
        kernel_initializer=initializer(settings, level), name=name)(x)


def among(level, levels):
    """Whether a level is one from the first to the last of `levels`."""
    first, last = levels
    return first <= level <= last


def output_convolution(x, settings, logit):
    """The 1x1 convolution that ends a network: logits, (n, height, width, 1)."""
    return layers.Conv2D(
        1, 1, kernel_initializer=initializer(settings, OUTPUT), dtype="float32",
        bias_initializer=keras.initializers.Constant(logit), name="output_convolution")(x)


def initializer(settings, level=1):
    """How the kernels of a level start: as He et al. 2015 (arXiv 1502.01852), the output's by
    Glorot; or as in 2017. --gain multiplies what is drawn.

    Keras 2.0.4 truncated a normal distribution without making up for the variance that is lost.
    """
    gain = settings.gain if among(level, settings.gain_levels) else 1.0
    if settings.initial_weights == "2017":
        return VarianceScaling(2 * 0.87962566103423978**2 * gain**2, "fan_in", "truncated_normal")
    if level == OUTPUT:
        return VarianceScaling(gain**2, "fan_avg", "uniform")
    return VarianceScaling(2 * gain**2, "fan_in", "truncated_normal")


def initial_logit(settings, share):
    """The output's first bias: 0, or what predicts the foreground's share (0..1) everywhere."""
    if settings.output_bias == "zero":
        return 0.0
    share = min(max(share, 0.001), 0.999)  # a mask may be empty, or full
    return math.log(share / (1 - share))


def scaled(filters, settings):
    """How many filters a layer has at the settings' width."""
    return max(1, round(filters * settings.width))
