"""Keras, started quietly and with the memory that it needs; where it runs.

Whoever needs Keras takes it from here.
"""

import contextlib
import ctypes
import gc
import logging
import os
import platform
import shutil
import sys

from common.errors import stop
from common.files import commit
from common.screen import silent

BACKENDS = ("tensorflow", "jax", "torch")


@contextlib.contextmanager
def quiet_start():
    """Keep TensorFlow's start-up notes off the screen; set TF_CPP_MIN_LOG_LEVEL=0 to read them.

    It writes some from C++ before any log level holds, so stderr itself is closed meanwhile.
    """
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "0":
        yield
        return
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with silent():
        yield


def keep_memory():
    """Let the allocator of Linux (glibc) keep freed memory for the next step.

    A step frees and asks again for some 200 MB, and every page that had gone back to the system is
    cleared anew. Without that a step is a fifth shorter.
    """
    M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # from <malloc.h>
    # There is no such call on macOS and Windows.
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, 32 * 2**20)  # the largest that it takes
        mallopt(M_TRIM_THRESHOLD, 2**30)
        mallopt(M_TOP_PAD, 64 * 2**20)


@contextlib.contextmanager
def hidden(name):
    """Let a package seem not to be installed, unless it is imported already."""
    hides = sys.modules.setdefault(name, None) is None
    try:
        yield
    finally:
        if hides:
            del sys.modules[name]


@contextlib.contextmanager
def short_import():
    """Import Keras without what would make that longer, and the exit too (docs/speed.md)."""
    # It makes half a million objects, which stay: to look for garbage among them finds none.
    collecting = gc.isenabled()
    gc.disable()
    try:
        # Keras imports Matplotlib for galleries that nothing here uses, and does without it.
        with hidden("matplotlib"):
            yield
    finally:
        gc.freeze()  # nor is any looked for later; at the exit that took most of a second
        if collecting:
            gc.enable()


keep_memory()
# A GPU's memory is taken as it is needed; must be known before the backend starts.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
# Without this PyTorch cannot compute the same bits each time on a GPU.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
# TensorFlow on a CPU keeps what computes the gradient of a kernel, in place of setting it up anew.
os.environ.setdefault("TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE", "0")
try:
    with quiet_start(), short_import():
        import keras
    if keras.backend.backend() not in BACKENDS:
        raise ValueError(f"{keras.backend.backend()} cannot train")
except (ImportError, ValueError, AttributeError) as error:  # of a package, or of keras.json
    asks = "the environment variable KERAS_BACKEND"
    if "KERAS_BACKEND" not in os.environ:
        asks = "keras.json in ~/.keras, or KERAS_BACKEND beside it"
    stop(f"Keras cannot start ({error}); install what is missing, or set {asks} to one of "
         f"{', '.join(BACKENDS)} that is installed")
# What the code relies on, whatever ~/.keras/keras.json says.
keras.config.set_floatx("float32")
keras.config.set_epsilon(1e-7)
keras.config.set_image_data_format("channels_last")
if keras.backend.backend() != "tensorflow":
    with hidden("tensorflow"):
        # It looks once whether TensorFlow is there to be seeded too, which takes seconds to import.
        keras.utils.set_random_seed(0)
if keras.backend.backend() == "jax":
    from common import kept_programs  # noqa: F401 - it keeps what is compiled


def device():
    """Where the network runs: 'CPU', 'GPU:0', 'cuda:0' or the like, by where a tensor lies."""
    name = str(keras.ops.zeros(1).device).rpartition("/")[2].removeprefix("device:")
    return "CPU" if "cpu" in name.lower() else name


def compiled(function):
    """A function of tensors, on JAX as one program; there each operation by itself is another."""
    if keras.backend.backend() != "jax":
        return function
    import jax

    return jax.jit(function)


def compute_the_same_bits():
    """Let PyTorch or TensorFlow compute the same bits each time on a GPU; a CPU does so anyway.

    On JAX `on_jax.several_steps` asks for it.
    """
    backend = keras.backend.backend()
    if device() == "CPU" or backend == "jax":
        return
    if backend == "torch":
        import torch

        torch.use_deterministic_algorithms(True)
    else:
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()


def cores():
    """How many cores this process may use: a container or a scheduler may grant it a few."""
    from joblib import cpu_count

    return cpu_count()


def describe_machine():
    """Where a run takes place, as a dict: device, versions, and the commit of this repository."""
    import cv2
    import numpy as np

    backend, where = keras.backend.backend(), device()
    if where == "CPU":
        where = f"CPU, {cores()} core{'s' if cores() > 1 else ''}"
        if shutil.which("nvidia-smi"):  # it comes with the driver
            where += f" (there is an NVIDIA card, but {backend} does not see it: docs/speed.md)"
    versions = {
        "python": platform.python_version(),
        backend: sys.modules[backend].__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }
    return {"device": where, "versions": versions, "commit": commit()}
