"""Tables and other files. A write that fails is one sentence that names its file.

Images: common/images.py. Folders of results: common/folders.py.
"""

import contextlib
import csv
import errno
import io
import os
import subprocess
import tempfile
from pathlib import Path

from common.errors import UserError


@contextlib.contextmanager
def writing(path):
    """While this lasts, a write that fails is a `UserError` with the name of the file `path`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error).partition("\n")[0]  # h5py gives no strerror
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        advice = "make room for it, or name another folder" if full else "name another folder"
        raise UserError(f"{path} could not be written ({reason}); {advice}") from None


def write_bytes(path, content):
    """Write bytes to a file, whose folder is made if it is missing. Raises `UserError`."""
    with writing(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content)


def read_file(path, most):
    """The content of a file of at most so many bytes. Raises OSError, also for a device."""
    if os.path.getsize(path) > most or not os.path.isfile(path):
        raise OSError(errno.EFBIG, f"no file of at most {most:,} bytes")
    return Path(path).read_bytes()


def check_folder(path, flag):
    """Raise `UserError` unless `path` is a folder that can be written to, or can be made.

    The only sure test is to do it. What is missing is made within a temporary folder, which is
    removed again, so that other runs do not see it.
    """
    path = Path(path).absolute()
    nearest = next(place for place in (path, *path.parents) if os.path.lexists(place))
    try:
        with tempfile.TemporaryDirectory(dir=nearest) as folder:
            Path(folder, path.relative_to(nearest)).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{flag} {path} cannot be a folder to write to ({error.strerror}: "
                        f"{nearest}); give another {flag}") from None


def commit():
    """The commit of this repository, with '-dirty' where files differ; None outside git."""
    command = "git describe --always --dirty --abbrev=40 --exclude=*".split()
    with contextlib.suppress(OSError):  # git may not be installed
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
        return done.stdout.strip() or None


def write_table(rows, path):
    """Write a list of dicts as CSV, with every column that one of them has.

    It replaces the old file when it is on the disk. Raises `UserError` if it cannot be written;
    then the old file stays.
    """
    columns = dict.fromkeys(name for row in rows for name in row)
    unfinished = Path(f"{path}.unfinished")
    with writing(path):
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(unfinished, "w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, columns, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
                file.flush()
                os.fsync(file)
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)


def read_table(path):
    """The rows of a CSV as dicts of text.

    Raises FileNotFoundError if there is none, `UserError` for one that is no table, or has rows
    of different length.
    """
    try:
        text = read_file(path, 2**28).decode()
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is no table ({error}); move it away") from None
    for row in rows:
        if None in row or None in row.values():
            raise UserError(f"{path} is no table (its rows are of different length); move it away")
    return rows
