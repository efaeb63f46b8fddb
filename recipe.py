"""How the network is trained: the samples it is shown, the loss, the optimiser and its learning rate."""

import numpy as np

from data import augment, random_stream
from settings import UserError

# Keras starts slowly and is imported where it is used.


def compiled(settings, X, Y):
    """The untrained network for the samples X, Y, with the settings' initial weights, loss and optimiser.

    Of the masks it is told no more than the share of the foreground in the supervised pixels.

    Raises `UserError` for a precision that the device does not gain from.
    """
    import model as network  # first: it starts Keras quietly
    import keras

    if settings.precision == "mixed_float16" and network.device() == "CPU":
        raise UserError("--precision mixed_float16 is only slower on a CPU, which computes in float32; leave it out")
    keras.utils.set_random_seed(settings.seed)
    share = Y.mean() if settings.supervised_pixels == 0 else Y[supervision(settings, Y) > 0].mean()
    model = network.build(settings, float(X.mean()), float(X.var()), float(share))
    model.compile(make_optimizer(settings), make_loss(settings))
    model.optimizer.build(model.trainable_variables)  # else TensorFlow traces the first step twice, for 4 s
    return model


def supervision(settings, Y):
    """What the loss of each pixel counts, float32 like Y: 0, or in --supervised-pixels so much that the mean is 1.

    They are the first of one random order of the pixels, of each sample its own: fewer are a part of more.
    """
    generator = random_stream(settings.seed, "supervision")
    weights = np.zeros((len(Y), Y[0].size), "float32")
    for of_sample in weights:
        chosen = generator.permutation(Y[0].size)[: settings.supervised_pixels or None]
        of_sample[chosen] = Y[0].size / len(chosen)
    return weights.reshape(Y.shape)


def samples_in_turn(settings, X, Y):
    """Yield the training samples one after the other, for ever: the arguments of Keras' train_on_batch.

    These are image and mask, (1, height, width, 1), and with --supervised-pixels the weights of the pixels.
    """
    import keras

    arrays = [X, Y] if settings.supervised_pixels == 0 else [X, Y, supervision(settings, Y)]
    generator = random_stream(settings.seed, "augmentation")
    if not settings.augment:
        arrays = [keras.ops.convert_to_tensor(array) for array in arrays]  # now they stay on the device
    while True:
        for sample in zip(*arrays, strict=True):
            if settings.augment:
                sample = augment(generator, *sample)
            yield tuple(array[np.newaxis] for array in sample)


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
            factor = settings.bias_rate if len(variable.shape) == 1 else 1  # kernels have more axes
            super().update_step(gradient, variable, learning_rate * factor)

    optimizer = kind if settings.bias_rate == 1 else FastBiases
    return optimizer(rate, global_clipnorm=settings.clip_norm or None, weight_decay=settings.weight_decay or None,
                     use_ema=settings.averaging > 0, ema_momentum=settings.averaging)
