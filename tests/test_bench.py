"""The benchmark: it prints every row, and counts operations right. How fast it is, no test says."""

import argparse
import concurrent.futures
import contextlib
import importlib.util
import math
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import bench.__main__
import model
import train
from bench import growth, measurements, peers
from bench.__main__ import Options, as_lines, measure, summarise
from common.backend import device
from common.errors import UserError
from common.files import read_table
from common.settings import RECIPES, Settings
from data import create_data

REPOSITORY = Path(__file__).parent.parent
TINY = "--width 0.04 --size 64 64 --radius 8 12 --steps 3 --validation 2".split()


def bench_in(folder, line):
    """Run the benchmark of a tiny network in a folder."""
    return subprocess.run([sys.executable, "-m", "bench", *line.split(), *TINY], cwd=folder, text=True,
                          capture_output=True, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})


def test_benchmark_prints_every_row(tmp_path):
    done = bench_in(tmp_path, "step large data scripts race --quick --cap 2")
    assert (done.returncode, done.stderr) == (0, "")
    rows = read_table(tmp_path / "output" / "bench_step_large_data_scripts_race.csv")
    named = {(row["row"].strip(), row["unit"]): float(row["median"]) for row in rows}
    assert all(row["row"] in done.stdout for row in rows)
    assert list(named) == [
        ("float32 matrix product, 2048 x 2048", "GFLOP/s"), ("operations of a step", "GFLOP"),
        ("floor: operations at that rate", "ms"), ("step", "ms"), ("step / floor", ""),
        ("prediction, 64 x 64", "images/s"), ("prediction, 2048 x 2048", "ms"),
        ("prediction, 2048 x 2048, peak memory", "GB"), ("create_data", "images/s"),
        ("create_data, PNGs written", "images/s"), ("train.py", "s"),
        *((f"of these {part}", "s") for part in (*train.PARTS, "rest: start of Python, exit")),
        ("train.py / its bare steps", ""), ("train.py, peak memory", "GB"), ("test.py", "s"),
        *((f"IoU 0.95, {name}, seed 0", unit) for name in ("this recipe", "Dice and SGD") for unit in ("steps", "s"))]
    floor = named["floor: operations at that rate", "ms"]
    assert named["step / floor", ""] == pytest.approx(named["step", "ms"] / floor, rel=1e-3)
    assert all(value > 0 for value in named.values())
    # three steps of a tiny network do not get there
    assert named["IoU 0.95, this recipe, seed 0", "steps"] == named["IoU 0.95, Dice and SGD, seed 0", "s"] == np.inf
    assert {row["device"].split(",")[0] for row in rows} == {device()}
    assert {row["n"] for row in rows} == {"1"}


def test_an_unknown_group_is_refused_with_those_that_there_are(tmp_path):
    done = bench_in(tmp_path, "peer")
    assert (done.returncode, done.stderr) == (2, (
        "bench: peer cannot be measured; name step, large, own, data, scripts, race, peers, growth, or none for all\n"))


def test_growth_is_measured_beside_its_floor_and_drawn(tmp_path, monkeypatch):
    asked = []

    def measured(function, settings, steps, images):
        asked.append(settings)
        return 3.0, 2.0, 1.0, None

    monkeypatch.setattr(growth, "isolated", measured)
    rows = growth.growth(Settings(width=0.5, fill="constant"), 0)
    assert {settings.fill for settings in asked} == {"constant"}
    assert [(settings.size[0], settings.width) for settings in asked] == [
        *((side, 0.5) for side in growth.SIDES), *((160, width) for width in growth.WIDTHS)]
    assert rows["step, side 64", "ms"] == 3000
    assert rows["floor, width 0.125", "ms"] == 2000
    assert rows["prediction, width 2", "ms"] == 1000
    growth.draw({row: value for (row, _), value in rows.items()}, tmp_path)
    assert cv2.imread(str(tmp_path / "growth.png")).shape[1] <= 900


def test_step_and_floor_are_those_of_the_network():
    step, floor, image, work = measurements.step_and_floor(
        Settings(width=0.04, size=(64, 64), radius=(8, 12)), steps=2, images=5)
    assert work == measurements.training_operations(model.build(Settings(width=0.04), size=(64, 64)))
    assert 0 < floor < step
    assert image > 0


