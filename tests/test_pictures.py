"""What the pictures of a training and of a test show, and how large their files are."""

import cv2
import numpy as np
import pytest

from common.pictures import FALSE_ALARM, MISSED, overview
from common.settings import Settings
from data import create_data


def pixels(path, colour):
    """How many pixels of a picture have exactly this colour, BGR."""
    return (cv2.imread(str(path)) == colour).all(axis=-1).sum()


@pytest.mark.parametrize("images", [1, 100, 120])
def test_the_overview_shows_the_errors_of_the_worst(tmp_path, images):
    X, Y = create_data(images, Settings(), "test")
    predictions = Y > 0
    right = predictions.copy()
    predictions[0] = np.roll(predictions[0], 1, axis=1)  # an error one pixel wide, in one image
    scores = np.r_[0.97, np.ones(images - 1)]
    overview(X, Y, right, np.ones(images), "all right", tmp_path / "right.png")
    overview(X, Y, predictions, scores, "one is not", tmp_path / "overview.png")
    wrong = np.logical_and(Y[0] == 0, predictions[0]).sum()
    for colour in (MISSED, FALSE_ALARM):
        in_legend = pixels(tmp_path / "right.png", colour)
        assert in_legend > 0
        assert pixels(tmp_path / "overview.png", colour) == in_legend + wrong
    assert (tmp_path / "overview.png").stat().st_size < 300_000
