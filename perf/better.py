"""What makes a student better, and what it costs: methods against each other on the same data, under several seeds.

    python perf/better.py [replay] [fit] [rounds] [--seeds 0,1,2] [--folder DIR] [--small]

In: nothing. Out: the table. `replay` trains the student that was trained too hard with and without replay, and dials it
down; `fit` trains on the answers that fit against the first ones; `rounds` distils again from the student's own checked
answers. Everything lies in the folder, so that a measurement that was stopped goes on. Items are paired; a difference
is the mean over the seeds, p-values are of paired permutation tests, adjusted over the methods of a section (Holm).
Several hours on two quiet cores.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import table
from sides import ROOT, Elsewhere, environment
from table import Row

from mlx_distill.stats.inference import estimate, holm, paired_p, smallest_difference

SMALL = "examples/small"
OWN, OTHER = "last-line", "first-functions"
HARD = ("--data", f"{SMALL}/sentence.jsonl", "--epochs", "8", "--learning-rate", "2e-3", "--layers", "8", "--drift")
BENCH = (
    *("--data", f"{SMALL}/{OWN}.jsonl", "--data", f"{SMALL}/{OTHER}.jsonl"),
    *("--own-domain", OWN, "--max-tokens", "80"),
)
METHODS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "full strength": ((), ()),
    "strength 0.25": ((), ("--strength", "0.25")),
    "replay 0.25": (("--replay", "0.25"), ()),
}
"""Flags of training, and of measuring."""

Passed = Mapping[str, float]
"""Item → share of the seeds under which it was passed."""


def command(*arguments: str | Path) -> None:
    """One command of the tool. What is up to date is not done again."""
    line = [sys.executable, "-m", "mlx_distill", *map(str, arguments)]
    done = subprocess.run(line, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(line[3:])} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def scores(run: Path, benchmark: str, role: str) -> dict[str, bool]:
    rows = map(json.loads, (run / "bench" / "scores.jsonl").read_text().splitlines())
    return {row["item_id"]: bool(row["passed"]) for row in rows if (row["benchmark"], row["role"]) == (benchmark, role)}


def over_seeds(runs: Sequence[Path], benchmark: str, role: str) -> Passed:
    found = [scores(run, benchmark, role) for run in runs]
    return {item: statistics.fmean(row[item] for row in found) for item in found[0]}


def differences(runs: Sequence[Path], benchmark: str) -> list[float]:
    base, mine = (over_seeds(runs, benchmark, role) for role in ("base", "distilled"))
    return [mine[item] - base[item] for item in base]


def train_seconds(run: Path) -> float:
    return float(json.loads((run / "stages.json").read_text())["train"]["seconds"])


def drift(run: Path) -> float:
    """On general prompts, of the adapter that is kept, in nats a token."""
    rows: list[tuple[float, int]] = json.loads((run / "training.json").read_text())["drift"]["replay"]
    return sum(nats for nats, _ in rows) / sum(count for _, count in rows)


# ---------------------------------------------------------------- replay


def replay(given: argparse.Namespace) -> Iterator[Row]:
    runs = {name: [_replayed(given, name, seed) for seed in given.seeds] for name in METHODS}
    base = over_seeds(runs["full strength"], OWN, "base"), over_seeds(runs["full strength"], OTHER, "base")
    yield Row("base: own, easy Python", "", " · ".join(_percent(statistics.fmean(part.values())) for part in base))
    for benchmark in (OWN, OTHER):
        yield from _tested(benchmark, {name: differences(folders, benchmark) for name, folders in runs.items()})
    for name, folders in runs.items():
        own, other = (statistics.fmean(over_seeds(folders, each, "distilled").values()) for each in (OWN, OTHER))
        demanded = ">= 60 %, >= 70 %" if name.startswith("replay") and not given.small else ""
        held = (own >= 0.6 and other >= 0.7) if demanded else None
        yield Row(f"{name}: own, easy Python", demanded, f"{_percent(own)} · {_percent(other)}", held)
        gates = [json.loads((run / "results.json").read_text())["gate"]["verdict"] for run in folders]
        yield Row(f"{name}: gate under each seed", "", ", ".join(gates))
        yield Row(f"{name}: drift on general prompts", "", f"{statistics.fmean(map(drift, folders)):.3f} nats a token")
    plain, replayed = (statistics.fmean(map(train_seconds, runs[name])) for name in ("full strength", "replay 0.25"))
    took = replayed / plain
    yield Row("training time with replay, beside without", "<= 1.5 x", f"{took:.2f} x", given.small or took <= 1.5)


def _replayed(given: argparse.Namespace, name: str, seed: int) -> Path:
    training, measuring = METHODS[name]
    run: Path = given.folder / "replay" / f"{name.replace(' ', '-')}-{seed}"
    same = given.folder / "replay" / f"full-strength-{seed}"
    if measuring and not run.exists():
        shutil.copytree(same, run)  # the same adapter, dialled down
    if not measuring:
        shared = ("--shared", given.folder / "shared", "--run", run, "--seed", seed)
        command("train", "--preset", "demo", *HARD, *training, *given.less, *map(str, shared))
    limit = ("--limit", "4") if given.small else ()
    command("bench", "--run", run, *BENCH, *measuring, *limit, "--update")
    return run


# ---------------------------------------------------------------- answers that fit, and further rounds


def fit(given: argparse.Namespace) -> Iterator[Row]:
    """The demo's functions: the first answers against those that fit, of which four are the student's own."""
    methods = {"first": (), "fit": ("--student-answers", "4", "--choose", "fit")}
    runs = {name: [_functions(given, name, flags, seed) for seed in given.seeds] for name, flags in methods.items()}
    chosen = [json.loads((run / "results.json").read_text())["choice"] for run in runs["fit"]]
    ratio = statistics.fmean(part["nats"]["chosen"]["mean"] / part["nats"]["first"]["mean"] for part in chosen)
    yield Row("nats of what is chosen, beside the first", "<= 0.85 x", f"{ratio:.2f} x", given.small or ratio <= 0.85)
    strayed = {name: statistics.fmean(map(drift, folders)) for name, folders in runs.items()}
    less = 1 - strayed["fit"] / strayed["first"]
    yield Row("drift on general prompts", ">= 30 % less", f"{less:.0%} less", given.small or less >= 0.3)
    yield from _tested("executed checks", {name: _checked(folders) for name, folders in runs.items()})


def rounds(given: argparse.Namespace) -> Iterator[Row]:
    """One round on own checked answers, beside the round on the teacher's answers before it."""
    first = [_functions(given, "first", (), seed) for seed in given.seeds]
    second = []
    for seed, run in zip(given.seeds, first, strict=True):
        further = given.folder / "functions" / f"round-2-{seed}"
        if not (further / "results.json").exists():
            command("round", "--run", run, "--to", further, "--yes")
        second.append(further)
    yield from _tested("executed checks", {"one round": _checked(first), "two rounds": _checked(second)})


