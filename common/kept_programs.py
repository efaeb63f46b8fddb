"""What JAX compiles on a GPU, kept for the next run. Only to be imported where JAX is installed.

To compile the experiment's programs takes longer than to run them.
"""

import contextlib
import os
import stat
from pathlib import Path

import jax

MOST = 2**30  # bytes; what was not used for longest makes room


def keep_compiled(folder):
    """Keep what is compiled from now on in a folder, and take from there what it holds.

    What a kept file holds is run: a folder that others may write to is not used.
    """
    with contextlib.suppress(OSError):  # then it is compiled each time
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_private(folder):
            jax.config.update("jax_compilation_cache_dir", str(folder))
            jax.config.update("jax_compilation_cache_max_size", MOST)
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def is_private(folder):
    """Whether a folder is this user's, and nobody else may write to it."""
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode):  # a link may be turned elsewhere
        return False
    if not hasattr(os, "getuid"):  # Windows: the user's folders are the user's
        return True
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def user_folder():
    """The folder in which this repository keeps what is compiled, in the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return Path(cache or os.path.expanduser("~/.cache"), "one-image", "jax")


# On a CPU it is compiled in seconds, for that very processor: a home may be that of several.
if jax.default_backend() != "cpu" and not jax.config.jax_compilation_cache_dir:
    keep_compiled(user_folder())
