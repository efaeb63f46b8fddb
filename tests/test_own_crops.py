"""One's own images before a network sees them: read with their masks, their exposure, crops."""

import dataclasses

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from common.backend import keras
from common.errors import UserError
from common.images import write_png
from own.crops import Labelled, Pixels, crops, excerpt, prepared_for_training, read_labelled
from own.exposure import best_exposure, exposure, matched, near, stretch, trained_exposure
from own.images import read_image
from own.review import mask_lines
from own.settings import OwnSettings
from own.strokes import make_own_loss
from own.training import train_own, untrained_for

PLAIN = dict(contrast=1.0, brightness=0.0, tint=0.0)  # crops are parts


def labelled():
    """A colour image, whose first two colours tell column and row; little foreground."""
    image = np.random.default_rng(0).integers(0, 256, (256, 250, 3), "uint8")
    image[..., 0], image[..., 1] = np.arange(250), np.arange(256)[:, np.newaxis]
    mask = np.zeros((256, 250, 1), "int8")
    mask[9:12, 7:9] = 1
    mask[:, 125:] = -1
    return Labelled(image, mask)


def test_a_crop_is_a_part_of_its_image_in_any_of_eight_ways_and_its_mask_the_same():
    image, mask = labelled()
    ways, corners = set(), set()
    generator = crops([Labelled(image, mask)], OwnSettings(crop=64, **PLAIN))
    for number in range(300):
        x, y = (array[0] for array in next(generator))
        assert (x.shape, y.shape, x.dtype, y.dtype) == (
            (64, 64, 3), (64, 64, 1), "float32", "float32")
        assert (y >= 0).any()
        assert number % 2 or (y == 1).any()  # every second crop holds one of six pixels of 64,000
        for way in range(8):
            turns, mirror = way // 2, (1, -1)[way % 2]
            turned, turned_mask = (np.rot90(array, turns)[:, ::mirror] for array in (x, y))
            left, top = turned[0, 0, :2].astype(int)
            part = (slice(top, top + 64), slice(left, left + 64))
            if np.array_equal(image[part], turned):
                assert np.array_equal(mask[part], turned_mask)
                ways.add(way)
                corners.add((top, left))
    assert len(ways) == 8
    assert len(corners) > 100


def test_crops_change_in_contrast_brightness_and_tint():
    generator = np.random.default_rng(0)
    squares = np.kron(generator.integers(0, 2, (32, 32, 3)), np.ones((16, 16, 1)))
    mask = np.kron(np.eye(32, dtype="int8"), np.ones((16, 16), "int8"))[..., np.newaxis]
    sample = Labelled((squares * 100 + 50).astype("float32"), mask)

    def drawn(**changes):
        generator = crops([sample], OwnSettings(**{**PLAIN, **changes}))
        images = [next(generator)[0] for _ in range(200)]
        return np.array([[image.min(axis=(0, 1, 2)), image.max(axis=(0, 1, 2))]
                         for image in images])  # (200, 2, 3)

    assert np.array_equal(np.unique(drawn()), [50, 150])
    low, high = drawn(contrast=2.0).swapaxes(0, 1)
    factors = (high - low) / 100
    assert 0.5 <= factors.min() < 0.6 < 1.8 < factors.max() <= 2.001
    assert np.log(factors).mean() == pytest.approx(0, abs=0.1)
    deviation = drawn(brightness=0.5).mean(axis=(1, 2)).std()
    assert deviation == pytest.approx(25, rel=0.2)
    colours = drawn(tint=0.5).mean(axis=1)
    assert np.corrcoef(colours.T)[0, 1] < 0.3
    assert colours.std(axis=0) == pytest.approx(25, rel=0.2)


def test_an_image_smaller_than_a_crop_is_mirrored():
    image = np.arange(40 * 50).reshape(40, 50, 1).astype("float32")
    sample = Labelled(image, (image > 99).astype("int8"))
    x, y = next(crops([sample], OwnSettings(crop=160, **PLAIN)))
    assert x.shape == y.shape == (1, 160, 160, 1)
    assert np.array_equal(x > 99, y > 0)
    assert len(np.unique(x)) == 2000