def _functions(given: argparse.Namespace, name: str, flags: Sequence[str], seed: int) -> Path:
    run: Path = given.folder / "functions" / f"{name}-{seed}"
    limit = ("--limit", "8") if given.small else ()
    shared = ("--shared", given.folder / "shared", "--run", run, "--seed", seed)
    command("run", "--preset", "demo", "--drift", *flags, *given.less, *limit, *map(str, shared))
    return run


def _checked(runs: Sequence[Path]) -> list[float]:
    """Differences of passed checks, by prompt, over the seeds."""
    found = []
    for run in runs:
        rows = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
        by_role = {role: {r["item_id"]: float(r["passed"]) for r in rows if r["role"] == role} for role in
                   ("base", "distilled")}  # fmt: skip
        found.append({item: by_role["distilled"][item] - by_role["base"][item] for item in by_role["base"]})
    return [statistics.fmean(row[item] for row in found) for item in found[0]]


# ---------------------------------------------------------------- rows


def _tested(what: str, methods: Mapping[str, Sequence[float]]) -> Iterator[Row]:
    """Against the base, and how small a difference could have been detected where none is shown."""
    adjusted = holm([paired_p(found) for found in methods.values()])
    for (name, found), p in zip(methods.items(), adjusted, strict=True):
        change = estimate(found)
        low, high = change.interval or (change.mean, change.mean)
        words = f"{100 * change.mean:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}] points, n = {change.n}"
        shown = p is not None and p < 0.05
        smallest = None if shown else smallest_difference(found, len(methods))
        tested = "too few to test" if p is None else f"p = {p:.3f} (Holm)"
        detectable = f"; detectable {100 * smallest:.0f}" if smallest else ""
        yield Row(f"{what}, {name} - base", "", f"{words}, {tested}{detectable}")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


SECTIONS = {"replay": replay, "fit": fit, "rounds": rounds}


def main() -> None:
    parser = table.parser(__doc__, SECTIONS)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "perf-better")
    given = table.parse(parser, SECTIONS)
    given.seeds = [int(seed) for seed in given.seeds.split(",")]
    given.folder = given.folder.resolve() / ("small" if given.small else "whole")
    given.less = ("--steps", "2") if given.small else ()
    elsewhere = Elsewhere()
    rows = table.measure(given.names, SECTIONS, given)
    table.finish(rows, f"A better student{', small' if given.small else ''}{elsewhere.said()}")


if __name__ == "__main__":
    main()
