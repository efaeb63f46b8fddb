"""How well the network segments images with masks, beside what people use today.

    python -m own compare cells cracks

A set is a folder of images X_1.png, X_2.png, ... and masks Y_1.png, Y_2.png,
... Every method learns from the first image and segments the others, then from
the second, then from strokes on the same images. It takes hours. Methods whose
libraries are not installed are left out. Rows that output/compare.csv holds
already are not measured again.

--second asks which image to label next: the network learns from the first image
and one other, each of the others in turn.
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
from common.tiles import averaged
from own import forest, pretrained
from own.crops import Labelled, read_labelled, prepared_for_training
from own.exposure import doubt, predict_image, uncertainty
from own.forest import Forest, check_libraries
from own.images import in_channels, read_image, read_mask
from own.pretrained import Pretrained
from own.segmentation import blur_otsu_sides
from own.settings import OwnSettings
from own.tables import AND, grouped, naming, pair, summary, table, telling
from own.training import train_own
from study.processes import forget_networks, in_processes
from study.results import PATIENCE, check_numbers

LABELLED = 2  # images of a set that are the labelled one in turn
KEY = ("set", "labelled", "labels", "method", "flags")  # the columns by which a row is known
STROKES, STROKE = 0.01, 5  # share of the pixels that strokes label, and how wide they are, pixels


@dataclasses.dataclass(frozen=True)
class Options:
    """What only this comparison needs; each is a flag of it."""

    only: str = setting(
        "all", "compare", "only rows with TEXT in 'SET, image 1, strokes, network'", metavar="TEXT")
    flags: str | None = setting(
        None, "compare", "flags of own train for the network, in quotes", metavar="FLAGS")
    second: bool = setting(
        False, "compare", "what to label next: the network from two images, with every second one")
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


# A method learns from a list of `Labelled` and returns {its name in the table: a function of an
# image that gives probabilities, float32 (height, width, 1)}.


def network(labelled, settings):
    """The network, and the mean of its predictions over the flips and turns of an image."""
    forget_networks()
    settings, labelled = prepared_for_training(settings, labelled)
    trained = train_own(settings, labelled).network

    def predict(image, average=False):
        return predict_image(trained, image, settings.match, average, times=settings.reduce)

    return {"network": predict, "network, averaged": lambda image: predict(image, average=True)}


def pixel_classifier(name, kind):
    """A method by its name and a class: a classifier of pixels, such as `Forest`."""
    def method(labelled, settings):
        trained, channels = kind(labelled, settings.seed), labelled[0].image.shape[2]
        return {name: lambda image: trained.predict(in_channels(image, channels))}

    return method


def otsu(labelled, settings):
    """Blur + Otsu, which learns nothing: the brighter side."""
    return {"blur + Otsu": lambda image: blur_otsu_sides(image)[0].astype("float32")}


METHODS = {
    "network": network,
    "forest": pixel_classifier("forest", Forest),
    "pretrained": pixel_classifier("pretrained", Pretrained),
    "blur + Otsu": otsu,
}
LIBRARIES = {"forest": forest.LIBRARIES, "pretrained": pretrained.LIBRARIES}
EITHER_SIDE = "blur + Otsu"  # its better side counts on each image: the foreground may be darker


def measure(key, folder, settings, is_second=False):
    """The rows of the table with that key, of the set in a folder: one for each way to predict.

    Scores are those of the images that the method did not learn from. is_second: how far eight
    predictions of each differ is measured too.
    """
    _, labelled_numbers, labels, method, _ = key
    pairs, numbers = read_set(folder), labelled_numbers.split(AND)
    images, masks = zip(*(pairs.pop(int(number)) for number in numbers), strict=True)
    settings = dataclasses.replace(
        settings, image=tuple(map(str, images)), mask=tuple(map(str, masks)))
    labelled = read_labelled(settings)
    if labels == "strokes":
        labelled = [strokes(sample, int(number))
                    for sample, number in zip(labelled, numbers, strict=True)]
    started = time.perf_counter()
    ways = METHODS[method](labelled, settings)
    train_seconds = round(time.perf_counter() - started, 1)
    if len(numbers) > 1:  # these tell what `own segment` gains from a second image: its way alone
        ways = {method: ways[method]}
    rows = []
    for name, predict in ways.items():
        row = dict(zip(KEY, key, strict=True)) | {"method": name, "n": len(pairs)}
        row |= score(predict, pairs, name == EITHER_SIDE)
        if name == "network" and is_second and len(numbers) == 1:
            row |= disagreements(predict, pairs)
        rows.append({**row, "train_seconds": train_seconds})
    return rows


def score(predict, pairs, either_side):
    """How well `predict` segments images, `pairs` of a set: the columns of a row.

    either_side: of a prediction and its complement the better counts.
    """
    ious, measures, both, union, seconds = {}, {}, 0, 0, 0.0
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
        measures[f"uncertainty_{number}"] = uncertainty(probabilities)
        measures[f"doubt_{number}"] = doubt(probabilities)
        both += (truth & best).sum()
        union += (truth | best).sum()
    return {"iou_mean": np.mean(list(ious.values())), "iou_pooled": both / union, **ious,
            **measures, "image_seconds": round(seconds / len(pairs), 2)}


def disagreements(predict, pairs):
    """How far eight predictions of each image differ, of it flipped and turned: columns of a row.

    It is the standard deviation of a pixel's eight probabilities, averaged over the pixels: 0 if
    they are all the same, 0.5 if half of them are 0, the others 1.
    """
    def moments(turned):
        probabilities = predict(np.ascontiguousarray(turned)).astype("float64")
        return np.concatenate([probabilities, probabilities**2], axis=2)

    columns = {}
    for number, (image_path, _) in pairs.items():
        mean, mean_square = np.split(averaged(moments, read_image(image_path)), 2, axis=2)
        deviation = np.sqrt(np.maximum(mean_square - mean**2, 0))
        columns[f"disagreement_{number}"] = deviation.mean()
    return columns


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

    Rows that are there already are not measured again. Returns all rows that --only picks. Raises
    `UserError` for a folder that is no set, two of one name, flags that are none, or if --only
    picks nothing that can be measured.
    """
    flags = options.flags or ""
    fields = fields_of("training", "own", kind=OwnSettings)
    try:
        line = shlex.split(flags)
    except ValueError:
        raise UserError(f"--flags {flags} has an open quotation mark; close it") from None
    settings = OwnSettings(**parse("", fields, recipes=OwnSettings.recipes, line=line))
    measured, calls, left_out = {key_of(row) for row in read_rows(path)}, [], {}
    plan = planned_pairs if options.second else planned
    for key, folder in plan(folders, flags).items():
        if key not in measured and is_picked(key, options):
            _, _, _, method, _ = key
            try:
                check_libraries(method, LIBRARIES.get(method, {}))
                calls.append((measure, key, folder, settings, options.second))
            except UserError as error:
                left_out[method] = f"left out: {error}"
    for words in left_out.values():
        report(words)
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
    rows = [row for row in read_rows(path) if is_picked(key_of(row), options)]
    if not rows:
        raise UserError(f"--only {options.only} is part of no row that can be measured, such as: "
                        "SET, image 1, strokes, network")
    return rows


