"""Pictures and figures as PNG files."""

import io

import cv2
import numpy as np

from common.files import write_bytes


def write_png(path, image, compression=1):
    """Write an image, grey or BGR, 0..255, (height, width[, channels]).

    compression: 1 is fast, 9 is small. Raises `UserError` if it cannot be written.
    """
    # Noise cannot be predicted from its neighbours: without a filter a picture is written in a
    # third of the time, and is no larger.
    options = [cv2.IMWRITE_PNG_COMPRESSION, compression,
               cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]
    _, content = cv2.imencode(".png", image.astype("uint8"), options)
    write_bytes(path, content.tobytes())


def write_figure(figure, path, colours=None):
    """Write a Matplotlib figure as PNG and forget it; in 256 colours it is a third of the bytes."""
    import matplotlib.pyplot as plt
    from PIL import Image

    content = io.BytesIO()
    figure.savefig(content, format="png")
    plt.close(figure)
    if colours:
        reduced = Image.open(content).convert("RGB").quantize(colours)
        content = io.BytesIO()
        reduced.save(content, "png", optimize=True)
    write_bytes(path, content.getvalue())


def write_grey_figure(figure, path):
    """Write a figure without colours as 8-bit grey: noise does not compress, RGBA is 4 times."""
    import matplotlib.pyplot as plt

    figure.canvas.draw()
    write_png(path, cv2.cvtColor(np.asarray(figure.canvas.buffer_rgba()), cv2.COLOR_RGBA2GRAY))
    plt.close(figure)
