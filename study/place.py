"""Whether what a network learned is bound to its place: the training shape in new noise, moved."""

from dataclasses import replace
from functools import partial

import cv2
import numpy as np

from common import metrics
from data import create_data, random_stream
from study.figures import BORDERS, DOTTED, UNSEEN, finish, lines, panels
from study.measuring import marked, mean_iou, paint, training_mask
from study.memory import SHIFT, networks, overlap
from study.parts import logits_of
from study.statistics import of_those_with_one

# Pixels from where the training shape lies; each ring reaches in to the one before.
RINGS = (0, 16, 32, 48, 64)


def column(ring):
    """The column of the IoU where the training shape lies so far from its place."""
    return f"iou up to {ring} pixels from its place" if ring else "iou in its place"


def measure(run, settings, images=10):
    """IoU on new noise with the training shape in each of RINGS; "" without room."""
    generator = random_stream(settings.seed, "test")
    row = {}
    for ring in RINGS:
        masks = moved(training_mask(run), ring, generator, images)
        painted = [paint(generator, mask, settings) for mask in masks]
        row[column(ring)] = mean_iou(run, painted, masks) if painted else ""
    return row


def column_of(score, ring):
    """The column of one of SCORES where the training shape lies in a ring."""
    return f"{score} {'up to ' + str(ring) + ' pixels from' if ring else 'in'} its place"


def measure_thresholds(run, settings, images=10):
    """SCORES in its place and farthest from it: is a loss of IoU a shift of the threshold alone?"""
    import model

    logits = logits_of(run.network)
    generator = random_stream(settings.seed, "test")
    row = {}
    for ring in (RINGS[0], RINGS[-1]):
        masks = moved(training_mask(run), ring, generator, images)
        painted = [paint(generator, mask, settings) for mask in masks]
        X = np.reshape(painted, (-1, *settings.size, 1)).astype("float32")
        found = model.predict(logits, X)[..., 0] if painted else ()
        for score, function in SCORES.items():
            values = list(map(function, found, masks))
            row[column_of(score, ring)] = np.mean(values) if values else ""
    return row


def area_under_curve(logits, mask):
    """How likely a pixel inside the mask has a larger logit than one outside it, 0..1."""
    from scipy.stats import rankdata

    ranks = rankdata(logits).reshape(mask.shape)
    inside, outside = mask.sum(), (~mask).sum()
    return (ranks[mask].sum() - inside * (inside + 1) / 2) / (inside * outside)


def iou_at_half(logits, mask):
    """IoU at probability one half."""
    return metrics.iou(mask[np.newaxis], logits[np.newaxis] > 0).item()


def iou_at_otsu(logits, mask):
    """IoU at the threshold that Otsu's method (1979) finds in these logits."""
    grey = cv2.normalize(logits, None, 0, 255, cv2.NORM_MINMAX).astype("uint8")
    _, marked = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return metrics.iou(mask[np.newaxis], marked[np.newaxis] > 0).item()


SCORES = {
    "IoU at one half": iou_at_half,
    "IoU at Otsu's threshold": iou_at_otsu,
    "area under the curve": area_under_curve,
}


WIDTHS = {"narrower": -SHIFT, "wider": SHIFT}
NEARNESS = ("nearer", "farther")


def border_column(words, border):
    """The column of the overlap with the training mask, as far from one border as it was."""
    return f"overlap on {words} noise: as far from the {border} border"


def measure_border(run, settings, images=10):
    """How the training mask, drawn on noise of another width, overlaps with where it may belong.

    That is as far from the left or the right border as it was, whichever was nearer to it. On noise
    there is nothing else by which it could find its place.
    """
    mask = training_mask(run)
    generator = random_stream(settings.seed, "test")
    height, width = mask.shape
    mirrored = np.argwhere(mask)[:, 1].mean() >= width / 2
    if mirrored:  # so that the left border is the nearer one
        mask = mask[:, ::-1]
    row = {}
    for words, wider in WIDTHS.items():
        size = height, width + wider
        noises = [generator.integers(settings.noise, size=size) for _ in range(images)]
        near = at_the_left(mask, width + wider)
        far = at_the_left(mask[:, ::-1], width + wider)[:, ::-1]
        predictions = marked(run, noises)
        if mirrored:
            predictions = predictions[:, :, ::-1]
        for border, expected in zip(NEARNESS, (near, far), strict=True):
            row[border_column(words, border)] = overlap(expected, predictions)
    return row


def at_the_left(mask, width):
    """A mask on another width, as far from the left border as it was."""
    spare = max(0, width - mask.shape[1])
    return np.pad(mask, [(0, 0), (0, spare)])[:, :width]


def moved(mask, ring, generator, count):
    """So many masks, bool (n, height, width), with the foreground of `mask` moved into a ring.

    It stays whole. Without room there is no such mask.
    """
    height, width = mask.shape
    pixels = np.argwhere(mask)
    top, left = pixels.min(axis=0)
    bottom, right = pixels.max(axis=0)
    down, across = np.mgrid[-top : height - bottom, -left : width - right]
    distance = np.hypot(down, across)
    inner = max([smaller for smaller in RINGS if smaller < ring], default=-1)
    inside = (inner < distance) & (distance <= ring)
    shifts = np.stack([down[inside], across[inside]], axis=1)
    chosen = generator.choice(shifts, count) if len(shifts) else ()
    return np.array([np.roll(mask, shift, axis=(0, 1)) for shift in chosen])


def scores_of_template(settings, seeds, count=30):
    """What the training mask itself scores, drawn in its place, for each of RINGS: mean IoU."""
    overlaps = {ring: [] for ring in RINGS}
    for seed in range(seeds):
        _, Y = create_data(1, replace(settings, seed=seed))
        mask = Y[0, ..., 0] > 0
        for ring in RINGS:
            masks = moved(mask, ring, random_stream(seed, "test"), count)
            drawn = np.broadcast_to(mask, masks.shape)
            overlaps[ring].extend(metrics.iou(masks, drawn))
    return [np.mean(scores) for scores in overlaps.values()]


def draw(results, path, title):
    """IoU over the distance from the place of the training shape, with and without a border.

    There is a panel for each network that has both; without any nothing is drawn.
    """
    compared = networks(results)
    if not compared:
        return
    figure, axes = panels(len(compared), 2.5)
    for panel, (name, variants) in zip(axes, compared.items(), strict=True):
        for padding, variant in variants.items():
            scores = results.stacked(variant, map(column, RINGS))  # (seeds, rings)
            lines(panel, RINGS, scores, *BORDERS[padding])
        template = scores_of_template(results.settings(variant), len(scores))
        panel.plot(RINGS, template, **DOTTED, label="the training mask, drawn in its place")
        panel.set(ylim=(-0.03, 1.03), xticks=RINGS, xlabel="pixels from its place")
        panel.set_title(name, fontsize=11)
        panel.grid(alpha=0.3)
    axes[0].set_ylabel(f"IoU on {UNSEEN}")
    finish(figure, path, title, axes[0])


def score(results, variant, ring):
    """IoU in a ring, and of how many seeds if not all have room in it."""
    return of_those_with_one(results.values(variant, column(ring)), "no room")


NUMBERS = {column(ring): partial(score, ring=ring) for ring in RINGS}
CONTROLS = {}  # the numbers of the two controls: of the threshold, and of the border
for score_name in SCORES:
    for ring in (RINGS[0], RINGS[-1]):
        name = column_of(score_name, ring)
        CONTROLS[name] = name
for words in WIDTHS:
    for border in NEARNESS:
        name = border_column(words, border)
        CONTROLS[name] = name
