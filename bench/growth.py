"""How the cost grows with the image and with the network, and its figure."""

import dataclasses
from pathlib import Path

from bench.measurements import isolated, step_and_floor
from common.images import write_figure

SIDES, WIDTHS = (64, 128, 256, 512), (0.125, 0.25, 0.5, 1.0, 2.0)  # pixels; factor on the filters
LINES = {"step": "a training step", "floor": "its operations in a large product", "prediction": "a prediction"}


def growth(settings, repeat):
    """A step, its floor and the prediction of an image, over the image's side and over the network's width."""
    rows = {}
    for side in SIDES:
        radius = (side // 8, side // 5)  # so that it fits
        rows |= costs(f"side {side}", dataclasses.replace(settings, size=(side, side), radius=radius, side=(0, 0)))
    for width in WIDTHS:
        rows |= costs(f"width {width:g}", dataclasses.replace(settings, width=width))
    return rows


def costs(name, settings):
    """The rows of one network on one kind of image, in a process of its own."""
    step, floor, image, _ = isolated(step_and_floor, settings, 5, 8)
    return {(f"{line}, {name}", "ms"): value * 1e3 for line, value in zip(LINES, (step, floor, image), strict=True)}


def draw(median, folder):
    """growth.png in `folder`: milliseconds over side and width, from {row of `growth`: milliseconds}.

    Raises `UserError` if it cannot be written.
    """
    from common.plots import BLUE, ORANGE, plt

    figure, axes = plt.subplots(1, 2, figsize=(8, 3.8), dpi=110, layout="constrained", sharey=True)
    for axis, name, values, label in zip(axes, ("side", "width"), (SIDES, WIDTHS), (
            "side of the image, pixels", "width of the network (1 is 13 million parameters)"), strict=True):
        for (line, meaning), colour in zip(LINES.items(), (ORANGE, "0.5", BLUE), strict=True):
            axis.plot(values, [median[f"{line}, {name} {value:g}"] for value in values], color=colour, marker="o",
                      ls="--" if line == "floor" else "-", label=meaning)
        axis.set(xscale="log", yscale="log", xlabel=label)
        axis.set_xticks(values, [f"{value:g}" for value in values])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("milliseconds an image")
    axes[0].legend()
    figure.suptitle("What an image costs, over its size and over the width of the network")
    write_figure(figure, Path(folder, "growth.png"), colours=64)
