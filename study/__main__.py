"""Why does it not memorise? Many runs of the experiment that differ in one setting.

`python -m study` lists the questions; name some of them, or `all`, to run them. Every finished run
is a row of output/study/QUESTION.csv; started again, a question goes on where it was interrupted.
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
from study import report
from study.processes import BACKENDS
from study.questions import QUESTIONS
from study.results import SCORES, add_row, identity, key_of, read_rows


@dataclasses.dataclass(frozen=True)
class Options:
    """What only the study needs; each is a flag of it."""

    seeds: int = setting(0, "study", "seeds of every variant; 0 is as many as its question has",
                         metavar="N", least=0)
    only: str = setting("all", "study", "only the variant of that name, or all that contain TEXT",
                        metavar="TEXT")
    processes: int = setting(2, "study", "runs at the same time, on this machine",
                             metavar="N", least=1)
    backend: str = setting("loky", "study", "in processes on this machine, or on a Ray cluster",
                           choices=tuple(BACKENDS))
    address: str = setting("local", "study", "head of the Ray cluster; 'local' starts one here",
                           metavar="HOST:PORT")

    def __post_init__(self):
        check_values(self)


def planned(question, options):
    """The runs of a question, {settings: variant}, all variants of a seed before the next seed.

    Raises `UserError` if there is no variant like `options.only`.
    """
    only = options.only
    names = [name for name in question.varies if only == "all" or only in name]
    if not names:
        raise UserError(f"--only {only} is part of no variant; choose from: "
                        f"{'; '.join(question.varies)}")
    whole = [name for name in names if only in (name, question.short(name))]
    seeds = {name: options.seeds or question.seeds_of(name) for name in whole or names}
    runs = {}
    for number in range(max(seeds.values())):
        for name, count in seeds.items():
            if number < count:
                seed = question.first_seed + number
                runs[Settings(**{**question.varies[name], "seed": seed})] = name
    return runs


def rows_beside(question, path):
    """{key: columns} of runs of other questions beside `path` that measure what this one does.

    A question without instruments takes the scores of any.
    """
    rows = {}
    for name, other in QUESTIONS.items():
        plain = question.instruments == ((), ())
        if path.stem == name or not (plain or question.instruments == other.instruments):
            continue
        for row in read_rows(path.with_name(f"{name}.csv")):
            if row.keys() >= set(SCORES):  # older rows do not hold every score
                scores = {column: row[column] for column in SCORES}
                rows[key_of(row)] = scores if plain else row
    return rows


def run_question(question, runs, path, options):
    """Do the runs, {settings: variant}, that the CSV at `path` does not hold yet.

    Returns how many failed.
    """
    finished = set(map(key_of, read_rows(path)))
    others = rows_beside(question, path)
    missing = []
    for settings, variant in runs.items():
        row = identity(settings)
        key = key_of(row)
        if key in finished:
            continue
        if key in others:
            add_row({**row, **others[key], "variant": variant}, path)
        else:
            missing.append(settings)
    if missing:
        import common.backend  # noqa: F401 - one that cannot start says so here, and once
    failed = 0
    code, run_all = commit(), BACKENDS[options.backend]
    with Screen(path.stem, len(runs), len(runs) - len(missing)) as screen:
        for settings, row, error in run_all(missing, question.instruments, options):
            screen.show(screen.done + 1)
            done = f"{path.stem} {screen.done}/{len(runs)}"
            run = f"{done}  {runs[settings]}, seed {settings.seed}"
            if error:
                failed += 1
                command = " ".join(["python train.py", *training_flags(settings)])
                screen.line(f"{run} failed: {error}; repeat it with: {command}", sys.stderr)
            else:
                add_row({"variant": runs[settings], **row, "commit": code}, path)
                train, unseen = row["train_iou"], row["val_iou_mean"]
                screen.line(f"{run}: IoU train {train:.3f} val {unseen:.3f}")
    return failed


def main():
    fields = [*fields_of("output"), *dataclasses.fields(Options)]
    words = ("question", "[QUESTION ...]", f"{', '.join(QUESTIONS)}, or all")
    given = parse(__doc__, fields, words=words)
    words = given.pop("question")
    folder = Path(given.pop("output", Settings.output), "study")
    options = Options(**given)
    for word in words:
        if word not in ("all", *QUESTIONS):
            raise UserError(f"{word} is no question; choose from: {', '.join(QUESTIONS)}, all")
    if not words:
        for name, question in QUESTIONS.items():
            print(f"{name:12}{question.asks}")
        print("python -m study QUESTION runs one, in minutes to hours, into output/study; started "
              "again, it goes on; --help lists the flags")
        return
    check_folder(folder, "--output")
    names = QUESTIONS if "all" in words else dict.fromkeys(words)
    # All are planned before the first runs: a mistake must not be found after hours.
    plans = {name: planned(QUESTIONS[name], options) for name in names}
    failed = 0
    try:
        for name, runs in plans.items():
            failed += run_question(QUESTIONS[name], runs, folder / f"{name}.csv", options)
    finally:  # an interrupted study leaves its report too
        if folder.exists():  # not if nothing has ever run
            report.write_report(folder)
    if folder.exists():
        print(f"look at {folder / 'report.md'}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    run_script(main)
