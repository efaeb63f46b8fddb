"""The network: a U-Net (Ronneberger, Fischer and Brox 2015, arXiv 1505.04597), as of the 2017 experiment.

Grey values go in, probabilities come out. The network itself is plain Keras, and takes images whose sides 32 divides;
`predict` takes any size. Run as a script, it prints the network as a table.
"""

import math

import numpy as np

from common import metrics
from common.backend import keras
from common.command_line import fields_of, parse
from common.errors import run_script
from common.images import exposure, in_channels, matched, near
from common.settings import Settings
from common.tiles import averaged, in_tiles

layers, ops = keras.layers, keras.ops

DOWN = (32, 64, 128, 256, 512)  # filters of each level at width 1, before each pooling
BOTTOM = 512
UP = (256, 128, 64, 32, 16)
DEEP = ("down_3", "down_4", "down_5", "bottom", "up_5", "up_4", "up_3")  # --deep-rate: 40 x 40 pixels and less
FACTOR = 2 ** len(DOWN)  # the pooling halves an image five times, so sides must be multiples of 32
# Images predicted at once and their pixels, at most. A training scores four along the way; more are hardly faster.
BATCH, BATCH_PIXELS = 4, 4 * 160 * 160
# Side of the tiles of a large image, and how far the U-Net sees at most: tiles overlap by so much that no seam remains.
# Both are pixels that FACTOR divides. Larger tiles are faster and need more memory.
TILE, MARGIN = 1024, 224
MIDDLE = 512  # pixels a side, by which it is decided whether an image's exposure is matched


@keras.saving.register_keras_serializable("one_image")
class Border(layers.Layer):
    """Add one pixel on each side of a feature map, (n, height, width, channels), for a 3x3 convolution to see.

    mode: 'mean' is the map's own mean, of each channel, 'reflect' mirrors the map at its outermost pixel, 'circular'
    goes on at the opposite side. Only these --paddings need this layer; a network with it opens beside this file alone.
    """

    def __init__(self, mode, **kwargs):
        super().__init__(**kwargs)
        self.mode = mode

    def call(self, x):
        if self.mode == "mean":
            mean = ops.mean(x, axis=(1, 2), keepdims=True)
            return mean + ops.pad(x - mean, [[0, 0], [1, 1], [1, 1], [0, 0]])
        if self.mode == "reflect":
            return ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="reflect")
        x = ops.concatenate([x[:, -1:], x, x[:, :1]], axis=1)
        return ops.concatenate([x[:, :, -1:], x, x[:, :, :1]], axis=2)

    def compute_output_shape(self, input_shape):
        n, *sides, channels = input_shape
        return (n, *(side and side + 2 for side in sides), channels)

    def get_config(self):
        return {**super().get_config(), "mode": self.mode}


def convolution(x, filters, settings, name, level=1):
    """A 3x3 ReLU convolution at a level, which keeps height and width."""
    low, high = settings.padding_levels
    padding = settings.padding if low <= level <= high else "zero"
    if padding != "zero":
        x = Border(padding, name=f"{name}_border")(x)
    return layers.Conv2D(
        filters, 3, padding="same" if padding == "zero" else "valid", activation="relu",
        kernel_initializer=initializer(settings), name=name,
    )(x)


def double_convolution(x, filters, settings, name, level):
    """Two 3x3 ReLU convolutions at a level."""
    for number in (1, 2):
        x = convolution(x, filters, settings, f"{name}_convolution_{number}", level)
    return x


