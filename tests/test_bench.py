"""The benchmark: it prints every row, and counts operations right. How fast it is, no test says."""

import math
import os
import subprocess

import numpy as np
import psutil
import pytest

import model
import train
from bench import __main__ as bench
from bench import gpu, growth, measurements, peers
from common import model_file
from common.backend import device
from common.files import read_table
from common.settings import Settings, write_settings
from data import create_data
from scripts import REPOSITORY, command, run

NARROW = dict(width=0.04, size=(64, 64), radius=(8, 12))
FLAGS = "--width 0.04 --size 64 64 --radius 8 12 --steps 3 --validation 2 --quick".split()


def test_a_run_prints_every_row(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for name in ("train.py", "test.py"):
        (other / name).write_text("print('another checkout')")
    groups = ["data", "scripts"]
    done = run(tmp_path, "bench", *groups, *FLAGS, "--against", str(other))
    assert (done.returncode, done.stderr) == (0, "")
    rows = read_table(tmp_path / "output" / f"bench_{'_'.join(groups)}.csv")
    value = {(row["row"].strip(), row["unit"]): float(row["median"]) for row in rows}
    named = {name for name, _ in value}
    assert all(name in done.stdout for name in named)
    assert named >= {
        "create_data", "create_data, PNGs written", "train.py", "test.py", "train.py of --against",
        "train.py / that of --against", "test.py / that of --against"}
    assert named >= {f"of train.py: {part}" for part in train.PARTS}
    assert min(value.values()) > 0
    assert {row["device"].split(",")[0] for row in rows} == {device()}


def test_what_is_measured_is_there_at_once_and_stays_when_it_is_ended(tmp_path):
    with subprocess.Popen(
            command("bench", "data", "scripts", *FLAGS), cwd=tmp_path, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}
            ) as process:
        printed = ""
        while "scripts" not in printed:  # what is measured next
            line = process.stdout.readline()
            assert line, process.stderr.read()
            printed += line
        assert "about 1 min" in printed
        assert "create_data, PNGs written" in printed
        rows = read_table(tmp_path / "output" / "bench_data_scripts.csv")
        assert {row["row"] for row in rows} == {"create_data", "create_data, PNGs written"}
        started = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        assert process.wait(timeout=60) == 130
    _, remaining = psutil.wait_procs(started, timeout=60)
    assert started
    assert not remaining
    assert read_table(tmp_path / "output" / "bench_data_scripts.csv") == rows


@pytest.mark.parametrize(("line", "words"), [
    ("peer", "peer cannot be measured; name step, "), ("scripts --against .", "holds no train.py")])
def test_what_cannot_be_measured_is_one_sentence(tmp_path, line, words):
    done = run(tmp_path, "bench", *line.split())
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_step_is_measured_beside_its_floor(eager):
    settings = Settings(**NARROW)
    step, floor, image, operations = measurements.step_and_floor(settings, steps=1, images=1)
    assert 0 < floor < step
    assert image > 0
    assert operations == measurements.training_operations(model.build(settings, size=(64, 64)))


def test_own_images_are_timed_small_and_large(monkeypatch, eager):
    monkeypatch.setattr(measurements, "SIDES", (64, 96))
    rows = measurements.own_images(Settings(width=1 / 16), None)
    assert {name.partition(",")[0] for name, _ in rows} == {"own images", "prediction"}
    assert min(rows.values()) > 0


def test_growth_is_drawn_over_the_sides_and_the_widths_that_are_measured(monkeypatch, tmp_path):
    settings = []

    def measured(function, changed, *counts):
        settings.append(changed)
        return 0.3, 0.2, 0.1, None

    monkeypatch.setattr(growth, "isolated", measured)
    rows = growth.growth(Settings(fill="constant"), None)
    assert len({(changed.size, changed.width, changed.fill) for changed in settings}) == 9
    growth.draw({name: value for (name, _), value in rows.items()}, tmp_path)
    assert (tmp_path / "growth.png").stat().st_size > 5000


def test_operations_of_a_step_are_those_of_the_convolutions():
    network = model.build(size=(160, 160))
    forward = 0
    for layer in network.layers:
        if isinstance(layer, model.layers.Conv2D):
            _, height, width, filters = layer.output.shape
            side, _, channels, _ = layer.kernel.shape
            forward += 2 * side**2 * channels * filters * height * width
    assert forward == pytest.approx(6.5e9, rel=0.01)
    # of the first convolution, 3x3 on one channel to 32 filters, inputs are not computed
    first = 2 * 9 * 32 * 160 * 160
    assert measurements.training_operations(network) == 3 * forward - first


