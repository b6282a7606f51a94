import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_distill import stats
from mlx_distill.records import Estimate


def test_intervals_cover_the_true_mean_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(0)
    samples = [stats.estimate(list(random.normal(3, 1, 30))) for _ in range(200)]
    covered = sum(e.low <= 3 <= e.high for e in samples if e.low is not None and e.high is not None)
    assert 0.88 <= covered / 200 <= 0.99


def test_few_values_have_a_mean_but_no_interval() -> None:
    assert stats.estimate([1.0, 3.0]) == Estimate(2.0, 2)
    with pytest.raises(ValueError, match="at least one"):
        stats.estimate([])


def test_a_ratio_weighs_by_counts() -> None:
    assert stats.ratio([10.0, 1.0], [10, 10]).mean == pytest.approx(0.55)


def test_the_permutation_test_is_exact_for_few_prompts() -> None:
    assert stats.paired_p([1.0] * 6) == pytest.approx(2 / 64)
    assert stats.paired_p([0.0] * 10) == 1.0


def test_four_prompts_can_never_be_significant() -> None:
    assert stats.paired_p([9.0] * 4) is None
    assert stats.verdict(stats.estimate([9.0] * 4), None) == "too few prompts to tell"


def test_without_a_difference_few_runs_show_one_and_with_one_nearly_all_do() -> None:
    random = np.random.default_rng(1)
    false = sum((stats.paired_p(list(random.normal(0, 1, 20))) or 1) < 0.05 for _ in range(200))
    found = sum((stats.paired_p(list(random.normal(1, 1, 30))) or 1) < 0.05 for _ in range(50))
    assert false <= 18
    assert found >= 45


@given(st.lists(st.none() | st.floats(0, 1), max_size=8))
def test_holm_agrees_with_its_definition(p_values: list[float | None]) -> None:
    known = sorted(p for p in p_values if p is not None)
    for p, adjusted in zip(p_values, stats.holm(p_values), strict=True):
        if p is None:
            assert adjusted is None
            continue
        rank = known.index(p) + known.count(p) - 1
        expected = max(min(1.0, (len(known) - i) * known[i]) for i in range(rank + 1))
        assert adjusted == pytest.approx(expected)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["better", "no difference shown"], "better"),
        (["worse", "no difference shown"], "worse"),
        (["better", "worse"], "mixed"),
        (["no difference shown"], "no difference shown"),
        (["too few prompts to tell"], "too few prompts to tell"),
        ([], "too few prompts to tell"),
    ],
)
def test_a_run_has_one_verdict(words: list[str], expected: str) -> None:
    assert stats.overall(words) == expected


def test_a_verdict_follows_the_sign() -> None:
    assert stats.verdict(Estimate(1.0, 9, 0.5, 1.5), 0.01) == "better"
    assert stats.verdict(Estimate(-1.0, 9, -1.5, -0.5), 0.01) == "worse"
    assert stats.verdict(Estimate(-1.0, 9, -2.0, 0.5), 0.2) == "no difference shown"
