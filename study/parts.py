"""What a fit is made of: rule, template and lookup, in the logits and along the steps.

A training changes the logits. How much more they rise inside a mask than outside it is the *fit* on
the training image; the *template*, if it is the training mask on noise without a shape; the *rule*,
if it is the own mask of an image that was never seen, whose shape lies elsewhere. What the fit has
beyond these two is the *lookup*: fit = template + rule + lookup. It holds for the training image
alone, or for shapes that lie where its own does: these two are not told apart.
"""

from dataclasses import replace

import numpy as np

from common.labels import draw_elsewhere
from common.plots import BLUE, ORANGE
from data import create_data, draw_mask, random_stream, training_masks
from study.figures import GREY, PINK, finish, panels
from study.measuring import noise, paint
from study.statistics import markdown_table, of_those_with_one

LABELS = {
    "rule": "rule: on unseen images",
    "template": "template: on mere noise",
    "lookup": "lookup: the rest of the fit",
}
PARTS, COLOURS = tuple(LABELS), (BLUE, PINK, ORANGE)
SHOWN = {  # the recipes of the figure, and what they are called there
    "Adam, 0.0001": "Adam, 0.0001",
    "Adam, 0.001": "Adam, 0.001",
    "Adam, 0.0001, Dice": "0.0001, Dice",
    "Adam, 0.0001, deep levels at 10": "0.0001, deep levels 10 times",
    "Adam, 0.0001, deep levels at 0": "0.0001, deep levels still",
    "Adam, 0.0001, circular padding": "0.0001, no border",
}
# Steps after which it is looked at; the last one of a training is added.
LOOKS = (1, 2, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256, 400, 600, 1000)
IMAGES = 5  # of noise, and unseen ones


def column(part, step):
    """The column that holds a part, or 'fit', after a step."""
    return f"{part} after {step}"


def looks(settings):
    """The steps of a training after which it is looked at, in order."""
    return sorted({step for step in LOOKS if step < settings.steps} | {settings.steps})


class Views:
    """The images on which the parts are seen, with their masks, bool (height, width).

    images: float32 (1 + 2 * IMAGES, height, width, 1): that of the training, noise without a shape,
    and unseen images whose shape does not overlap that of the training image.
    """

    def __init__(self, settings):
        X, Y = create_data(1, settings, "train")
        self.mask = training_masks(Y, settings)[0][0, ..., 0] > 0
        generator = random_stream(settings.seed, "test")
        anywhere = replace(settings, placement="anywhere")
        noises = [noise(generator, settings) for _ in range(IMAGES)]
        self.others = [
            draw_elsewhere(self.mask, lambda: draw_mask(generator, anywhere))
            for _ in range(IMAGES)]
        unseen = [paint(generator, other, settings) for other in self.others]
        images = [X[0, ..., 0], *noises, *unseen]
        self.images = np.stack(images)[..., np.newaxis].astype("float32")

    def parts(self, change):
        """Fit, rule, template and lookup of a change of the logits, an array like `images`."""
        trained, *several = change[..., 0]
        noises, unseen = several[:IMAGES], several[IMAGES:]
        fit = rise(trained, self.mask, ~self.mask)
        template = np.mean([rise(noise, self.mask, ~self.mask) for noise in noises])
        rules = []
        for image, other in zip(unseen, self.others, strict=True):
            neither = ~(self.mask | other)
            rules.append(rise(image, other, neither))
        rule = np.mean(rules)
        return {"fit": fit, "rule": rule, "template": template, "lookup": fit - template - rule}


def rise(change, inside, outside):
    """How much more the logits rise inside than outside.

    With one mask that is the coefficient of a regression of the change on it; with two that do not
    overlap, and `outside` being neither, that of the first.
    """
    return change[inside].mean() - change[outside].mean()


class Parts:
    """Follows a training and says of which parts its fit consists, at LOOKS."""

    def __init__(self, settings):
        self.views = Views(settings)
        self.steps = [0, *looks(settings)]
        self.network, self.before, self.found = None, None, {}

    def follow(self, step, network):
        """Look at the network after a step; the one after step 0 is what it is compared with."""
        if step == 0:
            self.network = logits_of(network)
            self.before = self.logits()
        else:
            self.look(step, self.logits() - self.before)

    def look(self, step, change):
        """Note the parts of a change of the logits after a step."""
        parts = self.views.parts(change)
        self.found |= {column(part, step): value for part, value in parts.items()}

    def logits(self):
        """The logits of all views, an array like `Views.images`."""
        import model

        return model.predict(self.network, self.views.images)

    def columns(self):
        """The parts after each look: {column: logits}."""
        return self.found


