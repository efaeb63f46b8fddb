"""The page: painted with the mouse in a real browser, trained, corrected, and what it leaves."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import psutil
import pytest

from common import metrics
from common.folders import left_in
from common.images import write_png
from data import circle, create_data
from own.images import images_in, read_image, read_mask
from scripts import REPOSITORY, run
from visitors import BLUE, YELLOW, Visitor

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
    """A function that serves a folder, with flags: the process, the page's address, its stderr."""
    processes = []

    def serve(*flags):
        log = tmp_path_factory.mktemp("log") / "stderr.txt"
        line = [sys.executable, "-c", AUDIT, *map(str, flags), "--no-browser"]
        with open(log, "w") as file:
            process = subprocess.Popen(
                line, cwd=tmp_path_factory.mktemp("cwd"), stdout=subprocess.PIPE, stderr=file,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, text=True)
        processes.append(process)
        said = process.stdout.readline()
        assert "http://127.0.0.1:" in said, log.read_text()
        return process, re.search(r"http\S+", said)[0], log

    yield serve
    for process in processes:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


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
    assert "12 images are segmented; least sure of X_" in at.said("segmented")
    painted = images_in(unpacked / "strokes", "--folder")
    assert [path.name for path in painted] == ["X_1.png", "X_8.png"]
    for path, mask in zip(painted, Y[[0, 7]], strict=True):
        foreground, known = read_mask(path)
        assert np.array_equal(foreground[known], mask[known] > 0)
        assert 300 < known.sum() < 0.2 * known.size
    assert left_in(unpacked / "vis") > {"contact_sheet.png", "metrics.csv", "overlays/X_1.png"}
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


def test_large_colour_images_of_16_bits_are_painted_at_full_resolution(served, visitor, tmp_path):
    generator, (height, width) = np.random.default_rng(0), (700, 1000)
    folder = tmp_path / "<b>cells"
    folder.mkdir()
    for number in range(3):
        image = generator.integers(8000, 12000, (height, width, 3), "uint16")
        image[circle((350, 300 + 150 * number), 140, (height, width))] += np.uint16([9000, 0, 4000])
        assert cv2.imwrite(str(folder / f"<i>{number}.tif"), image)
    (folder / "broken.png").write_bytes(b"no image")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    _, url, _ = served(folder)
    at = visitor(url)
    at.press("Train")
    assert "Paint both: yellow over what you look for, and blue" in at.mistake()
    broken = "broken.png is not an image that OpenCV can read"
    assert any(broken in words for words in at.words())
    at.page.locator("#tiles img").nth(3).click()
    assert broken in at.mistake()
    at.choose(1, "<i>1.tif")
    at.take_brush(*YELLOW)
    at.stroke((370, 350), (530, 350), size=(height, width))
    at.take_brush(*BLUE)
    at.stroke((60, 60), (940, 60), (940, 600), size=(height, width))
    at.press("Train")
    at.said("step")
    at.press("Stop")
    at.said("Stopped")
    assert all(", a part" not in words for words in at.words())
    at.press("Segment all images")
    assert "broken.png" in at.mistake()
    write_png(folder / "broken.png", np.zeros((40, 40)))
    unpacked = at.downloaded(tmp_path / "unpacked")
    masks = {path.name for path in (unpacked / "vis" / "masks").iterdir()}
    assert masks == {"broken.png", "<i>0.png", "<i>1.png", "<i>2.png"}
    assert read_image(unpacked / "vis" / "masks" / "<i>0.png").shape == (height, width, 1)
    foreground, known = read_mask(unpacked / "strokes" / "<i>1.png")
    yellow = foreground & known
    assert yellow.shape == (height, width, 1)
    assert yellow[330:371, 345:556].sum() == yellow.sum() > 15 * 160
    (folder / "broken.png").write_bytes(b"no image")
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
