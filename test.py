"""Segment fresh images with the trained network, score them, and draw them into vis/.

The images are drawn like the training image, from a random stream that training and validation
never used. Data flags change them: test a network that knows one circle on rectangles, or on
512x512 canvases.
"""

import csv
import dataclasses
from pathlib import Path

import numpy as np

import baselines
import metrics
from data import create_data, numbered
from command_line import check_folder, parse, run_script
from settings import Settings, UserError, read_settings

# Keras and Matplotlib start slowly and are imported where they are used: --help and mistakes need neither.


def score(Y, predictions):
    """IoU and Dice of each image: {'iou': (n,), 'dice': (n,)}."""
    return {"iou": metrics.iou(Y, predictions), "dice": metrics.dice(Y, predictions)}


def clear(folder):
    """Remove the pictures of an earlier test, so that no test_N.png of another network stays among the new."""
    for path in numbered(folder, "test").values():
        path.unlink()


def save(X, Y, predictions, scores, folder):
    """Write test_N.png for each image, overview.png and metrics.csv into `folder`.

    scores: {'network': score(...), ...}, first the method whose predictions are drawn.
    """
    import plots

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    clear(folder)
    drawn = next(iter(scores.values()))
    for number, (image, mask, prediction, iou, dice) in enumerate(
            zip(X, Y, predictions, drawn["iou"], drawn["dice"], strict=True), start=1):
        title = f"test {number}:  IoU {iou:.3f},  Dice {dice:.3f}"
        plots.test_picture(image, mask, prediction, title, folder / f"test_{number}.png")
    title = f"{len(X)} images it never saw, worst to best; IoU {drawn['iou'].mean():.3f} mean"
    plots.overview(Y, predictions, drawn["iou"], title, folder / "overview.png")
    columns = {f"{method.replace(' + ', '_').lower()}_{name}": values
               for method, of in scores.items() for name, values in of.items()}  # blur_otsu_iou
    with open(folder / "metrics.csv", "w", newline="\n") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", *columns])
        writer.writerows([f"test_{number}.png", *(f"{value:.6f}" for value in row)]
                         for number, row in enumerate(zip(*columns.values(), strict=True), start=1))


def table(scores):
    """The scores of each method side by side, as lines of text."""
    lines = [f"{'':14}{'IoU mean':>9}{'median':>8}{'worst':>8}{'':22}{'Dice mean':>9}{'median':>8}{'worst':>8}"]
    for method, of in scores.items():
        iou, dice = of["iou"], of["dice"]
        worst = f"  (test_{iou.argmin() + 1}.png)"
        lines.append(f"{method:14}{iou.mean():9.3f}{np.median(iou):8.3f}{iou.min():8.3f}{worst:22}"
                     f"{dice.mean():9.3f}{np.median(dice):8.3f}{dice.min():8.3f}")
    return lines


def main():
    given = parse(__doc__, ("run", "data", "test"), from_training=True)
    output = Path(given.get("output", Settings.output))
    trained = read_settings(output / "settings.json")
    settings = dataclasses.replace(trained, **given)
    if trained.network == "dense" and settings.size != trained.size:
        raise UserError("--size cannot be changed: the dense network takes only the size that it was trained on")
    check_folder(settings.vis, "--vis")

    import model as network

    model = network.load(output / "model.keras")
    X, Y = create_data(settings.images, settings, "test")
    probabilities = network.predict(model, X)
    predictions = metrics.predicted(probabilities)
    scores = {"network": score(Y, predictions), "blur + Otsu": score(Y, baselines.blur_otsu(X))}
    save(X, Y, predictions, scores, settings.vis)

    height, width = settings.size
    print(f"{settings.images} fresh images of {height} x {width}: {settings.shape}, {settings.fill} fill, "
          f"radius {settings.radius[0]} to {settings.radius[1]}")
    print("\n".join(table(scores)))
    if complaint := metrics.complaint(Y, probabilities):
        print(complaint)
    print(f"look at {Path(settings.vis) / 'overview.png'} and test_1.png, ... beside it")


if __name__ == "__main__":
    run_script(main)
