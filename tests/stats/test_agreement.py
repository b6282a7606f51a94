import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_distill.stats import agreement
from mlx_distill.stats.agreement import Rating

_ = None
PUBLISHED: list[list[float | None]] = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
    [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
]
"""Four observers, twelve units: the worked example of Krippendorff 2011, Computing Krippendorff's Alpha-Reliability."""


@pytest.mark.parametrize(("ordered", "published"), [(False, 0.743), (True, 0.849)])
def test_alpha_is_that_of_the_published_example(ordered: bool, published: float) -> None:
    found = agreement.alpha([[list(unit)] for unit in zip(*PUBLISHED, strict=True)], ordered=ordered)
    assert found is not None
    assert found.mean == pytest.approx(published, abs=5e-4)
    assert found.n == 11


def test_kappa_is_that_of_a_worked_example() -> None:
    """20 both yes, 15 both no, 5 and 10 apart: 0.7 observed, 0.5 by chance."""
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    found = agreement.kappa(pairs)
    assert found is not None
    assert found.mean == pytest.approx(0.4)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.4 < found.high


def test_judges_who_always_agree_have_one_and_who_guess_have_none() -> None:
    random = np.random.default_rng(0)
    words = [str(word) for word in random.integers(0, 3, 300)]
    others = [str(word) for word in random.integers(0, 3, 300)]
    same, guessed = (
        agreement.kappa(list(zip(words, words, strict=True))),
        agreement.kappa(list(zip(words, others, strict=True))),
    )
    assert same is not None
    assert guessed is not None
    assert same.mean == 1.0
    assert abs(guessed.mean) < 0.12


@given(st.lists(st.lists(st.none() | st.sampled_from([1.0, 2.0, 5.0]), min_size=2, max_size=3), max_size=8))
def test_alpha_agrees_with_its_definition(units: list[list[Rating]]) -> None:
    """Over all pairs of ratings, one by one."""
    known = [[float(r) for r in unit if r is not None] for unit in units]
    known = [unit for unit in known if len(unit) > 1]
    pooled = [rating for unit in known for rating in unit]
    found = agreement.alpha([[unit] for unit in units], ordered=True)
    if len(set(pooled)) < 2:
        assert found is None
        return
    within = sum((a - b) ** 2 / (len(unit) - 1) for unit in known for a in unit for b in unit) / len(pooled)
    between = sum((a - b) ** 2 for a in pooled for b in pooled) / (len(pooled) * (len(pooled) - 1))
    assert found is not None
    assert found.mean == pytest.approx(1 - within / between)


def test_where_nobody_met_or_nothing_differed_there_is_no_agreement_to_measure() -> None:
    assert agreement.kappa([("a", None), (None, "b")]) is None
    assert agreement.kappa([("a", "a")] * 9) is None
    assert agreement.alpha([[["a", None]], [[None, "b"]]], ordered=False) is None


def test_the_answers_of_a_prompt_are_resampled_together() -> None:
    """Ten answers to each prompt that agree or not as one are no more evidence than one answer to it."""
    random = np.random.default_rng(1)
    rows = [
        [[float(a), float(a if same else 1 - a)]]
        for a, same in zip(random.integers(0, 2, 30), random.random(30) < 0.8, strict=True)
    ]
    one, ten = agreement.alpha(rows, ordered=True), agreement.alpha([units * 10 for units in rows], ordered=True)
    assert one is not None
    assert ten is not None
    assert (ten.high or 0) - (ten.low or 0) == pytest.approx((one.high or 0) - (one.low or 0), rel=0.2)
