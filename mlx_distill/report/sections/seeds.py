"""The same run under several training seeds, a column for each. In: Results. Out: a section, empty for one seed."""

from __future__ import annotations

from mlx_distill.report.document import Cell, Line, Section, Table
from mlx_distill.run.results import Results
from mlx_distill.run.results.seeds import Seeds
from mlx_distill.run.wording import NOTHING, capital

SPREAD = (
    "Better is what is better under every seed, worse what is worse under any. The items are the same under every "
    "seed: the spread (standard deviation) is that of training alone, and stands beside the intervals over items."
)


def training_seeds(results: Results) -> Section:
    """The same run under several training seeds: what all of them say, and how far they differ."""
    seeds = results.seeds
    if seeds is None:
        return Section("seeds", "Training seeds")
    missing = f" Of {seeds.wanted} seeds {len(seeds.seeds)} are done." if len(seeds.seeds) < seeds.wanted else ""
    line = Line(f"{capital(seeds.words)}.{missing}", f"Over the training seeds: {seeds.verdict}.", seeds.verdict)
    header = ("difference", *(f"seed {seed}" for seed in seeds.seeds), "mean", "spread", "")
    return Section("seeds", "Training seeds", [line, Table(header, _seed_rows(seeds)), Line(SPREAD)])


def _seed_rows(seeds: Seeds) -> list[tuple[Cell | str, ...]]:
    rows: list[tuple[Cell | str, ...]] = [
        (
            f"{row.name}, {row.unit}",
            *(Cell(_signed(difference), word) for difference, word in zip(row.differences, row.verdicts, strict=True)),
            _signed(row.mean),
            NOTHING if row.spread is None else f"{row.spread:.2f}",
            Cell(row.verdict, row.verdict),
        )
        for row in seeds.measures
    ]
    loss = [NOTHING if change is None else f"{change:+.3f}" for change in seeds.heldout_loss]
    return [*rows, ("Held-out loss, nats per token", *loss, "", "", ""), ("Verdict", *seeds.verdicts, "", "", "")]


def _signed(value: float | None) -> str:
    return NOTHING if value is None else f"{value:+.2f}"
