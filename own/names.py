"""How masks are called beside their images, by people and by the tools that they use."""

import itertools
from pathlib import Path

from common.errors import UserError

# After the name of the image. Cellpose writes c1_cp_masks.png, and trains on c1_img.png with
# c1_masks.png.
MASK_ENDINGS = ("mask", "masks", "cp_masks", "seg", "label", "labels", "gt")
IMAGE_ENDINGS = ("_img", "_image")


def mask_names(image):
    """What a mask of an image, a path, may be called, without a suffix, the likeliest first.

    The names are in lower case: cell, cell_mask and so on of Cell.png; y_1 of X_1.png too.
    """
    name = Path(image).stem.casefold()
    names, beginnings = [name], [name]
    for ending in IMAGE_ENDINGS:
        if name.endswith(ending):
            beginnings.append(name.removesuffix(ending))
    for beginning in beginnings:
        for ending in MASK_ENDINGS:
            names += [f"{beginning}_{ending}", f"{beginning}-{ending}", f"{beginning} {ending}"]
    if name.startswith("x_"):
        names.append(f"y_{name.removeprefix('x_')}")
    return names


def is_called_as_mask(path, image):
    """Whether a file, by its name alone, is the mask of an image: its name with an ending, or Y_1.

    Its very name, in another folder or with another suffix, does not tell which of the two is the
    mask.
    """
    return Path(path).stem.casefold() in mask_names(image)[1:]


def check_pairs(images, masks):
    """Raise `UserError` where the names of images and masks, paths, say that they are mixed up.

    Those that are called as a pair are right, and what others are called is compared with them
    alone.
    """
    remedy = "name each image and then its own mask: IMAGE MASK IMAGE MASK"
    unclear = []
    for image, mask in zip(map(Path, images), map(Path, masks), strict=True):
        if image == mask:
            raise UserError(f"{image} is given as an image and as its mask; {remedy}")
        if not is_called_as_mask(mask, image) and mask.stem != image.stem:
            unclear.append((image, mask))
    for image, other in itertools.permutations(itertools.chain.from_iterable(unclear), 2):
        if is_called_as_mask(other, image):
            raise UserError(f"{other} is called as the mask of {image}, but not given as that; "
                            f"{remedy}")
    for (image, _), (_, other) in itertools.permutations(unclear, 2):
        if image.stem == other.stem:
            raise UserError(f"{other} is called as {image}, but not given as its mask; {remedy}")
