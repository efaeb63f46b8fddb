"""What scores without a network: the nulls that a trained one has to beat."""

import numpy as np

from common.baselines import blur_otsu

NULLS = {  # the names that their columns begin with, and what they are called
    "training_mask": "the training mask",
    "blur_otsu": "blur + Otsu",
    "histogram": "the histogram of the training image",
}


def nulls(X, samples, masks):
    """What each of NULLS predicts, {name: bool (n, height, width, 1)}, for images X of that shape.

    samples, masks: what a network was trained on, (samples, height, width, 1); the first counts.
    """
    return {"training_mask": np.broadcast_to(masks[:1] > 0, X.shape),
            "blur_otsu": blur_otsu(X),
            "histogram": back_projection(X, samples[0], masks[0])}


def back_projection(X, image, mask):
    """Histogram back-projection (Swain and Ballard 1991), then blur + Otsu.

    This is what the histogram of one sample teaches: each pixel becomes the share of the shape
    among the sample's pixels of the same grey value, as if shape and background were equally
    large; one half where the sample has no such pixel.

    X: grey values 0..255, (n, height, width, 1); image, mask: the sample, (height, width, 1), the
    mask in {0, 1}. Returns bool of the shape of X.
    """
    shape, background = grey_values(image[mask == 1]), grey_values(image[mask == 0])
    share = np.full(256, 0.5)
    np.divide(shape, shape + background, out=share, where=shape + background > 0)
    return blur_otsu((255 * share[X.astype(int)]).round())


def grey_values(pixels):
    """The share of each of the 256 grey values among some pixels, float64 (256,)."""
    return np.bincount(pixels.astype(int), minlength=256) / max(len(pixels), 1)
