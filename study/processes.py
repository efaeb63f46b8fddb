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
from common import metrics
from common.errors import UserError
from study.nulls import nulls
from study.results import REACHED, SCORES, identity

# The last digits of a run depend on its number of threads, so it is the same everywhere. On two
# cores two runs of one thread get through more steps than two of two.
THREADS = 1
ENVIRONMENT = {"TF_NUM_INTRAOP_THREADS": str(THREADS), "OMP_NUM_THREADS": str(THREADS)}


def forget_networks():
    """Free the memory of the last run's network, which refers to itself and would stay."""
    from common.backend import keras

    keras.backend.clear_session()
    gc.collect()


def score(settings, measures=(), followers=()):
    """Train with these settings, as train.py does: a row of the CSV.

    measures: functions of the finished `train.Run` and its settings, which add columns; followers:
    classes as `Question` says.
    """
    forget_networks()
    started = time.perf_counter()
    following = [follower(settings) for follower in followers]
    run = train.train(settings, followers=following)
    X, Y = run.validation
    last = run.history[-1]
    row = {"parameters": run.network.count_params(), "train_loss": last["loss"]}
    row |= {name: last[name] for name in SCORES if name in last}
    for goal in REACHED:
        reached = (point["step"] for point in run.history if point["train_iou"] >= goal)
        row[f"steps_to_train_iou_{goal}"] = next(reached, "")
    for null, predictions in nulls(X, *run.train).items():
        iou = metrics.iou(Y, predictions)
        row[f"{null}_iou_mean"] = iou.mean()
        row[f"{null}_iou_min"] = iou.min()
    for measure in measures:
        row |= measure(run, settings)
    for follower in following:
        row |= follower.columns()
    row["train_seconds"] = last["seconds"]
    row["run_seconds"] = round(time.perf_counter() - started, 2)
    return {**identity(settings), **row, "threads": THREADS}


def attempt(settings, instruments):
    """Settings, the row that `score` gives and None; or None and the error as text."""
    try:
        return settings, score(settings, *instruments), None
    except Exception as error:  # it must not stop the others
        return settings, None, f"{type(error).__name__}: {error}"


def end_with(process):
    """End this process when another does: it would wait for a study that was killed."""
    def wait():
        while os.getppid() == process and psutil.pid_exists(process):  # Windows needs the second
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def in_processes(number, calls):
    """Yield the results of calls as they come from so many processes, each with one thread.

    calls: tuples of a function and its arguments. The processes are those of joblib, which replaces
    one whose memory has grown: each run leaves some 100 MB behind in TensorFlow. (joblib itself
    would run in this process where one is wanted.)
    """
    from joblib.externals.loky import get_reusable_executor

    os.environ.update(ENVIRONMENT)  # before TensorFlow starts in the processes, which inherit it
    warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)
    executor = get_reusable_executor(number, kill_workers=True, initializer=end_with,
                                     initargs=(os.getpid(),))
    try:
        for done in as_completed([executor.submit(*call) for call in calls]):
            yield done.result()
    except BaseException:  # Ctrl-C too: nobody waits for what still runs
        executor.shutdown(kill_workers=True)
        raise


def on_this_machine(runs, instruments, options):
    """Yield what `attempt` gives for each of a list of settings, as they come from processes."""
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    waiting = dict.fromkeys(runs)
    # A process that is killed takes those beside it with it. What is left then runs one at a time,
    # which needs less memory too.
    for batch in (runs, *([settings] for settings in runs)):
        calls = [(attempt, settings, instruments) for settings in batch if settings in waiting]
        if not calls:
            continue
        with contextlib.suppress(TerminatedWorkerError):
            for result in in_processes(options.processes, calls):
                del waiting[result[0]]
                yield result
    for settings in waiting:
        yield settings, None, "its process was killed, as it is where memory is short"


def on_ray(runs, instruments, options):
    """Yield what `attempt` gives for each of a list of settings, from the Ray cluster.

    One runs on each core; the runs of a lost node start anew. (joblib's own Ray backend returns
    nothing before the last run has ended, and does not outlive a node.) Raises `UserError` if Ray
    is not installed, or the cluster at `options.address` does not answer.
    """
    if not runs:  # a report needs no cluster
        return
    try:
        import ray
    except ImportError:
        raise UserError("--backend ray needs Ray; run pip install ray") from None
    if options.address != "local":
        check_address(options.address)
    environment = {"working_dir": str(Path(__file__).parent.parent), "env_vars": ENVIRONMENT,
                   "excludes": ["/venv", "/output", "/vis", "/docs", ".git"]}
    ray.init(options.address, log_to_driver=False, logging_level="error", runtime_env=environment)
    try:
        remote = ray.remote(num_cpus=1, max_retries=3)(attempt)
        waiting = {remote.remote(settings, instruments): settings for settings in runs}
        while waiting:
            (done,), _ = ray.wait(list(waiting))
            settings = waiting.pop(done)
            try:
                yield ray.get(done)
            except ray.exceptions.RayError as error:
                yield settings, None, f"{type(error).__name__}: {str(error).splitlines()[0]}"
    finally:
        ray.shutdown()


def check_address(address):
    """Raise `UserError` unless something answers at 'HOST:PORT'; Ray would wait for minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise UserError(f"--address {address} does not answer ({error}); give host and port of a "
                        "machine where ray start --head has run") from None


BACKENDS = {"loky": on_this_machine, "ray": on_ray}
