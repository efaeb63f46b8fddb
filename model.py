"""The network: a U-Net (Ronneberger, Fischer and Brox 2015, arXiv 1505.04597), as in 2017.

Grey values go in, probabilities come out. The network itself is plain Keras, and takes images whose
sides 32 divides; `predict` takes any size. Run as a script, it prints the network as a table.
"""

import numpy as np

from common.backend import keras
from common.command_line import fields_of, parse
from common.compared_networks import convolutions, dense, pixel
from common.errors import run_script
from common.layers import Border, Coordinates, MaxPooling2D, convolution, initial_logit
from common.layers import layers, output_convolution, scaled
from common.settings import Settings
from common.tiles import averaged, in_tiles

DOWN = (32, 64, 128, 256, 512)  # filters of each level at width 1, before each pooling
BOTTOM = 512
UP = (256, 128, 64, 32, 16)
FACTOR = 2 ** len(DOWN)  # the pooling halves an image five times: sides are multiples of 32
# Images predicted at once, and their pixels, at most; more are hardly faster.
BATCH, BATCH_PIXELS = 4, 4 * 160 * 160
# Side of the tiles of a large image, and how far the U-Net sees: tiles overlap by so much that no
# seam remains. Both are pixels that FACTOR divides. Larger tiles need more memory.
TILE, MARGIN = 1024, 224


def unet(x, settings, logit):
    """Down to a 32nd of the size and up again; what each level saw goes across (the skips).

    x: feature maps (n, height, width, channels); logit: the first bias of the output.
    """
    across = []
    for level, filters in enumerate(DOWN, start=1):
        x = double_convolution(x, filters, settings, f"down_{level}", level)
        across.append(x)
        x = MaxPooling2D(2, name=f"down_{level}_pool")(x)

    x = double_convolution(x, BOTTOM, settings, "bottom", 6)  # (n, 5, 5, 512) for 160 x 160

    for level, filters in zip((5, 4, 3, 2, 1), UP, strict=True):
        x = layers.UpSampling2D(2, interpolation="nearest", name=f"up_{level}_sample")(x)
        if settings.network == "unet":
            x = layers.Concatenate(name=f"up_{level}_concatenate")([x, across.pop()])
        x = double_convolution(x, filters, settings, f"up_{level}", level)

    return output_convolution(x, settings, logit)


def double_convolution(x, filters, settings, name, level):
    """Two 3x3 ReLU convolutions at a level, 1 at full size; filters: at width 1."""
    filters = scaled(filters, settings)
    for number in (1, 2):
        x = convolution(x, filters, settings, f"{name}_convolution_{number}", level)
    return x


BODIES = {
    "unet": unet,
    "unet-without-skips": unet,
    "convolutions": convolutions,
    "pixel": pixel,
    "dense": dense,
}


def build(
        settings=Settings(), mean=0.0, variance=1.0, share=0.5, size=(None, None)):
    """The untrained network as a Keras model: (n, height, width, channels) -> probabilities.

    Its weights follow from the settings' seed.
    mean, variance: of the grey values of the training sample; they become the first layer. Numbers
    for grey images, lists with one for each channel for others.
    share: of the foreground in the training sample, 0..1, for the first bias of the output.
    size: height and width, pixels, rounded up to what `pad` makes of them; only needed to see the
    sizes within.
    """
    keras.utils.set_random_seed(settings.seed)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(settings.precision)  # all but the first and the last layer
    try:
        return connect(settings, mean, variance, share, size)
    finally:
        keras.config.set_dtype_policy(policy)


