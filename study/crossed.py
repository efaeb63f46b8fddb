"""Images crossed with initial weights: which of the two decides how a run ends."""

import numpy as np

from study.figures import finish, panels
from study.numbers import mean


def scores(results, recipe):
    """IoU on unseen images of a recipe, by training image and initial weights: (images, weights)."""
    of = [results.values(variant) for variant in results.variants
          if results.short(variant).startswith(f"{recipe}, weights ")]
    return np.stack([values[: min(map(len, of))] for values in of], axis=1)


def recipes(results):
    """The recipes that are crossed, in order."""
    return list(dict.fromkeys(results.short(variant).partition(", weights ")[0] for variant in results.variants))


def table(results):
    """Markdown: which share of the variance of a recipe's scores is the image's, the weights', of neither alone."""
    lines = ["| | images x weights | mean | of the image | of the weights | the rest |", f"|{'---|' * 6}"]
    for recipe in recipes(results):
        of = scores(results, recipe)
        total = ((of - of.mean()) ** 2).sum() or 1
        image, weights = (((of.mean(axis=axis) - of.mean()) ** 2).sum() * of.shape[axis] for axis in (1, 0))
        lines.append(f"| {recipe} | {of.shape[0]} x {of.shape[1]} | {of.mean():.3f} | {image / total:.0%} | "
                     f"{weights / total:.0%} | {(total - image - weights) / total:.0%} |")
    return lines


def draw(results, path, title):
    """The scores of each recipe as a field: a row for each training image, a column for each set of weights."""
    names = recipes(results)
    figure, axes = panels(len(names), 3)
    for panel, recipe in zip(axes, names, strict=True):
        of = scores(results, recipe)
        image = panel.imshow(of, vmin=0, vmax=1, cmap="cividis")
        for (row, column), score in np.ndenumerate(of):
            panel.text(column, row, f"{score:.2f}", ha="center", va="center", color="white" if score < 0.6 else "black")
        panel.set(title=recipe, xlabel="initial weights", ylabel="training image", xticks=range(of.shape[1]),
                  yticks=range(of.shape[0]))
    figure.colorbar(image, ax=axes, label="IoU on unseen images")
    finish(figure, path, title)


NUMBERS = {"train IoU": mean("train_iou"), "training mask drawn on noise without a shape": mean("overlap on noise")}
