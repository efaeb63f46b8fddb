"""Flags and files of any content: used, or refused in one sentence. docs/reliability.md.

The suite tries a few of each; --times N tries N times as many.
"""

import dataclasses
import faulthandler
import json
import resource
import sys

import cv2
import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import train
from commands import COMMANDS, typed
from common import checkpoints, model_file
from common.errors import UserError
from common.files import read_table
from common.images import write_png
from common.settings import Settings, read_settings, write_settings
from data import create_data
from own.crops import read_labelled
from own.exposure import exposure, matched
from own.images import in_8_bits, read_image, read_mask
from own.settings import OwnSettings

MEMORY, SECONDS = 4 * 2**30, 30  # bytes that all examples take at most; of each example
NARROW = dict(width=1 / 32, size=(32, 32), radius=(5, 9), steps=2, validation=1, watch=1)
WORD = st.one_of(
    st.integers(-5, 300).map(str), st.floats().map(repr), st.text(max_size=6),
    st.sampled_from(["circle", "noise", "2017", "own", "unet", "reflect", "adam", "32", "160"]))
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(max_size=8), inner)),
    max_leaves=6)


@pytest.fixture
def tried(request, record_property):
    """A function that calls another with so many examples, and counts those that are refused."""
    def tried(check, examples, **strategies):
        number = examples * (request.config.getoption("--times") or 1)
        counts = {"used": 0, "refused": 0}

        @hypothesis.settings(max_examples=number, derandomize=True, database=None, deadline=None,
                             suppress_health_check=hypothesis.HealthCheck)
        @hypothesis.given(**strategies)
        def examine(**example):
            faulthandler.dump_traceback_later(SECONDS, exit=True, file=sys.__stderr__)
            try:
                check(**example)
                counts["used"] += 1
            except UserError as error:
                assert len(str(error).splitlines()) == 1
                counts["refused"] += 1
            finally:
                faulthandler.cancel_dump_traceback_later()

        examine()
        unit = 1 if sys.platform == "darwin" else 1024  # bytes
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit < MEMORY
        record_property(request.node.name, "{used} used, {refused} refused".format(**counts))

    return tried


