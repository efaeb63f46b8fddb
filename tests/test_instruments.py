"""The instruments of the study: what they measure on a trained network is what they say."""

import cv2
import numpy as np
import pytest

import train
from common import metrics
from common.settings import Settings
from data import create_data
from study import history, larger, memory, other_images, place, race, receptive_field, rim

SMALL = dict(size=(96, 96), radius=(10, 12), width=0.25, learning_rate=1e-4, steps=1,
             evaluations=1, validation=1, watch=1)
PIXEL = {**SMALL, "network": "pixel", "width": 1.0}
BRIGHT = Settings(fill="constant", level=200)


class Answers:
    """A stand-in for a trained network: what `answer` says of each image, (height, width)."""

    def __init__(self, answer):
        self.answer = answer

    def predict_on_batch(self, images):
        masks = [self.answer(image[..., 0]) for image in images]
        return np.stack(masks)[..., np.newaxis].astype("float32")


@pytest.fixture(scope="module")
def run():
    return train.train(Settings(**SMALL))


@pytest.fixture
def answering(run):
    """A function that gives a run of `settings` whose network says what `answer` says."""
    def answering(settings, answer):
        return run._replace(network=Answers(answer), train=create_data(1, settings),
                            validation=create_data(3, settings, "validation"))
    return answering


@pytest.mark.parametrize(("network", "reach"), [("pixel", 0), ("convolutions", 12)])
def test_the_gradient_of_the_central_pixel_is_that_of_its_receptive_field(network, reach):
    settings = Settings(**{**PIXEL, "network": network, "radius": (40, 40)})
    X, Y = create_data(2, settings)
    gradients = receptive_field.gradients(train.compile_network(settings, X, Y), X)
    rows, columns = np.nonzero(abs(gradients).max(axis=(0, 3)))
    assert (rows.min(), rows.max()) == (48 - reach, 48 + reach)
    assert (columns.min(), columns.max()) == (48 - reach, 48 + reach)


def test_a_gradient_is_the_slope_of_the_logit():
    network = train.train(Settings(**PIXEL)).network
    image = np.full((1, 96, 96, 1), 100, "float32")
    brighter = image.copy()
    brighter[0, 48, 48] += 0.5

    def logit(image):
        probability = network.predict_on_batch(image)[0, 48, 48, 0].astype(float)
        return np.log(probability / (1 - probability))

    # The logit is piecewise linear: the slope stays the same half a grey value further.
    slope = receptive_field.gradients(network, image)[0, 48, 48, 0]
    assert slope == pytest.approx((logit(brighter) - logit(image)) / 0.5, 0.01)


def test_the_receptive_field_is_given_in_shares_before_and_after_training(run):
    row = receptive_field.receptive_field(run, Settings(**SMALL), count=2)
    for moment in ("before", "after"):
        shares = [row[column] for column in receptive_field.ring_columns(moment)]
        assert shares == sorted(shares)
        assert 0 < shares[0] < 0.5
        assert shares[-1] == pytest.approx(1)
    assert row["gradient within 8 before training"] != row["gradient within 8 after training"]


def test_cutting_a_level_takes_its_pattern_away_and_nothing_else(run):
    network, before, X = run.network, run.network.get_weights(), run.validation[0]
    convolution = network.get_layer("up_1_convolution_1")
    output = network.get_layer("output_convolution")
    kernel, bias = convolution.get_weights()
    deaf = kernel.copy()  # to what comes from below
    deaf[:, :, : network.get_layer("up_1_sample").output.shape[3]] = 0
    for first_level, same in ((deaf, True), (kernel, False)):
        convolution.set_weights([first_level, bias])
        weight, offset = output.get_weights()
        median = np.median(network.predict_on_batch(X))
        # half of the pixels become foreground
        output.set_weights([weight, offset - np.log(median / (1 - median))])
        Y = metrics.predicted(network.predict_on_batch(X))
        row = receptive_field.needed_levels(run._replace(validation=(X, Y)), Settings(**SMALL))
        assert list(row) == [f"iou cut below level {level}" for level in range(1, 6)]
        assert (row["iou cut below level 1"] == 1) == same
        assert np.array_equal(convolution.get_weights()[0], first_level)
    network.set_weights(before)


