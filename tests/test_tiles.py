"""Large images in tiles, without a seam; the mean over flips and turns."""

import numpy as np
import pytest

import model
import own.exposure as exposures
from common.settings import Settings
from common.tiles import averaged, in_tiles
from own.crops import square_around
from own.exposure import exposure, matched, predict_image, trained_exposure


@pytest.fixture(scope="module")
def network():
    """An untrained network that makes something of what it sees."""
    model.keras.utils.set_random_seed(0)
    network = model.build(Settings(width=1 / 16), 0.0, 1.0)
    kernel = network.get_layer("output_convolution").kernel
    kernel.assign(kernel * 20)
    return network


def test_no_seam_shows_where_tiles_meet(network, monkeypatch):
    image = np.random.default_rng(0).normal(size=(1000, 900, 1)).astype("float32")
    whole = model.predict(network, image[np.newaxis])[0]
    assert whole.std() > 0.05
    monkeypatch.setattr(model, "TILE", 672)
    tiled = model.predict(network, image[np.newaxis])[0]
    assert tiled.shape == whole.shape
    assert np.abs(tiled - whole).max() < 1e-4
    own = predict_image(network, image)  # whose tiles overlap less
    assert np.abs(own - whole).mean() < 5e-4
    monkeypatch.setattr(exposures, "MARGIN", 32)  # the network sees further than that
    assert np.abs(predict_image(network, image) - whole).mean() > 1e-3


def test_a_part_is_seen_at_the_exposure_of_the_whole(network):
    image = np.random.default_rng(0).normal(40, 1, (96, 128, 1))
    image[:32] += 60  # a part that is not like the rest
    whole = matched(image, exposure(image), trained_exposure(network))
    for part in ((slice(32), slice(64)), (slice(32, 96), slice(64, 128))):
        seen = predict_image(network, image, match=True, part=part)
        expected = model.predict(network, whole[part][np.newaxis])[0]
        assert seen == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("size", [(32, 32), (33, 300), (128, 129), (1000, 90)])
def test_tiles_cover_every_size(size):
    places = np.arange(size[0] * size[1]).reshape(*size, 1)

    def check(tile):
        assert max(tile.shape) <= 128
        top, left = np.unravel_index(tile[0, 0, 0], size)
        assert top % 32 == left % 32 == 0  # as pooling goes
        return tile

    assert np.array_equal(in_tiles(check, places, 128, 32, 32), places)


def test_an_average_is_the_same_however_the_image_is_turned(network):
    images = np.random.default_rng(0).normal(size=(2, 64, 96, 1)).astype("float32")
    mean = model.predict(network, images, average=True)
    assert mean.shape == images.shape
    for turns in range(4):
        turned = np.rot90(images, turns, axes=(1, 2))
        for seen in (turned, turned[:, :, ::-1]):
            again = model.predict(network, seen, average=True)
            back = again if seen is turned else again[:, :, ::-1]
            assert np.rot90(back, -turns, axes=(1, 2)) == pytest.approx(mean, abs=1e-5)
    assert np.abs(model.predict(network, images) - mean).max() > 0.01
    assert averaged(lambda turned: turned, images) == pytest.approx(images)


@pytest.mark.parametrize("place", [(0, 0), (50, 70), (99, 119)])
def test_a_square_around_pixels_holds_them_and_lies_in_the_image(place):
    pixels = np.zeros((100, 120, 1), bool)
    pixels[place] = True
    square = pixels[square_around(pixels, 32)]
    assert square.shape == (32, 32, 1)
    assert square.any()
