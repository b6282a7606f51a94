"""The golden pictures: `python tests/golden_charts.py` draws them anew, small, from a made-up run."""

import tempfile
from pathlib import Path
from typing import Any

from benchmarked import benchmarked
from runs import Made, results_of
from selected import selected

from mlx_distill.report.charts import draw_charts
from mlx_distill.report.look import Look

GOLDEN = Path(__file__).parent / "report" / "golden"
LOOK = Look(size=(720, 405))


def golden_results(folder: Path) -> dict[str, Any]:
    """A run with people among the judges, gains and losses, by benchmarks too, and a selection."""
    made = Made(samples=2, repeats=2, effect=1.5, judges=("claude-opus-4-6", "human: anna"), seed=3)
    return selected(benchmarked(results_of(folder, made), folder / "benchmarked"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for path in draw_charts(golden_results(Path(folder)), GOLDEN, LOOK):
            print(path)
