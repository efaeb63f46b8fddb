"""What a question of the study is, and what its variants are made from.

A variant is a set of changes to the default settings: each run is one `python train.py --flag ...`.
"""

from typing import NamedTuple

from common.settings import RECIPES, Settings

class Question(NamedTuple):
    """One question. A variant is named 'name, noise fill' or 'name, constant fill'."""

    asks: str
    varies: dict  # {variant: what it changes in the settings}
    measures: tuple = ()  # functions of run and settings: more columns of the CSV
    # Classes that look at a network while it trains. One is made of the settings of a run; after
    # each of its `steps` it is told `follow(step, network)`, at the end it gives `columns()`.
    followers: tuple = ()
    draws: dict = {}  # noqa: RUF012 - {file: function of results and path}; nobody changes it
    # Its key numbers, {label: a column, of which the mean is shown, or a function of results and
    # variant, which returns a text}.
    shows: dict = {}  # noqa: RUF012
    tables: tuple = ()  # functions of results, each returns lines of Markdown
    reference: str = ""  # the variant, without its fill, that others are compared with; "" is none
    seeds: int | dict = 10  # of every variant, or {variant without its fill: number}
    first_seed: int = 0
    predicts: str = ""  # what was expected before it ran; it stays when it was wrong

    def settings(self, variant):
        """The settings of a variant, but for the seed."""
        return Settings(**self.varies[variant])

    @property
    def instruments(self):
        """What looks at its runs."""
        return self.measures, self.followers

    def short(self, variant):
        """The name of a variant without its fill."""
        return variant.removesuffix(f", {self.settings(variant).fill} fill")

    def seeds_of(self, variant):
        """With how many seeds a variant is asked."""
        return self.seeds if isinstance(self.seeds, int) else self.seeds[self.short(variant)]


def noise(variants):
    """Every variant with noise fill."""
    return {f"{name}, noise fill": changes for name, changes in variants.items()}


def both(variants):
    """Every variant with noise fill and with constant fill."""
    filled = {}
    for name, changes in variants.items():
        filled[f"{name}, noise fill"] = changes
        filled[f"{name}, constant fill"] = {**changes, "fill": "constant"}
    return filled


def varied(setting, values, base, name):
    """A variant for each value of one setting; `name` is a format that takes the value."""
    return {name.format(value): {**base, setting: value} for value in values}


def fresh(changes):
    """Train on a fresh image at every step, so that nothing can be remembered."""
    return {**changes, "samples": changes["steps"]}


def one_and_fresh(name, changes):
    """A variant trained on one image, and on fresh images."""
    return {f"{name}, one image": changes, f"{name}, fresh images": fresh(changes)}


def with_paddings(variants, paddings=("zero", "reflect", "circular")):
    """Every variant with each padding."""
    padded = {}
    for name, changes in variants.items():
        for padding in paddings:
            padded[f"{name}, {padding} padding"] = {**changes, "padding": padding}
    return padded


def with_gain(base, gain, levels):
    """A recipe whose initial kernels on these levels are multiplied."""
    return {**base, "gain": gain, "gain_levels": levels}


def varied_gain(gains, base, levels, name):
    """A variant for each gain on these levels; `name` is a format that takes the gain."""
    return {name.format(gain): with_gain(base, gain, levels) for gain in gains}


def gains(base, name):
    """Initial weights that differ in their gain, and a network without a border."""
    return {
        f"1.1 on all levels, {name}": with_gain(base, 1.1, ALL),
        f"today's weights, {name}": base,
        f"0.88 on the shallow levels, {name}": with_gain(base, 0.88, SHALLOW),
        f"0.88 on the deep levels, {name}": with_gain(base, 0.88, DEEP),
        f"the weights of 2017, {name}": {**base, "initial_weights": "2017"},
        f"0.1 on the output, {name}": with_gain(base, 0.1, OUTPUT),
        f"circular padding, {name}": {**base, "padding": "circular"},
    }


def only(variants, begins):
    """Those of the variants whose name begins with one of some texts."""
    return {name: changes for name, changes in variants.items() if name.startswith(begins)}


def seldom(variants):
    """Every variant, scored no more often than the default: its parts are looked at instead."""
    return {name: {**changes, "evaluations": 12} for name, changes in variants.items()}


FEWER = {"validation": 30}  # images, in place of 100: ten seeds see 300, and a run is 4 s shorter
LONG = {**FEWER, "schedule": "constant", "steps": 300, "evaluations": 40}
HALF = {**FEWER, "width": 0.5}  # narrower networks do not all fit their image
NARROW = {**FEWER, "learning_rate": 0.01, "steps": 200}  # for networks too narrow for the default
# As in 2017, but for circles anywhere and the weights with which Keras starts today.
TODAY = {**RECIPES["2017"], "placement": "anywhere", "initial_weights": "he-normal"}
PLAIN_DICE = {**TODAY, "side": (0, 0), "dice_smoothing": 0.0}
TODAY_2017 = {**TODAY, **FEWER, "steps": 400, "evaluations": 60}
LARGER = {**HALF, "size": (96, 96), "radius": (9, 23), "steps": 3000, "task": "larger"}

# At half the width and a constant rate; it was scored at 60 of the steps.
CONSTANT = {**HALF, "schedule": "constant", "steps": 400, "evaluations": 60}
ADAM = {**CONSTANT, "learning_rate": 1e-3}
SLOW = {**CONSTANT, "learning_rate": 1e-4}
SLOW_DICE = {**SLOW, "loss": "dice"}
NO_SKIPS = {**ADAM, "network": "unet-without-skips"}
CONVOLUTIONS = {**ADAM, "network": "convolutions"}

# The parts of a fit. Plain SGD has one rate for all weights, and no limit on the gradient.
PLAIN = {**CONSTANT, "optimizer": "sgd", "clip_norm": 0.0, "bias_rate": 1.0}
# The recipe of 2017 at half the width: with five times its rate 400 steps do for its 2000.
HALF_2017 = {**TODAY_2017, "width": 0.5, "learning_rate": 5e-3}
FIRST = {"steps": 1, "evaluations": 1, "validation": 1, "watch": 1, "learning_rate": 1e-5}
# One step at full width, at a rate of which the change is proportional: of the gradient, as in
# 2017, or of its sign, which is what Adam's first step amounts to.
ONE_STEP = {**TODAY_2017, "steps": 1, "evaluations": 1, "validation": 1, "watch": 1}
ONE_STEP_OF_ADAM = {**ONE_STEP, "optimizer": "adam", "learning_rate": 1e-5}
DEEP, SHALLOW, ALL, OUTPUT = (3, 6), (0, 2), (0, 6), (0, 0)  # levels, for --gain
