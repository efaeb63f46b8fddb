"""What a fit is made of: rule, template and lookup, in the logits and along the steps.

A training changes the logits. How much more they rise inside a mask than outside it is the *fit* on
the training image; the *template*, if it is the training mask on noise without a shape; the *rule*,
if it is the own mask of an image that was never seen, whose shape lies elsewhere. What the fit has
beyond these two, of the training image alone, is the *lookup*: fit = template + rule + lookup.
"""

from dataclasses import replace

import numpy as np

from common.labels import draw_elsewhere
from data import create_data, draw_mask, random_stream, training_masks
from study.measuring import noise, paint

PARTS = ("rule", "template", "lookup")
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
        self.steps = looks(settings)
        self.network, self.before, self.found = None, None, {}

    def follow(self, step, network):
        """Look at the network after a step; the one after step 0 is what it is compared with."""
        if step == 0:
            self.network = logits_of(network)
            self.before = self.logits()
        elif step in self.steps:
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

    return keras.Model(network.inputs, network.layers[-1].input)
