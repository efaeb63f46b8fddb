"""The training: samples in turn, of any size; the losses; which pixels count; when it is scored."""

import numpy as np
import pytest

import model
import train
from common.backend import device, keras
from common.errors import UserError
from common.losses import make_loss
from common.settings import Settings
from data import create_data, training_masks

SMALL = dict(size=(64, 64), radius=(8, 12), width=0.125, steps=2, validation=2, watch=1)
ODD = {**SMALL, "size": (50, 70)}  # sides that 32 does not divide


def drawn(settings, X, Y, count):
    """The first samples that are trained on, a list of pairs of arrays."""
    samples = train.samples_in_turn(settings, X, Y)
    return [tuple(map(keras.ops.convert_to_numpy, next(samples))) for _ in range(count)]


@pytest.mark.parametrize("augmented", [False, True])
def test_samples_come_in_turn_and_augmented_ones_differ_each_time(augmented):
    settings = Settings(samples=2, augment=augmented)
    X, Y = create_data(2)
    samples = drawn(settings, X, Y, 4)
    for number, (image, mask) in enumerate(samples):
        assert image.shape == mask.shape == (1, 160, 160, 1)
        assert np.array_equal(np.sort(image.ravel()), np.sort(X[number % 2].ravel()))
        assert mask.sum() == Y[number % 2].sum()
        assert np.array_equal(image[0], X[number % 2]) != augmented
    assert np.array_equal(samples[0][0], samples[2][0]) != augmented
    later = next(train.samples_in_turn(settings, X, Y, skip=3))
    assert np.array_equal(later, samples[3])


@pytest.mark.parametrize("changes", [{"supervised_pixels": 300}, {"augment": True}])
def test_samples_of_any_size_are_padded_by_reflection_with_their_masks(changes):
    settings = Settings(**ODD, **changes)
    X, Y = create_data(1, settings)
    _, targets = training_masks(Y, settings)
    for image, mask in drawn(settings, X, targets, 3):
        for array in (image, mask):
            around = [(0, 0), (0, 14), (0, 26), (0, 0)]
            assert np.array_equal(array, np.pad(array[:, :50, :70], around, mode="reflect"))
        assert np.array_equal(np.sort(image[:, :50, :70].ravel()), np.sort(X.ravel()))
        assert mask[:, :50, :70].sum() == targets.sum()


@pytest.mark.parametrize("changes", [{}, {"augment": True}, {"network": "pixel"}], ids=str)
def test_sizes_that_32_does_not_divide_are_trained_and_predicted_as_they_are(changes, eager):
    run = train.train(Settings(**{**ODD, "steps": 4, **changes}))
    assert run.history[-1]["loss"] < run.history[0]["loss"]
    assert run.train[0].shape == (1, 50, 70, 1)
    assert run.probabilities.shape == run.validation[1].shape == (2, 50, 70, 1)
    assert {array.shape for array in run.snapshots.values()} == {(2, 50, 70, 1)}


def test_a_network_starts_at_the_share_of_its_sample():
    settings = Settings(width=0.04)
    X, Y = create_data(1, settings)
    network = train.compile_network(settings, X, Y)
    _, bias = network.get_layer("output_convolution").get_weights()
    assert 1 / (1 + np.exp(-bias)) == pytest.approx(Y.mean(), rel=1e-5)


def loss(Y, P, **settings):
    """The loss of masks and probabilities, a number for each image or one for all."""
    tensors = map(keras.ops.convert_to_tensor, (Y, P))
    return keras.ops.convert_to_numpy(make_loss(Settings(**settings))(*tensors))


def test_losses_are_what_their_names_say():
    _, Y = create_data(1)
    P = np.clip(np.random.default_rng(0).random(Y.shape), 0.01, 0.99).astype("float32")
    cross_entropy = -np.mean(Y * np.log(P) + (1 - Y) * np.log(1 - P))
    dice = 1 - 2 * (Y * P).sum() / (Y + P).sum()
    for name, expected in (
            ("cross-entropy", cross_entropy), ("dice", dice), ("both", cross_entropy + dice)):
        assert loss(Y, P, loss=name, label_smoothing=0.0) == pytest.approx(expected, rel=1e-4)
    smooth = Y * 0.9 + 0.05
    assert loss(Y, P, label_smoothing=0.1) == pytest.approx(
        -np.mean(smooth * np.log(P) + (1 - smooth) * np.log(1 - P)), rel=1e-4)


