"""The report: it takes a row once, counts only the seeds that belong, and says what the rows say."""

import threading

import pytest
from filelock import FileLock

import answers
import report
from questions import QUESTIONS, STUDY, Question
from results import SCORES, Results, add_row, identity, read_rows, write_rows
from settings import training_flags


def a_row(question, variant, seed, more):
    """A row as a run would leave it, with scores that follow from the seed."""
    settings = question.settings(variant)
    scores = {name: 0.9 + seed / 100 for name in SCORES}
    scores |= {"parameters": 1000 * settings.width, "steps_to_train_iou_0.99": "" if seed == 3 else 20 + seed}
    return {"variant": variant, **identity(settings), "seed": str(seed), **scores, **more}


HISTORY = {f"{name} after {step}": 0.5
           for step in (0, 200, 100) for name in ("train_iou", "val_iou_mean", "memorisation")}
MORE = {
    "learned": {"iou on rectangles": 0.9, "iou on two circles": 0.9, "iou on a fill of noise": 0.9,
                "iou on a fill of the background, 40 brighter": 0.9, "iou on a fill of grey 40": 0,
                "iou on a fill of grey 80": 0.9, **{f"iou cut below level {level}": 0.9 for level in range(1, 6)},
                **{f"gradient within {r} {moment} training": r / 10 for r in (4, 8) for moment in ("before", "after")}},
    "position": {"training row": 80, "training column": 80,
                 **{f"iou at {row} {column}": 0.9 for row in (20, 60, 99, 139) for column in (20, 60, 99, 139)}},
    "when": HISTORY,
    "later": HISTORY,
    "labels": HISTORY,
}


def report_of(name, seeds, folder):
    """The text of a report on a question with so many seeds, and one more of the last variant."""
    question = QUESTIONS[name]
    rows = [a_row(question, variant, seed, MORE.get(name, {}))
            for seed in range(seeds + 1) for variant in [*question.variants][0 if seed < seeds else -1 :]]
    write_rows(rows, folder / f"{name}.csv")
    report.write(folder)
    return (folder / "report.md").read_text()


@pytest.mark.parametrize("name", [*STUDY, "later"])
def test_the_report_has_figures_a_table_and_an_answer(name, tmp_path):
    question, text = QUESTIONS[name], report_of(name, 10, tmp_path)
    assert f"## {name}: {question.text}" in text
    assert "No answer yet" not in text
    for picture in [f"{name}.png", *(f"{name}_{figure}.png" for figure in question.figures[1:])]:
        assert f"]({picture})" in text
        assert (tmp_path / picture).stat().st_size > 10_000
    *others, last = question.variants
    for variant, n, mean in (*((name, 10, "0.945 ± 0.030 [0.9") for name in others), (last, 11, "0.950 ± 0.033 [0.9")):
        (line,) = (line for line in text.splitlines() if line.startswith(f"| {variant} | {n} |"))
        assert f"| {mean}" in line
        assert f"`{' '.join(['python train.py --seed N', *training_flags(question.settings(variant))])}`" in line


def test_there_is_no_answer_from_fewer_than_ten_seeds(tmp_path):
    text = report_of("pixels", 9, tmp_path)
    assert "No answer yet: it takes 10 seeds of every variant." in text
    assert "| 100 pixels, noise fill | 9 | 0.940 ± 0.027 | 0.940 ± 0.027 " in text


