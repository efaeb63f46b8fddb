"""Faults in every script: killed at any moment, a disk that is full, two runs at once. docs/reliability.md."""

import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path

import psutil
import pytest

from common.checkpoints import FOLDER, resumable
from common.files import read_table
from common.folders import FINISHED, UNFINISHED, read_whole
from common.images import write_png
from data import create_data
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


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a network in output/ and images in images/."""
    folder = tmp_path_factory.mktemp("place")
    for number, image in enumerate(create_data(5)[0]):
        write_png(folder / "images" / f"{number}.png", image)
    assert run(command("train.py", *NARROW), folder) == (0, "")
    return folder


@pytest.fixture
def times(request):
    """How often a fault is tried: --times. Without it none is, for each takes minutes; .ci/run tries each once."""
    return request.config.getoption("--times") or pytest.skip("takes minutes; run it with --times 1")


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
    """What a reader makes of it, and that no run has left anything but results, its lock, record and checkpoint."""
    found = read_whole(folder, lambda: state(folder))
    assert not (folder / FINISHED).exists()
    return found


def alive(process):
    """Whether a process is at work; one that nobody has asked for its status is not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def kill(process, folder, moment, draw):
    """Kill a process at a random moment: of its whole time in seconds, or soon after a file is there, a pattern."""
    if isinstance(moment, str):
        while process.poll() is None and not next(folder.glob(moment), None):
            time.sleep(0.0005)
        moment = 0.02 if moment == FINISHED else 0.4
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(draw.uniform(0, moment))
    below = [] if process.poll() is not None else psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    begin = time.monotonic()
    while left := [of for of in below if alive(of)]:  # processes of a study, which nobody would look for
        assert time.monotonic() < begin + 30, left
        time.sleep(0.1)
    process.communicate()


def moments(seconds):
    """The moments at which a run of so many seconds is killed, one after the other."""
    return (seconds, f"*{UNFINISHED}", seconds, FINISHED)


@pytest.mark.parametrize("name", WAYS)
def test_a_run_that_is_killed_leaves_the_old_results_or_the_new_and_goes_on(
        name, place, tmp_path, times, record_property):
    shutil.copytree(place, tmp_path, dirs_exist_ok=True)
    folder, *ways = tmp_path / WAYS[name][0], *WAYS[name][1:]
    expected = []
    for way in ways:
        begin = time.monotonic()
        assert run(way, tmp_path) == (0, "")
        seconds = time.monotonic() - begin
        expected.append(seen(folder))
    assert expected[0] != expected[1]
    draw, counts = random.Random(name), Counter()
    for number in range(times):
        old, new = expected[(number + 1) % 2], expected[number % 2]
        way = ways[number % 2]
        kill(started(way, tmp_path), folder, moments(seconds)[number % 4], draw)
        after = seen(folder)
        assert after in (old, new)
        counts["old" if after == old else "new"] += 1
        if resumable(folder):
            way = command(name, "--resume", "--output", folder.name)
            counts["resumed"] += 1
        assert run(way, tmp_path) == (0, "")
        assert seen(folder) == new
        assert not {path.name for path in folder.iterdir()} & {UNFINISHED, FINISHED, FOLDER}
    record_property(f"{name} killed", f"{times}: {counts['old']} left the old results, {counts['new']} the new; "
                                      f"{counts['resumed']} were resumed")


def rows(folder):
    """The rows of STUDY, each with what else is not the same in two runs of it."""
    path = folder / "narrow.csv"
    return [tuple(row.items()) for row in read_table(path)] if path.exists() else []


def without_seconds(found):
    """The same as a set without the seconds that something took."""
    return {tuple((name, value) for name, value in row if "seconds" not in name) for row in found}


def test_a_study_that_is_killed_keeps_every_row_and_goes_on(tmp_path, times, record_property):
    folder, draw, counts = tmp_path / "output" / "study", random.Random("study"), Counter()
    begin = time.monotonic()
    assert run(study_line(2), tmp_path) == (0, "")
    seconds = time.monotonic() - begin
    whole = without_seconds(rows(folder))
    assert len(whole) == 6
    for number in range(times):
        before = rows(folder)
        if len(before) == len(whole):
            shutil.rmtree(tmp_path / "output")
            before = []
        process = started(study_line(2), tmp_path)
        kill(process, folder, moments(seconds)[number % 4], draw)
        after = rows(folder)
        assert after[: len(before)] == before
        assert without_seconds(after) <= whole
        counts[f"{len(after)} rows"] += 1
        if (folder / "report.md").exists():  # a whole one, with its figure
            shown = json.loads((folder / "narrow.png").read_text())
            assert f"| 2 steps, noise fill | {len(shown)} |" in (folder / "report.md").read_text()
    assert run(study_line(2), tmp_path) == (0, "")
    assert without_seconds(rows(folder)) == whole
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {
        "narrow.csv", "narrow.png", "report.md"}
    record_property("study killed", f"{times}: {dict(sorted(counts.items()))} were there")


@pytest.fixture
def disk(tmp_path):
    """A disk of 20 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not shutil.which("mount") or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("no disk can be mounted here; test_scripts.py limits the size of files instead")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(disk, room):
    """Fill a disk but for so many bytes."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    with open(filler, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - room)


