"""What rows say together: rows as files, intervals, and chances of differences."""

import threading

import numpy as np
import pytest
from filelock import FileLock

from common.errors import UserError
from common.files import write_table
from study import statistics
from study.question import Question
from study.results import SCORES, Results, add_row, identity, key_of, read_rows

QUESTION = Question("What?", {"plain": {}, "other": {"steps": 50}})


def a_row(variant, seed):
    """A row as a run leaves it, with scores that follow from the seed."""
    settings = identity(QUESTION.settings(variant))
    scores = dict.fromkeys(SCORES, str(seed / 10))
    return {"variant": variant, **settings, "seed": str(seed), **scores}


def test_results_hold_the_rows_of_the_settings_of_each_variant():
    rows = [a_row("plain", seed) for seed in range(4)] + [a_row("other", 3), a_row("other", 2)]
    rows[1]["steps"] = "81"  # the variant has been changed since
    rows[2]["variant"] = "its name before"
    rows[3]["train_loss"] = ""
    results = Results(QUESTION, rows)
    assert results.values("plain").tolist() == [0, 0.2, 0.3]
    assert np.isnan(results.values("plain", "train_loss")).tolist() == [False, False, True]
    assert results.paired(["plain", "other"]).tolist() == [[0.2, 0.3], [0.2, 0.3]]
    assert results.differences("plain", "other").tolist() == [0, 0]


@pytest.mark.parametrize(("name", "off", "on"), [
    ("dropout", "0.0", "0.5"), ("match", "True", "False"), ("image", "()", "('mine.png',)")])
def test_a_row_with_a_setting_that_is_gone_counts_only_where_it_was_off(name, off, on, tmp_path):
    path, row = tmp_path / "what.csv", a_row("plain", 0)
    write_table([{**row, name: off}, {**row, name: on}], path)
    add_row(a_row("plain", 1), path)  # a new row beside older ones costs none of them
    same, other, new = read_rows(path)
    assert key_of(same) == key_of(row)
    assert key_of(other) != key_of(row)
    assert new["seed"] == "1"


@pytest.mark.parametrize("text", ["variant,colour\nplain,0\n", "this is no table\n", "", "\xff"])
def test_another_kind_of_csv_is_refused(text, tmp_path):
    path = tmp_path / "what.csv"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"what\.csv is not from the study"):
        read_rows(path)


@pytest.mark.parametrize(
    ("column", "value"), [("seed", "first"), ("val_iou_mean", "much"), ("threads", "1,0")])
def test_a_row_whose_number_is_none_is_refused(column, value, tmp_path):
    path = tmp_path / "what.csv"
    write_table([a_row("plain", 0), {**a_row("plain", 1), column: value}], path)
    with pytest.raises(UserError, match=rf"holds '{value}' as {column}, which is no number"):
        read_rows(path)


def test_a_row_waits_for_another_study_and_is_added_once(tmp_path):
    path = tmp_path / "what.csv"
    with FileLock(path.with_name(".lock")):
        waiting = threading.Thread(target=add_row, args=(a_row("plain", 0), path))
        waiting.start()
        waiting.join(0.3)
        assert not path.exists()
        write_table([a_row("plain", 1)], path)
    waiting.join()
    add_row(a_row("plain", 0), path)
    assert [row["seed"] for row in read_rows(path)] == ["1", "0"]


def test_many_differences_are_corrected_for_their_number():
    once = np.linspace(0.1, 1, 10)  # all of one sign: two of 2**10 orders are as extreme
    assert statistics.corrected([once]) == ["0.002"]
    assert statistics.corrected([once] * 8) == ["0.016"] * 8
    several = [0 * once, once, once[:9], -once]
    assert statistics.corrected(several) == ["1.000", "0.006", "", "0.006"]
    assert statistics.corrected([once, np.full(10, np.nan), 0 * once]) == ["0.004", "", "1.000"]


def test_there_is_no_interval_from_few_seeds_or_of_values_that_are_all_the_same():
    values = [0.9, 0.8, 0.7, 0.9, 0.8, 0.7, 0.9, 0.8, 0.7, 0.9]
    assert statistics.with_interval(values[:9]) == "0.800"
    assert statistics.with_interval(values).startswith("0.810 [0.7")
    assert statistics.with_interval([0.9] * 20) == "0.900"
    assert statistics.with_interval(values, "+.1f").startswith("+0.8 [+0.")
    assert statistics.with_deviation(np.array(values[:9])) == "0.800 ± 0.087"
    assert statistics.with_deviation(np.array([0.5])) == "0.500"


def test_an_interval_stays_in_the_range_of_the_values_and_is_the_same_each_time():
    generator = np.random.default_rng(0)
    for values in ([0.0] * 9 + [1.0], [0.999] * 9 + [1.0], *generator.beta(0.3, 0.1, (5, 10)),
                   *generator.choice([0.0, 1.0], (5, 10), p=[0.2, 0.8])):
        low, high = statistics.bootstrap(tuple(values))
        assert min(values) - 1e-12 <= low <= np.mean(values) <= high <= max(values) + 1e-12
    values = tuple(generator.random(12))
    once = statistics.bootstrap(values)
    statistics.bootstrap.cache_clear()
    assert statistics.bootstrap(values) == once
