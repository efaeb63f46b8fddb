"""A script that is killed at any moment, and a study that is long. docs/reliability.md."""

import contextlib
import json
import random
import shutil
import time
from collections import Counter

import psutil
import pytest

from common.checkpoints import FOLDER, resumable
from common.folders import FINISHED, UNFINISHED, read_whole
from faults import WAYS, ended, kill, rows, run, seen, started, study_line, without_seconds
from scripts import command


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
        if number % 8 == 7:  # into an empty folder
            shutil.rmtree(folder)
            old = {}
        way = ways[number % 2]
        at_work = kill(started(way, tmp_path), folder, moments(seconds)[number % 4], draw)
        if number // 4 % 2:  # nobody reads, and the next run finds what the killed one left
            counts["not read"] += 1
        else:
            after = seen(folder)
            assert after in (old, new)
            counts["old" if after == old else "new"] += 1
        counts["at work"] += at_work
        if resumable(folder):
            way = command(name, "--resume", "--output", folder.name)
            counts["resumed"] += 1
        assert run(way, tmp_path) == (0, "")
        assert seen(folder) == new
        assert not {path.name for path in folder.iterdir()} & {UNFINISHED, FINISHED, FOLDER}
    record_property(f"{name} killed", (
        f"{times}, {counts['at work']} at work: {counts['old']} left the old results, "
        f"{counts['new']} the new, of {counts['not read']} nobody looked; "
        f"{counts['resumed']} were resumed"))


def test_a_study_that_is_killed_keeps_every_row_and_goes_on(tmp_path, times, record_property):
    folder, draw, counts = tmp_path / "output" / "study", random.Random("study"), Counter()
    paths = (folder / "narrow.png", folder / "report.md")
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
        counts["at work"] += kill(process, folder, moments(seconds)[number % 4], draw)
        after = rows(folder)
        assert after[: len(before)] == before
        assert without_seconds(after) <= whole
        counts[f"{len(after)} rows"] += 1
        if not folder.exists():
            continue
        report = read_whole(folder, lambda: [path.read_text() for path in paths if path.exists()])
        if report:  # a whole one, with its figure
            assert f"| 2 steps, noise fill | {len(json.loads(report[0]))} |" in report[1]
    assert run(study_line(2), tmp_path) == (0, "")
    assert without_seconds(rows(folder)) == whole
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {
        "narrow.csv", "narrow.png", "report.md"}
    at_work = counts.pop("at work")
    record_property("study killed", (
        f"{times}, {at_work} at work: {dict(sorted(counts.items()))} were there"))


@pytest.mark.parametrize("processes", [1, 2])
def test_the_memory_of_a_long_study_stays_flat(tmp_path, times, processes, record_property):
    if times < 50:
        pytest.skip("200 trainings take ten minutes: --times 50")
    process = started(study_line(-(-4 * times // 3), "--processes", str(processes)), tmp_path)
    memory = []
    while process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(process.pid)
            used = sum(one.memory_info().rss for one in (parent, *parent.children(recursive=True)))
            memory.append((len(rows(tmp_path / "output" / "study")), used / 2**20))
        time.sleep(1)
    assert ended(process) == (0, "")
    quarters = [[], [], [], []]
    for done, used in memory:
        if done < 4 * times:
            quarters[done // times].append(used)
    most = [max(quarter) for quarter in quarters]
    record_property(f"{4 * times} trainings in {processes} processes",
                    f"at most {', '.join(map('{:,.0f}'.format, most))} MiB in the four quarters")
    assert most[3] < 1.15 * most[1]
