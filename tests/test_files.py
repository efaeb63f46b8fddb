"""Files: what is written is read back, and what fails is one sentence that names the file."""

import concurrent.futures
import sys

import cv2
import numpy as np
import pytest

from common import files, images
from common.errors import UserError
from common.plots import plt  # no window opens


def test_a_table_has_every_column_and_is_read_back_as_text(tmp_path):
    path = tmp_path / "folder" / "table.csv"
    first, second = {"name": "one, two", "score": 0.25}, {"name": 'said "so"', "more": (1, 2)}
    files.write_table([first], path)
    files.write_table([first, second], path)
    assert files.read_table(path) == [
        {"name": "one, two", "score": "0.25", "more": ""},
        {"name": 'said "so"', "score": "", "more": "(1, 2)"}]
    assert [path.name for path in path.parent.iterdir()] == ["table.csv"]


def test_a_table_that_cannot_be_written_leaves_the_one_before(tmp_path):
    path = tmp_path / "table.csv"
    files.write_table([{"a": 1}], path)
    (tmp_path / "table.csv.unfinished").mkdir()
    with pytest.raises(UserError, match=r"table\.csv could not be written"):
        files.write_table([{"a": 2}], path)
    assert files.read_table(path) == [{"a": "1"}]


def test_what_is_too_large_or_a_device_is_not_read(tmp_path):
    path = tmp_path / "large.csv"
    with open(path, "wb") as file:
        file.truncate(10**10)  # takes no room on the disk
    for large in (path, "/dev/zero") if sys.platform == "linux" else (path,):
        with pytest.raises(OSError, match="no file of at most 1,000 bytes"):
            files.read_file(large, 1000)
        with pytest.raises(UserError, match="is no table"):
            files.read_table(large)


def figure():
    """A small figure with two colours."""
    figure, axes = plt.subplots(figsize=(3, 2), dpi=50)
    axes.imshow([[0, 1]], cmap="gray")
    return figure


def test_figures_are_written_in_colour_in_few_colours_or_in_grey(tmp_path):
    images.write_figure(figure(), tmp_path / "colour.png")
    images.write_figure(figure(), tmp_path / "few.png", colours=4)
    images.write_grey_figure(figure(), tmp_path / "grey.png")
    colour, few = (cv2.imread(str(tmp_path / f"{name}.png")) for name in ("colour", "few"))
    assert colour.shape == few.shape == (100, 150, 3)
    few_colours, colours = (len(np.unique(picture.reshape(-1, 3), axis=0))
                            for picture in (few, colour))
    assert few_colours <= 4 < colours
    assert cv2.imread(str(tmp_path / "grey.png"), cv2.IMREAD_UNCHANGED).shape == (100, 150)
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
    with pytest.raises(UserError, match=r"\A\S+file.below\.\w+ could not be written \([^\n]+\Z"):
        write(tmp_path / "file" / "below.png")
    assert (tmp_path / "file").read_text() == "precious"


def test_a_folder_that_cannot_be_is_refused_and_nothing_is_made(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    impossible = [tmp_path / "file", tmp_path / "file" / "below", tmp_path / "link",
                  tmp_path / "new" / ("long" * 100)]
    if sys.platform == "linux":
        impossible.append("/proc/x")  # where not even root can write
    for path in impossible:
        with pytest.raises(UserError, match=f"--output {path} cannot be a folder to write to"):
            files.check_folder(path, "--output")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:  # runs that start at once
        for number in range(200):
            pool.submit(files.check_folder, tmp_path / "runs" / str(number), "--output")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]
