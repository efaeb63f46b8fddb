"""Why does it not memorise? Many runs of the experiment, a question each, that differ in one setting.

`python -m study` lists the questions; name some of them, or `all`, to run them. Every finished run is a row of
output/study/QUESTION.csv; started again, a question goes on where it was interrupted. `python -m study real --folder
SET` asks how well one labelled real image segments others, beside what people use today.
"""

import dataclasses
import sys
from pathlib import Path

from common.checks import check_values
from common.command_line import fields_of, parse
from common.errors import UserError, run_script
from common.files import check_folder, commit
from common.screen import Screen
from common.settings import Settings, setting, training_flags
from study import real, report
from study.processes import BACKENDS
from study.questions import QUESTIONS
from study.results import SCORES, add_row, identity, known_by, read_rows


@dataclasses.dataclass(frozen=True)
class Options:
    """What only the study needs; each is a flag of it."""

    seeds: int = setting(
        0, "study", "training seeds of every variant; 0 is as many as the question has", metavar="N", least=0)
    only: str = setting("all", "study", "run only the variant of that name, or all that contain TEXT", metavar="TEXT")
    processes: int = setting(2, "study", "runs at the same time, on this machine", metavar="N", least=1)
    backend: str = setting(
        "loky", "study", "where they run: in processes on this machine, or on a Ray cluster", choices=tuple(BACKENDS))
    address: str = setting(
        "local", "study", "of the head of the Ray cluster; 'local' starts one here", metavar="HOST:PORT")

    folder: tuple[str, ...] = setting(
        (), "study", "for 'real', which takes hours and needs scikit-image and scikit-learn: folders of X_1.png, "
        "Y_1.png, X_2.png, ...", metavar="SET")
    flags: str | None = setting(None, "study", "flags of train.py for 'real', in quotes", metavar="FLAGS")

    def __post_init__(self):
        check_values(self)


def planned(question, wanted):
    """The runs of a question, {settings: variant}, all variants of a seed before the next seed.

    Raises `UserError` if there is no variant like `wanted.only`.
    """
    names = [name for name in question.varies if wanted.only in name or wanted.only == "all"]
    names = [name for name in names if wanted.only in (name, question.short(name))] or names
    if not names:
        raise UserError(f"--only {wanted.only} is part of no variant; choose from: {'; '.join(question.varies)}")
    seeds = {name: wanted.seeds or question.seeds_of(name) for name in names}
    return {Settings(**{**question.varies[name], "seed": question.first_seed + number}): name
            for number in range(max(seeds.values())) for name in names if number < seeds[name]}


def taken_over(question, path):
    """{what a row is known by: columns} of the runs of other questions beside `path` that measure what this one does.

    A question without measures takes the scores of any.
    """
    rows = {}
    for name, other in QUESTIONS.items():
        beside = path.with_name(f"{name}.csv")
        if beside != path and set(question.measures) in (set(), set(other.measures)):
            rows |= {known_by(row): row if question.measures else {name: row[name] for name in SCORES}
                     for row in read_rows(beside) if row.keys() >= set(SCORES)}  # older rows do not hold every score
    return rows


def run_question(question, runs, path, wanted):
    """Do those of `runs`, {settings: variant}, that the CSV at `path` does not hold yet; returns how many failed."""
    finished, others = {known_by(row) for row in read_rows(path)}, taken_over(question, path)
    missing = []
    for settings, variant in runs.items():
        key = known_by(identity(settings))
        if key in others and key not in finished:
            add_row({**identity(settings), **others[key], "variant": variant}, path)
        elif key not in finished:
            missing.append(settings)
    failed, code = 0, commit()
    with Screen(path.stem, len(runs), len(runs) - len(missing)) as screen:
        for settings, row, error in BACKENDS[wanted.backend](missing, question.measures, wanted):
            screen.show(screen.done + 1)
            what = f"{path.stem} {screen.done}/{len(runs)}  {runs[settings]}, seed {settings.seed}"
            if error:
                failed += 1
                screen.line(f"{what} failed: {error}; repeat it with: python train.py "
                            f"{' '.join(training_flags(settings))}", sys.stderr)
            else:
                add_row({"variant": runs[settings], **row, "commit": code}, path)
                screen.line(f"{what}: IoU train {row['train_iou']:.3f} val {row['val_iou_mean']:.3f}")
    return failed


def main():
    given = parse(__doc__, [*fields_of("output"), *dataclasses.fields(Options)],
                  words=("question", f"{', '.join(QUESTIONS)}, all, or real"))
    words, folder = given.pop("question"), Path(given.pop("output", Settings.output), "study")
    wanted = Options(**given)
    for word in words:
        if word not in ("all", "real", *QUESTIONS):
            raise UserError(f"{word} is no question; choose from: {', '.join(QUESTIONS)}, all, real")
    if ("real" in words or wanted.folder) and not (words == ("real",) and wanted.folder):
        raise UserError("real stands alone and needs --folder; run python -m study real --folder SET")
    if not words:
        print("\n".join(f"{name:12}{question.asks}" for name, question in QUESTIONS.items()))
        print(f"{'real':12}How well does it segment real images, one of them labelled? It needs --folder.")
        return
    check_folder(folder, "--output")
    if wanted.folder:
        rows = real.run(wanted.folder, folder / "real.csv", wanted)
        print("\n".join([*real.table(rows), "", *real.telling(rows)]))
        return
    names = dict.fromkeys(name for word in words for name in (QUESTIONS if word == "all" else [word]))
    plans = {name: planned(QUESTIONS[name], wanted) for name in names}  # a mistake must not be found after hours
    failed = 0
    try:
        for name, runs in plans.items():
            failed += run_question(QUESTIONS[name], runs, folder / f"{name}.csv", wanted)
    finally:  # an interrupted study leaves its report too
        if folder.exists():  # not if nothing has ever run
            report.write_report(folder)
    if folder.exists():
        print(f"look at {folder / 'report.md'}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    run_script(main)
