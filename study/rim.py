"""How far from the edge of the mask the pixels lie that a good network gets wrong, on trained and on unseen images."""

import cv2
import numpy as np

from common import metrics
from common.plots import BLUE, ORANGE
from study.figures import TRAIN, UNSEEN, finish, panels
from study.results import with_interval

EDGES = (1, 2, 3, 4, 6, 10, 226)  # pixels from the nearest pixel of the other kind; the last is beyond any of 160 x 160
WHERE = {"trained": TRAIN, "unseen": UNSEEN}


def column(where, distance):
    """The column that holds how many pixels of an image are wrong at up to so many pixels from the edge of its mask."""
    return f"wrong pixels within {distance} of the edge, {where}"


def measure(run, settings):
    """Wrong pixels an image, by their distance from the edge; the first training images, and all validation images.

    The training images are as many as validation images at most. 1 is a pixel that touches the other side.
    """
    import model

    row = {}
    for where, (X, Y) in (("trained", run.train), ("unseen", run.validation)):
        X, Y = X[: settings.validation], Y[: settings.validation]
        wrong = metrics.predicted(model.predict(run.network, X)) != (Y > 0)
        distance = np.stack([from_edge(mask[..., 0] > 0) for mask in Y])[..., np.newaxis]
        row |= {column(where, most): wrong[distance <= most].sum() / len(Y) for most in EDGES}
    return row


def from_edge(mask):
    """How far each pixel of a mask, bool (height, width), is from the nearest of the other kind, pixels."""
    inside, outside = (cv2.distanceTransform(side.astype("uint8"), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
                       for side in (mask, ~mask))
    return inside + outside


def draw(results, path, title):
    """Wrong pixels an image by their distance from the edge of the mask, a panel for each variant."""
    figure, axes = panels(len(results.variants), 3.2)
    names = [*map(str, EDGES[:-1]), "more"]
    for panel, variant in zip(axes, results.variants, strict=True):
        for (where, label), colour, shift in zip(WHERE.items(), (ORANGE, BLUE), (-0.2, 0.2), strict=True):
            within = results.stacked(variant, [column(where, most) for most in EDGES])  # (seeds, distances)
            values = np.diff(within, axis=1, prepend=0)
            panel.bar(np.arange(len(EDGES)) + shift, values.mean(axis=0), 0.4, color=colour, label=label,
                      yerr=values.std(axis=0))
        panel.set(xlabel="distance from the edge of the mask, up to, pixels", xticks=range(len(EDGES)))
        panel.set_xticklabels(names, fontsize=9)
        panel.set_title(results.short(variant), fontsize=11)
        panel.grid(axis="y", alpha=0.3)
    axes[0].set_ylabel("wrong pixels an image")
    for panel in axes[1:]:
        panel.sharey(axes[0])
    finish(figure, path, title, axes[0])


def wrong(where):
    """Wrong pixels an image, and which share of those of all runs lies within two pixels of the edge."""

    def text(results, variant):
        near, all_of_them = (results.values(variant, column(where, most)) for most in (2, EDGES[-1]))
        share = near.sum() / all_of_them.sum() if all_of_them.any() else 1
        return f"{with_interval(all_of_them, '.1f')}, of these {share:.3f} within two pixels of the edge"
    return text


NUMBERS = {f"wrong pixels on {label}": wrong(where) for where, label in WHERE.items()}
