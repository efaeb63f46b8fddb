"""The report of a study: for each question its figures, its key numbers, and a table of means."""

from pathlib import Path

import numpy as np
from filelock import FileLock

from common.files import write_bytes, writing
from common.folders import LOCK, in_place_of
from common.settings import training_flags
from study.nulls import NULLS
from study.questions import QUESTIONS
from study.results import PATIENCE, Results, read_rows
from study.statistics import differences_with_chance, markdown_table, with_deviation, with_interval

INTRODUCTION = """\
Written by `python -m study`. n counts training seeds, each another image and other initial
weights; ± is the standard deviation over seeds; brackets are 95% intervals of the
mean (bootstrap, bias-corrected and accelerated, from ten seeds on), each by itself. Differences are
paired by seed; p is that of Wilcoxon's signed-rank test, corrected for all differences of the
question (Holm). Train IoU is that of the first training images, as many as there are unseen ones.
The command of a variant, with a seed for N, repeats a row of its CSV; the last digits depend on the
machine and on the number of threads, which a row says (set TF_NUM_INTRAOP_THREADS to it).
"training, s" is the median time of the steps with their tracing, without scoring, while several
runs share the machine. What it all says: docs/answer.md.

```shell
python -m study                    # lists the questions
python -m study sharing            # one of them, ten seeds; most take half an hour to two hours
python -m study all                # all of them: more than a day on two cores
python -m study labels --seeds 20 --only "random pixels"    # more seeds of one variant
python -m study all --output docs  # runs what is missing, and draws report and figures anew
```

Each run goes through the function that `train.py` uses, and is a row of `output/study/NAME.csv`
when it is done. A row is known by its settings: finished ones are not run again, also those of
another question that measures the same. Interrupted, the same command goes on where it stopped; a
run that fails is reported with its command, and stops no other. `--processes` of them share a
machine. With `pip install ray==2.60.0`, `--backend ray --address HOST:PORT` hands them to a Ray
cluster whose machines have `requirements.txt`. Numbers are the same to the last digit if the
machines are: each run has one thread, because sums are added up in an order that depends on their
number (two, before there was a column for it)."""


def write_report(folder):
    """Write report.md and the figures of each question with a CSV in `folder`.

    Raises `UserError` for a foreign CSV, or a file that cannot be written.
    """
    folder = Path(folder)
    lines = ["# The study", "", INTRODUCTION, ""]
    lock = FileLock(folder / LOCK, timeout=PATIENCE)
    with writing(folder), lock, in_place_of(folder) as new:
        for name, question in QUESTIONS.items():
            results = Results(question, read_rows(folder / f"{name}.csv"))
            if results.variants:
                lines += section(name, results, new)
        write_bytes(new / "report.md", ("\n".join(lines) + "\n").encode())


def section(name, results, folder):
    """The lines of one question; its figures are drawn in `folder`."""
    question = results.question
    lines = [f"## {name}: {question.asks}"]
    if question.predicts:
        lines += ["", f"Predicted before it ran: {question.predicts}"]
    for file, draw in question.draws.items():
        draw(results, folder / file)
        if (folder / file).exists():  # there is none of too few variants
            lines += ["", f"![{question.asks}]({file})"]
    for table in question.tables:
        lines += ["", *table(results)]
    return [*lines, "", *key_numbers(results), "", *score_table(results), ""]


def key_numbers(results):
    """Markdown: the numbers that the question shows, of each variant; the longer side is down."""
    table = [["", *results.variants]]
    for label, number in results.question.shows.items():
        cells = [key_number(results, variant, number) for variant in results.variants]
        table.append([f"**{label}**", *cells])
    if len(table) == 1:
        return []
    if len(table) < len(table[0]):
        table = list(zip(*table, strict=True))
    return markdown_table(table[0], table[1:])


def key_number(results, variant, number):
    """One of the numbers that a question shows, as text."""
    if isinstance(number, str):
        return with_interval(results.values(variant, number))
    return number(results, variant)


def score_table(results):
    """Markdown: a line for each variant that has rows, and one for each null on the same images.

    'against' is the paired difference to the reference of the same fill.
    """
    reference = results.question.reference
    differences = against_reference(results)
    rows = []
    for fill, variants in results.by_fill().items():
        rows += [scores(results, variant, differences.get(variant, "")) for variant in variants]
        # Variants have the same images, but may differ in what two of the nulls learn from.
        beside = f"{reference}, {fill}"
        rows += nulls(results, beside if beside in variants else variants[0], fill)
    head = ["", "n", "train IoU", "IoU on unseen images",
            f"against {reference}" if reference else "", "0.9 or more", "worst, median, best run",
            "worst image", "training, s", "command"]
    return markdown_table(head, rows)


def against_reference(results):
    """The difference of each variant to the reference of the same fill, {variant: text}."""
    differences = {}
    for fill, variants in results.by_fill().items():
        reference = f"{results.question.reference}, {fill}"
        for variant in variants:
            if reference in variants and variant != reference:
                differences[variant] = results.differences(variant, reference)
    texts = differences_with_chance(list(differences.values()), "+.4f")
    return dict(zip(differences, texts, strict=True))


def scores(results, variant, difference):
    """The cells of a variant under the head of `score_table`."""
    train, unseen = results.values(variant, "train_iou"), results.values(variant)
    worst = min(results.values(variant, "val_iou_min"))
    seconds = np.median(results.values(variant, "train_seconds"))
    command = " ".join(["python train.py --seed N", *training_flags(results.settings(variant))])
    return [variant, len(unseen), with_deviation(train), with_deviation(unseen), difference,
            (unseen >= 0.9).sum(), spread(unseen), f"{worst:.3f}", f"{seconds:.0f}",
            f"`{command}`"]


def nulls(results, variant, fill):
    """The cells of each null under the head of `score_table`, on the images of a variant."""
    rows = []
    for null, title in NULLS.items():
        means = results.values(variant, f"{null}_iou_mean")
        means = means[np.isfinite(means)]  # older rows do not hold every null
        if len(means):
            worst = np.nanmin(results.values(variant, f"{null}_iou_min"))
            rows.append([f"{title}, {fill}", len(means), "", with_deviation(means), "", "",
                         spread(means), f"{worst:.3f}", "", "no network"])
    return rows


def spread(values):
    """'0.957, 0.967, 0.976': least, median and most."""
    return f"{min(values):.3f}, {np.median(values):.3f}, {max(values):.3f}"
