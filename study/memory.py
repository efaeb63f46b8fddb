"""Where a network's memory lives: how much of the training mask it draws, on which images.

Of a *rule* nothing is drawn where there is no shape, and everything moves with the shape; a
*template* is drawn into whatever the network sees, where it was; a *lookup* is drawn into the
training image alone.
"""

import numpy as np
from matplotlib.colors import to_rgb

from common import metrics
from common.labels import draw_elsewhere
from common.plots import BLUE, ORANGE, plt
from data import create_data, draw_mask, random_stream, training_masks
from study.figures import DOTTED, ON_NOISE, PINK, UNSEEN, chance_level, error_bar, finish
from study.figures import panels, pictures
from study.measuring import as_text, from_text, marked, noise, paint, training_mask
from study.numbers import count, difference
from study.statistics import counts_with_chance, markdown_table, with_interval

# Pixels, which the five poolings halve without a remainder: so that a network without borders
# shifts its prediction too.
SHIFT = 32
OVERLAPS = {  # column: the image, in words
    "overlap on its training image": "its training image",
    "overlap on unseen images": "an unseen image",
    "overlap on noise": "noise without a circle",
    "overlap on flat grey": "flat grey",
}
PADDINGS = ("zero", "reflect", "circular")
SHOWN = (  # column, label, colour, and place beside its padding
    ("val_iou_mean", f"IoU on {UNSEEN}", BLUE, -0.12),
    (*ON_NOISE, PINK, 0.12),
)
MOVED = ("overlap on the shifted training image", "overlap there with the shifted mask")
ELSEWHERE = ("overlap where the circle is elsewhere", "iou where the circle is elsewhere")


def measure(run, settings, images=10):
    """Overlap (IoU) of the prediction with the training mask on each kind of image.

    For seed 0 also the predictions, as pictures. Geometry alone gives on unseen images
    `training_mask_iou_mean` of every row; on noise, on grey and on circles that lie elsewhere 0,
    or the mask's share of the image for a network that marks everything.
    """
    mask = training_mask(run)
    generator = random_stream(settings.seed, "test")
    shown = views(run.train[0], run.validation[0], settings, generator, images)
    row, pictures = {}, {}
    for name, several in shown.items():
        predictions = marked(run, several)
        row[name] = overlap(mask, predictions)
        pictures[f"picture {name}"] = as_text(np.packbits(predictions[0]))
    # The image is shifted to where the shape stays whole.
    on_the_left = np.argwhere(mask)[:, 1].mean() < mask.shape[1] / 2
    shift = SHIFT if on_the_left else -SHIFT
    (image, *_) = shown["overlap on its training image"]
    prediction = marked(run, [np.roll(image, shift, axis=1)])
    row[MOVED[0]] = overlap(mask, prediction)
    row[MOVED[1]] = overlap(np.roll(mask, shift, axis=1), prediction)

    def draw():
        return draw_mask(generator, settings)

    elsewhere = [draw_elsewhere(mask, draw) for _ in range(images)]
    painted = [paint(generator, other, settings) for other in elsewhere]
    predictions = marked(run, painted)
    row[ELSEWHERE[0]] = overlap(mask, predictions)
    row[ELSEWHERE[1]] = metrics.iou(np.stack(elsewhere), predictions).mean()
    return {**row, **pictures} if settings.seed == 0 else row


def overlap(mask, predictions):
    """Mean IoU of a mask, bool (height, width), with predictions, bool (n, height, width)."""
    return metrics.iou(np.broadcast_to(mask, predictions.shape), predictions).mean()


def views(X, X_val, settings, generator, images):
    """The images on which the overlap is measured, {column: several of (height, width)}.

    X, X_val: training and validation images, (n, height, width, 1).
    """
    noises = [noise(generator, settings) for _ in range(images)]
    grey = np.full(settings.size, (settings.noise - 1) / 2)  # as bright as the noise on average
    kinds = ([X[0, ..., 0]], X_val[..., 0], noises, [grey])
    return dict(zip(OVERLAPS, kinds, strict=True))


def unpacked(text, size):
    """A mask, bool `size`, of which the text holds the packed bits."""
    pixels = np.unpackbits(from_text(text, "uint8"))
    return pixels[: size[0] * size[1]].reshape(size).astype(bool)


def draw(results, path, title, shown):
    """What a network draws on each kind of image: a row for each of `shown`, {variant: label}.

    The pictures are of seed 0, the numbers below them of all seeds. The training mask is outlined.
    Without rows nothing is drawn.
    """
    pictures(results, path, title, shown, OVERLAPS.values(), draw_pictures, legend)


def legend(axes):
    """Say what the colours of the pictures mean."""
    axes.plot([], [], color=BLUE, lw=2, label="the training mask")
    axes.plot([], [], "s", color=ORANGE, label="what the network marks")


