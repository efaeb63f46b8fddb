"""The scripts, run as a person runs them: what they print, what they leave, and what a mistake costs."""

import json
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

from common import networks
from common.files import read_table
from common.settings import RECIPES, Settings, read_settings, write_settings
from data import create_data
from scripts import REPOSITORY, command, contents, run

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
    """The same folder after test.py, and the finished process."""
    folder, _ = trained
    done = run(folder, "test.py", "--images", "30")
    assert done.returncode == 0, done.stderr
    return folder, done


def test_training_leaves_everything(trained, written):
    output = trained[0] / "output"
    assert {path.name for path in output.iterdir()} == {
        "train", "val", "model.keras", "settings.json", "history.csv", "curves.png", "progress.png", ".files.json",
        ".lock"}
    X, Y = written(output / "train")
    assert np.array_equal(X, create_data(1, Settings(seed=1))[0])
    assert X.shape == Y.shape == (1, 160, 160, 1)
    assert len(written(output / "val")[0]) == 20
    for picture in ("curves.png", "progress.png"):
        assert min(cv2.imread(str(output / picture)).shape[:2]) > 400
    record = json.loads((output / "settings.json").read_text())
    assert record["settings"]["width"] == 0.125
    assert {"device", "versions", "commit"} < record.keys()
    assert list(record["seconds"]) == ["import", "data", "trace", "steps", "evaluation", "files", "pictures"]
    assert min(record["seconds"].values()) > 0


def test_history_counts_steps_and_ends_with_all_validation_images(trained):
    rows = read_table(trained[0] / "output" / "history.csv")
    assert list(rows[0])[:7] == ["step", "seconds", "loss", "train_iou", "val_iou_mean", "val_iou_min", "val_dice_mean"]
    assert [int(row["step"]) for row in rows] == [0, 1, 2, 5, 9, 14, 20, 27, 36, 45, 56, 67, 80]
    assert [int(row["val_images"]) for row in rows] == [3] * 12 + [20]
    seconds = [float(row["seconds"]) for row in rows]
    assert seconds == sorted(seconds)
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


def test_training_on_one_image_generalises(trained, tested):
    last = read_table(trained[0] / "output" / "history.csv")[-1]
    assert float(last["train_iou"]) > 0.85
    assert float(last["val_iou_mean"]) > 0.8
    fresh = [float(row["network_iou"]) for row in read_table(tested[0] / "vis" / "metrics.csv")]
    assert np.mean(fresh) > 0.8


def test_screens_are_clean_and_say_what_came_out(trained, tested):
    for _, done in (trained, tested):
        assert done.stderr == ""
        assert "\r" not in done.stdout
        assert "\x1b" not in done.stdout
    train_lines, test_lines = trained[1].stdout.splitlines(), tested[1].stdout.splitlines()
    assert len(train_lines) <= 13 + 6
    assert "209,231 parameters" in trained[1].stdout
    assert re.search(r"validation IoU +0\.\d{3} mean, 0\.\d{3} worst \(output.val.X_\d+\.png\)", trained[1].stdout)
    assert "python test.py" in train_lines[-1]
    for method in ("network", "blur + Otsu"):
        assert any(re.match(rf"{re.escape(method)} +0\.\d+ .*\(test_\d+\.png\)", line) for line in test_lines)


def test_testing_draws_every_image_and_scores_it(tested):
    vis = tested[0] / "vis"
    rows = read_table(vis / "metrics.csv")
    assert [row["image"] for row in rows] == [f"test_{number}.png" for number in range(1, 31)]
    assert {path.name for path in vis.iterdir()} == {
        "overview.png", "metrics.csv", ".files.json", ".lock", *(row["image"] for row in rows)}
    for row in rows:
        overlap = float(row["network_iou"])
        assert float(row["network_dice"]) == pytest.approx(2 * overlap / (1 + overlap), abs=1e-5)
    # each picture shows its own image, three times enlarged and with its brightest pixel white
    picture = cv2.imread(str(vis / "test_2.png"), cv2.IMREAD_GRAYSCALE)
    image = create_data(2, Settings(seed=1), "test")[0][1, ..., 0]
    assert np.abs(picture[73 : 73 + 480 : 3, 17 : 17 + 480 : 3] - image * (255 / image.max())).max() <= 1


