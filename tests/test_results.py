"""What rows say together: intervals, chances of differences, and the nulls that a row holds."""

import numpy as np
import pytest

from common import baselines
from data import create_data
from study import report, results


def test_many_differences_are_corrected_for_their_number():
    once = np.linspace(0.1, 1, 10)  # all of one sign: two of 2**10 orders are as extreme
    assert results.corrected([once]) == ["0.002"]
    assert results.corrected([once] * 8) == ["0.016"] * 8
    assert results.corrected([0 * once, once, once[:9], -once]) == ["1.000", "0.006", "", "0.006"]
    assert results.corrected([once, np.full(10, np.nan), 0 * once]) == ["0.004", "", "1.000"]
    mostly = once * [1, 1, -1, 1, 1, 1, 1, 1, 1, 1]
    alone, beside_two = results.corrected([mostly])[0], results.corrected([mostly, once, 0 * once])[0]
    assert float(beside_two) == pytest.approx(2 * float(alone), abs=0.001)


def test_the_nulls_of_a_row_are_those_that_are_computed():
    samples = create_data(1)
    assert list(results.NULLS) == list(baselines.nulls(samples[0], *samples))


def test_there_is_no_interval_from_fewer_than_ten_seeds_or_of_values_that_are_all_the_same():
    values = [0.9, 0.8, 0.7, 0.9, 0.8, 0.7, 0.9, 0.8, 0.7, 0.9]
    assert results.with_interval(values[:9]) == "0.800"
    assert results.with_interval(values).startswith("0.810 [0.7")
    assert results.with_interval([0.9] * 20) == "0.900"
    assert results.with_interval(values, "+.1f").startswith("+0.8 [+0.")
    assert report.with_deviation(np.array(values[:9])) == "0.800 ± 0.087"
    assert report.with_deviation(np.array([0.5])) == "0.500"


def test_an_interval_stays_in_the_range_of_the_values_and_is_the_same_each_time():
    generator = np.random.default_rng(0)
    for values in ([0.0] * 9 + [1.0], [1.0] * 19 + [0.2], [0.999] * 9 + [1.0], *generator.beta(0.3, 0.1, (10, 10)),
                   *generator.choice([0.0, 1.0], (10, 10), p=[0.2, 0.8])):
        low, high = results.bootstrap(tuple(map(float, values)))
        assert min(values) - 1e-12 <= low <= np.mean(values) <= high <= max(values) + 1e-12
    spread = tuple(generator.random(12).tolist())
    once = results.bootstrap(spread)
    results.bootstrap.cache_clear()
    np.random.seed(1)
    assert results.bootstrap(spread) == once
    assert results.bootstrap((0.3,) * 12) == (0.3, 0.3)


def test_an_interval_holds_the_mean_about_as_often_as_it_says():
    inside = 0
    for values in np.random.default_rng(0).normal(5, 1, (400, 20)):
        low, high = results.bootstrap(tuple(values.tolist()))
        inside += low <= 5 <= high
    assert 0.89 < inside / 400 < 0.975
