"""Flags made from settings."""

import argparse
import dataclasses

from common.checks import as_flag
from common.errors import one_line, script_name
from common.settings import RECIPES, Settings, default_recipe


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence on stderr, without the usage block, and exit status 2."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {one_line(message)}; --help lists every flag\n")


def fields_of(*wanted):
    """The fields of `Settings` in these groups, or of these names."""
    return [field for field in dataclasses.fields(Settings)
            if field.metadata["group"] in wanted or field.name in wanted]


def parse(description, fields, *, words=None, from_training=False, line=None):
    """The command line as a dict: the value of each setting whose flag was given, or that --recipe stands for.

    fields: dataclass fields made by `settings.setting`; with the settings of a training there is --recipe too.

    words: (name, help) of what may stand there without a flag; the dict holds them as a tuple.

    line: a list of words in place of those that were typed.

    from_training: the script reads what is not given from output/settings.json; --help then says so.
    """
    parser = Parser(prog=script_name(), description=description, allow_abbrev=False,
                    argument_default=argparse.SUPPRESS, formatter_class=argparse.RawDescriptionHelpFormatter)
    if any(field.name == "steps" for field in fields):
        parser.add_argument("--recipe", choices=RECIPES, help="one flag for many; flags beside it override it. '2017' "
                            "is the whole published experiment (default: default; own with --image)")
    for field in fields:
        metadata, value = field.metadata, field.default
        inherited = from_training and (metadata["group"] == "data" or field.name == "seed")
        default = "as trained" if inherited else as_flag(field.name, value).partition(" ")[2]
        if value in (None, ()) or isinstance(value, bool):
            default = {True: "on", False: "off"}.get(value, "none")
        if isinstance(value, bool):
            how = dict(action=argparse.BooleanOptionalAction)
        else:
            how = dict(choices=metadata["choices"],
                       metavar=metadata["metavar"] or (None if metadata["choices"] else field.name.upper()))
            if value in (None, ()):  # names of files
                how |= dict(type=str) if value is None else dict(type=str, nargs="+", action="extend")
            else:
                pair = isinstance(value, tuple)
                how |= dict(type=type(value[0] if pair else value), nargs=2 if pair else None)
        parser.add_argument(as_flag(field.name), help=f"{metadata['help']} (default: {default})", **how)
    if words:
        parser.add_argument(words[0], nargs="*", default=[], help=words[1])
    given = vars(parser.parse_intermixed_args(line))
    recipe = given.pop("recipe", "default" if given.get("resume") else default_recipe(given.get("image")))
    given = {**RECIPES[recipe], **given}  # what is resumed has its own
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
