"""How fast, and beside what: one run, one table, also as output/bench.csv.

Everything is measured several times in turn, each time in a process of its own: what else the machine
does meanwhile falls on all rows alike. Flags of train.py change what is measured; words choose a part of it:
"""

import dataclasses
import statistics
from pathlib import Path

from bench import growth, measurements, peers
from common.checks import check_values
from common.command_line import fields_of, parse
from common.errors import UserError, run_script
from common.files import check_folder, write_table
from common.settings import Settings, setting

QUICK = dict(repeats=1, cap=100)
GROUPS = {"step": measurements.step_and_prediction, "large": measurements.large_image, "own": measurements.own_images,
          "data": measurements.synthesis, "scripts": measurements.scripts, "race": measurements.races,
          "peers": peers.peers, "growth": growth.growth}


@dataclasses.dataclass(frozen=True)
class Options:
    """What only the benchmark needs; each is a flag of it."""

    repeats: int = setting(3, "bench", "times that everything is measured, in turn", metavar="N", least=1)
    cap: int = setting(
        2000, "bench", "steps after which the recipe of 2017 is given up unless it is there", metavar="N", least=1)
    against: str = setting(
        str(measurements.REPOSITORY), "bench", "another checkout of this repository, whose train.py and test.py are "
        "timed in turn with these; this one is left out", metavar="FOLDER")
    quick: bool = setting(False, "bench", "once only, and with a cap of 100 steps")

    def __post_init__(self):
        check_values(self)


def measure(settings, options, groups):
    """The groups in turn, as often as the options say; yields {(row, unit): values} after each round."""
    rows = {}
    for repeat in range(options.repeats):
        for name in groups:
            print(f"repeat {repeat + 1} of {options.repeats}: {name}", flush=True)
            more = {"race": [options.cap], "scripts": [options.against]}.get(name, [])
            for row, value in measurements.isolated(GROUPS[name], settings, repeat, *more).items():
                rows.setdefault(row, []).append(value)
        yield rows


def summarise(rows):
    """The rows of the table: median, least, most and number of the values of each, as dicts."""
    return [{"row": row, "unit": unit, "median": f"{statistics.median(values):.6g}", "least": f"{min(values):.6g}",
             "most": f"{max(values):.6g}", "n": len(values)} for (row, unit), values in rows.items()]


def as_lines(summary):
    """The table as lines of text."""
    lines = [f"{'':36}{'median':>9}  {'':10}{'least':>9} {'most':>9} {'n':>3}"]
    for row in summary:
        values = [float(row[name]) for name in ("median", "least", "most")]
        median, least, most = (f"{value:,.0f}" if value >= 1000 else f"{value:.4g}" for value in values)
        lines.append(f"{row['row']:36}{median:>9}  {row['unit']:10}{least:>9} {most:>9} {row['n']:>3}")
    return lines


def main():
    own = dataclasses.fields(Options)
    described = (f"  {name:10}{function.__doc__.splitlines()[0]}" for name, function in GROUPS.items())
    given = parse("\n".join([__doc__, *described]), [*fields_of("data", "training", "output"), *own],
                  words=("group", f"what to measure: {', '.join(GROUPS)}; all if none is named"))
    named = given.pop("group")
    groups = named or tuple(GROUPS)
    if unknown := [name for name in groups if name not in GROUPS]:
        raise UserError(f"{unknown[0]} cannot be measured; name {', '.join(GROUPS)}, or none for all")
    of_bench = {field.name: given.pop(field.name) for field in own if field.name in given}
    options, settings = Options(**{**(QUICK if of_bench.get("quick") else {}), **of_bench}), Settings(**given)
    if settings.steps == 1:
        raise UserError("--steps 1 is the one that is traced, and says nothing of the others; give at least 2")
    if settings.network == "dense":
        raise UserError("--network dense has no convolutions, whose operations are counted here; choose another")
    check_folder(settings.output, "--output")
    if not Path(options.against, "train.py").is_file():
        raise UserError(f"--against {options.against} holds no train.py; name the folder of another checkout")
    record = measurements.isolated(measurements.machine)
    versions = (f"{name} {version}" for name, version in record["versions"].items())
    print(", ".join([record["device"], *versions]), flush=True)
    path = Path(settings.output, f"{'_'.join(['bench', *named])}.csv")
    for rows in measure(settings, options, groups):
        summary = [{**row, "device": record["device"]} for row in summarise(rows)]
        if summary:
            write_table(summary, path)  # after each round: one that is interrupted leaves those before
    if not summary:
        raise UserError("nothing could be measured; name another group, or do as is said above")
    print("\n".join(as_lines(summary)))
    if "growth" in groups:
        growth.draw({row["row"]: float(row["median"]) for row in summary}, settings.output)
    print(f"the same as {path}")


if __name__ == "__main__":
    run_script(main)
