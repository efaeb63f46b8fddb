"""Flags and files of any content: used, or refused in one sentence. docs/reliability.md."""

import dataclasses
import faulthandler
import io
import json
import resource
import shutil
import sys
import zipfile

import cv2
import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import model
import train
from bench.__main__ import Options as BenchOptions
from common import folders, images, networks
from common.checkpoints import Checkpoints, interrupted
from common.command_line import fields_of, parse
from common.errors import UserError
from common.files import read_table
from common.settings import Settings, read_settings, write_settings
from data import create_data, read_labelled
from study import report
from study.__main__ import Options as StudyOptions
from study.questions import QUESTIONS
from study.results import SCORES, Results, identity, read_rows
from strategies import JSON, altered, spoilt

LIMIT = 4 * 2**30  # bytes of memory
SMALL = dict(width=1 / 32, size=(32, 32), radius=(5, 9), steps=2, validation=1, watch=1)


@pytest.fixture
def tried(request, record_property):
    """Calls a function with so many examples; an example takes 30 seconds at most, and all of them 4 GB of memory."""
    def tried(check, examples, **strategies):
        number = round(examples * (request.config.getoption("--times") or 2))
        counts = {"used": 0, "refused": 0}

        @hypothesis.settings(max_examples=number, derandomize=True, database=None, deadline=None,
                             suppress_health_check=hypothesis.HealthCheck)
        @hypothesis.given(**strategies)
        def of_any_kind(**inputs):
            faulthandler.dump_traceback_later(30, exit=True, file=sys.__stderr__)
            try:
                check(**inputs)
                counts["used"] += 1
            except UserError as error:
                assert str(error)
                assert len(str(error).splitlines()) == 1
                counts["refused"] += 1
            finally:
                faulthandler.cancel_dump_traceback_later()

        of_any_kind()
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        assert used < LIMIT
        record_property(request.node.name.removeprefix("test_").replace("_", " "), ", ".join(
            f"{count} {what}" for what, count in counts.items()))

    return tried


PARSED = {"train.py": [*fields_of("run", "data", "training", "own", "train")],
          "test.py": fields_of("run", "data", "test", "match"),
          "bench": [*fields_of("data", "training", "output"), *dataclasses.fields(BenchOptions)],
          "study": [*fields_of("output"), *dataclasses.fields(StudyOptions)]}
WORD = st.one_of(st.integers(-5, 300).map(str), st.floats().map(repr), st.text(max_size=6), st.sampled_from([
    "circle", "noise", "constant", "larger", "2017", "own", "unet", "dense", "reflect", "adam", "1", "0", "32", "160"]))


@st.composite
def lines(draw):
    """A script and words for it: mostly flags that it has, with as many values as they take, mostly."""
    script = draw(st.sampled_from([*PARSED]))
    words = []
    for field in draw(st.lists(st.sampled_from(PARSED[script]), max_size=4)):
        values = len(field.default) if isinstance(field.default, tuple) and field.default else 1
        values = 0 if isinstance(field.default, bool) else draw(st.sampled_from([values] * 9 + [0, 3]))
        of = st.sampled_from(field.metadata["choices"]) if field.metadata["choices"] else WORD
        words += [f"--{field.name.replace('_', '-')}", *(draw(st.one_of(of, of, WORD)) for _ in range(values))]
    return script, words + draw(st.lists(WORD, max_size=1))


def test_flags_of_any_kind(tried, capsys, monkeypatch):
    def check(line):
        script, words = line
        monkeypatch.setattr(sys, "argv", [script])
        try:
            given = parse("", PARSED[script], line=words)
        except SystemExit as end:
            said = capsys.readouterr().err
            assert end.code == 2 or {"-h", "--help"} & {*words}
            assert len(said.splitlines()) <= 1
            raise UserError(said or "--help") from None
        own = {field.name for field in dataclasses.fields(Settings)}
        settings = Settings(**{name: value for name, value in given.items() if name in own})
        rest = {name: value for name, value in given.items() if name not in own}
        if script != "train.py" and rest:
            {"bench": BenchOptions, "study": StudyOptions}[script](**rest)
        if max(settings.size) <= 256:
            X, Y = create_data(1, settings)
            assert 0 <= X.min() <= X.max() <= 255
            assert {*np.unique(Y)} <= {0, 1}

    tried(check, 60, line=lines())


