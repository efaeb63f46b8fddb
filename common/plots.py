"""The pictures of a run: the curves and the strip of a training, the pictures of a test, the data.

Colours are from Okabe and Ito (2008), which readers with any colour vision can tell apart.
The pictures of a test are many, so they are put together from pixels by OpenCV, faster than a figure.
"""

import cv2
import matplotlib
import numpy as np

matplotlib.use("Agg")  # no display is needed
import matplotlib.pyplot as plt

from common import metrics
from common.files import write_figure, write_grey_figure, write_png

BLUE, ORANGE = "#0072B2", "#D55E00"

# What a pixel of a prediction is, its colour (BGR), and what the legend says of it.
AGREEMENT, MISSED, FALSE_ALARM = (240, 240, 240), (233, 180, 86), (0, 94, 213)
LEGEND = (
    (AGREEMENT, "agreement"),
    (MISSED, "missed: in the ground truth only"),
    (FALSE_ALARM, "false alarm: in the prediction only"),
)
BACKGROUND, CANVAS, TEXT = (0, 0, 0), (48, 48, 48), (235, 235, 235)
MARGIN = 16
OVERVIEW_TILES, OVERVIEW_COLUMNS, TILE = 100, 10, 112


def curves(history, path):
    """Train and validation IoU over the steps of a training; `history` is a list of rows of history.csv."""
    *watched, last = history  # the last row scores all validation images, the others a few
    steps, mean, worst = ([row[name] for row in watched] for name in ("step", "val_iou_mean", "val_iou_min"))
    figure, axes = plt.subplots(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes.plot([row["step"] for row in history], [row["train_iou"] for row in history], color=ORANGE, lw=2,
              label="training data")
    axes.plot(steps, mean, color=BLUE, lw=2, label=f"mean of {watched[0]['val_images']} images it never saw")
    axes.fill_between(steps, worst, mean, color=BLUE, alpha=0.15, lw=0, label="down to the worst of them")
    axes.errorbar(last["step"], last["val_iou_mean"], color=BLUE, marker="o", capsize=5, clip_on=False, ls="",
                  yerr=[[last["val_iou_mean"] - last["val_iou_min"]], [0]],
                  label=f"at the end, {last['val_images']} images: mean and worst")
    axes.set(xlabel="step (optimiser updates)", ylabel="IoU", ylim=(0, 1.02), xlim=(0, None))
    axes.set_title(f"after {last['step']} steps: IoU {last['train_iou']:.3f} on the training data, "
                   f"{last['val_iou_mean']:.3f} on images it never saw")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    write_figure(figure, path)


def progress(X, Y, moments, path):
    """A strip: the training image and validation images, and the network's probability over the training.

    X: grey values, Y: masks, (n, height, width, 1), the training image first;
    moments: {step: probabilities of the same shape}.
    """
    names = ["trained on this", *["never seen"] * (len(X) - 1)]
    columns = len(moments) + 2
    height = np.clip(1.5 * X.shape[1] / X.shape[2], 1, 6)  # inches; flat images keep room for the row's name
    figure, axes = plt.subplots(len(X), columns, figsize=(1.5 * columns, (height + 0.25) * len(X) + 0.5),
                                layout="constrained", squeeze=False)
    scores = {step: metrics.iou(Y, metrics.predicted(P)) for step, P in moments.items()}
    for row, name in enumerate(names):
        panels = [(X[row], "noise image", "", X.max()),
                  *((P[row], f"step {step}", f"IoU {scores[step][row]:.2f}", 1) for step, P in moments.items()),
                  (Y[row], "ground truth", "", 1)]
        for panel, (image, title, score, white) in zip(axes[row], panels, strict=True):
            show(panel, image, white)
            panel.set_title(title if row == 0 else "", fontsize=11)
            panel.set_xlabel(score, fontsize=10)
        axes[row, 0].set_ylabel(name, fontsize=11)
    figure.supxlabel("the network's probability after each step, from black (0) to white (1)", fontsize=11)
    write_grey_figure(figure, path)


def show(panel, image, white):
    """Show a grey image, (height, width, 1), black at 0 and white at `white`, without ticks."""
    # 32 greys look the same, and noise in fewer greys makes a smaller file
    panel.imshow(image[..., 0], cmap=plt.get_cmap("gray", 32), vmin=0, vmax=white, interpolation="nearest")
    panel.set(xticks=[], yticks=[])


def samples(named, path):
    """What the data looks like; `named` is a list of (title, image, mask), each (height, width, 1)."""
    figure, axes = plt.subplots(2, len(named), figsize=(2.4 * len(named), 5), layout="constrained")
    for column, (title, image, mask) in zip(axes.T, named, strict=True):
        show(column[0], image, 160)
        show(column[1], mask, 1)
        column[0].set_title(title, fontsize=12)
    axes[0, 0].set_ylabel("X: noise image", fontsize=12)
    axes[1, 0].set_ylabel("Y: mask", fontsize=12)
    write_grey_figure(figure, path)


def compare(mask, prediction):
    """Ground truth and prediction, (height, width, 1), as one picture, BGR uint8 (height, width, 3)."""
    mask, prediction = mask[..., 0] > 0, prediction[..., 0] > 0
    picture = np.full((*mask.shape, 3), BACKGROUND, "uint8")
    for pixels, (colour, _) in zip((mask & prediction, mask & ~prediction, prediction & ~mask), LEGEND, strict=True):
        picture[pixels] = colour
    return picture


def put_text(canvas, text, x, y, size=18):
    """Write text on a canvas with its baseline at y; returns the x where it ends."""
    return cv2.putText(canvas, text, (x, y), TEXT, cv2.FontFace("sans"), size, 400)[0][0]


def put_legend(canvas, x, y, size=18):
    """Write the legend of the three colours on one line with its baseline at y."""
    for colour, meaning in LEGEND:
        cv2.rectangle(canvas, (x, y - size + 4), (x + size - 4, y), colour, cv2.FILLED)
        x = put_text(canvas, meaning, x + size + 2, y, size) + size


def test_picture(image, mask, prediction, title, path):
    """Noise image (its brightest pixel white) beside ground truth and prediction, with title and legend.

    image: grey values 0..255; mask, prediction: {0, 1} or bool; all (height, width, 1).
    """
    scale = max(1, round(420 / max(image.shape)))
    image = image * (255 / max(1, image.max()))
    panels = [cv2.resize(panel, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
              for panel in (cv2.cvtColor(image.astype("uint8"), cv2.COLOR_GRAY2BGR), compare(mask, prediction))]
    height, width = panels[0].shape[:2]
    column = max(width, 420)  # room for the legend under narrow images
    canvas = np.full((height + 120, 2 * column + 3 * MARGIN, 3), CANVAS, "uint8")
    put_text(canvas, title, MARGIN, 30, 22)
    for number, (panel, caption) in enumerate(zip(panels, ("noise image", "ground truth and prediction"), strict=True)):
        x = MARGIN + number * (column + MARGIN)
        put_text(canvas, caption, x, 62)
        canvas[72 : 72 + height, x : x + width] = panel
    put_legend(canvas, MARGIN, height + 102)
    write_png(path, canvas)


def overview(masks, predictions, scores, title, path):
    """Contact sheet of all test images from worst to best; above OVERVIEW_TILES images, evenly picked ones.

    masks, predictions: (n, height, width, 1); scores: IoU of each, (n,).
    """
    order = np.argsort(scores, kind="stable")
    if len(order) > OVERVIEW_TILES:
        order = order[np.linspace(0, len(order) - 1, OVERVIEW_TILES).round().astype(int)]
        title += f"; {OVERVIEW_TILES} of {len(scores)} shown"
    scale = TILE / max(masks.shape[1:3])
    height, width = (max(1, round(side * scale)) for side in masks.shape[1:3])
    rows = -(-len(order) // OVERVIEW_COLUMNS)
    pitch = TILE + 12, height + 32
    columns = max(min(len(order), OVERVIEW_COLUMNS), 7)  # the legend needs the room of 7 tiles
    canvas = np.full((100 + rows * pitch[1], columns * pitch[0] + 2 * MARGIN - 12, 3), CANVAS, "uint8")
    put_text(canvas, title, MARGIN, 34, 22)
    put_legend(canvas, MARGIN, 68)
    for place, index in enumerate(order):
        row, column = divmod(place, OVERVIEW_COLUMNS)
        x, y = MARGIN + column * pitch[0], 90 + row * pitch[1]
        tile = cv2.resize(compare(masks[index], predictions[index]), (width, height), interpolation=cv2.INTER_AREA)
        canvas[y : y + height, x : x + width] = tile
        put_text(canvas, f"{index + 1}: IoU {scores[index]:.3f}", x, y + height + 18, 15)
    write_png(path, canvas)
