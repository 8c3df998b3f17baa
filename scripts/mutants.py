"""Changes the code in one place at a time, and counts the changes that no test notices.

    python scripts/mutants.py                                  all modules: about half an hour of one processor core
    python scripts/mutants.py fit/rollback stopping            these modules; the table keeps the others' rows
    python scripts/mutants.py --most 20                        an even sample of each: "tried" of "mutants" in the table
    python scripts/mutants.py --list metrics/similarity        prints their mutants and tries none

Each module of MODULES has the tests that are responsible for it. A mutant is killed if one of them fails. A survivor is
either explained in tests/mutants.csv (nobody can observe it), or a missing test, and then the exit status is 1. Writes
results/tables/mutants.csv and its sums in docs/testing.md.

Why no library: mutmut 3 mutates the bodies of undecorated functions alone, so no constant (rollback's 5 dB), no field
of a component (a rule's threshold), no property and no `@torch.no_grad()` function is ever mutated. cosmic-ray mutates
those, but starts a Python for each mutant, and importing torch and Lightning takes several times longer than the tests.
"""

import argparse
import csv
import functools
import itertools
import os
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.mutation import trial  # noqa: E402
from scripts.mutation.mutate import Mutant, mutants  # noqa: E402

TABLE = ROOT / "results/tables/mutants.csv"
EXPLAINED = ROOT / "tests/mutants.csv"
PAGE = ROOT / "docs/testing.md"
BEGIN, END = "<!-- mutants: begin (make mutants writes it) -->", "<!-- mutants: end -->"
COLUMNS = ("module", "mutants", "tried", "killed", "explained", "survived", "cpu_seconds")
SEED = 0

FIT = ("tests/fit/test_history.py", "tests/fit/test_steps.py", "tests/fit/test_module.py")
CONFIG = (
    "tests/config/test_build.py",
    "tests/config/test_precision.py",
    "tests/config/test_own_pictures.py",
    *(
        f"tests/config/test_config.py::{name}"
        for name in (
            "test_wrong_settings_are_refused_in_words",
            "test_a_number_of_steps_that_is_none_is_named",
            "test_a_variants_value_can_hang_on_the_task",
            "test_precedence_group_then_task_then_experiment_then_scale_then_command_line",
            "test_a_folder_in_the_home_folder_is_found_there",
            "test_more_is_added_to_the_steps_and_is_one_or_above",
            "test_steps_are_part_of_an_identity_and_what_divided_them_is_not",
            "test_operational_settings_do_not_change_the_identity",
            "test_scientific_settings_change_the_identity",
            "test_an_integer_is_its_float_but_true_is_no_number",
            "test_a_file_counts_by_its_content_and_not_by_its_name",
            "test_a_new_key_changes_nothing_while_it_holds_its_neutral_value",
            "test_a_class_is_hashed_by_what_it_is_and_not_by_where_it_stands",
            "test_a_passive_rule_added_to_watch_renames_no_run",
        )
    ),
)
"""Not those that compose every option: they take minutes."""

GOLDEN = "tests/test_golden.py::test_the_ids_of_committed_runs_stay"
STOPPING = (
    "tests/stopping/test_rules.py",
    *(
        f"tests/stopping/test_stopping.py::{name}"
        for name in (
            *("test_the_windowed_variance_is_that_of_its_definition", "test_the_windowed_variance_does_not_drift"),
            *("test_the_exponential_variance_is_that_of_its_definition", "test_errors_say_what_a_rule_needs"),
            *("test_a_window_goes_with_what_the_average_remembers", "test_the_divergence_is_the_trace"),
            *("test_pixels_left_out_are_known_ones", "test_who_cannot_judge_is_passed_over"),
            "test_places_looked_at_are_the_same_every_time_and_all_where_they_fit",
            *("test_interrupted_and_resumed_ends_as_uninterrupted", "test_a_minimum_counts_once_it_follows_the_top"),
        )
    ),
)
"""The quicker ones: the others are whole runs of hundreds of steps."""

MODULES: dict[str, tuple[str, ...]] = {
    "fit/history": FIT,
    "fit/module": FIT,
    "fit/posterior": ("tests/fit/test_posterior.py",),
    "fit/rollback": ("tests/fit/test_rollback.py",),
    **{
        f"stopping/{name}": STOPPING
        for name in (
            *("discrepancy", "emv", "fixed", "heldout", "least", "patient", "plateau", "rule", "sure", "variance"),
            *("watch", "wmv"),
        )
    },
    "metrics/calibration": ("tests/metrics/test_calibration.py",),
    "metrics/folder": ("tests/metrics/test_folder.py",),
    "metrics/kinds": ("tests/metrics/test_kinds.py",),
    "metrics/similarity": ("tests/metrics/test_similarity.py",),
    "tasks/operators": ("tests/tasks/test_operators.py",),
    "observe/degrade": ("tests/observe/test_degrade.py",),
    "observe/masks": ("tests/observe/test_masks.py",),
    "config/build": CONFIG,
    "config/compose": CONFIG,
    "config/identity": (GOLDEN, *CONFIG),
    "config/resolvers": (GOLDEN, *CONFIG),
    "seeds": ("tests/test_seeds.py", "tests/test_golden.py::test_the_named_seeds_stay"),
}
"""By module of dip_exp, the tests that are responsible for it."""

Explained = dict[tuple[str, str, str], str]


@dataclass(frozen=True)
class Result:
    """One module's counts, and its findings in words: survivors nobody explained, and explanations that do not hold."""

    counts: dict[str, str | int]
    findings: list[str]


