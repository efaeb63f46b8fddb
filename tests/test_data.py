"""The data: values, shapes and where they lie, random streams, masks to train on, and data sets as files."""

import cv2
import numpy as np
import pytest

from common import metrics
from common.errors import UserError
from common.settings import Settings
from data import STREAMS, augment, create_data, relabel


def boxes(Y):
    """Top, bottom, left, right of each mask's foreground, integer (n, 4)."""
    spans = []
    for mask in Y[..., 0]:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        spans.append((rows[0], rows[-1], columns[0], columns[-1]))
    return np.array(spans)


@pytest.mark.parametrize("shape", ["circle", "rectangle"])
@pytest.mark.parametrize("size", [(160, 160), (33, 100)])
def test_images_and_masks_are_as_documented(shape, size):
    X, Y = create_data(5, Settings(shape=shape, size=size, radius=(5, 16)))
    assert X.shape == Y.shape == (5, *size, 1)
    assert X.dtype == Y.dtype == np.float32
    assert set(np.unique(Y)) == {0, 1}
    assert np.array_equal(X, np.round(X))


def test_noise_fill_adds_a_second_draw():
    X, Y = create_data(50)
    background, inside = X[Y == 0], X[Y == 1]
    assert (background.min(), background.max()) == (0, 79)
    assert background.mean() == pytest.approx(39.5, abs=0.2)
    assert inside.max() <= 158
    assert inside.mean() == pytest.approx(79, abs=0.5)
    # the sum of two independent uniform draws has twice the variance of one; doubling a draw would have 4 times
    assert inside.var() / background.var() == pytest.approx(2, abs=0.05)


def test_strength_scales_what_is_added_inside_and_nothing_is_left_of_it_at_0():
    for strength in (0.5, 0.0):
        X, Y = create_data(50, Settings(strength=strength))
        background, inside = X[Y == 0], X[Y == 1]
        assert inside.mean() - background.mean() == pytest.approx(39.5 * strength, abs=0.6)
        # half of a draw is half its deviation
        assert inside.var() / background.var() == pytest.approx(1 + strength**2, abs=0.05)
    assert (inside.max(), inside.min()) == (79, 0)
    shares = [np.bincount(values.astype(int), minlength=80) / values.size for values in (background, inside)]
    assert abs(shares[0] - shares[1]).max() < 0.002  # the histograms are the same


def test_of_two_shapes_the_larger_is_marked_and_both_are_filled():
    X, Y = create_data(20, Settings(task="larger"))
    for image, mask in zip(X[..., 0], Y[..., 0].astype("uint8"), strict=True):
        blurred = cv2.GaussianBlur(image, (0, 0), 3)
        count, labels, stats, _ = cv2.connectedComponentsWithStats((blurred > 59).astype("uint8"))
        areas = {label: stats[label, cv2.CC_STAT_AREA] for label in range(1, count) if stats[label][4] > 200}
        if len(areas) == 1:  # two that nearly touch are one when blurred
            assert 1.3 * mask.sum() < sum(areas.values())
            continue
        small, large = sorted(areas, key=areas.get)
        assert areas[large] > 1.1 * areas[small]
        assert metrics.iou(mask[np.newaxis], (labels == large)[np.newaxis]) > 0.8
        assert cv2.connectedComponents(mask)[0] == 2  # one shape, and the background


def test_no_room_for_two_shapes_is_said():
    with pytest.raises(UserError, match="--task larger finds no room"):
        create_data(1, Settings(size=(64, 64), radius=(25, 31), task="larger"))


def test_constant_fill_is_one_grey_value():
    X, Y = create_data(20, Settings(fill="constant", level=55, noise=30))
    assert np.unique(X[Y == 1]) == [55]
    assert (X[Y == 0].min(), X[Y == 0].max()) == (0, 29)


