"""Train the network on one or a few images of your own: `python -m own train`.

    python -m own train cells/01.png cells/01_mask.png
    python -m own segment cells

A mask has two values, or labels of objects, or is a transparent PNG with light
strokes on the foreground and dark ones on the background. Two CPU cores need a
little over a minute; for a first look --recipe quick needs half a minute.
"""

import dataclasses
import itertools
import os
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common import metrics
from common.checkpoints import Checkpoint, fingerprint, interrupted_flags
from common.command_line import fields_of, parse
from common.errors import UserError, drawing
from common.files import check_folder, write_table
from common.folders import check_inputs, holding, in_place_of
from common.optimizers import compile_training
from common.screen import STARTED, Screen, command, network_name
from common.settings import write_settings
from common.steps import make_steps, steps_at_once, stopping_steps
from own.crops import crops, excerpt, read_labelled, prepared_for_training
from own.exposure import exposure, predict_image
from own.pictures import draw_fit
from own.review import FEW_WORDS, mask_lines
from own.scale import is_painted
from own.settings import OwnSettings
from own.strokes import make_own_loss
from train import PARTS, TrainingState

RECORDS = 20  # rows of the history
POOR = 0.6  # IoU on what was trained on: a mask that belongs to its image is learned better
FILES = ("model.keras", "settings.json", "history.csv", "fit.png")  # what is left in --output


@dataclasses.dataclass
class OwnTrainingState(TrainingState):
    """How far a training on one's own images is: what goes on from there needs this alone."""

    step: int = 0
    losses: list = dataclasses.field(default_factory=list)  # of the steps since the last row


class OwnRun(NamedTuple):
    """A finished training on one's own images."""

    network: object  # the trained Keras model
    labelled: list  # `Labelled` images, of large ones an excerpt
    predictions: list  # of each of them, bool (height, width, 1)
    iou: list  # of each, over its labelled pixels
    complaint: str | None  # a sentence, if a prediction says nothing
    history: list  # rows of history.csv, as dicts
    seconds: dict  # `Stopwatch`: what took how long


def train_own(settings, labelled, report=lambda step, row: None, checkpoint=None):
    """Fit the network to crops of `Labelled` images. There are no others to look at.

    After every step `report(step, row)` is told the latest row of the history, None before the
    first; `checkpoint` is a `Checkpoint`. Returns an `OwnRun`.
    """
    checkpoint = checkpoint or Checkpoint()
    state = OwnTrainingState()
    with state.seconds("trace"):
        network = untrained_for(settings, labelled)
    checkpoint.restore(network, state)
    for step in training_steps(network, settings, labelled, state):
        report(step, state.history[-1] if state.history else None)
        checkpoint.save_if_due(network, state)
    return finished(network, labelled, state)


def training_steps(network, settings, labelled, state):
    """Train from the step of `state` to the settings' last, and yield the number of each step.

    On a GPU several are done at once, and the last of them is yielded. Over all steps RECORDS rows
    go into the history: the mean loss since the row before.
    """
    shares = np.linspace(0, 1, RECORDS + 1)[1:]
    record_at = {max(1, round(share * settings.steps)) for share in shares}
    first = state.step + 1
    samples = padded(itertools.islice(crops(labelled, settings), state.step, None))
    at_once = steps_at_once(settings.crop, settings.crop)
    take_steps = make_steps(network, settings, at_once)
    for step in stopping_steps({first, *record_at}, at_once, first, settings.steps):
        with state.seconds("trace" if step == first else "steps"):  # the first one takes longer
            losses = take_steps(samples, step - state.step)
        state.step = step
        state.losses += losses
        if step in record_at:
            seconds = round(sum(state.seconds.values()), 2)
            row = {"step": step, "seconds": seconds, "loss": np.mean(state.losses)}
            state.history.append(row)
            state.losses.clear()
        yield step


def padded(samples):
    """Images and masks of an iterator, (1, height, width, channels), padded for the network."""
    import model

    for image, mask in samples:
        yield model.pad(image), model.pad(mask)


def untrained_for(settings, labelled):
    """The untrained network for `Labelled` images, ready to train.

    It is told their exposure, and the share of the foreground in what is labelled.
    """
    import model

    median, deviation = np.mean([exposure(image) for image, _ in labelled], axis=0).T
    variance = deviation**2
    foreground = sum(np.count_nonzero(mask > 0) for _, mask in labelled)
    share = foreground / sum(np.count_nonzero(mask >= 0) for _, mask in labelled)
    network = model.build(settings, median.tolist(), variance.tolist(), share)
    return compile_own(network, settings)


def compile_own(network, settings):
    """Compile a network, new or trained, for its first step on one's own images; return it."""
    return compile_training(network, settings, make_own_loss(settings))


def finished(network, labelled, state):
    """What a training on `Labelled` images has come to, an `OwnRun`: it looks at them once more."""
    predictions, iou, complaint = [], [], None
    with state.seconds("evaluation"):
        excerpts = [excerpt(sample) for sample in labelled]
        for image, mask in excerpts:
            probabilities = predict_image(network, image)
            prediction = metrics.predicted(probabilities)
            foreground, is_labelled = mask[np.newaxis] > 0, mask[np.newaxis] >= 0
            predictions.append(prediction)
            iou.append(metrics.iou(foreground, prediction & is_labelled)[0])
            complaint = complaint or metrics.complaint(foreground, probabilities[np.newaxis])
    return OwnRun(
        network, excerpts, predictions, iou, complaint, state.history, state.seconds)


