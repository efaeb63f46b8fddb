"""The scripts on Keras' other backends, narrow: a test each, left out where it is not installed.

On PyTorch they run as on a GPU in one respect: tensors and arrays of NumPy do not meet.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys

import pytest

from common.checkpoints import resumable
from common.files import read_table
from scripts import REPOSITORY, command

# PyTorch 2.13 fails on images of 64 pixels with fewer filters.
NARROW = "--width 0.1 --size 64 64 --radius 8 12 --validation 2 --watch 1".split()


@pytest.fixture(params=[pytest.param("jax", id="_jax_"), pytest.param("torch", id="_torch_")])
def backend(request, monkeypatch):
    """The name of an installed backend, which scripts use meanwhile."""
    if importlib.util.find_spec(request.param) is None:
        pytest.skip("not installed")
    monkeypatch.setenv("KERAS_BACKEND", request.param)
    return request.param


def line_on(backend, name, *flags):
    """The command line of a script, on PyTorch as if on a GPU."""
    if backend == "torch":
        wrapper = REPOSITORY / "tests" / "refusing_numpy.py"
        return [sys.executable, str(wrapper), name, *flags]
    return command(name, *flags)


def outcome(folder, line):
    """The output of a command line that succeeds."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_everything_runs_on_a_backend(tmp_path, backend):
    line = line_on(backend, "train.py", *NARROW, "--steps", "40", "--learning-rate", "0.01")
    training = subprocess.Popen(
        [*line, "--augment", "--checkpoint", "1e-9"], cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    for _ in range(5):  # rows of the history
        training.stdout.readline()
    training.send_signal(signal.SIGINT)
    training.communicate()
    assert resumable(tmp_path / "output")
    outcome(tmp_path, line_on(backend, "train.py", "--resume"))
    rows = read_table(tmp_path / "output" / "history.csv")
    assert rows[-1]["step"] == "40"
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    record = json.loads((tmp_path / "output" / "settings.json").read_text())
    assert backend in record["versions"]
    outcome(tmp_path, line_on(backend, "test.py", "--images", "2", "--average"))

    flags = "--width 0.1 --steps 40 --crop 64 --output own".split()
    files = "output/train/X_1.png", "output/train/Y_1.png"
    outcome(tmp_path, line_on(backend, "own", "train", *files, *flags))
    outcome(tmp_path, line_on(backend, "own", "segment", "output/val", "--output", "own"))
    outcome(tmp_path, line_on(backend, "tests/narrow_study.py"))
