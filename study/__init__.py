"""Why does it not memorise? `python -m study` lists the questions."""
