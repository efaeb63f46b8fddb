"""Tables and other files: each format is read and written in one place, and a write that fails names its file.

Images: common/images.py. Folders of results: common/folders.py.
"""

import contextlib
import csv
import errno
import io
import os
import re
import stat
import subprocess
import tempfile
from pathlib import Path

from common.errors import UserError


@contextlib.contextmanager
def writing(path):
    """While this lasts, a write that fails is a `UserError` with the name of the file `path`."""
    try:
        yield
    except OSError as error:  # Keras' h5py knows no strerror
        reason = error.strerror or str(error).partition("\n")[0]
        room = "make room for it, or " if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else ""
        raise UserError(f"{path} could not be written ({reason}); {room}name another folder") from None


def write_bytes(path, content):
    """Write bytes to a file, whose folder is made if it is missing. Raises `UserError` if it cannot be."""
    with writing(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content)


def read_file(path, most):
    """The content of a file of at most so many bytes. Raises OSError for any other, and what is no file."""
    with open(path, "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode) or about.st_size > most:
            raise OSError(errno.EFBIG, f"no file of at most {most:,} bytes")
        return file.read()


def check_folder(path, flag):
    """Raise `UserError` unless `path` is a folder that can be written to, or can be made. Leaves nothing behind.

    The only sure test is to do it: what is missing is made in a temporary folder, where no other run can be in the way.
    """
    path = Path(path).absolute()
    nearest = next(place for place in (path, *path.parents) if os.path.lexists(place))
    try:
        os.listdir(nearest)  # names the file that is there in its place
        with tempfile.TemporaryDirectory(dir=nearest) as folder:
            Path(folder, path.relative_to(nearest)).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{flag} {path} cannot be a folder to write to ({error.strerror}: {nearest}); "
                        f"give another {flag}") from None


def commit():
    """The commit of this repository, with '-dirty' where files differ from it; None outside git."""
    with contextlib.suppress(OSError):  # git may not be installed
        return subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
                              cwd=Path(__file__).parent, capture_output=True, text=True).stdout.strip() or None


def numbered(folder, name):
    """{number: path} of the files NAME_number.png in a folder, in numeric order: 2 before 10."""
    matches = [(re.fullmatch(rf"{name}_(\d+)\.png", path.name), path) for path in Path(folder).glob("*.png")]
    return dict(sorted((int(match[1]), path) for match, path in matches if match))


def clear_numbered(folder, name):
    """Remove the files NAME_number.png from a folder: those of a larger set would be taken for part of the next."""
    for path in numbered(folder, name).values():
        with writing(path):
            path.unlink()


def write_table(rows, path):
    """Write a list of dicts as CSV, with every column that one of them has.

    Put in place at once, when its content is on the disk. Raises `UserError` if it cannot be written; then the old file
    stays.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, dict.fromkeys(name for row in rows for name in row), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    unfinished = Path(f"{path}.unfinished")
    with writing(path):
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        unfinished.unlink(missing_ok=True)  # it may be a link
        try:
            with open(unfinished, "xb") as file:
                file.write(text.getvalue().encode())
                file.flush()
                os.fsync(file)
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)


def read_table(path):
    """The rows of a CSV as dicts of text.

    Raises FileNotFoundError if there is none, `UserError` for one that is no table, or has rows of different length.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(read_file(path, 2**28).decode(), newline="")))
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is no table ({error}); move it away") from None
    for row in rows:
        if None in row or None in row.values():
            raise UserError(f"{path} is no table (its rows are of different length); move it away")
    return rows
