"""What is measured: functions that run in a process of their own, and so take their memory with them."""

import concurrent.futures
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

import train
from common import metrics
from common.command_line import fields_of
from common.settings import RECIPES, Settings, training_flags
from data import Labelled, create_data

REPOSITORY = Path(__file__).resolve().parent.parent
GOAL, EVERY = 0.95, 5  # validation IoU that the race is to, and after how many steps it is looked at each time
WATCH = 20  # validation images that it is measured on

# Each measurement below is a function of the settings and the number of the repeat, which is the seed where one is
# drawn, and returns {(row of the table, unit): value}.


def step_and_prediction(settings, repeat):
    """A training step beside its floor, its operations at the rate of a large matrix product; prediction."""
    step, floor, image, work = step_and_floor(settings, steps=10, images=52)
    return {
        ("float32 matrix product, 2048 x 2048", "GFLOP/s"): work / floor / 1e9,
        ("operations of a step", "GFLOP"): work / 1e9,
        ("floor: operations at that rate", "ms"): floor * 1e3,
        ("step", "ms"): step * 1e3,
        ("step / floor", ""): step / floor,
        ("prediction, {} x {}".format(*settings.size), "images/s"): 1 / image,
    }


def step_and_floor(settings, steps, images):
    """Seconds of a step, of its floor, and of the prediction of an image; and a step's floating-point operations.

    steps, images: how many are timed; of the steps the median counts.
    """
    import model
    from common.backend import device, keras

    X, Y = create_data(1, settings)
    network = train.compiled(settings, X, Y)
    samples = train.samples_in_turn(settings, X, Y)
    side, chain = 2048, 1 if device() == "CPU" else 100  # a GPU computes one faster than it is asked for it
    matrix = np.random.default_rng(0).standard_normal((side, side)).astype("float32") / side**0.5
    matrix = keras.ops.convert_to_tensor(matrix)

    def multiply():
        product = matrix
        for _ in range(chain):
            product = keras.ops.matmul(matrix, product)
        keras.ops.convert_to_numpy(product[0, 0])

    work = training_operations(model.build(settings, size=settings.size))
    taken, products = [], []
    for _ in range(3 + steps):  # in turn, so that both see the same machine
        products.append(seconds(multiply) / chain)
        taken.append(seconds(lambda: network.train_on_batch(*next(samples))))
    rate = 2 * side**3 / statistics.median(products[3:])
    X, _ = create_data(images, settings, "test")
    model.predict(network, X[: model.BATCH])  # traces, where the next call does not
    return statistics.median(taken[3:]), work / rate, seconds(lambda: model.predict(network, X)) / images, work


def training_operations(network):
    """Floating-point operations of one training step on one image: what its convolutions multiply and add.

    Forward once, backward twice (for weights and for inputs), but the first convolution has no input to improve.
    """
    forward = [2 * np.prod(layer.kernel.shape) * np.prod(layer.output.shape[1:3])
               for layer in network.layers if hasattr(layer, "kernel")]
    return 3 * sum(forward) - forward[0]


def seconds(function):
    """How long a call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def large_image(settings, repeat):
    """One image of 2048x2048: time and memory."""
    import model

    X, _ = create_data(1, dataclasses.replace(settings, size=(2048, 2048)), "test")
    network = model.build(settings, X.mean(), X.var())
    model.predict(network, X)  # traces, where the next call does not
    taken = seconds(lambda: model.predict(network, X))
    return {("prediction, 2048 x 2048", "ms"): taken * 1e3, **peak_memory("prediction, 2048 x 2048")}


def own_images(settings, repeat, sides=(512, 2048, 8192)):
    """One's own images in colour: a step on a crop, and the prediction of small and large ones in tiles."""
    import model

    generator = np.random.default_rng(repeat)
    recipe = RECIPES["own"]
    width = max(1 / 32, recipe["width"] * settings.width)
    own = Settings(image=("",), mask=("",), **{**recipe, "width": width, "steps": 12})
    image, mask = generator.integers(0, 256, (512, 512, 3), "uint8"), np.eye(512, dtype="int8")[..., np.newaxis]
    run = train.train_own(own, [Labelled(image, mask)])
    rows = {("own images, step on a crop, colour", "ms"): run.seconds["steps"] / (own.steps - 1) * 1e3}
    for side in sides:
        image = generator.integers(0, 256, (side, side, 3), "uint8")
        taken = [seconds(lambda image=image: model.predict_image(run.network, image)) for _ in range(1 + (side < 4000))]
        name = f"prediction, {side} x {side}, colour"
        rows |= {(name, "s"): taken[-1], **peak_memory(name)}  # the first of a size traces
    return rows


