"""Segment the images of a folder with what was trained: `python -m own segment`.

It leaves a mask and an outline of each, a contact sheet and a table in vis/,
and says in which images something is wrong, or may be: what to look at first.
"""

import contextlib
import dataclasses
import itertools
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common import baselines, metrics
from common.command_line import fields_of, parse
from common.errors import UserError, drawing
from common.files import check_folder, write_table
from common.folders import check_inputs, holding, in_place_of, left_in, read_whole
from common.images import write_png
from common.pictures import FALSE_ALARM, MISSED, picked, resized, sheet
from common.screen import Screen
from common.settings import read_settings
from own.decoding import orientation
from own.exposure import WHOLE, are_opposite, lean, predict_prepared, prepared, uncertainty
from own.images import check_same_size, images_and_others_in, images_in, in_8_bits, in_channels
from own.images import read_image, read_mask
from own.names import mask_names
from own.pictures import THE_NETWORK, YOUR_MASK, as_seen, outlined
from own.settings import OwnSettings
from test import score_lines

NAMED = 3  # images that are named as those to look at first, or of which something is said
NOTHING, EVERYTHING = 0.0001, 0.99  # shares of the foreground: less is next to nothing
ANOTHER = "perhaps another kind of image, another exposure, or objects of another size"
REMARKS = (  # what is said of the images of those rows of metrics.csv for which it is true
    (f"nothing was found in {{}}: {ANOTHER}",
     lambda row: float(row["foreground_share"]) <= NOTHING),
    (f"nothing but foreground was found in {{}}: {ANOTHER}",
     lambda row: float(row["foreground_share"]) >= EVERYTHING),
    ("light and dark may be exchanged in {}, or far more or less of them be foreground: look there",
     lambda row: row["negative"] == "yes"),
    ("too faint to be matched in exposure: {}; label one",
     lambda row: row["exposure"] == "too faint to match"),
)
TILE = 236  # side of the tiles of the contact sheet, pixels


class Folder(NamedTuple):
    """What a folder of one's own images holds, and their masks."""

    images: list  # paths, in the order of their names
    masks: dict  # {image: mask} of those images that have one in --masks
    left_out: list  # paths: masks that lie among the images
    passed_over: list  # paths: what looks like an image by its name, but is none that is read
    turned: list  # paths: images that are turned upright, as their orientation tags say


def read_folder(settings):
    """The `Folder` of the settings' --folder and --masks.

    Masks among the images are those that the network was trained on, and what is called as a mask
    of another image. What earlier runs left there is passed over. Raises `UserError` for a folder
    that holds no images, or masks that do not fit.
    """
    no_images = {os.path.realpath(path) for path in settings.mask}
    for place in (settings.output, settings.vis):
        no_images |= {os.path.realpath(Path(place, name)) for name in left_in(place)}
    files, passed_over = images_and_others_in(settings.folder, "folder")
    files = [path for path in files if os.path.realpath(path) not in no_images]
    left_out = set(itertools.chain.from_iterable(masks_among(files, files, settings).values()))
    images = [path for path in files if path not in left_out]
    if not images:
        raise UserError(f"{settings.folder} holds masks alone; name the folder of the images")
    for path, other in itertools.pairwise(sorted(images, key=lambda path: path.stem)):
        if path.stem == other.stem:
            raise UserError(f"{settings.folder} holds {path.name} and {other.name}, which would "
                            "leave one mask; rename one of them")
    masks = {}
    if settings.masks:
        same = os.path.realpath(settings.masks) == os.path.realpath(settings.folder)
        others = images_in(settings.folder if same else settings.masks, "--masks")
        for image, named in masks_among(images, others, settings).items():
            masks[image] = named[0]
        if not masks:
            raise UserError(f"--masks {settings.masks} holds no mask that is called as an image of "
                            f"{settings.folder}, such as {images[0].stem}.png; rename the masks")
    turned = [path for path in images if is_turned(path)]
    return Folder(
        images, masks, [path for path in files if path in left_out], passed_over, turned)


def is_turned(path):
    """Whether an image is turned upright. One that cannot be read is not; it is refused later."""
    with contextlib.suppress(UserError):
        return orientation(path) != 1
    return False


def masks_among(images, files, settings):
    """{image: those of the files that may be its mask, by their names}, of images with any; paths.

    A mask is called as `mask_names` says; the likeliest is first. In the folder of the image its
    own name is that of a mask only with another suffix, if the masks of the training were called
    so: cell.png of cell.jpg.
    """
    suffixes, by_name, masks = set(), {}, {}
    for image, mask in zip(map(Path, settings.image), map(Path, settings.mask), strict=True):
        if image.with_suffix("") == mask.with_suffix(""):
            suffixes.add(mask.suffix)
    for path in files:
        by_name.setdefault(path.stem.casefold(), []).append(path)
    for image in images:
        own_name, *other_names = mask_names(image)
        for path in by_name.get(own_name, []):
            has_other_suffix = path.suffix in suffixes and path.suffix != image.suffix
            if has_other_suffix or path.parent != image.parent:
                masks.setdefault(image, []).append(path)
        for name in other_names:
            masks.setdefault(image, []).extend(by_name.get(name, []))
    return {image: named for image, named in masks.items() if named}


