"""The layers that the networks are built from, and how their weights start."""

import math

from common.backend import keras

layers, ops = keras.layers, keras.ops


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


def convolution(x, filters, settings, name, level=1):
    """A 3x3 ReLU convolution, which keeps height and width; level: of the U-Net, for --padding."""
    first, last = settings.padding_levels
    padding = settings.padding if first <= level <= last else "zero"
    if padding != "zero":
        x = Border(padding, name=f"{name}_border")(x)
    return layers.Conv2D(
        filters, 3, padding="same" if padding == "zero" else "valid", activation="relu",
        kernel_initializer=initializer(settings), name=name)(x)


def output_convolution(x, settings, logit):
    """The 1x1 convolution that ends a network: logits, (n, height, width, 1)."""
    return layers.Conv2D(
        1, 1, kernel_initializer=initializer(settings, last=True), dtype="float32",
        bias_initializer=keras.initializers.Constant(logit), name="output_convolution")(x)


def initializer(settings, last=False):
    """How kernels start: as He et al. 2015 (arXiv 1502.01852), the last by Glorot; or as in 2017.

    Keras 2.0.4 truncated a normal distribution without making up for the variance that is lost.
    """
    if settings.initial_weights == "he-normal":
        return "glorot_uniform" if last else "he_normal"
    variance = 2 * 0.87962566103423978**2
    return keras.initializers.VarianceScaling(variance, "fan_in", "truncated_normal")


def initial_logit(settings, share):
    """The output's first bias: 0, or what predicts the foreground's share (0..1) everywhere."""
    if settings.output_bias == "zero":
        return 0.0
    share = min(max(share, 0.001), 0.999)  # a mask may be empty, or full
    return math.log(share / (1 - share))


def scaled(filters, settings):
    """How many filters a layer has at the settings' width."""
    return max(1, round(filters * settings.width))
