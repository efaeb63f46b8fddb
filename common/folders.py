"""A folder of results: replaced whole or not at all, by one run at a time, whatever kills it.

Beside its files it holds LOCK; while new ones are written the folder UNFINISHED; from the moment that they are complete
until all are in place FINISHED instead; and RECORD, which says which files these were. As SQLite's journal: whoever
comes next finishes what is complete, and clears away what is not.
"""

import contextlib
import json
import os
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from filelock import FileLock, Timeout

from common.errors import UserError
from common.files import write_bytes, writing

LOCK, UNFINISHED, FINISHED, RECORD = ".lock", ".unfinished", ".finished", ".files.json"
PATIENCE = 10  # seconds that a reader waits for a run which puts its files in place


@contextlib.contextmanager
def holding(folder, flag):
    """Keep other runs out of a folder, which is made if it is missing; clear away what one that was killed left there.

    Raises `UserError`, which names the flag, if another process holds it, or it cannot be written to. The lock is the
    system's: that of a process that is gone holds nobody up.
    """
    folder = Path(folder)
    lock = FileLock(folder / LOCK, timeout=0)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not re.fullmatch(r"\d*", held := holder(folder)):
            raise OSError(None, f"its {LOCK}, which says {held!r}, is somebody else's")
        try:
            lock.acquire()
        except Timeout:
            raise UserError(f"{flag} {folder} is in use by process {holder(folder) or '?'}; wait until it has ended, "
                            f"or give another {flag}") from None
    try:
        with writing(folder):
            (folder / LOCK).write_text(str(os.getpid()))
            tidy(folder)
        yield
    finally:
        lock.release()


def holder(folder):
    """The number of the process that holds a folder, as text, or that held it last; nothing if none ever did."""
    with contextlib.suppress(OSError):
        return (folder / LOCK).read_text(errors="replace")[:20]
    return ""


@contextlib.contextmanager
def in_place_of(folder):
    """A new folder to write files into, which then come in place of those that this left in `folder` the last time.

    Whole or not at all: nothing changes before the last file is written and on the disk, and if the work fails. What
    else is in `folder`, which is held by this process, stays. Raises `UserError` if a file cannot be written.
    """
    folder = Path(folder)
    new = folder / UNFINISHED
    with writing(folder):
        tidy(folder)
        new.mkdir(parents=True)
        (new / RECORD).touch()  # tells it from a folder of somebody else's
    try:
        yield new
        with writing(folder):
            if not os.path.exists(new / RECORD):
                shutil.rmtree(new, ignore_errors=True)
                raise OSError(None, "it was removed meanwhile")
            files = [path.relative_to(new).as_posix() for path in sorted(new.rglob("*"))
                     if path.is_file() and path != new / RECORD]
            gone = {*recorded(folder)["files"]} - {*files}
            for path in (folder / name for name in files):  # else some would be in place before one that cannot be
                if path.is_dir() or any(place.is_file() for place in path.parents):
                    raise OSError(None, f"{path.relative_to(folder)} or its folder is in the way")
                if link := linked(folder, path.relative_to(folder)):
                    raise OSError(None, f"{link} is a link; remove it")
            write_bytes(new / RECORD, json.dumps({"files": files, "gone": sorted(gone)}).encode())
            to_disk(new)
            new.rename(folder / FINISHED)
            to_disk(folder, below=False)
            settle(folder)
    except UserError as error:  # where the file would have come to lie says more
        raise UserError(str(error).replace(str(new), str(folder))) from None
    finally:
        remove(new)


def tidy(folder):
    """Finish what a run that was killed had completed in a folder, and clear away what it had not. Raises OSError."""
    settle(folder)
    remove(folder / UNFINISHED)
    for name in (UNFINISHED, FINISHED):
        if os.path.lexists(folder / name):
            raise OSError(None, f"its {name} is somebody else's")


def recorded(folder):
    """What `in_place_of` left in a folder the last time, {"files": [...], "gone": [...]}; nothing if it never did."""
    try:
        record = json.loads(Path(folder, RECORD).read_text())
        names = [*record["files"], *record["gone"]]
        if all(isinstance(name, str) and os.fsencode(name) and "\0" not in name and ".." not in Path(name).parts
               and not Path(name).is_absolute() for name in names):
            return record
    except (OSError, ValueError, KeyError, TypeError):
        pass  # there is none, or it is somebody else's
    return {"files": [], "gone": []}


