"""What happens over the steps: IoU on training and unseen images, and overlap with the training mask."""

import numpy as np

import train
from common.plots import BLUE, ORANGE
from study.figures import GREY, OVERLAP, PINK, TRAIN, UNSEEN, finish, panels
from study.results import with_interval

CURVES = ("train_iou", "val_iou_mean", "training_mask_overlap")


def column(name, step):
    """The column that holds a score after a step."""
    return f"{name} after {step}"


def measure(run, settings):
    """The history but its last row, which is of all validation images; those before are of the few that are watched."""
    return {column(name, point["step"]): point[name] for point in run.history[:-1] for name in CURVES}


def curve(results, variant, name):
    """One of CURVES, of all seeds: steps, (points,), and values, (seeds, points)."""
    steps = train.evaluation_steps(results.settings(variant))[:-1]
    return np.array(steps), results.stacked(variant, [column(name, step) for step in steps])


def draw(results, path, title):
    """IoU over the steps, a panel for each variant: every seed thin, the mean thick."""
    figure, axes = panels(len(results.variants), 2.6)
    for panel, variant in zip(axes, results.variants, strict=True):
        for name, colour, label in zip(CURVES, (ORANGE, BLUE, PINK), (TRAIN, UNSEEN, OVERLAP), strict=True):
            steps, values = curve(results, variant, name)
            panel.plot(steps, values.T, color=colour, lw=0.5, alpha=0.5)
            panel.plot(steps, values.mean(axis=0), color=colour, lw=2.5, label=label)
        chance = results.values(variant, "training_mask_iou_mean").mean()  # what the training mask scores
        panel.axhline(chance, color=GREY, ls=":", lw=1.5)
        panel.annotate("chance", (1, chance), xytext=(3, 2), textcoords="offset points", color=GREY, fontsize=9)
        panel.set(xscale="log", xlim=(1, None), ylim=(-0.02, 1.02), xlabel="step (logarithmic)")
        fill = f",\n{results.settings(variant).fill} fill" if len(results.fills) > 1 else ""
        panel.set_title(results.short(variant) + fill, fontsize=11)
        panel.xaxis.set_major_formatter("{x:g}")
        panel.grid(alpha=0.3)
    axes[0].set_ylabel("IoU")
    finish(figure, path, title, axes[0])


def when_fitted(results, variant):
    """IoU on the unseen images that are watched when train IoU 0.95 is first seen."""
    (_, fit), (_, unseen) = (curve(results, variant, name) for name in CURVES[:2])
    moment = unseen[np.arange(len(fit)), (fit >= 0.95).argmax(axis=1)][(fit >= 0.95).any(axis=1)]
    return f"{with_interval(moment)}, {len(moment)} runs" if len(moment) else "never fitted"


def change(name):
    """One of CURVES after about a tenth of the steps and at the last step that is watched, and the change."""

    def text(results, variant):
        steps, values = curve(results, variant, name)
        tenth = abs(steps - steps[-1] / 10).argmin()
        return (f"{with_interval(values[:, tenth])} after step {steps[tenth]}, {with_interval(values[:, -1])} after "
                f"{steps[-1]}, change {with_interval(values[:, -1] - values[:, tenth], '+.4f')}, lowest run "
                f"{values[:, -1].min():.3f}")
    return text


NUMBERS = {
    "IoU on the watched unseen images when train IoU 0.95 is first seen": when_fitted,
    "IoU on the watched unseen images": change("val_iou_mean"),
    "their overlap with the training mask": change("training_mask_overlap"),
}
