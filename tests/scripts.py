"""The scripts as processes of their own, for the tests that run them as a person does."""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent


def command(name, *flags):
    """The command line of one of the scripts, 'train.py', or of a folder that is one, 'study'."""
    script = [REPOSITORY / name] if name.endswith(".py") else ["-m", name]
    return [sys.executable, *script, *flags]


def run(folder, name, *flags):
    """Run a script in `folder`; returns the finished process with its output as text."""
    environment = {**os.environ}
    if not name.endswith(".py"):
        environment["PYTHONPATH"] = str(REPOSITORY)
    return subprocess.run(command(name, *flags), cwd=folder, env=environment, capture_output=True,
                          text=True)


def contents(folder):
    """Every file and folder below `folder`, with what is in it."""
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}