def draw_pictures(results, variant, line):
    """The predictions of one variant, one in each panel of a line."""
    settings, row = results.settings(variant), results.rows[variant][0]
    X, Y = create_data(1, settings)
    X_val, _ = create_data(1, settings, "validation")
    images = views(X, X_val, settings, random_stream(settings.seed, "test"), 1)
    mask = training_masks(Y, settings)[0][0, ..., 0]
    for panel, name in zip(line, OVERLAPS, strict=True):
        # few greys, and none between them, make a smaller file
        greys = plt.get_cmap("gray", 6)
        panel.imshow(images[name][0], cmap=greys, vmin=0, vmax=160, interpolation="nearest")
        prediction = unpacked(row[f"picture {name}"], settings.size)
        colour = (*to_rgb(ORANGE), 0.75)
        panel.imshow(
            np.where(prediction[..., np.newaxis], colour, 0), interpolation="nearest")
        panel.contour(mask, [0.5], colors=BLUE, linewidths=2)
        panel.set(xticks=[], yticks=[])
        overlaps = results.values(variant, name)
        strong = (overlaps >= 0.5).sum()
        label = f"overlap {overlaps.mean():.2f} ({strong} of {len(overlaps)} ≥ 0.5)"
        panel.set_xlabel(label, fontsize=9)


def networks(results):
    """The networks that are there with several paddings: {name: {padding: variant}}."""
    paddings = {}
    for variant in results.variants:
        padding = results.settings(variant).padding
        name = results.short(variant).removesuffix(f", {padding} padding")
        paddings.setdefault(name, {})[padding] = variant
    return {name: variants for name, variants in paddings.items() if len(variants) > 1}


def draw_paddings(results, path, title):
    """A panel for each network that is there with several paddings; without any there is none."""
    compared = networks(results)
    if not compared:
        return
    figure, axes = panels(len(compared), 2.4)
    for panel, (name, variants) in zip(axes, compared.items(), strict=True):
        for padding, variant in variants.items():
            draw_padding(panel, PADDINGS.index(padding), results, variant)
        panel.set(
            xlim=(-0.5, 2.5), ylim=(-0.03, 1.03), xlabel="padding", xticks=range(3),
            xticklabels=PADDINGS)
        panel.set_title(name, fontsize=11)
        panel.grid(axis="y", alpha=0.3)
    for _, label, colour, _ in SHOWN:
        axes[0].plot([], [], "o", color=colour, label=label)
    axes[0].plot([], [], **DOTTED, label="chance")
    axes[0].set_ylabel("IoU, or overlap")
    finish(figure, path, title, axes[0])


def draw_padding(panel, x, results, variant):
    """The runs of one padding around x, and their mean; chance beside them."""
    for column, _, colour, shift in SHOWN:
        values = results.values(variant, column)
        panel.plot(np.full(len(values), x + shift), values, ".", color=colour, alpha=0.5)
        mean, error = error_bar(values)
        panel.errorbar(x + shift, mean, yerr=error, color=colour, marker="o", capsize=4, lw=2)
    chance = chance_level(results, variant)
    panel.plot([x - 0.35, x + 0.35], [chance, chance], **DOTTED)


def border_table(results):
    """Markdown: what another border than zeros changes for each network, paired by seed."""
    lines = []
    for name, variants in networks(results).items():
        for padding, variant in variants.items():
            if padding == "zero":
                continue
            cells = [f"{name}, {padding} padding"]
            for column, least in (("val_iou_mean", 0.8), (ON_NOISE[0], 0.5)):
                before, after = results.paired([variants["zero"], variant], column) >= least
                cells.append(counts_with_chance(before, after))
            difference = results.differences(variant, variants["zero"])
            lines.append([*cells, with_interval(difference, "+.3f")])
    head = ["in place of zeros", "runs with IoU 0.8 or more on unseen images",
            "runs that draw half of the training mask on noise", "IoU on unseen images"]
    return markdown_table(head, lines)


def shifted(results, variant):
    """The overlap on the shifted training image with the mask where it was, and where it went."""
    was, went = (with_interval(results.values(variant, column)) for column in MOVED)
    return f"{was} where it was, {went} where it went"


NUMBERS = {
    "IoU of 0.8 or more on unseen images": count(least=0.8),
    "training mask overlapped on unseen images beyond the true shapes": difference(
        "overlap on unseen images", "training_mask_iou_mean"),
    "training mask drawn on noise without a shape": "overlap on noise",
    "in how many runs to 0.5 or more": count("overlap on noise", 0.5),
    "training mask drawn on flat grey": "overlap on flat grey",
    "training mask on the training image shifted by 32 pixels": shifted,
    "training mask where the circle is elsewhere": ELSEWHERE[0],
    "IoU where the circle is elsewhere": ELSEWHERE[1],
}
