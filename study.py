"""Many runs of the experiment that differ in one thing, and what they have in common.

`python study.py` lists the questions, `python study.py recipes` runs one. Every finished run is a row of
output/study/QUESTION.csv; run again, a question goes on where it was interrupted.
"""

import csv
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

import baselines
import metrics
import train
from settings import RECIPE_2017, Settings, UserError, check_folder, parse, run_script, training_flags, training_names


class Question(NamedTuple):
    """What is asked, {variant: what it changes in the settings}, and the first seed unless another is given."""

    text: str
    variants: dict
    first_seed: int = 0


FILLS = {"noise fill": {}, "constant fill": {"fill": "constant"}}
RECIPES = {
    "2017 recipe": RECIPE_2017,
    "this recipe": {},
    "this recipe, 50 steps": {"steps": 50},
    "this recipe, 150 steps": {"steps": 150},
    "this recipe, 150 steps, --augment": {"augment": True, "steps": 150},
    # what one image is measured against; no longer one sample
    "a fresh image at each of 400 steps": {"samples": 400, "steps": 400},
}
# Candidates for the default; each differs from it in what its name says. docs/recipe.md says which were run.
SEARCH = {
    "this recipe": {},
    "peak rate 0.001, output bias 0, biases no faster": {
        "learning_rate": 0.001, "output_bias": "zero", "bias_rate": 1.0},
    "output bias 0, biases no faster": {"output_bias": "zero", "bias_rate": 1.0},
    "biases no faster": {"bias_rate": 1.0},
    "output bias 0": {"output_bias": "zero"},
    "peak rate 0.001": {"learning_rate": 0.001},
    "peak rate 0.003": {"learning_rate": 0.003},
    "50 steps": {"steps": 50},
    "150 steps": {"steps": 150},
    "label smoothing 0": {"label_smoothing": 0.0},
    "label smoothing 0.1": {"label_smoothing": 0.1},
    "clip-norm 1": {"clip_norm": 1.0},
    "cross-entropy plus Dice": {"loss": "both"},
    "Dice": {"loss": "dice"},
    "focal loss": {"loss": "focal"},
    "input noise 0.5": {"input_noise": 0.5},
    "dropout 0.3": {"dropout": 0.3},
    "weight decay 0.3": {"weight_decay": 0.3},
    "averaging 0.9": {"averaging": 0.9},
    "augmentation": {"augment": True},
    "augmentation, 150 steps": {"augment": True, "steps": 150},
    "a fresh image every step": {"samples": 80},
}
QUESTIONS = {
    "recipes": Question("How well does one image teach the next hundred, by which recipe?", {
        f"{recipe}, {fill}": {**changes, **of_fill}
        for recipe, changes in RECIPES.items() for fill, of_fill in FILLS.items()}),
    "search": Question("Which recipe should be the default? Choose on seeds that no result is reported on.", {
        f"{name}, {fill}": {**changes, **of_fill}
        for name, changes in SEARCH.items() for fill, of_fill in FILLS.items()}, first_seed=100),
}


def score(settings):
    """Train with these settings, in the same way as train.py: the row of the CSV, all settings and what came out."""
    import model as network

    network.keras.backend.clear_session()
    started = time.perf_counter()
    run = train.train(settings)
    taken = time.perf_counter() - started
    X, Y = run.validation
    null = metrics.iou(Y, baselines.blur_otsu(X))
    last = run.history[-1]
    scores = {name: last[name] for name in ("train_iou", "val_iou_mean", "val_iou_min", "val_dice_mean")}
    return {**identity(settings), "train_loss": last["loss"], **scores, "blur_otsu_iou_mean": null.mean(),
            "blur_otsu_iou_min": null.min(), "train_seconds": last["seconds"], "seconds": round(taken, 2)}


def identity(settings):
    """The settings that a row is known by, as the CSV holds them: {name: text}."""
    return {name: str(getattr(settings, name)) for name in training_names() if name != "output"}


def attempt(settings):
    """`score`, or the error as text: a run that fails must not stop the others."""
    try:
        return settings, score(settings), None
    except Exception as error:  # whatever it is, it is reported with the command that repeats it
        return settings, None, f"{type(error).__name__}: {error}"


