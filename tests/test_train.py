"""The training: samples in turn, of any size; the losses; which pixels count; when it is scored."""

import numpy as np
import pytest

import model
import train
from common.backend import device, keras
from common.errors import UserError
from common.settings import Settings
from data import create_data

TINY = dict(width=0.04)  # at 160x160: at 64x64 PyTorch 2.13 fails in a convolution of its own
ODD = dict(size=(50, 70))  # sides that 32 does not divide
SMALL = dict(size=(64, 64), radius=(8, 12), width=0.125, steps=2, validation=2, watch=1)


def drawn(settings, X, Y, count):
    """The first samples that are trained on, each a list of arrays."""
    samples = train.samples_in_turn(settings, X, Y)
    return [[keras.ops.convert_to_numpy(array) for array in next(samples)] for _ in range(count)]


def reflected(array):
    """An image of 50 x 70, (50, 70, 1), as it is padded: (1, 64, 96, 1)."""
    return np.pad(array[np.newaxis], [(0, 0), (0, 14), (0, 26), (0, 0)], mode="reflect")


def test_samples_come_in_turn_and_augmented_ones_differ_each_time():
    X, Y = create_data(2)
    for settings in (Settings(samples=2), Settings(samples=2, augment=True)):
        samples = drawn(settings, X, Y, 4)
        for number, (x, y) in enumerate(samples):
            assert x.shape == y.shape == (1, 160, 160, 1)
            assert np.array_equal(np.sort(x.ravel()), np.sort(X[number % 2].ravel()))
            assert y.sum() == Y[number % 2].sum()
            assert np.array_equal(x[0], X[number % 2]) != settings.augment
        assert np.array_equal(samples[0][0], samples[2][0]) != settings.augment


def test_samples_of_any_size_are_padded_by_reflection_with_their_masks():
    settings = Settings(**{**SMALL, **ODD}, samples=2, supervised_pixels=300)
    X, Y = create_data(2, settings)
    Y = train.supervised(settings, Y)
    for number, sample in enumerate(drawn(settings, X, Y, 3)):
        for padded, original in zip(sample, (X, Y), strict=True):
            assert np.array_equal(padded, reflected(original[number % 2]))


def test_augmented_samples_are_moved_first_and_padded_then():
    settings = Settings(**{**SMALL, **ODD}, augment=True)
    X, Y = create_data(1, settings)
    for x, y in drawn(settings, X, Y, 3):
        assert np.array_equal(np.sort(x[:, :50, :70].ravel()), np.sort(X.ravel()))
        assert y[:, :50, :70].sum() == Y.sum()
        for padded in (x, y):
            assert np.array_equal(padded, reflected(padded[0, :50, :70]))


@pytest.mark.parametrize("changes", [{}, {"augment": True}, {"supervised_pixels": 300}, {"network": "pixel"}], ids=str)
def test_sizes_that_32_does_not_divide_are_trained_and_predicted_as_they_are(changes, eager):
    run = train.train(Settings(**{**SMALL, **ODD, "steps": 4, **changes}))
    assert run.history[-1]["loss"] < run.history[0]["loss"]
    assert run.train[0].shape == (1, 50, 70, 1)
    assert run.probabilities.shape == run.validation[1].shape == (2, 50, 70, 1)
    assert {probabilities.shape for probabilities in run.moments.values()} == {(2, 50, 70, 1)}


def test_initial_weights_follow_from_a_seed_of_their_own():
    def first(**seeds):
        return train.compiled(Settings(**TINY, **seeds), *create_data(1)).get_layer("bottom_convolution_1").kernel

    same, other, as_before = (np.array_equal(first(seed=1), first(**seeds))
                              for seeds in ({"seed": 2, "weights_seed": 1}, {"seed": 1, "weights_seed": 2},
                                            {"seed": 1, "weights_seed": 1}))
    assert (same, other, as_before) == (True, False, True)
    assert np.array_equal(create_data(1, Settings(seed=1, weights_seed=2)), create_data(1, Settings(seed=1)))