def test_trainings_of_any_settings(tried, eager):
    def check(changes):
        settings = Settings(**{**SMALL, **changes})
        history = train.train(settings).history
        assert history[-1]["step"] == settings.steps

    choices = {field.name: st.sampled_from(field.metadata["choices"]) for field in fields_of("training", "data")
               if field.metadata["choices"] and field.name != "precision"}
    tried(check, 2, changes=st.fixed_dictionaries({}, optional={
        **choices, "size": st.tuples(st.integers(32, 70), st.integers(32, 70)), "samples": st.integers(1, 3),
        "augment": st.booleans(), "depth": st.integers(1, 4), "supervised_pixels": st.integers(0, 1100),
        "evaluations": st.integers(1, 9), "watch": st.integers(1, 3), "warm_up": st.floats(0, 0.9),
        "learning_rate": st.floats(1e-12, 1e3), "clip_norm": st.floats(0, 1e12), "dice_smoothing": st.floats(0, 1e6),
        "strength": st.floats(0, 3), "bias_rate": st.floats(0, 1e4), "deep_rate": st.floats(0, 1e4)}))


@st.composite
def pictures(draw):
    """A suffix, and the bytes of an image file of that kind: pixels of any type, or few values; and then spoilt."""
    suffix = draw(st.sampled_from([".png", ".jpg", ".tif", ".bmp"]))
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    shape = (draw(st.integers(30, 50)), draw(st.integers(30, 50)), draw(st.sampled_from([1, 3, 4])))
    kind = draw(st.sampled_from(["uint8", "uint16", "float32"])) if suffix == ".tif" else "uint8"
    values = draw(st.one_of(st.none(), st.lists(st.integers(0, 255), min_size=1, max_size=4)))
    image = generator.integers(0, 256, shape) if values is None else cv2.resize(
        generator.choice(values, (4, 4)).astype("uint8"), shape[1::-1], interpolation=cv2.INTER_NEAREST)
    _, content = cv2.imencode(suffix, np.squeeze(image).astype(kind))
    return suffix, draw(spoilt(content.tobytes()))


def test_images_of_any_content(tried, tmp_path):
    def check(picture):
        suffix, content = picture
        path = tmp_path / f"image{suffix}"
        path.write_bytes(content)
        image = images.read_image(path)
        assert image.shape[2] in (1, 3)
        of = images.exposure(image)
        for made in (image, images.in_8_bits(image), images.matched(image, of, np.full_like(of, 50))):
            assert made.shape == image.shape
            assert np.isfinite(made).all()

    tried(check, 40, picture=pictures())


def test_masks_of_any_content(tried, tmp_path):
    def check(picture):
        suffix, content = picture
        path = tmp_path / f"mask{suffix}"
        path.write_bytes(content)
        foreground, labelled = images.read_mask(path)
        assert foreground.shape == labelled.shape == (*foreground.shape[:2], 1)
        assert foreground.dtype == labelled.dtype == bool
        images.write_png(tmp_path / "image.png", np.arange(foreground.size).reshape(foreground.shape) % 251)
        ((_, mask),) = read_labelled(Settings(image=(str(tmp_path / "image.png"),), mask=(str(path),)))
        assert {0, 1} <= {*np.unique(mask)}

    tried(check, 30, picture=pictures())


def test_settings_of_any_content(tried, tmp_path):
    path = tmp_path / "settings.json"
    write_settings(Settings(), {"device": "CPU"}, path)
    whole = path.read_bytes()

    def check(content):
        path.write_bytes(content)
        assert isinstance(read_settings(path), Settings)

    tried(check, 30, content=st.one_of(spoilt(whole), altered(json.loads(whole)).map(json.dumps).map(str.encode),
                                       JSON.map(json.dumps).map(str.encode)))


def test_tables_of_any_content(tried, tmp_path):
    def check(content):
        (tmp_path / "table.csv").write_bytes(content)
        for row in read_table(tmp_path / "table.csv"):
            assert all(isinstance(value, str) for value in row.values())

    tried(check, 20, content=st.one_of(st.binary(), st.text().map(str.encode), spoilt(b'a,b\n1,"2\n"\n3,4\n')))


