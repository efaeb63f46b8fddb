"""Real images: the strokes that are simulated, the random forest, and the table that goes on where it stopped."""

import itertools

import numpy as np
import pytest

from common.errors import UserError
from common.files import read_table
from common.forest import Forest
from common.settings import Settings
from data import Labelled, create_data, write_data
from study import real
from study.__main__ import Options

FLAGS = "--width 0.0625 --steps 2"


def sample(**settings):
    """A circle in noise as `Labelled`."""
    X, Y = create_data(1, Settings(**settings))
    return Labelled(X[0], Y[0].astype("int8"))


def test_strokes_label_about_one_in_a_hundred_pixels_rightly():
    of = sample(size=(300, 300), radius=(60, 60))
    painted = real.strokes(of, 1)
    assert np.array_equal(painted.image, of.image)
    for label in (0, 1):
        assert 0.004 < (painted.mask == label).mean() < 0.01
    assert np.array_equal(of.mask[painted.mask >= 0], painted.mask[painted.mask >= 0])
    assert not np.array_equal(real.strokes(of, 2).mask, painted.mask)
    small = real.strokes(sample(size=(300, 300), radius=(3, 3)), 1)
    assert (small.mask == 1).sum() >= 0.4 * (sample(size=(300, 300), radius=(3, 3)).mask == 1).sum()


def test_of_blur_and_otsu_the_better_side_counts(tmp_path):
    create_data(2, folder=tmp_path / "bright")
    X, Y = create_data(2)
    write_data(255 - X, Y, tmp_path / "dark")
    bright, dark = (real.measured("blur + Otsu", "mask", tmp_path / name, 1, Settings())["blur + Otsu"]
                    for name in ("bright", "dark"))
    assert bright["iou_mean"] > 0.9
    assert dark["iou_mean"] == pytest.approx(bright["iou_mean"], abs=0.02)


def test_a_forest_learns_from_labelled_pixels_alone():
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    of, (X, Y) = sample(), create_data(2)
    half = np.where(np.random.default_rng(0).random(of.mask.shape) < 0.5, of.mask, np.int8(-1))
    for mask in (of.mask, half):
        found = Forest([Labelled(of.image, mask)]).predict(X[1])
        assert found.shape == (160, 160, 1)
        assert ((found > 0.5) == (Y[1] > 0)).mean() > 0.9


def test_without_its_libraries_a_forest_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.ensemble", None)
    with pytest.raises(UserError, match=r"run pip install scikit-image==.* scikit-learn=="):
        Forest([sample()])


def test_every_method_is_measured_on_the_images_that_it_did_not_learn_from(tmp_path, monkeypatch):
    circles, path = tmp_path / "circles", tmp_path / "real.csv"
    create_data(3, Settings(size=(64, 64), radius=(8, 12)), folder=circles)
    monkeypatch.delitem(real.METHODS, "forest")  # its libraries are optional
    monkeypatch.setattr(real, "LABELLED", 2)
    monkeypatch.setattr(real, "in_processes", lambda number, calls: (call(*of) for call, *of in calls))
    wanted, said = Options(flags=FLAGS, processes=2), []
    real.run([circles], path, wanted, said.append)
    rows = read_table(path)
    assert len(rows) == len(said) == 12  # two images, two kinds of labels, three ways to predict
    assert {(row["labelled"], row["labels"], row["method"]) for row in rows} == {
        (*of, method) for of in itertools.product("12", ("mask", "strokes"))
        for method in ("network", "network, averaged", "blur + Otsu")}
    for row in rows:
        assert (row["set"], row["n"], row["flags"]) == ("circles", "2", FLAGS * row["method"].startswith("network"))
        assert row[f"iou_{row['labelled']}"] == ""  # the labelled image is not scored
        assert float(row["iou_mean"]) == pytest.approx(
            np.mean([float(row[f"iou_{other}"]) for other in "123" if other != row["labelled"]]))
    networks = [row["uncertainty_3"] for row in rows if row["method"] == "network" and row["labelled"] == "1"]
    assert len(set(networks)) == 2  # other labels, another network
    real.run([circles], path, wanted, said.append)
    assert len(said) == 12  # all were there
    real.run([circles], path, Options(flags="--width 0.05 --steps 1", only="2, strokes, net"), said.append)
    assert [line.partition(": ")[0] for line in said[12:]] == ["circles, image 2, strokes, network"] * 2
    lines = real.table(rows)
    assert len(lines) == 6 + 1 + 6  # of each kind of labels a head, one set, the mean of the sets, and two times
    assert lines[0] == f"| mask | blur + Otsu | network {FLAGS} | network, averaged {FLAGS} |"
    assert lines[7].startswith("| strokes | ")
    assert "| circles | 0." in lines[2]
    means = [np.mean([float(row["iou_mean"]) for row in rows if (row["labels"], row["method"]) == ("mask", method)])
             for method in ("blur + Otsu", "network", "network, averaged")]
    assert lines[3] == "| **mean** | " + " | ".join(f"**{mean:.3f}**" for mean in means) + " |"
    with pytest.raises(UserError, match=r"--folder .*empty does not hold two images"):
        real.run([tmp_path / "empty"], path, wanted)


def test_how_far_uncertainty_tells_is_a_rank_correlation_over_the_images_of_a_row():
    rows = [{"set": "cells", "labelled": labelled, "labels": "mask", "method": method, "flags": "",
             **{f"iou_{number}": of for number, of in zip("123", iou, strict=True)},
             **{f"uncertainty_{number}": of for number, of in zip("123", unsure, strict=True)}}
            for labelled, method, iou, unsure in (
                ("1", "network", ("", ".9", ".5"), ("", ".1", ".2")),
                ("3", "network", (".9", ".7", ""), (".2", ".1", "")),
                ("2", "network", (".8", "", ".9"), (".2", "", ".1")),
                ("1", "blur + Otsu", ("", ".9", ".5"), ("", "0", "0")))]
    assert real.telling(rows) == ["| mask | network | blur + Otsu |", "|---|---|---|", "| cells | -0.33 | - |"]
