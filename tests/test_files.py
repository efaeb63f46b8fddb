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
    (tmp_path / "table.csv.unfinished").mkdir()
    with pytest.raises(UserError, match=r"table\.csv could not be written"):
        files.write_table([{"a": 2}], path)
    assert files.read_table(path) == [{"a": "1"}]
    (tmp_path / "table.csv.unfinished").rmdir()
    (tmp_path / "table.csv.unfinished").symlink_to(tmp_path / "mine")
    (tmp_path / "mine").write_text("precious")
    files.write_table([{"a": 2}], path)
    assert files.read_table(path) == [{"a": "2"}]
    assert (tmp_path / "mine").read_text() == "precious"


def test_what_is_no_file_or_too_large_is_not_read(tmp_path):
    path = tmp_path / "large.csv"
    with open(path, "wb") as file:
        file.truncate(10**10)  # takes no room on the disk
    for of in (path, *[files.Path("/dev/zero")] * (sys.platform == "linux")):
        with pytest.raises(OSError, match="no file of at most 1,000 bytes"):
            files.read_file(of, 1000)
        with pytest.raises(UserError, match="is no table"):
            files.read_table(of)
        with pytest.raises(UserError, match=r"cannot be read \(no file of at most 1,073,741,824 bytes\)"):
            images.read_image(of)


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
    with pytest.raises(UserError, match=r"\A\S+file.below\.\w+ could not be written \([^\n]+\); name another "
                                        r"folder\Z"):
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