def logits_of(network):
    """A network that shares all weights with `network`, and ends before its sigmoid."""
    from common.backend import keras

    return keras.Model(network.input, network.layers[-1].input)


def draw(results, path, title):
    """The parts over the steps, one upon the other, a panel for each variant: means over seeds.

    What is below 0 hangs below it.
    """
    variants = [variant for variant in results.variants if results.short(variant) in SHOWN]
    figure, axes = panels(len(variants), 2.3)
    for panel, variant in zip(axes, variants, strict=True):
        steps = looks(results.settings(variant))
        means = {part: mean_after(results, variant, part, steps) for part in PARTS}
        for sign in (1, -1):
            beyond = [sign * np.maximum(sign * mean, 0) for mean in means.values()]
            shown = LABELS.values() if sign > 0 else ()
            panel.stackplot(steps, beyond, colors=COLOURS, labels=shown)
        panel.axhline(0, color=GREY, lw=0.8)
        unseen = results.values(variant).mean()
        panel.set_title(f"{SHOWN[results.short(variant)]}\n(IoU {unseen:.2f})", fontsize=11)
        panel.set(xscale="log", xlim=(1, steps[-1]), xlabel="step (logarithmic)")
        panel.xaxis.set_major_formatter("{x:g}")
        panel.grid(alpha=0.3)
    axes[0].set_ylabel("rise of the logits")
    finish(figure, path, title, axes[0])


def mean_after(results, variant, part, steps):
    """The mean over seeds of a part after each of some steps, (steps,)."""
    columns = [column(part, step) for step in steps]
    return results.stacked(variant, columns).mean(axis=0)


def after(part, step):
    """A number of the report: a part after a step, 0 for the last."""

    def text(results, variant):
        values = results.values(variant, column_of(results, variant, part, step))
        return of_those_with_one(values, "not a number")
    return text


def column_of(results, variant, part, step):
    """The column of a part after a step of a variant, 0 for its last."""
    return column(part, step or results.settings(variant).steps)


def ratios(results, variant):
    """Template over rule of the first step, of all seeds."""
    template = results.values(variant, column("template", 1))
    return template / results.values(variant, column("rule", 1))


def template_over_rule(results, variant):
    """A number of the report: template over rule of the first step, median and range."""
    values = ratios(results, variant)
    return f"{np.median(values):.2f} ({values.min():.2f} to {values.max():.2f})"


def foretold(results):
    """Markdown: how well the parts after a step foretell the scores on unseen images, by rank.

    Over the recipes by their means, and over all runs.
    """
    from scipy.stats import spearmanr

    lines = []
    for step in (1, 8, 32):
        shares, scores = [], []
        for variant in results.variants:
            fit = results.values(variant, column("fit", step))
            rule = results.values(variant, column("rule", step))
            template = results.values(variant, column("template", step))
            shares.append((rule - template) / fit)
            scores.append(results.values(variant))
        recipes = spearmanr([np.median(share) for share in shares], list(map(np.mean, scores)))
        runs = spearmanr(np.concatenate(shares), np.concatenate(scores))
        lines.append([step, f"{recipes.statistic:.2f} (n = {len(shares)})",
                      f"{runs.statistic:.2f} (n = {sum(map(len, shares))})"])
    head = ["rule less template, as a share of the fit, after step",
            "rank correlation with the score, recipes", "all runs"]
    return markdown_table(head, lines)


FIRST = {"template over rule of the first step, median and range": template_over_rule}
NUMBERS = {
    **FIRST,
    "template after 8 steps, logits": after("template", 8),
    "template after 16 steps, logits": after("template", 16),
    "rule after 32 steps, logits": after("rule", 32),
    "template after 32 steps, logits": after("template", 32),
    "lookup after 32 steps, logits": after("lookup", 32),
    "rule after the last step, logits": after("rule", 0),
    "template after the last step, logits": after("template", 0),
    "lookup after the last step, logits": after("lookup", 0),
}
