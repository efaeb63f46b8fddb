"""The report: it takes a row once, counts only the rows that belong, and its key numbers are what the rows say."""

import re
import threading

import numpy as np
import pytest
from filelock import FileLock

from common.files import write_table
from common.images import read_image
from common.settings import training_flags
from study import averaging, larger, memory, place, race, receptive_field, report, rim
from study.history import CURVES, column
from study.question import Question
from study.questions import QUESTIONS
from study.results import SCORES, Results, add_row, identity, read_rows
from train import evaluation_steps


def a_row(question, variant, seed, more=None):
    """A row as a run would leave it, with scores that follow from the seed."""
    settings = question.settings(variant)
    scores = {name: 0.9 + seed / 100 for name in SCORES}
    scores |= {"parameters": 1000 * settings.width, "steps_to_train_iou_0.99": "" if seed == 3 else 20 + seed}
    for measure in question.measures:
        for name in measured(measure, settings):
            scores[name] = 0.9
    if memory.measure in question.measures and seed == 0:
        mask = np.arange(settings.size[0]) < np.arange(settings.size[1])[:, np.newaxis]
        scores |= {f"picture {name}": memory.as_text(mask) for name in memory.OVERLAPS}
    return {"variant": variant, **identity(settings), "seed": str(seed), **scores, **(more or {})}


def measured(measure, settings):
    """The columns that a measure adds to a row."""
    return {
        "study.history": lambda: [column(name, step) for step in evaluation_steps(settings)[:-1] for name in CURVES],
        "study.other_images": lambda: report.QUESTIONS["learned"].shows,
        "study.receptive_field": lambda: [
            *(name for moment in receptive_field.MOMENTS for name in receptive_field.ring_columns(moment)),
            *map(receptive_field.level_column, receptive_field.LEVELS)],
        "study.memory": lambda: [*memory.OVERLAPS, *memory.MOVED, *memory.ELSEWHERE],
        "study.race": lambda: [race.column(curve, goal) for curve in race.CURVES for goal in race.GOALS],
        "study.place": lambda: map(place.column, place.RINGS),
        "study.larger": lambda: [larger.BOTH, larger.RIGHT], "study.averaging": lambda: averaging.COLUMNS,
        "study.rim": lambda: [rim.column(where, distance) for where in rim.WHERE for distance in rim.EDGES],
    }[measure.__module__]()


