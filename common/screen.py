"""What one sees while a script runs, and what took how long."""

import contextlib
import os
import shlex
import sys
import time
from pathlib import Path

from common import metrics
from common.settings import Settings

STARTED = time.perf_counter()


@contextlib.contextmanager
def silent():
    """Keep what compiled code writes to stderr off the screen, where no log level does."""
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


class Stopwatch(dict):
    """Seconds spent on each part of a run, by name: `with seconds("steps"): ...` adds to one."""

    @contextlib.contextmanager
    def __call__(self, part):
        started = time.perf_counter()
        try:
            yield
        finally:
            self[part] = round(self.get(part, 0) + time.perf_counter() - started, 6)


class Screen:
    """In a terminal a bar that counts to `total`, with words after it; in a file plain lines."""

    def __init__(self, name, total, done=0):
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.progress import TimeElapsedColumn, TimeRemainingColumn

        self.terminal, self.total, self.done = sys.stdout.isatty(), total, done
        # Refreshed by hand: a thread of its own would compete with the training.
        self.bar = Progress(
            TextColumn(f"{name} {{task.completed}}/{{task.total}}"), BarColumn(10),
            TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.description}"),
            auto_refresh=False, disable=not self.terminal, speed_estimate_period=24 * 3600)
        self.task = self.bar.add_task("", total=total, completed=done)

    def __enter__(self):
        self.bar.start()
        return self

    def __exit__(self, *_):
        self.bar.stop()

    def show(self, done, words=""):
        """Move the bar, with these words after it."""
        self.done = done
        self.bar.update(self.task, completed=done, description=words, refresh=True)

    def line(self, text, stream=None):
        """Print a line above the bar, in a file to `stream`, else to stdout."""
        if self.terminal:
            self.bar.console.print(text, highlight=False, markup=False, soft_wrap=True)
        else:
            print(text, file=stream or sys.stdout, flush=True)

    def training(self, step, row):
        """Show a step of a training and the latest row of its history.

        In a file that is a line whenever the row is new.
        """
        scores = (f"IoU train {row['train_iou']:.3f}, "
                  f"{row['val_images']} unseen images {row['val_iou_mean']:.3f}")
        self.show(step, scores)
        if not self.terminal and row["step"] == step:
            self.line(f"step {step:>5}  {row['seconds']:7.1f} s  loss {row['loss']:.4f}  {scores}")


def closing_words(run, settings, record):
    """The last lines of a `train.Run`: what was trained where, how well it does, what is next."""
    last, (_, Y_val) = run.history[-1], run.validation
    worst = metrics.iou(Y_val, metrics.predicted(run.probabilities)).argmin() + 1
    lines = [
        f"{network_name(settings)} with {run.network.count_params():,} parameters, "
        f"{settings.samples} training image{'s' if settings.samples > 1 else ''}, "
        f"{settings.steps} steps",
        f"device          {record['device']}: training {last['seconds']:.0f} s, "
        f"{time.perf_counter() - STARTED:.0f} s in all",
        f"train IoU       {last['train_iou']:.3f}",
        f"validation IoU  {last['val_iou_mean']:.3f} mean, {last['val_iou_min']:.3f} worst "
        f"({Path(settings.output, 'val', f'X_{worst}.png')}) of {len(Y_val)} images it never saw",
        metrics.complaint(Y_val, run.probabilities),
        f"look at {Path(settings.output) / 'progress.png'}, then run: "
        f"{command('test.py', settings)}",
    ]
    return [line for line in lines if line]


def network_name(settings):
    """What the network is called in words."""
    return "U-Net" if settings.network == "unet" else f"Network '{settings.network}'"


def command(script, settings):
    """How a script is run on what was left: 'venv/bin/python test.py --output folder'."""
    python = Path(sys.executable)  # of a virtual environment that may not be activated
    here = python.is_relative_to(Path.cwd())
    words = [str(python.relative_to(Path.cwd())) if here else "python", script]
    if settings.output != Settings.output:
        words.append(f"--output {shlex.quote(settings.output)}")
    return " ".join(words)
