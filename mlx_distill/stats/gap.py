"""The share of the teacher's lead over the base that the distilled student has gained.

In: for each prompt or item what teacher, base and distilled reached. Out: a TeacherGap. The share is a ratio of means,
not a mean of ratios, which would be ruled by the items where the teacher is hardly ahead.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlx_distill.run.results.part import TeacherGap
from mlx_distill.stats.inference import estimate, ratio


def teacher_gap(reached: Sequence[tuple[float, float, float]]) -> TeacherGap | None:
    """reached  (teacher, base, distilled) of each item, in any one unit
    returns  (distilled - base) / (teacher - base) with the interval from resampled items (Efron 1979), both differences
             of an item drawn together; no share where the lead's own interval does not lie above zero, for it is then a
             division by what may be nothing (Fieller 1954). None for no items.
    """
    if not reached:
        return None
    leads = [teacher - base for teacher, base, _ in reached]
    gap = estimate(leads)
    if gap.low is None or gap.low <= 0:
        return TeacherGap(gap=gap, closed=None)
    return TeacherGap(gap=gap, closed=ratio([distilled - base for _, base, distilled in reached], leads))
