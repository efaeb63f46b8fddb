"""Large images in tiles, without a seam; the mean over flips and turns, the same however an image is turned."""

import numpy as np
import pytest

import model
from common.images import exposure, matched
from common.settings import Settings
from common.tiles import averaged, in_tiles, spans


@pytest.fixture(scope="module")
def network():
    """An untrained network that makes something of what it sees."""
    model.keras.utils.set_random_seed(0)
    network = model.build(Settings(width=1 / 16), 0.0, 1.0)
    network.get_layer("output_convolution").kernel.assign(
        network.get_layer("output_convolution").kernel * 20)
    return network


def test_no_seam_shows_where_tiles_meet(network, monkeypatch):
    image = np.random.default_rng(0).normal(size=(1000, 900, 1)).astype("float32")
    whole = model.predict(network, image[np.newaxis])[0]
    assert whole.std() > 0.05
    monkeypatch.setattr(model, "TILE", 672)
    tiled = model.predict_image(network, image)
    assert tiled.shape == whole.shape
    assert np.abs(tiled - whole).max() < 1e-4
    monkeypatch.setattr(model, "MARGIN", 32)
    assert np.abs(model.predict_image(network, image) - whole).max() > 1e-3  # it does see further than that


def test_a_part_is_seen_at_the_exposure_of_the_whole(network):
    image = np.random.default_rng(0).normal(40, 1, (96, 128, 1))
    image[:32] += 60  # a part that is not like the rest
    for part in ((slice(32), slice(64)), (slice(32, 96), slice(64, 128))):
        seen = model.predict_image(network, image, match=True, part=part)
        whole = matched(image, exposure(image), model.trained_exposure(network))
        assert seen == pytest.approx(model.predict(network, whole[part][np.newaxis])[0], abs=1e-4)


@pytest.mark.parametrize("size", [(32, 32), (33, 300), (128, 129), (1000, 90)])
def test_tiles_cover_every_size(size):
    image = np.random.default_rng(0).random((*size, 3))
    tiles = []

    def first(part):
        tiles.append(part.shape)
        return part[..., :1]

    assert np.array_equal(in_tiles(first, image, 128, 32, 32), image[..., :1].astype("float32"))
    assert max(side for shape in tiles for side in shape) <= 128
    assert all(start % 32 == 0 for side in size for start, _, _ in spans(side, 128, 32, 32))  # as pooling goes


def test_an_average_is_the_same_however_the_image_is_turned(network):
    images = np.random.default_rng(0).normal(size=(2, 64, 96, 1)).astype("float32")
    mean = model.predict(network, images, average=True)
    assert mean.shape == images.shape
    for turns, mirror in [(turns, mirror) for turns in range(4) for mirror in (1, -1)]:
        turned = np.rot90(images, turns, axes=(1, 2))[:, :, ::mirror]
        again = np.rot90(model.predict(network, turned, average=True)[:, :, ::mirror], -turns, axes=(1, 2))
        assert np.abs(again - mean).max() < 1e-5
    assert np.abs(model.predict(network, images) - mean).max() > 0.01
    assert np.allclose(averaged(lambda turned: turned, images), images)
