"""Training measured against stock `mlx_lm.lora`: speed, memory, held-out loss, the time to its first step. One table.

    python perf/train.py [NAME …] [--seed N] [--repeats N] [--examples N] [--qwen FILE] [--small]

In: the real SmolLM2 and the recorded answers' text, cut to mixed lengths; both sides train the same examples, layers,
rank, scale, batch size and float32 weights, in turn on the same machine. Out: the table. The names are those of
SECTIONS; `qwen` needs a GGUF file of Qwen2.5-0.5B. The trade-off: stock does the same in every epoch, so that it is
timed over one (`--stock-epochs`), while ours, whose first epoch fills its cache, is timed over all three. The whole
takes about 40 minutes on two cores, and longer with `qwen`; `--small` takes two and tries it out: its figures say
little. So do those of a machine that does other work as well: the title tells how much.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1]))

import table
import train_sides as sides
from collect_plan import Plan
from sides import Elsewhere
from table import Row

EPOCHS = 3
LEAST_FASTER = {16: 2.5, 8: 3.0}
MOST_MEMORY = 0.50
MOST_LOSS_APART, MOST_STRAYED = 0.01, 0.001
LEAST_SECOND_EPOCH = 1.4
START_EXAMPLES, MOST_START_SECONDS = 1000, 2.0
STUDENT = "smollm2-135m"


@dataclass
class Bench:
    """The runs of one measurement; what two sections need is run once."""

    plan: Plan
    folder: Path
    given: argparse.Namespace
    _materials: dict[str, sides.Material] = field(default_factory=dict)
    _runs: dict[str, sides.Run] = field(default_factory=dict)

    @property
    def repeats(self) -> int:
        return self.plan.size(self.given.repeats, 1)

    def material(self, student: str = STUDENT) -> sides.Material:
        if student not in self._materials:
            examples = self.plan.size(self.given.examples if student == STUDENT else 8, 8)
            median, longest = self.plan.size(250, 80), self.plan.size(1000, 320)
            folder = self.folder / f"material{len(self._materials)}"
            self._materials[student] = sides.prepare(student, folder, self.plan.seed, examples, median, longest)
        return self._materials[student]

    def ours(self, layers: int, number: int = 0, student: str = STUDENT) -> sides.Run:
        folder = self.folder / f"ours-{layers}-{number}-{Path(student).stem}"
        if folder.name not in self._runs:
            epochs = self.plan.size(EPOCHS, 2)
            run = sides.ours(self.material(student), folder, layers, epochs, self.plan.seed)
            self._runs[folder.name] = run
        return self._runs[folder.name]

    def stock(self, layers: int, number: int = 0, student: str = STUDENT) -> sides.Run:
        folder = self.folder / f"stock-{layers}-{number}-{Path(student).stem}"
        if folder.name not in self._runs:
            run = sides.stock(self.material(student), folder, layers, self.given.stock_epochs, self.plan.seed)
            self._runs[folder.name] = run
        return self._runs[folder.name]

    def in_turn(self, layers: int) -> list[tuple[sides.Run, sides.Run]]:
        return [(self.ours(layers, number), self.stock(layers, number)) for number in range(self.repeats)]


Section = table.Section[Bench]

# ---------------------------------------------------------------- beside stock


def speed(bench: Bench) -> Iterator[Row]:
    """Scored tokens a second over whole epochs, and what the cache of the frozen layers makes of the second epoch."""
    for layers in LEAST_FASTER:
        yield _faster(f"mixed lengths, top {layers} layers", bench.in_turn(layers), layers)
    ours = [run for run, _ in bench.in_turn(8)]
    gain = statistics.median(run.epochs[0] / run.epochs[1] for run in ours)
    first, second = (statistics.median(run.scored / run.epochs[i] for run in ours) for i in (0, 1))
    measured = f"{gain:.2f} ({second:.1f} and {first:.1f} scored tokens/s)"
    what = "ours, top 8 of 30 layers: speed of the second epoch / of the first"
    yield Row(what, f"≥ {LEAST_SECOND_EPOCH}", measured, gain >= LEAST_SECOND_EPOCH)
    outside, steps = (
        statistics.median(values) for values in ([r.outside for r in ours], [sum(r.epochs) for r in ours])
    )
    what = "… what ours does between its steps: held-out losses, checkpoints, rows"
    yield Row(what, "-", f"{outside:.1f} s beside {steps:.1f} s of steps")


def memory(bench: Bench) -> Iterator[Row]:
    """MLX's own count, over loading, every step and, of ours alone, the held-out losses."""
    for layers in LEAST_FASTER:
        yield _smaller(f"batch of {sides.BATCH}, top {layers} layers", bench.in_turn(layers))


