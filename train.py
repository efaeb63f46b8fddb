"""Train a U-Net of 13 million parameters on ONE image, noise with a circle in it.

It should memorise the image. Watch what it does with images it never saw.
"""

import itertools
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common import metrics
from common.command_line import fields_of, parse
from common.errors import UserError, run_script
from common.files import check_folder, write_table
from common.screen import STARTED, Screen, Stopwatch, closing_words
from common.settings import Settings, write_settings
from data import augment, create_data, random_stream, relabel, write_data

# Keras and Matplotlib start slowly and are imported where they are used: --help and mistakes need neither.

# What a run spends its seconds on, in order; 'import' is mostly that of Keras, 'files' are data and network.
PARTS = ("import", "data", "trace", "steps", "evaluation", "files", "pictures")
# The moments that progress.png shows, as shares of the steps: the circle appears early.
MOMENTS = (0, 0.06, 0.11, 0.17, 0.34, 1)


class Run(NamedTuple):
    """A finished training. Images, masks and probabilities are float32 (n, height, width, 1)."""

    network: object  # the trained Keras model
    train: tuple  # X, Y of the training samples
    validation: tuple  # X, Y of the validation samples
    probabilities: np.ndarray  # of the validation samples, at the end
    history: list  # rows of history.csv, as dicts
    moments: dict  # {step: probabilities of the first training and the first one or two validation samples}
    seconds: Stopwatch  # what took how long


def train(settings, report=lambda step, row: None):
    """Fit the network to the training samples, one a step in turn, and score it along the way.

    After every step `report(step, row)` is told the step and the latest row of the history.
    Validation images are only looked at; nothing here depends on their scores. Of the training samples as many are
    scored as of them. Returns a `Run`.
    """
    watch = Stopwatch()
    with watch("data"):
        X, Y = create_data(settings.samples, settings, "train")
        Y = relabel(Y, settings)
        X_val, Y_val = create_data(settings.validation, settings, "validation")
    with watch("trace"):
        network = compiled(settings, X, Y)

    history, moments = [], {}
    samples = samples_in_turn(settings, X, Y)
    evaluate_at, show_at = evaluation_steps(settings), moment_steps(settings)
    for step in range(settings.steps + 1):
        if step > 0:  # step 0 is the untrained network
            # the first step and the first prediction trace the network, which takes longer than they do
            with watch("steps" if step > 1 else "trace"):
                network.train_on_batch(*next(samples))
        if step in evaluate_at:
            some = slice(settings.validation if step == settings.steps else settings.watch)
            with watch("evaluation" if step > 0 else "trace"):
                row, P, P_val = evaluate(network, (X[some], Y[some]), (X_val[some], Y_val[some]))
            history.append({"step": step, "seconds": round(watch["trace"] + watch.get("steps", 0), 2), **row})
            if step in show_at:
                moments[step] = np.concatenate([P[:1], P_val[: min(2, settings.watch)]])
        report(step, history[-1])
    return Run(network, (X, Y), (X_val, Y_val), P_val, history, moments, watch)


def compiled(settings, X, Y):
    """The untrained network for the samples X, Y, with the settings' initial weights, loss and optimiser.

    Of the masks it is told no more than the share of the foreground in the supervised pixels.

    Raises `UserError` for a precision that the device does not gain from.
    """
    import model
    from common.backend import device, keras

    if settings.precision == "mixed_float16" and device() == "CPU":
        raise UserError("--precision mixed_float16 is only slower on a CPU, which computes in float32; leave it out")
    keras.utils.set_random_seed(settings.seed if settings.weights_seed < 0 else settings.weights_seed)
    share = Y[supervision(settings, Y) > 0].mean()
    network = model.build(settings, float(X.mean()), float(X.var()), float(share))
    network.compile(make_optimizer(settings), make_loss(settings))
    network.optimizer.build(network.trainable_variables)  # else TensorFlow traces the first step twice, for 4 s
    return network


def supervision(settings, Y):
    """What the loss of each pixel counts, float32 like Y: 0, or where it is supervised so much that the mean is 1.

    --supervised-pixels are the first of one random order of the pixels, of each sample its own: fewer are a part of
    more. --supervised-window lies anywhere in the sample.
    """
    if not settings.supervised_pixels and not settings.supervised_window:
        return np.ones(Y.shape, "float32")
    generator = random_stream(settings.seed, "supervision")
    supervised = np.zeros(Y.shape, bool)
    for of_sample in supervised:
        if side := settings.supervised_window:
            top, left = (generator.integers(whole - side + 1) for whole in Y.shape[1:3])
            of_sample[top : top + side, left : left + side] = True
        else:
            of_sample.flat[generator.permutation(of_sample.size)[: settings.supervised_pixels]] = True
    return supervised.astype("float32") * (supervised[0].size / supervised[0].sum(dtype="float32"))


