"""How a script ends: a mistake in one sentence, an error of ours with its traceback."""

import contextlib
import os
import sys
import traceback
from pathlib import Path


def one_line(text):
    """Text in which line breaks and other unprintable characters, as of file names, are escaped."""
    characters = (character if character.isprintable() else
                  character.encode("unicode_escape").decode() for character in text)
    return "".join(characters)


class UserError(ValueError):
    """A mistake that the user can mend; a script ends with its one sentence and exit status 2."""

    def __str__(self):
        return one_line(super().__str__())


def script_name():
    """What the running script is called: 'train.py', or 'study' for python -m study."""
    path = Path(sys.argv[0])
    return path.parent.name if path.name == "__main__.py" else path.name


def prepare_streams():
    """Let every print succeed: into nowhere where stdout or stderr is closed (`>&-`).

    Characters that the encoding of a stream does not have are escaped.
    """
    for number, name in enumerate(("stdout", "stderr"), start=1):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8"))
        elif hasattr(stream, "reconfigure"):  # that of a notebook has no encoding
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def drawing():
    """Let an error in a picture cost nothing that was computed: its traceback is shown, no more.

    A `UserError`, as of a full disk, is raised.
    """
    try:
        yield
    except UserError:
        raise
    except Exception:
        traceback.print_exc()


def stop(message):
    """End the script with one sentence on stderr, status 2."""
    print(f"{script_name()}: {message}", file=sys.stderr)
    sys.exit(2)


def run_script(main):
    """Call `main` and end as a script should: a `UserError` is one sentence on stderr, status 2.

    Errors that are ours keep their traceback. As shells expect, Ctrl-C ends with status 130 and a
    closed pipe with 141.
    """
    prepare_streams()
    try:
        main()
        return
    except UserError as error:
        stop(error)
    except KeyboardInterrupt as interrupt:
        message, status = "; ".join(["\ninterrupted", *map(str, interrupt.args)]), 130
    except BrokenPipeError:  # the reader of the output, `head` for example, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        message, status = f"{script_name()}: the output is no longer read", 141
    print(message, file=sys.stderr)
    sys.exit(status)
