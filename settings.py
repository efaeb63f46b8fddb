"""Every setting of the experiment, once: its default, its unit, its range, and why.

Command-line flags and output/settings.json are made from the dataclass below, so a new
setting is one new field. Nothing here imports Keras: --help and mistakes answer at once.
"""

import dataclasses
import json
import math
from pathlib import Path

SMALLEST_SIDE = 32  # pixels: the network halves an image five times

# The recipe of the published experiment, where it differs from the defaults below.
RECIPE_2017 = dict(loss="dice", optimizer="sgd", learning_rate=0.001, schedule="constant", clip_norm=0.0,
                   output_bias="zero", bias_rate=1.0, steps=2000)


class UserError(ValueError):
    """A mistake that the user can mend; a script ends with its one sentence and exit status 2."""


def setting(default, group, help, *, metavar=None, choices=None, least=None, most=None):
    """A field of `Settings`: its default, who reads it, one line with its unit, and the values allowed."""
    metadata = dict(group=group, help=help, metavar=metavar, choices=choices, least=least, most=most)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Settings:
    """All settings of a run. Impossible values raise `UserError`, which names the flag and what it allows."""

    # One seed gives everything: training image, validation images, test images, initial weights.
    seed: int = setting(0, "run", "all random draws follow from this number", least=0, most=2**32 - 1)
    output: str = setting("output", "run", "folder of the trained network and its records", metavar="FOLDER")

    # The images, as in the 2017 experiment.
    size: tuple[int, int] = setting(
        (160, 160), "data", "height and width of an image, pixels", metavar=("H", "W"), least=SMALLEST_SIDE,
        most=8192)
    shape: str = setting("circle", "data", "what hides in the noise", choices=("circle", "rectangle"))
    fill: str = setting(
        "noise", "data", "inside the shape: 'noise' adds a second draw of the noise, 'constant' is the one grey "
        "value --level", choices=("noise", "constant"))
    radius: tuple[int, int] = setting(
        (15, 39), "data", "smallest and largest radius, or half side of a rectangle, pixels",
        metavar=("LO", "HI"), least=1)
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
    validation: int = setting(100, "training", "validation images; they never steer", metavar="N", least=1)
    network: str = setting(
        "unet", "training", "what is trained; all but 'dense' are convolutional, and 'pixel' sees one pixel at a time",
        choices=("unet", "unet-without-skips", "convolutions", "pixel", "dense"))
    padding: str = setting(
        "zero", "training", "what a convolution finds beyond the border", choices=("zero", "reflect", "circular"))
    width: float = setting(
        1.0, "training", "factor on the filters of every level; 1 is 13,360,593 parameters", metavar="FACTOR",
        least=1 / 32, most=4)
    precision: str = setting(
        "float32", "training", "numbers to compute with; the weights stay float32",
        choices=("float32", "mixed_bfloat16", "mixed_float16"))
    # With noise fill validation IoU is 0.95 after 15 to 20 steps (docs/bench.csv); the others bring the rate down to 0.
    steps: int = setting(80, "training", "optimiser updates, one image each", metavar="N", least=1)
    loss: str = setting(
        "cross-entropy", "training", "what is minimised; 'both' is cross-entropy plus Dice",
        choices=("cross-entropy", "dice", "both", "focal"))
    # Without it an earlier recipe's validation IoU fell late: 0.925 on seed 102, 0.965 with 0.1 (60 steps, 25 images).
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
    # With 1 that recipe ended at 0.935 on seed 101, with 0.1 at 0.966 (no label smoothing).
    clip_norm: float = setting(
        0.1, "training", "largest norm of the whole gradient, longer ones are scaled down; 0 is no limit",
        metavar="NORM", least=0, most=1e12)
    # A small circle is learned better from its share; biases as slow as the kernels then memorise the constant fill.
    output_bias: str = setting(
        "share", "training", "where the output starts: at 0, which is a probability of one half, or at the "
        "foreground's share of the sample", choices=("zero", "share"))
    bias_rate: float = setting(
        10.0, "training", "learning rate of the biases, as a multiple of the kernels'", metavar="FACTOR", least=0,
        most=1e4)
    # What follows is off: docs/recipe.md says what each of them gave, or that it was not tried.
    input_noise: float = setting(
        0.0, "training", "standard deviation of Gaussian noise on the normalised input, drawn anew at every step",
        metavar="SD", least=0, most=100)
    dropout: float = setting(
        0.0, "training", "share of values dropped after each level of the decoder", metavar="SHARE", least=0, most=0.9)
    weight_decay: float = setting(
        0.0, "training", "decay of the weights at each step, times the learning rate", metavar="FACTOR",
        least=0, most=1e3)
    averaging: float = setting(
        0.0, "training", "momentum of an average of the weights, which takes their place in the end",
        metavar="MOMENTUM", least=0, most=0.9999)
    evaluations: int = setting(
        12, "training", "times the network is scored after step 0, denser early than late", metavar="N", least=1,
        most=100_000)
    watch: int = setting(
        3, "training", "validation images scored along the way; all are at the end", metavar="N", least=1)

    vis: str = setting("vis", "test", "folder for the pictures and metrics.csv", metavar="FOLDER")
    images: int = setting(100, "test", "fresh images to segment", metavar="N", least=1)

    seeds: int = setting(
        10, "study", "training seeds of every variant; 'reliable' has 20 of its own", metavar="N", least=1)
    first_seed: int = setting(
        0, "study", "the first of them; 100 for the search, which no reported seed may steer", metavar="SEED", least=0,
        most=2**31)
    only: str = setting("all", "study", "run only the variant of that name, or all that contain TEXT", metavar="TEXT")
    processes: int = setting(2, "study", "runs at the same time, on this machine", metavar="N", least=1)
    backend: str = setting(
        "loky", "study", "where they run: in processes on this machine, or on a Ray cluster", choices=("loky", "ray"))
    address: str = setting(
        "local", "study", "of the head of the Ray cluster; 'local' starts one here", metavar="HOST:PORT")

    repeats: int = setting(3, "bench", "times that everything is measured, in turn", metavar="N", least=1)
    cap: int = setting(
        2000, "bench", "steps after which the recipe of 2017 is given up unless it is there", metavar="N", least=1)
    quick: bool = setting(False, "bench", "once only, and with a cap of 100 steps")

    def __post_init__(self):
        for field in dataclasses.fields(self):
            check_value(field, getattr(self, field.name))
        check_image(self)
        check_training(self)


