"""Whether what a network learned is bound to its place: the training shape in new noise, there and further away."""

from dataclasses import replace

import numpy as np

from common import metrics
from common.plots import BLUE, ORANGE
from data import create_data, random_stream
from study.figures import GREY, UNSEEN, finish, panels
from study.memory import networks
from study.other_images import paint, predictions
from study.results import with_interval

RINGS = (0, 16, 32, 48, 64)  # pixels from where the training shape lies; each ring reaches in to the one before
COLOURS = {"zero": (BLUE, "with a border (zeros)"), "circular": (ORANGE, "without (circular padding)")}


def column(ring):
    """The column that holds the IoU where the training shape lies so far from its place."""
    return f"iou up to {ring} pixels from its place" if ring else "iou in its place"


def measure(run, settings, images=10):
    """IoU on new noise with the training shape, in its place and whole in each of RINGS around it; "" without room."""
    mask, generator, row = run.train[1][0, ..., 0] > 0, random_stream(settings.seed, "test"), {}
    for ring in RINGS:
        row[column(ring)] = ""
        if len(masks := moved(mask, ring, generator, images)):
            found = predictions(run, [paint(generator, of, settings) for of in masks])
            row[column(ring)] = metrics.iou(masks[..., np.newaxis], found).mean()
    return row


def moved(mask, ring, generator, count):
    """So many masks, bool (n, height, width), with the foreground of `mask` moved into one of RINGS; none without room.
    """
    inner = max((of for of in RINGS if of < ring), default=-1)
    shifts = [shift for shift in shifts_inside(mask) if inner < np.hypot(*shift) <= ring]
    chosen = generator.choice(shifts, count) if shifts else ()
    return np.array([np.roll(mask, shift, axis=(0, 1)) for shift in chosen])


def stays(settings, seeds, count=30):
    """What a prediction scores in each of RINGS that is the training mask wherever the shape lies: a list of means."""
    scores = {ring: [] for ring in RINGS}
    for seed in range(seeds):
        mask = create_data(1, replace(settings, seed=seed))[1][0, ..., 0] > 0
        for ring, of in scores.items():
            of += [(mask & other).sum() / (mask | other).sum()
                   for other in moved(mask, ring, random_stream(seed, "test"), count)]
    return [np.mean(of) for of in scores.values()]


def shifts_inside(mask):
    """The shifts, (rows, columns), by which the foreground of a mask, bool (height, width), stays whole."""
    (top, left), (bottom, right) = (of(np.argwhere(mask), axis=0) for of in (np.min, np.max))
    return [(down, across) for down in range(-top, mask.shape[0] - bottom)
            for across in range(-left, mask.shape[1] - right)]


def draw(results, path, title):
    """IoU over the distance from the place of the training shape, a panel for each network; every seed is thin.

    Without networks that are there with and without a border nothing is drawn.
    """
    if not networks(results):
        return
    figure, axes = panels(len(networks(results)), 2.5)
    for panel, (name, variants) in zip(axes, networks(results).items(), strict=True):
        for padding, variant in variants.items():
            colour, label = COLOURS[padding]
            values = results.stacked(variant, [column(ring) for ring in RINGS])  # (seeds, rings)
            panel.plot(RINGS, values.T, color=colour, lw=0.9, alpha=0.5)
            panel.plot(RINGS, np.nanmean(values, axis=0), color=colour, lw=2.5, marker="o", label=label)
        panel.plot(RINGS, stays(results.settings(variant), len(values)), color=GREY, ls=":", lw=1.5,
                   label="the training mask, drawn in its place")
        panel.set(ylim=(-0.03, 1.03), xticks=RINGS, xlabel="pixels from its place")
        panel.set_title(name, fontsize=11)
        panel.grid(alpha=0.3)
    axes[0].set_ylabel(f"IoU on {UNSEEN}")
    finish(figure, path, title, axes[0])


def score(ring):
    """IoU in a ring, and of how many seeds if not all have room in it."""

    def text(results, variant):
        values = results.values(variant, column(ring))
        known = values[np.isfinite(values)]
        some = f", {len(known)} of {len(values)} runs" if len(known) < len(values) else ""
        return with_interval(known) + some if len(known) else "no room"
    return text


NUMBERS = {column(ring): score(ring) for ring in RINGS}
