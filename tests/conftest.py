"""What several rooms' tests share."""

import cv2
import numpy as np
import pytest

import own.training
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
    """A folder with a network in output/."""
    folder = tmp_path_factory.mktemp("place")
    assert run(command("train.py", *NARROW), folder) == (0, "")
    return folder


def pytest_addoption(parser):
    parser.addoption("--times", type=int, help="how often each fault of test_faults.py is tried; "
                     "test_fuzz.py tries more inputs too")


def pytest_terminal_summary(terminalreporter):
    """What tests counted, by `record_property`: the numbers of docs/reliability.md."""
    for report in terminalreporter.getreports("passed"):
        for name, count in report.user_properties:
            terminalreporter.write_line(f"{name}: {count}")
