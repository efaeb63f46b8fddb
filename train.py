"""Train a U-Net of 13 million parameters on ONE image, noise with a circle in it.

It should memorise the image. Watch what it does with images it never saw. With --image and --mask it learns from an
image of your own; test.py --folder then segments the rest.
"""

import itertools
import os
import time
from typing import NamedTuple

import numpy as np

from common import metrics
from common.checkpoints import Checkpoints, fingerprint, interrupted
from common.command_line import fields_of, parse
from common.errors import UserError, run_script
from common.files import check_folder, write_table
from common.folders import check_inputs, holding, in_place_of
from common.images import exposure
from common.losses import make_loss
from common.optimizers import make_optimizer
from common.screen import STARTED, Screen, Stopwatch, closing_words, own_closing_words
from common.settings import Settings, training_files, write_settings
from data import augment, create_data, crops, excerpt, random_stream, read_labelled, relabel, supervised, write_data

# Keras and Matplotlib start slowly and are imported where they are used: --help and mistakes need neither.

# What a run spends its seconds on, in order; 'import' is mostly that of Keras, 'files' are data and network.
PARTS = ("import", "data", "trace", "steps", "evaluation", "files", "pictures")
# The moments that progress.png shows, as shares of the steps: the circle appears early.
MOMENTS = (0, 0.06, 0.11, 0.17, 0.34, 1)
RECORDS = 20  # rows of the history of a training on one's own images


class Run(NamedTuple):
    """A finished training. Images, masks and probabilities are float32 (n, height, width, 1)."""

    network: object  # the trained Keras model
    train: tuple  # X, Y of the training samples
    validation: tuple  # X, Y of the validation samples
    probabilities: np.ndarray  # of the validation samples, at the end
    history: list  # rows of history.csv, as dicts
    moments: dict  # {step: probabilities of the first training and the first one or two validation samples}
    seconds: Stopwatch  # what took how long


def train(settings, report=lambda step, row: None, kept=None):
    """Fit the network to the training samples, one a step in turn, and score it along the way.

    After every step `report(step, row)` is told the step and the latest row of the history, and `kept` what it takes
    to go on from there.
    Validation images are only looked at; nothing here depends on their scores. Of the training samples as many are
    scored as of them. Returns a `Run`.
    """
    kept, watch = kept or Checkpoints(), Stopwatch()
    with watch("data"):
        X, Y = create_data(settings.samples, settings, "train")
        Y = relabel(Y, settings)
        Y_seen = supervised(settings, Y)
        X_val, Y_val = create_data(settings.validation, settings, "validation")
    with watch("trace"):
        network = compiled(settings, X, Y_seen)
    kept.take_up(network, watch)

    history, moments = kept.history, kept.moments
    evaluate_at, show_at = evaluation_steps(settings), moment_steps(settings)
    for step, _ in fit(network, samples_in_turn(settings, X, Y_seen), settings.steps, watch, kept.step):
        if step in evaluate_at:
            some = slice(settings.validation if step == settings.steps else settings.watch)
            with watch("evaluation" if step > 0 else "trace"):
                row, P, P_val = evaluate(network, (X[some], Y[some]), (X_val[some], Y_val[some]))
            history.append({"step": step, "seconds": round(watch["trace"] + watch.get("steps", 0), 2), **row})
            if step in show_at:
                moments[step] = np.concatenate([P[:1], P_val[: min(2, settings.watch)]])
        report(step, history[-1])
        kept.keep(network, step, watch)
    return Run(network, (X, Y), (X_val, Y_val), P_val, history, moments, watch)


class OwnRun(NamedTuple):
    """A finished training on one's own images."""

    network: object  # the trained Keras model
    labelled: list  # `data.Labelled`: the images, of large ones an excerpt
    predictions: list  # of each of them, bool (height, width, 1)
    iou: np.ndarray  # of each, over its labelled pixels, float64 (n,)
    complaints: list  # sentences on predictions that say nothing
    history: list  # rows of history.csv, as dicts
    seconds: Stopwatch  # what took how long


