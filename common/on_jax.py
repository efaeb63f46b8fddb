"""Parts of Keras written anew for JAX, to compile sooner or to compute the same bits each time.

The two classes have the names of Keras' own in a file of a network, and come back as those.
"""

import itertools

import jax
import numpy as np

from common.backend import keras


class VarianceScaling(keras.initializers.VarianceScaling):
    """Keras' initial weights, drawn by NumPy.

    JAX compiles a program for each shape that it draws: 10 s for the U-Net on two CPU cores.
    """

    __module__ = "keras.initializers"

    def __call__(self, shape, dtype=None):
        *around, inputs, outputs = shape
        fan_in, fan_out = np.prod(around) * inputs, np.prod(around) * outputs
        fan = fan_in if self.mode == "fan_in" else (fan_in + fan_out) / 2
        variance = self.scale / max(1.0, fan)
        generator = np.random.default_rng(self.seed)
        if self.distribution == "uniform":
            limit = np.sqrt(3 * variance)
            weights = generator.uniform(-limit, limit, shape)
        else:
            # Truncated at two deviations, a normal distribution has 0.88 of its deviation.
            weights = truncated_normal(generator, shape) * np.sqrt(variance) / 0.87962566103423978
        return keras.ops.convert_to_tensor(weights.astype("float32"), dtype)


def truncated_normal(generator, shape):
    """Normally distributed numbers of deviation 1; those beyond 2 are drawn again: float64."""
    numbers = generator.standard_normal(shape)
    while (beyond := np.abs(numbers) > 2).any():
        numbers[beyond] = generator.standard_normal(np.count_nonzero(beyond))
    return numbers


class MaxPooling2D(keras.layers.MaxPooling2D):
    """Keras' pooling by 2, with a gradient that is the same bits each time on a GPU.

    XLA refuses to compute Keras' gradient bit for bit. Where two pixels are the largest, they share
    the gradient; with Keras' the first one has all.
    """

    __module__ = "keras.layers"

    def call(self, x):
        n, height, width, channels = keras.ops.shape(x)
        fours = keras.ops.reshape(x, (n, height // 2, 2, width // 2, 2, channels))
        return keras.ops.max(fours, axis=(2, 4))


def several_steps(network, settings, at_once):
    """`steps.make_steps` as one program of JAX, which takes up to `at_once` of Keras' own steps."""
    metrics = jax.tree.map(value_of, network.metrics_variables)  # of no step yet

    def loop(state, images, masks, count):  # images, masks: (at_once, 1, height, width, channels)
        def step(n, carried):
            state, losses = carried
            logs, (*state, _) = network.train_step((*state, metrics), (images[n], masks[n]))
            losses = jax.lax.dynamic_update_index_in_dim(losses, logs["loss"], n, axis=0)
            return tuple(state), losses

        return jax.lax.fori_loop(0, count, step, (state, jax.numpy.zeros(at_once)))

    options = {"xla_gpu_deterministic_ops": True} if settings.deterministic else {}
    program = jax.jit(loop, donate_argnums=0, compiler_options=options)

    def take_steps(samples, count):
        pairs = list(itertools.islice(samples, count))
        pairs += pairs[-1:] * (at_once - count)  # one size of program; these are not looked at
        images, masks = map(np.stack, zip(*pairs, strict=True))
        variables = (network.trainable_variables, network.non_trainable_variables,
                     network.optimizer.variables)
        state, losses = program(jax.tree.map(value_of, variables), images, masks, count)
        jax.tree.map(assign, variables, state)
        return np.asarray(losses)[:count].tolist()  # waits for them

    return take_steps


def value_of(variable):
    """The array of a variable of Keras."""
    return variable.value


def assign(variable, value):
    """Give a variable of Keras another array."""
    variable.assign(value)
