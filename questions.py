"""The questions of the study: what each asks, the one setting that it varies, what it measures and how it is drawn.

Every variant is a set of changes to the defaults of settings.py, so each of its runs is one
`python train.py --flag value`. The first ten are the study, which `all` runs; `later` takes too long for that, and the
last two are what the recipe was chosen by.
"""

from typing import NamedTuple

import measures
from results import REACHED
from settings import RECIPE_2017, Settings


class Question(NamedTuple):
    """One question. A variant is named 'name, noise fill' or 'name, constant fill', where it is asked of both."""

    text: str
    variants: dict  # {name: what it changes in the settings}
    figures: tuple = ("points",)  # the functions of study_plots.py that draw it
    measure: object = measures.nothing  # a function of measures.py: more columns than those of every run
    reference: str = "this recipe"  # the variant, without its fill, that the others are compared with; "" is none
    shown: dict = {}  # noqa: RUF012 - more columns of its table, {title: column}; nobody changes it
    x: str = ""  # the column on the horizontal axis of a figure that has one
    first_seed: int = 0
    seeds: int = 10

    def settings(self, variant):
        """The settings of a variant, but for the seed."""
        return Settings(**self.variants[variant])


FILLS = {"noise fill": {}, "constant fill": {"fill": "constant"}}
FEWER = {"validation": 30}  # images, in place of 100: ten seeds see 300, and a run is 4 s shorter


def both(variants):
    """Every variant with either fill."""
    return {f"{name}, {fill}": {**changes, **of_fill}
            for name, changes in variants.items() for fill, of_fill in FILLS.items()}


def noise(variants):
    """Every variant with noise fill."""
    return {f"{name}, noise fill": changes for name, changes in variants.items()}


def varied(setting, values, base=FEWER, name="{}"):
    """A variant for each value of one setting; `name` is a format that takes the value."""
    return {name.format(value): {**base, setting: value} for value in values}


STEPS = {f"steps to train IoU {goal}": f"steps_to_train_iou_{goal}" for goal in REACHED}
# Where it is memorised, the prediction on an unseen image is the training mask; that mask and the true one overlap too.
MEMORISED = {"prediction and training mask": "memorisation", "truth and training mask": "training_mask_iou_mean"}
LONG = {**FEWER, "schedule": "constant", "steps": 300, "evaluations": 40}
HALF = {**FEWER, "width": 0.5}  # narrower ones do not all fit their image
LONGER = {**HALF, "steps": 400, "evaluations": 40, "watch": 10}
NARROW = {**FEWER, "learning_rate": 0.01, "steps": 200}  # narrow networks do not all fit their image by the default

# What every row of results is about, and the candidates for the default that docs/recipe.md tells of.
RECIPES = {
    "2017 recipe": RECIPE_2017,
    "this recipe": {},
    "this recipe, 50 steps": {"steps": 50},
    "this recipe, 150 steps": {"steps": 150},
    "this recipe, 150 steps, --augment": {"augment": True, "steps": 150},
    # what one image is measured against; no longer one sample
    "a fresh image at each of 400 steps": {"samples": 400, "steps": 400},
}
SEARCH = {
    "this recipe": {},
    "peak rate 0.001, output bias 0, biases no faster": {
        "learning_rate": 0.001, "output_bias": "zero", "bias_rate": 1.0},
    "output bias 0, biases no faster": {"output_bias": "zero", "bias_rate": 1.0},
    "biases no faster": {"bias_rate": 1.0},
    "output bias 0": {"output_bias": "zero"},
    "peak rate 0.001": {"learning_rate": 0.001},
    "peak rate 0.003": {"learning_rate": 0.003},
    "50 steps": {"steps": 50},
    "150 steps": {"steps": 150},
    "label smoothing 0": {"label_smoothing": 0.0},
    "label smoothing 0.1": {"label_smoothing": 0.1},
    "clip-norm 1": {"clip_norm": 1.0},
    "cross-entropy plus Dice": {"loss": "both"},
    "Dice": {"loss": "dice"},
    "focal loss": {"loss": "focal"},
    "input noise 0.5": {"input_noise": 0.5},
    "dropout 0.3": {"dropout": 0.3},
    "weight decay 0.3": {"weight_decay": 0.3},
    "averaging 0.9": {"averaging": 0.9},
    "augmentation": {"augment": True},
    "augmentation, 150 steps": {"augment": True, "steps": 150},
    "a fresh image every step": {"samples": 80},
}