def build(settings=Settings(), mean=0.0, variance=1.0, share=0.5, size=(None, None)):
    """The network as an uncompiled Keras model: (n, height, width, channels) grey values -> probabilities.

    settings: network, depth, padding, padding_levels, width, initial_weights, precision and output_bias count here,
    and for the dense network the size of the images.
    mean, variance: of the grey values of the training sample; they become the first layer. Numbers, or lists with one
    for each channel, of one's own images the median and the square of the deviation.
    share: of the foreground in the training sample, 0..1, for the bias of the output.
    size: height and width, pixels, rounded up to what `pad` makes of them; only needed to see the sizes within.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(settings.precision)
    try:
        return connect(settings, mean, variance, share, size)
    finally:
        keras.config.set_dtype_policy(before)


def connect(settings, mean, variance, share, size):
    """The layers of `build`. All but the first and the last compute as Keras' dtype policy says."""
    if settings.network == "dense":
        size = settings.size  # a weight for every pixel: no other size fits
    size = tuple(side and side + -side % FACTOR for side in size)
    channels = np.ndim(mean) > 0
    inputs = keras.Input((*size, len(mean) if channels else 1), name="grey_values", dtype="float32")
    x = layers.Normalization(axis=-1 if channels else None, mean=mean, variance=variance, dtype="float32",
                             name="normalisation")(inputs)
    body = {"unet": unet, "unet-without-skips": unet, "convolutions": convolutions, "pixel": pixel, "dense": dense}
    x = body[settings.network](x, settings, initial_logit(settings, share))
    # The sigmoid comes last, on its own: there TensorFlow's cross-entropy finds the logits, and stays exact.
    outputs = layers.Activation("sigmoid", dtype="float32", name="probability")(x)
    return keras.Model(inputs, outputs, name=settings.network.replace("-", "_"))


def initializer(settings, last=False):
    """How kernels start: as He et al. 2015 (arXiv 1502.01852), the last ones by Glorot; or all as Keras 2.0.4."""
    if settings.initial_weights == "he-normal":
        return "glorot_uniform" if last else "he_normal"
    # that truncated a normal distribution without making up for the variance which is lost, as Keras does today
    return keras.initializers.VarianceScaling(2 * 0.87962566103423978**2, "fan_in", "truncated_normal")


def scaled(filters, settings):
    """How many filters a layer has at the settings' width."""
    return max(1, round(filters * settings.width))


def unet(x, settings, logit):
    """Down to a 32nd of the size and up again; what each level saw goes across, unless the network has no skips."""
    across = []
    for level, filters in enumerate(DOWN, start=1):
        x = double_convolution(x, scaled(filters, settings), settings, f"down_{level}", level)
        across.append(x)
        x = layers.MaxPooling2D(2, name=f"down_{level}_pool")(x)
    x = double_convolution(x, scaled(BOTTOM, settings), settings, "bottom", len(DOWN) + 1)
    for level, filters in zip(range(len(UP), 0, -1), UP, strict=True):
        x = layers.UpSampling2D(2, interpolation="nearest", name=f"up_{level}_sample")(x)
        if settings.network == "unet":
            x = layers.Concatenate(name=f"up_{level}_concatenate")([x, across.pop()])
        x = double_convolution(x, scaled(filters, settings), settings, f"up_{level}", level)
    return output(x, settings, logit)


def convolutions(x, settings, logit):
    """Convolutions at full size, without pooling: through the default of twelve a pixel sees 25 x 25 around it."""
    for number in range(1, settings.depth + 1):
        x = convolution(x, scaled(32, settings), settings, f"convolution_{number}")
    return output(x, settings, logit)


def pixel(x, settings, logit):
    """Two 1x1 convolutions: a function of each pixel's own grey value, such as a threshold."""
    for number in (1, 2):
        x = layers.Conv2D(scaled(64, settings), 1, activation="relu", kernel_initializer=initializer(settings),
                          name=f"convolution_{number}")(x)
    return output(x, settings, logit)


def dense(x, settings, logit):
    """Every pixel to 256 units to every pixel: at 160x160 as many parameters as the U-Net, 13.1 million."""
    _, height, width, _ = x.shape
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(scaled(256, settings), activation="relu", kernel_initializer=initializer(settings),
                     name="hidden")(x)
    x = layers.Dense(height * width, kernel_initializer=initializer(settings, last=True), dtype="float32",
                     bias_initializer=keras.initializers.Constant(logit), name="output_dense")(x)
    return layers.Reshape((height, width, 1), dtype="float32", name="image")(x)


def output(x, settings, logit):
    """The 1x1 convolution that ends a convolutional network, in logits."""
    return layers.Conv2D(1, 1, kernel_initializer=initializer(settings, last=True), dtype="float32",
                         bias_initializer=keras.initializers.Constant(logit), name="output_convolution")(x)


def initial_logit(settings, share):
    """Where the output starts: at 0, or at what makes an untrained network predict the foreground's share."""
    if settings.output_bias == "zero":
        return 0.0
    share = min(max(share, 0.001), 0.999)  # a mask may be empty, or full
    return math.log(share / (1 - share))


