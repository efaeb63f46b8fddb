"""What the numbers of each question say, in two or three sentences made from them; a function for each question.

A word such as 'higher' stands only where the 95% interval of the paired difference leaves out 0.
"""

import numpy as np

import metrics
from questions import FILLS
from results import with_interval

MOMENTS = ("before", "after")  # training


def learned(results):
    """A circle, or its filling?"""
    noise, constant = (f"this recipe, {fill}" for fill in FILLS)

    def on(test_set, *variants):
        return " and ".join(results.mean(variant, f"iou on {test_set}") for variant in variants)

    within = [with_interval(radius_of_half(results, variant, moment), ".1f")
              for variant in (noise, constant) for moment in MOMENTS]
    cuts = [f"{results.mean(noise, f'iou cut below level {level}')} and "
            f"{results.mean(constant, f'iou cut below level {level}')} below level {level}" for level in range(1, 5)]
    return [
        f"Trained on one circle, with noise fill and with constant fill, it scores IoU "
        f"{on('rectangles', noise, constant)} on rectangles and {on('two circles', noise, constant)} on two circles.",
        f"Trained with noise fill, it scores {on('a fill of the background, 40 brighter', noise)} where the background "
        f"is 40 brighter, {on('a fill of grey 80', noise)} on flat grey 80, and {on('a fill of grey 40', noise)} on "
        f"flat grey 40, which is as bright as the background; trained with constant fill, grey 40, it scores "
        f"{on('a fill of grey 80', constant)} on flat grey 80.",
        f"Half of the gradient of a pixel's logit comes from within {within[1]} pixels after training with noise fill "
        f"(before: {within[0]}), and within {within[3]} with constant fill (before: {within[2]}).",
        f"Cut after training, so that nothing comes up from the deeper levels, the two score {'; '.join(cuts)}.",
    ]


def radius_of_half(results, variant, moment):
    """The radius that holds half of the gradient, between those measured on a straight line: pixels, (seeds,)."""
    columns = [name for name in results.columns if name.startswith("gradient") and moment in name]
    radii = [0, *(int(name.split()[2]) for name in columns)]
    shares = np.stack([results.values(variant, name) for name in columns], axis=1)  # (seeds, radii)
    return np.array([np.interp(0.5, [0, *of], radii) for of in shares if np.isfinite(of).all()])


def reliable(results):
    """Every time?"""
    said = []
    for fill in FILLS:
        ours, old, pixel = (f"{name}, {fill}" for name in (
            "this recipe", "2017 recipe, 400 steps", "a network of 1x1 convolutions"))
        overlaps = [results.values(old, column) for column in ("memorisation", "training_mask_iou_mean")]
        said.append(
            f"With {fill}, this recipe comes to IoU 0.9 or more on unseen images in {results.count(ours)} (range "
            f"{results.range(ours)}), the 2017 recipe after 400 steps in {results.count(old)} (range "
            f"{results.range(old)}); its prediction overlaps the training mask at "
            f"{with_interval(overlaps[0])}, the true circles do at {with_interval(overlaps[1])} (difference "
            f"{with_interval(overlaps[0] - overlaps[1], '+.4f')}). On the same images blur + Otsu scores "
            f"{results.mean(ours, 'blur_otsu_iou_mean')}, the histogram of the training image "
            f"{results.mean(ours, 'histogram_iou_mean')} (the network against it: "
            f"{results.compare(ours, ours, other_column='histogram_iou_mean')}), and a network of 1x1 convolutions "
            f"{results.mean(pixel)} (range {results.range(pixel)}).")
    return said


def when(results):
    """Generalise first, memorise later?"""
    said = []
    for variant in results.variants:
        (steps, train), (_, unseen), (_, drawn) = (
            results.history(variant, name) for name in ("train_iou", "val_iou_mean", "memorisation"))
        fits = train >= 0.95
        when_fitted = unseen[np.arange(len(fits)), fits.argmax(axis=1)][fits.any(axis=1)]
        tenth = abs(steps - steps[-1] / 10).argmin()
        at_that_moment = f" {with_interval(when_fitted)} at that moment," if len(when_fitted) else ""
        said.append(
            f"{variant}: steps until train IoU 0.95 was first seen: {results.reached(variant, 0.95)}. Unseen images "
            f"that are watched score{at_that_moment} {with_interval(unseen[:, tenth])} after {steps[tenth]} steps, and "
            f"{with_interval(unseen[:, -1])} after {steps[-1]}, a change since of "
            f"{with_interval(unseen[:, -1] - unseen[:, tenth], '+.4f')}; the lowest run ends at "
            f"{unseen[:, -1].min():.3f}. The overlap of the predictions with the training mask changes by "
            f"{with_interval(drawn[:, -1] - drawn[:, tenth], '+.4f')} from {with_interval(drawn[:, tenth])}.")
    watched = results.question.settings(results.variants[0]).watch
    return [*said, f"{watched} unseen images of each seed are watched while it trains; the table has all at the end."]


def later(results):
    """What do more steps change?"""
    return [*when(results), *memorised(results)]


def memorised(results):
    """In which variants the predictions on unseen images lean to the training mask: one sentence, or none."""
    said = []
    for name in results.variants:
        more = results.values(name, "memorisation") - results.values(name, "training_mask_iou_mean")
        if metrics.mean_interval(more)[1] > 0:
            fitting = results.values(name, "train_iou") >= 0.9
            well = results.values(name, "val_iou_mean") >= 0.9
            said.append(f"{name.removesuffix(', noise fill')} ({with_interval(more, '+.3f')}; {fitting.sum()} of "
                        f"{len(more)} runs fit their image at 0.9, {(fitting & well).sum()} of these the unseen)")
    return [f"Predictions on unseen images overlap the training mask by more than the true circles do with "
            f"{', and '.join(said)}."] if said else []