def qwen(bench: Bench) -> Iterator[Row]:
    what = "Qwen2.5-0.5B, mixed lengths, top 16 layers"
    if bench.given.qwen is None:
        yield Row(what, f"≥ {LEAST_FASTER[16]}", "not measured: give --qwen FILE")
        return
    student = str(bench.given.qwen)
    pairs = [(bench.ours(16, 0, student), bench.stock(16, 0, student))]
    yield _faster(what, pairs, 16)
    yield _smaller(what, pairs)


def _faster(what: str, pairs: list[tuple[sides.Run, sides.Run]], layers: int) -> Row:
    ours, stock = (statistics.median(run.speed for run in side) for side in zip(*pairs, strict=True))
    least = LEAST_FASTER[layers]
    sizes = f"{len(pairs)} x {len(pairs[0][0].epochs)} and {len(pairs[0][1].epochs)} epochs of {pairs[0][0].scored:,}"
    measured = f"{ours / stock:.2f} ({ours:.1f} and {stock:.1f}; {sizes})"
    return Row(f"{what}: scored tokens/s / stock's", f"≥ {least}", measured, ours / stock >= least)


def _smaller(what: str, pairs: list[tuple[sides.Run, sides.Run]]) -> Row:
    ours, stock = (statistics.median(run.peak for run in side) / 1e9 for side in zip(*pairs, strict=True))
    measured = f"{ours / stock:.0%} ({ours:.2f} and {stock:.2f} GB)"
    return Row(f"{what}: peak memory / stock's", f"≤ {MOST_MEMORY:.0%}", measured, ours / stock <= MOST_MEMORY)


# ---------------------------------------------------------------- the same result


def loss(bench: Bench) -> Iterator[Row]:
    """The same examples and steps through stock's loop without its mask faults (train_inside.py says which)."""
    material, ours, folder = bench.material(), bench.ours(8), bench.folder / "corrected"
    _, *rows = sides.read_rows(ours.folder / "metrics.jsonl")
    training = tomllib.loads((ours.folder / "config.toml").read_text())["training"]
    wanted = {
        "model": str(material.model),
        "train": str(material.stock / "train.jsonl"),
        "folder": str(folder),
        "layers": 8,
        "lora": {"rank": sides.RANK, "scale": sides.SCALE, "dropout": 0.0},
        "batch": sides.BATCH,
        "window": sides.WINDOW,
        "seed": bench.plan.seed,
        "rates": [row["learning_rate"] for row in rows],
        "clip": training["clip"],
        "weight_decay": training["weight_decay"],
    }
    sides.inside("corrected", folder / "report.jsonl", [json.dumps(wanted)])
    adapters = [str(ours.folder / "distilled-student"), str(folder)]
    report = bench.folder / "evaluated" / "report.jsonl"
    sides.inside("evaluate", report, [str(material.model), str(material.heldout), *adapters])
    base, mine, theirs = (row["loss"] for row in sides.read_rows(report))
    apart = mine / theirs - 1
    measured = f"{apart:+.2%} ({mine:.4f} and {theirs:.4f} nats a token; base {base:.4f})"
    if strayed := abs(rows[-1]["valid_loss"] / mine - 1) > MOST_STRAYED:
        measured += f"; ours says {rows[-1]['valid_loss']:.4f} of its last step: another adapter was kept"
    what = f"held-out loss after {len(rows)} steps, top 8 layers, beside stock with its mask corrected"
    yield Row(what, f"within {MOST_LOSS_APART:.0%}", measured, abs(apart) <= MOST_LOSS_APART and not strayed)


