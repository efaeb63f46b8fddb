"""What strokes do not say: of what is not painted, how much is foreground?

Whoever paints a few strokes paints about as much foreground as background, while most images hold
little foreground. A network that learned from strokes alone finds too much.
"""

import numpy as np

from common.losses import make_loss
from own.crops import excerpt
from own.exposure import predict_image

SIDE = 1024  # of the part of a large image by which the share of its foreground is judged, pixels
SUREST = 1e-4  # a probability counts as no nearer to 0 or 1 than this
ROUNDS = 200


def are_strokes(mask):
    """Whether a mask, int8 (height, width, 1) with -1 for unlabelled, is mostly unlabelled."""
    return (mask < 0).mean() > 0.5


def make_own_loss(settings):
    """The loss of the settings, and some for foreground where nothing is labelled.

    What is not painted counts as background: its mean probability is added, which hardly pulls
    pixels that look like painted foreground (Ghosh, Kumar and Sastry 2017, arXiv 1712.09482). It
    weighs less the better the strokes are learned, for what is known by heart tells nothing of the
    rest. Where all is labelled, nothing is added.
    """
    from common.backend import keras

    ops, loss_of_labelled = keras.ops, make_loss(settings)

    def loss(masks, probabilities):
        labelled = ops.mean(loss_of_labelled(masks, probabilities))
        unlabelled = ops.cast(masks < 0, "float32")
        found = ops.sum(unlabelled * probabilities) / ops.maximum(ops.sum(unlabelled), 1)
        weight = settings.unlabelled * ops.stop_gradient(ops.minimum(labelled, 1.0))
        return labelled + weight * found

    return loss


def settle_share(network, labelled):
    """Shift the last bias of a trained network to the share of the foreground that it finds.

    labelled: the `Labelled` images of its training. Where none of them holds strokes, nothing is
    changed. To be called once after a training.
    """
    probabilities = []
    for sample in labelled:
        if are_strokes(sample.mask):
            image, _ = excerpt(sample, SIDE)
            probabilities.append(predict_image(network, image, average=True).ravel())
    if probabilities:
        share = share_of_foreground(np.concatenate(probabilities))
        bias = network.get_layer("output_convolution").bias
        bias.assign(bias + np.log(share / (1 - share)))


def share_of_foreground(probabilities):
    """The share of foreground in pixels, by a classifier that learned as much of it as of the rest.

    probabilities: float32 (n,). It is that share to which they come on average if it is what was
    expected before (Saerens, Latinne and Decaestecker 2002, expectation maximisation).
    """
    probabilities = np.clip(probabilities.astype("float64"), SUREST, 1 - SUREST)
    odds = probabilities / (1 - probabilities)
    share = 0.5
    for _ in range(ROUNDS):
        weighed = odds * share / (1 - share)
        share = (weighed / (1 + weighed)).mean()
        share = np.clip(share, SUREST, 1 - SUREST)
    return share
