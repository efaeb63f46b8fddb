"""Segment fresh images with the trained network, score them, and draw them into vis/.

The images are drawn like the training image, from a random stream that training and validation never used. Data
flags change them: test a network that knows one circle on rectangles, or on 512x512 canvases.
"""

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from common import baselines, metrics, pictures
from common.command_line import fields_of, parse
from common.errors import UserError, run_script
from common.files import check_folder, clear_numbered, write_table
from common.settings import Settings, read_settings
from data import create_data

# Keras starts slowly and is imported where it is used: --help and mistakes do not need it.


def draw(X, Y, predictions, scores, folder):
    """Write test_N.png for each image, overview.png and metrics.csv into `folder`, in place of those of another test.

    scores: {'network': {'iou': (n,), 'dice': (n,)}, ...}, first the method whose predictions are drawn.
    Raises `UserError` if a file cannot be written.
    """
    clear_numbered(folder, "test")
    drawn = next(iter(scores.values()))
    titles = [f"test {number}:  IoU {iou:.3f},  Dice {dice:.3f}"
              for number, (iou, dice) in enumerate(zip(drawn["iou"], drawn["dice"], strict=True), start=1)]
    paths = [Path(folder, f"test_{number}.png") for number in range(1, len(X) + 1)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # OpenCV does not need the lock of Python
        list(pool.map(pictures.test_picture, X, Y, predictions, titles, paths))
    title = f"{len(X)} images it never saw, worst to best; IoU {drawn['iou'].mean():.3f} mean"
    pictures.overview(Y, predictions, drawn["iou"], title, Path(folder, "overview.png"))
    columns = {f"{method.replace(' + ', '_').lower()}_{name}": values
               for method, of in scores.items() for name, values in of.items()}  # blur_otsu_iou
    write_table([{"image": f"test_{number + 1}.png", **{name: f"{of[number]:.6f}" for name, of in columns.items()}}
                 for number in range(len(X))], Path(folder, "metrics.csv"))


def described(settings):
    """What the images of such settings show, in words."""
    extent = "side" if settings.shape == "rectangle" and settings.side != (0, 0) else "radius"
    words = ["{} x {}: {}".format(*settings.size, settings.shape), f"{settings.fill} fill",
             "{} {} to {}".format(extent, *getattr(settings, extent))]
    return ", ".join(words + [f"{name} {getattr(settings, name)}" for name in (
        "strength", "placement", "task", "level", "noise") if getattr(settings, name) != getattr(Settings, name)])


def score_lines(scores):
    """The scores of each method side by side, as lines of text."""
    lines = [f"{'':14}{'IoU mean':>9}{'median':>8}{'worst':>8}{'':22}{'Dice mean':>9}{'median':>8}{'worst':>8}"]
    for method, of in scores.items():
        iou, dice = of["iou"], of["dice"]
        worst = f"  (test_{iou.argmin() + 1}.png)"
        lines.append(f"{method:14}{iou.mean():9.3f}{np.median(iou):8.3f}{iou.min():8.3f}{worst:22}"
                     f"{dice.mean():9.3f}{np.median(dice):8.3f}{dice.min():8.3f}")
    return lines


def main():
    given = parse(__doc__, fields_of("run", "data", "test"), from_training=True)
    output = Path(given.get("output", Settings.output))
    trained = read_settings(output / "settings.json")
    # what binds the training alone does not bind a test
    free = dict(labels="true", supervised_pixels=0, supervised_window=0, augment=False)
    settings = dataclasses.replace(trained, **{**free, **given})
    if trained.network == "dense" and settings.size != trained.size:
        raise UserError("--size cannot be changed: the dense network takes only the size that it was trained on")
    check_folder(settings.vis, "--vis")

    import model

    network = model.load(output / "model.keras")
    X, Y = create_data(settings.images, settings, "test")
    probabilities = model.predict(network, X)
    predictions = metrics.predicted(probabilities)
    scores = {method: {"iou": metrics.iou(Y, of), "dice": metrics.dice(Y, of)}
              for method, of in (("network", predictions), ("blur + Otsu", baselines.blur_otsu(X)))}
    draw(X, Y, predictions, scores, settings.vis)

    print(f"{settings.images} fresh images of {described(settings)}")
    print("\n".join(score_lines(scores)))
    if complaint := metrics.complaint(Y, probabilities):
        print(complaint)
    print(f"look at {Path(settings.vis) / 'overview.png'} and test_1.png, ... beside it")


if __name__ == "__main__":
    run_script(main)
