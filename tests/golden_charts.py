"""The golden pictures: `python tests/golden_charts.py` draws them anew, small, from a made-up run."""

import tempfile
from pathlib import Path
from typing import Any

from benchmarked import benchmarked
from runs import Made, results_of
from selected import selected
from typed import typed

from mlx_distill.report.charts import CHARTS, drawing
from mlx_distill.report.look import DEFAULT, Look

GOLDEN = Path(__file__).parent / "report" / "golden"
LOOK = Look(size=(720, 405))


def draw_charts(results: dict[str, Any], folder: Path, look: Look = DEFAULT) -> list[Path]:
    """A file for every chart that can be drawn, without the page's pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    canvases = {name: drawing(name, typed(results), look) for name in CHARTS}
    return [canvas.save(folder / f"{name}.{look.format}") for name, canvas in canvases.items() if canvas]


def golden_results(folder: Path) -> dict[str, Any]:
    """A run with people among the judges, gains and losses, by benchmarks too, and a selection."""
    made = Made(samples=2, repeats=2, effect=1.5, judges=("claude-opus-4-6", "human: anna"), seed=3)
    return selected(benchmarked(results_of(folder, made), folder / "benchmarked"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for path in draw_charts(golden_results(Path(folder)), GOLDEN, LOOK):
            print(path)
