"""The settings of a training on one's own images, and of segmenting others by it.

They are those of the experiment's network, loss and optimiser, some with other defaults, and a few
of their own.
"""

import dataclasses
from typing import ClassVar

from common.checks import SMALLEST_SIDE, check_reflection, typed
from common.errors import UserError
from common.settings import Settings, setting

# Values of settings for which every image must be of the size that the network was built for.
NEED_ONE_SIZE = {
    "padding": ("mean",),
    "network": ("dense",),
    "coordinates": ("ramp", "noise", "flat"),
}


def with_default(name, value):
    """The experiment's setting of that name, with another default."""
    metadata = Settings.__dataclass_fields__[name].metadata
    return dataclasses.field(default=value, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class OwnSettings(Settings):
    """All settings of one's own images. Impossible values raise `UserError`, which names the flag.

    Those that say how circles are drawn stay at their defaults and mean nothing here.
    """

    trained_on: ClassVar[str] = "your own images"
    trained_by: ClassVar[str] = "python -m own train"
    training_groups: ClassVar[tuple] = ("run", "training", "own", "files")
    newer: ClassVar[tuple] = ("fingerprints", *Settings.newer)
    recipes: ClassVar[dict] = {
        "own": {},
        # For a first look: docs/own_details.md. A network as narrow that starts at the share of a
        # rare foreground may find nothing for ever.
        "quick": dict(
            width=0.25, steps=600, learning_rate=0.002, warm_up=0.05, crop=128, output_bias="zero"),
        # One press of Train on the page: few steps, soon at the full rate. Crops that are smaller
        # than the experiment's images lie each time another way on the grid of the pooling. Who
        # paints there paints far from outlines, and blue where too much is found.
        "paint": dict(steps=300, learning_rate=0.002, warm_up=0.05, crop=128, unlabelled=0.0),
    }

    # Chosen on nine sets of images: docs/own_details.md.
    steps: int = with_default("steps", 1000)
    width: float = with_default("width", 0.5)
    loss: str = with_default("loss", "both")
    learning_rate: float = with_default("learning_rate", 0.001)
    clip_norm: float = with_default("clip_norm", 1.0)
    bias_rate: float = with_default("bias_rate", 1.0)

    image: tuple[str, ...] = setting((), "files", "images to train on")
    mask: tuple[str, ...] = setting((), "files", "the mask of each image, in the same order")
    fingerprints: tuple[str, ...] = setting((), "files", "what tells each image from others")
    crop: int = setting(
        160, "own", "side of the crops, pixels",
        metavar="PIXELS", least=SMALLEST_SIDE, most=1024)
    unlabelled: float = setting(
        1.0, "own", "how much what is not painted is background",
        metavar="WEIGHT", least=0, most=10)
    contrast: float = setting(
        1.4, "own", "crops change in contrast by up to this factor, as photographs differ",
        metavar="FACTOR", least=1, most=10)
    brightness: float = setting(
        0.25, "own", "crops change in brightness, in deviations of the image's grey values",
        metavar="SHARE", least=0, most=10)
    tint: float = setting(
        0.1, "own", "each colour changes by itself, in the same unit",
        metavar="SHARE", least=0, most=10)
    match: bool = setting(
        True, "own", "bring each image to the exposure of what was trained on, unless it is near")

    reduce: int = setting(
        0, "own", "how many times images are reduced; 0: as it suits",
        metavar="TIMES", least=0, most=64)

    folder: str | None = setting(None, "segment", "folder of images to segment", metavar="FOLDER")
    files: tuple[str, ...] = setting((), "segment", "images to segment, in place of a folder")
    masks: str | None = setting(
        None, "segment", "folder of masks to score them by, named as the images are",
        metavar="FOLDER")

    host: str = setting(
        "127.0.0.1", "page", "address to listen on; 0.0.0.0 lets other machines in",
        metavar="ADDRESS")
    port: int = setting(
        0, "page", "port to listen on; 0 is the first free one from 7860", least=0, most=65535)
    browser: bool = setting(True, "page", "open the page in a browser")

    def __post_init__(self):
        super().__post_init__()
        if len(self.image) != len(self.mask):
            raise UserError("every image needs a mask; name them in turn: IMAGE MASK IMAGE MASK")
        check_reflection(self, self.crop, typed(self, "crop"))
        for name, values in NEED_ONE_SIZE.items():
            if getattr(self, name) in values:
                raise UserError(f"{typed(self, name)} needs whole images of one size, and here the "
                                "network sees crops and tiles; choose another")
