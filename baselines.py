"""What scores without learning: the nulls that a trained network has to beat."""

import cv2
import numpy as np

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


def nulls(X, sample_mask):
    """What scores without learning, {name: predictions, bool (n, height, width, 1)} for images X of that shape.

    No foreground at all; the mask of the (first) training sample, (1, height, width, 1), for every image; blur + Otsu.
    """
    return {"background": np.zeros(X.shape, bool), "training_mask": np.broadcast_to(sample_mask[:1] > 0, X.shape),
            "blur_otsu": blur_otsu(X)}