def write_run(run, settings, record):
    """Write an `OwnRun` into the output folder, in place of the last training.

    record: what `backend.describe_machine` says, for settings.json. Raises `UserError` if a file
    cannot be written.
    """
    from common import model_file

    with in_place_of(settings.output) as folder:
        with run.seconds("files"):
            model_file.save(run.network, folder / "model.keras")
            write_table(run.history, folder / "history.csv")
        with run.seconds("pictures"), drawing():
            names = [os.path.basename(path) for path in settings.image]
            draw_fit(names, run.labelled, run.predictions, run.iou, folder / "fit.png")
        seconds = {part: run.seconds.get(part, 0.0) for part in PARTS}
        write_settings(settings, {**record, "seconds": seconds}, folder / "settings.json")


class Progress:
    """The `report` of a training: shows each step on a `Screen`, in a file each row."""

    def __init__(self, screen):
        self.screen, self.first, self.started = screen, None, None

    def __call__(self, step, row):
        if self.first is None:  # this one took longer than those that follow
            self.first, self.started = step, time.perf_counter()
        words = f"loss {row['loss']:.4f}" if row else ""
        self.screen.show(step, words)
        if row and row["step"] == step and not self.screen.terminal:
            seconds = (time.perf_counter() - self.started) / max(1, step - self.first)
            left = seconds * (self.screen.total - step)
            self.screen.line(f"step {step:>5}  {row['seconds']:7.1f} s  {words}  "
                             f"about {left:.0f} s left")


def hardly_learned(run, settings):
    """A sentence on the images that an `OwnRun` does not fit, or None."""
    names = []
    for path, iou in zip(settings.image, run.iou, strict=True):
        if iou < POOR:
            names.append(os.path.basename(path))
    if not names:
        return None
    return (f"hardly learned: {', '.join(names)}. Is the mask that of the image, not turned, and "
            "of something that can be seen in it? If so, train with more --steps")


def closing_lines(run, settings, record):
    """The last lines: what was trained where, how well it fits, and what to run next."""
    fits = []
    for path, iou, (_, mask) in zip(settings.image, run.iou, run.labelled, strict=True):
        painted = " on what is painted" if is_painted(mask >= 0) else ""
        fits.append(f"fit of {os.path.basename(path)}: IoU {iou:.3f}{painted}")
    lines = [
        f"{network_name(settings)} with {run.network.count_params():,} parameters, "
        f"{len(fits)} labelled image{'s' if len(fits) > 1 else ''}, {settings.steps} steps",
        f"device          {record['device']}: training {run.history[-1]['seconds']:.0f} s, "
        f"{time.perf_counter() - STARTED:.0f} s in all",
        *fits,
        run.complaint,
        hardly_learned(run, settings),
        "How well it does on others cannot be known from this: look at them, or give own segment "
        "masks of a few (--masks)",
        f"look at {Path(settings.output, 'fit.png')}, then run: "
        f"{command('-m own segment FOLDER', settings)}",
    ]
    return [line for line in lines if line]


def read_command_line():
    """The settings of the training that is asked for. Raises `UserError` if it cannot be."""
    words = ("file", "IMAGE MASK [IMAGE MASK ...]", "each image and its mask")
    fields = fields_of("run", "training", "own", "resuming", kind=OwnSettings)
    given = parse(__doc__, fields, recipes=OwnSettings.recipes, words=words)
    files = [os.path.abspath(path) for path in given.pop("file")]  # segment may be run elsewhere
    if files and given.get("resume"):
        raise UserError("--resume knows the images of its training; leave them out")
    if given.get("resume"):
        given = interrupted_flags({"output": OwnSettings.output, **given}, OwnSettings)
        return OwnSettings(**given)
    if not files:
        raise UserError("name an image and its mask: own train IMAGE MASK")
    return OwnSettings(**given, image=tuple(files[::2]), mask=tuple(files[1::2]))


def main():
    settings = read_command_line()
    check_folder(settings.output, "--output")
    check_inputs(settings.output, "--output", settings.image + settings.mask, FILES)
    settings, labelled = prepared_for_training(settings, read_labelled(settings))
    checkpoint = Checkpoint(settings, fingerprint(itertools.chain.from_iterable(labelled)))
    with holding(settings.output, "--output"), checkpoint:
        with Screen("step", settings.steps) as screen:
            from common.backend import describe_machine

            record, imported = describe_machine(), time.perf_counter() - STARTED
            described = mask_lines(settings)
            for words in described:
                screen.line(words)
            if words := checkpoint.left_behind():
                screen.line(words)
            run = train_own(settings, labelled, Progress(screen), checkpoint)
        run.seconds["import"] = round(imported, 6)
        write_run(run, settings, record)
        checkpoint.remove()
    warnings = [words for words in described if FEW_WORDS in words]
    print("\n".join([*closing_lines(run, settings, record), *warnings]))