def planned(question, wanted):
    """The runs of a question, {settings: variant}, all variants of a seed before the next seed.

    Raises `UserError` if there is no variant like `wanted.only`.
    """
    names = [name for name in question.variants if wanted.only in name or wanted.only == "all"]
    names = [wanted.only] if wanted.only in names else names
    if not names:
        raise UserError(f"--only {wanted.only} is part of no variant; choose from: {'; '.join(question.variants)}")
    seeds = range(wanted.first_seed, wanted.first_seed + wanted.seeds)
    return {Settings(seed=seed, **question.variants[name]): name for seed in seeds for name in names}


def read_rows(path):
    """The rows of a CSV of earlier runs, as dicts of text; none if there is no such file."""
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def append_row(row, path):
    """Add one row to a CSV, at once and whole: a run that is interrupted later keeps it."""
    new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", newline="\n") as file:
        writer = csv.DictWriter(file, row, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


def run(question, wanted, path):
    """Do the runs of a question that `path` does not hold yet, several at a time; returns how many failed.

    Raises `UserError` if the CSV at `path` is of another version.
    """
    import joblib

    rows = read_rows(path)
    if rows and not identity(wanted).keys() <= rows[0].keys():
        raise UserError(f"{path} is from a version with other settings; move it away, and the runs start anew")
    done = [{name: row[name] for name in identity(wanted)} for row in rows]
    runs = planned(question, wanted)
    missing = [settings for settings in runs if identity(settings) not in done]
    failed = 0
    parallel = joblib.Parallel(n_jobs=wanted.processes, return_as="generator_unordered")
    results = parallel(joblib.delayed(attempt)(settings) for settings in missing)
    for count, (settings, row, error) in enumerate(results, start=len(runs) - len(missing) + 1):
        where = f"{count}/{len(runs)}  {runs[settings]}, seed {settings.seed}"
        if error:
            failed += 1
            print(f"{where} failed: {error}; repeat it with: python train.py {' '.join(training_flags(settings))}",
                  file=sys.stderr)
        else:
            append_row({"variant": runs[settings], **row}, path)
            print(f"{where}: IoU train {row['train_iou']:.3f} val {row['val_iou_mean']:.3f}", flush=True)
    return failed


def table(question, rows):
    """Markdown: a line for each variant that has rows, and one for blur + Otsu on the same images of each fill.

    The seconds are the median of trainings with their scoring, while several of them run at a time.
    """
    lines = ["| | n | train IoU | IoU on unseen images | worst seed | worst image | steps | seconds | command |",
             "|---|---|---|---|---|---|---|---|---|"]
    for variant, changes in question.variants.items():
        of = [row for row in rows if row["variant"] == variant]
        if of:
            command = " ".join(["python train.py", *training_flags(Settings(**changes))])
            lines.append(f"| {variant} | {len(of)} | {spread(of, 'train_iou')} | {spread(of, 'val_iou_mean')} "
                         f"| {lowest(of, 'val_iou_mean')} | {lowest(of, 'val_iou_min')} | {of[0]['steps']} "
                         f"| {np.median([float(row['seconds']) for row in of]):.0f} | `{command}` |")
    for fill in ("noise", "constant"):
        of = list({row["seed"]: row for row in rows if row["fill"] == fill}.values())
        if of:
            lines.append(f"| blur + Otsu, {fill} fill | {len(of)} | | {spread(of, 'blur_otsu_iou_mean')} "
                         f"| {lowest(of, 'blur_otsu_iou_mean')} | {lowest(of, 'blur_otsu_iou_min')} | | | |")
    return lines


def spread(rows, name):
    """Mean ± standard deviation of a column, as text; of a single row its value alone."""
    values = [float(row[name]) for row in rows]
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "")


def lowest(rows, name):
    """The least value of a column, as text."""
    return f"{min(float(row[name]) for row in rows):.3f}"


def main():
    names = [word for word in sys.argv[1:2] if word in QUESTIONS]
    del sys.argv[1 : 1 + len(names)]
    if sys.argv[1:] and not sys.argv[1].startswith("-"):
        raise UserError(f"{sys.argv[1]} is no question; choose from: {', '.join(QUESTIONS)}")
    given = parse(__doc__, ("output", "study"))
    if not names:
        print("\n".join(f"{name:12}{question.text}" for name, question in QUESTIONS.items()))
        return
    question = QUESTIONS[names[0]]
    wanted = Settings(**{"first_seed": question.first_seed, **given})
    folder = Path(wanted.output, "study")
    check_folder(folder, "--output")
    path = folder / f"{names[0]}.csv"
    failed = run(question, wanted, path)
    lines = table(question, read_rows(path))
    path.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    run_script(main)
