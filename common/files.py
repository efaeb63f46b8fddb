"""Tables and other files: each format is read and written in one place, and a write that fails names its file.

Images: common/images.py.
"""

import contextlib
import csv
import io
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from common.errors import UserError


FINISHED, RECORD = ".finished", ".files.json"  # of in_place_of: a folder whose files are complete, and their names


@contextlib.contextmanager
def writing(path):
    """While this lasts, a write that fails is a `UserError` with the name of the file `path`."""
    try:
        yield
    except OSError as error:  # Keras' h5py knows no strerror
        reason = error.strerror or str(error).partition("\n")[0]
        raise UserError(f"{path} could not be written ({reason}); make room for it, or name another folder") from None


def write_bytes(path, content):
    """Write bytes to a file, whose folder is made if it is missing. Raises `UserError` if it cannot be."""
    with writing(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content)


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


@contextlib.contextmanager
def in_place_of(folder):
    """A new folder to write files into, which then come in place of those that this left in `folder` the last time.

    Whole or not at all: nothing changes before the last file is written, and if the work fails. From the moment that
    the new folder gets its last name its files are put in place, if need be by whoever calls `settle` next. What else
    is in `folder` stays. Raises `UserError` if a file cannot be written.
    """
    folder = Path(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        settle(folder)
        new = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder))
    try:
        yield new
        with writing(folder):
            files = [path.relative_to(new).as_posix() for path in sorted(new.rglob("*")) if path.is_file()]
            gone = {*recorded(folder)["files"]} - {*files}
            settle(folder)  # what another has finished meanwhile
            for path in (folder / name for name in files):  # else some would be in place before one that cannot be
                if path.is_dir() or any(place.is_file() for place in path.parents):
                    raise OSError(None, f"{path.relative_to(folder)} or its folder is in the way")
            (new / RECORD).write_text(json.dumps({"files": files, "gone": sorted(gone)}))
            new.rename(folder / FINISHED)
    except UserError as error:  # where the file would have come to lie says more
        raise UserError(str(error).replace(str(new), str(folder))) from None
    finally:
        shutil.rmtree(new, ignore_errors=True)
    with writing(folder):
        settle(folder)


def recorded(folder):
    """What `in_place_of` left in a folder the last time, {"files": [...], "gone": [...]}; nothing if it never did."""
    try:
        record = json.loads(Path(folder, RECORD).read_text())
        names = [*record["files"], *record["gone"]]
        if all(isinstance(name, str) and ".." not in Path(name).parts and not Path(name).is_absolute()
               for name in names):
            return record
    except (OSError, ValueError, KeyError, TypeError):
        pass  # there is none, or it is somebody else's
    return {"files": [], "gone": []}


def check_inputs(folder, flag, inputs, results, own=()):
    """Raise `UserError` if `in_place_of` would replace or remove one of the files that a run reads, or foreign ones.

    flag: that names the folder. inputs: paths; results: names of the files that will be written; own: those of them
    that must not be there yet unless they were left there the last time.
    """
    left = {*recorded(folder)["files"]}
    inputs = {os.path.realpath(path): path for path in inputs}
    for name in sorted(left | {*results}):
        if path := inputs.get(os.path.realpath(Path(folder, name))):
            raise UserError(f"{path} would be replaced or removed with the results in {folder}; copy it to another "
                            f"place, or name another folder with {flag}")
    for name in own:
        if name not in left and Path(folder, name).exists():
            raise UserError(f"{Path(folder, name)} is there already, and no result; name another folder with {flag}")


def settle(folder):
    """Put in place what `in_place_of` has finished in a folder but was kept from putting there. Raises OSError."""
    folder, finished = Path(folder), Path(folder, FINISHED)
    record = recorded(finished)
    for name in record["gone"]:
        (folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it is not empty, or is `folder` itself
            (folder / name).parent.rmdir()
    for name in [*record["files"], RECORD]:  # the record comes last: as long as it lies there this starts anew
        if (finished / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(finished / name, folder / name)
    shutil.rmtree(finished, ignore_errors=True)


def write_table(rows, path):
    """Write a list of dicts as CSV, with every column that one of them has. Put in place at once, so nothing is lost.

    Raises `UserError` if it cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, dict.fromkeys(name for row in rows for name in row), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    unfinished = Path(path).with_suffix(".unfinished")
    write_bytes(unfinished, text.getvalue().encode())
    with writing(path):
        os.replace(unfinished, path)


def read_table(path):
    """The rows of a CSV as dicts of text. Raises OSError if there is no such file."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
