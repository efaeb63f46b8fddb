"""Large objects are seen reduced, thin ones with all their pixels; masks come back at full size."""

import cv2
import numpy as np
import pytest

from common.errors import UserError
from common.files import read_table
from common.images import write_png
from common.settings import read_settings
from own.crops import Labelled, prepared_for_training
from own.scale import enlarged, reduced, reduced_mask, times_reduced
from own.settings import OwnSettings
from scripts import run


def discs(radius, size=(1000, 1400), seed=0):
    """A mask, int8 (height, width, 1), of a few discs of about that radius."""
    generator = np.random.default_rng(seed)
    mask = np.zeros(size, "uint8")
    pitch = 3 * radius
    for row in range(pitch // 2, size[0], pitch):
        for column in range(pitch // 2, size[1], pitch):
            wide = round(radius * generator.uniform(0.8, 1.2))
            cv2.circle(mask, (column, row), wide, 1, cv2.FILLED)
    return mask[..., np.newaxis].astype("int8")


def lines(width, size=(1000, 1400)):
    """A mask of lines so many pixels wide."""
    mask = np.zeros(size, "uint8")
    for row in range(30, size[0], 40):
        cv2.line(mask, (0, row), (size[1], row + 20), 1, width)
    return mask[..., np.newaxis].astype("int8")


def painted(mask):
    """Of a mask a part alone: lines of 5 pixels."""
    return np.where(lines(5, mask.shape[:2]) > 0, mask, np.int8(-1))


@pytest.mark.parametrize(("mask", "times"), [
    pytest.param(discs(200), (10, 15), id="coins"),
    pytest.param(discs(60), (3, 4), id="cells"),
    pytest.param(discs(12), (1, 1), id="nuclei"),
    pytest.param(discs(4), (1, 1), id="dots"),
    pytest.param(lines(7), (1, 1), id="cracks"),
    pytest.param(np.maximum(discs(200), lines(4)), (1, 1), id="coins and hairs"),
    pytest.param(np.maximum(discs(150), lines(9)), (1, 3), id="coins and cracks"),
    pytest.param(painted(discs(200)), (1, 1), id="thin strokes"),
    pytest.param(np.zeros((64, 64, 1), "int8"), (1, 1), id="nothing"),
    pytest.param(discs(100, (300, 300)), (3, 4), id="a small image"),
])
def test_large_objects_are_reduced_and_thin_ones_are_not(mask, times):
    assert times[0] <= times_reduced([Labelled(None, mask)]) <= times[1]


def test_images_and_masks_are_reduced_alike_and_thin_strokes_stay():
    mask = discs(100)
    image = mask * np.uint8(200)
    settings, ((small, small_mask),) = prepared_for_training(OwnSettings(), [Labelled(image, mask)])
    assert settings.reduce == 7
    assert small.shape == small_mask.shape == (143, 200, 1)
    assert ((small > 100) != (small_mask > 0)).mean() < 0.005  # rounding, on outlines
    again, _ = prepared_for_training(OwnSettings(reduce=2), [Labelled(image, mask)])
    assert again.reduce == 2
    strokes = np.full((80, 80, 1), -1, "int8")
    strokes[10:12], strokes[50:52] = 0, 1
    assert sorted(np.unique(reduced_mask(strokes, 8))) == [-1, 0, 1]
    back = enlarged(reduced(mask.astype("float32"), 7), 1000, 1400)
    assert ((back > 0.5) != (mask > 0)).mean() < 0.01


def test_a_large_photograph_of_large_things_is_segmented_at_its_full_size(tmp_path):
    generator = np.random.default_rng(0)
    for number in (1, 2):
        mask = discs(130, (1000, 1100), number)
        texture = cv2.GaussianBlur(generator.normal(0, 90, mask.shape), (0, 0), 3)
        image = 90 + texture.reshape(mask.shape) + 60.0 * mask
        write_png(tmp_path / "coins" / f"{number}.png", image.clip(0, 255))
        write_png(tmp_path / "masks" / f"{number}.png", mask * 255.0)
    flags = "--width 0.125 --learning-rate 0.01 --steps 150".split()
    trained = run(tmp_path, "own", "train", "coins/1.png", "masks/1.png", *flags)
    assert trained.returncode == 0, trained.stderr
    assert read_settings(tmp_path / "output" / "settings.json", OwnSettings).reduce == 9
    assert "seen reduced 9 times" in trained.stdout
    done = run(tmp_path, "own", "segment", "coins", "--masks", "masks")
    assert done.returncode == 0, done.stderr
    assert cv2.imread(str(tmp_path / "vis" / "masks" / "2.png")).shape == (1000, 1100, 3)
    (other,) = (row for row in read_table(tmp_path / "vis" / "metrics.csv")
                if row["image"] == "2.png")
    assert float(other["network_iou"]) > 0.85



def test_no_image_loses_its_foreground_because_another_one_is_reduced():
    spots = np.kron(np.eye(100, dtype="int8"), np.ones((4, 4), "int8"))[..., np.newaxis]
    coin, spotted = discs(200), Labelled(spots * np.uint8(9), spots)
    settings, both = prepared_for_training(
        OwnSettings(), [Labelled(coin * np.uint8(9), coin), spotted])
    assert settings.reduce == 1
    assert both[1].mask.sum() == spots.sum()
    with pytest.raises(UserError, match="--reduce 64 leaves no foreground"):
        prepared_for_training(OwnSettings(reduce=64), [spotted])


def test_pixels_that_are_not_labelled_are_no_strokes_where_most_are():
    mask = discs(30)
    mask[:, :20] = -1
    sample = Labelled(np.zeros(mask.shape, "uint8"), mask)
    assert times_reduced([sample]) == 2
    settings, _ = prepared_for_training(OwnSettings(match=False), [sample])
    assert settings.unlabelled == 0
    sample = Labelled(sample.image, painted(mask))
    settings, _ = prepared_for_training(OwnSettings(match=False), [sample])
    assert settings.unlabelled == OwnSettings.unlabelled
