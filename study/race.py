"""The race of two solutions: after how many steps the memory would be there, after how many the rule, and who wins.

Both times are measured where the other solution cannot be had: the memory's where nothing is added inside the mask, so
that there is no rule (--strength 0), the rule's on a fresh image at every step, so that nothing can be remembered.
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import LogLocator
from scipy.stats import spearmanr

from common.plots import BLUE, ORANGE
from data import create_data
from study.figures import GREY, finish, label_each, panels
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


def decided(memory, rule, scores, goal):
    """Whether of each racer who is first says rightly if most runs come to the goal, bool (racers,).

    memory, rule, scores: (racers, seeds).
    """
    return (ratios(memory, rule) < 1) == comes(scores, goal)


def comes(scores, goal):
    """Whether most runs of each racer come to the goal, bool (racers,); scores: (racers, seeds)."""
    return (scores >= goal).mean(axis=1) > 0.5


HEAD = ("recipes", "IoU", "who is first says rightly whether most runs come to it", "with the seeds drawn anew",
        "right if all are said to", "right by a limit on the steps to the rule, chosen afterwards",
        "fail, of a ratio under 0.5", "come to it, of one above 2",
        *(f"rank correlation of the score with {what}" for what in FORETOLD_BY))


def correlations(results, words, chosen, timed=False):
    """Markdown, cells under HEAD: for each of GOALS how often who is first won, and rank correlations; over seeds.

    chosen: bool (racers,), those that count, and words, what they are called. timed: without those whose memory does
    not come in most runs, of which nothing is known but that. None counts of which neither solution comes.
    """
    lines, generator = [], np.random.default_rng(0)
    for goal in GOALS:
        memory, rule, scores = races(results, goal)
        known = chosen & ~np.isnan(ratios(memory, rule)) & (np.isfinite(np.median(memory, axis=1)) | (not timed))
        memory, rule, scores = memory[known], rule[known], scores[known]
        samples = [(memory[:, some], rule[:, some], scores[:, some])
                   for some in generator.integers(scores.shape[1], size=(1000, scores.shape[1]))]
        of, generalise, steps = ratios(memory, rule), comes(scores, goal), np.median(rule, axis=1)
        low, high = np.percentile([decided(*sample, goal).sum() for sample in samples], [2.5, 97.5], method="nearest")
        by_limit = max(((steps <= limit) == generalise).sum() for limit in (0, *steps))
        cells = [words, goal, f"{decided(memory, rule, scores, goal).sum()} of {len(of)}", f"{low} to {high}",
                 generalise.sum(), by_limit, f"{((of < 0.5) & ~generalise).sum()} of {(of < 0.5).sum()}",
                 f"{((of > 2) & generalise).sum()} of {(of > 2).sum()}"]
        for by in FORETOLD_BY.values():
            again = [rank_correlation(by(*sample[:2]), sample[2]) for sample in samples]
            correlation = rank_correlation(by(memory, rule), scores)
            cells.append("no order" if np.isnan(correlation) else "{:+.2f} [{:+.2f}, {:+.2f}]".format(
                correlation, *np.nanpercentile(again, [2.5, 97.5])))
        lines.append(f"| {' | '.join(map(str, cells))} |")
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


def ratio(memory, rule):
    """'0.85 [0.62, 1.16]': the ratio of one racer and its interval over seeds; memory, rule: steps, (seeds,)."""
    samples = np.random.default_rng(0).integers(len(rule), size=(1000, len(rule)))
    again = over(*(np.median(steps[samples], axis=1) for steps in (rule, memory)))
    of = over(np.median(rule), np.median(memory))
    if np.isnan(of):
        return "neither"
    low, high = np.nanpercentile(again, [2.5, 97.5], method="nearest")
    return f"{of:.2f} [{low:.2f}, {high:.2f}]".replace("inf", "never")


def middle(values):
    """'34 (20 to 61)': median and range of steps, some of which may never have been."""
    low, median, high = (f"{step:.0f}" if np.isfinite(step) else "never"
                         for step in (values.min(), np.median(values), values.max()))
    return f"{median} ({low} to {high})"


def table(results):
    """Markdown: a line for each racer, then what it says of the prediction; nothing before both times are known."""
    if not (found := racers(results)):
        return []
    each = {goal: races(results, goal) for goal in GOALS}
    memory, rule, scores = each[GOALS[-1]]
    fitted = or_never(results.paired(list(found), column("train_iou", GOALS[-1])))
    head = ["", f"steps to the memory, train IoU {GOALS[-1]}", f"steps to the rule, unseen IoU {GOALS[-1]}",
            f"steps until its one image is fitted, train IoU {GOALS[-1]}", "IoU on unseen images after one",
            *(f"rule over memory at {goal}, with its interval; runs that come to it" for goal in GOALS)]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for number, variant in enumerate(found):
        cells = [name(results, variant), middle(memory[number]), middle(rule[number]), middle(fitted[number]),
                 with_interval(scores[number]), *(
                     f"{ratio(of[0][number], of[1][number])}; {(of[2][number] >= goal).sum()} of {len(of[2][number])}"
                     for goal, of in each.items())]
        lines.append(f"| {' | '.join(cells)} |")
    bordered = np.array([results.settings(variant).padding == "zero" for variant in found])
    first = np.array([name(results, variant) in (*RACERS, "2017, today's weights, zero padding") for variant in found])
    groups = {"the first nine": first, "with a border": bordered, "with and without": np.ones_like(bordered)}
    lines += ["", f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    for words, of in groups.items():
        if of.any() and (words != "with a border" or not of.all()):
            lines += correlations(results, words, of)
    if np.isinf([np.median(of[0], axis=1) for of in each.values()]).any():
        lines += correlations(results, "whose memory comes in most runs", np.ones_like(bordered), timed=True)
    return [*lines, "", *within(results)]


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
    axes.set(xscale="log", xlim=(edges[0] / 1.3, 1.3 * edges[1]), ylim=(-0.03, 1.03),
             ylabel="IoU on images it never saw, from one image",
             xlabel=f"steps to the rule / steps to the memory (IoU {goal})\n"
                    "(at the left edge the memory never comes, at the right the rule; faint: single runs)")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    figure.canvas.draw()  # now the points are where they stay, but for the line that the title takes
    label_each(axes, [place for settings, place in places.items()
                      if settings.padding == "zero" or replace(settings, padding="zero") not in places],
               axes.transData.transform(taken))
    finish(figure, path, title)


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
