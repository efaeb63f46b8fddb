"""The study: its runs are those of train.py, a finished one is not repeated, a failing one stops no other."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

import study
from settings import Settings, UserError

REPOSITORY = Path(__file__).parent.parent
BRIEF = dict(width=0.04, size=(64, 64), radius=(8, 12), steps=2, validation=2, watch=1)
QUESTION = study.Question("What?", {"plain": BRIEF, "constant": {**BRIEF, "fill": "constant"}})


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_rows_are_written_once_and_a_seed_more_goes_on(tmp_path, capsys):
    path = tmp_path / "study" / "what.csv"
    assert study.run(QUESTION, Settings(seeds=1), path) == 0
    first = read_csv(path)
    assert {(row["variant"], row["seed"], row["fill"]) for row in first} == {
        ("plain", "0", "noise"), ("constant", "0", "constant")}
    assert study.run(QUESTION, Settings(seeds=2, only="plain"), path) == 0
    rows = read_csv(path)
    assert rows[:2] == first
    assert [(row["variant"], row["seed"]) for row in rows[2:]] == [("plain", "1")]
    lines = study.table(QUESTION, rows)
    assert any(line.startswith("| plain | 2 |") for line in lines)
    assert "python train.py --size 64 64 --fill constant" in "\n".join(lines)
    assert sum(line.startswith("| blur + Otsu") for line in lines) == 2


def test_a_row_is_what_train_py_gives(tmp_path):
    path = tmp_path / "what.csv"
    study.run(QUESTION, Settings(seeds=1, only="plain"), path)
    (row,) = read_csv(path)
    flags = " ".join(study.training_flags(Settings(**BRIEF))).split()
    subprocess.run([sys.executable, REPOSITORY / "train.py", *flags], cwd=tmp_path, check=True, capture_output=True)
    last = read_csv(tmp_path / "output" / "history.csv")[-1]
    assert row["train_loss"] == last["loss"]
    for name in ("train_iou", "val_iou_mean", "val_iou_min", "val_dice_mean"):
        assert row[name] == last[name]


def test_a_failing_run_is_reported_with_its_command_and_the_others_go_on(tmp_path, capsys):
    # a checkpoint of the impossible: no folder is at fault, the training itself fails
    failing = study.Question("What?", {"bad": {**BRIEF, "precision": "mixed_float16"}, **QUESTION.variants})
    assert study.run(failing, Settings(seeds=1), tmp_path / "what.csv") == 1
    assert "python train.py --size 64 64" in (errors := capsys.readouterr().err)
    assert errors.count("\n") == 1
    assert {row["variant"] for row in read_csv(tmp_path / "what.csv")} == {"plain", "constant"}


def test_only_an_existing_variant_can_be_asked_for():
    with pytest.raises(UserError, match="--only gold is part of no variant; choose from: plain, constant"):
        study.planned(QUESTION, Settings(only="gold"))
