"""Settings: what is refused, the flags made from them, and the file that a training leaves."""

import dataclasses
import json
import re
import shlex

import pytest

from common.command_line import fields_of, parse
from common.errors import UserError, run_script
from common.settings import (
    RECIPES,
    Settings,
    read_settings,
    training_flags,
    training_names,
    write_settings,
)
from own.settings import OwnSettings

RECIPE_2017 = Settings(**RECIPES["2017"])


def parsed(line, *groups):
    """What `parse` makes of a command line of train.py, or one with the settings of groups."""
    groups = groups or ("run", "data", "samples", "training", "resuming")
    return parse("", fields_of(*groups), recipes=RECIPES, line=shlex.split(line))


@pytest.mark.parametrize(("values", "flag", "allowed"), [
    ({"steps": 0}, "--steps 0", "at least 1"),
    ({"size": (160, 31)}, "--size 160 31", "at least 32"),
    ({"radius": (200, 300)}, "--radius 200 300", "79"),
    ({"radius": (20, 10)}, "--radius 20 10", "smaller one first"),
    ({"radius": (15, 40), "placement": "central"}, "--radius 15 40", "39"),
    ({"shape": "rectangle", "side": (0, 10)}, "--side 0 10", "at least 1"),
    ({"shape": "rectangle", "side": (9, 161)}, "--side 9 161", "160"),
    ({"noise": 129}, "--noise 129", "128"),
    ({"shape": "star"}, "--shape star", "circle or rectangle"),
    ({"learning_rate": float("nan")}, "--learning-rate nan", "1e-12"),
    ({"output": ""}, "--output", "name"),
    ({"supervised_pixels": 25_601}, "--supervised-pixels 25601", "25600"),
    ({"depth": 22}, "--depth 22", "one of them"),
    ({"padding": "circular", "network": "pixel"}, "--padding circular", "one of them"),
    ({"padding_levels": (1, 3)}, "--padding-levels 1 3", "another --padding"),
    ({"gain_levels": (3, 6)}, "--gain-levels 3 6", "another --gain"),
    ({"gain": 0.88, "gain_levels": (3, 1)}, "--gain-levels 3 1", "smaller one first"),
    ({"padding": "reflect", "size": (32, 64), "radius": (3, 5)}, "--size 32 64", "more than 32"),
    ({"task": "larger", "labels": "moved"}, "--labels moved", "one of them"),
    ({"task": "larger", "radius": (9, 9)}, "--radius 9 9", "wider"),
    ({"task": "larger", "augment": True}, "--augment", "one of them"),
])
def test_impossible_values_are_refused_with_the_flag_and_what_is_allowed(values, flag, allowed):
    with pytest.raises(UserError) as error:
        Settings(**values)
    assert flag in str(error.value)
    assert allowed in str(error.value)


def test_the_largest_shapes_and_the_loudest_noise_are_allowed():
    Settings(size=(32, 33), radius=(15, 15))
    Settings(radius=(39, 39), placement="central")
    Settings(radius=(40, 79), placement="central", shape="rectangle")  # it lies anywhere
    Settings(side=(1, 160), shape="rectangle")
    Settings(side=(15, 39), size=(32, 32), radius=(1, 1))  # says nothing of a circle
    Settings(noise=128)
    Settings(noise=256, fill="constant")


def test_flags_become_settings_and_a_recipe_stands_for_many():
    assert parsed("--size 64 96 --learning-rate 1e-4 --fill constant --augment") == {
        "size": (64, 96), "learning_rate": 1e-4, "fill": "constant", "augment": True}
    for line in ("--recipe 2017 --steps 80", "--steps 80 --recipe 2017"):
        assert Settings(**parsed(line)) == dataclasses.replace(RECIPE_2017, steps=80)
    words = ("question", "", "")
    assert parse("", fields_of("seed"), words=words, line=["one", "--seed", "3", "two"]) == {
        "seed": 3, "question": ("one", "two")}


@pytest.mark.parametrize("line", [
    "--stepz 3", "--steps many", "--step 3", "--size 64", "--images 3", "--fill gold",
    "--recipe 2018", "more"])
def test_a_wrong_command_line_is_one_sentence_and_status_2(capsys, line):
    with pytest.raises(SystemExit) as stop:
        parsed(line)
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert line.split()[0] in message


