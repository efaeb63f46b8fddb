"""The benchmark: it prints every row, and counts operations right. How fast it is, no test says."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bench
import model as network

REPOSITORY = Path(__file__).parent.parent


def test_benchmark_prints_every_row(tmp_path):
    tiny = "--width 0.04 --size 64 64 --radius 8 12 --steps 3 --validation 2".split()
    done = subprocess.run([sys.executable, REPOSITORY / "bench.py", "--quick", "--cap", "2", *tiny], cwd=tmp_path,
                          capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    with open(tmp_path / "output" / "bench.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    named = {row["row"].strip(): float(row["median"]) for row in rows}
    assert all(row["row"] in done.stdout for row in rows)
    assert list(named) == [
        "matrix product, 2048 x 2048", "operations of a step", "floor: operations at that rate", "step", "step / floor",
        "prediction, 64 x 64", "prediction, 2048 x 2048", "prediction, 2048 x 2048, peak memory",
        "create_data", "create_data, PNGs written", "train.py",
        *(f"of these {part}" for part in ("data", "trace", "evaluation", "steps", "start", "files, pictures, exit")),
        "train.py / its bare steps", "train.py, peak memory", "test.py",
        "IoU 0.95, this recipe, seed 0", "IoU 0.95, 2017 recipe, seed 0"]
    assert named["step / floor"] == pytest.approx(named["step"] / named["floor: operations at that rate"], rel=1e-3)
    assert all(value > 0 for value in named.values())
    # three steps of a tiny network do not get there
    assert named["IoU 0.95, this recipe, seed 0"] == named["IoU 0.95, 2017 recipe, seed 0"] == np.inf


def test_operations_of_a_step_are_those_of_the_convolutions():
    model = network.build(size=(160, 160))
    assert bench.training_operations(model) == pytest.approx(3 * 6.50e9, rel=0.005)