def test_rare_and_frequent_pixels_are_drawn_alike():
    rare = np.zeros((300, 200, 1), bool)
    rare[7:9, 100:105] = True
    for among, different in ((rare, 10), (~rare, 200)):
        generator, pixels = np.random.default_rng(0), Pixels(among)
        places = [pixels.draw(generator) for _ in range(200)]
        assert all(among[place] for place in places)
        assert len(set(places)) == different


def test_of_several_images_each_is_drawn_from():
    mask = np.eye(64, dtype="int8")[..., np.newaxis]
    images = [Labelled(np.full((64, 64, 1), grey, "uint8"), mask) for grey in (9, 99)]
    generator = crops(images, OwnSettings(**PLAIN))
    greys = [next(generator)[0].max() for _ in range(100)]
    assert 30 < greys.count(9) < 70


def files(folder, count=1, **changes):
    """Settings of images 0.png, ... with masks 0_mask.png, ... in a folder."""
    images = tuple(f"{folder}/{number}.png" for number in range(count))
    masks = tuple(f"{folder}/{number}_mask.png" for number in range(count))
    return OwnSettings(**{"image": images, "mask": masks, "width": 1 / 16, **changes})


def test_images_are_read_in_colour_if_one_is_and_with_their_masks(tmp_path):
    colour, mask = labelled()
    write_png(tmp_path / "0.png", colour[..., 0])
    write_png(tmp_path / "1.png", colour[..., ::-1])
    for number in range(2):
        write_png(tmp_path / f"{number}_mask.png", np.where(mask < 0, 128, mask.astype(int) * 255))
    as_they_are = read_labelled(files(tmp_path, 2, match=False))
    assert [image.shape for image, _ in as_they_are] == [(256, 250, 3)] * 2
    assert np.array_equal(as_they_are[1].image, colour)
    assert all(np.array_equal(read, mask) for _, read in as_they_are)
    before = np.array([exposure(image) for image, _ in as_they_are])
    _, brought = prepared_for_training(files(tmp_path, 2), read_labelled(files(tmp_path, 2)))
    after = np.array([exposure(image) for image, _ in brought])
    assert not np.allclose(before[0], before[1], atol=1)
    assert np.allclose(after[..., 0], before[..., 0].mean(axis=0), atol=1e-3)  # medians
    (grey,) = read_labelled(files(tmp_path))
    assert grey.image.shape == (256, 250, 1)
    write_png(tmp_path / "0_mask.png", np.eye(256))
    with pytest.raises(UserError, match=r"0_mask\.png has 256 x 256 pixels, but \S+0\.png has 256"):
        read_labelled(files(tmp_path))
    write_png(tmp_path / "0.png", np.full((256, 256), 7))
    with pytest.raises(UserError, match=r"0\.png has one grey value alone, or nearly"):
        read_labelled(files(tmp_path))


def test_a_weak_signal_in_sixteen_bits_is_one(tmp_path):
    generator = np.random.default_rng(0)
    image = generator.normal(100, 1.5, (64, 64))
    image[20:30, 20:30] += 4
    write_png(tmp_path / "0_mask.png", 255 * (image > 200) + 255 * np.eye(64))
    assert cv2.imwrite(str(tmp_path / "0.png"), image.round().astype("uint16"))
    ((read, _),) = read_labelled(files(tmp_path))
    assert read.std() > 0
    assert cv2.imwrite(str(tmp_path / "0.png"), np.full((64, 64), 100, "uint16"))
    with pytest.raises(UserError, match=r"0\.png has one grey value alone, or nearly"):
        read_labelled(files(tmp_path))


@pytest.mark.parametrize(("line", "message"), [
    ("a.png b.png b_mask.png a_mask.png", r"a_mask\.png is called as the mask of a\.png, but not"),
    ("a.png b_cp_masks.png b.png a-seg.tif", r"a-seg\.tif is called as the mask of a\.png, but"),
    ("i/a.png m/b.png i/b.png m/a.png", r"m/a\.png is called as i/a\.png, but not given as its"),
    ("a_mask.png a.png", r"a_mask\.png is called as the mask of a\.png, but not given as that"),
    ("Y_1.png X_1.png", r"Y_1\.png is called as the mask of X_1\.png, but not given as that"),
    ("a.png a.png", r"a\.png is given as an image and as its mask; name each image and then its"),
    ("a.png x.png b.png y.png", r"a\.png cannot be read"),  # their names say nothing
    ("1/a.png 1/a_mask.png 2/a.png 2/mine.png", r"1/a\.png cannot be read"),
    ("1/a.png m/a.png 2/a.png n/a.png", r"1/a\.png cannot be read"),
])
def test_names_that_say_that_images_and_masks_are_mixed_up_are_noticed(
        tmp_path, monkeypatch, line, message):
    monkeypatch.chdir(tmp_path)
    paths = line.split()
    with pytest.raises(UserError, match=message):
        read_labelled(OwnSettings(image=tuple(paths[::2]), mask=tuple(paths[1::2])))


