"""Segment fresh images with the trained network, score them, and draw them into vis/.

The images are drawn like the training image, from a random stream that training and validation never used. Data
flags change them: test a network that knows one circle on rectangles, or on 512x512 canvases. With --folder it segments
images of your own: a mask and an outline of each, and which ones it is least sure of.
"""

import contextlib
import dataclasses
import functools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from common import baselines, metrics, pictures
from common.command_line import fields_of, parse
from common.errors import UserError, run_script
from common.files import check_folder, write_table
from common.folders import check_inputs, holding, in_place_of, left_in, read_whole
from common.images import check_same_size, images_in, is_mask_of, mask_stems, read_image, read_mask, write_png
from common.screen import Screen
from common.settings import Settings, read_settings
from common.tiles import square_around
from data import create_data

# Keras starts slowly and is imported where it is used: --help and mistakes do not need it.

LEAST_SURE = 3  # images that are named as those to label next
PART, LIVE_PART = 1024, 512  # side of the part that is seen of a large image, and while a network learns, pixels


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
    """Segment one's own images, one at a time, into `settings.vis`, in place of what another test left.

    These are masks/, overlays/, contact_sheet.png and metrics.csv; they change when all are there.
    images, masks: as of `own_images`; screen: a `Screen` to show how far it is. Returns the rows of metrics.csv, as
    dicts. Raises `UserError` if a file cannot be written, or the network says nothing.
    """
    import model

    known = {os.path.realpath(image): mask for image, mask in zip(settings.image, settings.mask, strict=True)}
    rows, tiles, shown = [], [], set(pictures.picked(len(images)))
    with in_place_of(settings.vis) as folder:
        for number, path in enumerate(images):
            image = read_image(path)
            probabilities = model.predict_image(
                network, image, settings.average, match=settings.match and bool(settings.image))
            if not np.isfinite(probabilities).all():
                raise UserError(f"the network in {settings.output} returns not-a-number: its training diverged; train "
                                "again with a lower --learning-rate")
            prediction = metrics.predicted(probabilities)
            scores = own_scores(image, prediction, *read_mask(masks[path])) if path in masks else {}
            labelled = known.get(os.path.realpath(path))
            rows.append({"image": path.name, "trained_on": "yes" if labelled else "no",
                         "foreground_share": f"{prediction.mean():.6f}",
                         "uncertainty": f"{metrics.uncertainty(probabilities):.6f}", **scores})
            picture, outline = pictures.shown(image), (prediction, pictures.FALSE_ALARM)
            write_png(folder / "masks" / f"{path.stem}.png", prediction * np.uint8(255))
            write_png(folder / "overlays" / f"{path.stem}.png", pictures.outlined(picture, outline))
            if number in shown:
                score = f"IoU {float(scores['network_iou']):.3f}" if scores else f"{prediction.mean():.1%}"
                with contextlib.suppress(UserError):  # of the labelled one the mask is shown, if it is still there
                    if labelled:
                        outline, score = (np.logical_and(*read_mask(labelled)), pictures.MISSED), "labelled"
                tile = pictures.outlined(pictures.fitted(picture, *[pictures.MIDDLE_TILE] * 2), outline)
                tiles.append((tile, f"{path.name}: {score}"))
            screen.show(number + 1, path.name)
        write_table(rows, folder / "metrics.csv")
        pictures.sheet(tiles, f"{len(tiles)} of {len(rows)} images; the number is "
                       f"{'the IoU with the mask' if masks else 'the share of the foreground'}",
                       folder / "contact_sheet.png", pictures.OUTLINES, pictures.MIDDLE_TILE)
    return rows


@functools.lru_cache(5)
def opened(path, mask):
    """One's own image and a picture of it; its mask and where that is known, if there is one. Raises `UserError`."""
    image = read_image(path)
    return image, pictures.shown(image.astype("float32")), mask and read_mask(mask)