def test_another_distribution_can_be_tested_and_replaces_the_pictures(tested):
    other = tested[0] / "other"
    other.mkdir()
    (other / "mine.png").write_text("precious")
    for images in (3, 2):
        done = run(tested[0], "test.py", *f"--images {images} --shape rectangle --side 15 29 --size 200 333 "
                                          "--vis other".split())
        assert done.returncode == 0, done.stderr
    assert "2 fresh images of 200 x 333: rectangle, noise fill, side 15 to 29" in done.stdout
    assert {path.name for path in other.iterdir()} == {
        "test_1.png", "test_2.png", "overview.png", "metrics.csv", "mine.png", ".files.json",
        ".lock"}


def test_a_test_does_not_take_the_place_of_its_network(trained):
    before = contents(trained[0] / "output")
    done = run(trained[0], "test.py", "--vis", "output")
    assert done.stderr.startswith("test.py: output/model.keras would be replaced or removed with the results in output")
    assert (done.returncode, contents(trained[0] / "output")) == (2, before)


def test_one_seed_gives_the_same_bytes_and_the_same_weights(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    # at the same time, so that neither has the machine for itself
    processes = [subprocess.Popen(command("train.py", *BRIEF, "--output", folder), stdout=subprocess.DEVNULL)
                 for folder in (first, second)]
    assert [process.wait() for process in processes] == [0, 0]
    pictures = sorted(path.relative_to(first) for path in first.rglob("*.png"))
    assert len(pictures) == 2 * 1 + 2 * 3 + 2
    for picture in pictures:
        assert (first / picture).read_bytes() == (second / picture).read_bytes(), picture
    histories = [[{**row, "seconds": None} for row in read_table(folder / "history.csv")] for folder in (first, second)]
    assert histories[0] == histories[1]
    weights = [networks.load(folder / "model.keras").get_weights() for folder in (first, second)]
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))


