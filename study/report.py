"""The report of a study: for each question its figures, its key numbers, and a table of means with intervals."""

from pathlib import Path

import numpy as np
from filelock import FileLock

from common.files import write_bytes, writing
from common.folders import LOCK, in_place_of
from common.settings import training_flags
from study.questions import QUESTIONS
from study.results import NULLS, PATIENCE, Results, corrected, read_rows, with_interval

INTRODUCTION = """\
Written by `python -m study`. n counts training seeds, each another image and, but in `crossed`, other initial weights;
± is the standard deviation over seeds; brackets are 95% intervals of the mean (bootstrap, bias-corrected and
accelerated, from ten seeds on), each by itself. Differences are paired by seed; p is that of Wilcoxon's signed-rank
test, corrected for all differences of the question (Holm). Train IoU is that of the first training images, as many as
there are unseen ones. The command of a variant, with a seed for N, repeats a row of its CSV; the last digits depend on
the machine and on the number of threads, which a row says (set TF_NUM_INTRAOP_THREADS to it).
"training, s" is the median time of the steps with their tracing, without scoring, while several runs share the machine.
What it all says: docs/answer.md.

```shell
python -m study                              # lists the questions
python -m study sharing                      # one of them, ten training seeds; most take half an hour to two hours
python -m study all                          # all of them: more than a day on two cores
python -m study labels --seeds 20 --only "random pixels"          # more seeds of one variant
python -m study all --output docs            # runs what is not there yet, and draws report and figures anew
```

Each run goes through the function that `train.py` uses, and is a row of `output/study/NAME.csv` when it is done. A row
is known by its settings: finished ones are not run again, also those of another question that measures the same.
Interrupted, the same command goes on where it stopped; a run that fails is reported with its command, and stops no
other. `--processes` of them share a machine. With `pip install ray==2.60.0`, `--backend ray --address HOST:PORT` hands
them to a Ray cluster whose machines have `requirements.txt`. Numbers are the same to the last digit if the machines
are: each run has one thread, because sums are added up in an order that depends on their number (two, before there was
a column for it)."""


def with_deviation(values):
    """'0.967 ± 0.004 [0.965, 0.969]': mean of values, (n,), their standard deviation, its interval; of one itself."""
    mean, _, interval = with_interval(values).partition(" ")
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.3f} {interval}".strip()


def spread(values):
    """'0.957, 0.967, 0.976': least, median and most."""
    return f"{min(values):.3f}, {np.median(values):.3f}, {max(values):.3f}"


def score_table(results):
    """Markdown: a line for each variant that has rows, and one for each null on the same images, by fill.

    'against' is the paired difference to the reference of the same fill.
    """
    reference = results.question.reference
    against = f"against {reference}" if reference else ""
    compared = {variant: f"{reference}, {fill}" for fill, variants in results.fills.items() for variant in variants
                if f"{reference}, {fill}" in variants and variant != f"{reference}, {fill}"}
    chances = dict(zip(compared, corrected([results.differences(*pair) for pair in compared.items()]), strict=True))
    lines = [f"| | n | train IoU | IoU on unseen images | {against} | 0.9 or more | worst, median, best run | "
             "worst image | training, s | command |", f"|{'---|' * 10}"]
    for fill, variants in results.fills.items():
        beside = f"{reference}, {fill}"
        for variant in variants:
            difference = "" if variant not in compared else with_interval(
                results.differences(variant, beside), "+.4f") + (chances[variant] and f", p {chances[variant]}")
            command = " ".join(["python train.py --seed N", *training_flags(results.settings(variant))])
            train, unseen, lowest, seconds = (results.values(variant, name) for name in (
                "train_iou", "val_iou_mean", "val_iou_min", "train_seconds"))
            cells = [variant, len(unseen), with_deviation(train), with_deviation(unseen), difference,
                     (unseen >= 0.9).sum(), spread(unseen), f"{min(lowest):.3f}", f"{np.median(seconds):.0f}",
                     f"`{command}`"]
            lines.append(f"| {' | '.join(map(str, cells))} |")
        # the images of a seed are the same for all variants, the sample that two of the nulls learn from may not be
        of = beside if beside in variants else variants[0]
        for null, title in NULLS.items():
            means, worst = (results.values(of, f"{null}_iou_{which}") for which in ("mean", "min"))
            if len(means := means[np.isfinite(means)]):  # older rows do not hold every null
                lines.append(f"| {title}, {fill} | {len(means)} | | {with_deviation(means)} | | | {spread(means)} | "
                             f"{np.nanmin(worst):.3f} | | no network |")
    return lines


def key_numbers(results):
    """Markdown: a table of the numbers that the question shows, with a line for each, or for each variant."""
    table = [["", *results.variants], *([f"**{label}**", *(number(results, variant) for variant in results.variants)]
                                        for label, number in results.question.shows.items())]
    first, *rest = zip(*table, strict=True) if len(table) < len(table[0]) else table
    return [f"| {' | '.join(cells)} |" for cells in (first, ["---"] * len(first), *rest)] if len(table) > 1 else []


def section(name, folder, new):
    """The lines of one question with a CSV in `folder`, its figures drawn in `new`; none if it has no rows."""
    question = QUESTIONS[name]
    results = Results(question, read_rows(folder / f"{name}.csv"))
    if not results.variants:
        return []
    pictures = []
    for file, draw in question.draws.items():
        draw(results, new / file)
        if not (new / file).exists():  # too few variants have rows
            continue
        pictures += ["", f"![{question.asks}]({file})"]
    predicted = ["", f"Predicted before it ran: {question.predicts}"] * bool(question.predicts)
    tables = [line for table in question.tables for line in ("", *table(results))]
    return [f"## {name}: {question.asks}", *predicted, *pictures, *tables, "", *key_numbers(results), "",
            *score_table(results), ""]


def write_report(folder):
    """Write report.md and the figures of each question with a CSV in `folder`, in place of the last.

    Raises `UserError` for a foreign CSV, or a file that cannot be written.
    """
    folder = Path(folder)
    lines = ["# The study", "", INTRODUCTION, ""]
    with writing(folder), FileLock(folder / LOCK, timeout=PATIENCE), in_place_of(folder) as new:
        for name in QUESTIONS:
            if (folder / f"{name}.csv").exists():
                lines += section(name, folder, new)
        write_bytes(new / "report.md", ("\n".join(lines) + "\n").encode())
