"""The rows of a question, one run each with all its settings in one CSV, and what they say together."""

import os
from dataclasses import replace
from functools import lru_cache

import numpy as np
from filelock import FileLock

from common.errors import UserError
from common.files import read_table, write_table, writing
from common.folders import LOCK
from common.settings import Settings, training_names

ENOUGH = 10  # seeds: no interval from fewer
NULLS = {"training_mask": "the training mask", "blur_otsu": "blur + Otsu",
         "histogram": "the histogram of the training image"}  # baselines.nulls, and how they are called in words
PATIENCE = 60  # seconds that a study waits for another one which writes to the same folder
REACHED = (0.95, 0.99)  # IoU on the training data: a row says after how many steps it was first seen
# What every row holds beyond its settings; a question may add columns. train_seconds are those of the steps with their
# tracing, run_seconds those of the whole run with its scoring; both while several runs share the machine. commit is
# that of the code; rows of before this column have the last one that computed as theirs. Rows of before the column
# threads had THREADS_BEFORE.
SCORES = (
    "parameters", "train_loss", "train_iou", "val_iou_mean", "val_iou_min", "val_dice_mean", "training_mask_overlap",
    *(f"steps_to_train_iou_{goal}" for goal in REACHED),
    *(f"{null}_iou_{which}" for null in NULLS for which in ("mean", "min")),
    "train_seconds", "run_seconds", "threads", "commit",
)
THREADS_BEFORE = "2"
# Settings that are no more, as rows of before hold them where they were off; other rows cannot be run again.
GONE = {"input_noise": "0.0", "dropout": "0.0", "weight_decay": "0.0", "averaging": "0.0"}


def identity(settings):
    """The settings that a row is known by, as the CSV holds them: {name: text}."""
    return {name: str(getattr(settings, name)) for name in training_names() if name != "output"}


def known_by(row):
    """The same of a row, in a form that can be looked up; what an older row does not hold was at its default."""
    return tuple(row.get(name) or off for name, off in {**identity(Settings()), **GONE}.items())


def read_rows(path):
    """The rows of a CSV of earlier runs, as dicts of text; none if there is no such file.

    A setting that an older row does not hold yet had no other value than today's default. Raises `UserError` for
    another kind of file.
    """
    if not path.exists():
        return []
    try:
        rows = read_table(path)
    except (OSError, UserError):
        rows = []
    if not all({"variant", "seed", "val_iou_mean"} <= row.keys() for row in rows) or not rows:
        raise UserError(f"{path} is not from the study; move it away, and the runs start anew")
    for row in rows:
        check_numbers(row, path, {"variant", "commit", *identity(Settings())})
    older = {**identity(Settings()), "threads": THREADS_BEFORE}
    return [row | {**older, **row} for row in rows]  # the order of the columns stays


def check_numbers(row, path, texts):
    """Raise `UserError` unless seed and scores of a row of the CSV at `path` are numbers; a score may be empty.

    texts: the names of the other columns.
    """
    for name, value in row.items():
        try:
            if name == "seed":
                Settings(seed=int(value))
            elif name not in texts and not name.startswith("picture "):
                float(value or 0)
        except ValueError:
            raise UserError(f"{path} holds {value[:20]!r} as {name}, which is no number; mend it, or move the file "
                            "away, and it starts anew") from None


def add_row(row, path):
    """Add a row to the CSV at `path`, unless it holds that run; another study may be adding to it just then."""
    with writing(path):
        os.makedirs(path.parent, exist_ok=True)
        with FileLock(path.with_name(LOCK), timeout=PATIENCE):
            rows = read_rows(path)
            if known_by(row) not in map(known_by, rows):
                write_table([*rows, row], path)


def chance(p):
    """A probability as text: '0.006', '< 0.001'."""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


@lru_cache(maxsize=10_000)
def bootstrap(values):
    """The 95% interval of the mean of a tuple of values, by the bootstrap (Efron 1987: bias-corrected, accelerated).

    Unlike one by Student's t it stays in the range of the values; it is the same each time.
    """
    from scipy.stats import bootstrap

    if min(values) == max(values):
        return values[0], values[0]
    interval = bootstrap((values,), np.mean, rng=np.random.default_rng(0)).confidence_interval
    if not np.isfinite(interval).all():  # where the resampled means all lie on one side of the mean
        interval = bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(0)).confidence_interval
    return float(interval.low), float(interval.high)


def with_interval(values, form=".3f"):
    """'0.967 [0.965, 0.969]': the mean of values, (n,), and from ENOUGH that are not all the same its 95% interval."""
    values = tuple(map(float, values))
    if len(values) < ENOUGH or min(values) == max(values) or not np.isfinite(values).all():
        return f"{np.mean(values):{form}}"
    low, high = bootstrap(values)
    return f"{np.mean(values):{form}} [{low:{form}}, {high:{form}}]"


def corrected(differences):
    """How likely each of several paired differences is by chance: '0.006', or '' from fewer than ENOUGH seeds.

    differences: list of float64 (n,); of one that holds nan nothing is said. Wilcoxon's signed-rank test (1945),
    corrected for their number (Holm 1979).
    """
    from scipy.stats import wilcoxon

    each = {number: wilcoxon(of).pvalue if np.any(of) else 1.0
            for number, of in enumerate(differences) if len(of) >= ENOUGH and np.isfinite(of).all()}
    texts, least = [""] * len(differences), 0.0
    for rank, (number, p) in enumerate(sorted(each.items(), key=lambda pair: pair[1])):
        least = max(least, min(1.0, p * (len(each) - rank)))
        texts[number] = chance(least)
    return texts


def number(row, column):
    """A column of a row, nan where it has no value."""
    return float("nan" if row.get(column, "") == "" else row[column])


class Results:
    """The rows of one question, by variant and training seed.

    A row is recognised by its settings, so rows of variants that have been changed since do not count.
    """

    def __init__(self, question, rows):
        self.question = question
        by_settings = {known_by(row): row for row in rows}
        seeds = sorted({int(row["seed"]) for row in rows})
        self.rows = {}
        for variant in question.varies:
            keys = {seed: known_by(identity(replace(question.settings(variant), seed=seed))) for seed in seeds}
            if of := {seed: by_settings[key] for seed, key in keys.items() if key in by_settings}:
                self.rows[variant] = of
        self.variants = list(self.rows)
        self.settings, self.short = question.settings, question.short
        self.fills = {}
        for variant in self.variants:
            self.fills.setdefault(f"{self.settings(variant).fill} fill", []).append(variant)

    def values(self, variant, column="val_iou_mean"):
        """A column of all seeds of a variant, float64 (n,); nan where a run has no value."""
        return np.array([number(row, column) for row in self.rows[variant].values()])

    def stacked(self, variant, columns):
        """Several columns of all seeds of a variant, float64 (n, columns)."""
        return np.stack([self.values(variant, column) for column in columns], axis=1)

    def paired(self, variants, column="val_iou_mean"):
        """A column of several variants, of the seeds that all of them have, float64 (variants, n)."""
        seeds = [seed for seed in self.rows[variants[0]] if all(seed in self.rows[variant] for variant in variants)]
        return np.array([[number(self.rows[variant][seed], column) for seed in seeds] for variant in variants])

    def differences(self, variant, other, column="val_iou_mean"):
        """A column of a variant minus that of another, of the seeds that both have, float64 (n,)."""
        return np.subtract(*self.paired((variant, other), column))


