"""README.md and docs/: links lead somewhere, commands can be typed, numbers are those of rows."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from commands import COMMANDS, typed
from common.files import read_table
from own import tables
from own.images import read_mask
from study.__main__ import planned
from study.questions import QUESTIONS

REPOSITORY = Path(__file__).parent.parent
DOCS = REPOSITORY / "docs"
REPORT = DOCS / "study" / "report.md"
PAGES = [REPOSITORY / "README.md", *sorted(DOCS.glob("*.md")), REPORT]
TEXT = {page: page.read_text(encoding="utf-8") for page in PAGES}
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def links(page):
    """What a page links to or shows: (absolute path, section or ''); without those of the web."""
    found = set()
    for link in re.findall(r"\]\(([^)\s]+)", TEXT[page]):
        if "://" not in link:
            path, _, section = link.partition("#")
            found.add(((page.parent / path).resolve() if path else page, section))
    return found


def sections(page):
    """The headings of a page as GitHub links to them: '## What it is' is what-it-is."""
    headings = re.findall(r"^#+ (.+)$", TEXT[page], re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def commands(page):
    """The commands of a page that start Python, as lists of words without 'python'."""
    found = []
    for line in re.findall(r"^(?:venv/bin/)?python (.*)$", TEXT[page], re.MULTILINE):
        for part in f"python {line.partition('#')[0]}".split("&&"):
            start, *words = shlex.split(part)
            assert start.endswith("python")
            found.append(words)
    return found


@every_page
def test_every_link_leads_to_a_file_and_its_section(page):
    for path, section in links(page):
        assert path.exists()
        assert not section or section in sections(path)


@every_page
def test_every_command_can_be_typed(page):
    for words in commands(page):
        if words[:2] == ["-m", "pytest"]:
            continue
        if words[0] == "-m":
            words = words[1:]
        number = 2 if words[0] == "own" else 1  # words of the command's name
        settings, others = typed(" ".join(words[:number]), words[number:])
        if words[0] == "study":
            assert set(others) <= {"all", *QUESTIONS}
            for name in set(others) & QUESTIONS.keys():
                assert planned(QUESTIONS[name], settings[1])
        elif words[:2] == ["own", "train"]:
            assert len(others) % 2 == 0


def test_every_command_is_in_the_pages():
    text = "\n".join(TEXT.values())
    assert {name for name in COMMANDS if f"python {name}" not in text.replace("-m ", "")} == set()


def test_docs_hold_nothing_that_no_page_shows():
    shown = {path for page in PAGES for path, _ in links(page)}
    shown |= {DOCS / "study" / f"{name}.csv" for name in QUESTIONS}
    files = {path for path in DOCS.rglob("*") if path.is_file() and not path.name.startswith(".")}
    assert files - shown == set()


@pytest.mark.parametrize("page", PAGES[:-1], ids=lambda page: page.name)
def test_a_number_with_an_interval_stands_in_the_report(page):
    report = re.sub(r" ± [\d.]+", "", TEXT[REPORT])
    for number in re.findall(r"[+-]?\d\.\d+\s\[[+-]?\d\.\d+,\s[+-]?\d\.\d+\]", TEXT[page]):
        assert " ".join(number.split()) in report


@pytest.mark.parametrize("number", range(3))
def test_a_mask_is_made_of_an_array_and_of_the_json_of_other_programs(
        tmp_path, monkeypatch, number):
    corners = [[10.2, 5.4], [39.8, 5], [40, 24.7], [10, 25]]  # x, y
    truth = np.zeros((50, 60, 1), bool)
    truth[5:26, 10:41] = True
    np.save(tmp_path / "01.npy", truth[..., 0] * 7)
    labelme = {"imageHeight": 50, "imageWidth": 60,
               "shapes": [{"label": "cell", "points": corners, "shape_type": "polygon"}]}
    images = [{"id": 4, "file_name": "00.png", "height": 9, "width": 9},
              {"id": 5, "file_name": "01.png", "height": 50, "width": 60}]
    polygons = {4: [[0, 0, 50, 0, 50, 50]], 5: [np.ravel(corners).tolist()]}
    labels = [{"image_id": image, "segmentation": here} for image, here in polygons.items()]
    for name, content in (("01.json", labelme),
                          ("annotations.json", {"images": images, "annotations": labels})):
        (tmp_path / name).write_text(json.dumps(content))
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", TEXT[DOCS / "own.md"], re.DOTALL)
    assert len(blocks) == 3
    exec(f"import cv2, json, numpy as np\n{blocks[number]}", {})
    foreground, labelled = read_mask(tmp_path / "01_mask.png")
    assert np.array_equal(foreground, truth)
    assert labelled.all()


@pytest.mark.parametrize(("rows", "make", "page"), [
    ("compare.csv", tables.summary, "own.md"),
    ("compare.csv", tables.table, "own_details.md"),
    ("compare.csv", tables.telling, "own_details.md"),
    ("compare_second.csv", tables.naming, "own_details.md"),
    ("compare_quick.csv", tables.table, "own_details.md"),
])
def test_the_tables_of_own_images_are_those_of_their_rows(rows, make, page):
    lines = make(read_table(DOCS / rows))
    assert "\n".join(lines) in TEXT[DOCS / page]
