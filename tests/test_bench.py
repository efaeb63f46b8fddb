"""The benchmark: it prints every row, and counts operations right. How fast it is, no test says."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bench
import model as network
import train
from settings import Settings

REPOSITORY = Path(__file__).parent.parent


def test_benchmark_prints_every_row(tmp_path):
    tiny = "--width 0.04 --size 64 64 --radius 8 12 --steps 3 --validation 2".split()
    done = subprocess.run([sys.executable, REPOSITORY / "bench.py", "--quick", "--cap", "2", *tiny], cwd=tmp_path,
                          capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    with open(tmp_path / "output" / "bench.csv", newline="") as file:
        rows = list(csv.DictReader(file))
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
        *((f"IoU 0.95, {name}, seed 0", unit) for name in ("this recipe", "2017 recipe") for unit in ("steps", "s"))]
    floor = named["floor: operations at that rate", "ms"]
    assert named["step / floor", ""] == pytest.approx(named["step", "ms"] / floor, rel=1e-3)
    assert all(value > 0 for value in named.values())
    # three steps of a tiny network do not get there
    assert named["IoU 0.95, this recipe, seed 0", "steps"] == named["IoU 0.95, 2017 recipe, seed 0", "s"] == np.inf
    assert {row["device"].split(",")[0] for row in rows} == {network.device()}


def test_a_race_ends_where_the_goal_is_reached(monkeypatch):
    tiny = Settings(width=0.04, size=(64, 64), radius=(8, 12), steps=12, seed=3)
    monkeypatch.setattr(bench, "GOAL", 0.0)
    won = bench.race(tiny, "tiny")
    assert won["IoU 0.0, tiny, seed 3", "steps"] == bench.EVERY
    assert 0 < won["IoU 0.0, tiny, seed 3", "s"] < np.inf


def test_repeats_are_interleaved_and_summed_up(monkeypatch):
    monkeypatch.setattr(bench, "MEASUREMENTS", (first, second))
    monkeypatch.setattr(bench, "isolated", lambda function, *arguments: function(*arguments))
    *_, rows = bench.measure(Settings(repeats=3))
    assert order == [(0, "first"), (0, "second"), (1, "first"), (1, "second"), (2, "first"), (2, "second")]
    summary = bench.summarise(rows)
    assert summary[0] == {"row": "first", "unit": "s", "median": "2", "least": "1", "most": "9", "n": 3}
    assert [row["row"] for row in summary] == ["first", "second"]


order = []


def first(settings, repeat):
    order.append((repeat, "first"))
    return {("first", "s"): (9, 1, 2)[repeat]}


def second(settings, repeat):
    order.append((repeat, "second"))
    return {("second", "s"): repeat}


def test_operations_of_a_step_are_those_of_the_convolutions():
    model = network.build(size=(160, 160))
    forward = bench.training_operations(network.build(size=(160, 160))) / 3
    assert forward == pytest.approx(6.50e9, rel=0.005)
    # of the first convolution, 3x3 on one channel to 32 filters, only outputs and weights are computed
    by_hand = sum(2 * layer.kernel.shape[0] ** 2 * layer.kernel.shape[2] * layer.filters
                  * (160 * 160 if layer.name == "output_convolution" else np.prod(layer.output.shape[1:3]))
                  for layer in model.layers if isinstance(layer, network.layers.Conv2D))
    assert 3 * by_hand - bench.training_operations(model) == 2 * 9 * 32 * 160 * 160
