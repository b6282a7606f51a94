"""The share of the teacher gap that was closed: the ratio of two means, drawn together, and where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from tables import every

from mlx_distill.stats.gap import teacher_gap

Reached = list[tuple[float, float, float]]


def reached(n: int, lead: float, share: float, seed: int = 0) -> Reached:
    """Teacher, base and distilled scatter about a level that each prompt has for all three."""
    random = np.random.default_rng(seed)
    levels, noise = random.normal(5, 2, n), random.normal(0, 1, (n, 3))
    return [(a + lead + x, a + y, a + share * lead + z) for a, (x, y, z) in zip(levels, noise, strict=True)]


def test_it_is_the_ratio_of_means_with_the_interval_of_a_naive_bootstrap() -> None:
    rows = reached(40, 3, 0.5)
    gap = teacher_gap(rows)
    assert gap
    assert gap.closed
    values, random = np.array(rows), np.random.default_rng(7)
    teacher, base, distilled = values[random.integers(40, size=(4000, 40))].mean(axis=1).T
    low, high = np.quantile((distilled - base) / (teacher - base), [0.025, 0.975])
    assert gap.closed.mean == pytest.approx((values[:, 2] - values[:, 1]).mean() / (values[:, 0] - values[:, 1]).mean())
    assert gap.closed.interval == pytest.approx((low, high), abs=0.03)
    assert gap.gap.mean == pytest.approx((values[:, 0] - values[:, 1]).mean())


@every(
    "rows, why",
    [
        (reached(40, 0, 0), "the teacher is no better"),
        (reached(40, -3, 0.5), "the teacher is worse"),
        (reached(4, 3, 0.5), "too few for an interval"),
        ([(1.0, 1.0, 0.0)] * 20, "nothing is ahead of nothing"),
    ],
)
def test_where_the_lead_is_not_shown_there_is_no_share_of_it(rows: Reached, why: str) -> None:
    gap = teacher_gap(rows)
    assert gap is not None, why
    assert gap.closed is None, why


def test_without_a_teacher_there_is_no_gap() -> None:
    assert teacher_gap([]) is None


def test_all_none_and_more_than_the_lead_can_be_closed_and_lost() -> None:
    shares = [teacher_gap(reached(200, 4, share)) for share in (-1, 0, 1, 1.5)]
    assert [round(gap.closed.mean) for gap in shares[:3] if gap and gap.closed] == [-1, 0, 1]
    assert shares[3]
    assert shares[3].closed
    assert shares[3].closed.mean > 1.3


@pytest.mark.long
def test_the_interval_holds_the_true_share_nineteen_times_of_twenty() -> None:
    """Of 28 prompts, as many as the demo has, and a lead of two of ten points."""
    gaps = [teacher_gap(reached(28, 2, 0.4, seed)) for seed in range(400)]
    intervals = [gap.closed.interval for gap in gaps if gap and gap.closed]
    assert len(intervals) > 390
    assert sum(low <= 0.4 <= high for low, high in filter(None, intervals)) / len(intervals) >= 0.92
