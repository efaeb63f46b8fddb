"""The race of two solutions: after how many steps the memory would be there, after how many the rule, and who wins.

Both times are measured where the other solution cannot be had: the memory's where nothing is added inside the mask, so
that there is no rule (--strength 0), the rule's on a fresh image at every step, so that nothing can be remembered.
"""

import itertools
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import LogLocator
from matplotlib.transforms import Bbox
from scipy.stats import spearmanr

from common.plots import BLUE, ORANGE
from data import create_data
from study.figures import GREY, finish, panels
from study.question import RACERS
from study.results import ENOUGH, bootstrap, with_interval

GOALS = (0.5, 0.8, 0.9)  # IoU
CURVES = {"train_iou": "training image", "val_iou_mean": "unseen images"}


def column(curve, goal):
    """The column that holds the step at which one of CURVES was first seen at a goal."""
    return f"steps to {goal} on the {CURVES[curve]}"


def measure(run, settings):
    """The steps at which training and unseen images were first seen at each of GOALS, "" where they never were.

    Unseen images are the few that are watched, and after the last step all.
    """
    return {column(curve, goal): next((point["step"] for point in run.history if point[curve] >= goal), "")
            for curve in CURVES for goal in GOALS}


def racers(results):
    """The variants that train on one image with a rule to find, {variant: (that without a rule, that without memory)}.

    Those that lack one of the two are left out.
    """
    by_settings = {results.settings(variant): variant for variant in results.variants}
    found = {}
    for settings, variant in by_settings.items():
        memory, rule = replace(settings, strength=0.0), replace(settings, samples=settings.steps)
        if settings.samples == 1 and settings.strength > 0 and {memory, rule} <= by_settings.keys():
            found[variant] = by_settings[memory], by_settings[rule]
    return found


def races(results, goal):
    """Of each of `racers`: steps to the memory and to the rule, and IoU on unseen images; float64 (racers, seeds).

    The seeds are those that all have. Steps are infinite where the goal was not reached.
    """
    variants = [(memory, rule, variant) for variant, (memory, rule) in racers(results).items()]
    everything = sum(variants, ())
    parts = [results.paired(everything, of)[part::3] for part, of in enumerate(
        (column("train_iou", goal), column("val_iou_mean", goal), "val_iou_mean"))]
    return *map(or_never, parts[:2]), parts[2]


def or_never(steps):
    """Steps, infinite where there are none because the goal was not reached."""
    return np.where(np.isnan(steps), np.inf, steps)


def ratios(memory, rule):
    """Median steps to the rule over median steps to the memory, of each racer; nan where neither is reached.

    memory, rule: (racers, seeds). Under 1 the rule is first.
    """
    return over(np.median(rule, axis=1), np.median(memory, axis=1))


def over(rule, memory):
    """Steps to the rule over steps to the memory, nan where neither is reached."""
    with np.errstate(invalid="ignore"):
        return rule / memory


# What may foretell the score of a racer, in words: functions of steps to memory and rule, both (racers, seeds).
FORETOLD_BY = {
    "ratio": ratios,
    "the steps to the rule alone": lambda memory, rule: np.median(rule, axis=1),
    "those to the memory alone": lambda memory, rule: np.median(memory, axis=1),
}


def rank_correlation(by, scores):
    """Spearman's rank correlation of what may foretell a racer's score, (racers,), with its mean; nan is left out.

    scores: (racers, seeds). Itself nan where there is no order.
    """
    scores, known = scores.mean(axis=1), ~np.isnan(by)
    if len(set(by[known])) < 2 or len(set(scores[known])) < 2:
        return np.nan
    return spearmanr(by[known], scores[known]).statistic


def correlations(results, words, chosen):
    """Markdown: for each of GOALS how often who is first won, and rank correlations with their intervals over seeds.

    chosen: bool (racers,), those that count, and words, what they are called.
    """
    lines, generator = [], np.random.default_rng(0)
    for goal in GOALS:
        memory, rule, scores = races(results, goal)
        known = chosen & ~np.isnan(ratios(memory, rule))
        memory, rule, scores = memory[known], rule[known], scores[known]
        seeds = generator.integers(scores.shape[1], size=(1000, scores.shape[1]))
        of, generalise = ratios(memory, rule), (scores >= goal).mean(axis=1) > 0.5
        right = (of < 1) == generalise
        broken = ((of < 0.5) & ~generalise).sum(), ((of > 2) & generalise).sum()
        said = []
        for what, by in FORETOLD_BY.items():
            if not np.isnan(correlation := rank_correlation(by(memory, rule), scores)):
                again = [rank_correlation(by(memory[:, some], rule[:, some]), scores[:, some]) for some in seeds]
                said.append("of {} {:+.2f} [{:+.2f}, {:+.2f}]".format(
                    what, correlation, *np.nanpercentile(again, [2.5, 97.5])))
        left_out = "" if known.sum() == chosen.sum() else "; without those where neither solution comes"
        lines.append(f"* {words}, at IoU {goal}: who is first wins in {right.sum()} of {len(right)} (most runs come to "
                     f"it or do not{left_out}); a ratio under 0.5 fails in {broken[0]}, one above 2 succeeds in "
                     f"{broken[1]}; rank correlation with the score: {', '.join(said) or 'there is no order'}.")
    return lines


