"""What the rows of `own compare` say, as tables in Markdown.

A row is a dict of text: what was measured after one image of a set was labelled, or two.
"""

import itertools

import numpy as np

from study.statistics import bootstrap, markdown_table

AND = "+"  # between the numbers of two labelled images, in the column `labelled`
# What may name the image to label next: the one with the highest value in the row of one image.
MEASURES = ("uncertainty", "doubt", "disagreement")
# The columns of the summary: what is labelled, and the method.
SUMMARY = (
    ("mask", "blur + Otsu"), ("mask", "forest"), ("mask", "pretrained"), ("mask", "network"),
    ("strokes", "forest"), ("strokes", "pretrained"), ("strokes", "network"),
)
# Titles of the table of what to label next: mean IoU of the others, and the highest gain.
LEVELS, BEST = ("one image", "a second"), "the best"


def summary(rows):
    """Markdown: the mean IoU of each method on each set, from a mask and from strokes.

    It is the mean over the labelled images of which there are rows, without flags.
    """
    rows = [row for row in rows if AND not in row["labelled"] and not row["flags"]]
    columns = grouped(rows, "labels", "method")
    shown = [place for place in SUMMARY if place in columns]
    if not shown:
        return []
    means, body = {column: [] for column in shown}, []
    for (name,), of_set in grouped(rows, "set").items():
        cells, texts = grouped(of_set, "labels", "method"), []
        for place in shown:
            value = np.mean(column(cells[place], "iou_mean")) if place in cells else np.nan
            means[place].append(value)
            texts.append(worth_text(LEVELS[0], value))
        body.append([name, *texts])
    texts = [worth_text(LEVELS[0], np.mean(values)) for values in means.values()]
    body.append(["**mean**", *(f"**{text}**" for text in texts)])
    return markdown_table(["", *(": ".join(place) for place in shown)], body)


def table(rows):
    """Markdown: the mean IoU of each method on each set, and what it took.

    In brackets the IoU from each labelled image. Times are medians over the rows, of as many
    threads as the processes had.
    """
    def of_set(rows):
        values = column(rows, "iou_mean")
        return f"{np.mean(values):.3f} ({', '.join(f'{value:.2f}' for value in values)})"

    def of_all(rows):
        means = [np.mean(column(group, "iou_mean")) for group in grouped(rows, "set").values()]
        return f"**{np.mean(means):.3f}**"

    return by_method(rows, of_set, {
        "**mean**": of_all,
        "seconds to learn": lambda rows: f"{np.median(column(rows, 'train_seconds')):.1f}",
        "seconds an image": lambda rows: f"{np.median(column(rows, 'image_seconds')):.1f}",
    })


def telling(rows):
    """Markdown: whether a method segments worse what it is less sure of.

    Spearman's correlation of uncertainty and IoU over the images of a row, averaged over the rows
    of a set; -1 is that the surest image is always the best.
    """
    from scipy.stats import spearmanr

    def of_set(rows):
        values = []
        for row in rows:
            names = numbered(row, "uncertainty")
            uncertainty = list(names.values())
            iou = [float(row[f"iou_{number}"]) for number in names]
            if np.ptp(uncertainty) and np.ptp(iou):
                values.append(spearmanr(uncertainty, iou).statistic)
        return f"{np.mean(values):+.2f}" if values else "-"

    return by_method(rows, of_set, {})


def by_method(rows, of_set, totals):
    """Markdown: a table for each kind of labels, with a line for each set, a column a method.

    of_set: a function that makes text of the rows of a method and a set; totals: {title of a line:
    such a function of the rows of all sets}. It stays empty for a method that lacks rows which
    another one has, and a line says so. Rows of two labelled images are passed over.
    """
    rows, lines = [row for row in rows if AND not in row["labelled"]], []
    for (labels,), here in grouped(rows, "labels").items():
        methods, body = grouped(here, "method", "flags"), []
        for (name,), group in grouped(here, "set").items():
            cells = grouped(group, "method", "flags")
            texts = [of_set(cells[method]) if method in cells else "-" for method in methods]
            body.append([name, *texts])
        wanted, incomplete = len(grouped(here, "set", "labelled")), {}
        for method, group in methods.items():
            if len(group) < wanted:
                incomplete[method] = f"{' '.join(method).strip()} ({len(group)} of {wanted})"
        for title, total in totals.items():
            texts = ["-" if method in incomplete else total(methods[method]) for method in methods]
            body.append([title, *texts])
        head = [labels, *(" ".join(method).strip() for method in methods)]
        lines += ["", *markdown_table(head, body)]
        if totals and incomplete:
            lines += ["", f"no mean where rows are missing: {', '.join(incomplete.values())}"]
    return lines[1:]


