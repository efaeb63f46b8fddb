"""Segment fresh images with the trained network, score them, and draw them into vis/.

The images are drawn like the training image, from a random stream that training and validation never used. Data
flags change them: test a network that knows one circle on rectangles, or on 512x512 canvases. With --folder it segments
images of your own: a mask and an outline of each, and which ones it is least sure of.
"""

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from common import baselines, metrics, pictures
from common.command_line import fields_of, parse
from common.errors import UserError, run_script
from common.files import check_folder, in_place_of, settle, write_table, writing
from common.images import check_same_size, images_in, in_channels, mask_names, read_image, read_mask, write_png
from common.screen import Screen
from common.settings import Settings, read_settings
from data import create_data

# Keras starts slowly and is imported where it is used: --help and mistakes do not need it.

LEAST_SURE = 3  # images that are named as those to label next


def draw(X, Y, predictions, scores, folder):
    """Write test_N.png for each image, overview.png and metrics.csv into `folder`, in place of those of another test.

    scores: {'network': {'iou': (n,), 'dice': (n,)}, ...}, first the method whose predictions are drawn.
    Raises `UserError` if a file cannot be written.
    """
    drawn = next(iter(scores.values()))
    titles = [f"test {number}:  IoU {iou:.3f},  Dice {dice:.3f}"
              for number, (iou, dice) in enumerate(zip(drawn["iou"], drawn["dice"], strict=True), start=1)]
    title = f"{len(X)} images it never saw, worst to best; IoU {drawn['iou'].mean():.3f} mean"
    columns = {f"{method.replace(' + ', '_').lower()}_{name}": values
               for method, of in scores.items() for name, values in of.items()}  # blur_otsu_iou
    rows = [{"image": f"test_{number + 1}.png", **{name: f"{of[number]:.6f}" for name, of in columns.items()}}
            for number in range(len(X))]
    with in_place_of(folder) as new:
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # OpenCV does not need the lock of Python
            list(pool.map(pictures.test_picture, X, Y, predictions, titles, [new / row["image"] for row in rows]))
        pictures.overview(Y, predictions, drawn["iou"], title, new / "overview.png")
        write_table(rows, new / "metrics.csv")


def described(settings):
    """What the images of such settings show, in words."""
    extent = "side" if settings.shape == "rectangle" and settings.side != (0, 0) else "radius"
    words = ["{} x {}: {}".format(*settings.size, settings.shape), f"{settings.fill} fill",
             "{} {} to {}".format(extent, *getattr(settings, extent))]
    return ", ".join(words + [f"{name} {getattr(settings, name)}" for name in (
        "strength", "placement", "task", "level", "noise") if getattr(settings, name) != getattr(Settings, name)])


def score_lines(scores, names=None):
    """The scores of each method side by side, as lines of text; names: of the images, else test_1.png, ..."""
    lines = [f"{'':14}{'IoU mean':>9}{'median':>8}{'worst':>8}{'':22}{'Dice mean':>9}{'median':>8}{'worst':>8}"]
    for method, of in scores.items():
        iou, dice = of["iou"], of["dice"]
        worst = f"  ({names[iou.argmin()] if names else f'test_{iou.argmin() + 1}.png'})"
        lines.append(f"{method:14}{iou.mean():9.3f}{np.median(iou):8.3f}{iou.min():8.3f}{worst:22}"
                     f"{dice.mean():9.3f}{np.median(dice):8.3f}{dice.min():8.3f}")
    return lines


def segment_folder(settings, network, images, masks, screen):
    """Segment one's own images, one at a time, into `settings.vis`, in place of those of another folder.

    These are masks/, overlays/, contact_sheet.png and metrics.csv; they change when all are there.
    images, masks: as of `own_images`; screen: a `Screen` to show how far it is. Returns the rows of metrics.csv, as
    dicts. Raises `UserError` if a file cannot be written.
    """
    import model

    known = {os.path.realpath(path) for path in settings.image}
    rows, tiles = [], []
    with in_place_of(settings.vis) as folder:
        for number, (name, path) in enumerate(images.items(), start=1):
            image = read_image(path)
            probabilities = model.predict_image(
                network, image, settings.average, match=settings.match and bool(settings.image))
            prediction = metrics.predicted(probabilities)
            rows.append({"image": path.name, "trained_on": "yes" if os.path.realpath(path) in known else "no",
                         "foreground_share": f"{prediction.mean():.6f}",
                         "uncertainty": f"{metrics.uncertainty(probabilities):.6f}"})
            if name in masks:
                rows[-1] |= own_scores(image, prediction, *read_mask(masks[name], alone=True))
            write_png(folder / "masks" / f"{name}.png", prediction * 255)
            picture, outline = pictures.shown(image), (prediction, pictures.FALSE_ALARM)
            write_png(folder / "overlays" / f"{name}.png", pictures.outlined(picture, outline))
            tile = pictures.outlined(pictures.fitted(picture, *[pictures.MIDDLE_TILE] * 2), outline)
            score = f"IoU {float(rows[-1]['network_iou']):.3f}" if name in masks else f"{prediction.mean():.1%}"
            tiles.append((tile, f"{path.name}: {score}"))
            screen.show(number, path.name)
        write_table(rows, folder / "metrics.csv")
        pictures.sheet(tiles, f"{len(rows)} images; the outline is the network's, the number "
                       f"{'the IoU with the mask' if masks else 'the share of the foreground'}",
                       folder / "contact_sheet.png", largest=pictures.MIDDLE_TILE)
    return rows


