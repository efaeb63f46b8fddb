"""One's own images: the crops that are trained on, exposures, and the two commands from one label to the rest."""

import dataclasses
import re

import cv2
import numpy as np
import pytest

import model
import test as segment
import train
from common.errors import UserError
from common.files import in_place_of, read_table
from common.images import exposure, matched, read_image, read_mask, write_png
from common.settings import RECIPES, Settings, read_settings
from data import Labelled, Pixels, create_data, crops, excerpt, read_labelled
from scripts import contents, run

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

    def seen(background, foreground):
        image = np.random.default_rng(0).normal(background, 0.1, (64, 96, 1))
        image[:20] += foreground - background
        return tuple(model.fitting(Network(), image, exposure(image))[0].round())

    trained = 100, 20
    assert seen(118, 160) == trained  # as it is, its background would be foreground
    assert seen(80, 130) == (80, 23)  # brighter by 20 its background would not be so sure
    assert seen(60, 130) == trained  # too far away
    assert seen(80, 230) == trained  # its contrast too


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


@pytest.fixture(scope="module")
def segmented(tmp_path_factory):
    """A folder of circles under other names, trained on the first and segmented; and the two finished processes."""
    folder = tmp_path_factory.mktemp("own")
    X, Y = create_data(5, Settings(size=(200, 160)))
    for number, (image, mask) in enumerate(zip(X, Y, strict=True), start=1):
        image = image / 2 + 40 if number == 5 else image  # another exposure
        write_png(folder / "cells" / f"a cell {number}.png", image)
        write_png(folder / "masks" / f"a cell {number}.png", mask * 255)
    cv2.imwrite(str(folder / "cells" / "a cell 4.jpg"), cv2.imread(str(folder / "cells" / "a cell 4.png")),
                [cv2.IMWRITE_JPEG_QUALITY, 98])
    (folder / "cells" / "a cell 4.png").unlink()
    (folder / "masks" / "a cell 1.png").rename(folder / "cells" / "a cell 1 mask.png")
    (folder / "cells" / "notes.txt").write_text("mine")
    trained = run(folder, "train.py", "--image", "cells/a cell 1.png", "--mask", "cells/a cell 1 mask.png", "--width",
                  "0.25", "--learning-rate", "0.003", "--steps", "150")
    assert trained.returncode == 0, trained.stderr
    tested = run(folder, "test.py", "--folder", "cells", "--masks", "masks", "--average")
    assert tested.returncode == 0, tested.stderr
    return folder, trained, tested


def test_one_labelled_image_is_learned_and_what_cannot_be_known_is_said(segmented):
    folder, trained, _ = segmented
    assert {path.name for path in (folder / "output").iterdir()} == {
        "model.keras", "settings.json", "history.csv", "fit.png", ".files.json"}
    assert read_settings(folder / "output" / "settings.json").image == (str(folder / "cells" / "a cell 1.png"),)
    assert float(re.search(r"fit of a cell 1\.png: IoU (0\.\d+)", trained.stdout)[1]) > 0.9
    assert "cannot be known" in trained.stdout
    assert re.search(r"s left$", trained.stdout, re.MULTILINE)
    assert min(cv2.imread(str(folder / "output" / "fit.png")).shape[:2]) > 400
    losses = [float(row["loss"]) for row in read_table(folder / "output" / "history.csv")]
    assert len(losses) == train.RECORDS
    assert losses[-1] < losses[0] / 2


def test_the_rest_is_segmented_and_another_exposure_too(segmented):
    folder, _, tested = segmented
    rows = {row["image"]: row for row in read_table(folder / "vis" / "metrics.csv")}
    assert list(rows) == [f"a cell {number}.{'jpg' if number == 4 else 'png'}" for number in range(1, 6)]
    assert [row["trained_on"] for row in rows.values()] == ["yes", "no", "no", "no", "no"]
    assert {path.name for path in (folder / "vis").iterdir()} == {
        "masks", "overlays", "metrics.csv", "contact_sheet.png", ".files.json"}
    for name, row in rows.items():
        assert 0 < float(row["foreground_share"]) < 1
        assert 0 < float(row["uncertainty"]) < 0.5
        mask = read_image(folder / "vis" / "masks" / f"{name[:8]}.png")
        assert mask.shape == (200, 160, 1)
        assert set(np.unique(mask)) == {0, 255}
        assert (mask > 0).mean() == pytest.approx(float(row["foreground_share"]), abs=1e-6)
        assert cv2.imread(str(folder / "vis" / "overlays" / f"{name[:8]}.png")).shape == (200, 160, 3)
        if name == "a cell 1.png":  # its mask lies elsewhere
            assert row["network_iou"] == ""
            continue
        truth, _ = read_mask(folder / "masks" / f"{name[:8]}.png")
        iou = (truth & (mask > 0)).sum() / (truth | (mask > 0)).sum()
        assert float(row["network_iou"]) == pytest.approx(iou, abs=1e-6)
        assert iou > 0.8
    network, fifth = model.load(folder / "output" / "model.keras"), read_image(folder / "cells" / "a cell 5.png")
    truth, _ = read_mask(folder / "masks" / "a cell 5.png")
    as_it_is = model.predict_image(network, fifth, match=False) > 0.5
    assert float(rows["a cell 5.png"]["network_iou"]) > (truth & as_it_is).sum() / (truth | as_it_is).sum() + 0.1
    assert re.search(r"least sure of a cell \d\.\w+, a cell \d\.\w+: label one", tested.stdout)
    assert re.search(r"network +0\.\d+ .*\(a cell \d\.\w+\)", tested.stdout)