def test_a_mask_that_lies_as_the_sensor_does_is_told_from_one_of_another_size(tmp_path):
    image, mask = np.random.default_rng(0).integers(0, 256, (40, 50), "uint8"), np.eye(40, 50) * 255
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(image).save(tmp_path / "0.png", exif=exif)
    write_png(tmp_path / "0_mask.png", mask)
    with pytest.raises(UserError, match=r"0_mask\.png would fit \S+0\.png if both lay as they are "
                       r"stored, .* \(1 and 6; 1 is upright\); turn the mask"):
        read_labelled(files(tmp_path))
    write_png(tmp_path / "0_mask.png", np.rot90(mask, -1))
    assert "turned as its own orientation tag says (6 and 1" in mask_lines(files(tmp_path))[1]
    Image.fromarray(mask.astype("uint8")).save(tmp_path / "0_mask.png", exif=exif)
    assert "turned upright, as their orientation tags (6) say" in mask_lines(files(tmp_path))[1]
    ((read, read_mask),) = read_labelled(files(tmp_path))
    assert np.array_equal(read[..., 0], np.rot90(image, -1))
    assert np.array_equal(read_mask[..., 0], np.rot90(mask > 0, -1))


def spots(count, side):
    """A mask of so many squares, bool (200, 200)."""
    mask = np.zeros((200, 200), bool)
    for number in range(count):
        row, column = 20 + 60 * (number // 3), 20 + 60 * (number % 3)
        mask[row : row + side, column : column + side] = True
    return mask


PAINTED = np.zeros((200, 200, 4), "uint8")
PAINTED[10:20], PAINTED[50:60] = (0, 0, 0, 255), (255, 255, 255, 255)


@pytest.mark.parametrize(("mask", "first", "second"), [
    (spots(9, 20) * 255, "foreground is 255: 3,600 pixels, 9% of the image, 9 "
     "separate objects", None),
    (spots(9, 20) * (np.indices((200, 200))[0] // 60 + 1),
     "foreground is all above 0 (1, 2, 3): 3,600 pixels, 9% of the image, 9 separate "
     "objects", None),
    (255 - spots(9, 20) * 255, "foreground is 255: 36,400 pixels, 91% of the image, 1 object",
     "more than half of it is foreground; is it inverted?"),
    (spots(9, 4) * 255, "foreground is 255: 144 pixels, 0.36% of the image, 9 separate objects",
     "only 144 pixels are foreground: so few mean little"),
    (spots(1, 25) * 255, "foreground is 255: 625 pixels, 1.56% of the image, 1 object",
     "only one object is foreground: so few mean little"),
    (spots(1, 100) * 255, "foreground is 255: 10,000 pixels, 25% of the image, 1 object",  # a leaf
     None),
    (PAINTED, "2,000 pixels are painted as foreground, 2,000 as background", None),
    (np.where(spots(9, 20), 255, np.where(spots(9, 28), 128, 0)),
     "foreground is 255; 128 is not labelled: 3,600 pixels, 9% of the image, 9 separate objects; "
     "8.64% is "
     "not labelled", None),
])
def test_every_mask_is_described_and_a_doubtful_one_asked_about(tmp_path, mask, first, second):
    write_png(tmp_path / "0.png", np.random.default_rng(0).integers(0, 256, (200, 200)))
    write_png(tmp_path / "0_mask.png", mask)
    lines = mask_lines(files(tmp_path))
    assert lines[0] == f"0_mask.png: {first}"
    assert len(lines) == (2 if second else 1)
    assert second is None or second in lines[1]


def test_an_image_that_looks_like_a_mask_is_asked_about_and_a_tag_that_inverts_named(tmp_path):
    write_png(tmp_path / "0.png", spots(9, 20) * 255)
    tifffile.imwrite(tmp_path / "0_mask.tif", spots(9, 20))
    settings = files(tmp_path, mask=(f"{tmp_path}/0_mask.tif",))
    lines = mask_lines(settings)
    assert "255 (its tag says that white is 0; the stored values count): 3,600 pixels" in lines[0]
    assert "0.png has two values alone, as masks have" in lines[1]


def strokes(*greys):
    """A transparent mask with a stroke of each of these grey values."""
    image = np.zeros((40, 50, 4), "uint8")
    for number, grey in enumerate(greys):
        image[9 * number + 3 : 9 * number + 9] = grey, grey, grey, 255
    return image


@pytest.mark.parametrize(("masks", "missing"), [
    ([np.zeros((40, 50, 1))], "foreground"), ([np.full((40, 50, 1), 255)], "background"),
    ([strokes(255)], "background"), ([strokes(0), strokes(0)], "foreground"),
    ([strokes(255), strokes(0)], None), ([strokes(0, 255), strokes(0)], None),
])
def test_the_masks_mark_both_kinds_and_one_alone_may_mark_one(tmp_path, masks, missing):
    generator = np.random.default_rng(0)
    for number, mask in enumerate(masks):
        write_png(tmp_path / f"{number}.png", generator.integers(0, 256, (40, 50)))
        write_png(tmp_path / f"{number}_mask.png", mask)
    settings = files(tmp_path, len(masks), crop=32, **PLAIN)
    if missing:
        with pytest.raises(UserError, match=rf"0_mask\.png.* marks no {missing}; give"):
            read_labelled(settings)
        return
    generator = crops(read_labelled(settings), settings)
    drawn = [next(generator)[1] for _ in range(40)]
    assert all((y == 1).any() for y in drawn[::2])  # foreground, from whichever image has it
    assert any((y == 0).any() and not (y == 1).any() for y in drawn[1::2])


def test_painted_images_come_to_the_exposure_that_a_network_already_knows(tmp_path):
    generator = np.random.default_rng(0)
    for number, grey in enumerate((60, 150)):
        write_png(tmp_path / f"{number}.png", generator.normal(grey, 12, (64, 64)).clip(0, 255))
        write_png(tmp_path / f"{number}_mask.png", 255 * (np.arange(64) < 9) * np.ones((64, 1)))
    first = read_labelled(files(tmp_path))
    trained = trained_exposure(untrained_for(files(tmp_path), first))
    assert trained == pytest.approx(exposure(first[0].image), abs=1e-3)
    both = read_labelled(files(tmp_path, 2))
    _, both = prepared_for_training(files(tmp_path, 2), both, trained)
    for image, _ in both:
        assert exposure(image)[0, 0] == pytest.approx(trained[0, 0], abs=1.5)


def test_exposures_are_matched_by_the_background_and_in_contrast_nearly():
    def cells(rows):  # 60 grey values brighter than their background of 100
        noise = np.random.default_rng(0).normal(100, 10, (200, 200, 1))
        noise[:rows] += 60
        return noise

    wanted = exposure(cells(20))
    assert np.array_equal(matched(cells(20), wanted, wanted), cells(20).astype("float32"))
    for factor, shift in ((1, 30), (1.2, -20), (0.25, 40), (4, 0)):
        image = cells(60) * factor + shift
        image = matched(image, exposure(image), wanted)
        background, foreground = np.median(image[60:]), np.median(image[:60])
        assert background == pytest.approx(100, abs=5)
        assert foreground - background == pytest.approx(60 if factor >= 1 else 30, abs=3)


def test_an_image_is_taken_as_it_is_only_if_it_is_near_and_the_network_surer_of_it():
    class Layer:
        mean, variance = np.array([100.0]), np.array([400.0])

    class Network:  # sure of what is brighter than 130, and of what is darker than 95
        input_shape = (None, None, None, 1)

        def get_layer(self, name):
            return Layer

        def predict_on_batch(self, X):
            return np.clip((X - 95) / 35, 0, 1)

    def seen_at(background, foreground, try_both=True):
        image = np.random.default_rng(0).normal(background, 0.1, (64, 96, 1))
        image[:20] += foreground - background
        return tuple(best_exposure(Network(), image, exposure(image), try_both)[0].round())

    trained = 100, 20
    assert seen_at(118, 160) == trained  # as it is, its background would be foreground
    assert seen_at(80, 130) == (80, 23)  # brighter by 20 its background would not be so sure
    assert seen_at(60, 120) == trained  # farther away, where it would have to be much surer
    assert seen_at(60, 130) == (60, 32)  # it is
    assert seen_at(60, 90) == trained  # that it is sure to find nothing there does not count
    assert seen_at(118, 160, try_both=False) == (118, 19)  # near, and left as it is
    assert seen_at(60, 130, try_both=False) == trained


def test_of_a_large_image_an_excerpt_with_foreground_is_scored():
    image, mask = np.zeros((4000, 5000, 1), "uint8"), np.zeros((4000, 5000, 1), "int8")
    mask[3900:3990, 40:50] = mask[10:90, -20:-10] = 1  # none in the middle
    part = excerpt(Labelled(image, mask))
    assert part.image.shape == part.mask.shape == (2048, 2048, 1)
    assert part.mask.sum() in (800, 900)
    assert excerpt(labelled()).mask.shape == (256, 250, 1)


def test_what_lies_under_no_stroke_changes_nothing(tmp_path, eager):
    write_png(tmp_path / "0.png", labelled().image)
    painted, weights = np.zeros((256, 250, 4), "uint8"), []
    painted[5:9, :200], painted[60:70, :200] = (250, 250, 250, 255), (10, 10, 10, 255)
    for hidden in (0, 200):
        painted[100:, :, :3] = hidden
        write_png(tmp_path / "0_mask.png", painted)
        settings = files(tmp_path, steps=3)
        run = train_own(settings, read_labelled(settings))
        weights.append(run.network.get_weights())
    assert all(np.array_equal(one, other) for one, other in zip(*weights, strict=True))


def test_foreground_where_nothing_is_painted_costs_a_little_and_spares_what_looks_like_it():
    settings = OwnSettings()
    masks = np.full((1, 32, 32, 1), -1, "float32")
    masks[:, :2], masks[:, -2:] = 1, 0

    def loss(painted, elsewhere, masks=masks, **changes):
        probabilities = np.full(masks.shape, elsewhere, "float32")
        probabilities[:, :2], probabilities[:, -2:] = painted, 1 - painted
        changed = dataclasses.replace(settings, **changes)
        tensors = (keras.ops.convert_to_tensor(array) for array in (masks, probabilities))
        return float(keras.ops.mean(make_own_loss(changed)(*tensors)))

    assert loss(0.9, 0.1) < loss(0.9, 0.5) < loss(0.9, 0.99)
    assert loss(0.9, 0.99) - loss(0.9, 0.1) < loss(0.2, 0.1) - loss(0.9, 0.1)
    assert loss(0.9, 0.1, unlabelled=0.0) == pytest.approx(loss(0.9, 0.9, unlabelled=0.0))
    whole = np.maximum(masks, 0)  # nothing is unlabelled
    assert loss(0.9, 0.7, whole) == pytest.approx(loss(0.9, 0.7, whole, unlabelled=0.0))


def test_an_image_with_an_empty_channel_is_at_its_own_exposure():
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), "uint8")
    image[..., 2] = 0
    mask = (image[..., :1] > 128).astype("int8")
    trained = trained_exposure(untrained_for(OwnSettings(width=1 / 16), [Labelled(image, mask)]))
    assert near(exposure(image), trained)
    assert stretch(exposure(image), trained) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("factor", [16, 4])
def test_sixteen_bits_of_which_few_are_used_come_to_the_exposure_of_eight(tmp_path, factor):
    shape = np.kron(np.eye(8), np.ones((8, 8))) > 0
    grey = np.random.default_rng(0).normal(60 + 90 * shape, 8).clip(0, 255).astype("uint8")
    assert cv2.imwrite(str(tmp_path / "deep.png"), grey.astype("uint16") * factor)
    image, wanted = read_image(tmp_path / "deep.png"), exposure(grey[..., np.newaxis])
    seen = matched(image, exposure(image), wanted)
    assert exposure(seen)[0, 0] == pytest.approx(wanted[0, 0], abs=1)
    assert exposure(seen)[0, 1] > wanted[0, 1] / 1.5  # contrast is matched nearly, as always
