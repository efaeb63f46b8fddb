"""How the network is trained: samples in turn, the optimiser, what a precision needs."""

import numpy as np
import pytest

import model as network
import recipe
from data import create_data
from settings import Settings, UserError


def test_samples_come_in_turn_and_augmented_ones_differ_each_time():
    X, Y = create_data(2)
    for settings in (Settings(samples=2), Settings(samples=2, augment=True)):
        batches = recipe.samples_in_turn(settings, X, Y)
        drawn = [[np.asarray(array) for array in next(batches)] for _ in range(4)]
        for number, (x, y) in enumerate(drawn):
            assert x.shape == y.shape == (1, 160, 160, 1)
            assert np.array_equal(np.sort(x.ravel()), np.sort(X[number % 2].ravel()))
            assert y.sum() == Y[number % 2].sum()
            assert np.array_equal(x[0], X[number % 2]) != settings.augment
        assert np.array_equal(drawn[0][0], drawn[2][0]) != settings.augment


def test_biases_can_have_a_learning_rate_of_their_own():
    X, Y = create_data(1)
    moved = {}
    for factor in (1.0, 0.0):
        settings = Settings(width=0.04, bias_rate=factor)
        model = recipe.compiled(settings, X, Y)
        before = model.get_weights()
        model.train_on_batch(X, Y)
        moved[factor] = [np.abs(a - b).max() for a, b in zip(model.get_weights(), before, strict=True)]
    biases = [variable.name == "bias" for variable in model.weights]
    assert sum(biases) == 23
    for bias, normal, still in zip(biases, moved[1.0], moved[0.0], strict=True):
        assert still == (0 if bias else normal)
    assert sum(normal > 0 for bias, normal in zip(biases, moved[1.0], strict=True) if bias) > 20


def test_half_floats_on_a_cpu_are_refused():
    if network.device() != "CPU":
        pytest.skip("a GPU is there")
    with pytest.raises(UserError, match="--precision mixed_float16 is only slower on a CPU"):
        recipe.compiled(Settings(precision="mixed_float16"), *create_data(1))