def test_scripts_are_timed_beside_those_of_another_checkout(monkeypatch, tmp_path):
    ran = []

    def script(folder, path, *flags):
        ran.append((path, *flags))
        if path.name == "train.py":
            record = Path(folder, "output", "settings.json")
            record.parent.mkdir(exist_ok=True)
            record.write_text('{"seconds": {"steps": 1.0}}')

    monkeypatch.setattr(measurements, "script", script)
    rows = measurements.scripts(Settings(steps=3), 1, str(tmp_path))
    here = measurements.REPOSITORY
    assert [path for path, *_ in ran] == [tmp_path / "train.py", tmp_path / "test.py", here / "train.py",
                                          here / "test.py"]
    assert ran[0][1:] == ran[2][1:] == ("--seed 1", "--steps 3")
    for name in ("train.py", "test.py"):
        assert rows[f"{name} / that of --against", ""] == pytest.approx(
            rows[name, "s"] / rows[f"{name} of --against", "s"])
    ran.clear()
    assert not any("against" in row for row, _ in measurements.scripts(Settings(steps=3), 1))
    assert [path for path, *_ in ran] == [here / "train.py", here / "test.py"]


def test_what_is_no_checkout_is_refused(tmp_path):
    done = bench_in(tmp_path, "scripts --against .")
    assert (done.returncode, done.stderr) == (
        2, "bench: --against . holds no train.py; name the folder of another checkout\n")


