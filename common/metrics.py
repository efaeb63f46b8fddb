"""How well a prediction covers its mask, per image, foreground only."""

import numpy as np

THRESHOLD = 0.5


def predicted(probabilities):
    """Foreground pixels, bool, of probabilities of any shape. Not-a-number is background."""
    return probabilities > THRESHOLD


def areas(masks, predictions):
    """Foreground pixels in both, in the mask, and in the prediction: three float64 (n,)."""
    masks, predictions = np.asarray(masks) > 0, np.asarray(predictions) > 0
    pixels = tuple(range(1, masks.ndim))
    both = (masks & predictions).sum(axis=pixels, dtype="float64")
    mask_areas = masks.sum(axis=pixels, dtype="float64")
    return both, mask_areas, predictions.sum(axis=pixels, dtype="float64")


def iou(masks, predictions):
    """Intersection over union (Jaccard index) of each image, float64 (n,) in 0..1.

    masks, predictions: (n, height, width, 1), {0, 1} or bool. Empty against empty scores 1.
    """
    both, mask, prediction = areas(masks, predictions)
    union = mask + prediction - both
    return np.where(union == 0, 1.0, both / np.maximum(union, 1))


def dice(masks, predictions):
    """Dice coefficient (F1 score) of each image, float64 (n,) in 0..1; otherwise as `iou`."""
    both, mask, prediction = areas(masks, predictions)
    total = mask + prediction
    return np.where(total == 0, 1.0, 2 * both / np.maximum(total, 1))


def training_mask_overlap(training_masks, predictions):
    """IoU of predictions on unseen images with the masks trained on, in turn: float64 (n,).

    predictions: (n, height, width, 1). Near 1 the network draws its training mask. The true shapes
    overlap these masks too, by chance.
    """
    return iou(np.resize(training_masks, predictions.shape), predictions)


def scores(Y, P, Y_val, P_val):
    """What the history of a training holds of a step, as a dict of numbers.

    Masks and probabilities of training and of validation samples, (n, height, width, 1).
    """
    predictions = predicted(P_val)
    val_iou = iou(Y_val, predictions)
    return {
        "train_iou": iou(Y, predicted(P)).mean(),
        "val_iou_mean": val_iou.mean(),
        "val_iou_min": val_iou.min(),
        "val_dice_mean": dice(Y_val, predictions).mean(),
        "training_mask_overlap": training_mask_overlap(Y, predictions).mean(),
        "val_images": len(val_iou),
    }


def complaint(masks, probabilities):
    """One sentence on predictions that say nothing, or None if there is nothing to complain about.

    masks, probabilities: (n, height, width, 1).
    """
    if not np.isfinite(probabilities).all():
        return ("The network returns not-a-number: the training diverged; try a lower "
                "--learning-rate.")
    low, high = probabilities.min(), probabilities.max()
    if high - low < 0.01:
        return (f"The prediction is constant: every pixel of every image has probability {low:.3f} "
                f"to {high:.3f}; the network has learned nothing. Try another --seed or another "
                "--learning-rate.")
    _, mask, prediction = areas(masks, predicted(probabilities))
    pixels = probabilities[0].size
    # A few stray pixels do not make a prediction.
    empty = np.count_nonzero(prediction < 0.01 * mask)
    full = np.count_nonzero(pixels - prediction < 0.01 * (pixels - mask))
    for kind, count in (("empty", empty), ("all foreground", full)):
        if count:
            return (f"{count} of {len(mask)} predictions are {kind}, or nearly so; if that is "
                    "wrong, train with another --seed or --learning-rate, or more --steps.")
    return None
