"""What several rooms' tests share."""

import numpy as np
import pytest

import train
from common.files import numbered
from common.images import read_image


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
