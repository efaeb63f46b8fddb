"""Train a U-Net of 13 million parameters on ONE image, noise with a circle in it.

It should memorise the image. Watch what it does with images it never saw.
"""

import itertools
import time
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from common import metrics
from common.checkpoints import Checkpoint, interrupted_flags
from common.command_line import fields_of, parse
from common.errors import drawing, run_script
from common.files import check_folder, write_table
from common.folders import check_inputs, holding, in_place_of
from common.optimizers import compile_training
from common.screen import STARTED, Screen, Stopwatch, closing_words
from common.settings import Settings, write_settings
from common.steps import make_steps, steps_at_once, stopping_steps
from data import augment, create_data, random_stream, training_masks
from data import data_files, write_data

# What a run spends its seconds on. 'import' is mostly Keras, which is imported where it is used;
# 'trace' is to build the network, and to make graphs of its first step and prediction.
PARTS = ("import", "data", "trace", "steps", "evaluation", "files", "pictures")
FILES = ("model.keras", "settings.json", "history.csv", "curves.png", "progress.png")
# The moments that progress.png shows, as shares of the steps: the circle appears early.
SNAPSHOTS = (0, 0.06, 0.11, 0.17, 0.34, 1)


@dataclass
class TrainingState:
    """Where a training stands: with the weights, all that it takes to go on from there."""

    step: int = -1  # the last that is done; step 0 scores the untrained network
    history: list = field(default_factory=list)  # rows of history.csv, as dicts
    snapshots: dict = field(default_factory=dict)  # {step: probabilities for progress.png}
    seconds: Stopwatch = field(default_factory=Stopwatch)  # what took how long

    def record(self, step, row):
        """Add a row to the history, with step and seconds of the training so far."""
        seconds = self.seconds["trace"] + self.seconds.get("steps", 0)
        self.history.append({"step": step, "seconds": round(seconds, 2), **row})


class Run(NamedTuple):
    """A finished training. Images, masks and probabilities are float32 (n, height, width, 1)."""

    network: object  # the trained Keras model
    train: tuple  # X, Y of the training samples
    validation: tuple  # X, Y of the validation samples
    probabilities: np.ndarray  # of the validation samples, at the end
    history: list  # as in `TrainingState`
    snapshots: dict
    seconds: Stopwatch


def train(settings, report=lambda step, row: None, checkpoint=None, followers=()):
    """Fit the network to the training samples, one a step in turn, and score it along the way.

    Nothing depends on the scores. Where it stops, which on a CPU is after every step,
    `report(step, row)` is told the latest row of the history. checkpoint: a `Checkpoint`, to go on
    after an interruption. followers: each has `steps`, after which its `follow(step, network)` may
    look at the network. Returns a `Run`.
    """
    checkpoint = checkpoint or Checkpoint()
    state = TrainingState()
    with state.seconds("data"):
        X, Y = create_data(settings.samples, settings, "train")
        Y, targets = training_masks(Y, settings)
        X_val, Y_val = create_data(settings.validation, settings, "validation")
    with state.seconds("trace"):
        network = compile_network(settings, X, targets)
    checkpoint.restore(network, state)

    evaluated, shown = evaluation_steps(settings), snapshot_steps(settings)
    done = max(0, state.step)
    batches = samples_in_turn(settings, X, targets, skip=done)
    at_once = steps_at_once(*settings.size)
    take_steps = make_steps(network, settings, at_once)
    part = "trace"  # the first steps take longer than the others: the network is traced
    followed = {step for follower in followers for step in follower.steps}
    for step in stopping_steps({*evaluated, *followed}, at_once, state.step + 1, settings.steps):
        if step > done:
            with state.seconds(part):
                take_steps(batches, step - done)
            done, part = step, "steps"
        if step in evaluated:
            n = settings.validation if step == settings.steps else settings.watch
            with state.seconds("evaluation" if step > 0 else "trace"):
                row, P, P_val = evaluate(network, X[:n], Y[:n], X_val[:n], Y_val[:n])
            state.record(step, row)
            if step in shown:
                unseen = P_val[: min(2, settings.watch)]
                state.snapshots[step] = np.concatenate([P[:1], unseen])
        state.step = step
        report(step, state.history[-1])
        for follower in followers:
            if step in follower.steps:
                follower.follow(step, network)
        checkpoint.save_if_due(network, state)
    return Run(
        network, (X, Y), (X_val, Y_val), P_val, state.history, state.snapshots, state.seconds)


