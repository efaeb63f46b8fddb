"""The page: painted with the mouse in a real browser, trained, corrected, and what it leaves."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import cv2
import numpy as np
import psutil
import pytest

from common import metrics
from common.folders import left_in
from common.images import write_png
from common.pictures import MISSED
from data import circle, create_data
from own.crops import Labelled
from own.images import images_in, read_image, read_mask
from own.settings import OwnSettings
from own.training import untrained_for
from scripts import REPOSITORY, run
from visitors import Visitor

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# The page, which tells of every connection that its process opens or looks up.
AUDIT = """import runpy, sys

def tell(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        address = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
        print("CONNECTS", event, address, file=sys.stderr, flush=True)

sys.addaudithook(tell)
sys.argv[1:1] = ["paint"]
runpy.run_module("own", run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def chromium():
    """A browser, if there is all that it takes."""
    pytest.importorskip("gradio", reason="needs Gradio: README.md")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs pip install playwright")
    if CHROMIUM is None:
        pytest.skip("needs Chromium, from the system's packages")
    with playwright.sync_playwright() as started:
        # without a graphics card; it looks for nothing by itself; root may start it
        flags = ["--no-sandbox", "--use-angle=swiftshader", "--disable-background-networking"]
        browser = started.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served(chromium, tmp_path_factory):
    """A function that serves a folder, with flags: the process, the page's address, its stderr.

    What the page writes for a while lies in the folder temporary.
    """
    processes = []

    def serve(*flags, temporary=None):
        log = tmp_path_factory.mktemp("log") / "stderr.txt"
        line = [sys.executable, "-c", AUDIT, *map(str, flags), "--no-browser"]
        with open(log, "w") as file:
            process = subprocess.Popen(
                line, cwd=tmp_path_factory.mktemp("cwd"), stdout=subprocess.PIPE, stderr=file,
                env={**os.environ, **temporary_in(temporary), "PYTHONPATH": str(REPOSITORY)},
                text=True)
        processes.append(process)
        said = process.stdout.readline()
        assert "http://127.0.0.1:" in said, log.read_text()
        return process, re.search(r"http\S+", said)[0], log

    yield serve
    for process in processes:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def temporary_in(folder):
    """What tells a process to write its temporary files into a folder, if one is given."""
    return {"TMPDIR": str(folder)} if folder else {}


@pytest.fixture(scope="module")
def circles(served):
    """The page of the experiment itself."""
    return served()


@pytest.fixture
def visitor(chromium):
    """A function that sends somebody to a page."""
    visitors = []

    def visit(url):
        visitors.append(Visitor(chromium, url))
        return visitors[-1]

    yield visit
    for somebody in visitors:
        somebody.context.close()


def test_strokes_on_one_circle_find_the_others_and_more_strokes_go_on(
        circles, visitor, tmp_path, record_property):
    _, url, _ = circles
    at, (_, Y) = visitor(url), create_data(12)
    at.paint(Y[0, ..., 0], near=0.35)
    assert at.words() == ["X_1.png", "X_5.png", "X_8.png", "X_12.png"]
    assert "on 1 image: enough to begin" in at.amount()
    seen, looks = set(at.pictures()), []
    at.press("Train")
    started = time.monotonic()
    while len(re.findall(r"IoU (0\.[789]|1)", " ".join(at.words()))) < 4:
        at.page.wait_for_timeout(50)
        if not seen.issuperset(at.pictures()):  # the masks have changed
            seen.update(at.pictures())
            looks.append(time.monotonic())
    assert re.fullmatch(r"\s*step \d+ of 300, loss \d\.\d+, about \d+ s left", at.said("s left"))
    record_property("seconds from Train to IoU 0.7 on the painted image and on three others",
                    round(time.monotonic() - started, 1))
    record_property("looks until then, and the longest time between two, seconds",
                    (len(looks), round(float(max(np.diff(looks), default=0)), 1)))
    at.press("Stop")
    steps = int(re.search(r"Stopped after (\d+) steps", at.said("Stopped"))[1])
    assert 0 < steps < 300

    at.choose(2, "X_8.png")  # it does not know yet where a circle ends
    at.paint(Y[7, ..., 0], near=0.1)
    at.press("Train")
    said = at.said(f"of {steps + 300}, ")
    assert int(re.search(r"step (\d+) of", said)[1]) > steps
    at.said(f"Ready after {steps + 300} steps")
    unpacked = at.downloaded(tmp_path / "unpacked")
    assert unpacked.name == "circles_painted"
    paths = [unpacked / "vis" / "masks" / f"X_{number}.png" for number in range(1, 13)]
    iou = metrics.iou(Y, np.stack([read_image(path) > 0 for path in paths]))
    unseen = np.delete(iou, [0, 7])
    record_property("IoU of the ten images that are not painted, mean and worst",
                    f"{unseen.mean():.3f}, {unseen.min():.3f}")
    assert unseen.mean() >= 0.9
    said = at.said("segmented")
    assert "12 images are segmented; " in said
    (first,) = re.findall(r"; look first at (X_\d+\.png)", said)
    assert any(words.startswith(first) for words in at.words())
    painted = images_in(unpacked / "strokes", "--folder")
    assert [path.name for path in painted] == ["X_1.png", "X_8.png"]
    for path, mask in zip(painted, Y[[0, 7]], strict=True):
        foreground, known = read_mask(path)
        assert np.array_equal(foreground[known], mask[known] > 0)
        assert 300 < known.sum() < 0.2 * known.size
    assert left_in(unpacked / "vis") > {"contact_sheet.png", "metrics.csv", "overlays/X_1.png"}
    assert "vis/masks/" in (unpacked / "README.txt").read_text()
    settings = json.loads((unpacked / "output" / "settings.json").read_text())["settings"]
    assert settings["image"] == ["X_1.png", "X_8.png"]
    assert settings["mask"] == ["strokes/X_1.png", "strokes/X_8.png"]
    assert tempfile.gettempdir() not in json.dumps(settings)  # means nothing elsewhere
    folder = str(unpacked / "vis" / "masks")
    again = run(tmp_path, "own", "segment", folder, "--output", str(unpacked / "output"))
    assert again.returncode == 0, again.stderr  # the network is like one of own train


def test_nothing_is_asked_of_other_hosts_and_no_other_machine_is_let_in(circles, visitor):
    process, url, log = circles  # it has trained and segmented before
    at = visitor(url)
    assert all(address.startswith((url, "data:", "blob:")) for address in at.asked)
    connections = psutil.Process(process.pid).net_connections()
    listening = {here.laddr.ip for here in connections if here.status == "LISTEN"}
    assert listening == {"127.0.0.1"}
    for line in log.read_text().splitlines():
        assert "CONNECTS" not in line or "127.0.0.1" in line or "localhost" in line


def test_files_outside_cannot_be_reached(circles, visitor, tmp_path):
    _, url, _ = circles
    at = visitor(url)
    secret = tmp_path / "secret.png"
    write_png(secret, np.zeros((40, 40)))
    picture = at.pictures()[0]
    assert at.context.request.get(picture).status == 200
    above = f"{picture.partition('file=')[2]}/../../../../../etc/passwd"
    for path in (secret, REPOSITORY / "README.md", "/etc/passwd", above):
        assert at.context.request.get(f"{url}gradio_api/file={path}").status in (403, 404)


def test_a_second_browser_waits_and_one_that_is_closed_makes_room(circles, visitor):
    _, url, _ = circles
    first, second, Y = visitor(url), visitor(url), create_data(1)[1]
    for at in (first, second):
        at.paint(Y[0, ..., 0], near=0.35)
    first.press("Train")
    first.said("step")
    second.press("Train")
    second.said("waits until another training has ended")
    assert all(": IoU" not in words for words in second.words())
    first.context.close()
    second.said("step")
    second.press("Stop")
    second.said("Stopped")


def test_undo_and_redo_change_the_strokes_and_nothing_else(circles, visitor):
    _, url, _ = circles
    at = visitor(url)
    undo, redo = (at.page.get_by_role("button", name=name, exact=True) for name in ("Undo", "Redo"))
    assert undo.is_disabled() and redo.is_disabled()
    assert at.amount() == "Nothing is painted yet."
    picture, drawings = at.canvas("picture"), [at.canvas("strokes")]
    for tool, end in (("yellow", (140, 20)), ("blue", (140, 60)), ("eraser", (20, 100))):
        at.take(tool)
        at.stroke((20, 20), end)
        drawings.append(at.canvas("strokes"))
        if tool == "yellow":
            assert at.amount().endswith("on 1 image: paint blue too.")
    assert len(set(drawings)) == 4
    for drawing in drawings[2::-1]:
        undo.click()
        assert at.canvas("strokes") == drawing
    assert undo.is_disabled()
    for drawing in drawings[1:]:
        redo.click()
        assert at.canvas("strokes") == drawing
    for keys, drawing in (("Z", drawings[2]), ("Z", drawings[1]), ("Y", drawings[2])):
        at.page.keyboard.press(f"Control+{keys}")
        assert at.canvas("strokes") == drawing
    assert at.canvas("picture") == picture


def test_strokes_outlast_the_page_and_the_server_which_leaves_nothing(served, visitor, tmp_path):
    images, temporary = tmp_path / "images", tmp_path / "temporary"
    temporary.mkdir()
    for number in range(3):
        write_png(images / f"{number}.png", np.full((60, 80), 50 * number, "uint8"))
    process, url, _ = served(images, temporary=temporary)
    at = visitor(url)
    at.stroke((20, 20), (60, 20), size=(60, 80))
    at.choose(1, "1.png")
    at.take("blue")
    at.stroke((20, 20), (60, 20), size=(60, 80))
    strokes = at.canvas("strokes")
    at.page.reload()
    at.said("Your strokes are still here; no network has learned from them yet")
    at.is_there("1.png")
    assert at.canvas("strokes") == strokes
    gone = at.page.locator("#editor .gone")
    assert not gone.is_visible()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert not [*temporary.iterdir()]
    gone.wait_for()
    process, url, _ = served(images, "--port", url.strip("/").rpartition(":")[2],
                             temporary=temporary)
    gone.wait_for(state="hidden")
    at.is_there("0.png")
    assert "Your strokes are still here" in at.said("strokes")
    assert "on 2 images: enough to begin" in at.amount()
    assert not at.page.get_by_role("button", name="Undo").is_disabled()
    at.page.get_by_role("button", name="Next").click()
    at.is_there("1.png")
    assert at.canvas("strokes") == strokes
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 0
    assert not [*temporary.iterdir()]


def test_a_network_outlasts_the_page_until_one_starts_over(circles, visitor):
    _, url, _ = circles
    at = visitor(url)
    nothing = at.canvas("strokes")
    at.paint(create_data(1)[1][0, ..., 0], near=0.35)
    at.press("Train")
    at.said("step")
    at.press("Stop")
    at.said("Stopped")
    at.page.reload()
    at.said("The network is still here, after")
    at.is_there("X_1.png")
    assert all("IoU" in words for words in at.words())
    at.press("Start over")
    at.said("Strokes and network are forgotten")
    assert at.words() == ["X_1.png", "X_5.png", "X_8.png", "X_12.png"]
    assert at.canvas("strokes") == nothing
    at.press("Segment all images")
    at.mistake("No network has learned yet")
    at.page.reload()
    at.is_there("X_1.png")
    assert at.canvas("strokes") == nothing
    assert at.amount() == "Nothing is painted yet."


def test_large_colour_images_of_16_bits_are_painted_at_full_resolution(served, visitor, tmp_path):
    generator, (height, width) = np.random.default_rng(0), (700, 1000)
    folder = tmp_path / "<b>cells"
    folder.mkdir()
    for number in range(3):
        image = generator.integers(8000, 12000, (height, width, 3), "uint16")
        image[circle((350, 300 + 150 * number), 140, (height, width))] += np.uint16([9000, 0, 4000])
        assert cv2.imwrite(str(folder / f"<i>{number}.tif"), image)
    (folder / "0.png").write_bytes(b"no image")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    _, url, _ = served(folder)
    at = visitor(url)
    broken = "0.png is not an image that OpenCV can read"
    at.mistake(broken)
    at.is_there("<i>0.tif")  # the next one
    assert any(broken in words for words in at.words())
    at.page.get_by_role("button", name="Train").click()  # which nothing covers
    at.mistake("Paint both: yellow over what you look for, and blue")
    assert "set up" not in at.said("Paint both")
    at.choose(2, "<i>1.tif")
    at.stroke((370, 350), (530, 350), size=(height, width))
    at.take("blue")
    at.stroke((60, 60), (940, 60), (940, 600), size=(height, width))
    whole = at.canvas("strokes")
    at.page.mouse.move(*at.place((450, 420), (height, width)))
    at.page.mouse.wheel(0, -1200)
    at.page.mouse.down()  # a dot where one has zoomed to, which is as fine as the image
    at.page.mouse.up()
    at.page.get_by_role("button", name="Whole image").click()
    at.page.keyboard.press("Control+Z")
    assert at.canvas("strokes") == whole
    at.page.keyboard.press("Control+Y")
    at.press("Train")
    at.said("step")
    at.press("Stop")
    at.said("Stopped")
    assert all(", a part" not in words for words in at.words())
    unpacked = at.downloaded(tmp_path / "unpacked")
    assert broken in at.said("3 images are segmented")
    masks = {path.name for path in (unpacked / "vis" / "masks").iterdir()}
    assert masks == {"<i>0.png", "<i>1.png", "<i>2.png"}
    assert read_image(unpacked / "vis" / "masks" / "<i>0.png").shape == (height, width, 1)
    foreground, known = read_mask(unpacked / "strokes" / "<i>1.png")
    yellow, blue = foreground & known, ~foreground & known
    assert yellow.shape == (height, width, 1)
    assert yellow[330:371, 345:556].sum() == yellow.sum() > 15 * 160
    rows, columns, _ = np.nonzero(blue[400:440, 430:470])
    assert 1 <= len(rows) <= 9
    for places in (rows, columns):  # a pixel of the screen is 1.7 of the whole image
        assert abs(places.mean() - 20) <= 2
    assert {path: path.read_bytes() for path in folder.iterdir()} == before  # nothing else


def test_two_hundred_images_are_open_at_once(served, visitor, tmp_path, record_property):
    generator = np.random.default_rng(0)
    for number in range(200):
        write_png(tmp_path / f"{number}.png", generator.integers(0, 256, (512, 512)))
    started = time.monotonic()
    _, url, _ = served(tmp_path)
    there = time.monotonic()
    at = visitor(url)
    record_property("seconds from the command to the address of a page with 200 images of "
                    "512 x 512, and from there to its four pictures",
                    (round(there - started, 1), round(at.opened - there, 1)))
    assert at.words() == ["0.png", "66.png", "133.png", "199.png"]
    for button, name in (("Next", "1.png"), ("Previous", "0.png"), ("Previous", "199.png")):
        at.page.get_by_role("button", name=button).click()
        at.is_there(name)
    at.page.get_by_label("one of 200 images").click()
    at.page.keyboard.press("ControlOrMeta+A")
    at.page.keyboard.type("177")
    at.page.get_by_role("option", name="177.png").click()
    at.page.wait_for_function(
        "document.querySelector('#tiles').innerText.trim().startsWith('177.png')")


@pytest.mark.parametrize(("flags", "sentence"), [
    (["cells", "more"], "own paint: cells more is not one folder of images; name one"),
    (["--masks", "truth"], "own paint: --masks needs the folder of the images; name it too"),
    (["nowhere"], "nowhere cannot be read (No such file or directory)"),
    (["--port", "99999"], "--port 99999 is too large"),
])
def test_a_mistake_is_one_sentence_in_the_shell(tmp_path, flags, sentence):
    done = run(tmp_path, "own", "paint", *flags, "--no-browser")
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_gradio_it_says_what_to_install(tmp_path):
    missing = "raise ModuleNotFoundError(\"No module named 'gradio'\", name='gradio')"
    (tmp_path / "gradio.py").write_text(missing)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}"}
    done = subprocess.run([sys.executable, "-m", "own", "paint"], cwd=tmp_path, env=environment,
                          capture_output=True, text=True)
    assert done.returncode == 2
    assert "the page needs Gradio" in done.stderr


@pytest.mark.parametrize(("bias", "words"), [(9, "all of it"), (-9, "nothing found")])
def test_a_tile_says_that_all_or_nothing_was_found_and_shows_what_should_be(
        tmp_path, bias, words):
    page = pytest.importorskip("own.page", reason="needs Gradio: README.md")
    (image,), (mask,) = create_data(1)
    write_png(tmp_path / "image.png", image)
    write_png(tmp_path / "mask.png", mask * 255)
    settings = OwnSettings(width=0.03125)
    network = untrained_for(settings, [Labelled(image, mask.astype("int8"))])
    output = network.layers[-2]  # before the sigmoid
    output.set_weights([np.zeros_like(output.kernel), np.full(output.bias.shape, bias)])
    tile, said = page.look_at(
        settings, network, tmp_path / "image.png", tmp_path / "mask.png", None, learning=False)
    assert said.endswith(words)
    assert (tile == MISSED).all(axis=-1).any()
