"""Every command of the repository, with the flags that it takes, for the tests that type them."""

import dataclasses
from typing import NamedTuple

from bench.measurements import Options as BenchOptions
from common.command_line import fields_of, parse
from common.settings import Settings
from own.compare import Options as CompareOptions
from own.settings import OwnSettings
from study.__main__ import Options as StudyOptions

TRAINING = fields_of("run", "data", "samples", "training", "resuming")
OWN = fields_of("run", "training", "own", "resuming", kind=OwnSettings)


class Command(NamedTuple):
    """Its flags, and the kinds of settings that are made of them."""

    fields: list
    kinds: list
    recipes: dict | None = None


COMMANDS = {
    "train.py": Command(TRAINING, [Settings], Settings.recipes),
    "test.py": Command(fields_of("run", "data", "test"), [Settings]),
    "model.py": Command(fields_of("size", "width"), [Settings]),
    "data.py": Command(fields_of("seed", "vis"), [Settings]),
    "own train": Command(
        [field for field in OWN if field.name not in ("image", "mask")], [OwnSettings],
        OwnSettings.recipes),
    "own segment": Command(
        fields_of("output", "vis", "masks", "average", "match", kind=OwnSettings), [OwnSettings]),
    "own paint": Command(fields_of("seed", "masks", "page", kind=OwnSettings), [OwnSettings]),
    "own compare": Command(
        [*fields_of("output", kind=OwnSettings), *dataclasses.fields(CompareOptions)],
        [OwnSettings, CompareOptions]),
    "study": Command(
        [*fields_of("output"), *dataclasses.fields(StudyOptions)], [Settings, StudyOptions]),
    "bench": Command(
        [*fields_of("data", "samples", "training", "output"), *dataclasses.fields(BenchOptions)],
        [Settings, BenchOptions], Settings.recipes),
}


def typed(name, line):
    """The settings of each kind, and the words without a flag, that a line of words stands for."""
    command = COMMANDS[name]
    given = parse("", command.fields, recipes=command.recipes, words=("words", "", ""), line=line)
    words = given.pop("words")
    made = []
    for kind in command.kinds:
        names = {field.name for field in dataclasses.fields(kind)}
        made.append(kind(**{name: value for name, value in given.items() if name in names}))
    return made, words
