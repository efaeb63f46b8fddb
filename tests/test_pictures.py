"""What the pictures of a training and of a test show, and how large their files are."""

import cv2
import numpy as np
import pytest

from common import plots
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


def test_the_curve_of_a_few_images_does_not_end_in_the_score_of_all(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "write_figure", lambda figure, path: drawn.append(figure))
    row = {"train_iou": 0.9, "val_iou_mean": 0.8, "val_iou_min": 0.8, "val_images": 2}
    last = {"step": 1, "train_iou": 1, "val_iou_mean": 0.5, "val_iou_min": 0.1, "val_images": 3}
    plots.curves([{"step": 0, **row}, last], np.array([0.9, 0.7, 0.1]), tmp_path / "curves.png")
    plots.plt.close(drawn[0])
    axes = drawn[0].axes[0]
    heights = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    (few,) = [label for label in heights if "2 images" in label]
    assert heights[few] == pytest.approx([0.8, 0.8])
    marks = [list(bars.lines[0].get_ydata()) for bars in axes.containers]
    assert marks == [pytest.approx([17 / 30])]
    assert any("3 of them" in text.get_text() for text in axes.get_legend().get_texts())
