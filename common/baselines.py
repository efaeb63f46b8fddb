"""What scores without a network: the nulls that a trained one has to beat."""

import cv2
import numpy as np

from common.images import in_8_bits, in_channels

SIGMA = 3  # pixels: wide enough to average the noise out, narrow beside the smallest radius, 15


def blur_otsu(X):
    """Gaussian blur, then Otsu's threshold (Otsu 1979), each image by itself: two lines of OpenCV.

    X: grey values 0..255, (n, height, width, 1). Returns the brighter side as bool of the same shape.
    """
    predictions = []
    for image in X.astype("uint8"):
        blurred = cv2.GaussianBlur(image, (0, 0), SIGMA)
        _, foreground = cv2.threshold(blurred, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
        predictions.append(foreground > 0)
    return np.stack(predictions)[..., np.newaxis]


def blur_otsu_sides(image):
    """Both sides of blur + Otsu's threshold, the brighter first, bool (height, width, 1), of one image of any kind.

    image: grey values (height, width, channels), of 16 bits as float32.
    """
    brighter = blur_otsu(in_8_bits(in_channels(image, 1))[np.newaxis])[0]
    return brighter, ~brighter


def back_projection(X, image, mask):
    """Histogram back-projection (Swain and Ballard 1991), then blur + Otsu: what the histogram of one sample teaches.

    Each pixel becomes the share of the shape among the sample's pixels of the same grey value, as if shape and
    background were equally large; one half where the sample has no such pixel.

    X: grey values 0..255, (n, height, width, 1); image, mask: the sample, (height, width, 1), the mask in {0, 1}.
    Returns bool of the shape of X.
    """
    shape, background = (np.bincount(image[mask == label].astype(int), minlength=256) / max((mask == label).sum(), 1)
                         for label in (1, 0))
    seen = shape + background > 0
    share = np.where(seen, shape / np.where(seen, shape + background, 1), 0.5)
    return blur_otsu((255 * share[X.astype(int)]).round())


def nulls(X, samples, masks):
    """What scores without a network, {name: predictions, bool (n, height, width, 1)} for images X of that shape.

    The mask of the first training sample for every image; blur + Otsu; back-projection of that sample's histogram.
    samples, masks: what a network was trained on, (samples, height, width, 1).
    """
    return {"training_mask": np.broadcast_to(masks[:1] > 0, X.shape),
            "blur_otsu": blur_otsu(X), "histogram": back_projection(X, samples[0], masks[0])}
