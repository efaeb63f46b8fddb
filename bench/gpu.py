"""Each installed backend on a GPU, measured once, in under 8 minutes.

What could be measured stands in output/bench_gpu.md after each part: there may be no second try.
"""

import contextlib
import dataclasses
import functools
import importlib.util
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import traceback
from pathlib import Path

import numpy as np

import train
from bench import peers
from bench.measurements import REPOSITORY, isolated, seconds, step_and_floor
from common.files import read_table, write_bytes
from common.settings import training_flags
from common.steps import make_steps, steps_at_once
from data import create_data

BACKENDS = ("jax", "torch", "tensorflow")
LATER = 3  # runs after the first, of which the median counts
LOOKS = 4  # times that as many steps as are done at once are timed
SEEDS = 5  # for what half precision loses
PROCESSES, ROWS = 8, 3  # trainings at a time, and so many one after the other
LONGEST = 400  # seconds after which no part is begun
PATIENCE = 120  # seconds for a script
COLUMNS = (
    "first run", "later runs", "test.py", "validation IoU", "step", "step, half the width",
    "step by itself", "floor of a step", "images", "peak memory of the GPU",
    "same bits, compiled once", "same bits, compiled twice", "deterministic: same bits",
    "deterministic: step", "without nondeterministic kernels: step", "bfloat16: step",
    "bfloat16: IoU less", "study")


def measured(backend, part, settings, options):
    """The rows of a part on a backend; none where that is not installed, or sees no card."""
    if importlib.util.find_spec(backend) is None:
        print(f"  left out, for {backend} is not installed", flush=True)
        return {}
    folder = Path(settings.output, "bench_gpu", backend).absolute()
    rows = {}
    with in_environment(KERAS_BACKEND=backend, XDG_CACHE_HOME=str(folder)):
        try:
            if part is not of_scripts:
                check_card(backend, folder)
            for (name, unit), value in part(settings, folder).items():
                rows[f"{backend}, {name}", unit] = value
        except Exception:  # the other parts go on
            traceback.print_exc()
    return rows


def check_card(backend, folder):
    """Raise RuntimeError if there is a card, and `of_scripts` did not run on it."""
    device, _ = device_of(folder)
    if device.startswith("CPU") and shutil.which("nvidia-smi"):
        raise RuntimeError(f"{backend} does not see the card")


def device_of(folder):
    """The device and the versions that a run of `of_scripts` names."""
    record = json.loads((folder / "even" / "settings.json").read_text())
    return record["device"], record["versions"]


@contextlib.contextmanager
def in_environment(**variables):
    """Processes that start meanwhile find these environment variables."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def of_scripts(settings, folder):
    """train.py for the first time and later, and test.py."""
    shutil.rmtree(folder, ignore_errors=True)  # nothing is compiled yet
    outputs = folder / "even", folder / "odd"
    times = [train_script(settings, outputs[number % 2]) for number in range(1 + LATER)]
    test_flags = ["--output", str(outputs[0]), "--vis", str(folder / "vis")]
    last = read_table(outputs[0] / "history.csv")[-1]
    return {
        ("first run", "s"): times[0],
        ("later runs", "s"): statistics.median(times[1:]),
        ("test.py", "s"): script("test.py", *test_flags),
        ("validation IoU", ""): float(last["val_iou_mean"]),
        ("same bits, compiled once", ""): isolated(same_weights, *outputs),
    }


def train_script(settings, output):
    """Seconds that train.py takes with these settings."""
    changed = dataclasses.replace(settings, output=str(output))
    return script("train.py", *shlex.split(" ".join(training_flags(changed))))


def script(name, *flags):
    """Seconds that a script takes, with a Python and a backend of its own."""
    command = [sys.executable, REPOSITORY / name, *flags]
    return seconds(lambda: subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE))


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


def of_the_same_bits(settings, folder):
    """Whether two runs that compile anew have the same weights; what --deterministic costs."""
    exactly = dataclasses.replace(settings, deterministic=True)
    rows = {("same bits, compiled twice", ""): same_compiled_twice(settings, folder)}
    rows["deterministic: same bits", ""] = same_compiled_twice(exactly, folder)
    rows["deterministic: step", "ms"] = isolated(step_at_once, exactly)[0] * 1e3
    if os.environ["KERAS_BACKEND"] == "jax":
        # Beside --deterministic, which tunes no kernels either.
        with in_environment(XLA_FLAGS="--xla_gpu_exclude_nondeterministic_ops=true"):
            step, _ = isolated(step_at_once, settings)
        rows["without nondeterministic kernels: step", "ms"] = step * 1e3
    return rows


def same_compiled_twice(settings, folder):
    """1 if two runs that each compile for themselves have the same weights, else 0."""
    outputs = folder / "one", folder / "other"
    for output in outputs:
        shutil.rmtree(output, ignore_errors=True)
        with in_environment(XDG_CACHE_HOME=str(output)):
            train_script(settings, output)
    return isolated(same_weights, *outputs)


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
    """Rows a minute of the study, several trainings at a time; always of the default's settings."""
    rows = PROCESSES * ROWS
    words = ["results", "--only", "this recipe", "--seeds", str(rows // 2)]  # with two fills each
    words += ["--processes", str(PROCESSES), "--output", str(folder / "study")]
    command = [sys.executable, "-m", "study", *words]
    took = seconds(lambda: subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, cwd=REPOSITORY, timeout=PATIENCE))
    return {("study", "rows a minute"): 60 * rows / took}


def beside_torch(settings, options):
    """PyTorch's own step, and ours on JAX where that is installed."""
    backend = "jax" if importlib.util.find_spec("jax") else "torch"
    with in_environment(KERAS_BACKEND=backend):
        return peers.peers(settings, options)


PARTS = {"scripts": of_scripts, "step": of_steps, "bits": of_the_same_bits,
         "half": of_half_precision, "study": of_the_study}


def groups():
    """What `python -m bench gpu` measures, {name: function of settings and options}, in order."""
    found = {}
    for backend in BACKENDS:
        for name, part in PARTS.items():
            found[f"{backend} {name}"] = functools.partial(measured, backend, part)
        found.setdefault("gpu peers", beside_torch)  # after the first of the backends
    return found


GROUPS = groups()


def devices(output):
    """Where each backend ran, {backend: its device and versions as text}."""
    found = {}
    for backend in BACKENDS:
        folder = Path(output, "bench_gpu", backend)
        if (folder / "even" / "settings.json").exists():
            device, versions = device_of(folder)
            names = (f"{name} {version}" for name, version in versions.items())
            found[backend] = ", ".join([device, *names])
    return found


def write_report(summary, path):
    """The rows of the benchmark, as `bench.__main__.summarise` makes them, as a table in Markdown.

    A column for each backend; PyTorch's own steps below.
    """
    values = {}
    for row in summary:
        values[row["row"]] = f"{float(row['median']):.3g} {row['unit']}".strip()
    measured_on = {name.partition(",")[0] for name in values}
    found = devices(path.parent)
    for backend in set(found) - measured_on:  # of an earlier run
        del found[backend]
    lines = [f"* {backend}: {device}" for backend, device in found.items()]
    lines += ["", f"| | {' | '.join(found)} |", "|---" * (1 + len(found)) + "|"]
    for column in COLUMNS:
        cells = [values.pop(f"{backend}, {column}", "") for backend in found]
        lines.append(f"| {column} | {' | '.join(cells)} |")
    others = [f"* {row}: {value}" for row, value in values.items()]
    write_bytes(path, "\n".join([*lines, "", *others, ""]).encode())
