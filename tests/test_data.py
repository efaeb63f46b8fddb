"""The data: values, shapes and where they lie, random streams, masks to train on, and files."""

import cv2
import numpy as np
import pytest

from common import metrics
from common.errors import UserError
from common.settings import Settings
from conftest import read_data
from data import STREAMS, augment, create_data, data_files, training_masks, write_data


def boxes(Y):
    """Top, bottom, left, right of each mask's foreground: four integer arrays (n,)."""
    spans = []
    for mask in Y[..., 0]:
        rows, columns = np.nonzero(mask)
        spans.append((rows.min(), rows.max(), columns.min(), columns.max()))
    return np.array(spans).T


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
    assert inside.mean() - background.mean() == pytest.approx(39.5, abs=0.6)
    # The variances of independent draws add up; doubling a draw would have 4 times the variance.
    assert inside.var() / background.var() == pytest.approx(2, abs=0.05)


def test_constant_fill_is_one_grey_value():
    X, Y = create_data(20, Settings(fill="constant", level=55, noise=30))
    assert np.unique(X[Y == 1]) == [55]
    assert (X[Y == 0].min(), X[Y == 0].max()) == (0, 29)


def test_of_two_shapes_the_larger_is_marked_and_both_are_filled():
    X, Y = create_data(20, Settings(task="larger", fill="constant", level=255))
    for image, mask in zip(X[..., 0], Y[..., 0].astype("uint8"), strict=True):
        count, labels, stats, _ = cv2.connectedComponentsWithStats((image == 255).astype("uint8"))
        assert count == 1 + 2  # and the background
        small, large = sorted((1, 2), key=lambda label: stats[label, cv2.CC_STAT_AREA])
        assert stats[large, cv2.CC_STAT_AREA] >= 1.25 * stats[small, cv2.CC_STAT_AREA]
        assert np.array_equal(labels == large, mask > 0)


@pytest.mark.parametrize("shape", ["circle", "rectangle"])
def test_radius_covers_its_range_and_the_whole_shape_fits(shape):
    _, Y = create_data(400, Settings(shape=shape, size=(40, 48), radius=(4, 8)))
    top, bottom, left, right = boxes(Y)
    heights, widths = bottom - top + 1, right - left + 1
    # Cut off by a border, a shape would span an even number of pixels or too few.
    assert set(heights) == set(widths) == {9, 11, 13, 15, 17}
    assert (heights == widths).all() == (shape == "circle")
    # Every place is used, up to all four borders.
    assert (top.min(), bottom.max(), left.min(), right.max()) == (0, 39, 0, 47)


def test_central_circles_lie_a_diameter_or_more_from_every_border_and_come_as_near():
    settings = Settings(size=(40, 48), radius=(4, 8), placement="central")
    top, bottom, left, right = boxes(create_data(2000, settings)[1])
    radii, rows, columns = (bottom - top) // 2, (top + bottom) // 2, (left + right) // 2
    assert set(radii) == {4, 5, 6, 7, 8}
    for radius in set(radii):
        for centres, side in ((rows, 40), (columns, 48)):
            assert set(centres[radii == radius]) == set(range(2 * radius, side - 2 * radius))


def test_sides_of_rectangles_are_even_and_odd_and_reach_every_border():
    _, Y = create_data(1500, Settings(shape="rectangle", side=(15, 39), size=(60, 70)))
    top, bottom, left, right = boxes(Y)
    heights, widths = bottom - top + 1, right - left + 1
    assert set(heights) == set(widths) == set(range(15, 40))
    assert (heights != widths).any()
    assert np.array_equal(Y.sum(axis=(1, 2, 3)), heights * widths)
    assert (top.min(), bottom.max(), left.min(), right.max()) == (0, 59, 0, 69)


def test_a_circle_has_the_area_of_a_circle():
    _, Y = create_data(20, Settings(radius=(30, 30)))
    assert Y.sum(axis=(1, 2, 3)) == pytest.approx(np.pi * 30.5**2, rel=0.01)


def test_seed_decides_everything_streams_differ_and_more_samples_begin_with_the_same():
    sets = {}
    for seed in (0, 1):
        for stream in STREAMS:
            sets[seed, stream] = create_data(3, Settings(seed=seed), stream)[0]
    assert len({image.tobytes() for images in sets.values() for image in images}) == 3 * len(sets)
    assert np.array_equal(create_data(2)[0], sets[0, "train"][:2])