def test_without_anything_to_measure_nothing_is_written(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(measurements, "isolated", lambda function, *arguments: (
        function(*arguments) if arguments else {"device": "none", "versions": {}}))
    monkeypatch.setattr(sys, "argv", ["bench", "peers"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="nothing could be measured"):
        bench.__main__.main()
    assert not list(tmp_path.iterdir())


def test_without_pytorch_or_with_what_it_is_not_written_for_there_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert peers.peers(Settings(), 0) == {}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    assert peers.peers(Settings(loss="both"), 0) == {}
    assert [line.strip()[:40] for line in capsys.readouterr().out.splitlines()] == [
        "PyTorch is not installed, so there is no", "PyTorch's step is there for the defaults"]


@pytest.mark.parametrize("variant", peers.PEERS)
def test_the_torch_peer_trains_as_we_do(variant):
    torch = pytest.importorskip("torch")
    settings = Settings(width=0.04, schedule="constant", clip_norm=0.01)
    X, Y = create_data(1, settings)
    ours, samples = train.compiled(settings, X, Y), train.samples_in_turn(settings, X, Y)
    ours.run_eagerly = True
    filters = [[model.scaled(number, settings) for number in of] for of in (model.DOWN, (model.BOTTOM,), model.UP)]
    theirs = peers.torch_network(filters, X.mean(), X.std(), model.initial_logit(settings, Y.mean()))
    assert theirs.output.bias.item() == pytest.approx(ours.get_weights()[-1].item())
    with torch.no_grad():
        for to, of in zip(theirs.parameters(), ours.get_weights(), strict=True):
            to.copy_(torch.from_numpy(np.moveaxis(of, (3, 2), (0, 1)).copy() if of.ndim == 4 else of))
    step = peers.torch_step(settings, X, Y, theirs, **peers.PEERS[variant])
    losses = [(step(), ours.train_on_batch(*next(samples))) for _ in range(6)]
    assert [a for a, _ in losses] == pytest.approx([b for _, b in losses], rel=1e-4)
    assert losses[5][0] < losses[0][0]


def test_peers_take_turns_and_ours_is_set_against_the_best(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(peers, "PEERS", {"one": {}, "two": {}})
    told, taken = [], {"ours": 3.0, "one": 4.0, "two": 6.0}

    class Pool(contextlib.nullcontext):
        def __init__(self, workers, context, initializer, arguments):
            self.name = arguments[1]
            assert arguments[2] == [[32, 64, 128, 256, 512], [512], [256, 128, 64, 32, 16]]

        def __enter__(self):
            return self

        def submit(self, function):
            told.append(self.name)
            cold = 100 if told.count(self.name) == 1 else 0  # the first turn does not count
            return argparse.Namespace(result=lambda: [cold + taken[self.name]] * 3)

    monkeypatch.setattr(concurrent.futures, "ProcessPoolExecutor", Pool)
    assert peers.peers(Settings(), 0) == {
        ("step, ours", "ms"): 3000, ("step, one", "ms"): 4000, ("step, two", "ms"): 6000,
        ("step, ours / the best of PyTorch", ""): 0.75}
    assert told == ["ours", "one", "two"] * peers.TURNS


def test_a_race_ends_where_the_goal_is_reached(monkeypatch):
    tiny = Settings(width=0.04, size=(64, 64), radius=(8, 12), steps=12, seed=3)
    monkeypatch.setattr(measurements, "GOAL", 0.0)
    won = measurements.race(tiny, "tiny")
    assert won["IoU 0.0, tiny, seed 3", "steps"] == measurements.EVERY
    assert 0 < won["IoU 0.0, tiny, seed 3", "s"] < math.inf


def test_the_recipe_of_2017_races_on_the_same_images_with_its_own_steps_up_to_the_cap(monkeypatch):
    raced = {}
    monkeypatch.setattr(measurements, "race", lambda settings, name: raced.setdefault(name, settings) and {})
    ours = Settings(size=(64, 64), radius=(8, 12), placement="anywhere", width=0.04, fill="constant", loss="both")
    for cap, steps in ((100, 100), (5000, 2000)):
        raced.clear()
        measurements.races(ours, 3, cap=cap)
        assert raced == {
            "this recipe": Settings(**{**vars(ours), "seed": 3}),
            "Dice and SGD": Settings(**{**RECIPES["2017"], "placement": "anywhere", "side": (0, 0), "size": (64, 64),
                                       "radius": (8, 12), "width": 0.04, "fill": "constant", "seed": 3,
                                       "steps": steps})}


def test_own_images_are_timed_small_and_large():
    rows = measurements.own_images(Settings(width=1 / 32), 0, sides=(64, 96))
    assert [*rows] == [("own images, step on a crop, colour", "ms"), *(
        (f"prediction, {side} x {side}, colour{more}", unit) for side in (64, 96)
        for more, unit in (("", "s"), (", peak memory", "GB")))]
    assert min(rows.values()) > 0


def test_repeats_are_interleaved_and_summed_up(monkeypatch, capsys):
    order = []

    def isolated(function, settings, repeat, *cap):
        order.append((function.__name__, *cap))
        return {(function.__name__, "s"): (9, 1, 2)[repeat]}

    monkeypatch.setattr(measurements, "isolated", isolated)
    *_, rows = measure(Settings(), Options(repeats=3, cap=7), ("race", "step"))
    assert order == [("races", 7), ("step_and_prediction",)] * 3
    summary = summarise(rows)
    assert summary[0] == {"row": "races", "unit": "s", "median": "2", "least": "1", "most": "9", "n": 3}
    assert [row["row"] for row in summary] == ["races", "step_and_prediction"]
    assert [line.split() for line in as_lines(summary)][1] == ["races", "2", "s", "1", "9", "3"]
    assert capsys.readouterr().out.splitlines()[3] == "repeat 2 of 3: step"


def test_quick_is_once_with_fewer_steps_unless_a_flag_says_otherwise(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(bench.__main__, "measure",
                        lambda settings, options, groups: asked.append((options, groups)) or [{("a", "s"): [1.0]}])
    monkeypatch.setattr(measurements, "isolated", lambda function: {"device": "none", "versions": {}})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(growth, "draw", lambda rows, folder: None)
    for line, expected, groups in (("", (3, 2000), tuple(bench.__main__.GROUPS)), ("--quick", (1, 100), None),
                                   ("--quick --cap 7 race step", (1, 7), ("race", "step"))):
        monkeypatch.setattr(sys, "argv", ["bench", *line.split()])
        bench.__main__.main()
        options, measured = asked[-1]
        assert (options.repeats, options.cap) == expected
        assert measured == (groups or tuple(bench.__main__.GROUPS))


def test_operations_of_a_step_are_those_of_the_convolutions():
    network = model.build(size=(160, 160))
    forward = measurements.training_operations(network) / 3
    assert forward == pytest.approx(6.50e9, rel=0.005)
    # of the first convolution, 3x3 on one channel to 32 filters, only outputs and weights are computed
    by_hand = sum(2 * layer.kernel.shape[0] ** 2 * layer.kernel.shape[2] * layer.filters
                  * np.prod(layer.output.shape[1:3])
                  for layer in network.layers if isinstance(layer, model.layers.Conv2D))
    assert 3 * by_hand - measurements.training_operations(network) == 2 * 9 * 32 * 160 * 160
