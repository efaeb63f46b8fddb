"""Where a network's memory lives: how much of the training mask it draws, on the training image and on others.

Of a *rule* nothing is drawn where there is no shape, and everything moves with the shape; a *template* is drawn into
whatever the network sees, where it was; a *lookup* is drawn into the training image alone.
"""

import base64
import zlib
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb

from common import metrics
from common.errors import UserError
from common.plots import BLUE, ORANGE
from data import create_data, draw_elsewhere, random_stream, relabel
from study.figures import GREY, PINK, UNSEEN, finish, panels
from study.numbers import count, difference, mean
from study.other_images import paint, plain_noise, predictions
from study.results import corrected, with_interval

# how a figure of dots marks it
ON_NOISE = {"overlap": "overlap on noise", "overlap_label": "the training mask, drawn on mere noise"}
SHIFT = 32  # pixels: what the five poolings halve without a remainder, so that a network without borders shifts too
OVERLAPS = {  # column: the image, in words
    "overlap on its training image": "its training image",
    "overlap on unseen images": "an unseen image",
    "overlap on noise": "noise without a circle",
    "overlap on flat grey": "flat grey",
}
PADDINGS = ("zero", "reflect", "circular")
MOVED = ("overlap on the shifted training image", "overlap there with the shifted mask")
ELSEWHERE = ("overlap where the circle is elsewhere", "iou where the circle is elsewhere")


def measure(run, settings, images=10):
    """Overlap (IoU) of the prediction with the training mask on each kind of image, and for one seed the pictures.

    Beside it stands what geometry alone gives: on unseen images the overlap of the true masks, `training_mask_iou_mean`
    of every row; on noise, on grey and on circles that lie elsewhere 0, or the mask's share of the image for a
    network that marks everything.
    """
    X, mask = run.train[0][0, ..., 0], run.train[1][0, ..., 0] > 0  # (height, width)
    generator = random_stream(settings.seed, "test")
    shown = views(run.train[0], run.validation[0], settings, generator, images)
    found = {name: predictions(run, of)[..., 0] for name, of in shown.items()}
    row = {name: metrics.iou(np.broadcast_to(mask, found[name].shape), found[name]).mean() for name in OVERLAPS}
    shift = SHIFT if np.argwhere(mask)[:, 1].mean() < mask.shape[1] / 2 else -SHIFT  # to where the shape stays whole
    shifted = predictions(run, [np.roll(X, shift, axis=1)])[..., 0]
    row |= {name: metrics.iou(of[np.newaxis], shifted).mean()
            for name, of in zip(MOVED, (mask, np.roll(mask, shift, axis=1)), strict=True)}
    elsewhere = [draw_elsewhere(generator, mask, settings) for _ in range(images)]
    drawn = predictions(run, [paint(generator, other, settings) for other in elsewhere])[..., 0]
    row |= {name: metrics.iou(of, drawn).mean()
            for name, of in zip(ELSEWHERE, (np.broadcast_to(mask, drawn.shape), np.stack(elsewhere)), strict=True)}
    if settings.seed == 0:  # those of one seed are drawn; of all they would fill the file
        row |= {f"picture {name}": as_text(found[name][0]) for name in OVERLAPS}
    return row


def views(X, X_val, settings, generator, images=10):
    """The images on which the overlap is measured, {column: list of (height, width)}, grey values.

    X, X_val: training and validation images, (n, height, width, 1).
    """
    kinds = ([X[0, ..., 0]], [*X_val[..., 0]], [plain_noise(generator, settings) for _ in range(images)],
             [np.full(settings.size, (settings.noise - 1) / 2)])  # as bright as the noise on average
    return dict(zip(OVERLAPS, kinds, strict=True))


def as_text(mask):
    """A mask, bool (height, width), as text that fits into a CSV."""
    return base64.b64encode(zlib.compress(np.packbits(mask).tobytes(), 9)).decode()


