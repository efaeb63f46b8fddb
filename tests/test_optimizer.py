"""The optimiser: its rates, schedule and clipping, and that the faster Adam is Keras' own."""

import numpy as np
import pytest

import train
from common import optimizers
from common.backend import keras
from common.settings import Settings
from data import create_data

NARROW = dict(width=0.04)  # at 160x160: at 64x64 PyTorch 2.13 fails in a convolution of its own
DEEP = ("down_3", "down_4", "down_5", "bottom", "up_3", "up_4", "up_5")


def moved(**changes):
    """How far each variable of a narrow network moves in one step: {path: largest change}."""
    X, Y = create_data(1)
    network = train.compile_network(Settings(**NARROW, **changes), X, Y)
    network.run_eagerly = True  # to trace it takes longer
    before = network.get_weights()
    network.train_on_batch(X, Y)
    after = network.get_weights()
    distances = [np.abs(a - b).max() for a, b in zip(after, before, strict=True)]
    return dict(zip([variable.path for variable in network.weights], distances, strict=True))


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_biases_can_have_a_learning_rate_of_their_own(name):
    normal = moved(optimizer=name, bias_rate=1.0)
    still = moved(optimizer=name, bias_rate=0.0)
    biases = {path for path in normal if path.endswith("bias")}
    assert len(biases) == 23
    assert {path for path in normal if still[path] == 0 != normal[path]} <= biases
    for path, distance in normal.items():
        assert still[path] == (0 if path in biases else distance)


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_deep_levels_can_have_a_learning_rate_of_their_own(name):
    normal = moved(optimizer=name)
    fast = moved(optimizer=name, deep_rate=10.0)
    still = moved(optimizer=name, deep_rate=0.0)
    deep = {path for path in normal if path.startswith(DEEP)}
    assert len(deep) == 28  # kernels and biases of 14 convolutions
    rounding = 1e-8 if name == "sgd" else 1e-12  # plain steps may be smaller than a weight's digits
    for path, distance in normal.items():
        assert still[path] == (0 if path in deep else distance)
        factor = 10 if path in deep else 1
        assert fast[path] == pytest.approx(factor * distance, rel=0.01, abs=rounding)


@pytest.mark.parametrize(("schedule", "rates"), [
    # it starts at one step's worth of the warm-up, and half of the cosine is half of the rate
    ("cosine", [0.025, 0.2625, 0.5, 0.25, 0]), ("constant", [0.5] * 5)])
def test_the_rate_warms_up_and_falls_to_nothing_or_stays(schedule, rates):
    optimizer = optimizers.make_optimizer(
        Settings(steps=100, warm_up=0.2, learning_rate=0.5, schedule=schedule))
    optimizer.build([keras.Variable(np.zeros((2, 2), "float32"))])
    for step, rate in zip((0, 10, 20, 60, 100), rates, strict=True):
        optimizer.iterations.assign(step)
        found = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
        assert found == pytest.approx(rate, abs=1e-6)


@pytest.mark.parametrize(("limit", "distance"), [(1.0, 8**-0.5), (0.0, 3.0)])
def test_gradients_are_clipped_by_their_common_norm(limit, distance):
    kernels = [keras.Variable(np.zeros((2, 2), "float32")) for _ in range(2)]
    optimizer = optimizers.make_optimizer(Settings(
        optimizer="sgd", schedule="constant", learning_rate=1.0, bias_rate=1.0, clip_norm=limit))
    optimizer.build(kernels)
    gradient = keras.ops.full((2, 2), 3.0)  # the two together have norm 3 * 8**0.5
    optimizer.apply_gradients([(gradient, kernel) for kernel in kernels])
    for kernel in kernels:
        assert keras.ops.convert_to_numpy(kernel) == pytest.approx(-distance, rel=1e-5)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="other backends use Keras' own Adam")
@pytest.mark.parametrize(("changes", "scale", "compiled"), [
    ({}, 1, False), ({}, 1, True), ({"bias_rate": 1.0}, 1, False), ({"clip_norm": 0.0}, 1, False),
    ({}, 8, False)])  # as with --precision mixed_float16
def test_the_fused_adam_agrees_with_that_of_keras(changes, scale, compiled, monkeypatch):
    import tensorflow

    generator = np.random.default_rng(0)
    shapes = (3, 3, 4, 8), (8,), (3, 3, 8, 1), (1,)
    # from gradients so small that epsilon counts to such that are clipped
    gradients = []
    for step in range(20):
        size = scale * 10.0 ** (step / 2 - 8)
        arrays = [size * generator.standard_normal(shape) for shape in shapes]
        gradients.append([tensorflow.constant(array, "float32") for array in arrays])

    def trained(kind):
        monkeypatch.setattr(optimizers, "adam", lambda: kind)
        optimizer = optimizers.make_optimizer(Settings(steps=20, **changes))
        assert isinstance(optimizer, kind)
        if scale != 1:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=scale)
        variables = [keras.Variable(np.ones(shape, "float32")) for shape in shapes]
        optimizer.build(variables)
        update = tensorflow.function(optimizer.apply, jit_compile=compiled)
        for gradient in gradients:
            update(gradient)
        return [keras.ops.convert_to_numpy(variable) for variable in variables]

    fused = optimizers.adam()
    assert fused is not keras.optimizers.Adam
    for ours, theirs in zip(trained(fused), trained(keras.optimizers.Adam), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)
        assert np.abs(theirs - 1).mean() > 1e-3  # it has moved
