"""A network as a file of Keras. It is read in safe mode: no code of the file runs."""

import os
import zipfile
from pathlib import Path

from common.backend import keras
from common.errors import UserError
from common.files import writing


def save(network, path):
    """Save the network alone; the state of its optimiser would make the file three times as large.

    Raises `UserError` if it cannot be written.
    """
    with writing(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        keras.Model(network.input, network.output, name=network.name).save(path)


def load(path):
    """The network that `save` saved, not compiled.

    Raises `UserError` if there is none, it cannot be read, or it does not segment images. One with
    a layer of this repository needs its module imported before.
    """
    if not os.path.isfile(path):
        raise UserError(f"{path} is missing; train a network, or name its folder with --output")
    try:
        check_size(path)
        network = keras.saving.load_model(path, compile=False)
        suitable = segments_images(network)
    except Exception as error:  # Keras, zipfile and h5py raise a dozen kinds for a bad file
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{path} cannot be loaded ({reason}); train again") from None
    if not suitable:
        raise UserError(f"{path} is another network, from {network.input_shape} to "
                        f"{network.output_shape}; train again")
    return network


def check_size(path):
    """Raise ValueError for an archive that unpacks to much more than it holds."""
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > 2 * os.path.getsize(path) + 10**6:
        raise ValueError(f"it unpacks to {unpacked:,} bytes")


def segments_images(network):
    """Whether images (n, height, width, 1 or 3) become probabilities (n, height, width, 1)."""
    if len(network.input_shape) != 4 or network.input_shape[3] not in (1, 3):
        return False
    height, width = (side or 160 for side in network.input_shape[1:3])
    shape = network.compute_output_shape((1, height, width, network.input_shape[3]))
    return shape == (1, height, width, 1)
