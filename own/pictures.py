"""Pictures of one's own images: masks as outlines, probabilities as a tint."""

import cv2
import numpy as np

from common import metrics
from common.pictures import FALSE_ALARM, MISSED, resized, sheet
from own.images import in_8_bits
from own.scale import is_painted

# Colours (BGR) of outlines, and what a legend says of them.
BACKGROUND = (240, 240, 240)
YOUR_MASK = (MISSED, "your mask")
YOUR_BACKGROUND = (BACKGROUND, "your background")
THE_NETWORK = (FALSE_ALARM, "the network")
# Outlines have an edge: where an image has the colour of the line, the edge is seen. It is light
# about what the network found, and dark about what was given.
LIGHT, DARK = (255, 255, 255), (0, 0, 0)
LARGE_TILE = 608  # pixels: of what was trained on there is one image, or two side by side


def as_seen(image):
    """One's own image as one sees it, BGR uint8 (height, width, 3)."""
    blue_first = in_8_bits(image)[..., ::-1]
    picture = np.broadcast_to(blue_first, (*image.shape[:2], 3))
    return np.ascontiguousarray(picture)


def encoded(picture):
    """A picture, BGR uint8 (height, width, 3), as the bytes of a JPEG that looks the same."""
    _, content = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, 95))
    return content.tobytes()


def outlined(picture, *outlines):
    """A picture, BGR uint8 (height, width, 3), with outlines around masks, each with its edge.

    outlines: pairs of mask, bool (height, width, 1), of any size, and colour, BGR; where two meet
    the later one is seen. What the masks cover stays to be seen.
    """
    picture = picture.copy()
    height, width, _ = picture.shape
    thickness = max(1, round(max(height, width) / 350))
    for mask, colour in outlines:
        mask = mask.astype("uint8")
        mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
        frame = np.zeros_like(mask)  # where what reaches the border is outlined
        frame[thickness:-thickness, thickness:-thickness] = 1
        mask &= frame
        line, edge = (widened(mask, thickness * times) > mask for times in (1, 2))
        picture[edge] = LIGHT if colour == FALSE_ALARM else DARK
        picture[line] = colour
    return picture


def widened(mask, pixels):
    """A mask, uint8 (height, width), grown by so many pixels on all sides."""
    side = 2 * pixels + 1
    return cv2.dilate(mask, np.ones((side, side), "uint8"))


def tinted(picture, probabilities, mask=None):
    """A picture, BGR uint8 (height, width, 3), tinted and outlined by probabilities of any size.

    mask: bool (height, width, 1), of any size, is outlined too.
    """
    height, width, _ = picture.shape
    shares = cv2.resize(np.nan_to_num(probabilities), (width, height))
    shares = 0.4 * shares[..., np.newaxis]
    mixed = (1 - shares) * picture + shares * np.float32(FALSE_ALARM)
    outlines = [(metrics.predicted(probabilities), FALSE_ALARM)]
    if mask is not None:
        outlines.insert(0, (mask, MISSED))
    return outlined(mixed.astype("uint8"), *outlines)


def draw_fit(names, labelled, predictions, iou, path):
    """Write what was trained on, with the outlines of the masks and of the predictions.

    names: of the images; labelled: list of `Labelled`; predictions: bool (height, width, 1) of
    each; iou: of each. Of strokes, those on the background are outlined too.
    """
    tiles, legend = [], (YOUR_MASK, THE_NETWORK)
    rows = zip(names, labelled, predictions, iou, strict=True)
    for name, (image, mask), prediction, score in rows:
        outlines = [(mask > 0, MISSED), (prediction, FALSE_ALARM)]
        caption = f"{name}: IoU {score:.3f}"
        if is_painted(mask >= 0):
            outlines.insert(1, (mask == 0, BACKGROUND))
            caption += " on what is painted"
            legend = (YOUR_MASK, YOUR_BACKGROUND, THE_NETWORK)
        picture = resized(as_seen(image), LARGE_TILE, LARGE_TILE)
        picture = outlined(picture, *outlines)
        tiles.append((picture, caption))
    sheet(tiles, "what it was trained on", path, legend, LARGE_TILE)