def test_a_report_can_be_written_of_whatever_there_is(tmp_path):
    question = QUESTIONS["learned"]
    variant = next(iter(question.variants))
    add_row(a_row(question, variant, 0, MORE["learned"]), tmp_path / "learned.csv")
    old = a_row(QUESTIONS["recipes"], "2017 recipe, noise fill", 0, {})
    add_row({name: value for name, value in old.items() if "mask" not in name}, tmp_path / "recipes.csv")
    add_row(a_row(QUESTIONS["recipes"], "2017 recipe, noise fill", 1, {}), tmp_path / "recipes.csv")
    report.write(tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "| 2017 recipe, noise fill | 2 |" in text
    assert "| the training mask, noise fill | 1 |" in text
    assert "[" not in text[text.index("| 2017 recipe") :]  # no interval from two seeds


def test_rows_of_a_variant_that_has_changed_since_do_not_count():
    question = QUESTIONS["pixels"]
    rows = [a_row(question, "10 pixels, noise fill", seed, {}) for seed in range(3)]
    rows[1]["steps"] = "81"
    rows[2]["variant"] = "its name before"
    assert list(Results(question, rows).rows["10 pixels, noise fill"]) == [0, 2]


@pytest.mark.parametrize(("name", "scores", "said"), [
    ("labels", {"moved": {"memorisation": 0.95}, "random": {"train_iou": 0.5}},
     "0.500 [0.500, 0.500] with random pixels. | on at IoU 0.950 [0.950, 0.950] (0.9 or more in 10 of 10 runs), and"),
    ("sharing", {"unet-without-skips": {"val_iou_mean": 0.1, "memorisation": 0.8, "training_mask_iou_mean": 0.4},
                 "dense": {"val_iou_mean": "0.0"}},
     "scores 0.100 [0.100, 0.100] on unseen images, where its prediction overlaps the training mask at IoU 0.800 "
     "[0.800, 0.800] (0.9 or more in 0 of 10 runs); against the training mask as the prediction, its score is 0.3000 "
     "[0.3000, 0.3000] lower. | scores 0.000 [0.000, 0.000] (at most 0.000), and overlaps"),
    ("reliable", {"this recipe": {"histogram_iou_mean": 0.97, "val_iou_mean": 0.96},
                  "2017": {"val_iou_mean": 0.3, "memorisation": 0.4, "training_mask_iou_mean": 0.1}},
     "this recipe comes to IoU 0.9 or more on unseen images in 10 of 10 runs (range 0.960 to 0.960) | in 0 of 10 runs "
     "(range 0.300 to 0.300) | (difference +0.3000 [+0.3000, +0.3000]) | "
     "(the network against it: 0.0100 [0.0100, 0.0100] lower)"),
    ("when", {"constant rate, noise": {"train_iou after 100": 0.96, "val_iou_mean after 100": 0.7,
                                       "val_iou_mean after 200": 0.6, "memorisation after 200": 0.3}},
     "watched score 0.700 [0.700, 0.700] at that moment, 0.500 [0.500, 0.500] after 0 steps | +0.1000]; the lowest run "
     "ends at 0.600. | changes by -0.2000 [-0.2000, -0.2000] from 0.500 [0.500"),
    ("when", {"": {}}, "first seen: never, 10 runs. Unseen images that are watched score 0.500 [0.500"),
    ("later", {"": {"training_mask_iou_mean": 0.99}, "dice": {"memorisation": 1}},
     "true circles do with dice, adam, 0.0001, half the width (+0.010 [+0.010, +0.010]; 10 of 10 runs fit their image"),
    ("recipe", {"": {"train_iou": 0.5, "memorisation": 0.1, "training_mask_iou_mean": 0.1},
                "dice": {"train_iou": 0.95, "val_iou_mean": 0.8}, "dice, sgd, 1,": {"val_iou_mean": 0.9},
                "dice, sgd, 0.1,": {"train_iou": 0.99}, "dice, adam, 0.0001": {"memorisation": 0.7}},
     "70 of 140 runs come to train IoU 0.9 or more, and 10 of these to 0.9 or more on unseen images. 10 of 140 runs "
     "come to train IoU 0.98 or more, and 0 of | than the true circles do with dice, adam, 0.0001 (+0.600 [+0.600, "
     "+0.600]; 10 of 10 runs fit their image at 0.9, 0 of these the unseen). All else"),
])
def test_the_answers_are_what_the_rows_say(name, scores, said):
    question, rows = QUESTIONS[name], []
    for variant in question.variants:
        more = {**MORE.get(name, {}), "steps_to_train_iou_0.95": ""}
        for part, of in scores.items():
            more |= of if part in variant else {}
        rows += [a_row(question, variant, seed, more) for seed in range(10)]
    text = " ".join(getattr(answers, name)(Results(question, rows)))
    for part in said.split(" | "):
        assert part in text


def test_a_row_waits_for_another_study_and_is_added_once(tmp_path):
    path = tmp_path / "what.csv"
    rows = [a_row(QUESTIONS["pixels"], "10 pixels, noise fill", seed, {}) for seed in range(2)]
    with FileLock(path.with_name(".lock")):
        waiting = threading.Thread(target=add_row, args=(rows[0], path))
        waiting.start()
        waiting.join(0.3)
        assert not path.exists()
        write_rows(rows[1:], path)
    waiting.join()
    add_row(rows[0], path)
    assert [row["seed"] for row in read_rows(path)] == ["1", "0"]


def test_seeds_count_only_if_every_variant_has_them():
    question = Question("What?", {"plain, noise fill": {}, "other, noise fill": {"steps": 50}})
    plain, other = question.variants
    rows = [a_row(question, plain, seed, {}) for seed in range(12)]
    assert not Results(question, rows).complete()
    assert not Results(question, rows + [a_row(question, other, seed, {}) for seed in range(3, 13)]).complete()
    assert Results(question, rows + [a_row(question, other, seed, {}) for seed in range(2, 12)]).complete()


def test_differences_are_paired_by_seed_and_say_only_what_the_interval_says():
    question = Question("What?", {"plain, noise fill": {}, "other, noise fill": {"steps": 50}})
    rows = [a_row(question, variant, seed, {"val_iou_mean": seed + shift}) for seed in range(11)
            for variant, shift in (("plain, noise fill", 0), ("other, noise fill", 0.02 + seed % 2 / 100))]
    results = Results(question, rows[:-1])  # of the last seed one is missing
    plain, other = question.variants
    assert results.n(plain) == 11
    assert results.n(other) == 10
    assert results.compare(other, plain).startswith("0.0250 [0.02")
    assert results.compare(other, plain).endswith("higher")
    assert results.compare(plain, other).endswith("lower")
    assert results.compare(plain, plain).startswith("not distinguishable (difference +0.0000")
    assert results.reached(plain, 0.99) == "26 (20 to 30, 10 of 11 runs)"
