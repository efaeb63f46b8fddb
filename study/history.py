"""What happens over the steps: IoU on training and unseen images, and overlap with the mask."""

from functools import partial

import numpy as np

import train
from common.plots import BLUE, ORANGE
from study.figures import DOTTED, GREY, OVERLAP, PINK, TRAIN, UNSEEN
from study.figures import chance_level, finish, lines, panels
from study.statistics import with_interval

CURVES = {  # column of history.csv: colour and label
    "train_iou": (ORANGE, TRAIN),
    "val_iou_mean": (BLUE, UNSEEN),
    OVERLAP[0]: (PINK, OVERLAP[1]),
}


def column(name, step):
    """The column that holds a score after a step."""
    return f"{name} after {step}"


def measure(run, settings):
    """The history without its last row, which is of all validation images, not of a few."""
    row = {}
    for point in run.history[:-1]:
        for name in CURVES:
            row[column(name, point["step"])] = point[name]
    return row


def curve(results, variant, name):
    """One of CURVES, of all seeds: steps, (points,), and values, (seeds, points)."""
    steps = train.evaluation_steps(results.settings(variant))[:-1]
    return np.array(steps), results.stacked(variant, [column(name, step) for step in steps])


def draw(results, path, title):
    """IoU over the steps, a panel for each variant: every seed thin, the mean thick."""
    figure, axes = panels(len(results.variants), 2.6)
    several_fills = len(results.by_fill()) > 1
    for panel, variant in zip(axes, results.variants, strict=True):
        for name, (colour, label) in CURVES.items():
            steps, values = curve(results, variant, name)
            lines(panel, steps, values, colour, label, thin=0.5, marker=None)
        chance = chance_level(results, variant)
        panel.axhline(chance, **DOTTED)
        panel.annotate("chance", (1, chance), xytext=(3, 2), textcoords="offset points",
                       color=GREY, fontsize=9)
        panel.set(xscale="log", xlim=(1, None), ylim=(-0.02, 1.02), xlabel="step (logarithmic)")
        fill = f",\n{results.settings(variant).fill} fill" if several_fills else ""
        panel.set_title(results.short(variant) + fill, fontsize=11)
        panel.xaxis.set_major_formatter("{x:g}")
        panel.grid(alpha=0.3)
    axes[0].set_ylabel("IoU")
    finish(figure, path, title, axes[0])


def when_fitted(results, variant):
    """IoU on the watched unseen images when train IoU 0.95 is first seen."""
    fitted = curve(results, variant, "train_iou")[1] >= 0.95
    unseen = curve(results, variant, "val_iou_mean")[1]
    first = fitted.argmax(axis=1)  # 0 also where it is never fitted
    scores = unseen[np.arange(len(unseen)), first][fitted.any(axis=1)]
    return f"{with_interval(scores)}, {len(scores)} runs" if len(scores) else "never fitted"


def change(results, variant, name):
    """One of CURVES after a tenth of the steps and at the last that is watched, and the change."""
    steps, values = curve(results, variant, name)
    tenth = abs(steps - steps[-1] / 10).argmin()
    early, late = values[:, tenth], values[:, -1]
    return (f"{with_interval(early)} after step {steps[tenth]}, {with_interval(late)} after "
            f"{steps[-1]}, change {with_interval(late - early, '+.4f')}, lowest run "
            f"{late.min():.3f}")


NUMBERS = {
    "IoU on the watched unseen images when train IoU 0.95 is first seen": when_fitted,
    "IoU on the watched unseen images": partial(change, name="val_iou_mean"),
    "their overlap with the training mask": partial(change, name="training_mask_overlap"),
}