# ---------------------------------------------------------------- the first step


def start(bench: Bench) -> Iterator[Row]:
    """From the data file to the first batch: no import, no weights and no held-out loss is in it."""
    count = bench.plan.size(START_EXAMPLES, 100)
    folder = bench.folder / "start"
    model = bench.material().model
    texts = sides.conversations(model, bench.plan.random("start"), sides.lengths(count, 250, 1000))
    data = folder / "chat.jsonl"
    folder.mkdir()
    sides.write_rows(data, texts)
    found = []
    for number in range(bench.repeats):
        report = folder / f"{number}.jsonl"
        sides.inside("start", report, [str(model), str(data), _settings(bench, 8)])
        found.append(sides.read_rows(report))
    seconds = statistics.median(sum(row["seconds"] for row in rows) for rows in found)
    parts = ", ".join(f"{row['part']} {row['seconds']:.2f}" for row in found[-1])
    what = f"{count:,} examples: seconds from the data file to the first batch (no imports, weights, held-out loss)"
    yield Row(what, f"≤ {MOST_START_SECONDS:g} s", f"{seconds:.2f} s ({parts})", seconds <= MOST_START_SECONDS)


# ---------------------------------------------------------------- where the time goes


def shares(bench: Bench) -> Iterator[Row]:
    """Nothing is demanded of the parts of a step: they say where there is something to be won."""
    for layers in LEAST_FASTER:
        report = bench.folder / f"shares-{layers}" / "report.jsonl"
        material = bench.material()
        sides.inside("shares", report, [str(material.model), str(material.data), _settings(bench, layers)])
        steps = sides.read_rows(report)
        taken = {part: sum(step[part] for step in steps) for part in steps[0]}
        whole = sum(taken.values())
        parts = ", ".join(f"{part} {seconds / whole:.0%}" for part, seconds in taken.items())
        what = f"ours, top {layers} layers: parts of a step in the first epoch"
        yield Row(what, "-", f"{parts} (of {whole / len(steps):.2f} s)")


def _settings(bench: Bench, layers: int) -> str:
    """A TrainingConfig, as the drivers take it."""
    settings = {"layers": layers, "rank": sides.RANK, "scale": sides.SCALE, "batch_size": sides.BATCH}
    return json.dumps(settings | {"seed": bench.plan.seed})


SECTIONS: dict[str, Section] = {
    "speed": speed,
    "memory": memory,
    "loss": loss,
    "start": start,
    "shares": shares,
    "qwen": qwen,
}


def main() -> None:
    parser = table.parser(__doc__, SECTIONS)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each side, in turn [3]")
    parser.add_argument("--examples", type=int, default=32, help=f"trained on; a multiple of {sides.BATCH} [32]")
    parser.add_argument("--stock-epochs", type=int, default=1, help="that stock is timed over [1]")
    parser.add_argument("--qwen", type=Path, metavar="FILE", help="a GGUF file of Qwen2.5-0.5B")
    given = table.parse(parser, SECTIONS)
    if given.examples % sides.BATCH:
        parser.error(f"--examples {given.examples} is no multiple of {sides.BATCH}: stock drops the remainder")
    with tempfile.TemporaryDirectory(prefix="perf-train-", ignore_cleanup_errors=True) as folder:
        elsewhere = Elsewhere()
        bench = Bench(Plan(given.seed, given.small), Path(folder), given)
        rows = table.measure(given.names, SECTIONS, bench)
    table.finish(rows, f"Training, seed {given.seed}{', small' if given.small else ''}{elsewhere.said()}")


if __name__ == "__main__":
    main()
