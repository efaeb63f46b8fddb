"""How the network is trained: the samples it is shown, the loss, the optimiser and its learning rate."""

import numpy as np

from data import augment, random_stream
from settings import UserError

# Keras starts slowly and is imported where it is used.


def compiled(settings, X, Y):
    """The untrained network for the samples X, Y, with the settings' initial weights, loss and optimiser.

    Raises `UserError` for a precision that the device does not gain from.
    """
    import model as network  # first: it starts Keras quietly
    import keras

    if settings.precision == "mixed_float16" and network.device() == "CPU":
        raise UserError("--precision mixed_float16 is only slower on a CPU, which computes in float32; leave it out")
    keras.utils.set_random_seed(settings.seed)
    model = network.build(settings, float(X.mean()), float(X.var()), float(Y.mean()))
    model.compile(make_optimizer(settings), make_loss(settings))
    model.optimizer.build(model.trainable_variables)  # else TensorFlow traces the first step twice, for 4 s
    return model


def samples_in_turn(settings, X, Y):
    """Yield the training samples one after the other, for ever, as batches (1, height, width, 1) of X and Y."""
    import keras

    generator = random_stream(settings.seed, "augmentation")
    if not settings.augment:
        X, Y = keras.ops.convert_to_tensor(X), keras.ops.convert_to_tensor(Y)  # now they stay on the device
    while True:
        for image, mask in zip(X, Y, strict=True):
            if settings.augment:
                image, mask = augment(generator, image, mask)
            yield image[np.newaxis], mask[np.newaxis]


def make_loss(settings):
    """The loss of the settings: a function of masks and probabilities, averaged over pixels or (Dice) over images."""
    import keras

    cross_entropy = keras.losses.BinaryCrossentropy(label_smoothing=settings.label_smoothing)
    dice = keras.losses.Dice(axis=(1, 2, 3))  # of each image by itself, over all its pixels
    return {
        "cross-entropy": cross_entropy,
        "dice": dice,
        "both": lambda masks, probabilities: cross_entropy(masks, probabilities) + dice(masks, probabilities),
        "focal": keras.losses.BinaryFocalCrossentropy(label_smoothing=settings.label_smoothing),
    }[settings.loss]


def make_optimizer(settings):
    """The optimiser of the settings, with its learning rate schedule, clipping, weight decay and averaging."""
    import keras

    rate = settings.learning_rate
    warm_up = round(settings.warm_up * settings.steps)
    if settings.schedule == "cosine":
        # starts at one warm-up step's worth, not at 0, where the first update would change nothing
        rate = keras.optimizers.schedules.CosineDecay(
            rate / max(1, warm_up), max(1, settings.steps - warm_up), warmup_target=rate, warmup_steps=max(1, warm_up))
    kind = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}[settings.optimizer]

    class FastBiases(kind):
        """The optimiser, with a learning rate of their own for the biases."""

        def update_step(self, gradient, variable, learning_rate):
            factor = settings.bias_rate if len(variable.shape) == 1 else 1  # kernels have four axes
            super().update_step(gradient, variable, learning_rate * factor)

    optimizer = kind if settings.bias_rate == 1 else FastBiases
    return optimizer(rate, global_clipnorm=settings.clip_norm or None, weight_decay=settings.weight_decay or None,
                     use_ema=settings.averaging > 0, ema_momentum=settings.averaging)
