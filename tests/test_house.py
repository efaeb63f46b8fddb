"""The house: imports run down and in no circle, and a line says one thing."""

import ast
import graphlib
import io
import tokenize
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
# What each room may import of this repository, beside itself.
SHEETS = {"train", "test", "model", "data"}
BELOW = {
    "common": set(),
    "model": {"common"},
    "data": {"common"},
    "train": {"model", "data", "common"},
    "test": {"model", "data", "common"},
    "study": {*SHEETS, "common"},
    "own": {*SHEETS, "common", "study"},
    "bench": {*SHEETS, "common", "study", "own"},
}
TOKENS_OF_SHEETS, TOKENS = 10.5, 12.0  # of Python in a line of code, on average
COLUMNS = 100  # characters a line
COMPREHENSIONS = ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp


def module_of(path):
    """The name of a file as a module: 'common.files'."""
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


PATHS = list(REPOSITORY.glob("*.py"))
for room in BELOW.keys() - SHEETS:
    PATHS += (REPOSITORY / room).glob("*.py")
MODULES = {module_of(path): path for path in PATHS}
TEXT = {module: path.read_text(encoding="utf-8") for module, path in MODULES.items()}
every_module = pytest.mark.parametrize("module", sorted(MODULES))


def imported(module, inside_functions):
    """The modules of this repository that a module of it imports."""
    names, waiting = set(), [ast.parse(TEXT[module])]
    for node in waiting:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports by dots"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif inside_functions or not isinstance(node, (ast.FunctionDef, ast.Lambda)):
            waiting += ast.iter_child_nodes(node)
    return names & MODULES.keys()


def code(text):
    """The lines of a file that hold code, and how many tokens; no comment and no docstring."""
    documented, lines, tokens = set(), set(), 0
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            documented.update(range(node.lineno, node.end_lineno + 1))
    depth = 0  # within an f-string, which is one token; since Python 3.12 it has several
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        depth += {"FSTRING_START": 1, "FSTRING_END": -1}.get(tokenize.tok_name[token.type], 0)
        empty = token.type == tokenize.COMMENT or not token.string.strip()
        if not empty and token.start[0] not in documented:
            lines.update(range(token.start[0], token.end[0] + 1))
            if depth == 0:
                tokens += 1
    return lines, tokens


def test_every_file_belongs_to_a_room():
    assert {module.partition(".")[0] for module in MODULES} == BELOW.keys()


@every_module
def test_imports_run_down(module):
    room = module.partition(".")[0]
    rooms = {other.partition(".")[0] for other in imported(module, inside_functions=True)}
    assert rooms <= BELOW[room] | {room}


def test_no_modules_import_each_other_in_a_circle():
    imports = {module: imported(module, inside_functions=False) - {module} for module in MODULES}
    order = graphlib.TopologicalSorter(imports).static_order()  # a circle is an error that lists it
    assert set(order) == MODULES.keys()


@every_module
def test_a_line_says_one_thing(module):
    lines, tokens = code(TEXT[module])
    most = TOKENS_OF_SHEETS if module in SHEETS else TOKENS
    assert round(tokens / max(1, len(lines)), 1) <= most


@every_module
def test_a_statement_holds_one_comprehension_at_most(module):
    for node in ast.walk(ast.parse(TEXT[module])):
        if isinstance(node, ast.stmt) and not hasattr(node, "body"):
            comprehensions = [part for part in ast.walk(node) if isinstance(part, COMPREHENSIONS)]
            assert len(comprehensions) <= 1, f"line {node.lineno}"


def test_lines_are_short():
    long = []
    for path in [*PATHS, *Path(__file__).parent.glob("*.py")]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if len(line) > COLUMNS:
                long.append(f"{path.name}:{number}")
    assert not long
