"""The comparison on real images: strokes, what others use, rows that are measured once, tables."""

import sys

import cv2
import numpy as np
import pytest

from common.errors import UserError
from common.files import read_table
from common.settings import Settings
from data import create_data, write_data
from own import compare, tables, time_figure
from own.crops import Labelled
from own.forest import Forest
from own.pretrained import Pretrained
from own.settings import OwnSettings

FLAGS = "--width 0.0625 --steps 2 --no-match"


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


@pytest.mark.parametrize("kind, libraries", [
    pytest.param(Forest, compare.LIBRARIES["forest"], id="_forest_"),
    pytest.param(Pretrained, compare.LIBRARIES["pretrained"], id="_torch_"),
])
def test_classifiers_learn_from_labelled_pixels_alone(kind, libraries):
    for library in libraries:
        pytest.importorskip(library, reason=f"{library} is not installed")
    settings = dict(size=(96, 96), radius=(15, 24))
    (image, mask), (X, Y) = sample(**settings), create_data(2, Settings(**settings))
    every_other = np.random.default_rng(0).random(mask.shape) < 0.5
    for labels in (mask, np.where(every_other, mask, np.int8(-1))):
        probabilities = kind([Labelled(image, labels)]).predict(X[1])
        assert probabilities.shape == (96, 96, 1)
        assert ((probabilities > 0.5) == (Y[1] > 0)).mean() > 0.9


def test_methods_without_their_libraries_are_left_out_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(UserError, match=r"run pip install scikit-image==.* scikit-learn=="):
        Forest([sample()])
    write_data(*create_data(2, Settings(size=(64, 64), radius=(8, 12))), tmp_path / "circles")
    folders, path, said = [tmp_path / "circles"], tmp_path / "compare.csv", []
    with pytest.raises(UserError, match="--only forest is part of no row that can be measured"):
        compare.compare(folders, path, compare.Options(only="forest"), said.append)
    monkeypatch.delitem(compare.METHODS, "network")
    rows = compare.compare(folders, path, compare.Options(only="image 1, mask"), said.append)
    assert [row["method"] for row in rows] == ["blur + Otsu"]
    assert said[0] == said[1] and said[1].startswith("left out: forest needs libraries that are")
    assert "efficientnet_lite_pytorch==" in said[2]


@pytest.fixture
def in_this_process(monkeypatch):
    """Methods without optional libraries, from one labelled image, in this process."""
    for method in compare.LIBRARIES:
        monkeypatch.delitem(compare.METHODS, method)
    monkeypatch.setattr(compare, "LABELLED", 1)
    monkeypatch.setattr(compare, "in_processes", lambda number, calls: (
        function(*arguments) for function, *arguments in calls))


def test_every_method_is_measured_once_on_the_images_that_it_did_not_learn_from(
        tmp_path, in_this_process, eager):
    circles, path, said = tmp_path / "circles", tmp_path / "compare.csv", []
    write_data(*create_data(3, Settings(size=(32, 32), radius=(4, 6))), circles)
    for only, count in (("1, strokes, net", 2), ("all", 6), ("mask, blur", 1)):
        options = compare.Options(flags=FLAGS, only=only)
        assert len(compare.compare([circles], path, options, said.append)) == count
    rows = read_table(path)
    assert len(rows) == len(said) == 6  # two kinds of labels, three ways to predict
    assert said[0].startswith("circles, image 1, strokes, network: IoU ")
    for row in rows:
        assert (row["set"], row["labelled"], row["n"]) == ("circles", "1", "2")
        assert row["flags"] == (FLAGS if row["method"].startswith("network") else "")
        mean = (float(row["iou_2"]) + float(row["iou_3"])) / 2
        assert float(row["iou_mean"]) == pytest.approx(mean)
    assert len({row["uncertainty_3"] for row in rows if row["method"] == "network"}) == 2


def test_a_second_image_is_measured_with_every_other_one_and_names_are_judged(
        tmp_path, in_this_process, eager):
    circles, path = tmp_path / "circles", tmp_path / "compare.csv"
    write_data(*create_data(4, Settings(size=(32, 32), radius=(4, 6))), circles)
    options = compare.Options(flags=f"{FLAGS} --crop 32", second=True)
    compare.compare([circles], path, options, lambda words: None)
    rows = {(row["labelled"], row["method"]): row for row in read_table(path)}
    assert rows.keys() == {("1", "network"), ("1", "network, averaged"), ("1+2", "network"),
                           ("1+3", "network"), ("1+4", "network")}
    assert tables.numbered(rows["1+3", "network"], "iou").keys() == {"2", "4"}
    for uncertainty in ("uncertainty_2", "uncertainty_4"):  # they differ in what was labelled
        assert rows["1", "network"][uncertainty] != rows["1+3", "network"][uncertainty]
    for measure in tables.MEASURES:
        values = tables.numbered(rows["1", "network"], measure)
        assert values.keys() == {"2", "3", "4"} and min(values.values()) > 0
    head, _, line, mean = tables.naming(list(rows.values()))
    assert head.startswith(f"| network {options.flags} | one image | a second | uncertainty |")
    assert line.startswith("| circles | 0.") and mean.startswith("| **mean** | 0.")


