"""What the settings allow, and the sentence that refuses the rest."""

import dataclasses
import math
from shlex import quote

from common.errors import UserError

SMALLEST_SIDE = 32  # pixels: the network halves an image five times
UNETS = ("unet", "unet-without-skips")
# Settings that mean something only beside certain values of another one.
NEEDS = {
    "depth": ("network", ("convolutions",)),
    "deep_rate": ("network", UNETS),
    "padding": ("network", (*UNETS, "convolutions")),
    "padding_levels": ("network", UNETS),
    "gain_levels": ("network", UNETS),
}


def as_flag(name, *values):
    """A setting as it is typed: ('learning_rate', 0.1) -> '--learning-rate 0.1'."""
    flag = f"--{name.replace('_', '-')}"
    if values and isinstance(values[0], bool):
        return flag if values[0] else f"--no-{flag[2:]}"
    if values and isinstance(values[0], tuple):
        values = values[0]
    return " ".join([flag, *(quote(str(value)) for value in values)])


def typed(settings, name):
    """A setting with its value, as it is typed."""
    return as_flag(name, getattr(settings, name))


def changed(settings, name):
    """Whether a setting is not at its default."""
    return getattr(settings, name) != getattr(type(settings), name)


def check_values(settings):
    """Raise `UserError` unless each field is one of its choices, or in its range."""
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        choices, least, most = (field.metadata[key] for key in ("choices", "least", "most"))
        words = as_flag(field.name, value)
        if choices and value not in choices:
            raise UserError(f"{words} is unknown; choose {' or '.join(choices)}")
        if value == "":
            raise UserError(f"--{field.name} is empty; give a name")
        for number in value if isinstance(value, tuple) else (value,):
            # 'not least <= number' rather than 'number < least' refuses not-a-number too
            if least is not None and not least <= number:
                raise UserError(f"{words} is too small; give at least {least:g}")
            if most is not None and not number <= most:
                raise UserError(f"{words} is too large; give at most {most:.10g}")


def has_sides(settings):
    """Whether the shape is a rectangle whose sides are given by --side, not by --radius."""
    return settings.shape == "rectangle" and settings.side != (0, 0)


def check_image(settings):
    """Raise `UserError` for an image that cannot be drawn: no room, or grey values above 255."""
    name = "side" if has_sides(settings) else "radius"
    low, high = getattr(settings, name)
    words = typed(settings, name)
    central = settings.shape == "circle" and settings.placement == "central"
    largest = min(settings.size)
    if name == "radius":
        largest = (largest - 1) // (4 if central else 2)
    if low > high:
        raise UserError(f"{words} runs backwards; give the smaller one first")
    if low == 0:
        raise UserError(f"{words} is too small; give at least 1, or 0 0 to leave it to --radius")
    if high > largest:
        where = f"{typed(settings, 'size')}{' with --placement central' if central else ''}"
        raise UserError(f"{words} does not fit into {where}; the largest {name} that fits is "
                        f"{largest}")
    # Images have 8 bits, and the brightest pixel of the noise fill is the sum of two draws.
    if settings.fill == "noise" and settings.noise > 128:
        raise UserError(f"{typed(settings, 'noise')} exceeds 8 bits where two draws add up; give "
                        "at most --noise 128")


def check_study(settings):
    """Raise `UserError` for settings of the study that exclude each other or mean nothing."""
    for name, (other, values) in NEEDS.items():
        if changed(settings, name) and getattr(settings, other) not in values:
            raise UserError(f"{typed(settings, name)} means nothing to {typed(settings, other)}; "
                            "leave one of them out")
    check_larger(settings)
    pixels = math.prod(settings.size)
    if settings.supervised_pixels > pixels:
        raise UserError(f"{typed(settings, 'supervised_pixels')} is more than an image of "
                        f"{typed(settings, 'size')} has; give at most {pixels}")
    check_levels(settings, "padding")
    check_levels(settings, "gain")
    check_reflection(settings, min(settings.size), typed(settings, "size"))


def check_levels(settings, name):
    """Raise `UserError` for levels that run backwards, or for which the setting says nothing."""
    levels = f"{name}_levels"
    low, high = getattr(settings, levels)
    if low > high:
        raise UserError(f"{typed(settings, levels)} runs backwards; give the smaller one first")
    if changed(settings, levels) and not changed(settings, name):
        raise UserError(f"{typed(settings, levels)} changes nothing with {typed(settings, name)}; "
                        f"leave it out, or give another --{name}")


def check_larger(settings):
    """Raise `UserError` for what does not go with --task larger."""
    if settings.task != "larger":
        return
    name = "side" if has_sides(settings) else "radius"
    low, high = getattr(settings, name)
    if name == "radius":
        low, high = 2 * low + 1, 2 * high + 1
    if high**2 < 1.25 * low**2:
        raise UserError(f"--task larger needs one shape a quarter larger than the other, and "
                        f"{typed(settings, name)} gives none; give a wider range")
    if settings.labels != "true":
        raise UserError(f"{typed(settings, 'labels')} leaves nothing of --task larger; leave one "
                        "of them out")
    if settings.augment:
        raise UserError("--augment may cut the smaller shape of --task larger in two; leave one of "
                        "them out")


def check_reflection(settings, side, words):
    """Raise `UserError` where --padding reflect meets a single pixel, which cannot be reflected.

    side: the smallest of what the network sees, pixels; words: the flag that gives it.
    """
    at_bottom = settings.network in UNETS and settings.padding_levels[1] == 6
    if settings.padding == "reflect" and at_bottom and side <= SMALLEST_SIDE:
        raise UserError(f"--padding reflect needs images of more than {SMALLEST_SIDE} pixels a "
                        f"side; {words} is too small")
