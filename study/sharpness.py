"""The sharpest direction of the loss at the initial weights, and what it changes in the logits.

The largest eigenvalue of the Hessian is the sharpness, 2 over it the largest rate at which plain
SGD is stable (Cohen et al. 2021, arXiv 2103.00065). For Adam, which divides each gradient by its
size, the Hessian is divided so too, and the largest rate is 38 / sharpness (Cohen et al. 2022,
arXiv 2207.14484). The Hessian's products come from TensorFlow's second derivatives: differences of
gradients will not do, because a gradient jumps wherever one of the millions of ReLUs bends.
"""

import math

import numpy as np

import train
from common.errors import UserError
from data import create_data, training_masks
from study.parts import IMAGES, PARTS, Views, logits_of
from study.statistics import with_interval

STEP = 1e-3  # length of a step along a direction, in units of the weights
EPSILON = 1e-7  # that of Adam
ALIKE = "correlation of what the sharpest direction changes on two images of noise"


class Sharpness:
    """Says how sharp the loss is before the first step, and what its direction would change."""

    steps = (0,)

    def __init__(self, settings):
        self.settings, self.found = settings, {}

    def follow(self, step, network):
        """Look at the network before its first step."""
        loss = Loss(network, self.settings)
        scales = 1.0
        if self.settings.optimizer == "adam":
            scales = 1 / np.sqrt(np.abs(loss.gradient()) + EPSILON)

        def product(direction):
            return scales * loss.hessian_product(scales * direction)

        sharpness, direction = sharpest(product, loss.weights.size)
        views = Views(self.settings)
        change = loss.change_along(scales * direction, views.images)
        parts = views.parts(change)
        sign = np.sign(parts["fit"])  # a direction has none
        self.found = {column(part): sign * parts[part] for part in ("fit", *PARTS)}
        self.found["sharpness"] = sharpness
        self.found[ALIKE] = alike(change[1 : 1 + IMAGES, ..., 0])

    def columns(self):
        """The sharpness, and the parts of its direction."""
        return self.found


def column(part):
    """The column of a part of what the sharpest direction changes."""
    return f"{part} of the sharpest direction"


def alike(changes):
    """How alike several changes, (n, height, width), are: the mean correlation of two of them."""
    correlations = np.corrcoef(changes.reshape(len(changes), -1))
    return correlations[np.triu_indices(len(changes), 1)].mean()


class Loss:
    """The training loss around the weights of a compiled network, all of them one float64 array.

    Raises `UserError` unless Keras runs on TensorFlow.
    """

    def __init__(self, network, settings):
        from common.backend import keras

        if keras.backend.backend() != "tensorflow":
            raise UserError("The sharpness needs second derivatives of TensorFlow; leave "
                            "KERAS_BACKEND out")
        X, Y = create_data(1, settings, "train")
        _, targets = training_masks(Y, settings)
        self.image, self.mask = next(train.samples_in_turn(settings, X, targets))
        self.network = network
        self.variables = [variable.value for variable in network.trainable_variables]
        self.shapes = [tuple(variable.shape) for variable in self.variables]
        self.weights = flat(self.variables)

    def loss_gradient(self):
        """The gradient of the loss, tensors like the variables."""
        import tensorflow as tf

        with tf.GradientTape() as tape:
            probabilities = self.network(self.image, training=True)
            loss = tf.reduce_mean(self.network.loss(self.mask, probabilities))
        return tape.gradient(loss, self.variables)

    def gradient(self):
        """The gradient of the loss, one array."""
        return flat(self.loss_gradient())

    def hessian_product(self, direction):
        """The Hessian times a direction, two arrays like `weights`."""
        import tensorflow as tf

        parts = self.split(direction)
        with tf.GradientTape() as tape:
            gradients = self.loss_gradient()
            slopes = [tf.reduce_sum(one * other)
                      for one, other in zip(gradients, parts, strict=True)]
            slope = tf.add_n(slopes)
        return flat(tape.gradient(slope, self.variables, unconnected_gradients="zero"))

    def split(self, weights):
        """One array as float32 arrays like the variables."""
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])
        parts = np.split(weights.astype("float32"), ends[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def move_to(self, weights):
        """Give the network these weights, one array."""
        for variable, part in zip(self.variables, self.split(weights), strict=True):
            variable.assign(part)

    def change_along(self, direction, images):
        """How the logits of images change along a direction, an array like them."""
        import model

        logits = logits_of(self.network)
        step = direction * (STEP / np.linalg.norm(direction))
        found = []
        for sign in (1, -1):
            self.move_to(self.weights + sign * step)
            found.append(model.predict(logits, images))
        self.move_to(self.weights)
        ahead, behind = found
        return (ahead - behind) / (2 * STEP)


def flat(variables):
    """Variables or tensors as one float64 array."""
    from common.backend import keras

    arrays = [np.ravel(keras.ops.convert_to_numpy(variable)) for variable in variables]
    return np.concatenate(arrays).astype("float64")


def sharpest(product, size):
    """The largest eigenvalue of a symmetric operator and its eigenvector, (size,), by Lanczos.

    product: a function of a direction, (size,).
    """
    from scipy.sparse.linalg import LinearOperator, eigsh

    operator = LinearOperator((size, size), matvec=product, dtype="float64")
    start = np.random.default_rng(0).standard_normal(size)
    values, vectors = eigsh(operator, k=1, which="LA", v0=start, ncv=12, tol=0.01)
    return values[0], vectors[:, 0]


def limit(of_plain, of_adam):
    """The largest stable rate: such a number over the sharpness."""

    def text(results, variant):
        adam = results.settings(variant).optimizer == "adam"
        rates = (of_adam if adam else of_plain) / results.values(variant, "sharpness")
        return with_interval(rates, ".2g")
    return text


NUMBERS = {
    "sharpness": "sharpness",
    "largest stable rate": limit(2, 38),
    **{f"{part}, logits": column(part) for part in ("fit", *PARTS)},
    "correlation of what it changes on two images of noise": ALIKE,
}
