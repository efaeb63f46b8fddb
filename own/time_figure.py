"""How well the others are segmented over the seconds that it took to learn, as a figure."""

import numpy as np

from common.images import write_figure
from common.plots import BLUE, ORANGE, plt
from own.tables import AND, column, grouped

COLOURS = {"network": BLUE, "forest": ORANGE, "pretrained": "#009E73"}


def points_of(rows):
    """{method: a list of (seconds, mean IoU, flags)} of the rows of `own compare`, fast ones first.

    From a mask of the first image of each set: the mean over the sets and the median of the
    seconds, where no set is missing.
    """
    rows = [row for row in rows if row["labels"] == "mask" and AND not in row["labelled"]]
    first, sets = [], grouped(rows, "set")
    for of_set in sets.values():
        number = of_set[0]["labelled"]
        first += [row for row in of_set if row["labelled"] == number]
    points = {}
    for (method, flags), of_way in grouped(first, "method", "flags").items():
        if method not in COLOURS or len(of_way) < len(sets):
            continue
        seconds = np.median(column(of_way, "train_seconds"))
        iou = np.mean(column(of_way, "iou_mean"))
        point = float(seconds), float(iou), flags.removeprefix("--")
        points.setdefault(method, []).append(point)
    for of_method in points.values():
        of_method.sort()
    return points


def draw_time(rows, path):
    """Write the figure of the rows of `own compare`, with the points of `points_of`."""
    figure, axes = plt.subplots(
        figsize=(8, 4.5), dpi=100, layout="constrained")
    for method, of_method in points_of(rows).items():
        seconds, iou, _ = zip(*of_method, strict=True)
        axes.plot(
            seconds, iou, "o-", color=COLOURS[method], label=method)
        for x, y, label in of_method:
            axes.annotate(label, (x, y), (4, -14), textcoords="offset points")
    axes.set(xlabel="seconds to learn from one image, one thread", xlim=(0, None))
    axes.set_ylabel("mean IoU of the other images")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    write_figure(figure, path)
