"""Two circles, of which the larger is to be marked: a task that no window can solve."""

import numpy as np

from common import metrics
from common.labels import draw_two
from common.plots import BLUE, ORANGE
from data import draw_mask, random_stream
from study.figures import GREY, finish, panels
from study.measuring import marked, paint
from study.numbers import count

BOTH, RIGHT = "iou of both circles", "share of images that are decided right"


def measure(run, settings, images=30):
    """What marking both circles scores, and the share of images that are decided right.

    That is where the larger is marked and the smaller is not; marked is a circle more than half
    of which is. To mark both, or none, is right nowhere; to take one blindly in half of the images.
    """
    generator = random_stream(settings.seed, "test")
    pairs = [draw_two(lambda: draw_mask(generator, settings)) for _ in range(images)]
    painted = [paint(generator, larger | smaller, settings) for larger, smaller in pairs]
    predictions = marked(run, painted)
    right, scores = [], []
    for (larger, smaller), prediction in zip(pairs, predictions, strict=True):
        right.append(prediction[larger].mean() > 0.5 > prediction[smaller].mean())
        scores.append(metrics.iou([larger], [larger | smaller]))
    return {BOTH: np.mean(scores), RIGHT: np.mean(right)}


def draw(results, path, title):
    """The share of images decided right over the number of training images, by network."""
    figure, (axes,) = panels(1, 3.8)
    networks = {"unet": (BLUE, "U-Net"), "convolutions": (ORANGE, "convolutions, 25 x 25 pixels")}
    for network, (colour, label) in networks.items():
        means = {}
        for variant in results.variants:
            settings = results.settings(variant)
            if settings.network == network and settings.task == "larger":
                values = results.values(variant, RIGHT)
                means[settings.samples] = values.mean()
                x = np.full(len(values), settings.samples)
                axes.plot(x, values, ".", color=colour, alpha=0.3)
        axes.plot(
            list(means), list(means.values()), color=colour, marker="o", lw=2.5, label=label)
    axes.axhline(0.5, color=GREY, ls=":", label="one of the two, taken blindly")
    axes.set(
        xscale="log", xlabel="training images",
        ylim=(-0.03, 1.03), ylabel="share of unseen images decided right")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.3)
    finish(figure, path, title, axes)


NUMBERS = {
    "both circles marked": BOTH,
    RIGHT: RIGHT,
    "nine of ten decided right": count(RIGHT, 0.9),
}