def extent(mask):
    """First and last row and column of the foreground of a mask."""
    rows, columns = np.nonzero(mask)
    return rows.min(), rows.max(), columns.min(), columns.max()


def test_shapes_are_what_their_names_say():
    settings, generator = Settings(), np.random.default_rng(0)
    masks = {}
    for name, draw in other_images.TEST_SHAPES.items():
        masks[name.removeprefix("iou on ")] = draw(generator, settings)
    for name, low, high in (("radius 5 to 9", 5, 9), ("radius 50 to 70", 50, 70),
                            ("circles, as trained", 15, 39)):
        assert 2 * low + 1 <= masks[name].any(axis=0).sum() <= 2 * high + 1
    assert masks["canvas of 512 x 512"].shape == (512, 512)
    top, bottom, left, right = extent(masks["circles cut by the border"])
    assert left == 0 or right == 159
    assert right - left < bottom - top  # half a circle, or less
    top, bottom, left, right = extent(masks["rectangles"])
    assert masks["rectangles"].sum() == (1 + bottom - top) * (1 + right - left)
    regions, _ = cv2.connectedComponents(masks["two circles"].astype("uint8"))
    assert regions == 3  # with the background


def test_fills_are_what_their_names_say():
    generator = np.random.default_rng(0)
    noise = generator.integers(80, size=(160, 160))
    mask = create_data(1)[1][0, ..., 0] > 0
    inside = {}
    for name, fill in other_images.TEST_FILLS.items():
        image = fill(generator, noise, mask)
        assert np.array_equal(image[~mask], noise[~mask]), name
        assert 0 <= image.min() <= image.max() <= 255, name
        inside[name.removeprefix("iou on a fill of ")] = image[mask]
    for name, most in (("noise", 79), ("noise, half as strong", 39),
                       ("noise, twice as strong", 159)):
        added = inside[name] - noise[mask]
        assert (added.min(), added.max()) == (0, most)
    assert set(inside["the background, 40 brighter"] - noise[mask]) == {40}
    for grey in (0, 40, 80):
        assert set(inside[f"grey {grey}"]) == {grey}
    assert abs(2 * inside["grey 40, mixed half with noise"] - noise[mask] - 40).max() <= 1


def test_a_network_is_scored_on_each_kind_of_image(answering):
    settings = Settings(fill="constant", level=80)
    run = answering(settings, lambda X: X >= 80)  # perfect on flat grey 80 alone
    row = other_images.measure(run, settings, images=2)
    for kind in ("a fill of grey 80", "rectangles", "canvas of 512 x 512"):
        assert row[f"iou on {kind}"] == 1
    assert row["iou on a fill of grey 40"] == row["iou on a fill of grey 0"] == 0
    assert row["share marked without a shape"] == 0
    assert 0.2 < row["iou on a fill of noise"] < 0.8


def test_a_template_a_lookup_and_the_rule_are_told_apart(answering):
    run = answering(BRIGHT, None)
    image, mask = run.train[0][0, ..., 0], run.train[1][0, ..., 0]
    on_the_left = mask[:, :80].sum() > mask[:, 80:].sum()
    shifted = np.roll(mask, 32 if on_the_left else -32, axis=1)
    shared = metrics.iou([mask], [shifted]).item()
    geometry = metrics.training_mask_overlap(run.train[1], run.validation[1]).mean()
    names = (*memory.OVERLAPS, *memory.MOVED, *memory.ELSEWHERE)
    for answer, expected in (
            (lambda X: mask, (1, 1, 1, 1, 1, shared, 1, 0)),  # the template
            (lambda X: mask * np.array_equal(X, image), (1, 0, 0, 0, 0, 0, 0, 0)),  # the lookup
            (lambda X: X == 200, (1, geometry, 0, 0, shared, 1, 0, 1))):  # the rule
        row = memory.measure(answering(BRIGHT, answer), BRIGHT)
        assert [row[name] for name in names] == pytest.approx(expected)
    picture = memory.from_text(row["picture overlap on unseen images"], BRIGHT.size)
    assert np.array_equal(picture, run.validation[1][0, ..., 0])


