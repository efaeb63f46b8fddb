"""Parts of Keras written anew for JAX. Without KERAS_BACKEND=jax they are left out."""

import dataclasses

import numpy as np
import pytest

import train
from common import steps
from common.backend import keras
from common.checkpoints import Checkpoint
from common.settings import Settings
from common.steps import make_steps
from data import create_data

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="Keras is not on JAX")
NARROW = Settings(width=0.1, size=(64, 64), radius=(8, 12), learning_rate=0.01, augment=True)


@pytest.mark.parametrize("changes", [
    {}, {"deterministic": True}, {"optimizer": "sgd"}, {"precision": "mixed_bfloat16"}], ids=str)
def test_steps_taken_at_once_are_those_taken_one_by_one(changes):
    from common.on_jax import several_steps

    settings = dataclasses.replace(NARROW, **changes)
    X, Y = create_data(2, settings)
    losses, weights = [], []
    for make, at_once in ((make_steps, 1), (several_steps, 4)):
        network = train.compile_network(settings, X, Y)
        samples = train.samples_in_turn(settings, X, Y)
        take_steps = make(network, settings, at_once)
        losses.append([*take_steps(samples, 1), *take_steps(samples, 4), *take_steps(samples, 3)])
        weights.append(np.concatenate([array.ravel() for array in network.get_weights()]))
        assert int(network.optimizer.iterations) == len(losses[-1]) == 8
    rounding = 0.02 if "precision" in changes else 1e-5
    assert losses[1] == pytest.approx(losses[0], abs=rounding)
    assert "precision" in changes or weights[1] == pytest.approx(weights[0], abs=1e-4)


def losses_of(history):
    return [row["loss"] for row in history]


def test_a_training_by_several_steps_at_once_stops_where_it_is_scored(monkeypatch, tmp_path):
    settings = dataclasses.replace(
        NARROW, steps=30, validation=2, watch=1, checkpoint=1e-9, output=str(tmp_path))
    histories = [train.train(settings).history]

    def stop(step, row):
        if step >= 16:
            raise KeyboardInterrupt

    monkeypatch.setattr(steps, "computes_several", lambda: True)
    monkeypatch.setattr(steps, "AT_ONCE", 8)
    histories.append(train.train(settings).history)
    with pytest.raises(KeyboardInterrupt):
        train.train(settings, stop, Checkpoint(settings))
    resumed = dataclasses.replace(settings, resume=True)
    histories.append(train.train(resumed, checkpoint=Checkpoint(resumed)).history)
    assert [row["step"] for row in histories[1]] == train.evaluation_steps(settings)
    one_by_one, at_once, in_two_parts = map(losses_of, histories)
    assert at_once == pytest.approx(one_by_one, abs=2e-3)  # roundings grow along the steps
    assert in_two_parts == at_once


def test_a_step_holds_nothing_of_which_a_gpu_has_no_deterministic_kind():
    import jax

    X, Y = create_data(1, NARROW)
    network = train.compile_network(NARROW, X, Y)
    network.train_on_batch(X, Y)
    variables = (network.trainable_variables, network.non_trainable_variables,
                 network.optimizer.variables, network.metrics_variables)
    state = jax.tree.map(lambda variable: variable.value, variables)
    step = jax.jit(network.train_step).trace(state, (X, Y))
    assert "scatter" not in step.lower(lowering_platforms=("cuda",)).as_text()


def test_initial_weights_are_as_large_as_keras_draws_them():
    from common.on_jax import VarianceScaling

    for arguments in ((2.0, "fan_in", "truncated_normal"), (1.0, "fan_avg", "uniform")):
        ours = VarianceScaling(*arguments, seed=1)
        drawn, again = (np.asarray(ours((3, 3, 40, 60))) for _ in range(2))
        keras_own = keras.initializers.VarianceScaling(*arguments, seed=1)
        theirs = np.asarray(keras_own((3, 3, 40, 60)))
        assert np.array_equal(drawn, again)
        assert not np.array_equal(drawn, VarianceScaling(*arguments, seed=2)((3, 3, 40, 60)))
        assert drawn.std() == pytest.approx(theirs.std(), rel=0.02)
        assert np.abs(drawn).max() == pytest.approx(np.abs(theirs).max(), rel=0.02)


def test_a_file_of_a_network_names_layers_of_keras_alone(tmp_path):
    import json
    import zipfile

    from common import model_file

    network = train.compile_network(NARROW, *create_data(1, NARROW))
    model_file.save(network, tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        config = archive.read("config.json").decode()
    modules = set()

    def note(part):
        modules.add(part.get("module") or "keras")
        return part

    json.loads(config, object_hook=note)
    assert {module.partition(".")[0] for module in modules} == {"keras"}
    X, _ = create_data(1, NARROW)
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.predict_on_batch(X) == pytest.approx(network.predict_on_batch(X), abs=1e-6)


def test_what_is_compiled_is_kept_where_nobody_else_can_write(tmp_path):
    import jax

    from common import kept_programs

    ours, others = tmp_path / "ours", tmp_path / "others"
    kept_programs.keep_compiled(ours)
    assert jax.config.jax_compilation_cache_dir == str(ours)
    jax.jit(lambda x: x * 3 + 1)(np.ones(7)).block_until_ready()
    assert [*ours.glob("*-cache")]
    others.mkdir()
    others.chmod(0o777)
    link = tmp_path / "link"
    link.symlink_to(ours)
    for folder in (others, link):
        kept_programs.keep_compiled(folder)
        assert jax.config.jax_compilation_cache_dir == str(ours)
