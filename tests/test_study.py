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


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The CSV of a study of one seed."""
    path = tmp_path_factory.mktemp("study") / "what" / "what.csv"
    assert study.run(QUESTION, Settings(seeds=1), path) == 0
    return path


def test_finished_runs_are_not_run_again(first):
    before = read_csv(first)
    assert {(row["variant"], row["seed"], row["fill"]) for row in before} == {
        ("plain", "0", "noise"), ("constant", "0", "constant")}
    assert study.run(QUESTION, Settings(seeds=2, only="plain"), first) == 0
    rows = read_csv(first)
    assert rows[:2] == before
    assert [(row["variant"], row["seed"]) for row in rows[2:]] == [("plain", "1")]


def test_the_table_has_a_line_for_each_variant_and_null(first):
    rows = read_csv(first)
    lines, plain = study.table(QUESTION, rows), sum(row["variant"] == "plain" for row in rows)
    assert sum(line.startswith(f"| plain | {plain} |") for line in lines) == 1
    assert "python train.py --size 64 64 --fill constant" in "\n".join(lines)
    assert sum(line.startswith("| blur + Otsu") for line in lines) == 2


def test_a_row_is_what_train_py_gives(first, tmp_path):
    row = next(row for row in read_csv(first) if row["variant"] == "plain")
    flags = " ".join(study.training_flags(Settings(**BRIEF))).split()
    subprocess.run([sys.executable, REPOSITORY / "train.py", *flags], cwd=tmp_path, check=True, capture_output=True)
    last = read_csv(tmp_path / "output" / "history.csv")[-1]
    assert row["train_loss"] == last["loss"]
    for name in ("train_iou", "val_iou_mean", "val_iou_min", "val_dice_mean"):
        assert row[name] == last[name]


def test_a_failing_run_is_reported_with_its_command_and_the_others_go_on(tmp_path, capsys):
    failing = study.Question("What?", {"bad": {**BRIEF, "precision": "mixed_float16"}, **QUESTION.variants})
    assert study.run(failing, Settings(seeds=1), tmp_path / "what.csv") == 1
    assert "python train.py --size 64 64" in (errors := capsys.readouterr().err)
    assert errors.count("\n") == 1
    assert {row["variant"] for row in read_csv(tmp_path / "what.csv")} == {"plain", "constant"}


def test_only_an_existing_variant_can_be_asked_for():
    with pytest.raises(UserError, match="--only gold is part of no variant; choose from: plain; constant"):
        study.planned(QUESTION, Settings(only="gold"))


def test_rows_of_another_version_are_not_mixed_with_new_ones(tmp_path):
    path = tmp_path / "what.csv"
    path.write_text("variant,seed\nplain,0\n")
    with pytest.raises(UserError, match=r"what\.csv is from a version with other settings; move it away"):
        study.run(QUESTION, Settings(seeds=1), path)
    assert path.read_text() == "variant,seed\nplain,0\n"
