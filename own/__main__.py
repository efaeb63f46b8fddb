"""Label one image of your own, and the rest is segmented.

    python -m own train IMAGE MASK   learn from an image with its mask, or several
    python -m own segment FOLDER     segment the images of a folder with that, or image files
    python -m own paint [FOLDER]     or paint strokes on a page, and watch it learn
    python -m own compare SET ...    score it beside what people use today

`python -m own COMMAND --help` lists the flags of each; more is in docs/own.md.
"""

import importlib
import sys

from common.errors import UserError, run_script

# The module of each command; they are imported one at a time, for some start slowly.
COMMANDS = {"train": "training", "segment": "segmentation", "paint": "paint", "compare": "compare"}


def main():
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help"):
        print(__doc__.strip())
        return
    command = words[0]
    if command not in COMMANDS:
        raise UserError(f"{command} is no command; choose {', '.join(COMMANDS)}")
    sys.argv[:2] = [f"own {command}"]  # what it is called in its messages
    importlib.import_module(f"own.{COMMANDS[command]}").main()


if __name__ == "__main__":
    run_script(main)