STUDY = {
    # first, because the others take its runs of this recipe over
    "learned": Question(
        "What did it learn: a circle, or its filling?", both({"this recipe": FEWER}), ("test_sets", "receptive_fields"),
        measures.learned),
    "reliable": Question("Does it happen every time?", both({
        "this recipe": FEWER,
        "2017 recipe, 400 steps": {**RECIPE_2017, **FEWER, "steps": 400},
        "a network of 1x1 convolutions": {**FEWER, "network": "pixel"},
    }), shown=MEMORISED, seeds=20),
    "when": Question("Does it generalise first, and memorise later?", {
        **noise({"constant rate": LONG}),
        **both({"constant rate, a quarter of the width": {**LONG, "steps": 2000, "width": 0.25}}),
    }, ("histories",), measures.history, "", STEPS),
    "labels": Question(
        "Can this network memorise at all?",
        noise(varied("labels", ("true", "moved", "random"), LONG, "{} labels")), ("histories",), measures.history,
        "true labels", {**STEPS, **MEMORISED}),
    "sharing": Question(
        "Is it the convolution?",
        both(varied("network", ("unet", "unet-without-skips", "convolutions", "dense"))),
        reference="unet", shown={"parameters": "parameters", **MEMORISED}),
    "pixels": Question(
        "How many labelled pixels does one image hold?",
        noise({**varied("supervised_pixels", (10, 100, 1000, 10_000), name="{} pixels"), "all 25600 pixels": FEWER}),
        ("lines",), reference="all 25600 pixels", x="supervised_pixels"),
    "size": Question(
        "Does over-parameterisation hurt?",
        noise({**varied("width", (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 2.0), name="width {:g}"),
               **varied("width", (1 / 16, 1 / 8, 1 / 4), NARROW, "width {:g}; rate 0.01, 200 steps")}),
        reference="width 1", shown={"parameters": "parameters", **MEMORISED}),
    "position": Question(
        "Does it know where it is?",
        noise(varied("padding", ("zero", "reflect", "circular"), {**FEWER, "radius": (20, 20)}, "{} padding")),
        ("heat_maps",), measures.positions, "zero padding"),
    "samples": Question(
        "What is one image short of?",
        noise({"1 image": FEWER, **varied("samples", (2, 4, 8, 16, 32, 64), name="{} images"),
               "80 images (a fresh one each step)": {**FEWER, "samples": 80}}), ("lines",),
        reference="1 image", x="samples"),
    "recipe": Question("With which recipes does it happen?", noise({
        f"{loss}, {optimizer}, {rate:g}": {**HALF, "loss": loss, "optimizer": optimizer, "learning_rate": rate}
        for loss in ("cross-entropy", "dice")
        for optimizer, rates in (("adam", (1e-4, 1e-3, 1e-2)), ("sgd", (1e-3, 1e-2, 1e-1, 1.0))) for rate in rates}),
        ("grid",), reference="cross-entropy, adam, 0.001", shown=MEMORISED),
}
QUESTIONS = {
    **STUDY,
    "later": Question("What do more steps change?", noise({
        "constant rate, 2000 steps": {**LONG, "steps": 2000, "watch": 10},
        **varied("loss", ("cross-entropy", "dice"), {**LONGER, "learning_rate": 1e-4},
                 "{}, adam, 0.0001, half the width"),
        "unet-without-skips, half the width": {**LONGER, "network": "unet-without-skips"},
    }), ("histories",), measures.history, "", {**STEPS, **MEMORISED}),
    "recipes": Question("How well does one image teach the next hundred, by which recipe?", both(RECIPES)),
    "search": Question(
        "Which recipe should be the default? On seeds that no result is reported on.", both(SEARCH), first_seed=100),
}
