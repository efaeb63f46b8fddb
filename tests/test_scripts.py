"""The scripts, run as a person runs them: what they print and leave, what a mistake costs."""

import json
import os
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

from common import model_file
from common.backend import cores
from common.files import read_table
from common.settings import RECIPES, Settings, read_settings, write_settings
from conftest import read_data
from data import create_data
from own.settings import OwnSettings
from scripts import REPOSITORY, command, contents, run
from train import FILES

# An eighth of the filters needs five times the rate; it learns the circle in a few seconds.
NARROW = "--width 0.125 --learning-rate 0.01 --steps 80 --seed 1 --validation 20".split()
BRIEF = "--width 0.125 --steps 3 --validation 3 --watch 1 --size 50 60 --radius 8 12".split()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which train.py has run on the narrow network, and the finished process."""
    folder = tmp_path_factory.mktemp("trained")
    done = run(folder, "train.py", *NARROW)
    assert done.returncode == 0, done.stderr
    return folder, done


@pytest.fixture(scope="module")
def tested(trained):
    """That folder after test.py, and the finished process."""
    folder, _ = trained
    done = run(folder, "test.py", "--images", "30")
    assert done.returncode == 0, done.stderr
    return folder, done


def test_training_leaves_everything(trained):
    output = trained[0] / "output"
    assert {path.name for path in output.glob("[!.]*")} == {
        "train", "val", *FILES}
    X, Y = read_data(output / "train")
    assert np.array_equal(X, create_data(1, Settings(seed=1))[0])
    assert X.shape == Y.shape == (1, 160, 160, 1)
    assert len(read_data(output / "val")[0]) == 20
    for picture in ("curves.png", "progress.png"):
        assert min(cv2.imread(str(output / picture)).shape[:2]) > 400
    record = json.loads((output / "settings.json").read_text())
    assert record["settings"]["width"] == 0.125
    assert {"device", "versions", "commit"} < record.keys()
    assert min(record["seconds"].values()) > 0


def test_history_counts_steps_and_ends_with_all_validation_images(trained):
    rows = read_table(trained[0] / "output" / "history.csv")
    assert list(rows[0]) == [
        "step", "seconds", "loss", "train_iou", "val_iou_mean", "val_iou_min", "val_dice_mean",
        "training_mask_overlap", "val_images"]
    steps = [int(row["step"]) for row in rows]
    assert steps == [0, 1, 2, 5, 9, 14, 20, 27, 36, 45, 56, 67, 80]
    assert [int(row["val_images"]) for row in rows] == [3] * 12 + [20]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


def test_training_on_one_image_generalises(trained, tested):
    last = read_table(trained[0] / "output" / "history.csv")[-1]
    assert float(last["train_iou"]) > 0.85
    assert float(last["val_iou_mean"]) > 0.8
    rows = read_table(tested[0] / "vis" / "metrics.csv")
    assert np.mean([float(row["network_iou"]) for row in rows]) > 0.8


def test_screens_are_clean_and_say_what_came_out(trained, tested):
    for _, done in (trained, tested):
        assert done.stderr == ""
        assert not {"\r", "\x1b"} & {*done.stdout}
    screen = trained[1].stdout
    assert len(screen.splitlines()) <= 13 + 6
    assert "209,231 parameters" in screen
    for images in (3, 20):  # along the way, and at the end
        assert f"{images} unseen images 0." in screen
    worst = r"0\.\d{3} worst \(output.val.X_\d+\.png\)"
    assert re.search(rf"validation IoU +0\.\d{{3}} mean, {worst}", screen)
    assert "python test.py" in screen.splitlines()[-1]
    for method in ("network", "blur . Otsu"):
        assert re.search(rf"^{method} +0\.\d+ .*\(test_\d+\.png\)", tested[1].stdout, re.MULTILINE)


def test_testing_draws_every_image_and_scores_it(tested):
    vis = tested[0] / "vis"
    rows = read_table(vis / "metrics.csv")
    pictures = [row["image"] for row in rows]
    assert pictures == [f"test_{number}.png" for number in range(1, 31)]
    assert {path.name for path in vis.glob("[!.]*")} == {"overview.png", "metrics.csv", *pictures}
    for row in rows:
        overlap = float(row["network_iou"])
        assert float(row["network_dice"]) == pytest.approx(2 * overlap / (1 + overlap), abs=1e-5)
    # Each picture shows its own image, three times enlarged and with its brightest pixel white.
    picture = cv2.imread(str(vis / "test_2.png"), cv2.IMREAD_GRAYSCALE)
    image = create_data(2, Settings(seed=1), "test")[0][1, ..., 0]
    shown = picture[73 : 73 + 480 : 3, 17 : 17 + 480 : 3]
    assert np.abs(shown - image * (255 / image.max())).max() <= 1


def test_another_distribution_can_be_tested_and_replaces_the_pictures(tested):
    other = tested[0] / "other"
    other.mkdir()
    (other / "mine.png").write_text("precious")
    flags = "--shape rectangle --side 15 29 --size 200 333 --vis other".split()
    for images in ("3", "2"):
        done = run(tested[0], "test.py", *flags, "--images", images)
        assert done.returncode == 0, done.stderr
    assert "2 fresh images of 200 x 333: rectangle, noise fill, side 15 to 29" in done.stdout
    assert {path.name for path in other.glob("[!.]*")} == {
        "test_1.png", "test_2.png", "overview.png", "metrics.csv", "mine.png"}


def test_a_test_does_not_take_the_place_of_its_network(trained):
    before = contents(trained[0] / "output")
    done = run(trained[0], "test.py", "--vis", "output")
    assert "output/model.keras would be replaced" in done.stderr
    assert (done.returncode, contents(trained[0] / "output")) == (2, before)


def test_one_seed_gives_the_same_bytes_and_the_same_weights(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    # At the same time, so that neither has the machine for itself.
    processes = []
    for folder in (first, second):
        line = command("train.py", *BRIEF, "--output", folder)
        processes.append(subprocess.Popen(line, stdout=subprocess.DEVNULL))
    assert [process.wait() for process in processes] == [0, 0]
    pictures = sorted(path.relative_to(first) for path in first.rglob("*.png"))
    assert len(pictures) == 2 * 1 + 2 * 3 + 2
    for picture in pictures:
        assert (first / picture).read_bytes() == (second / picture).read_bytes(), picture
    weights = [model_file.load(folder / "model.keras").get_weights() for folder in (first, second)]
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))


def test_the_recipe_of_2017_trains_several_augmented_samples_in_half_precision(tmp_path):
    flags = "--recipe 2017 --samples 2 --augment --precision mixed_bfloat16".split()
    done = run(tmp_path, "train.py", *BRIEF, *flags)
    assert done.returncode == 0, done.stderr
    assert "2 training images, 3 steps" in done.stdout
    # Soft Dice loss lies in 0..1, unlike cross-entropy.
    assert 0 < float(read_table(tmp_path / "output" / "history.csv")[-1]["loss"]) < 1
    brief = dict(width=0.125, steps=3, validation=3, watch=1, size=(50, 60), radius=(8, 12))
    more = dict(samples=2, augment=True, precision="mixed_bfloat16")
    settings = Settings(**{**RECIPES["2017"], **brief, **more})
    assert read_settings(tmp_path / "output" / "settings.json") == settings
    # The samples are written as they were drawn; their pixels in other places were trained on.
    assert np.array_equal(read_data(tmp_path / "output" / "train"), create_data(2, settings))
    # --augment excludes two shapes, but a test knows nothing of it.
    flags = "--images 1 --task larger --placement anywhere --radius 5 12".split()
    done = run(tmp_path, "test.py", *flags)
    assert done.returncode == 0, done.stderr
    assert "circle, noise fill, radius 5 to 12, task larger\n" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such shell")
@pytest.mark.parametrize(("name", "closed"), [("train.py", ">&- 2>&-"), ("model.py", "2>&-")])
def test_nobody_needs_to_listen_and_a_notebook_may_have_its_own_backend(
        tmp_path, monkeypatch, name, closed):
    monkeypatch.setenv("MPLBACKEND", "module://not_installed.inline")
    flags = BRIEF if name == "train.py" else []
    line = ["sh", "-c", f'exec "$@" {closed}', "sh", *command(name, *flags)]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True)
    assert done.returncode == 0
    if name == "train.py":
        names = {path.name for path in (tmp_path / "output").glob("[!.]*")}
        assert names == {"train", "val", *FILES}
    else:
        assert b"total" in done.stdout


def test_what_the_encoding_of_a_screen_does_not_have_is_escaped(monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    code = ("import sys; from common.errors import run_script; "
            "run_script(lambda: print('\u4e2d.png', print('\u4e2d.png', file=sys.stderr)))")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("\\u4e2d.png None\n", "\\u4e2d.png\n")


def test_pictures_that_cannot_be_drawn_cost_nothing_that_was_computed(tmp_path, monkeypatch):
    (tmp_path / "matplotlib").mkdir()
    (tmp_path / "matplotlib" / "__init__.py").write_text("1 / 0")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = run(tmp_path, "train.py", *BRIEF)
    assert "python test.py" in done.stdout.splitlines()[-1]
    assert done.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"
    names = {path.name for path in (tmp_path / "output").glob("[!.]*")}
    assert names == {"train", "val", "model.keras", "settings.json", "history.csv"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
@pytest.mark.parametrize(("limit", "file"), [(1000, "train/X_1.png"), (100_000, "model.keras")])
def test_a_file_that_cannot_be_written_is_one_sentence_that_names_it(tmp_path, limit, file):
    import resource

    import matplotlib.font_manager  # noqa: F401 - it writes a cache once, which a limit forbids

    done = subprocess.run(
        command("train.py", *BRIEF, "--network", "dense"), cwd=tmp_path, capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert done.returncode == 2
    assert re.fullmatch(
        rf"train\.py: output/{file} could not be written \([^\n]+\); [^\n]+\n", done.stderr)
    assert not [*(tmp_path / "output").glob("[!.]*")]  # half a run is none


MISTAKES = """
train.py --stepz 3
train.py --output file
train.py --output file/below
train.py --output foreign
train.py --resume
test.py
test.py --output file
test.py --output empty
test.py --output own
test.py --output trained --vis file
test.py --output trained --radius 100 100
own train file file
own segment empty
own segment sets --output trained
own segment sets --output own --masks empty
own compare empty
own compare sets --flags '
data.py --vis file
model.py --width -1
bench --steps 1
bench --network dense
study --only
study results --only nothing
study riddles
study labels --backend ray --address nowhere
""".strip().splitlines()
UNWRITABLE = ["train.py --output /proc/x"] if sys.platform == "linux" else []


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory):
    """A folder with files to be mistaken about."""
    folder = tmp_path_factory.mktemp("mistaken")
    (folder / "file").write_text("precious")
    (folder / "empty").mkdir()
    (folder / "foreign").mkdir()
    (folder / "foreign" / "history.csv").write_text("precious")
    X, _ = create_data(2)
    (folder / "sets").mkdir()
    for n in range(2):
        cv2.imwrite(str(folder / "sets" / f"X_{n + 1}.png"), X[n])
    write_settings(Settings(), {}, folder / "trained" / "settings.json")
    write_settings(OwnSettings(), {}, folder / "own" / "settings.json")
    return folder


@pytest.mark.parametrize("line", [*MISTAKES, *UNWRITABLE])
def test_a_mistake_is_one_sentence_and_nothing_is_changed(mistaken, line):
    before = contents(mistaken)
    name, *flags = line.split()
    done = run(mistaken, name, *flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(rf"{re.escape(name)}[a-z ]*: [^\n]+\n", done.stderr)
    assert contents(mistaken) == before


def test_data_and_model_show_themselves(tmp_path):
    done = run(tmp_path, "data.py")
    assert done.returncode == 0, done.stderr
    assert min(cv2.imread(str(tmp_path / "vis" / "data.png")).shape[:2]) > 400
    done = run(tmp_path, "model.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].split() == ["total", "13,360,593"]


@pytest.mark.parametrize("line", [
    "train.py", "test.py", "data.py", "own", "own train", "own segment", "own paint",
    "own compare", "study", "bench"])
def test_help_does_not_wait_for_keras(line):
    name, *words = line.split()
    python, *rest = command(name, *words, "--help")
    done = subprocess.run(
        [python, "-X", "importtime", *rest], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "common.errors" in imported
    # what Keras itself imports is silenced, but not that it is asked for
    assert not imported & {"common.backend", "keras", "tensorflow", "jax", "torch", "gradio"}


def test_the_study_draws_without_the_backend_of_a_notebook(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "module://not_installed.inline")
    done = run(tmp_path, "study", "--help")
    assert (done.returncode, done.stderr) == (0, "")


def test_keras_starts_without_matplotlib_and_then_both_are_there():
    code = ("import sys, common.backend; print('matplotlib' in sys.modules); "
            "import matplotlib.pyplot")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("False", "")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux grants a few cores")
def test_the_cores_of_a_device_are_those_that_the_process_may_use():
    granted = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(granted)})
    try:
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, granted)


def test_the_scripts_go_by_keras_json_only_for_the_backend(tmp_path, monkeypatch):
    line = "--width 0.0625 --size 64 64 --radius 8 12 --validation 1 --watch 1 --steps 2".split()
    odd = {"image_data_format": "channels_first", "floatx": "float64", "epsilon": 0.01}
    histories = []
    for number, content in enumerate(({}, odd)):
        home = tmp_path / str(number)
        home.mkdir()
        (home / "keras.json").write_text(json.dumps({"backend": "tensorflow", **content}))
        monkeypatch.setenv("KERAS_HOME", str(home))
        done = run(home, "train.py", *line)
        assert (done.returncode, done.stderr) == (0, "")
        rows = read_table(home / "output" / "history.csv")
        histories.append([{**row, "seconds": None} for row in rows])
    assert histories[0] == histories[1]


@pytest.mark.parametrize("backend", ["nothing", "numpy"])
@pytest.mark.parametrize("name", ["train.py", "model.py"])
def test_a_backend_that_cannot_train_is_one_sentence(tmp_path, monkeypatch, backend, name):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    done = run(tmp_path, name)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert done.stderr.startswith(f"{name}: Keras cannot start (")
    assert "variable KERAS_BACKEND to one of tensorflow, jax, torch that is" in done.stderr
