"""The networks: their size, what they see, the image sizes they take, and that they are plain Keras."""

import numpy as np
import pytest

import model
import train
from common import networks
from common.settings import Settings
from data import create_data

NARROW = Settings(width=0.125)
SMALL = dict(size=(64, 64), radius=(8, 12), width=0.125, steps=2, validation=2, watch=1)
keras, layers = model.keras, model.layers


@pytest.fixture(scope="module")
def narrow():
    """An untrained network of width 1/8."""
    keras.utils.set_random_seed(0)
    return model.build(NARROW, 39.5, 533.0)


def noise(*shape):
    return np.random.default_rng(0).integers(80, size=shape).astype("float32")


def convolutions(network):
    return [layer for layer in network.layers if isinstance(layer, layers.Conv2D)]


def test_the_network_of_2017_has_13360593_parameters():
    network = model.build(Settings(), 39.5, 533.0)
    assert sum(int(np.prod(weight.shape)) for weight in network.trainable_weights) == 13_360_593
    assert network.count_params() == 13_360_593  # and normalisation, the first layer, has none to train
    assert [layer.filters for layer in convolutions(network)] == [
        32, 32, 64, 64, 128, 128, 256, 256, 512, 512, 512, 512, 256, 256, 128, 128, 64, 64, 32, 32, 16, 16, 1]


def test_the_weights_of_2017_are_a_truncated_normal_that_is_not_made_up_for():
    for initial_weights, ratio in (("he-normal", 1.0), ("2017", 0.8796)):  # the deviation that truncation leaves
        network = model.build(Settings(initial_weights=initial_weights), 39.5, 533.0)
        for name in ("down_3_convolution_1", "bottom_convolution_2", "up_5_convolution_1"):
            kernel = network.get_layer(name).get_weights()[0]
            assert kernel.std() == pytest.approx(ratio * np.sqrt(2 / np.prod(kernel.shape[:3])), rel=0.01)
            assert abs(kernel).max() <= 2.3 * np.sqrt(2 / np.prod(kernel.shape[:3]))
    assert abs(network.get_layer("output_convolution").get_weights()[0]).max() <= 2 * np.sqrt(2 / 16)


def test_width_scales_every_level(narrow):
    assert [layer.filters for layer in convolutions(narrow)[::2]] == [4, 8, 16, 32, 64, 64, 32, 16, 8, 4, 2, 1]


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (33, 47), (100, 160), (161, 63)])
def test_any_size_gives_a_probability_for_every_pixel(narrow, size):
    P = model.predict(narrow, noise(3, *size, 1))
    assert P.shape == (3, *size, 1)
    assert P.dtype == np.float32
    assert (P > 0).all()
    assert (P < 1).all()


def test_odd_sizes_are_padded_by_reflection_at_bottom_and_right(narrow):
    X = noise(1, 40, 50, 1)
    padded = np.pad(X, [(0, 0), (0, 24), (0, 14), (0, 0)], mode="reflect")
    assert np.array_equal(model.pad(X), padded)
    assert model.predict(narrow, X) == pytest.approx(model.predict(narrow, padded)[:, :40, :50], abs=1e-6)
    assert np.array_equal(model.pad(padded), padded)


@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_predictions_do_not_depend_on_how_many_images_there_are_and_batches_are_of_one_size(narrow, monkeypatch, count):
    X, _ = create_data(9, Settings(size=(64, 64), radius=(8, 12)))
    expected, sizes, predict = model.predict(narrow, X), set(), narrow.predict_on_batch
    monkeypatch.setattr(narrow, "predict_on_batch", lambda batch: sizes.add(batch.shape) or predict(batch))
    assert np.array_equal(model.predict(narrow, X[:count]), expected[:count])
    assert sizes == {(4, 64, 64, 1)}  # another would be traced anew
    single = np.concatenate([predict(image[np.newaxis]) for image in X[:count]])
    assert expected[:count] == pytest.approx(single, abs=1e-5)
    large = np.tile(X[:2], (1, 8, 8, 1))
    assert model.predict(narrow, large)[0] == pytest.approx(predict(large[:1])[0], abs=1e-5)
    assert sizes == {(4, 64, 64, 1), (1, 512, 512, 1)}  # large images do not fill the memory


