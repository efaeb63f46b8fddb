"""How the network is trained: samples in turn, the losses, the optimiser."""

import numpy as np
import pytest

import model as network
import recipe
import train
from data import create_data
from settings import Settings

TINY = dict(width=0.04)  # at 160x160: at 64x64 PyTorch 2.13 fails in a convolution of its own


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


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_biases_can_have_a_learning_rate_of_their_own(name):
    X, Y = create_data(1)
    moved = {}
    for factor in (1.0, 0.0):
        settings = Settings(width=0.04, optimizer=name, bias_rate=factor)
        model = recipe.compiled(settings, X, Y)
        before = model.get_weights()
        model.train_on_batch(X, Y)
        moved[factor] = [np.abs(a - b).max() for a, b in zip(model.get_weights(), before, strict=True)]
    biases = [variable.name == "bias" for variable in model.weights]
    assert sum(biases) == 23
    for bias, normal, still in zip(biases, moved[1.0], moved[0.0], strict=True):
        assert still == (0 if bias else normal)
    assert sum(normal > 0 for bias, normal in zip(biases, moved[1.0], strict=True) if bias) > 20


def test_a_network_starts_at_the_share_of_its_sample():
    settings = Settings(**TINY)
    X, Y = create_data(1, settings)
    bias = recipe.compiled(settings, X, Y).get_layer("output_convolution").get_weights()[1]
    assert 1 / (1 + np.exp(-bias)) == pytest.approx(Y.mean(), rel=1e-5)


def test_losses_are_what_their_names_say():
    _, Y = create_data(1, Settings(**TINY))
    P = np.clip(np.random.default_rng(0).random(Y.shape), 0.01, 0.99).astype("float32")
    loss = {name: float(recipe.make_loss(Settings(loss=name, label_smoothing=0.0))(Y, P))
            for name in ("cross-entropy", "dice", "both", "focal")}
    assert loss["cross-entropy"] == pytest.approx(-np.mean(Y * np.log(P) + (1 - Y) * np.log(1 - P)), rel=1e-4)
    assert loss["dice"] == pytest.approx(1 - 2 * (Y * P).sum() / (Y + P).sum(), rel=1e-4)
    assert loss["both"] == pytest.approx(loss["cross-entropy"] + loss["dice"], rel=1e-5)
    right = np.where(Y > 0, P, 1 - P)
    assert loss["focal"] == pytest.approx(np.mean((1 - right) ** 2 * -np.log(right)), rel=1e-4)


def test_averages_of_the_weights_take_their_place_in_the_end():
    settings = Settings(**TINY, schedule="constant", steps=2, validation=2, watch=1, evaluations=1, averaging=0.9)
    X, Y = create_data(1, settings)
    model, points = recipe.compiled(settings, X, Y), []
    model.run_eagerly = True  # two steps are not worth tracing
    for _ in range(2):
        model.train_on_batch(X, Y)
        points.append(model.get_weights())
    average = train.train(settings).model.get_weights()
    # it starts at the weights after the first step
    for first, second, mean in zip(*points, average, strict=True):
        assert mean == pytest.approx(0.9 * first + 0.1 * second, abs=1e-5)
    assert max(np.abs(first - second).max() for first, second in zip(*points, strict=True)) > 1e-3


def test_weight_decay_shrinks_weights():
    keras = network.keras
    kernel = keras.Variable(np.ones((3, 3, 1, 1), "float32"))
    optimizer = recipe.make_optimizer(Settings(weight_decay=0.5, learning_rate=0.1, schedule="constant"))
    optimizer.build([kernel])
    optimizer.apply_gradients([(keras.ops.zeros((3, 3, 1, 1)), kernel)])
    assert keras.ops.convert_to_numpy(kernel) == pytest.approx(1 - 0.5 * 0.1)
