"""Pictures of one's own images: masks as outlines, probabilities as a tint."""

import cv2
import numpy as np

from common import metrics
from common.pictures import AGREEMENT, FALSE_ALARM, MISSED, resized, sheet
from own.images import in_8_bits

# Colours (BGR) of outlines, and what a legend says of them.
YOUR_MASK = (MISSED, "your mask")
YOUR_BACKGROUND = (AGREEMENT, "your background")
THE_NETWORK = (FALSE_ALARM, "the network")
LARGE_TILE = 608  # pixels: of what was trained on there is one image, or two side by side


def as_seen(image):
    """One's own image as one sees it, BGR uint8 (height, width, 3)."""
    blue_first = in_8_bits(image)[..., ::-1]
    picture = np.broadcast_to(blue_first, (*image.shape[:2], 3))
    return np.ascontiguousarray(picture)


def outlined(picture, *outlines):
    """A picture, BGR uint8 (height, width, 3), with outlines.

    outlines: pairs of mask, bool (height, width, 1), of any size, and colour, BGR.
    """
    picture = picture.copy()
    height, width, _ = picture.shape
    thickness = max(1, round(max(height, width) / 500))
    for mask, colour in outlines:
        mask = mask.astype("uint8")
        mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
        lines, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, lines, -1, colour, thickness)
    return picture


def tinted(picture, probabilities):
    """A picture, BGR uint8 (height, width, 3), tinted and outlined by probabilities of any size."""
    height, width, _ = picture.shape
    shares = cv2.resize(np.nan_to_num(probabilities), (width, height))
    shares = 0.5 * shares[..., np.newaxis]
    mixed = (1 - shares) * picture + shares * np.float32(FALSE_ALARM)
    prediction = metrics.predicted(probabilities)
    return outlined(mixed.astype("uint8"), (prediction, FALSE_ALARM))


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
        if (mask < 0).any():
            outlines.insert(1, (mask == 0, AGREEMENT))
            caption += " on what is painted"
            legend = (YOUR_MASK, YOUR_BACKGROUND, THE_NETWORK)
        picture = resized(as_seen(image), LARGE_TILE, LARGE_TILE)
        picture = outlined(picture, *outlines)
        tiles.append((picture, caption))
    sheet(tiles, "what it was trained on", path, legend, LARGE_TILE)
