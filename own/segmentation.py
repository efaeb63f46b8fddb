"""Segment the images of a folder with what was trained: `python -m own segment`.

It leaves a mask and an outline of each, a contact sheet and a table in vis/,
and says in which images something is wrong, or may be: what to look at first.
A file that cannot be used is skipped, and named at the end.
"""

import bisect
import contextlib
import dataclasses
import itertools
import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common import baselines, metrics
from common.checkpoints import trained_before
from common.command_line import fields_of, parse
from common.errors import UserError, drawing, script_name
from common.files import check_folder, write_table
from common.folders import check_inputs, holding, in_place_of, left_in, read_whole
from common.images import write_png
from common.pictures import FALSE_ALARM, MISSED, picked, resized, sheet
from common.screen import Screen
from common.settings import read_settings
from own.decoding import orientation
from own.exposure import WHOLE, are_opposite, lean, predict_prepared, prepared, uncertainty
from own.images import check_same_size, fingerprint_of, folders_with_images
from own.images import images_and_others_in, images_in, in_8_bits, in_channels
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
    ("brought to the exposure of the labelled image: {}; --no-match leaves them as they are",
     lambda row: row["exposure"] == "matched"),
)
TILE = 236  # side of the tiles of the contact sheet, pixels


class Folder(NamedTuple):
    """What a folder of one's own images holds, and their masks."""

    images: list  # paths, in the order of their names
    masks: dict  # {image: mask} of those images that have one in --masks
    left_out: list  # paths: masks that lie among the images
    passed_over: list  # paths: what looks like an image by its name, but is none that is read
    turned: list  # paths: images that are turned upright, as their orientation tags say
    below: list  # paths: folders in it that hold images


def read_folder(settings):
    """The `Folder` of the settings' folder, or of their files, and of --masks.

    Masks among the images are those that the network was trained on, and what is called as a mask
    of another image. What earlier runs left there is passed over. Raises `UserError` for a folder
    that holds no images, or masks that do not fit.
    """
    no_images = {os.path.realpath(path) for path in settings.mask}
    for place in (settings.output, settings.vis):
        no_images |= {os.path.realpath(Path(place, name)) for name in left_in(place)}
    named = {os.path.realpath(path): Path(path) for path in settings.files}
    files, passed_over, below = [*named.values()], [], []
    if settings.folder:
        files, passed_over = images_and_others_in(settings.folder, "folder")
        of_masks = [settings.masks, *(os.path.dirname(path) for path in settings.mask)]
        for path in folders_with_images(settings.folder):
            if not any(is_same(path, other) for other in of_masks):
                below.append(path)
    if settings.files:
        passed_over = [path for name, path in named.items() if name in no_images]
    files = [path for path in files if os.path.realpath(path) not in no_images]
    left_out = set(itertools.chain.from_iterable(masks_among(files, files, settings).values()))
    images = [path for path in files if path not in left_out]
    if not images:
        place = settings.folder or "what is named"
        raise UserError(f"{place} holds masks alone; name the folder of the images")
    for path, other in itertools.pairwise(sorted(images, key=lambda path: path.stem)):
        if path.stem == other.stem:
            raise UserError(f"{path} and {other} would leave one mask; rename one of them")
    masks = {}
    if settings.masks:
        same = is_same(settings.masks, settings.folder)
        others = images_in(settings.folder if same else settings.masks, "--masks")
        for image, named in masks_among(images, others, settings).items():
            masks[image] = named[0]
        if not masks:
            raise UserError(f"--masks {settings.masks} holds no mask that is called as one of the "
                            f"images, such as {images[0].stem}.png; rename the masks")
    turned = [path for path in images if is_turned(path)]
    return Folder(
        images, masks, [path for path in files if path in left_out], passed_over, turned, below)


def is_same(path, other):
    """Whether two paths, or None, lead to the same file or folder."""
    return bool(path and other) and os.path.realpath(path) == os.path.realpath(other)


def is_turned(path):
    """Whether an image is turned upright. One that cannot be read is not; it is skipped later."""
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


def check_places(settings, folder):
    """Raise `UserError` if results would replace an image or mask of a `Folder`, or the network."""
    if any(is_same(settings.vis, path.parent) for path in folder.images):
        raise UserError(f"--vis {settings.vis} is the folder of your images; name another")
    results = ["contact_sheet.png", "metrics.csv"]
    for path in folder.images:
        results += [f"masks/{path.stem}.png", f"overlays/{path.stem}.png"]
    network = [Path(settings.output, name) for name in ("model.keras", "settings.json")]
    inputs = [*folder.images, *folder.masks.values(), *settings.image, *settings.mask, *network]
    check_inputs(settings.vis, "--vis", inputs, results)


@contextlib.contextmanager
def noting(problems, words):
    """Add a `UserError`, after these words, to a list of texts, in place of raising it."""
    try:
        yield
    except UserError as error:
        problems.append(f"{words}: {error}")


