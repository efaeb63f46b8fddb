"""Every setting of a training and of a test, once: its default, its unit, its range, and why.

Command-line flags, output/settings.json and the columns of a study's CSV are made from the dataclass below, so a new
setting is one new field. Nothing here imports Keras: --help and mistakes answer at once.
"""

import dataclasses
import json

from common.checks import LARGEST_SIDE, SMALLEST_SIDE, as_flag, check_image, check_own, check_training, check_values
from common.errors import UserError
from common.files import read_file, write_bytes

# What --recipe stands for, where it differs from the defaults below. docs/2017.md: the experiment as it was published.
RECIPES = {
    "default": {},
    "2017": dict(placement="central", side=(15, 39), initial_weights="2017", loss="dice", dice_smoothing=1.0,
                 optimizer="sgd", learning_rate=0.001, schedule="constant", clip_norm=0.0, output_bias="zero",
                 bias_rate=1.0, steps=2000),
    # what --image means where no other is named; docs/real.md
    "own": dict(loss="both", learning_rate=0.001, clip_norm=1.0, bias_rate=1.0, width=0.5, steps=2000),
    # what a press of Train on the page of paint/ does: few steps, soon at the full rate; crops smaller than the
    # experiment's images lie each time another way on the grid of the pooling
    "paint": dict(loss="both", learning_rate=0.002, clip_norm=1.0, bias_rate=1.0, width=0.5, steps=300, warm_up=0.05,
                  crop=128),
}


