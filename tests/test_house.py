"""The house: imports run down and in no circle, and no file has grown beyond what is read in one go."""

import ast
import graphlib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
# What each room may import of this repository, beside itself.
BELOW = {
    "common": set(),
    "model": {"common"},
    "data": {"common"},
    "train": {"model", "data", "common"},
    "test": {"model", "data", "common"},
    "study": {"train", "test", "model", "data", "common"},
    "bench": {"train", "test", "model", "data", "common"},
    "paint": {"train", "test", "model", "data", "common"},
}
PATHS = [*REPOSITORY.glob("*.py"), *(path for room in ("common", "study", "bench", "paint")
                                     for path in (REPOSITORY / room).glob("*.py"))]
MODULES = {".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"): path
           for path in PATHS}


def imported(module, inside_functions):
    """The modules of this repository that a module of it imports."""
    found, waiting = set(), [ast.parse(MODULES[module].read_text(encoding="utf-8"))]
    for node in waiting:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports by dots"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif inside_functions or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            waiting += ast.iter_child_nodes(node)
    return found & MODULES.keys()


def test_every_file_belongs_to_a_room():
    assert {module.partition(".")[0] for module in MODULES} == BELOW.keys()


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_down(module):
    room = module.partition(".")[0]
    rooms = {other.partition(".")[0] for other in imported(module, inside_functions=True)}
    assert rooms <= BELOW[room] | {room}


def test_no_modules_import_each_other_in_a_circle():
    sorter = graphlib.TopologicalSorter({module: imported(module, inside_functions=False) - {module}
                                         for module in MODULES})
    assert len([*sorter.static_order()]) == len(MODULES)  # a circle would be an error that lists it


@pytest.mark.parametrize("module", MODULES)
def test_a_file_can_be_read_in_one_go(module):
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) <= 300
