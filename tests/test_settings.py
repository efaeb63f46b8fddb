"""Settings: what is refused and in which words; the flags made from them, --recipe, and the file a training leaves."""

import dataclasses
import json
import re
import shlex

import pytest

from common.command_line import fields_of, parse
from common.errors import UserError, run_script, script_name
from common.settings import RECIPES, Settings, read_settings, setting, training_flags, training_names, write_settings

RECIPE_2017 = Settings(**RECIPES["2017"])


def parsed(monkeypatch, line, *groups, **more):
    """What `parse` makes of a command line, for the settings of these groups, or of train.py."""
    monkeypatch.setattr("sys.argv", ["train.py", *shlex.split(line)])
    return parse("", fields_of(*(groups or ("run", "data", "training", "own"))), **more)


@pytest.mark.parametrize(("values", "message"), [
    ({"steps": 0}, "--steps 0 is too small; give at least 1"),
    ({"seed": -1}, "--seed -1 is too small"),
    ({"size": (10, 10)}, "--size 10 10 is too small; give at least 32"),
    ({"size": (160, 31)}, "--size 160 31 is too small"),
    ({"radius": (200, 300)}, "--radius 200 300 does not fit into --size 160 160; the largest radius that fits is 79"),
    ({"radius": (20, 10)}, "--radius 20 10 runs backwards"),
    ({"radius": (0, 10)}, "--radius 0 10 is too small"),
    ({"radius": (15, 40), "placement": "central"},
     "--radius 15 40 does not fit into --size 160 160 with --placement central; the largest radius that fits is 39"),
    ({"shape": "rectangle", "side": (0, 10)}, "--side 0 10 is too small; give at least 1, or 0 0 to leave it to"),
    ({"shape": "rectangle", "side": (9, 5)}, "--side 9 5 runs backwards"),
    ({"shape": "rectangle", "side": (9, 161)}, "--side 9 161 does not fit into --size 160 160; the largest side"),
    ({"level": 256}, "--level 256 is too large; give at most 255"),
    ({"noise": 129}, "--noise 129 exceeds 8 bits"),
    ({"shape": "star"}, "--shape star is unknown; choose circle or rectangle"),
    ({"learning_rate": float("nan")}, "--learning-rate nan"),
    ({"width": 0.0}, "--width 0.0 is too small"),
    ({"dice_smoothing": -1.0}, "--dice-smoothing -1.0 is too small"),
    ({"output": ""}, "--output is empty"),
    ({"supervised_pixels": 25_601}, "--supervised-pixels 25601 is more than an image of --size 160 160 has"),
    ({"supervised_window": 161}, "--supervised-window 161 is more than an image of --size 160 160 has"),
    ({"supervised_window": 9, "supervised_pixels": 9}, "--supervised-pixels and --supervised-window exclude each"),
    ({"strength": 2.5}, "--noise 80 --strength 2.5 exceeds 8 bits where two draws add up; give at most --noise 73"),
    ({"strength": 0.5, "fill": "constant"}, "--strength is of --fill noise and means nothing to --fill constant"),
    ({"task": "larger", "labels": "moved"}, "--labels moved leaves nothing of --task larger"),
    ({"task": "larger", "radius": (9, 9)},
     "--task larger needs one shape a quarter larger than the other, and --radius 9 9 gives none"),
    ({"task": "larger", "shape": "rectangle", "side": (17, 18)},
     "--task larger needs one shape a quarter larger than the other, and --side 17 18 gives none"),
    ({"task": "larger", "augment": True}, "--augment may cut the smaller shape of --task larger in two"),
    ({"padding_levels": (1, 3)}, "--padding-levels 1 3 changes nothing with --padding zero"),
    ({"padding_levels": (4, 2)}, "--padding-levels 4 2 runs backwards"),
    ({"padding_levels": (1, 7)}, "--padding-levels 1 7 is too large; give at most 6"),
    ({"padding_levels": (1, 3), "network": "convolutions", "padding": "mean"},
     "--padding-levels 1 3 means nothing to --network conv"),
    ({"depth": 22}, "--depth 22 means nothing to --network unet"),
    ({"deep_rate": 0.0, "network": "pixel"}, "--deep-rate 0.0 means nothing to --network pixel"),
    ({"padding": "circular", "network": "pixel"}, "--padding circular means nothing to --network pixel"),
    ({"image": ("a.png", "b.png"), "mask": ("m.png",)}, "--image names 2 files and --mask 1; give every"),
    ({"crop": 64}, "--crop 64 is of your own images and means nothing without --image"),
    ({"image": ("a",), "mask": ("b",), "shape": "rectangle"}, "--shape rectangle is of circles in noise and means no"),
    ({"image": ("a",), "mask": ("b",), "samples": 2}, "--samples 2 is of circles in noise and means nothing beside"),
    ({"image": ("a",), "mask": ("b",), "network": "dense"}, "--network dense takes images of one size only"),
    ({"image": ("a",), "mask": ("b",), "padding": "mean"}, "--padding mean sees a whole image at once"),
    ({"image": ("a",), "mask": ("b",), "padding": "reflect", "crop": 32}, "--padding reflect needs images of more"),
    ({"image": ("a",), "mask": ("b",), "contrast": 0.5}, "--contrast 0.5 is too small; give at least 1"),
    ({"padding": "reflect", "size": (32, 64), "radius": (3, 5)}, "--padding reflect needs images of more than 32"),
])
def test_impossible_values_are_refused_with_the_flag_and_what_is_allowed(values, message):
    with pytest.raises(UserError) as error:
        Settings(**values)
    assert str(error.value).startswith(message)