@pytest.mark.parametrize("shape", ["circle", "rectangle"])
def test_radius_covers_its_range_and_the_whole_shape_fits(shape):
    _, Y = create_data(400, Settings(shape=shape, size=(40, 48), radius=(4, 8)))
    top, bottom, left, right = boxes(Y).T
    heights, widths = bottom - top + 1, right - left + 1
    # cut off by a border, a shape would span an even number of pixels or too few
    assert set(heights) == set(widths) == {9, 11, 13, 15, 17}
    assert (heights == widths).all() == (shape == "circle")
    # every place is used, up to all four borders
    assert (top.min(), bottom.max(), left.min(), right.max()) == (0, 39, 0, 47)


def test_central_circles_lie_a_diameter_or_more_from_every_border_and_come_as_near():
    settings = Settings(size=(40, 48), radius=(4, 8), placement="central")
    _, Y = create_data(2000, settings)
    top, bottom, left, right = boxes(Y).T
    radii, rows, columns = (bottom - top) // 2, (top + bottom) // 2, (left + right) // 2
    assert set(radii) == {4, 5, 6, 7, 8}
    for radius in set(radii):
        for centres, side in ((rows, 40), (columns, 48)):
            assert set(centres[radii == radius]) == set(range(2 * radius, side - 2 * radius))
    # the largest that fits has, in an image of an odd side, one place left
    top, bottom, left, right = boxes(create_data(3, Settings(size=(33, 33), radius=(8, 8), placement="central"))[1]).T
    assert {*top, *left} == {8}


def test_border_circles_touch_one_border_and_each_of_the_four():
    top, bottom, left, right = boxes(create_data(400, Settings(size=(60, 48), radius=(4, 6), placement="border"))[1]).T
    touching = np.stack([top == 0, bottom == 59, left == 0, right == 47])
    assert touching.any(axis=0).all()
    assert touching.any(axis=1).all()
    assert (touching.sum(axis=0) == 1).mean() > 0.9
    assert len(set(bottom - top)) == 3
    assert len(set(top[left == 0])) > 20  # anywhere along it


def test_rectangles_know_no_placement():
    for changes in ({}, {"side": (5, 9)}):
        central, anywhere = (create_data(20, Settings(shape="rectangle", placement=placement, **changes))
                             for placement in ("central", "anywhere"))
        assert np.array_equal(central, anywhere)


def test_sides_of_rectangles_are_even_and_odd_and_reach_every_border():
    _, Y = create_data(1500, Settings(shape="rectangle", side=(15, 39), size=(60, 70)))
    top, bottom, left, right = boxes(Y).T
    heights, widths = bottom - top + 1, right - left + 1
    assert set(heights) == set(widths) == set(range(15, 40))
    assert (heights != widths).any()
    assert np.array_equal(Y.sum(axis=(1, 2, 3)), heights * widths)
    assert (top.min(), bottom.max(), left.min(), right.max()) == (0, 59, 0, 69)


def test_sides_say_nothing_of_circles():
    assert np.array_equal(create_data(5, Settings(side=(15, 39))), create_data(5))


def test_circle_has_the_area_of_a_circle():
    _, Y = create_data(20, Settings(radius=(30, 30)))
    assert Y.sum(axis=(1, 2, 3)) == pytest.approx(np.pi * 30.5**2, rel=0.01)


def test_rectangle_fills_its_bounding_box():
    _, Y = create_data(20, Settings(shape="rectangle"))
    top, bottom, left, right = boxes(Y).T
    assert np.array_equal(Y.sum(axis=(1, 2, 3)), (bottom - top + 1) * (right - left + 1))


def test_seed_decides_everything_and_streams_differ():
    images = [create_data(3, Settings(seed=seed), stream)[0] for seed in (0, 1) for stream in STREAMS]
    for first in range(len(images)):
        for second in range(first):
            assert not any(np.array_equal(a, b) for a in images[first] for b in images[second])
    assert np.array_equal(images[0], create_data(3, Settings(seed=0), "train")[0])