def test_half_precision_computes_in_half_and_keeps_float32_outside():
    keras.utils.set_random_seed(2)
    full = model.build(NARROW, 39.5, 533.0)
    half = model.build(Settings(width=0.125, precision="mixed_bfloat16"), 39.5, 533.0)
    half.set_weights(full.get_weights())
    assert {weight.dtype for weight in half.trainable_weights} == {"float32"}
    assert half.get_layer("bottom_convolution_1").compute_dtype == "bfloat16"
    assert full.get_layer("bottom_convolution_1").compute_dtype == "float32"
    X = noise(1, 40, 50, 1)
    difference = np.abs(model.predict(half, X) - model.predict(full, X))
    assert model.predict(half, X).dtype == np.float32
    assert 0 < difference.max() < 0.1


def test_output_bias_starts_at_the_share_of_the_foreground():
    for share in (0.1, 0.0):
        weights = model.build(NARROW, 39.5, 533.0, share=share).get_layer("output_convolution").get_weights()
        assert 1 / (1 + np.exp(-weights[1])) == pytest.approx(max(share, 0.001), rel=1e-5)
    zero = model.build(Settings(width=0.125, output_bias="zero"), 39.5, 533.0, share=0.1)
    assert zero.get_layer("output_convolution").get_weights()[1] == 0


def test_normalisation_is_part_of_the_network():
    keras.utils.set_random_seed(1)
    plain = model.build(NARROW)
    shifted = model.build(NARROW, 30, 25)
    shifted.set_weights(plain.get_weights())
    X = noise(1, 32, 32, 1) / 80
    assert model.predict(shifted, X * 5 + 30) == pytest.approx(model.predict(plain, X), abs=1e-5)


@pytest.mark.parametrize("name", ["unet", "unet-without-skips", "convolutions", "pixel", "dense"])
def test_every_layer_of_a_network_without_a_padding_of_its_own_comes_with_keras(name):
    network = model.build(Settings(network=name, width=0.125))
    assert {type(layer).__module__.partition(".")[0] for layer in network.layers} == {"keras"}
    assert not any(isinstance(layer, layers.Lambda) for layer in network.layers)


def test_a_network_that_sees_a_whole_image_at_once_gets_no_tiles():
    for changes, local in (({}, True), ({"padding": "reflect"}, True), ({"padding": "mean"}, False),
                           ({"padding": "circular"}, False), ({"network": "dense"}, False)):
        assert model.local(model.build(Settings(**{**SMALL, **changes}))) == local
    dense = model.build(Settings(network="dense", size=(32, 1056), radius=(3, 9), width=1 / 32))
    assert model.predict(dense, noise(1, 32, 1056, 1)).shape == (1, 32, 1056, 1)


def test_the_network_prints_a_table_that_adds_up(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["model.py", "--size", "160", "160"])
    model.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].split() == ["total", "13,360,593"]
    assert sum(int(line.split()[-1].replace(",", "")) for line in lines[1:-1]) == 13_360_593
    assert "5 x 5" in lines[6]
    assert len(lines) == 14


@pytest.mark.parametrize("changes", [
    {"network": "unet-without-skips"}, {"network": "pixel"}, {"network": "dense"}, {"padding": "reflect"},
    {"network": "dense", "size": (40, 50)}, {"network": "convolutions", "padding": "circular"},
    {"padding": "mean", "padding_levels": (2, 4)},
], ids=str)
def test_every_variant_trains_and_is_loaded_again(changes, tmp_path, eager):
    run = train.train(Settings(**{**SMALL, **changes}))
    assert run.history[-1]["loss"] < run.history[0]["loss"]
    networks.save(run.network, tmp_path / "model.keras")
    loaded = networks.load(tmp_path / "model.keras")
    loaded.run_eagerly = True
    P = model.predict(loaded, run.validation[0])
    assert P.shape == run.validation[1].shape
    assert pytest.approx(run.probabilities, abs=1e-5) == P


def test_a_dense_network_has_as_many_parameters_as_the_unet_and_no_convolution():
    network = model.build(Settings(network="dense"))
    assert network.count_params() == 25_600 * 256 + 256 + 256 * 25_600 + 25_600
    assert not convolutions(network)


