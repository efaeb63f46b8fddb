"""How a script ends: a mistake in one sentence, an error of ours with its traceback."""

import functools
import os
import sys
from pathlib import Path


def one_line(text):
    """Text in which what breaks a line or cannot be printed is written as Python does: a name can hold anything."""
    return "".join(of if of.isprintable() else of.encode("unicode_escape").decode() for of in text)


class UserError(ValueError):
    """A mistake that the user can mend; a script ends with its one sentence and exit status 2."""

    def __str__(self):
        return one_line(super().__str__())


def telling(error_of):
    """A decorator of generators: instead of a `UserError` they raise what `error_of` makes of its sentence."""
    def decorate(generator):
        @functools.wraps(generator)
        def told(*arguments):
            try:
                yield from generator(*arguments)
            except UserError as error:
                raise error_of(str(error)) from None
        return told
    return decorate


def script_name():
    """What the running script is called: 'train.py', or 'study' where a folder was run with python -m."""
    path = Path(sys.argv[0])
    return path.parent.name if path.name == "__main__.py" else path.name


def run_script(main):
    """Call `main` and end as a script should: a `UserError` as one sentence on stderr and exit status 2.

    Errors that are ours keep their traceback. Ctrl-C ends with status 130 and a closed pipe with 141, as shells expect.
    """
    try:
        main()
        return
    except UserError as error:
        message, status = f"{script_name()}: {error}", 2
    except KeyboardInterrupt as interrupt:
        message, status = "; ".join(["\ninterrupted", *map(str, interrupt.args)]), 130
    except BrokenPipeError:  # the reader of the output, head for example, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        message, status = f"{script_name()}: the output is no longer read", 141
    print(message, file=sys.stderr)
    sys.exit(status)
