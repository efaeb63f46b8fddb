"""What the network sees: noise images with one shape in each, and their masks.

In memory: images X are float32 (n, height, width, 1) in grey values 0..255, masks Y are float32
(n, height, width, 1) in {0, 1}. On disk: 8-bit grey PNGs X_1.png, Y_1.png, ..., masks 0 or 255.
Run as a script, it shows what the data looks like (vis/data.png).
"""

import dataclasses
from pathlib import Path

import numpy as np

from common import labels
from common.command_line import fields_of, parse
from common.errors import run_script
from common.files import check_folder
from common.images import write_png
from common.settings import Settings

# Each purpose has a random stream of its own: no validation image can equal a training image.
STREAMS = ("train", "validation", "test", "augmentation", "labels", "supervision")


def create_data(n, settings=Settings(), stream="train"):
    """Synthesise n samples from one of STREAMS; the first k are the same whatever n is.

    Returns X, float32 (n, height, width, 1) in 0..255, and Y, the same shape, in {0, 1}.
    """
    generator = random_stream(settings.seed, stream)
    samples = [draw_sample(generator, settings) for _ in range(n)]
    images, masks = zip(*samples, strict=True)
    X = np.stack(images)[..., np.newaxis]
    Y = np.stack(masks)[..., np.newaxis]
    return X.astype("float32"), Y.astype("float32")


def random_stream(seed, stream):
    """The random generator of one of STREAMS, always the same for the same seed."""
    generators = np.random.default_rng(seed).spawn(len(STREAMS))
    return generators[STREAMS.index(stream)]


def draw_sample(generator, settings):
    """One image, integer (height, width), and its mask, bool (height, width)."""
    noise = generator.integers(settings.noise, size=settings.size)
    if settings.task == "larger":  # two shapes, of which the larger is to be marked
        mask, smaller = labels.draw_two(lambda: draw_mask(generator, settings))
        return fill(generator, noise, mask | smaller, settings), mask
    mask = draw_mask(generator, settings)
    return fill(generator, noise, mask, settings), mask


def fill(generator, noise, mask, settings):
    """Fill a shape in noise: grey values and mask, both (height, width)."""
    if settings.fill == "constant":
        return np.where(mask, settings.level, noise)
    return noise + mask * generator.integers(settings.noise, size=mask.shape)


def draw_mask(generator, settings):
    """The mask of a circle or rectangle, bool (height, width).

    Radii and sides are uniform on the settings' range, and the centre is uniform over all places
    where the whole shape fits; --placement changes that for circles.
    """
    draw = {"circle": draw_circle, "rectangle": draw_rectangle}[settings.shape]
    return draw(generator, settings)


def draw_circle(generator, settings):
    """The mask of a circle, bool (height, width). A radius of r spans 2r + 1 pixels."""
    low, high = settings.radius
    radius = generator.integers(low, high + 1)
    margin = 2 * radius if settings.placement == "central" else radius
    centre = [generator.integers(margin, side - margin) for side in settings.size]
    return circle(centre, radius, settings.size)


def circle(centre, radius, size):
    """The mask of a circle, bool (height, width); all in pixels. It may lie partly outside."""
    height, width = size
    rows, columns = np.ogrid[:height, :width]
    distance = np.hypot(rows - centre[0], columns - centre[1])
    return distance <= radius + 0.5


def draw_rectangle(generator, settings):
    """The mask of a rectangle, bool (height, width), with sides from --side, or from --radius."""
    height, width = settings.size
    if settings.side == (0, 0):
        low, high = settings.radius
        radii = generator.integers(low, high + 1, size=2)  # half of either side
        half_height, half_width = radii
        row = generator.integers(half_height, height - half_height)
        column = generator.integers(half_width, width - half_width)
        top, left = row - half_height, column - half_width
        sides = 2 * radii + 1
    else:
        low, high = settings.side
        sides = generator.integers(low, high + 1, size=2)
        room = np.array(settings.size) - sides
        top, left = generator.integers(room + 1)
    mask = np.zeros(settings.size, bool)
    mask[top : top + sides[0], left : left + sides[1]] = True
    return mask


def training_masks(Y, settings):
    """The masks that the training goes by: the true ones Y, unless the study asks for others.

    Returns two arrays like Y: the masks to score by, and the same for the loss, which holds -1 at
    the pixels that the loss passes over. Raises `UserError` if a moved shape finds no room.
    """
    if settings.labels == "moved":
        generator = random_stream(settings.seed, "labels")
        Y = labels.moved(Y, lambda: draw_mask(generator, settings))
    elif settings.labels == "random":
        Y = labels.shuffled(Y, random_stream(settings.seed, "labels"))
    targets = Y
    if settings.supervised_pixels:
        generator = random_stream(settings.seed, "supervision")
        targets = labels.hidden(Y, generator, settings)
    return Y, targets


def augment(generator, image, mask):
    """Flip a sample, turn it by quarters and shift it at random: two arrays (height, width, 1).

    Every pixel stays with its label, and none is added or lost: what leaves at one border enters at
    the other. No shift cuts the foreground in two. An image that is not square is turned by halves,
    so that it keeps its size.
    """
    square = image.shape[0] == image.shape[1]
    turns = generator.integers(4) if square else 2 * generator.integers(2)
    mirror = -1 if generator.integers(2) else 1
    image = np.rot90(image, turns)[:, ::mirror]
    mask = np.rot90(mask, turns)[:, ::mirror]
    shift = []
    for axis, side in enumerate(mask.shape[:2]):
        occupied = (mask > 0).any(axis=(1 - axis, 2))
        places = np.flatnonzero(occupied)
        first, last = side - 1, 0  # of an empty mask: any shift is good
        if occupied.any():
            first, last = places[[0, -1]]
        shift.append(generator.integers(-first, side - last))
    image = np.roll(image, shift, axis=(0, 1))
    mask = np.roll(mask, shift, axis=(0, 1))
    return image, mask


def data_files(folder, n):
    """The names of the files that `write_data` writes of n samples."""
    names = []
    for number in range(1, n + 1):
        names += [f"{folder}/X_{number}.png", f"{folder}/Y_{number}.png"]
    return names


def write_data(X, Y, folder):
    """Write X_1.png, Y_1.png, ... into a folder. Raises `UserError` if a file cannot be written.

    X: grey values 0..255, Y: {0, 1}, both (n, height, width, 1).
    """
    for n in range(len(X)):
        write_png(Path(folder, f"X_{n + 1}.png"), X[n])
        write_png(Path(folder, f"Y_{n + 1}.png"), Y[n] * 255)


def main():
    from common import plots  # Matplotlib starts slowly: --help and mistakes do not need it

    fields = fields_of("seed", "vis")
    settings = Settings(**parse("Show what the data looks like, in vis/data.png.", fields))
    check_folder(settings.vis, "--vis")
    samples = []
    for shape in ("circle", "rectangle"):
        for filling in ("noise", "constant"):
            kind = dataclasses.replace(settings, shape=shape, fill=filling)
            X, Y = create_data(4, kind)
            title = f"{shape}, {filling} fill"
            samples.append((title, X[-1], Y[-1]))
    path = Path(settings.vis, "data.png")
    plots.samples(samples, path)
    print(f"look at {path}")


if __name__ == "__main__":
    run_script(main)
