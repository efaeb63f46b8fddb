"""A disk that is full at any write, and two runs at once. docs/reliability.md."""

import os
import random
import re
import shutil
import subprocess
import time
from collections import Counter

import pytest

from common.checkpoints import FOLDER
from common.folders import LOCK, UNFINISHED
from faults import WAYS, ended, kill, rows, run, seen, started, state, study_line, without_seconds
from scripts import command


@pytest.fixture
def disk(tmp_path):
    """A disk of 20 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", folder]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
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
    """{name: bytes that are too few for it} of each file in a folder, in the order of writing."""
    found, pages = {}, 0
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != LOCK]
    for path in sorted(files, key=lambda path: path.stat().st_mtime_ns):
        needed = -(-path.stat().st_size // 4096)
        found[path.relative_to(folder).as_posix()] = 4096 * (pages + needed // 2)
        pages += needed
    return found


def refusal(name, status, errors, folder):
    """The name of the file that could not be written, by the sentence with which a script ended."""
    found = re.fullmatch(rf"{re.escape(name)}: {folder}/?(\S*) could not be written \(No space "
                         r"left on device\); make room for it, or name another folder\n", errors)
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
        assert not [*folder.rglob(UNFINISHED)]
    (disk / "filler").unlink()
    assert run(ways[1], disk) == (0, "")
    record_property(f"{name} on a full disk",
                    f"{named.total()} times, at {', '.join(sorted(named))}")


@pytest.mark.parametrize("name", WAYS)
def test_a_disk_that_is_read_only_and_a_folder_that_vanishes(name, place, disk, times):
    shutil.copytree(place, disk, dirs_exist_ok=True)
    folder, *ways = disk / WAYS[name][0], *WAYS[name][1:]
    assert run(ways[0], disk) == (0, "")
    old = seen(folder)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    status, errors = run(ways[1], disk)
    assert (status, len(errors.splitlines())) == (2, 1)
    assert "cannot be a folder to write to (Read-only file system" in errors
    assert state(folder) == old
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    process = started(ways[1], disk)
    while (folder / LOCK).read_text() != str(process.pid) and process.poll() is None:
        time.sleep(0.01)
    shutil.rmtree(folder)
    status, errors = ended(process)
    if status:  # it was writing already
        assert status == 2
        assert errors == (f"{name}: {folder.name} could not be written (it was removed meanwhile); "
                          "name another folder\n")
        assert seen(folder) == {}
    elif name == "train.py":
        assert seen(folder).keys() == old.keys()
    else:
        assert {"metrics.csv"} <= seen(folder).keys()


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
    pairs = (((trainings[0], reader), vis, scores, 1), (trainings, folder, networks, 0.3),
             ((trainings[1], reader), vis, scores, 1), (tests, vis, pictures, 0.3))
    for number in range(times):
        lines, place, expected, share = pairs[number % 4]
        processes = []
        for line in lines:
            processes.append(started(line, tmp_path))
            time.sleep(draw.uniform(0, share * seconds))
        statuses = [ended(process) for process in processes]
        for status, errors in statuses:
            others = "|".join(str(process.pid) for process in processes)
            refused = re.fullmatch(
                rf"\w+\.py: --(output|vis) {place} is in use by process ({others}); wait until it "
                r"has ended, or give another --(output|vis)\n", errors)
            assert (status, errors) == (0, "") or (status == 2 and refused), errors
        assert (0, "") in statuses
        possible = [results for results, (status, _) in zip(expected, statuses, strict=True)
                    if status == 0 or reader in lines]
        assert seen(tmp_path / place) in possible
        counts["both ended" if statuses[0] == statuses[1] else "one was refused"] += 1
    record_property("pairs of runs", f"{times}: {dict(counts)}")


def test_two_studies_at_once_share_their_rows(tmp_path, times):
    processes = [started(study_line(2, "--processes", "1"), tmp_path) for _ in range(2)]
    assert [ended(process) for process in processes] == [(0, ""), (0, "")]
    found = rows(tmp_path / "output" / "study")
    assert len(found) == len(without_seconds(found)) == 6
