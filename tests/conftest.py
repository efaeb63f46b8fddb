"""What several rooms' tests share."""

import numpy as np
import pytest

import train
from common.files import numbered
from common.images import read_image, write_png
from data import create_data
from faults import NARROW, run
from scripts import command


@pytest.fixture
def eager(monkeypatch):
    """Trainings do not trace the network, which takes longer than a few steps of a narrow one."""
    untrained = train.untrained

    def untraced(*arguments):
        network = untrained(*arguments)
        network.run_eagerly = True
        return network

    monkeypatch.setattr(train, "untrained", untraced)


@pytest.fixture
def written():
    """A function that reads the data set in a folder: grey values and masks in {0, 1}, (n, height, width, 1)."""
    def read(folder):
        X, Y = (np.stack([read_image(path) for path in numbered(folder, letter).values()]) for letter in "XY")
        assert np.isin(Y, (0, 255)).all()
        return X, Y / 255

    return read


@pytest.fixture(scope="session")
def times(request):
    """How often a fault is tried: --times. Without it none is, for each takes minutes; .ci/run tries each once."""
    return request.config.getoption("--times") or pytest.skip("takes minutes; run it with --times 1")


@pytest.fixture(scope="module")
def place(tmp_path_factory, times):
    """A folder with a network in output/ and images in images/."""
    folder = tmp_path_factory.mktemp("place")
    for number, image in enumerate(create_data(5)[0]):
        write_png(folder / "images" / f"{number}.png", image)
    assert run(command("train.py", *NARROW), folder) == (0, "")
    return folder


def pytest_addoption(parser):
    parser.addoption("--times", type=int, help="how often each fault of test_faults.py is tried, and test_fuzz.py runs "
                     "240 times as many inputs")


def pytest_terminal_summary(terminalreporter):
    """What tests counted, by `record_property`: the numbers of docs/reliability.md."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for what, count in getattr(report, "user_properties", ()) if getattr(report, "when", "") == "call" else ():
                terminalreporter.write_line(f"{what}: {count}")
