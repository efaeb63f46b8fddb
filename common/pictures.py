"""The pictures of a test, put together from pixels by OpenCV, which is faster than a figure.

Colours are from Okabe and Ito (2008), which readers with any colour vision can tell apart. All
colours are blue, green, red: OpenCV's order.
"""

import cv2
import numpy as np

from common.errors import one_line
from common.images import write_png

AGREEMENT = (90, 90, 90)  # dark, so that the errors are seen
MISSED = (233, 180, 86)
FALSE_ALARM = (0, 94, 213)
LEGEND = (
    (AGREEMENT, "agreement"),
    (MISSED, "missed: in the ground truth only"),
    (FALSE_ALARM, "false alarm: in the prediction only"),
)
BACKGROUND, CANVAS, TEXT = 0, 48, 235  # grey values
MARGIN, GAP = 16, 12  # pixels, as all sizes here
LEAST_WIDTH = 856  # of a sheet: the legend needs it
TILE, OVERVIEW_TILES, OVERVIEW_COLUMNS = 112, 100, 10
WORST, WORST_TILE, WORST_COLUMNS = 12, 160, 3  # of the overview; the others are small
SMALL_TILE, SMALL_COLUMNS = 50, 16
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


def brightened(image):
    """An image, grey values (height, width, 1), with its brightest pixel white, as a picture."""
    grey = image * (255 / max(1, image.max()))
    return cv2.cvtColor(grey.astype("uint8"), cv2.COLOR_GRAY2BGR)


def test_picture(image, mask, prediction, title, path):
    """The noise image beside ground truth and prediction, with title and legend.

    image: grey values 0..255, of which the brightest is drawn white; mask, prediction: {0, 1} or
    bool; all (height, width, 1).
    """
    panels = {
        "noise image": brightened(image),
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


def overview(X, masks, predictions, scores, title, path):
    """Contact sheet of a test: the worst large, each beside its image, the others small.

    X: grey values, masks, predictions: all (n, height, width, 1); scores: IoU of each, (n,).
    """
    order = np.argsort(scores, kind="stable")
    worst, others = order[:WORST], order[WORST:]
    large, small = [], []
    for index in worst:
        image = resized(brightened(X[index]), WORST_TILE, WORST_TILE)
        image &= 0xE0  # noise in 8 greys looks the same, in half the bytes
        seen = compare(masks[index], predictions[index])
        pair = np.hstack([image, resized(seen, WORST_TILE, WORST_TILE)])
        large.append((pair, f"test_{index + 1}.png: IoU {scores[index]:.3f}"))
    words = f"the worst {len(worst)}, each beside its noise image"
    parts = [words, tiled(large, 2 * WORST_TILE, WORST_COLUMNS)]
    if len(others) > 0:
        shown = others[picked(len(others))]
        for index in shown:
            small.append((compare(masks[index], predictions[index]), f"{index + 1}"))
        words = "the others" if len(shown) == len(others) else f"{len(shown)} of the others"
        low, high = scores[others[[0, -1]]]
        parts.append(f"{words}, from IoU {low:.3f} to {high:.3f}, with the number of test_N.png")
        parts.append(tiled(small, SMALL_TILE, SMALL_COLUMNS))
    write_page(title, LEGEND, parts, path)


def sheet(tiles, title, path, legend=(), largest=TILE):
    """A contact sheet; of more than OVERVIEW_TILES tiles evenly picked ones.

    tiles: list of (picture, uint8 (height, width, 3), caption); largest: what their longer side
    becomes, pixels.
    """
    shown = [tiles[index] for index in picked(len(tiles))]
    if len(shown) < len(tiles):
        title += f"; {OVERVIEW_TILES} of {len(tiles)} shown"
    columns = max(1, OVERVIEW_COLUMNS * TILE // largest)
    write_page(title, legend, [tiled(shown, largest, columns)], path)


def tiled(tiles, largest, columns):
    """Tiles as of `sheet` in rows of so many, each above its caption, as one picture."""
    pictures = [resized(picture, largest, largest) for picture, _ in tiles]
    height = max(picture.shape[0] for picture in pictures)
    rows = -(-len(tiles) // columns)
    pitch_x, pitch_y = largest + GAP, height + 32
    size = (rows * pitch_y, min(len(tiles), columns) * pitch_x - GAP, 3)
    canvas = np.full(size, CANVAS, "uint8")
    for place, picture in enumerate(pictures):
        row, column = divmod(place, columns)
        x, y = column * pitch_x, row * pitch_y
        tall, wide = picture.shape[:2]
        canvas[y : y + tall, x : x + wide] = picture
        _, caption = tiles[place]
        put_text(canvas, caption, x, y + height + 18, 15)
    return canvas


def write_page(title, legend, parts, path):
    """Write title, legend and parts, pictures or lines of text, one below the other."""
    top = 90 if legend else 56
    heights = [36 if isinstance(part, str) else part.shape[0] for part in parts]
    widths = [LEAST_WIDTH, *(part.shape[1] for part in parts if not isinstance(part, str))]
    size = (top + sum(heights) + 10, max(widths) + 2 * MARGIN, 3)
    canvas = np.full(size, CANVAS, "uint8")
    put_text(canvas, title, MARGIN, 34, 22)
    put_legend(canvas, MARGIN, 68, legend=legend)
    y = top
    for part, height in zip(parts, heights, strict=True):
        if isinstance(part, str):
            put_text(canvas, part, MARGIN, y + 24)
        else:
            canvas[y : y + height, MARGIN : MARGIN + part.shape[1]] = part
        y += height
    write_png(path, canvas, compression=6)


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
