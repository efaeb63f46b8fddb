"""The U-Net of model.py and its training step in PyTorch; imported where that is installed."""

import numpy as np
import torch
from torch import nn


def double_convolution(channels, filters):
    """Two 3x3 ReLU convolutions."""
    return nn.Sequential(
        nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(filters, filters, 3, padding=1), nn.ReLU(inplace=True))


class UNet(nn.Module):
    """Grey values (n, 1, height, width) -> logits of the same shape.

    filters: of each level, down, at the bottom and up; mean, deviation: of the grey values. Where
    the weights start does not change the time of a step, and is PyTorch's own.
    """

    def __init__(self, filters, mean, deviation):
        super().__init__()
        self.mean, self.deviation = mean, deviation
        depth, channels = len(filters) // 2, 1
        self.down = nn.ModuleList()
        for number in filters[:depth]:
            self.down.append(double_convolution(channels, number))
            channels = number
        self.bottom = double_convolution(channels, filters[depth])
        channels = filters[depth]
        self.up = nn.ModuleList()
        for skip, number in zip(filters[depth - 1 :: -1], filters[depth + 1 :], strict=True):
            self.up.append(double_convolution(channels + skip, number))
            channels = number
        self.output = nn.Conv2d(channels, 1, 1)

    def forward(self, x):
        x = (x - self.mean) / self.deviation
        across = []
        for level in self.down:
            across.append(level(x))
            x = nn.functional.max_pool2d(across[-1], 2)
        x = self.bottom(x)
        for level in self.up:
            x = nn.functional.interpolate(x, scale_factor=2, mode="nearest")
            x = level(torch.cat([x, across.pop()], 1))
        return self.output(x)


def training_step(settings, X, Y, network, channels_last, fused, compiled=False):
    """A function that trains a network by one step on the sample X, Y; returns the loss.

    X, Y: float32 (1, height, width, 1).
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = network.to(device, memory_format=layout)
    forward = torch.compile(network, mode="reduce-overhead") if compiled else network

    def tensor(array):
        channels_first = np.moveaxis(array, 3, 1).copy()
        return torch.from_numpy(channels_first).to(device, memory_format=layout)

    X, Y = tensor(X), tensor(Y)
    Y = Y * (1 - settings.label_smoothing) + settings.label_smoothing / 2
    biases = [variable for variable in network.parameters() if variable.ndim == 1]
    kernels = [variable for variable in network.parameters() if variable.ndim > 1]
    bias_rate = settings.learning_rate * settings.bias_rate
    optimizer = torch.optim.Adam(
        [{"params": kernels}, {"params": biases, "lr": bias_rate}],
        settings.learning_rate, eps=1e-7, fused=fused)  # Keras' epsilon

    def step():
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(forward(X), Y)
        loss.backward()
        if settings.clip_norm:
            nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
        optimizer.step()
        return loss.item()

    return step
