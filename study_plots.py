"""The figures of the study. Each is drawn from a question and its `results.Results`; every dot is one training seed."""

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import metrics
from plots import BLUE, ORANGE
from results import ENOUGH, NULLS

PINK, GREY = "#CC79A7", "#666666"
TRAIN, UNSEEN, MEMORISED = "training data", "images it never saw", "the training mask, found in unseen images"


def save(figure, path):
    """Write a figure in 256 colours, a third of the bytes, and forget it."""
    figure.savefig(path, dpi=110)
    plt.close(figure)
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize()
    few.save(path, optimize=True)


def panels(count, width, height):
    """A figure with so many panels, three or fewer side by side, width and height of each in inches; a list of them."""
    columns = count if count <= 3 else 2
    rows = -(-count // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(width * columns, height * rows), layout="constrained",
                                squeeze=False)
    return figure, list(axes.flat)


def interval(axes, where, values, colour, horizontal=False, **kwargs):
    """The mean of values, one a seed, at `where`; from ENOUGH seeds on with its 95% interval."""
    mean, low, high = metrics.mean_interval(values) if len(values) >= ENOUGH else [np.mean(values)] * 3
    span = [[mean - low], [high - mean]]
    place = (mean, where) if horizontal else (where, mean)
    axes.errorbar(*place, **{"xerr" if horizontal else "yerr": span}, color=colour, marker="o", ms=7, capsize=4,
                  lw=2, zorder=3, **kwargs)


def points(question, results, path):
    """A line for each variant, a panel for each fill: IoU on unseen images of every seed, their mean and interval."""
    names = list(dict.fromkeys(name.removesuffix(f", {fill}") for fill, of in results.fills.items() for name in of))
    width, columns = (5.6, 3) if len(results.fills) > 1 else (7.6, 2)  # room for the legend
    figure, axes = panels(len(results.fills), width, 1.8 + 0.45 * len(names))
    for panel, (fill, variants) in zip(axes, results.fills.items(), strict=True):
        for variant in variants:
            y, first = names.index(variant.removesuffix(f", {fill}")), variant == variants[0]
            train, unseen = (results.values(variant, name) for name in ("train_iou", "val_iou_mean"))
            panel.plot(train, np.full(len(train), y - 0.22), "|", color=ORANGE, ms=9, label=TRAIN if first else None)
            if "memorisation" in question.shown.values():
                panel.plot(of := results.values(variant, "memorisation"), np.full(len(of), y - 0.34), "|", color=PINK,
                           ms=9, label=MEMORISED if first else None)
            panel.plot(unseen, np.full(len(unseen), y + 0.22), ".", color=BLUE, alpha=0.5,
                       label=f"{UNSEEN}: each seed" if first else None)
            interval(panel, y, unseen, BLUE, horizontal=True, label="their mean, 95% interval" if first else None)
        null_lines(panel, results, variants, panel.axvline, lowest=0)
        panel.set(xlim=(-0.02, 1.02), ylim=(len(names) - 0.4, -0.6), xlabel="IoU", title=fill, yticks=range(len(names)),
                  yticklabels=names if panel is axes[0] else [])
        panel.grid(axis="x", alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=columns, fontsize=9)
    save(figure, path)


def null_lines(panel, results, variants, line, lowest):
    """What the nulls score on the same images, if no less than `lowest`; without all background, which is 0."""
    for null, style in (("blur_otsu", "--"), ("training_mask", ":"), ("histogram", "-.")):
        mean = np.mean([results.values(variant, f"{null}_iou_mean").mean() for variant in variants])
        if mean >= lowest:  # not so for nan: older rows do not hold every null
            line(mean, color=GREY, ls=style, lw=1.2, zorder=0, label=f"{NULLS[null]}, no network")


