"""The pictures of a test, put together from pixels by OpenCV: they are many, and this is faster than a figure.

Colours are from Okabe and Ito (2008), which readers with any colour vision can tell apart.
"""

import cv2
import numpy as np

from common.images import write_png

# What a pixel of a prediction is, its colour (BGR), and what the legend says of it.
AGREEMENT, MISSED, FALSE_ALARM = (240, 240, 240), (233, 180, 86), (0, 94, 213)
LEGEND = (
    (AGREEMENT, "agreement"),
    (MISSED, "missed: in the ground truth only"),
    (FALSE_ALARM, "false alarm: in the prediction only"),
)
BACKGROUND, CANVAS, TEXT = (0, 0, 0), (48, 48, 48), (235, 235, 235)
MARGIN = 16
OVERVIEW_TILES, OVERVIEW_COLUMNS, TILE = 100, 10, 112


def compare(mask, prediction):
    """Ground truth and prediction, (height, width, 1), as one picture, BGR uint8 (height, width, 3)."""
    mask, prediction = mask[..., 0] > 0, prediction[..., 0] > 0
    picture = np.full((*mask.shape, 3), BACKGROUND, "uint8")
    for pixels, (colour, _) in zip((mask & prediction, mask & ~prediction, prediction & ~mask), LEGEND, strict=True):
        picture[pixels] = colour
    return picture


def put_text(canvas, text, x, y, size=18):
    """Write text on a canvas with its baseline at y; returns the x where it ends."""
    return cv2.putText(canvas, text, (x, y), TEXT, cv2.FontFace("sans"), size, 400)[0][0]


def put_legend(canvas, x, y, size=18):
    """Write the legend of the three colours on one line with its baseline at y."""
    for colour, meaning in LEGEND:
        cv2.rectangle(canvas, (x, y - size + 4), (x + size - 4, y), colour, cv2.FILLED)
        x = put_text(canvas, meaning, x + size + 2, y, size) + size


def test_picture(image, mask, prediction, title, path):
    """Noise image (its brightest pixel white) beside ground truth and prediction, with title and legend.

    image: grey values 0..255; mask, prediction: {0, 1} or bool; all (height, width, 1).
    """
    scale = max(1, round(420 / max(image.shape)))
    image = image * (255 / max(1, image.max()))
    panels = [cv2.resize(panel, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
              for panel in (cv2.cvtColor(image.astype("uint8"), cv2.COLOR_GRAY2BGR), compare(mask, prediction))]
    height, width = panels[0].shape[:2]
    column = max(width, 420)  # room for the legend under narrow images
    canvas = np.full((height + 120, 2 * column + 3 * MARGIN, 3), CANVAS, "uint8")
    put_text(canvas, title, MARGIN, 30, 22)
    for number, (panel, caption) in enumerate(zip(panels, ("noise image", "ground truth and prediction"), strict=True)):
        x = MARGIN + number * (column + MARGIN)
        put_text(canvas, caption, x, 62)
        canvas[72 : 72 + height, x : x + width] = panel
    put_legend(canvas, MARGIN, height + 102)
    write_png(path, canvas)


def overview(masks, predictions, scores, title, path):
    """Contact sheet of all test images from worst to best; above OVERVIEW_TILES images, evenly picked ones.

    masks, predictions: (n, height, width, 1); scores: IoU of each, (n,).
    """
    order = np.argsort(scores, kind="stable")
    if len(order) > OVERVIEW_TILES:
        order = order[np.linspace(0, len(order) - 1, OVERVIEW_TILES).round().astype(int)]
        title += f"; {OVERVIEW_TILES} of {len(scores)} shown"
    scale = TILE / max(masks.shape[1:3])
    height, width = (max(1, round(side * scale)) for side in masks.shape[1:3])
    rows = -(-len(order) // OVERVIEW_COLUMNS)
    pitch = TILE + 12, height + 32
    columns = max(min(len(order), OVERVIEW_COLUMNS), 7)  # the legend needs the room of 7 tiles
    canvas = np.full((100 + rows * pitch[1], columns * pitch[0] + 2 * MARGIN - 12, 3), CANVAS, "uint8")
    put_text(canvas, title, MARGIN, 34, 22)
    put_legend(canvas, MARGIN, 68)
    for place, index in enumerate(order):
        row, column = divmod(place, OVERVIEW_COLUMNS)
        x, y = MARGIN + column * pitch[0], 90 + row * pitch[1]
        tile = cv2.resize(compare(masks[index], predictions[index]), (width, height), interpolation=cv2.INTER_AREA)
        canvas[y : y + height, x : x + width] = tile
        put_text(canvas, f"{index + 1}: IoU {scores[index]:.3f}", x, y + height + 18, 15)
    write_png(path, canvas)