def connect(settings, mean, variance, share, size):
    """The layers of `build`, which documents the arguments, as a Keras model."""
    if settings.network == "dense" or settings.coordinates != "none":
        size = settings.size  # a weight for every pixel, or planes: no other size fits
    height, width = (side and side + -side % FACTOR for side in size)  # None stays None
    axis, channels = None, 1
    if np.ndim(mean) > 0:
        axis, channels = -1, len(mean)
    inputs = keras.Input((height, width, channels), name="grey_values", dtype="float32")
    x = layers.Normalization(
        axis, mean=mean, variance=variance, dtype="float32", name="normalisation")(inputs)
    if settings.coordinates != "none":
        x = Coordinates(settings.coordinates, name="coordinates")(x)
    body = BODIES[settings.network]
    logits = body(x, settings, initial_logit(settings, share))
    # The sigmoid comes last, by itself: there TensorFlow's cross-entropy finds the logits.
    outputs = layers.Activation("sigmoid", dtype="float32", name="probability")(logits)
    return keras.Model(inputs, outputs, name=settings.network.replace("-", "_"))


def pad(images):
    """Reflect images, (n, height, width, channels), at bottom and right up to multiples of FACTOR.

    Sides of more than FACTOR / 2 pixels can be padded; a reflection needs that much image.
    """
    height, width = images.shape[1:3]
    rows, columns = -height % FACTOR, -width % FACTOR
    return np.pad(images, [(0, 0), (0, rows), (0, columns), (0, 0)], mode="reflect")


def predict(network, X, average=False, batch=BATCH):
    """Probabilities, float32 (n, height, width, 1), of images X of any size, grey values.

    Large images are predicted in tiles, but for a network that sees a whole image at once.
    average: the mean over the eight flips and turns of each image. batch: images at once, at most.
    """
    if max(X.shape[1:3]) > TILE and is_local(network):
        def predict_tile(tile):
            (P,) = predict(network, tile[np.newaxis], average, batch)
            return P

        P = [in_tiles(predict_tile, image, TILE, MARGIN, FACTOR) for image in X]
        return np.stack(P)
    if average:
        return averaged(lambda turned: predict(network, turned, batch=batch), X)
    images = pad(X)
    pixels = images.shape[1] * images.shape[2]
    batch = min(batch, max(1, BATCH_PIXELS // pixels))
    P = []
    for start in range(0, len(X), batch):
        # A network is traced for each size of a batch: the last is filled up with the first images.
        places = np.arange(start, start + batch) % len(X)
        # Keras' predict sets up a data pipeline, which takes longer than to segment an image.
        P.append(network.predict_on_batch(images[places]))
    n, height, width, _ = X.shape
    return np.concatenate(P)[:n, :height, :width]


def is_local(network):
    """Whether what a network makes of a pixel depends on its surroundings alone.

    So it does with zeros beyond the border, which reach less far in than MARGIN.
    """
    if network.input_shape[1] is not None:  # dense: it takes one size
        return False
    borders = [layer for layer in network.layers if isinstance(layer, Border)]
    return all(border.mode == "reflect" for border in borders)


def describe(network):
    """The network as lines of text: size, filters and parameters of each level, and the total."""
    rows = {}
    for layer in network.layers:
        if not isinstance(layer, layers.Conv2D):
            continue
        level, _, _ = layer.name.partition("_convolution")
        _, height, width, filters = layer.output.shape
        parameters = layer.count_params()
        if level in rows:
            parameters += rows[level][2]
        rows[level] = (f"{height} x {width}", filters, parameters)
    lines = [f"{'level':<8}{'size':>14}{'filters':>10}{'parameters':>14}"]
    for level, (size, filters, parameters) in rows.items():
        level = level.replace("_", " ")
        lines.append(f"{level:<8}{size:>14}{filters:>10,}{parameters:>14,}")
    return [*lines, f"{'total':<8}{network.count_params():>38,}"]


def main():
    given = parse("Print the network as a table.", fields_of("size", "width"))
    # A radius that fits into every size: no image is drawn here.
    settings = Settings(radius=(1, 1), **given)
    network = build(settings, size=settings.size)
    print("\n".join(describe(network)))


if __name__ == "__main__":
    run_script(main)
