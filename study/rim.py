"""How far from the edge of its mask a good network errs, on trained and on unseen images."""

from functools import partial

import cv2
import numpy as np

from common import metrics
from common.plots import BLUE, ORANGE
from study.figures import TRAIN, UNSEEN, finish, panels
from study.statistics import with_interval

# Pixels from the nearest pixel of the other kind; the last is beyond any of 160 x 160.
EDGES = (1, 2, 3, 4, 6, 10, 226)
WHERE = {"trained": TRAIN, "unseen": UNSEEN}


def column(where, distance):
    """The column of the wrong pixels of an image up to so many pixels from the edge of its mask."""
    return f"wrong pixels within {distance} of the edge, {where}"


def measure(run, settings):
    """Wrong pixels an image, by their distance from the edge.

    Of all validation images, and of the first training images, as many at most.
    """
    import model

    row = {}
    for where, (X, Y) in (("trained", run.train), ("unseen", run.validation)):
        count = settings.validation
        X, Y = X[:count], Y[:count]
        predictions = metrics.predicted(model.predict(run.network, X))
        wrong = predictions != (Y > 0)
        distance = np.stack([from_edge(mask > 0) for mask in Y])
        for edge in EDGES:
            row[column(where, edge)] = wrong[distance <= edge].sum() / len(Y)
    return row


def from_edge(mask):
    """How far each pixel of a mask, bool (height, width, 1), is from the other kind, pixels."""
    distances = 0
    for side in (mask.astype("uint8"), (~mask).astype("uint8")):
        distances += cv2.distanceTransform(side, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distances[..., np.newaxis]


def draw(results, path, title):
    """Wrong pixels an image by their distance from the edge of the mask, a panel a variant."""
    figure, axes = panels(len(results.variants), 3.2)
    for panel, variant in zip(axes, results.variants, strict=True):
        for where, colour, shift in (("trained", ORANGE, -0.2), ("unseen", BLUE, 0.2)):
            columns = [column(where, edge) for edge in EDGES]
            within = results.stacked(variant, columns)
            between = np.diff(within, axis=1, prepend=0)  # (seeds, distances)
            x = np.arange(len(EDGES)) + shift
            panel.bar(
                x, between.mean(axis=0), 0.4, yerr=between.std(axis=0),
                color=colour, label=WHERE[where])
        panel.set(
            xlabel="distance from the edge of the mask, up to, pixels", xticks=range(len(EDGES)))
        panel.set_xticklabels([*EDGES[:-1], "more"], fontsize=9)
        panel.set_title(results.short(variant), fontsize=11)
        panel.grid(axis="y", alpha=0.3)
    axes[0].set_ylabel("wrong pixels an image")
    for panel in axes[1:]:
        panel.sharey(axes[0])
    finish(figure, path, title, axes[0])


def wrong_pixels(results, variant, where):
    """Wrong pixels an image, and the share of those of all runs within two pixels of the edge."""
    near = results.values(variant, column(where, 2))
    everywhere = results.values(variant, column(where, EDGES[-1]))
    share = near.sum() / everywhere.sum() if everywhere.any() else 1
    wrong = with_interval(everywhere, ".1f")
    return f"{wrong}, of these {share:.3f} within two pixels of the edge"


NUMBERS = {f"wrong pixels on {label}": partial(wrong_pixels, where=where)
           for where, label in WHERE.items()}
