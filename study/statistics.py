"""What several runs say together, as text: means, intervals, chances, and tables in Markdown."""

from functools import lru_cache

import numpy as np

ENOUGH = 10  # seeds: from fewer there is no interval and no test


@lru_cache(maxsize=10_000)
def bootstrap(values):
    """The 95% interval of the mean of a tuple of values (Efron 1987: bias-corrected, accelerated).

    Unlike one by Student's t it stays in the range of the values. It is the same each time.
    """
    from scipy.stats import bootstrap

    if min(values) == max(values):
        return values[0], values[0]
    for method in ("BCa", "percentile"):
        generator = np.random.default_rng(0)
        interval = bootstrap((values,), np.mean, method=method, rng=generator).confidence_interval
        if np.isfinite(interval).all():  # BCa fails where all resampled means lie on one side
            break
    return float(interval.low), float(interval.high)


def with_interval(values, form=".3f"):
    """'0.967 [0.965, 0.969]': the mean of values, (n,), and its 95% interval.

    There is no interval from fewer than ENOUGH values, or if they are all the same.
    """
    values = tuple(map(float, values))
    mean = f"{np.mean(values):{form}}"
    if len(values) < ENOUGH or min(values) == max(values) or not np.isfinite(values).all():
        return mean
    low, high = bootstrap(values)
    return f"{mean} [{low:{form}}, {high:{form}}]"


def of_those_with_one(values, none):
    """As `with_interval`, of the values that are numbers; says of how many runs if not of all.

    none: what is said if there are none.
    """
    numbers = values[np.isfinite(values)]
    if not len(numbers):
        return none
    runs = f", {len(numbers)} of {len(values)} runs" if len(numbers) < len(values) else ""
    return with_interval(numbers) + runs


def with_deviation(values):
    """'0.967 ± 0.004 [0.965, 0.969]': mean of values, (n,), standard deviation, interval."""
    mean, _, interval = with_interval(values).partition(" ")
    if len(values) == 1:
        return mean
    return f"{mean} ± {np.std(values, ddof=1):.3f} {interval}".strip()


def chance(p):
    """A probability as text: '0.006', '< 0.001'."""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def corrected(differences):
    """How likely each of several paired differences is by chance, as text: '0.006'.

    differences: list of float64 (n,). Wilcoxon's signed-rank test (1945), corrected for their
    number (Holm 1979). The text is empty for fewer than ENOUGH seeds, or where one is nan.
    """
    from scipy.stats import wilcoxon

    tested = {}
    for number, values in enumerate(differences):
        if len(values) >= ENOUGH and np.isfinite(values).all():
            tested[number] = wilcoxon(values).pvalue if np.any(values) else 1.0
    texts = [""] * len(differences)
    least = 0.0  # no p is smaller than the one before it
    for rank, number in enumerate(sorted(tested, key=tested.get)):
        least = max(least, min(1.0, tested[number] * (len(tested) - rank)))
        texts[number] = chance(least)
    return texts


def counts_with_chance(before, after):
    """'3 to 10, p 0.016': in how many of the same runs something holds before and after.

    before, after: bool (n,), paired. The probability is exact, of McNemar's test (1947): that the
    runs that change do so one way as often as the other. It is of this comparison by itself.
    """
    from scipy.stats import binomtest

    gained = (after & ~before).sum().item()
    lost = (before & ~after).sum().item()
    p = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    return f"{before.sum()} to {after.sum()}, p {chance(p)}"


def differences_with_chance(differences, form):
    """'+0.095 [+0.075, +0.113], p 0.043' for each of a list of paired differences, (n,)."""
    texts = []
    for values, p in zip(differences, corrected(differences), strict=True):
        text = with_interval(values, form)
        texts.append(f"{text}, p {p}" if p else text)
    return texts


def markdown_table(head, rows):
    """The lines of a table in Markdown; head and each of the rows are lists of cells."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(map(str, cells))} |" for cells in lines]
