"""The instruments of the study: what they measure on a trained network is what they say."""

import cv2
import numpy as np
import pytest

import train
from common import metrics
from common.backend import keras
from common.settings import Settings
from data import create_data
from study import first_step, larger, measuring, memory, other_images, parts, place, rim
from study import sharpness

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
    picture = memory.unpacked(row["picture overlap on unseen images"], BRIGHT.size)
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


def test_a_change_of_the_logits_is_taken_apart_into_rule_template_and_lookup():
    views = parts.Views(Settings(**SMALL))
    nothing = np.zeros_like(views.mask)
    own = np.stack([views.mask, *[nothing] * parts.IMAGES, *views.others]).astype(float)
    lookup = np.zeros_like(own)
    lookup[0] = 0.5 * views.mask
    level = np.arange(len(own))[:, np.newaxis, np.newaxis]  # of each image another
    change = 3 * own + 2 * views.mask + lookup + level
    assert views.parts(change[..., np.newaxis]) == pytest.approx(
        {"fit": 5.5, "rule": 3, "template": 2, "lookup": 0.5})
    assert not any((views.mask & other).any() for other in views.others)


def test_the_parts_are_followed_along_the_steps_and_add_up():
    settings = Settings(**{**SMALL, "steps": 3})
    follower = parts.Parts(settings)
    run = train.train(settings, followers=[follower])
    row = follower.columns()
    assert list(row) == [f"{part} after {step}" for step in (1, 2, 3)
                         for part in ("fit", "rule", "template", "lookup")]
    assert row["fit after 3"] == pytest.approx(
        sum(row[f"{part} after 3"] for part in parts.PARTS), abs=1e-6)
    before = train.compile_network(settings, *run.train)
    X, Y = run.train
    inside = Y[0, ..., 0] > 0
    odds = []
    for network in (before, run.network):
        P = network.predict_on_batch(X)[0, ..., 0].astype(float)
        odds.append(np.log(P / (1 - P)))
    change = odds[1] - odds[0]
    assert row["fit after 3"] == pytest.approx(
        change[inside].mean() - change[~inside].mean(), abs=1e-4)


def test_a_change_is_kept_as_a_picture():
    change = np.linspace(-1, 1, 64 * 96).reshape(64, 96)
    picture = measuring.from_text(measuring.as_text(first_step.small(change)), "int8") / 127
    expected = change.reshape(32, 2, 48, 2).mean(axis=(1, 3))
    assert picture.reshape(32, 48) == pytest.approx(expected, abs=0.005)


def test_the_sharpest_direction_of_a_quadratic_is_that_of_its_hessian():
    generator = np.random.default_rng(0)
    directions, _ = np.linalg.qr(generator.standard_normal((40, 40)))
    eigenvalues = np.linspace(-9, 8, 40)
    hessian = directions * eigenvalues @ directions.T
    sharp, direction = sharpness.sharpest(lambda vector: hessian @ vector, 40)
    assert sharp == pytest.approx(8, rel=0.01)
    assert abs(direction @ directions[:, -1]) == pytest.approx(1, abs=0.02)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="needs its derivatives")
def test_gradient_and_hessian_are_those_of_the_loss():
    settings = Settings(**{**PIXEL, "optimizer": "sgd"})
    network = train.compile_network(settings, *create_data(1, settings))
    loss = sharpness.Loss(network, settings)
    direction = np.random.default_rng(0).standard_normal(loss.weights.size)
    direction /= np.linalg.norm(direction)
    slopes, losses = [], []
    for length in (0, 0.001, 0.002):  # no ReLU bends in between
        loss.move_to(loss.weights + length * direction)
        slopes.append(loss.gradient() @ direction)
        losses.append(float(network.test_on_batch(loss.image, loss.mask)))
    loss.move_to(loss.weights + 0.001 * direction)
    assert slopes[1] == pytest.approx((losses[2] - losses[0]) / 0.002, rel=0.01)
    bend = loss.hessian_product(direction) @ direction
    assert bend == pytest.approx((slopes[2] - slopes[0]) / 0.002, rel=0.05)


def test_a_mask_that_hangs_on_a_border_goes_along_with_it(answering):
    settings = Settings(radius=(12, 12), seed=2)
    mask = create_data(1, settings)[1][0, ..., 0] > 0
    assert np.argwhere(mask)[:, 1].mean() < 80  # the left border is nearer

    def at_the_left(X):
        return np.pad(mask, [(0, 0), (0, 32)])[:, : X.shape[1]]

    row = place.measure_border(answering(settings, at_the_left), settings, images=1)
    mirrored = answering(settings, lambda X: at_the_left(X)[:, ::-1])
    image, masks = mirrored.train
    other = place.measure_border(
        mirrored._replace(train=(image, masks[:, :, ::-1])), settings, images=1)
    for words in ("narrower", "wider"):
        for found in (row, other):
            assert found[f"overlap on {words} noise: as far from the nearer border"] == 1
            assert found[f"overlap on {words} noise: as far from the farther border"] < 0.5


def test_otsu_and_the_area_under_the_curve_do_not_depend_on_a_threshold():
    mask = np.zeros((40, 40), bool)
    mask[10:20, 5:30] = True
    noise = np.random.default_rng(0).normal(0, 0.1, mask.shape)
    low = (mask + noise - 5).astype("float32")
    assert place.iou_at_half(low, mask) == 0
    assert place.iou_at_otsu(low, mask) > 0.95
    assert place.area_under_curve(low, mask) == pytest.approx(1, abs=0.001)
    assert place.area_under_curve(noise, mask) == pytest.approx(0.5, abs=0.06)
