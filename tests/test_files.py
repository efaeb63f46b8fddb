"""Files: what is written is read back, what fails is one sentence that names the file, and no folder is left behind."""

import concurrent.futures
import sys

import cv2
import numpy as np
import pytest

from common import files, images
from common.errors import UserError
from common.plots import plt  # no window opens


def test_numbered_files_come_in_numeric_order_and_are_cleared_alone(tmp_path):
    for name in ("X_10.png", "X_2.png", "Y_1.png", "X_mine.png", "X_3.jpg", "AX_1.png"):
        (tmp_path / name).write_text("")
    assert list(files.numbered(tmp_path, "X")) == [2, 10]
    assert files.numbered(tmp_path / "missing", "X") == {}
    files.clear_numbered(tmp_path, "X")
    assert {path.name for path in tmp_path.iterdir()} == {"Y_1.png", "X_mine.png", "X_3.jpg", "AX_1.png"}


def left(folder):
    """The files in a folder, with what is in them, but for the record of in_place_of."""
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*")
            if path.is_file() and path.name != files.RECORD}


def put(folder, **names):
    """Put files, with dots for slashes, in place of the last."""
    with files.in_place_of(folder) as new:
        for name, text in names.items():
            files.write_bytes(new / name.replace("__", "/"), text.encode())


def test_files_come_in_place_of_those_of_the_last_time_and_others_stay(tmp_path):
    folder = tmp_path / "new" / "folder"
    put(folder, a="1", train__x="1", train__y="1", val__x="1")
    (folder / "mine").write_text("precious")
    (folder / "train" / "mine").write_text("precious")
    put(folder, a="2", train__x="2", b="2")
    assert left(folder) == {"a": "2", "b": "2", "train/x": "2", "mine": "precious", "train/mine": "precious"}
    assert sorted(path.name for path in folder.iterdir()) == [files.RECORD, "a", "b", "mine", "train"]


def test_work_that_fails_changes_nothing_and_names_the_file_where_it_would_have_come(tmp_path):
    put(tmp_path, a="1", b="1")
    before = left(tmp_path)
    for error in (ZeroDivisionError, KeyboardInterrupt):
        with pytest.raises(error), files.in_place_of(tmp_path) as new:
            (new / "a").write_text("2")
            raise error
        assert left(tmp_path) == before
    with pytest.raises(UserError, match=rf"^{tmp_path}/a/b could not be written"), files.in_place_of(tmp_path) as new:
        (new / "a").write_text("2")
        files.write_bytes(new / "a" / "b", b"2")
    assert left(tmp_path) == before
    assert len([*tmp_path.iterdir()]) == 3


def test_nothing_changes_where_one_file_cannot_come_to_its_place(tmp_path):
    put(tmp_path, a="1")
    (tmp_path / "train").write_text("precious")
    before = left(tmp_path)
    with pytest.raises(UserError, match=r"could not be written \(train/x or its folder is in the way\)"):
        put(tmp_path, a="2", train__x="2")
    assert left(tmp_path) == before


def test_what_a_run_reads_or_somebody_made_is_neither_replaced_nor_removed(tmp_path):
    put(tmp_path, masks__a="1")
    (tmp_path / "mine").write_text("precious")
    files.check_inputs(tmp_path, "--vis", [tmp_path / "mine"], ["masks/b"], ["masks/a"])
    for path in (tmp_path / "masks" / "a", tmp_path / "masks" / ".." / "mine"):
        with pytest.raises(UserError, match=rf"{path} would be replaced or removed .*; copy it .* with --vis"):
            files.check_inputs(tmp_path, "--vis", [path], ["mine"])
    with pytest.raises(UserError, match=r"mine is there already, and no result; name another folder with --vis"):
        files.check_inputs(tmp_path, "--vis", [], ["mine"], ["mine"])


