"""Every question of the study, one block each: what it asks, varies and measures, how it is drawn, what it shows.

Every variant is a set of changes to the defaults of common/settings.py, so each of its runs is one
`python train.py --flag value`. A measure with its figure and its numbers has a file of its own beside this one.
"""

from functools import partial
from typing import NamedTuple

from common.settings import RECIPES, Settings
from study import figures, history, memory, numbers, other_images, position, race, receptive_field
from study.numbers import AGAINST, FITTED, STEPS, TEMPLATE


class Question(NamedTuple):
    """One question. A variant is named 'name, noise fill' or 'name, constant fill'."""

    asks: str
    varies: dict  # {variant: what it changes in the settings}
    measures: tuple = ()  # functions of run and settings: more columns of the CSV than those of every run
    draws: dict = {}  # noqa: RUF012 - {file: function of results and path}; nobody changes it
    shows: dict = {}  # noqa: RUF012 - its key numbers, {label: function of results and variant, one text}
    reference: str = ""  # the variant, without its fill, that the others are compared with; "" is none
    seeds: int | dict = 10  # of every variant, or {variant without its fill: number}
    first_seed: int = 0
    predicts: str = ""  # what was expected, written down before it ran; it stays when it was wrong

    def settings(self, variant):
        """The settings of a variant, but for the seed."""
        return Settings(**self.varies[variant])

    def short(self, variant):
        """What a variant is called where its fill is said once for all, or there is only one."""
        return variant.removesuffix(f", {self.settings(variant).fill} fill")

    def seeds_of(self, variant):
        """With how many seeds a variant is asked."""
        return self.seeds if isinstance(self.seeds, int) else self.seeds[self.short(variant)]


FILLS = {"noise fill": {}, "constant fill": {"fill": "constant"}}
FEWER = {"validation": 30}  # images, in place of 100: ten seeds see 300, and a run is 4 s shorter


def both(variants):
    """Every variant with either fill."""
    return {f"{name}, {fill}": {**changes, **of_fill}
            for name, changes in variants.items() for fill, of_fill in FILLS.items()}


def noise(variants):
    """Every variant with noise fill."""
    return {f"{name}, noise fill": changes for name, changes in variants.items()}


def varied(setting, values, base=FEWER, name="{}"):
    """A variant for each value of one setting; `name` is a format that takes the value."""
    return {name.format(value): {**base, setting: value} for value in values}


LONG = {**FEWER, "schedule": "constant", "steps": 300, "evaluations": 40}
HALF = {**FEWER, "width": 0.5}  # narrower ones do not all fit their image
LONGER = {**HALF, "steps": 400, "evaluations": 40, "watch": 10}
SLOW = {**LONGER, "learning_rate": 1e-4}
NARROW = {**FEWER, "learning_rate": 0.01, "steps": 200}  # narrow networks do not all fit their image by the default
# As in 2017, but for what a list of flags left out before there was --recipe 2017: smoothing, placement and weights.
PLAIN_DICE = {**RECIPES["2017"], "placement": "anywhere", "side": (0, 0), "initial_weights": "he-normal",
              "dice_smoothing": 0.0}

# The race of two solutions: at half the width, at a constant rate, seen at 60 of the steps.
RACE = {**HALF, "schedule": "constant", "steps": 400, "evaluations": 60}
RACE_2017 = {**RECIPES["2017"], **HALF, "placement": "anywhere", "evaluations": 60}
RACERS = {
    **{f"Adam, {rate:g}": {**RACE, "learning_rate": rate} for rate in (1e-3, 5e-4, 2e-4, 1e-4)},
    "Adam, 0.0001, Dice": {**RACE, "learning_rate": 1e-4, "loss": "dice"},
    "SGD, 0.1": {**RACE, "learning_rate": 0.1, "optimizer": "sgd"},
    "no skips, Adam, 0.001": {**RACE, "learning_rate": 1e-3, "network": "unet-without-skips"},
    "convolutions, Adam, 0.001": {**RACE, "learning_rate": 1e-3, "network": "convolutions"},
}
INSTRUMENTS = (memory.measure, race.measure)


def fresh(changes):
    """The same with a fresh image at every step, on which nothing can be remembered."""
    return {**changes, "samples": changes["steps"]}


def with_paddings(variants, paddings=("zero", "reflect", "circular")):
    """Every variant with each padding."""
    return {f"{name}, {padding} padding": {**changes, "padding": padding}
            for name, changes in variants.items() for padding in paddings}


