"""What is measured: functions that run in a process of their own, whose memory is gone with it.

Each takes the settings, whose seed is the number of the round, and the `Options`; it returns
{(row of the table, unit): value}.
"""

import concurrent.futures
import dataclasses
import json
import multiprocessing
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import train
from common.checks import check_values
from common.command_line import fields_of
from common.settings import Settings, setting, training_flags
from data import create_data, write_data
from study.processes import end_with

REPOSITORY = Path(__file__).resolve().parent.parent
GOAL, VALIDATION = 0.95, 20  # the race is to this IoU, the mean of so many validation images
WARM_UP = 3  # steps, and matrix products, before those that count
PRODUCT = 2048  # rows and columns of the matrices whose product gives the floor
SIDES = (512, 2048, 8192)  # pixels, of one's own images


@dataclasses.dataclass(frozen=True)
class Options:
    """What only the benchmark needs; each is a flag of it."""

    repeats: int = setting(
        3, "bench", "times that everything is measured, in turn", metavar="N", least=1)
    cap: int = setting(
        2000, "bench", "steps after which the recipe of 2017 is given up unless it is there",
        metavar="N", least=1)
    against: str = setting(
        str(REPOSITORY), "bench", "another checkout of this repository, whose train.py and test.py "
        "are timed in turn with these", metavar="FOLDER")
    quick: bool = setting(False, "bench", "once only, and with a cap of 100 steps")
    __post_init__ = check_values


def step_and_prediction(settings, options):
    """A training step beside its floor, its operations in a large matrix product; prediction."""
    step, floor, image, operations = step_and_floor(settings, steps=10, images=52)
    return {
        ("float32 matrix product, 2048 x 2048", "GFLOP/s"): operations / floor / 1e9,
        ("operations of a step", "GFLOP"): operations / 1e9,
        ("floor: operations at that rate", "ms"): floor * 1e3,
        ("step", "ms"): step * 1e3,
        ("step / floor", ""): step / floor,
        ("prediction, {} x {}".format(*settings.size), "images/s"): 1 / image,
    }


def step_and_floor(settings, steps, images):
    """Seconds of a step, its floor, and the prediction of an image; operations of a step.

    steps, images: how many are timed; of the steps the median counts.
    """
    import model
    from common.backend import device, keras

    X, Y = create_data(1, settings)
    network = train.compile_network(settings, X, Y)
    samples = train.samples_in_turn(settings, X, Y)
    matrix = np.random.default_rng(0).standard_normal((PRODUCT, PRODUCT)) / PRODUCT**0.5
    matrix = keras.ops.convert_to_tensor(matrix.astype("float32"))
    chain = 1 if device() == "CPU" else 100  # a GPU computes one faster than it is asked for it

    def multiply():
        product = matrix
        for _ in range(chain):
            product = keras.ops.matmul(matrix, product)
        keras.ops.convert_to_numpy(product[0, 0])  # waits for it

    of_products, of_steps = [], []
    for _ in range(WARM_UP + steps):  # in turn, so that both see the same machine
        of_products.append(seconds(multiply) / chain)
        of_steps.append(seconds(lambda: network.train_on_batch(*next(samples))))
    rate = 2 * PRODUCT**3 / statistics.median(of_products[WARM_UP:])
    operations = training_operations(model.build(settings, size=settings.size))
    X, _ = create_data(images, settings, "test")
    model.predict(network, X[: model.BATCH])  # traces, where the next call does not
    image = seconds(lambda: model.predict(network, X)) / images
    return statistics.median(of_steps[WARM_UP:]), operations / rate, image, operations


def training_operations(network):
    """Floating-point operations of a training step on one image: what its kernels multiply and add.

    Forward once, backward twice (for weights and for inputs), but the first layer has no input to
    improve.
    """
    forward = []
    for layer in network.layers:
        if hasattr(layer, "kernel"):
            forward.append(2 * np.prod(layer.kernel.shape) * np.prod(layer.output.shape[1:-1]))
    return 3 * sum(forward) - forward[0]


