"""What a question of the study is, and the variants from which questions are made.

Every variant is a set of changes to the defaults of common/settings.py, so each of its runs is one
`python train.py --flag value`.
"""

from typing import NamedTuple

from common.settings import RECIPES, Settings


class Question(NamedTuple):
    """One question. A variant is named 'name, noise fill' or 'name, constant fill'."""

    asks: str
    varies: dict  # {variant: what it changes in the settings}
    measures: tuple = ()  # functions of run and settings: more columns of the CSV than those of every run
    draws: dict = {}  # noqa: RUF012 - {file: function of results and path}; nobody changes it
    shows: dict = {}  # noqa: RUF012 - its key numbers, {label: function of results and variant, one text}
    tables: tuple = ()  # functions of results, each returns lines of Markdown
    reference: str = ""  # the variant, without its fill, that the others are compared with; "" is none
    seeds: int | dict = 10  # of every variant, or {variant without its fill: number}
    first_seed: int = 0
    predicts: str = ""  # what was expected, written down before it ran; it stays when it was wrong

    def settings(self, variant):
        """The settings of a variant, but for the seed."""
        return Settings(**self.varies[variant])

    def short(self, variant):
        """What a variant is called where its fill is said once for all, or there is only one."""
        return variant.removesuffix(f", {self.settings(variant).fill} fill")

    def seeds_of(self, variant):
        """With how many seeds a variant is asked."""
        return self.seeds if isinstance(self.seeds, int) else self.seeds[self.short(variant)]


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


LONG = {**FEWER, "schedule": "constant", "steps": 300, "evaluations": 40}
HALF = {**FEWER, "width": 0.5}  # narrower ones do not all fit their image
NARROW = {**FEWER, "learning_rate": 0.01, "steps": 200}  # narrow networks do not all fit their image by the default
# As in 2017, but for what a list of flags left out before there was --recipe 2017: smoothing, placement and weights.
PLAIN_DICE = {**RECIPES["2017"], "placement": "anywhere", "side": (0, 0), "initial_weights": "he-normal",
              "dice_smoothing": 0.0}

# The race of two solutions: at half the width, at a constant rate, seen at 60 of the steps.
RACE = {**HALF, "schedule": "constant", "steps": 400, "evaluations": 60}
RACERS = {
    **{f"Adam, {rate:g}": {**RACE, "learning_rate": rate} for rate in (1e-3, 5e-4, 2e-4, 1e-4)},
    "Adam, 0.0001, Dice": {**RACE, "learning_rate": 1e-4, "loss": "dice"},
    "SGD, 0.1": {**RACE, "learning_rate": 0.1, "optimizer": "sgd"},
    "no skips, Adam, 0.001": {**RACE, "learning_rate": 1e-3, "network": "unet-without-skips"},
    "convolutions, Adam, 0.001": {**RACE, "learning_rate": 1e-3, "network": "convolutions"},
}
LARGER = {**HALF, "size": (96, 96), "radius": (9, 23), "steps": 3000, "task": "larger"}
TODAY_2017 = {**RECIPES["2017"], **FEWER, "placement": "anywhere", "initial_weights": "he-normal", "steps": 400,
              "evaluations": 60}


def fresh(changes):
    """The same with a fresh image at every step, on which nothing can be remembered."""
    return {**changes, "samples": changes["steps"]}


def raced(racers):
    """Every recipe with nothing to find but its memory, with nothing to remember, and on one image."""
    return {f"{name}: {what}": changes for name, racer in racers.items() for what, changes in (
        ("memory", {**racer, "strength": 0.0}), ("rule", fresh(racer)), ("one image", racer))}


def with_paddings(variants, paddings=("zero", "reflect", "circular")):
    """Every variant with each padding."""
    return {f"{name}, {padding} padding": {**changes, "padding": padding}
            for name, changes in variants.items() for padding in paddings}