def test_masks_are_found_by_the_names_that_people_give_them(tmp_path):
    for name in ("X_1", "X_2", "Y_1", "cell", "cell_mask", "Y_9", "a_mask", "learned"):
        write_png(tmp_path / f"{name}.png", np.eye(40) * 255)
    own = settings(mask=(str(tmp_path / "learned.png"),), folder=str(tmp_path))
    images, masks, rest = segment.own_images(own)
    assert ([path.stem for path in images], masks) == (["a_mask", "cell", "X_1", "X_2", "Y_9"], {})
    assert [path.stem for path in rest] == ["cell_mask", "Y_1"]
    images, masks, _ = segment.own_images(dataclasses.replace(own, masks=str(tmp_path)))
    assert {image.stem: mask.stem for image, mask in masks.items()} == {"X_1": "Y_1", "cell": "cell_mask"}


def test_a_folder_may_be_called_in_two_ways_and_holds_what_was_left_there(tmp_path, monkeypatch):
    for name in ("a", "b", "a_mask"):
        write_png(tmp_path / "cells" / f"{name}.png", np.eye(40) * 255)
    with in_place_of(tmp_path / "cells") as folder:
        write_png(folder / "fit.png", np.eye(40))
    monkeypatch.chdir(tmp_path)
    own = settings(folder="cells", masks=str(tmp_path / "cells"), output="cells")
    images, masks, _ = segment.own_images(own)
    assert ([path.stem for path in images], {image.stem: mask.stem for image, mask in masks.items()}) == (
        ["a", "b"], {"a": "a_mask"})


def test_masks_may_differ_from_their_images_in_the_suffix_alone(tmp_path):
    for name in ("a", "b", "c"):
        cv2.imwrite(str(tmp_path / f"{name}.jpg"), np.zeros((40, 50)))
        write_png(tmp_path / f"{name}.png", np.eye(40, 50) * 255)
    (tmp_path / "c.png").unlink()
    own = settings(image=(str(tmp_path / "a.jpg"),), mask=(str(tmp_path / "a.png"),), folder=str(tmp_path))
    images, _, rest = segment.own_images(own)
    assert ([path.name for path in images], [path.name for path in rest]) == (["a.jpg", "b.jpg", "c.jpg"], ["b.png"])
    images, masks, _ = segment.own_images(dataclasses.replace(own, masks=str(tmp_path)))
    assert {image.name: mask.name for image, mask in masks.items()} == {"a.jpg": "a.png", "b.jpg": "b.png"}


@pytest.mark.parametrize(("line", "message"), [
    ("--masks cells2", "--masks cells2 cannot be read"),
    ("--masks others", "--masks others holds no mask that is called as an image of --folder cells, such as a cell 1"),
    ("--masks sizes", r"sizes/a cell 2\.png has 90 x 90 pixels, but cells/a cell 2\.png has 200 x 160"),
    ("--folder damaged", r"damaged/b\.png is not an image that OpenCV can read, or is damaged"),
    ("--folder twice", r"--folder twice holds a\.bmp and a\.png, which would leave one mask; rename one of them"),
    ("--vis cells", "--vis cells is the folder of your images; name another"),
    ("--masks masks --vis .", r"masks/a cell 2\.png would be replaced or removed with the results in \.; copy it"),
    ("--vis .", r"masks/a cell 2\.png is there already, and no result; name another folder with --vis"),
])
def test_what_does_not_fit_costs_no_result_that_was_there(segmented, line, message):
    folder, *_ = segmented
    for name, size in (("others/x.png", 200), ("sizes/a cell 2.png", 90), ("damaged/a.png", 90), ("twice/a.png", 90)):
        write_png(folder / name, np.eye(size) * 255)
    (folder / "damaged" / "b.png").write_text("not a picture")
    cv2.imwrite(str(folder / "twice" / "a.bmp"), np.eye(90))
    before = contents(folder / "vis")
    done = run(folder, "test.py", *["--folder", "cells"] * ("--folder" not in line), *line.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(rf"test\.py: {message}[^\n]*\n", done.stderr)
    assert contents(folder / "vis") == before


def test_a_network_of_own_images_needs_a_folder_and_a_new_training_replaces_the_old(segmented):
    folder, *_ = segmented
    done = run(folder, "test.py")
    assert done.stderr == "test.py: output holds a network of your own images; name a folder of them with --folder\n"
    output = ["--output", "again"]
    own = ["--image", "cells/a cell 1.png", "--mask", "cells/a cell 1 mask.png"]
    for flags in (["--size", "64", "64", "--radius", "9", "9", "--validation", "2", "--watch", "1"], own):
        done = run(folder, "train.py", *output, "--width", "0.05", "--steps", "2", *flags)
        assert done.returncode == 0, done.stderr
    left = {path.name for path in (folder / "again").rglob("*") if path.is_file()}
    assert left == {"model.keras", "settings.json", "history.csv", "fit.png", ".files.json"}
