"""Every question of the study, one block each; a measure with its figure has a file of its own."""

from functools import partial

from common.settings import RECIPES
from study import figures, first_step, gain, larger, memory, numbers, other_images, parts, place
from study import rim, sharpness
from study.figures import ON_NOISE, OVERLAP
from study.numbers import AGAINST, FITTED, STEPS, TEMPLATE
from study.question import ADAM, CONVOLUTIONS, DEEP, FEWER, FIRST, HALF, HALF_2017, LARGER, LONG
from study.question import NARROW, NO_SKIPS, ONE_STEP, ONE_STEP_OF_ADAM, OUTPUT, PLAIN, PLAIN_DICE
from study.question import SHALLOW, SLOW, SLOW_DICE, TODAY_2017, Question, both, fresh, gains, noise
from study.question import one_and_fresh, only, seldom, varied, varied_gain, with_gain
from study.question import with_paddings

AS_2017 = RECIPES["2017"]
ANYWHERE_2017 = {**AS_2017, "placement": "anywhere"}
TODAYS_WEIGHTS = {"initial_weights": "he-normal"}

QUESTIONS = {
    # first, because the others take its runs of this recipe over
    "learned": Question(
        asks="What did it learn: a circle, or its filling?",
        varies=both({"this recipe": FEWER}),
        measures=(other_images.measure,),
        draws={"learned.png": partial(
            other_images.draw, title="It learned how a shape is filled, not that it is round")},
        shows=other_images.NUMBERS),
    "2017": Question(
        asks="Is what was said in 2017 true of its own recipe?",
        varies=noise({
            "the recipe of 2017": AS_2017,
            "circles anywhere": ANYWHERE_2017,
            "the recipe of 2017, today's weights": {**AS_2017, **TODAYS_WEIGHTS},
            "circles anywhere, today's weights": {**ANYWHERE_2017, **TODAYS_WEIGHTS}}),
        draws={"2017.png": partial(
            figures.dots, overlap=OVERLAP,
            title="The recipe of 2017 finds circles from its own initial weights")},
        shows={"the training mask as the prediction": "training_mask_iou_mean",
               "blur + Otsu": "blur_otsu_iou_mean", **AGAINST, **TEMPLATE},
        reference="the recipe of 2017"),
    "reliable": Question(
        asks="Does it happen every time?",
        varies=both({
            "this recipe": FEWER,
            "Dice and plain SGD, 400 steps": {**PLAIN_DICE, **FEWER, "steps": 400},
            "a network of 1x1 convolutions": {**FEWER, "network": "pixel"}}),
        draws={"reliable.png": partial(
            figures.dots, title="With the default recipe it happens every time")},
        shows={**AGAINST, **TEMPLATE},
        reference="this recipe", seeds=20),
    "labels": Question(
        asks="Can this network memorise at all?",
        varies=noise({
            "the true circle": LONG,
            "a circle where there is none": {**LONG, "labels": "moved"},
            "random pixels": {**LONG, "labels": "random"}}),
        shows={"train IoU": "train_iou", **STEPS, **TEMPLATE},
        reference="the true circle"),
    "sharing": Question(
        asks="Is it the convolution?",
        varies=both({
            "U-Net": FEWER,
            "U-Net without skips": {**FEWER, "network": "unet-without-skips"},
            "twelve convolutions": {**FEWER, "network": "convolutions"},
            "dense network": {**FEWER, "network": "dense"}}),
        draws={"sharing.png": partial(
            figures.dots, overlap=OVERLAP,
            title="The U-Net and twelve convolutions generalise; without skips, or dense, they do "
                  "not")},
        shows={"parameters": numbers.parameters, "train IoU": "train_iou",
               **FITTED, **AGAINST, **TEMPLATE},
        reference="U-Net"),
    "pixels": Question(
        asks="How many labelled pixels does one image hold?",
        varies=noise({
            **varied("supervised_pixels", (10, 100, 1000, 10_000), FEWER, "{} pixels"),
            "all 25600 pixels": FEWER}),
        draws={"pixels.png": partial(
            figures.dots, title="A thousand labelled pixels are nearly enough")},
        reference="all 25600 pixels"),
    "size": Question(
        asks="Does over-parameterisation hurt?",
        varies=noise({
            **varied("width", (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 2.0), FEWER, "width {:g}"),
            **varied("width", (1 / 16, 1 / 8, 1 / 4), NARROW, "width {:g}; rate 0.01, 200 steps")}),
        draws={"size.png": partial(
            figures.dots, title="Twice the width does as well; a quarter or less learns by luck")},
        shows={"parameters": numbers.parameters, **FITTED, **TEMPLATE},
        reference="width 1"),
    "samples": Question(
        asks="What is one image short of?",
        varies=noise({
            "1 image": FEWER,
            **varied("samples", (2, 4, 8, 16, 32, 64), FEWER, "{} images"),
            "80 images (a fresh one each step)": {**FEWER, "samples": 80}}),
        draws={"samples.png": partial(
            figures.dots, title="One image is short of little", lowest=0.955)},
        reference="1 image"),
    "controls": Question(
        asks="Could what memorises have learned the rule?",
        predicts="From fresh images each of them learns the rule (IoU 0.8 or more on average). "
        "From one image 22 convolutions do too, as 12 do.",
        varies=noise({
            **one_and_fresh("Adam, 0.0001", SLOW),
            **one_and_fresh("Adam, 0.0001, Dice", SLOW_DICE),
            **one_and_fresh("no skips, Adam, 0.001", NO_SKIPS),
            **one_and_fresh("22 convolutions, Adam, 0.001", {**CONVOLUTIONS, "depth": 22}),
            # as long as Adam at 0.0001 by the sum of the rates of all steps
            "Adam, 0.001, one image, 40 steps": {**ADAM, "steps": 40}}),
        measures=(memory.measure,),
        shows={"train IoU": "train_iou", **memory.NUMBERS}),
    "border": Question(
        asks="Where does its memory live?",
        predicts="Without a border (circular padding) nothing is drawn on noise or on flat grey. "
        "The slow networks, with either loss, and the recipe of 2017 find the rule instead (0.8 or "
        "more in at least 7 of 10 runs); without skips half of the runs do. Reflecting padding "
        "lies between. The moved mask is fitted without a border too, as a lookup. At the default "
        "nothing changes. (Two or three runs of most of these were known.)",
        varies=noise({
            **with_paddings({
                "default": HALF, "no skips": NO_SKIPS, "slow": SLOW, "slow, Dice": SLOW_DICE,
                "moved": {**ADAM, "labels": "moved"}}),
            **with_paddings({"SGD, Dice": TODAY_2017}, ("zero", "circular")),
            "dense": {**HALF, "network": "dense"}}),
        measures=(memory.measure,),
        draws={
            "memory.png": partial(
                memory.draw, title="A rule, two templates and a lookup", shown={
                    "default, zero padding, noise fill": "default",
                    "no skips, zero padding, noise fill": "no skips",
                    "slow, Dice, zero padding, noise fill": "slow, Dice",
                    "dense, noise fill": "dense"}),
            "border.png": partial(
                memory.draw_paddings,
                title="Without a border no mask is drawn, and three of four that failed find the "
                      "rule")},
        shows=memory.NUMBERS, tables=(memory.border_table,)),
    "place": Question(
        asks="Is what it learned bound to its place?",
        predicts="The default scores the same however far from its place the training circle lies. "
        "Trained slowly with cross-entropy, and by the recipe of 2017, the score falls with the "
        "distance, beyond 48 pixels to less than half of that in its place; with Dice, and without "
        "skips, it is marked in its place alone. Without a border it does not fall. (Scores where "
        "a circle lies elsewhere were known.)",
        varies=noise(with_paddings(
            {"default": HALF, "no skips": NO_SKIPS, "slow": SLOW, "slow, Dice": SLOW_DICE,
             "SGD, Dice": TODAY_2017}, ("zero", "circular"))),
        measures=(place.measure,),
        draws={"place.png": partial(
            place.draw,
            title="Failing recipes lose the circle as it moves away; without a border mostly not")},
        shows=place.NUMBERS),
    "dose": Question(
        asks="Which border carries the place?",
        predicts="That of the deep levels: with circular padding on levels 4 to 6 alone less than "
        "half of the template is left on mere noise, with circular padding on levels 1 to 3 alone "
        "most of it. With the mean beyond the border a quarter to three quarters of it is left; if "
        "the zeros' value counted and not the place, nothing would.",
        varies=noise({
            "zeros everywhere": SLOW_DICE,
            **varied("padding_levels", ((1, 3), (4, 6), (6, 6)),
                     {**SLOW_DICE, "padding": "circular"}, "circular on levels {0[0]} to {0[1]}"),
            "the mean, everywhere": {**SLOW_DICE, "padding": "mean"}}),
        measures=(memory.measure,),
        draws={"dose.png": partial(
            figures.dots, overlap=ON_NOISE,
            title="The zeros at the border of the deep levels carry the place")},
        shows={"train IoU": "train_iou", **memory.NUMBERS}),
    "larger": Question(
        asks="Does one image suffice where no window decides?",
        predicts="Of two circles the larger is to be marked. Here an example is an image and not a "
        "pixel: to decide nine of ten images right the U-Net needs 64 or more, and twelve "
        "convolutions, which see 25 x 25 pixels, do not do it from any number. Where the one "
        "circle of an image is to be marked, one image does. (One run with 256 images was known.)",
        varies=noise({
            "U-Net, 1 image": LARGER,
            **varied("samples", (4, 16, 64, 256), LARGER, "U-Net, {} images"),
            "convolutions, 1 image": {**LARGER, "network": "convolutions"},
            **varied("samples", (4, 16, 64, 256), {**LARGER, "network": "convolutions"},
                     "convolutions, {} images"),
            "U-Net, a fresh image at each step": fresh(LARGER),
            "U-Net, 1 image, of one circle": {**LARGER, "task": "shape"}}),
        measures=(larger.measure,),
        draws={"larger.png": partial(
            larger.draw,
            title="One image does not teach which of two circles is larger; more do, in part")},
        shows={"train IoU": "train_iou", **larger.NUMBERS}),
    "rim": Question(
        asks="What does the good network remember?",
        predicts="The rim: nine tenths of the pixels that it gets wrong lie within two pixels of "
        "the edge of the mask, and on its training image it gets these right too.",
        varies=noise({"one image": FEWER,
                      "80 images, a fresh one each step": {**FEWER, "samples": 80}}),
        measures=(rim.measure,),
        draws={"rim.png": partial(rim.draw, title="What it remembers of its one image is the rim")},
        shows={"train IoU": "train_iou", **rim.NUMBERS}),
    "first_step": Question(
        asks="Is it there in the first gradient?",
        predicts="Template over rule is above 0.2 for today's initial weights and for 0.88 times "
        "them on the shallow levels alone, below 0.1 for 0.88 on the deep levels, for the weights "
        "of 2017 and without a border, above 1 for 1.1 on all levels. Of the gradient's sign each "
        "is larger. (Five seeds of most were known.)",
        varies=noise({
            **gains(ONE_STEP, "gradient"),
            "no skips, gradient": {**ONE_STEP, "network": "unet-without-skips"},
            "twelve convolutions, gradient": {**ONE_STEP, "network": "convolutions"},
            **only(gains(ONE_STEP_OF_ADAM, "sign"), ("today's", "0.88", "circular"))}),
        followers=(first_step.FirstStep,),
        draws={"first_step.png": partial(
            first_step.draw, shown={
                "1.1 on all levels, gradient, noise fill": "1.1 times today's",
                "today's weights, gradient, noise fill": "today's weights",
                "0.88 on the deep levels, gradient, noise fill": "0.88 on the deep levels",
                "circular padding, gradient, noise fill": "without a border"},
            title="After one step: large weights draw the training mask on noise, small deep ones "
            "do not")},
        shows=parts.FIRST),
    "gain": Question(
        asks="Does the gain of the deep levels lead from template to rule?",
        predicts="With 0.88 on the deep levels alone today's weights generalise as those of 2017 "
        "do (0.8 or more in at least 7 of 10 runs), with 0.88 on the shallow ones alone and with a "
        "tenth on the output they do not (3 runs at most). The smaller the gain of the deep "
        "levels, the higher the score and the lower the template on noise; 1.1 draws a template "
        "in most runs. Template over rule of the first step orders the variants but for the "
        "output's. (Two runs of three of them were known, on other seeds.)",
        varies=noise({
            "today's weights": HALF_2017,
            **varied_gain((0.75, 0.88, 1.1), HALF_2017, DEEP, "{:g} on the deep levels"),
            **varied_gain((0.75, 0.88, 1.1), HALF_2017, SHALLOW, "{:g} on the shallow levels"),
            "the weights of 2017": {**HALF_2017, "initial_weights": "2017"},
            "0.1 on the output": with_gain(HALF_2017, 0.1, OUTPUT)}),
        measures=(memory.measure,),
        followers=(parts.Parts,),
        draws={"gain.png": partial(
            gain.draw,
            title="One dial: the weights of the deep levels, from the rule to a template")},
        shows={"train IoU": "train_iou", **parts.NUMBERS, **memory.NUMBERS},
        tables=(parts.foretold,), reference="today's weights"),
    "parts": Question(
        asks="Of which parts does a fit consist, and when do they grow?",
        predicts="With a border and Adam at 0.0001 the template grows within the first ten steps "
        "and stays; at 0.001, and with the deep levels ten times as fast, it rises and collapses "
        "within ten steps and the rule takes what is left; with the deep levels held still, and "
        "without a border, it never comes. With Dice it grows to several times the rule. Rule less "
        "template after 32 steps orders the scores on unseen images of all recipes. Biases that "
        "learn no faster change nothing of it. (Seed 0 was known.) Far from its place the area "
        "under the curve falls too, and Otsu's threshold wins back less than half of the IoU that "
        "is lost: it is no shift of the threshold. The template goes along with the nearer border "
        "and not with the farther one.",
        varies=noise(seldom({
            "Adam, 0.0001": SLOW,
            "Adam, 0.001": ADAM,
            "Adam, 0.0001, deep levels at 10": {**SLOW, "deep_rate": 10.0},
            "Adam, 0.0001, deep levels at 0": {**SLOW, "deep_rate": 0.0},
            "Adam, 0.0001, circular padding": {**SLOW, "padding": "circular"},
            "Adam, 0.0001, Dice": SLOW_DICE,
            "Adam, 0.0001, biases no faster": {**SLOW, "bias_rate": 1.0}})),
        measures=(memory.measure, place.measure_thresholds, place.measure_border),
        followers=(parts.Parts,),
        draws={"parts.png": partial(
            parts.draw,
            title="With small steps a template grows; large ones, or no border, leave the rule")},
        shows={"train IoU": "train_iou", **parts.NUMBERS, **memory.NUMBERS, **place.CONTROLS},
        tables=(parts.foretold,)),
    "sharpness": Question(
        asks="Is the template the sharpest direction of the loss?",
        predicts="The direction of the largest eigenvalue of the Hessian at the initial weights "
        "changes all images alike (two of noise with a correlation of 0.8 or more), and more than "
        "half of its fit is template; without a border neither holds. With 0.88 on the deep levels "
        "the loss is flatter. For Adam 38 / sharpness lies between 0.0001 and 0.001. (One "
        "seed was known: there the direction is the rule, and Adam's limit 0.0008.)",
        varies=noise({
            "plain": {**PLAIN, **FIRST},
            "plain, circular padding": {**PLAIN, **FIRST, "padding": "circular"},
            "plain, 0.88 on the deep levels": with_gain({**PLAIN, **FIRST}, 0.88, DEEP),
            "Adam's": {**PLAIN, **FIRST, "optimizer": "adam"}}),
        followers=(sharpness.Sharpness,),
        shows=sharpness.NUMBERS,
        seeds={"plain": 10, "plain, circular padding": 5, "plain, 0.88 on the deep levels": 5,
               "Adam's": 5}),
    "rate": Question(
        asks="Does a large step throw the template off?",
        predicts="Under plain SGD templates (0.5 or more on the logits after 400 steps) end within "
        "a factor of three of the rate 2 / sharpness: below it they stay, above it the rule alone "
        "grows. (One seed was known, and of the sharpness of three that 2 over it is 0.03 to "
        "0.05.)",
        varies=noise(seldom(varied(
            "learning_rate", (0.003, 0.01, 0.03, 0.1, 0.3), PLAIN, "SGD, {:g}"))),
        measures=(memory.measure,),
        followers=(parts.Parts,),
        shows={"train IoU": "train_iou", **parts.NUMBERS, **memory.NUMBERS}, seeds=5),
    "coordinates": Question(
        asks="Is a place enough to remember by?",
        predicts="Without a border, but with two planes beside the image that tell the place as "
        "ramps, the template is back (on noise 0.5 or more in at least 5 of 10 runs); with two "
        "flat planes it is not. Fixed noise tells the place too, but not smoothly: less than half "
        "as many templates.",
        varies=noise(seldom(varied(
            "coordinates", ("ramp", "noise", "flat"), {**SLOW_DICE, "padding": "circular"},
            "circular padding, {} planes"))),
        measures=(memory.measure,),
        followers=(parts.Parts,),
        shows={"train IoU": "train_iou", **parts.NUMBERS, **memory.NUMBERS}),
    "results": Question(
        asks="How well does one image teach the next hundred, by which recipe?",
        varies={
            **both({
                "this recipe": {},
                "this recipe, 150 steps, --augment": {"augment": True, "steps": 150},
                # what one image is measured against; no longer one sample
                "a fresh image at each of 400 steps": {"samples": 400, "steps": 400},
                "Dice and plain SGD, 2000 steps": PLAIN_DICE}),
            **noise({"this recipe, 50 steps": {"steps": 50}})},
        shows=AGAINST, reference="this recipe",
        seeds={"this recipe": 20, "this recipe, 50 steps": 20,
               "this recipe, 150 steps, --augment": 10, "a fresh image at each of 400 steps": 2,
               "Dice and plain SGD, 2000 steps": 1}),
    "average": Question(
        asks="What does it add to average the predictions over flips and turns?",
        predicts="Less the more was learned from turned images: 0.006 to 0.008 on noise fill by "
        "the default, 0.001 to 0.003 after 300 steps with --augment. (Two seeds of each were "
        "known.)",
        varies=both({"this recipe": {},
                     "this recipe, 300 steps, --augment": {"augment": True, "steps": 300}}),
        measures=(other_images.averaged,),
        shows=other_images.AVERAGED, seeds=20),
    "search": Question(
        asks="Is the default better than the one before? On seeds that no result is reported on.",
        varies={
            **both({"this recipe": {}, "the first default": {
                "learning_rate": 0.001, "output_bias": "zero", "bias_rate": 1.0}}),
            **noise({"this recipe, 150 steps, --augment": {"augment": True, "steps": 150}})},
        reference="this recipe", first_seed=100,
        seeds={"this recipe": 5, "the first default": 5, "this recipe, 150 steps, --augment": 4}),
}