@st.composite
def spoilt(draw, content):
    """Bytes like `content`: some replaced, cut out or put in, or its end gone."""
    whole = bytearray(content)
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.one_of(st.integers(0, 64), st.integers(0, len(content))))
        whole[start : start + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(whole[: draw(st.one_of(st.none(), st.none(), st.integers(0, len(content))))])


@st.composite
def lines(draw):
    """A command and words for it: mostly flags that it has, with as many values as they take."""
    name = draw(st.sampled_from(sorted(COMMANDS)))
    words = draw(st.lists(WORD, max_size=1))
    for field in draw(st.lists(st.sampled_from(COMMANDS[name].fields), max_size=4)):
        words.append(f"--{field.name.replace('_', '-')}")
        count = len(field.default) if isinstance(field.default, tuple) else 1
        if not isinstance(field.default, bool):
            value = st.sampled_from(field.metadata["choices"] or ["1", "0.5", "40"]) | WORD
            words += draw(st.lists(value, min_size=count, max_size=count))
    return name, words


def test_flags(tried, capsys):
    def check(line):
        try:
            (settings, *_), _ = typed(*line)
        except SystemExit as end:
            said = capsys.readouterr().err
            assert end.code == (2 if said else 0)  # 0 is --help
            raise UserError(said or "--help") from None
        if type(settings) is Settings and max(settings.size) <= 256:
            X, Y = create_data(1, settings)
            assert 0 <= X.min() <= X.max() <= 255
            assert set(np.unique(Y)) <= {0, 1}

    tried(check, 40, line=lines())


@st.composite
def pictures(draw):
    """The name and the content of an image file: noise, or few values; and then spoilt."""
    suffix = draw(st.sampled_from([".png", ".jpg", ".tif", ".bmp"]))
    kind = draw(st.sampled_from(["uint8", "uint16", "float32"])) if suffix == ".tif" else "uint8"
    channels = draw(st.sampled_from([1, 3, 4]))
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    values = draw(st.lists(st.integers(0, 255), min_size=1, max_size=4))
    image = generator.choice(values, (4, 4, channels)).astype("uint8").repeat(10, 0).repeat(10, 1)
    if draw(st.booleans()):
        image = generator.integers(0, 256, image.shape)
    _, content = cv2.imencode(suffix, np.squeeze(image).astype(kind))
    return f"image{suffix}", draw(spoilt(content.tobytes()))


def test_images(tried, tmp_path):
    def check(picture):
        name, content = picture
        (tmp_path / name).write_bytes(content)
        image = read_image(tmp_path / name)
        assert image.shape[2] in (1, 3)
        present = exposure(image)
        for made in (image, in_8_bits(image), matched(image, present, np.full_like(present, 50))):
            assert made.shape == image.shape
            assert np.isfinite(made).all()

    tried(check, 30, picture=pictures())


def test_masks(tried, tmp_path):
    def check(picture):
        name, content = picture
        (tmp_path / name).write_bytes(content)
        foreground, known = read_mask(tmp_path / name)
        assert foreground.shape == known.shape == (*foreground.shape[:2], 1)
        noise = np.arange(foreground.size).reshape(foreground.shape) % 251
        write_png(tmp_path / "noise.png", noise)
        files = dict(image=(str(tmp_path / "noise.png"),), mask=(str(tmp_path / name),))
        ((_, mask),) = read_labelled(OwnSettings(**files))
        assert {0, 1} <= set(np.unique(mask))  # both are labelled

    tried(check, 30, picture=pictures())


@pytest.mark.parametrize("kind", [Settings, OwnSettings])
def test_settings(tried, tmp_path, kind):
    path = tmp_path / "settings.json"
    write_settings(kind(), {"device": "CPU"}, path)
    whole = json.loads(path.read_text())

    def check(content):
        path.write_bytes(content)
        assert isinstance(read_settings(path, kind), kind)

    changed = st.dictionaries(st.sampled_from(sorted(whole["settings"])), JSON, max_size=1)
    near = changed.map(lambda values: {**whole, "settings": {**whole["settings"], **values}})
    written = (JSON | near).map(lambda value: json.dumps(value).encode())
    tried(check, 20, content=written | spoilt(path.read_bytes()))


def test_tables(tried, tmp_path):
    def check(content):
        (tmp_path / "table.csv").write_bytes(content)
        for row in read_table(tmp_path / "table.csv"):
            assert all(isinstance(value, str) for value in row.values())

    tried(check, 40, content=st.binary() | spoilt(b'a,b\n1,"2\n"\n3,4\n'))


def test_networks_that_are_damaged(tried, tmp_path):
    path = tmp_path / "model.keras"
    model_file.save(train.compile_network(Settings(**NARROW), *create_data(1)), path)

    def check(content):
        path.write_bytes(content)
        model_file.load(path)

    tried(check, 4, content=spoilt(path.read_bytes()))


def test_checkpoints_that_are_damaged(tried, tmp_path):
    settings = Settings(**NARROW, output=str(tmp_path), checkpoint=1e-9)
    network = train.compile_network(settings, *create_data(1, settings))
    checkpoint, state = checkpoints.Checkpoint(settings), train.TrainingState(step=1)
    checkpoint.save_if_due(network, state)
    weights = network.get_weights()
    folder = tmp_path / checkpoints.FOLDER
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}

    def check(name, place, added):
        for other, content in whole.items():
            (folder / other).write_bytes(content)
        content = bytearray(whole[name])
        place %= len(content)
        content[place : place + len(added)] = added
        (folder / name).write_bytes(content)
        given = checkpoints.interrupted_flags({"output": str(tmp_path), "resume": True})
        restored = dataclasses.replace(state, step=0)
        checkpoints.Checkpoint(Settings(**given)).restore(network, restored)
        assert restored == state
        for before, after in zip(weights, network.get_weights(), strict=True):
            assert np.array_equal(before, after)

    tried(check, 4, name=st.sampled_from([checkpoints.NETWORK, checkpoints.STATE]),
          place=st.integers(0, 10**6), added=st.binary(min_size=1, max_size=3))
