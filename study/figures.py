"""The figures that several questions share, and what all have in common. A dot is one seed.

Each is a function of a question's `results.Results`, the path and a title, which states in words
what one sees. All are 800 pixels wide, as wide as a page shows them.
"""

import numpy as np

from common.images import write_figure
from common.plots import BLUE, ORANGE, plt
from study.statistics import ENOUGH, bootstrap

PINK = "#CC79A7"
GREY = "#666666"
DOTTED = dict(color=GREY, ls=":", lw=1.5)  # chance, and what else is no measured curve
TRAIN = "its training image"
UNSEEN = "images it never saw"
BORDERS = {
    "zero": (BLUE, "with a border (zeros)"),
    "circular": (ORANGE, "without (circular padding)"),
}
# An overlap with the training mask: the column, and what the legend says.
OVERLAP = ("training_mask_overlap", "the training mask, found there")
ON_NOISE = ("overlap on noise", "the training mask, drawn on mere noise")


def panels(count, height):
    """A figure with so many panels of a height in inches, three or fewer side by side; a list."""
    columns = 2 if count == 4 else min(count, 3)
    rows = -(-count // columns)
    size = 8, height * rows + 0.8
    figure, axes = plt.subplots(
        rows, columns, figsize=size, dpi=100, layout="constrained", squeeze=False)
    for surplus in axes.flat[count:]:
        surplus.remove()
    return figure, list(axes.flat[:count])


def finish(figure, path, title, axes=None):
    """Give a figure its title, a legend below of what `axes` holds, and write it."""
    figure.suptitle(title, fontsize=13)
    if axes:
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=10)
    write_figure(figure, path, colours=256)


def pictures(results, path, title, shown, columns, draw_line, legend):
    """Pictures of seed 0: a row for each of `shown`, {variant: label}, under a word a column.

    draw_line(results, variant, panels) draws one row; legend(axes) says what is drawn. Without rows
    there is no figure.
    """
    variants = [variant for variant in shown if 0 in results.rows.get(variant, {})]
    if not variants:
        return
    side = 8 / len(columns)
    figure, axes = plt.subplots(
        len(variants), len(columns), figsize=(8, (side + 0.15) * len(variants) + 0.9), dpi=100,
        layout="constrained", squeeze=False)
    for line, variant in zip(axes, variants, strict=True):
        draw_line(results, variant, line)
        line[0].set_ylabel(shown[variant], fontsize=11)
    for panel, words in zip(axes[0], columns, strict=True):
        panel.set_title(words, fontsize=11)
    legend(axes[-1, 0])
    finish(figure, path, title, axes[-1, 0])


def chance_level(results, variant):
    """What the training mask scores as the prediction for unseen images, mean IoU."""
    return results.values(variant, "training_mask_iou_mean").mean()


def error_bar(values):
    """The mean of values, one a seed, and how far its 95% interval reaches below and above.

    From fewer than ENOUGH seeds there is no interval.
    """
    mean = np.mean(values)
    low, high = mean, mean
    if len(values) >= ENOUGH:
        low, high = bootstrap(tuple(map(float, values)))
    below = max(mean - low, 0)
    above = max(high - mean, 0)
    return mean, [[below], [above]]


def interval(axes, y, values, colour, label=None):
    """The mean of values, one a seed, with its interval, on a line at height y."""
    mean, error = error_bar(values)
    axes.errorbar(
        mean, y, xerr=error, label=label,
        color=colour, marker="o", ms=7, capsize=4, lw=2, zorder=3)


def lines(axes, x, values, colour, label, thin=0.9, marker="o"):
    """Every seed as a thin line, and the mean as a thick one; values: (seeds, len(x))."""
    mean = np.nanmean(values, axis=0)
    axes.plot(x, values.T, color=colour, lw=thin, alpha=0.5)
    axes.plot(x, mean, color=colour, lw=2.5, marker=marker, label=label)


def dots(results, path, title, overlap=None, lowest=0.0):
    """A line for each variant, a panel for each fill: IoU on unseen images of every seed.

    Chance is what the training mask scores. overlap: OVERLAP or ON_NOISE, marked too.
    lowest: where the axis begins, for scores that differ in the second digit only.
    """
    names = list(dict.fromkeys(map(results.short, results.variants)))
    fills = results.by_fill()
    figure, axes = panels(len(fills), 0.36 * len(names) + 0.9)
    for panel, (fill, variants) in zip(axes, fills.items(), strict=True):
        lines = [names.index(results.short(variant)) for variant in variants]
        for variant, y in zip(variants, lines, strict=True):
            draw_variant(panel, y, results, variant, overlap)
        chances = [chance_level(results, variant) for variant in variants]
        draw_chances(panel, lines, chances, lowest)
        margin = 0.02 * (1 - lowest)
        panel.set(xlabel="IoU", yticks=range(len(names)), yticklabels=[])
        panel.set_xlim(lowest - margin, 1 + margin)
        panel.set_ylim(len(names) - 0.4, -0.95)
        panel.set_title(fill if len(fills) > 1 else "", fontsize=11)
        panel.grid(axis="x", alpha=0.3)
    axes[0].set_yticklabels(names)
    marks = [("|", ORANGE, TRAIN), ("o", BLUE, UNSEEN)]
    if overlap:
        _, label = overlap
        marks.append(("|", PINK, label))
    for marker, colour, label in marks:
        axes[0].plot([], [], marker, color=colour, ms=7, mew=2, label=label)
    finish(figure, path, title, axes[0])


def draw_variant(panel, y, results, variant, overlap):
    """The seeds of one variant on a line at height y, and their mean."""
    trained = results.values(variant, "train_iou")
    unseen = results.values(variant)
    heights = np.full(len(unseen), y)
    panel.plot(trained, heights - 0.2, "|", color=ORANGE, ms=8)
    if overlap:
        column, _ = overlap
        overlaps = results.values(variant, column)
        panel.plot(overlaps, heights - 0.34, "|", color=PINK, ms=8)
    panel.plot(unseen, heights + 0.2, ".", color=BLUE, alpha=0.5)
    interval(panel, y, unseen, BLUE)


def draw_chances(panel, lines, chances, lowest):
    """Chance beside each of the lines, and the word above the first."""
    top = 0.95
    for y, chance in zip(lines, chances, strict=True):
        heights = [y - top, y + 0.5]
        panel.plot([chance, chance], heights, **DOTTED, zorder=0)
        top = 0.5
    if chances[0] > lowest:
        place = dict(xytext=(3, -3), textcoords="offset points")
        panel.annotate(
            "chance", (chances[0], -0.95), **place, va="top", color=GREY, fontsize=9)
