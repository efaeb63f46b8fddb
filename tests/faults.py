"""Faults of every kind against the scripts, as many as one likes: `python tests/faults.py kill 50`.

The test suite runs a few of each (tests/test_faults.py); docs/reliability.md has the counts of the long run.
"""

import hashlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # as a script

from common.folders import read_whole
from scripts import command, run

TRAIN = ("--width 0.0625 --steps 24 --validation 4 --watch 2 --size 64 64 --radius 8 12 --checkpoint 0.2").split()
TEST = "--images 6 --size 64 64 --radius 8 12".split()


def digest(path):
    """What a file says, as text; of a network its weights alone, and no times."""
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            return hashlib.sha256(archive.read("model.weights.h5")).hexdigest()
    if path.name in ("settings.json", "history.csv", "curves.png"):  # they hold seconds
        return "there"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def state(folder):
    """The files that a run left in a folder, {name: digest}, as any reader sees them: all of one run."""
    def read():
        return {path.relative_to(folder).as_posix(): digest(path) for path in sorted(Path(folder).rglob("*"))
                if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)}
    return read_whole(folder, read)


def killed(folder, line, seconds):
    """Start a command in a folder and kill it after so many seconds; whether it had ended before."""
    process = subprocess.Popen(line, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        return False
    finally:
        process.kill()
        process.wait()


def kill(count, seed=0):
    """Kill train.py, test.py and the study at random moments: what is left is the old or the new, and it goes on.

    Returns how often each was killed, and how often the new was there already, as a dict. Raises AssertionError.
    """
    generator, found = random.Random(seed), {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        runs = {}
        for number in (1, 2):
            started = time.monotonic()
            assert run(folder, "train.py", *TRAIN, "--seed", str(number), "--output", f"run{number}").returncode == 0
            taken = time.monotonic() - started
            runs[number] = state(folder / f"run{number}")
        for _ in range(count):
            shutil.rmtree(folder / "output", ignore_errors=True)
            shutil.copytree(folder / "run1", folder / "output")
            line = command("train.py", *TRAIN, "--seed", "2")
            killed(folder, line, generator.uniform(0.3, 1.1) * taken)
            left = state(folder / "output")
            assert left in (runs[1], runs[2]), left
            found["train.py, " + ("new" if left == runs[2] else "old")] = found.get("train.py, " + (
                "new" if left == runs[2] else "old"), 0) + 1
            resumed = run(folder, "train.py", "--resume")
            if resumed.returncode == 0:
                found["resumed"] = found.get("resumed", 0) + 1
                assert state(folder / "output") == runs[2]
            else:
                assert "finds no interrupted training" in resumed.stderr, resumed.stderr
    return found


if __name__ == "__main__":
    print({"kill": kill}[sys.argv[1]](int(sys.argv[2])))
