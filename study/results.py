"""The rows of a question: a CSV with one run a row, and all of them by variant and seed.

A row is known by its settings.
"""

import os

import numpy as np
from filelock import FileLock

from common.errors import UserError
from common.files import read_table, write_table, writing
from common.folders import LOCK
from common.settings import Settings, training_names
from study.nulls import NULLS

PATIENCE = 60  # seconds that a study waits for another one that writes to the same folder
REACHED = (0.95, 0.99)  # IoU on the training data: a row says when it was first seen
# What every row holds beyond its settings; a question may add columns. train_seconds are those of
# the steps with their tracing, run_seconds those of the whole run with its scoring; both while
# several runs share the machine. commit is that of the code.
SCORES = (
    "parameters", "train_loss", "train_iou", "val_iou_mean", "val_iou_min", "val_dice_mean",
    "training_mask_overlap", "steps_to_train_iou_0.95", "steps_to_train_iou_0.99",
    *(f"{null}_iou_{which}" for null in NULLS for which in ("mean", "min")),
    "train_seconds", "run_seconds", "threads", "commit",
)
THREADS_BEFORE = "2"  # of rows from before there was a column for it
# Settings that no longer exist, and the value at which they did nothing. A row with another value
# cannot be run again.
GONE = {
    "strength": "1.0", "supervised_window": "0", "weights_seed": "-1",
    "input_noise": "0.0", "dropout": "0.0", "weight_decay": "0.0", "averaging": "0.0",
    # of one's own images, which are not circles in noise
    "image": "()", "mask": "()", "crop": "160", "contrast": "1.4", "brightness": "0.25",
    "tint": "0.1", "match": "True",
}


def identity(settings):
    """The settings that a row is known by, as the CSV holds them: {name: text}."""
    return {name: str(getattr(settings, name)) for name in training_names() if name != "output"}


# A setting that an older row does not hold was at its default.
DEFAULTS = {**identity(Settings()), **GONE}


def key_of(row):
    """The settings of a row as a tuple, by which it is looked up."""
    return tuple(row.get(name) or default for name, default in DEFAULTS.items())


def read_rows(path):
    """The rows of a CSV of earlier runs, as dicts of text; none if there is no such file.

    Settings that an older row does not hold are added. Raises `UserError` for another kind of file.
    """
    if not path.exists():
        return []
    try:
        rows = read_table(path)
    except (OSError, UserError):
        rows = []
    if not rows or not {"variant", "seed", "val_iou_mean"} <= rows[0].keys():
        raise UserError(f"{path} is not from the study; move it away, and the runs start anew")
    for row in rows:
        check_numbers(row, path, {"variant", "commit", *DEFAULTS})
        for name, value in {**identity(Settings()), "threads": THREADS_BEFORE}.items():
            row.setdefault(name, value)
    return rows


def check_numbers(row, path, texts):
    """Raise `UserError` unless seed and scores of a row of the CSV at `path` are numbers, or empty.

    texts: the names of columns that hold other things.
    """
    for name, value in row.items():
        try:
            if name == "seed":
                Settings(seed=int(value))
            elif name not in texts and not name.startswith("picture "):
                float(value or 0)
        except ValueError:
            raise UserError(f"{path} holds {value[:20]!r} as {name}, which is no number; mend it, "
                            "or move the file away, and it starts anew") from None


def add_row(row, path):
    """Add a row to the CSV at `path` unless it holds that run; another study may write to it."""
    with writing(path):
        os.makedirs(path.parent, exist_ok=True)
        with FileLock(path.with_name(LOCK), timeout=PATIENCE):
            rows = read_rows(path)
            if key_of(row) not in map(key_of, rows):
                write_table([*rows, row], path)


class Results:
    """The rows of one question, {variant: {seed: row}}, and its variants that have rows.

    Rows of variants that have been changed since do not count.
    """

    def __init__(self, question, rows):
        self.question = question
        self.settings = question.settings  # of a variant, but for the seed
        self.short = question.short  # the name of a variant without its fill
        self.rows = {}
        by_key = {key_of(row): row for row in rows}
        seeds = sorted({int(row["seed"]) for row in rows})
        for variant in question.varies:
            settings = identity(self.settings(variant))
            for seed in seeds:
                key = key_of({**settings, "seed": str(seed)})
                if key in by_key:
                    self.rows.setdefault(variant, {})[seed] = by_key[key]
        self.variants = list(self.rows)

    def by_fill(self):
        """The variants of each fill, {'noise fill': list}."""
        fills = {}
        for variant in self.variants:
            fills.setdefault(f"{self.settings(variant).fill} fill", []).append(variant)
        return fills

    def values(self, variant, column="val_iou_mean", seeds=None):
        """A column of all seeds of a variant, or of some, float64 (n,); nan where it is empty."""
        rows = self.rows[variant]
        cells = [rows[seed].get(column, "") for seed in (rows if seeds is None else seeds)]
        return np.array(["nan" if cell == "" else cell for cell in cells], float)

    def stacked(self, variant, columns):
        """Several columns of all seeds of a variant, float64 (n, columns)."""
        return np.stack([self.values(variant, column) for column in columns], axis=1)

    def paired(self, variants, column="val_iou_mean"):
        """A column of several variants, of the seeds that all have, float64 (variants, n)."""
        seeds = sorted(set.intersection(*(set(self.rows[variant]) for variant in variants)))
        return np.array([self.values(variant, column, seeds) for variant in variants])

    def differences(self, variant, other, column="val_iou_mean"):
        """A column of a variant minus that of another, of the seeds that both have, (n,)."""
        return np.subtract(*self.paired([variant, other], column))