def test_dice_without_smoothing_is_that_of_keras_to_the_last_bit():
    _, Y = create_data(6)
    P = np.random.default_rng(0).random(Y.shape, "float32")
    Y[:2] = P[1:3] = 0  # of nothing and of next to nothing Keras' epsilon decides
    P[0] *= 1e-9
    expected = keras.losses.Dice(reduction="none", axis=(1, 2, 3))(Y, P)
    assert np.array_equal(loss(Y, P, loss="dice"), keras.ops.convert_to_numpy(expected))


@pytest.mark.parametrize("smoothing", [1.0, 100.0])
def test_smoothing_is_added_to_numerator_and_denominator_of_the_dice_of_each_image(smoothing):
    _, Y = create_data(4)
    Y[0] = 0
    P = np.random.default_rng(0).random(Y.shape, "float32")
    P[1] = 0
    both = (Y * P).sum(axis=(1, 2, 3), dtype="float64")
    total = (Y + P).sum(axis=(1, 2, 3), dtype="float64")
    expected = 1 - (2 * both + smoothing) / (total + smoothing)
    found = loss(Y, P, loss="dice", dice_smoothing=smoothing)
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["cross-entropy", "dice", "both"])
def test_a_loss_is_that_of_the_labelled_pixels_alone(name):
    _, Y = create_data(1)
    P = np.random.default_rng(0).random(Y.shape, "float32")
    half = Y.copy()
    half[:, 80:] = -1
    upper = loss(Y[:, :80], P[:, :80], loss=name)
    assert loss(half, P, loss=name) == pytest.approx(upper, rel=1e-5)
    assert np.isfinite(loss(np.full_like(Y, -1), P, loss=name))  # a crop may miss every stroke


def test_the_labels_of_other_pixels_do_not_count():
    settings = Settings(**SMALL, supervised_pixels=50, loss="both", augment=True)
    X, Y = create_data(1, settings)
    _, targets = training_masks(Y, settings)
    seen = targets >= 0
    weights = []
    for labels in (Y, np.where(seen, Y, 1 - Y), np.where(seen, 1 - Y, Y)):
        network = train.compile_network(settings, X, targets)
        network.run_eagerly = True  # a single step is not worth tracing
        _, hidden = training_masks(labels.astype("float32"), settings)
        network.train_on_batch(*next(train.samples_in_turn(settings, X, hidden)))
        weights.append(np.concatenate([array.ravel() for array in network.get_weights()]))
    assert np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_a_step_can_be_compiled_as_keras_does_on_a_gpu():
    if keras.backend.backend() == "torch":
        pytest.skip("jit_compile is another compiler there")
    # The U-Net is plain Keras and takes a minute to compile; loss and optimiser are ours.
    settings = Settings(**SMALL, network="pixel", schedule="constant")
    X, Y = create_data(1, settings)
    results = []
    for compiled in (False, True):
        network = train.compile_network(settings, X, Y)
        network.compile(network.optimizer, network.loss, jit_compile=compiled)
        samples = train.samples_in_turn(settings, X, Y)
        results.append([network.train_on_batch(*next(samples)) for _ in range(4)])
    assert results[1] == pytest.approx(results[0], abs=1e-4)


def test_half_floats_on_a_cpu_are_refused():
    if device() != "CPU":
        pytest.skip("a GPU is there")
    with pytest.raises(UserError, match="--precision mixed_float16 is only slower on a CPU"):
        train.train(Settings(**SMALL, precision="mixed_float16"))


@pytest.mark.parametrize("changes", [{}, {"steps": 1}, {"steps": 5, "evaluations": 40}], ids=str)
def test_it_is_scored_from_the_first_to_the_last_step_and_shown_where_it_is_scored(changes):
    settings = Settings(**changes)
    steps = train.evaluation_steps(settings)
    assert (steps[0], steps[-1]) == (0, settings.steps)
    assert steps == sorted(set(steps))
    assert {0, settings.steps} <= train.snapshot_steps(settings) <= set(steps)


def test_the_report_is_told_of_every_step_and_scores_are_of_the_weights_of_that_step(eager):
    told = []

    def report(step, row):
        told.append((step, row["step"]))

    run = train.train(Settings(**{**SMALL, "steps": 3, "evaluations": 1}), report)
    assert told == [(0, 0), (1, 0), (2, 0), (3, 3)]
    assert [row["val_images"] for row in run.history] == [1, 2]
    row, _, P = train.evaluate(run.network, *run.train, *run.validation)
    assert pytest.approx(P, abs=1e-5) == run.probabilities
    assert {name: run.history[-1][name] for name in row} == pytest.approx(row)
    images = np.concatenate([run.train[0], run.validation[0][:1]])
    assert run.snapshots[3] == pytest.approx(model.predict(run.network, images), abs=1e-5)
