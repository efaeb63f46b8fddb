"""The comparison on real images: simulated strokes, the forest, rows that are measured once."""

import numpy as np
import pytest

from common.errors import UserError
from common.files import read_table
from common.settings import Settings
from data import create_data, write_data
from own import compare
from own.crops import Labelled
from own.forest import Forest
from own.settings import OwnSettings

FLAGS = "--width 0.0625 --steps 2"


def sample(**settings):
    """A circle in noise as `Labelled`."""
    X, Y = create_data(1, Settings(**settings))
    return Labelled(X[0], Y[0].astype("int8"))


def test_strokes_label_about_one_in_a_hundred_pixels_rightly():
    image, mask = sample(size=(300, 300), radius=(60, 60))
    painted = compare.strokes(Labelled(image, mask), 1)
    assert np.array_equal(painted.image, image)
    for label in (0, 1):
        assert 0.004 < (painted.mask == label).mean() < 0.01
    known = painted.mask >= 0
    assert np.array_equal(mask[known], painted.mask[known])
    small = sample(size=(300, 300), radius=(3, 3))
    assert (compare.strokes(small, 1).mask == 1).sum() >= 0.4 * (small.mask == 1).sum()


def test_of_blur_and_otsu_the_better_side_counts(tmp_path):
    X, Y = create_data(2)
    for name, images in (("bright", X), ("dark", 255 - X)):
        write_data(images, Y, tmp_path / name)
        key = (name, "1", "mask", "blur + Otsu", "")
        (row,) = compare.measure(key, tmp_path / name, OwnSettings())
        assert row["iou_mean"] > 0.9


def test_a_forest_learns_from_labelled_pixels_alone():
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    (image, mask), (X, Y) = sample(), create_data(2)
    every_other = np.random.default_rng(0).random(mask.shape) < 0.5
    for labels in (mask, np.where(every_other, mask, np.int8(-1))):
        probabilities = Forest([Labelled(image, labels)]).predict(X[1])
        assert probabilities.shape == (160, 160, 1)
        assert ((probabilities > 0.5) == (Y[1] > 0)).mean() > 0.9


def test_without_its_libraries_a_forest_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.ensemble", None)
    with pytest.raises(UserError, match=r"run pip install scikit-image==.* scikit-learn=="):
        Forest([sample()])


@pytest.fixture
def in_this_process(monkeypatch):
    """Methods without optional libraries, from one labelled image, in this process."""
    monkeypatch.delitem(compare.METHODS, "forest")
    monkeypatch.setattr(compare, "LABELLED", 1)
    monkeypatch.setattr(compare, "in_processes", lambda number, calls: (
        function(*arguments) for function, *arguments in calls))


def test_every_method_is_measured_once_on_the_images_that_it_did_not_learn_from(
        tmp_path, in_this_process, eager):
    circles, path, said = tmp_path / "circles", tmp_path / "compare.csv", []
    write_data(*create_data(3, Settings(size=(64, 64), radius=(8, 12))), circles)
    for only, count in (("1, strokes, net", 2), ("all", 6)):
        options = compare.Options(flags=FLAGS, only=only)
        compare.compare([circles], path, options, said.append)
        rows = read_table(path)
        assert len(rows) == len(said) == count  # two kinds of labels, three ways to predict
    assert said[0].startswith("circles, image 1, strokes, network: IoU ")
    for row in rows:
        assert (row["set"], row["labelled"], row["n"]) == ("circles", "1", "2")
        assert row["flags"] == (FLAGS if row["method"].startswith("network") else "")
        mean = (float(row["iou_2"]) + float(row["iou_3"])) / 2
        assert float(row["iou_mean"]) == pytest.approx(mean)
    assert len({row["uncertainty_3"] for row in rows if row["method"] == "network"}) == 2


def test_two_sets_of_one_name_and_flags_that_cannot_be_read_are_refused(tmp_path):
    for folder in (tmp_path / "circles", tmp_path / "more" / "circles"):
        write_data(*create_data(2), folder)
    for flags, message in ((None, "the same name"), ("--crop '", "an open quotation mark")):
        options = compare.Options(flags=flags)
        with pytest.raises(UserError, match=message):
            folders = [tmp_path / "circles", tmp_path / "more" / "circles"]
            compare.compare(folders, tmp_path / "compare.csv", options)


@pytest.mark.parametrize("text", ["set,iou_mean\ncells,0.5\n", ",".join([
    *compare.KEY, "iou_mean,train_seconds,image_seconds\na,1,mask,network,,much,1,1\n"])])
def test_a_table_of_another_kind_is_refused_by_name(tmp_path, text):
    (tmp_path / "compare.csv").write_text(text)
    with pytest.raises(UserError, match=r"compare\.csv (is not from|holds 'much' as iou_mean)"):
        compare.read_rows(tmp_path / "compare.csv")


def test_the_tables_hold_means_and_rank_correlations_of_sets():
    rows = []
    for name, labelled, method, iou, uncertainty in (
            ("cells", "1", "network", ("", ".9", ".5"), ("", ".1", ".2")),
            ("cells", "3", "network", (".9", ".7", ""), (".2", ".1", "")),
            ("cells", "2", "network", (".8", "", ".9"), (".2", "", ".1")),
            ("cells", "1", "otsu", ("", ".9", ".5"), ("", "0", "0")),
            ("cracks", "1", "network", ("", ".5", ".5"), ("", ".1", ".2"))):
        row = {"set": name, "labelled": labelled, "labels": "mask", "method": method, "flags": "",
               "iou_mean": max(iou), "train_seconds": "9", "image_seconds": ".26"}
        for number in range(3):
            row[f"iou_{number}"] = iou[number]
            row[f"uncertainty_{number}"] = uncertainty[number]
        rows.append(row)
    assert compare.telling(rows)[2:] == ["| cells | -0.33 | - |", "| cracks | - | - |"]
    assert compare.table(rows)[2:] == [
        "| cells | 0.900 (0.90, 0.90, 0.90) | 0.900 (0.90) |",
        "| cracks | 0.500 (0.50) | - |",
        "| **mean** | **0.700** | - |",  # of otsu a set is missing
        "| seconds to learn | 9.0 | - |",
        "| seconds an image | 0.3 | - |",
    ]
