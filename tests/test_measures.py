"""What the study measures on a trained network is what it says."""

import cv2
import numpy as np
import pytest

import measures
import metrics
import recipe
import train
from data import create_data
from settings import Settings

SMALL = dict(size=(96, 96), radius=(10, 12), width=0.25, learning_rate=1e-4, steps=1, evaluations=1, validation=1,
             watch=1)


@pytest.fixture(scope="module")
def run():
    return train.train(Settings(**SMALL))


def test_the_gradient_of_the_central_pixel_is_that_of_its_receptive_field():
    for name, reach in (("pixel", 0), ("convolutions", 12)):
        settings = Settings(**{**SMALL, "network": name, "width": 1.0, "radius": (40, 40)})
        X, Y = create_data(2, settings)
        field = abs(measures.gradients(recipe.compiled(settings, X, Y), X)).max(axis=(0, 3))
        rows, columns = np.nonzero(field)
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (48 - reach, 48 + reach) * 2


def test_a_gradient_is_the_slope_of_the_logit():
    settings = Settings(**{**SMALL, "network": "pixel", "width": 1.0})
    model = train.train(settings).model
    image = np.full((1, 96, 96, 1), 100, "float32")
    brighter = image.copy()
    brighter[0, 48, 48] += 0.5

    def logit(image):
        probability = model.predict_on_batch(image)[0, 48, 48, 0].astype(float)
        return np.log(probability / (1 - probability))

    # a function of one grey value that is piecewise linear: the slope is the same half a grey value further
    assert measures.gradients(model, image)[0, 48, 48, 0] == pytest.approx((logit(brighter) - logit(image)) / 0.5, 0.01)


def test_the_receptive_field_is_given_in_shares_before_and_after_training(run):
    row = measures.receptive_field(run, Settings(**SMALL), images=2)
    for moment in ("before", "after"):
        shares = [row[f"gradient within {r} {moment} training"] for r in measures.RINGS]
        assert shares == sorted(shares)
        assert 0 < shares[0] < 0.5
        assert shares[-1] == pytest.approx(1)
    assert row["gradient within 8 before training"] != row["gradient within 8 after training"]


def test_cutting_a_level_takes_its_pattern_away_and_nothing_else(run):
    model, before, X = run.model, run.model.get_weights(), run.validation[0]
    convolution, output = (model.get_layer(name) for name in ("up_1_convolution_1", "output_convolution"))
    kernel, bias = convolution.get_weights()
    deaf = kernel.copy()
    deaf[:, :, : model.get_layer("up_1_sample").output.shape[3]] = 0  # to what comes from below
    for first_level, expected in ((deaf, True), (kernel, False)):
        convolution.set_weights([first_level, bias])
        weight, offset = output.get_weights()
        median = np.median(model.predict_on_batch(X))
        output.set_weights([weight, offset - np.log(median / (1 - median))])  # half of the pixels become foreground
        Y = metrics.predicted(model.predict_on_batch(X))
        row = measures.needed_levels(run._replace(validation=(X, Y)), Settings(**SMALL))
        assert list(row) == [f"iou cut below level {level}" for level in range(1, 6)]
        assert (row["iou cut below level 1"] == 1) == expected
        assert np.array_equal(convolution.get_weights()[0], first_level)
    model.set_weights(before)


def test_shapes_and_fills_are_what_their_names_say():
    settings, generator = Settings(), np.random.default_rng(0)
    masks = {name: draw(generator, settings) for name, draw in measures.TEST_SHAPES.items()}
    for name, low, high in (("radius 5 to 9", 5, 9), ("radius 50 to 70", 50, 70), ("circles, as trained", 15, 39)):
        assert 2 * low + 1 <= masks[name].any(axis=0).sum() <= 2 * high + 1
    assert masks["canvas of 512 x 512"].shape == (512, 512)
    cut = masks["circles cut by the border"]
    rows, columns = np.nonzero(cut)
    assert {0, 159} & {columns.min(), columns.max()}
    assert columns.max() - columns.min() < rows.max() - rows.min()  # half a circle, or less
    rows, columns = np.nonzero(masks["rectangles"])
    assert masks["rectangles"].sum() == (1 + rows.max() - rows.min()) * (1 + columns.max() - columns.min())
    assert cv2.connectedComponents(masks["two circles"].astype("uint8"))[0] == 1 + 2  # and the background
    noise = generator.integers(80, size=(160, 160))
    mask = masks["circles, as trained"]
    for name, fill in measures.TEST_FILLS.items():
        image = fill(generator, noise, mask)
        assert np.array_equal(image[~mask], noise[~mask]), name
        assert 0 <= image.min() <= image.max() <= 255, name
    for name, most in (("noise", 79), ("noise, half as strong", 39), ("noise, twice as strong", 159)):
        assert (measures.TEST_FILLS[name](generator, noise, mask) - noise)[mask].max() == most
    assert (measures.TEST_FILLS["the background, 40 brighter"](generator, noise, mask) - noise)[mask].tolist() \
        == [40] * mask.sum()


class Painted:
    """A stand-in for a trained network that marks every pixel of at least 80: perfect on flat grey 80 alone."""

    def predict_on_batch(self, images):
        return (images >= 80).astype("float32")


def test_test_sets_score_the_network_on_each_kind_of_image(run):
    row = measures.test_sets(run._replace(model=Painted()), Settings(fill="constant", level=80), images=2)
    assert row["iou on a fill of grey 80"] == row["iou on rectangles"] == row["iou on canvas of 512 x 512"] == 1
    assert row["iou on a fill of grey 40"] == row["iou on a fill of grey 0"] == row["share marked without a shape"] == 0
    assert 0.2 < row["iou on a fill of noise"] < 0.8


def test_positions_are_a_grid_of_circles_that_fit(run):
    settings = Settings(fill="constant", level=80, radius=(20, 20))
    training = create_data(1, settings)
    row = measures.positions(run._replace(model=Painted(), train=training), settings, images=1)
    assert [row.pop(f"training {axis}") for axis in ("row", "column")] == [
        indices.mean() for indices in np.nonzero(training[1][0, ..., 0])]
    assert len(row) == measures.PLACES**2
    assert {"iou at 20 20", "iou at 139 20", "iou at 80 80", "iou at 139 139"} <= row.keys()
    assert set(row.values()) == {1}


def test_an_interval_holds_the_mean_as_often_as_it_says():
    generator = np.random.default_rng(0)
    inside = 0
    for _ in range(3000):
        mean, low, high = metrics.mean_interval(values := generator.normal(5, 1, 10))
        assert mean == pytest.approx(values.mean())
        inside += low <= 5 <= high
    assert 0.935 < inside / 3000 < 0.965
    assert metrics.mean_interval([3]) == (3, 3, 3)
