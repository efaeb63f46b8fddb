"""What the tests of faults share: scripts that are quick to run, and what they leave."""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import psutil

from common.files import read_table
from common.folders import FINISHED, read_whole
from scripts import REPOSITORY, command

NARROW = "--width 0.03125 --steps 60 --size 32 32 --radius 5 9 --validation 3 --watch 1 --checkpoint 0.2".split()
# python -m study, as if it had one narrow question alone; after its name the number of seeds
STUDY = """
import json, sys
from common.errors import run_script
from study import __main__, questions
from study.question import Question

def draw(results, path):
    path.write_text(json.dumps(results.values(results.variants[0]).tolist()))

brief = dict(width=1 / 32, size=(32, 32), radius=(5, 9), validation=2, watch=1)
questions.QUESTIONS.clear()
questions.QUESTIONS["narrow"] = Question("How long?", {
    f"{steps} steps, noise fill": dict(steps=steps, **brief) for steps in (2, 3, 4)}, draws={"narrow.png": draw})
sys.argv[0] = "study"
run_script(__main__.main)
"""


def study_line(seeds, *flags):
    """The command line of STUDY."""
    return [sys.executable, "-c", STUDY, "narrow", "--seeds", str(seeds), *flags]


# Of each script the folder of its results, and two ways to run it that leave different ones.
WAYS = {"train.py": ("new", *(command("train.py", *NARROW, "--output", "new", "--seed", seed) for seed in "12")),
        "test.py": ("vis", command("test.py", "--images", "5"), command("test.py", "--folder", "images"))}


def started(line, folder):
    """The process of a command line in a folder."""
    return subprocess.Popen([*map(str, line)], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env={**os.environ, "PYTHONPATH": str(REPOSITORY)})


def ended(process):
    """Exit status of a process and what it said on stderr."""
    errors = process.communicate()[1]
    return process.returncode, errors


def run(line, folder):
    """The same of a command line in a folder."""
    return ended(started(line, folder))


def state(folder):
    """The results in a folder, {name: digest of what is in it}; without the seconds that something took."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or name.startswith("."):
            continue
        content = path.read_bytes()
        if name == "model.keras":
            with zipfile.ZipFile(path) as archive:
                content = archive.read("model.weights.h5")
        elif name == "settings.json":
            content = json.dumps(json.loads(content)["settings"]).encode()
        elif name == "history.csv":
            content = repr([{**row, "seconds": None} for row in read_table(path)]).encode()
        elif name == "curves.png":  # the seconds are its second axis
            content = b""
        found[name] = hashlib.sha256(content).hexdigest()
    return found


def seen(folder):
    """What a reader makes of it."""
    return read_whole(folder, lambda: state(folder))


def alive(process):
    """Whether a process is at work; one that nobody has asked for its status is not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def kill(process, folder, moment, draw):
    """Kill a process at a random moment: of its whole time in seconds, or soon after a file is there, a pattern.

    Returns whether it was still at work.
    """
    if isinstance(moment, str):
        while process.poll() is None and not next(folder.glob(moment), None):
            time.sleep(0.0005)
        moment = 0.02 if moment == FINISHED else 0.4
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(draw.uniform(0, moment))
    at_work = process.poll() is None
    below = psutil.Process(process.pid).children(recursive=True) if at_work else []
    process.kill()
    process.wait()
    begin = time.monotonic()
    while left := [of for of in below if alive(of)]:  # processes of a study, which nobody would look for
        assert time.monotonic() < begin + 30, left
        time.sleep(0.1)
    process.communicate()
    return at_work


def rows(folder):
    """The rows of STUDY, each with what else is not the same in two runs of it."""
    path = folder / "narrow.csv"
    return [tuple(row.items()) for row in read_table(path)] if path.exists() else []


def without_seconds(found):
    """The same as a set without the seconds that something took, and the commit."""
    return {tuple((name, value) for name, value in row if "seconds" not in name and name != "commit") for row in found}