def test_the_recipe_of_2017_trains_several_augmented_samples_in_half_precision(tmp_path, written):
    flags = "--recipe 2017 --samples 2 --augment --precision mixed_bfloat16".split()
    done = run(tmp_path, "train.py", *BRIEF, *flags)
    assert done.returncode == 0, done.stderr
    assert "2 training images, 3 steps" in done.stdout
    # soft Dice loss lies in 0..1 and says what Dice says, unlike cross-entropy
    assert 0 < float(read_table(tmp_path / "output" / "history.csv")[-1]["loss"]) < 1
    settings = read_settings(tmp_path / "output" / "settings.json")
    assert settings == Settings(**{**RECIPES["2017"], "width": 0.125, "steps": 3, "validation": 3, "watch": 1,
                                   "size": (50, 60), "radius": (8, 12), "samples": 2, "augment": True,
                                   "precision": "mixed_bfloat16"})
    # what is written is the samples as they were drawn, what was trained on are their pixels in other places
    X, Y = create_data(2, settings)
    for saved, made in zip(written(tmp_path / "output" / "train"), (X, Y), strict=True):
        assert np.array_equal(saved, made)
    # --augment excludes two shapes, but a test knows nothing of it
    done = run(tmp_path, "test.py", *"--images 1 --task larger --placement anywhere --radius 5 12".split())
    assert done.returncode == 0, done.stderr
    assert "1 fresh images of 50 x 60: circle, noise fill, radius 5 to 12, task larger\n" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_file_that_cannot_be_written_is_one_sentence_that_names_it(tmp_path):
    import resource

    import matplotlib.font_manager  # noqa: F401 - it writes a cache once, which a limit would forbid below

    # folder, bytes that a file may have: fewer than those of an image, or fewer than those of the network
    cases, processes = {"small": (1000, "train/X_1.png"), "middle": (100_000, "model.keras")}, {}
    for folder, (limit, _) in cases.items():
        processes[folder] = subprocess.Popen(
            command("train.py", *BRIEF, "--output", folder), cwd=tmp_path, stderr=subprocess.PIPE, text=True,
            stdout=subprocess.DEVNULL,
            preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    for folder, (_, file) in cases.items():
        _, errors = processes[folder].communicate()
        assert re.fullmatch(rf"train\.py: {folder}/{file} could not be written \([^\n]+\); make room for it, or name "
                            r"another folder\n", errors)
        assert processes[folder].returncode == 2
        assert [path.name for path in (tmp_path / folder).iterdir()] == [".lock"]  # half a run is none


MISTAKES = [
    "train.py --stepz 3",
    "train.py --radius 200 300",
    "train.py --radius 15 40 --placement central",
    "train.py --recipe 2018",
    "train.py --size 10 10",
    "train.py --steps 0",
    "train.py --augment yes",
    "train.py --supervised-pixels 99999",
    "train.py --image file",
    "train.py --image file --mask file",
    "train.py --crop 100",
    "train.py --output file",
    "train.py --output file/below",
    "train.py --output kept",
    "test.py",
    "test.py --recipe 2017",
    "test.py --output empty",
    "test.py --output file",
    "test.py --output kept --vis file",
    "test.py --output kept --radius 100 100",
    "test.py --output kept --folder empty",
    "test.py --output kept --folder missing",
    "test.py --output kept --masks empty",
    f"test.py --output {300 * 'x'}",
    f"train.py --resume --output {300 * 'x'}",
    "data.py --vis file",
    "model.py --width -1",
    "bench --repeats 0",
    "bench --steps 1",
    "bench --network dense",
    "bench --output file",
    "study --only",
    "study --seeds -1",
    "study results --only nothing",
    "study riddles",
    "study results riddles",
    "study results --steps 3",
    "study results --output file/below",
    "study labels --backend ray --address nowhere",
    "study real",
    "study labels --folder empty",
    "study real --folder empty",
    "study real --folder sets --only nothing",
    "study real --folder sets --flags '",
]


@pytest.mark.parametrize("line", [*MISTAKES, *["train.py --output /proc/x"] * (sys.platform == "linux")])
def test_a_mistake_is_one_sentence_and_nothing_is_changed(tmp_path, line):
    (tmp_path / "file").write_text("precious")
    (tmp_path / "empty").mkdir()
    create_data(2, folder=tmp_path / "sets")
    (tmp_path / "kept").mkdir()
    write_settings(Settings(), {}, tmp_path / "kept" / "settings.json")
    before = contents(tmp_path)
    name, *flags = line.split()
    done = run(tmp_path, name, *flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(rf"{re.escape(name)}: [^\n]+\n", done.stderr)
    assert contents(tmp_path) == before


def test_data_and_model_show_themselves(tmp_path):
    done = run(tmp_path, "data.py")
    assert done.returncode == 0, done.stderr
    assert min(cv2.imread(str(tmp_path / "vis" / "data.png")).shape[:2]) > 400
    done = run(tmp_path, "model.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].split() == ["total", "13,360,593"]


@pytest.mark.parametrize("name", ["train.py", "test.py", "data.py", "study", "bench"])
def test_help_does_not_wait_for_tensorflow(name):
    python, *rest = command(name, "--help")
    done = subprocess.run([python, "-X", "importtime", *rest], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: {name} ")
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert {"common.settings", "numpy"} <= imported
    assert not imported & {"keras", "tensorflow", "jax", "torch"}


def test_keras_starts_without_matplotlib_and_then_both_are_there():
    code = ("import gc, sys, test, common.backend; print('matplotlib' in sys.modules, gc.isenabled()); "
            "import matplotlib.pyplot; print(gc.get_freeze_count() > 100_000)")
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["False", "True", "True"], "")