@pytest.mark.parametrize(("goal", "steps"), [(0.0, 0), (1.0, math.inf)])
def test_a_race_ends_where_the_goal_is_reached(goal, steps, monkeypatch, eager):
    monkeypatch.setattr(measurements, "GOAL", goal)
    reached, seconds = measurements.race(Settings(**NARROW, steps=2), "narrow").values()
    assert reached == steps
    assert seconds > 0


@pytest.mark.parametrize("peer", peers.PEERS)
def test_the_torch_peer_trains_as_we_do(peer):
    torch = pytest.importorskip("torch")
    from bench.torch_step import UNet, training_step

    settings = Settings(width=0.04, schedule="constant", clip_norm=0.01)
    X, Y = create_data(1, settings)
    samples = train.samples_in_turn(settings, X, Y)
    ours = train.compile_network(settings, X, Y)
    ours.run_eagerly = True
    levels = (*model.DOWN, model.BOTTOM, *model.UP)
    filters = [model.scaled(number, settings) for number in levels]
    theirs = UNet(filters, X.mean(), X.std())
    with torch.no_grad():
        for parameter, weights in zip(theirs.parameters(), ours.get_weights(), strict=True):
            if weights.ndim == 4:  # Keras has the filters last
                weights = np.moveaxis(weights, (3, 2), (0, 1)).copy()
            parameter.copy_(torch.from_numpy(weights))
    step = training_step(settings, X, Y, theirs, **peers.PEERS[peer])
    our_losses = [ours.train_on_batch(*next(samples)) for _ in range(6)]
    their_losses = [step() for _ in range(6)]
    assert their_losses == pytest.approx(our_losses, rel=1e-4)
    assert their_losses[-1] < their_losses[0]


def test_a_part_of_gpu_that_fails_leaves_the_others(tmp_path, monkeypatch, capfd):
    def fails(settings, folder):
        raise RuntimeError("no such kernel")

    def tells(settings, folder):
        return {("step", "ms"): 1.0, ("backend", os.environ["KERAS_BACKEND"]): 0.0}

    settings = Settings(output=str(tmp_path))
    monkeypatch.setattr(gpu, "check_card", lambda backend, folder: None)
    assert gpu.measured("tensorflow", fails, settings, None) == {}
    assert "no such kernel" in capfd.readouterr().err
    assert gpu.measured("tensorflow", tells, settings, None) == {
        ("tensorflow, step", "ms"): 1.0, ("tensorflow, backend", "tensorflow"): 0.0}
    assert gpu.measured("nobackend", tells, settings, None) == {}
    assert "not installed" in capfd.readouterr().out


def test_what_a_gpu_gives_is_one_table_with_the_device_of_each_backend(tmp_path):
    folder = tmp_path / "bench_gpu" / "jax" / "even"
    write_settings(Settings(), {"device": "cuda:0", "versions": {"jax": "1.2"}},
                   folder / "settings.json")
    rows = {("jax, step", "ms"): [1.5], ("jax, study", "rows a minute"): [30],
            ("step, PyTorch", "ms"): [10.1]}
    summary = bench.summarise(rows, "CPU", gpu.devices(tmp_path))
    assert [row["device"] for row in summary] == ["cuda:0, jax 1.2", "cuda:0, jax 1.2", "CPU"]
    gpu.write_report(summary, tmp_path / "bench_gpu.md")
    lines = (tmp_path / "bench_gpu.md").read_text().splitlines()
    assert lines[0] == "* jax: cuda:0, jax 1.2"
    assert {"| step | 1.5 ms |", "| study | 30 rows a minute |", "| first run |  |",
            "* step, PyTorch: 10.1 ms"} <= set(lines)


def test_networks_are_compared_bit_for_bit_and_steps_timed_where_they_are(tmp_path, eager):
    settings = Settings(**NARROW)
    network = model.build(settings)
    for name in ("one", "same", "other"):
        if name == "other":
            weights = network.get_weights()
            weights[-1] = np.nextafter(weights[-1], 1)
            network.set_weights(weights)
        model_file.save(network, tmp_path / name / "model.keras")
    assert gpu.same_weights(tmp_path / "one", tmp_path / "same") == 1
    assert gpu.same_weights(tmp_path / "one", tmp_path / "other") == 0
    step, memory = gpu.step_at_once(settings)
    assert step > 0
    assert memory == 0 or device() != "CPU"
