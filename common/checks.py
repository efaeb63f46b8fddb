"""What the settings allow, and the sentence that refuses the rest."""

import dataclasses
import math
from shlex import quote

from common.errors import UserError

SMALLEST_SIDE, LARGEST_SIDE = 32, 8192  # pixels: the network halves an image five times; larger is not tested
# Settings of a training that say nothing of one's own images: they are there to ask why.
OF_CIRCLES = ("samples", "augment", "labels", "supervised_pixels", "supervised_window", "validation", "evaluations",
              "watch")


def as_flag(name, *values):
    """A setting as it is typed: ('learning_rate', 0.1) -> '--learning-rate 0.1', several values without brackets."""
    flag = f"--{name.replace('_', '-')}"
    if values and isinstance(values[0], bool):
        return flag if values[0] else f"--no-{flag[2:]}"
    words = values[0] if values and isinstance(values[0], tuple) else values
    return " ".join([flag, *(quote(str(word)) for word in words)])


def check_values(settings):
    """Raise `UserError` unless each field is one of its choices, or in its range with every number."""
    for field in dataclasses.fields(settings):
        value, (least, most, choices) = getattr(settings, field.name), map(
            field.metadata.get, ("least", "most", "choices"))
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
    sided = settings.shape == "rectangle" and settings.side != (0, 0)
    name, (low, high) = ("side", settings.side) if sided else ("radius", settings.radius)
    given, size, smallest = as_flag(name, (low, high)), as_flag("size", settings.size), min(settings.size)
    central = settings.shape == "circle" and settings.placement == "central"
    largest = smallest if sided else (smallest - 1) // (4 if central else 2)
    if low > high:
        raise UserError(f"{given} runs backwards; give the smaller one first")
    if low == 0:
        raise UserError(f"{given} is too small; give at least 1, or 0 0 to leave it to --radius")
    if high > largest:
        raise UserError(f"{given} does not fit into {size}{' with --placement central' if central else ''}; "
                        f"the largest {name} that fits is {largest}")
    # images are 8-bit, and the brightest pixel of the noise fill is the sum of two draws
    if settings.fill == "noise" and (settings.noise - 1) * (1 + settings.strength) >= 255.5:
        factor = f" --strength {settings.strength:g}" if settings.strength != 1 else ""
        raise UserError(f"--noise {settings.noise}{factor} exceeds 8 bits where two draws add up; give at most "
                        f"--noise {int(255 / (1 + settings.strength)) + 1}")
    if settings.fill != "noise" and settings.strength != 1:
        raise UserError(f"--strength is of --fill noise and means nothing to --fill {settings.fill}; leave it out, "
                        "or give --strength 1")
    areas = [side**2 if sided else (2 * side + 1) ** 2 for side in (low, high)]
    if settings.task == "larger" and areas[1] < 1.25 * areas[0]:
        raise UserError(f"--task larger needs one shape a quarter larger than the other, and {given} gives none; give "
                        "a wider range")
    if settings.task == "larger" and settings.labels != "true":
        raise UserError(f"--labels {settings.labels} leaves nothing of --task larger; leave one of them out")


def check_own(settings):
    """Raise `UserError` for images without masks, and for settings of circles beside them, or of them without any."""
    if len(settings.image) != len(settings.mask):
        raise UserError(f"--image names {len(settings.image)} files and --mask {len(settings.mask)}; give every image "
                        "its mask")
    for field in dataclasses.fields(settings):
        changed = getattr(settings, field.name) != field.default
        if changed and not settings.image and field.metadata["group"] == "own":
            raise UserError(f"{as_flag(field.name, getattr(settings, field.name))} is of your own images and means "
                            "nothing without --image; leave it out, or name one")
        if changed and settings.image and (field.metadata["group"] == "data" or field.name in OF_CIRCLES):
            raise UserError(f"{as_flag(field.name, getattr(settings, field.name))} is of circles in noise and means "
                            "nothing beside --image; leave one of them out")
    if settings.image and settings.padding == "mean":
        raise UserError("--padding mean sees a whole image at once, and --image means crops and tiles; choose another")
    if settings.image and settings.network == "dense":
        raise UserError("--network dense takes images of one size only, and --image means crops and whole images; "
                        "choose another")


def check_training(settings):
    """Raise `UserError` for settings of a training that exclude each other."""
    if settings.supervised_pixels and settings.supervised_window:
        raise UserError("--supervised-pixels and --supervised-window exclude each other; leave one of them out")
    for name, most in (("supervised_pixels", math.prod(settings.size)), ("supervised_window", min(settings.size))):
        if (number := getattr(settings, name)) > most:
            raise UserError(f"{as_flag(name, number)} is more than an image of {as_flag('size', settings.size)} has; "
                            f"give at most {most}")
    if settings.task == "larger" and settings.augment:
        raise UserError("--augment may cut the smaller shape of --task larger in two; leave one of them out")
    if settings.network in ("dense", "pixel") and settings.padding != "zero":
        raise UserError(f"--padding {settings.padding} means nothing to --network {settings.network}; "
                        "leave one of them out")
    low, high = settings.padding_levels
    if low > high:
        raise UserError(f"--padding-levels {low} {high} runs backwards; give the smaller one first")
    if (low, high) != type(settings).padding_levels and settings.padding == "zero":
        raise UserError(f"--padding-levels {low} {high} changes nothing with --padding zero; leave it out, or give "
                        "another --padding")
    unet = settings.network in ("unet", "unet-without-skips")
    for name, means in (("depth", settings.network == "convolutions"), ("deep_rate", unet), ("padding_levels", unet)):
        if not means and getattr(settings, name) != getattr(type(settings), name):
            raise UserError(f"{as_flag(name, getattr(settings, name))} means nothing to --network {settings.network}; "
                            "leave one of them out")
    # each pooling halves an image, and a single pixel has nothing to reflect
    smallest, given = (settings.crop, as_flag("crop", settings.crop)) if settings.image else (
        min(settings.size), as_flag("size", settings.size))
    if settings.padding == "reflect" and unet and high == 6 and smallest <= SMALLEST_SIDE:
        raise UserError(f"--padding reflect needs images of more than {SMALLEST_SIDE} pixels a side; {given} is too "
                        "small")