QUESTIONS = {
    # first, because the others take its runs of this recipe over
    "learned": Question(
        asks="What did it learn: a circle, or its filling?",
        varies=both({"this recipe": FEWER}),
        measures=(other_images.measure, receptive_field.needed_levels, receptive_field.receptive_field),
        draws={"learned.png": partial(
                   other_images.draw, title="It learned how a shape is filled, not that it is round"),
               "learned_receptive_fields.png": partial(
                   receptive_field.draw, title="After training a pixel is decided from its near neighbours")},
        shows={**other_images.NUMBERS, **receptive_field.NUMBERS}),
    "2017": Question(
        asks="Is what was said in 2017 true of its own recipe?",
        varies=noise({
            f"{name}{weights}": {**RECIPES["2017"], **where, **changes}
            for weights, changes in (("", {}), (", today's weights", {"initial_weights": "he-normal"}))
            for name, where in (("the recipe of 2017", {}), ("circles anywhere", {"placement": "anywhere"}))}),
        draws={"2017.png": partial(
            figures.dots, title="The recipe of 2017 finds circles from its own initial weights", overlap=True)},
        shows={"the training mask as the prediction": numbers.mean("training_mask_iou_mean"),
               "blur + Otsu": numbers.mean("blur_otsu_iou_mean"), **AGAINST, **TEMPLATE},
        reference="the recipe of 2017"),
    "reliable": Question(
        asks="Does it happen every time?",
        varies=both({"this recipe": FEWER, "Dice and plain SGD, 400 steps": {**PLAIN_DICE, **FEWER, "steps": 400},
                     "a network of 1x1 convolutions": {**FEWER, "network": "pixel"}}),
        draws={"reliable.png": partial(figures.dots, title="With the default recipe it happens every time")},
        shows={**AGAINST, **TEMPLATE},
        reference="this recipe", seeds=20),
    "when": Question(
        asks="Does it generalise first, and memorise later?",
        varies={**noise({"full width": LONG}),
                **both({"a quarter of the width": {**LONG, "steps": 2000, "width": 0.25}})},
        measures=(history.measure,),
        draws={"when.png": partial(history.draw, title="It generalises as it learns, and does not memorise later")},
        shows={**STEPS, **history.NUMBERS}),
    "labels": Question(
        asks="Can this network memorise at all?",
        varies=noise({"the true circle": LONG, "a circle where there is none": {**LONG, "labels": "moved"},
                      "random pixels": {**LONG, "labels": "random"}}),
        measures=(history.measure,),
        draws={"labels.png": partial(
            history.draw, title="The same network also fits a mask that means nothing; it takes longer")},
        shows={"train IoU": numbers.mean("train_iou"), **STEPS, **TEMPLATE},
        reference="the true circle"),
    "sharing": Question(
        asks="Is it the convolution?",
        varies=both({"U-Net": FEWER, "U-Net without skips": {**FEWER, "network": "unet-without-skips"},
                     "twelve convolutions": {**FEWER, "network": "convolutions"},
                     "dense network": {**FEWER, "network": "dense"}}),
        draws={"sharing.png": partial(figures.dots, title="Without skips it draws the training mask", overlap=True)},
        shows={"parameters": numbers.mean("parameters", ",.0f"), "train IoU": numbers.mean("train_iou"),
               **FITTED, **AGAINST, **TEMPLATE},
        reference="U-Net"),
    "pixels": Question(
        asks="How many labelled pixels does one image hold?",
        varies=noise({**varied("supervised_pixels", (10, 100, 1000, 10_000), name="{} pixels"),
                      "all 25600 pixels": FEWER}),
        draws={"pixels.png": partial(figures.dots, title="A thousand labelled pixels are nearly enough")},
        reference="all 25600 pixels"),
    "size": Question(
        asks="Does over-parameterisation hurt?",
        varies=noise({**varied("width", (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 2.0), name="width {:g}"),
                      **varied("width", (1 / 16, 1 / 8, 1 / 4), NARROW, "width {:g}; rate 0.01, 200 steps")}),
        draws={"size.png": partial(figures.dots, title="More parameters do not hurt; too few learn by luck")},
        shows={"parameters": numbers.mean("parameters", ",.0f"), **FITTED, **TEMPLATE},
        reference="width 1"),
    "position": Question(
        asks="Does it know where it is?",
        varies=noise(varied("padding", ("zero", "reflect", "circular"), {**FEWER, "radius": (20, 20)}, "{} padding")),
        measures=(position.measure,),
        draws={"position.png": partial(position.draw, title="It scores alike wherever the circle lies")},
        shows=position.NUMBERS,
        reference="zero padding"),
    "samples": Question(
        asks="What is one image short of?",
        varies=noise({"1 image": FEWER, **varied("samples", (2, 4, 8, 16, 32, 64), name="{} images"),
                      "80 images (a fresh one each step)": {**FEWER, "samples": 80}}),
        draws={"samples.png": partial(figures.dots, title="One image is short of little", lowest=0.955)},
        reference="1 image"),
    "recipe": Question(
        asks="With which losses, optimisers and rates does it happen?",
        varies=noise({
            f"{loss}, {optimizer}, {rate:g}": {**HALF, "loss": loss, "optimizer": optimizer, "learning_rate": rate}
            for loss in ("cross-entropy", "dice")
            for optimizer, rates in (("adam", (1e-4, 1e-3, 1e-2)), ("sgd", (1e-3, 1e-2, 1e-1, 1.0)))
            for rate in rates}),
        draws={"recipe.png": partial(
            figures.dots, title="Most losses, optimisers and rates do not fit the image and generalise", overlap=True)},
        shows={**FITTED, **TEMPLATE},
        reference="cross-entropy, adam, 0.001"),
    "later": Question(
        asks="What do more steps change?",
        varies=noise({"default rate, full width": {**LONG, "steps": 2000, "watch": 10},
                      "slow rate, half width": SLOW, "slow rate, half width, Dice": {**SLOW, "loss": "dice"},
                      "no skips, half width": {**LONGER, "network": "unet-without-skips"}}),
        measures=(history.measure,),
        draws={"later.png": partial(
            history.draw, title="At a slow rate, or without skips, it fits its image only")},
        shows={"train IoU": numbers.mean("train_iou"), **STEPS, **history.NUMBERS, **TEMPLATE}),
    "controls": Question(
        asks="Could what memorises have learned the rule?",
        predicts="From fresh images each of them learns the rule (IoU 0.8 or more on average). From one image none of "
        "the four rates without skips finds it; 22 convolutions do, as 12 do.",
        varies=noise({
            **{f"{name}, {images}": how(RACERS[name]) for name in ("Adam, 0.0001", "Adam, 0.0001, Dice")
               for images, how in (("one image", dict), ("fresh images", fresh))},
            **{f"no skips, Adam, {rate:g}, {images}": how({**RACERS["no skips, Adam, 0.001"], "learning_rate": rate})
               for rate in (2e-4, 5e-4, 1e-3, 2e-3)
               for images, how in (("one image", dict), ("fresh images", fresh))[: 2 if rate >= 1e-3 else 1]},
            **{f"22 convolutions, Adam, 0.001, {images}": how({**RACERS["convolutions, Adam, 0.001"], "depth": 22})
               for images, how in (("one image", dict), ("fresh images", fresh))}}),
        measures=INSTRUMENTS),
    "border": Question(
        asks="Where does its memory live?",
        predicts="Without a border (circular padding) nothing is drawn on noise or on flat grey. The slow networks, "
        "with either loss, and the recipe of 2017 find the rule instead (0.8 or more in at least 7 of 10 runs); "
        "without skips half of the runs do. Reflecting padding lies between. The moved mask is fitted without a border "
        "too, as a lookup. At the default nothing changes. (Two or three runs of most of these were known.)",
        varies=noise({
            **with_paddings({"default": HALF, "no skips": RACERS["no skips, Adam, 0.001"],
                             "slow": RACERS["Adam, 0.0001"], "slow, Dice": RACERS["Adam, 0.0001, Dice"],
                             "moved": {**RACERS["Adam, 0.001"], "labels": "moved"}}),
            **with_paddings({"2017, 400 steps": {**RECIPES["2017"], **FEWER, "initial_weights": "he-normal",
                                                 "placement": "anywhere", "steps": 400, "evaluations": 60}},
                            ("zero", "circular")),
            "dense": {**HALF, "network": "dense"}}),
        measures=INSTRUMENTS),
    "race": Question(
        asks="Who is first, memory or rule, and does that decide?",
        predicts="A recipe generalises from one image if and only if its rule comes before its memory. Refuted if one "
        "with a ratio of the two times under 0.5 fails, if one above 2 succeeds, or if the rank correlation of ratio "
        "and score over the recipes is above -0.8. (One run of three of the recipes was known.)",
        varies=noise({f"{name}: {what}": changes for name, racer in RACERS.items() for what, changes in (
            ("memory", {**racer, "strength": 0.0}), ("rule", fresh(racer)), ("one image", racer))}),
        measures=INSTRUMENTS),
    "results": Question(
        asks="How well does one image teach the next hundred, by which recipe?",
        varies={**both({"this recipe": {}, "this recipe, 150 steps, --augment": {"augment": True, "steps": 150},
                        # what one image is measured against; no longer one sample
                        "a fresh image at each of 400 steps": {"samples": 400, "steps": 400},
                        "Dice and plain SGD, 2000 steps": PLAIN_DICE}),
                **noise({"this recipe, 50 steps": {"steps": 50}})},
        shows=AGAINST,
        reference="this recipe",
        seeds={"this recipe": 20, "this recipe, 50 steps": 20, "this recipe, 150 steps, --augment": 10,
               "a fresh image at each of 400 steps": 2, "Dice and plain SGD, 2000 steps": 1}),
    "search": Question(
        asks="Is the default better than the one before? On seeds that no result is reported on.",
        varies={**both({"this recipe": {}, "the first default": {
                    "learning_rate": 0.001, "output_bias": "zero", "bias_rate": 1.0}}),
                **noise({"this recipe, 150 steps, --augment": {"augment": True, "steps": 150}})},
        reference="this recipe", first_seed=100,
        seeds={"this recipe": 5, "the first default": 5, "this recipe, 150 steps, --augment": 4}),
}
