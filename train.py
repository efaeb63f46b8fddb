"""Train a U-Net of 13 million parameters on ONE image, noise with a circle in it.

It should memorise the image. Watch what it does with images it never saw.
"""

import contextlib
import csv
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

import metrics
import recipe
from data import create_data, relabel, write_data
from command_line import check_folder, parse, run_script
from settings import Settings, write_settings

# Keras and Matplotlib start slowly and are imported where they are used: --help and mistakes need neither.

STARTED = time.perf_counter()
# What a run spends its seconds on, in order; 'import' is mostly that of Keras, 'files' are data and network.
PARTS = ("import", "data", "trace", "steps", "evaluation", "files", "pictures")
# The moments that progress.png shows, as shares of the steps: the circle appears early.
MOMENTS = (0, 0.06, 0.11, 0.17, 0.34, 1)


class Run(NamedTuple):
    """A finished training. Images, masks and probabilities are float32 (n, height, width, 1)."""

    model: object  # the trained Keras model
    train: tuple  # X, Y of the training samples
    validation: tuple  # X, Y of the validation samples
    probabilities: np.ndarray  # of the validation samples, at the end
    history: list  # rows of history.csv, as dicts
    moments: dict  # {step: probabilities of the first training and the first one or two validation samples}
    seconds: "Stopwatch"  # what took how long


class Stopwatch(dict):
    """Seconds spent on each part of a run, by name; `with watch("steps"): ...` adds to one of them."""

    @contextlib.contextmanager
    def __call__(self, part):
        started = time.perf_counter()
        try:
            yield
        finally:
            self[part] = round(self.get(part, 0) + time.perf_counter() - started, 6)


def train(settings, report=lambda step, row: None):
    """Fit the network to the training samples, one a step in turn, and score it along the way.

    After every step `report(step, row)` is told the step and the latest row of the history.
    Validation images are only looked at; nothing here depends on their scores. Returns a `Run`.
    """
    watch = Stopwatch()
    with watch("data"):
        X, Y = create_data(settings.samples, settings, "train")
        Y = relabel(Y, settings)
        X_val, Y_val = create_data(settings.validation, settings, "validation")
    with watch("trace"):
        model = recipe.compiled(settings, X, Y)

    history, moments = [], {}
    samples = recipe.samples_in_turn(settings, X, Y)
    evaluate_at, show_at = evaluation_steps(settings), moment_steps(settings)
    for step in range(settings.steps + 1):
        if step > 0:  # step 0 is the untrained network
            # the first step and the first prediction trace the network, which takes longer than they do
            with watch("steps" if step > 1 else "trace"):
                model.train_on_batch(*next(samples))
        if step == settings.steps and settings.averaging:
            model.optimizer.finalize_variable_values(model.trainable_variables)  # the averages become the weights
        if step in evaluate_at:
            some = slice(None if step == settings.steps else settings.watch)
            with watch("evaluation" if step > 0 else "trace"):
                row, P, P_val = evaluate(model, (X[some], Y[some]), (X_val[some], Y_val[some]))
            history.append({"step": step, "seconds": round(watch["trace"] + watch.get("steps", 0), 2), **row})
            if step in show_at:
                moments[step] = np.concatenate([P[:1], P_val[: min(2, settings.watch)]])
        report(step, history[-1])
    return Run(model, (X, Y), (X_val, Y_val), P_val, history, moments, watch)


def evaluation_steps(settings):
    """The steps after which the network is scored, from 0 to the last: denser early, where it learns to generalise."""
    return sorted({round(share**2 * settings.steps) for share in np.linspace(0, 1, settings.evaluations + 1)})


def moment_steps(settings):
    """The evaluation steps that progress.png shows: those nearest to MOMENTS."""
    return {min(evaluation_steps(settings), key=lambda step: abs(step - share * settings.steps))
            for share in MOMENTS}


def evaluate(model, train, validation):
    """Score training and validation samples, both (X, Y), by the same weights.

    Returns a dict of the history's columns, and the probabilities of both.
    """
    import keras

    import model as network

    P = network.predict(model, np.concatenate([train[0], validation[0]]))
    P, P_val = P[: len(train[0])], P[len(train[0]) :]
    val_iou = metrics.iou(validation[1], metrics.predicted(P_val))
    row = {
        "loss": float(keras.ops.convert_to_numpy(model.loss(train[1], P))),
        "train_iou": metrics.iou(train[1], metrics.predicted(P)).mean(),
        "val_iou_mean": val_iou.mean(),
        "val_iou_min": val_iou.min(),
        "val_dice_mean": metrics.dice(validation[1], metrics.predicted(P_val)).mean(),
        # on unseen images, how far the prediction is the mask that was trained on
        "memorisation": metrics.iou(np.resize(train[1], P_val.shape), metrics.predicted(P_val)).mean(),
        "val_images": len(val_iou),
    }
    return row, P, P_val


