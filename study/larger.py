"""Two circles, of which the larger is to be marked: a task that no window can solve, over the number of images."""

import numpy as np

from common import metrics
from common.plots import BLUE, ORANGE
from data import draw_two, random_stream
from study.figures import GREY, finish, panels
from study.numbers import count, mean
from study.other_images import paint, predictions

BOTH, RIGHT = "iou of both circles", "share of images that are decided right"


def measure(run, settings, images=30):
    """What marking both circles scores, and in how many images the larger is marked and the smaller is not.

    Marked is a circle more than half of which is. Who marks both, or none, is right nowhere; who takes one of them
    blindly, in half of the images.
    """
    generator = random_stream(settings.seed, "test")
    pairs = [draw_two(generator, settings) for _ in range(images)]
    found = predictions(run, [paint(generator, larger | smaller, settings) for larger, smaller in pairs])[..., 0]
    right = [of[larger].mean() > 0.5 > of[smaller].mean() for of, (larger, smaller) in zip(found, pairs, strict=True)]
    larger, both = (np.stack(masks) for masks in zip(*((larger, larger | smaller) for larger, smaller in pairs),
                                                     strict=True))
    return {BOTH: metrics.iou(larger, both).mean(), RIGHT: np.mean(right)}


def draw(results, path, title):
    """The share of images that are decided right over the number of training images, by network; every dot is a seed.

    The rightmost is a fresh image at every step.
    """
    figure, (axes,) = panels(1, 3.8)
    for network, colour, label in (("unet", BLUE, "U-Net"), ("convolutions", ORANGE, "convolutions, 25 x 25 pixels")):
        of = {results.settings(variant).samples: results.values(variant, RIGHT) for variant in results.variants
              if (results.settings(variant).network, results.settings(variant).task) == (network, "larger")}
        for samples, values in of.items():
            axes.plot(np.full(len(values), samples), values, ".", color=colour, alpha=0.3)
        axes.plot(list(of), [values.mean() for values in of.values()], color=colour, marker="o", lw=2.5, label=label)
    axes.axhline(0.5, color=GREY, ls=":", label="one of the two, taken blindly")
    axes.set(xscale="log", ylim=(-0.03, 1.03), xlabel="training images", ylabel="share of unseen images decided right")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.3)
    finish(figure, path, title, axes)


NUMBERS = {"both circles marked": mean(BOTH), RIGHT: mean(RIGHT), "nine of ten decided right": count(RIGHT, 0.9)}
