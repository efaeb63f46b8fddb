"""The networks: their size, what they see, the image sizes they take, and that they are Keras."""

import numpy as np
import pytest

import model
import train
from common import model_file
from common.layers import Border
from common.optimizers import DEEP
from common.settings import Settings
from data import create_data

NARROW = Settings(width=0.125)
SMALL = dict(size=(64, 64), radius=(8, 12), width=0.125, steps=2, validation=2, watch=1)
keras, layers = model.keras, model.layers


@pytest.fixture(scope="module")
def narrow():
    """An untrained network of width 1/8."""
    return model.build(NARROW, 39.5, 533.0)


def noise(*shape):
    return np.random.default_rng(0).integers(80, size=shape).astype("float32")


def filters(network):
    """How many filters each convolution has."""
    return [layer.filters for layer in network.layers if isinstance(layer, layers.Conv2D)]


def test_the_network_of_2017_has_13360593_parameters():
    network = model.build()
    assert network.count_params() == 13_360_593
    assert filters(network) == [
        32, 32, 64, 64, 128, 128, 256, 256, 512, 512, 512, 512,
        256, 256, 128, 128, 64, 64, 32, 32, 16, 16, 1]


def test_width_scales_every_level(narrow):
    assert filters(narrow)[::2] == [4, 8, 16, 32, 64, 64, 32, 16, 8, 4, 2, 1]


@pytest.mark.parametrize(("initial_weights", "ratio"), [("he-normal", 1.0), ("2017", 0.8796)])
def test_the_weights_of_2017_are_a_truncated_normal_that_is_not_made_up_for(initial_weights, ratio):
    network = model.build(Settings(initial_weights=initial_weights))
    for name in ("down_3_convolution_1", "bottom_convolution_2", "up_5_convolution_1"):
        kernel, _ = network.get_layer(name).get_weights()
        deviation = np.sqrt(2 / np.prod(kernel.shape[:3]))
        assert kernel.std() == pytest.approx(ratio * deviation, rel=0.01)
        assert abs(kernel).max() <= 2.3 * deviation


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (100, 160)])
def test_any_size_gives_a_probability_for_every_pixel_by_reflection(narrow, size):
    X = noise(3, *size, 1)
    P = model.predict(narrow, X)
    assert P.shape == (3, *size, 1)
    assert P.dtype == np.float32
    assert 0 < P.min() < P.max() < 1
    height, width = size
    rows, columns = -height % 32, -width % 32
    padded = np.pad(X, [(0, 0), (0, rows), (0, columns), (0, 0)], mode="reflect")
    assert pytest.approx(model.predict(narrow, padded)[:, :height, :width], abs=1e-6) == P


@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_predictions_do_not_depend_on_how_many_images_there_are(narrow, count):
    X, _ = create_data(9, Settings(size=(64, 64), radius=(8, 12)))
    single = [model.predict(narrow, image[np.newaxis]) for image in X[:count]]
    assert model.predict(narrow, X[:count]) == pytest.approx(np.concatenate(single), abs=1e-5)


def test_half_precision_computes_in_half_and_keeps_float32_outside():
    full = model.build(NARROW, 39.5, 533.0)
    half = model.build(Settings(width=0.125, precision="mixed_bfloat16"), 39.5, 533.0)
    half.set_weights(full.get_weights())
    assert {weight.dtype for weight in half.trainable_weights} == {"float32"}
    assert half.get_layer("bottom_convolution_1").compute_dtype == "bfloat16"
    X = noise(1, 40, 50, 1)
    difference = np.abs(model.predict(half, X) - model.predict(full, X))
    assert model.predict(half, X).dtype == np.float32
    assert 0 < difference.max() < 0.1


def test_output_bias_starts_at_the_share_of_the_foreground():
    for share in (0.1, 0.0):
        network = model.build(NARROW, share=share)
        _, bias = network.get_layer("output_convolution").get_weights()
        assert 1 / (1 + np.exp(-bias)) == pytest.approx(max(share, 0.001), rel=1e-5)
    network = model.build(Settings(width=0.125, output_bias="zero"), share=0.1)
    assert network.get_layer("output_convolution").get_weights()[1] == 0


def test_a_gain_multiplies_the_kernels_of_its_levels_and_leaves_the_others_bit_for_bit():
    plain = model.build(NARROW)
    for levels, begins in (((3, 6), DEEP), ((0, 0), "output")):
        changed = model.build(Settings(width=0.125, gain=0.5, gain_levels=levels))
        for one, other in zip(plain.weights, changed.weights, strict=True):
            kernel = one.path.startswith(begins) and len(one.shape) == 4
            before, after = map(keras.ops.convert_to_numpy, (one, other))
            assert np.array_equal(before * 0.5 if kernel else before, after), one.path


@pytest.mark.parametrize(("coordinates", "commutes"), [("flat", True), ("ramp", False)])
def test_without_a_border_only_coordinates_that_differ_tell_the_place(coordinates, commutes):
    settings = Settings(
        width=0.125, padding="circular", coordinates=coordinates, size=(64, 64), radius=(8, 12))
    network = model.build(settings, 39.5, 533.0)
    X = noise(1, 64, 64, 1)
    shifted = model.predict(network, np.roll(X, 32, axis=2))
    difference = np.abs(shifted - np.roll(model.predict(network, X), 32, axis=2)).max()
    assert (difference < 1e-5) == commutes


def test_normalisation_is_part_of_the_network():
    plain, shifted = model.build(NARROW), model.build(NARROW, 30, 25)
    X = noise(1, 32, 32, 1) / 80
    predictions = model.predict(shifted, X * 5 + 30)
    assert predictions == pytest.approx(model.predict(plain, X), abs=1e-5)


