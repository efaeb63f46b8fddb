"""What one gradient step from the initial weights would change in the logits: parts, and pictures.

The step is made, at a rate so small that the change is proportional to it.
"""

import base64
import zlib

import matplotlib.pyplot as plt
import numpy as np

from study.figures import finish
from study.parts import IMAGES, Parts, Views

VIEWS = {"its training image": 0, "noise without a circle": 1, "an unseen image": 1 + IMAGES}
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
                picture = as_text(change[number, ..., 0] / largest)
                self.found[f"picture of {words}"] = picture


def as_text(change):
    """A change of the logits, float (height, width) in -1..1, as text that fits into a CSV.

    It is SHRINK times smaller, in 127 shades on either side of 0.
    """
    height, width = change.shape
    blocks = change.reshape(height // SHRINK, SHRINK, width // SHRINK, SHRINK)
    shades = np.round(127 * blocks.mean(axis=(1, 3))).astype("int8")
    return base64.b64encode(zlib.compress(shades.tobytes(), 9)).decode()


def from_text(text, size):
    """The change that `as_text` wrote of an image of that size, float, SHRINK times smaller."""
    shades = np.frombuffer(zlib.decompress(base64.b64decode(text)), "int8")
    height, width = size
    return shades.reshape(height // SHRINK, width // SHRINK) / 127


def draw(results, path, title, shown):
    """The change of the logits on each kind of image: a row for each of `shown`, {variant: label}.

    The pictures are of seed 0, the numbers below them the medians of all seeds. The training mask
    is outlined.
    """
    variants = [variant for variant in shown if 0 in results.rows.get(variant, {})]
    if not variants:
        return
    height = 2.3 * len(variants) + 0.9
    figure, axes = plt.subplots(
        len(variants), len(VIEWS), figsize=(8, height), dpi=100, layout="constrained",
        squeeze=False)
    for line, variant in zip(axes, variants, strict=True):
        draw_changes(results, variant, line)
        line[0].set_ylabel(shown[variant], fontsize=11)
    for panel, words in zip(axes[0], VIEWS, strict=True):
        panel.set_title(words, fontsize=11)
    axes[-1, 0].plot([], [], color="black", lw=1.5, label="the training mask")
    finish(figure, path, title, axes[-1, 0])


def draw_changes(results, variant, line):
    """The changes of one variant, one in each panel of a line."""
    settings, row = results.settings(variant), results.rows[variant][0]
    mask = Views(settings).mask
    changes = [from_text(row[f"picture of {words}"], settings.size) for words in VIEWS]
    # what all pixels have in common is no part of a fit
    level = np.median(changes)
    largest = np.quantile(np.abs(changes - level), 0.99)
    for panel, change in zip(line, changes, strict=True):
        panel.imshow(change - level, cmap="PuOr_r", vmin=-largest, vmax=largest,
                     extent=(0, settings.size[1], settings.size[0], 0), interpolation="nearest")
        panel.contour(mask, [0.5], colors="black", linewidths=1.5)
        panel.set(xticks=[], yticks=[])
