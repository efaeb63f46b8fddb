"""What people use today to segment their own images: a random forest on filter responses.

As ilastik, Labkit and Trainable Weka do it, by scikit-image and scikit-learn, which only this
needs.
"""

import numpy as np

from common.errors import UserError

SIGMAS = (0.7, 10.0)  # pixels: the narrowest and the widest filter, each twice as wide as the last
TREES, PIXELS = 100, 100_000  # and of how many labelled pixels they learn at most
# A leaf holds so many pixels at least, and foreground and background weigh alike. That found the
# most of what was tried: docs/own.md.
LEAF, WEIGHTS = 20, "balanced"


class Forest:
    """A random forest (Breiman 2001) of one's own images: pixels by intensity, edges, texture."""

    def __init__(self, labelled, seed=0):
        """Learn from a list of `Labelled`. Raises `UserError` where a library is missing."""
        try:
            import skimage.feature  # noqa: F401 - `features` needs it
            from sklearn.ensemble import RandomForestClassifier
        except ImportError:
            raise UserError("the random forest needs scikit-image and scikit-learn; run pip "
                            "install scikit-image==0.26.0 scikit-learn==1.9.1") from None
        generator = np.random.default_rng(seed)
        values, labels = [], []
        for image, mask in labelled:
            pixels = np.flatnonzero(mask >= 0)
            pixels = generator.permutation(pixels)[: PIXELS // len(labelled)]
            values.append(features(image).reshape(mask.size, -1)[pixels])
            labels.append(mask.flat[pixels])
        self.trees = RandomForestClassifier(
            TREES, min_samples_leaf=LEAF, class_weight=WEIGHTS, n_jobs=-1, random_state=seed)
        self.trees.fit(np.concatenate(values), np.concatenate(labels))

    def predict(self, image):
        """Probabilities, float32 (height, width, 1), of an image (height, width, channels)."""
        values = features(image)
        values = values.reshape(-1, values.shape[2])
        probabilities = self.trees.predict_proba(values) @ self.trees.classes_
        return probabilities.reshape(*image.shape[:2], 1).astype("float32")


def features(image):
    """What the forest sees of each pixel of an image: float32 (height, width, features)."""
    from skimage.feature import multiscale_basic_features

    return multiscale_basic_features(
        image.astype("float32") / 255, sigma_min=SIGMAS[0], sigma_max=SIGMAS[1], channel_axis=-1)
