"""The editor of the page: an image, and strokes on it, of which the browser keeps the list.

What it shows is `editor.html`, what it does `editor.js`. Of the server it gets `shown`, what to
paint: a dict of the name, height and width of an image and the address of a picture of it. It gives
text, which `read` takes; its event is `start_over`.
"""

import json
from pathlib import Path

import cv2
import gradio as gr
import numpy as np

# RGBA, by the tool: light strokes are foreground, dark ones background (`images.read_mask`).
COLOURS = {"yellow": (240, 228, 66, 255), "blue": (0, 114, 178, 255), "eraser": (0, 0, 0, 0)}
# Gives that text when the page has been loaded: Gradio asks for it before the editor is there.
OPENED = """async () => {
    while (!window.painted) await new Promise(resolve => setTimeout(resolve, 20))
    return [window.painted()]
}"""
NOTHING = {"name": "", "height": 1, "width": 1, "url": ""}
SHIFT = 4  # bits of a pixel by which OpenCV takes places between pixels


def editor(folder):
    """The component. folder: a text; strokes on images of another one are not shown in it."""
    html, script = (Path(__file__).with_name(f"editor.{kind}").read_text(encoding="utf-8")
                    for kind in ("html", "js"))
    return gr.HTML(
        "", html_template=html, js_on_load=script, apply_default_css=False, elem_id="editor",
        folder=folder, shown=NOTHING)


def read(value):
    """What the editor gives: the name of the browser's tab, and {name of an image: what is on it}.

    On an image is a dict of its height and width, and of its strokes, which `draw` takes.
    """
    value = json.loads(value)
    images = {name: image for name, image in value["images"].items() if image["strokes"]}
    return value["tab"], images


def draw(strokes, height, width):
    """Strokes on an image of that size: RGBA uint8 (height, width, 4)."""
    layer = np.zeros((height, width, 4), "uint8")
    for stroke in strokes:
        # OpenCV counts from the middle of a pixel, a browser from its corner.
        points = (np.array(stroke["points"]) - 0.5) * 2**SHIFT
        if len(points) == 1:
            points = np.repeat(points, 2, axis=0)
        # OpenCV draws a line of an even thickness one pixel wider, and of an odd one two.
        thickness = 2 * int((stroke["width"] - 1) / 2) or 1
        cv2.polylines(layer, [points.round().astype("int32")], False, COLOURS[stroke["tool"]],
                      thickness, cv2.LINE_8, SHIFT)
    return layer