def glimpse(settings, network, path, live=False, mask=None, labelled=None):
    """What is seen of one's own image, and the network finds in it, if there is one: a tile, BGR, and words.

    mask: path of its mask, if it has one. labelled: a `data.Labelled` of what is painted on it; of a large image a part
    is seen, around that, and a smaller one while the network learns (`live`). A file that cannot be read is grey, and
    the words say why.
    """
    try:
        image, picture, truth = opened(path, mask)
    except UserError as error:
        return np.full((*[pictures.LIVE_TILE] * 2, 3), 128, "uint8"), str(error)
    side = LIVE_PART if live else PART
    part = square_around(labelled.mask >= 0 if labelled else np.ones((*image.shape[:2], 1), bool), side)
    tile, words = pictures.fitted(picture[part], *[pictures.LIVE_TILE] * 2), path.name
    if network:
        import model

        match = settings.match and ("far" if live else True)
        probabilities = model.predict_image(network, image, match=match, part=part)
        tile = pictures.spread(tile, probabilities)
        if truth:
            mask, known = (of[part][np.newaxis] for of in truth)
            words += f": IoU {metrics.iou(mask & known, metrics.predicted(probabilities) & known)[0]:.2f}"
    return tile, words + ", a part" * (max(image.shape[:2]) > side)


def own_images(settings):
    """The images of `settings.folder`, a list of paths; {image: mask} of those with one in `settings.masks`; the rest.

    Masks that lie among the images are that rest: those that the network was trained on, and what is called as a mask
    of another. What earlier runs left there is passed over. Raises `UserError` for a folder that holds none, or masks
    that do not fit.
    """
    trained = {os.path.realpath(path) for path in settings.mask}
    left = {os.path.realpath(Path(folder, name)) for folder in (settings.output, settings.vis)
            for name in left_in(folder)}
    twins = {Path(mask).suffix for image, mask in zip(settings.image, settings.mask, strict=True)
             if Path(image).with_suffix("") == Path(mask).with_suffix("")}
    files = [path for path in images_in(settings.folder, "--folder") if os.path.realpath(path) not in trained | left]
    rest = {mask for of in masks_among(files, files, twins).values() for mask in of}
    images = [path for path in files if path not in rest]
    if not images:
        raise UserError(f"--folder {settings.folder} holds masks alone; name the folder of the images")
    same = settings.masks and os.path.realpath(settings.masks) == os.path.realpath(settings.folder)
    there = images_in(settings.folder if same else settings.masks, "--masks") if settings.masks else []
    masks = {image: of[0] for image, of in masks_among(images, there, twins).items()}
    if settings.masks and not masks:
        raise UserError(f"--masks {settings.masks} holds no mask that is called as an image of --folder "
                        f"{settings.folder}, such as {images[0].stem}.png; rename the masks")
    stems = {}
    for path in images:
        if (other := stems.setdefault(path.stem, path)) != path:
            raise UserError(f"--folder {settings.folder} holds {other.name} and {path.name}, which would leave one "
                            "mask; rename one of them")
    return images, masks, [path for path in files if path in rest]


def masks_among(images, files, twins):
    """{image: masks} of those images, paths, that have any among the files; twins: as of `is_mask_of`."""
    by_stem = {}
    for path in files:
        by_stem.setdefault(path.stem, []).append(path)
    found = {image: [path for stem in mask_stems(image) for path in by_stem.get(stem, ())
                     if path != image and is_mask_of(path, image, twins)] for image in images}
    return {image: masks for image, masks in found.items() if masks}


def check_own_images(settings, images, masks):
    """Raise `UserError` for an image or a mask that cannot be used, or that the results would replace."""
    if os.path.realpath(settings.vis) == os.path.realpath(settings.folder):
        raise UserError(f"--vis {settings.vis} is the folder of your images; name another")
    results = [f"{kind}/{path.stem}.png" for path in images for kind in ("masks", "overlays")]
    results += ["contact_sheet.png", "metrics.csv"]
    inputs = [*images, *masks.values(), *settings.image, *settings.mask, *network_files(settings.output)]
    check_inputs(settings.vis, "--vis", inputs, results)
    for path in images:
        image = read_image(path)  # takes little beside segmenting it, and a mistake then costs little
        if path in masks:
            check_same_size(image, path, read_mask(masks[path])[0], masks[path])


