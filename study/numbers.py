"""Key numbers that several questions share: functions of results and a variant, or columns."""

import numpy as np

from study.nulls import NULLS
from study.results import REACHED
from study.statistics import with_interval


def parameters(results, variant):
    """How many parameters the network has."""
    return with_interval(results.values(variant, "parameters"), ",.0f")


def count(column="val_iou_mean", least=0.9):
    """In how many runs a column is so large: '8 of 10 runs'. For outcomes with two peaks."""

    def text(results, variant):
        values = results.values(variant, column)
        return f"{(values >= least).sum()} of {len(values)} runs"
    return text


def count_of_fitted(least):
    """In how many runs the training image is fitted so well, and the unseen ones to IoU 0.9 too."""

    def text(results, variant):
        fitted = results.values(variant, "train_iou") >= least
        generalised = fitted & (results.values(variant, "val_iou_mean") >= 0.9)
        return f"{fitted.sum()} of {len(fitted)} runs, {generalised.sum()} of these"
    return text


def steps_until(goal):
    """After how many steps a training IoU was first seen: median, range, in how many runs."""

    def text(results, variant):
        steps = results.values(variant, f"steps_to_train_iou_{goal}")
        reached = np.isfinite(steps).sum()
        if reached == 0:
            return f"never, {len(steps)} runs"
        runs = f", {reached} of {len(steps)} runs" if reached < len(steps) else ""
        median, low, high = np.nanmedian(steps), np.nanmin(steps), np.nanmax(steps)
        return f"{median:.0f} ({low:.0f} to {high:.0f}{runs})"
    return text


def difference(column, other):
    """One column minus another of the same run: the mean with its interval."""

    def text(results, variant):
        differences = results.values(variant, column) - results.values(variant, other)
        return with_interval(differences, "+.4f")
    return text


STEPS = {f"steps until train IoU {goal} was first seen, median and range": steps_until(goal)
         for goal in REACHED}
FITTED = {f"train IoU of {least} or more, and of these IoU of 0.9 or more on unseen images":
          count_of_fitted(least) for least in (0.9, 0.98)}
# Whether the network is better than what scores without one, on the same images.
AGAINST = {f"against {title}, without a network": difference("val_iou_mean", f"{null}_iou_mean")
           for null, title in NULLS.items()}
# Whether the training mask is drawn into images that do not hold it.
TEMPLATE = {
    "overlap of the predictions with the training mask": "training_mask_overlap",
    "overlap of 0.9 or more with the training mask": count("training_mask_overlap"),
    "overlap beyond that of the true shapes": difference(
        "training_mask_overlap", "training_mask_iou_mean"),
}
