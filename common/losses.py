"""What is minimised: cross-entropy, Dice, or both, of the pixels that are labelled."""


def make_loss(settings):
    """The loss of the settings, of masks and probabilities, (n, height, width, 1).

    Pixels whose mask is negative are passed over. Cross-entropy is averaged over pixels. Dice
    (Milletari, Navab and Ahmadi 2016, arXiv 1606.04797) is of each image by itself, over all its
    pixels, as Keras' own but for --dice-smoothing, which the experiment of 2017 has.
    """
    from common.backend import keras

    ops = keras.ops

    def cross_entropy(masks, labelled, probabilities):
        pixels = keras.losses.binary_crossentropy(
            masks, probabilities, label_smoothing=settings.label_smoothing)
        return ops.sum(pixels * labelled[..., 0]) / ops.maximum(ops.sum(labelled), 1)

    def dice(masks, labelled, probabilities):
        overlap = ops.sum(masks * probabilities, axis=(1, 2, 3))
        mask_areas = ops.sum(masks, axis=(1, 2, 3))
        total = mask_areas + ops.sum(labelled * probabilities, axis=(1, 2, 3))
        smoothing = settings.dice_smoothing
        return 1 - (2 * overlap + smoothing) / (total + (smoothing + keras.config.epsilon()))

    terms = {
        "cross-entropy": [cross_entropy],
        "dice": [dice],
        "both": [cross_entropy, dice],
    }

    def loss(masks, probabilities):
        labelled = ops.cast(masks >= 0, "float32")
        arguments = masks * labelled, labelled, probabilities
        return sum(term(*arguments) for term in terms[settings.loss])

    return loss
