"""The figures that several questions share, and what all have in common. Every dot is one training seed.

Each is a function of a question's `results.Results`, the path and a title, which states in words what one sees. All
are 800 pixels wide, as wide as a page shows them.
"""

import itertools

import matplotlib
import numpy as np

matplotlib.use("Agg")  # no display is needed
import matplotlib.pyplot as plt
from matplotlib.transforms import Bbox

from common.images import write_figure
from common.plots import BLUE, ORANGE
from study.results import ENOUGH, bootstrap

PINK, GREY = "#CC79A7", "#666666"
TRAIN, UNSEEN, OVERLAP = "its training image", "images it never saw", "the training mask, found there"


def panels(count, height):
    """A figure with so many panels, three or fewer side by side, each `height` inches high; a list of them."""
    columns = min(count, 2 if count == 4 else 3)
    rows = -(-count // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(8, height * rows + 0.8), dpi=100, layout="constrained",
                                squeeze=False)
    for surplus in axes.flat[count:]:
        surplus.remove()
    return figure, list(axes.flat[:count])


def finish(figure, path, title, axes=None):
    """Give a figure its title, a legend below of what `axes` holds, and write it."""
    figure.suptitle(title, fontsize=13)
    if axes:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=10)
    write_figure(figure, path, colours=256)


def interval(axes, y, values, colour, **kwargs):
    """The mean of values, one a seed, on a line at height y; from ENOUGH seeds on with its 95% interval."""
    mean = np.mean(values)
    low, high = bootstrap(tuple(map(float, values))) if len(values) >= ENOUGH else (mean, mean)
    axes.errorbar(mean, y, xerr=[[max(mean - low, 0)], [max(high - mean, 0)]], color=colour, marker="o", ms=7,
                  capsize=4, lw=2, zorder=3, **kwargs)


def dots(results, path, title, overlap="", lowest=0.0, overlap_label=OVERLAP):
    """A line for each variant, a panel for each fill: IoU on unseen images of every seed, their mean and interval.

    Chance is what the training mask scores. overlap: the column of an overlap with that mask, marked too and called
    overlap_label.
    lowest: where the axis begins, for scores that differ in the second digit only.
    """
    names = list(dict.fromkeys(results.short(variant) for variant in results.variants))
    figure, axes = panels(len(results.fills), 0.36 * len(names) + 0.9)
    for panel, (fill, variants) in zip(axes, results.fills.items(), strict=True):
        for variant in variants:
            y, unseen = names.index(results.short(variant)), results.values(variant)
            marks = ("train_iou", ORANGE, 0.2), (overlap, PINK, 0.34)
            for column, colour, shift in marks[: 1 + bool(overlap)]:
                of = results.values(variant, column)
                panel.plot(of, np.full(len(of), y - shift), "|", color=colour, ms=8)
            panel.plot(unseen, np.full(len(unseen), y + 0.2), ".", color=BLUE, alpha=0.5)
            interval(panel, y, unseen, BLUE)
            chance = results.values(variant, "training_mask_iou_mean").mean()
            panel.plot([chance, chance], [y - (0.95 if variant == variants[0] else 0.5), y + 0.5], color=GREY, ls=":",
                       lw=1.5, zorder=0)
            if variant == variants[0] and chance > lowest:
                panel.annotate("chance", (chance, -0.95), xytext=(3, -3), textcoords="offset points", va="top",
                               color=GREY, fontsize=9)
        margin = 0.02 * (1 - lowest)
        panel.set(xlim=(lowest - margin, 1 + margin), ylim=(len(names) - 0.4, -0.95), xlabel="IoU",
                  yticks=range(len(names)), yticklabels=names if panel is axes[0] else [])
        panel.set_title(fill if len(axes) > 1 else "", fontsize=11)
        panel.grid(axis="x", alpha=0.3)
    marks = ("|", ORANGE, TRAIN), ("o", BLUE, UNSEEN), ("|", PINK, overlap_label)
    for marker, colour, label in marks[: 2 + bool(overlap)]:
        axes[0].plot([], [], marker, color=colour, ms=7, mew=2, label=label)
    finish(figure, path, title, axes[0])


def label_each(axes, places, points):
    """Write a label beside each of `places`, (x, y, text), where no other label and none of `points`, in pixels, is."""
    figure, inside = axes.figure, axes.get_window_extent()
    taken = [Bbox.from_bounds(x - 8, y - 8, 16, 16) for x, y in points]
    for x, y, text in places:
        for down, side in itertools.product((6, -14, 20, -28, 34, -42, 48, -56, -70, -84, -98), ("left", "right")):
            label = axes.annotate(text, (x, y), xytext=(9 if side == "left" else -9, down), ha=side,
                                  textcoords="offset points", fontsize=9)
            box = label.get_window_extent(figure.canvas.get_renderer())
            if not any(box.overlaps(other) for other in taken) and inside.contains(box.x0, box.y0) and inside.contains(
                    box.x1, box.y1):
                break
            label.remove()
        taken.append(box)