def check_images(settings, folder):
    """Raise `UserError` for an image or mask of a `Folder` that is no good or would be replaced."""
    if os.path.realpath(settings.vis) == os.path.realpath(settings.folder):
        raise UserError(f"--vis {settings.vis} is the folder of your images; name another")
    results = ["contact_sheet.png", "metrics.csv"]
    for path in folder.images:
        results += [f"masks/{path.stem}.png", f"overlays/{path.stem}.png"]
    network = [Path(settings.output, name) for name in ("model.keras", "settings.json")]
    inputs = [*folder.images, *folder.masks.values(), *settings.image, *settings.mask, *network]
    check_inputs(settings.vis, "--vis", inputs, results)
    for path in folder.images:
        image = read_image(path)  # takes little beside segmenting it
        if path in folder.masks:
            mask, _ = read_mask(folder.masks[path])
            check_same_size(image, path, mask, folder.masks[path])


def segment_folder(settings, network, folder, show):
    """Segment the images of a `Folder` into `settings.vis`, in place of what was left there.

    These are masks/, overlays/, contact_sheet.png and metrics.csv; they change when all are there.
    show(number, name) is told of every image that is done. Returns the rows of metrics.csv, as
    dicts. Raises `UserError` if a file cannot be written, or the network returns not-a-number.
    """
    rows, tiles = [], []
    on_sheet = {folder.images[number] for number in picked(len(folder.images))}
    trained_on = dict(zip(map(os.path.realpath, settings.image), settings.mask, strict=True))
    trained_lean = lean_of_trained(settings)
    with in_place_of(settings.vis) as results:
        for path in folder.images:
            image, mask_path = read_image(path), trained_on.get(os.path.realpath(path))
            seen = prepared(network, image, settings.match, times=settings.reduce or 1)
            probabilities = predict_prepared(
                network, seen, settings.average, WHOLE, image.shape[:2])
            if not np.isfinite(probabilities).all():
                raise UserError(f"the network in {settings.output} returns not-a-number: its "
                                "training diverged; train again with a lower --learning-rate")
            prediction = metrics.predicted(probabilities)
            row = {
                "image": path.name,
                "trained_on": "yes" if mask_path else "no",
                "foreground_share": f"{prediction.mean():.6f}",
                "uncertainty": f"{uncertainty(probabilities):.6f}",
                "exposure": seen.how(),
                "negative": "yes" if are_opposite(lean(image), trained_lean) else "no",
            }
            if path in folder.masks:
                row |= own_scores(image, prediction, *read_mask(folder.masks[path]))
            rows.append(row)
            write_png(results / "masks" / f"{path.stem}.png", prediction * np.uint8(255))
            with drawing():
                picture = as_seen(image)
                overlay = outlined(picture, (prediction, FALSE_ALARM))
                write_png(results / "overlays" / f"{path.stem}.png", overlay)
                if path in on_sheet:
                    tiles.append(tile(
                        picture, prediction, row, mask_path, folder.masks.get(path)))
            show(len(rows), path.name)
        write_table(rows, results / "metrics.csv")
        others = [row for row in rows if row["trained_on"] == "no"]
        number = "the share of the foreground"
        if folder.masks:
            number = "the IoU with the mask"
            if not all("network_iou" in row for row in others):
                number += ", in % the share of the foreground"
        with drawing():
            sheet(tiles, f"{len(tiles)} of {len(rows)} images; the number is {number}",
                  results / "contact_sheet.png", (YOUR_MASK, THE_NETWORK), TILE)
    return rows


def lean_of_trained(settings):
    """The mean `lean` of the images that were trained on; 0 if none of them is there any more."""
    leans = []
    for path in settings.image:
        with contextlib.suppress(UserError):
            leans.append(lean(read_image(path)))
    return np.mean(leans) if leans else 0.0


def own_scores(image, prediction, mask, labelled):
    """What metrics.csv holds of an image with a mask: IoU and Dice over its labelled pixels.

    Also of blur + Otsu, of whose two sides the better counts, for the foreground may be the
    darker. image: grey values (height, width, channels); the others bool (height, width, 1).
    Nothing if no pixel is labelled.
    """
    scores = {}
    if not labelled.any():
        return scores
    truth = (mask & labelled)[np.newaxis]
    for method, sides in (("network", [prediction]), ("blur_otsu", blur_otsu_sides(image))):
        for name, score in (("iou", metrics.iou), ("dice", metrics.dice)):
            best = max(score(truth, (side & labelled)[np.newaxis])[0] for side in sides)
            scores[f"{method}_{name}"] = f"{best:.6f}"
    return scores


