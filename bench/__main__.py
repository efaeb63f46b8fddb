"""How fast, and beside what: one run, one table, also as output/bench.csv.

Everything is measured several times in turn, each time in a process of its own: what else the
machine does meanwhile falls on all rows alike. Flags of train.py change what is measured; words
choose a part of it:
"""

import contextlib
import dataclasses
import os
import signal
import statistics
import threading
import time
from pathlib import Path

import psutil

from bench import gpu, growth, measurements, peers
from bench.measurements import Options
from common.command_line import fields_of, parse
from common.errors import UserError, run_script
from common.files import check_folder, write_table
from common.settings import Settings

QUICK = dict(repeats=1, cap=100)
GROUPS = {
    "step": measurements.step_and_prediction,
    "large": measurements.large_image,
    "own": measurements.own_images,
    "data": measurements.synthesis,
    "scripts": measurements.scripts,
    "race": measurements.races,
    "peers": peers.peers,
    "growth": growth.growth,
    **gpu.GROUPS,
}
# Without names all are measured but those of gpu.
USUAL = tuple(name for name in GROUPS if name not in gpu.GROUPS)
# How long a round of each takes, roughly, on the machine of docs/speed.md; of a race each step too.
SECONDS = {"step": 10, "large": 30, "own": 110, "data": 5, "scripts": 30, "race": 45, "growth": 90}
SECONDS |= dict.fromkeys(gpu.GROUPS, gpu.LONGEST / len(gpu.GROUPS))
SECONDS_OF_A_RACE_STEP = 0.4


def command_line():
    """What was typed: `Settings`, `Options`, and the names of the groups, if any.

    Raises `UserError` for what cannot be measured.
    """
    described = [f"  {name:10}{GROUPS[name].__doc__.splitlines()[0]}" for name in USUAL]
    described.append(f"  {'gpu':10}{gpu.__doc__.splitlines()[0]}")
    fields = fields_of("data", "samples", "training", "output")
    given = parse(
        "\n".join([__doc__, *described]), [*fields, *dataclasses.fields(Options)],
        recipes=Settings.recipes,
        words=("group", "[GROUP ...]", f"{', '.join(USUAL)}, or gpu; all but gpu if none is named"))
    named = given.pop("group")
    options = dict(QUICK) if given.get("quick") or "gpu" in named else {}
    for field in dataclasses.fields(Options):
        if field.name in given:
            options[field.name] = given.pop(field.name)
    settings, options = Settings(**given), Options(**options)
    for name in named:
        if name not in (*USUAL, "gpu"):
            raise UserError(f"{name} cannot be measured; name {', '.join(USUAL)}, or gpu")
    if settings.steps == 1:
        raise UserError("--steps 1 is only the one that is traced; give at least 2")
    if settings.network == "dense":
        raise UserError("--network dense takes images of one size only; choose another")
    check_folder(settings.output, "--output")
    if not Path(options.against, "train.py").is_file():
        raise UserError(f"--against {options.against} holds no train.py; name the folder of "
                        "another checkout")
    return settings, options, named


def measure(settings, options, groups):
    """The groups in turn, as often as the options say.

    After each group {(row, unit): values} so far, and which of the rows are those of the group.
    """
    rows, started = {}, time.monotonic()
    for repeat in range(options.repeats):
        settings = dataclasses.replace(settings, seed=repeat)
        for name in groups:
            if name in gpu.GROUPS and time.monotonic() - started > gpu.LONGEST:
                print(f"{name} is left out, for time is short", flush=True)
                continue
            print(f"repeat {repeat + 1} of {options.repeats}: {name}", flush=True)
            measured = measurements.isolated(GROUPS[name], settings, options)
            for row, value in measured.items():
                rows.setdefault(row, []).append(value)
            yield rows, list(measured)


def summarise(rows, device, devices):
    """The rows of the table, as dicts: median, least, most and number of the values of each.

    devices: of the rows that begin with the name of a backend, others are of `device`.
    """
    summary = []
    for (name, unit), values in rows.items():
        row = {"row": name, "unit": unit, "median": f"{statistics.median(values):.6g}"}
        row |= {"least": f"{min(values):.6g}", "most": f"{max(values):.6g}"}
        where = devices.get(name.partition(",")[0], device)
        summary.append({**row, "n": len(values), "device": where})
    return summary


def rough_minutes(options, groups):
    """About how long the groups take in all, minutes."""
    seconds = sum(SECONDS.get(name, 60) for name in groups)
    if "race" in groups:
        seconds += options.cap * SECONDS_OF_A_RACE_STEP
    return max(1, round(options.repeats * seconds / 60))


def end_all(number, frame):
    """End as by Ctrl-C in a terminal, which reaches the processes that this one has started too."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGINT)
    # One that had just been started is waited for in vain.
    at_last = threading.Timer(10, os._exit, (130,))
    at_last.daemon = True
    at_last.start()
    raise KeyboardInterrupt


def main():
    settings, options, named = command_line()
    signal.signal(signal.SIGTERM, end_all)
    groups = []
    for name in named or USUAL:
        groups += gpu.GROUPS if name == "gpu" else [name]
    record = measurements.isolated(measurements.machine)
    versions = (f"{name} {version}" for name, version in record["versions"].items())
    print(", ".join([record["device"], *versions]))
    print(f"about {rough_minutes(options, groups)} min on two quiet cores with AVX-512, without it "
          "two to three times as long")
    line = "{row:38}{median:>10} {unit:9}{least:>10}{most:>10}{n:>3}"
    print(line.format(row="", median="median", unit="", least="least", most="most", n="n"))
    path = Path(settings.output, f"{'_'.join(['bench', *named])}.csv")
    # An interrupted run leaves what it has measured.
    for rows, latest in measure(settings, options, groups):
        summary = summarise(rows, record["device"], gpu.devices(settings.output))
        if summary:
            write_table(summary, path)
        if "gpu" in named:
            gpu.write_report(summary, path.with_suffix(".md"))
        for key, row in zip(rows, summary, strict=True):
            if key in latest:
                print(line.format(**row), flush=True)
    if not summary:
        raise UserError("nothing could be measured; name another group, or do as is said above")
    if "growth" in groups:
        median = {row["row"]: float(row["median"]) for row in summary}
        growth.draw(median, settings.output)
    print(f"the same as {path}")


if __name__ == "__main__":
    run_script(main)
