"""Images crossed with initial weights: which of the two decides how a run ends."""

import numpy as np
from scipy.stats import friedmanchisquare

from study.figures import finish, panels
from study.statistics import chance, markdown_table

NUMBERS = {"train IoU": "train_iou",
           "training mask drawn on noise without a shape": "overlap on noise"}


def fields(results):
    """IoU on unseen images, {recipe: float64 (images, weights)}; none of a single run.

    With the training image come other unseen images: both follow from the seed.
    """
    recipes = {}
    for variant in results.variants:
        recipe = results.short(variant).partition(", weights ")[0]
        recipes.setdefault(recipe, []).append(variant)
    scores = {}
    for recipe, variants in recipes.items():
        field = results.paired(variants).T
        if field.size > 1:
            scores[recipe] = field
    return scores


def table(results):
    """Markdown: which share of the variance of a recipe's scores is the image's, the weights'.

    Beside a share stand the one that chance gives, and p of Friedman's test (1937): are the
    images, or the weights, ranked alike by all of the other?
    """
    rows = []
    for recipe, field in fields(results).items():
        images, weights = field.shape
        mean = field.mean()
        total = ((field - mean) ** 2).sum() or 1
        of_images = weights * ((field.mean(axis=1) - mean) ** 2).sum()
        of_weights = images * ((field.mean(axis=0) - mean) ** 2).sum()
        rest = max(total - of_images - of_weights, 0)
        rows.append([recipe, f"{images} x {weights}", f"{mean:.3f}",
                     share_of_variance(of_images / total, field),
                     share_of_variance(of_weights / total, field.T), f"{rest / total:.0%}"])
    head = ["", "images x weights", "mean", "of the image", "of the weights", "the rest"]
    return markdown_table(head, rows)


def share_of_variance(share, field):
    """'40% (by chance 17%), p 0.021', for the rows of a field of scores.

    p is how likely it is by chance that the columns rank the rows so.
    """
    text = f"{share:.0%} (by chance {(len(field) - 1) / (field.size - 1):.0%})"
    nothing_to_rank = (field == field[0]).all()
    if nothing_to_rank or min(field.shape) < 3:
        return text
    return f"{text}, p {chance(friedmanchisquare(*field).pvalue)}"


def draw(results, path, title):
    """The scores of each recipe, training images by initial weights; without any there is none."""
    scores = fields(results)
    if not scores:
        return
    figure, axes = panels(len(scores), 3)
    for panel, (recipe, field) in zip(axes, scores.items(), strict=True):
        image = panel.imshow(field, vmin=0, vmax=1, cmap="cividis")
        for (row, column), score in np.ndenumerate(field):
            colour = "white" if score < 0.6 else "black"
            panel.text(column, row, f"{score:.2f}", ha="center", va="center", color=colour)
        panel.set(title=recipe, xlabel="initial weights", ylabel="training image",
                  xticks=range(field.shape[1]), yticks=range(field.shape[0]))
    figure.colorbar(image, ax=axes, label="IoU on unseen images")
    finish(figure, path, title)
