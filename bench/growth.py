"""How the cost grows with the image and with the network, and its figure."""

import dataclasses
from pathlib import Path

from bench.measurements import isolated, step_and_floor
from common.images import write_figure

SIDES = (64, 128, 256, 512)  # of the image, pixels
WIDTHS = (0.125, 0.25, 0.5, 1.0, 2.0)  # factor on the filters


def growth(settings, options):
    """A step, its floor and a prediction, over the image's side and over the network's width."""
    rows = {}
    for side in SIDES:
        radius = (side // 8, side // 5)  # so that it fits
        changed = dataclasses.replace(settings, size=(side, side), radius=radius, side=(0, 0))
        rows |= costs(f"side {side}", changed)
    for width in WIDTHS:
        rows |= costs(f"width {width:g}", dataclasses.replace(settings, width=width))
    return rows


def costs(name, settings):
    """The rows of one network on one kind of image, in a process of its own."""
    step, floor, image, _ = isolated(step_and_floor, settings, 5, 8)
    return {
        (f"step, {name}", "ms"): step * 1e3,
        (f"floor, {name}", "ms"): floor * 1e3,
        (f"prediction, {name}", "ms"): image * 1e3,
    }


def draw(median, folder):
    """growth.png in `folder`, from {row of `growth`: milliseconds}.

    Raises `UserError` if it cannot be written.
    """
    from common.plots import BLUE, ORANGE, plt

    figure, (over_side, over_width) = plt.subplots(
        1, 2, figsize=(8, 3.8), dpi=110, layout="constrained", sharey=True)
    for axes, name, values in ((over_side, "side", SIDES), (over_width, "width", WIDTHS)):
        for cost, meaning, colour, style in (
                ("step", "a training step", ORANGE, "-"),
                ("floor", "its operations in a large product", "0.5", "--"),
                ("prediction", "a prediction", BLUE, "-")):
            milliseconds = [median[f"{cost}, {name} {value:g}"] for value in values]
            axes.plot(values, milliseconds, color=colour, marker="o", ls=style, label=meaning)
        axes.set(xscale="log", yscale="log")
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    over_side.set(xlabel="side of the image, pixels", ylabel="milliseconds an image")
    over_side.legend()
    over_width.set_xlabel("width of the network (1 is 13 million parameters)")
    figure.suptitle("What an image costs, over its size and over the width of the network")
    write_figure(figure, Path(folder, "growth.png"), colours=64)
