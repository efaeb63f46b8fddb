"""A training that was interrupted goes on from where it last was, and ends bit for bit as if it had not been."""

import json
import os
import shlex
import time
import zlib
from pathlib import Path

import numpy as np

from common.checks import as_flag
from common.errors import UserError
from common.files import write_bytes, writing
from common.folders import FINISHED, RECORD, UNFINISHED, holding, in_place_of, remove, settle
from common.settings import Settings, read_settings, training_names, write_settings

FOLDER, NETWORK, PROGRESS, MOMENTS = ".checkpoint", "network.keras", "progress.json", "moments.npz"
PARTS = (NETWORK, MOMENTS, PROGRESS, "settings.json")
CHECKSUM = "checksum"  # of all of them: one that was damaged would train on, and end as something else


class Checkpoints:
    """What is kept of a training every so many seconds, in a folder of its own below --output.

    Keras keeps weights and optimiser. Random streams need not be kept: they are drawn anew up to the step.
    """

    def __init__(self, settings=None, fingerprint=0):
        """Keep nothing without settings. fingerprint: of the data, a number that is another for other data."""
        self.settings, self.fingerprint = settings, fingerprint
        self.folder = Path(settings.output, FOLDER) if settings else None
        self.step, self.history, self.moments, self.losses = 0, [], {}, []
        self.due = time.monotonic() + settings.checkpoint if settings else 0

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        if kind is KeyboardInterrupt and self.step:
            error.args = (f"{self.command()} goes on from step {self.step}",)

    def command(self):
        """What is typed to go on."""
        output = f" --output {shlex.quote(self.settings.output)}" if self.settings.output != Settings.output else ""
        return f"train.py --resume{output}"

    def left_behind(self):
        """One sentence on an interrupted training that this one does not go on with, or None."""
        if resumable(self.settings.output) and not self.settings.resume:
            return (f"{self.settings.output} holds a training that was interrupted; {self.command()} would go on with "
                    "it, this one starts anew")
        return None

    def take_up(self, network, watch):
        """Bring an untrained network to where it was, and this and the `Stopwatch` to what was recorded by then.

        Raises `UserError` if the files cannot be used, or the data is another.
        """
        if not (self.settings and self.settings.resume):
            return
        try:
            progress, moments = self.read(network)
            self.step, self.history, self.losses = progress["step"], progress["history"], progress["losses"]
            watch |= progress["seconds"]
            self.moments = {int(step): of for step, of in moments.items()}
        except Exception as error:  # Keras, h5py, NumPy and JSON raise a dozen kinds for a file that is bad
            raise UserError(f"{self.folder} cannot be used ({type(error).__name__}); start anew without --resume"
                            ) from None
        if progress["fingerprint"] != self.fingerprint:
            raise UserError("--resume finds other images or masks than those of the interrupted training; start anew "
                            "without it")

    def read(self, network):
        """The files: progress, a dict, and moments, a dict of arrays; the weights go into the network."""
        network.load_weights(self.folder / NETWORK)
        with np.load(self.folder / MOMENTS, allow_pickle=False) as moments:
            return json.loads((self.folder / PROGRESS).read_text()), dict(moments)

    def keep(self, network, step, watch):
        """Keep what there is after a step, if it is time; not before the first or after the last.

        Raises `UserError` if it cannot be written.
        """
        if (not self.settings or not self.settings.checkpoint or step in (0, self.settings.steps)
                or (started := time.monotonic()) < self.due):
            return
        if self.folder.is_symlink():
            self.folder.unlink()
        progress = {"step": step, "history": self.history, "losses": self.losses, "seconds": watch,
                    "fingerprint": self.fingerprint}
        with in_place_of(self.folder) as folder:
            with writing(folder / NETWORK):
                network.save(folder / NETWORK)
            with writing(folder / MOMENTS):
                np.savez(folder / MOMENTS, **{str(step): of for step, of in self.moments.items()})
            write_bytes(folder / PROGRESS, json.dumps(progress, default=float).encode())
            write_settings(self.settings, {}, folder / "settings.json")
            write_bytes(folder / CHECKSUM, checksum(folder).encode())
        self.step, ended, pause = step, time.monotonic(), self.settings.checkpoint
        if pause >= Settings.checkpoint:  # who wants it more often pays for it
            pause = max(pause, 100 * (ended - started))
        self.due = ended + pause

    def drop(self):
        """Keep nothing any more: the training has come to its end."""
        if self.settings and resumable(self.settings.output):
            settle(self.folder)
            going = self.folder.with_name(UNFINISHED)  # at once, and the next run clears away what is left of it
            self.folder.rename(going)
            remove(going)


def resumable(output):
    """Whether an interrupted training was kept in the folder `output`: whole, for a first one may not be."""
    return not os.path.islink(Path(output, FOLDER)) and any(
        os.path.exists(Path(output, FOLDER, name)) for name in (RECORD, FINISHED))


def interrupted(given):
    """The flags of the training that was interrupted in the folder of `given`, flags as of --resume, as a dict.

    Raises `UserError` if there is none, if it is damaged, or if one of the flags says another thing.
    """
    output, folder = given["output"], Path(given["output"], FOLDER)
    if not resumable(output):
        raise UserError(f"--resume finds no interrupted training in {output}; leave it out, or name another --output")
    with holding(output, "--output"):
        with writing(folder):
            settle(folder)
        try:
            whole = (folder / CHECKSUM).read_bytes() == checksum(folder).encode()
        except OSError:
            whole = False
        if not whole:
            raise UserError(f"{folder} is damaged; start anew without --resume")
        settings = read_settings(folder / "settings.json")
    was = {name: getattr(settings, name) for name in training_names()}
    for name, value in given.items():
        if name in was and name != "output" and value != was[name]:
            raise UserError(f"{as_flag(name)} is not what it was in the interrupted training; leave it out beside "
                            "--resume")
    return was | given


def checksum(folder):
    """That of the files of a checkpoint, as text: CRC-32."""
    return str(fingerprint(np.fromfile(folder / name, "uint8") for name in PARTS))


def fingerprint(arrays):
    """A number that is another for other arrays: CRC-32."""
    number = 0
    for array in arrays:
        number = zlib.crc32(np.ascontiguousarray(array), number)
    return number