def segment_folder(settings, network, folder, show):
    """Segment the images of a `Folder` into `settings.vis`, in place of what was left there.

    These are masks/, overlays/, contact_sheet.png and metrics.csv; they change when all are there.
    show(number, name) is told of every image that is done. Returns the rows of metrics.csv, as
    dicts, and a list of sentences on files that cannot be used. Raises `UserError` if there is no
    image that can, a file cannot be written, or the network returns not-a-number.
    """
    rows, tiles, problems = [], [], []
    on_sheet = picked(len(folder.images))
    trained_lean = lean_of_trained(settings)
    with in_place_of(settings.vis) as results:
        for number, path in enumerate(folder.images):
            image = mask = None
            with noting(problems, "skipped"):
                image = read_image(path)
            if image is None:
                continue
            with noting(problems, "not scored"):
                mask = mask_of(image, path, folder.masks.get(path))
            trained_mask_path = trained_with(settings, path, image)
            seen = prepared(network, image, settings.match, times=settings.reduce or 1)
            probabilities = predict_prepared(
                network, seen, settings.average, WHOLE, image.shape[:2])
            if not np.isfinite(probabilities).all():
                raise UserError(f"the network in {settings.output} returns not-a-number: its "
                                "training diverged; train again with a lower --learning-rate")
            prediction = metrics.predicted(probabilities)
            row = {
                "image": path.name,
                "trained_on": "yes" if trained_mask_path else "no",
                "foreground_share": f"{prediction.mean():.6f}",
                "uncertainty": f"{uncertainty(probabilities):.6f}",
                "exposure": seen.how(),
                "negative": "yes" if are_opposite(lean(image), trained_lean) else "no",
            }
            if mask:
                row |= own_scores(image, prediction, *mask)
            rows.append(row)
            write_png(results / "masks" / f"{path.stem}.png", prediction * np.uint8(255))
            with drawing():
                picture, given = as_seen(image), mask
                with contextlib.suppress(UserError):  # it may have been moved meanwhile
                    given = given or mask_of(image, path, trained_mask_path)
                outlines = [(prediction, FALSE_ALARM)]
                if given:
                    outlines.insert(0, (np.logical_and(*given), MISSED))
                overlay = outlined(picture, *outlines)
                write_png(results / "overlays" / f"{path.stem}.png", overlay)
                # One that is skipped leaves its place on the sheet to the next.
                if len(tiles) < bisect.bisect(on_sheet, number):
                    tiles.append(tile(picture, outlines, row))
            show(number + 1, path.name)
        if not rows:
            raise UserError("; ".join(["no image can be used", *problems[:1]]))
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
    return rows, problems


def mask_of(image, path, mask_path):
    """What `read_mask` reads of the mask of an image; None where there is none.

    Raises `UserError` for a mask that cannot be used, or does not fit.
    """
    if not mask_path:
        return None
    mask = read_mask(mask_path)
    check_same_size(image, path, mask[0], mask_path)
    return mask


def trained_with(settings, path, image):
    """The path of the mask with which an image was trained on, wherever it lay then, or None.

    Settings of an older version know the paths alone.
    """
    known, this = settings.fingerprints, fingerprint_of(image)
    if not known:
        known, this = map(os.path.realpath, settings.image), os.path.realpath(path)
    return dict(zip(known, settings.mask, strict=True)).get(this)


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


def tile(picture, outlines, row):
    """An image on the contact sheet, picture and caption, by its row of metrics.csv.

    picture: BGR uint8 (height, width, 3); outlines: as of `outlined`. Of an image that was trained
    on only the first is drawn, that of its mask: what is found there says little.
    """
    words = f"{float(row['foreground_share']):.1%}"
    if "network_iou" in row:
        words = f"IoU {float(row['network_iou']):.3f}"
    if row["trained_on"] == "yes":
        outlines, words = outlines[:1], "labelled"
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
    lines = [f"{len(rows)} image{'s' if len(rows) > 1 else ''}"]
    if settings.folder:
        lines[0] += f" of {settings.folder}"
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
        lines.append(f"look first at {', '.join(first)}, where the network is least sure; others "
                     "may be wrong too. If one is, label one more image, whichever you like")
    if folder.below:
        names = few([path.name for path in folder.below])
        lines.append(f"its folders are not looked into: {names}; own segment takes each by itself")
    contact_sheet = Path(settings.vis, "contact_sheet.png")
    return [*lines, f"look at {contact_sheet}, masks/ and overlays/ beside it"]


def main():
    fields = fields_of("output", "vis", "masks", "average", "match", kind=OwnSettings)
    words = ("folder", "FOLDER | IMAGE ...", "a folder of images, or image files")
    given = parse(__doc__, fields, words=words)
    given |= folder_or_files(given.pop("folder"))
    output = Path(given.get("output", OwnSettings.output))

    def read_trained():
        trained = read_settings(output / "settings.json", OwnSettings)
        return dataclasses.replace(trained, **given)

    # Mistakes are told before Keras starts.
    unfinished = trained_before(output, OwnSettings)
    settings = read_whole(output, read_trained)
    check_folder(settings.vis, "--vis")
    folder = read_folder(settings)
    check_places(settings, folder)

    import model  # noqa: F401  the file may hold a layer of it
    from common import model_file

    # A training may have ended meanwhile: network and settings are those of one run.
    network, settings = read_whole(
        output, lambda: (model_file.load(output / "model.keras"), read_trained()))
    with holding(settings.vis, "--vis"), Screen("image", len(folder.images)) as screen:
        rows, problems = segment_folder(settings, network, folder, screen.show)
    lines = closing_lines(settings, rows, folder)
    if unfinished:
        lines.insert(-1, unfinished)
    print("\n".join(lines), flush=True)
    for words in problems:
        print(f"{script_name()}: {words}", file=sys.stderr)
    if problems:
        sys.exit(2)


def folder_or_files(words):
    """Which images are asked for, as settings. Raises `UserError` for what is no such thing."""
    remedy = "name one folder of images, or image files: own segment FOLDER"
    if not words:
        raise UserError(remedy)
    folders = [path for path in words if os.path.isdir(path)]
    if folders and len(words) > 1:
        raise UserError(f"{folders[0]} is a folder, and not named alone; {remedy}")
    if not any(map(os.path.exists, words)):
        raise UserError(f"{words[0]} cannot be found; {remedy}")
    return dict(folder=words[0]) if folders else dict(files=tuple(dict.fromkeys(words)))
