"""Flags made from settings."""

import argparse
import dataclasses
import sys
import textwrap

from common.checks import as_flag
from common.errors import one_line, script_name
from common.settings import Settings

STUDY = "for questions of the study"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence on stderr, without the usage, and exit status 2."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {one_line(message)}; --help lists the flags\n")


def fields_of(*wanted, kind=Settings):
    """The fields of `Settings`, or a kind of it, in these groups or of these names."""
    return [field for field in dataclasses.fields(kind)
            if field.metadata["group"] in wanted or field.name in wanted]


def parse(description, fields, *, recipes=None, words=None, from_training=False, line=None):
    """The command line as a dict: the settings whose flags were given, or that --recipe gives.

    fields: dataclass fields made by `settings.setting`. recipes: {name: settings}, the first is
    the default. words: (name, usage, help) of what may stand there without a flag; the dict holds
    them as a tuple. from_training: --help says that data and seed are as they were trained on.
    line: a list of words in place of those that were typed.

    --help shows a visitor's flags and names those of the study, which --help-study explains.
    """
    line = sys.argv[1:] if line is None else line
    usage = ["%(prog)s", words[1] if words else "", "[flags]"]
    parser = Parser(
        prog=script_name(), usage=" ".join(filter(None, usage)), description=description,
        allow_abbrev=False, argument_default=argparse.SUPPRESS,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    if words:
        parser.add_argument(words[0], nargs="*", default=[], help=words[2])
    if recipes:
        parser.add_argument("--recipe", choices=recipes, metavar="NAME",
                            help=f"one flag for many: {', '.join(recipes)}; others override it")
    for field in fields:
        if not field.metadata["study"]:
            add_flag(parser, field, from_training)
    study = [field for field in fields if field.metadata["study"]]
    if study:
        parser.add_argument("--help-study", action="help", help=f"explain the flags {STUDY} too")
        explained = "--help-study" in line
        names = textwrap.fill(" ".join(as_flag(field.name) for field in study), 76,
                              break_on_hyphens=False)
        group = parser.add_argument_group(STUDY, None if explained else names)
        for field in study:
            add_flag(group, field, from_training, hidden=not explained)
    given = vars(parser.parse_intermixed_args(line))
    recipe = given.pop("recipe", None)
    # A training that is resumed has a recipe of its own.
    changes = recipes[recipe] if recipe else {}
    given = {**changes, **given}
    for name, value in given.items():
        if isinstance(value, list):
            given[name] = tuple(value)
    return given


def add_flag(parser, field, from_training=False, hidden=False):
    """Add the flag of a field to a parser or a group of it."""
    metadata, default = field.metadata, field.default
    help, shown, how = metadata["help"], default, dict(choices=metadata["choices"])
    if isinstance(default, bool):
        shown = "on" if default else "off"
        how = dict(action=argparse.BooleanOptionalAction if default else "store_true")
    else:
        value, shown = default, "none" if default is None else default
        if isinstance(default, tuple):
            value, shown = default[0], " ".join(map(str, default))
            how["nargs"] = len(default)
        kind = str if value is None else type(value)
        metavar = {int: "N", float: "X"}.get(kind, "NAME")
        how |= dict(type=kind, metavar=metadata["metavar"] or metavar)
    if metadata["choices"]:
        help += f": {', '.join(metadata['choices'])}"
    if from_training and (metadata["group"] == "data" or field.name == "seed"):
        shown = "as trained"
    help = argparse.SUPPRESS if hidden else f"{help} [{shown}]"
    parser.add_argument(as_flag(field.name), help=help, **how)
