"""The page: painted with the mouse in a real browser, headless Chromium, trained, corrected, and what it leaves."""

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
from common.images import images_in, read_image, read_mask, write_png
from data import circle, create_data
from scripts import REPOSITORY, run
from visitors import Visitor

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# tells of every connection that the process of the page opens or looks up
AUDIT = """import runpy, sys
sys.addaudithook(lambda event, arguments: print("CONNECTS", event, arguments[1:] if "connect" in event else arguments,
    file=sys.stderr, flush=True) if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto") else None)
runpy.run_module("paint", run_name="__main__", alter_sys=True)
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
        browser = started.chromium.launch(executable_path=CHROMIUM, args=[
            "--no-sandbox", "--use-angle=swiftshader", "--disable-background-networking"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served(chromium, tmp_path_factory):
    """A function that serves a folder, with flags, and returns the process and the page's address."""
    processes = []

    def serve(*flags):
        log = tmp_path_factory.mktemp("log") / "stderr.txt"
        with open(log, "w") as file:
            processes.append(subprocess.Popen(
                [sys.executable, "-c", AUDIT, *map(str, flags), "--no-browser"], cwd=tmp_path_factory.mktemp("cwd"),
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, stdout=subprocess.PIPE, stderr=file, text=True))
        line = processes[-1].stdout.readline()
        assert "http://127.0.0.1:" in line, log.read_text()
        return processes[-1], re.search(r"http\S+", line)[0], log

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
    for of in visitors:
        of.context.close()


def test_strokes_on_one_circle_find_the_others_and_more_strokes_go_on(circles, visitor, tmp_path, record_property):
    _, url, _ = circles
    at, (_, Y) = visitor(url), create_data(12)
    at.paint(Y[0, ..., 0], near=0.35)
    before = at.tiles()
    assert [words.strip() for words in before[0]] == ["X_1.png", "X_5.png", "X_8.png", "X_12.png"]
    at.press("Train")
    begun, seen, looks = time.monotonic(), {*before[1]}, []
    while not all(re.search(r"IoU (0\.[789]|1)", words) for words in at.tiles()[0]):
        at.page.wait_for_timeout(50)
        if not seen >= {*at.tiles()[1]}:  # the masks have changed
            seen |= {*at.tiles()[1]}
            looks.append(time.monotonic())
    assert re.fullmatch(r"\s*step \d+ of 300, loss \d\.\d+, about \d+ s left", at.said("s left"))
    record_property("seconds from Train to IoU 0.7 on the painted image and on three others",
                    round(time.monotonic() - begun, 1))
    record_property("looks until then, and the longest time between two, seconds",
                    (len(looks), round(float(max(np.diff(looks), default=0)), 1)))
    at.press("Stop")
    steps = int(re.search(r"Stopped after (\d+) steps", at.said("Stopped"))[1])
    assert 0 < steps < 300

    at.page.locator("#tiles img").nth(2).click()  # it does not know yet where a circle ends
    at.page.wait_for_function("document.querySelector('#tiles').innerText.trim().startsWith('X_8.png')")
    at.page.wait_for_timeout(2000)
    at.paint(Y[7, ..., 0], near=0.1)
    at.press("Train")
    assert int(re.search(r"step (\d+) of", at.said(f"of {steps + 300}, "))[1]) > steps
    at.said(f"Ready after {steps + 300} steps")
    there = at.downloaded(tmp_path / "there")
    assert there.name == "circles_painted"
    masks = np.stack([read_image(there / "vis" / "masks" / f"X_{number}.png") > 0 for number in range(1, 13)])
    iou = metrics.iou(Y, masks)
    unseen = np.delete(iou, [0, 7])
    record_property("IoU of the ten images that are not painted, mean and worst",
                    f"{unseen.mean():.3f}, {unseen.min():.3f}")
    assert unseen.mean() >= 0.9
    assert "12 images are segmented; least sure of X_" in at.said("segmented")
    painted = {path.name: read_mask(path) for path in images_in(there / "strokes", "--folder")}
    assert list(painted) == ["X_1.png", "X_8.png"]
    for (strokes, labelled), mask in zip(painted.values(), Y[[0, 7]], strict=True):
        assert np.array_equal(strokes[labelled], mask[labelled] > 0)
        assert 300 < labelled.sum() < 0.2 * labelled.size
    assert left_in(there / "vis") > {"contact_sheet.png", "metrics.csv", "overlays/X_1.png"}
    again = run(tmp_path, "test.py", "--output", str(there / "output"), "--folder", str(there / "vis" / "masks"))
    assert again.returncode == 0, again.stderr  # the network is one of train.py


def test_nothing_is_asked_of_other_hosts_and_no_other_machine_is_let_in(circles, visitor):
    process, url, log = circles  # it has trained and segmented before
    at = visitor(url)
    assert {address for address in at.asked if not address.startswith((url, "data:", "blob:"))} == set()
    here = psutil.Process(process.pid)
    assert {of.laddr.ip for of in here.net_connections() if of.status == "LISTEN"} == {"127.0.0.1"}
    connected = [line for line in log.read_text().splitlines() if line.startswith("CONNECTS")]
    assert [line for line in connected if "127.0.0.1" not in line and "localhost" not in line] == []


