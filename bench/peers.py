"""A training step in PyTorch beside ours: the same network, loss, clipping and optimiser."""

import concurrent.futures
import contextlib
import importlib.util
import multiprocessing
import os
import statistics

import train
from bench.measurements import seconds
from common.settings import Settings
from common.steps import make_steps, steps_at_once
from data import create_data
from study.processes import end_with

# How PyTorch can compute it: the layout of its images, and Adam in one pass over the memory.
PEERS = {
    "PyTorch": dict(channels_last=False, fused=False),
    "PyTorch, fused Adam": dict(channels_last=False, fused=True),
    "PyTorch, channels last": dict(channels_last=True, fused=False),
    "PyTorch, both": dict(channels_last=True, fused=True),
}
# On a GPU alone: the step compiled, as graphs of CUDA where PyTorch can.
COMPILED = {"PyTorch, compiled": dict(channels_last=True, fused=True, compiled=True)}
# PyTorch's step is written for the defaults of these.
SAME = ("network", "padding", "precision", "deterministic", "loss", "optimizer", "augment",
        "supervised_pixels")
# So many of each; the first turn is to warm up, and so is the first step of every turn.
TURNS, STEPS = 6, 4
step, at_once = None, 1  # of the process that `prepare` was called in; steps of one call


def peers(settings, options):
    """A step beside PyTorch's, plain and made faster, in processes that take turns."""
    if importlib.util.find_spec("torch") is None:
        print("  left out, for PyTorch is not installed; run pip install torch", flush=True)
        return {}
    if any(getattr(settings, name) != getattr(Settings, name) for name in SAME):
        print(f"  left out, for PyTorch's step is there for the defaults of {', '.join(SAME)} only")
        return {}
    import torch

    others = {**PEERS, **COMPILED} if torch.cuda.is_available() else PEERS
    import model  # not in PyTorch's processes: they are as PyTorch starts them, without Keras

    X, Y = create_data(1, settings)
    levels = (*model.DOWN, model.BOTTOM, *model.UP)
    filters = [model.scaled(number, settings) for number in levels]
    arguments = settings, model.pad(X), model.pad(Y), filters
    timed, pools = {name: [] for name in ("ours", *others)}, {}
    spawn = multiprocessing.get_context("spawn")
    with contextlib.ExitStack() as stack:
        for name in timed:
            pools[name] = stack.enter_context(
                concurrent.futures.ProcessPoolExecutor(1, spawn, prepare, (name, *arguments)))
        for turn in range(TURNS):
            for name, pool in [*pools.items()]:
                try:
                    turn_seconds = pool.submit(timed_steps).result()
                except Exception as error:  # torch.compile needs a compiler of C
                    print(f"  {name} is left out: {error}", flush=True)
                    del pools[name], timed[name]
                    continue
                if turn > 0:
                    timed[name] += turn_seconds
    median = {name: statistics.median(values) for name, values in timed.items()}
    rows = {(f"step, {name}", "ms"): value * 1e3 for name, value in median.items()}
    ours = median.pop("ours", None)
    if ours and median:
        rows["step, ours / the best of PyTorch", ""] = ours / min(median.values())
    return rows


def prepare(name, settings, X, Y, filters):
    """Make `step` a training step on the sample X, Y: ours, or one of PEERS."""
    global step, at_once
    end_with(os.getppid())
    if name == "ours":
        network = train.compile_network(settings, X, Y)
        samples = train.samples_in_turn(settings, X, Y)
        at_once = steps_at_once(*settings.size)
        take_steps = make_steps(network, settings, at_once)

        def step():
            return take_steps(samples, at_once)
    else:
        from bench.torch_step import UNet, training_step

        network = UNet(filters, X.mean(), X.std())
        step = training_step(settings, X, Y, network, **{**PEERS, **COMPILED}[name])


def timed_steps():
    """Seconds of each step of a turn in this process, but for the first."""
    return [seconds(step) / at_once for _ in range(STEPS)][1:]