def pad(images):
    """Reflect images, (n, height, width, channels), at bottom and right until both sides are multiples of `FACTOR`.

    Sides of more than FACTOR / 2 pixels can be padded; a reflection needs that much image.
    """
    height, width = images.shape[1:3]
    return np.pad(images, [(0, 0), (0, -height % FACTOR), (0, -width % FACTOR), (0, 0)], mode="reflect")


def predict(network, X, average=False, batch=BATCH):
    """Probabilities, float32 (n, height, width, 1), of images X, grey values (n, height, width, channels), of any size.

    Large images are predicted in tiles, but for a network that sees a whole image at once. average: the mean over the
    eight flips and turns of each image. batch: images predicted at once, at most.
    """
    if max(X.shape[1:3]) > TILE and local(network):
        return np.stack([in_tiles(lambda part: predict(network, part[np.newaxis], average, batch)[0], image, TILE,
                                  MARGIN, FACTOR) for image in X])
    if average:
        return averaged(lambda turned: predict(network, turned, batch=batch), X)
    images = pad(X)
    batch = min(batch, max(1, BATCH_PIXELS // images[0, ..., 0].size))
    # The network is traced or compiled for each size of a batch, so they are all of one: images fill up the last.
    places = np.arange(-(-len(X) // batch) * batch).reshape(-1, batch) % len(X)
    # Keras' predict sets up a data pipeline first, which takes longer than to segment an image.
    P = np.concatenate([network.predict_on_batch(images[place]) for place in places])
    return P[: len(X), : X.shape[1], : X.shape[2]]


def local(network):
    """Whether what a network makes of a pixel hangs on those around it alone, however large the image."""
    return network.input_shape[1] is None and all(
        layer.mode == "reflect" for layer in network.layers if isinstance(layer, Border))


def predict_image(network, image, average=False, match=False, part=(...,)):
    """The same of one image of any kind, (height, width, channels), in the colours or greys that the network knows.

    match: at the exposure that `fitting` finds; 'far' leaves one that is near as it is, without trying. part: slices
    of rows and columns, the only ones to predict. Returns float32 (height, width, 1).
    """
    image = in_channels(image, network.input_shape[3])
    before = exposure(image)
    after = fitting(network, image, before, match != "far") if match else before
    return in_tiles(lambda tile: predict(network, matched(tile, before, after)[np.newaxis], average, batch=1)[0],
                    image[part], TILE, MARGIN, FACTOR)


def trained_exposure(network):
    """The `exposure` of what a network was trained on, as its first layer holds it: float (channels, 2)."""
    layer = network.get_layer("normalisation")
    mean, variance = (np.ravel(ops.convert_to_numpy(of)) for of in (layer.mean, layer.variance))
    return np.stack([mean, variance**0.5], axis=1)


def fitting(network, image, before, trying=True):
    """The exposure to see an image at: the one that the network was trained on.

    If the one that it has, `before`, is near to that, the one at which the network is surer of its middle; without
    `trying` that which it has.
    """
    trained = trained_exposure(network)
    if not near(before, trained) or np.allclose(before, trained):
        return trained
    if not trying:
        return before
    rows, columns = (slice(start := max(0, (side - MIDDLE) // 2), start + MIDDLE) for side in image.shape[:2])
    part = image[rows, columns]
    return min((trained, before), key=lambda after: metrics.doubt(
        predict(network, matched(part, before, after)[np.newaxis], batch=1)[0]))


def describe(network):
    """The network as lines of text: size, filters and parameters of each level, and the total."""
    rows = {}
    for layer in network.layers:
        if isinstance(layer, layers.Conv2D):
            level = layer.name.split("_convolution")[0].replace("_", " ")
            size = "{} x {}".format(*layer.output.shape[1:3])
            count = rows[level][2] if level in rows else 0
            rows[level] = (size, layer.filters, count + layer.count_params())
    lines = [f"{'level':<8}{'size':>14}{'filters':>10}{'parameters':>14}"]
    lines += [f"{level:<8}{size:>14}{filters:>10,}{count:>14,}" for level, (size, filters, count) in rows.items()]
    return [*lines, f"{'total':<8}{network.count_params():>38,}"]


def main():
    # a radius that fits into every size: no image is drawn here
    settings = Settings(radius=(1, 1), **parse("Print the network as a table.", fields_of("size", "width")))
    print("\n".join(describe(build(settings, size=settings.size))))


if __name__ == "__main__":
    run_script(main)