def test_rows_of_a_study_of_any_content(tried, tmp_path):
    question, path = QUESTIONS["results"], tmp_path / "results.csv"
    text = io.StringIO()
    whole = [{"variant": variant, **identity(dataclasses.replace(question.settings(variant), seed=seed)),
              **dict.fromkeys(SCORES, "0.5")} for variant in [*question.varies][:2] for seed in range(2)]
    text.write(",".join(whole[0]) + "\n")
    for row in whole:
        text.write(",".join(f'"{value}"' for value in row.values()) + "\n")

    def check(content):
        path.write_bytes(content)
        results = Results(question, read_rows(path))
        if results.variants:
            assert report.score_table(results)

    cells = st.builds(lambda old, new: text.getvalue().replace(old, new, 3).encode(), st.sampled_from(
        ["0.5", "seed", "adam", '"0"', "160", "\n"]), st.one_of(WORD, st.sampled_from(["nan", "inf", "", "1e999"])))
    tried(check, 20, content=st.one_of(cells, spoilt(text.getvalue().encode())))


def test_networks_of_any_content(tried, tmp_path):
    path = tmp_path / "model.keras"
    settings = Settings(**SMALL)
    X, Y = create_data(1, settings)
    networks.save(train.compiled(settings, X, Y), path)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}

    def packed(changes):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for name, of in {**parts, **changes}.items():
                archive.writestr(name, of)
        return content.getvalue()

    def check(content):
        path.write_bytes(content)
        network = networks.load(path)
        if network.input_shape[3] == 1:
            network.run_eagerly = True
            assert model.predict(network, X).shape == Y.shape

    config = altered(json.loads(parts["config.json"])).map(json.dumps)
    tried(check, 8, content=st.one_of(
        spoilt(whole), config.map(lambda of: packed({"config.json": of})),
        spoilt(parts["model.weights.h5"]).map(lambda of: packed({"model.weights.h5": of}))))


def test_records_and_leftovers_of_any_content(tried, tmp_path):
    mine, folder = tmp_path / "mine", tmp_path / "folder"
    name = st.sampled_from(["../mine", "/etc/passwd", "a", "a/b", ".", "", "..", "train/x", ".lock", ".files.json"])
    record = st.fixed_dictionaries({"files": st.lists(name, max_size=3), "gone": st.lists(name, max_size=3)})

    def check(record, finished):
        shutil.rmtree(folder, ignore_errors=True)
        mine.write_text("precious")
        for place in (folder, folder / folders.FINISHED) if finished else (folder,):
            place.mkdir(parents=True, exist_ok=True)
            (place / folders.RECORD).write_bytes(record)
        with folders.holding(folder, "--output"), folders.in_place_of(folder) as new:
            (new / "b").write_text("2")
        assert mine.read_text() == "precious"
        assert (folder / "b").read_text() == "2"

    tried(check, 15, finished=st.booleans(), record=st.one_of(
        record.map(json.dumps).map(str.encode), altered({"files": ["a"], "gone": ["b"]}).map(json.dumps).map(
            str.encode), spoilt(b'{"files": ["a"], "gone": ["b"]}')))


def test_checkpoints_of_any_content(tried, tmp_path, eager):
    settings = Settings(**SMALL, output=str(tmp_path), checkpoint=1e-9)
    X, Y = create_data(1, settings)
    network, kept = train.compiled(settings, X, Y), Checkpoints(settings)
    kept.history, kept.moments = [{"step": 0, "loss": 1.0}], {0: X}
    kept.keep(network, 1, {"steps": 1.0})
    whole = {path: path.read_bytes() for path in kept.folder.iterdir()}

    def check(name, change):
        for path, content in whole.items():
            path.write_bytes(content)
        path = kept.folder / name
        path.write_bytes(change(whole[path]))
        given = interrupted({"output": str(tmp_path), "resume": True})
        Checkpoints(Settings(**given)).read(network)
        assert path.read_bytes() == whole[path]

    names = sorted(path.name for path in whole if path.name != folders.RECORD)
    change = st.builds(lambda at, put: lambda content: content[: (spot := at % len(content))] + put + content[
        spot + len(put) :], st.integers(0, 10**6), st.binary(min_size=1, max_size=3))
    tried(check, 15, name=st.sampled_from(names), change=change)
