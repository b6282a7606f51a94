"""sweep.html: one file that holds everything of a sweep and asks for nothing; each run's own page is a link away.

In: sweep.json's content and the chart in both themes. Out: HTML in the style, with the script and under the security
policy of a run's page; names and error messages are escaped by the template engine.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlx_distill.report.page import framed
from mlx_distill.report.page.pictures import Picture
from mlx_distill.report.sections import sweep_words
from mlx_distill.report.sections.sweep_parts import CHECKPOINTS, parts
from mlx_distill.run.results.sweep import SweepResults


def sweep_page(results: SweepResults, pictures: Sequence[Picture] = ()) -> str:
    """The whole page. Parts that have nothing to say are left out."""
    return framed(
        "sweep.html",
        results.sweep.name,
        sweep_words.headline(results),
        styles=("page.css", "sweep.css"),
        results=results,
        sweep=results.sweep,
        parts=parts(results),
        pictures=pictures,
        words=sweep_words,
        CHECKPOINTS=CHECKPOINTS,
    )
