"""Networks as files: a saved one is the same one, and what somebody else's file can do."""

import io
import json
import os
import re
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest

import model
import train
from common import networks
from common.errors import UserError
from common.settings import Settings
from data import create_data

SMALL = dict(size=(64, 64), radius=(8, 12), width=0.125, steps=2, validation=2, watch=1)
keras, layers = model.keras, model.layers


@pytest.fixture(scope="module")
def narrow():
    """An untrained network of width 1/8."""
    keras.utils.set_random_seed(0)
    return model.build(Settings(width=0.125), 39.5, 533.0)


def test_a_saved_network_opens_without_this_repository_and_gives_the_same_probabilities(narrow, tmp_path):
    X = np.random.default_rng(0).integers(80, size=(2, 64, 96, 1)).astype("float32")
    np.save(tmp_path / "X.npy", X)
    networks.save(narrow, tmp_path / "model.keras")
    script = ("import importlib.util\n"
              "assert not any(map(importlib.util.find_spec, ('model', 'train', 'common')))\n"
              "import keras, numpy\n"
              "network = keras.saving.load_model('model.keras')\n"  # safe mode is its default
              "numpy.save('P.npy', network.predict_on_batch(numpy.load('X.npy')))\n")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # isolated: the folder it runs in and the user's own packages are not looked at either
    done = subprocess.run([sys.executable, "-I", "-c", script], cwd=tmp_path, capture_output=True, text=True,
                          env=environment)
    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "P.npy") == pytest.approx(model.predict(narrow, X), abs=1e-6)
    assert np.array_equal(model.predict(networks.load(tmp_path / "model.keras"), X), model.predict(narrow, X))


def test_a_saved_network_does_without_the_state_of_the_optimiser(tmp_path):
    settings = Settings(**SMALL)
    X, Y = create_data(1, settings)
    networks.save(train.compiled(settings, X, Y), tmp_path / "model.keras")
    network = networks.load(tmp_path / "model.keras")
    assert (tmp_path / "model.keras").stat().st_size < 1.5 * 4 * network.count_params()
    assert not network.compiled


def test_a_network_that_cannot_be_written_is_one_sentence_that_names_the_file(narrow, tmp_path):
    (tmp_path / "model.keras").mkdir()
    with pytest.raises(UserError, match=r"model\.keras could not be written \([^\n]+\); name another folder"):
        networks.save(narrow, tmp_path / "model.keras")


def test_a_file_that_is_no_network_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"model\.keras is missing; run train\.py first"):
        networks.load(tmp_path / "model.keras")
    other = keras.Sequential([layers.Input((4,)), layers.Dense(1)])
    other.save(tmp_path / "model.keras")
    with pytest.raises(UserError, match=r"model\.keras is another network"):
        networks.load(tmp_path / "model.keras")
    (tmp_path / "model.keras").write_text("not a network")
    with pytest.raises(UserError, match=r"model\.keras cannot be loaded .* run train\.py again"):
        networks.load(tmp_path / "model.keras")


@keras.saving.register_keras_serializable("somebody")
class Foreign(layers.Layer):
    """A layer of somebody else's."""

    def call(self, x):
        return x


def test_a_network_that_carries_code_or_is_another_is_refused(tmp_path):
    inputs = keras.Input((None, None, 1))
    for name, last in (("code", layers.Lambda(lambda x: x)), ("layer", Foreign()), ("channels", layers.Conv2D(2, 1))):
        keras.Model(inputs, last(inputs)).save(tmp_path / f"{name}.keras")
    script = """
import sys
from common import networks
from common.errors import UserError
for path in sys.argv[1:]:
    try:
        networks.load(path)
    except UserError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", script, *sorted(tmp_path.iterdir())], capture_output=True, text=True,
                          cwd=os.path.dirname(os.path.abspath(model.__file__)))  # where the layer is not known
    for name, said in zip(("channels", "code", "layer"), done.stdout.splitlines(), strict=True):
        assert re.search(rf"{name}\.keras (cannot be loaded \(|is another network).+; run train\.py again$", said)


def repacked(path, weights=None, more=None):
    """Write a network's archive anew, with other weights or another file in it."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    if weights:
        files["model.weights.h5"] = weights(files["model.weights.h5"])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**files, **(more or {})}.items():
            archive.writestr(name, content)


def inflated(content):
    """Weights of which one claims ten thousand million numbers."""
    file = io.BytesIO(content)
    with h5py.File(file, "r+") as weights:
        names = []
        weights.visititems(lambda name, of: names.append(name) if isinstance(of, h5py.Dataset) else None)
        del weights[names[0]]
        weights.create_dataset(names[0], (10**5, 10**5), "float32", chunks=(1000, 1000), compression="gzip")
    return file.getvalue()


def enlarged(path, layer, key, value):
    """Change a number of a layer of that kind in a network's configuration."""
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    next(of for of in config["config"]["layers"] if of["class_name"] == layer)["config"][key] = value
    repacked(path, more={"config.json": json.dumps(config)})


@pytest.mark.parametrize(("layer", "key", "value", "said"), [
    ("Conv2D", "filters", 10**6, "cannot be loaded .its layers want more weights than the "),
    ("UpSampling2D", "size", [1000, 1000], "(cannot be loaded|is another network)"),
    ("MaxPooling2D", "strides", [1, 1], "(cannot be loaded|is another network)")])
def test_a_network_that_would_take_more_memory_than_its_file_says_is_refused(narrow, tmp_path, layer, key, value, said):
    path = tmp_path / "model.keras"
    networks.save(narrow, path)
    enlarged(path, layer, key, value)
    with pytest.raises(UserError, match=said):
        networks.load(path)
    inputs = keras.Input((None, None, 1))
    large = layers.MaxPooling2D(64)(layers.UpSampling2D(64)(inputs))
    keras.Model(inputs, layers.Conv2D(1, 1)(large)).save(path)
    with pytest.raises(UserError, match="is another network"):
        networks.load(path)
    within = keras.Sequential([layers.UpSampling2D(64), layers.MaxPooling2D(64), layers.Conv2D(1, 1)])
    keras.Model(inputs, within(inputs)).save(path)
    with pytest.raises(UserError, match="is another network"):
        networks.load(path)


@pytest.mark.parametrize("change", [
    dict(more={"assets/a": bytes(10**9 // 4)}), dict(weights=inflated), dict(weights=lambda content: content[:-9000])],
    ids=["archive", "weights", "cut"])
def test_a_network_that_unpacks_to_much_more_or_less_than_it_should_is_refused(narrow, tmp_path, change):
    networks.save(narrow, tmp_path / "model.keras")
    networks.load(tmp_path / "model.keras")
    repacked(tmp_path / "model.keras", **change)
    with pytest.raises(UserError, match=r"model\.keras cannot be loaded \(.+\); run train\.py again"):
        networks.load(tmp_path / "model.keras")
    networks.save(narrow, tmp_path / "model.keras")
    content = (tmp_path / "model.keras").read_bytes()
    (tmp_path / "model.keras").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"model\.keras cannot be loaded"):
        networks.load(tmp_path / "model.keras")
