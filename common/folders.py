"""A folder of results: replaced whole or not at all, by one run at a time, whatever ends a run.

New files are written into the folder UNFINISHED within it. When all are complete, that is renamed
to FINISHED, and its files are moved to their places; RECORD, the list of them, is moved last. As
with the journal of a database, whoever comes next moves what is complete, and removes the rest.
"""

import contextlib
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from filelock import FileLock, Timeout

from common.errors import UserError
from common.files import writing

LOCK, UNFINISHED, FINISHED, RECORD = ".lock", ".unfinished", ".finished", ".files.json"
PATIENCE = 10  # seconds that a reader waits for a run that moves its files


@contextlib.contextmanager
def holding(folder, flag):
    """Keep other runs out of a folder, which is made if it is missing.

    Raises `UserError`, which names the flag, if another process holds it, or it cannot be written
    to. The system frees the lock of a process that was killed.
    """
    folder = Path(folder)
    lock = FileLock(folder / LOCK, timeout=0)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            held = lock.acquire()
        except Timeout:
            holder = (folder / LOCK).read_text() or "?"
            raise UserError(f"{flag} {folder} is in use by process {holder}; wait until it has "
                            f"ended, or give another {flag}") from None
    with held:
        with writing(folder):
            (folder / LOCK).write_text(str(os.getpid()))
            settle(folder)
        yield


@contextlib.contextmanager
def in_place_of(folder):
    """A new folder to write files into, which then replace those that the last run left.

    All or none: if the work fails nothing changes. Other files in `folder`, which this process
    holds, stay. Raises `UserError` if a file cannot be written.
    """
    folder = Path(folder)
    new = folder / UNFINISHED
    with writing(folder):
        settle(folder)
        new.mkdir(parents=True)
        (new / RECORD).touch()
    try:
        yield new
        with writing(folder):
            finish(folder)
    except UserError as error:  # name the place where the file would have come to lie
        raise UserError(str(error).replace(str(new), str(folder))) from None
    finally:
        shutil.rmtree(new, ignore_errors=True)


def finish(folder):
    """Put the files in UNFINISHED in place. Raises OSError if one of them cannot be."""
    new = folder / UNFINISHED
    if not (new / RECORD).exists():  # and files that were written later are not all of them
        raise OSError(None, "it was removed meanwhile")
    paths = [path for path in sorted(new.rglob("*")) if path.is_file()]
    names = [path.relative_to(new).as_posix() for path in paths if path != new / RECORD]
    for place in map(folder.joinpath, names):
        if place.is_dir() or any(parent.is_file() for parent in place.parents):
            raise OSError(None, f"{place} or its folder is in the way")
    (new / RECORD).write_text(json.dumps({"files": names}))
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(flush, paths))
    new.rename(folder / FINISHED)
    settle(folder)


def flush(path):
    """Wait until the content of a file is on the disk."""
    with open(path, "rb+") as file:
        os.fsync(file)


def settle(folder):
    """Move what a run has finished in a folder, and remove what one has not. Raises OSError."""
    folder = Path(folder)
    finished = folder / FINISHED
    names = recorded(finished)
    if names:
        for name in {*recorded(folder)} - {*names}:
            (folder / name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # the folder is not empty
                (folder / name).parent.rmdir()
        for name in [*names, RECORD]:
            if (finished / name).exists():  # else it was moved before a run was killed
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(finished / name, folder / name)
    shutil.rmtree(finished, ignore_errors=True)
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)


def recorded(folder):
    """The names of the files in a RECORD, a list; none if the folder has no RECORD, or no whole."""
    try:
        return json.loads(Path(folder, RECORD).read_text())["files"]
    except (OSError, ValueError, KeyError, TypeError):  # or it is of something else
        return []


def left_in(folder):
    """The names of the files that the last run left in a folder, a set, also if it was killed."""
    return {*recorded(folder), *recorded(Path(folder, FINISHED))}


def check_inputs(folder, flag, inputs, results):
    """Raise `UserError` if results would replace a file that a run reads, or one of somebody else.

    flag: names the folder. inputs: paths of what is read. results: names of what will be written.
    """
    left = left_in(folder)
    inputs = {os.path.realpath(path): path for path in inputs}
    for name in sorted(left.union(results)):
        path = Path(folder, name)
        read = inputs.get(os.path.realpath(path))
        if read:
            raise UserError(f"{read} would be replaced or removed with the results in {folder}; "
                            f"copy it to another place, or name another folder with {flag}")
        if name not in left and path.exists():
            raise UserError(f"{path} is there already, and no result; move it away, or name "
                            f"another folder with {flag}")


def read_whole(folder, read):
    """What `read()` returns of the files in a folder: all of one run, never of two.

    Raises `UserError` if another run moves files all the time, and whatever `read` raises.
    """
    folder = Path(folder)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        before = version(folder)
        if before is None:  # a run is moving its files, or was killed as it did
            with (writing(folder), contextlib.suppress(Timeout),
                  FileLock(folder / LOCK, timeout=0.02)):
                settle(folder)
            continue
        try:
            result = read()
        except Exception:
            if version(folder) == before:
                raise
            continue
        if version(folder) == before:
            return result
    raise UserError(f"{folder} has been changing for {PATIENCE} seconds; wait until the run in it "
                    "has ended")


def version(folder):
    """What differs after each run that left files in a folder; None while files are moved."""
    if (folder / FINISHED).exists():
        return None
    try:
        record = os.stat(folder / RECORD)
    except OSError:
        return ()  # no run has left files here
    return record.st_ino, record.st_mtime_ns