def report_of(name, seeds, folder):
    """The text of a report on a question with so many seeds, and one more of the last variant."""
    question = QUESTIONS[name]
    write_table([a_row(question, variant, seed) for seed in range(seeds + 1)
                 for variant in [*question.varies][0 if seed < seeds else -1 :]], folder / f"{name}.csv")
    report.write_report(folder)
    return (folder / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_report_has_every_figure_every_key_number_and_a_table(name, tmp_path):
    question, text = QUESTIONS[name], report_of(name, 10, tmp_path)
    assert f"## {name}: {question.asks}" in text
    for picture in question.draws:
        assert f"]({picture})" in text
        image = read_image(tmp_path / picture)
        assert image.shape[1] == 800
        assert image.std() > 10
        edges = np.concatenate([image[:2].ravel(), image[-2:].ravel(), image[:, :2].ravel(), image[:, -2:].ravel()])
        assert (edges == 255).all()  # its title is not wider than it is
    assert {path.name for path in tmp_path.glob("[!.]*")} == {f"{name}.csv", "report.md", *question.draws}
    for label in question.shows:
        assert f"**{label}**" in text
    assert "nan" not in text
    *others, last = question.varies
    for variant, n, mean in (*((name, 10, "0.945 ± 0.030 [0.9") for name in others), (last, 11, "0.950 ± 0.033 [0.9")):
        (line,) = (line for line in text.splitlines() if line.startswith(f"| {variant} | {n} |"))
        assert f"| {mean}" in line
        assert f"`{' '.join(['python train.py --seed N', *training_flags(question.settings(variant))])}`" in line


def test_a_report_can_be_written_of_whatever_there_is(tmp_path):
    question = QUESTIONS["learned"]
    add_row(a_row(question, next(iter(question.varies)), 0), tmp_path / "learned.csv")
    question = QUESTIONS["results"]
    variant = "Dice and plain SGD, 2000 steps, noise fill"
    old = a_row(question, variant, 0)
    add_row({name: value for name, value in old.items() if "mask" not in name}, tmp_path / "results.csv")
    add_row(a_row(question, variant, 1), tmp_path / "results.csv")
    report.write_report(tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert f"| {variant} | 2 |" in text
    assert "| the training mask, noise fill | 1 |" in text
    assert "[" not in text[text.index("## results") :]  # no interval from two seeds


def test_rows_of_a_variant_that_has_changed_since_do_not_count():
    question = QUESTIONS["pixels"]
    rows = [a_row(question, "10 pixels, noise fill", seed) for seed in range(3)]
    rows[1]["steps"] = "81"
    rows[2]["variant"] = "its name before"
    assert list(Results(question, rows).rows["10 pixels, noise fill"]) == [0, 2]


def key_numbers(name, changes, seeds=10):
    """The key numbers of a question, {(label, variant): text}, as they stand in the report.

    changes: {part of a variant's name: columns that its rows hold}; a column may be a function of the seed.
    """
    question, rows = QUESTIONS[name], []
    for variant in question.varies:
        more = {}
        for part, of in changes.items():
            more |= of if part in variant else {}
        rows += [a_row(question, variant, seed, {
            name: value(seed) if callable(value) else value for name, value in more.items()}) for seed in range(seeds)]
    first, _, *rest = ([cell.strip() for cell in line.split("|")[1:-1]]
                       for line in report.key_numbers(Results(question, rows)))
    assert len(first) <= 1 + len(rest)  # lines are more than columns, whichever are the variants
    cells = {(line[0], head): cell for line in rest for head, cell in zip(first[1:], line[1:], strict=True)}
    by_label = {key if key[0].startswith("**") else key[::-1]: cell for key, cell in cells.items()}
    return {(label.strip("*"), variant): cell for (label, variant), cell in by_label.items()}


FITTED = "train IoU of {} or more, and of these IoU of 0.9 or more on unseen images"
OVERLAP = "overlap of the predictions with the training mask"
OVERLAPPING, BEYOND = "overlap of 0.9 or more with the training mask", "overlap beyond that of the true shapes"
WATCHED = "IoU on the watched unseen images"


@pytest.mark.parametrize(("name", "changes", "label", "variant", "said"), [
    ("labels", {"random": {"train_iou": 0.5}}, "train IoU", "random pixels, noise fill", "0.500"),
    ("labels", {"moved": {}, "there is none": {"training_mask_overlap": 0.95}}, OVERLAPPING,
     "a circle where there is none, noise fill", "10 of 10 runs"),
    ("labels", {"": {"steps_to_train_iou_0.95": ""}}, "steps until train IoU 0.95 was first seen, median and range",
     "the true circle, noise fill", "never, 10 runs"),
    ("labels", {}, "steps until train IoU 0.99 was first seen, median and range", "the true circle, noise fill",
     "25 (20 to 29, 9 of 10 runs)"),
    ("sharing", {"without skips": {"training_mask_overlap": 0.8, "training_mask_iou_mean": 0.4}}, BEYOND,
     "U-Net without skips, noise fill", "+0.4000"),
    ("sharing", {"without skips": {"training_mask_overlap": lambda seed: 0.95 if seed < 7 else 0.1}}, OVERLAPPING,
     "U-Net without skips, constant fill", "7 of 10 runs"),
    ("sharing", {"without skips": {"val_iou_mean": 0.1, "training_mask_iou_mean": 0.4}},
     "against the training mask, without a network", "U-Net without skips, noise fill", "-0.3000"),
    ("sharing", {}, "parameters", "dense network, noise fill", "1,000"),
    ("reliable", {"this recipe": {"histogram_iou_mean": 0.97, "val_iou_mean": 0.96}},
     "against the histogram of the training image, without a network", "this recipe, noise fill", "-0.0100"),
    ("reliable", {"SGD": {"training_mask_overlap": lambda seed: 0.4 + seed / 10, "training_mask_iou_mean": 0.1}},
     BEYOND, "Dice and plain SGD, 400 steps, constant fill", "+0.7500"),
    ("size", {"": {"train_iou": lambda seed: 0.95 if seed < 6 else 0.5,
                   "val_iou_mean": lambda seed: 0.95 if seed in (0, 1, 9) else 0.5}}, FITTED.format(0.9),
     "width 0.25, noise fill", "6 of 10 runs, 2 of these"),
    ("size", {"": {"train_iou": 0.95}}, FITTED.format(0.98), "width 0.25, noise fill", "0 of 10 runs, 0 of these"),
    ("border", {"slow": {"overlap on noise": lambda seed: seed / 10}}, "in how many runs to 0.5 or more",
     "slow, Dice, reflect padding, noise fill", "5 of 10 runs"),
    ("border", {"": {name: 0.25 * number for number, name in enumerate(memory.MOVED, start=1)}},
     "training mask on the training image shifted by 32 pixels", "dense, noise fill",
     "0.250 where it was, 0.500 where it went"),
    ("rim", {"one": {rim.column("unseen", 2): 30, rim.column("unseen", rim.EDGES[-1]): 40}},
     "wrong pixels on images it never saw", "one image, noise fill",
     "40.0, of these 0.750 within two pixels of the edge"),
    ("when", {"": {"train_iou after 32": 0.94, "train_iou after 37": 0.96, "val_iou_mean after 37": 0.7,
                   "val_iou_mean after 285": 0.5, **{f"train_iou after {step}": 0.5 for step in range(32)}}},
     "IoU on the watched unseen images when train IoU 0.95 is first seen", "full width, noise fill",
     "0.700, 10 runs"),
    ("when", {"": {}}, "IoU on the watched unseen images when train IoU 0.95 is first seen",
     "a quarter of the width, constant fill", "never fitted"),
    ("when", {"full": {"val_iou_mean after 27": 0.5, "val_iou_mean after 285": lambda seed: 0.3 - 0.2 * (seed == 4)}},
     WATCHED, "full width, noise fill",
     "0.500 after step 27, 0.280 after 285, change -0.2200, lowest run 0.100"),
    ("when", {"full": {"training_mask_overlap after 27": 0.5}}, "their overlap with the training mask",
     "full width, noise fill", "0.500 after step 27, 0.900 after 285, change +0.4000, lowest run 0.900"),
    ("learned", {"": {f"gradient within {radius} after training": share for radius, share in zip(
        receptive_field.RINGS, (0.1, 0.3, 0.4, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1), strict=True)}},
     "radius of half of the gradient after training, pixels", "this recipe, noise fill", "10.0"),
    ("learned", {"constant": {"iou cut below level 2": 0.3}}, "IoU cut below level 2", "this recipe, constant fill",
     "0.300"),
    ("learned", {"": {"iou on rectangles": 0.4}}, "iou on rectangles", "this recipe, noise fill", "0.400"),
])
def test_the_key_numbers_are_what_the_rows_say(name, changes, label, variant, said):
    said_with_intervals = key_numbers(name, changes)[label, variant]
    assert re.sub(r" \[[^]]+\]", "", said_with_intervals) == said


def lines_of_table(name, changes, seeds=10):
    """The first table of a question, and what stands below it, as they stand in the report; changes as above."""
    question = QUESTIONS[name]
    rows = [a_row(question, variant, seed, {column: value(seed) if callable(value) else value
                                            for part, of in changes.items() if part in variant
                                            for column, value in of.items()})
            for variant in question.varies for seed in range(seeds)]
    return question.tables[0](Results(question, rows))


def test_the_race_is_won_by_who_is_first_and_lost_where_the_prediction_fails():
    memory, rule = (f"steps to 0.9 on the {which}" for which in ("training image", "unseen images"))
    won = {": memory": {memory: 100}, ": rule": {rule: 10}, ": one image": {"val_iou_mean": 0.95}}
    changes = {f"Adam, 0.0001{which}": {**of, **({rule: ""} if which == ": rule" else {"val_iou_mean": 0.2})}
               for which, of in won.items()}  # a rule that never comes
    lines = lines_of_table("race", {**won, **changes})
    line = next(line for line in lines if line.startswith("| Adam, 0.0005 |"))
    assert "| 100 (100 to 100) | 10 (10 to 10) | 1 (1 to 1) | 0.950 |" in line
    assert line.endswith("| 0.10 [0.10, 0.10]; 10 of 10 |")
    line = next(line for line in lines if line.startswith("| Adam, 0.0001 |"))
    assert "| never (never to never) |" in line
    assert line.endswith("| never [never, never]; 0 of 10 |")
    racers = len([variant for variant in QUESTIONS["race"].varies if ": one image" in variant])
    line = next(line for line in lines if line.startswith("| with and without | 0.9 |"))
    assert line == (f"| with and without | 0.9 | {racers} of {racers} | {racers} to {racers} | {racers - 1} | {racers} "
                    f"| 0 of {racers - 1} | 0 of 1 | -1.00 [-1.00, -1.00] | -1.00 [-1.00, -1.00] | no order |")
    lines = lines_of_table("race", {**won, **changes, "SGD, 0.1: one": {"val_iou_mean": 0.5},
                                    "Adam, 0.0001: one": {"val_iou_mean": 0.95}})
    line = next(line for line in lines if line.startswith("| with and without | 0.9 |"))
    assert f"| {racers - 2} of {racers} | {racers - 2} to {racers - 2} | " in line
    assert f"| 1 of {racers - 1} | 1 of 1 |" in line


def test_a_race_in_which_the_memory_never_comes_is_the_rules_and_one_without_either_is_left_out():
    memory, rule = (f"steps to 0.9 on the {which}" for which in ("training image", "unseen images"))
    lines = lines_of_table("race", {
        ": memory": {memory: 100}, ": rule": {rule: lambda seed: 10 + seed}, "SGD, 0.1: memory": {memory: ""},
        "no skips, Adam, 0.001: memory": {memory: ""}, "no skips, Adam, 0.001: rule": {rule: ""}})
    for racer, said in (("SGD, 0.1", "0.00 [0.00, 0.00]"), ("no skips, Adam, 0.001", "neither")):
        assert any(line.startswith(f"| {racer} |") and line.endswith(f"| {said}; 10 of 10 |") for line in lines)
    racers = len([variant for variant in QUESTIONS["race"].varies if ": one image" in variant])
    for words, count in ("with and without", racers - 1), ("whose memory comes in most runs", racers - 2):
        assert any(line.startswith(f"| {words} | 0.9 | {count} of {count} |") for line in lines)


def test_the_figure_of_two_circles_shows_no_run_with_one_circle(tmp_path, monkeypatch):
    question, drawn = QUESTIONS["larger"], []
    write_table([a_row(question, variant, 0, {larger.RIGHT: 0.25 if "one circle" in variant else 0.75})
                 for variant in question.varies], tmp_path / "larger.csv")
    monkeypatch.setattr(larger, "finish", lambda figure, path, title, axes: drawn.extend(axes.get_lines()))
    larger.draw(Results(question, read_rows(tmp_path / "larger.csv")), tmp_path / "larger.png", "")
    assert {y for line in drawn for y in line.get_ydata()} == {0.75, 0.5}  # and chance


def test_the_variance_of_crossed_scores_is_that_of_images_of_weights_and_the_rest():
    changes = {"Adam, 0.0001, weights": {"val_iou_mean": lambda seed: seed / 10},
               **{f"Adam, 0.0002, weights {seed}": {"val_iou_mean": seed / 10} for seed in range(5)}}
    image, weights = lines_of_table("crossed", changes, seeds=5)[2:]
    assert image == "| Adam, 0.0001 | 5 x 5 | 0.200 | 100% (by chance 17%), p < 0.001 | 0% (by chance 17%) | 0% |"
    assert weights == "| Adam, 0.0002 | 5 x 5 | 0.200 | 0% (by chance 17%) | 100% (by chance 17%), p < 0.001 | 0% |"


def test_what_a_border_changes_is_paired_by_seed_and_corrected():
    lines = lines_of_table("border", {"slow, circular": {"val_iou_mean": lambda seed: 0.95 + seed / 50,
                                                         "overlap on noise": 0.0}})
    line = next(line for line in lines if line.startswith("| slow, circular padding |"))
    unseen, overlap = line.split(" | ")[1:]
    assert unseen.startswith("+0.095 [")
    assert unseen.endswith(", p 0.043")  # two of 2**10 orders are as extreme; 22 differences are made
    assert overlap.startswith("-0.900, p 0.043")
    assert "| slow, reflect padding | +0.000, p 1.000 | +0.000, p 1.000 |" in lines


def test_key_numbers_have_intervals_where_seeds_differ():
    said = key_numbers("labels", {"": {"train_iou": lambda seed: 0.9 + seed / 100}})
    assert said["train IoU", "random pixels, noise fill"].startswith("0.945 [0.9")
    assert said[OVERLAP, "random pixels, noise fill"].startswith("0.945 [0.9")


def test_every_key_number_stands_beside_every_variant_whichever_way_the_table_lies():
    for name, question in QUESTIONS.items():
        if question.shows:
            assert key_numbers(name, {}, seeds=1).keys() == {
                (label, variant) for label in question.shows for variant in question.varies}


def test_a_row_waits_for_another_study_and_is_added_once(tmp_path):
    path = tmp_path / "what.csv"
    rows = [a_row(QUESTIONS["pixels"], "10 pixels, noise fill", seed) for seed in range(2)]
    with FileLock(path.with_name(".lock")):
        waiting = threading.Thread(target=add_row, args=(rows[0], path))
        waiting.start()
        waiting.join(0.3)
        assert not path.exists()
        write_table(rows[1:], path)
    waiting.join()
    add_row(rows[0], path)
    assert [row["seed"] for row in read_rows(path)] == ["1", "0"]


def test_differences_are_paired_by_seed():
    question = Question("What?", {"plain, noise fill": {}, "other, noise fill": {"steps": 50}}, reference="plain")
    plain, other = question.varies
    rows = [a_row(question, variant, seed, {"val_iou_mean": seed + shift * (1 + seed % 2)}) for seed in range(11)
            for variant, shift in ((plain, 0), (other, 0.25))]
    of = Results(question, rows[:-1])  # of the last seed one is missing
    assert [len(of.values(variant)) for variant in of.variants] == [11, 10]
    assert of.differences(other, plain).tolist() == [0.25, 0.5] * 5
    line = next(line for line in report.score_table(of) if line.startswith(f"| {other} "))
    assert line.split(" | ")[4] == "+0.3750 [+0.3000, +0.4500], p 0.002"


def test_there_is_no_difference_where_the_reference_has_no_rows():
    question = Question("What?", {"plain, noise fill": {}, "other, noise fill": {"steps": 50}}, reference="plain")
    line = report.score_table(Results(question, [a_row(question, "other, noise fill", 0)]))[2]
    assert line.startswith("| other, noise fill | 1 | 0.900 | 0.900 |  | 1 |")