def lines(question, results, path):
    """IoU on training and unseen images over a quantity, on a logarithmic axis."""
    figure, axes = panels(len(results.fills), 6.8, 4.8)
    for panel, (fill, variants) in zip(axes, results.fills.items(), strict=True):
        places = [results.place(variant, question.x) for variant in variants]
        lowest = 1
        for name, colour, label in (("train_iou", ORANGE, TRAIN), ("val_iou_mean", BLUE, UNSEEN)):
            values = [results.values(variant, name) for variant in variants]
            lowest = min(lowest, *map(np.min, values))
            panel.plot(places, [of.mean() for of in values], color=colour, lw=1.5)
            for place, of in zip(places, values, strict=True):
                panel.plot(np.full(len(of), place), of, ".", color=colour, alpha=0.35)
                interval(panel, place, of, colour, label=f"{label}: mean, 95% interval" if place == places[0] else None)
        null_lines(panel, results, variants, panel.axhline, lowest)
        margin = 0.03 * (1 - lowest)  # the axis begins where the scores do, which may differ in the second digit only
        panel.set(xscale="log", ylim=(lowest - margin, 1 + margin), ylabel="IoU", title=fill,
                  xlabel=question.x.replace("_", " ") + " (logarithmic)")
        panel.set_xticks(places, [f"{place:,.0f}" for place in places], rotation=30, ha="right")
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    save(figure, path)


def histories(question, results, path):
    """IoU over the steps: every seed thin, the mean thick."""
    figure, axes = panels(len(results.variants), 4.6, 3.6)
    for panel, variant in zip(axes, results.variants, strict=True):
        watched = f"{UNSEEN} ({question.settings(variant).watch} of each seed)"
        for name, colour, label in (("train_iou", ORANGE, TRAIN), ("val_iou_mean", BLUE, watched),
                                    ("memorisation", PINK, MEMORISED)):
            steps, values = results.history(variant, name)  # (points,), (seeds, points)
            panel.plot(steps, values.T, color=colour, lw=0.6, alpha=0.5)
            panel.plot(steps, values.mean(axis=0), color=colour, lw=2.5, label=label)
        panel.set(xscale="log", xlim=(1, None), ylim=(-0.02, 1.02), xlabel="step (logarithmic)")
        panel.set_title(variant, fontsize=10)
        panel.xaxis.set_major_formatter("{x:g}")
        panel.grid(alpha=0.3)
        panel.set_ylabel("IoU")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3 if len(axes) > 1 else 1)
    save(figure, path)


def heat_maps(question, results, path):
    """IoU by the place of the test shape, and over its distance from where the training shape was."""
    figure, axes = plt.subplots(2, len(results.variants), figsize=(4.2 * len(results.variants), 7.6),
                                layout="constrained", squeeze=False)
    columns = [name for name in results.columns if name.startswith("iou at ")]
    places = np.array([name.split()[2:] for name in columns], int)  # (places, 2)
    ticks = sorted(set(places[:, 0]))
    every = {variant: np.stack([results.values(variant, name) for name in columns], axis=1)  # (seeds, places)
             for variant in results.variants}
    means = np.stack([iou.mean(axis=0) for iou in every.values()])
    low, high = np.floor(means.min() * 100) / 100, np.ceil(means.max() * 100) / 100  # or all would have one colour
    for (above, below), (variant, iou) in zip(axes.T, every.items(), strict=True):
        image = above.imshow(iou.mean(axis=0).reshape(len(ticks), -1), vmin=low, vmax=high, cmap="cividis")
        for number, mean in enumerate(iou.mean(axis=0)):
            row, column = divmod(number, len(ticks))
            above.text(column, row, f"{mean:.3f}".lstrip("0"), ha="center", va="center", fontsize=8,
                       color="black" if mean > (low + high) / 2 else "white")
        above.set(title=f"{variant}\nmean over {len(iou)} seeds", xticks=range(len(ticks)), yticks=range(len(ticks)),
                  xticklabels=ticks, yticklabels=ticks, xlabel="column of the centre, pixels")
        trained = np.stack([results.values(variant, f"training {axis}") for axis in ("row", "column")], axis=1)
        distance = np.linalg.norm(places - trained[:, np.newaxis], axis=2)  # (seeds, places)
        below.plot(distance.ravel(), iou.ravel(), ".", color=BLUE, alpha=0.25, ms=4)
        for start in range(0, 160, 20):
            near = (distance >= start) & (distance < start + 20)
            if near.sum() >= len(iou):
                below.plot(start + 10, iou[near].mean(), "o", color=ORANGE, ms=8)
        below.set(ylim=(min(of.min() for of in every.values()) - 0.01, 1), xlabel="distance from the training circle, "
                  "pixels")
        below.grid(alpha=0.3)
    axes[0, 0].set_ylabel("row of the centre, pixels")
    axes[1, 0].set_ylabel("IoU on circles of radius 20")
    axes[1, 0].plot([], [], "o", color=ORANGE, ms=8, label="mean of 20 pixels of distance")
    axes[1, 0].legend(loc="lower right")
    figure.colorbar(image, ax=axes[0], label="mean IoU")
    save(figure, path)


