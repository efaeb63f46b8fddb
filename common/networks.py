"""Networks as files: written, and read with the caution that a file from somebody else needs."""

import contextlib
import math
import os
import zipfile

import h5py

from common.backend import keras
from common.errors import UserError
from common.files import writing

MOST = 512  # numbers that a layer gives for each pixel: twice those of the widest network of model.py


def save(network, path):
    """Save the network alone; the optimiser's state would make the file three times as large.

    Raises `UserError` if it cannot be written.
    """
    with writing(path):
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        keras.Model(network.input, network.output, name=network.name).save(path)


def load(path):
    """The network that `save` saved. Raises `UserError` if there is none or it cannot be read.

    A file from somebody else runs no code: Keras opens it in its safe mode. One with a layer of model.py needs that
    imported before.
    """
    if not os.path.isfile(path):
        raise UserError(f"{path} is missing; run train.py first, or name its folder with --output")
    try:
        with no_more_weights(check_archive(path)):
            network = keras.saving.load_model(path, compile=False)
        fits = len(network.input_shape) == len(network.output_shape) == 4 and (
            network.input_shape[3] in (1, 3) and network.output_shape[3] == 1) and fitting(network)
    except Exception as error:  # Keras, zipfile and h5py raise a dozen kinds, and all mean that the file is bad
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"{path} cannot be loaded ({reason}); run train.py again") from None
    if not fits:
        raise UserError(f"{path} is another network, from {network.input_shape} to {network.output_shape}; run "
                        "train.py again")
    return network


def check_archive(path):
    """How many numbers the weights in a network's file are.

    Raises ValueError for one that unpacks to much more than it holds: Keras would fill the memory with it.
    """
    held, sizes = os.path.getsize(path), []
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(file.file_size for file in archive.infolist())
        if unpacked <= 2 * held + 10**6:
            with archive.open("model.weights.h5") as file, h5py.File(file) as weights:
                weights.visititems(lambda _, of: sizes.append((of.nbytes, of.size)) if isinstance(of, h5py.Dataset)
                                   else None)
    unpacked = max(unpacked, sum(nbytes for nbytes, _ in sizes))
    if unpacked > 2 * held + 10**6:
        raise ValueError(f"its {held:,} bytes unpack to {unpacked:,}")
    return sum(size for _, size in sizes)


@contextlib.contextmanager
def no_more_weights(most):
    """While this lasts layers get so many weights in all, and ask for more in vain: they are filled before any is read.

    Raises ValueError when one does.
    """
    add, given = keras.Layer.add_weight, []

    def add_weight(layer, shape=None, *arguments, **named):
        given.append(math.prod(shape or ()))
        if sum(given) > most:
            raise ValueError(f"its layers want more weights than the {most:,} that it holds")
        return add(layer, shape, *arguments, **named)

    keras.Layer.add_weight = add_weight
    try:
        yield
    finally:
        keras.Layer.add_weight = add


def fitting(network):
    """Whether a network gives an image of the size that it is given, and no layer more than MOST numbers a pixel.

    A network within it would hide its layers.
    """
    if any(isinstance(layer, keras.Model) for layer in network.layers):
        return False
    height, width = (side or 160 for side in network.input_shape[1:3])
    of_all = keras.Model(network.input, [network.output, *(layer.output for layer in network.layers)])
    result, *others = of_all.compute_output_shape((1, height, width, network.input_shape[3]))
    return result[1:3] == (height, width) and all(math.prod(shape) <= MOST * height * width for shape in others)
