"""The instruments of the study: what they measure on a trained network is what they say."""

import cv2
import numpy as np
import pytest

import train
from common import metrics
from common.settings import Settings
from data import create_data
from study import history, larger, memory, other_images, place, race, receptive_field, rim

SMALL = dict(size=(96, 96), radius=(10, 12), width=0.25, learning_rate=1e-4, steps=1, evaluations=1, validation=1,
             watch=1)


@pytest.fixture(scope="module")
def run():
    return train.train(Settings(**SMALL))


def test_the_gradient_of_the_central_pixel_is_that_of_its_receptive_field():
    for name, reach in (("pixel", 0), ("convolutions", 12)):
        settings = Settings(**{**SMALL, "network": name, "width": 1.0, "radius": (40, 40)})
        X, Y = create_data(2, settings)
        field = abs(receptive_field.gradients(train.compiled(settings, X, Y), X)).max(axis=(0, 3))
        rows, columns = np.nonzero(field)
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (48 - reach, 48 + reach) * 2


def test_a_gradient_is_the_slope_of_the_logit():
    settings = Settings(**{**SMALL, "network": "pixel", "width": 1.0})
    network = train.train(settings).network
    image = np.full((1, 96, 96, 1), 100, "float32")
    brighter = image.copy()
    brighter[0, 48, 48] += 0.5

    def logit(image):
        probability = network.predict_on_batch(image)[0, 48, 48, 0].astype(float)
        return np.log(probability / (1 - probability))

    # a function of one grey value that is piecewise linear: the slope is the same half a grey value further
    slope = receptive_field.gradients(network, image)[0, 48, 48, 0]
    assert slope == pytest.approx((logit(brighter) - logit(image)) / 0.5, 0.01)


def test_the_receptive_field_is_given_in_shares_before_and_after_training(run):
    row = receptive_field.receptive_field(run, Settings(**SMALL), images=2)
    for moment in ("before", "after"):
        shares = [row[f"gradient within {r} {moment} training"] for r in receptive_field.RINGS]
        assert shares == sorted(shares)
        assert 0 < shares[0] < 0.5
        assert shares[-1] == pytest.approx(1)
    assert row["gradient within 8 before training"] != row["gradient within 8 after training"]


def test_cutting_a_level_takes_its_pattern_away_and_nothing_else(run):
    network, before, X = run.network, run.network.get_weights(), run.validation[0]
    convolution, output = (network.get_layer(name) for name in ("up_1_convolution_1", "output_convolution"))
    kernel, bias = convolution.get_weights()
    deaf = kernel.copy()
    deaf[:, :, : network.get_layer("up_1_sample").output.shape[3]] = 0  # to what comes from below
    for first_level, expected in ((deaf, True), (kernel, False)):
        convolution.set_weights([first_level, bias])
        weight, offset = output.get_weights()
        median = np.median(network.predict_on_batch(X))
        output.set_weights([weight, offset - np.log(median / (1 - median))])  # half of the pixels become foreground
        Y = metrics.predicted(network.predict_on_batch(X))
        row = receptive_field.needed_levels(run._replace(validation=(X, Y)), Settings(**SMALL))
        assert list(row) == [f"iou cut below level {level}" for level in range(1, 6)]
        assert (row["iou cut below level 1"] == 1) == expected
        assert np.array_equal(convolution.get_weights()[0], first_level)
    network.set_weights(before)


def test_shapes_and_fills_are_what_their_names_say():
    settings, generator = Settings(), np.random.default_rng(0)
    masks = {name.removeprefix("iou on "): draw(generator, settings)
             for name, draw in other_images.TEST_SHAPES.items()}
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
    added = {}
    for name, fill in other_images.TEST_FILLS.items():
        image = fill(generator, noise, mask)
        assert np.array_equal(image[~mask], noise[~mask]), name
        assert 0 <= image.min() <= image.max() <= 255, name
        added[name.removeprefix("iou on a fill of ")] = (image - noise)[mask]
    for name, most in (("noise", 79), ("noise, half as strong", 39), ("noise, twice as strong", 159)):
        assert (added[name].min(), added[name].max()) == (0, most)
    assert set(added["the background, 40 brighter"]) == {40}
    for grey in (0, 40, 80):
        assert set(added[f"grey {grey}"] + noise[mask]) == {grey}
    assert abs(2 * (added["grey 40, mixed half with noise"] + noise[mask]) - noise[mask] - 40).max() <= 1


class Painted:
    """A stand-in for a trained network that marks every pixel of at least 80: perfect on flat grey 80 alone."""

    def predict_on_batch(self, images):
        return (images >= 80).astype("float32")


def test_test_sets_score_the_network_on_each_kind_of_image(run):
    row = other_images.measure(run._replace(network=Painted()), Settings(fill="constant", level=80), images=2)
    assert row["iou on a fill of grey 80"] == row["iou on rectangles"] == row["iou on canvas of 512 x 512"] == 1
    assert row["iou on a fill of grey 40"] == row["iou on a fill of grey 0"] == row["share marked without a shape"] == 0
    assert 0.2 < row["iou on a fill of noise"] < 0.8


class Answers:
    """A stand-in for a trained network: what `answer` says of each image, (height, width), as a mask."""

    def __init__(self, answer):
        self.answer = answer

    def predict_on_batch(self, images):
        return np.stack([self.answer(image[..., 0]) for image in images])[..., np.newaxis].astype("float32")


