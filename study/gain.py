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
        gains = list(variants)
        for column, (colour, label, shift) in COLUMNS.items():
            scores = [results.values(variant, column) for variant in variants.values()]
            for gain, values in zip(gains, scores, strict=True):
                panel.plot(np.full(len(values), gain + shift), values, ".", color=colour, alpha=0.5)
            panel.plot(
                gains, list(map(np.mean, scores)), color=colour, marker="o", lw=2.5, label=label)
        chance = np.mean([chance_level(results, variant) for variant in variants.values()])
        panel.axhline(chance, **DOTTED, label="chance")
        panel.set(ylim=(-0.03, 1.03), xticks=gains, xlabel=f"gain of the {words} levels")
        panel.xaxis.set_major_formatter("{x:g}")
        panel.grid(alpha=0.3)
    axes[0].set_ylabel("IoU, or overlap")
    finish(figure, path, title, axes[0])
