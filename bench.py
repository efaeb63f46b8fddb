"""How fast, and beside what: one run, one table, also as output/bench.csv.

Everything is measured several times in turn, each time in a process of its own: what else the machine
does meanwhile falls on all rows alike. Flags of train.py change what is measured.
"""

import concurrent.futures
import csv
import dataclasses
import json
import multiprocessing
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import metrics
import recipe
import train
from data import create_data
from command_line import check_folder, parse, run_script
from settings import RECIPE_2017, Settings, UserError, training_flags

REPOSITORY = Path(__file__).resolve().parent
QUICK = dict(repeats=1, cap=100)
GOAL, EVERY = 0.95, 5  # validation IoU that the race is to, and after how many steps it is looked at each time
WATCH = 20  # validation images that it is measured on

# Each measurement below is a function of the settings and the number of the repeat, which is the seed where one is
# drawn, and returns {(row of the table, unit): value}.


def step_and_prediction(settings, repeat):
    """A training step beside its floor, its operations at the rate of a large matrix product; prediction."""
    import model as network
    from keras import ops

    X, Y = create_data(1, settings)
    model = recipe.compiled(settings, X, Y)
    samples = recipe.samples_in_turn(settings, X, Y)
    side, chain = 2048, 1 if network.device() == "CPU" else 100  # a GPU computes one faster than it is asked for it
    matrix = ops.convert_to_tensor(np.random.default_rng(0).standard_normal((side, side)).astype("float32") / side**0.5)

    def multiply():
        product = matrix
        for _ in range(chain):
            product = ops.matmul(matrix, product)
        ops.convert_to_numpy(product[0, 0])

    work = training_operations(network.build(settings, size=settings.size))
    steps, products = [], []
    for _ in range(13):  # in turn, so that both see the same machine
        products.append(seconds(multiply) / chain)
        steps.append(seconds(lambda: model.train_on_batch(*next(samples))))
    taken, rate = statistics.median(steps[3:]), 2 * side**3 / statistics.median(products[3:])
    images, _ = create_data(50, settings, "test")
    network.predict(model, images)  # traces, where the next call does not
    predicting = seconds(lambda: network.predict(model, images))
    return {
        ("float32 matrix product, 2048 x 2048", "GFLOP/s"): rate / 1e9,
        ("operations of a step", "GFLOP"): work / 1e9,
        ("floor: operations at that rate", "ms"): work / rate * 1e3,
        ("step", "ms"): taken * 1e3,
        ("step / floor", ""): taken / (work / rate),
        ("prediction, {} x {}".format(*settings.size), "images/s"): 50 / predicting,
    }


def training_operations(model):
    """Floating-point operations of one training step on one image: what the model's convolutions multiply and add.

    Forward once, backward twice (for weights and for inputs), but the first convolution has no input to improve.
    """
    forward = [2 * np.prod(layer.kernel.shape) * np.prod(layer.output.shape[1:3])
               for layer in model.layers if hasattr(layer, "kernel")]
    return 3 * sum(forward) - forward[0]