def test_a_template_a_lookup_and_the_rule_are_told_apart(run):
    settings = Settings(fill="constant", level=200)
    train, validation = create_data(1, settings), create_data(3, settings, "validation")
    run, (image, mask) = run._replace(train=train, validation=validation), (array[0, ..., 0] for array in train)
    kinds = {"template": lambda X: mask, "lookup": lambda X: mask * np.array_equal(X, image),
             "rule": lambda X: X == 200}
    rows = {kind: memory.measure(run._replace(network=Answers(answer)), settings) for kind, answer in kinds.items()}
    shared = metrics.iou(mask[np.newaxis], np.roll(mask, 32 if mask[:, :80].sum() > mask[:, 80:].sum() else -32,
                                                   axis=1)[np.newaxis]).item()
    geometry = metrics.training_mask_overlap(train[1], validation[1]).mean()
    for kind, expected in {"template": (1, 1, 1, 1, 1, shared, 1, 0), "lookup": (1, 0, 0, 0, 0, 0, 0, 0),
                           "rule": (1, geometry, 0, 0, shared, 1, 0, 1)}.items():
        names = (*memory.OVERLAPS, *memory.MOVED, *memory.ELSEWHERE)
        assert [rows[kind][name] for name in names] == pytest.approx(expected), kind
    picture = rows["rule"]["picture overlap on unseen images"]
    assert np.array_equal(memory.from_text(picture, settings.size), validation[1][0, ..., 0])
    later = memory.measure(run._replace(network=Answers(kinds["rule"])), Settings(fill="constant", level=200, seed=1))
    assert not [name for name in later if "picture" in name]


def test_a_rule_is_not_bound_to_its_place_and_a_template_is(run):
    settings = Settings(fill="constant", level=200, radius=(12, 12), seed=2)
    run = run._replace(train=(train := create_data(1, settings)))
    mask = train[1][0, ..., 0]
    rule, template = (place.measure(run._replace(network=Answers(answer)), settings, images=4)
                      for answer in (lambda X: X == 200, lambda X: mask))
    assert [*rule] == [place.column(ring) for ring in place.RINGS]
    assert set(rule.values()) == {1}
    assert template[place.column(0)] == 1
    assert 0 < template[place.column(16)] < 1
    assert template[place.column(48)] == template[place.column(64)] == 0
    cramped = run._replace(train=create_data(1, Settings(radius=(79, 79))), network=Answers(lambda X: mask))
    assert place.measure(cramped, settings)[place.column(32)] == ""


def test_the_race_is_timed_by_the_first_step_that_is_seen_at_a_goal(run):
    rows = [{"step": step, "train_iou": train, "val_iou_mean": unseen} for step, train, unseen in (
        (0, 0.0, 0.1), (3, 0.6, 0.2), (7, 0.95, 0.55), (9, 0.7, 0.7))]
    assert race.measure(run._replace(history=rows), Settings()) == {
        "steps to 0.5 on the training image": 3, "steps to 0.8 on the training image": 7,
        "steps to 0.9 on the training image": 7, "steps to 0.5 on the unseen images": 7,
        "steps to 0.8 on the unseen images": "", "steps to 0.9 on the unseen images": ""}


def test_wrong_pixels_are_counted_by_their_distance_from_the_edge(run):
    mask = np.zeros((1, 40, 40, 1), "float32")
    mask[:, 10:20, 10:20] = 1
    found = mask.copy()
    found[0, 10, 10], found[0, 12, 12], found[0, 30, 15], found[0, 20, 15] = 0, 0, 1, 1
    unseen = run._replace(network=Answers(lambda X: found[0, ..., 0]), train=(mask, found), validation=(mask, mask))
    row = rim.measure(unseen, Settings())
    assert [row[rim.column("unseen", most)] for most in rim.EDGES] == [2, 2, 3, 3, 3, 3, 4]
    assert {row[rim.column("trained", most)] for most in rim.EDGES} == {0}


def test_the_larger_of_two_is_told_from_both_and_from_the_smaller(run):
    settings = Settings(fill="constant", level=200, task="larger")

    def pick(which):
        def answer(X):
            _, labels, stats, _ = cv2.connectedComponentsWithStats((X == 200).astype("uint8"))
            return np.isin(labels, which(range(1, len(stats)), key=lambda label: stats[label, cv2.CC_STAT_AREA]))
        return answer

    rows = [larger.measure(run._replace(network=Answers(answer)), settings, images=8)
            for answer in (pick(max), pick(min), lambda X: X == 200,
                           lambda X: cv2.erode((X == 200).astype("uint8"), np.ones((3, 3), "uint8")) > 0)]
    assert [row[larger.RIGHT] for row in rows] == [1, 0, 0, 0]
    assert 0.55 < rows[0][larger.BOTH] < 0.95


def test_the_history_is_kept_but_for_its_last_row_which_is_of_other_images(run):
    before = run.history[0]
    assert [row["step"] for row in run.history] == [0, 1]
    assert history.measure(run, Settings(**SMALL)) == {
        f"{name} after 0": before[name] for name in ("train_iou", "val_iou_mean", "training_mask_overlap")}