def within(results, goal=0.9):
    """Markdown: what foretells the score among the runs of one racer: its ratio, or the size of its circle."""
    settings = [results.settings(variant) for variant in racers(results)]
    memory, rule, scores = races(results, goal)
    sizes = [[create_data(1, replace(of, seed=seed))[1].sum() for seed in range(scores.shape[1])] for of in settings]
    said = []
    for each in (over(rule, memory), np.array(sizes)):
        of = [rank_correlation(by, score[:, np.newaxis]) for by, score in zip(each, scores, strict=True)]
        said.append([correlation for correlation in of if not np.isnan(correlation)])
    if not all(said):
        return []
    ratio, size = (with_interval(of, "+.2f") for of in said)
    return [f"* Among the runs of one recipe, on average over the recipes, the score has a rank correlation of "
            f"{ratio} with the run's own ratio, and of {size} with the size of its training circle."]


def middle(values):
    """'34 (20 to 61)': median and range of steps, some of which may never have been."""
    low, median, high = (f"{step:.0f}" if np.isfinite(step) else "never"
                         for step in (values.min(), np.median(values), values.max()))
    return f"{median} ({low} to {high})"


def table(results):
    """Markdown: a line for each racer, then what it says of the prediction; nothing before both times are known."""
    if not (found := racers(results)):
        return []
    each = {goal: (races(results, goal)[2] >= goal, ratios(*races(results, goal)[:2])) for goal in GOALS}
    memory, rule, scores = races(results, GOALS[-1])
    fitted = or_never(results.paired(list(found), column("train_iou", GOALS[-1])))
    head = ["", f"steps to the memory, train IoU {GOALS[-1]}", f"steps to the rule, unseen IoU {GOALS[-1]}",
            f"steps until its one image is fitted, train IoU {GOALS[-1]}", "IoU on unseen images after one",
            *(f"rule over memory at {goal}; runs that come to it" for goal in GOALS)]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for number, variant in enumerate(found):
        cells = [name(results, variant), middle(memory[number]), middle(rule[number]), middle(fitted[number]),
                 with_interval(scores[number]), *(
                     f"{'neither' if np.isnan(of[number]) else f'{of[number]:.2f}'}; {well[number].sum()} of "
                     f"{len(well[number])}" for well, of in each.values())]
        lines.append(f"| {' | '.join(cells)} |")
    bordered = np.array([results.settings(variant).padding == "zero" for variant in found])
    first = np.array([name(results, variant) in RACERS for variant in found])
    groups = {"Of the first eight": first, "With a border": bordered, "With and without": np.ones_like(bordered)}
    groups = {words: of for words, of in groups.items() if of.any() and (words != "With a border" or not of.all())}
    return [*lines, "", *(line for words, of in groups.items() for line in correlations(results, words, of)),
            *within(results)]


def name(results, variant):
    """A racer in words."""
    return results.short(variant).removesuffix(": one image")


