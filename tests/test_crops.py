"""One's own images before a network sees them: read with their masks, their crops, and their exposure."""

import numpy as np
import pytest

import model
import train
from common.errors import UserError
from common.images import exposure, matched, write_png
from common.settings import RECIPES, Settings
from data import Labelled, Pixels, crops, excerpt, read_labelled

PLAIN = dict(contrast=1.0, brightness=0.0, tint=0.0)  # crops are parts
TURNS = [(turns, mirror) for turns in range(4) for mirror in (1, -1)]


def settings(**changes):
    """Settings of one's own images, of narrow networks."""
    return Settings(**{"image": ("a.png",), "mask": ("b.png",), **RECIPES["own"], "width": 1 / 16, **changes})


def sample():
    """A colour image, whose first two colours tell column and row, and its mask: little foreground, half unlabelled."""
    image = np.random.default_rng(0).integers(0, 256, (256, 250, 3), "uint8")
    image[..., 0], image[..., 1] = np.arange(250), np.arange(256)[:, np.newaxis]
    mask = np.zeros((256, 250, 1), "int8")
    mask[9:12, 7:9] = 1
    mask[:, 125:] = -1
    return Labelled(image, mask)


def test_a_crop_is_a_part_of_its_image_in_any_of_eight_ways_and_its_mask_the_same():
    of = sample()
    ways, corners, generator = set(), set(), crops([of], settings(crop=64, **PLAIN))
    for number in range(300):
        x, y = (array[0] for array in next(generator))
        assert (x.shape, y.shape, x.dtype, y.dtype) == ((64, 64, 3), (64, 64, 1), "float32", "float32")
        assert (y >= 0).any()
        assert number % 2 or (y == 1).any()  # every second crop holds some of the 6 pixels of 64,000
        for turns, mirror in TURNS:
            turned, labels = (np.rot90(array, turns)[:, ::mirror] for array in (x, y))
            left, top = turned[0, 0, :2].astype(int)
            part = of.image[top : top + 64, left : left + 64]
            if part.shape == turned.shape and np.array_equal(part, turned):
                assert np.array_equal(of.mask[top : top + 64, left : left + 64], labels)
                ways.add((turns, mirror))
                corners.add((top, left))
    assert len(ways) == 8
    assert len(corners) > 100


def test_crops_change_in_contrast_brightness_and_tint():
    of = Labelled(np.kron(np.random.default_rng(0).integers(0, 2, (32, 32, 3)), np.ones((16, 16, 1))).astype("float32")
                  * 100 + 50, np.kron(np.eye(32, dtype="int8"), np.ones((16, 16), "int8"))[..., np.newaxis])

    def drawn(**changes):
        generator = crops([of], settings(**{**PLAIN, **changes}))
        return [next(generator) for _ in range(200)]

    assert {value for x, _ in drawn() for value in np.unique(x)} == {50, 150}
    ranges = np.array([np.ptp(x[..., 0]) for x, _ in drawn(contrast=2.0)])
    assert 50 <= ranges.min() < 60 < 180 < ranges.max() <= 200.1
    assert np.log(ranges / 100).mean() == pytest.approx(0, abs=0.1)
    middles = np.array([np.unique(x[0, ..., 0]).mean() for x, _ in drawn(brightness=0.5)])
    assert middles.std() == pytest.approx(25, rel=0.2)
    colours = np.array([[np.unique(x[0, ..., channel]).mean() for channel in range(3)] for x, _ in drawn(tint=0.5)])
    assert np.corrcoef(colours.T)[0, 1] < 0.3
    assert colours.std(axis=0) == pytest.approx(25, rel=0.2)


def test_an_image_smaller_than_a_crop_is_mirrored():
    image = np.arange(40 * 50).reshape(40, 50, 1).astype("float32")
    x, y = next(crops([Labelled(image, (image > 99).astype("int8"))], settings(crop=160, **PLAIN)))
    assert x.shape == y.shape == (1, 160, 160, 1)
    assert np.array_equal(x > 99, y > 0)
    assert len(np.unique(x)) == 2000


