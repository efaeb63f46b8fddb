"""Networks as files: a saved one opens anywhere, and one of somebody else runs no code."""

import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import model
import train
from common import model_file
from common.errors import UserError
from common.settings import Settings
from data import create_data

keras, layers = model.keras, model.layers


@pytest.fixture
def path(tmp_path):
    """Where an untrained network of width 1/8 was saved."""
    settings = Settings(size=(64, 64), radius=(8, 12), width=0.125)
    network = train.compile_network(settings, *create_data(1, settings))
    model_file.save(network, tmp_path / "model.keras")
    return tmp_path / "model.keras"


def test_a_saved_network_opens_without_this_repository_and_gives_the_same(path):
    X = np.random.default_rng(0).integers(80, size=(2, 64, 96, 1)).astype("float32")
    np.save(path.with_name("X.npy"), X)
    script = ("import importlib.util\n"
              "assert not any(map(importlib.util.find_spec, ('model', 'train', 'common')))\n"
              "import keras, numpy\n"
              "network = keras.saving.load_model('model.keras')\n"
              "numpy.save('P.npy', network.predict_on_batch(numpy.load('X.npy')))\n")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # isolated: it does not look at the folder it runs in, nor at the user's own packages
    done = subprocess.run([sys.executable, "-I", "-c", script], cwd=path.parent,
                          capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    network = model_file.load(path)
    elsewhere = np.load(path.with_name("P.npy"))
    assert np.abs(elsewhere - model.predict(network, X)).max() < 1e-6
    assert not network.compiled
    assert path.stat().st_size < 1.5 * 4 * network.count_params()  # no state of the optimiser


def test_a_damaged_file_is_refused(path):
    content = path.read_bytes()
    middle = len(content) // 2
    spoilt = content[:middle] + b"nothing" + content[middle + 7 :]
    for damaged in (content[:-9000], content[:middle], spoilt, b"not a network"):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"model\.keras cannot be loaded \([^\n]+\); train"):
            model_file.load(path)


def test_a_file_that_fills_the_memory_is_refused(path):
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(10**8))
    with pytest.raises(UserError, match=r"cannot be loaded \(it unpacks to "):
        model_file.load(path)


def test_what_is_no_network_for_images_is_refused(tmp_path):
    path = tmp_path / "model.keras"
    with pytest.raises(UserError, match=r"model\.keras is missing"):
        model_file.load(path)
    inputs, others = keras.Input((None, None, 1)), keras.Input((None, None, 1))
    for network in (keras.Sequential([keras.Input((4,)), layers.Dense(1)]),
                    keras.Model(inputs, layers.Conv2D(2, 1)(inputs)),
                    keras.Model(inputs, layers.MaxPooling2D()(inputs)),
                    keras.Model([inputs, others], inputs)):
        network.save(path)
        with pytest.raises(UserError, match=r"model\.keras (is another|cannot be loaded).* again"):
            model_file.load(path)


def test_no_code_in_a_file_runs(tmp_path, capfd):
    inputs = keras.Input((None, None, 1))
    lambda_layer = layers.Lambda(lambda x: print("it ran") or x)
    keras.Model(inputs, lambda_layer(inputs)).save(tmp_path / "model.keras")
    capfd.readouterr()
    with pytest.raises(UserError, match=r"model\.keras cannot be loaded"):
        model_file.load(tmp_path / "model.keras")
    assert "it ran" not in capfd.readouterr().out