def setting(default, group, help, *, metavar=None, choices=None, least=None, most=None):
    """A field of a dataclass of settings: default, who reads it, one line with its unit, and the values allowed."""
    metadata = dict(group=group, help=help, metavar=metavar, choices=choices, least=least, most=most)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Settings:
    """All settings of a run. Impossible values raise `UserError`, which names the flag and what it allows."""

    # One seed gives everything: training image, validation images, test images, initial weights.
    seed: int = setting(0, "run", "all random draws follow from this number", least=0, most=2**32 - 1)
    output: str = setting(
        "output", "run", "folder for what is left: network, records, study/, bench.csv", metavar="FOLDER")

    # The images, as in the 2017 experiment.
    size: tuple[int, int] = setting(
        (160, 160), "data", "height and width of an image, pixels", metavar=("H", "W"), least=SMALLEST_SIDE,
        most=LARGEST_SIDE)
    shape: str = setting("circle", "data", "what hides in the noise", choices=("circle", "rectangle"))
    fill: str = setting(
        "noise", "data", "inside the shape: 'noise' adds a second draw of the noise, 'constant' is the one grey "
        "value --level", choices=("noise", "constant"))
    radius: tuple[int, int] = setting(
        (15, 39), "data", "smallest and largest radius, or half side of a rectangle, pixels",
        metavar=("LO", "HI"), least=1)
    side: tuple[int, int] = setting(
        (0, 0), "data", "smallest and largest side of a rectangle, pixels, in place of --radius; 0 0 leaves it to that",
        metavar=("LO", "HI"), least=0)
    strength: float = setting(
        1.0, "data", "how many times as strong the noise is that 'noise' adds inside; 0 leaves nothing to see",
        metavar="FACTOR", least=0, most=127)
    placement: str = setting(
        "anywhere", "data", "where a circle lies: anywhere that it fits, with its centre a diameter or more from every "
        "border, as in 2017, or touching one border", choices=("anywhere", "central", "border"))
    task: str = setting(
        "shape", "data", "what the mask is: the one shape, or of two the larger", choices=("shape", "larger"))
    # 40 is the mean of the noise 0..79, 39.5, rounded: not brightness, but one value and its flatness tell the fill.
    level: int = setting(40, "data", "grey value of the constant fill", metavar="GREY", least=0, most=255)
    noise: int = setting(
        80, "data", "the noise is uniform on the grey values 0 to GREYS-1", metavar="GREYS", least=2, most=256)

    # One sample is the experiment; more are there to compare with.
    samples: int = setting(1, "training", "images to train on, one a step, in turn", metavar="N", least=1)
    augment: bool = setting(False, "training", "flip, turn and shift the sample at random at every step")
    labels: str = setting(
        "true", "training", "the mask to train on: the true one, that of another shape where there is none, or as many "
        "pixels at random", choices=("true", "moved", "random"))
    supervised_pixels: int = setting(
        0, "training", "pixels of each sample, drawn at random once, that the loss sees; 0 is all", metavar="N",
        least=0)
    supervised_window: int = setting(
        0, "training", "side of the one window of each sample, placed at random once, that the loss sees; 0 is all",
        metavar="PIXELS", least=0)
    validation: int = setting(
        100, "training", "validation images; they never steer. No more of the training images are scored at the end",
        metavar="N", least=1)
    network: str = setting(
        "unet", "training", "what is trained; all but 'dense' are convolutional, and 'pixel' sees one pixel at a time",
        choices=("unet", "unet-without-skips", "convolutions", "pixel", "dense"))
    depth: int = setting(
        12, "training", "how many convolutions 'convolutions' has", metavar="LAYERS", least=1, most=100)
    padding: str = setting(
        "zero", "training", "what a convolution finds beyond the border; 'mean' is that of each feature map",
        choices=("zero", "mean", "reflect", "circular"))
    padding_levels: tuple[int, int] = setting(
        (1, 6), "training", "first and last level of the U-Net with that --padding, 1 at full size, 6 the bottom; the "
        "others have zeros", metavar=("FROM", "TO"), least=1, most=6)
    width: float = setting(
        1.0, "training", "factor on the filters of every level; 1 is 13,360,593 parameters", metavar="FACTOR",
        least=1 / 32, most=4)
    initial_weights: str = setting(
        "he-normal", "training", "'he-normal', the last layer Glorot-uniform, or '2017': He-normal as Keras 2.0.4 drew "
        "it, in every layer, kernels 0.88 times as large", choices=("he-normal", "2017"))
    weights_seed: int = setting(
        -1, "training", "initial weights follow from this number, the images still from --seed; -1 leaves both to that",
        metavar="SEED", least=-1, most=2**32 - 1)
    precision: str = setting(
        "float32", "training", "numbers to compute with; the weights stay float32",
        choices=("float32", "mixed_bfloat16", "mixed_float16"))
    # With noise fill validation IoU is 0.95 after 15 to 25 steps (docs/bench.csv); the others bring the rate down to 0.
    steps: int = setting(80, "training", "optimiser updates, one image each", metavar="N", least=1)
    loss: str = setting(
        "cross-entropy", "training", "what is minimised; 'both' is cross-entropy plus Dice",
        choices=("cross-entropy", "dice", "both"))
    dice_smoothing: float = setting(
        0.0, "training", "pixels added to numerator and denominator of Dice", metavar="PIXELS", least=0, most=1e6)
    # Why these: docs/recipe.md.
    label_smoothing: float = setting(
        0.05, "training", "how far cross-entropy draws the mask's 0 and 1 together", metavar="SHARE", least=0, most=0.9)
    optimizer: str = setting("adam", "training", "how it is minimised", choices=("adam", "sgd"))
    learning_rate: float = setting(2e-3, "training", "peak learning rate", metavar="RATE", least=1e-12, most=1e3)
    schedule: str = setting(
        "cosine", "training", "'cosine' warms up over --warm-up, then falls to 0 by the last step; 'constant' "
        "stays at the peak", choices=("cosine", "constant"))
    # Adam starts gently, while its averages rest on few gradients.
    warm_up: float = setting(
        0.2, "training", "share of the steps over which 'cosine' warms up", metavar="SHARE", least=0, most=0.9)
    clip_norm: float = setting(
        0.1, "training", "largest norm of the whole gradient, longer ones are scaled down; 0 is no limit",
        metavar="NORM", least=0, most=1e12)
    # A small circle is learned better from its share; biases as slow as the kernels then do worse on constant fill.
    output_bias: str = setting(
        "share", "training", "where the output starts: at 0, which is a probability of one half, or at the "
        "foreground's share of the sample", choices=("zero", "share"))
    bias_rate: float = setting(
        10.0, "training", "learning rate of the biases, as a multiple of the kernels'", metavar="FACTOR", least=0,
        most=1e4)
    deep_rate: float = setting(
        1.0, "training", "learning rate of the levels 3 to 5 and the bottom, as a multiple of the others'",
        metavar="FACTOR", least=0, most=1e4)
    evaluations: int = setting(
        12, "training", "times the network is scored after step 0, denser early than late", metavar="N", least=1,
        most=100_000)
    watch: int = setting(
        3, "training", "validation images scored along the way; all are at the end", metavar="N", least=1)

    # One's own images. A step sees a crop of one of them, turned by quarters and flipped. docs/real.md.
    image: tuple[str, ...] = setting(
        (), "own", "your own image to train on, or several, in place of circles in noise", metavar="FILE")
    mask: tuple[str, ...] = setting(
        (), "own", "the mask of each image, in the same order: two values, or strokes", metavar="FILE")
    crop: int = setting(
        160, "own", "side of the crops, pixels", metavar="PIXELS", least=SMALLEST_SIDE, most=1024)
    contrast: float = setting(
        1.4, "own", "their contrast is changed by up to this factor, as photographs differ", metavar="FACTOR", least=1,
        most=10)
    brightness: float = setting(
        0.25, "own", "how far their brightness is moved, in standard deviations of the image's grey values",
        metavar="SHARE", least=0, most=10)
    tint: float = setting(
        0.1, "own", "the same of each colour by itself", metavar="SHARE", least=0, most=10)

    match: bool = setting(
        True, "own", "bring each image to the median grey values that the network was trained on, and nearly to "
        "their deviation, for exposures differ; one that is near may stay as it is")

    checkpoint: float = setting(
        60.0, "train", "every so many seconds a training is kept, to go on from there if it is interrupted; 0 is never",
        metavar="SECONDS", least=0)
    resume: bool = setting(False, "train", "go on with the training that was interrupted in --output")

    vis: str = setting("vis", "test", "folder for what test.py and data.py draw", metavar="FOLDER")
    images: int = setting(100, "test", "fresh images to segment", metavar="N", least=1)
    folder: str | None = setting(
        None, "test", "folder of your own images to segment, in place of fresh ones", metavar="FOLDER")
    masks: str | None = setting(
        None, "test", "folder of masks to score them by, each called as its image is", metavar="FOLDER")
    average: bool = setting(
        False, "test", "the mean of the predictions of an image flipped and turned in all eight ways")

    def __post_init__(self):
        check_values(self)
        check_image(self)
        check_training(self)
        check_own(self)


