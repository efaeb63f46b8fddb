"""The benchmark: it prints every row, and counts operations right. How fast it is, no test says."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bench.__main__
import model
import train
from bench import measurements
from bench.__main__ import Options, as_lines, measure, summarise
from common.backend import device
from common.files import read_table
from common.settings import RECIPES, Settings

REPOSITORY = Path(__file__).parent.parent
TINY = "--width 0.04 --size 64 64 --radius 8 12 --steps 3 --validation 2".split()


def test_benchmark_prints_every_row(tmp_path):
    done = subprocess.run([sys.executable, "-m", "bench", "--quick", "--cap", "2", *TINY], cwd=tmp_path, text=True,
                          capture_output=True, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
    assert (done.returncode, done.stderr) == (0, "")
    rows = read_table(tmp_path / "output" / "bench.csv")
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


def test_repeats_are_interleaved_and_summed_up(monkeypatch, capsys):
    order = []

    def isolated(function, settings, repeat):
        order.append(getattr(function, "func", function).__name__)
        return {(order[-1], "s"): (9, 1, 2)[repeat]}

    monkeypatch.setattr(measurements, "isolated", isolated)
    *_, rows = measure(Settings(), Options(repeats=3))
    assert order == ["step_and_prediction", "large_image", "synthesis", "scripts", "races"] * 3
    summary = summarise(rows)
    assert summary[0] == {"row": "step_and_prediction", "unit": "s", "median": "2", "least": "1", "most": "9", "n": 3}
    assert [row["row"] for row in summary] == order[:5]
    assert [line.split() for line in as_lines(summary)][1] == ["step_and_prediction", "2", "s", "1", "9", "3"]
    assert capsys.readouterr().out.splitlines()[5] == "repeat 2 of 3: step and prediction"


def test_quick_is_once_with_fewer_steps_unless_a_flag_says_otherwise(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(bench.__main__, "measure", lambda settings, options: asked.append(options) or [{}])
    monkeypatch.setattr(measurements, "isolated", lambda function: {"device": "none", "versions": {}})
    monkeypatch.chdir(tmp_path)
    for line, expected in (("", (3, 2000)), ("--quick", (1, 100)), ("--quick --cap 7", (1, 7))):
        monkeypatch.setattr(sys, "argv", ["bench", *line.split()])
        bench.__main__.main()
        assert (asked[-1].repeats, asked[-1].cap) == expected


def test_operations_of_a_step_are_those_of_the_convolutions():
    network = model.build(size=(160, 160))
    forward = measurements.training_operations(network) / 3
    assert forward == pytest.approx(6.50e9, rel=0.005)
    # of the first convolution, 3x3 on one channel to 32 filters, only outputs and weights are computed
    by_hand = sum(2 * layer.kernel.shape[0] ** 2 * layer.kernel.shape[2] * layer.filters
                  * np.prod(layer.output.shape[1:3])
                  for layer in network.layers if isinstance(layer, model.layers.Conv2D))
    assert 3 * by_hand - measurements.training_operations(network) == 2 * 9 * 32 * 160 * 160
