"""What a GPU gives on each backend that is installed, once, in under 8 minutes.

Its table is also output/bench_gpu.md. It runs on a CPU too, where it takes longer.
"""

import contextlib
import dataclasses
import functools
import importlib.util
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np

import train
from bench.measurements import REPOSITORY, isolated, seconds, step_and_floor
from common.files import read_table, write_bytes
from common.settings import training_flags
from common.steps import make_steps, steps_at_once
from data import create_data

BACKENDS = ("jax", "torch", "tensorflow")  # those first of which most is asked
LATER = 3  # runs after the first, of which the median counts
LOOKS = 4  # times that as many steps as are done at once are timed
SEEDS = 5  # for what half precision loses
PROCESSES = 8  # trainings at a time
LONGEST = 120  # seconds after which nothing more is begun on a backend
# The columns of the table, each a row of the CSV for each backend.
COLUMNS = ("first run", "later runs", "test.py", "step", "step, half the width", "step by itself",
           "floor of a step", "images", "peak memory of the GPU", "same bits", "validation IoU",
           "deterministic: step", "deterministic: same bits", "bfloat16: step",
           "bfloat16: IoU less", "study")


def on_backend(backend, settings, options):
    """What a GPU gives on a backend; nothing more is begun after LONGEST seconds.

    A part that fails shows its traceback, and the others go on: there may be no second try.
    """
    if importlib.util.find_spec(backend) is None:
        print(f"  left out, for {backend} is not installed", flush=True)
        return {}
    rows, started = {}, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, in_environment(backend, folder):
        for part in (of_scripts, of_steps, of_the_same_bits, of_half_precision, of_the_study):
            if time.perf_counter() - started > LONGEST:
                print(f"  left out, for time is short: {part.__doc__}", flush=True)
                continue
            print(f"  {part.__doc__}", flush=True)
            try:
                measured = part(settings, Path(folder))
            except Exception:
                traceback.print_exc()
                continue
            for (name, unit), value in measured.items():
                rows[f"{backend}, {name}", unit] = value
    return rows


# `python -m bench gpu` stands for these.
GROUPS = {f"gpu {backend}": functools.partial(on_backend, backend) for backend in BACKENDS}


@contextlib.contextmanager
def in_environment(backend, folder):
    """Processes that start meanwhile use this backend, and find nothing compiled before."""
    before = dict(os.environ)
    os.environ.update(KERAS_BACKEND=backend, XDG_CACHE_HOME=folder)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def of_scripts(settings, folder):
    """train.py for the first time and later, and test.py."""
    output = folder / "scripts"
    times = [train_script(settings, output) for _ in range(1 + LATER)]
    test_flags = ["--output", str(output), "--vis", str(folder / "vis")]
    return {
        ("first run", "s"): times[0],
        ("later runs", "s"): statistics.median(times[1:]),
        ("test.py", "s"): script("test.py", *test_flags),
        ("validation IoU", ""): float(read_table(output / "history.csv")[-1]["val_iou_mean"]),
    }


def of_the_same_bits(settings, folder):
    """Whether two runs end with the same bits, as they are and with --deterministic; its step."""
    exactly = dataclasses.replace(settings, deterministic=True)
    rows = {}
    for prefix, changed in (("", settings), ("deterministic: ", exactly)):
        pair = folder / "one", folder / "other"
        for output in pair:
            train_script(changed, output)
        rows[f"{prefix}same bits", ""] = isolated(same_weights, *pair)
    rows["deterministic: step", "ms"] = isolated(step_at_once, exactly)[0] * 1e3
    return rows


def train_script(settings, output):
    """Seconds that train.py takes with these settings."""
    changed = dataclasses.replace(settings, output=str(output))
    return script("train.py", *shlex.split(" ".join(training_flags(changed))))


def script(name, *flags):
    """Seconds that a script takes, with a Python and a backend of its own."""
    command = [sys.executable, REPOSITORY / name, *flags]
    return seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))


