"""The dial: what the gain of the deep, and of the shallow levels' initial kernels leads to."""

import numpy as np

from common.plots import BLUE
from study.figures import DOTTED, ON_NOISE, PINK, UNSEEN, chance_level, finish, panels
from study.question import DEEP, SHALLOW

COLUMNS = {
    "val_iou_mean": (BLUE, f"IoU on {UNSEEN}", -0.006),
    ON_NOISE[0]: (PINK, ON_NOISE[1], 0.006),
}


def on_the_dial(results, levels):
    """The variants that differ in the gain of these levels alone, {gain: variant}, in order."""
    gains = {}
    for variant in results.variants:
        settings = results.settings(variant)
        same_weights = settings.initial_weights == "he-normal"
        if same_weights and (settings.gain == 1 or settings.gain_levels == levels):
            gains[settings.gain] = variant
    return dict(sorted(gains.items()))


def draw(results, path, title):
    """Score and template on noise over the gain, of each run and on average: two panels."""
    figure, axes = panels(2, 3.4)
    for panel, levels, words in zip(axes, (DEEP, SHALLOW), ("deep", "shallow"), strict=True):
        variants = on_the_dial(results, levels)
        for name, (colour, label, shift) in COLUMNS.items():
            draw_scores(panel, results, variants, name, shift, color=colour, label=label)
        chances = [chance_level(results, variant) for variant in variants.values()]
        panel.axhline(np.mean(chances), **DOTTED, label="chance")
        panel.set(ylim=(-0.03, 1.03), xticks=list(variants))
        panel.set_xlabel(f"gain of the {words} levels")
        panel.xaxis.set_major_formatter("{x:g}")
        panel.grid(alpha=0.3)
    axes[0].set_ylabel("IoU, or overlap")
    finish(figure, path, title, axes[0])


def draw_scores(panel, results, variants, column, shift, color, label):
    """A column over the gain: the runs of each of `variants` as dots, and a line of their means."""
    means = []
    for gain, variant in variants.items():
        scores = results.values(variant, column)
        x = np.full(len(scores), gain + shift)
        panel.plot(x, scores, ".", color=color, alpha=0.5)
        means.append(scores.mean())
    panel.plot(list(variants), means, color=color, marker="o", lw=2.5, label=label)