def test_the_largest_shapes_and_the_loudest_noise_are_allowed():
    Settings(size=(32, 33), radius=(15, 15))
    Settings(radius=(39, 39), placement="central")
    Settings(radius=(40, 79), placement="central", shape="rectangle")  # it lies anywhere
    Settings(side=(1, 160), shape="rectangle")
    Settings(side=(15, 39), size=(32, 32), radius=(1, 1))  # says nothing of a circle
    Settings(noise=128)
    Settings(noise=73, strength=2.5)
    Settings(noise=256, fill="constant")


def test_flags_become_settings(monkeypatch):
    assert parsed(monkeypatch, "--size 64 96 --learning-rate 1e-4 --fill constant") == {
        "size": (64, 96), "learning_rate": 1e-4, "fill": "constant"}


@pytest.mark.parametrize("line", ["--stepz 3", "--steps many", "--step 3", "--size 64", "--images 3", "--fill gold",
                                  "--recipe 2018", "more"])
def test_a_wrong_command_line_is_one_sentence_and_status_2(monkeypatch, capsys, line):
    with pytest.raises(SystemExit) as stop:
        parsed(monkeypatch, line)
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith("train.py: ")
    assert message.count("\n") == 1
    assert line.split()[0] in message
    assert "--help" in message


def test_switches_are_turned_on_and_off(monkeypatch):
    for line, expected in (("--augment", True), ("--no-augment", False)):
        assert parsed(monkeypatch, line, "training") == {"augment": expected}


def test_words_may_stand_between_flags(monkeypatch):
    assert parsed(monkeypatch, "one --seed 3 two", "seed", words=("question", "")) == {
        "seed": 3, "question": ("one", "two")}
    assert parsed(monkeypatch, "", "seed", words=("question", "")) == {"question": ()}


def test_the_recipe_of_2017_is_the_whole_published_experiment(monkeypatch):
    defaults, values = dataclasses.asdict(Settings()), dataclasses.asdict(
        Settings(**parsed(monkeypatch, "--recipe 2017")))
    assert {name: value for name, value in values.items() if value != defaults[name]} == {
        "placement": "central", "side": (15, 39), "initial_weights": "2017", "loss": "dice", "dice_smoothing": 1.0,
        "optimizer": "sgd", "learning_rate": 0.001, "schedule": "constant", "clip_norm": 0.0,
        "output_bias": "zero", "bias_rate": 1.0, "steps": 2000}


def test_flags_beside_a_recipe_override_it_wherever_they_stand(monkeypatch):
    for line in ("--recipe 2017 --steps 80 --placement anywhere", "--steps 80 --recipe 2017 --placement anywhere"):
        assert Settings(**parsed(monkeypatch, line)) == dataclasses.replace(
            RECIPE_2017, steps=80, placement="anywhere")
    assert parsed(monkeypatch, "--recipe default --steps 3") == {"steps": 3}


def test_a_recipe_is_a_flag_of_what_trains_only(monkeypatch):
    with pytest.raises(SystemExit):
        parsed(monkeypatch, "--recipe 2017", "run", "data", "test")


def test_the_recipe_of_own_images_is_meant_where_there_are_some(monkeypatch):
    own = {"image": ("a", "b"), "mask": ("c", "d")}
    assert parsed(monkeypatch, "--image a b --mask c --mask d") == {**RECIPES["own"], **own}
    assert parsed(monkeypatch, "--image a b --mask c d --steps 9 --recipe own") == {**RECIPES["own"], **own, "steps": 9}
    assert parsed(monkeypatch, "--image a b --mask c d --recipe default") == own
    assert training_flags(Settings(**RECIPES["own"], **own)) == ["--image a b", "--mask c d"]
    assert training_flags(Settings(**own)) == ["--recipe default", "--image a b", "--mask c d"]