def train_own(settings, labelled, report=lambda step, row: None, kept=None):
    """Fit the network to crops of one's own images, a list of `data.Labelled`. There are no others to look at.

    report and kept: as of `train`. Returns an `OwnRun`.
    """
    kept, watch = kept or Checkpoints(), Stopwatch()
    with watch("trace"):
        network = untrained_own(settings, labelled)
    kept.take_up(network, watch)
    for step in fit_own(network, settings, labelled, kept, watch):
        report(step, kept.history[-1] if kept.history else None)
        kept.keep(network, step, watch)
    return own_run(network, labelled, kept.history, watch)


def fit_own(network, settings, labelled, kept, watch):
    """`fit` to crops of `Labelled` images: yields each step, and keeps RECORDS rows over all steps in `kept`."""
    import model

    record_at = {max(1, round(share * settings.steps)) for share in np.linspace(0, 1, RECORDS + 1)[1:]}
    samples = ((model.pad(image), model.pad(mask)) for image, mask in crops(labelled, settings))
    for step, loss in fit(network, samples, settings.steps, watch, kept.step):
        kept.losses += [float(loss)] if step else []
        if step in record_at:
            kept.history.append({"step": step, "seconds": round(sum(watch.values()), 2), "loss": np.mean(kept.losses)})
            kept.losses.clear()
        yield step


def own_run(network, labelled, history, watch):
    """The `OwnRun` that a training on `labelled` images has come to: the network looks at them once more."""
    import model

    with watch("evaluation"):
        labelled = [excerpt(*of) for of in labelled]
        probabilities = [model.predict_image(network, image) for image, _ in labelled]
        predictions = [metrics.predicted(of) for of in probabilities]
        complaints = [metrics.complaint(mask[np.newaxis] > 0, of[np.newaxis])
                      for (_, mask), of in zip(labelled, probabilities, strict=True)]
        iou = np.concatenate([metrics.iou(mask[np.newaxis] > 0, (prediction & (mask >= 0))[np.newaxis])
                              for (_, mask), prediction in zip(labelled, predictions, strict=True)])
    return OwnRun(network, labelled, predictions, iou, [*filter(None, complaints)], history, watch)


def fit(network, samples, steps, watch, done=0):
    """Train on the next of `samples` at each step; yield every step with its loss, from 0, the untrained network.

    done: the steps that the network has behind it; they are not yielded again.
    """
    if not done:
        yield 0, None
    for step, sample in zip(range(done + 1, steps + 1), itertools.islice(samples, done, None), strict=False):
        # the first step traces the network, as the first prediction does, and takes longer than others
        with watch("steps" if step > done + 1 else "trace"):
            loss = network.train_on_batch(*sample)
        yield step, loss


def compiled(settings, X, Y):
    """The untrained network for the samples X, Y: as of `untrained`.

    Of the masks it is told no more than the share of the foreground; where they are negative they are passed over.
    """
    return untrained(settings, float(X.mean()), float(X.var()), float(Y[Y >= 0].mean()))


def untrained_own(settings, labelled):
    """The same for `Labelled` images: with their exposure, and the share of the foreground in what is labelled."""
    middle, deviation = np.mean([exposure(image) for image, _ in labelled], axis=0).T
    deviation = np.maximum(deviation, 0.01)  # a channel may be empty
    foreground, known = (sum(np.count_nonzero(mask >= least) for _, mask in labelled) for least in (1, 0))
    return untrained(settings, middle.tolist(), (deviation**2).tolist(), foreground / known)


