"""Somebody who looks at the page of own/ in a real browser, for its tests."""

import time
import zipfile

import numpy as np

SECONDS = 400  # a training takes 40 on two cores with AVX-512, and three times as long on others
YELLOW, BLUE = ("yellow", "240, 228, 66"), ("blue", "0, 114, 178")
WAIT_FOR_WORDS = "words => new RegExp(words).test(document.querySelector('#status').innerText)"


class Visitor:
    """Somebody with a browser of his own at the page, who paints with the mouse."""

    def __init__(self, chromium, url):
        self.context = chromium.new_context(viewport={"width": 1280, "height": 1000})
        self.page, self.asked = self.context.new_page(), []
        self.page.set_default_timeout(SECONDS * 1000)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(url)
        self.page.wait_for_function("document.querySelectorAll('#tiles img').length > 0")
        self.opened = time.monotonic()
        self.page.wait_for_timeout(2000)  # the editor draws its image, which nothing tells of

    def take_brush(self, name, rgb):
        """Choose a brush, and wait until the editor has its colour."""
        self.page.get_by_label(name).check()
        self.page.locator(f"button[aria-label=Color][style*='rgb({rgb})']").wait_for()

    def stroke(self, *points, size=(160, 160)):
        """Draw from point to point, (x, y) in pixels of an image of that height and width."""
        box = self.page.locator("#editor canvas").first.bounding_box()
        zoom = float(self.page.locator(".zoom-number").inner_text().strip("%")) / 100
        scale = zoom * 640 / max(size)
        middle = np.array([box["x"] + box["width"] / 2, box["y"] + box["height"] / 2])
        centre = np.array(size[::-1]) / 2
        places = [middle + (np.array(point) - centre) * scale for point in points]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place, steps=2)
        self.page.mouse.up()

    def paint(self, mask, near):
        """A ring in a circle, one about it and lines along the borders.

        near: how near to its outline, as a share of its radius.
        """
        rows, columns = np.nonzero(mask)
        middle, radius = np.array([columns.mean(), rows.mean()]), (mask.sum() / np.pi) ** 0.5
        angles = np.linspace(0, 2 * np.pi, 17)
        ring = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        self.take_brush(*YELLOW)
        self.stroke(*(middle + (1 - near) * ring))
        x, y = middle
        self.stroke((x - 3, y), (x + 3, y))
        self.take_brush(*BLUE)
        outside = middle + (1 + near) * ring
        self.stroke(*(place for place in outside if min(place) > 3 and max(place) < 157))
        self.stroke((5, 5), (155, 5))
        self.stroke((5, 155), (155, 155))

    def press(self, name):
        """Press a button at once: a click waits for a page that moves while a network learns."""
        self.page.get_by_role("button", name=name).dispatch_event("click")

    def said(self, words):
        """Wait until the page says such words; returns all that it says."""
        self.page.wait_for_function(WAIT_FOR_WORDS, arg=words)
        return self.page.locator("#status").inner_text()

    def words(self):
        """What is written on the tiles."""
        labels = self.page.locator("#tiles [data-testid=block-label]").all_inner_texts()
        return [label.strip() for label in labels]

    def pictures(self):
        """The addresses of the pictures on the tiles."""
        images = self.page.locator("#tiles img").all()
        return [image.get_attribute("src") for image in images]

    def choose(self, number, name):
        """Click on a tile, and wait until its image can be painted."""
        self.page.locator("#tiles img").nth(number).click()
        self.page.wait_for_function(
            "name => document.querySelector('#tiles').innerText.trim().startsWith(name)", arg=name)
        self.page.wait_for_timeout(2000)

    def mistake(self):
        """The sentence on a mistake, which is closed."""
        sentence = self.page.locator(".toast-body").inner_text()
        self.page.locator(".toast-close").click()
        self.page.locator(".toast-body").wait_for(state="detached")
        return sentence

    def downloaded(self, folder):
        """Segment all images, and unpack what is offered; returns the folder that it holds."""
        self.press("Segment all images")
        button = self.page.get_by_role("button", name="Download the masks")
        button.wait_for()
        with self.page.expect_download() as download:
            button.click()
        with zipfile.ZipFile(download.value.path()) as archive:
            archive.extractall(folder)
        (unpacked,) = folder.iterdir()
        return unpacked
