"""The figures of a run, by Matplotlib: curves and strip of a training, what the data looks like.

Colours are from Okabe and Ito (2008), which readers with any colour vision can tell apart.
"""

import os

import numpy as np

# No display is needed, nor what a notebook writes here, which may not be installed.
os.environ["MPLBACKEND"] = "Agg"
import matplotlib.pyplot as plt

from common import metrics
from common.images import write_figure, write_grey_figure

BLUE, ORANGE = "#0072B2", "#D55E00"


def curves(history, scored, path):
    """Train and validation IoU over the steps; `history` is a list of rows of history.csv.

    scored: IoU of each validation image at the end; the first few of them were scored all along.
    """
    *before, last = history  # whose row scores all validation images, the others a few
    few = scored[: history[0]["val_images"]]
    steps = [row["step"] for row in history]
    train = [row["train_iou"] for row in history]
    mean = [row["val_iou_mean"] for row in before]
    worst = [row["val_iou_min"] for row in before]
    mean.append(few.mean())
    worst.append(few.min())
    down_to_worst = scored.mean() - scored.min()

    figure, axes = plt.subplots(
        figsize=(8, 4.5), dpi=120, layout="constrained")
    axes.plot(
        steps, train, color=ORANGE, lw=2, label="on the training data")
    axes.plot(
        steps, mean, color=BLUE, lw=2,
        label=f"on {len(few)} images it never saw: mean, shaded down to the worst")
    axes.fill_between(
        steps, worst, mean, color=BLUE, alpha=0.15, lw=0)
    # A mark of its own, for it scores more images than the line.
    axes.errorbar(
        last["step"], scored.mean(), yerr=[[down_to_worst], [0]],
        label=f"on all {len(scored)} of them, at the end: mean, bar down to the worst",
        color="black", marker="D", capsize=5, clip_on=False, ls="")
    axes.set(xlabel="step (optimiser updates)", ylabel="IoU")
    axes.set(xlim=(0, 1.03 * last["step"]), ylim=(0, 1.02))
    axes.set_title(
        f"after {last['step']} steps: IoU {last['train_iou']:.3f} on the training data, "
        f"{scored.mean():.3f} on images it never saw")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    write_figure(figure, path)


def progress(train, validation, snapshots, path):
    """A strip: training image and validation images, and the network's probability over time.

    train, validation: X, grey values, and Y, masks, (n, height, width, 1). snapshots: {step:
    probabilities of the first training image and of one or two validation images}.
    """
    unseen = len(snapshots[0]) - 1
    X = np.concatenate([train[0][:1], validation[0][:unseen]])
    Y = np.concatenate([train[1][:1], validation[1][:unseen]])
    columns = len(snapshots) + 2
    # Inches; flat images keep room for the name of the row.
    height = np.clip(1.5 * X.shape[1] / X.shape[2], 1, 6)
    size = (1.5 * columns, (height + 0.25) * len(X) + 0.5)
    figure, axes = plt.subplots(
        len(X), columns, figsize=size, layout="constrained", squeeze=False)
    for row in range(len(X)):
        show(axes[row, 0], X[row], white=X.max())
        axes[row, 0].set_ylabel("never seen" if row else "trained on this", fontsize=11)
        show(axes[row, -1], Y[row])
    for column, (step, P) in enumerate(snapshots.items(), start=1):
        scores = metrics.iou(Y, metrics.predicted(P))
        for row, score in enumerate(scores):
            show(axes[row, column], P[row])
            axes[row, column].set_xlabel(f"IoU {score:.2f}", fontsize=10)
        axes[0, column].set_title(f"step {step}", fontsize=11)
    axes[0, 0].set_title("noise image", fontsize=11)
    axes[0, -1].set_title("ground truth", fontsize=11)
    figure.supxlabel(
        "the network's probability after each step, from black (0) to white (1)",
        fontsize=11)
    write_grey_figure(figure, path)


def show(panel, image, white=1):
    """Show a grey image, (height, width, 1), black at 0 and white at `white`, without ticks."""
    # 32 greys look the same, and noise in fewer greys makes a smaller file.
    greys = plt.get_cmap("gray", 32)
    panel.imshow(
        image[..., 0], cmap=greys, vmin=0, vmax=white, interpolation="nearest")
    panel.set(xticks=[], yticks=[])


def samples(named, path):
    """What the data looks like; named: list of (title, image, mask), each (height, width, 1)."""
    size = (2.4 * len(named), 5)
    figure, axes = plt.subplots(2, len(named), figsize=size, layout="constrained")
    for column, (title, image, mask) in enumerate(named):
        show(axes[0, column], image, white=160)
        show(axes[1, column], mask)
        axes[0, column].set_title(title, fontsize=12)
    axes[0, 0].set_ylabel("X: noise image", fontsize=12)
    axes[1, 0].set_ylabel("Y: mask", fontsize=12)
    write_grey_figure(figure, path)
