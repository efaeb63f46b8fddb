"""What scores without a network: the null that a trained one has to beat."""

import cv2
import numpy as np

SIGMA = 3  # pixels: averages the noise out, and is narrow beside the smallest radius, 15


def blur_otsu(X):
    """Gaussian blur, then Otsu's threshold (Otsu 1979), each image by itself.

    X: grey values 0..255, (n, height, width, 1). Returns the brighter side, bool like X.
    """
    predictions = []
    for image in X.astype("uint8"):
        blurred = cv2.GaussianBlur(image, (0, 0), SIGMA)
        _, foreground = cv2.threshold(blurred, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
        predictions.append(foreground > 0)
    return np.stack(predictions)[..., np.newaxis]
