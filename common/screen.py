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
    """Seconds spent on each part of a run, by name; `with watch("steps"): ...` adds to one of them."""

    @contextlib.contextmanager
    def __call__(self, part):
        started = time.perf_counter()
        try:
            yield
        finally:
            self[part] = round(self.get(part, 0) + time.perf_counter() - started, 6)


class Screen:
    """In a terminal a bar that counts to `total`, with words after it; lines above it, which in a file stand alone."""

    def __init__(self, name, total, done=0):
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self.terminal, self.total, self.done, self.first = sys.stdout.isatty(), total, done, None
        # refreshed by hand: a thread of its own would compete with the training
        self.bar = Progress(TextColumn(f"{name} {{task.completed}}/{{task.total}}"), BarColumn(16), TimeElapsedColumn(),
                            TimeRemainingColumn(), TextColumn("{task.description}"), auto_refresh=False,
                            disable=not self.terminal, speed_estimate_period=24 * 3600)
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
        """Show a step of a training and the latest row of its history, which in a file is a line when it is new."""
        scores = (f"loss {row['loss']:.4f}  IoU train {row['train_iou']:.3f} val {row['val_iou_mean']:.3f} "
                  f"({row['val_images']})")
        self.show(step, scores)
        if not self.terminal and row["step"] == step:
            self.line(f"step {step:>5}  {row['seconds']:7.1f} s  {scores}")

    def own_training(self, step, row):
        """The same of a training on one's own images, of which the first row comes after a while."""
        if step and not self.first:  # it took longer than those that follow
            self.first = step, time.perf_counter()
        words = f"loss {row['loss']:.4f}" if row else ""
        self.show(step, words)
        if row and not self.terminal and row["step"] == step:
            first, started = self.first
            left = (time.perf_counter() - started) / max(1, step - first) * (self.total - step)
            self.line(f"step {step:>5}  {row['seconds']:7.1f} s  {words}  about {left:.0f} s left")


def closing_words(run, settings, record):
    """The last lines of a `train.Run`: what was trained where, how well it does, and what to run next, as a list."""
    last, val_iou = run.history[-1], metrics.iou(run.validation[1], metrics.predicted(run.probabilities))
    lines = [
        f"{network_name(settings)} with {run.network.count_params():,} parameters, {settings.samples} training "
        f"image{'s' if settings.samples > 1 else ''}, {settings.steps} steps",
        f"device          {record['device']}: training {last['seconds']:.0f} s, "
        f"{time.perf_counter() - STARTED:.0f} s in all",
        f"train IoU       {last['train_iou']:.3f}",
        f"validation IoU  {last['val_iou_mean']:.3f} mean, {last['val_iou_min']:.3f} worst "
        f"({Path(settings.output, 'val', f'X_{val_iou.argmin() + 1}.png')}) of {len(val_iou)} images it never saw",
    ]
    complaint = metrics.complaint(run.validation[1], run.probabilities)
    return [*lines, *([complaint] if complaint else []),
            f"look at {Path(settings.output) / 'progress.png'}, then run: {next_command(settings)}"]


def own_closing_words(run, settings, record):
    """The same of a `train.OwnRun`, with what it does not say."""
    names = [os.path.basename(path) for path in settings.image]
    return [
        f"{network_name(settings)} with {run.network.count_params():,} parameters, {len(names)} labelled "
        f"image{'s' if len(names) > 1 else ''}, {settings.steps} steps",
        f"device          {record['device']}: training {run.history[-1]['seconds']:.0f} s, "
        f"{time.perf_counter() - STARTED:.0f} s in all",
        *(f"fit of {name}: IoU {iou:.3f}{' on what is painted' if (mask < 0).any() else ''}"
          for name, iou, (_, mask) in zip(names, run.iou, run.labelled, strict=True)),
        *run.complaints[:1],
        "How well it does on others cannot be known from this: look at them, or give test.py masks of a few (--masks)",
        f"look at {Path(settings.output) / 'fit.png'}, then run: {next_command(settings)} --folder FOLDER",
    ]


def network_name(settings):
    """What the network is called in words."""
    return "U-Net" if settings.network == "unet" else f"Network '{settings.network}'"


def next_command(settings):
    """How test.py is run after a training, by the interpreter of a virtual environment that may not be activated."""
    python = Path(sys.executable)
    python = python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else "python"
    output = f" --output {shlex.quote(settings.output)}" if settings.output != Settings.output else ""
    return f"{python} test.py{output}"
