"""Real images, one of them labelled: how well the network segments the others, beside what people use today.

`python -m study real --folder SET [SET ...]`: each folder holds images X_1.png, ... and masks Y_1.png, ... Every method
learns from the first image and segments the others, then from the second, and from the third.
"""

import dataclasses
import itertools
import os
import shlex
import time
from pathlib import Path

import cv2
import numpy as np
from filelock import FileLock
from scipy.stats import spearmanr

import train
from common import baselines, metrics
from common.command_line import fields_of, parse
from common.errors import UserError
from common.files import numbered, read_table, write_table, writing
from common.folders import LOCK
from common.forest import Forest
from common.images import in_channels, read_image, read_mask
from common.settings import Settings
from data import Labelled, read_labelled
from study.processes import forget_networks, in_processes
from study.results import PATIENCE, check_numbers

LABELLED = 3  # images of a set that are the labelled one in turn
KNOWN_BY = ("set", "labelled", "labels", "method", "flags")  # the columns that tell a row
STROKES, STROKE = 0.01, 5  # share of the pixels that strokes label, and how wide strokes are, pixels


def strokes(labelled, seed):
    """The same image as if a few strokes were all that someone had painted on it: a `Labelled` with less labels.

    Short straight strokes, as many on the foreground as on the background where there is room, until they cover STROKES
    of the image. A stroke that would leave its side is cut off there.
    """
    generator = np.random.default_rng(seed)
    image, mask = labelled
    painted = np.full(mask.shape, -1, "int8")
    for label in (1, 0):
        inside = mask[..., 0] == label
        pixels, wanted = np.flatnonzero(inside), min(STROKES / 2 * mask.size, 0.5 * inside.sum())
        while (painted == label).sum() < wanted:
            start = np.array(np.unravel_index(generator.choice(pixels), inside.shape))[::-1]
            angle, length = generator.uniform(0, 2 * np.pi), generator.uniform(20, 60)
            end = start + np.rint(length * np.array([np.cos(angle), np.sin(angle)])).astype(int)
            line = cv2.line(np.zeros(inside.shape, "uint8"), start.tolist(), end.tolist(), 1, STROKE)
            painted[(line > 0) & inside] = label
    return Labelled(image, painted)


def network(labelled, settings):
    """Train the network on one labelled image; returns functions of an image that give probabilities, by their name."""
    import model

    forget_networks()
    run = train.train_own(settings, [labelled])
    return {name: lambda image, average=average: model.predict_image(run.network, image, average, settings.match)
            for name, average in (("network", False), ("network, averaged", True))}


def forest(labelled, settings):
    """The same of the random forest."""
    of = Forest([labelled], settings.seed)
    return {"forest": lambda image: of.predict(in_channels(image, labelled.image.shape[2]))}


def otsu(labelled, settings):
    """The same of blur + Otsu, which learns nothing: the brighter side."""
    return {"blur + Otsu": lambda image: baselines.blur_otsu_sides(image)[0].astype("float32")}


METHODS = {"network": network, "forest": forest, "blur + Otsu": otsu}
EITHER_SIDE = ("blur + Otsu",)  # of its two sides the better counts on each image, for the foreground may be darker


def measured(method, labels, folder, number, settings):
    """How well a method segments the others that learned from image `number` of a folder, by its mask or by strokes.

    Returns the columns of a row for each of its ways to predict, {name: dict}.
    """
    images, masks = numbered(folder, "X"), numbered(folder, "Y")
    own = dataclasses.replace(settings, image=(str(images[number]),), mask=(str(masks[number]),))
    (labelled,) = read_labelled(own)
    if labels == "strokes":
        labelled = strokes(labelled, number)
    started = time.perf_counter()
    ways = METHODS[method](labelled, own)
    taken = time.perf_counter() - started
    others = [other for other in images if other in masks and other != number]
    truth = [read_mask(masks[other])[0] for other in others]
    return {name: {"n": len(others), **scores(predict, [images[other] for other in others], truth, others,
                                              name in EITHER_SIDE), "train_seconds": round(taken, 1)}
            for name, predict in ways.items()}


