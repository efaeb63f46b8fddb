"""One's own images: the two commands from one label to the rest."""

import dataclasses
import re

import cv2
import numpy as np
import pytest

import model
import test as segment
import train
from common import networks
from common.files import read_table
from common.folders import holding, in_place_of
from common.images import read_image, read_mask, write_png
from common.settings import RECIPES, Settings, read_settings
from data import create_data
from scripts import contents, run


def settings(**changes):
    """Settings of one's own images, of narrow networks."""
    return Settings(**{"image": ("a.png",), "mask": ("b.png",), **RECIPES["own"], "width": 1 / 16, **changes})


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
        "model.keras", "settings.json", "history.csv", "fit.png", ".files.json", ".lock"}
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
        "masks", "overlays", "metrics.csv", "contact_sheet.png", ".files.json", ".lock"}
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
    network, fifth = networks.load(folder / "output" / "model.keras"), read_image(folder / "cells" / "a cell 5.png")
    truth, _ = read_mask(folder / "masks" / "a cell 5.png")
    as_it_is = model.predict_image(network, fifth, match=False) > 0.5
    assert float(rows["a cell 5.png"]["network_iou"]) > (truth & as_it_is).sum() / (truth | as_it_is).sum() + 0.1
    assert re.search(r"least sure of a cell \d\.\w+, a cell \d\.\w+: label one", tested.stdout)
    assert re.search(r"network +0\.\d+ .*\(a cell \d\.\w+\)", tested.stdout)


def test_masks_are_found_by_the_names_that_people_give_them(tmp_path):
    for name in ("X_1", "X_1_mask", "X_2", "Y_1", "cell", "cell_mask", "Y_9", "a_mask", "learned"):
        write_png(tmp_path / f"{name}.png", np.eye(40) * 255)
    own = settings(mask=(str(tmp_path / "learned.png"),), folder=str(tmp_path))
    images, masks, rest = segment.own_images(own)
    assert ([path.stem for path in images], masks) == (["a_mask", "cell", "X_1", "X_2", "Y_9"], {})
    assert [path.stem for path in rest] == ["cell_mask", "X_1_mask", "Y_1"]
    images, masks, _ = segment.own_images(dataclasses.replace(own, masks=str(tmp_path)))
    assert {image.stem: mask.stem for image, mask in masks.items()} == {"X_1": "X_1_mask", "cell": "cell_mask"}


def test_a_folder_may_be_called_in_two_ways_and_holds_what_was_left_there(tmp_path, monkeypatch):
    for name in ("a", "b", "a_mask"):
        write_png(tmp_path / "cells" / f"{name}.png", np.eye(40) * 255)
    with holding(tmp_path / "cells", "--output"), in_place_of(tmp_path / "cells") as folder:
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
    ("--folder damaged", r"damaged/b\.png is not an image that OpenCV can read, is damaged"),
    ("--folder twice", r"--folder twice holds a\.bmp and a\.png, which would leave one mask; rename one of them"),
    ("--vis cells", "--vis cells is the folder of your images; name another"),
    ("--masks masks --vis .", r"masks/a cell 2\.png would be replaced or removed with the results in \.; copy it"),
    ("--vis .", r"masks/a cell 2\.png is there already, and no result; move it away, or name another folder"),
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
    assert left == {"model.keras", "settings.json", "history.csv", "fit.png", ".files.json", ".lock"}
