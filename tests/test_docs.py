"""README.md and docs/: links lead somewhere, commands can be typed, numbers are those of the report."""

import re
import shlex
from pathlib import Path

import pytest

from common.command_line import fields_of, parse
from common.files import read_table
from common.settings import Settings
from study import real
from study.__main__ import Options, planned
from study.questions import QUESTIONS

REPOSITORY = Path(__file__).parent.parent
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")), REPOSITORY / "docs/study/report.md"]
TEXT = {page: page.read_text(encoding="utf-8") for page in PAGES}


def linked(page):
    """The files that a page links to or shows, as absolute paths; without those of the web."""
    links = re.findall(r"\]\(([^)#\s]+)", TEXT[page])
    return {(page.parent / link).resolve() for link in links if "://" not in link}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page):
    assert {path for path in linked(page) if not path.exists()} == set()


def test_a_link_to_a_section_finds_its_heading():
    headings = set(re.findall(r"^## (\w+)$", TEXT[REPOSITORY / "docs/answer.md"], re.MULTILINE))
    assert set(re.findall(r"answer\.md#(\w+)", "".join(TEXT.values()))) <= headings


def test_docs_hold_nothing_that_no_page_shows():
    shown = set().union(*map(linked, PAGES)) | {REPOSITORY / f"docs/study/{name}.csv" for name in QUESTIONS}
    files = {path for path in (REPOSITORY / "docs").rglob("*") if path.is_file() and not path.name.startswith(".")}
    assert files - shown == set()


def commands(script):
    """The flags of every command in the pages that runs a script."""
    lines = re.findall(rf"^python (?:-m )?{re.escape(script)}\b([^#\n&]*)", "\n".join(TEXT.values()), re.MULTILINE)
    assert lines
    return lines


@pytest.mark.parametrize(("script", "groups"), [
    ("train.py", ("run", "data", "training", "own")), ("test.py", ("run", "data", "test", "match"))])
def test_every_command_can_be_typed(script, groups, monkeypatch):
    for line in commands(script):
        monkeypatch.setattr("sys.argv", [script, *shlex.split(line)])
        Settings(**parse("", fields_of(*groups)))


def test_every_question_and_variant_that_is_named_is_one():
    for line in commands("study"):
        words = shlex.split(line)
        names = [word for word in words if word in QUESTIONS]
        assert names or not words or words[0] in ("all", "real"), line
        if "--only" in words:
            assert planned(QUESTIONS[names[0]], Options(only=words[words.index("--only") + 1]))


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "report.md"], ids=lambda page: page.name)
def test_a_number_with_an_interval_stands_in_the_report(page):
    report = re.sub(r" ± [\d.]+", "", TEXT[REPOSITORY / "docs/study/report.md"])
    numbers = re.findall(r"[+-]?\d\.\d+\s\[[+-]?\d\.\d+,\s[+-]?\d\.\d+\]", TEXT[page])
    assert {number for number in numbers if " ".join(number.split()) not in report} == set()
    assert numbers or page.name != "answer.md"


def test_the_tables_of_real_images_are_those_of_their_rows():
    rows = read_table(REPOSITORY / "docs/study/real.csv")
    for lines in (real.table(rows), real.telling(rows)):
        assert "\n".join(lines) in TEXT[REPOSITORY / "docs/real.md"]


def test_readme_can_be_read_to_the_end():
    assert len(TEXT[REPOSITORY / "README.md"].split()) < 1400