def compile_network(settings, X, targets):
    """The untrained network for images X and targets, (n, height, width, 1); -1 is no target."""
    import model
    mean, variance = float(X.mean()), float(X.var())
    share = float(targets[targets >= 0].mean())
    network = model.build(settings, mean, variance, share)
    return compile_training(network, settings)


def samples_in_turn(settings, X, targets, skip=0):
    """Yield image and mask, both (1, height, width, 1), of one sample after the other, for ever.

    Both are padded by reflection to sides that 32 divides. skip: so many are drawn in vain, which
    brings the random stream to where an interrupted training left it.
    """
    import model
    images, masks = model.pad(X), model.pad(targets)
    generator = random_stream(settings.seed, "augmentation")
    for step in itertools.count():
        n = step % len(X)
        image, mask = images[n : n + 1], masks[n : n + 1]
        if settings.augment:
            image, mask = augment(generator, X[n], targets[n])
            image = model.pad(image[np.newaxis])
            mask = model.pad(mask[np.newaxis])
        if step >= skip:
            yield image, mask


def evaluation_steps(settings):
    """The steps after which it is scored, 0 to the last: denser early, where it generalises."""
    shares = np.linspace(0, 1, settings.evaluations + 1)
    return sorted({round(share**2 * settings.steps) for share in shares})


def snapshot_steps(settings):
    """The evaluation steps that progress.png shows: those nearest to SNAPSHOTS."""
    steps = np.array(evaluation_steps(settings))
    nearest = [abs(steps - share * settings.steps).argmin() for share in SNAPSHOTS]
    return set(steps[nearest].tolist())


def evaluate(network, X, Y, X_val, Y_val):
    """Score both by the same weights: a row of the history, as a dict, and both probabilities.

    The loss is that of all pixels, also where the training passes over some.
    """
    import model
    from common.backend import keras
    P = model.predict(network, np.concatenate([X, X_val]))
    P, P_val = np.split(P, [len(X)])
    masks, probabilities = map(keras.ops.convert_to_tensor, (Y, P))
    loss = keras.ops.convert_to_numpy(network.loss(masks, probabilities))
    row = {"loss": loss.mean().item(), **metrics.scores(Y, P, Y_val, P_val)}
    return row, P, P_val


def write_run(run, settings, record):
    """Write a run into the output folder, in place of the last: data, network, history, pictures.

    record: what `backend.describe_machine` says. Raises `UserError` if a file cannot be written.
    """
    from common import model_file
    with in_place_of(settings.output) as folder:
        with run.seconds("files"):
            write_data(*run.train, folder / "train")
            write_data(*run.validation, folder / "val")
            model_file.save(run.network, folder / "model.keras")
            write_table(run.history, folder / "history.csv")
        with run.seconds("pictures"), drawing():
            from common import plots
            _, Y_val = run.validation
            scored = metrics.iou(Y_val, metrics.predicted(run.probabilities))
            plots.curves(run.history, scored, folder / "curves.png")
            plots.progress(run.train, run.validation, run.snapshots, folder / "progress.png")
        seconds = {part: run.seconds.get(part, 0.0) for part in PARTS}
        write_settings(settings, {**record, "seconds": seconds}, folder / "settings.json")


def main():
    fields = fields_of("run", "data", "samples", "training", "resuming")
    given = parse(__doc__, fields, recipes=Settings.recipes)
    if given.get("resume"):
        given = interrupted_flags({"output": Settings.output, **given})
    settings = Settings(**given)
    results = [*FILES, *data_files("train", settings.samples)]
    results += data_files("val", settings.validation)
    check_folder(settings.output, "--output")
    check_inputs(settings.output, "--output", [], results)
    with holding(settings.output, "--output"), Checkpoint(settings) as checkpoint:
        with Screen("step", settings.steps) as screen:
            from common.backend import describe_machine
            record = describe_machine()
            imported = time.perf_counter() - STARTED
            if words := checkpoint.left_behind():
                screen.line(words)
            run = train(settings, screen.training, checkpoint)
        run.seconds["import"] = round(imported, 6)
        write_run(run, settings, record)
        checkpoint.remove()
    print("\n".join(closing_words(run, settings, record)))


if __name__ == "__main__":
    run_script(main)