def test_the_flags_of_a_run_are_as_few_as_its_recipe_allows():
    assert training_flags(Settings()) == []
    assert training_flags(Settings(seed=3, augment=True)) == ["--seed 3", "--augment"]
    assert training_flags(RECIPE_2017) == ["--recipe 2017"]
    assert training_flags(dataclasses.replace(RECIPE_2017, seed=3, clip_norm=0.1)) == [
        "--recipe 2017", "--seed 3", "--clip-norm 0.1"]


# Every setting of a training, in values that are not the default.
CHANGED = (
    dict(seed=2**32 - 1, output="elsewhere", size=(64, 96), shape="rectangle", fill="constant", radius=(3, 9),
         side=(3, 8), level=3, noise=90, samples=3, labels="moved", supervised_pixels=7, validation=2,
         padding="circular", width=1 / 16, precision="mixed_bfloat16", label_smoothing=0.1, warm_up=0.3,
         learning_rate=1e-12, evaluations=5, watch=2, padding_levels=(2, 6), deep_rate=0.5, weights_seed=0),
    dict(augment=True, network="dense", loss="both", dice_smoothing=1e-5, optimizer="sgd", schedule="constant",
         clip_norm=1.5e10, initial_weights="2017", output_bias="zero", bias_rate=0.1, steps=123456,
         placement="central"),
    dict(network="convolutions", depth=3, strength=0.25, task="larger", supervised_window=32),
    dict(image=("a cell.png", "b.tif"), mask=("1", "2"), crop=64, contrast=2.0, brightness=0.5, tint=0.0,
         match=False),
)


@pytest.mark.parametrize("changes", [{}, RECIPES["2017"], {**RECIPES["2017"], **CHANGED[0]}, *CHANGED,
                                     {**RECIPES["own"], **CHANGED[-1]}], ids=[
    "default", "2017", "2017 changed", "changed", "changed more", "changed most", "own by default", "own"])
def test_the_flags_of_any_settings_make_these_settings_again(monkeypatch, changes):
    assert {name for some in CHANGED for name in some} == set(training_names())
    settings = Settings(**changes)
    assert Settings(**parsed(monkeypatch, " ".join(training_flags(settings)))) == settings


def test_help_names_every_flag_with_its_default(monkeypatch, capsys):
    with pytest.raises(SystemExit) as stop:
        parsed(monkeypatch, "--help")
    assert stop.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for field in dataclasses.fields(Settings):
        if field.name in training_names():
            assert re.search(rf"--{field.name.replace('_', '-')}[ ,]", text)
            assert field.metadata["help"] in text
    assert "--recipe {default,2017,own,paint}" in text
    assert "one that is near may stay as it is (default: on)" in text
    assert text.count("(default: ") == len(training_names()) + 1
    with pytest.raises(SystemExit):
        parsed(monkeypatch, "--help", "run", "data", "test", from_training=True)
    text = " ".join(capsys.readouterr().out.split())
    assert text.count("(default: as trained)") == len(fields_of("data", "seed"))
    assert "(default: 100)" in text


def test_settings_are_read_back(tmp_path):
    settings = Settings(seed=3, size=(64, 96), radius=(3, 9), width=0.5, loss="dice", side=(2, 5))
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


def test_settings_of_a_program_of_its_own_are_checked_and_parsed_alike(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class Options:
        often: int = setting(3, "mine", "times", metavar="N", least=1)

    monkeypatch.setattr("sys.argv", ["train.py", "--often", "5"])
    assert parse("", dataclasses.fields(Options)) == {"often": 5}


@pytest.mark.parametrize(("path", "name"), [("train.py", "train.py"), ("/some/where/test.py", "test.py"),
                                            ("/some/where/study/__main__.py", "study")])
def test_a_script_is_called_what_one_types(monkeypatch, path, name):
    monkeypatch.setattr("sys.argv", [path])
    assert script_name() == name


def raises(error):
    """The main function of a script that ends in an error."""
    def main():
        raise error
    return main


@pytest.mark.parametrize(("error", "status", "message"), [
    (UserError("it is wrong; mend it"), 2, "train.py: it is wrong; mend it\n"),
    (UserError("a\nb\x0c\udcff.png is bad"), 2, "train.py: a\\nb\\x0c\\udcff.png is bad\n"),
    (KeyboardInterrupt(), 130, "\ninterrupted\n"),
])
def test_a_script_ends_in_one_sentence_where_the_mistake_is_not_ours(monkeypatch, capsys, error, status, message):
    monkeypatch.setattr("sys.argv", ["train.py"])
    with pytest.raises(SystemExit) as stop:
        run_script(raises(error))
    assert (stop.value.code, capsys.readouterr().err) == (status, message)
    with pytest.raises(ZeroDivisionError):
        run_script(raises(ZeroDivisionError()))