def test_rare_and_frequent_pixels_are_drawn_alike():
    few = np.zeros((300, 200, 1), bool)
    few[7:9, 100:105] = True
    for among in (few, ~few):
        generator, pixels = np.random.default_rng(0), Pixels(among)
        drawn = [pixels.draw(generator) for _ in range(200)]
        assert all(among[place] for place in drawn)
        assert len(set(drawn)) == (10 if among is few else 200)


def test_of_several_images_each_is_drawn_from():
    images = [Labelled(np.full((64, 64, 1), grey, "uint8"), np.eye(64, dtype="int8")[..., None]) for grey in (9, 99)]
    generator = crops(images, settings(**PLAIN))
    greys = [next(generator)[0].max() for _ in range(100)]
    assert 30 < greys.count(9) < 70
    assert 30 < greys.count(99) < 70


def test_images_are_read_in_colour_if_one_is_and_with_their_masks(tmp_path):
    colour, mask = sample()
    write_png(tmp_path / "colour.png", colour[..., ::-1])
    write_png(tmp_path / "grey.png", colour[..., 0])
    write_png(tmp_path / "mask.png", np.where(mask < 0, 128, mask.astype(int) * 255))
    paths = {name: str(tmp_path / f"{name}.png") for name in ("colour", "grey", "mask")}
    files = dict(image=(paths["grey"], paths["colour"]), mask=(paths["mask"],) * 2)
    both = read_labelled(settings(**files, match=False))
    assert [image.shape for image, _ in both] == [(256, 250, 3)] * 2
    assert np.array_equal(both[1].image, colour)
    assert all(np.array_equal(of.mask, mask) for of in both)
    before, after = (np.array([exposure(image) for image, _ in images]) for images in (
        both, read_labelled(settings(**files))))
    assert not np.allclose(before[0], before[1], atol=1)
    assert np.allclose(after[..., 0], before[..., 0].mean(axis=0), atol=1e-3)  # medians
    (grey,) = read_labelled(settings(image=(paths["grey"],), mask=(paths["mask"],)))
    assert grey.image.shape == (256, 250, 1)
    write_png(tmp_path / "mask.png", np.eye(256))
    with pytest.raises(UserError, match=r"mask\.png has 256 x 256 pixels, but \S+grey\.png has 256 x 250; make them"):
        read_labelled(settings(image=(paths["grey"],), mask=(paths["mask"],)))


def strokes_of(*greys):
    """A transparent mask with a stroke of each of these grey values."""
    image = np.zeros((40, 50, 4), "uint8")
    for number, grey in enumerate(greys):
        image[9 * number + 3 : 9 * number + 9] = grey, grey, grey, 255
    return image


@pytest.mark.parametrize(("masks", "missing"), [
    ([np.zeros((40, 50, 1))], "foreground"), ([np.full((40, 50, 1), 255)], "background"),
    ([strokes_of(255)], "background"), ([strokes_of(0)], "foreground"), ([strokes_of(0), strokes_of(0)], "foreground"),
    ([strokes_of(255), strokes_of(0)], None), ([strokes_of(0, 255), strokes_of(0)], None),
])
def test_the_masks_mark_both_kinds_and_one_alone_may_mark_one(tmp_path, masks, missing):
    own = settings(image=tuple(f"{tmp_path}/{number}.png" for number in range(len(masks))),
                   mask=tuple(f"{tmp_path}/{number}_mask.png" for number in range(len(masks))), crop=32, **PLAIN)
    for image_path, mask_path, mask in zip(own.image, own.mask, masks, strict=True):
        write_png(image_path, np.random.default_rng(0).integers(0, 256, (40, 50)))
        write_png(mask_path, mask)
    if missing:
        with pytest.raises(UserError, match=rf"0_mask\.png.* marks? no {missing}; give"):
            read_labelled(own)
        return
    drawn = [y for _, (_, y) in zip(range(40), crops(read_labelled(own), own), strict=False)]
    assert all((y == 1).any() for y in drawn[::2])  # every second holds some foreground, from whichever image has it
    assert any((y == 0).any() and not (y == 1).any() for y in drawn[1::2])


