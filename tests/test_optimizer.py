"""The optimiser: its rates, schedule and clipping, and that the faster Adam is Keras' own."""

import numpy as np
import pytest

import train
from common import optimizers
from common.backend import keras
from common.settings import Settings
from data import create_data

TINY = dict(width=0.04)  # at 160x160: at 64x64 PyTorch 2.13 fails in a convolution of its own


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_biases_can_have_a_learning_rate_of_their_own(name):
    X, Y = create_data(1)
    moved = {}
    for factor in (1.0, 0.0):
        network = train.compiled(Settings(**TINY, optimizer=name, bias_rate=factor), X, Y)
        before = network.get_weights()
        network.train_on_batch(X, Y)
        moved[factor] = [np.abs(a - b).max() for a, b in zip(network.get_weights(), before, strict=True)]
    biases = [variable.name == "bias" for variable in network.weights]
    assert sum(biases) == 23
    for bias, normal, still in zip(biases, moved[1.0], moved[0.0], strict=True):
        assert still == (0 if bias else normal)
    assert sum(normal > 0 for bias, normal in zip(biases, moved[1.0], strict=True) if bias) > 20


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_deep_levels_can_have_a_learning_rate_of_their_own(name):
    X, Y = create_data(1)
    moved = {}
    for factor in (1.0, 10.0, 0.0):
        network = train.compiled(Settings(**TINY, optimizer=name, deep_rate=factor), X, Y)
        before = network.get_weights()
        network.train_on_batch(X, Y)
        moved[factor] = {variable.path: np.abs(a - b).max() for variable, a, b in zip(
            network.weights, network.get_weights(), before, strict=True)}
    deep = {path for path in moved[1.0] if path.startswith(("down_3", "down_4", "down_5", "bottom", "up_3", "up_4",
                                                            "up_5"))}
    assert len(deep) == 28  # kernels and biases of 14 convolutions
    rounding = 1e-8 if name == "sgd" else 1e-12  # plain steps may be smaller than the last digit of a weight
    for path, normal in moved[1.0].items():
        assert moved[0.0][path] == (0 if path in deep else normal)
        assert moved[10.0][path] == pytest.approx(normal * (10 if path in deep else 1), rel=0.01, abs=rounding)


def test_the_rate_warms_up_and_falls_to_nothing_or_stays():
    def rates(**changes):
        optimizer = optimizers.make_optimizer(Settings(steps=100, warm_up=0.2, learning_rate=0.5, **changes), ())
        optimizer.build([keras.Variable(np.zeros((2, 2), "float32"))])
        for step in (0, 10, 20, 60, 100):
            optimizer.iterations.assign(step)
            yield float(keras.ops.convert_to_numpy(optimizer.learning_rate))

    # it starts at one step's worth of the warm-up, and half of the cosine is half of the rate
    assert [*rates()] == pytest.approx([0.025, 0.2625, 0.5, 0.25, 0], abs=1e-6)
    assert [*rates(schedule="constant")] == [0.5] * 5


def test_gradients_are_clipped_by_their_common_norm():
    kernels = [keras.Variable(np.zeros((2, 2), "float32")) for _ in range(2)]
    for limit, moved in ((1.0, 8**-0.5), (0.0, 3.0)):
        optimizer = optimizers.make_optimizer(Settings(
            optimizer="sgd", schedule="constant", learning_rate=1.0, bias_rate=1.0, clip_norm=limit), ())
        optimizer.build(kernels)
        before = keras.ops.convert_to_numpy(kernels[0]).copy()
        gradient = np.full((2, 2), 3.0, "float32")  # the two together have norm 3 * 8**0.5
        optimizer.apply_gradients([(keras.ops.convert_to_tensor(gradient), kernel) for kernel in kernels])
        assert before - keras.ops.convert_to_numpy(kernels[0]) == pytest.approx(moved, rel=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="other backends use Keras' own Adam")
@pytest.mark.parametrize("changes", [
    {}, {"xla": True}, {"bias_rate": 1.0}, {"clip_norm": 0.0}, {"scale": 8.0}], ids=str)
def test_the_fused_adam_agrees_with_that_of_keras(changes, monkeypatch):
    import tensorflow

    from common.fused_adam import FusedAdam

    xla, scale = changes.get("xla", False), changes.get("scale", 1.0)
    settings = Settings(steps=20, **{name: value for name, value in changes.items() if name not in ("xla", "scale")})
    generator = np.random.default_rng(0)
    shapes = (3, 3, 4, 8), (8,), (3, 3, 8, 1), (1,)
    # from gradients so small that epsilon counts to such that are clipped
    gradients = [[tensorflow.constant(scale * generator.standard_normal(shape) * 10.0 ** (step / 2 - 8), "float32")
                  for shape in shapes] for step in range(20)]
    after, kinds = [], []
    for kind in (optimizers.adam(), keras.optimizers.Adam):
        monkeypatch.setattr(optimizers, "adam", lambda kind=kind: kind)
        optimizer = optimizers.make_optimizer(settings, ())
        kinds.append(isinstance(optimizer, FusedAdam))
        if scale != 1:  # as with --precision mixed_float16
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=scale)
        variables = [keras.Variable(np.ones(shape, "float32")) for shape in shapes]
        optimizer.build(variables)
        update = tensorflow.function(lambda optimizer, *of: optimizer.apply(of), jit_compile=xla)
        for of in gradients:
            update(optimizer, *of)
        after.append([keras.ops.convert_to_numpy(variable) for variable in variables])
    assert kinds == [True, False]
    for ours, theirs in zip(*after, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)
        assert np.abs(theirs - 1).mean() > 1e-3  # it has moved
