"""Steps of a training: one by one, or on a GPU with JAX several at once."""

import itertools

AT_ONCE = 50  # steps; to start them takes a small part of their time then
PIXELS = 2**22  # of the images that wait for their step on the GPU, at most


def steps_at_once(height, width):
    """How many steps on images of that size are done at once, at most: 1 but on a GPU with JAX.

    There most of a step is to start it (docs/speed.md).
    """
    if not computes_several():
        return 1
    return max(1, min(AT_ONCE, PIXELS // (height * width)))


def stopping_steps(wanted, at_once, first, last):
    """The steps from first to last after which a training stops to look, in order.

    They are those wanted, and so many that no more than `at_once` lie between.
    """
    stops = {*wanted, *range(0, last, at_once), last}
    return sorted(step for step in stops if first <= step <= last)


def computes_several():
    """Whether steps are done at once here: on a CPU a step takes far longer than to start it."""
    from common.backend import device, keras

    return keras.backend.backend() == "jax" and device() != "CPU"


def make_steps(network, settings, at_once):
    """How a compiled network takes its steps: a function `take_steps(samples, count)`.

    It trains the network by `count` steps, at_once at most, on as many (image, mask) of the
    iterator `samples`, both (1, height, width, channels), and returns their losses.
    """
    if computes_several():
        from common.on_jax import several_steps

        return several_steps(network, settings, at_once)

    def take_steps(samples, count):
        pairs = itertools.islice(samples, count)
        return [float(network.train_on_batch(*pair)) for pair in pairs]

    return take_steps
