"""Where a network's memory lives: how much of the training mask it draws, on the training image and on others.

Of a *rule* nothing is drawn where there is no shape, and everything moves with the shape; a *template* is drawn into
whatever the network sees, where it was; a *lookup* is drawn into the training image alone.
"""

import base64
import zlib

import numpy as np

from common import metrics
from data import draw_elsewhere, random_stream
from study.other_images import noise, paint, predictions

SHIFT = 32  # pixels: what the five poolings halve without a remainder, so that a network without borders shifts too
OVERLAPS = {  # column: the image, in words
    "overlap on its training image": "its training image",
    "overlap on unseen images": "an unseen image",
    "overlap on noise": "noise without a circle",
    "overlap on flat grey": "flat grey",
}
MOVED = ("overlap on the shifted training image", "overlap there with the shifted mask")
ELSEWHERE = ("overlap where the circle is elsewhere", "iou where the circle is elsewhere")
SHARE = "share of the training mask"


def measure(run, settings, images=10):
    """Overlap (IoU) of the prediction with the training mask on each kind of image, and for one seed the pictures.

    Beside it stands what geometry alone gives: on unseen images the overlap of the true masks, `training_mask_iou_mean`
    of every row; on noise, on grey and on circles that lie elsewhere 0, or the mask's share of the image for a
    network that marks everything.
    """
    X, mask = run.train[0][0, ..., 0], run.train[1][0, ..., 0] > 0  # (height, width)
    generator = random_stream(settings.seed, "test")
    shown = views(run, settings, generator, images)
    found = {name: predictions(run, of)[..., 0] for name, of in shown.items()}
    row = {name: metrics.iou(np.broadcast_to(mask, found[name].shape), found[name]).mean() for name in OVERLAPS}
    shift = SHIFT if np.argwhere(mask)[:, 1].mean() < mask.shape[1] / 2 else -SHIFT  # to where the shape stays whole
    shifted = predictions(run, [np.roll(X, shift, axis=1)])[..., 0]
    row |= {name: metrics.iou(of[np.newaxis], shifted).mean()
            for name, of in zip(MOVED, (mask, np.roll(mask, shift, axis=1)), strict=True)}
    elsewhere = [draw_elsewhere(generator, mask, settings) for _ in range(images)]
    drawn = predictions(run, [paint(generator, other, settings) for other in elsewhere])[..., 0]
    row |= {name: metrics.iou(of, drawn).mean()
            for name, of in zip(ELSEWHERE, (np.broadcast_to(mask, drawn.shape), np.stack(elsewhere)), strict=True)}
    row[SHARE] = mask.mean()
    if settings.seed == 0:  # those of one seed are drawn; of all they would fill the file
        row |= {f"picture {name}": as_text(found[name][0]) for name in OVERLAPS}
    return row


def views(run, settings, generator, images=10):
    """The images on which the overlap is measured, {column: list of (height, width)}, grey values."""
    kinds = ([run.train[0][0, ..., 0]], [*run.validation[0][..., 0]],
             [noise(generator, settings) for _ in range(images)],
             [np.full(settings.size, (settings.noise - 1) / 2)])  # as bright as the noise on average
    return dict(zip(OVERLAPS, kinds, strict=True))


def as_text(mask):
    """A mask, bool (height, width), as text that fits into a CSV."""
    return base64.b64encode(zlib.compress(np.packbits(mask).tobytes(), 9)).decode()


def from_text(text, size):
    """The mask, bool `size`, that `as_text` wrote."""
    bits = np.unpackbits(np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8))
    return bits[: size[0] * size[1]].reshape(size).astype(bool)