def peak_memory(of, children=False):
    """The most memory (a GPU's aside) that this process, or one it has waited for, ever held; nothing on Windows."""
    try:
        import resource
    except ImportError:
        return {}
    peak = resource.getrusage(resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF).ru_maxrss
    return {(f"{of}, peak memory", "GB"): peak * (1 if sys.platform == "darwin" else 1024) / 1e9}


def synthesis(settings, repeat):
    """create_data: images a second, with and without PNGs."""
    bare = seconds(lambda: create_data(500, settings))
    with tempfile.TemporaryDirectory() as folder:
        written = seconds(lambda: create_data(500, settings, folder=folder))
    return {("create_data", "images/s"): 500 / bare, ("create_data, PNGs written", "images/s"): 500 / written}


def scripts(settings, repeat, against=REPOSITORY):
    """The whole of train.py, and where its time goes; then test.py on what it left; beside those of --against."""
    beside = {}
    with tempfile.TemporaryDirectory() as folder:
        settings = dataclasses.replace(settings, seed=repeat, output="output")
        flags = training_flags(settings)
        if Path(against).resolve() != REPOSITORY:
            before = seconds(lambda: script(folder, Path(against).resolve() / "train.py", *flags))
            before_test = seconds(lambda: script(folder, Path(against).resolve() / "test.py"))
        whole = seconds(lambda: script(folder, REPOSITORY / "train.py", *flags))
        memory = peak_memory("train.py", children=True)
        parts = json.loads(Path(folder, "output", "settings.json").read_text())["seconds"]
        test = seconds(lambda: script(folder, REPOSITORY / "test.py"))
    if Path(against).resolve() != REPOSITORY:
        beside = {("train.py of --against", "s"): before, ("test.py of --against", "s"): before_test,
                  ("train.py / that of --against", ""): whole / before,
                  ("test.py / that of --against", ""): test / before_test}
    parts["rest: start of Python, exit"] = whole - sum(parts.values())
    bare = parts["steps"] / (settings.steps - 1) * settings.steps  # the first step counts as trace
    return {("train.py", "s"): whole, **{(f"  of these {part}", "s"): taken for part, taken in parts.items()},
            ("train.py / its bare steps", ""): whole / bare, **memory, ("test.py", "s"): test, **beside}


def script(folder, path, *flags):
    """Run a script in `folder`; raises `subprocess.CalledProcessError` if it fails."""
    command = [sys.executable, path, *shlex.split(" ".join(flags))]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def race(settings, name):
    """Steps, and their seconds with tracing, until the mean IoU of WATCH validation images is first seen to reach GOAL,
    looked at after every EVERY steps. Infinity: not within the settings' steps."""
    import model

    X, Y = create_data(settings.samples, settings)
    X_val, Y_val = create_data(WATCH, settings, "validation")
    network = train.compiled(settings, X, Y)
    samples = train.samples_in_turn(settings, X, Y)
    reached, taken = float("inf"), 0
    for step in range(1, settings.steps + 1):
        taken += seconds(lambda: network.train_on_batch(*next(samples)))
        if step % EVERY == 0:
            predictions = metrics.predicted(model.predict(network, X_val))
            if metrics.iou(Y_val, predictions).mean() >= GOAL:
                reached = step
                break
    row = f"IoU {GOAL}, {name}, seed {settings.seed}"
    return {(row, "steps"): reached, (row, "s"): taken if reached <= settings.steps else reached}


def races(settings, repeat, cap=RECIPES["2017"]["steps"]):
    """How soon this recipe is there, and that of 2017 on the same images, given up after `cap` steps."""
    same = {field.name: getattr(settings, field.name) for field in fields_of("data", "width", "precision")}
    old = {**RECIPES["2017"], **same, "steps": min(cap, RECIPES["2017"]["steps"]), "seed": repeat}
    return {**race(dataclasses.replace(settings, seed=repeat), "this recipe"), **race(Settings(**old), "Dice and SGD")}


def machine():
    """What `backend.describe_machine` says; importing that starts Keras, which belongs into a process of its own."""
    from common.backend import describe_machine

    return describe_machine()


def isolated(function, *arguments):
    """What a function returns in a new process, which inherits nothing and takes its memory with it."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()
