"""The study: its runs are train.py's, a finished one is not repeated, a failing one stops none."""

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

import study.__main__
import train
from common.errors import UserError
from common.files import read_table, write_table
from common.optimizers import compile_training
from common.settings import Settings, training_flags
from scripts import contents
from study import other_images, processes, report, rim
from study.__main__ import Options, planned, run_question
from study.question import Question
from study.questions import QUESTIONS
from study.results import SCORES, identity, key_of, read_rows

COMMITTED = Path(__file__).parent.parent / "docs" / "study"
BRIEF = dict(width=0.04, size=(64, 64), radius=(8, 12), steps=2, validation=2, watch=1)
QUESTION = Question("What?", {"plain": BRIEF, "constant": {**BRIEF, "fill": "constant"}})


def run(question, path, **options):
    options = Options(**options)
    return run_question(question, planned(question, options), path, options)


def in_this_process(runs, instruments, options):
    """A backend, for a process in which TensorFlow is there already."""
    return (processes.attempt(settings, instruments) for settings in runs)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The CSV of a study of one seed."""
    path = tmp_path_factory.mktemp("study") / "what" / "what.csv"
    def untraced(*arguments):  # as the fixture `eager`
        network = compile_training(*arguments)
        network.run_eagerly = True
        return network

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "compile_training", untraced)
        patch.setitem(processes.BACKENDS, "loky", in_this_process)
        assert run(QUESTION, path, seeds=1) == 0
    return path


@pytest.fixture
def nothing_runs(monkeypatch):
    """A run that is asked for is an error."""
    def backend(runs, instruments, options):
        assert not runs, "it was run again"
        return []

    monkeypatch.setitem(processes.BACKENDS, "loky", backend)


def test_finished_runs_are_not_run_again(first):
    before = read_table(first)
    assert [row["variant"] for row in before] == ["plain", "constant"]
    assert before[0].keys() == {"variant", *identity(Settings()), *SCORES}
    assert run(QUESTION, first, seeds=2, only="plain") == 0
    rows = read_table(first)
    assert rows[:2] == before
    assert [(row["variant"], row["seed"]) for row in rows[2:]] == [("plain", "1")]


def test_a_row_is_what_train_py_gives(first, eager, tmp_path, monkeypatch):
    flags = " ".join(training_flags(Settings(**BRIEF))).split()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", *flags])
    train.main()
    last = read_table(tmp_path / "output" / "history.csv")[-1]
    row = read_table(first)[0]
    assert row["train_loss"] == last["loss"]
    for name in ("train_iou", "val_iou_mean", "val_iou_min", "training_mask_overlap"):
        assert row[name] == last[name]


def test_a_failing_run_is_reported_with_its_command_and_the_others_go_on(
        eager, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(processes.BACKENDS, "loky", in_this_process)
    crowded = {**BRIEF, "labels": "moved", "radius": (31, 31)}  # no place without the circle
    failing = Question("What?", {"bad": crowded, "plain": BRIEF})
    assert run(failing, tmp_path / "what.csv", seeds=1) == 1
    errors = capsys.readouterr().err
    assert "python train.py --size 64 64" in errors
    assert errors.count("\n") == 1
    assert [row["variant"] for row in read_table(tmp_path / "what.csv")] == ["plain"]


def killed_if_constant(settings, instruments):
    """In place of a run: the process of one of the variants is killed, the other ends well."""
    if settings.fill == "constant":
        os.kill(os.getpid(), signal.SIGKILL)
    return settings, {**identity(settings), "train_iou": 1.0, "val_iou_mean": 1.0}, None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_process_costs_its_own_run_only(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(processes, "attempt", killed_if_constant)
    assert run(QUESTION, tmp_path / "what.csv", seeds=1) == 1
    assert [row["variant"] for row in read_table(tmp_path / "what.csv")] == ["plain"]
    assert "constant, seed 0 failed: its process was killed" in capsys.readouterr().err


def test_what_another_question_has_run_is_taken_over(first, monkeypatch, nothing_runs):
    monkeypatch.setitem(QUESTIONS, "what", QUESTION)
    renamed = Question("What else?", {"renamed": BRIEF})
    assert run(renamed, first.with_name("other.csv"), seeds=1) == 0
    (row,) = read_table(first.with_name("other.csv"))
    assert row == {**read_table(first)[0], "variant": "renamed"}


def test_of_what_measures_more_the_scores_alone_are_taken_over(tmp_path, monkeypatch, nothing_runs):
    measured = Question("What?", {"plain": BRIEF}, (rim.measure, other_images.measure))
    monkeypatch.setitem(QUESTIONS, "what", measured)
    row = {"variant": "plain", **identity(Settings(**BRIEF)), **dict.fromkeys(SCORES, "0.5")}
    write_table([{**row, "wrong pixels": "0.1"}], tmp_path / "what.csv")
    assert run(Question("What else?", {"plain": BRIEF}), tmp_path / "other.csv", seeds=1) == 0
    assert read_table(tmp_path / "other.csv") == [row]
    with pytest.raises(AssertionError, match="it was run again"):  # its columns are unknown
        run(Question("And?", {"plain": BRIEF}, (rim.measure,)), tmp_path / "and.csv", seeds=1)


def test_one_variant_or_several_can_be_asked_for():
    with pytest.raises(UserError, match="--only gold is part of no variant"):
        planned(QUESTION, Options(only="gold"))
    similar = Question("What?", {"plain": BRIEF, "plain, wide": {**BRIEF, "width": 1.0}})
    assert set(planned(similar, Options(only="plain")).values()) == {"plain"}
    assert set(planned(similar, Options(only="lain")).values()) == {"plain", "plain, wide"}


def test_every_variant_has_the_seeds_of_its_question_unless_a_flag_says_others():
    question = Question("What?", {"a, noise fill": {}, "b, noise fill": {"steps": 5}},
                        seeds={"a": 3, "b": 1}, first_seed=100)

    def seeds(**options):
        runs = planned(question, Options(**options))
        return [(name[0], settings.seed) for settings, name in runs.items()]

    assert seeds() == [("a", 100), ("b", 100), ("a", 101), ("a", 102)]
    assert seeds(seeds=2) == [("a", 100), ("b", 100), ("a", 101), ("b", 101)]


def test_a_report_that_is_interrupted_leaves_the_one_before(first, tmp_path, monkeypatch):
    def draw(results, path):
        path.write_text(str(len(draws)))
        if draws.pop():
            raise KeyboardInterrupt

    draws = [True, False]
    monkeypatch.setitem(QUESTIONS, "what", QUESTION._replace(draws={"a.png": draw}))
    shutil.copy(first, tmp_path / "what.csv")
    report.write_report(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        report.write_report(tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_variant_of_every_question_is_a_possible_training_of_its_own(name):
    question = QUESTIONS[name]
    settings = set(map(question.settings, question.varies))
    assert len(settings) == len(question.varies)
    assert len(planned(question, Options())) == sum(map(question.seeds_of, question.varies))
    assert question.reference in {"", *map(question.short, question.varies)}
    for variant in question.varies:
        fill = question.settings(variant).fill
        assert variant == f"{question.short(variant)}, {fill} fill"


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_committed_rows_are_the_runs_of_each_question(name):
    rows = {key_of(row): row["variant"] for row in read_rows(COMMITTED / f"{name}.csv")}
    planned_rows = {}
    for settings, variant in planned(QUESTIONS[name], Options()).items():
        if variant in rows.values():  # of a variant there are all or none
            planned_rows[key_of(identity(settings))] = variant
    assert rows == planned_rows
    assert len(rows) == len(read_table(COMMITTED / f"{name}.csv"))


def test_a_study_is_run_from_the_shell(first, tmp_path, monkeypatch, capsys):
    def broken(runs, instruments, options):
        return [(settings, None, "broken") for settings in runs]

    monkeypatch.setitem(QUESTIONS, "pixels", QUESTION)
    monkeypatch.setitem(processes.BACKENDS, "loky", broken)
    folder = tmp_path / "study"
    folder.mkdir()
    shutil.copy(first, folder / "pixels.csv")  # seed 0 has been run
    for seeds, status in (("1", 0), ("3", 1)):
        line = ["study", "pixels", "--seeds", seeds, "--output", str(tmp_path)]
        monkeypatch.setattr(sys, "argv", line)
        with pytest.raises(SystemExit) as end:
            study.__main__.main()
        assert end.value.code == status
        assert f"look at {folder / 'report.md'}" in capsys.readouterr().out
        assert "| plain |" in (folder / "report.md").read_text()


def test_without_a_word_the_questions_are_listed(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["study"])
    study.__main__.main()
    *lines, usage = capsys.readouterr().out.splitlines()
    assert usage.startswith("python -m study QUESTION")
    for line, (name, question) in zip(lines, QUESTIONS.items(), strict=True):
        assert line.split(maxsplit=1) == [name, question.asks]


def test_a_ray_cluster_gives_the_same_numbers(first, tmp_path):
    pytest.importorskip("ray", reason="Ray is optional")
    assert run(QUESTION, tmp_path / "what.csv", seeds=1, backend="ray") == 0
    expected = {row["variant"]: row for row in read_table(first) if row["seed"] == "0"}
    for row in read_table(tmp_path / "what.csv"):
        for name, value in row.items():
            assert "seconds" in name or value == expected[row["variant"]][name]
