"""Scores on masks whose scores are known, words for predictions that say nothing, and nulls."""

import numpy as np
import pytest

from common.baselines import blur_otsu
from common.metrics import complaint, dice, iou, predicted, training_mask_overlap
from common.settings import Settings
from data import create_data
from study.nulls import back_projection, nulls


def masks(*rows):
    """One-row masks, (n, 1, width, 1), from strings of 0 and 1."""
    return np.array([[list(map(int, row))] for row in rows], "float32")[..., np.newaxis]


@pytest.mark.parametrize(("mask", "prediction", "expected_iou", "expected_dice"), [
    ("1100", "1100", 1, 1),
    ("1100", "0110", 1 / 3, 1 / 2),
    ("1100", "0011", 0, 0),
    ("1110", "1000", 1 / 3, 1 / 2),
    ("0000", "0000", 1, 1),  # nothing there, nothing found
    ("0000", "0001", 0, 0),  # nothing there, something found
    ("0001", "0000", 0, 0),
])
def test_known_masks(mask, prediction, expected_iou, expected_dice):
    assert iou(masks(mask), masks(prediction)) == pytest.approx([expected_iou])
    assert dice(masks(mask), masks(prediction)) == pytest.approx([expected_dice])


def test_scores_are_per_image():
    Y, P = masks("1100", "0000", "1111"), masks("1000", "0000", "0000")
    assert iou(Y, P) == pytest.approx([0.5, 1, 0])
    assert dice(Y, P) == pytest.approx([2 / 3, 1, 0])


def test_the_threshold_is_one_half():
    probabilities = np.array([0.0, 0.49, 0.51, 1.0, np.nan])
    assert predicted(probabilities).tolist() == [False, False, True, True, False]


def test_complaints_name_constant_empty_full_and_diverged_predictions():
    probabilities = np.zeros((3, 40, 40, 1))
    probabilities[:, 10:20, 10:20] = 1
    Y = (probabilities > 0).astype("float32")
    assert complaint(Y, probabilities) is None
    assert "not-a-number" in complaint(Y, probabilities * np.nan)
    assert "constant" in complaint(Y, np.full((3, 40, 40, 1), 0.4))
    probabilities[1] = 0.2
    assert complaint(Y, probabilities).startswith("1 of 3 predictions are empty")
    probabilities[1] = 0.9
    assert complaint(Y, probabilities).startswith("1 of 3 predictions are all foreground")


def test_no_complaint_about_small_or_empty_masks_that_are_predicted():
    _, Y = create_data(10, Settings(radius=(1, 5)))
    Y[0] = 0
    assert complaint(Y, Y) is None


def test_blur_and_otsu_find_a_brighter_circle_and_no_other():
    X, Y = create_data(20)
    assert iou(Y, blur_otsu(X)).mean() > 0.95
    X, Y = create_data(20, Settings(fill="constant"))
    assert iou(Y, blur_otsu(X)).mean() < 0.4


@pytest.mark.parametrize(
    "changes", [{}, {"fill": "constant"}, {"fill": "constant", "level": 60}], ids=str)
def test_the_histogram_of_one_sample_finds_the_shape_in_others(changes):
    settings = Settings(**changes)
    (image,), (mask,) = create_data(1, settings)
    X, Y = create_data(5, settings, "validation")
    assert iou(Y, back_projection(X, image, mask)).min() > 0.9
    assert iou(Y, back_projection(X, image, 1 - mask)).max() < 0.5  # it is learned, not known
    brighter = X + 90  # with grey values that the sample does not have
    assert back_projection(brighter, image, mask).shape == Y.shape


def test_what_scores_without_a_network_sees_the_training_samples_and_nothing_else():
    samples, masks = create_data(2)
    X, _ = create_data(5, stream="validation")
    predictions = nulls(X, samples, masks)
    assert set(predictions) == {"training_mask", "blur_otsu", "histogram"}
    for prediction in predictions.values():
        assert (prediction.shape, prediction.dtype) == (X.shape, bool)
    assert (predictions["training_mask"] == (masks[0] > 0)).all()
    assert (predictions["blur_otsu"] == blur_otsu(X)).all()
    assert (predictions["histogram"] == back_projection(X, samples[0], masks[0])).all()


def test_overlap_with_the_training_mask_takes_several_masks_in_turn():
    trained, drawn = masks("1100", "0011"), masks("1100", "1100", "0110")
    assert training_mask_overlap(trained, drawn) == pytest.approx([1, 0, 1 / 3])
    assert training_mask_overlap(trained[:1], drawn) == pytest.approx([1, 1, 1 / 3])