def network_files(output):
    """The paths of the files that are read from the folder of a training."""
    return [Path(output, name) for name in ("model.keras", "settings.json")]


def own_scores(image, prediction, mask, labelled):
    """What metrics.csv holds of an image with a mask: IoU and Dice over its labelled pixels, and of blur + Otsu.

    Of the two sides of Otsu's threshold the better counts, for the foreground may be the darker.
    image: grey values (height, width, channels); the others bool (height, width, 1). Nothing if no pixel is labelled.
    """
    if not labelled.any():
        return {}
    sides = baselines.blur_otsu_sides(image)
    return {f"{method}_{name}": f"{max(score((mask & labelled)[None], (of & labelled)[None])[0] for of in ways):.6f}"
            for method, ways in (("network", [prediction]), ("blur_otsu", sides))
            for name, score in (("iou", metrics.iou), ("dice", metrics.dice))}


def least_sure(rows):
    """The names of those images that the network is least sure of, of the rows of `segment_folder`."""
    others = sorted((row for row in rows if row["trained_on"] == "no"), key=lambda row: -float(row["uncertainty"]))
    return [row["image"] for row in others[: min(LEAST_SURE, len(others) // 2)]]


def folder_lines(settings, rows, rest):
    """What is said of the images of a folder, as lines of text; rest: the files that were left out."""
    lines = [f"{len(rows)} images of {settings.folder}" + (
        f"; left out as masks: {', '.join(path.name for path in rest[:3])}{', ...' * (len(rest) > 3)}" if rest else "")]
    scored = [row for row in rows if "network_iou" in row and row["trained_on"] == "no"]  # its own says little
    if settings.masks:
        lines.append(f"{len(scored)} of them have a mask in {settings.masks} and were not trained on")
    if scored:
        lines += score_lines({words: {name: np.array([float(row[f"{method}_{name}"]) for row in scored])
                                      for name in ("iou", "dice")}
                              for method, words in (("network", "network"), ("blur_otsu", "blur + Otsu"))},
                             [row["image"] for row in scored])
    if unsure := least_sure(rows):
        lines.append(f"least sure of {', '.join(unsure)}: label one of these next")
    return [*lines, f"look at {Path(settings.vis) / 'contact_sheet.png'}, masks/ and overlays/ beside it"]


def main():
    given = parse(__doc__, fields_of("run", "data", "test", "match"), from_training=True)
    output = Path(given.get("output", Settings.output))
    trained = read_whole(output, lambda: read_settings(output / "settings.json"))
    # what binds the training alone does not bind a test
    free = dict(labels="true", supervised_pixels=0, supervised_window=0, augment=False)
    settings = dataclasses.replace(trained, **{**free, **given})
    if settings.folder is None and (settings.image or settings.masks):
        raise UserError("--masks means nothing without --folder; name the folder of the images" if settings.masks else
                        f"{output} holds a network of your own images; name a folder of them with --folder")
    if trained.network == "dense" and (settings.folder or settings.size != trained.size):
        raise UserError(f"--{'folder' if settings.folder else 'size'} cannot be given: the dense network takes only "
                        "the size that it was trained on")
    check_folder(settings.vis, "--vis")
    images, masks, rest = own_images(settings) if settings.folder else ([], {}, [])
    if images:
        check_own_images(settings, images, masks)
    else:
        results = [f"test_{number}.png" for number in range(1, settings.images + 1)]
        check_inputs(settings.vis, "--vis", network_files(output), [*results, "overview.png", "metrics.csv"])

    import model
    from common import networks

    network, now = read_whole(output, lambda: (networks.load(output / "model.keras"),
                                               read_settings(output / "settings.json")))
    if now != trained:  # a training has ended meanwhile: all of it, then, and nothing of the one before
        main()
        return
    with holding(settings.vis, "--vis"):
        if images:
            with Screen("image", len(images)) as screen:
                rows = segment_folder(settings, network, images, masks, screen)
            print("\n".join(folder_lines(settings, rows, rest)))
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