def test_files_outside_cannot_be_reached(circles, visitor, tmp_path):
    _, url, _ = circles
    at = visitor(url)
    secret = tmp_path / "secret.png"
    write_png(secret, np.zeros((40, 40)))
    picture = at.tiles()[1][0]
    assert at.context.request.get(picture).status == 200
    own = picture.partition("file=")[2]
    for path in (secret, REPOSITORY / "README.md", "/etc/passwd", f"{own}/../../../../../etc/passwd"):
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
    assert all(": IoU" not in words for words in second.tiles()[0])
    assert "step" in first.said(".")
    first.context.close()
    second.said("step")
    second.press("Stop")
    second.said("Stopped")


def test_large_colour_images_of_16_bits_are_painted_at_full_resolution(served, visitor, tmp_path):
    generator, (height, width) = np.random.default_rng(0), (700, 1000)
    for number in range(3):
        image = generator.integers(8000, 12000, (height, width, 3), "uint16")
        image[circle((350, 300 + 150 * number), 140, (height, width))] += np.array([9000, 0, 4000], "uint16")
        (tmp_path / "<b>cells").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "<b>cells" / f"<i>{number}.tif"), image)
    (tmp_path / "<b>cells" / "broken.png").write_bytes(b"no image")
    before = {path: path.read_bytes() for path in (tmp_path / "<b>cells").iterdir()}
    _, url, _ = served(tmp_path / "<b>cells")
    at = visitor(url)
    at.press("Train")
    assert "Paint both: yellow over what you look for, and blue over everything else" in at.mistake()
    assert any("broken.png is not an image that OpenCV can read" in words for words in at.tiles()[0])
    at.page.locator("#tiles img").nth(3).click()
    assert "broken.png is not an image that OpenCV can read" in at.mistake()
    at.page.locator("#tiles img").nth(1).click()
    at.page.wait_for_timeout(2000)
    at.colour("yellow", "240, 228, 66")
    at.stroke((370, 350), (530, 350), size=(height, width))
    at.colour("blue", "0, 114, 178")
    at.stroke((60, 60), (940, 60), (940, 600), size=(height, width))
    at.press("Train")
    at.said("step")
    at.press("Stop")
    at.said("Stopped")
    assert all(", a part" not in words for words in at.tiles()[0])
    at.press("Segment all images")
    assert "broken.png" in at.mistake()
    write_png(tmp_path / "<b>cells" / "broken.png", np.zeros((40, 40)))
    there = at.downloaded(tmp_path / "there")
    assert {path.name for path in (there / "vis" / "masks").iterdir()} == {
        "broken.png", "<i>0.png", "<i>1.png", "<i>2.png"}
    for number, of in ((0, "vis/masks"), (1, "vis/masks"), (1, "strokes")):
        assert read_image(there / of / f"<i>{number}.png").shape[:2] == (height, width)
    strokes, labelled = read_mask(there / "strokes" / "<i>1.png")
    assert (strokes & labelled)[330:371, 345:556].sum() == (strokes & labelled).sum() > 15 * 160
    (tmp_path / "<b>cells" / "broken.png").write_bytes(b"no image")
    assert {path: path.read_bytes() for path in (tmp_path / "<b>cells").iterdir()} == before  # nothing else was written


def test_two_hundred_images_are_open_at_once(served, visitor, tmp_path, record_property):
    for number in range(200):
        write_png(tmp_path / f"{number}.png", np.random.default_rng(number).integers(0, 256, (512, 512)))
    begun = time.monotonic()
    _, url, _ = served(tmp_path)
    there = time.monotonic()
    at = visitor(url)
    record_property("seconds from the command to the address of a page with 200 images of 512 x 512, and from there to "
                    "its four pictures", (round(there - begun, 1), round(at.opened - there, 1)))
    assert [words.strip() for words in at.tiles()[0]] == ["0.png", "66.png", "133.png", "199.png"]
    at.page.get_by_label("one of 200 images").click()
    at.page.keyboard.press("ControlOrMeta+A")
    at.page.keyboard.type("177")
    at.page.get_by_role("option", name="177.png").click()
    at.page.wait_for_function("document.querySelector('#tiles').innerText.trim().startsWith('177.png')")


@pytest.mark.parametrize(("flags", "sentence"), [
    (["cells", "more"], "paint: cells more is not one folder of images; name one"),
    (["--masks", "truth"], "paint: --masks alone is not one folder of images; name one"),
    (["nowhere"], "nowhere cannot be read (No such file or directory)"),
    (["--port", "99999"], "--port 99999 is too large"),
])
def test_a_mistake_is_one_sentence_in_the_shell(tmp_path, flags, sentence):
    finished = run(tmp_path, "paint", *flags, "--no-browser")
    assert finished.returncode == 2
    assert sentence in finished.stderr
    assert finished.stderr.count("\n") == 1


def test_without_gradio_it_says_what_to_install(tmp_path):
    (tmp_path / "gradio.py").write_text("raise ModuleNotFoundError(\"No module named 'gradio'\", name='gradio')")
    finished = subprocess.run([sys.executable, "-m", "paint"], cwd=tmp_path, capture_output=True, text=True,
                              env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}"})
    assert finished.returncode == 2
    assert "the page needs Gradio" in finished.stderr
