"""A training step in PyTorch beside ours: the same network, loss, clipping and optimiser, in turn."""

import concurrent.futures
import contextlib
import importlib.util
import itertools
import multiprocessing
import statistics
import time

import numpy as np

import train
from common.settings import Settings
from data import create_data

# How PyTorch can compute it: the layout of its images, and Adam in one pass over the memory.
PEERS = {
    "PyTorch": dict(channels_last=False, fused=False), "PyTorch, fused Adam": dict(channels_last=False, fused=True),
    "PyTorch, channels last": dict(channels_last=True, fused=False),
    "PyTorch, both": dict(channels_last=True, fused=True),
}
# What PyTorch's step is written for: the defaults of these.
SAME = ("network", "padding", "precision", "loss", "optimizer", "augment", "supervised_pixels")
TURNS, STEPS = 6, 4  # of each; the first turn is to warm up, and so is the first step of every turn
step = None  # of the process that `prepare` was called in


def peers(settings, repeat):
    """A step beside PyTorch's, plain and made faster in two ways, in processes of their own that take turns."""
    if importlib.util.find_spec("torch") is None:
        print("  PyTorch is not installed, so there is nothing to compare with; run pip install torch", flush=True)
        return {}
    if any(getattr(settings, name) != getattr(Settings, name) for name in SAME):
        print(f"  PyTorch's step is there for the defaults of {', '.join(SAME)} only, and left out", flush=True)
        return {}
    import model  # not in PyTorch's processes: they are as PyTorch starts them, without Keras

    X, Y = create_data(1, settings)
    filters = [[model.scaled(number, settings) for number in of] for of in (model.DOWN, (model.BOTTOM,), model.UP)]
    sample = model.pad(X), model.pad(Y), X.mean(), X.std(), model.initial_logit(settings, Y.mean())
    taken = {name: [] for name in ("ours", *PEERS)}
    with contextlib.ExitStack() as stack:
        pools = {name: stack.enter_context(concurrent.futures.ProcessPoolExecutor(
            1, multiprocessing.get_context("spawn"), prepare, (settings, name, filters, sample))) for name in taken}
        for _ in range(TURNS):
            for name, pool in pools.items():
                taken[name].append(pool.submit(timed_steps).result())
    median = {name: statistics.median(itertools.chain(*turns[1:])) for name, turns in taken.items()}
    best = min(median[name] for name in PEERS)
    return {**{(f"step, {name}", "ms"): seconds * 1e3 for name, seconds in median.items()},
            ("step, ours / the best of PyTorch", ""): median["ours"] / best}


def prepare(settings, name, filters, sample):
    """Make `step` the training step of ours, or of one of PEERS."""
    global step
    X, Y, mean, deviation, logit = sample
    if name == "ours":
        step = our_step(settings, X, Y)
    else:
        step = torch_step(settings, X, Y, torch_network(filters, mean, deviation, logit), **PEERS[name])


def our_step(settings, X, Y):
    """A function that trains our network by one step on the sample X, Y, and returns the loss, a number."""
    network, samples = train.compiled(settings, X, Y), train.samples_in_turn(settings, X, Y)
    return lambda: network.train_on_batch(*next(samples))


def timed_steps():
    """Seconds that the steps of a turn take in this process, but for the first."""
    times = [time.perf_counter()]
    for _ in range(STEPS):
        step()
        times.append(time.perf_counter())
    return [after - before for before, after in itertools.pairwise(times)][1:]


def torch_step(settings, X, Y, network, channels_last, fused):
    """A function that trains a PyTorch network by one step on the sample X, Y, and returns the loss, a number."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = network.to(device, memory_format=layout)
    X, Y = (torch.from_numpy(np.moveaxis(array, 3, 1).copy()).to(device, memory_format=layout)
            for array in (X, Y))
    Y = Y * (1 - settings.label_smoothing) + settings.label_smoothing / 2
    kernels, biases = ([variable for variable in network.parameters() if (variable.ndim == 1) == of_biases]
                       for of_biases in (False, True))
    groups = [{"params": kernels}, {"params": biases, "lr": settings.learning_rate * settings.bias_rate}]
    optimizer = torch.optim.Adam(groups, settings.learning_rate, eps=1e-7, fused=fused)  # Keras' epsilon

    def train_step():
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(X), Y)
        loss.backward()
        if settings.clip_norm:
            torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
        optimizer.step()
        return loss.item()

    return train_step


def torch_network(filters, mean, deviation, logit):
    """The U-Net of model.py in PyTorch: grey values (n, 1, height, width) -> logits of the same shape.

    filters: of the levels down, of the bottom and of the levels up; mean, deviation: of the training image; logit: the
    bias of the output.
    """
    import torch
    from torch import nn

    down, (bottom,), up = filters

    def double_convolution(channels, filters):
        layers = []
        for inputs in (channels, filters):
            layers += [nn.Conv2d(inputs, filters, 3, padding=1), nn.ReLU(inplace=True)]
            nn.init.kaiming_normal_(layers[-2].weight, nonlinearity="relu")
            nn.init.zeros_(layers[-2].bias)
        return nn.Sequential(*layers)

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.down = nn.ModuleList(map(double_convolution, [1, *down[:-1]], down))
            self.bottom = double_convolution(down[-1], bottom)
            below = [bottom, *up[:-1]]
            self.up = nn.ModuleList(double_convolution(a + b, filters)
                                    for a, b, filters in zip(below, reversed(down), up, strict=True))
            self.output = nn.Conv2d(up[-1], 1, 1)
            nn.init.constant_(self.output.bias, logit)

        def forward(self, x):
            x, across = (x - mean) / deviation, []
            for double in self.down:
                across.append(double(x))
                x = nn.functional.max_pool2d(across[-1], 2)
            x = self.bottom(x)
            for double in self.up:
                x = nn.functional.interpolate(x, scale_factor=2, mode="nearest")
                x = double(torch.cat([x, across.pop()], 1))
            return self.output(x)

    return UNet()
