"""Somebody who looks at the page of own/ in a real browser, for its tests."""

import time
import zipfile

import numpy as np

SECONDS = 400  # a training takes 40 on two cores with AVX-512, and three times as long on others
WAIT_FOR_WORDS = "words => new RegExp(words).test(document.querySelector('#status')?.innerText)"


class Visitor:
    """Somebody with a browser of his own at the page, who paints with the mouse."""

    def __init__(self, chromium, url):
        self.context = chromium.new_context(viewport={"width": 1280, "height": 1000})
        self.page, self.asked = self.context.new_page(), []
        self.page.set_default_timeout(SECONDS * 1000)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("dialog", lambda dialog: dialog.accept())
        self.page.goto(url)
        self.is_there()
        self.opened = time.monotonic()

    def is_there(self, name=""):
        """Wait until an image, of that name if one is given, can be painted."""
        shown = f"[data-shown='{name}']" if name else "[data-shown]"
        self.page.locator(f"#editor .stage{shown}").wait_for()
        self.page.wait_for_function("document.querySelectorAll('#tiles img').length > 0")

    def take(self, tool):
        """Choose a tool of the editor: yellow, blue, eraser or move."""
        self.page.locator(f"#editor [value={tool}]").check(force=True)

    def place(self, point, size):
        """Where a point (x, y) of an image of that height and width is, if all of it is seen."""
        box = self.page.locator("#editor .stage").bounding_box()
        scale = min(box["width"] / size[1], box["height"] / size[0])
        middle = np.array([box["x"] + box["width"] / 2, box["y"] + box["height"] / 2])
        return middle + (np.array(point) - np.array(size[::-1]) / 2) * scale

    def stroke(self, *points, size=(160, 160)):
        """Draw from point to point, (x, y) in pixels of an image of that height and width."""
        places = [self.place(point, size) for point in points]
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
        self.take("yellow")
        self.stroke(*(middle + (1 - near) * ring))
        x, y = middle
        self.stroke((x - 3, y), (x + 3, y))
        self.take("blue")
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
        self.is_there(name)

    def mistake(self, words):
        """Wait until the page says that something is wrong, in such words."""
        self.page.locator("#status .mistake").get_by_text(words).wait_for()

    def canvas(self, kind):
        """What is drawn of the "picture" or the "strokes", as text that differs if it does."""
        return self.page.locator(f"canvas.{kind}").evaluate("canvas => canvas.toDataURL()")

    def amount(self):
        """What is said of the strokes."""
        return self.page.locator("#editor .amount").inner_text()

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
