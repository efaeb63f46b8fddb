"""What a trained network does with images of other kinds than the one it was trained on."""

import dataclasses

import numpy as np

from common import metrics
from common.plots import BLUE, ORANGE
from data import circle, draw_elsewhere, draw_mask, fill, random_stream
from study.figures import GREY, finish, interval, panels
from study.numbers import mean


def drawn(**changes):
    """A function of generator and settings that draws the mask of a shape, but for these changes of the settings."""
    return lambda generator, settings: draw_mask(generator, dataclasses.replace(settings, **changes))


# Shapes that a network is tested on, filled like the one it was trained on: functions of generator and settings, by the
# column that holds the IoU.
TEST_SHAPES = {
    "iou on circles, as trained": draw_mask,
    "iou on rectangles": drawn(shape="rectangle"),
    "iou on two circles": lambda generator, settings: (
        (mask := draw_mask(generator, settings)) | draw_elsewhere(generator, mask, settings)),
    "iou on circles cut by the border": lambda generator, settings: circle(
        (generator.integers(settings.size[0]), generator.choice((0, settings.size[1] - 1))),
        generator.integers(settings.radius[0], settings.radius[1] + 1), settings.size),
    "iou on radius 5 to 9": drawn(radius=(5, 9)),
    "iou on radius 50 to 70": drawn(radius=(50, 70)),
    "iou on canvas of 512 x 512": drawn(size=(512, 512)),
}
# Fills of a circle, whatever the network was trained on: functions of generator, noise and mask, likewise.
TEST_FILLS = {
    "iou on a fill of noise": lambda generator, noise, mask: noise + mask * generator.integers(80, size=mask.shape),
    "iou on a fill of noise, half as strong": lambda generator, noise, mask: (
        noise + mask * generator.integers(40, size=mask.shape)),
    "iou on a fill of noise, twice as strong": lambda generator, noise, mask: (
        noise + mask * generator.integers(160, size=mask.shape)),
    "iou on a fill of the background, 40 brighter": lambda generator, noise, mask: noise + mask * 40,
    "iou on a fill of grey 40": lambda generator, noise, mask: np.where(mask, 40, noise),
    "iou on a fill of grey 40, mixed half with noise": lambda generator, noise, mask: (
        np.where(mask, (40 + noise) // 2, noise)),
    "iou on a fill of grey 80": lambda generator, noise, mask: np.where(mask, 80, noise),
    "iou on a fill of grey 0": lambda generator, noise, mask: np.where(mask, 0, noise),
}
MARKED = "share marked without a shape"


def plain_noise(generator, settings):
    """An image without a shape, integer (height, width)."""
    return generator.integers(settings.noise, size=settings.size)


def measure(run, settings, images=10):
    """Mean IoU on each of TEST_SHAPES and TEST_FILLS, and the share of pixels marked in images without a shape."""
    generator = random_stream(settings.seed, "test")
    row = {}
    for name, draw in TEST_SHAPES.items():
        masks = [draw(generator, settings) for _ in range(images)]
        row[name] = iou_on(run, [(paint(generator, mask, settings), mask) for mask in masks])
    for name, paint_in in TEST_FILLS.items():
        masks = [draw_mask(generator, settings) for _ in range(images)]
        row[name] = iou_on(run, [(paint_in(generator, plain_noise(generator, settings), mask), mask) for mask in masks])
    marked = predictions(run, [plain_noise(generator, settings) for _ in range(images)])
    return {**row, MARKED: marked.mean()}


def paint(generator, mask, settings):
    """An image, integer (height, width), with the shape of a mask filled as the settings say."""
    return fill(generator, generator.integers(settings.noise, size=mask.shape), mask, settings)


def predictions(run, images):
    """Predicted foreground, bool (n, height, width, 1), of a list of images (height, width)."""
    import model  # Keras starts slowly: a list of the questions does not need it

    X = np.stack(images)[..., np.newaxis].astype("float32")
    return metrics.predicted(model.predict(run.network, X))


def iou_on(run, samples):
    """Mean IoU of the trained network on a list of image and mask, both (height, width)."""
    images, masks = zip(*samples, strict=True)
    return metrics.iou(np.stack(masks)[..., np.newaxis], predictions(run, images)).mean()


def draw(results, path, title):
    """IoU on each kind of image, by the fill that the network was trained on."""
    columns = [*TEST_SHAPES, *TEST_FILLS]
    figure, (axes,) = panels(1, 5.2)
    for variant, colour, shift in zip(results.variants, (BLUE, ORANGE), (-0.15, 0.15), strict=False):
        for y, column in enumerate(columns):
            values = results.values(variant, column)
            axes.plot(values, np.full(len(values), y + shift), ".", color=colour, alpha=0.4)
            interval(axes, y + shift, values, colour,
                     label=f"trained with {results.settings(variant).fill} fill" if y == 0 else None)
    axes.set(xlim=(-0.02, 1.02), ylim=(len(columns) - 0.4, -0.6), xlabel="IoU", yticks=range(len(columns)),
             yticklabels=[name.removeprefix("iou on ") for name in columns])
    axes.axhline(len(TEST_SHAPES) - 0.5, color=GREY, lw=0.8)
    axes.grid(axis="x", alpha=0.3)
    finish(figure, path, title, axes)


NUMBERS = {name: mean(name) for name in (*TEST_SHAPES, *TEST_FILLS, MARKED)}