class Screen:
    """What one sees while it trains: a bar in a terminal, a plain line for each row of the history in a file."""

    def __init__(self, settings):
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.terminal = sys.stdout.isatty()
        # refreshed by hand: a thread of its own would compete with the training
        self.bar = Progress(TextColumn("step {task.completed}/{task.total}"), BarColumn(16), TimeElapsedColumn(),
                            TextColumn("{task.description}"), auto_refresh=False, disable=not self.terminal)
        self.task = self.bar.add_task("starting", total=settings.steps)

    def __enter__(self):
        self.bar.start()
        return self

    def __exit__(self, *_):
        self.bar.stop()

    def __call__(self, step, row):
        scores = (f"loss {row['loss']:.4f}  IoU train {row['train_iou']:.3f} val {row['val_iou_mean']:.3f} "
                  f"({row['val_images']})")
        self.bar.update(self.task, completed=step, description=scores, refresh=True)
        if not self.terminal and row["step"] == step:
            print(f"step {step:>5}  {row['seconds']:7.1f} s  {scores}", flush=True)


def save(run, settings, record):
    """Write a run into the output folder: data, network, settings, history, pictures."""
    import model as network
    import plots

    folder = Path(settings.output)
    with run.seconds("files"):
        write_data(*run.train, folder / "train")
        write_data(*run.validation, folder / "val")
        network.save(run.model, folder / "model.keras")
        with open(folder / "history.csv", "w", newline="\n") as file:
            writer = csv.DictWriter(file, run.history[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(run.history)
    with run.seconds("pictures"):
        plots.curves(run.history, folder / "curves.png")
        unseen = len(run.moments[0]) - 1
        X, Y = (np.concatenate([train[:1], val[:unseen]])
                for train, val in zip(run.train, run.validation, strict=True))
        plots.progress(X, Y, run.moments, folder / "progress.png")
    seconds = {part: run.seconds.get(part, 0.0) for part in PARTS}
    write_settings(settings, {**record, "seconds": seconds}, folder / "settings.json")


def describe_machine():
    """Where a run took place: device, versions, and the commit of this repository (None outside git)."""
    import model as network  # first: it starts Keras quietly

    keras = network.keras
    backend = sys.modules[keras.backend.backend()]
    device, commit = network.device(), None
    with contextlib.suppress(OSError):  # git may not be installed
        commit = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
                                cwd=Path(__file__).parent, capture_output=True, text=True).stdout.strip() or None
    if device == "CPU":
        device = f"CPU, {os.cpu_count()} cores"
        if shutil.which("nvidia-smi"):  # it comes with the driver
            device += f" (there is an NVIDIA card, but {keras.backend.backend()} does not see it: README.md, GPU)"
    return {
        "device": device,
        "versions": {"python": platform.python_version(), keras.backend.backend(): backend.__version__,
                     "keras": keras.__version__, "numpy": np.__version__, "opencv": cv2.__version__},
        "commit": commit,
    }


def summary(run, settings, record):
    """The closing lines: what was trained where, how well it does, and what to run next."""
    last, val_iou = run.history[-1], metrics.iou(run.validation[1], metrics.predicted(run.probabilities))
    name = "U-Net" if settings.network == "unet" else f"Network '{settings.network}'"
    lines = [
        f"{name} with {run.model.count_params():,} parameters, {settings.samples} training "
        f"image{'s' if settings.samples > 1 else ''}, {settings.steps} steps",
        f"device          {record['device']}: training {last['seconds']:.0f} s, "
        f"{time.perf_counter() - STARTED:.0f} s in all",
        f"train IoU       {last['train_iou']:.3f}",
        f"validation IoU  {last['val_iou_mean']:.3f} mean, {last['val_iou_min']:.3f} worst "
        f"({Path(settings.output, 'val', f'X_{val_iou.argmin() + 1}.png')}) of {len(val_iou)} images it never saw",
    ]
    complaint = metrics.complaint(run.validation[1], run.probabilities)
    # the interpreter of a virtual environment that may not be activated, if it lies here
    python = Path(sys.executable)
    python = python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else "python"
    next_command = f"{python} test.py"
    if settings.output != Settings.output:
        next_command += f" --output {shlex.quote(settings.output)}"
    return [*lines, *([complaint] if complaint else []),
            f"look at {Path(settings.output) / 'progress.png'}, then run: {next_command}"]


def main():
    settings = Settings(**parse(__doc__, ("run", "data", "training")))
    for folder in ("", "train", "val"):
        check_folder(Path(settings.output, folder), "--output")
    with Screen(settings) as screen:
        record = describe_machine()
        imported = time.perf_counter() - STARTED
        run = train(settings, screen)
    run.seconds["import"] = round(imported, 6)
    save(run, settings, record)
    print("\n".join(summary(run, settings, record)))


if __name__ == "__main__":
    run_script(main)
