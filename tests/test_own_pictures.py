"""Outlines are seen on images of any colour, and say what was missed."""

import numpy as np
import pytest

from common.pictures import FALSE_ALARM, MISSED
from own.pictures import outlined, tinted
from own.segmentation import tile

# BGR
COLOURS = {
    "brown": (19, 69, 139), "yellow": (0, 220, 240), "orange": FALSE_ALARM, "blue": MISSED,
    "green": (60, 160, 60), "purple": (160, 60, 130), "grey": (128, 128, 128), "black": (0, 0, 0),
    "white": (255, 255, 255),
}
SQUARE = np.zeros((100, 100, 1), bool)
SQUARE[40:60, 40:60] = True


@pytest.mark.parametrize("name", COLOURS)
@pytest.mark.parametrize("line", [MISSED, FALSE_ALARM])
def test_an_outline_is_seen_on_an_image_of_any_colour(name, line):
    picture = np.full((100, 100, 3), COLOURS[name], "uint8")
    drawn = outlined(picture, (SQUARE, line))
    assert abs(drawn.astype(int) - picture).max() >= 128
    assert (drawn[SQUARE[..., 0]] == COLOURS[name]).all()  # and what it is about


def test_what_was_given_and_what_was_found_differ_without_colour():
    picture = np.full((100, 100, 3), 128, "uint8")
    given, found = (outlined(picture, (SQUARE, line)) for line in (MISSED, FALSE_ALARM))
    given, found = given.mean(axis=-1), found.mean(axis=-1)
    assert given.min() < 10 < 100 < found.min()  # a dark edge
    assert given.max() < 180 < 250 < found.max()  # and a light one


def test_what_fills_the_image_has_an_outline_too():
    picture = tinted(np.full((50, 50, 3), 128, "uint8"), np.ones((50, 50, 1), "float32"))
    assert (picture == FALSE_ALARM).all(axis=-1).sum() > 100


def test_the_contact_sheet_shows_what_was_missed_and_of_what_was_trained_on_the_mask_alone():
    grey = np.full((100, 100, 3), 128, "uint8")
    outlines = [(SQUARE, MISSED), (np.roll(SQUARE, 30), FALSE_ALARM)]
    row = {"image": "1.png", "foreground_share": "0.04", "network_iou": "0"}
    for trained_on, caption in (("no", "1.png: IoU 0.000"), ("yes", "1.png: labelled")):
        picture, words = tile(grey, outlines, {**row, "trained_on": trained_on})
        found = (picture == FALSE_ALARM).all(axis=-1).any()
        assert (picture == MISSED).all(axis=-1).any()
        assert (words, found) == (caption, trained_on == "no")