CHANGED = {
    "size": (64, 96), "radius": (3, 9), "fill": "constant", "learning_rate": 1e-12, "samples": 3,
    "augment": True, "clip_norm": 1.5e8, "padding": "circular", "padding_levels": (2, 6),
    "gain": 0.5, "output": "a folder"}


@pytest.mark.parametrize("settings", [
    Settings(), RECIPE_2017, Settings(**CHANGED), Settings(**{**RECIPES["2017"], **CHANGED})])
def test_the_flags_of_any_settings_make_these_settings_again(settings, tmp_path):
    flags = training_flags(settings)
    assert Settings(**parsed(" ".join(flags))) == settings
    write_settings(settings, {"device": "CPU"}, tmp_path / "settings.json")
    assert read_settings(tmp_path / "settings.json") == settings
    assert json.loads((tmp_path / "settings.json").read_text())["device"] == "CPU"


def test_the_flags_of_a_run_are_as_few_as_its_recipe_allows():
    assert training_flags(Settings()) == []
    assert training_flags(dataclasses.replace(RECIPE_2017, seed=3, clip_norm=0.1)) == [
        "--recipe 2017", "--seed 3", "--clip-norm 0.1"]


def help_of(capsys, line, fields, **more):
    """What is printed of --help."""
    with pytest.raises(SystemExit) as stop:
        parse("Does it.", fields, line=[line], **more)
    assert stop.value.code == 0
    return capsys.readouterr().out


def test_help_fits_one_screen_and_the_flags_of_the_study_are_explained_apart(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    fields = fields_of("run", "data", "samples", "training", "resuming")
    visitor = help_of(capsys, "--help", fields, recipes=RECIPES)
    study = help_of(capsys, "--help-study", fields, recipes=RECIPES)
    assert len(visitor.splitlines()) <= 45
    for field in fields:
        assert re.search(rf"--{field.name.replace('_', '-')}\b", visitor)
        assert field.metadata["help"] in " ".join(study.split())
    assert "as trained" in help_of(capsys, "--help", fields, from_training=True)


@pytest.mark.parametrize("text", [
    None, "{", "[]", '{"trained_on": "circles in noise", "settings": {"colour": 1}}',
    '{"trained_on": "circles in noise", "settings": []}', '{"trained_on": 1, "settings": [1]}'])
def test_a_useless_settings_file_is_refused(tmp_path, text):
    path = tmp_path / "settings.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=r"settings\.json .*train\.py"):
        read_settings(path)


def test_a_setting_of_another_type_is_refused(tmp_path):
    values = {name: getattr(Settings, name) for name in training_names()}
    for name, value in (
            ("steps", "80"), ("steps", 0), ("size", 160), ("size", [160] * 3), ("loss", None),
            ("radius", [15.5, 39]), ("learning_rate", [1])):
        content = {"trained_on": Settings.trained_on, "settings": {**values, name: value}}
        (tmp_path / "settings.json").write_text(json.dumps(content))
        with pytest.raises(UserError, match=r"settings\.json is not from this version"):
            read_settings(tmp_path / "settings.json")


def test_a_network_of_one_kind_is_told_from_the_other(tmp_path):
    write_settings(Settings(), {}, tmp_path / "circles.json")
    write_settings(OwnSettings(), {}, tmp_path / "own.json")
    assert read_settings(tmp_path / "own.json", OwnSettings) == OwnSettings()
    with pytest.raises(UserError, match=r"trained on your own images.*train\.py"):
        read_settings(tmp_path / "own.json")
    with pytest.raises(UserError, match=r"trained on circles in noise.*python -m own train"):
        read_settings(tmp_path / "circles.json", OwnSettings)


@pytest.mark.parametrize(("error", "status", "message"), [
    (UserError("it is wrong; mend it"), 2, "train.py: it is wrong; mend it\n"),
    (UserError("a\nb\x0c\udcff.png is bad"), 2, "train.py: a\\nb\\x0c\\udcff.png is bad\n"),
    (KeyboardInterrupt(), 130, "\ninterrupted\n"),
])
def test_a_script_ends_in_one_sentence_where_the_mistake_is_not_ours(
        monkeypatch, capsys, error, status, message):
    def raises():
        raise error

    monkeypatch.setattr("sys.argv", ["train.py"])
    with pytest.raises(SystemExit) as stop:
        run_script(raises)
    assert (stop.value.code, capsys.readouterr().err) == (status, message)
    with pytest.raises(ZeroDivisionError):
        run_script(lambda: 1 / 0)