def left_in(folder):
    """The names of the files that `in_place_of` has left in a folder, or was kept from putting there."""
    return {name for place in (folder, Path(folder, FINISHED)) for name in recorded(place)["files"]}


def check_inputs(folder, flag, inputs, results):
    """Raise `UserError` if `in_place_of` would replace or remove one of the files that a run reads, or foreign ones.

    flag: that names the folder. inputs: paths; results: names of files that will be written, which must not be there
    yet unless they were left there the last time.
    """
    left = left_in(folder)
    inputs = {os.path.realpath(path): path for path in inputs}
    for name in sorted(left | {*results}):
        if path := inputs.get(os.path.realpath(Path(folder, name))):
            raise UserError(f"{path} would be replaced or removed with the results in {folder}; copy it to another "
                            f"place, or name another folder with {flag}")
    for name in results:
        if name not in left and Path(folder, name).exists():
            raise UserError(f"{Path(folder, name)} is there already, and no result; move it away, or name another "
                            f"folder with {flag}")


def settle(folder):
    """Put in place what `in_place_of` has finished in a folder but was kept from putting there.

    Nothing is moved or removed through a link. Raises OSError.
    """
    folder, finished = Path(folder), Path(folder, FINISHED)
    if finished.is_symlink():
        finished.unlink()
    record = recorded(finished)
    inside = [name for name in record["gone"] if not linked(folder, name)]
    for name in inside:
        (folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it is not empty, or is `folder` itself
            (folder / name).parent.rmdir()
    for name in [*record["files"], RECORD]:  # the record comes last: as long as it lies there this starts anew
        if os.path.lexists(finished / name):
            if link := linked(folder, name):
                raise OSError(None, f"{link} is a link; remove it")
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(finished / name, folder / name)
    remove(finished)


def linked(folder, name):
    """The link through which a file of that name in `folder` would be written, or None."""
    between = [folder / place for place in Path(name).parents if place.name]
    return next((place for place in between if place.is_symlink()), None)


def remove(folder):
    """Remove a folder of `in_place_of` with all that is in it; of a link that alone, of somebody else's nothing."""
    if folder.is_symlink():
        folder.unlink()
    elif os.path.exists(folder / RECORD) or not any(path.is_file() for path in folder.rglob("*")):
        for path in folder.glob("*"):
            if path.name != RECORD:  # it goes last: until then the next can go on with this
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        shutil.rmtree(folder, ignore_errors=True)


def to_disk(folder, below=True):
    """Return when what was written into a folder is on the disk, where no power failure takes it: all files at once.

    Raises OSError: some disks say only now that they are full.
    """
    def flush(path):
        with contextlib.suppress(*[OSError] * path.is_dir()):  # Windows opens no folder
            number = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
            try:
                os.fsync(number)
            finally:
                os.close(number)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(flush, [folder, *(folder.rglob("*") if below else ())]))


def read_whole(folder, read):
    """What `read()` makes of the files in a folder: all of one run, even while another puts its own in place.

    Raises `UserError` if that one does not come to its end, and whatever `read` does.
    """
    folder, start = Path(folder), time.monotonic()
    while time.monotonic() < start + PATIENCE:
        if os.path.exists(folder / FINISHED):
            with writing(folder), contextlib.suppress(Timeout), FileLock(folder / LOCK, timeout=0):
                settle(folder)  # nobody else does
        before = stamp(folder)
        if before is None:
            time.sleep(0.02)
            continue
        try:
            result = read()
        except Exception:
            if stamp(folder) == before:
                raise
            continue
        if stamp(folder) == before:
            return result
    raise UserError(f"{folder} has been changing for {PATIENCE} seconds; wait until the run in it has ended")


def stamp(folder):
    """What is another after every run that left its files in a folder; None while files are put in place."""
    if os.path.exists(folder / FINISHED):
        return None
    try:
        record = os.stat(folder / RECORD)
        return record.st_ino, record.st_mtime_ns
    except OSError:
        return ()  # nothing was ever left there
