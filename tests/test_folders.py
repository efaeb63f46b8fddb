"""Folders of results: a reader sees one run or the other, and other files stay."""

import json
import subprocess
import sys
import threading

import pytest

from common import files, folders
from common.errors import UserError
from scripts import REPOSITORY


def texts(folder):
    """The files in a folder, {name: what is in it}, without the record of a run and the lock."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in paths
            if path.name not in (folders.RECORD, folders.LOCK)}


def put(folder, new):
    """Put files, {name: text}, in place of those of the last run."""
    with folders.holding(folder, "--output"), folders.in_place_of(folder) as unfinished:
        for name, text in new.items():
            files.write_bytes(unfinished / name, text.encode())


def test_a_run_replaces_the_files_of_the_last_and_others_stay(tmp_path):
    folder = tmp_path / "new" / "folder"
    put(folder, {"a": "1", "train/x": "1", "train/y": "1", "val/x": "1"})
    for name in ("mine", "train/mine"):
        (folder / name).write_text("precious")
    put(folder, {"a": "2", "train/x": "2", "b": "2"})
    assert texts(folder) == {
        "a": "2", "b": "2", "train/x": "2", "mine": "precious", "train/mine": "precious"}
    names = {path.name for path in folder.iterdir()}
    assert names == {folders.RECORD, folders.LOCK, "a", "b", "mine", "train"}


def test_a_run_that_fails_changes_nothing(tmp_path):
    put(tmp_path, {"a": "1", "b": "1"})
    (tmp_path / "train").write_text("precious")
    before = texts(tmp_path)
    for error in (ZeroDivisionError, KeyboardInterrupt):
        with pytest.raises(error), folders.in_place_of(tmp_path) as new:
            (new / "a").write_text("2")
            raise error
        assert texts(tmp_path) == before
    with pytest.raises(UserError, match=rf"^{tmp_path}/a/b could not be written"):
        put(tmp_path, {"a": "2", "a/b": "2"})  # a is no folder
    with pytest.raises(UserError, match="train/x or its folder is in the way"):
        put(tmp_path, {"a": "2", "train/x": "2"})
    assert texts(tmp_path) == before


def test_what_a_run_reads_or_somebody_made_is_neither_replaced_nor_removed(tmp_path):
    put(tmp_path, {"masks/a": "1"})
    (tmp_path / "mine").write_text("precious")
    folders.check_inputs(tmp_path, "--vis", [tmp_path / "mine"], ["masks/b", "masks/a"])
    for path in (tmp_path / "masks" / "a", tmp_path / "masks" / ".." / "mine"):
        with pytest.raises(UserError, match=rf"{path} would be replaced or removed .* --vis"):
            folders.check_inputs(tmp_path, "--vis", [path], ["mine"])
    with pytest.raises(UserError, match=r"mine is there already, and no result; .* --vis"):
        folders.check_inputs(tmp_path, "--vis", [], ["mine"])


def test_what_a_killed_run_had_completed_is_finished_by_whoever_reads_it(tmp_path):
    put(tmp_path, {"a": "1", "train/x": "1"})
    finished = tmp_path / folders.FINISHED
    finished.mkdir()
    (finished / folders.RECORD).write_text(json.dumps({"files": ["a", "b"]}))
    (finished / "a").write_text("2")
    (tmp_path / "b").write_text("2")  # it was moved already
    folders.check_inputs(tmp_path, "--output", [], ["a", "b"])  # these are nobody else's
    assert folders.read_whole(tmp_path, lambda: texts(tmp_path)) == {"a": "2", "b": "2"}
    put(tmp_path, {"c": "3"})
    assert texts(tmp_path) == {"c": "3"}


HOLD = """
import sys, time
from common.folders import holding, in_place_of
with holding(sys.argv[1], "--output"), in_place_of(sys.argv[1]) as new:
    (new / "a").write_text("2")
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_run_at_a_time_and_a_killed_one_holds_nobody_up(tmp_path):
    put(tmp_path, {"a": "1"})
    other = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], cwd=REPOSITORY,
                             stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=rf"^--output \S+ is in use by process {other.pid};"):
            put(tmp_path, {"a": "3"})
    finally:
        other.kill()
        other.communicate()
    assert (tmp_path / "a").read_text() == "1"
    put(tmp_path, {"b": "3"})
    assert texts(tmp_path) == {"b": "3"}


def test_a_reader_sees_one_run_or_the_other(tmp_path):
    def write(run):
        count = 20 + run % 2  # every second run leaves one file more
        put(tmp_path, {f"part/{number}": str(run) for number in range(count)})

    def write_on():
        for run in range(1, 10**6):
            if stop.is_set():
                return
            write(run)

    def read():
        return [path.read_text() for path in sorted((tmp_path / "part").iterdir())]

    write(0)
    stop, runs = threading.Event(), set()
    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        for _ in range(200):
            run, *others = folders.read_whole(tmp_path, read)
            assert others == [run] * (19 + int(run) % 2)
            runs.add(run)
    finally:
        stop.set()
        writer.join()
    assert len(runs) > 3
    with pytest.raises(FileNotFoundError):
        folders.read_whole(tmp_path / "missing", (tmp_path / "missing").stat)
