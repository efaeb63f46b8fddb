"""Every setting of the experiment, once: its default, its unit, its range, and why.

Command-line flags, output/settings.json and the columns of a study's CSV are made from the
dataclass below, so a new setting is one new field. Nothing here imports Keras: --help and mistakes
answer at once.
"""

import dataclasses
import functools
import json
from typing import ClassVar

from common import LARGEST_SIDE
from common.checks import SMALLEST_SIDE, as_flag, check_image, check_study, check_values
from common.errors import UserError
from common.files import read_file, write_bytes

# What --recipe stands for, where it differs from the defaults below.
RECIPES = {
    "default": {},
    # The experiment as it was published: docs/2017.md.
    "2017": dict(
        placement="central", side=(15, 39), initial_weights="2017", loss="dice", dice_smoothing=1.0,
        optimizer="sgd", learning_rate=0.001, schedule="constant", clip_norm=0.0,
        output_bias="zero", bias_rate=1.0, steps=2000),
}


def setting(
        default, group, help, *, study=False, metavar=None, choices=None, least=None, most=None):
    """A field of a dataclass of settings.

    group: 'run', 'data' (how an image is drawn), 'samples' (which images are trained on, and how
    they are scored), 'training' (network, loss and optimiser), 'resuming', 'test' (of test.py
    alone). study: it is there for a question of the study. choices, least, most: what is allowed.
    """
    metadata = dict(group=group, help=help, study=study, metavar=metavar, choices=choices,
                    least=least, most=most)
    return dataclasses.field(default=default, metadata=metadata)


study_setting = functools.partial(setting, study=True)


@dataclasses.dataclass(frozen=True)
class Settings:
    """All settings of a run. Impossible values raise `UserError`, which names the flag."""

    trained_on: ClassVar[str] = "circles in noise"
    trained_by: ClassVar[str] = "train.py"
    training_groups: ClassVar[tuple] = ("run", "data", "samples", "training")
    recipes: ClassVar[dict] = RECIPES
    newer: ClassVar[tuple] = ("deterministic",)  # settings that a file of an older version may lack

    # One seed gives everything: training, validation and test images, and initial weights.
    seed: int = setting(0, "run", "all random draws follow from it", least=0, most=2**32 - 1)
    output: str = setting("output", "run", "folder of the training", metavar="FOLDER")

    # The images, as in the 2017 experiment.
    size: tuple[int, int] = setting(
        (160, 160), "data", "height and width, pixels", metavar=("H", "W"),
        least=SMALLEST_SIDE, most=LARGEST_SIDE)
    shape: str = setting(
        "circle", "data", "what hides in the noise", choices=("circle", "rectangle"))
    fill: str = setting(
        "noise", "data", "what fills the shape",
        choices=("noise", "constant"))
    radius: tuple[int, int] = setting(
        (15, 39), "data", "smallest and largest, pixels; half side of a rectangle",
        metavar=("LO", "HI"), least=1)

    # One sample is the experiment; more are there to compare with.
    samples: int = setting(1, "samples", "images to train on, in turn", least=1)
    augment: bool = setting(False, "samples", "flip, turn and shift the image at every step")
    validation: int = setting(100, "samples", "images to score at the end", least=1)

    network: str = setting(
        "unet", "training", "what is trained",
        choices=("unet", "unet-without-skips", "convolutions", "pixel", "dense"))
    width: float = setting(
        1.0, "training", "factor on the filters; 1: 13,360,593 parameters", least=1 / 32, most=4)
    precision: str = setting(
        "float32", "training", "numbers to compute with; weights stay float32",
        choices=("float32", "mixed_bfloat16", "mixed_float16"))
    deterministic: bool = setting(
        False, "training", "the same weights each time on a GPU too")
    # Validation IoU is 0.95 after 15 to 25 steps (docs/bench.csv); then the rate falls to 0.
    steps: int = setting(80, "training", "optimiser updates, one image each", least=1)
    loss: str = setting(
        "cross-entropy", "training", "what is minimised", choices=("cross-entropy", "dice", "both"))
    optimizer: str = setting("adam", "training", "how it is minimised", choices=("adam", "sgd"))
    learning_rate: float = setting(  # why this rate: docs/recipe.md
        2e-3, "training", "the highest of the run", least=1e-12, most=1e3)
    schedule: str = setting(
        "cosine", "training", "how the rate falls", choices=("cosine", "constant"))

    checkpoint: float = setting(
        60.0, "resuming", "seconds between savings for --resume; 0: none", least=0)
    resume: bool = setting(False, "resuming", "go on with the interrupted training in --output")

    vis: str = setting("vis", "test", "folder for the pictures", metavar="FOLDER")
    images: int = setting(100, "test", "fresh images to segment", least=1)
    average: bool = setting(False, "test", "average over the eight flips and turns of an image")

    # --- For questions of the study, and for the recipe of 2017. Checked by checks.check_study. ---
    side: tuple[int, int] = study_setting(
        (0, 0), "data", "range of a rectangle's sides, pixels; 0 0 leaves it to --radius",
        metavar=("LO", "HI"), least=0)
    placement: str = study_setting(
        "anywhere", "data", "where a circle lies: anywhere that it fits, with its centre a "
        "diameter or more from every border as in 2017", choices=("anywhere", "central"))
    # 40 is the mean of the noise, 39.5, rounded: not brightness, but flatness tells the fill.
    level: int = study_setting(40, "data", "grey value of the constant fill", least=0, most=255)
    noise: int = study_setting(80, "data", "the noise is uniform on 0 to N - 1", least=2, most=256)
    task: str = study_setting(
        "shape", "data", "what the mask is: the one shape, or of two the larger",
        choices=("shape", "larger"))
    labels: str = study_setting(
        "true", "samples", "the mask to train on: the true one, that of a shape elsewhere, or as "
        "many pixels at random", choices=("true", "moved", "random"))
    supervised_pixels: int = study_setting(
        0, "samples", "pixels of each sample, drawn once, that the loss sees; 0 is all", least=0)
    evaluations: int = study_setting(
        12, "samples", "times it is scored after step 0, denser early", least=1, most=100_000)
    watch: int = study_setting(
        3, "samples", "validation images scored along the way; all are at the end", least=1)
    depth: int = study_setting(
        12, "training", "convolutions of --network convolutions", least=1, most=100)
    padding: str = study_setting(
        "zero", "training", "what a convolution finds beyond the border; 'mean' is that of each "
        "feature map", choices=("zero", "mean", "reflect", "circular"))
    padding_levels: tuple[int, int] = study_setting(
        (1, 6), "training", "first and last level with that --padding, 1 at full size, 6 the "
        "bottom; the others have zeros", metavar=("FROM", "TO"), least=1, most=6)
    initial_weights: str = study_setting(
        "he-normal", "training", "He-normal with a Glorot-uniform last layer, or as Keras 2.0.4 "
        "drew them, 0.88 times as large", choices=("he-normal", "2017"))
    gain: float = study_setting(
        1.0, "training", "factor on the initial kernels of the --gain-levels",
        least=0.001, most=100)
    gain_levels: tuple[int, int] = study_setting(
        (0, 6), "training", "first and last level with that --gain, 0 the output, 1 at full size, "
        "6 the bottom", metavar=("FROM", "TO"), least=0, most=6)
    coordinates: str = study_setting(
        "none", "training", "two planes beside the image that tell a pixel where it is: rows and "
        "columns as ramps, fixed noise, or nothing, as flat ones",
        choices=("none", "ramp", "noise", "flat"))
    dice_smoothing: float = study_setting(
        0.0, "training", "pixels added to both parts of the fraction of Dice", least=0, most=1e6)
    label_smoothing: float = study_setting(
        0.05, "training", "how far cross-entropy draws the mask's 0 and 1 together",
        least=0, most=0.9)
    # Adam starts gently, while its averages rest on few gradients.
    warm_up: float = study_setting(
        0.2, "training", "share of the steps over which 'cosine' warms up", least=0, most=0.9)
    clip_norm: float = study_setting(
        0.1, "training", "longest gradient, others are scaled down; 0: no limit",
        least=0, most=1e12)
    # A small circle is learned better from its share; then the biases have to be fast.
    output_bias: str = study_setting(
        "share", "training", "where the output starts: at probability one half, or at the share of "
        "the foreground", choices=("zero", "share"))
    bias_rate: float = study_setting(
        10.0, "training", "factor on the learning rate of the biases", least=0, most=1e4)
    deep_rate: float = study_setting(
        1.0, "training", "factor on the learning rate of levels 3 to 5 and the bottom",
        least=0, most=1e4)

    def __post_init__(self):
        check_values(self)
        check_image(self)
        check_study(self)


