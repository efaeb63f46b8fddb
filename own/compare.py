"""How well the network segments images with masks, beside what people use today.

    python -m own compare cells cracks

A set is a folder of images X_1.png, X_2.png, ... and masks Y_1.png, Y_2.png,
... Every method learns from the first image and segments the others, then from
the second, and from the third, then from strokes on the same images. It takes
hours, and needs scikit-image and scikit-learn. Rows that output/compare.csv
holds already are not measured again.
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

from common import metrics
from common.checks import check_values
from common.command_line import fields_of, parse
from common.errors import UserError
from common.files import check_folder, read_table, write_table, writing
from common.settings import setting
from own.crops import Labelled, read_labelled, reduced_for
from own.exposure import predict_image, uncertainty
from own.forest import Forest
from own.images import in_channels, read_image, read_mask
from own.segmentation import blur_otsu_sides
from own.settings import OwnSettings
from own.training import train_own
from study.processes import forget_networks, in_processes
from study.results import PATIENCE, check_numbers
from study.statistics import markdown_table

LABELLED = 3  # images of a set that are the labelled one in turn
KEY = ("set", "labelled", "labels", "method", "flags")  # the columns by which a row is known
STROKES, STROKE = 0.01, 5  # share of the pixels that strokes label, and how wide they are, pixels


@dataclasses.dataclass(frozen=True)
class Options:
    """What only this comparison needs; each is a flag of it."""

    only: str = setting(
        "all", "compare", "only rows with TEXT in 'SET, image 1, strokes, network'", metavar="TEXT")
    flags: str | None = setting(
        None, "compare", "flags of own train for the network, in quotes", metavar="FLAGS")
    processes: int = setting(2, "compare", "trainings at the same time", metavar="N", least=1)
    __post_init__ = check_values


def strokes(labelled, seed):
    """A `Labelled` image as if a few strokes were all that someone had painted on it.

    Short straight strokes, as many on the foreground as on the background where there is room,
    until they cover STROKES of the image. A stroke that would leave its side is cut off there.
    """
    generator = np.random.default_rng(seed)
    image, mask = labelled
    painted = np.full(mask.shape, -1, "int8")
    for label in (1, 0):
        inside = mask[..., 0] == label
        pixels, wanted = np.flatnonzero(inside), min(STROKES / 2 * mask.size, 0.5 * inside.sum())
        while (painted == label).sum() < wanted:
            row, column = np.unravel_index(generator.choice(pixels), inside.shape)
            angle, length = generator.uniform(0, 2 * np.pi), generator.uniform(20, 60)
            start = np.array([column, row])
            end = start + np.rint(length * np.array([np.cos(angle), np.sin(angle)])).astype(int)
            canvas = np.zeros(inside.shape, "uint8")
            stroke = cv2.line(canvas, start.tolist(), end.tolist(), 1, STROKE) > 0
            painted[stroke & inside] = label
    return Labelled(image, painted)


# A method learns from a `Labelled` image and returns {its name in the table: a function of an
# image that gives probabilities, float32 (height, width, 1)}.


def network(labelled, settings):
    """The network, and the mean of its predictions over the flips and turns of an image."""
    forget_networks()
    settings, labelled = reduced_for(settings, [labelled])
    trained = train_own(settings, labelled).network

    def predict(image, average=False):
        return predict_image(trained, image, settings.match, average, times=settings.reduce)

    return {"network": predict, "network, averaged": lambda image: predict(image, average=True)}


def forest(labelled, settings):
    """The random forest."""
    trained, channels = Forest([labelled], settings.seed), labelled.image.shape[2]
    return {"forest": lambda image: trained.predict(in_channels(image, channels))}


def otsu(labelled, settings):
    """Blur + Otsu, which learns nothing: the brighter side."""
    return {"blur + Otsu": lambda image: blur_otsu_sides(image)[0].astype("float32")}


METHODS = {"network": network, "forest": forest, "blur + Otsu": otsu}
EITHER_SIDE = "blur + Otsu"  # its better side counts on each image: the foreground may be darker


def measure(key, folder, settings):
    """The rows of the table with that key, of the set in a folder: one for each way to predict.

    Scores are those of the images that the method did not learn from.
    """
    _, number, labels, method, _ = key
    pairs = read_set(folder)
    image, mask = map(str, pairs.pop(int(number)))
    settings = dataclasses.replace(settings, image=(image,), mask=(mask,))
    (labelled,) = read_labelled(settings)
    if labels == "strokes":
        labelled = strokes(labelled, int(number))
    started = time.perf_counter()
    ways = METHODS[method](labelled, settings)
    train_seconds = round(time.perf_counter() - started, 1)
    rows = []
    for name, predict in ways.items():
        row = dict(zip(KEY, key, strict=True)) | {"method": name, "n": len(pairs)}
        row |= score(predict, pairs, name == EITHER_SIDE)
        rows.append({**row, "train_seconds": train_seconds})
    return rows


def score(predict, pairs, either_side):
    """How well `predict` segments images, `pairs` of a set: the columns of a row.

    either_side: of a prediction and its complement the better counts.
    """
    ious, uncertainties, both, union, seconds = {}, {}, 0, 0, 0.0
    for number, (image_path, mask_path) in pairs.items():
        image, (truth, _) = read_image(image_path), read_mask(mask_path)
        started = time.perf_counter()
        probabilities = predict(image)
        seconds += time.perf_counter() - started
        prediction = metrics.predicted(probabilities)
        sides = (prediction, ~prediction) if either_side else (prediction,)
        scores = [metrics.iou(truth[np.newaxis], side[np.newaxis])[0] for side in sides]
        best = sides[np.argmax(scores)]
        ious[f"iou_{number}"] = max(scores)
        uncertainties[f"uncertainty_{number}"] = uncertainty(probabilities)
        both += (truth & best).sum()
        union += (truth | best).sum()
    return {"iou_mean": np.mean(list(ious.values())), "iou_pooled": both / union, **ious,
            **uncertainties, "image_seconds": round(seconds / len(pairs), 2)}


def read_set(folder):
    """{number: (image, mask)} of the files X_number.png, Y_number.png in a folder, paths.

    Raises `UserError` if these are not two pairs at least.
    """
    pairs = {}
    for image in Path(folder).glob("X_*.png"):
        number = image.stem.removeprefix("X_")
        mask = image.with_name(f"Y_{number}.png")
        if number.isdecimal() and mask.exists():
            pairs[int(number)] = (image, mask)
    if len(pairs) < 2:
        raise UserError(f"{folder} does not hold two images X_1.png, X_2.png with masks Y_1.png, "
                        "Y_2.png; name a folder that does")
    return dict(sorted(pairs.items()))


def compare(folders, path, options, report=print):
    """Measure every method on the sets in `folders`; each row is written to the CSV at `path`.

    Rows that are there already are not measured again. Returns all rows. Raises `UserError` for a
    folder that is no set, two of one name, or flags that are none.
    """
    flags = options.flags or ""
    fields = fields_of("training", "own", kind=OwnSettings)
    try:
        line = shlex.split(flags)
    except ValueError:
        raise UserError(f"--flags {flags} has an open quotation mark; close it") from None
    settings = OwnSettings(**parse("", fields, recipes=OwnSettings.recipes, line=line))
    measured, calls = {key_of(row) for row in read_rows(path)}, []
    for key, folder in planned(folders, flags).items():
        if key not in measured and (options.only == "all" or options.only in called(key)):
            calls.append((measure, key, folder, settings))
    for new in in_processes(options.processes, calls):
        keys = {key_of(row) for row in new}
        path.parent.mkdir(parents=True, exist_ok=True)
        # A lock of the table alone: that of the folder belongs to a training for all its time.
        lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=PATIENCE)
        with writing(path), lock:
            others = [row for row in read_rows(path) if key_of(row) not in keys]
            write_table(sorted([*others, *new], key=key_of), path)
        for row in new:
            report(f"{called(key_of(row))}: IoU {row['iou_mean']:.3f}")
    rows = read_rows(path)
    if not rows:
        raise UserError(f"--only {options.only} is part of no row, such as: SET, image 1, strokes, "
                        "network")
    return rows


def planned(folders, flags):
    """{key: folder} of all rows of the sets in `folders`, the first image of each set first."""
    folders = {Path(folder).resolve(): list(read_set(folder)) for folder in folders}
    if len({folder.name for folder in folders}) < len(folders):
        raise UserError("two of the sets have the same name; rename one of them")
    rows = {}
    for labels, place in itertools.product(("mask", "strokes"), range(LABELLED)):
        for folder, numbers in folders.items():
            for number, method in itertools.product(numbers[place : place + 1], METHODS):
                used = flags if method == "network" else ""
                rows[folder.name, str(number), labels, method, used] = folder
    return rows


def key_of(row):
    """The columns by which a row is known, as a tuple."""
    return tuple(str(row[name]) for name in KEY)


def called(key):
    """A row, as it is called on the screen and by --only."""
    name, number, labels, method, _ = key
    return f"{name}, image {number}, {labels}, {method}"


def read_rows(path):
    """The rows of the CSV at `path`, as dicts of text; none if there is no such file.

    Raises `UserError` for a CSV of another kind.
    """
    rows = read_table(path) if os.path.exists(path) else []
    for row in rows:
        if not row.keys() >= {*KEY, "iou_mean", "train_seconds", "image_seconds"}:
            raise UserError(f"{path} is not from own compare; move it away, and it starts anew")
        check_numbers(row, path, KEY)
    return rows


def table(rows):
    """Markdown: the mean IoU of each method on each set, and what it took.

    In brackets the IoU from each labelled image. Times are medians over the rows, of as many
    threads as the processes had.
    """
    def of_set(rows):
        values = column(rows, "iou_mean")
        return f"{np.mean(values):.3f} ({', '.join(f'{value:.2f}' for value in values)})"

    def of_all(rows):
        means = [np.mean(column(group, "iou_mean")) for group in grouped(rows, "set").values()]
        return f"**{np.mean(means):.3f}**"

    return by_method(rows, of_set, {
        "**mean**": of_all,
        "seconds to learn": lambda rows: f"{np.median(column(rows, 'train_seconds')):.1f}",
        "seconds an image": lambda rows: f"{np.median(column(rows, 'image_seconds')):.1f}",
    })


def telling(rows):
    """Markdown: whether a method segments worse what it is less sure of.

    Spearman's correlation of uncertainty and IoU over the images of a row, averaged over the rows
    of a set; -1 is that the surest image is always the best.
    """
    from scipy.stats import spearmanr

    def of_set(rows):
        values = []
        for row in rows:
            names = [name for name in row if name.startswith("uncertainty_") and row[name]]
            uncertainty = [float(row[name]) for name in names]
            iou = [float(row[name.replace("uncertainty", "iou")]) for name in names]
            if np.ptp(uncertainty) and np.ptp(iou):
                values.append(spearmanr(uncertainty, iou).statistic)
        return f"{np.mean(values):+.2f}" if values else "-"

    return by_method(rows, of_set, {})


def by_method(rows, of_set, totals):
    """Markdown: a table for each kind of labels, with a line for each set, a column a method.

    of_set: a function that makes text of the rows of a method and a set; totals: {title of a line:
    such a function of the rows of all sets}, which stays empty where some are missing.
    """
    methods, lines = list(grouped(rows, "method", "flags")), []
    for (labels,), here in grouped(rows, "labels").items():
        sets, body = grouped(here, "set"), []
        for (name,), group in sets.items():
            cells = grouped(group, "method", "flags")
            texts = [of_set(cells[method]) if method in cells else "-" for method in methods]
            body.append([name, *texts])
        cells = grouped(here, "method", "flags")
        whole = [method for method in cells if len(grouped(cells[method], "set")) == len(sets)]
        for title, total in totals.items():
            texts = [total(cells[method]) if method in whole else "-" for method in methods]
            body.append([title, *texts])
        head = [labels, *(" ".join(method).strip() for method in methods)]
        lines += ["", *markdown_table(head, body)]
    return lines[1:]


def grouped(rows, *names):
    """{values of these columns: rows}, in the order in which they first come."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return groups


def column(rows, name):
    """A column of the rows, as a list of numbers."""
    return [float(row[name]) for row in rows]


def main():
    given = parse(__doc__, [*fields_of("output", kind=OwnSettings), *dataclasses.fields(Options)],
                  words=("set", "SET [SET ...]", "folders of images and masks"))
    folders, output = given.pop("set"), given.pop("output", OwnSettings.output)
    if not folders:
        raise UserError("name a set of images with masks: own compare SET")
    check_folder(output, "--output")
    rows = compare(folders, Path(output, "compare.csv"), Options(**given))
    print("\n".join([*table(rows), "", *telling(rows)]))