def scores(predict, images, truth, numbers, either_side):
    """How well `predict` segments `images`, paths, of `numbers` with the masks `truth`: the columns of a row."""
    started = time.perf_counter()
    probabilities = [predict(read_image(path)) for path in images]
    taken = time.perf_counter() - started
    found = [metrics.predicted(of) for of in probabilities]
    if either_side:
        found = [max((of, ~of), key=lambda side, mask=mask: metrics.iou(mask[None], side[None])[0])
                 for of, mask in zip(found, truth, strict=True)]
    each = [metrics.iou(mask[None], of[None])[0] for of, mask in zip(found, truth, strict=True)]
    both, either = (sum(of(mask, prediction).sum() for mask, prediction in zip(truth, found, strict=True))
                    for of in (np.logical_and, np.logical_or))
    return {"iou_mean": np.mean(each), "iou_pooled": both / either,
            **{f"iou_{number}": of for number, of in zip(numbers, each, strict=True)},
            **{f"uncertainty_{number}": metrics.uncertainty(of)
               for number, of in zip(numbers, probabilities, strict=True)},
            "image_seconds": round(taken / len(each), 2)}


def run(folders, path, wanted, report=print):
    """Measure every method on the sets in `folders`; each row is written into the CSV at `path` as it is done.

    Rows that are there already are not measured again. wanted: `only` is a part of what a row is called, 'SET, image 1,
    strokes, network'; `flags` are of train.py, for the network; so many `processes` at a time. Returns all rows. Raises
    `UserError` for a folder that is no set, or flags that are none.
    """
    flags = wanted.flags or ""
    try:
        words = shlex.split(flags)
    except ValueError:
        raise UserError(f"--flags {flags} has an open quotation mark; close it") from None
    settings = Settings(**parse("", fields_of("training", "own"), line=["--image", "", "--mask", "", *words]))
    known = set(map(known_by, read_rows(path)))
    waiting = []
    for labels, place, (folder, numbers) in itertools.product(
            ("mask", "strokes"), range(LABELLED), sets(folders).items()):
        for number, method in itertools.product(numbers[place : place + 1], METHODS):
            identity = (folder.name, str(number), labels, method, flags if method == "network" else "")
            if identity not in known and (wanted.only == "all" or wanted.only in called(identity)):
                waiting.append((identified, identity, folder, settings))
    for identity, of in in_processes(wanted.processes, waiting):
        new = [dict(zip(KNOWN_BY, identity, strict=True)) | {"method": name, **columns} for name, columns in of.items()]
        with writing(path), FileLock(path.with_name(LOCK), timeout=PATIENCE):  # another study may be at it
            others = [row for row in read_rows(path) if known_by(row) not in map(known_by, new)]
            write_table(sorted([*others, *new], key=known_by), path)
        for row in new:
            report(f"{called(identity)}: {row['method']} IoU {row['iou_mean']:.3f}")
    rows = read_rows(path)
    if not rows:
        raise UserError(f"--only {wanted.only} is part of no row, such as: SET, image 1, strokes, network")
    return rows


def known_by(row):
    """The columns that tell a row, as a tuple."""
    return tuple(str(row[name]) for name in KNOWN_BY)


def read_rows(path):
    """The rows of the CSV at `path`, as dicts of text; none if there is no such file. `UserError` for a foreign one."""
    rows = read_table(path) if os.path.exists(path) else []
    for row in rows:
        if not {*KNOWN_BY, "iou_mean", "train_seconds", "image_seconds"} <= row.keys():
            raise UserError(f"{path} is not from the study of real images; move it away, and it starts anew")
        check_numbers(row, path, KNOWN_BY)
    return rows


