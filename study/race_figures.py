"""The figures of the race: who is first, and who wins."""

import itertools
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import LogLocator
from matplotlib.transforms import Bbox

from study.figures import BORDERS, DOTTED, GREY, chance_level, error_bar, finish, panels
from study.race import column, divided, or_never, race_to, racer_name, racers

EDGES = (0.02, 10)  # ratios beyond are drawn there


def draw(results, path, title, goal=0.9):
    """IoU on unseen images over steps to the rule over steps to the memory, faint: single runs.

    Arrows lead from a recipe with zeros beyond the border to the same without a border. Racers of
    which neither is reached are left out; without racers nothing is drawn.
    """
    variants = list(racers(results))
    if not variants:
        return
    figure, (axes,) = panels(1, 4.6)
    race = race_to(results, goal)
    places, points = {}, []  # {settings: (x, y, name)}; what no label may cover
    for variant, ratio, *row in zip(variants, race.ratios(), *race, strict=True):
        if np.isnan(ratio):
            continue
        settings, (memory, rule, scores) = results.settings(variant), row
        colour, label = BORDERS[settings.padding]
        if label in axes.get_legend_handles_labels()[1]:
            label = None
        single = np.clip(divided(rule, memory), *EDGES)
        axes.plot(single, scores, ".", color=colour, alpha=0.25)
        x = np.clip(ratio, *EDGES)
        y, error = error_bar(scores)
        axes.errorbar(
            x, y, yerr=error, color=colour, marker="o", ms=8, capsize=4, zorder=3, label=label)
        name = racer_name(results, variant).removesuffix(", zero padding")
        places[settings] = x, y, name
        (below,), (above,) = error
        for height in np.linspace(y - below, y + above, 12):
            points.append((x, height))
    axes.axvline(1, **DOTTED)
    axes.axhline(
        chance_level(results, variants[0]), **DOTTED,
        label="chance: the training mask on other images")
    low, high = EDGES
    axes.set(
        xlabel=f"steps to the rule / steps to the memory (IoU {goal})\n(at the left edge the "
               "memory never comes, at the right the rule; faint: single runs)",
        xscale="log", xlim=(low / 1.3, 1.3 * high),
        ylabel="IoU on images it never saw, from one image", ylim=(-0.03, 1.03))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    labels = []
    for settings, place in places.items():
        with_border = replace(settings, padding="zero")
        if with_border == settings or with_border not in places:
            labels.append(place)
        else:
            start, end = places[with_border][:2], place[:2]
            arrow = dict(
                arrowstyle="->", color=GREY, shrinkA=6, shrinkB=6,
                connectionstyle="arc3,rad=-0.15")
            axes.annotate("", end, start, arrowprops=arrow)
    figure.canvas.draw()  # now points are where they stay, but for the line that the title takes
    label_each(axes, labels, axes.transData.transform(points))
    finish(figure, path, title)


def label_each(axes, places, points):
    """Write a label beside each of `places`, (x, y, text).

    It lies where no other label and none of `points`, in pixels, is.
    """
    renderer = axes.figure.canvas.get_renderer()
    inside = axes.get_window_extent()
    boxes = [Bbox.from_bounds(x - 8, y - 8, 16, 16) for x, y in points]
    heights = (6, -14, 20, -28, 34, -42, 48, -56, -70, -84, -98)
    for x, y, text in places:
        for height, side in itertools.product(heights, ("left", "right")):
            right = 9 if side == "left" else -9
            label = axes.annotate(
                text, (x, y), xytext=(right, height), textcoords="offset points", ha=side,
                fontsize=9)
            box = label.get_window_extent(renderer)
            whole = inside.contains(box.x0, box.y0) and inside.contains(box.x1, box.y1)
            if whole and not box.count_overlaps(boxes):
                break
            label.remove()
        boxes.append(box)


def draw_strength(results, path, title, goal=0.5):
    """Over the strength of what is added inside: steps to rule and memory, and IoU after both."""
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(8, 6), dpi=100, layout="constrained", sharex=True)
    for padding, (colour, label) in BORDERS.items():
        rows = []
        for variant, (memory, rule) in racers(results).items():
            settings, scores = results.settings(variant), results.values(variant)
            if settings.padding == padding:
                x = np.full(len(scores), settings.strength)
                below.plot(x, scores, ".", color=colour, alpha=0.3)
                # Medians: some runs end with an empty prediction; a mean lies where no run does.
                rows.append([
                    settings.strength,
                    median_steps(results, memory, "train_iou", goal),
                    median_steps(results, rule, "val_iou_mean", goal),
                    np.median(scores),
                    np.median(results.values(rule)),
                ])
        if rows:
            strengths, memory_steps, rule_steps, one, fresh = zip(*rows, strict=True)
            above.plot(strengths, rule_steps, color=colour, marker="o", lw=2.5, label=label)
            above.plot(strengths, memory_steps, color=colour, ls="--", lw=2)
            below.plot(strengths, one, color=colour, marker="o", lw=2.5)
            below.plot(strengths, fresh, color=colour, ls=":", lw=2)
    above.set(ylabel=f"steps to IoU {goal}\n(solid: rule; dashed: memory)", yscale="log")
    below.set(
        xlabel="strength of the noise added inside", xscale="log",
        ylabel="median IoU on unseen images\n(solid: from one image; dotted: 400)",
        ylim=(-0.03, 1.03))
    for axis in (above.xaxis, below.xaxis, above.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
    above.yaxis.set_minor_formatter("")
    above.grid(alpha=0.3)
    below.grid(alpha=0.3)
    finish(figure, path, title, above)


def median_steps(results, variant, curve, goal):
    """The median of the steps at which a curve was first seen at a goal."""
    return np.median(or_never(results.values(variant, column(curve, goal))))
