"""What measures share: images that a trained network is shown, and what it marks in them.

Images are integer (height, width) in grey values, masks bool (height, width).
"""

import base64
import zlib

import numpy as np

from common import metrics
from data import fill


def noise(generator, settings):
    """An image without a shape."""
    return generator.integers(settings.noise, size=settings.size)


def paint(generator, mask, settings):
    """An image with the shape of a mask in it, filled as the settings say."""
    background = generator.integers(settings.noise, size=mask.shape)
    return fill(generator, background, mask, settings)


def marked(run, images):
    """What the trained network marks in a list of images: bool (n, height, width)."""
    import model  # Keras starts slowly: a list of the questions does not need it

    X = np.stack(images)[..., np.newaxis].astype("float32")
    probabilities = model.predict(run.network, X)
    return metrics.predicted(probabilities)[..., 0]


def mean_iou(run, images, masks):
    """Mean IoU of the trained network on a list of images with their masks."""
    return metrics.iou(np.stack(masks), marked(run, images)).mean()


def training_mask(run):
    """The mask of the first training sample."""
    return run.train[1][0, ..., 0] > 0


def as_text(array):
    """An array as text that fits into a CSV."""
    return base64.b64encode(zlib.compress(array.tobytes(), 9)).decode()


def from_text(text, dtype):
    """What `as_text` made a text of, one-dimensional."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype)
