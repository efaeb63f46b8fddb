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

NARROW = ("--width 0.03125 --steps 60 --size 32 32 --radius 5 9 --validation 3 --watch 1 "
          "--checkpoint 0.2").split()
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
variants = {f"{steps} steps, noise fill": dict(steps=steps, **brief) for steps in (2, 3, 4)}
questions.QUESTIONS["narrow"] = Question("How long?", variants, draws={"narrow.png": draw})
sys.argv[0] = "study"
run_script(__main__.main)
"""


def study_line(seeds, *flags):
    """The command line of STUDY."""
    return [sys.executable, "-c", STUDY, "narrow", "--seeds", str(seeds), *flags]


def training_line(seed):
    """The command line of a brief training."""
    return command("train.py", *NARROW, "--output", "new", "--seed", seed)


# Of each script the folder of its results, and two ways to run it that leave different ones.
WAYS = {
    "train.py": ("new", training_line("1"), training_line("2")),
    "test.py": ("vis", command("test.py", "--images", "5"), command("test.py", "--images", "3")),
    "own segment": ("vis", *(command("own", "segment", folder, "--output", "own")
                             for folder in ("val", "train"))),
}


def started(line, folder):
    """The process of a command line in a folder."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen([*map(str, line)], cwd=folder, env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(process):
    """Exit status of a process and what it said on stderr."""
    errors = process.communicate()[1]
    return process.returncode, errors


def run(line, folder):
    """Run a command line in a folder; exit status and what it said on stderr."""
    return ended(started(line, folder))


def state(folder):
    """The results in a folder, {name: digest of what is in it}; without seconds."""
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
    """Kill a process at a random moment.

    moment: the seconds that it takes in all, or a pattern: soon after a file of that name is there.
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
    while left := [child for child in below if alive(child)]:  # of a study: nobody looks for them
        assert time.monotonic() < begin + 30, left
        time.sleep(0.1)
    process.communicate()
    return at_work


def rows(folder):
    """The rows of STUDY, each with what else is not the same in two runs of it."""
    path = folder / "narrow.csv"
    return [tuple(row.items()) for row in read_table(path)] if path.exists() else []


def without_seconds(found):
    """A set of rows without the seconds that something took, and the commit."""
    names = {name for row in found for name, _ in row if "seconds" not in name} - {"commit"}
    return {tuple(cell for cell in row if cell[0] in names) for row in found}
