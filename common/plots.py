"""The figures of a run, by Matplotlib: the curves and the strip of a training, what the data looks like.

Colours are from Okabe and Ito (2008), which readers with any colour vision can tell apart.
"""

import matplotlib
import numpy as np

matplotlib.use("Agg")  # no display is needed
import matplotlib.pyplot as plt

from common import metrics
from common.images import write_figure, write_grey_figure

BLUE, ORANGE = "#0072B2", "#D55E00"


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
