"""The study: its runs are those of train.py, a finished one is not repeated, a failing one stops no other."""

import dataclasses
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
from common.settings import Settings, training_flags, training_names
from scripts import contents
from study import history, memory, other_images, processes, report
from study.__main__ import Options, planned, run_question
from study.question import Question
from study.questions import QUESTIONS
from study.results import SCORES, add_row, identity, known_by, read_rows

COMMITTED = Path(__file__).parent.parent / "docs" / "study"
BRIEF = dict(width=0.04, size=(64, 64), radius=(8, 12), steps=2, validation=2, watch=1)
QUESTION = Question("What?", {"plain": BRIEF, "constant": {**BRIEF, "fill": "constant"}})


def run(question, path, **wanted):
    wanted = Options(**wanted)
    return run_question(question, planned(question, wanted), path, wanted)


def in_this_process(runs, measures, wanted):
    """A backend."""
    return (processes.attempt(settings, measures) for settings in runs)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The CSV of a study of one seed, run in this process, where TensorFlow is there already."""
    path = tmp_path_factory.mktemp("study") / "what" / "what.csv"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(processes.BACKENDS, "loky", in_this_process)
        assert run(QUESTION, path, seeds=1) == 0
    return path


@pytest.fixture
def nothing_runs(monkeypatch):
    """A run that is asked for is an error."""
    def backend(runs, *_):
        assert not runs, "it was run again"
        return []

    monkeypatch.setitem(processes.BACKENDS, "loky", backend)


def test_finished_runs_are_not_run_again(first):
    before = read_table(first)
    assert {(row["variant"], row["seed"], row["fill"]) for row in before} == {
        ("plain", "0", "noise"), ("constant", "0", "constant")}
    assert run(QUESTION, first, seeds=2, only="plain") == 0
    rows = read_table(first)
    assert rows[:2] == before
    assert [(row["variant"], row["seed"]) for row in rows[2:]] == [("plain", "1")]


def test_a_row_holds_every_setting_and_every_score(first):
    assert read_table(first)[0].keys() == {"variant", *identity(Settings()), *SCORES}


def test_a_row_is_what_train_py_gives(first, tmp_path, monkeypatch):
    row = next(row for row in read_table(first) if row["variant"] == "plain")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", *" ".join(training_flags(Settings(**BRIEF))).split()])
    train.main()
    last = read_table(tmp_path / "output" / "history.csv")[-1]
    assert row["train_loss"] == last["loss"]
    for name in ("train_iou", "val_iou_mean", "val_iou_min", "val_dice_mean", "training_mask_overlap"):
        assert row[name] == last[name]


def test_a_failing_run_is_reported_with_its_command_and_the_others_go_on(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(processes.BACKENDS, "loky", in_this_process)
    crowded = {**BRIEF, "labels": "moved", "radius": (31, 31)}  # there is no place without the circle
    failing = Question("What?", {"bad": crowded, "plain": BRIEF})
    assert run(failing, tmp_path / "what.csv", seeds=1) == 1
    assert "python train.py --size 64 64" in (errors := capsys.readouterr().err)
    assert errors.count("\n") == 1
    assert [row["variant"] for row in read_table(tmp_path / "what.csv")] == ["plain"]


def killed_if_constant(settings, measures):
    """In place of a run: its process is killed for one of the variants, and the other one ends well."""
    if settings.fill == "constant":
        os.kill(os.getpid(), signal.SIGKILL)
    return settings, {**identity(settings), "train_iou": 1.0, "val_iou_mean": 1.0}, None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_process_costs_its_own_run_only(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(processes, "attempt", killed_if_constant)
    assert run(QUESTION, tmp_path / "what.csv", seeds=3) == 3
    assert [row["variant"] for row in read_table(tmp_path / "what.csv")] == ["plain"] * 3
    assert capsys.readouterr().err.count("constant, seed 1 failed: its process was killed") == 1


def test_what_another_question_has_run_is_taken_over(first, monkeypatch, nothing_runs):
    monkeypatch.setitem(QUESTIONS, "what", QUESTION)
    renamed, path = Question("What else?", {"the same": BRIEF}), first.with_name("other.csv")
    assert run(renamed, path, seeds=1) == 0
    (row,) = read_table(path)
    original = next(row for row in read_table(first) if row["variant"] == "plain" and row["seed"] == "0")
    assert row == {**original, "variant": "the same"}
    with pytest.raises(AssertionError, match="it was run again"):  # more is measured
        run(renamed._replace(measures=(history.measure,)), first.with_name("measured.csv"), seeds=1)


def test_what_has_measured_more_gives_its_scores_alone(tmp_path, monkeypatch, nothing_runs):
    measured = Question("What?", {"plain": BRIEF}, measures=(history.measure, other_images.measure))
    monkeypatch.setitem(QUESTIONS, "what", measured)
    scores = {name: "0.5" for name in SCORES}
    write_table([{"variant": "plain", **identity(Settings(**BRIEF)), **scores, "train_iou after 0": 0.1}],
                tmp_path / "what.csv")
    assert run(Question("What else?", {"the same": BRIEF}), tmp_path / "other.csv", seeds=1) == 0
    (row,) = read_table(tmp_path / "other.csv")
    assert row == {"variant": "the same", **identity(Settings(**BRIEF)), **scores}
    for measures in ((history.measure,), (history.measure, print)):  # its columns are not known one by one
        with pytest.raises(AssertionError, match="it was run again"):
            run(Question("And?", {"the same": BRIEF}, measures), tmp_path / "and.csv", seeds=1)


def test_rows_that_do_not_hold_every_score_are_not_taken_over(tmp_path, monkeypatch, nothing_runs):
    monkeypatch.setitem(QUESTIONS, "what", QUESTION)
    write_table([{"variant": "plain", **identity(Settings(**BRIEF)), "val_iou_mean": 0.5}], tmp_path / "what.csv")
    with pytest.raises(AssertionError, match="it was run again"):
        run(Question("What else?", {"the same": BRIEF}), tmp_path / "other.csv", seeds=1)


def test_only_an_existing_variant_can_be_asked_for():
    with pytest.raises(UserError, match="--only gold is part of no variant; choose from: plain; constant"):
        planned(QUESTION, Options(only="gold"))
    similar = Question("What?", {"plain": BRIEF, "plain, wide": {**BRIEF, "width": 1.0}})
    assert set(planned(similar, Options(only="plain")).values()) == {"plain"}
    assert set(planned(similar, Options(only="lain")).values()) == {"plain", "plain, wide"}


def test_every_variant_has_the_seeds_that_its_question_says_unless_a_flag_says_others():
    question = Question("What?", {"a, noise fill": {}, "b, noise fill": {"steps": 5}}, seeds={"a": 3, "b": 1},
                        first_seed=100)
    assert [(name, settings.seed) for settings, name in planned(question, Options()).items()] == [
        ("a, noise fill", 100), ("b, noise fill", 100), ("a, noise fill", 101), ("a, noise fill", 102)]
    assert [(name[0], settings.seed) for settings, name in planned(question, Options(seeds=2)).items()
            ] == [("a", 100), ("b", 100), ("a", 101), ("b", 101)]
    assert len(planned(question._replace(seeds=4), Options(only="b"))) == 4


def test_a_row_from_before_a_setting_existed_counts_as_its_default(first, tmp_path, nothing_runs):
    path = tmp_path / "what.csv"
    write_table([{name: row[name] for name in row if name not in ("padding", "training_mask_overlap")}
                 for row in read_table(first)], path)
    before = path.read_bytes()
    assert run(QUESTION, path, seeds=1) == 0
    assert path.read_bytes() == before
    assert read_rows(path)[0]["padding"] == "zero"


@pytest.mark.parametrize("name", ["input_noise", "dropout", "weight_decay", "averaging"])
def test_a_row_with_a_setting_that_is_gone_counts_only_where_it_was_off(name, first, tmp_path, nothing_runs):
    path, rows = tmp_path / "what.csv", [row for row in read_table(first) if row["seed"] == "0"]
    write_table([{**row, name: "0.0"} for row in rows], path)
    assert run(QUESTION, path, seeds=1) == 0
    write_table([{**rows[0], name: "0.5"}, {**rows[1], name: "0.0"}], path)
    assert [known_by(row) == known_by(of) for row, of in zip(read_rows(path), rows, strict=True)] == [False, True]
    with pytest.raises(AssertionError, match="it was run again"):
        run(QUESTION, path, seeds=1)


def test_a_new_row_beside_older_ones_counts_and_costs_none_of_them(first, tmp_path, nothing_runs):
    path, rows = tmp_path / "what.csv", [row for row in read_table(first) if row["seed"] == "0"]
    of_old = [{**rows[0], "seed": "1", "dropout": "0.0"}, {**rows[0], "seed": "2", "dropout": "0.5"}]
    write_table(of_old, path)
    for row in rows:
        add_row(row, path)
    assert run(QUESTION, path, seeds=1) == 0
    assert {(row["seed"], row["fill"]) for row in read_table(path)} == {
        ("0", "noise"), ("0", "constant"), ("1", "noise"), ("2", "noise")}


@pytest.mark.parametrize("text", ["variant,colour\nplain,0\n", "this is no table\n", "", "\xff"])
def test_another_kind_of_csv_is_left_alone(text, tmp_path):
    path = tmp_path / "what.csv"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"what\.csv is not from the study; move it away"):
        run(QUESTION, path, seeds=1)
    assert path.read_text(encoding="latin-1") == text


@pytest.mark.parametrize(("column", "value"), [("seed", "first"), ("val_iou_mean", "much"), ("threads", "1,0")])
def test_a_row_whose_number_is_none_is_one_sentence(column, value, first, tmp_path):
    rows = read_table(first)
    rows[1][column] = value
    write_table(rows, tmp_path / "what.csv")
    with pytest.raises(UserError, match=rf"what\.csv holds '{value}' as {column}, which is no number; mend it"):
        read_rows(tmp_path / "what.csv")
    with pytest.raises(UserError, match="'eNoD' in a CSV of the study is no picture"):
        memory.from_text("eNoD", (8, 8))


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
    settings = [question.settings(variant) for variant in question.varies]
    assert len(set(settings)) == len(settings)
    assert len(planned(question, Options())) == sum(map(question.seeds_of, question.varies))
    assert question.reference in {"", *map(question.short, question.varies)}
    assert all(variant == f"{question.short(variant)}, {question.settings(variant).fill} fill"
               for variant in question.varies)


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_committed_rows_are_the_runs_of_each_question_and_of_a_variant_there_are_all_or_none(name):
    rows = read_rows(COMMITTED / f"{name}.csv")
    variants = {row["variant"] for row in rows}
    expected = {known_by(identity(settings)): variant
                for settings, variant in planned(QUESTIONS[name], Options()).items() if variant in variants}
    assert {known_by(row): row["variant"] for row in rows} == expected
    assert len(rows) == len(expected)


def test_a_study_is_run_from_the_shell(first, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(QUESTIONS, "pixels", QUESTION)
    monkeypatch.setitem(processes.BACKENDS, "loky", lambda runs, *_: [(settings, None, "broken") for settings in runs])
    path = tmp_path / "study" / "pixels.csv"
    path.parent.mkdir()
    path.write_bytes(first.read_bytes())  # seed 0 has been run
    for line, status in (("study --seeds 1 pixels", 0), ("study pixels --seeds 3", 1)):
        monkeypatch.setattr(sys, "argv", [*line.split(), "--output", str(tmp_path)])
        with pytest.raises(SystemExit) as end:
            study.__main__.main()
        assert end.value.code == status
        assert capsys.readouterr().out.splitlines()[-1] == f"look at {path.with_name('report.md')}"
        assert "| plain |" in path.with_name("report.md").read_text()


def test_without_a_word_the_questions_are_listed(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["study"])
    study.__main__.main()
    assert [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()] == [
        *([name, question.asks] for name, question in QUESTIONS.items()),
        ["real", "How well does it segment real images, one of them labelled? It needs --folder."]]


@pytest.mark.parametrize("values", [{"seeds": -1}, {"processes": 0}, {"backend": "cloud"}, {"only": ""}], ids=str)
def test_impossible_options_are_refused(values):
    with pytest.raises(UserError, match=f"--{next(iter(values))} "):
        Options(**values)
    assert not {field.name for field in dataclasses.fields(Options)} & {*training_names()}


def test_a_ray_cluster_gives_the_same_numbers(first, tmp_path):
    pytest.importorskip("ray", reason="Ray is optional")
    assert run(QUESTION, tmp_path / "what.csv", seeds=1, backend="ray") == 0
    before = {row["variant"]: row for row in read_table(first) if row["seed"] == "0"}
    for row in read_table(tmp_path / "what.csv"):
        same = [name for name in row if "seconds" not in name]
        assert [row[name] for name in same] == [before[row["variant"]][name] for name in same]


def test_a_ray_cluster_that_does_not_answer_is_named(tmp_path):
    pytest.importorskip("ray", reason="Ray is optional")
    with pytest.raises(UserError, match=r"--address 127\.0\.0\.1:1 does not answer"):
        run(QUESTION, tmp_path / "what.csv", seeds=1, backend="ray", address="127.0.0.1:1")