def blur_otsu_sides(image):
    """Both sides of blur + Otsu's threshold, the brighter first, bool (height, width, 1).

    image: grey values (height, width, channels), of 16 bits as float32.
    """
    grey = in_8_bits(in_channels(image, 1))
    brighter = baselines.blur_otsu(grey[np.newaxis])[0]
    return brighter, ~brighter


def tile(picture, prediction, row, own_mask_path, mask_path):
    """An image on the contact sheet, picture and caption, by its row of metrics.csv.

    picture: BGR uint8 (height, width, 3); prediction: bool (height, width, 1); own_mask_path: of
    the mask of an image that was trained on, which is shown instead; mask_path: of one in --masks,
    which is shown too. Both may be None.
    """
    outlines, words = [(prediction, FALSE_ALARM)], f"{prediction.mean():.1%}"
    if "network_iou" in row:
        words = f"IoU {float(row['network_iou']):.3f}"
    if mask_path:
        outlines.insert(0, (np.logical_and(*read_mask(mask_path)), MISSED))
    if own_mask_path and os.path.exists(own_mask_path):
        outlines = [(np.logical_and(*read_mask(own_mask_path)), MISSED)]
        words = "labelled"
    return outlined(resized(picture, TILE, TILE), *outlines), f"{row['image']}: {words}"


def least_sure(rows):
    """The names of the images to look at first, by the rows of metrics.csv.

    Those in which nothing was found, for of what it overlooks a network is sure; then those that
    it is least sure of.
    """
    others = [row for row in rows if row["trained_on"] == "no"]

    def how_sure(row):
        return float(row["foreground_share"]) > NOTHING, -float(row["uncertainty"])

    others.sort(key=how_sure)
    return [row["image"] for row in others[: min(NAMED, len(others) // 2)]]


def remarks(rows):
    """What seems to be wrong with the images of a folder, by the rows of metrics.csv: sentences."""
    sentences = []
    for sentence, is_true_of in REMARKS:
        names = [row["image"] for row in rows if is_true_of(row)]
        if names:
            sentences.append(sentence.format(f"{len(names)} of {len(rows)} images ({few(names)})"))
    return sentences


def few(names):
    """The first of some names, as text."""
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def closing_lines(settings, rows, folder):
    """What is said of the images of a `Folder`, as lines of text."""
    lines = [f"{len(rows)} images of {settings.folder}"]
    others = {"left out as masks": folder.left_out, "passed over": folder.passed_over,
              "turned upright, as their orientation tags say": folder.turned}
    for what, paths in others.items():
        if paths:
            lines[0] += f"; {len(paths)} {what}: {few([path.name for path in paths])}"
    # what was trained on says little
    scored = [row for row in rows if "network_iou" in row and row["trained_on"] == "no"]
    if settings.masks:
        lines.append(f"{len(scored)} of them have a mask in {settings.masks} and were not trained "
                     "on")
    if scored:
        scores = {"network": {}, "blur + Otsu": {}}
        for name in ("iou", "dice"):
            for method, column in (("network", "network"), ("blur + Otsu", "blur_otsu")):
                values = [float(row[f"{column}_{name}"]) for row in scored]
                scores[method][name] = np.array(values)
        lines += score_lines(scores, [row["image"] for row in scored])
    lines += remarks(rows)
    if first := least_sure(rows):
        lines.append(f"look first at {', '.join(first)}; surer ones may be wrong too. Where it is "
                     "wrong, label one more: no score tells which")
    contact_sheet = Path(settings.vis, "contact_sheet.png")
    return [*lines, f"look at {contact_sheet}, masks/ and overlays/ beside it"]


def main():
    fields = fields_of("output", "vis", "masks", "average", "match", kind=OwnSettings)
    given = parse(__doc__, fields, words=("folder", "FOLDER", "the images"))
    folders = given.pop("folder")
    if len(folders) != 1:
        raise UserError("name one folder of images: own segment FOLDER")
    output = Path(given.get("output", OwnSettings.output))

    def read_trained():
        trained = read_settings(output / "settings.json", OwnSettings)
        return dataclasses.replace(trained, folder=folders[0], **given)

    # Mistakes are told before Keras starts.
    settings = read_whole(output, read_trained)
    check_folder(settings.vis, "--vis")
    folder = read_folder(settings)
    check_images(settings, folder)

    import model  # noqa: F401  the file may hold a layer of it
    from common import model_file

    # A training may have ended meanwhile: network and settings are those of one run.
    network, settings = read_whole(
        output, lambda: (model_file.load(output / "model.keras"), read_trained()))
    with holding(settings.vis, "--vis"), Screen("image", len(folder.images)) as screen:
        rows = segment_folder(settings, network, folder, screen.show)
    print("\n".join(closing_lines(settings, rows, folder)))
