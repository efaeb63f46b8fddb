"""What the questions of the study measure on a trained network, beyond the scores that every run has.

Each measure is a function of a finished `train.Run` and its settings, and returns columns of the CSV: {name: value}.
"""

import dataclasses

import numpy as np

import metrics
from data import circle, draw_elsewhere, draw_mask, fill, random_stream

# Keras is imported where it is used.

PLACES = 7  # a side of the grid of test positions
RINGS = (2, 4, 8, 12, 16, 24, 32, 48, 64, 80)  # pixels around the centre


def nothing(run, settings):
    """No columns of its own."""
    return {}


def history(run, settings):
    """IoU on training and validation images and the memorisation score after each evaluation but the last.

    The last is of all validation images, those before of the few that are watched.
    """
    return {f"{name} after {point['step']}": point[name]
            for point in run.history[:-1] for name in ("train_iou", "val_iou_mean", "memorisation")}


def learned(run, settings):
    """What the network does with other images, how far around a pixel it looks, and which of its levels it needs."""
    return {**test_sets(run, settings), **needed_levels(run, settings), **receptive_field(run, settings)}


# Shapes that a network is tested on, filled like the one it was trained on: functions of generator and settings.
TEST_SHAPES = {
    "circles, as trained": draw_mask,
    "rectangles": lambda generator, settings: draw_mask(generator, dataclasses.replace(settings, shape="rectangle")),
    "two circles": lambda generator, settings: (
        (mask := draw_mask(generator, settings)) | draw_elsewhere(generator, mask, settings)),
    "circles cut by the border": lambda generator, settings: circle(
        (generator.integers(settings.size[0]), generator.choice((0, settings.size[1] - 1))),
        generator.integers(settings.radius[0], settings.radius[1] + 1), settings.size),
    "radius 5 to 9": lambda generator, settings: draw_mask(generator, dataclasses.replace(settings, radius=(5, 9))),
    "radius 50 to 70": lambda generator, settings: draw_mask(
        generator, dataclasses.replace(settings, radius=(50, 70))),
    "canvas of 512 x 512": lambda generator, settings: draw_mask(
        generator, dataclasses.replace(settings, size=(512, 512))),
}
# Fills of a circle, whatever the network was trained on: functions of generator, noise and mask.
TEST_FILLS = {
    "noise": lambda generator, noise, mask: noise + mask * generator.integers(80, size=mask.shape),
    "noise, half as strong": lambda generator, noise, mask: noise + mask * generator.integers(40, size=mask.shape),
    "noise, twice as strong": lambda generator, noise, mask: noise + mask * generator.integers(160, size=mask.shape),
    "the background, 40 brighter": lambda generator, noise, mask: noise + mask * 40,
    "grey 40": lambda generator, noise, mask: np.where(mask, 40, noise),
    "grey 40, mixed half with noise": lambda generator, noise, mask: np.where(mask, (40 + noise) // 2, noise),
    "grey 80": lambda generator, noise, mask: np.where(mask, 80, noise),
    "grey 0": lambda generator, noise, mask: np.where(mask, 0, noise),
}


def test_sets(run, settings, images=10):
    """Mean IoU on each of TEST_SHAPES and TEST_FILLS, and the share of pixels marked in images without a shape."""
    generator = random_stream(settings.seed, "test")
    row = {}
    for name, draw in TEST_SHAPES.items():
        masks = [draw(generator, settings) for _ in range(images)]
        row[f"iou on {name}"] = iou_on(run, [(paint(generator, mask, settings), mask) for mask in masks])
    for name, paint_in in TEST_FILLS.items():
        masks = [draw_mask(generator, settings) for _ in range(images)]
        row[f"iou on a fill of {name}"] = iou_on(
            run, [(paint_in(generator, background(generator, mask, settings), mask), mask) for mask in masks])
    empty = np.zeros(settings.size, bool)
    marked = predictions(run, [background(generator, empty, settings) for _ in range(images)])
    return {**row, "share marked without a shape": marked.mean()}


def background(generator, mask, settings):
    """Noise of the size of a mask, integer (height, width)."""
    return generator.integers(settings.noise, size=mask.shape)


def paint(generator, mask, settings):
    """An image, integer (height, width), with the shape of a mask filled as the settings say."""
    return fill(generator, background(generator, mask, settings), mask, settings)


def predictions(run, images):
    """Predicted foreground, bool (n, height, width, 1), of a list of images (height, width)."""
    import model as network

    X = np.stack(images)[..., np.newaxis].astype("float32")
    return metrics.predicted(network.predict(run.model, X))


def iou_on(run, samples):
    """Mean IoU of the trained network on a list of image and mask, both (height, width)."""
    images, masks = zip(*samples, strict=True)
    return metrics.iou(np.stack(masks)[..., np.newaxis], predictions(run, images)).mean()


def positions(run, settings, images=2):
    """IoU on circles of the smallest radius allowed at PLACES x PLACES positions, and where the training shape was."""
    generator = random_stream(settings.seed, "test")
    radius, (height, width) = settings.radius[0], settings.size
    rows, columns = (np.linspace(radius, side - radius - 1, PLACES).round().astype(int) for side in (height, width))
    of_training = np.argwhere(run.train[1][0, ..., 0]).mean(axis=0)
    row = {"training row": of_training[0], "training column": of_training[1]}
    for place in ((int(r), int(c)) for r in rows for c in columns):
        masks = [circle(place, radius, settings.size)] * images
        row[f"iou at {place[0]} {place[1]}"] = iou_on(
            run, [(paint(generator, mask, settings), mask) for mask in masks])
    return row


def needed_levels(run, settings, images=10):
    """IoU on validation images with the U-Net cut below each level: what comes up from there says nothing any more.

    Each of its channels is held at its mean over all pixels of these images, so that only its pattern is lost.
    """
    import keras

    import model as network

    X, Y = (array[:images] for array in run.validation)
    levels = range(1, len(network.UP) + 1)
    from_below = keras.Model(run.model.inputs, [run.model.get_layer(f"up_{level}_sample").output for level in levels])
    row = {}
    for level, features in zip(levels, from_below.predict_on_batch(X), strict=True):
        convolution = run.model.get_layer(f"up_{level}_convolution_1")
        kernel, bias = convolution.get_weights()  # (3, 3, channels, filters), (filters,)
        deep, mean = np.arange(kernel.shape[2]) < features.shape[3], features.mean(axis=(0, 1, 2))
        convolution.set_weights([np.where(deep[:, np.newaxis], 0, kernel),
                                 bias + np.einsum("ijcf,c->f", kernel[:, :, deep], mean)])
        row[f"iou cut below level {level}"] = metrics.iou(Y, metrics.predicted(network.predict(run.model, X))).mean()
        convolution.set_weights([kernel, bias])
    return row


def receptive_field(run, settings, images=8):
    """The share of the gradient that lies within each of RINGS of the centre, before and after training.

    The effective receptive field of Luo et al. 2016 (arXiv 1701.04128): the absolute gradient of the logit of the
    central pixel with respect to every pixel of the image, averaged over images whose shape covers that pixel. (On
    plain background a trained network may have no gradient at all: its last ReLUs are all 0 there.)
    """
    import recipe

    generator, masks = random_stream(settings.seed, "test"), []
    while len(masks) < images:
        mask = draw_mask(generator, settings)
        if mask[settings.size[0] // 2, settings.size[1] // 2]:
            masks.append(mask)
    X = np.stack([paint(generator, mask, settings) for mask in masks])[..., np.newaxis].astype("float32")
    untrained = recipe.compiled(settings, *run.train)
    rows, columns = np.ogrid[: settings.size[0], : settings.size[1]]
    distance = np.hypot(rows - settings.size[0] // 2, columns - settings.size[1] // 2)
    row = {}
    for moment, model in (("before", untrained), ("after", run.model)):
        field = abs(gradients(model, X)).mean(axis=(0, 3))
        total = field.sum() or np.nan  # a network whose ReLUs are all 0 has no gradient
        row |= {f"gradient within {r} {moment} training": field[distance <= r].sum() / total for r in RINGS}
    return row


def gradients(model, X):
    """The gradient of the logit of the central pixel with respect to each pixel, up to a factor, shaped like X.

    On any backend of Keras: the images become the only weights, and one step of plain gradient descent, which starts
    from 0 and goes down the negative logit, moves them by the gradient. The network is not trainable afterwards.
    """
    import keras

    class Images(keras.layers.Layer):
        """The images, plus a weight for each of their pixels."""

        def build(self, shape):
            self.offset = self.add_weight(shape=shape, initializer="zeros")

        def call(self, images):
            return images + self.offset

    inputs, images = keras.Input(batch_shape=X.shape), Images(dtype="float32")
    logits = keras.Model(model.inputs, model.layers[-1].input)
    logits.trainable = False
    centre = logits(images(inputs))[:, X.shape[1] // 2, X.shape[2] // 2]
    probe = keras.Model(inputs, centre)
    probe.compile(keras.optimizers.SGD(1.0), lambda _, logit: -logit)
    probe.train_on_batch(X, np.zeros((len(X), 1), "float32"))
    return keras.ops.convert_to_numpy(images.offset)
