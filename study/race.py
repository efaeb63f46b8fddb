"""The race of two solutions: after how many steps memory and rule would be there, and who wins.

Both times are measured where the other solution cannot be had: the memory's where nothing is added
inside the mask, so that there is no rule (--strength 0), the rule's on a fresh image at every step,
so that nothing can be remembered. A racer is a recipe for which both are there.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from data import create_data
from study.question import RACERS
from study.statistics import markdown_table, with_interval

GOALS = (0.5, 0.8, 0.9)  # IoU
CURVES = {"train_iou": "training image", "val_iou_mean": "unseen images"}
RESAMPLED = 1000  # times that the seeds are drawn anew, for an interval
FORETELLERS = ("ratio", "the steps to the rule alone", "those to the memory alone")


def column(curve, goal):
    """The column of the step at which one of CURVES was first seen at a goal."""
    return f"steps to {goal} on the {CURVES[curve]}"


def measure(run, settings):
    """The steps at which each of CURVES was first seen at each of GOALS; "" where it never was.

    Unseen images are the few that are watched, and after the last step all.
    """
    row = {}
    for curve in CURVES:
        for goal in GOALS:
            reached = (point["step"] for point in run.history if point[curve] >= goal)
            row[column(curve, goal)] = next(reached, "")
    return row


class Race(NamedTuple):
    """What came of the racers, each float64 (racers, seeds).

    Resampled there are more axes between the two.
    """

    memory: np.ndarray  # steps to the memory, infinite where it never comes
    rule: np.ndarray  # steps to the rule, likewise
    scores: np.ndarray  # IoU on unseen images, from one image

    def ratios(self):
        """Median steps to the rule over median steps to the memory, without the axis of seeds.

        Under 1 the rule is first. It is nan where neither comes.
        """
        return divided(np.median(self.rule, axis=-1), np.median(self.memory, axis=-1))

    def foretellers(self):
        """What may foretell the score of a racer, as FORETELLERS says."""
        return self.ratios(), np.median(self.rule, axis=-1), np.median(self.memory, axis=-1)

    def generalises(self, goal):
        """Whether most runs of each racer come to the goal on unseen images."""
        return (self.scores >= goal).mean(axis=-1) > 0.5

    def decided(self, goal):
        """In how many racers who is first says rightly whether most runs come to the goal."""
        return ((self.ratios() < 1) == self.generalises(goal)).sum(axis=0)

    def select(self, racers):
        """The race of some racers, bool (racers,)."""
        return Race(*(array[racers] for array in self))

    def resampled(self, generator):
        """The race with seeds drawn anew, each array (racers, RESAMPLED, seeds)."""
        seeds = self.scores.shape[-1]
        drawn = generator.integers(seeds, size=(RESAMPLED, seeds))
        return Race(*(array[:, drawn] for array in self))


def divided(rule, memory):
    """Steps to the rule over steps to the memory, nan where neither comes."""
    with np.errstate(invalid="ignore"):
        return rule / memory


def or_never(steps):
    """Steps, infinite where there are none because the goal was not reached."""
    return np.where(np.isnan(steps), np.inf, steps)


def racers(results):
    """{variant on one image: (the same without a rule, the same with nothing to remember)}.

    Racers that lack one of the two are left out.
    """
    variants = {results.settings(variant): variant for variant in results.variants}
    complete = {}
    for settings, variant in variants.items():
        memory = variants.get(replace(settings, strength=0.0))
        rule = variants.get(replace(settings, samples=settings.steps))
        if settings.samples == 1 and settings.strength > 0 and memory and rule:
            complete[variant] = memory, rule
    return complete


def race_to(results, goal):
    """The `Race` to a goal, of the seeds that all variants have."""
    variants = []
    for variant, (memory, rule) in racers(results).items():
        variants += [memory, rule, variant]
    memory = results.paired(variants, column("train_iou", goal))[0::3]
    rule = results.paired(variants, column("val_iou_mean", goal))[1::3]
    return Race(or_never(memory), or_never(rule), results.paired(variants)[2::3])


def racer_name(results, variant):
    """A racer in words."""
    return results.short(variant).removesuffix(": one image")


def rank_correlation(values, scores):
    """Spearman's rank correlation along the first axis of two arrays, without values that are nan.

    It is nan where there is no order. (SciPy has none for many short rows at a time.)
    """
    there = ~np.isnan(values)
    x, y = ranks(values), ranks(np.where(there, scores, np.nan))
    with np.errstate(invalid="ignore"):
        n = there.sum(axis=0)
        covariance = (x * y).sum(axis=0) / n
        return covariance / (np.sqrt((x**2).sum(axis=0) / n) * np.sqrt((y**2).sum(axis=0) / n))


def ranks(values):
    """The ranks along the first axis, less their mean; ties share theirs, and nan has 0."""
    above = (values[:, np.newaxis] > values).sum(axis=1)
    equal = (values[:, np.newaxis] == values).sum(axis=1)
    middle = ((equal > 0).sum(axis=0) + 1) / 2
    return np.where(equal > 0, above + (equal + 1) / 2 - middle, 0)


def table(results):
    """Markdown: a line for each racer, then what they say of the prediction.

    There is none before both times are known of a racer.
    """
    names = {variant: racer_name(results, variant) for variant in racers(results)}
    if not names:
        return []
    races = {goal: race_to(results, goal) for goal in GOALS}
    rows = []
    for words, chosen in groups(results, names, races).items():
        rows += correlations(races, words, chosen)
    head = ["recipes", "IoU", "who is first says rightly whether most runs come to it",
            "with the seeds drawn anew", "right if all are said to",
            "right by a limit on the steps to the rule, chosen afterwards",
            "fail, of a ratio under 0.5", "come to it, of one above 2"]
    for foreteller in FORETELLERS:
        head.append(f"rank correlation of the score with {foreteller}")
    return [*table_of_racers(results, names, races), "", *markdown_table(head, rows), "",
            *within(results, races)]


def groups(results, names, races):
    """The racers that are looked at together: {words: {goal: bool (racers,)}}.

    names: {variant: racer}; races: {goal: Race}.
    """
    first_nine = {*RACERS, "2017, today's weights, zero padding"}
    first = np.array([name in first_nine for name in names.values()])
    with_border = np.array([results.settings(variant).padding == "zero" for variant in names])
    comes = {goal: np.isfinite(np.median(race.memory, axis=1)) for goal, race in races.items()}
    chosen = {}
    if first.any():
        chosen["the first nine"] = dict.fromkeys(races, first)
    if with_border.any() and not with_border.all():
        chosen["with a border"] = dict.fromkeys(races, with_border)
    chosen["with and without"] = dict.fromkeys(races, np.ones_like(first))
    if not np.all([*comes.values()]):  # of the others nothing is known but that it does not
        chosen["whose memory comes in most runs"] = comes
    return chosen


def table_of_racers(results, names, races):
    """Markdown: steps, scores and ratios of each racer; names: {variant: racer}."""
    last = GOALS[-1]
    head = ["", f"steps to the memory, train IoU {last}", f"steps to the rule, unseen IoU {last}",
            f"steps until its one image is fitted, train IoU {last}",
            "IoU on unseen images after one"]
    for goal in GOALS:
        head.append(f"rule over memory at {goal}, with its interval; runs that come to it")
    memory, rule, scores = races[last]
    fitted = or_never(results.paired(list(names), column("train_iou", last)))
    rows = []
    for number, name in enumerate(names.values()):
        cells = [name, median_and_range(memory[number]), median_and_range(rule[number]),
                 median_and_range(fitted[number]), with_interval(scores[number])]
        for goal, race in races.items():
            come = (race.scores[number] >= goal).sum()
            cells.append(f"{ratio(race.select([number]))}; {come} of {race.scores.shape[1]}")
        rows.append(cells)
    return markdown_table(head, rows)


def median_and_range(steps):
    """'34 (20 to 61)': steps, some of which may be infinite."""
    texts = [f"{step:.0f}" if np.isfinite(step) else "never"
             for step in (np.median(steps), steps.min(), steps.max())]
    return "{} ({} to {})".format(*texts)


def ratio(race):
    """'0.85 [0.62, 1.16]': the ratio of the one racer of a race, and its interval over seeds."""
    (value,) = race.ratios()
    if np.isnan(value):
        return "neither"
    (again,) = race.resampled(np.random.default_rng(0)).ratios()
    low, high = np.nanpercentile(again, [2.5, 97.5], method="nearest")
    return f"{value:.2f} [{low:.2f}, {high:.2f}]".replace("inf", "never")


def correlations(races, words, chosen):
    """A row for each goal: how often who is first wins, and rank correlations; over seeds.

    races: {goal: Race}. chosen: {goal: bool (racers,)}, those that count, and words, what they are
    called. None counts of which neither solution comes.
    """
    generator = np.random.default_rng(0)
    rows = []
    for goal, race in races.items():
        race = race.select(chosen[goal] & ~np.isnan(race.ratios()))
        again = race.resampled(generator)
        low, high = np.percentile(again.decided(goal), [2.5, 97.5], method="nearest")
        ratios, generalises = race.ratios(), race.generalises(goal)
        steps = np.median(race.rule, axis=1)
        by_limit = max(((steps <= limit) == generalises).sum() for limit in (0, *steps))
        fail, come = ~generalises & (ratios < 0.5), generalises & (ratios > 2)
        rows.append([
            words, goal, f"{race.decided(goal)} of {len(ratios)}", f"{low} to {high}",
            generalises.sum(), by_limit, f"{fail.sum()} of {(ratios < 0.5).sum()}",
            f"{come.sum()} of {(ratios > 2).sum()}", *foretold(race, again)])
    return rows


def foretold(race, again):
    """The rank correlation of the scores with each of FORETELLERS, and its interval over seeds."""
    texts = []
    for values, values_again in zip(race.foretellers(), again.foretellers(), strict=True):
        correlation = rank_correlation(values, race.scores.mean(axis=-1))
        resampled = rank_correlation(values_again, again.scores.mean(axis=-1))
        if np.isnan(correlation):
            texts.append("no order")
        else:
            low, high = np.nanpercentile(resampled, [2.5, 97.5])
            texts.append(f"{correlation:+.2f} [{low:+.2f}, {high:+.2f}]")
    return texts


def within(results, races):
    """Markdown: what foretells the score among the runs of one racer: its ratio, or its circle."""
    memory, rule, scores = races[GOALS[-1]]
    sizes = np.empty(scores.shape)
    for number, variant in enumerate(racers(results)):
        for seed in range(scores.shape[1]):
            _, Y = create_data(1, replace(results.settings(variant), seed=seed))
            sizes[number, seed] = Y.sum()
    by_ratio = rank_correlation(divided(rule, memory).T, scores.T)
    by_size = rank_correlation(sizes.T, scores.T)
    by_ratio, by_size = by_ratio[~np.isnan(by_ratio)], by_size[~np.isnan(by_size)]
    if not by_ratio.size or not by_size.size:
        return []
    return [f"* Among the runs of one recipe, on average over the recipes, the score has a rank "
            f"correlation of {with_interval(by_ratio, '+.2f')} with the run's own ratio, and of "
            f"{with_interval(by_size, '+.2f')} with the size of its training circle."]
