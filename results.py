"""The rows of a study, one run each with all its settings in one CSV for each question, and what they say together."""

import csv
import os
from dataclasses import replace

import numpy as np
from filelock import FileLock

import metrics
from settings import Settings, UserError, training_names

ENOUGH = 10  # seeds: no conclusion from fewer
NULLS = {"background": "all background", "training_mask": "the training mask", "blur_otsu": "blur + Otsu",
         "histogram": "histogram of the training image"}  # baselines.nulls, and how they are called in words
REACHED = (0.95, 0.99)  # IoU on the training data: a row says after how many steps it was first seen
# What every row holds beyond its settings; a question may add columns.
SCORES = (
    "parameters", "train_loss", "train_iou", "val_iou_mean", "val_iou_min", "val_dice_mean", "memorisation",
    *(f"steps_to_train_iou_{goal}" for goal in REACHED),
    *(f"{null}_iou_{which}" for null in NULLS for which in ("mean", "min")),
    "train_seconds", "seconds",
)


def identity(settings):
    """The settings that a row is known by, as the CSV holds them: {name: text}."""
    return {name: str(getattr(settings, name)) for name in training_names() if name != "output"}


def known_by(row):
    """The same of a row, in a form that can be looked up."""
    return tuple(row[name] for name in identity(Settings()))


def read_rows(path):
    """The rows of a CSV of earlier runs, as dicts of text; none if there is no such file.

    A setting that an older row does not hold yet had no other value than today's default. Raises `UserError` for
    another kind of file.
    """
    if not path.exists():
        return []
    with open(path, newline="") as file:
        reader = csv.DictReader(file)
        if not {"variant", "seed", "val_iou_mean"} <= set(reader.fieldnames or ()):
            raise UserError(f"{path} is not from study.py; move it away, and the runs start anew")
        return [{**identity(Settings()), **row} for row in reader]


def add_row(row, path):
    """Add a row to the CSV at `path`, unless it holds that run; another study may be adding to it just then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(".lock")):
        rows = read_rows(path)
        if known_by(row) not in map(known_by, rows):
            write_rows([*rows, row], path)


def write_rows(rows, path):
    """Write the CSV anew, and put it in place at once: an interrupted study loses nothing."""
    unfinished = path.with_suffix(".unfinished")
    columns = dict.fromkeys(["variant", *(name for row in rows for name in row)])
    with open(unfinished, "w", newline="\n") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(unfinished, path)


class Results:
    """The rows of one question, by variant and training seed.

    A row is recognised by its settings, so rows of variants that have been changed since do not count.
    """

    def __init__(self, question, rows):
        self.question = question
        by_settings = {known_by(row): row for row in rows}
        seeds = sorted({int(row["seed"]) for row in rows})
        self.rows = {}
        for variant in question.variants:
            keys = {seed: tuple(identity(replace(question.settings(variant), seed=seed)).values()) for seed in seeds}
            if of := {seed: by_settings[key] for seed, key in keys.items() if key in by_settings}:
                self.rows[variant] = of
        self.variants = list(self.rows)
        fills = {variant: f"{question.settings(variant).fill} fill" for variant in self.variants}
        self.fills = {fill: [name for name in self.variants if fills[name] == fill]
                      for fill in dict.fromkeys(fills.values())}
        # what the question measures beyond the scores of every row
        self.columns = [name for name in (rows[0] if rows else {})
                        if name not in ("variant", *SCORES, *identity(Settings()))]

    def values(self, variant, column):
        """A column of all seeds of a variant, float64 (n,); nan where a run has no value."""
        return np.array([float(row.get(column) or "nan") for row in self.rows[variant].values()])

    def n(self, variant):
        """How many seeds a variant has."""
        return len(self.rows[variant])

    def mean(self, variant, column="val_iou_mean", form=".3f"):
        """The mean of a column and its 95% interval, as text."""
        return with_interval(self.values(variant, column), form)

    def differences(self, variant, other, other_column="val_iou_mean"):
        """IoU on unseen images of a variant minus a column of another, of the seeds that both have, float64 (n,)."""
        seeds = [seed for seed in self.rows[variant] if seed in self.rows[other]]
        return np.array([float(self.rows[variant][seed]["val_iou_mean"]) - float(self.rows[other][seed][other_column])
                         for seed in seeds])

    def compare(self, variant, other, other_column="val_iou_mean"):
        """By the paired difference: '0.012 [0.004, 0.020] higher', '... lower', or 'not distinguishable (...)'."""
        differences = self.differences(variant, other, other_column)
        _, low, high = metrics.mean_interval(differences)
        if low > 0:
            return f"{with_interval(differences, '.4f')} higher"
        if high < 0:
            return f"{with_interval(-differences, '.4f')} lower"
        return f"not distinguishable (difference {with_interval(differences, '+.4f')})"

    def reached(self, variant, goal):
        """After how many steps the runs were first seen at a training IoU: median, range, how many; as text."""
        steps = self.values(variant, f"steps_to_train_iou_{goal}")
        if np.isnan(steps).all():
            return f"never, {len(steps)} runs"
        some = "" if np.isfinite(steps).all() else f", {np.isfinite(steps).sum()} of {len(steps)} runs"
        return f"{np.nanmedian(steps):.0f} ({np.nanmin(steps):.0f} to {np.nanmax(steps):.0f}{some})"

    def count(self, variant, column="val_iou_mean", least=0.9):
        """In how many runs a column is so large, as text: '8 of 10 runs'."""
        values = self.values(variant, column)
        return f"{(values >= least).sum()} of {len(values)} runs"

    def range(self, variant, column="val_iou_mean"):
        """The least and the most of a column, as text."""
        values = self.values(variant, column)
        return f"{values.min():.3f} to {values.max():.3f}"

    def place(self, variant, column):
        """Where a variant stands on a figure's axis; 0 supervised pixels are all of them."""
        value = self.values(variant, column)[0]
        return float(np.prod(self.question.settings(variant).size)) if column == "supervised_pixels" and not value \
            else value

    def history(self, variant, name):
        """A column of history.csv before the last step, of all seeds: steps, (points,), and values, (seeds, points)."""
        by_step = {}
        for column in self.columns:
            step = int(column.rpartition(" ")[2]) if column.startswith(f"{name} after ") else np.inf
            if step < self.question.settings(variant).steps and not np.isnan(self.values(variant, column)).any():
                by_step[step] = self.values(variant, column)
        return np.array(sorted(by_step)), np.stack([by_step[step] for step in sorted(by_step)], axis=1)

    def complete(self):
        """Whether every variant has run, and on enough seeds that all of them have in common."""
        seeds = [set(self.rows.get(variant, ())) for variant in self.question.variants]
        return len(set.intersection(*seeds)) >= ENOUGH


def with_deviation(values):
    """'0.967 ± 0.004': the mean of values, (n,), and their standard deviation; of a single one itself."""
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "")


def with_interval(values, form=".3f"):
    """'0.967 [0.965, 0.969]': the mean of values, (n,), and its 95% interval."""
    return f"{np.mean(values):{form}} {bracket(values, form)}".strip()


def bracket(values, form=".3f"):
    """'[0.965, 0.969]': the 95% interval of the mean of values, (n,); nothing for fewer than ENOUGH."""
    _, low, high = metrics.mean_interval(values)
    return f"[{low:{form}}, {high:{form}}]" if len(values) >= ENOUGH else ""