def test_predictions_that_turn_with_their_image_do_not_disagree(tmp_path):
    write_data(*create_data(2, Settings(size=(64, 48), radius=(8, 12))), tmp_path)

    def left_half(image):
        return np.broadcast_to(np.arange(image.shape[1]) < image.shape[1] / 2, image.shape[:2])

    pairs = compare.read_set(tmp_path)
    same = compare.disagreements(lambda image: image / np.float32(255), pairs)
    assert same == pytest.approx({"disagreement_1": 0, "disagreement_2": 0}, abs=1e-6)
    opposite = compare.disagreements(lambda image: left_half(image)[..., np.newaxis], pairs)
    assert opposite == {"disagreement_1": 0.5, "disagreement_2": 0.5}


def network_row(labelled, iou, **measures):
    """A row of the network with masks: IoU by the number of the image, measures likewise."""
    row = {"set": "cells", "labelled": labelled, "labels": "mask", "method": "network", "flags": "",
           "iou_mean": str(np.mean(list(iou.values())))}
    for name, values in {"iou": iou, **measures}.items():
        row |= {f"{name}_{number}": str(value) for number, value in values.items()}
    return row


def test_a_hard_image_that_is_named_gains_nothing_by_leaving_the_rest():
    rows = [network_row(
        "1", {2: 0.8, 3: 0.8, 4: 0.8, 5: 0.2},
        uncertainty={2: 0.1, 3: 0.1, 4: 0.1, 5: 0.9}, doubt={2: 0.1, 3: 0.9, 4: 0.1, 5: 0.1})]
    for second in (2, 3, 4, 5):
        better = 0.1 if second == 3 else 0  # of all others
        after = {2: 0.8, 3: 0.8, 4: 0.8, 5: 0.2}
        after.pop(second)
        rows.append(network_row(
            f"1+{second}", {number: value + better for number, value in after.items()}))
    (worth,) = tables.worths_of_seconds(rows)
    assert worth["one image"] == pytest.approx(0.65)
    assert worth["a second"] == pytest.approx(0.65 + 0.1 / 4)
    assert worth["doubt"] == worth["the best"] == pytest.approx(0.1 - 0.1 / 3)
    assert worth["uncertainty"] == pytest.approx((0 - 0.1 / 3) * 2 / 3)
    assert tables.naming(rows)[2:] == [
        "| cells | 0.650 | 0.675 | -0.022 | +0.067 | - | +0.067 |",
        "| **mean** | 0.650 | 0.675 | -0.022 (-0.022 to -0.022) | +0.067 (+0.067 to +0.067) | - "
        "| +0.067 (+0.067 to +0.067) |"]
    assert tables.naming(rows[:-1]) == []  # a pair was not measured
    assert len(tables.table([{**row, "train_seconds": "1", "image_seconds": "1"}
                             for row in rows])) == 6  # of one labelled image alone


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
        "| **mean** | **0.700** | - |",
        "| seconds to learn | 9.0 | - |",
        "| seconds an image | 0.3 | - |",
        "",
        "no mean where rows are missing: otsu (1 of 4)",
    ]
    rows[-1]["labels"] = "strokes"  # in that table otsu has no row
    assert "| strokes | network |" in compare.table(rows)


def test_the_figure_of_seconds_has_a_point_for_each_method_and_flags_with_all_sets(tmp_path):
    rows = []
    for method, flags, sets in (("network", "", "ab"), ("network", "--steps 9", "ab"),
                                ("forest", "", "ab"), ("pretrained", "", "a")):
        for number, name in enumerate(sets):
            rows.append({"set": name, "labelled": "1", "labels": "mask", "method": method,
                         "flags": flags, "iou_mean": 0.5, "train_seconds": 10 + number})
    assert time_figure.points_of(rows) == {
        "network": [(10.5, 0.5, ""), (10.5, 0.5, "steps 9")], "forest": [(10.5, 0.5, "")]}
    time_figure.draw_time(rows, tmp_path / "compare.png")
    assert cv2.imread(str(tmp_path / "compare.png")).shape == (450, 800, 3)