def changes(settings, places, seen):
    """Whether the probability at the pixel `seen` of a 96x96 image depends on those at each of `places`."""
    keras.utils.set_random_seed(3)
    network = model.build(settings, 39.5, 533.0)
    X = np.repeat(create_data(1, Settings(size=(96, 96)))[0], len(places) + 1, axis=0)
    for image, place in zip(X[1:], places, strict=True):
        image[place] += 50
    before, *after = model.predict(network, X)[(slice(None), *seen, 0)]
    return [probability != before for probability in after]


def test_a_pixel_network_sees_one_pixel_and_convolutions_see_25_by_25():
    inside, outside = np.s_[36:61, 36:61], np.ones((96, 96), bool)
    outside[inside] = False
    neighbours = np.zeros((96, 96), bool)
    neighbours[47:50, 47:50] = True
    neighbours[48, 48] = False
    assert changes(Settings(network="pixel"), [np.s_[48, 48], neighbours], (48, 48)) == [True, False]
    places = [np.s_[36:37, 36:61], np.s_[36:61, 60:61], outside]
    assert changes(Settings(network="convolutions"), places, (48, 48)) == [True, True, False]


def test_convolutions_are_as_many_as_depth_says():
    network = model.build(Settings(network="convolutions", depth=22))
    assert len(convolutions(network)) == 22 + 1  # and the one that ends it
    assert len(convolutions(model.build(Settings(network="convolutions")))) == 12 + 1


@pytest.mark.parametrize(("levels", "commutes"), [((1, 6), True), ((1, 5), False), ((2, 6), False)])
def test_with_circular_padding_everywhere_the_network_commutes_with_a_shift_of_32(levels, commutes):
    keras.utils.set_random_seed(0)
    network = model.build(Settings(width=0.125, padding="circular", padding_levels=levels), 39.5, 533.0)
    X = noise(1, 96, 96, 1)
    shifted = np.roll(model.predict(network, X), (32, 64), axis=(1, 2))
    there = model.predict(network, np.roll(X, (32, 64), axis=(1, 2)))
    assert (abs(there - shifted).max() < 1e-5) == commutes
    elsewhere = np.roll(model.predict(network, np.roll(X, 16, axis=1)), -16, axis=1)  # poolings do not divide 16
    assert abs(elsewhere - model.predict(network, X)).max() > 1e-5


def test_a_border_of_a_level_is_there_and_at_no_other_level():
    network = model.build(Settings(width=0.125, padding="circular", padding_levels=(5, 6)))
    borders = [layer.name for layer in network.layers if isinstance(layer, model.Border)]
    assert {name.rpartition("_convolution")[0] for name in borders} == {"down_5", "bottom", "up_5"}


def test_circular_padding_sees_across_the_border_and_the_others_do_not():
    for padding, across in (("zero", False), ("reflect", False), ("circular", True)):
        settings = Settings(network="convolutions", padding=padding)
        assert changes(settings, [np.s_[90:, :], np.s_[5, 48]], (0, 48)) == [across, True]


@pytest.mark.parametrize(("padding", "border"), [("reflect", [[2, 1, 2, 3, 2]]), ("circular", [[3, 1, 2, 3, 1]])])
def test_a_border_is_what_its_name_says(padding, border):
    image = np.array([[1, 2, 3]] * 3, "float32")[np.newaxis, ..., np.newaxis]
    assert keras.ops.convert_to_numpy(model.Border(padding)(image))[0, ..., 0].tolist() == border * 5


def test_a_border_of_the_mean_is_that_of_each_channel_of_each_image():
    maps = noise(2, 4, 5, 3)
    bordered = keras.ops.convert_to_numpy(model.Border("mean")(maps))
    assert bordered[:, 1:-1, 1:-1] == pytest.approx(maps, abs=1e-4)
    means = np.broadcast_to(maps.mean(axis=(1, 2), keepdims=True), (2, 4, 7, 3))
    for line in (bordered[:, :1], bordered[:, -1:], bordered[:, 1:-1, :1], bordered[:, 1:-1, -1:]):
        assert line == pytest.approx(means[:, : line.shape[1], : line.shape[2]], abs=1e-4)


def test_without_skips_the_parameters_of_the_skips_are_missing():
    with_skips, without = (model.build(Settings(network=name)) for name in ("unet", "unet-without-skips"))
    across = 9 * sum(down * up for down, up in zip(reversed(model.DOWN), model.UP, strict=True))
    assert with_skips.count_params() - without.count_params() == across
