"""What the study varies: every variant trains, and is what it says."""

import numpy as np
import pytest

import metrics
import model as network
import recipe
import train
from data import create_data, relabel
from settings import Settings, UserError

SMALL = dict(size=(64, 64), radius=(8, 12), width=0.125, steps=2, validation=2, watch=1)


@pytest.mark.parametrize("changes", [
    {"network": "unet-without-skips"}, {"network": "pixel"}, {"network": "dense"},
    {"padding": "reflect"}, {"network": "convolutions", "padding": "circular"},
], ids=str)
def test_every_variant_trains_and_is_loaded_again(changes, tmp_path):
    run = train.train(Settings(**SMALL, **changes))
    assert run.history[-1]["loss"] < run.history[0]["loss"]
    network.save(run.model, tmp_path / "model.keras")
    P = network.predict(network.load(tmp_path / "model.keras"), run.validation[0])
    assert P.shape == run.validation[1].shape
    assert pytest.approx(run.probabilities, abs=1e-5) == P


def test_a_dense_network_has_as_many_parameters_as_the_unet_and_no_convolution():
    model = network.build(Settings(network="dense"))
    assert model.count_params() == 25_600 * 256 + 256 + 256 * 25_600 + 25_600
    assert not any(isinstance(layer, network.layers.Conv2D) for layer in model.layers)


def changes(settings, places, seen):
    """Whether the probability at the pixel `seen` of a 96x96 image depends on those at each of `places`."""
    network.keras.utils.set_random_seed(3)
    model = network.build(settings, 39.5, 533.0)
    X = np.repeat(create_data(1, Settings(size=(96, 96)))[0], len(places) + 1, axis=0)
    for image, place in zip(X[1:], places, strict=True):
        image[place] += 50
    before, *after = network.predict(model, X)[(slice(None), *seen, 0)]
    return [probability != before for probability in after]


def test_a_pixel_network_sees_one_pixel_and_convolutions_see_25_by_25():
    inside, outside = np.s_[36:61, 36:61], np.zeros((96, 96), bool)
    outside[inside] = True
    outside = ~outside
    neighbours = np.zeros((96, 96), bool)
    neighbours[47:50, 47:50] = True
    neighbours[48, 48] = False
    assert changes(Settings(network="pixel"), [np.s_[48, 48], neighbours], (48, 48)) == [True, False]
    places = [np.s_[36:37, 36:61], np.s_[36:61, 60:61], outside]
    assert changes(Settings(network="convolutions"), places, (48, 48)) == [True, True, False]


def test_circular_padding_sees_across_the_border_and_the_others_do_not():
    for padding, across in (("zero", False), ("reflect", False), ("circular", True)):
        settings = Settings(network="convolutions", padding=padding)
        assert changes(settings, [np.s_[90:, :], np.s_[5, 48]], (0, 48)) == [across, True]


@pytest.mark.parametrize(("padding", "border"), [("reflect", [[2, 1, 2, 3, 2]]), ("circular", [[3, 1, 2, 3, 1]])])
def test_a_border_is_what_its_name_says(padding, border):
    image = np.array([[1, 2, 3]] * 3, "float32")[np.newaxis, ..., np.newaxis]
    assert network.ops.convert_to_numpy(network.Border(padding)(image))[0, ..., 0].tolist() == border * 5


def test_without_skips_the_parameters_of_the_skips_are_missing():
    with_skips, without = (network.build(Settings(network=name)) for name in ("unet", "unet-without-skips"))
    across = 9 * sum(down * up for down, up in zip(reversed(network.DOWN), network.UP, strict=True))
    assert with_skips.count_params() - without.count_params() == across


@pytest.mark.parametrize("seed", range(5))
def test_moved_masks_do_not_overlap_and_random_ones_are_as_large(seed):
    Y = create_data(2, settings := Settings(seed=seed, labels="moved"))[1]
    moved, shuffled = relabel(Y, settings), relabel(Y, Settings(seed=seed, labels="random"))
    assert moved.shape == shuffled.shape == Y.shape
    assert (metrics.iou(Y, moved) == 0).all()
    assert (moved.sum(axis=(1, 2, 3)) > 600).all()  # a circle of radius 15 has 749 pixels
    assert np.array_equal(shuffled.sum(axis=(1, 2, 3)), Y.sum(axis=(1, 2, 3)))
    assert (metrics.iou(Y, shuffled) < 0.2).all()
    assert relabel(Y, Settings(seed=seed)) is Y


def test_no_room_for_a_second_shape_is_said():
    settings = Settings(labels="moved", radius=(70, 70))
    with pytest.raises(UserError, match="--labels moved finds no room for a second shape"):
        relabel(create_data(1, settings)[1], settings)


def test_supervised_pixels_are_counted_exactly_and_fewer_are_a_part_of_more():
    Y = create_data(2)[1]
    few, more, every = (recipe.supervision(Settings(supervised_pixels=n), Y) for n in (10, 1000, 0))
    assert (np.count_nonzero(few, axis=(1, 2, 3)) == 10).all()
    assert (np.count_nonzero(more, axis=(1, 2, 3)) == 1000).all()
    assert (more[few > 0] > 0).all()
    assert not np.array_equal(few[0], few[1])
    assert (every == 1).all()
    assert few.mean() == pytest.approx(1, rel=1e-5)


def test_the_labels_of_other_pixels_do_not_count():
    settings = Settings(**{**SMALL, "supervised_pixels": 50})
    X, Y = create_data(1, settings)
    seen = recipe.supervision(settings, Y) > 0
    weights = []
    for labels in (Y, np.where(seen, Y, 1 - Y), np.where(seen, 1 - Y, Y)):
        model = recipe.compiled(settings, X, Y)
        model.run_eagerly = True  # a single step is not worth tracing
        model.train_on_batch(*next(recipe.samples_in_turn(settings, X, labels.astype("float32"))))
        weights.append(model.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(weights[0], weights[1], strict=True))
    assert any((a != b).any() for a, b in zip(weights[0], weights[2], strict=True))


@pytest.mark.parametrize(("values", "message"), [
    ({"supervised_pixels": 25_601}, "--supervised-pixels 25601 is more than an image of --size 160 160 has"),
    ({"supervised_pixels": 10, "loss": "dice"}, "--supervised-pixels needs a loss that is a mean over pixels"),
    ({"supervised_pixels": 10, "augment": True}, "--supervised-pixels stay where they are and --augment moves them"),
    ({"padding": "circular", "network": "pixel"}, "--padding circular means nothing to --network pixel"),
    ({"dropout": 0.3, "network": "convolutions"}, "--dropout 0.3 means nothing to --network convolutions"),
    ({"padding": "reflect", "size": (32, 64), "radius": (3, 5)}, "--padding reflect needs images of more than 32"),
])
def test_settings_that_exclude_each_other_are_refused(values, message):
    with pytest.raises(UserError) as error:
        Settings(**values)
    assert str(error.value).startswith(message)
