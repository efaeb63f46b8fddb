"""What one gradient step from the initial weights would change in the logits: parts, and pictures.

The step is made, at a rate so small that the change is proportional to it.
"""

import numpy as np

from common.plots import plt
from study.figures import pictures
from study.measuring import as_text, from_text
from study.parts import IMAGES, Parts, Views, ratios

VIEWS = {"its training image": 0, "noise without a circle": 1, "an unseen image": 1 + IMAGES}
COLOURS = "PuOr_r"
SHRINK = 2  # pixels of the image for one of a picture, along each side


class FirstStep(Parts):
    """Says of which parts the change consists; for seed 0 also how it looks, as text."""

    def __init__(self, settings):
        super().__init__(settings)
        self.pictures = settings.seed == 0

    def look(self, step, change):
        """Note the parts of a change of the logits after a step, and pictures of it."""
        super().look(step, change)
        if self.pictures:
            largest = np.abs(change).max()
            for words, number in VIEWS.items():
                picture = small(change[number, ..., 0] / largest)
                self.found[f"picture of {words}"] = as_text(picture)


def small(change):
    """A change of the logits, float (height, width) in -1..1, SHRINK times smaller, as bytes."""
    height, width = change.shape
    blocks = change.reshape(height // SHRINK, SHRINK, width // SHRINK, SHRINK)
    return np.round(127 * blocks.mean(axis=(1, 3))).astype("int8")


def draw(results, path, title, shown):
    """The change of the logits on each kind of image: a row for each of `shown`, {variant: label}.

    The pictures are of seed 0. The training mask is outlined, and below the noise stands how the
    template compares with the rule, the median of all seeds.
    """
    pictures(results, path, title, shown, VIEWS, draw_changes, legend)


def legend(axes):
    """Say what is drawn on the pictures."""
    axes.plot([], [], color="black", lw=1.5, label="the training mask")
    colours = plt.get_cmap(COLOURS)
    axes.plot([], [], "s", color=colours(0.9), label="here the logits rise")
    axes.plot([], [], "s", color=colours(0.25), label="here they fall")


def draw_changes(results, variant, line):
    """The changes of one variant, one in each panel of a line."""
    settings, row = results.settings(variant), results.rows[variant][0]
    mask = Views(settings).mask
    height, width = settings.size
    shape = height // SHRINK, width // SHRINK
    changes = []
    for words in VIEWS:
        shades = from_text(row[f"picture of {words}"], "int8")
        changes.append(shades.reshape(shape) / 127)
    # what all pixels have in common is no part of a fit
    level = np.median(changes)
    largest = np.quantile(np.abs(changes - level), 0.99)
    for panel, change in zip(line, changes, strict=True):
        panel.imshow(change - level, cmap=COLOURS, vmin=-largest, vmax=largest,
                     extent=(0, width, height, 0), interpolation="nearest")
        panel.contour(mask, [0.5], colors="black", linewidths=1.5)
        panel.set(xticks=[], yticks=[])
    ratio = np.median(ratios(results, variant))
    line[1].set_xlabel(f"template / rule {ratio:.2f} (median)", fontsize=10)
