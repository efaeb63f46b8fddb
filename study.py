"""Why does it not memorise? Many runs of the experiment, a question each, that differ in one setting.

`python study.py` lists the questions; name some of them, or `all`, to run them. Every finished run is a row of
output/study/QUESTION.csv; started again, a question goes on where it was interrupted.
"""

import contextlib
import gc
import os
import socket
import sys
import time
import warnings
from pathlib import Path

import baselines
import measures
import metrics
import report
import train
from questions import QUESTIONS, STUDY
from results import REACHED, SCORES, add_row, identity, known_by, read_rows
from command_line import check_folder, parse, run_script
from settings import Settings, UserError, training_flags

# The last digits of a run depend on its number of threads, so it is the same everywhere. Two runs of two threads on two
# cores take as long as two of one, or as one after the other with two, and overlap what is not a step.
THREADS = 2
ENVIRONMENT = {"TF_NUM_INTRAOP_THREADS": str(THREADS), "OMP_NUM_THREADS": str(THREADS)}


def score(settings, measure=measures.nothing):
    """Train with these settings, in the same way as train.py: the row of the CSV, all settings and what came out.

    measure: a function of measures.py, which adds columns.
    """
    import model as network

    # the network of the last run, which refers to itself, would stay in memory until Python sees a need to look
    network.keras.backend.clear_session()
    gc.collect()
    started = time.perf_counter()
    run = train.train(settings)
    X, Y = run.validation
    last = run.history[-1]
    row = {"parameters": run.model.count_params(), "train_loss": last["loss"]}
    row |= {name: last[name] for name in ("train_iou", "val_iou_mean", "val_iou_min", "val_dice_mean", "memorisation")}
    for goal in REACHED:
        row[f"steps_to_train_iou_{goal}"] = next(
            (point["step"] for point in run.history if point["train_iou"] >= goal), "")
    for null, predictions in baselines.nulls(X, *run.train).items():
        of = metrics.iou(Y, predictions)
        row |= {f"{null}_iou_mean": of.mean(), f"{null}_iou_min": of.min()}
    row |= measure(run, settings)
    taken = time.perf_counter() - started
    return {**identity(settings), **row, "train_seconds": last["seconds"], "seconds": round(taken, 2)}


def attempt(settings, measure):
    """`score`, or the error as text: a run that fails must not stop the others."""
    try:
        return settings, score(settings, measure), None
    except Exception as error:  # whatever it is, it is reported with the command that repeats it
        return settings, None, f"{type(error).__name__}: {error}"


def planned(question, wanted):
    """The runs of a question, {settings: variant}, all variants of a seed before the next seed.

    Raises `UserError` if there is no variant like `wanted.only`.
    """
    names = [name for name in question.variants if wanted.only in name or wanted.only == "all"]
    names = [wanted.only] if wanted.only in names else names
    if not names:
        raise UserError(f"--only {wanted.only} is part of no variant; choose from: {'; '.join(question.variants)}")
    seeds = range(wanted.first_seed, wanted.first_seed + wanted.seeds)
    return {Settings(seed=seed, **question.variants[name]): name for seed in seeds for name in names}


def taken_over(question, path):
    """{what a row is known by: columns} of the runs of other questions beside `path` that measure all this one does."""
    rows = {}
    for name in QUESTIONS:
        other, same = path.with_name(f"{name}.csv"), QUESTIONS[name].measure is question.measure
        if other != path and (same or question.measure is measures.nothing):
            rows |= {known_by(row): row if same else {name: row[name] for name in SCORES}
                     for row in read_rows(other) if row.keys() >= set(SCORES)}  # older rows do not hold every score
    return rows


def run(question, runs, path, wanted, screen):
    """Do those of `runs`, {settings: variant}, that `path` does not hold yet; returns how many failed."""
    finished, others = {known_by(row) for row in read_rows(path)}, taken_over(question, path)
    missing = []
    for settings, variant in runs.items():
        key = tuple(identity(settings).values())
        if key in others and key not in finished:
            add_row({**identity(settings), **others[key], "variant": variant}, path)
        elif key not in finished:
            missing.append(settings)
    failed = 0
    screen.begin(path.stem, len(runs), len(missing))
    for settings, row, error in BACKENDS[wanted.backend](missing, question.measure, wanted):
        what = f"{runs[settings]}, seed {settings.seed}"
        if error:
            failed += 1
            screen.ended(f"{what} failed: {error}; repeat it with: python train.py "
                         f"{' '.join(training_flags(settings))}", sys.stderr)
        else:
            add_row({"variant": runs[settings], **row}, path)
            screen.ended(f"{what}: IoU train {row['train_iou']:.3f} val {row['val_iou_mean']:.3f}")
    return failed