@pytest.mark.parametrize("moment", range(6))
def test_what_is_finished_is_put_in_place_by_the_next_if_it_was_interrupted_there(tmp_path, monkeypatch, moment):
    put(tmp_path, a="1", train__x="1", c="1")
    calls = []

    def interrupted(before):
        def call(*arguments, **named):
            calls.append(before)
            if len(calls) == moment + 1:
                raise KeyboardInterrupt
            return before(*arguments, **named)
        return call

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", interrupted(files.os.replace))
        patch.setattr("pathlib.Path.unlink", interrupted(files.Path.unlink))
        try:
            put(tmp_path, a="2", train__x="2", train__y="2")
        except KeyboardInterrupt:
            assert moment < 5
    files.settle(tmp_path)
    assert left(tmp_path) == {"a": "2", "train/x": "2", "train/y": "2"}
    files.settle(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [files.RECORD, "a", "train"]


@pytest.mark.parametrize("record", [
    "{", "[]", '{"files": ["../mine"], "gone": ["/mine"]}', '{"files": [1], "gone": []}'])
def test_a_record_of_somebody_else_moves_and_removes_nothing(tmp_path, record):
    folder = tmp_path / "folder"
    (folder / files.FINISHED).mkdir(parents=True)
    (tmp_path / "mine").write_text("precious")
    for place in (folder, folder / files.FINISHED):
        (place / files.RECORD).write_text(record)
    put(folder, a="1")
    assert left(tmp_path) == {"mine": "precious", "folder/a": "1"}


def test_a_table_has_every_column_and_is_read_back_as_text(tmp_path):
    path = tmp_path / "folder" / "table.csv"
    files.write_table([{"name": "one, two", "score": 0.25}], path)
    files.write_table([{"name": "one, two", "score": 0.25}, {"name": 'said "so"', "more": (1, 2)}], path)
    assert files.read_table(path) == [{"name": "one, two", "score": "0.25", "more": ""},
                                      {"name": 'said "so"', "score": "", "more": "(1, 2)"}]
    assert [path.name for path in path.parent.iterdir()] == ["table.csv"]


def test_a_table_that_cannot_be_written_leaves_the_one_before(tmp_path):
    path = tmp_path / "table.csv"
    files.write_table([{"a": 1}], path)
    (tmp_path / "table.unfinished").mkdir()
    with pytest.raises(UserError, match=r"table\.unfinished could not be written"):
        files.write_table([{"a": 2}], path)
    assert files.read_table(path) == [{"a": "1"}]


def figure():
    """A small figure with two colours."""
    made, axes = plt.subplots(figsize=(3, 2), dpi=50)
    axes.imshow([[0, 1]], cmap="gray")
    return made


def test_figures_are_written_in_colour_in_few_colours_or_in_grey(tmp_path):
    images.write_figure(figure(), tmp_path / "colour.png")
    images.write_figure(figure(), tmp_path / "few.png", colours=4)
    images.write_grey_figure(figure(), tmp_path / "grey.png")
    colour, few, grey = (cv2.imread(str(tmp_path / f"{name}.png")) for name in ("colour", "few", "grey"))
    assert colour.shape == few.shape == grey.shape == (100, 150, 3)
    assert len(np.unique(few.reshape(-1, 3), axis=0)) <= 4 < len(np.unique(colour.reshape(-1, 3), axis=0))
    assert cv2.imread(str(tmp_path / "grey.png"), cv2.IMREAD_UNCHANGED).ndim == 2
    assert not plt.get_fignums()


@pytest.mark.parametrize("write", [
    lambda path: files.write_bytes(path, b""),
    lambda path: images.write_png(path, np.zeros((4, 4))),
    lambda path: files.write_table([{"a": 1}], path),
    lambda path: images.write_figure(figure(), path),
    lambda path: images.write_grey_figure(figure(), path),
], ids=["bytes", "png", "table", "figure", "grey figure"])
def test_every_write_that_fails_is_one_sentence_that_names_the_file(tmp_path, write):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(UserError, match=r"\A\S+file.below\.\w+ could not be written \([^\n]+\); make room for it, or "
                                        r"name another folder\Z"):
        write(tmp_path / "file" / "below.png")
    assert (tmp_path / "file").read_text() == "precious"


def test_a_folder_that_cannot_be_is_refused_and_nothing_is_made(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    for path in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "link"):
        with pytest.raises(UserError, match=r"--output .* cannot be a folder to write to .*; give another --output"):
            files.check_folder(path, "--output")
    with pytest.raises(UserError, match=r"--output .* cannot be a folder"):
        files.check_folder(tmp_path / "new" / ("long" * 100), "--output")
    files.check_folder(tmp_path / "new" / "folder", "--output")
    files.check_folder(tmp_path, "--output")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]


def test_runs_that_start_at_once_below_a_folder_that_is_missing_are_not_in_each_others_way(tmp_path):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: files.check_folder(tmp_path / "runs" / str(number), "--output"), range(200)))
    assert not any(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such a folder")
def test_a_folder_in_which_nobody_can_write_is_refused():
    for path in ("/proc", "/proc/x"):  # not even by root
        with pytest.raises(UserError, match=rf"--vis {path} cannot be a folder to write to"):
            files.check_folder(path, "--vis")
