"""What one gradient step from the initial weights would change in the logits: parts, and pictures.

The step is made, at a rate so small that the change is proportional to it.
"""

import base64
import zlib

import numpy as np

from study.parts import IMAGES, Parts

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