def on_this_machine(runs, measure, wanted):
    """Yield the results of `attempt` for a list of settings as they come, from processes on this machine."""
    import joblib
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    os.environ.update(ENVIRONMENT)  # before TensorFlow starts in the processes, which inherit it
    # each run leaves some 100 MB behind in TensorFlow; joblib replaces a process that has grown, and would warn of it
    warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)
    parallel = joblib.Parallel(n_jobs=wanted.processes, return_as="generator_unordered")
    waiting = dict.fromkeys(runs)
    # a process that is killed takes those beside it with it: then one at a time, which needs less memory too
    for batch in ([*runs], *([settings] for settings in runs)):
        with contextlib.suppress(TerminatedWorkerError):
            missing = (settings for settings in batch if settings in waiting)
            for result in parallel(joblib.delayed(attempt)(settings, measure) for settings in missing):
                del waiting[result[0]]
                yield result
    for settings in waiting:
        yield settings, None, "its process was killed, as it is where memory is short"


def on_ray(runs, measure, wanted):
    """The same from a Ray cluster, one for each of its cores; the runs of a node that is lost start anew.

    Not by joblib's own Ray backend: that returns nothing before the last run has ended, and does not outlive a node.
    """
    if not runs:  # a report needs no cluster
        return
    try:
        import ray
    except ImportError:
        raise UserError("--backend ray needs Ray, which is not installed; run pip install ray") from None
    if wanted.address != "local":  # Ray itself would wait for minutes
        host, _, port = wanted.address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except (OSError, ValueError) as error:
            raise UserError(f"--address {wanted.address} does not answer ({error}); "
                            "give host and port of a machine where ray start --head has run") from None
    ray.init(wanted.address, log_to_driver=False, logging_level="error", runtime_env={
        "working_dir": str(Path(__file__).parent), "excludes": ["/venv", "/output", "/vis"], "env_vars": ENVIRONMENT})
    try:
        remote = ray.remote(num_cpus=1, max_retries=3)(attempt)
        waiting = {remote.remote(settings, measure): settings for settings in runs}
        while waiting:
            (done,), _ = ray.wait(list(waiting))
            settings = waiting.pop(done)
            try:
                yield ray.get(done)
            except ray.exceptions.RayError as error:
                yield settings, None, f"{type(error).__name__}: {str(error).splitlines()[0]}"
    finally:
        ray.shutdown()


BACKENDS = {"loky": on_this_machine, "ray": on_ray}


class Screen:
    """What one sees of the runs: a bar with the time left in a terminal, and a line for each run that ends."""

    def __init__(self):
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self.terminal = sys.stdout.isatty()
        self.bar = Progress(TextColumn("{task.description} {task.completed}/{task.total}"), BarColumn(24),
                            TimeElapsedColumn(), TextColumn("elapsed,"), TimeRemainingColumn(), TextColumn("left"),
                            disable=not self.terminal, speed_estimate_period=24 * 3600)

    def __enter__(self):
        self.bar.start()
        return self

    def __exit__(self, *_):
        self.bar.stop()

    def begin(self, name, runs, missing):
        """Show a question of so many runs, of which some are missing."""
        self.name, self.runs, self.done = name, runs, runs - missing
        self.task = self.bar.add_task(name, total=runs, completed=self.done)

    def ended(self, line, stream=None):
        """Count a run that ended, well or not, and say so."""
        self.done += 1
        line = f"{self.name} {self.done}/{self.runs}  {line}"
        self.bar.advance(self.task)
        if self.terminal:
            self.bar.console.print(line, highlight=False, markup=False, soft_wrap=True)
        else:
            print(line, file=stream or sys.stdout, flush=True)


def main():
    given = parse(__doc__, ("output", "study"), words=("question", f"{', '.join(QUESTIONS)}, or all"))
    words = given.pop("question")
    for word in words:
        if word != "all" and word not in QUESTIONS:
            raise UserError(f"{word} is no question; choose from: {', '.join(QUESTIONS)}, all")
    if not words:
        print("\n".join(f"{name:12}{question.text}" for name, question in QUESTIONS.items()))
        return
    folder = Path(Settings(**given).output, "study")
    check_folder(folder, "--output")
    plans = {}  # all of them first: a mistake must not be found after hours
    for name in dict.fromkeys(name for word in words for name in (STUDY if word == "all" else [word])):
        question = QUESTIONS[name]
        wanted = Settings(**{"first_seed": question.first_seed, "seeds": question.seeds, **given})
        plans[name] = wanted, planned(question, wanted)
    failed = 0
    for name, (wanted, runs) in plans.items():
        try:
            with Screen() as screen:
                failed += run(QUESTIONS[name], runs, folder / f"{name}.csv", wanted, screen)
        finally:
            if folder.exists():  # not if nothing has ever run
                report.write(folder)
    if folder.exists():
        print(f"look at {folder / 'report.md'}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    run_script(main)
