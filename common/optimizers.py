"""The optimisers: their learning rates, and which Adam."""

from common.errors import UserError
from common.losses import make_loss

# How the layers of the levels begin that --deep-rate is for: 40 x 40 pixels and less.
DEEP = ("down_3", "down_4", "down_5", "bottom", "up_5", "up_4", "up_3")


def compile_training(network, settings, loss=None):
    """Compile a network with the settings' loss and an optimiser at its first step; return it.

    loss: another one, of masks and probabilities, (n, height, width, 1). Raises `UserError` for a
    precision that the device does not gain from.
    """
    from common.backend import compiled, compute_the_same_bits, device

    if settings.precision == "mixed_float16" and device() == "CPU":
        raise UserError("--precision mixed_float16 is only slower on a CPU, which computes in "
                        "float32; leave it out")
    if settings.deterministic:
        compute_the_same_bits()
    network.compile(make_optimizer(settings), compiled(loss or make_loss(settings)))
    # Else TensorFlow traces the first step twice, for 4 seconds.
    network.optimizer.build(network.trainable_variables)
    return network


def make_optimizer(settings):
    """The optimiser of the settings, with its learning rate schedule and clipping."""
    from common.backend import keras

    kind = adam() if settings.optimizer == "adam" else keras.optimizers.SGD

    class RateByVariable(kind):
        """The optimiser, with learning rates of their own for the biases and the deep levels."""

        def update_step(self, gradient, variable, learning_rate):
            factor = settings.bias_rate if len(variable.shape) == 1 else 1  # kernels have more axes
            if settings.deep_rate != 1:
                # TensorFlow's own variable has no path.
                index = self._get_variable_index(variable)
                if self._trainable_variables[index].path.startswith(DEEP):
                    factor *= settings.deep_rate
            super().update_step(gradient, variable, learning_rate * factor)

    same_rate = settings.bias_rate == settings.deep_rate == 1
    optimizer = kind if same_rate else RateByVariable
    return optimizer(learning_rate(settings), global_clipnorm=settings.clip_norm or None)


def learning_rate(settings):
    """The learning rate of the settings, a number or a schedule of Keras."""
    from common.backend import keras

    rate, steps = settings.learning_rate, settings.steps
    if settings.schedule == "constant":
        return rate
    warm_up = max(1, round(settings.warm_up * steps))
    # It starts at one warm-up step's worth, not at 0, where the first update would change nothing.
    return keras.optimizers.schedules.CosineDecay(
        rate / warm_up, max(1, steps - round(settings.warm_up * steps)),
        warmup_target=rate, warmup_steps=warm_up)


def adam():
    """The class of Keras' Adam, or on TensorFlow that of a faster one."""
    from common.backend import keras

    if keras.backend.backend() != "tensorflow":
        return keras.optimizers.Adam
    from common.fused_adam import FusedAdam

    return FusedAdam