def explained() -> Explained:
    """Returns why a mutant cannot be noticed, by its module, line and mutation."""
    with EXPLAINED.open(newline="", encoding="utf-8") as file:
        return {(row["module"], row["line"], row["mutation"]): row["why"] for row in csv.DictReader(file)}


def sampled(found: list[Mutant], most: int | None) -> list[Mutant]:
    """Returns at most so many mutants, evenly over the module: one, drawn from SEED, of each of `most` equal parts."""
    if most is None or len(found) <= most:
        return found
    draw = random.Random(SEED)
    edges = [round(n * len(found) / most) for n in range(most + 1)]
    return [found[draw.randrange(first, last)] for first, last in itertools.pairwise(edges)]


def tried(name: str, most: int | None, known: Explained) -> Result:
    """Returns what became of a module's mutants, and prints each survivor as it is found."""
    path = ROOT / "dip_exp" / f"{name}.py"
    found = mutants(path.read_text())
    chosen = sampled(found, most)
    tests = baseline(MODULES[name])
    killed, reasons, seconds, findings = 0, 0, 0.0, list(stale(name, found, known))
    for mutant in chosen:
        outcome = trial.tried(mutant, f"dip_exp.{name.replace('/', '.')}", path, tests)
        seconds += outcome.seconds
        why = known.get((name, mutant.line, mutant.mutation))
        place = f"dip_exp/{name}.py:{mutant.number}: {mutant.line!r}: {mutant.mutation}"
        killed += bool(outcome.killer)
        reasons += not outcome.killer and why is not None
        if not outcome.killer and why is None:
            findings.append(f"survived {outcome.tests} tests: {place}")
            print(findings[-1], flush=True)
        elif outcome.killer and why is not None:
            findings.append(f"explained, but killed by {outcome.killer}: {place}")
    numbers = (len(found), len(chosen), killed, reasons, len(chosen) - killed - reasons, round(seconds))
    return Result(dict(zip(COLUMNS, (name, *numbers), strict=True)), findings)


@functools.cache
def baseline(tests: tuple[str, ...]) -> trial.Baseline:
    """Returns what these tests run of all modules that they are responsible for."""
    return trial.baseline([ROOT / "dip_exp" / f"{name}.py" for name, own in MODULES.items() if own == tests], tests)


def stale(name: str, found: list[Mutant], known: Explained) -> Iterator[str]:
    """Yields each explanation of a module whose mutant is no longer there."""
    there = {(name, mutant.line, mutant.mutation) for mutant in found}
    for key in known:
        if key[0] == name and key not in there:
            yield f"explained, but there is no such mutant: dip_exp/{name}.py: {key[1]!r}: {key[2]}"


def table() -> list[dict[str, str]]:
    """Returns the committed rows, in the order of MODULES; [] if there are none."""
    if not TABLE.is_file():
        return []
    with TABLE.open(newline="", encoding="utf-8") as file:
        rows = {row["module"]: row for row in csv.DictReader(file)}
    return [rows[name] for name in MODULES if name in rows]


def write(rows: list[dict[str, str]]) -> None:
    """Writes the table and its sums in the page on testing."""
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([row[column] for column in COLUMNS] for row in rows)
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{summary(rows)}\n{END}{rest.partition(END)[2]}")


def summary(rows: list[dict[str, str]]) -> str:
    """Returns the page's sentence on the table."""
    total = {column: sum(int(row[column]) for row in rows) for column in COLUMNS[1:]}
    modules = f"{len(rows)}" if len(rows) == len(MODULES) else f"{len(rows)} of the {len(MODULES)}"
    part = "" if total["tried"] == total["mutants"] else f", of which an even sample of {total['tried']} was tried"
    return (
        f"{modules} modules have {total['mutants']} mutants{part}:\n{total['killed']} are killed, "
        f"{total['explained']} cannot be noticed and are explained, {total['survived']} survive\n"
        f"([table](../results/tables/mutants.csv)). This took {total['cpu_seconds'] / 60:.0f} minutes of one core."
    )


def names(words: list[str]) -> list[str]:
    """Returns the modules that the words name, whole or by their folder; all without a word."""
    unknown = [word for word in words if not any(name == word or name.startswith(f"{word}/") for name in MODULES)]
    if unknown:
        raise SystemExit(f"error: mutants: {unknown[0]!r} is no module here; there are {', '.join(MODULES)}")
    return [name for name in MODULES if not words or any(f"{name}/".startswith(f"{word}/") for word in words)]


def main(words: list[str]) -> int:
    """Tries the mutants, writes the table, and returns 1 if there is a finding."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("modules", nargs="*", metavar="MODULE", help="fit/rollback, or a folder: stopping; default: all")
    made.add_argument("--most", type=int, metavar="N", help="try at most N mutants of each module, evenly drawn")
    made.add_argument("--list", action="store_true", help="print the mutants and try none")
    given = made.parse_args(words)
    chosen, known, findings = names(given.modules), explained(), []
    if given.list:
        for name in chosen:
            for mutant in mutants((ROOT / "dip_exp" / f"{name}.py").read_text()):
                print(f"dip_exp/{name}.py:{mutant.number}: {mutant.line!r}: {mutant.mutation}")
        return 0
    os.chdir(ROOT)
    trial.prepare()
    for name in chosen:
        began = time.monotonic()
        result = tried(name, given.most, known)
        rows = {row["module"]: row for row in table()} | {name: {key: str(v) for key, v in result.counts.items()}}
        write([rows[each] for each in MODULES if each in rows])
        findings += result.findings
        counts = ", ".join(f"{value} {key}" for key, value in list(result.counts.items())[1:])
        print(f"{name}: {counts}; {time.monotonic() - began:.0f} s", flush=True)
    print("\n".join(["", *findings, f"{len(findings)} findings"]))
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
