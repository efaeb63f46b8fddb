"""Settings: what is refused and in which words, flags, and the file that a training leaves."""

import dataclasses
import json
import re

import pytest

from command_line import check_folder, parse
from settings import RECIPE_2017, Settings, UserError, read_settings, training_flags, training_names, write_settings


@pytest.mark.parametrize(("values", "message"), [
    ({"steps": 0}, "--steps 0 is too small; give at least 1"),
    ({"seed": -1}, "--seed -1 is too small"),
    ({"size": (10, 10)}, "--size 10 10 is too small; give at least 32"),
    ({"size": (160, 31)}, "--size 160 31 is too small"),
    ({"radius": (200, 300)}, "--radius 200 300 does not fit into --size 160 160; the largest radius that fits is 79"),
    ({"radius": (20, 10)}, "--radius 20 10 runs backwards"),
    ({"radius": (0, 10)}, "--radius 0 10 is too small"),
    ({"level": 256}, "--level 256 is too large; give at most 255"),
    ({"noise": 129}, "--noise 129 exceeds 8 bits"),
    ({"shape": "star"}, "--shape star is unknown; choose circle or rectangle"),
    ({"learning_rate": float("nan")}, "--learning-rate nan"),
    ({"width": 0.0}, "--width 0.0 is too small"),
    ({"output": ""}, "--output is empty"),
])
def test_impossible_values_are_refused_with_the_flag_and_what_is_allowed(values, message):
    with pytest.raises(UserError) as error:
        Settings(**values)
    assert str(error.value).startswith(message)


def test_the_largest_circle_and_the_loudest_noise_are_allowed():
    Settings(size=(32, 33), radius=(15, 15))
    Settings(noise=128)
    Settings(noise=256, fill="constant")


def test_flags_become_settings(monkeypatch):
    monkeypatch.setattr("sys.argv", ["train.py", "--size", "64", "96", "--learning-rate", "1e-4", "--fill", "constant"])
    assert parse("", ("run", "data", "training")) == {"size": (64, 96), "learning_rate": 1e-4, "fill": "constant"}


@pytest.mark.parametrize("line", ["--stepz 3", "--steps many", "--step 3", "--size 64", "--images 3", "--fill gold"])
def test_a_wrong_command_line_is_one_sentence_and_status_2(monkeypatch, capsys, line):
    monkeypatch.setattr("sys.argv", ["train.py", *line.split()])
    with pytest.raises(SystemExit) as stop:
        parse("", ("run", "data", "training"))
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert line.split()[0] in message
    assert "--help" in message


def test_switches_are_turned_on_and_off(monkeypatch):
    for line, expected in (("--augment", True), ("--no-augment", False)):
        monkeypatch.setattr("sys.argv", ["train.py", line])
        assert parse("", ("training",)) == {"augment": expected}


def test_the_flags_of_a_run_make_its_settings_again(monkeypatch):
    assert training_flags(Settings()) == []
    settings = Settings(seed=3, size=(64, 96), radius=(3, 9), augment=True, **RECIPE_2017)
    monkeypatch.setattr("sys.argv", ["train.py", *" ".join(training_flags(settings)).split()])
    assert Settings(**parse("", ("run", "data", "training"))) == settings


def test_help_names_every_flag_with_its_default(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["train.py", "--help"])
    with pytest.raises(SystemExit) as stop:
        parse("", ("run", "data", "training"))
    assert stop.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for field in dataclasses.fields(Settings):
        if field.name in training_names():
            assert re.search(rf"--{field.name.replace('_', '-')}[ ,]", text)
            assert field.metadata["help"] in text
    assert text.count("(default: ") == len(training_names())


def test_settings_are_read_back(tmp_path):
    settings = Settings(seed=3, size=(64, 96), radius=(3, 9), width=0.5, loss="dice")
    write_settings(settings, {"device": "CPU"}, tmp_path / "settings.json")
    assert read_settings(tmp_path / "settings.json") == settings
    assert json.loads((tmp_path / "settings.json").read_text())["device"] == "CPU"


@pytest.mark.parametrize(("text", "message"), [
    (None, r"settings\.json is missing; run train\.py first"),
    ("{", r"settings\.json .* run train\.py again"),
    ('{"settings": {"colour": 1}}', r"settings\.json .* run train\.py again"),
    ('{"settings": {"steps": 0}}', r"settings\.json .* run train\.py again"),
    ('{"settings": []}', r"settings\.json .* run train\.py again"),
])
def test_a_useless_settings_file_is_refused(tmp_path, text, message):
    path = tmp_path / "settings.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_settings(path)


def test_a_folder_that_cannot_be_is_refused_and_nothing_is_made(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    for path in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "link"):
        with pytest.raises(UserError, match=r"--output .* is a file"):
            check_folder(path, "--output")
    check_folder(tmp_path / "new" / "folder", "--output")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]
    with pytest.raises(UserError, match=r"--output .* cannot be a folder"):
        check_folder(tmp_path / ("long" * 100), "--output")
