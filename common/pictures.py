"""The pictures of a test, put together from pixels by OpenCV, which is faster than a figure.

Colours are from Okabe and Ito (2008), which readers with any colour vision can tell apart. All
colours are blue, green, red: OpenCV's order.
"""

import cv2
import numpy as np

from common.errors import one_line
from common.images import write_png

AGREEMENT = (240, 240, 240)
MISSED = (233, 180, 86)
FALSE_ALARM = (0, 94, 213)
LEGEND = (
    (AGREEMENT, "agreement"),
    (MISSED, "missed: in the ground truth only"),
    (FALSE_ALARM, "false alarm: in the prediction only"),
)
BACKGROUND, CANVAS, TEXT = 0, 48, 235  # grey values
MARGIN = 16  # pixels, as all sizes here
TILE, OVERVIEW_TILES, OVERVIEW_COLUMNS = 112, 100, 10
PANEL = 420  # the least width of a panel of a test picture: the legend needs it


def compare(mask, prediction):
    """Ground truth and prediction, (height, width, 1), as one picture, uint8 (height, width, 3)."""
    mask, prediction = mask[..., 0] > 0, prediction[..., 0] > 0
    picture = np.full((*mask.shape, 3), BACKGROUND, "uint8")
    picture[mask & prediction] = AGREEMENT
    picture[mask & ~prediction] = MISSED
    picture[prediction & ~mask] = FALSE_ALARM
    return picture


def put_text(canvas, text, x, y, size=18):
    """Write text on a canvas with its baseline at y; returns the x where it ends."""
    colour, font = (TEXT, TEXT, TEXT), cv2.FontFace("sans")
    text = one_line(text)  # OpenCV crashes where a file's name is not UTF-8
    end, *_ = cv2.putText(canvas, text, (x, y), colour, font, size, 400)
    return end[0]


def put_legend(canvas, x, y, size=18, legend=LEGEND):
    """Write what colours mean on one line with its baseline at y."""
    for colour, meaning in legend:
        corner, opposite = (x, y - size + 4), (x + size - 4, y)
        cv2.rectangle(canvas, corner, opposite, colour, cv2.FILLED)
        x = put_text(canvas, meaning, x + size + 2, y, size) + size


def test_picture(image, mask, prediction, title, path):
    """The noise image beside ground truth and prediction, with title and legend.

    image: grey values 0..255, of which the brightest is drawn white; mask, prediction: {0, 1} or
    bool; all (height, width, 1).
    """
    brightened = image * (255 / max(1, image.max()))
    panels = {
        "noise image": cv2.cvtColor(brightened.astype("uint8"), cv2.COLOR_GRAY2BGR),
        "ground truth and prediction": compare(mask, prediction),
    }
    scale = max(1, round(PANEL / max(image.shape)))
    height, width = scale * image.shape[0], scale * image.shape[1]
    pitch = max(width, PANEL) + MARGIN
    canvas = np.full((height + 120, 2 * pitch + MARGIN, 3), CANVAS, "uint8")
    put_text(canvas, title, MARGIN, 30, 22)
    x = MARGIN
    for caption, panel in panels.items():
        put_text(canvas, caption, x, 62)
        enlarged = cv2.resize(panel, (width, height), interpolation=cv2.INTER_NEAREST)
        canvas[72 : 72 + height, x : x + width] = enlarged
        x += pitch
    put_legend(canvas, MARGIN, height + 102)
    write_png(path, canvas)


def overview(masks, predictions, scores, title, path):
    """Contact sheet of all test images from worst to best.

    masks, predictions: (n, height, width, 1); scores: IoU of each, (n,).
    """
    tiles = []
    for index in np.argsort(scores, kind="stable"):
        caption = f"{index + 1}: IoU {scores[index]:.3f}"
        tiles.append((compare(masks[index], predictions[index]), caption))
    sheet(tiles, title, path, legend=LEGEND)


def sheet(tiles, title, path, legend=(), largest=TILE):
    """A contact sheet; of more than OVERVIEW_TILES tiles evenly picked ones.

    tiles: list of (picture, uint8 (height, width, 3), caption); largest: what their longer side
    becomes, pixels.
    """
    shown = picked(len(tiles))
    if len(shown) < len(tiles):
        title += f"; {OVERVIEW_TILES} of {len(tiles)} shown"
    pictures = [resized(tiles[index][0], largest, largest) for index in shown]
    height = max(picture.shape[0] for picture in pictures)
    columns = max(1, OVERVIEW_COLUMNS * TILE // largest)
    rows = -(-len(shown) // columns)
    pitch_x, pitch_y, top = largest + 12, height + 32, 90 if legend else 56
    width = max(min(len(shown), columns) * pitch_x, 7 * (TILE + 12))  # room for the legend
    size = (top + 10 + rows * pitch_y, width + 2 * MARGIN - 12, 3)
    canvas = np.full(size, CANVAS, "uint8")
    put_text(canvas, title, MARGIN, 34, 22)
    put_legend(canvas, MARGIN, 68, legend=legend)
    for place, (index, picture) in enumerate(zip(shown, pictures, strict=True)):
        row, column = divmod(place, columns)
        x, y = MARGIN + column * pitch_x, top + row * pitch_y
        tall, wide = picture.shape[:2]
        canvas[y : y + tall, x : x + wide] = picture
        _, caption = tiles[index]
        put_text(canvas, caption, x, y + height + 18, 15)
    write_png(path, canvas)


def picked(count, most=OVERVIEW_TILES):
    """The indices of those that are shown where there is room for `most`: evenly picked."""
    places = np.linspace(0, count - 1, min(count, most))
    return places.round().astype(int).tolist()


def resized(picture, height, width):
    """A picture enlarged or reduced to fit into so many pixels, with its proportions."""
    tall, wide = picture.shape[:2]
    scale = min(height / tall, width / wide)
    size = max(1, round(wide * scale)), max(1, round(tall * scale))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    return cv2.resize(picture, size, interpolation=interpolation)