def identified(identity, folder, settings):
    """What `measured` makes of a row that is known by `identity`, beside that: processes end in any order."""
    _, number, labels, method, _ = identity
    return identity, measured(method, labels, folder, int(number), settings)


def called(identity):
    """A row, as it is called on the screen and by --only."""
    name, number, labels, method, _ = identity
    return f"{name}, image {number}, {labels}, {method}"


def sets(folders):
    """The numbers of the images that have masks in each of `folders`, {absolute path: list}.

    Raises `UserError` for a folder that is no set, or two of one name, by which rows are known.
    """
    pairs = {Path(folder).resolve(): sorted(numbered(folder, "X").keys() & numbered(folder, "Y").keys())
             for folder in folders}
    if len({folder.name for folder in pairs}) < len(folders):
        raise UserError("--folder names two sets of the same name; rename one of them")
    for folder, numbers in pairs.items():
        if len(numbers) < 2:
            raise UserError(f"--folder {folder} does not hold two images X_1.png, X_2.png with masks Y_1.png, Y_2.png; "
                            "name a folder that does")
    return pairs


def table(rows):
    """Markdown: the mean IoU of each method on each set, and of each image that is the labelled one; then what it took.

    Times are medians over the rows, of as many threads as the processes had.
    """
    def of_set(of):
        values = [float(row["iou_mean"]) for row in of]
        return f"{np.mean(values):.3f} ({', '.join(f'{value:.2f}' for value in values)})"

    def of_all(of):
        means = [np.mean([float(row["iou_mean"]) for row in of if row["set"] == name])
                 for name in dict.fromkeys(row["set"] for row in of)]
        return f"**{np.mean(means):.3f}**"

    def median(column):
        return lambda of: f"{np.median([float(row[column]) for row in of]):.1f}"

    return by_method(rows, of_set, {"**mean**": of_all, "seconds to learn": median("train_seconds"),
                                    "seconds an image": median("image_seconds")})


def telling(rows):
    """Markdown: whether a method segments worse what it is less sure of.

    Spearman's correlation of uncertainty and IoU over the images of a row, averaged over the rows of a set; -1 is that
    the surest image is always the best.
    """
    numbers = [name.removeprefix("uncertainty_") for name in rows[0] if name.startswith("uncertainty_")]

    def correlation(of):
        pairs = [np.array([(float(row[f"uncertainty_{number}"]), float(row[f"iou_{number}"])) for number in numbers
                           if row[f"uncertainty_{number}"]]).T for row in of]
        values = [spearmanr(*pair).statistic for pair in pairs if np.ptp(pair, axis=1).all()]
        return f"{np.mean(values):+.2f}" if values else "-"

    return by_method(rows, correlation, {})


def by_method(rows, of_set, of_all):
    """Markdown: a table for each kind of labels, with a column for each method.

    A line for each set, as `of_set` says, and those of `of_all`, of all sets. of_set and the values of the dict
    `of_all` turn a list of rows into text.
    """
    methods = list(dict.fromkeys((row["method"], row["flags"]) for row in rows))
    lines = []
    for labels in dict.fromkeys(row["labels"] for row in rows):
        lines += [*[""] * bool(lines), f"| {labels} | {' | '.join(' '.join(of).strip() for of in methods)} |",
                  f"|{'---|' * (1 + len(methods))}"]
        here = [row for row in rows if row["labels"] == labels]
        for title, cell in {**{name: of_set for name in dict.fromkeys(row["set"] for row in here)}, **of_all}.items():
            columns = [[row for row in here if (row["method"], row["flags"]) == of and (title in of_all or
                        row["set"] == title)] for of in methods]
            complete = [of if title not in of_all or {row["set"] for row in of} == {row["set"] for row in here} else []
                        for of in columns]  # a mean over fewer sets cannot be compared
            lines.append(f"| {title} | {' | '.join(cell(of) if of else '-' for of in complete)} |")
    return lines