def test_a_network_starts_at_the_share_of_its_sample():
    settings = Settings(**TINY)
    X, Y = create_data(1, settings)
    bias = train.compiled(settings, X, Y).get_layer("output_convolution").get_weights()[1]
    assert 1 / (1 + np.exp(-bias)) == pytest.approx(Y.mean(), rel=1e-5)


def loss(Y, P, **settings):
    """The loss of masks and probabilities, a number for each image or one for all."""
    return keras.ops.convert_to_numpy(train.make_loss(Settings(**settings))(
        keras.ops.convert_to_tensor(Y), keras.ops.convert_to_tensor(P)))


def test_losses_are_what_their_names_say():
    _, Y = create_data(1)
    P = np.clip(np.random.default_rng(0).random(Y.shape), 0.01, 0.99).astype("float32")
    of = {name: loss(Y, P, loss=name, label_smoothing=0.0).item() for name in ("cross-entropy", "dice", "both")}
    assert of["cross-entropy"] == pytest.approx(-np.mean(Y * np.log(P) + (1 - Y) * np.log(1 - P)), rel=1e-4)
    assert of["dice"] == pytest.approx(1 - 2 * (Y * P).sum() / (Y + P).sum(), rel=1e-4)
    assert of["both"] == pytest.approx(of["cross-entropy"] + of["dice"], rel=1e-5)
    drawn_together = Y * 0.9 + 0.05
    assert loss(Y, P, label_smoothing=0.1) == pytest.approx(
        -np.mean(drawn_together * np.log(P) + (1 - drawn_together) * np.log(1 - P)), rel=1e-4)


def test_dice_without_smoothing_is_that_of_keras_to_the_last_bit():
    _, Y = create_data(6)
    P = np.random.default_rng(0).random(Y.shape, "float32")
    Y[:2] = P[1:3] = 0  # of nothing and of next to nothing Keras' epsilon decides
    P[0] *= 1e-9
    P[3] = Y[3]
    expected = keras.ops.convert_to_numpy(keras.losses.Dice(reduction="none", axis=(1, 2, 3))(Y, P))
    assert np.array_equal(loss(Y, P, loss="dice"), expected)
    assert expected.dtype == np.float32
    assert len(set(expected)) > 3


@pytest.mark.parametrize("smoothing", [1.0, 0.5, 100.0])
def test_smoothing_is_added_to_numerator_and_denominator_of_the_dice_of_each_image(smoothing):
    _, Y = create_data(4)
    Y[0] = 0
    P = np.random.default_rng(0).random(Y.shape, "float32")
    P[1] = 0
    both, total = (array.sum(axis=(1, 2, 3), dtype="float64") for array in (Y * P, Y + P))
    expected = 1 - (2 * both + smoothing) / (total + smoothing)
    assert loss(Y, P, loss="dice", dice_smoothing=smoothing) == pytest.approx(expected, abs=1e-6)
    assert loss(0 * Y, 0 * P, loss="dice", dice_smoothing=smoothing) == pytest.approx(0, abs=1e-6)


def test_a_step_and_a_prediction_can_be_compiled_as_keras_does_on_a_gpu():
    if keras.backend.backend() == "torch":
        pytest.skip("jit_compile is another compiler there")
    settings = Settings(**SMALL, schedule="constant")
    X, Y = create_data(1, settings)
    results = []
    for compiled in (False, True):
        network = train.compiled(settings, X, Y)
        network.compile(network.optimizer, network.loss, jit_compile=compiled)
        samples = train.samples_in_turn(settings, X, Y)
        losses = [network.train_on_batch(*next(samples)) for _ in range(4)]
        results.append((np.array(losses), model.predict(network, X)))
        assert network.jit_compile == compiled
    for plain, other in zip(*results, strict=True):
        assert other == pytest.approx(plain, abs=1e-4)
    losses, probabilities = results[0]
    assert losses[3] < losses[0]
    assert probabilities.max() - probabilities.min() > 0.01


def test_half_floats_on_a_cpu_are_refused():
    if device() != "CPU":
        pytest.skip("a GPU is there")
    with pytest.raises(UserError, match="--precision mixed_float16 is only slower on a CPU"):
        train.train(Settings(**SMALL, precision="mixed_float16"))


