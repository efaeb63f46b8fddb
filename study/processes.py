"""One run of the study, and where runs run: in processes on this machine, or on a Ray cluster."""

import contextlib
import gc
import os
import socket
import threading
import time
import warnings
from concurrent.futures import as_completed
from pathlib import Path

import psutil

import train
from common import baselines, metrics
from common.errors import UserError
from study.results import REACHED, identity

# The last digits of a run depend on its number of threads, so it is the same everywhere. Two runs of one thread on two
# cores get through more steps than two of two: a tenth more at half the width, a quarter more at a quarter.
THREADS = 1
ENVIRONMENT = {"TF_NUM_INTRAOP_THREADS": str(THREADS), "OMP_NUM_THREADS": str(THREADS)}


def forget_networks():
    """Free the memory of the last run's network, which refers to itself and would stay until Python sees a need."""
    from common.backend import keras

    keras.backend.clear_session()
    gc.collect()


def score(settings, measures=()):
    """Train with these settings, in the same way as train.py: the row of the CSV, all settings and what came out.

    measures: functions of the finished `train.Run` and its settings, which add columns.
    """
    forget_networks()
    started = time.perf_counter()
    run = train.train(settings)
    X, Y = run.validation
    last = run.history[-1]
    row = {"parameters": run.network.count_params(), "train_loss": last["loss"]}
    row |= {name: last[name]
            for name in ("train_iou", "val_iou_mean", "val_iou_min", "val_dice_mean", "training_mask_overlap")}
    for goal in REACHED:
        row[f"steps_to_train_iou_{goal}"] = next(
            (point["step"] for point in run.history if point["train_iou"] >= goal), "")
    for null, predictions in baselines.nulls(X, *run.train).items():
        of = metrics.iou(Y, predictions)
        row |= {f"{null}_iou_mean": of.mean(), f"{null}_iou_min": of.min()}
    for measure in measures:
        row |= measure(run, settings)
    taken = time.perf_counter() - started
    return {**identity(settings), **row, "train_seconds": last["seconds"], "run_seconds": round(taken, 2),
            "threads": THREADS}


def attempt(settings, measures):
    """`score`, or the error as text: a run that fails must not stop the others."""
    try:
        return settings, score(settings, measures), None
    except Exception as error:  # whatever it is, it is reported with the command that repeats it
        return settings, None, f"{type(error).__name__}: {error}"


def end_with(process):
    """End this process when another does: it would wait for a study that was killed."""
    def wait():
        while os.getppid() == process and psutil.pid_exists(process):  # Windows alone never changes the first
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def in_processes(number, calls):
    """Yield the results of calls, tuples of a function and its arguments, as they come from so many processes.

    Each has one thread. They are those of joblib, which replaces a process whose memory has grown: each run leaves some
    100 MB behind in TensorFlow. By itself it would run in this process where one is wanted.
    """
    from joblib.externals.loky import get_reusable_executor

    os.environ.update(ENVIRONMENT)  # before TensorFlow starts in the processes, which inherit it
    warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)  # it has grown
    executor = get_reusable_executor(number, kill_workers=True, initializer=end_with, initargs=(os.getpid(),))
    try:
        for done in as_completed([executor.submit(*call) for call in calls]):
            yield done.result()
    except BaseException:  # Ctrl-C too: nobody waits for what still runs
        executor.shutdown(kill_workers=True)
        raise


def on_this_machine(runs, measures, wanted):
    """Yield the results of `attempt` for a list of settings as they come, from `wanted.processes` on this machine."""
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    waiting = dict.fromkeys(runs)
    # a process that is killed takes those beside it with it: then one at a time, which needs less memory too
    for batch in ([*runs], *([settings] for settings in runs)):
        with contextlib.suppress(TerminatedWorkerError):
            for result in in_processes(wanted.processes, [
                    (attempt, settings, measures) for settings in batch if settings in waiting]):
                del waiting[result[0]]
                yield result
    for settings in waiting:
        yield settings, None, "its process was killed, as it is where memory is short"


def on_ray(runs, measures, wanted):
    """The same from the Ray cluster at `wanted.address`, one for each core; the runs of a lost node start anew.

    Not by joblib's own Ray backend: that returns nothing before the last run has ended, and does not outlive a node.
    Raises `UserError` if Ray is not installed, or the cluster does not answer.
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
        "working_dir": str(Path(__file__).parent.parent), "excludes": ["/venv", "/output", "/vis", "/docs", ".git"],
        "env_vars": ENVIRONMENT})
    try:
        remote = ray.remote(num_cpus=1, max_retries=3)(attempt)
        waiting = {remote.remote(settings, measures): settings for settings in runs}
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
