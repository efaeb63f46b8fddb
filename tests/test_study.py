"""The study: its runs are those of train.py, a finished one is not repeated, a failing one stops no other."""

import csv
import os
import signal
import sys

import pytest

import measures
import study
import train
from questions import QUESTIONS, Question
from results import identity, read_rows
from settings import Settings, UserError

BRIEF = dict(width=0.04, size=(64, 64), radius=(8, 12), steps=2, validation=2, watch=1)
QUESTION = Question("What?", {"plain": BRIEF, "constant": {**BRIEF, "fill": "constant"}})


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def run(question, path, **wanted):
    with study.Screen() as screen:
        wanted = Settings(**wanted)
        return study.run(question, study.planned(question, wanted), path, wanted, screen)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The CSV of a study of one seed."""
    path = tmp_path_factory.mktemp("study") / "what" / "what.csv"
    assert run(QUESTION, path, seeds=1, processes=1) == 0  # in this process, where TensorFlow is there already
    return path


def test_finished_runs_are_not_run_again(first):
    before = read_csv(first)
    assert {(row["variant"], row["seed"], row["fill"]) for row in before} == {
        ("plain", "0", "noise"), ("constant", "0", "constant")}
    assert run(QUESTION, first, seeds=2, only="plain") == 0
    rows = read_csv(first)
    assert rows[:2] == before
    assert [(row["variant"], row["seed"]) for row in rows[2:]] == [("plain", "1")]


def test_a_row_is_what_train_py_gives(first, tmp_path, monkeypatch):
    row = next(row for row in read_csv(first) if row["variant"] == "plain")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", *" ".join(study.training_flags(Settings(**BRIEF))).split()])
    train.main()
    last = read_csv(tmp_path / "output" / "history.csv")[-1]
    assert row["train_loss"] == last["loss"]
    for name in ("train_iou", "val_iou_mean", "val_iou_min", "val_dice_mean", "memorisation"):
        assert row[name] == last[name]


def test_a_failing_run_is_reported_with_its_command_and_the_others_go_on(tmp_path, capsys):
    crowded = {**BRIEF, "labels": "moved", "radius": (31, 31)}  # there is no place without the circle
    failing = Question("What?", {"bad": crowded, "plain": BRIEF})
    assert run(failing, tmp_path / "what.csv", seeds=1, processes=1) == 1
    assert "python train.py --size 64 64" in (errors := capsys.readouterr().err)
    assert errors.count("\n") == 1
    assert [row["variant"] for row in read_csv(tmp_path / "what.csv")] == ["plain"]


def killed_if_constant(settings, measure):
    """In place of a run: its process is killed for one of the variants, and the other one ends well."""
    if settings.fill == "constant":
        os.kill(os.getpid(), signal.SIGKILL)
    return settings, {**identity(settings), "train_iou": 1.0, "val_iou_mean": 1.0}, None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_process_costs_its_own_run_only(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(study, "attempt", killed_if_constant)
    assert run(QUESTION, tmp_path / "what.csv", seeds=3) == 3
    assert [row["variant"] for row in read_csv(tmp_path / "what.csv")] == ["plain"] * 3
    assert capsys.readouterr().err.count("constant, seed 1 failed: its process was killed") == 1


def test_what_another_question_has_run_is_taken_over_unless_more_is_measured(first, monkeypatch):
    def fail(*_):
        raise AssertionError("it was run again")

    monkeypatch.setitem(QUESTIONS, "what", QUESTION)
    monkeypatch.setitem(study.BACKENDS, "loky", fail)
    renamed = Question("What else?", {"the same": BRIEF})
    with pytest.raises(AssertionError, match="it was run again"):
        run(renamed._replace(measure=measures.history), first.with_name("measured.csv"), seeds=1)
    monkeypatch.setitem(study.BACKENDS, "loky", lambda runs, *_: fail() if runs else [])
    assert run(renamed, first.with_name("other.csv"), seeds=1) == 0
    (row,) = read_csv(first.with_name("other.csv"))
    original = next(row for row in read_csv(first) if row["variant"] == "plain" and row["seed"] == "0")
    assert row == {**original, "variant": "the same"}


def test_only_an_existing_variant_can_be_asked_for():
    with pytest.raises(UserError, match="--only gold is part of no variant; choose from: plain; constant"):
        study.planned(QUESTION, Settings(only="gold"))


def test_a_row_from_before_a_setting_existed_counts_as_its_default(first, tmp_path):
    rows = read_csv(first)
    with open(tmp_path / "what.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, [name for name in rows[0] if name not in ("padding", "memorisation")],
                                extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    before = (tmp_path / "what.csv").read_text()
    assert run(QUESTION, tmp_path / "what.csv", seeds=1) == 0
    assert (tmp_path / "what.csv").read_text() == before
    assert read_rows(tmp_path / "what.csv")[0]["padding"] == "zero"


@pytest.mark.parametrize("text", ["variant,colour\nplain,0\n", "this is no table\n", ""])
def test_another_kind_of_csv_is_left_alone(text, tmp_path):
    path = tmp_path / "what.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=r"what\.csv is not from study\.py; move it away"):
        run(QUESTION, path, seeds=1)
    assert path.read_text() == text


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_variant_of_every_question_is_a_possible_training_of_its_own(name):
    question = QUESTIONS[name]
    settings = [question.settings(variant) for variant in question.variants]
    assert len(set(settings)) == len(settings)
    assert question.reference in {"", *(variant.rpartition(", ")[0] for variant in question.variants)}


def test_a_study_is_run_from_the_shell(first, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(QUESTIONS, "pixels", QUESTION)
    monkeypatch.setitem(study.BACKENDS, "loky", lambda runs, *_: [(settings, None, "broken") for settings in runs])
    path = tmp_path / "study" / "pixels.csv"
    path.parent.mkdir()
    path.write_bytes(first.read_bytes())  # seed 0 has been run
    for line, status in (("study.py --seeds 1 pixels", 0), ("study.py pixels --seeds 3", 1)):
        monkeypatch.setattr(sys, "argv", [*line.split(), "--output", str(tmp_path)])
        with pytest.raises(SystemExit) as end:
            study.main()
        assert end.value.code == status
        assert capsys.readouterr().out.splitlines()[-1] == f"look at {path.with_name('report.md')}"
        assert "| plain |" in path.with_name("report.md").read_text()
    monkeypatch.setattr(sys, "argv", ["study.py"])
    study.main()
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(QUESTIONS)


def test_a_ray_cluster_gives_the_same_numbers(first, tmp_path):
    pytest.importorskip("ray", reason="Ray is optional")
    assert run(QUESTION, tmp_path / "what.csv", seeds=1, backend="ray") == 0
    before = {row["variant"]: row for row in read_csv(first) if row["seed"] == "0"}
    for row in read_csv(tmp_path / "what.csv"):
        same = [name for name in row if "seconds" not in name]
        assert [row[name] for name in same] == [before[row["variant"]][name] for name in same]


def test_a_cluster_that_does_not_answer_is_named(tmp_path):
    pytest.importorskip("ray", reason="Ray is optional")
    with pytest.raises(UserError, match=r"--address 127\.0\.0\.1:1 does not answer"):
        run(QUESTION, tmp_path / "what.csv", seeds=1, backend="ray", address="127.0.0.1:1")