def test_painted_images_come_to_the_exposure_that_a_network_already_knows(tmp_path):
    for number, shift in enumerate((0, 90)):
        write_png(tmp_path / f"{number}.png", np.random.default_rng(0).normal(60 + shift, 12, (64, 64)).clip(0, 255))
        write_png(tmp_path / f"{number}_mask.png", 255 * (np.arange(64) < 9) * np.ones((64, 1)))
    one, both = (settings(image=tuple(f"{tmp_path}/{number}.png" for number in range(count)),
                          mask=tuple(f"{tmp_path}/{number}_mask.png" for number in range(count))) for count in (1, 2))
    known = model.trained_exposure(train.untrained_own(one, read_labelled(one)))
    assert known == pytest.approx(exposure(read_labelled(one)[0].image), abs=1e-3)
    for image, _ in read_labelled(both, known):
        assert exposure(image)[0, 0] == pytest.approx(known[0, 0], abs=1.5)
    assert exposure(read_labelled(both)[0].image)[0, 0] > known[0, 0] + 30  # else at that of both on average


def test_exposures_are_matched_by_the_background_and_in_contrast_nearly():
    def cells(rows):  # 60 grey values brighter than their background of 100
        return np.random.default_rng(0).normal(100, 10, (200, 200, 1)) + 60 * (np.arange(200) < rows)[:, None, None]

    after = exposure(cells(20))
    assert np.array_equal(matched(cells(20), after, after), cells(20).astype("float32"))
    for factor, shift in ((1, 30), (1.2, -20), (0.25, 40), (4, 0)):
        image = cells(60) * factor + shift
        found = matched(image, exposure(image), after)
        assert np.median(found[60:]) == pytest.approx(100, abs=5)
        assert np.median(found[:60]) - np.median(found[60:]) == pytest.approx(60 if factor >= 1 else 30, abs=3)


def test_an_image_is_taken_as_it_is_only_if_it_is_near_and_the_network_surer_of_it():
    class Layer:
        mean, variance = np.array([100.0]), np.array([400.0])

    class Network:  # sure of what is brighter than 130, and of what is darker than 95
        input_shape = (None, None, None, 1)

        def get_layer(self, name):
            return Layer

        def predict_on_batch(self, X):
            return np.clip((X - 95) / 35, 0, 1)

    def seen(background, foreground, trying=True):
        image = np.random.default_rng(0).normal(background, 0.1, (64, 96, 1))
        image[:20] += foreground - background
        return tuple(model.fitting(Network(), image, exposure(image), trying)[0].round())

    trained = 100, 20
    assert seen(118, 160) == trained  # as it is, its background would be foreground
    assert seen(80, 130) == (80, 23)  # brighter by 20 its background would not be so sure
    assert seen(60, 130) == trained  # too far away
    assert seen(80, 230) == trained  # its contrast too
    assert seen(118, 160, trying=False) == (118, 19)  # near, and left as it is
    assert seen(60, 130, trying=False) == trained


def test_of_a_large_image_an_excerpt_with_foreground_is_scored():
    image, mask = np.zeros((4000, 5000, 1), "uint8"), np.zeros((4000, 5000, 1), "int8")
    mask[3900:3990, 40:50] = mask[10:90, -20:-10] = 1  # none in the middle
    part = excerpt(image, mask)
    assert part.image.shape == part.mask.shape == (2048, 2048, 1)
    assert part.mask.sum() in (800, 900)
    assert excerpt(*sample()).mask.shape == (256, 250, 1)


def test_what_lies_under_no_stroke_changes_nothing(tmp_path, eager):
    write_png(tmp_path / "image.png", sample().image)
    strokes = np.zeros((256, 250, 4), "uint8")
    strokes[5:9, :200, :3], strokes[60:70, :200, :3] = 250, 10
    weights = []
    for hidden in (0, 200):
        painted = strokes.copy()
        painted[100:, :, :3] = hidden
        painted[[5, 6, 7, 8, *range(60, 70)], :200, 3] = 255
        write_png(tmp_path / "mask.png", painted)
        own = settings(image=(str(tmp_path / "image.png"),), mask=(str(tmp_path / "mask.png"),), steps=3)
        weights.append(train.train_own(own, read_labelled(own)).network.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))
