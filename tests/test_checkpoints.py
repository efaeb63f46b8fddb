"""A training that is interrupted: what it says, and that it goes on bit for bit."""

import contextlib
import dataclasses
import signal
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest

import train
from common.checkpoints import Checkpoints, resumable
from common.images import write_png
from common.settings import RECIPES, Settings
from data import create_data, read_labelled
from scripts import command, contents, run

CIRCLES = Settings(width=1 / 16, steps=12, validation=4, watch=2, size=(64, 96), radius=(8, 12), samples=3,
                   augment=True)
OWN = "--image cell.png --mask mask.png --width 0.0625 --steps 24 --crop 64".split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with an image and its mask."""
    folder = tmp_path_factory.mktemp("runs")
    X, Y = create_data(1)
    write_png(folder / "cell.png", X[0])
    write_png(folder / "mask.png", Y[0] * 255)
    return folder


@pytest.mark.parametrize("own", [False, True], ids=["circles", "own image"])
def test_an_interrupted_training_goes_on_and_ends_as_if_it_had_not_been(folder, tmp_path, eager, own):
    settings = CIRCLES
    if own:
        settings = Settings(image=(str(folder / "cell.png"),), mask=(str(folder / "mask.png"),), **{
            **RECIPES["own"], "width": 1 / 16, "steps": 20, "crop": 64})
    settings = dataclasses.replace(settings, output=str(tmp_path), checkpoint=1e-9)
    labelled = read_labelled(settings)

    def trained(settings, stop=None):
        def report(step, row):
            if step == stop:
                raise KeyboardInterrupt
        kept = Checkpoints(settings)
        arguments = (settings, labelled, report, kept) if own else (settings, report, kept)
        with contextlib.suppress(KeyboardInterrupt):
            return (train.train_own if own else train.train)(*arguments), kept
        return kept

    whole, _ = trained(dataclasses.replace(settings, checkpoint=0))
    assert trained(settings, stop=1).step == 0
    assert not resumable(tmp_path)
    assert trained(settings, stop=8).step == 7
    parts, kept = trained(dataclasses.replace(settings, resume=True))
    assert kept.step == settings.steps - 1
    assert all(np.array_equal(*pair) for pair in zip(
        whole.network.get_weights(), parts.network.get_weights(), strict=True))
    for rows in zip(whole.history, parts.history, strict=True):
        a, b = ({name: value for name, value in row.items() if name != "seconds"} for row in rows)
        assert a == b
    if not own:
        assert whole.moments.keys() == parts.moments.keys()
        assert all(np.array_equal(whole.moments[step], parts.moments[step]) for step in whole.moments)


def test_no_more_than_a_hundredth_of_the_time_goes_into_checkpoints(tmp_path, monkeypatch):
    settings = dataclasses.replace(CIRCLES, output=str(tmp_path), steps=1000)
    clock, saved = [0.0], []

    class Network:
        def save(self, path):
            path.write_bytes(b"")
            clock[0] += 3  # seconds, on a slow disk
            saved.append(clock[0])

    monkeypatch.setattr("common.checkpoints.time.monotonic", lambda: clock[0])
    kept = Checkpoints(settings)
    for step in range(1, 1000):
        clock[0] += 1
        kept.keep(Network(), step, {})
    assert saved == [63, 366, 669, 972]


def test_a_checkpoint_is_not_written_or_taken_up_through_a_link(tmp_path):
    other, output = tmp_path / "other", tmp_path / "output"
    settings = dataclasses.replace(CIRCLES, output=str(output), checkpoint=1e-9)
    for folder in (other, output):
        folder.mkdir()
    network = SimpleNamespace(save=lambda path: path.write_bytes(b""))
    kept = Checkpoints(dataclasses.replace(settings, output=str(other)))
    kept.keep(network, 1, {})
    kept.folder.rename(other / "run")
    before = contents(other)
    (output / ".checkpoint").symlink_to(other / "run")
    assert not resumable(output)
    Checkpoints(settings).keep(network, 2, {})
    assert resumable(output)
    assert contents(other) == before


def test_an_interrupted_script_says_how_to_go_on_and_with_what_it_does_not(folder):
    training = subprocess.Popen(command("train.py", *OWN, "--output", "my run", "--checkpoint", "0.001"), cwd=folder,
                                text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # nohup ignores it
    lines = iter(training.stdout.readline, "")
    assert sum(line.startswith("step") for line, _ in zip(lines, range(6), strict=False)) == 6
    training.send_signal(signal.SIGINT)
    said = training.communicate()[1]
    assert said.strip().startswith("interrupted; train.py --resume --output 'my run' goes on from step ")
    resume = ["--resume", "--output", "my run"]
    done = run(folder, "train.py", *resume, "--steps", "9")
    assert (done.returncode, done.stderr) == (2, "train.py: --steps is not what it was in the interrupted training; "
                                              "leave it out beside --resume\n")
    image = (folder / "cell.png").read_bytes()
    write_png(folder / "cell.png", create_data(1)[0][0] + 1)
    done = run(folder, "train.py", *resume)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("train.py: --resume finds other images or masks than those of the interrupted")
    (folder / "cell.png").write_bytes(image)
    weights = folder / "my run" / ".checkpoint" / "network.keras"
    weights.write_bytes(weights.read_bytes()[:5000])
    done = run(folder, "train.py", *resume)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("start anew without --resume\n")
    done = run(folder, "train.py", "--resume", "--output", "another")
    assert done.stderr == ("train.py: --resume finds no interrupted training in another; leave it out, or name another "
                           "--output\n")
    done = run(folder, "train.py", *OWN, "--output", "my run", "--steps", "2")
    assert done.stdout.startswith("my run holds a training that was interrupted; train.py --resume --output 'my run'")
    assert done.returncode == 0, done.stderr
