"""Segment fresh images with the trained network, score them, and draw them into vis/.

The images are drawn like the training image, from a random stream that training and validation
never used. Data flags change them: test a network that knows one circle on rectangles, or on
512 x 512 pixels.
"""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from common import baselines, metrics, pictures
from common.checkpoints import trained_before
from common.checks import has_sides
from common.command_line import fields_of, parse
from common.errors import UserError, drawing, run_script
from common.files import check_folder, write_table
from common.folders import check_inputs, holding, in_place_of, read_whole
from common.settings import Settings, read_settings
from data import create_data

# Keras starts slowly and is imported where it is used: --help and mistakes do not need it.


def read_test_settings(output, given):
    """The settings of a test of the network in the folder `output`; given: flags, as a dict.

    What is not given is as it was trained on. Raises `UserError` for settings that do not fit.
    """
    trained = read_settings(output / "settings.json")
    # What restricts the training alone does not restrict a test.
    free = dict(labels="true", supervised_pixels=0, augment=False)
    settings = dataclasses.replace(trained, **{**free, **given})
    one_size = trained.network == "dense" or trained.coordinates != "none"
    if one_size and settings.size != trained.size:
        raise UserError("--size cannot be given: this network takes only the size that it was "
                        "trained on")
    return settings


def score(Y, predictions):
    """IoU and Dice of each image, {"iou": (n,), "dice": (n,)}, both float64.

    Y: masks, predictions: bool, both (n, height, width, 1).
    """
    return {"iou": metrics.iou(Y, predictions), "dice": metrics.dice(Y, predictions)}


def write_test(X, Y, predictions, scores, folder):
    """Write test_N.png for each image, overview.png and metrics.csv, in place of the last test's.

    scores: {"network": as of `score`, ...}. Raises `UserError` if a file cannot be written.
    """
    rows, titles = [], []
    drawn = scores["network"]
    for n in range(len(X)):
        row = {"image": f"test_{n + 1}.png"}
        for method, columns in scores.items():
            for name, values in columns.items():
                row[f"{method.replace(' + ', '_').lower()}_{name}"] = f"{values[n]:.6f}"
        rows.append(row)
        titles.append(f"test {n + 1}:  IoU {drawn['iou'][n]:.3f},  Dice {drawn['dice'][n]:.3f}")
    title = f"{len(X)} images it never saw, worst to best; IoU {drawn['iou'].mean():.3f} mean"
    with in_place_of(folder) as new:
        write_table(rows, new / "metrics.csv")
        paths = [new / row["image"] for row in rows]
        with drawing(), ThreadPoolExecutor() as pool:  # OpenCV runs without Python's lock
            list(pool.map(pictures.test_picture, X, Y, predictions, titles, paths))
            pictures.overview(X, Y, predictions, drawn["iou"], title, new / "overview.png")


def describe_data(settings):
    """What the images of such settings show, in words."""
    height, width = settings.size
    extent = "side" if has_sides(settings) else "radius"
    low, high = getattr(settings, extent)
    words = [f"{height} x {width}: {settings.shape}", f"{settings.fill} fill",
             f"{extent} {low} to {high}"]
    for name in ("placement", "task", "level", "noise"):
        value = getattr(settings, name)
        if value != getattr(Settings, name):
            words.append(f"{name} {value}")
    return ", ".join(words)


def score_lines(scores, names):
    """The scores of each method side by side, as lines of text; names: of the images."""
    lines = [f"{'':14} IoU mean  median   worst{'':22}Dice mean  median   worst"]
    for method, values in scores.items():
        iou, dice = values["iou"], values["dice"]
        worst = f"  ({names[iou.argmin()]})"
        lines.append(f"{method:14}{iou.mean():9.3f}{np.median(iou):8.3f}{iou.min():8.3f}{worst:22}"
                     f"{dice.mean():9.3f}{np.median(dice):8.3f}{dice.min():8.3f}")
    return lines


def main():
    given = parse(__doc__, fields_of("run", "data", "test"), from_training=True)
    output = Path(given.get("output", Settings.output))
    inputs = [output / "model.keras", output / "settings.json"]

    def read_test():
        return read_test_settings(output, given)

    # Mistakes are told before Keras starts.
    unfinished = trained_before(output)
    settings = read_whole(output, read_test)
    names = [f"test_{number}.png" for number in range(1, settings.images + 1)]
    check_folder(settings.vis, "--vis")
    check_inputs(settings.vis, "--vis", inputs, [*names, "overview.png", "metrics.csv"])

    import model
    from common import model_file

    # A training may have ended meanwhile: network and settings are those of one run.
    network, settings = read_whole(output, lambda: (model_file.load(inputs[0]), read_test()))
    with holding(settings.vis, "--vis"):
        X, Y = create_data(settings.images, settings, "test")
        probabilities = model.predict(network, X, settings.average)
        predictions = metrics.predicted(probabilities)
        scores = {
            "network": score(Y, predictions),
            "blur + Otsu": score(Y, baselines.blur_otsu(X)),
        }
        write_test(X, Y, predictions, scores, settings.vis)

    print(f"{settings.images} fresh images of {describe_data(settings)}")
    print("\n".join(score_lines(scores, names)))
    for words in (metrics.complaint(Y, probabilities), unfinished):
        if words:
            print(words)
    print(f"look at {Path(settings.vis) / 'overview.png'} and test_1.png, ... beside it")


if __name__ == "__main__":
    run_script(main)
