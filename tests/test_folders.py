"""Folders of results: one run or the other, never a mixture, whatever is in the way."""

import subprocess
import sys
import threading

import pytest

from common import files, folders
from common.errors import UserError
from scripts import REPOSITORY


def left(folder):
    """The files in a folder, with what is in them, but for the record of in_place_of and the lock."""
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*")
            if path.is_file() and path.name not in (folders.RECORD, folders.LOCK)}


def put(folder, **names):
    """Put files, with dots for slashes, in place of the last."""
    with folders.holding(folder, "--output"), folders.in_place_of(folder) as new:
        for name, text in names.items():
            files.write_bytes(new / name.replace("__", "/"), text.encode())


def test_files_come_in_place_of_those_of_the_last_time_and_others_stay(tmp_path):
    folder = tmp_path / "new" / "folder"
    put(folder, a="1", train__x="1", train__y="1", val__x="1")
    (folder / "mine").write_text("precious")
    (folder / "train" / "mine").write_text("precious")
    put(folder, a="2", train__x="2", b="2")
    assert left(folder) == {"a": "2", "b": "2", "train/x": "2", "mine": "precious", "train/mine": "precious"}
    assert sorted(path.name for path in folder.iterdir()) == [
        folders.RECORD, folders.LOCK, "a", "b", "mine", "train"]


def test_work_that_fails_changes_nothing_and_names_the_file_where_it_would_have_come(tmp_path):
    put(tmp_path, a="1", b="1")
    before = left(tmp_path)
    for error in (ZeroDivisionError, KeyboardInterrupt):
        with pytest.raises(error), folders.in_place_of(tmp_path) as new:
            (new / "a").write_text("2")
            raise error
        assert left(tmp_path) == before
    with pytest.raises(UserError, match=rf"^{tmp_path}/a/b could not be written"), folders.in_place_of(tmp_path) as new:
        (new / "a").write_text("2")
        files.write_bytes(new / "a" / "b", b"2")
    assert left(tmp_path) == before
    assert len([*tmp_path.iterdir()]) == 4


def test_nothing_changes_where_one_file_cannot_come_to_its_place(tmp_path):
    put(tmp_path, a="1")
    (tmp_path / "train").write_text("precious")
    before = left(tmp_path)
    with pytest.raises(UserError, match=r"could not be written \(train/x or its folder is in the way\)"):
        put(tmp_path, a="2", train__x="2")
    assert left(tmp_path) == before


def test_what_a_run_reads_or_somebody_made_is_neither_replaced_nor_removed(tmp_path):
    put(tmp_path, masks__a="1")
    (tmp_path / "mine").write_text("precious")
    folders.check_inputs(tmp_path, "--vis", [tmp_path / "mine"], ["masks/b", "masks/a"])
    for path in (tmp_path / "masks" / "a", tmp_path / "masks" / ".." / "mine"):
        with pytest.raises(UserError, match=rf"{path} would be replaced or removed .*; copy it .* with --vis"):
            folders.check_inputs(tmp_path, "--vis", [path], ["mine"])
    with pytest.raises(UserError, match=r"mine is there already, and no result; move it away, or .* with --vis"):
        folders.check_inputs(tmp_path, "--vis", [], ["mine"])


