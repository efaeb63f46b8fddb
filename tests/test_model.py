"""The network: its size, the image sizes it takes, and that a saved one is the same one."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import model as network
from settings import Settings, UserError

REPOSITORY = Path(__file__).parent.parent
NARROW = Settings(width=0.125)


@pytest.fixture(scope="module")
def narrow():
    """An untrained network of width 1/8."""
    network.keras.utils.set_random_seed(0)
    return network.build(NARROW, 39.5, 533.0)


def noise(*shape):
    return np.random.default_rng(0).integers(80, size=shape).astype("float32")


def test_the_network_of_2017_has_13360593_parameters():
    model = network.build(Settings(), 39.5, 533.0)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == 13_360_593
    assert model.count_params() == 13_360_593  # and normalisation, the first layer, has none to train
    convolutions = [layer for layer in model.layers if isinstance(layer, network.layers.Conv2D)]
    assert [layer.filters for layer in convolutions] == [
        32, 32, 64, 64, 128, 128, 256, 256, 512, 512, 512, 512, 256, 256, 128, 128, 64, 64, 32, 32, 16, 16, 1]


def test_width_scales_every_level(narrow):
    convolutions = [layer for layer in narrow.layers if isinstance(layer, network.layers.Conv2D)]
    assert [layer.filters for layer in convolutions[::2]] == [4, 8, 16, 32, 64, 64, 32, 16, 8, 4, 2, 1]


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (33, 47), (100, 160), (161, 63)])
def test_any_size_gives_a_probability_for_every_pixel(narrow, size):
    P = network.predict(narrow, noise(3, *size, 1))
    assert P.shape == (3, *size, 1)
    assert P.dtype == np.float32
    assert (P > 0).all()
    assert (P < 1).all()


def test_odd_sizes_are_padded_by_reflection(narrow):
    X = noise(1, 40, 50, 1)
    padded = np.pad(X, [(0, 0), (0, 24), (0, 14), (0, 0)], mode="reflect")
    assert network.predict(narrow, X) == pytest.approx(network.predict(narrow, padded)[:, :40, :50], abs=1e-6)


def test_predictions_do_not_depend_on_the_batch(narrow, monkeypatch):
    X = noise(5, 64, 64, 1)
    together = network.predict(narrow, X)
    monkeypatch.setattr(network, "BATCH_PIXELS", 1)
    assert network.predict(narrow, X) == pytest.approx(together, abs=1e-5)


def test_half_precision_computes_in_half_and_keeps_float32_outside():
    network.keras.utils.set_random_seed(2)
    full = network.build(NARROW, 39.5, 533.0)
    half = network.build(Settings(width=0.125, precision="mixed_bfloat16"), 39.5, 533.0)
    half.set_weights(full.get_weights())
    assert {weight.dtype for weight in half.trainable_weights} == {"float32"}
    assert half.get_layer("bottom_convolution_1").compute_dtype == "bfloat16"
    assert full.get_layer("bottom_convolution_1").compute_dtype == "float32"
    X = noise(1, 40, 50, 1)
    difference = np.abs(network.predict(half, X) - network.predict(full, X))
    assert network.predict(half, X).dtype == np.float32
    assert 0 < difference.max() < 0.1


def test_output_bias_starts_at_the_share_of_the_foreground():
    for share in (0.1, 0.0):
        settings = Settings(width=0.125, output_bias="share")
        weights = network.build(settings, 39.5, 533.0, share=share).get_layer("output_convolution").get_weights()
        assert 1 / (1 + np.exp(-weights[1])) == pytest.approx(max(share, 0.001), rel=1e-5)
    zero = network.build(Settings(width=0.125, output_bias="zero"), 39.5, 533.0, share=0.1)
    assert zero.get_layer("output_convolution").get_weights()[1] == 0


def test_input_noise_and_dropout_disturb_the_training_only():
    X = noise(1, 64, 64, 1)
    for changes, count in ((dict(input_noise=0.5), 1), (dict(dropout=0.3), 5)):
        plain, disturbed = network.build(NARROW), network.build(Settings(width=0.125, **changes))
        assert len(disturbed.layers) == len(plain.layers) + count
        disturbed.set_weights(plain.get_weights())
        assert np.array_equal(network.predict(disturbed, X), network.predict(plain, X))
        trained = [network.ops.convert_to_numpy(model(X, training=True)) for model in (disturbed, plain)]
        assert np.abs(trained[0] - trained[1]).max() > 1e-6


def test_normalisation_is_part_of_the_network():
    network.keras.utils.set_random_seed(1)
    plain = network.build(NARROW)
    shifted = network.build(NARROW, 30, 25)
    shifted.set_weights(plain.get_weights())
    X = noise(1, 32, 32, 1) / 80
    assert network.predict(shifted, X * 5 + 30) == pytest.approx(network.predict(plain, X), abs=1e-5)


def test_a_saved_network_gives_the_same_probabilities_in_a_new_process(narrow, tmp_path):
    X = noise(2, 40, 50, 1)
    np.save(tmp_path / "X.npy", X)
    network.save(narrow, tmp_path / "model.keras")
    script = ("import sys, numpy; import model; folder = sys.argv[1]; X = numpy.load(folder + '/X.npy');"
              "numpy.save(folder + '/P.npy', model.predict(model.load(folder + '/model.keras'), X))")
    done = subprocess.run([sys.executable, "-c", script, tmp_path], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.load(tmp_path / "P.npy"), network.predict(narrow, X))


def test_a_file_that_is_no_network_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"model\.keras is missing; run train\.py first"):
        network.load(tmp_path / "model.keras")
    other = network.keras.Sequential([network.layers.Input((4,)), network.layers.Dense(1)])
    other.save(tmp_path / "model.keras")
    with pytest.raises(UserError, match=r"model\.keras is another network"):
        network.load(tmp_path / "model.keras")
    (tmp_path / "model.keras").write_text("not a network")
    with pytest.raises(UserError, match=r"model\.keras cannot be loaded .* run train\.py again"):
        network.load(tmp_path / "model.keras")


def test_the_network_prints_a_table_that_adds_up(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["model.py", "--size", "160", "160"])
    network.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].split() == ["total", "13,360,593"]
    assert sum(int(line.split()[-1].replace(",", "")) for line in lines[1:-1]) == 13_360_593
    assert "5 x 5" in lines[6]
    assert len(lines) == 14