def is_picked(key, options):
    """Whether --only picks the row with that key."""
    return options.only == "all" or options.only in called(key)


def planned(folders, flags):
    """{key: folder} of all rows of the sets in `folders`, the first image of each set first."""
    sets, rows = numbers_of_sets(folders), {}
    for labels, place in itertools.product(("mask", "strokes"), range(LABELLED)):
        for folder, numbers in sets.items():
            for number, method in itertools.product(numbers[place : place + 1], METHODS):
                used = flags if method == "network" else ""
                rows[folder.name, str(number), labels, method, used] = folder
    return rows


def planned_pairs(folders, flags):
    """{key: folder} of the rows that say what to label next, the first image of each set first.

    The network learns from one image, and from that and each of the others.
    """
    sets, rows = numbers_of_sets(folders), {}
    for place in range(LABELLED):
        for folder, numbers in sets.items():
            for first in numbers[place : place + 1]:
                rows[folder.name, str(first), "mask", "network", flags] = folder
                for second in numbers:
                    if second != first:
                        rows[folder.name, pair(first, second), "mask", "network", flags] = folder
    return rows


def numbers_of_sets(folders):
    """{folder: the numbers of its images}. Raises `UserError`: no set, or two of one name."""
    sets = {Path(folder).resolve(): list(read_set(folder)) for folder in folders}
    if len({folder.name for folder in sets}) < len(sets):
        raise UserError("two of the sets have the same name; rename one of them")
    return sets


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


def main():
    given = parse(__doc__, [*fields_of("output", kind=OwnSettings), *dataclasses.fields(Options)],
                  words=("set", "SET [SET ...]", "folders of images and masks"))
    folders, output = given.pop("set"), given.pop("output", OwnSettings.output)
    if not folders:
        raise UserError("name a set of images with masks: own compare SET")
    check_folder(output, "--output")
    rows = compare(folders, Path(output, "compare.csv"), Options(**given))
    for lines in (summary(rows), table(rows), telling(rows), naming(rows)):
        if lines:
            print("\n".join([*lines, ""]))
    if len(grouped(rows, "flags")) > 1:  # of the network there are several kinds
        from own.time_figure import draw_time

        draw_time(rows, Path(output, "compare.png"))
        print(f"look at {Path(output, 'compare.png')}")
