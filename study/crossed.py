"""Images crossed with initial weights: which of the two decides how a run ends."""

from dataclasses import replace

import numpy as np
from scipy.stats import friedmanchisquare

from study.figures import finish, panels
from study.numbers import mean
from study.results import chance


def scores(results):
    """IoU on unseen images, {recipe: by training image and initial weights, float64 (images, weights)}.

    With the training image come other unseen images: both follow from the seed.
    """
    of = {}
    for variant in results.variants:
        of.setdefault(replace(results.settings(variant), weights_seed=-1), []).append(variant)
    of = {results.short(variants[0]).partition(", weights ")[0]: results.paired(variants).T for variants in of.values()}
    return {recipe: scores for recipe, scores in of.items() if scores.size > 1}


def table(results):
    """Markdown: which share of the variance of a recipe's scores is the image's, the weights', of neither alone.

    Beside a share stand the one that chance gives, and p of Friedman's test (1937): are the images, or the weights,
    ranked alike by all of the other?
    """
    lines = ["| | images x weights | mean | of the image | of the weights | the rest |", f"|{'---|' * 6}"]
    for recipe, of in scores(results).items():
        total = ((of - of.mean()) ** 2).sum() or 1
        image, weights = (((of.mean(axis=axis) - of.mean()) ** 2).sum() * of.shape[axis] for axis in (1, 0))
        shares = [f"{share / total:.0%} (by chance {(len(ranked) - 1) / (of.size - 1):.0%}){friedman(ranked)}"
                  for share, ranked in ((image, of), (weights, of.T))]
        shares.append(f"{max(total - image - weights, 0) / total:.0%}")
        lines.append(f"| {recipe} | {of.shape[0]} x {of.shape[1]} | {of.mean():.3f} | {' | '.join(shares)} |")
    return lines


def friedman(of):
    """', p 0.021': how likely it is by chance that the columns of (rows, columns) rank the rows so; or nothing."""
    same = (of == of[0]).all()  # nothing to rank
    return "" if same or min(of.shape) < 3 else f", p {chance(friedmanchisquare(*of).pvalue)}"


def draw(results, path, title):
    """The scores of each recipe as a field: a row for each training image, a column for each set of weights.

    Without scores nothing is drawn.
    """
    if not scores(results):
        return
    figure, axes = panels(len(scores(results)), 3)
    for panel, (recipe, of) in zip(axes, scores(results).items(), strict=True):
        image = panel.imshow(of, vmin=0, vmax=1, cmap="cividis")
        for (row, column), score in np.ndenumerate(of):
            panel.text(column, row, f"{score:.2f}", ha="center", va="center", color="white" if score < 0.6 else "black")
        panel.set(title=recipe, xlabel="initial weights", ylabel="training image", xticks=range(of.shape[1]),
                  yticks=range(of.shape[0]))
    figure.colorbar(image, ax=axes, label="IoU on unseen images")
    finish(figure, path, title)


NUMBERS = {"train IoU": mean("train_iou"), "training mask drawn on noise without a shape": mean("overlap on noise")}