def seconds(function):
    """How long a call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def large_image(settings, repeat):
    """One image of 2048x2048: time and memory."""
    import model as network

    X, _ = create_data(1, dataclasses.replace(settings, size=(2048, 2048)), "test")
    model = network.build(settings, X.mean(), X.var())
    network.predict(model, X)  # traces, where the next call does not
    taken = seconds(lambda: network.predict(model, X))
    return {("prediction, 2048 x 2048", "ms"): taken * 1e3, **peak_memory("prediction, 2048 x 2048")}


def peak_memory(of, children=False):
    """The most memory that this process, or one that it has waited for, ever held; nothing where there is no such call.

    The processes' own memory, on a GPU without the card's.
    """
    try:
        import resource
    except ImportError:  # Windows
        return {}
    peak = resource.getrusage(resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF).ru_maxrss
    return {(f"{of}, peak memory", "GB"): peak * (1 if sys.platform == "darwin" else 1024) / 1e9}


def synthesis(settings, repeat):
    """create_data: images a second, with and without PNGs."""
    bare = seconds(lambda: create_data(500, settings))
    with tempfile.TemporaryDirectory() as folder:
        written = seconds(lambda: create_data(500, settings, folder=folder))
    return {("create_data", "images/s"): 500 / bare, ("create_data, PNGs written", "images/s"): 500 / written}


def train_script(settings, repeat):
    """The whole of train.py, and where its time goes; then test.py on what it left."""
    with tempfile.TemporaryDirectory() as folder:
        settings = dataclasses.replace(settings, seed=repeat, output="output")
        whole = seconds(lambda: script(folder, "train.py", *training_flags(settings)))
        memory = peak_memory("train.py", children=True)
        parts = json.loads(Path(folder, "output", "settings.json").read_text())["seconds"]
        test = seconds(lambda: script(folder, "test.py"))
    parts["rest: start of Python, exit"] = whole - sum(parts.values())
    bare = parts["steps"] / (settings.steps - 1) * settings.steps  # the first step counts as trace
    return {("train.py", "s"): whole, **{(f"  of these {part}", "s"): taken for part, taken in parts.items()},
            ("train.py / its bare steps", ""): whole / bare, **memory, ("test.py", "s"): test}


def script(folder, name, *flags):
    """Run one of the scripts in `folder`; raises `subprocess.CalledProcessError` if it fails."""
    words = shlex.split(" ".join(flags))
    subprocess.run([sys.executable, REPOSITORY / name, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def race(settings, name):
    """Steps, and their seconds with tracing, until the mean IoU of WATCH validation images is first seen to reach GOAL.

    It is looked at after every EVERY steps. Infinity: not within the settings' steps.
    """
    import model as network

    X, Y = create_data(settings.samples, settings)
    X_val, Y_val = create_data(WATCH, settings, "validation")
    model = recipe.compiled(settings, X, Y)
    samples = recipe.samples_in_turn(settings, X, Y)
    reached, taken = float("inf"), 0
    for step in range(1, settings.steps + 1):
        taken += seconds(lambda: model.train_on_batch(*next(samples)))
        if step % EVERY == 0:
            predictions = metrics.predicted(network.predict(model, X_val))
            if metrics.iou(Y_val, predictions).mean() >= GOAL:
                reached = step
                break
    row = f"IoU {GOAL}, {name}, seed {settings.seed}"
    return {(row, "steps"): reached, (row, "s"): taken if reached <= settings.steps else reached}


def race_of_this_recipe(settings, repeat):
    """How soon this recipe is there."""
    return race(dataclasses.replace(settings, seed=repeat), "this recipe")


def race_of_2017(settings, repeat):
    """How soon the recipe of 2017 is there; its rate is constant, so that giving up early changes no step before."""
    same = {field.name: getattr(settings, field.name) for field in dataclasses.fields(Settings)
            if field.metadata["group"] == "data" or field.name in ("width", "precision")}
    steps = min(settings.cap, RECIPE_2017["steps"])
    return race(Settings(**{**same, **RECIPE_2017, "steps": steps, "seed": repeat}), "2017 recipe")


def isolated(function, *arguments):
    """What a function returns in a new process, which inherits nothing and takes its memory with it."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


MEASUREMENTS = (step_and_prediction, large_image, synthesis, train_script, race_of_this_recipe, race_of_2017)


def measure(settings):
    """Every measurement in turn, as often as the settings say; yields {(row, unit): values} after each round."""
    rows = {}
    for repeat in range(settings.repeats):
        for function in MEASUREMENTS:
            print(f"repeat {repeat + 1} of {settings.repeats}: {function.__name__.replace('_', ' ')}", flush=True)
            for row, value in isolated(function, settings, repeat).items():
                rows.setdefault(row, []).append(value)
        yield rows


def summarise(rows):
    """The rows of the table: median, least, most and number of the values of each, as dicts."""
    return [{"row": row, "unit": unit, "median": f"{statistics.median(values):.6g}", "least": f"{min(values):.6g}",
             "most": f"{max(values):.6g}", "n": len(values)} for (row, unit), values in rows.items()]


def table(summary):
    """The table as lines of text."""
    lines = [f"{'':36}{'median':>9}  {'':10}{'least':>9} {'most':>9} {'n':>3}"]
    for row in summary:
        values = [float(row[name]) for name in ("median", "least", "most")]
        median, least, most = (f"{value:,.0f}" if value >= 1000 else f"{value:.4g}" for value in values)
        lines.append(f"{row['row']:36}{median:>9}  {row['unit']:10}{least:>9} {most:>9} {row['n']:>3}")
    return lines


def write(summary, path):
    """Write the table as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="\n") as file:
        writer = csv.DictWriter(file, summary[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(summary)


def main():
    given = parse(__doc__, ("data", "training", "output", "repeats", "cap", "quick"))
    settings = Settings(**{**(QUICK if given.get("quick") else {}), **given})
    if settings.steps == 1:
        raise UserError("--steps 1 is the one that is traced, and says nothing of the others; give at least 2")
    if settings.network == "dense":
        raise UserError("--network dense has no convolutions, whose operations are counted here; choose another")
    check_folder(settings.output, "--output")
    record = isolated(train.describe_machine)
    versions = (f"{name} {version}" for name, version in record["versions"].items())
    print(", ".join([record["device"], *versions]), flush=True)
    path = Path(settings.output, "bench.csv")
    for rows in measure(settings):
        summary = [{**row, "device": record["device"]} for row in summarise(rows)]
        write(summary, path)  # after each round: one that is interrupted leaves those before
    print("\n".join(table(summary)))
    print(f"the same as {path}")


if __name__ == "__main__":
    run_script(main)