def labels(results):
    """Can it memorise?"""
    true, moved, random = (f"{name} labels, noise fill" for name in ("true", "moved", "random"))
    return [
        f"Train IoU at the end: {results.mean(true, 'train_iou')} with the true mask, "
        f"{results.mean(moved, 'train_iou')} with a circle where there is none, "
        f"{results.mean(random, 'train_iou')} with random pixels.",
        f"Steps until train IoU 0.95 was first seen, median and range: {results.reached(true, 0.95)} with the true, "
        f"{results.reached(moved, 0.95)} with the moved, {results.reached(random, 0.95)} with the random mask.",
        f"Trained with the moved circle, its prediction on unseen images overlaps the mask that it was trained on at "
        f"IoU {results.mean(moved, 'memorisation')} (0.9 or more in {results.count(moved, 'memorisation')}), and the "
        f"circle that is there at {results.mean(moved)}; trained with random pixels, at "
        f"{results.mean(random, 'memorisation')} and {results.mean(random)}.",
    ]


def sharing(results):
    """Is it the convolution?"""
    said = []
    for fill in FILLS:
        unet, dense, without, flat = (f"{name}, {fill}" for name in (
            "unet", "dense", "unet-without-skips", "convolutions"))
        said.append(
            f"With {fill}, the U-Net scores {results.mean(unet)} on unseen images; convolutions without pooling are "
            f"{results.compare(flat, unet)}. Without skips it comes to train IoU {results.mean(without, 'train_iou')} "
            f"(0.9 or more in {results.count(without, 'train_iou')}) and scores {results.mean(without)} on unseen "
            f"images, where its prediction overlaps the training mask at IoU {results.mean(without, 'memorisation')} "
            f"(0.9 or more in {results.count(without, 'memorisation')}); against the training mask as the prediction, "
            f"its score is {results.compare(without, without, other_column='training_mask_iou_mean')}. The dense "
            f"network comes to train IoU {results.mean(dense, 'train_iou')}, scores {results.mean(dense)} (at most "
            f"{results.values(dense, 'val_iou_mean').max():.3f}), and overlaps the training mask at "
            f"{results.mean(dense, 'memorisation')}.")
    return said


def pixels(results):
    """How many labelled pixels?"""
    every = "all 25600 pixels, noise fill"
    scores = [f"{name.partition(',')[0]} {results.mean(name)} (0.9 or more in {results.count(name)})"
              for name in results.variants]
    against = [f"{name.partition(',')[0]} are {results.compare(name, every)}"
               for name in results.variants if name != every]
    return [f"IoU on unseen images: {'; '.join(scores)}.", f"Against all of them, {'; '.join(against)}.",
            "All have the rate and the steps that were chosen with all pixels; the circle covers 3 to 19 of 100 "
            "pixels, so that some runs of 10 see none of it."]


def size(results):
    """Does over-parameterisation hurt?"""
    full = "width 1, noise fill"
    others = [f"{name.removesuffix(', noise fill').replace(';', ',')} ({results.values(name, 'parameters')[0]:,.0f} "
              f"parameters, train IoU 0.9 or more in {results.count(name, 'train_iou')}) is "
              f"{results.compare(name, full)}" for name in results.variants if name != full]
    return [f"At width 1 it scores {results.mean(full)} on unseen images. Against that, {'; '.join(others)}.",
            "Where nothing else is said, the rate and the steps are those that were chosen at width 1."]


def position(results):
    """Does it know where it is?"""
    said = []
    for variant in results.variants:
        columns = [name for name in results.columns if name.startswith("iou at ")]
        iou = np.stack([results.values(variant, name) for name in columns], axis=1)  # (seeds, places)
        square = iou.reshape(len(iou), round(iou.shape[1] ** 0.5), -1)
        inside = np.zeros(square.shape[1:], bool)
        inside[1:-1, 1:-1] = True
        border, inner = square[:, ~inside].mean(axis=1), square[:, inside].mean(axis=1)
        trained = np.stack([results.values(variant, f"training {axis}") for axis in ("row", "column")], axis=1)
        places = np.array([name.split()[2:] for name in columns], int)[inside.ravel()]
        distance = np.linalg.norm(places - trained[:, np.newaxis], axis=2)  # (seeds, places)
        slopes = np.array([np.polyfit(far / 100, of, 1)[0]
                           for far, of in zip(distance, iou[:, inside.ravel()], strict=True)])
        said.append(f"With {variant.partition(',')[0]}, circles that touch the border score {with_interval(border)}, "
                    f"the others {with_interval(inner)} (difference {with_interval(border - inner, '+.4f')}); among "
                    f"these, 100 pixels further from where the training circle was change it by "
                    f"{with_interval(slopes, '+.4f')}.")
    return said


def samples(results):
    """What is one image short of?"""
    one = "1 image, noise fill"
    others = [f"{name.partition(',')[0]} {results.compare(name, one)}" for name in results.variants if name != one]
    return [f"One image scores {results.mean(one)}. Against it, with 80 steps in all: {'; '.join(others)}."]


def recipe(results):
    """With which recipes?"""
    train, unseen = (np.concatenate([results.values(name, column) for name in results.variants])
                     for column in ("train_iou", "val_iou_mean"))
    said = [f"{(train >= least).sum()} of {len(train)} runs come to train IoU {least} or more, and "
            f"{(unseen[train >= least] >= 0.9).sum()} of these to 0.9 or more on unseen images."
            for least in (0.9, 0.98)]
    return [*said, *memorised(results), "All else is as in this recipe, at half the width."]