def untrained(settings, mean, variance, share):
    """The untrained network with the settings' initial weights, loss and optimiser; the rest as of `model.build`.

    Raises `UserError` for a precision that the device does not gain from.
    """
    import model
    from common.backend import device, keras

    if settings.precision == "mixed_float16" and device() == "CPU":
        raise UserError("--precision mixed_float16 is only slower on a CPU, which computes in float32; leave it out")
    keras.utils.set_random_seed(settings.seed if settings.weights_seed < 0 else settings.weights_seed)
    return prepared(model.build(settings, mean, variance, share), settings)


def prepared(network, settings):
    """A network with the settings' loss, and an optimiser at its first step, whatever weights it has by now."""
    import model

    network.compile(make_optimizer(settings, model.DEEP), make_loss(settings))
    network.optimizer.build(network.trainable_variables)  # else TensorFlow traces the first step twice, for 4 s
    return network


def samples_in_turn(settings, X, Y):
    """Yield the training samples one after the other, for ever: the arguments of Keras' train_on_batch.

    These are image and mask, (1, height, width, 1), padded by reflection to sides that 32 divides.
    """
    import model
    from common.backend import keras

    if settings.augment:
        generator = random_stream(settings.seed, "augmentation")
        for sample in itertools.cycle(zip(X, Y, strict=True)):
            yield tuple(model.pad(array[np.newaxis]) for array in augment(generator, *sample))
    else:  # they stay on the device
        yield from itertools.cycle([tuple(keras.ops.convert_to_tensor(model.pad(array[np.newaxis])) for array in sample)
                                    for sample in zip(X, Y, strict=True)])


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
    """Write a run into the output folder, in place of the last: data, network, settings, history, pictures.

    record: what `backend.describe_machine` says, for settings.json. Raises `UserError` if a file cannot be written.
    """
    from common import networks, pictures, plots

    with in_place_of(settings.output) as folder:
        with run.seconds("files"):
            if not settings.image:
                write_data(*run.train, folder / "train")
                write_data(*run.validation, folder / "val")
            networks.save(run.network, folder / "model.keras")
            write_table(run.history, folder / "history.csv")
        with run.seconds("pictures"):
            if settings.image:
                names = [os.path.basename(path) for path in settings.image]
                pictures.fit(names, run.labelled, run.predictions, run.iou, folder / "fit.png")
            else:
                plots.curves(run.history, folder / "curves.png")
                unseen = len(run.moments[0]) - 1
                X, Y = (np.concatenate([train[:1], val[:unseen]])
                        for train, val in zip(run.train, run.validation, strict=True))
                plots.progress(X, Y, run.moments, folder / "progress.png")
        seconds = {part: run.seconds.get(part, 0.0) for part in PARTS}
        write_settings(settings, {**record, "seconds": seconds}, folder / "settings.json")


def main():
    given = parse(__doc__, fields_of("run", "data", "training", "own", "train"))
    # test.py, started anywhere, knows these files again
    absolute = {name: tuple(map(os.path.abspath, given.get(name, ()))) for name in ("image", "mask")}
    given |= {name: paths for name, paths in absolute.items() if paths}
    if given.get("resume"):
        given = interrupted({"output": Settings.output} | given)
    settings = Settings(**given)
    check_folder(settings.output, "--output")
    check_inputs(settings.output, "--output", settings.image + settings.mask, training_files(settings))
    labelled = read_labelled(settings)
    with holding(settings.output, "--output"):
        with Screen("step", settings.steps) as screen:
            from common.backend import describe_machine

            record = describe_machine()
            imported = time.perf_counter() - STARTED
            kept = Checkpoints(settings, fingerprint(array for of in labelled for array in of))
            if words := kept.left_behind():
                screen.line(words)
            with kept:
                run = (train_own(settings, labelled, screen.own_training, kept) if labelled else
                       train(settings, screen.training, kept))
        run.seconds["import"] = round(imported, 6)
        write_run(run, settings, record)
        kept.drop()
    print("\n".join((own_closing_words if labelled else closing_words)(run, settings, record)))


if __name__ == "__main__":
    run_script(main)