def test_a_rule_is_not_bound_to_its_place_and_a_template_is(answering):
    settings = Settings(fill="constant", level=200, radius=(12, 12), seed=2)
    mask = create_data(1, settings)[1][0, ..., 0]
    rule = place.measure(answering(settings, lambda X: X == 200), settings, images=4)
    assert rule == {place.column(ring): 1 for ring in place.RINGS}
    template = place.measure(answering(settings, lambda X: mask), settings, images=4)
    near, *_, far = [template[place.column(ring)] for ring in place.RINGS[1:]]
    assert template["iou in its place"] == 1
    assert 0 < near < 1
    assert far == 0
    cramped = Settings(radius=(79, 79))  # there is no room to move
    row = place.measure(answering(cramped, lambda X: mask), cramped, images=1)
    assert row[place.column(32)] == ""


def test_the_race_is_timed_by_the_first_step_that_is_seen_at_a_goal(run):
    rows = []
    for step, trained, unseen in ((0, 0.0, 0.1), (3, 0.6, 0.2), (7, 0.95, 0.55), (9, 0.7, 0.7)):
        rows.append({"step": step, "train_iou": trained, "val_iou_mean": unseen})
    assert race.measure(run._replace(history=rows), Settings()) == {
        "steps to 0.5 on the training image": 3, "steps to 0.8 on the training image": 7,
        "steps to 0.9 on the training image": 7, "steps to 0.5 on the unseen images": 7,
        "steps to 0.8 on the unseen images": "", "steps to 0.9 on the unseen images": ""}


def test_wrong_pixels_are_counted_by_their_distance_from_the_edge(run):
    mask = np.zeros((1, 40, 40, 1), "float32")
    mask[:, 10:20, 10:20] = 1
    prediction = mask.copy()
    for row, column in ((10, 10), (12, 12), (30, 15), (20, 15)):
        prediction[0, row, column] = 1 - prediction[0, row, column]
    run = run._replace(network=Answers(lambda X: prediction[0, ..., 0]),
                       train=(mask, prediction), validation=(mask, mask))
    row = rim.measure(run, Settings())
    assert [row[rim.column("unseen", edge)] for edge in rim.EDGES] == [2, 2, 3, 3, 3, 3, 4]
    assert {row[rim.column("trained", edge)] for edge in rim.EDGES} == {0}


def regions(X):
    """The bright regions of an image as masks, from the smallest to the largest."""
    n, labels = cv2.connectedComponents((X == 200).astype("uint8"))
    return sorted((labels == label for label in range(1, n)), key=np.sum)


def test_the_larger_of_two_is_told_from_both_and_from_the_smaller(run):
    settings = Settings(fill="constant", level=200, task="larger")
    for answer, right in ((lambda X: regions(X)[-1], 1), (lambda X: regions(X)[0], 0),
                          (lambda X: X == 200, 0)):
        row = larger.measure(run._replace(network=Answers(answer)), settings, images=8)
        assert row[larger.RIGHT] == right
    assert row[larger.BOTH] > 0.5


def test_the_history_is_kept_but_for_its_last_row_which_is_of_other_images(run):
    assert [row["step"] for row in run.history] == [0, 1]
    first = run.history[0]
    names = ("train_iou", "val_iou_mean", "training_mask_overlap")
    assert history.measure(run, Settings(**SMALL)) == {f"{name} after 0": first[name]
                                                      for name in names}