def rooms(folder):
    """{name: bytes that are too few for it}: of each file in a folder, in the order in which they were written."""
    found, pages = {}, 0
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in sorted(files, key=lambda path: path.stat().st_mtime_ns):
        needed = -(-path.stat().st_size // 4096)
        found[path.relative_to(folder).as_posix()] = 4096 * (pages + needed // 2)
        pages += needed
    return found


def refusal(name, status, errors, folder):
    """The name of the file in a folder that could not be written, by the one sentence with which a script ended."""
    found = re.fullmatch(rf"{re.escape(name)}: {folder}/?(\S*) could not be written \(No space left on device\); make "
                         r"room for it, or name another folder\n", errors)
    assert (status, bool(found)) == (2, True), errors
    return found[1] or "the folder"


@pytest.mark.parametrize("name", WAYS)
def test_a_disk_that_is_full_at_any_write_is_one_sentence_and_costs_nothing(
        name, place, disk, times, record_property):
    shutil.copytree(place, disk, dirs_exist_ok=True)
    folder, *ways = disk / WAYS[name][0], *WAYS[name][1:]
    cases = []
    if name == "train.py":  # checkpoints are written before the results
        kill(started(ways[1], disk), folder, f"{FOLDER}/*.json", random.Random(0))
        cases = [(ways[1], room) for room in rooms(folder / FOLDER).values()]
        ways = [[*way, "--checkpoint", "0"] for way in ways]
    assert run(ways[1], disk) == (0, "")
    cases += [(ways[1], room) for room in rooms(folder).values()]
    shutil.rmtree(folder)
    assert run(ways[0], disk) == (0, "")
    old, named = seen(folder), Counter()
    for way, room in cases[:: -(-len(cases) // times)]:
        fill(disk, room)
        named[refusal(name, *run(way, disk), folder.name)] += 1
        assert seen(folder) == old
        assert not (folder / UNFINISHED).exists()
    (disk / "filler").unlink()
    assert run(ways[1], disk) == (0, "")
    record_property(f"{name} on a full disk", f"{named.total()} times, at {', '.join(sorted(named))}")


def test_a_study_on_a_full_disk_keeps_its_rows(disk, times, record_property):
    folder, before, named = disk / "output" / "study", disk / "before", Counter()
    assert run(study_line(1), disk) == (0, "")
    shutil.copytree(folder, before)
    for pages in range(min(times, 6)):
        shutil.rmtree(folder)
        shutil.copytree(before, folder)
        fill(disk, 4096 * pages)
        status, errors = run(study_line(2), disk)
        named[refusal("study", status, errors, "output/study") if status else "nothing"] += 1
        assert rows(folder)[:3] == rows(before)
    (disk / "filler").unlink()
    assert run(study_line(2), disk) == (0, "")
    assert len(without_seconds(rows(folder))) == 6
    record_property("study on a full disk", f"{named.total()} times, at {', '.join(sorted(named))}")


def test_two_runs_at_once_mix_nothing(place, tmp_path, times, record_property):
    shutil.copytree(place, tmp_path, dirs_exist_ok=True)
    (folder, *trainings), (vis, *tests) = WAYS["train.py"], WAYS["test.py"]
    reader = command("test.py", "--output", folder, "--images", "4")
    networks, scores, draw, counts = [], [], random.Random("pairs"), Counter()
    for training in trainings:
        begin = time.monotonic()
        assert run(training, tmp_path) == (0, "")
        seconds = time.monotonic() - begin
        networks.append(seen(tmp_path / folder))
        assert run(reader, tmp_path) == (0, "")
        scores.append(seen(tmp_path / vis))
    pictures = []
    for test in tests:
        assert run(test, tmp_path) == (0, "")
        pictures.append(seen(tmp_path / vis))
    pairs = ((trainings, folder, networks, 0.3), ((trainings[0], reader), vis, scores, 1), (tests, vis, pictures, 0.3),
             ((trainings[1], reader), vis, scores, 1))
    for number in range(times):
        lines, place, expected, share = pairs[number % 4]
        processes = []
        for line in lines:
            processes.append(started(line, tmp_path))
            time.sleep(draw.uniform(0, share * seconds))
        statuses = [ended(process) for process in processes]
        for status, errors in statuses:
            others = "|".join(str(process.pid) for process in processes)
            refused = re.fullmatch(rf"\w+\.py: --(output|vis) {place} is in use by process ({others}); wait until it "
                                   r"has ended, or give another --(output|vis)\n", errors)
            assert (status, errors) == (0, "") or (status == 2 and refused), errors
        assert (0, "") in statuses
        assert seen(tmp_path / place) in [
            of for of, (status, _) in zip(expected, statuses, strict=True) if status == 0 or place == vis]
        counts["both ended" if statuses[0] == statuses[1] else "one was refused"] += 1
    record_property("pairs of runs", f"{times}: {dict(counts)}")


def test_two_studies_at_once_share_their_rows(tmp_path, times):
    processes = [started(study_line(2, "--processes", "1"), tmp_path) for _ in range(2)]
    assert [ended(process) for process in processes] == [(0, ""), (0, "")]
    assert len(rows(tmp_path / "output" / "study")) == len(without_seconds(rows(tmp_path / "output" / "study"))) == 6


@pytest.mark.parametrize("processes", [1, 2])
def test_the_memory_of_a_long_study_stays_flat(tmp_path, times, processes, record_property):
    if times < 50:
        pytest.skip("200 trainings take ten minutes: --times 50")
    process = started(study_line(-(-4 * times // 3), "--processes", str(processes)), tmp_path)
    memory = []
    while process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            all_of_it = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            memory.append((len(rows(tmp_path / "output" / "study")),
                           sum(of.memory_info().rss for of in all_of_it) / 2**20))
        time.sleep(1)
    assert ended(process) == (0, "")
    most = [max(of for done, of in memory if part <= done * 4 // (4 * times) <= part) for part in range(4)]
    record_property(f"{4 * times} trainings in {processes} processes",
                    f"at most {', '.join(f'{of:,.0f}' for of in most)} MiB in the four quarters")
    assert most[3] < 1.15 * most[1]
