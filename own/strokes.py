"""What strokes do not say: of what is not painted, how much is foreground?"""

from common.losses import make_loss


def make_own_loss(settings):
    """The loss of the settings, and some for foreground where nothing is labelled.

    Whoever paints strokes paints about as much foreground as background, while most images hold
    little foreground: a network that learns from strokes alone finds too much. So what is not
    painted counts as background. Its mean probability is added, which hardly pulls pixels that look
    like painted foreground (Ghosh, Kumar and Sastry 2017, arXiv 1712.09482). It weighs less the
    better the strokes are learned, for what is known by heart tells nothing of the rest. Where all
    is labelled, nothing is added.
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