def training_names():
    """The names of the settings that make a training run."""
    return [field.name for field in dataclasses.fields(Settings)
            if field.metadata["group"] in ("run", "data", "training", "own")]


def training_files(settings):
    """The names of the files that a training leaves."""
    pictures = ["fit.png"] if settings.image else ["curves.png", "progress.png", *(
        f"{part}/{letter}_{number}.png" for part, last in (("train", settings.samples), ("val", settings.validation))
        for number in range(1, last + 1) for letter in "XY")]
    return ["model.keras", "settings.json", "history.csv", *pictures]


def training_flags(settings):
    """The flags that make train.py train with these settings, as typed: as few as its recipes allow."""
    ways = []
    for recipe, changes in RECIPES.items():
        ways.append([f"--recipe {recipe}"] * (recipe != default_recipe(settings.image)) + [
            as_flag(name, getattr(settings, name)) for name in training_names()
            if getattr(settings, name) != changes.get(name, getattr(Settings, name))])
    return min(ways, key=len)


def default_recipe(image):
    """The recipe where none is named: of the experiment, or of one's own images, if there are any."""
    return "own" if image else "default"


def write_settings(settings, record, path):
    """Write every setting of a training run and the dict `record` (versions, device, ...) as JSON."""
    values = {name: getattr(settings, name) for name in training_names()}
    write_bytes(path, (json.dumps({"settings": values, **record}, indent=2) + "\n").encode())


def of_kind(value, default):
    """Whether a value of a setting is of the same type as its default: of a tuple each; no default at all is text."""
    if isinstance(default, tuple) and isinstance(value, tuple):
        return all(map(of_kind, value, default or [""] * len(value))) and len(value) == len(default or value)
    if default is None:
        return value is None or isinstance(value, str)
    return type(value) is type(default) or (type(value) is int and isinstance(default, float))


def read_settings(path):
    """The `Settings` that `write_settings` wrote. Raises `UserError` if there are none, or they do not fit."""
    try:
        values = json.loads(read_file(path, 2**24))["settings"]
        if set(values) != set(training_names()):
            raise UserError("it does not hold the same settings")
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        for name, value in values.items():
            if not of_kind(value, getattr(Settings, name)):
                raise UserError(f"{name} is not of its kind")
        return Settings(**values)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path} is missing; run train.py first, or name its folder with --output") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:  # of a foreign file
        raise UserError(f"{path} is not from this version of train.py ({error}); run train.py again") from None
