"""The report: every figure and table can be drawn, and its numbers are what the rows say."""

import re
from functools import lru_cache
from pathlib import Path

import cv2
import pytest

from study import memory, report, rim
from study.questions import QUESTIONS
from study.results import Results, read_rows

DOCS = Path(__file__).parent.parent / "docs" / "study"
committed = lru_cache(lambda name: read_rows(DOCS / f"{name}.csv"))


def results_of(name, seeds=20, changes=None):
    """The committed results of a question: the first so many seeds of each variant.

    changes: {part of a variant's name: {column: value or function of the seed}}.
    """
    question, rows = QUESTIONS[name], []
    for row in committed(name):
        seed = int(row["seed"]) - question.first_seed
        if seed < seeds:
            row = dict(row)
            for part, columns in (changes or {}).items():
                if part in row["variant"]:
                    for column, value in columns.items():
                        row[column] = str(value(seed) if callable(value) else value)
            rows.append(row)
    return Results(question, rows)


def one_of_each_figure():
    """Questions whose figures are drawn by every function that there is."""
    functions, names = set(), []
    for name, question in QUESTIONS.items():
        drawing = {draw.func for draw in question.draws.values()}
        if drawing - functions:
            names.append(name)
        functions |= drawing
    return names


@pytest.mark.parametrize("name", one_of_each_figure())
def test_every_kind_of_figure_can_be_drawn_from_few_seeds(name, tmp_path):
    report.section(name, results_of(name, seeds=2), tmp_path)
    files = {path.name for path in tmp_path.iterdir()}
    assert files == QUESTIONS[name].draws.keys()
    for file in files:
        assert cv2.imread(str(tmp_path / file)).std() > 10


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.png")), ids=lambda path: path.stem)
def test_a_committed_figure_is_as_wide_as_a_page_and_wider_than_its_title(path):
    image = cv2.imread(str(path))
    assert image.shape[1] == 800
    assert (image[:, :2] == 255).all() and (image[:, -2:] == 255).all()


def without_intervals(text):
    """Text without intervals and chances, whose last digit depends on the machine."""
    return re.sub(r" \[[^]]+\]|, p [<\d. ]+", "", text)


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_committed_report_is_what_the_committed_rows_say(name, tmp_path):
    question = QUESTIONS[name]
    results = results_of(name)
    results.question = question._replace(draws={})
    text = (DOCS / "report.md").read_text(encoding="utf-8")
    lines = report.section(name, results, tmp_path)
    assert set(map(without_intervals, lines)) <= set(without_intervals(text).splitlines())
    assert "nan" not in "\n".join(lines)
    for file in question.draws:
        assert f"![{question.asks}]({file})" in text


def test_a_report_can_be_written_of_one_run_and_of_rows_without_every_null(tmp_path):
    row = dict(committed("learned")[0], histogram_iou_mean="", histogram_iou_min="")
    lines = report.section("learned", Results(QUESTIONS["learned"], [row]), tmp_path)
    table = "\n".join(lines[-5:])
    assert f"| {row['variant']} | 1 |" in table
    assert "histogram" not in table
    assert "[" not in table  # no interval from one seed


FITTED = "train IoU of 0.9 or more, and of these IoU of 0.9 or more on unseen images"


@pytest.mark.parametrize(("name", "label", "columns", "text"), [
    ("labels", "steps until train IoU 0.99 was first seen, median and range",
     {"steps_to_train_iou_0.99": lambda seed: "" if seed == 3 else 20 + seed},
     "25 (20 to 29, 9 of 10 runs)"),
    ("labels", "overlap beyond that of the true shapes",
     {"training_mask_overlap": 0.8, "training_mask_iou_mean": 0.4}, "+0.4000"),
    ("labels", "overlap of 0.9 or more with the training mask",
     {"training_mask_overlap": lambda seed: 0.95 if seed < 7 else 0.1}, "7 of 10 runs"),
    ("sharing", "parameters", {"parameters": 1000}, "1,000"),
    ("reliable", "against the histogram of the training image, without a network",
     {"histogram_iou_mean": 0.97, "val_iou_mean": 0.96}, "-0.0100"),
    ("size", FITTED, {"train_iou": lambda seed: 0.95 if seed < 6 else 0.5,
                      "val_iou_mean": lambda seed: 0.95 if seed in (0, 1, 9) else 0.5},
     "6 of 10 runs, 2 of these"),
    ("border", "training mask on the training image shifted by 32 pixels",
     dict(zip(memory.MOVED, (0.25, 0.5), strict=True)), "0.250 where it was, 0.500 where it went"),
    ("rim", "wrong pixels on images it never saw",
     {rim.column("unseen", 2): 30, rim.column("unseen", rim.EDGES[-1]): 40},
     "40.0, of these 0.750 within two pixels of the edge"),
    ("parts", "template over rule of the first step, median and range",
     {"template after 1": lambda seed: (seed + 1) / 10, "rule after 1": 0.5},
     "1.10 (0.20 to 2.00)"),
    ("parts", "lookup after the last step, logits", {"lookup after 400": 2}, "2.000"),
    ("place", "iou up to 64 pixels from its place",
     {"iou up to 64 pixels from its place": lambda seed: "" if seed < 2 else 0.5},
     "0.500, 8 of 10 runs"),
])
def test_a_key_number_is_what_the_rows_say(name, label, columns, text):
    results = results_of(name, 10, {"": columns})
    number = QUESTIONS[name].shows[label]
    assert without_intervals(report.key_number(results, results.variants[0], number)) == text


def table_of(name, changes):
    """A function that gives the line of a question's table that begins so."""
    lines = QUESTIONS[name].tables[0](results_of(name, 10, changes))
    return lambda begin: next(line for line in lines if line.startswith(f"| {begin} |"))


def test_what_grows_first_foretells_the_scores():
    scores = {"": {"val_iou_mean": lambda seed: seed / 10, "fit after 8": 2, "rule after 8": 1,
                   "template after 8": lambda seed: -seed}}
    assert table_of("gain", scores)("8").endswith("| 1.00 (n = 90) |")


def test_what_a_border_changes_is_paired_by_seed_and_counted():
    changes = {"": {"val_iou_mean": 0.5, "overlap on noise": 0.9}, "slow, circular": {
        "val_iou_mean": lambda seed: 0.75 + seed / 50, "overlap on noise": 0.0}}
    line_of = table_of("border", changes)
    # 7 runs come to 0.8 and none falls below it: one of 2**7 ways is as extreme, on either side
    assert re.search(r"\| 0 to 7, p 0\.016 \| 10 to 0, p 0\.002 \| \+0\.340 \[",
                     line_of("slow, circular padding"))
    line = line_of("slow, reflect padding")
    assert line.endswith("| 0 to 0, p 1.000 | 10 to 10, p 1.000 | +0.000 |")