@pytest.mark.parametrize("moment", range(6))
def test_what_is_finished_is_put_in_place_by_the_next_if_it_was_interrupted_there(tmp_path, monkeypatch, moment):
    put(tmp_path, a="1", train__x="1", c="1")
    calls = []

    def interrupted(before):
        def call(*arguments, **named):
            calls.extend([before] * (folders.UNFINISHED not in str(arguments[0])))
            if len(calls) == moment + 1:
                raise KeyboardInterrupt
            return before(*arguments, **named)
        return call

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", interrupted(files.os.replace))
        patch.setattr("pathlib.Path.unlink", interrupted(files.Path.unlink))
        try:
            put(tmp_path, a="2", train__x="2", train__y="2")
        except KeyboardInterrupt:
            assert moment < 5
    folders.check_inputs(tmp_path, "--output", [], ["a", "train/x", "train/y"])  # these are no one else's
    folders.settle(tmp_path)
    assert left(tmp_path) == {"a": "2", "train/x": "2", "train/y": "2"}
    folders.settle(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [folders.RECORD, folders.LOCK, "a", "train"]


@pytest.mark.parametrize("record", [
    "{", "[]", '{"files": ["../mine"], "gone": ["/mine"]}', '{"files": [1], "gone": []}', '{"files": ["a\\u0000"], '
    '"gone": []}', '{"files": [], "gone": ["\\ud800"]}'])
def test_a_record_of_somebody_else_moves_and_removes_nothing(tmp_path, record):
    folder = tmp_path / "folder"
    (folder / folders.FINISHED).mkdir(parents=True)
    (tmp_path / "mine").write_text("precious")
    for place in (folder, folder / folders.FINISHED):
        (place / folders.RECORD).write_text(record)
    folders.check_inputs(folder, "--output", [tmp_path / "mine"], ["a"])
    put(folder, a="1")
    assert left(tmp_path) == {"mine": "precious", "folder/a": "1"}


def test_folders_and_locks_of_somebody_else_stay(tmp_path):
    for name in (folders.UNFINISHED, folders.FINISHED):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine").write_text("precious")
        with pytest.raises(UserError, match=rf"could not be written \(its {name} is somebody else's\); name another"):
            put(tmp_path, a="1")
        (tmp_path / name / "mine").unlink()  # what is empty is nobody's
        put(tmp_path, a="1")
    (tmp_path / folders.LOCK).write_text("mine")
    with pytest.raises(UserError, match=r"\(its .lock, which says 'mine', is somebody else's\); name another folder"):
        put(tmp_path, a="2")
    assert (tmp_path / folders.LOCK).read_text() == "mine"


def test_half_of_what_was_written_is_not_put_in_place(tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    put(folder, a="1", b="1")
    with pytest.raises(UserError, match=r"folder could not be written \(it was removed meanwhile\)"), \
            folders.in_place_of(folder) as new:
        files.write_bytes(new / "a", b"2")
        folders.shutil.rmtree(folder)
        files.write_bytes(new / "b", b"2")
    put(folder, a="1", b="1")

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders.os, "fsync", full)
    with pytest.raises(UserError, match=r"could not be written \(No space left on device\); make room for it"):
        put(folder, a="2", b="2")
    assert left(folder) == {"a": "1", "b": "1"}


HOLD = """
import sys, time
from common.folders import UNFINISHED, holding, in_place_of
with holding(sys.argv[1], "--output"), in_place_of(sys.argv[1]) as new:
    (new / "a").write_text("2")
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_run_at_a_time_and_that_of_a_process_that_is_gone_holds_nobody_up(tmp_path):
    put(tmp_path, a="1")
    other = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=rf"^--output \S+ is in use by process {other.pid}; wait until it has"):
            put(tmp_path, a="3")
        assert left(tmp_path) == {"a": "1", f"{folders.UNFINISHED}/a": "2"}
    finally:
        other.kill()
        other.communicate()
    put(tmp_path, b="3")
    assert left(tmp_path) == {"b": "3"}


def test_nothing_is_written_or_removed_through_a_link(tmp_path):
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    put(folder, a="1", train__x="1")
    elsewhere.mkdir()
    for name in ("x", "a"):
        (elsewhere / name).write_text("precious")
    (folder / "train" / "x").unlink()
    (folder / "train").rmdir()
    (folder / "train").symlink_to(elsewhere)
    put(folder, a="2")  # train/x is gone, and not the one elsewhere
    with pytest.raises(UserError, match=r"folder could not be written \(\S+train is a link; remove it\)"):
        put(folder, a="3", train__x="3")
    (folder / "train").unlink()
    for name in (folders.UNFINISHED, "a"):  # what was finished is put in place now, and the links are only replaced
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(elsewhere / "a" if name == "a" else elsewhere)
    put(folder, a="4")
    assert left(folder) == {"a": "4"}
    (folder / folders.FINISHED).symlink_to(elsewhere)
    put(folder, a="5")
    assert left(folder) == {"a": "5"}
    assert left(elsewhere) == {"x": "precious", "a": "precious"}


def test_a_reader_sees_one_run_or_the_other(tmp_path):
    put(tmp_path, **{f"part__{number}": "0" for number in range(20)})
    stop, seen = threading.Event(), set()

    def read():
        return [path.read_text() for path in sorted((tmp_path / "part").iterdir())]

    def keep_replacing():
        for run in range(1, 10**6):
            if stop.is_set():
                return
            put(tmp_path, **{f"part__{number}": str(run) for number in range(20 + run % 2)})

    writer = threading.Thread(target=keep_replacing)
    writer.start()
    try:
        for _ in range(200):
            found = folders.read_whole(tmp_path, read)
            assert len(set(found)) == 1
            assert len(found) == 20 + int(found[0]) % 2
            seen |= {*found}
    finally:
        stop.set()
        writer.join()
    assert len(seen) > 3
    with pytest.raises(FileNotFoundError):
        folders.read_whole(tmp_path / "missing", (tmp_path / "missing").stat)