def test_more_samples_begin_with_the_same_samples():
    few, many = create_data(2), create_data(5)
    assert np.array_equal(few[0], many[0][:2])
    assert np.array_equal(few[1], many[1][:2])


@pytest.mark.parametrize("fill", ["noise", "constant"])
def test_written_data_is_read_back_exactly(tmp_path, written, fill):
    made = create_data(12, Settings(fill=fill), folder=tmp_path / "new" / "folder")
    for ours, read in zip(made, written(tmp_path / "new" / "folder"), strict=True):
        assert np.array_equal(ours, read)  # 12 samples: numeric order, not 1, 10, 11, 12, 2


def test_a_smaller_set_replaces_a_larger_one(tmp_path):
    create_data(5, folder=tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    create_data(2, folder=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["X_1.png", "X_2.png", "Y_1.png", "Y_2.png", "notes.txt"]


@pytest.mark.parametrize("size", [(160, 160), (100, 160)])
def test_augmentation_moves_pixels_with_their_labels_and_makes_none(size):
    _, Y = create_data(1, Settings(size=size))
    image = np.arange(size[0] * size[1], dtype="float32").reshape(*size, 1)  # every pixel is known by its value
    generator = np.random.default_rng(0)
    drawn = [augment(generator, image, Y[0]) for _ in range(60)]
    for moved, mask in drawn:
        assert moved.shape == mask.shape == (*size, 1)
        assert np.array_equal(np.sort(moved.ravel()), image.ravel())
        assert set(moved[mask == 1]) == set(image[Y[0] == 1])
    # the circle stays in one piece, and comes to lie all over the image
    spans = boxes(np.stack([mask for _, mask in drawn]))
    top, bottom, left, right = boxes(Y)[0]
    assert (spans[:, 1] - spans[:, 0] == bottom - top).all()
    assert (spans[:, 3] - spans[:, 2] == right - left).all()
    assert np.ptp(spans[:, 0]) > 0.8 * (size[0] - (bottom - top))
    assert np.ptp(spans[:, 2]) > 0.8 * (size[1] - (right - left))
    # neighbours stay neighbours, in all eight orientations of a square, in four of another rectangle
    steps = {np.median(np.diff(moved[..., 0], axis=1)) for moved, _ in drawn}
    assert steps == ({-160, -1, 1, 160} if size[0] == size[1] else {-1, 1})


@pytest.mark.parametrize("value", [0, 1])
def test_augmentation_takes_a_mask_without_a_border(value):
    image = np.arange(32 * 48, dtype="float32").reshape(32, 48, 1)
    moved, mask = augment(np.random.default_rng(0), image, np.full_like(image, value))
    assert np.array_equal(np.sort(moved.ravel()), image.ravel())
    assert (mask == value).all()


@pytest.mark.parametrize("seed", range(5))
def test_moved_masks_do_not_overlap_and_random_ones_are_as_large(seed):
    Y = create_data(2, settings := Settings(seed=seed, labels="moved"))[1]
    moved, shuffled = relabel(Y, settings), relabel(Y, Settings(seed=seed, labels="random"))
    assert moved.shape == shuffled.shape == Y.shape
    assert (metrics.iou(Y, moved) == 0).all()
    assert (moved.sum(axis=(1, 2, 3)) > 600).all()  # a circle of radius 15 has 749 pixels
    assert np.array_equal(shuffled.sum(axis=(1, 2, 3)), Y.sum(axis=(1, 2, 3)))
    assert (metrics.iou(Y, shuffled) < 0.2).all()
    assert relabel(Y, Settings(seed=seed)) is Y


def test_no_room_for_a_second_shape_is_said():
    settings = Settings(labels="moved", radius=(70, 70))
    with pytest.raises(UserError, match="--labels moved finds no room for a second shape"):
        relabel(create_data(1, settings)[1], settings)
