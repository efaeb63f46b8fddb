"""Somebody who looks at the page of paint/ in a real browser, for its tests."""

import time
import zipfile

import numpy as np

SECONDS = 400  # a training takes 40 on two cores with AVX-512, and three times as long on others


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
        self.page.wait_for_timeout(2000)  # the editor draws its image, of which nothing on the page tells

    def colour(self, name, rgb):
        self.page.get_by_label(name).check()
        self.page.locator(f"button[aria-label=Color][style*='rgb({rgb})']").wait_for()

    def stroke(self, *points, size=(160, 160)):
        """Draw from point to point, (x, y) in pixels of an image of that height and width."""
        box = self.page.locator("#editor canvas").first.bounding_box()
        zoom = float(self.page.locator(".zoom-number").inner_text().strip("%")) / 100 * 640 / max(size)
        middle = np.array([box["x"] + box["width"] / 2, box["y"] + box["height"] / 2])
        places = [middle + (np.array(point) - (np.array(size[::-1])) / 2) * zoom for point in points]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place, steps=2)
        self.page.mouse.up()

    def paint(self, mask, near):
        """A ring in a circle, one about it and lines along the borders; near: how near to its outline."""
        rows, columns = np.nonzero(mask)
        x, y, radius = columns.mean(), rows.mean(), (mask.sum() / np.pi) ** 0.5
        turn = [np.array([np.cos(angle), np.sin(angle)]) for angle in np.linspace(0, 2 * np.pi, 17)]
        self.colour("yellow", "240, 228, 66")
        self.stroke(*((x, y) + (1 - near) * radius * way for way in turn))
        self.stroke((x - 3, y), (x + 3, y))
        self.colour("blue", "0, 114, 178")
        around = [(x, y) + (1 + near) * radius * way for way in turn]
        self.stroke(*(place for place in around if (place > 3).all() and (place < 157).all()))
        self.stroke((5, 5), (155, 5))
        self.stroke((5, 155), (155, 155))

    def press(self, name):
        self.page.get_by_role("button", name=name).click()

    def said(self, words):
        """Wait until the page says such words; returns all that it says."""
        self.page.wait_for_function("words => new RegExp(words).test(document.querySelector('#status').innerText)",
                                    arg=words)
        return self.page.locator("#status").inner_text()

    def tiles(self):
        """What is written on the tiles, and which pictures they are."""
        return (self.page.locator("#tiles [data-testid=block-label]").all_inner_texts(),
                [picture.get_attribute("src") for picture in self.page.locator("#tiles img").all()])

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
        (there,) = folder.iterdir()
        return there
