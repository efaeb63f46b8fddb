"""Adam as one of TensorFlow's own kernels. Only to be imported where TensorFlow is the backend."""

import tensorflow

from common.backend import keras


class FusedAdam(keras.optimizers.Adam):
    """Keras' Adam (Kingma and Ba 2015, arXiv 1412.6980), in one pass over the memory.

    Keras writes the update as a dozen operations, each of which reads and writes all 13 million
    numbers again; with the clipping they took a fifth of a step. Agrees with it but for the last
    digits: TensorFlow rounds 1 - beta otherwise.
    """

    def __init__(self, learning_rate, global_clipnorm=None):
        super().__init__(learning_rate)
        self.longest = global_clipnorm

    def apply(self, grads, trainable_variables=None):
        """Clip by the global norm as Keras does, but without writing the squares into memory."""
        if self.longest:
            grads, _ = tensorflow.clip_by_global_norm(grads, self.longest)
        super().apply(grads, trainable_variables)

    def update_step(self, gradient, variable, learning_rate):
        """Update one TensorFlow variable, and its two averages, by its gradient."""
        index = self._get_variable_index(variable)

        def number(value):
            return keras.ops.cast(value, variable.dtype)

        step = number(self.iterations + 1)
        tensorflow.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=keras.ops.power(number(self.beta_1), step),
            beta2_power=keras.ops.power(number(self.beta_2), step),
            lr=number(learning_rate),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=number(gradient))
