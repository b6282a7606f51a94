"""The selection in the order and the words of the page.

In: results.selection. Out: tables, and what the template says beside them; nothing is measured here.
"""

from __future__ import annotations

from mlx_distill.report.page.numbers import Table, candidates
from mlx_distill.run.results.selection import Selection
from mlx_distill.run.wording import NOTHING, candidate, capital, kept, p_value, points, reason

__all__ = ["candidates", "confirmation", "heading", "kept", "reason"]


def heading(found: Selection) -> str:
    """Over the confirmation."""
    return f"{capital(candidate(found.first))}: {'confirmed' if found.chosen else 'not confirmed'}"


def confirmation(found: Selection) -> Table:
    titles = {asked.name: asked.title for asked in found.benchmarks}
    rows = [
        (
            titles.get(row.name, row.name),
            f"{row.difference.n:,}" if row.difference else "0",
            points(row.base),
            points(row.score),
            points(row.difference, sign="+"),
            str(row.gained),
            str(row.lost),
            p_value(row.loss_p),
            "loses" if row.loses else NOTHING,
        )
        for row in found.confirmation
    ]
    header = ("benchmark", "n", "base, %", "candidate, %", "difference", "gained", "lost", "p of a loss", "loses")
    return Table(header, rows)
