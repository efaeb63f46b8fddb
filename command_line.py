"""How a script meets its user: flags made from settings.py, folders that can be written, mistakes in one sentence."""

import argparse
import dataclasses
import os
import sys
from pathlib import Path

from settings import Settings, UserError, as_flag


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence on stderr, without the usage block, and exit status 2."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}; --help lists every flag\n")


def parse(description, wanted, *, words=None, from_training=False):
    """The command line as a dict: the value of each setting whose flag was given.

    wanted: groups of settings, or settings by name, that the script takes.

    words: (name, help) of what may stand there without a flag; the dict holds them as a tuple.

    from_training: the script reads what is not given from output/settings.json; --help then says so.
    """
    parser = Parser(description=description, allow_abbrev=False, argument_default=argparse.SUPPRESS,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    for field in dataclasses.fields(Settings):
        metadata, value, pair = field.metadata, field.default, isinstance(field.default, tuple)
        if metadata["group"] not in wanted and field.name not in wanted:
            continue
        inherited = from_training and (metadata["group"] == "data" or field.name == "seed")
        default = "as trained" if inherited else as_flag(field.name, value).partition(" ")[2] or "off"
        if isinstance(value, bool):
            how = dict(action=argparse.BooleanOptionalAction)
        else:
            how = dict(type=type(value[0] if pair else value), nargs=2 if pair else None, choices=metadata["choices"],
                       metavar=metadata["metavar"] or (None if metadata["choices"] else field.name.upper()))
        parser.add_argument(as_flag(field.name, "").strip(), help=f"{metadata['help']} (default: {default})", **how)
    if words:
        parser.add_argument(words[0], nargs="*", default=[], help=words[1])
    given = vars(parser.parse_intermixed_args())
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def check_folder(path, flag):
    """Raise `UserError` unless `path` is a folder that can be written to, or can be made. Makes nothing."""
    path = Path(path).absolute()
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        pass  # it is still to be made
    except OSError as error:  # a name that is too long, say
        raise UserError(f"{flag} {path} cannot be a folder ({error.strerror}); give another {flag}") from None
    nearest = next(place for place in (path, *path.parents) if os.path.lexists(place))
    if not nearest.is_dir():
        raise UserError(f"{flag} {path} cannot be a folder because {nearest} is a file; give another {flag}")
    if not os.access(nearest, os.W_OK):
        raise UserError(f"{flag} {path} cannot be written because {nearest} is read-only; give another {flag}")


def run_script(main):
    """Call `main` and end as a script should: a `UserError` as one sentence on stderr and exit status 2.

    Errors that are ours keep their traceback. Ctrl-C ends with status 130 and a closed pipe with 141, as shells expect.
    """
    try:
        main()
        return
    except UserError as error:
        message, status = f"{Path(sys.argv[0]).name}: {error}", 2
    except KeyboardInterrupt:
        message, status = "\ninterrupted", 130
    except BrokenPipeError:  # the reader of the output, head for example, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        message, status = f"{Path(sys.argv[0]).name}: the output is no longer read", 141
    print(message, file=sys.stderr)
    sys.exit(status)