def same_weights(one, other):
    """1 if the networks in two folders have the same weights, bit for bit, else 0."""
    from common import model_file

    networks = [model_file.load(folder / "model.keras").get_weights() for folder in (one, other)]
    return int(all(map(np.array_equal, *networks)))


def of_steps(settings, folder):
    """A step by itself and many at once, its floor, prediction, and the memory of the GPU."""
    half = dataclasses.replace(settings, width=settings.width / 2)
    by_itself, floor, image, _ = isolated(step_and_floor, settings, 20, 100)
    step, memory = isolated(step_at_once, settings)
    rows = {
        ("step", "ms"): step * 1e3,
        ("step, half the width", "ms"): isolated(step_at_once, half)[0] * 1e3,
        ("step by itself", "ms"): by_itself * 1e3,
        ("floor of a step", "ms"): floor * 1e3,
        ("images", "images/s"): 1 / image,
    }
    if memory:
        rows["peak memory of the GPU", "GB"] = memory / 1e9
    return rows


def step_at_once(settings):
    """Seconds of a step where as many are done at once as train.py does, and the GPU's memory."""
    X, Y = create_data(1, settings)
    network = train.compile_network(settings, X, Y)
    samples = train.samples_in_turn(settings, X, Y)
    at_once = steps_at_once(*settings.size)
    take_steps = make_steps(network, settings, at_once)
    take_steps(samples, at_once)  # traces
    times = [seconds(lambda: take_steps(samples, at_once)) for _ in range(LOOKS)]
    return statistics.median(times) / at_once, gpu_memory()


def gpu_memory():
    """The most bytes of a GPU that this process held at a time; 0 on a CPU."""
    from common.backend import device, keras

    backend = keras.backend.backend()
    if device() == "CPU":
        return 0
    if backend == "jax":
        import jax

        return jax.local_devices()[0].memory_stats()["peak_bytes_in_use"]
    if backend == "torch":
        import torch

        return torch.cuda.max_memory_allocated()
    import tensorflow

    return tensorflow.config.experimental.get_memory_info("GPU:0")["peak"]


def of_half_precision(settings, folder):
    """What bfloat16 gains, and what it loses in IoU."""
    half = dataclasses.replace(settings, precision="mixed_bfloat16")
    step, _ = isolated(step_at_once, half)
    lost = isolated(unseen_iou, settings) - isolated(unseen_iou, half)
    return {("bfloat16: step", "ms"): step * 1e3, ("bfloat16: IoU less", ""): lost}


def unseen_iou(settings):
    """The mean validation IoU of SEEDS trainings."""
    scores = []
    for seed in range(SEEDS):
        run = train.train(dataclasses.replace(settings, seed=seed))
        scores.append(run.history[-1]["val_iou_mean"])
    return statistics.mean(scores)


def of_the_study(settings, folder):
    """Rows a minute of the study, several trainings at a time."""
    words = ["results", "--only", "this recipe", "--seeds", str(PROCESSES // 2)]
    words += ["--processes", str(PROCESSES), "--output", str(folder / "study")]
    command = [sys.executable, "-m", "study", *words]
    took = seconds(lambda: subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, cwd=REPOSITORY))
    return {("study", "rows a minute"): 60 * PROCESSES / took}


def write_report(summary, path):
    """The rows of the benchmark, as `bench.__main__.summarise` makes them, as a table in Markdown.

    One column for each backend; PyTorch's own steps below.
    """
    values = {}
    for row in summary:
        values[row["row"]] = f"{float(row['median']):.3g} {row['unit']}".strip()
    measured = {name.partition(",")[0] for name in values}
    found = [backend for backend in BACKENDS if backend in measured]
    lines = [f"| | {' | '.join(found)} |", "|---" * (1 + len(found)) + "|"]
    for column in COLUMNS:
        cells = [values.pop(f"{backend}, {column}", "") for backend in found]
        lines.append(f"| {column} | {' | '.join(cells)} |")
    others = [f"* {row}: {value}" for row, value in values.items()]
    write_bytes(path, "\n".join([*lines, "", *others, ""]).encode())