@pytest.mark.parametrize("name", ["unet", "unet-without-skips", "convolutions", "pixel", "dense"])
def test_every_layer_of_a_network_without_a_padding_of_its_own_comes_with_keras(name):
    network = model.build(Settings(network=name, width=0.125))
    modules = {type(layer).__module__.partition(".")[0] for layer in network.layers}
    assert modules == {"keras"}
    assert not any(isinstance(layer, layers.Lambda) for layer in network.layers)


@pytest.mark.parametrize("changes", [
    {"network": "unet-without-skips"}, {"network": "pixel"}, {"padding": "reflect"},
    {"network": "dense", "size": (40, 50)}, {"network": "convolutions", "padding": "circular"},
    {"padding": "mean", "padding_levels": (2, 4)},
    {"coordinates": "noise"}, {"coordinates": "ramp", "size": (40, 50)},
], ids=str)
def test_every_variant_trains_and_is_loaded_again(changes, tmp_path, eager):
    run = train.train(Settings(**{**SMALL, **changes}))
    assert run.history[-1]["loss"] < run.history[0]["loss"]
    model_file.save(run.network, tmp_path / "model.keras")
    loaded = model_file.load(tmp_path / "model.keras")
    loaded.run_eagerly = True
    P = model.predict(loaded, run.validation[0])
    assert pytest.approx(run.probabilities, abs=1e-5) == P


def test_a_network_that_sees_a_whole_image_at_once_gets_no_tiles():
    for changes, is_local in (
            ({}, True), ({"padding": "reflect"}, True), ({"padding": "mean"}, False),
            ({"padding": "circular"}, False), ({"network": "dense"}, False)):
        assert model.is_local(model.build(Settings(**{**SMALL, **changes}))) == is_local


def test_a_dense_network_has_as_many_parameters_as_the_unet_and_no_convolution():
    network = model.build(Settings(network="dense"))
    assert network.count_params() == 25_600 * 256 + 256 + 256 * 25_600 + 25_600
    assert not filters(network)


def test_without_skips_the_parameters_of_the_skips_are_missing():
    with_skips = model.build().count_params()
    without = model.build(Settings(network="unet-without-skips")).count_params()
    skips = [9 * down * up for down, up in zip(model.DOWN[::-1], model.UP, strict=True)]
    assert with_skips - without == sum(skips)


def test_convolutions_are_as_many_as_depth_says():
    for depth in (12, 22):
        network = model.build(Settings(network="convolutions", depth=depth))
        assert len(filters(network)) == depth + 1  # and the one that ends it


def depends_on(settings, seen, *places):
    """Whether the probability at the pixel `seen` of an image depends on those at each place."""
    network = model.build(settings, 39.5, 533.0)
    X = np.repeat(noise(1, 96, 96, 1), len(places) + 1, axis=0)
    for image, place in zip(X[1:], places, strict=True):
        image[place] += 50
    first, *others = model.predict(network, X)[:, seen[0], seen[1], 0]
    return [probability != first for probability in others]


def test_a_pixel_network_sees_one_pixel_and_convolutions_see_25_by_25():
    around = np.ones((96, 96), bool)
    around[48, 48] = False
    assert depends_on(Settings(network="pixel"), (48, 48), np.s_[48, 48], around) == [True, False]
    outside = np.ones((96, 96), bool)
    outside[36:61, 36:61] = False
    places = np.s_[36:37, 36:61], np.s_[36:61, 60:61], outside
    convolutions = Settings(network="convolutions")
    assert depends_on(convolutions, (48, 48), *places) == [True, True, False]


@pytest.mark.parametrize(("padding", "across"), [
    ("zero", False), ("reflect", False), ("circular", True)])
def test_circular_padding_sees_across_the_border_and_the_others_do_not(padding, across):
    settings = Settings(network="convolutions", padding=padding)
    assert depends_on(settings, (0, 48), np.s_[90:, :], np.s_[5, 48]) == [across, True]


@pytest.mark.parametrize(("levels", "commutes"), [((1, 6), True), ((1, 5), False)])
def test_with_circular_padding_everywhere_the_network_commutes_with_a_shift_of_32(levels, commutes):
    settings = Settings(width=0.125, padding="circular", padding_levels=levels)
    network = model.build(settings, 39.5, 533.0)
    X = noise(1, 96, 96, 1)
    shifted = np.roll(model.predict(network, X), (32, 64), axis=(1, 2))
    there = model.predict(network, np.roll(X, (32, 64), axis=(1, 2)))
    assert (abs(there - shifted).max() < 1e-5) == commutes


@pytest.mark.parametrize(("padding", "row"), [
    ("reflect", [2, 1, 2, 3, 2]), ("circular", [3, 1, 2, 3, 1]), ("mean", [2, 1, 2, 3, 2])])
def test_a_border_is_what_its_name_says(padding, row):
    image = np.array([[1, 2, 3]] * 3, "float32")[np.newaxis, ..., np.newaxis]
    bordered = keras.ops.convert_to_numpy(Border(padding)(image))[0, ..., 0]
    assert bordered[1:-1] == pytest.approx(np.array([row] * 3))
    assert bordered[0] == pytest.approx([2] * 5 if padding == "mean" else row)


def test_the_network_prints_a_table_that_adds_up():
    lines = model.describe(model.build(size=(160, 160)))
    assert lines[-1].split() == ["total", "13,360,593"]
    parameters = [int(line.split()[-1].replace(",", "")) for line in lines[1:-1]]
    assert sum(parameters) == 13_360_593
    assert "5 x 5" in lines[6]
