"""What a trained network does with images of other kinds than the one it was trained on."""

from dataclasses import replace

import numpy as np

from common import metrics
from common.labels import draw_elsewhere
from common.plots import BLUE, ORANGE
from data import circle, draw_mask, random_stream
from study.figures import GREY, finish, interval, panels
from study.measuring import marked, mean_iou, noise, paint
from study.numbers import difference


def drawn(**changes):
    """A function of generator and settings that draws a mask, with some settings changed."""
    return lambda generator, settings: draw_mask(generator, replace(settings, **changes))


def two_shapes(generator, settings):
    """The mask of two shapes that do not overlap."""
    mask = draw_mask(generator, settings)
    return mask | draw_elsewhere(mask, lambda: draw_mask(generator, settings))


def cut_circle(generator, settings):
    """The mask of a circle with its centre on the left or the right border."""
    height, width = settings.size
    low, high = settings.radius
    centre = generator.integers(height), generator.choice((0, width - 1))
    return circle(centre, generator.integers(low, high + 1), settings.size)


def added(greys):
    """A fill by noise of so many grey values, which is added."""
    return lambda generator, image, mask: image + mask * generator.integers(greys, size=mask.shape)


def flat(grey):
    """A fill by one grey value."""
    return lambda generator, image, mask: np.where(mask, grey, image)


# Shapes that a network is tested on, filled like the one it was trained on: functions of generator
# and settings, by the column that holds the IoU.
TEST_SHAPES = {
    "iou on circles, as trained": draw_mask,
    "iou on rectangles": drawn(shape="rectangle"),
    "iou on two circles": two_shapes,
    "iou on circles cut by the border": cut_circle,
    "iou on radius 5 to 9": drawn(radius=(5, 9)),
    "iou on radius 50 to 70": drawn(radius=(50, 70)),
    "iou on canvas of 512 x 512": drawn(size=(512, 512)),
}
# Fills that it is tested on, in the shape that it was trained on: functions of generator, image
# without a shape, and mask.
TEST_FILLS = {
    "iou on a fill of noise": added(80),
    "iou on a fill of noise, half as strong": added(40),
    "iou on a fill of noise, twice as strong": added(160),
    "iou on a fill of the background, 40 brighter": lambda _, image, mask: image + mask * 40,
    "iou on a fill of grey 40": flat(40),
    "iou on a fill of grey 40, mixed half with noise":
        lambda _, image, mask: np.where(mask, (40 + image) // 2, image),
    "iou on a fill of grey 80": flat(80),
    "iou on a fill of grey 0": flat(0),
}
MARKED = "share marked without a shape"
COLUMNS = (*TEST_SHAPES, *TEST_FILLS, MARKED)
NUMBERS = {name: name for name in COLUMNS}


def measure(run, settings, images=10):
    """Mean IoU on each of TEST_SHAPES and TEST_FILLS, and what is marked where no shape is."""
    generator = random_stream(settings.seed, "test")
    row = {}
    for name, draw_shape in TEST_SHAPES.items():
        masks = [draw_shape(generator, settings) for _ in range(images)]
        row[name] = mean_iou(run, [paint(generator, mask, settings) for mask in masks], masks)
    for name, fill in TEST_FILLS.items():
        masks = [draw_mask(generator, settings) for _ in range(images)]
        filled = [fill(generator, noise(generator, settings), mask) for mask in masks]
        row[name] = mean_iou(run, filled, masks)
    row[MARKED] = marked(run, [noise(generator, settings) for _ in range(images)]).mean()
    return row


def draw(results, path, title):
    """IoU on each kind of image, by the fill that the network was trained on."""
    columns = COLUMNS[:-1]
    figure, (axes,) = panels(1, 5.2)
    for variant, colour, shift in zip(
            results.variants, (BLUE, ORANGE), (-0.15, 0.15), strict=False):
        label = f"trained with {results.settings(variant).fill} fill"
        for y, column in enumerate(columns):
            values = results.values(variant, column)
            axes.plot(values, np.full(len(values), y + shift), ".", color=colour, alpha=0.4)
            interval(axes, y + shift, values, colour, None if y else label)
    axes.set(xlim=(-0.02, 1.02), ylim=(len(columns) - 0.4, -0.6), xlabel="IoU",
             yticks=range(len(columns)),
             yticklabels=[name.removeprefix("iou on ") for name in columns])
    axes.axhline(len(TEST_SHAPES) - 0.5, color=GREY, lw=0.8)
    axes.grid(axis="x", alpha=0.3)
    finish(figure, path, title, axes)


def averaged(run, settings):
    """Mean and least IoU on the unseen images, averaged over the flips and turns of each."""
    import model

    X, Y = run.validation
    iou = metrics.iou(Y, metrics.predicted(model.predict(run.network, X, average=True)))
    return {"averaged_iou_mean": iou.mean(), "averaged_iou_min": iou.min()}


AVERAGED = {"averaged over flips and turns": "averaged_iou_mean",
            "what that adds": difference("averaged_iou_mean", "val_iou_mean")}