def own_images(settings):
    """The images of `settings.folder` and their masks in `settings.masks`, both {name without its suffix: path}.

    Masks that lie among the images are left out: those that the network was trained on, and what is called as a mask
    of another. Raises `UserError` for a folder that holds none, a file that cannot be used, or masks that do not fit.
    """
    images = images_in(settings.folder, "--folder")
    beside = {mask for name in images for mask in mask_names(name)}
    known = {os.path.realpath(path) for path in settings.mask}
    images = {name: path for name, path in images.items() if name not in beside and os.path.realpath(path) not in known}
    if not images:
        raise UserError(f"--folder {settings.folder} holds masks alone; name the folder of the images")
    there, masks = images_in(settings.masks, "--masks") if settings.masks else {}, {}
    for name, path in images.items():  # takes little beside segmenting them, and a mistake then costs little
        image = read_image(path)
        for called in (name, *mask_names(name)):
            if called in there and not os.path.samefile(there[called], path):
                masks[name] = there[called]
                check_same_size(image, path, read_mask(there[called], alone=True)[0], there[called])
    if settings.masks and not masks:
        raise UserError(f"--masks {settings.masks} holds no mask that is called as an image of --folder "
                        f"{settings.folder}, such as {next(iter(images))}.png; rename the masks")
    return images, masks


def own_scores(image, prediction, mask, labelled):
    """What metrics.csv holds of an image with a mask: IoU and Dice over its labelled pixels, and of blur + Otsu.

    Of the two sides of Otsu's threshold the better counts, for the foreground may be the darker.
    image: grey values (height, width, channels); the others bool (height, width, 1).
    """
    brighter = baselines.blur_otsu(in_channels(image, 1)[np.newaxis])[0]
    return {f"{method}_{name}": f"{max(score((mask & labelled)[None], (of & labelled)[None])[0] for of in ways):.6f}"
            for method, ways in (("network", [prediction]), ("blur_otsu", [brighter, ~brighter]))
            for name, score in (("iou", metrics.iou), ("dice", metrics.dice))}


def folder_lines(settings, rows):
    """What is said of the images of a folder, as lines of text."""
    lines = [f"{len(rows)} images of {settings.folder}"]
    scored = [row for row in rows if "network_iou" in row]
    if scored:
        lines += score_lines({words: {name: np.array([float(row[f"{method}_{name}"]) for row in scored])
                                      for name in ("iou", "dice")}
                              for method, words in (("network", "network"), ("blur_otsu", "blur + Otsu"))},
                             [row["image"] for row in scored])
    others = [row for row in rows if row["trained_on"] == "no"]
    unsure = sorted(others, key=lambda row: -float(row["uncertainty"]))[: LEAST_SURE if len(others) > LEAST_SURE else 0]
    if unsure:
        lines.append(f"least sure of {', '.join(row['image'] for row in unsure)}: label one of these next")
    return [*lines, f"look at {Path(settings.vis) / 'contact_sheet.png'}, masks/ and overlays/ beside it"]


def main():
    given = parse(__doc__, fields_of("run", "data", "test"), from_training=True)
    output = Path(given.get("output", Settings.output))
    with writing(output):
        settle(output)  # what a training has finished but was kept from putting there
    trained = read_settings(output / "settings.json")
    # what binds the training alone does not bind a test
    free = dict(labels="true", supervised_pixels=0, supervised_window=0, augment=False)
    settings = dataclasses.replace(trained, **{**free, **given})
    if settings.folder is None and (settings.image or settings.masks):
        raise UserError("--masks means nothing without --folder; name the folder of the images" if settings.masks else
                        f"{output} holds a network of your own images; name a folder of them with --folder")
    if trained.network == "dense" and settings.size != trained.size:
        raise UserError("--size cannot be changed: the dense network takes only the size that it was trained on")
    check_folder(settings.vis, "--vis")
    images, masks = own_images(settings) if settings.folder else (None, None)

    import model

    network = model.load(output / "model.keras")
    if images:
        with Screen("image", len(images)) as screen:
            rows = segment_folder(settings, network, images, masks, screen)
        print("\n".join(folder_lines(settings, rows)))
        return
    X, Y = create_data(settings.images, settings, "test")
    probabilities = model.predict(network, X, settings.average)
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