def seconds(function):
    """How long a call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def large_image(settings, options):
    """One image of 2048x2048: time and memory."""
    import model

    X, _ = create_data(1, dataclasses.replace(settings, size=(2048, 2048)), "test")
    network = model.build(settings, X.mean(), X.var())
    model.predict(network, X)  # traces, where the next call does not
    name = "prediction, 2048 x 2048"
    return {(name, "s"): seconds(lambda: model.predict(network, X)), **peak_memory(name)}


def own_images(settings, options):
    """One's own images in colour: a step on a crop, and the prediction of small and large ones."""
    from own.crops import Labelled
    from own.exposure import predict_image
    from own.settings import OwnSettings
    from own.training import train_own

    generator = np.random.default_rng(settings.seed)
    image = generator.integers(0, 256, (512, 512, 3), "uint8")
    mask = np.eye(512, dtype="int8")[..., np.newaxis]
    width = max(1 / 32, settings.width * OwnSettings.width)
    own = OwnSettings(image=("",), mask=("",), width=width, steps=12)
    run = train_own(own, [Labelled(image, mask)])
    step = run.seconds["steps"] / (own.steps - 1)  # the first one counts as trace
    rows = {("own images, step on a crop, colour", "ms"): step * 1e3}
    for side in SIDES:
        image = generator.integers(0, 256, (side, side, 3), "uint8")
        predict_image(run.network, image[:2048, :2048])  # traces; tiles are no larger
        name = f"prediction, {side} x {side}, colour"
        rows[name, "s"] = seconds(lambda image=image: predict_image(run.network, image))
        rows |= peak_memory(name)
    return rows


def peak_memory(name, children=False):
    """The most memory (a GPU's aside) that this process ever held; nothing on Windows.

    children: of the largest process that it has waited for.
    """
    try:
        import resource
    except ImportError:
        return {}
    who = resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF
    unit = 1 if sys.platform == "darwin" else 1024  # bytes
    return {(f"{name}, peak memory", "GB"): resource.getrusage(who).ru_maxrss * unit / 1e9}


def synthesis(settings, options):
    """create_data: images a second, with and without PNGs."""
    drawn = seconds(lambda: create_data(500, settings))
    X, Y = create_data(500, settings)
    with tempfile.TemporaryDirectory() as folder:
        written = drawn + seconds(lambda: write_data(X, Y, folder))
    name = "create_data"
    return {(name, "images/s"): 500 / drawn, (f"{name}, PNGs written", "images/s"): 500 / written}


def scripts(settings, options):
    """The whole of train.py, and where its time goes; test.py; beside those of --against."""
    flags = shlex.split(" ".join(training_flags(dataclasses.replace(settings, output="output"))))
    against = Path(options.against).resolve()
    checkouts = {} if against == REPOSITORY else {" of --against": against}
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for whose, checkout in {**checkouts, "": REPOSITORY}.items():
            for name, words in (("train.py", flags), ("test.py", [])):
                command = [sys.executable, checkout / name, *words]
                rows[name + whose, "s"] = seconds(lambda command=command: subprocess.run(
                    command, cwd=folder, check=True, stdout=subprocess.DEVNULL))
        parts = json.loads(Path(folder, "output", "settings.json").read_text())["seconds"]
    parts["start and exit"] = rows["train.py", "s"] - sum(parts.values())
    for part, value in parts.items():
        rows[f"  of train.py: {part}", "s"] = value
    for name in ("train.py", "test.py") if checkouts else ():
        ratio = rows[name, "s"] / rows[f"{name} of --against", "s"]
        rows[f"{name} / that of --against", ""] = ratio
    return rows | peak_memory("the scripts", children=True)


def races(settings, options):
    """How soon this recipe is there, and that of 2017 on the same images, up to --cap steps."""
    recipe = dict(Settings.recipes["2017"])
    for field in fields_of("data", "seed", "width", "precision"):
        recipe[field.name] = getattr(settings, field.name)
    recipe["steps"] = min(options.cap, recipe["steps"])
    return {**race(settings, "this recipe"), **race(Settings(**recipe), "Dice and SGD")}


def race(settings, name):
    """The step at which GOAL is first seen, and the seconds to there; infinity if it never is.

    It is looked for by the experiment's own scores, as many as a fifth of the steps.
    """
    settings = dataclasses.replace(
        settings, validation=VALIDATION, watch=VALIDATION, evaluations=max(1, settings.steps // 5))
    reached = {"step": float("inf"), "seconds": float("inf")}
    for row in reversed(train.train(settings).history):
        if row["val_iou_mean"] >= GOAL:
            reached = row
    row = f"IoU {GOAL}, {name}, seed {settings.seed}"
    return {(row, "steps"): reached["step"], (row, "s"): reached["seconds"]}


def machine():
    """What `backend.describe_machine` says; it starts Keras, here in a process of its own."""
    from common.backend import describe_machine

    return describe_machine()


def isolated(function, *arguments):
    """What a function returns in a new process, which inherits nothing."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context, end_with, (os.getpid(),)) as pool:
        return pool.submit(function, *arguments).result()
