"""What the training seeds of a run have in common, and how far they differ.

In: this run's results, and those of its seeds. Out: the Seeds of results.json. A measure counts as better where it is
better under every seed, and as worse where it is worse under any: one lucky training is no method. The items are the
same ones under every seed, so the spread is that of training alone; each seed's own interval is that of the items.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from mlx_distill.run import config as configuration
from mlx_distill.run.config import Config
from mlx_distill.run.decode import read_results
from mlx_distill.run.folder import CONFIG, RESULTS, RunDir
from mlx_distill.run.records import Estimate
from mlx_distill.run.results import Results
from mlx_distill.run.results.comparison import Dimension, Measure, PairPreference
from mlx_distill.run.results.seeds import SeedMeasure, Seeds
from mlx_distill.run.seeds import seed_folder, seeds_of
from mlx_distill.run.wording import UNSHOWN, plural
from mlx_distill.stats.inference import overall

Row = tuple[str, float | None, str]
"""A measure's unit, difference and verdict."""


def seeds_part(run: RunDir, config: Config, own: Results) -> Seeds | None:
    """None where the run has one seed, or no other one is done yet."""
    by_seed = {config.training.seed: own, **dict(_further(run, config))}
    if len(by_seed) == 1:
        return None
    rows = [dict(_rows(results)) for results in by_seed.values()]
    measures = [_measure(name, [row.get(name) for row in rows]) for name in rows[0]]
    return Seeds(
        seeds=tuple(by_seed),
        wanted=config.run.training_seeds,
        heldout_loss=tuple(map(_loss_change, by_seed.values())),
        verdicts=tuple(map(_verdict, by_seed.values())),
        measures=tuple(measures),
        verdict=overall([measure.verdict for measure in measures]),
        words=_words(measures, len(by_seed)),
    )


def _further(run: RunDir, config: Config) -> Iterator[tuple[int, Results]]:
    """Those that were made with this configuration."""
    for seed in seeds_of(config)[1:]:
        folder = RunDir(run / seed_folder(seed))
        if not (folder / RESULTS).exists():
            continue
        same = configuration.replace(config, {"training.seed": seed})
        if not configuration.differences(configuration.load(folder / CONFIG), same):
            yield seed, read_results(folder.path)


def _rows(results: Results) -> Iterator[tuple[str, Row]]:
    for row in results.comparison.measures if results.comparison else ():
        yield row.name, (*_difference(row), row.verdict)
    for benchmark in results.benchmarks:
        yield benchmark.title, ("points", _points(benchmark.difference), benchmark.verdict)


def _difference(row: Measure) -> tuple[str, float | None]:
    if isinstance(row, Dimension):
        return "of 10", row.difference.mean if row.difference else None
    if isinstance(row, PairPreference):
        return "points from even", 100 * (row.share.mean - 0.5) if row.share else None
    return "points", _points(row.difference)


def _points(difference: Estimate | None) -> float | None:
    return 100 * difference.mean if difference else None


def _measure(name: str, rows: Sequence[Row | None]) -> SeedMeasure:
    differences = [row[1] if row else None for row in rows]
    known = [difference for difference in differences if difference is not None]
    verdicts = [row[2] if row else "" for row in rows]
    return SeedMeasure(
        name=name,
        unit=next(row[0] for row in rows if row),
        differences=tuple(differences),
        verdicts=tuple(verdicts),
        mean=statistics.fmean(known) if known else None,
        spread=statistics.stdev(known) if len(known) > 1 else None,
        verdict=_together(verdicts),
    )


def _together(verdicts: Sequence[str]) -> str:
    if "worse" in verdicts:
        return "worse"
    if set(verdicts) == {"better"}:
        return "better"
    return verdicts[0] if len(set(verdicts)) == 1 else UNSHOWN


def _words(measures: Sequence[SeedMeasure], seeds: int) -> str:
    better = [measure.name for measure in measures if measure.verdict == "better"]
    worse = [f"{m.name} ({m.verdicts.count('worse')} of {seeds})" for m in measures if m.verdict == "worse"]
    some = [
        f"{m.name} ({m.verdicts.count('better')} of {seeds})"
        for m in measures
        if m.verdict == UNSHOWN and "better" in m.verdicts
    ]
    parts = (
        f"better under every one of {plural(seeds, 'training seed')} in {', '.join(better) or 'nothing'}",
        f"worse under at least one in {', '.join(worse) or 'nothing'}",
        *([f"better under some in {', '.join(some)}"] if some else []),
    )
    return "; ".join(parts)


def _loss_change(results: Results) -> float | None:
    return results.training.heldout_loss.change.mean if results.training else None


def _verdict(results: Results) -> str:
    if results.gate:
        return results.gate.verdict
    return results.comparison.verdict if results.comparison else ""
