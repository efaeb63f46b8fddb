"""The optimisers: their learning rates, and which Adam."""


def make_optimizer(settings, deep):
    """The optimiser of the settings, with its learning rate schedule and clipping.

    deep: how the names of the layers begin that --deep-rate is of.
    """
    from common.backend import keras

    rate = settings.learning_rate
    warm_up = round(settings.warm_up * settings.steps)
    if settings.schedule == "cosine":
        # starts at one warm-up step's worth, not at 0, where the first update would change nothing
        rate = keras.optimizers.schedules.CosineDecay(
            rate / max(1, warm_up), max(1, settings.steps - warm_up), warmup_target=rate, warmup_steps=max(1, warm_up))
    kind = adam() if settings.optimizer == "adam" else keras.optimizers.SGD

    class RateByVariable(kind):
        """The optimiser, with learning rates of their own for the biases and the deep levels."""

        def update_step(self, gradient, variable, learning_rate):
            factor = settings.bias_rate if len(variable.shape) == 1 else 1  # kernels have more axes
            if settings.deep_rate != 1:
                path = self._trainable_variables[self._get_variable_index(variable)].path  # TensorFlow's own has none
                factor *= settings.deep_rate if path.startswith(deep) else 1
            super().update_step(gradient, variable, learning_rate * factor)

    optimizer = kind if settings.bias_rate == settings.deep_rate == 1 else RateByVariable
    return optimizer(rate, global_clipnorm=settings.clip_norm or None)


def adam():
    """The class of Keras' Adam, or on TensorFlow that of a faster one."""
    from common.backend import keras

    if keras.backend.backend() != "tensorflow":
        return keras.optimizers.Adam
    from common.fused_adam import FusedAdam

    return FusedAdam
