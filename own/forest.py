"""What people use today to segment their own images: a random forest on filter responses.

As ilastik, Labkit and Trainable Weka do it, by scikit-image and scikit-learn, which only this and
own/pretrained.py need.
"""

from importlib.util import find_spec

import numpy as np

from common.errors import UserError

# What has to be installed: the name of each library's module, and what pip calls it.
LIBRARIES = {"skimage": "scikit-image==0.26.0", "sklearn": "scikit-learn==1.9.1"}
SIGMAS = (0.7, 10.0)  # pixels: the narrowest and the widest filter, each twice as wide as the last
TREES, PIXELS = 100, 100_000  # and of how many labelled pixels they learn at most
# A leaf holds so many pixels at least, and foreground and background weigh alike. That found the
# most of what was tried: docs/own_details.md.
LEAF, WEIGHTS = 20, "balanced"


def check_libraries(method, libraries):
    """Raise `UserError` if a method lacks one of its libraries, {module: what pip installs}."""
    if not all(map(find_spec, libraries)):
        raise UserError(f"{method} needs libraries that are not installed; run pip install "
                        f"{' '.join(libraries.values())}")


def labelled_pixels(labelled, features, seed):
    """Features and labels of at most PIXELS labelled pixels, drawn from `Labelled` images.

    features: a function of an image and the numbers of pixels of it, (n,), that gives float32
    (n, features). Returns two arrays, (n, features) and (n,).
    """
    generator = np.random.default_rng(seed)
    values, labels = [], []
    for image, mask in labelled:
        pixels = np.flatnonzero(mask >= 0)
        pixels = generator.permutation(pixels)[: PIXELS // len(labelled)]
        values.append(features(image, pixels))
        labels.append(mask.flat[pixels])
    return np.concatenate(values), np.concatenate(labels)


class Forest:
    """A random forest (Breiman 2001) of one's own images: pixels by intensity, edges, texture."""

    def __init__(self, labelled, seed=0):
        """Learn from a list of `Labelled`. Raises `UserError` where a library is missing."""
        check_libraries("forest", LIBRARIES)
        from sklearn.ensemble import RandomForestClassifier

        self.trees = RandomForestClassifier(
            TREES, min_samples_leaf=LEAF, class_weight=WEIGHTS, n_jobs=-1, random_state=seed)
        self.trees.fit(*labelled_pixels(labelled, features, seed))

    def predict(self, image):
        """Probabilities, float32 (height, width, 1), of an image (height, width, channels)."""
        probabilities = self.trees.predict_proba(features(image)) @ self.trees.classes_
        return probabilities.reshape(*image.shape[:2], 1).astype("float32")


def features(image, pixels=slice(None)):
    """What the forest sees of pixels of an image: float32 (pixels, features)."""
    from skimage.feature import multiscale_basic_features

    values = multiscale_basic_features(
        image.astype("float32") / 255, sigma_min=SIGMAS[0], sigma_max=SIGMAS[1], channel_axis=-1)
    return values.reshape(-1, values.shape[2])[pixels]