@pytest.mark.parametrize("fill", ["noise", "constant"])
def test_written_data_is_read_back_exactly(tmp_path, fill):
    X, Y = create_data(12, Settings(fill=fill))
    write_data(X, Y, tmp_path / "new")
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")}
    assert written == {*data_files("new", 12)}
    assert np.array_equal(read_data(tmp_path / "new"), (X, Y))


@pytest.mark.parametrize("size", [(160, 160), (100, 160)])
def test_augmentation_moves_pixels_with_their_labels_and_makes_none(size):
    _, (mask,) = create_data(1, Settings(size=size))
    # Every pixel is known by its value.
    image = np.arange(size[0] * size[1], dtype="float32").reshape(*size, 1)
    generator = np.random.default_rng(0)
    samples = [augment(generator, image, mask) for _ in range(60)]
    for moved, moved_mask in samples:
        assert moved.shape == moved_mask.shape == (*size, 1)
        assert np.array_equal(np.sort(moved.ravel()), image.ravel())
        assert set(moved[moved_mask == 1]) == set(image[mask == 1])
    # The circle stays in one piece, and comes to lie all over the image.
    top, bottom, _, _ = boxes(np.stack([moved_mask for _, moved_mask in samples]))
    (first,), (last,), _, _ = boxes(mask[np.newaxis])
    assert (bottom - top == last - first).all()
    assert np.ptp(top) > 0.8 * (size[0] - (last - first))
    # Neighbours stay neighbours, in all orientations of a square, in half of another rectangle.
    steps = {np.median(np.diff(moved[..., 0], axis=1)) for moved, _ in samples}
    assert steps == ({-160, -1, 1, 160} if size[0] == size[1] else {-1, 1})


@pytest.mark.parametrize("value", [0, 1])
def test_augmentation_takes_a_mask_without_a_border(value):
    image = np.arange(32 * 48, dtype="float32").reshape(32, 48, 1)
    moved, mask = augment(np.random.default_rng(0), image, np.full_like(image, value))
    assert np.array_equal(np.sort(moved.ravel()), image.ravel())
    assert (mask == value).all()


@pytest.mark.parametrize("seed", range(3))
def test_moved_masks_do_not_overlap_and_random_ones_are_as_large(seed):
    _, Y = create_data(2, Settings(seed=seed))
    moved, _ = training_masks(Y, Settings(seed=seed, labels="moved"))
    shuffled, _ = training_masks(Y, Settings(seed=seed, labels="random"))
    assert moved.shape == shuffled.shape == Y.shape
    assert (metrics.iou(Y, moved) == 0).all()
    assert (moved.sum(axis=(1, 2, 3)) > 600).all()  # a circle of radius 15 has 749 pixels
    assert np.array_equal(shuffled.sum(axis=(1, 2, 3)), Y.sum(axis=(1, 2, 3)))
    assert (metrics.iou(Y, shuffled) < 0.2).all()


def test_no_room_for_a_second_shape_is_said():
    crowded = dict(size=(64, 64), radius=(25, 31))
    with pytest.raises(UserError, match="--task larger finds no room"):
        create_data(1, Settings(**crowded, task="larger"))
    _, Y = create_data(1, Settings(**crowded))
    with pytest.raises(UserError, match="--labels moved finds no room"):
        training_masks(Y, Settings(**crowded, labels="moved"))


def test_supervised_pixels_are_counted_exactly_and_fewer_are_a_part_of_more():
    _, Y = create_data(2)
    _, few = training_masks(Y, Settings(supervised_pixels=10))
    masks, more = training_masks(Y, Settings(supervised_pixels=1000))
    assert np.array_equal(masks, Y)  # they are scored by all
    assert ((few >= 0).sum(axis=(1, 2, 3)) == 10).all()
    assert ((more >= 0).sum(axis=(1, 2, 3)) == 1000).all()
    assert (more[few >= 0] >= 0).all()
    assert not np.array_equal(few[0] < 0, few[1] < 0)
    assert np.array_equal(more[more >= 0], Y[more >= 0])
