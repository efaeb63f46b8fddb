"""The key numbers of a question: functions of its `results.Results` and a variant, each returns one text."""

import numpy as np

from study.results import NULLS, with_interval


def mean(column, form=".3f"):
    """The mean of a column, with its interval."""
    return lambda results, variant: with_interval(results.values(variant, column), form)


def count(column="val_iou_mean", least=0.9):
    """In how many runs a column is so large: '8 of 10 runs'; the measure for outcomes with two peaks."""

    def text(results, variant):
        values = results.values(variant, column)
        return f"{(values >= least).sum()} of {len(values)} runs"
    return text


def count_of_fitted(least=0.9):
    """In how many runs the training image is fitted so well, and in how many of these IoU 0.9 on unseen images."""

    def text(results, variant):
        fitted = results.values(variant, "train_iou") >= least
        well = fitted & (results.values(variant, "val_iou_mean") >= 0.9)
        return f"{fitted.sum()} of {len(fitted)} runs, {well.sum()} of these"
    return text


def reached(goal):
    """After how many steps the runs were first seen at a training IoU: median, range, how many."""

    def text(results, variant):
        steps = results.values(variant, f"steps_to_train_iou_{goal}")
        if np.isnan(steps).all():
            return f"never, {len(steps)} runs"
        some = "" if np.isfinite(steps).all() else f", {np.isfinite(steps).sum()} of {len(steps)} runs"
        return f"{np.nanmedian(steps):.0f} ({np.nanmin(steps):.0f} to {np.nanmax(steps):.0f}{some})"
    return text


def difference(column, other):
    """One column minus another of the same run, paired: its mean, with its interval."""
    return lambda results, variant: with_interval(
        results.values(variant, column) - results.values(variant, other), "+.4f")


STEPS = {f"steps until train IoU {goal} was first seen, median and range": reached(goal) for goal in (0.95, 0.99)}
# In how many runs the image is fitted, and of these the unseen ones too.
FITTED = {f"train IoU of {least} or more, and of these IoU of 0.9 or more on unseen images": count_of_fitted(least)
          for least in (0.9, 0.98)}
# Whether the network is better than what scores without one, on the same images.
AGAINST = {f"against {title}, without a network": difference("val_iou_mean", f"{null}_iou_mean")
           for null, title in NULLS.items()}
# Whether the training mask is drawn into images that do not hold it.
TEMPLATE = {
    "overlap of the predictions with the training mask": mean("training_mask_overlap"),
    "overlap of 0.9 or more with the training mask": count("training_mask_overlap"),
    "overlap beyond that of the true shapes": difference("training_mask_overlap", "training_mask_iou_mean"),
}
# What the mean over the flips and turns of an image adds; columns of averaging.py.
AVERAGED = {"averaged over flips and turns": mean("averaged_iou_mean"),
            "what that adds": difference("averaged_iou_mean", "val_iou_mean")}
