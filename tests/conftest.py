"""What several rooms' tests share."""

import numpy as np
import pytest

import own.training  # before OpenCV, which reads once how large an image may be
import train
from common.optimizers import compile_training
from faults import NARROW, run
from scripts import command


@pytest.fixture
def eager(monkeypatch):
    """Networks are not traced, which takes longer than a few steps of a narrow one."""
    def untraced(*arguments):
        network = compile_training(*arguments)
        network.run_eagerly = True
        return network

    for module in (train, own.training):
        monkeypatch.setattr(module, "compile_training", untraced)


def read_data(folder):
    """The data set in a folder: grey values and masks in {0, 1}, (n, height, width, 1)."""
    import cv2

    arrays = []
    for letter in "XY":
        paths = [folder / f"{letter}_{n}.png" for n in range(1, len([*folder.glob("X_*")]) + 1)]
        arrays.append(np.stack([cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in paths]))
    X, Y = arrays
    assert np.isin(Y, (0, 255)).all()
    return X[..., np.newaxis], Y[..., np.newaxis] / 255


@pytest.fixture(scope="session")
def times(request):
    """How often a fault is tried: --times. Without it none is, for each takes minutes."""
    times = request.config.getoption("--times")
    return times or pytest.skip("takes minutes; run it with --times 1")


@pytest.fixture(scope="module")
def place(tmp_path_factory, times):
    """A folder with a network in output/, one of own images in own/, and images in train/, val/."""
    folder = tmp_path_factory.mktemp("place")
    assert run(command("train.py", *NARROW), folder) == (0, "")
    for name in ("train", "val"):
        (folder / "output" / name).rename(folder / name)
    flags = "--width 0.03125 --steps 60 --crop 32 --output own".split()
    line = command("own", "train", "train/X_1.png", "train/Y_1.png", *flags)
    assert run(line, folder) == (0, "")
    return folder


def pytest_addoption(parser):
    parser.addoption("--times", type=int, help="how often each fault of test_faults.py is tried; "
                     "test_fuzz.py tries more inputs too")


def pytest_terminal_summary(terminalreporter):
    """What tests counted, by `record_property`: the numbers of docs/reliability.md."""
    for report in terminalreporter.getreports("passed"):
        for name, count in report.user_properties:
            terminalreporter.write_line(f"{name}: {count}")
