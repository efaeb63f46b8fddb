"""The networks that the U-Net is compared with. Each turns feature maps x into logits."""

from common.backend import keras
from common.layers import OUTPUT, convolution, initializer, layers, output_convolution, scaled


def convolutions(x, settings, logit):
    """Convolutions at full size, without pooling: through twelve a pixel sees 25 x 25 around it."""
    for number in range(1, settings.depth + 1):
        x = convolution(x, scaled(32, settings), settings, f"convolution_{number}")
    return output_convolution(x, settings, logit)


def pixel(x, settings, logit):
    """Two 1x1 convolutions: a function of each pixel's own grey value, such as a threshold."""
    for number in (1, 2):
        x = layers.Conv2D(
            scaled(64, settings), 1, activation="relu", kernel_initializer=initializer(settings),
            name=f"convolution_{number}")(x)
    return output_convolution(x, settings, logit)


def dense(x, settings, logit):
    """Every pixel to 256 units to every pixel: at 160 x 160 as many parameters as the U-Net."""
    _, height, width, _ = x.shape
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(
        scaled(256, settings), activation="relu", kernel_initializer=initializer(settings),
        name="hidden")(x)
    x = layers.Dense(
        height * width, kernel_initializer=initializer(settings, OUTPUT), dtype="float32",
        bias_initializer=keras.initializers.Constant(logit), name="output_dense")(x)
    return layers.Reshape((height, width, 1), dtype="float32", name="image")(x)