def training_names(kind=Settings):
    """The names of the settings that a training follows from, of `Settings` or a kind of it."""
    return [field.name for field in dataclasses.fields(kind)
            if field.metadata["group"] in kind.training_groups]


def training_flags(settings):
    """The flags that make these settings, as typed: as few as the recipes allow."""
    kind = type(settings)
    ways = []
    for recipe, changes in kind.recipes.items():
        flags = [] if not changes else [f"--recipe {recipe}"]
        for name in training_names(kind):
            value = getattr(settings, name)
            if value != changes.get(name, getattr(kind, name)):
                flags.append(as_flag(name, value))
        ways.append(flags)
    return min(ways, key=len)


def write_settings(settings, record, path):
    """Write the settings of a training and the dict `record` (versions, device, ...) as JSON."""
    values = {name: getattr(settings, name) for name in training_names(type(settings))}
    content = {"trained_on": settings.trained_on, "settings": values, **record}
    write_bytes(path, (json.dumps(content, indent=2) + "\n").encode())


def read_settings(path, kind=Settings):
    """The settings that `write_settings` wrote, of `Settings` or a kind of it.

    Raises `UserError` if there are none, they do not fit, or are of another kind of training.
    """
    try:
        content = json.loads(read_file(path, 2**24))
        if content["trained_on"] == kind.trained_on:
            return settings_from(content["settings"], kind)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path} is missing; run {kind.trained_by} first, or name its folder with "
                        "--output") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} is not from this version of {kind.trained_by} ({error}); train "
                        "again") from None
    raise UserError(f"{path} is of a network that was trained on {content['trained_on']}, not on "
                    f"{kind.trained_on}; train one with {kind.trained_by}, or name the folder of "
                    "one with --output")


def settings_from(values, kind):
    """Settings from what JSON made of them, a dict. Raises ValueError or TypeError for others."""
    names = set(training_names(kind))
    if not names - set(kind.newer) <= set(values) <= names:
        raise ValueError("it does not hold the same settings")
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = tuple(value)
        if not is_like(values[name], getattr(kind, name)):
            raise ValueError(f"{name} is not of its kind")
    return kind(**values)


def is_like(value, default):
    """Whether a value of a setting is of the type of its default; no default is that of names."""
    if isinstance(default, tuple):
        defaults = default or ("",) * len(value)
        return (isinstance(value, tuple) and len(value) == len(defaults)
                and all(map(is_like, value, defaults)))
    if isinstance(default, float):
        return type(value) in (int, float)
    return type(value) is type(default)