def samples_in_turn(settings, X, Y):
    """Yield the training samples one after the other, for ever: the arguments of Keras' train_on_batch.

    These are image and mask, (1, height, width, 1), and where not every pixel is supervised their weights, all padded
    by reflection to sides that 32 divides.
    """
    import model
    from common.backend import keras

    weights = supervision(settings, Y)
    arrays = [X, Y] if weights.all() else [X, Y, weights]
    if settings.augment:
        generator = random_stream(settings.seed, "augmentation")
        for sample in itertools.cycle(zip(*arrays, strict=True)):
            yield tuple(model.pad(array[np.newaxis]) for array in augment(generator, *sample))
    else:  # they stay on the device
        yield from itertools.cycle([tuple(keras.ops.convert_to_tensor(model.pad(array[np.newaxis])) for array in sample)
                                    for sample in zip(*arrays, strict=True)])


def make_loss(settings):
    """The loss of the settings, of masks and probabilities, (n, height, width, 1); lower is better.

    Cross-entropy is averaged over pixels. Dice (Milletari, Navab and Ahmadi 2016, arXiv 1606.04797) is of each image by
    itself, over all its pixels, as Keras' own but for --dice-smoothing, which the experiment of 2017 has.
    """
    from common.backend import keras

    cross_entropy = keras.losses.BinaryCrossentropy(label_smoothing=settings.label_smoothing)

    def dice(masks, probabilities):
        overlap = keras.ops.sum(masks * probabilities, axis=(1, 2, 3))
        total = keras.ops.sum(masks, axis=(1, 2, 3)) + keras.ops.sum(probabilities, axis=(1, 2, 3))
        smoothing = settings.dice_smoothing
        return 1 - (2 * overlap + smoothing) / (total + (smoothing + keras.config.epsilon()))

    return {
        "cross-entropy": cross_entropy,
        "dice": dice,
        "both": lambda masks, probabilities: cross_entropy(masks, probabilities) + dice(masks, probabilities),
    }[settings.loss]


def make_optimizer(settings):
    """The optimiser of the settings, with its learning rate schedule and clipping."""
    from common.backend import keras
    from model import DEEP

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
                factor *= settings.deep_rate if path.startswith(DEEP) else 1
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


def evaluation_steps(settings):
    """The steps after which the network is scored, from 0 to the last: denser early, where it learns to generalise."""
    return sorted({round(share**2 * settings.steps) for share in np.linspace(0, 1, settings.evaluations + 1)})


def moment_steps(settings):
    """The evaluation steps that progress.png shows: those nearest to MOMENTS."""
    return {min(evaluation_steps(settings), key=lambda step: abs(step - share * settings.steps))
            for share in MOMENTS}


def evaluate(network, train, validation):
    """Score training and validation samples, both (X, Y), by the same weights.

    Returns a dict of the history's columns, and the probabilities of both.
    """
    import model
    from common.backend import keras

    P = model.predict(network, np.concatenate([train[0], validation[0]]))
    P, P_val = P[: len(train[0])], P[len(train[0]) :]
    predictions = metrics.predicted(P_val)
    val_iou = metrics.iou(validation[1], predictions)
    row = {
        "loss": keras.ops.convert_to_numpy(network.loss(train[1], P)).mean().item(),
        "train_iou": metrics.iou(train[1], metrics.predicted(P)).mean(),
        "val_iou_mean": val_iou.mean(),
        "val_iou_min": val_iou.min(),
        "val_dice_mean": metrics.dice(validation[1], predictions).mean(),
        "training_mask_overlap": metrics.training_mask_overlap(train[1], predictions).mean(),
        "val_images": len(val_iou),
    }
    return row, P, P_val


def write_run(run, settings, record):
    """Write a run into the output folder: data, network, settings, history, pictures.

    record: what `backend.describe_machine` says, for settings.json. Raises `UserError` if a file cannot be written.
    """
    import model
    from common import plots

    folder = Path(settings.output)
    with run.seconds("files"):
        write_data(*run.train, folder / "train")
        write_data(*run.validation, folder / "val")
        model.save(run.network, folder / "model.keras")
        write_table(run.history, folder / "history.csv")
    with run.seconds("pictures"):
        plots.curves(run.history, folder / "curves.png")
        unseen = len(run.moments[0]) - 1
        X, Y = (np.concatenate([train[:1], val[:unseen]])
                for train, val in zip(run.train, run.validation, strict=True))
        plots.progress(X, Y, run.moments, folder / "progress.png")
    seconds = {part: run.seconds.get(part, 0.0) for part in PARTS}
    write_settings(settings, {**record, "seconds": seconds}, folder / "settings.json")


def main():
    settings = Settings(**parse(__doc__, fields_of("run", "data", "training")))
    for folder in ("", "train", "val"):
        check_folder(Path(settings.output, folder), "--output")
    with Screen("step", settings.steps) as screen:
        from common.backend import describe_machine

        record = describe_machine()
        imported = time.perf_counter() - STARTED
        run = train(settings, screen.training)
    run.seconds["import"] = round(imported, 6)
    write_run(run, settings, record)
    print("\n".join(closing_words(run, settings, record)))


if __name__ == "__main__":
    run_script(main)
