"""The selection in RESULTS.md: which candidate is kept and why, all of them, and how the best held on further items.

In: results. Out: a section, empty where nothing was selected. What loses somewhere is named in the candidate's row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlx_distill.report.markdown_text import inline, section, table
from mlx_distill.run.results import Results
from mlx_distill.run.results.selection import CandidateRow, CandidateScore, Selection
from mlx_distill.run.wording import NOTHING, candidate, capital, kept, p_value, points, reason, selecting, standing

EXPLAINED = (
    "Differences to the base in points, all items of the own domain together and all others; brackets are 95 % "
    "intervals for one candidate at a time. The best of many looks better than it is, so further items confirm it."
)


def selection(results: Results) -> str:
    found = results.selection
    if not found:
        return ""
    return section(
        "Selection",
        f"**{kept(found)}.** {inline(capital(reason(found)))}.",
        unreported(found),
        _candidates(found),
        EXPLAINED,
        _confirmation(found),
    )


def unreported(found: Selection) -> str:
    """What was asked, and that no reported number rests on it."""
    return (
        f"These answer {inline(selecting(found))} that are not among the reported ones: a third chooses, the others "
        f"confirm. A loss counts from a one-sided p below {found.level:.3g}."
    )


# ---------------------------------------------------------------- tables


def _candidates(found: Selection) -> str:
    header = ("Step", "strength", "own domain", "elsewhere", "loses on", "")
    return table(header, [_candidate(found, row) for row in found.candidates])


def _candidate(found: Selection, row: CandidateRow) -> Sequence[Any]:
    return (
        row.step,
        f"{row.strength:g}",
        points(row.gain, sign="+"),
        points(row.elsewhere, sign="+"),
        ", ".join(f"**{inline(title)}**" for title in row.loses) or NOTHING,
        ", ".join(f"**{words}**" if words == "kept" else words for words in standing(found, row)),
    )


def _n(row: CandidateScore) -> int:
    return row.difference.n if row.difference else 0


def _confirmation(found: Selection) -> str:
    if not found.confirmation:
        return ""
    titles = {asked.name: asked.title for asked in found.benchmarks}
    rows = [
        (
            inline(titles.get(row.name, row.name)),
            _n(row),
            points(row.base),
            points(row.score),
            points(row.difference, sign="+"),
            row.gained,
            row.lost,
            p_value(row.loss_p),
            "**loses**" if row.loses else "no loss shown",
        )
        for row in found.confirmation
    ]
    header = ("Benchmark", "n", "base", "candidate", "difference", "gained", "lost", "p of a loss", "")
    held = "confirmed" if found.chosen else "not confirmed"
    return section(f"{capital(candidate(found.first))}: {held}", table(header, rows), level=3)
