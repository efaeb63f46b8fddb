"""Where in the image it segments how well: a grid of circles, and how far they are from the training circle."""

import numpy as np

from data import circle, random_stream
from study.figures import finish, panels
from study.other_images import iou_on, paint
from study.results import with_interval

PLACES = 7  # a side of the grid of test positions
AXES = ("row", "column")


def places(settings):
    """Rows and columns of the grid, pixels: circles of the smallest radius allowed, from border to border."""
    return [tuple(np.linspace(settings.radius[0], side - settings.radius[0] - 1, PLACES).round().astype(int).tolist())
            for side in settings.size]


def columns(settings):
    """The columns of the CSV that hold the IoU at each place, row by row."""
    rows, across = places(settings)
    return [f"iou at {row} {column}" for row in rows for column in across]


def measure(run, settings, images=2):
    """IoU on circles at PLACES x PLACES positions, and where the centre of the training shape was."""
    generator = random_stream(settings.seed, "test")
    rows, across = places(settings)
    grid = [(row, column) for row in rows for column in across]
    of_training = np.argwhere(run.train[1][0, ..., 0]).mean(axis=0)
    scores = {f"training {axis}": at for axis, at in zip(AXES, of_training, strict=True)}
    for name, place in zip(columns(settings), grid, strict=True):
        masks = [circle(place, settings.radius[0], settings.size)] * images
        scores[name] = iou_on(run, [(paint(generator, mask, settings), mask) for mask in masks])
    return scores


def on_grid(results, variant):
    """IoU at each place, (seeds, PLACES, PLACES), and its distance from the training circle, pixels, the same."""
    settings = results.settings(variant)
    iou = results.stacked(variant, columns(settings)).reshape(-1, PLACES, PLACES)
    grid = np.stack(np.meshgrid(*places(settings), indexing="ij"), axis=-1)  # (PLACES, PLACES, 2)
    trained = results.stacked(variant, [f"training {axis}" for axis in AXES])  # (seeds, 2)
    return iou, np.linalg.norm(grid - trained[:, np.newaxis, np.newaxis], axis=-1)


def draw(results, path, title):
    """Mean IoU over the seeds by the place of the test shape, a panel for each variant."""
    figure, axes = panels(len(results.variants), 2.2)
    means = {variant: on_grid(results, variant)[0].mean(axis=0) for variant in results.variants}
    low, high = (limit(list(means.values())) for limit in (np.min, np.max))
    for panel, (variant, mean) in zip(axes, means.items(), strict=True):
        image = panel.imshow(mean, vmin=low, vmax=high, cmap="cividis")
        rows, across = places(results.settings(variant))
        panel.set(title=results.short(variant), xlabel="column of the centre, pixels")
        panel.set_xticks(range(PLACES), across, fontsize=8)
        panel.set_yticks(range(PLACES), rows, fontsize=8)
    axes[0].set_ylabel("row of the centre, pixels")
    figure.colorbar(image, ax=axes, label="mean IoU")
    finish(figure, path, title)


def at_border(results, variant):
    """IoU of circles that touch the border, of the others, and the difference."""
    iou, _ = on_grid(results, variant)
    inner = np.zeros((PLACES, PLACES), bool)
    inner[1:-1, 1:-1] = True
    border, inside = (iou[:, of].mean(axis=1) for of in (~inner, inner))
    return (f"{with_interval(border)} at the border, {with_interval(inside)} inside, difference "
            f"{with_interval(border - inside, '+.4f')}")


def slope(results, variant):
    """What 100 pixels more between test and training circle change, of the circles that do not touch the border."""
    iou, distance = (of[:, 1:-1, 1:-1].reshape(len(of), -1) for of in on_grid(results, variant))
    return with_interval([np.polyfit(far / 100, of, 1)[0] for far, of in zip(distance, iou, strict=True)], "+.4f")


NUMBERS = {
    "IoU of circles that touch the border, and of the others": at_border,
    "change of IoU with 100 pixels more from the training circle": slope,
}