def draw(results, path, title, goal=0.9):
    """IoU on unseen images of each racer over steps to the rule over steps to the memory; faint: every seed.

    Arrows lead from a recipe with zeros beyond the border to the same without a border.
    Racers of which neither is reached are left out; without racers nothing is drawn.
    """
    if not racers(results):
        return
    figure, (axes,) = panels(1, 4.6)
    variants, (memory, rule, scores) = list(racers(results)), races(results, goal)
    of, each, edges, places, taken = ratios(memory, rule), over(rule, memory), (0.02, 10), {}, []
    for number, variant in enumerate(variants):
        if np.isnan(of[number]):
            continue
        bordered = results.settings(variant).padding == "zero"
        colour, label = (BLUE, "with a border (zeros)") if bordered else (ORANGE, "without (circular padding)")
        low, high = bootstrap(tuple(scores[number])) if len(scores[number]) >= ENOUGH else (scores[number].mean(),) * 2
        x, y = np.clip(of[number], *edges), scores[number].mean()
        axes.plot(np.clip(each[number], *edges), scores[number], ".", color=colour, alpha=0.25)
        axes.errorbar(x, y, yerr=[[max(y - low, 0)], [max(high - y, 0)]], color=colour, marker="o", ms=8, capsize=4,
                      zorder=3, label=label if label not in axes.get_legend_handles_labels()[1] else None)
        places[results.settings(variant)] = x, y, name(results, variant).removesuffix(", zero padding")
        taken += [(x, height) for height in np.linspace(low, high, 12)]
    for settings, (*end, _) in places.items():
        with_border = replace(settings, padding="zero")
        if with_border != settings and with_border in places:
            axes.annotate("", end, places[with_border][:2], arrowprops=dict(
                arrowstyle="->", color=GREY, shrinkA=6, shrinkB=6, connectionstyle="arc3,rad=-0.15"))
    axes.axvline(1, color=GREY, ls=":", lw=1.5)
    axes.axhline(results.values(variants[0], "training_mask_iou_mean").mean(), color=GREY, ls=":", lw=1.5,
                 label="chance: the training mask on other images")
    axes.set(xscale="log", xlim=(edges[0], 1.3 * edges[1]), ylim=(-0.03, 1.03),
             ylabel="IoU on images it never saw, from one image",
             xlabel=f"steps to the rule / steps to the memory (IoU {goal})\n"
                    "(at the left edge the memory never comes, at the right the rule)")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    figure.canvas.draw()  # now the points are where they stay, but for the line that the title takes
    label_each(axes, [place for settings, place in places.items()
                      if settings.padding == "zero" or replace(settings, padding="zero") not in places],
               axes.transData.transform(taken))
    finish(figure, path, title)


def label_each(axes, places, points):
    """Write a label beside each of `places`, (x, y, text), where no other label and none of `points`, in pixels, is."""
    figure, inside = axes.figure, axes.get_window_extent()
    taken = [Bbox.from_bounds(x - 8, y - 8, 16, 16) for x, y in points]
    for x, y, text in places:
        for down, side in itertools.product((6, -14, 20, -28, 34, -42, 48, -56, -70, -84, -98), ("left", "right")):
            label = axes.annotate(text, (x, y), xytext=(9 if side == "left" else -9, down), ha=side,
                                  textcoords="offset points", fontsize=9)
            box = label.get_window_extent(figure.canvas.get_renderer())
            if not any(box.overlaps(other) for other in taken) and inside.contains(box.x0, box.y0) and inside.contains(
                    box.x1, box.y1):
                break
            label.remove()
        taken.append(box)


def draw_strength(results, path, title, goal=0.5):
    """Over the strength of what is added inside: steps to rule and memory, and IoU after one and after fresh images."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 6), dpi=100, layout="constrained", sharex=True)
    for padding, colour, words in (("zero", BLUE, "with a border (zeros)"),
                                   ("circular", ORANGE, "without (circular padding)")):
        of = {results.settings(variant).strength: (variant, *both) for variant, both in racers(results).items()
              if results.settings(variant).padding == padding}
        if not of:
            continue
        strengths, variants = list(of), list(of.values())
        memory, rule = ([np.median(or_never(results.values(variant[part], column(curve, goal))))
                         for variant in variants] for part, curve in enumerate(CURVES, start=1))
        above.plot(strengths, rule, color=colour, marker="o", lw=2.5, label=words)
        above.plot(strengths, memory, color=colour, ls="--", lw=2)
        one, fresh = ([results.values(variant[part]) for variant in variants] for part in (0, 2))
        for strength, values in zip(strengths, one, strict=True):
            below.plot(np.full(len(values), strength), values, ".", color=colour, alpha=0.3)
        # medians: some runs end with an empty prediction, and a mean lies where no run does
        below.plot(strengths, [np.median(values) for values in one], color=colour, marker="o", lw=2.5)
        below.plot(strengths, [np.median(values) for values in fresh], color=colour, ls=":", lw=2)
    above.set(ylabel=f"steps to IoU {goal}\n(solid: rule; dashed: memory)", yscale="log")
    below.set(ylabel="median IoU on unseen images\n(solid: from one image; dotted: 400)",
              xlabel="strength of the noise added inside", xscale="log", ylim=(-0.03, 1.03))
    for panel in (above, below):
        panel.grid(alpha=0.3)
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter("{x:g}")
    above.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    above.yaxis.set_major_formatter("{x:g}")
    above.yaxis.set_minor_formatter("")
    finish(figure, path, title, above)
