"""The pictures of a test, put together from pixels by OpenCV: they are many, and this is faster than a figure.

Colours are from Okabe and Ito (2008), which readers with any colour vision can tell apart.
"""

import cv2
import numpy as np

from common import metrics
from common.images import in_8_bits, write_png

# What a pixel of a prediction is, its colour (BGR), and what the legend says of it.
AGREEMENT, MISSED, FALSE_ALARM = (240, 240, 240), (233, 180, 86), (0, 94, 213)
LEGEND = (
    (AGREEMENT, "agreement"),
    (MISSED, "missed: in the ground truth only"),
    (FALSE_ALARM, "false alarm: in the prediction only"),
)
OUTLINES = ((MISSED, "your mask"), (FALSE_ALARM, "the network"))  # of one's own images
BACKGROUND, CANVAS, TEXT = (0, 0, 0), (48, 48, 48), (235, 235, 235)
MARGIN = 16
OVERVIEW_TILES, OVERVIEW_COLUMNS, TILE = 100, 10, 112  # the last in pixels
MIDDLE_TILE, LIVE_TILE, LARGE_TILE = 236, 320, 608  # of one's own images: four, two on a page, or one side by side


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


def put_legend(canvas, x, y, size=18, legend=LEGEND):
    """Write what colours mean on one line with its baseline at y."""
    for colour, meaning in legend:
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
    """Contact sheet of all test images from worst to best.

    masks, predictions: (n, height, width, 1); scores: IoU of each, (n,).
    """
    tiles = [(compare(masks[index], predictions[index]), f"{index + 1}: IoU {scores[index]:.3f}")
             for index in np.argsort(scores, kind="stable")]
    sheet(tiles, title, path, legend=LEGEND)


def sheet(tiles, title, path, legend=(), largest=TILE):
    """A contact sheet; above OVERVIEW_TILES tiles, evenly picked ones.

    tiles: list of (picture, BGR uint8 (height, width, 3), caption); largest: what their longer side becomes, pixels.
    """
    if len(shown_of := picked(len(tiles))) < len(tiles):
        title += f"; {OVERVIEW_TILES} of {len(tiles)} shown"
    tiles = [tiles[index] for index in shown_of]
    tiles = [(fitted(picture, largest, largest), caption) for picture, caption in tiles]
    across = max(1, OVERVIEW_COLUMNS * TILE // largest)
    height, rows = max(picture.shape[0] for picture, _ in tiles), -(-len(tiles) // across)
    pitch, top = (largest + 12, height + 32), 90 if legend else 56
    width = max(min(len(tiles), across) * pitch[0], 7 * (TILE + 12))  # the legend needs the room of 7 tiles
    canvas = np.full((top + 10 + rows * pitch[1], width + 2 * MARGIN - 12, 3), CANVAS, "uint8")
    put_text(canvas, title, MARGIN, 34, 22)
    put_legend(canvas, MARGIN, 68, legend=legend)
    for place, (picture, caption) in enumerate(tiles):
        row, column = divmod(place, across)
        x, y = MARGIN + column * pitch[0], top + row * pitch[1]
        canvas[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
        put_text(canvas, caption, x, y + height + 18, 15)
    write_png(path, canvas)


def picked(count, most=OVERVIEW_TILES):
    """Which of so many images are shown where there is room for `most`: evenly picked."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()


def fitted(picture, height, width):
    """A picture enlarged or reduced to fit into so many pixels, with its proportions."""
    scale = min(height / picture.shape[0], width / picture.shape[1])
    size = [max(1, round(side * scale)) for side in picture.shape[1::-1]]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)


def shown(image):
    """One's own image as one sees it, BGR uint8 (height, width, 3)."""
    return np.ascontiguousarray(np.broadcast_to(in_8_bits(image)[..., ::-1], (*image.shape[:2], 3)))


def outlined(picture, *outlines):
    """A picture, BGR uint8 (height, width, 3), with outlines.

    outlines: pairs of mask, bool (height, width, 1), of any size, and colour, BGR.
    """
    picture, thickness = picture.copy(), max(1, round(max(picture.shape) / 500))
    for mask, colour in outlines:
        mask = cv2.resize(mask.astype("uint8"), picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        lines, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, lines, -1, colour, thickness)
    return picture


def spread(picture, probabilities):
    """A picture, BGR uint8 (height, width, 3), tinted and outlined by probabilities, (height, width, 1) of any size."""
    shares = 0.5 * cv2.resize(np.nan_to_num(probabilities), picture.shape[1::-1])[..., np.newaxis]
    tinted = (1 - shares) * picture + shares * np.float32(FALSE_ALARM)
    return outlined(tinted.astype("uint8"), (metrics.predicted(probabilities), FALSE_ALARM))


def fit(names, labelled, predictions, iou, path):
    """One's own labelled images with the outlines of their masks and of the predictions; of strokes both kinds.

    labelled: pairs of image and mask, (height, width, channels or 1), which is 1 in the foreground and -1 where nothing
    is painted; predictions: bool (height, width, 1); iou: of each of them.
    """
    tiles, strokes = [], False
    for name, (image, mask), prediction, score in zip(names, labelled, predictions, iou, strict=True):
        painted = (mask < 0).any()
        strokes |= painted
        outlines = (mask > 0, MISSED), *([(mask == 0, AGREEMENT)] if painted else []), (prediction, FALSE_ALARM)
        tiles.append((outlined(fitted(shown(image), LARGE_TILE, LARGE_TILE), *outlines),
                      f"{name}: IoU {score:.3f}{' on what is painted' if painted else ''}"))
    legend = OUTLINES[:1] + ((AGREEMENT, "your background"),) * bool(strokes) + OUTLINES[1:]
    sheet(tiles, "what it was trained on", path, legend, LARGE_TILE)