def as_flag(name, value):
    """A setting as it is typed: ('learning_rate', 0.1) -> '--learning-rate 0.1', pairs without brackets."""
    if isinstance(value, bool):
        return f"--{'' if value else 'no-'}{name.replace('_', '-')}"
    text = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return f"--{name.replace('_', '-')} {text}"


def check_value(field, value):
    """Raise `UserError` unless `value` is one of the field's choices, or in its range with every number."""
    least, most, choices = (field.metadata[key] for key in ("least", "most", "choices"))
    given = as_flag(field.name, value)
    if choices and value not in choices:
        raise UserError(f"{given} is unknown; choose {' or '.join(choices)}")
    if value == "":
        raise UserError(f"--{field.name} is empty; give a name")
    for number in value if isinstance(value, tuple) else (value,):
        # 'not least <= number' rather than 'number < least' refuses nan too
        if least is not None and not least <= number:
            raise UserError(f"{given} is too small; give at least {least:g}")
        if most is not None and not number <= most:
            raise UserError(f"{given} is too large; give at most {most:.10g}")


def check_image(settings):
    """Raise `UserError` for an image that cannot be drawn: no room for the shape, or grey values above 255."""
    low, high = settings.radius
    radius, size = as_flag("radius", settings.radius), as_flag("size", settings.size)
    if low > high:
        raise UserError(f"{radius} runs backwards; give the smaller one first")
    largest = (min(settings.size) - 1) // 2
    if high > largest:
        raise UserError(f"{radius} does not fit into {size}; the largest radius that fits is {largest}")
    # images are 8-bit, and the brightest pixel of the noise fill is the sum of two draws
    if settings.fill == "noise" and settings.noise > 128:
        raise UserError(f"--noise {settings.noise} exceeds 8 bits where two draws add up; give at most 128")


def check_training(settings):
    """Raise `UserError` for settings of a training that exclude each other."""
    if settings.supervised_pixels:
        if settings.supervised_pixels > math.prod(settings.size):
            raise UserError(f"--supervised-pixels {settings.supervised_pixels} is more than an image of "
                            f"{as_flag('size', settings.size)} has; give at most {math.prod(settings.size)}")
        if settings.loss not in ("cross-entropy", "focal"):
            raise UserError(f"--supervised-pixels needs a loss that is a mean over pixels, and --loss {settings.loss} "
                            "is none; choose cross-entropy or focal")
        if settings.augment:
            raise UserError("--supervised-pixels stay where they are and --augment moves them; leave one of them out")
    for name, unused, networks in (("padding", "zero", ("dense", "pixel")),
                                   ("dropout", 0.0, ("dense", "pixel", "convolutions"))):
        if settings.network in networks and getattr(settings, name) != unused:
            raise UserError(f"{as_flag(name, getattr(settings, name))} means nothing to --network {settings.network}; "
                            "leave one of them out")
    # each pooling halves an image, and a single pixel has nothing to reflect
    if settings.padding == "reflect" and min(settings.size) <= SMALLEST_SIDE:
        raise UserError(f"--padding reflect needs images of more than {SMALLEST_SIDE} pixels a side; "
                        f"{as_flag('size', settings.size)} is too small")


def training_names():
    """The names of the settings that make a training run."""
    return [field.name for field in dataclasses.fields(Settings)
            if field.metadata["group"] in ("run", "data", "training")]


def training_flags(settings):
    """The flags that make train.py train with these settings: those that are not at their default, as typed."""
    return [as_flag(name, getattr(settings, name)) for name in training_names()
            if getattr(settings, name) != getattr(Settings, name)]


def write_settings(settings, record, path):
    """Write every setting of a training run and the dict `record` (versions, device, ...) as JSON."""
    values = {name: getattr(settings, name) for name in training_names()}
    Path(path).write_text(json.dumps({"settings": values, **record}, indent=2) + "\n")


def read_settings(path):
    """The `Settings` that `write_settings` wrote. Raises `UserError` if there are none, or they do not fit."""
    try:
        values = json.loads(Path(path).read_text())["settings"]
        if set(values) != set(training_names()):
            raise UserError("it does not hold the same settings")
        return Settings(**{name: tuple(value) if isinstance(value, list) else value
                           for name, value in values.items()})
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path} is missing; run train.py first, or name its folder with --output") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:  # whatever a foreign file can cause
        raise UserError(f"{path} is not from this version of train.py ({error}); run train.py again") from None