def naming(rows):
    """Markdown: what it is worth to label next the image that is named, by each of MEASURES.

    A table for each way to train the network of which there are rows of pairs. For each set it
    holds what `worth_of_second` says, averaged over the first images of which all pairs were
    measured; then the mean over the sets, and for what was gained its 95% interval.
    """
    lines = []
    rows = [row for row in rows if (row["labels"], row["method"]) == ("mask", "network")]
    for (flags,), here in grouped(rows, "flags").items():
        sets, body = {}, []
        for (name,), group in grouped(here, "set").items():
            if worths := worths_of_seconds(group):
                sets[name] = {title: np.mean(column(worths, title)) for title in worths[0]}
                body.append([name, *itertools.starmap(worth_text, sets[name].items())])
        if sets:
            titles = (*LEVELS, *MEASURES, BEST)
            means = [mean_text(title, column(sets.values(), title)) for title in titles]
            head = [f"network {flags}".strip(), *titles]
            lines += ["", *markdown_table(head, [*body, ["**mean**", *means]])]
    return lines[1:]


def worth_text(title, value):
    """A cell of the table of what to label next: a mean IoU, or what was gained, with its sign."""
    if np.isnan(value):
        return "-"
    return f"{value:.3f}" if title in LEVELS else f"{value:+.3f}"


def mean_text(title, values):
    """The last cell of a column of that table: the mean of the sets, and the interval of a gain."""
    text = worth_text(title, np.mean(values))
    if title in LEVELS or text == "-":
        return text
    low, high = bootstrap(tuple(values))
    return f"{text} ({low:+.3f} to {high:+.3f})"


def worths_of_seconds(rows):
    """`worth_of_second` for each first image of a set of which all pairs were measured, a list.

    rows: those of the network with the same flags. Of two other images there is nothing to tell.
    """
    worths, by_labelled = [], {row["labelled"]: row for row in rows}
    for first, alone in by_labelled.items():
        if AND in first:
            continue
        others = numbered(alone, "iou")
        pairs = {second: by_labelled.get(pair(first, second)) for second in others}
        if len(pairs) > 2 and all(pairs.values()):
            worths.append(worth_of_second(alone, pairs))
    return worths


def worth_of_second(alone, pairs):
    """What labelling a second image was worth: {title: number}.

    alone: the row of the first image; pairs: {second: row of both}, of all others. LEVELS are the
    mean IoU of the others after one image, and after two, whichever is the second. Each of MEASURES
    holds how much more it is after the image that this one names (nan if the row does not hold it),
    BEST after that which turned out best.

    Whoever labels a hard image takes it out of those that are scored, and their mean rises for
    that alone. So each image is compared with its own mean over all second images.
    """
    seconds = list(pairs)
    iou = np.full((len(seconds), len(seconds)), np.nan)  # second image, image that is scored
    for place, row in enumerate(pairs.values()):
        scores = numbered(row, "iou")
        iou[place] = [scores.get(number, np.nan) for number in seconds]
    usual = np.nanmean(iou, axis=0)
    gains = np.nanmean(iou - usual, axis=1)  # their mean, that of a second image at random, is 0
    worth = dict(zip(LEVELS, (float(alone["iou_mean"]), usual.mean()), strict=True))
    for measure in MEASURES:
        values = numbered(alone, measure)
        named = max(values, key=values.get, default=None)
        worth[measure] = gains[seconds.index(named)] if values else np.nan
    return {**worth, BEST: gains.max()}


def grouped(rows, *names):
    """{values of these columns: rows}, in the order in which they first come."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return groups


def numbered(row, name):
    """{number of an image: value} of the columns name_number of a row; numbers are text."""
    values = {}
    for title, value in row.items():
        number = title.removeprefix(f"{name}_")
        if number.isdecimal() and value != "":
            values[number] = float(value)
    return values


def column(rows, name):
    """A column of the rows, as a list of numbers."""
    return [float(row[name]) for row in rows]


def pair(first, second):
    """How a row calls two labelled images: '2+10' of the numbers 10 and 2, in any order."""
    return AND.join(map(str, sorted((int(first), int(second)))))
