"""The report: every figure and table can be drawn, and its numbers are what the rows say."""

import re
from functools import lru_cache
from pathlib import Path

import cv2
import pytest

from study import memory, receptive_field, report, rim
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
SHARES = (0.1, 0.3, 0.4, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1)
NEVER = {f"train_iou after {step}": 0.5 for step in range(37)}


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
    ("when", "IoU on the watched unseen images when train IoU 0.95 is first seen",
     {**NEVER, "train_iou after 37": 0.96, "val_iou_mean after 37": 0.7}, "0.700, 10 runs"),
    ("when", "IoU on the watched unseen images",
     {"val_iou_mean after 27": 0.5,
      "val_iou_mean after 285": lambda seed: 0.1 if seed == 4 else 0.3},
     "0.500 after step 27, 0.280 after 285, change -0.2200, lowest run 0.100"),
    ("learned", "radius of half of the gradient after training, pixels",
     dict(zip(receptive_field.ring_columns("after"), SHARES, strict=True)), "10.0"),
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


MEMORY, RULE = "steps to 0.9 on the training image", "steps to 0.9 on the unseen images"
WON = {": memory": {MEMORY: 100}, ": rule": {RULE: 10}, ": one image": {"val_iou_mean": 0.95}}


def test_the_race_is_won_by_who_is_first_and_lost_where_the_prediction_fails():
    never = {"Adam, 0.0001: rule": {RULE: ""}, "Adam, 0.0001: one image": {"val_iou_mean": 0.2}}
    line_of = table_of("race", {**WON, **never})
    line = line_of("Adam, 0.0005")
    assert "| 100 (100 to 100) | 10 (10 to 10) |" in line
    assert line.endswith("| 0.10 [0.10, 0.10]; 10 of 10 |")
    assert line_of("Adam, 0.0001").endswith("| never [never, never]; 0 of 10 |")
    assert line_of("with and without | 0.9") == (
        "| with and without | 0.9 | 16 of 16 | 16 to 16 | 15 | 16 | 0 of 15 | 0 of 1 | "
        "-1.00 [-1.00, -1.00] | -1.00 [-1.00, -1.00] | no order |")
    lost = {"SGD, 0.1: one image": {"val_iou_mean": 0.5},
            "Adam, 0.0001: one image": {"val_iou_mean": 0.95}}
    line = table_of("race", {**WON, **never, **lost})("with and without | 0.9")
    assert "| 14 of 16 | 14 to 14 | 15 | " in line
    assert "| 1 of 15 | 1 of 1 |" in line


def test_a_race_without_memory_and_rule_is_left_out():
    neither = {"SGD, 0.1: memory": {MEMORY: ""}, "no skips, Adam, 0.001: memory": {MEMORY: ""},
               "no skips, Adam, 0.001: rule": {RULE: ""}}
    line_of = table_of("race", {**WON, **neither})
    assert line_of("SGD, 0.1").endswith("| 0.00 [0.00, 0.00]; 10 of 10 |")
    assert line_of("no skips, Adam, 0.001").endswith("| neither; 10 of 10 |")
    assert "| 15 of 15 |" in line_of("with and without | 0.9")
    assert "| 14 of 14 |" in line_of("whose memory comes in most runs | 0.9")


def test_the_variance_of_crossed_scores_is_that_of_images_of_weights_and_the_rest():
    by_image = {"": {"val_iou_mean": lambda seed: seed / 10}}
    assert table_of("crossed", by_image)("Adam, 0.0001").endswith(
        "| 5 x 5 | 0.200 | 100% (by chance 17%), p < 0.001 | 0% (by chance 17%) | 0% |")
    by_weights = {f"weights {seed}": {"val_iou_mean": seed / 10} for seed in range(5)}
    assert table_of("crossed", by_weights)("Adam, 0.0001").endswith(
        "| 5 x 5 | 0.200 | 0% (by chance 17%) | 100% (by chance 17%), p < 0.001 | 0% |")


def test_what_a_border_changes_is_paired_by_seed_and_corrected():
    changes = {"": {"val_iou_mean": 0.5, "overlap on noise": 0.9}, "slow, circular": {
        "val_iou_mean": lambda seed: 0.55 + seed / 50, "overlap on noise": 0.0}}
    line_of = table_of("border", changes)
    # two of 2**10 orders are as extreme, and there are 22 differences
    assert re.search(r"\+0\.140 \[.*\], p 0\.043 \| -0\.900, p 0\.043",
                     line_of("slow, circular padding"))
    line = line_of("slow, reflect padding")
    assert line.endswith("| +0.000, p 1.000 | +0.000, p 1.000 |")
