"""Run a script on PyTorch as on a GPU in one respect: tensors and arrays of NumPy do not meet.

Only the main thread is watched.

    python tests/refusing_numpy.py train.py --steps 2
"""

import runpy
import sys
from pathlib import Path

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as trees

LEAVING = (torch.Tensor.__array__, torch.Tensor.numpy)
TAKING = (torch.tensor, torch.as_tensor, torch.from_numpy)  # these make a tensor of an array


class RefusingNumPy(TorchFunctionMode):
    """While this is active, only Keras may turn one into the other, as it does on a GPU."""

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        keywords = keywords or {}
        leaves = trees.tree_leaves((arguments, keywords))
        met = any(isinstance(leaf, np.ndarray) for leaf in leaves) and function not in TAKING
        if (met or function in LEAVING) and caller() != "keras":
            raise TypeError(f"{function} of PyTorch, and an array of NumPy")
        return function(*arguments, **keywords)


def caller():
    """The package whose code called PyTorch."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename == __file__ or package(frame) == "torch":
        frame = frame.f_back
    return package(frame)


def package(frame):
    """The package of a frame's code."""
    return frame.f_globals["__name__"].partition(".")[0]


if __name__ == "__main__":
    _, name, *flags = sys.argv
    repository = Path(__file__).resolve().parent.parent
    sys.path.insert(0, str(repository))
    path = str(repository / name)
    sys.argv = [path, *flags]
    with RefusingNumPy():
        if name.endswith(".py"):
            runpy.run_path(path, run_name="__main__")
        else:
            runpy.run_module(name, run_name="__main__", alter_sys=True)
