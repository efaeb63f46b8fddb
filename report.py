"""The report of a study: for each question its figure, a table of means with intervals, and what the numbers say."""

from pathlib import Path

import numpy as np

import answers
from questions import QUESTIONS
from results import ENOUGH, NULLS, Results, bracket, read_rows, with_deviation, with_interval
from settings import training_flags

INTRODUCTION = """\
Written by `python study.py`. n counts training seeds; ± is the standard deviation over seeds, brackets are 95%
intervals of the mean (Student's t, from ten seeds on); differences are paired by seed. The command of a variant, with a
seed for N, repeats a row of its CSV; the last digits depend on the machine and on the number of threads, 2 in all rows
(set TF_NUM_INTRAOP_THREADS=2 where there are more or fewer cores)."""


def table(results):
    """Markdown: a line for each variant that has rows, and one for each null on the same images.

    Means, standard deviations and 95% intervals over seeds; 'against' is the paired difference to the reference of the
    same fill. The seconds are the median of the training, with its scoring, while several runs share the machine.
    """
    question = results.question
    more, title = question.shown, f"against {question.reference}" if question.reference else ""
    lines = [f"| | n | train IoU | IoU on unseen images | {title} | worst seed | worst image |"
             f"{''.join(f' {title} |' for title in more)} seconds | command |", f"|{'---|' * (9 + len(more))}"]
    for fill, variants in results.fills.items():
        reference = f"{question.reference}, {fill}"
        for variant in variants:
            lowest = [f"{results.values(variant, name).min():.3f}" for name in ("val_iou_mean", "val_iou_min")]
            against = "" if variant == reference or reference not in variants else with_interval(
                results.differences(variant, reference), "+.4f")
            command = " ".join(["python train.py --seed N", *training_flags(question.settings(variant))])
            train, unseen = (results.values(variant, name) for name in ("train_iou", "val_iou_mean"))
            cells = [variant, results.n(variant), with_deviation(train), f"{with_deviation(unseen)} {bracket(unseen)}",
                     against, *lowest, *(cell(results, variant, column) for column in more.values()),
                     f"{np.median(results.values(variant, 'train_seconds')):.0f}", f"`{command}`"]
            lines.append(f"| {' | '.join(map(str, cells))} |")
        # the images of a seed are the same for all variants, the sample that two of the nulls learn from may not be
        rows = results.rows[reference if reference in variants else variants[0]].values()
        for null, title in NULLS.items():
            nulls = [row for row in rows if row.get(f"{null}_iou_mean")]  # older rows do not hold every null
            if nulls:
                means, worst = (np.array([float(row[f"{null}_iou_{which}"]) for row in nulls])
                                for which in ("mean", "min"))
                lines.append(f"| {title}, {fill} | {len(nulls)} | | {with_deviation(means)} {bracket(means)} | "
                             f"| {min(means):.3f} | {min(worst):.3f} |{' |' * len(more)} | no network |")
    return lines


def cell(results, variant, column):
    """A column that the question asks for, as text."""
    if column.startswith("steps_to_train_iou_"):
        return results.reached(variant, column.rpartition("_")[2])
    if column == "parameters":
        return f"{results.values(variant, column)[0]:,.0f}"
    return results.mean(variant, column)


def measured(results):
    """Markdown: what the question measured beyond the scores of every run, a line each, where that is few."""
    columns = [name for name in results.columns if name.startswith(("iou on", "iou cut", "share", "gradient"))]
    if not columns:
        return []
    return ["", f"| | {' | '.join(results.variants)} |", f"|{'---|' * (1 + len(results.variants))}",
            *(f"| {name} | {' | '.join(results.mean(variant, name) for variant in results.variants)} |"
              for name in columns)]


def section(name, folder):
    """The lines of one question, with its figures drawn; none if it has no rows."""
    import study_plots

    question, rows = QUESTIONS[name], read_rows(folder / f"{name}.csv")
    results = Results(question, rows)
    if not results.variants:
        return []
    pictures = []
    for figure in question.figures:
        file = f"{name}.png" if figure == question.figures[0] else f"{name}_{figure}.png"
        getattr(study_plots, figure)(question, results, folder / file)
        pictures += ["", f"![{question.text}]({file})"]
    answer = getattr(answers, name, None)
    if answer and not results.complete():
        said = [f"No answer yet: it takes {ENOUGH} seeds of every variant."]
    else:
        said = answer(results) if answer else []
    return [f"## {name}: {question.text}", *pictures, "", " ".join(said), "", *table(results), *measured(results), ""]


def write(folder):
    """Write report.md and the figures of every question that has a CSV in `folder`."""
    folder = Path(folder)
    lines = ["# The study", "", INTRODUCTION, ""]
    for name in QUESTIONS:
        if (folder / f"{name}.csv").exists():
            lines += section(name, folder)
    (folder / "report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
