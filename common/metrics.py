"""How well a prediction covers its mask, per image, foreground only."""

import numpy as np

THRESHOLD = 0.5


def predicted(probabilities):
    """Foreground pixels, bool, of probabilities in 0..1 of any shape. Not-a-number counts as background."""
    return probabilities > THRESHOLD


def areas(masks, predictions):
    """Foreground pixels in both, in the mask, and in the prediction: three float64 (n,)."""
    masks, predictions = np.asarray(masks) > 0, np.asarray(predictions) > 0
    pixels = tuple(range(1, masks.ndim))
    both = (masks & predictions).sum(axis=pixels)
    return both.astype(float), masks.sum(axis=pixels).astype(float), predictions.sum(axis=pixels).astype(float)


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
    """IoU of predictions on unseen images, (n, height, width, 1), with the masks trained on, in turn: float64 (n,).

    Near 1 it is a template. The true shapes overlap these masks too, by chance: `baselines.nulls`, training_mask.
    """
    return iou(np.resize(training_masks, predictions.shape), predictions)


def uncertainty(probabilities):
    """The mean over pixels of how far the probability is from certain: 0 where all are 0 or 1, 1 where all are 0.5."""
    return float((1 - abs(2 * probabilities - 1)).mean())


def doubt(probabilities):
    """The `uncertainty` for each pixel of the smaller of foreground and background, of one in a thousand at least."""
    share = predicted(probabilities).mean()
    return uncertainty(probabilities) / max(min(share, 1 - share), 0.001)


def complaint(masks, probabilities):
    """One sentence on predictions that say nothing, or None if there is nothing to complain about.

    masks, probabilities: (n, height, width, 1).
    """
    if not np.isfinite(probabilities).all():
        return "The network returns not-a-number: the training diverged; try a lower --learning-rate."
    low, high = probabilities.min(), probabilities.max()
    if high - low < 0.01:
        return (f"The prediction is constant: every pixel of every image has probability {low:.3f} to {high:.3f}; "
                "the network has learned nothing. Try more --steps or another --learning-rate.")
    _, mask, prediction = areas(masks, predicted(probabilities))
    pixels = probabilities[0].size
    # a few stray pixels do not make a prediction
    for kind, count in (("empty, or nearly so", (prediction < 0.01 * mask).sum()),
                        ("all foreground, or nearly so", (pixels - prediction < 0.01 * (pixels - mask)).sum())):
        if count:
            return (f"{count} of {len(mask)} predictions are {kind}; if that is wrong, "
                    "train with more --steps or another --learning-rate.")
    return None