def from_text(text, size):
    """The mask, bool `size`, that `as_text` wrote. Raises `UserError` for other text."""
    pixels = size[0] * size[1]
    try:
        packed = zlib.decompressobj().decompress(base64.b64decode(text), pixels // 8 + 1)
        return np.unpackbits(np.frombuffer(packed, np.uint8))[:pixels].reshape(size).astype(bool)
    except (ValueError, zlib.error):
        raise UserError(f"{text[:20]!r} in a CSV of the study is no picture; move the file away, and the runs start "
                        "anew") from None


def draw(results, path, title, shown):
    """A row for each of `shown`, {variant: label}: what it draws on each kind of image, and below it the overlap.

    The pictures are of seed 0, the numbers of all seeds. The training mask is outlined. Without rows nothing is drawn.
    """
    def said(overlaps):
        return f"overlap {overlaps.mean():.2f} ({(overlaps >= 0.5).sum()} of {len(overlaps)} ≥ 0.5)"

    shown = {variant: label for variant, label in shown.items() if 0 in results.rows.get(variant, {})}
    if not shown:
        return
    figure, axes = plt.subplots(len(shown), len(OVERLAPS), figsize=(8, 2.15 * len(shown) + 0.9), dpi=100,
                                layout="constrained", squeeze=False)
    for line, (variant, label) in zip(axes, shown.items(), strict=True):
        settings, row = results.settings(variant), results.rows[variant][0]
        (X, Y), (X_val, _) = (create_data(1, settings, stream) for stream in ("train", "validation"))
        images = views(X, X_val, settings, random_stream(settings.seed, "test"), 1)
        mask = relabel(Y, settings)[0, ..., 0]
        for panel, (name, words) in zip(line, OVERLAPS.items(), strict=True):
            # few greys, and none between them, make a smaller file
            panel.imshow(images[name][0], cmap=plt.get_cmap("gray", 6), vmin=0, vmax=160, interpolation="nearest")
            found = from_text(row.get(f"picture {name}", ""), settings.size)
            panel.imshow(np.where(found[..., np.newaxis], (*to_rgb(ORANGE), 0.75), 0), interpolation="nearest")
            panel.contour(mask, [0.5], colors=BLUE, linewidths=2)
            panel.set(xticks=[], yticks=[])
            panel.set_xlabel(said(results.values(variant, name)), fontsize=9)
            panel.set_title(words if variant == next(iter(shown)) else "", fontsize=11)
        line[0].set_ylabel(label, fontsize=11)
    axes[-1, 0].plot([], [], color=BLUE, lw=2, label="the training mask")
    axes[-1, 0].plot([], [], "s", color=ORANGE, label="what the network marks")
    finish(figure, path, title, axes[-1, 0])


def draw_paddings(results, path, title):
    """A panel for each network that is there with several paddings: every seed a thin line, the mean a thick one.

    Without such networks nothing is drawn.
    """
    if not networks(results):
        return
    figure, axes = panels(len(networks(results)), 2.4)
    marks = ("val_iou_mean", BLUE, f"IoU on {UNSEEN}"), ("overlap on noise", PINK, ON_NOISE["overlap_label"])
    for panel, (name, variants) in zip(axes, networks(results).items(), strict=True):
        for column, colour, label in marks:
            values = results.paired([*variants.values()], column)  # (paddings, seeds)
            x = [PADDINGS.index(padding) for padding in variants]
            panel.plot(x, values, color=colour, lw=0.9, alpha=0.5)
            panel.plot(x, values.mean(axis=1), color=colour, lw=2.5, marker="o", label=label)
        chance = np.mean([results.values(variant, "training_mask_iou_mean").mean() for variant in variants.values()])
        panel.axhline(chance, color=GREY, ls=":", lw=1.5, label="chance")
        panel.set(ylim=(-0.03, 1.03), xlabel="padding", xticks=range(len(PADDINGS)), xticklabels=PADDINGS)
        panel.set_title(name, fontsize=11)
        panel.grid(axis="y", alpha=0.3)
    axes[0].set_ylabel("IoU, or overlap")
    finish(figure, path, title, axes[0])


def networks(results):
    """The networks that are there with several paddings: {name: {padding: variant}}."""
    found = {}
    for variant in results.variants:
        settings = results.settings(variant)
        found.setdefault(replace(settings, padding="zero"), {})[settings.padding] = variant
    return {results.short(next(iter(of.values()))).partition(", zero")[0]: of for of in found.values()
            if len(of) > 1}


def border_table(results):
    """Markdown: what another border than zeros changes for each network, paired by seed."""
    pairs = {(name, padding): (variant, of["zero"]) for name, of in networks(results).items() if "zero" in of
             for padding, variant in of.items() if padding != "zero"}
    columns = {"IoU on unseen images": "val_iou_mean", "training mask drawn on noise": "overlap on noise"}
    lines = [f"| in place of zeros | {' | '.join(columns)} |", "|---|---|---|"]
    of = [results.differences(*pair, column) for pair in pairs.values() for column in columns.values()]
    said = iter([with_interval(values, "+.3f") + (p and f", p {p}")
                 for values, p in zip(of, corrected(of), strict=True)])
    for name, padding in pairs:
        lines.append(f"| {name}, {padding} padding | {' | '.join(next(said) for _ in columns)} |")
    return lines


def shifted(results, variant):
    """How the prediction on the shifted training image overlaps with the mask where it was, and where it went."""
    return ", ".join(f"{with_interval(results.values(variant, column))} {where}"
                     for column, where in zip(MOVED, ("where it was", "where it went"), strict=True))


NUMBERS = {
    "IoU of 0.8 or more on unseen images": count(least=0.8),
    "training mask overlapped on unseen images beyond the true shapes": difference(
        "overlap on unseen images", "training_mask_iou_mean"),
    "training mask drawn on noise without a shape": mean("overlap on noise"),
    "in how many runs to 0.5 or more": count("overlap on noise", 0.5),
    "training mask drawn on flat grey": mean("overlap on flat grey"),
    "training mask on the training image shifted by 32 pixels": shifted,
    "training mask where the circle is elsewhere": mean(ELSEWHERE[0]),
    "IoU where the circle is elsewhere": mean(ELSEWHERE[1]),
}
