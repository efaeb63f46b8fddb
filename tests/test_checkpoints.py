"""A training that is interrupted: what it says, and that it goes on bit for bit."""

import signal
import subprocess
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from common.files import read_table
from common.images import write_png
from data import create_data
from scripts import command, contents, run

BRIEF = "--width 0.0625 --steps 24 --validation 4 --watch 2 --size 64 96 --radius 8 12 --samples 3 --augment".split()
OWN = "--image cell.png --mask mask.png --width 0.0625 --steps 24 --crop 64".split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with an image and its mask."""
    folder = tmp_path_factory.mktemp("runs")
    X, Y = create_data(1)
    write_png(folder / "cell.png", X[0])
    write_png(folder / "mask.png", Y[0] * 255)
    return folder


def interrupted(folder, flags, by):
    """Start a training, and interrupt it when a few steps are done; returns what it said on stderr."""
    training = subprocess.Popen(command("train.py", *flags, "--checkpoint", "0.001"), cwd=folder, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    lines = iter(training.stdout.readline, "")
    assert sum(line.startswith("step") for line, _ in zip(lines, range(6), strict=False)) == 6
    training.send_signal(by)
    return training.communicate()[1]


@pytest.mark.parametrize("flags", [BRIEF, OWN], ids=["circles", "own image"])
def test_what_was_killed_goes_on_and_ends_as_if_it_had_not_been(folder, flags):
    whole, parts = (str(folder / f"{name}{len(flags)}") for name in ("whole", "parts"))
    assert run(folder, "train.py", *flags, "--output", whole).returncode == 0
    interrupted(folder, [*flags, "--output", parts], signal.SIGKILL)
    resumed = run(folder, "train.py", "--resume", "--output", parts)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    first = int(resumed.stdout.split()[1])
    assert 1 < first < 24  # it did not start anew
    files = {path.relative_to(whole) for path in contents(Path(whole)) if path.is_file()}
    assert files == {path.relative_to(parts) for path in contents(Path(parts)) if path.is_file()}
    networks = [keras.saving.load_model(f"{output}/model.keras").get_weights() for output in (whole, parts)]
    assert all(np.array_equal(*pair) for pair in zip(*networks, strict=True))
    histories = [[{name: text for name, text in row.items() if name != "seconds"}
                  for row in read_table(f"{output}/history.csv")] for output in (whole, parts)]
    assert histories[0] == histories[1]
    for picture in {path for path in files if path.suffix == ".png" and path.name != "curves.png"}:
        assert np.array_equal(*(cv2.imread(f"{output}/{picture}") for output in (whole, parts)))
    assert "finds no interrupted training" in run(folder, "train.py", "--resume", "--output", parts).stderr


def test_an_interrupted_training_says_how_to_go_on_and_with_what_it_does_not(folder):
    said = interrupted(folder, [*OWN, "--output", "my run"], signal.SIGINT)
    assert said.endswith("\n") and said.strip().startswith("interrupted; train.py --resume --output 'my run' goes on")
    resume = ["--resume", "--output", "my run"]
    done = run(folder, "train.py", *resume, "--steps", "9")
    assert (done.returncode, done.stderr) == (2, "train.py: --steps is not what it was in the interrupted training; "
                                              "leave it out beside --resume\n")
    image = (folder / "cell.png").read_bytes()
    write_png(folder / "cell.png", create_data(1)[0][0] + 1)
    done = run(folder, "train.py", *resume)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("train.py: --resume finds other images or masks than those of the interrupted")
    (folder / "cell.png").write_bytes(image)
    weights = folder / "my run" / ".checkpoint" / "network.weights.h5"
    weights.write_bytes(weights.read_bytes()[:5000])
    done = run(folder, "train.py", *resume)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("start anew without --resume\n")
