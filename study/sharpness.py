"""The sharpest direction of the loss at the initial weights, and what it changes in the logits.

The Hessian's product with a direction is the difference of two gradients beside a point (central
differences); its largest eigenvalue is the sharpness, 2 / sharpness the largest rate at which plain
SGD is stable (Cohen et al. 2021, arXiv 2103.00065). For Adam, which divides each gradient by its
size, the Hessian is divided so too, and the largest rate is 38 / sharpness (Cohen et al. 2022,
arXiv 2207.14484).
"""

import numpy as np

import train
from data import create_data, training_masks
from study.parts import IMAGES, PARTS, Views, logits_of
from study.statistics import with_interval

STEP = 1e-2  # length of the steps for differences, in units of the weights
EPSILON = 1e-7  # that of Adam
ALIKE = "correlation of what the sharpest direction changes on two images of noise"


class Sharpness:
    """Says how sharp the loss is before the first step, and what its direction would change."""

    def __init__(self, settings):
        self.settings, self.found = settings, {}

    def follow(self, step, network):
        """Look at the network before its first step."""
        if step > 0:
            return
        loss = Loss(network, self.settings)
        scales = 1.0
        if self.settings.optimizer == "adam":
            gradient = loss.gradient(loss.weights)
            scales = 1 / np.sqrt(np.abs(gradient) + EPSILON)

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
    """The training loss around the weights of a compiled network, all of them one float64 array."""

    def __init__(self, network, settings):
        X, Y = create_data(1, settings, "train")
        _, targets = training_masks(Y, settings)
        self.settings = settings
        self.sample = next(train.samples_in_turn(settings, X, targets))
        self.network = train.compile_network(settings, X, targets)
        self.network.set_weights(network.get_weights())
        self.network.compile(gradient_keeper(), network.loss)
        self.shapes = [variable.shape for variable in self.network.trainable_variables]
        self.weights = self.flat(self.network.trainable_variables)

    def flat(self, variables):
        """Variables as one array."""
        from common.backend import keras

        arrays = [keras.ops.convert_to_numpy(variable).ravel() for variable in variables]
        return np.concatenate(arrays).astype("float64")

    def move_to(self, weights):
        """Give the network these weights, one array."""
        start = 0
        for variable, shape in zip(self.network.trainable_variables, self.shapes, strict=True):
            size = int(np.prod(shape))
            variable.assign(weights[start : start + size].reshape(shape).astype("float32"))
            start += size

    def gradient(self, weights):
        """The gradient of the loss at these weights."""
        self.move_to(weights)
        self.network.train_on_batch(*self.sample)
        return self.flat(self.network.trainable_variables)

    def hessian_product(self, direction):
        """The Hessian times a direction, by central differences."""
        length = np.linalg.norm(direction)
        step = direction * (STEP / length)
        ahead, behind = self.gradient(self.weights + step), self.gradient(self.weights - step)
        return (ahead - behind) * (length / (2 * STEP))

    def change_along(self, direction, images):
        """How the logits of images change along a direction, an array like them."""
        import model

        logits = logits_of(self.network)
        step = direction * (STEP / np.linalg.norm(direction))
        self.move_to(self.weights + step)
        ahead = model.predict(logits, images)
        self.move_to(self.weights - step)
        return (ahead - model.predict(logits, images)) / (2 * STEP)


def gradient_keeper():
    """An optimiser that leaves the gradients where the weights were."""
    from common.backend import keras

    class GradientKeeper(keras.optimizers.SGD):
        """Assigns in place of subtracting."""

        def update_step(self, gradient, variable, learning_rate):
            self.assign(variable, gradient)

    return GradientKeeper(1.0)


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
