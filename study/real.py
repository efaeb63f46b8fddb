"""Real images, one of them labelled: how well the network segments the others, beside what people use today.

`python -m study real --folder SET [SET ...]`: each folder holds images X_1.png, ... and masks Y_1.png, ... Every method
learns from the first image and segments the others, then from the second, and from the third.
"""

import dataclasses
import shlex
import time
from pathlib import Path

import cv2
import numpy as np
from scipy.stats import spearmanr

import train
from common import baselines, metrics
from common.command_line import fields_of, parse
from common.errors import UserError
from common.files import numbered, read_table, write_table
from common.forest import Forest
from common.images import in_channels, read_image, read_mask
from common.settings import Settings
from data import Labelled, read_labelled

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
    """Train the network on one labelled image; returns a function of an image that gives probabilities."""
    import model

    run = train.train_own(settings, [labelled])
    return lambda image: model.predict_image(run.network, image, settings.average, settings.match)


def forest(labelled, settings):
    """The same of the random forest."""
    of = Forest([labelled], settings.seed)
    return lambda image: of.predict(in_channels(image, labelled.image.shape[2]))


def otsu(labelled, settings):
    """The same of blur + Otsu, which learns nothing: the brighter side."""
    return lambda image: baselines.blur_otsu_sides(image)[0].astype("float32")


METHODS = {"network": network, "forest": forest, "blur + Otsu": otsu}
EITHER_SIDE = ("blur + Otsu",)  # of its two sides the better counts on each image, for the foreground may be darker


def measured(method, labels, folder, number, settings):
    """How well a method segments the others that learned from image `number` of a folder, by its mask or by strokes."""
    images, masks = numbered(folder, "X"), numbered(folder, "Y")
    own = dataclasses.replace(settings, image=(str(images[number]),), mask=(str(masks[number]),))
    (labelled,) = read_labelled(own)
    if labels == "strokes":
        labelled = strokes(labelled, number)
    started = time.perf_counter()
    predict = METHODS[method](labelled, own)
    learned = time.perf_counter()
    others = {other: predict(read_image(path)) for other, path in images.items() if other != number}
    predicted = time.perf_counter()
    truth = {other: read_mask(masks[other], alone=True)[0] for other in others}
    found = {other: metrics.predicted(of) for other, of in others.items()}
    if method in EITHER_SIDE:
        found = {other: max((of, ~of), key=lambda side, other=other: metrics.iou(truth[other][None], side[None])[0])
                 for other, of in found.items()}
    each = [metrics.iou(truth[other][np.newaxis], found[other][np.newaxis])[0] for other in others]
    both, either = (sum(of(truth[other], found[other]).sum() for other in others) for of in (
        np.logical_and, np.logical_or))
    return {"n": len(each), "iou_mean": np.mean(each), "iou_pooled": both / either,
            **{f"iou_{other}": of for other, of in zip(others, each, strict=True)},
            **{f"uncertainty_{other}": metrics.uncertainty(of) for other, of in others.items()},
            "train_seconds": round(learned - started, 1),
            "image_seconds": round((predicted - learned) / len(each), 2)}


def run(folders, path, only="all", flags="", report=print):
    """Measure every method on the sets in `folders`; each row is written into the CSV at `path` as it is done.

    Rows that are there already are not measured again. only: a part of what a row is called, 'SET, image 1, strokes,
    network'. flags: of train.py, for the network. Raises `UserError` for a folder that is no set.
    """
    settings = Settings(**parse("", fields_of("training", "own", "average"), line=[
        "--image", "", "--mask", "", *shlex.split(flags)]))
    rows = read_table(path) if Path(path).exists() else []
    known = {tuple(row[name] for name in KNOWN_BY) for row in rows}
    pairs = {folder: sorted(numbered(folder, "X").keys() & numbered(folder, "Y").keys()) for folder in folders}
    if len({Path(folder).resolve().name for folder in folders}) < len(folders):
        raise UserError("--folder names two sets of the same name; rename one of them")
    for folder, numbers in pairs.items():
        if len(numbers) < 2:
            raise UserError(f"--folder {folder} does not hold two images X_1.png, X_2.png with masks Y_1.png, Y_2.png; "
                            "name a folder that does")
    for folder, number, labels, method in ((folder, number, labels, method) for folder, numbers in pairs.items()
                                           for number in numbers[:LABELLED] for labels in ("mask", "strokes")
                                           for method in METHODS):
        identity = (Path(folder).resolve().name, str(number), labels, method, flags if method == "network" else "")
        called = f"{identity[0]}, image {number}, {labels}, {method}"
        if identity in known or (only != "all" and only not in called):
            continue
        row = dict(zip(KNOWN_BY, identity, strict=True)) | measured(method, labels, folder, number, settings)
        rows.append(row)
        write_table(rows, path)
        report(f"{called}: IoU {row['iou_mean']:.3f}")


def table(rows):
    """Markdown: the mean IoU of each method on each set, over the images that are the labelled one in turn."""
    methods = list(dict.fromkeys((row["method"], row["flags"]) for row in rows))
    lines = ["| set | labels | " + " | ".join(" ".join(of).strip() for of in methods) + " |",
             f"|{'---|' * (2 + len(methods))}"]
    for name, labels in dict.fromkeys((row["set"], row["labels"]) for row in rows):
        cells = []
        for of in methods:
            values = [float(row["iou_mean"]) for row in rows
                      if (row["set"], row["labels"], row["method"], row["flags"]) == (name, labels, *of)]
            each = ", ".join(f"{value:.2f}" for value in values)
            cells.append(f"{np.mean(values):.3f} ({each})" if values else "-")
        lines.append(f"| {name} | {labels} | {' | '.join(cells)} |")
    return lines


def telling(rows):
    """Markdown: whether a method segments worse what it is less sure of.

    Spearman's correlation of uncertainty and IoU over the images of a row, averaged over the rows of a set; -1 is that
    the surest image is always the best.
    """
    numbers = [name.removeprefix("uncertainty_") for name in rows[0] if name.startswith("uncertainty_")]
    lines = ["| set | labels | method | rank correlation of uncertainty and IoU | rows |", "|---|---|---|---|---|"]
    for of in dict.fromkeys((row["set"], row["labels"], row["method"], row["flags"]) for row in rows):
        pairs = [np.array([(float(row[f"uncertainty_{number}"]), float(row[f"iou_{number}"])) for number in numbers
                           if row[f"uncertainty_{number}"]]).T
                 for row in rows if (row["set"], row["labels"], row["method"], row["flags"]) == of]
        values = [spearmanr(*pair).statistic for pair in pairs if np.ptp(pair, axis=1).all()]
        if values:
            cells = *of[:2], " ".join(of[2:]).strip(), f"{np.mean(values):+.2f}", str(len(values))
            lines.append(f"| {' | '.join(cells)} |")
    return lines
