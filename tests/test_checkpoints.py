"""A training that is interrupted: what it says, and that it goes on bit for bit."""

import contextlib
import dataclasses
import os
import re
import signal
import subprocess

import numpy as np
import pytest

from common.checkpoints import FOLDER, Checkpoint, fingerprint, resumable
from common.errors import UserError
from common.images import write_png
from common.settings import Settings
from data import create_data
from faults import state
from own.crops import read_labelled
from own.settings import OwnSettings
from own.training import train_own
from scripts import REPOSITORY, command, run
from train import TrainingState, compile_network, train

CIRCLES = Settings(width=1 / 16, steps=8, validation=2, watch=1, size=(64, 96), radius=(8, 12),
                   samples=3, augment=True)
OWN = OwnSettings(width=1 / 16, steps=24, crop=64)


@pytest.mark.parametrize("settings", [CIRCLES, OWN], ids=["circles", "own images"])
def test_an_interrupted_training_ends_as_if_it_had_not_been(tmp_path, eager, settings):
    settings = dataclasses.replace(settings, output=str(tmp_path))
    own = isinstance(settings, OwnSettings)
    if own:
        image, mask = str(tmp_path / "cell.png"), str(tmp_path / "mask.png")
        X, Y = create_data(1)
        write_png(image, X[0])
        write_png(mask, Y[0] * 255)
        settings = dataclasses.replace(settings, image=(image,), mask=(mask,))

    def trained(stop=None, **changes):
        def report(step, row):
            if step == stop:
                raise KeyboardInterrupt

        changed = dataclasses.replace(settings, **changes)
        if own:
            return train_own(changed, read_labelled(changed), report, Checkpoint(changed))
        return train(changed, report, Checkpoint(changed))

    whole = trained(checkpoint=0)
    with contextlib.suppress(KeyboardInterrupt):
        trained(stop=4, checkpoint=1e-9)
    assert resumable(tmp_path)
    resumed = trained(resume=True)
    for one, other in zip(whole.network.get_weights(), resumed.network.get_weights(), strict=True):
        assert np.array_equal(one, other)
    for row in whole.history + resumed.history:
        assert row.pop("seconds") > 0
    assert whole.history == resumed.history
    assert whole.seconds.keys() == resumed.seconds.keys()
    if not own:
        assert whole.snapshots.keys() == resumed.snapshots.keys()
        for step, probabilities in whole.snapshots.items():
            assert np.array_equal(probabilities, resumed.snapshots[step])


def test_a_checkpoint_that_is_damaged_or_of_other_images_is_refused(tmp_path):
    settings = dataclasses.replace(CIRCLES, output=str(tmp_path), checkpoint=1e-9, resume=True)
    X, Y = create_data(1, settings)
    network = compile_network(settings, X, Y)
    state = TrainingState(step=1, snapshots={0: X})
    Checkpoint(settings, fingerprint([X])).save_if_due(network, state)
    with pytest.raises(UserError, match="--resume finds other images or masks"):
        Checkpoint(settings, fingerprint([Y])).restore(network, TrainingState())
    for name in ("network.keras", "state.npz"):
        path = tmp_path / FOLDER / name
        whole = path.read_bytes()
        middle = len(whole) // 2
        for damaged in (whole[:middle], whole[:middle] + b"nothing" + whole[middle + 7 :]):
            path.write_bytes(damaged)
            with pytest.raises(UserError, match=r"cannot be used .*; start anew without --resume"):
                Checkpoint(settings, fingerprint([X])).restore(network, TrainingState())
        path.write_bytes(whole)
    Checkpoint(settings, fingerprint([X])).restore(network, TrainingState())


FLAGS = {
    "train.py": "--width 0.0625 --size 64 64 --radius 8 12 --validation 1 --watch 1 --steps 300",
    "own train": "cell.png mask.png --width 0.0625 --crop 64 --steps 200",
}
HERE = ["--output", "my run"]


def interrupted(folder, name, *flags):
    """What a training says on stderr that Ctrl-C ends after a few rows of its history."""
    line = [*command(*name.split()), *FLAGS[name].split(), *HERE, *flags]
    training = subprocess.Popen(
        line, cwd=folder, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # after nohup the signal would be ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    rows = 0
    while rows < 3:
        line = training.stdout.readline()
        assert line, training.stderr.read()
        rows += line.startswith("step ")
    training.send_signal(signal.SIGINT)
    _, errors = training.communicate()
    assert training.returncode == 130
    return errors


@pytest.mark.parametrize("name", FLAGS)
def test_ctrl_c_keeps_what_was_learned_before_a_checkpoint_was_due(tmp_path, name):
    X, Y = create_data(1)
    write_png(tmp_path / "cell.png", X[0])
    write_png(tmp_path / "mask.png", Y[0] * 255)
    assert interrupted(tmp_path, name, "--checkpoint", "0") == "\ninterrupted\n"
    assert not resumable(tmp_path / "my run")  # none is wanted
    said = interrupted(tmp_path, name)
    step = re.search(r"--resume --output 'my run' goes on from step (\d+)\n$", said)[1]
    resumed = run(tmp_path, *name.split(), "--resume", *HERE)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert int(re.search(r"^step +(\d+)", resumed.stdout, re.MULTILINE)[1]) > int(step) > 3
    whole = run(tmp_path, *name.split(), *FLAGS[name].split(), "--output", "whole")
    assert whole.returncode == 0
    one, other = (state(tmp_path / output) for output in ("my run", "whole"))
    for left in ("model.keras", "history.csv"):
        assert one[left] == other[left]


def test_an_interrupted_training_is_told_of_to_whoever_comes_next(tmp_path):
    interrupted(tmp_path, "train.py")
    for script, flags, sentence in (
            ("train.py", ["--resume"], "finds no interrupted training in output"),
            ("train.py", ["--resume", *HERE, "--steps", "9"], "--steps is not what it was"),
            ("test.py", HERE, "my run holds a training that has not ended, and no network yet")):
        done = run(tmp_path, script, *flags)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
        assert sentence in done.stderr
    line = ["train.py", *FLAGS["train.py"].split(), *HERE]
    done = run(tmp_path, *line, "--steps", "2")
    assert "my run holds a training that was interrupted" in done.stdout
    assert (done.returncode, done.stderr) == (0, "")
    assert not resumable(tmp_path / "my run")

    interrupted(tmp_path, "train.py")
    done = run(tmp_path, "test.py", *HERE, "--images", "2")
    assert done.returncode == 0
    assert "not ended: this network is of the one before it; train.py --resume" in done.stdout


def test_ctrl_c_after_the_last_step_costs_nothing(tmp_path):
    line = [*command("train.py"), *FLAGS["train.py"].split(), *HERE, "--steps", "3"]
    training = subprocess.Popen(
        line, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    while not (row := training.stdout.readline()).startswith("step     3"):
        assert row, training.stderr.read()
    for _ in range(2):  # a program that passes the signal on may do so twice
        training.send_signal(signal.SIGINT)
    said, errors = training.communicate()
    assert (training.returncode, errors) == (0, "")
    assert "look at" in said
    assert not resumable(tmp_path / "my run")