def test_supervised_pixels_are_counted_exactly_and_fewer_are_a_part_of_more():
    Y = create_data(2)[1]
    few, more, every = (train.supervised(Settings(supervised_pixels=n), Y) for n in (10, 1000, 0))
    assert ((few >= 0).sum(axis=(1, 2, 3)) == 10).all()
    assert ((more >= 0).sum(axis=(1, 2, 3)) == 1000).all()
    assert (more[few >= 0] >= 0).all()
    assert not np.array_equal(few[0] < 0, few[1] < 0)
    assert np.array_equal(every, Y)
    assert np.array_equal(more[more >= 0], Y[more >= 0])


def test_a_supervised_window_is_one_square_of_each_sample_anywhere_in_it():
    Y = train.supervised(Settings(supervised_window=32), create_data(40)[1])
    corners = set()
    for of_sample in Y[..., 0]:
        rows, columns = np.nonzero(of_sample >= 0)
        assert (rows.max() - rows.min(), columns.max() - columns.min(), len(rows)) == (31, 31, 1024)
        corners.add((rows.min(), columns.min()))
    assert len(corners) > 35


@pytest.mark.parametrize("changes", [{"supervised_pixels": 50}, {"supervised_window": 20},
                                     {"supervised_pixels": 50, "loss": "both", "augment": True}], ids=str)
def test_the_labels_of_other_pixels_do_not_count(changes):
    settings = Settings(**{**SMALL, **changes})
    X, Y = create_data(1, settings)
    seen = train.supervised(settings, Y) >= 0
    assert 0 < Y[seen].mean() < 1
    weights = []
    for labels in (Y, np.where(seen, Y, 1 - Y), np.where(seen, 1 - Y, Y)):
        labels = train.supervised(settings, labels.astype("float32"))
        network = train.compiled(settings, X, train.supervised(settings, Y))
        network.run_eagerly = True  # a single step is not worth tracing
        network.train_on_batch(*next(train.samples_in_turn(settings, X, labels)))
        weights.append(network.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(weights[0], weights[1], strict=True))
    assert any((a != b).any() for a, b in zip(weights[0], weights[2], strict=True))


@pytest.mark.parametrize("name", ["cross-entropy", "dice", "both"])
def test_a_loss_is_that_of_the_labelled_pixels_alone(name):
    _, Y = create_data(1)
    P = np.random.default_rng(0).random(Y.shape, "float32")
    half = Y.copy()
    half[:, 80:] = -1
    assert np.isfinite(loss(np.full_like(Y, -1), P, loss=name))  # a crop may miss every stroke
    assert loss(half, P, loss=name) == pytest.approx(loss(Y[:, :80], P[:, :80], loss=name), rel=1e-5)


@pytest.mark.parametrize("changes", [{}, {"steps": 1}, {"steps": 5, "evaluations": 40}, {"evaluations": 1}], ids=str)
def test_it_is_scored_from_the_first_to_the_last_step_and_shown_where_it_is_scored(changes):
    settings = Settings(**changes)
    steps = train.evaluation_steps(settings)
    assert (steps[0], steps[-1]) == (0, settings.steps)
    assert steps == sorted(set(steps))
    assert {0, settings.steps} <= train.moment_steps(settings) <= set(steps)


def test_the_report_is_told_of_every_step_and_scores_are_of_the_weights_of_that_step(eager):
    told = []
    run = train.train(Settings(**{**SMALL, "steps": 3, "evaluations": 1}),
                      lambda step, row: told.append((step, row["step"])))
    assert told == [(0, 0), (1, 0), (2, 0), (3, 3)]
    assert [row["step"] for row in run.history] == [0, 3]
    assert [row["val_images"] for row in run.history] == [1, 2]
    row, _, P = train.evaluate(run.network, run.train, run.validation)
    assert pytest.approx(P, abs=1e-5) == run.probabilities
    assert {name: run.history[-1][name] for name in row} == pytest.approx(row)
    assert run.moments[3] == pytest.approx(model.predict(run.network, np.concatenate(
        [run.train[0], run.validation[0][:1]])), abs=1e-5)
