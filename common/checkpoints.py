"""A training that was interrupted goes on from where it was, and ends bit for bit the same."""

import json
import math
import shlex
import shutil
import signal
import time
import zlib
from pathlib import Path

import numpy as np

from common.checks import as_flag
from common.errors import UserError
from common.files import writing
from common.folders import FINISHED, RECORD, UNFINISHED, holding, in_place_of, settle
from common.settings import Settings, read_settings, training_names, write_settings

PATIENCE = 5  # seconds between two presses of Ctrl-C of which the second ends a training at once
FOLDER, NETWORK, STATE, SETTINGS = ".checkpoint", "network.keras", "state.npz", "settings.json"


class Checkpoint:
    """What is kept of a training every so many seconds, in a folder of its own below --output.

    Keras keeps weights and optimiser. The state is a dataclass with `step`, `snapshots` (arrays by
    step), and what JSON can hold. Random streams are not kept: they are drawn anew up to the step.
    The large files are zip archives, whose own checksums tell damaged ones.

    `with` it, Ctrl-C waits for the end of a step, keeps that too, and then ends the training. After
    the last step it does nothing: results are about to be written. One that comes PATIENCE seconds
    later ends it at once; an earlier one may be the same press, passed on by another program.
    """

    def __init__(self, settings=None, fingerprint=0):
        """Keep nothing without settings. fingerprint: a number that tells the data from others."""
        self.settings, self.fingerprint = settings, fingerprint
        self.step = 0  # of the last checkpoint
        self.due = math.inf  # when the next one is, by the clock
        self.has_begun = False
        self.interrupted = math.inf  # when Ctrl-C was pressed, by the clock
        if settings:
            self.folder = Path(settings.output, FOLDER)
            if settings.checkpoint:
                self.due = time.monotonic() + settings.checkpoint

    def __enter__(self):
        is_usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not of nohup
        if is_usual and self.due < math.inf:
            signal.signal(signal.SIGINT, self.interrupt)
        return self

    def interrupt(self, *_):
        """What Ctrl-C does: within a step weights and state are not of the same moment."""
        now = time.monotonic()
        if not self.has_begun or now > self.interrupted + PATIENCE:
            raise KeyboardInterrupt
        self.interrupted = min(now, self.interrupted)

    def __exit__(self, kind, error, _):
        if signal.getsignal(signal.SIGINT) == self.interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if kind is KeyboardInterrupt and self.step:
            words = command_to_resume(self.settings.output, type(self.settings))
            error.args = (f"{words} goes on from step {self.step}",)

    def left_behind(self):
        """One sentence on an interrupted training that this one does not go on with, or None."""
        if self.settings.resume or not resumable(self.settings.output):
            return None
        words = command_to_resume(self.settings.output, type(self.settings))
        return (f"{self.settings.output} holds a training that was interrupted; this one starts "
                f"anew and will replace it. To go on with it: {words}")

    def restore(self, network, state):
        """With --resume: bring an untrained network and the state to where they were.

        Raises `UserError` if the files cannot be used, or the data is another.
        """
        if not self.settings or not self.settings.resume:
            return
        try:
            network.load_weights(self.folder / NETWORK)
            with np.load(self.folder / STATE) as arrays:
                snapshots = dict(arrays)
            values = json.loads(str(snapshots.pop("values")))
            data = values.pop("fingerprint")
            state.snapshots = {int(step): array for step, array in snapshots.items()}
            for name, value in values.items():
                if isinstance(value, dict):  # the stopwatch, which stays the same object
                    getattr(state, name).update(value)
                else:
                    setattr(state, name, value)
        except Exception as error:  # Keras, NumPy and JSON raise a dozen kinds for a damaged file
            raise UserError(f"{self.folder} cannot be used ({type(error).__name__}); start anew "
                            "without --resume") from None
        if data != self.fingerprint:
            raise UserError("--resume finds other images or masks than those of the interrupted "
                            "training; start anew without it")
        self.step = state.step

    def save_if_due(self, network, state):
        """Keep network and state if it is time, but not before the first step or after the last.

        Raises `UserError` if they cannot be written, KeyboardInterrupt after Ctrl-C.
        """
        self.has_begun = True
        begin = time.monotonic()
        if begin < min(self.due, self.interrupted):
            return
        if not 0 < state.step < self.settings.steps:
            return
        values = {**vars(state), "fingerprint": self.fingerprint}
        snapshots = {str(step): array for step, array in values.pop("snapshots").items()}
        with in_place_of(self.folder) as folder:
            with writing(folder / NETWORK):
                network.save(folder / NETWORK)
            with writing(folder / STATE):
                np.savez(folder / STATE, values=json.dumps(values, default=float), **snapshots)
            write_settings(self.settings, {}, folder / SETTINGS)
        self.step = state.step
        end, pause = time.monotonic(), self.settings.checkpoint
        if pause >= Settings.checkpoint:  # else it is wanted more often, whatever time it takes
            pause = max(pause, 100 * (end - begin))
        self.due = end + pause
        if begin >= self.interrupted:
            raise KeyboardInterrupt

    def remove(self):
        """Keep nothing any more: the training has come to its end."""
        if self.settings and resumable(self.settings.output):
            # Renamed, it is gone at once; if this is killed now, the next run removes the rest.
            unfinished = self.folder.rename(self.folder.with_name(UNFINISHED))
            shutil.rmtree(unfinished, ignore_errors=True)


def resumable(output):
    """Whether the folder `output` holds an interrupted training that was kept as a whole."""
    folder = Path(output, FOLDER)
    return (folder / RECORD).exists() or (folder / FINISHED).exists()


def command_to_resume(output, kind):
    """What is typed to go on with the training in a folder; kind: the class of its settings."""
    words = f"{kind.trained_by} --resume"
    if str(output) != kind.output:
        words += f" --output {shlex.quote(str(output))}"
    return words


def trained_before(output, kind=Settings):
    """One sentence where a network lies beside a training that has not ended, or None.

    Raises `UserError` if there is no network yet.
    """
    if not resumable(output):
        return None
    if not Path(output, SETTINGS).exists():
        raise UserError(f"{output} holds a training that has not ended, and no network yet; go on "
                        f"with it: {command_to_resume(output, kind)}")
    return (f"{output} also holds a training that has not ended: this network is of the one before "
            f"it; {command_to_resume(output, kind)} goes on with the other")


def interrupted_flags(given, kind=Settings):
    """The flags of the training that was interrupted in the folder given["output"], as a dict.

    given: the flags beside --resume; kind: the class of the settings. Raises `UserError` if there
    is no such training, or if one of the flags says another thing.
    """
    output = given["output"]
    folder = Path(output, FOLDER)
    if not resumable(output):
        raise UserError(f"--resume finds no interrupted training in {output}; leave it out, or "
                        "name another --output")
    with holding(output, "--output"), writing(folder):
        settle(folder)
        settings = read_settings(folder / SETTINGS, kind)
    flags = {name: getattr(settings, name) for name in training_names(kind)}
    for name, value in given.items():
        if name in flags and name != "output" and value != flags[name]:
            raise UserError(f"{as_flag(name)} is not what it was in the interrupted training; "
                            "leave it out beside --resume")
    return {**flags, **given}


def fingerprint(arrays):
    """A number that tells arrays from others: CRC-32."""
    number = 0
    for array in arrays:
        number = zlib.crc32(np.ascontiguousarray(array), number)
    return number
