"""The sharpest direction of the loss, and whether it is the template.

The gradient at a point is what plain SGD would subtract at a rate of 1. The Hessian's product with
a direction is the difference of two gradients beside that point (central differences); its largest
eigenvalue is the sharpness, 2 / sharpness the largest rate at which plain SGD is stable (Cohen et
al. 2021, arXiv 2103.00065).
"""

import numpy as np

import train
from data import create_data, training_masks
from study.parts import PARTS, Views, logits_of

STEP = 1e-2  # length of the steps for differences, in units of the weights
PRODUCTS = 40  # of the Hessian with a direction, at most


class Sharpness:
    """Follows a training and says how sharp the loss is before its first step, and which way."""

    def __init__(self, settings):
        self.settings, self.found = settings, {}

    def follow(self, step, network):
        """Look at the network before its first step."""
        if step > 0:
            return
        loss = Loss(network, self.settings)
        sharpness, direction = sharpest(loss.hessian_product, loss.weights.size)
        self.found["sharpness"] = sharpness
        parts = loss.parts_along(direction)
        # a direction has no sign
        sign = np.sign(parts["fit"])
        self.found |= {f"{part} of the sharpest direction": sign * parts[part]
                       for part in ("fit", *PARTS)}

    def columns(self):
        """The sharpness, and the parts of its direction."""
        return self.found


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

    def parts_along(self, direction):
        """The parts of a fit, as `parts.Views` has them, of a small step in a direction."""
        import model

        views, logits = Views(self.settings), logits_of(self.network)
        found = []
        for sign in (1, -1):
            self.move_to(self.weights + sign * STEP * direction / np.linalg.norm(direction))
            found.append(model.predict(logits, views.images))
        ahead, behind = found
        return views.parts(ahead - behind)


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
    values, vectors = eigsh(operator, k=1, which="LA", v0=start, ncv=12, tol=0.01, maxiter=PRODUCTS)
    return values[0], vectors[:, 0]
