"""Keras, started quietly and with the memory that it needs; where it runs. Whoever needs Keras takes it from here."""

import contextlib
import ctypes
import gc
import logging
import os
import platform
import shutil
import sys

from common.files import commit
from common.screen import silent


@contextlib.contextmanager
def quiet_start():
    """Keep TensorFlow's start-up notes off the screen; set TF_CPP_MIN_LOG_LEVEL=0 to read them.

    It writes some from C++ before any log level holds, so stderr itself is closed while it starts.
    """
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "0":
        yield
        return
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # a study traces a network for each run, of which it warns
    with silent():
        yield


def keep_memory():
    """Let the allocator of Linux (glibc) keep freed memory for the next step: steps are a fifth shorter.

    A step frees and asks again for some 200 MB of activations and gradients, and every page that had gone
    back to the system is cleared anew: 45,000 page faults a step without this, a few hundred with it.
    """
    M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # from <malloc.h>
    # no such call on macOS and Windows
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, 32 * 2**20)  # the largest that it takes
        mallopt(M_TRIM_THRESHOLD, 2**30)
        mallopt(M_TOP_PAD, 64 * 2**20)


@contextlib.contextmanager
def short_import():
    """Import Keras without what would make that longer, and the exit too (docs/speed.md)."""
    # It makes half a million objects, which stay: to look for garbage among them, again and again, finds none.
    collecting = gc.isenabled()
    gc.disable()
    # Keras imports Matplotlib for galleries that nothing here uses, and does without them where it finds none.
    hidden = sys.modules.setdefault("matplotlib", None) is None
    try:
        yield
    finally:
        if hidden:
            del sys.modules["matplotlib"]
        gc.freeze()  # nor is any looked for among them later; at the exit that took most of a second
        if collecting:
            gc.enable()


keep_memory()
# A GPU's memory is taken as it is needed, not all of it at once; must be known before the backend starts.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
# TensorFlow on a CPU: what computes the gradient of a kernel is kept, and not set up anew at every step.
os.environ.setdefault("TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE", "0")
with quiet_start(), short_import():
    import keras


def device():
    """Where the network runs: 'CPU', 'GPU:0', 'cuda:0' or the like, found by where a tensor comes to lie."""
    name = str(keras.ops.zeros(1).device).rpartition("/")[2].removeprefix("device:")
    return "CPU" if "cpu" in name.lower() else name


def describe_machine():
    """Where a run takes place, as a dict: device, versions, and the commit of this repository (None outside git)."""
    import cv2
    import numpy as np

    backend, where = keras.backend.backend(), device()
    if where == "CPU":
        where = f"CPU, {os.cpu_count()} cores"
        if shutil.which("nvidia-smi"):  # it comes with the driver
            where += f" (there is an NVIDIA card, but {backend} does not see it: docs/speed.md, GPU)"
    return {
        "device": where,
        "versions": {"python": platform.python_version(), backend: sys.modules[backend].__version__,
                     "keras": keras.__version__, "numpy": np.__version__, "opencv": cv2.__version__},
        "commit": commit(),
    }
