"""Networks as files: written, and read with the caution that a file from somebody else needs."""

import os
import zipfile

import h5py

from common.backend import keras
from common.errors import UserError
from common.files import writing


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
        check_archive(path)
        network = keras.saving.load_model(path, compile=False)
        fits = len(network.input_shape) == len(network.output_shape) == 4 and (
            network.input_shape[3] in (1, 3) and network.output_shape[3] == 1)
    except Exception as error:  # Keras, zipfile and h5py raise a dozen kinds, and all mean that the file is bad
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"{path} cannot be loaded ({reason}); run train.py again") from None
    if not fits:
        raise UserError(f"{path} is another network, from {network.input_shape} to {network.output_shape}; run "
                        "train.py again")
    return network


def check_archive(path):
    """Raise ValueError for a file that unpacks to much more than it holds: Keras would fill the memory with it."""
    held, sizes = os.path.getsize(path), []
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(file.file_size for file in archive.infolist())
        if unpacked <= 2 * held + 10**6:
            with archive.open("model.weights.h5") as file, h5py.File(file) as weights:
                weights.visititems(lambda _, of: sizes.append(of.nbytes) if isinstance(of, h5py.Dataset) else None)
    if max(unpacked, sum(sizes)) > 2 * held + 10**6:
        raise ValueError(f"its {held:,} bytes unpack to {max(unpacked, sum(sizes)):,}")