def grid(question, results, path):
    """Loss and optimiser against rate: IoU on unseen images as colour and number; below it its range over seeds, IoU
    on the training data, and that of the predictions on unseen images with the training mask."""
    names = [variant.split(", ")[:3] for variant in results.variants]
    rows = list(dict.fromkeys((loss, optimizer) for loss, optimizer, _ in names))
    rates = sorted({float(rate) for *_, rate in names})
    means = np.full((len(rows), len(rates)), np.nan)
    figure, (axes,) = panels(1, 8.4, 1.05 * len(rows) + 1.4)
    for variant, (loss, optimizer, rate) in zip(results.variants, names, strict=True):
        place = rows.index((loss, optimizer)), rates.index(float(rate))
        train, unseen, mask = (results.values(variant, name) for name in ("train_iou", "val_iou_mean", "memorisation"))
        means[place] = unseen.mean()
        axes.text(*place[::-1], f"{unseen.mean():.2f}\n({unseen.min():.2f} to {unseen.max():.2f})\n"
                  f"train {train.mean():.2f}\nmask {mask.mean():.2f}", ha="center", va="center", fontsize=9,
                  color="black" if means[place] > 0.55 else "white")
    image = axes.imshow(means, vmin=0, vmax=1, cmap="cividis", aspect="auto")
    axes.set(xticks=range(len(rates)), xticklabels=[f"{rate:g}" for rate in rates], xlabel="peak learning rate",
             yticks=range(len(rows)), yticklabels=[f"{loss}, {optimizer}" for loss, optimizer in rows],
             title="IoU on images it never saw (lowest to highest seed); train: on the training data;\n"
                   "mask: of the predictions on unseen images with the training mask")
    figure.colorbar(image, label="mean IoU")
    save(figure, path)


def test_sets(question, results, path):
    """IoU on images of other kinds than the training image, by the fill that the network was trained on."""
    columns = [name for name in results.columns if name.startswith("iou on ")]
    figure, (axes,) = panels(1, 8.4, 6.4)
    for variant in results.variants:
        colour, shift = (BLUE, -0.15) if question.settings(variant).fill == "noise" else (ORANGE, 0.15)
        for y, column in enumerate(columns):
            values = results.values(variant, column)
            axes.plot(values, np.full(len(values), y + shift), ".", color=colour, alpha=0.4)
            interval(axes, y + shift, values, colour, horizontal=True,
                     label=f"trained with {variant.split(', ')[-1]}: mean, 95% interval" if y == 0 else None)
    axes.set(xlim=(-0.02, 1.02), ylim=(len(columns) - 0.4, -0.6), xlabel="IoU", yticks=range(len(columns)),
             yticklabels=[name.removeprefix("iou on ") for name in columns])
    axes.axhline(sum("a fill of" not in name for name in columns) - 0.5, color=GREY, lw=0.8)
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2)
    save(figure, path)


def receptive_fields(question, results, path):
    """How much of the gradient of a pixel's logit lies within a distance, before and after training."""
    figure, (axes,) = panels(1, 7, 4.4)
    for moment, colour in (("before", GREY), ("after", BLUE)):
        for variant in results.variants:
            style = "-" if question.settings(variant).fill == "noise" else "--"
            columns = [name for name in results.columns if name.startswith("gradient") and moment in name]
            radii = [int(name.split()[2]) for name in columns]
            values = np.stack([results.values(variant, name) for name in columns])  # (radii, seeds)
            axes.plot(radii, values, color=colour, lw=0.5, alpha=0.4, ls=style)
            axes.plot(radii, values.mean(axis=1), color=colour, lw=2.5, ls=style,
                      label=f"{moment} training, {variant.split(', ')[-1]}")
    axes.set(xlabel="distance from the pixel, pixels", ylabel="share of the gradient within it", ylim=(0, 1.02),
             xlim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    save(figure, path)
