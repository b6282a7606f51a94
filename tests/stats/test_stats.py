import math
from itertools import product

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from tables import every

from mlx_distill.run.records import Estimate
from mlx_distill.stats import inference as stats


def test_intervals_cover_the_true_mean_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(0)
    for n in (6, 12, 30):
        samples = [stats.estimate(list(random.normal(3, 1, n))) for _ in range(300)]
        covered = sum(e.low <= 3 <= e.high for e in samples if e.low is not None and e.high is not None)
        assert 0.92 <= covered / 300 <= 0.985


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
    assert stats.verdict(9.0, 4, None, 1) == "too few prompts to tell"


@given(st.lists(st.integers(-10, 10), min_size=6, max_size=13))
def test_the_exact_test_is_every_combination_of_signs(values: list[int]) -> None:
    sums = [
        abs(sum(v * s for v, s in zip(values, signs, strict=True))) for signs in product((1, -1), repeat=len(values))
    ]
    assert stats.paired_p(values) == pytest.approx(sum(s >= abs(sum(values)) for s in sums) / len(sums))


@pytest.mark.parametrize("n", [9, 20, 40])
def test_the_permutation_test_is_that_of_scipy(n: int) -> None:
    random = np.random.default_rng(n)
    values = random.normal(0.4, 1, n).round(1)
    found = scipy.stats.permutation_test(
        (values, np.zeros(n)),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9999,
        rng=random,
    )
    assert stats.paired_p(list(values)) == pytest.approx(found.pvalue, abs=0.015)


@every("gained, lost, p", [(3, 7, 0.344), (1, 8, 0.039), (49, 3, 1e-10), (0, 0, 1.0), (4, 0, 0.125)])
def test_mcnemar_gives_the_published_values(gained: int, lost: int, p: float) -> None:
    assert stats.mcnemar(gained, lost) == pytest.approx(p, abs=5e-4)


@given(st.integers(0, 30), st.integers(0, 30))
def test_mcnemar_is_the_sign_test_of_what_changed(gained: int, lost: int) -> None:
    n, least = gained + lost, min(gained, lost)
    tail = sum(math.comb(n, k) for k in range(least + 1)) / 2**n
    assert stats.mcnemar(gained, lost) == pytest.approx(min(1.0, 2 * tail))


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


@every(
    "words, expected",
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
    assert stats.verdict(1.0, 9, 0.01, 1) == "better"
    assert stats.verdict(-1.0, 9, 0.01, 1) == "worse"
    assert stats.verdict(-1.0, 9, 0.2, 1) == "no difference shown"


def test_prompts_that_no_result_could_have_convinced_are_too_few() -> None:
    """Seven prompts that all move one way have p = 2/128: enough for one test, too few beside six others."""
    assert stats.verdict(1.0, 7, stats.paired_p([1.0] * 7), 1) == "better"
    assert stats.verdict(1.0, 7, 7 * 2 / 128, 7) == "too few prompts to tell"
    assert stats.verdict(1.0, 9, 0.5, 7) == "no difference shown"


# ---------------------------------------------------------------- what belongs together


def test_repeats_of_a_prompt_are_one_number() -> None:
    assert stats.by_prompt([("a", 1.0), ("b", 5.0), ("a", 3.0)]) == {"a": 2.0, "b": 5.0}


def test_an_interval_over_prompts_is_honest_where_one_over_answers_is_half_as_wide() -> None:
    """Four answers to a prompt that share its difficulty: resampled whole, the interval covers; singly, it does not."""
    random = np.random.default_rng(3)
    covered = {"prompts": 0, "answers": 0}
    widths = {"prompts": 0.0, "answers": 0.0}
    for _ in range(200):
        difficulty = random.normal(0, 1, 25)
        answers = difficulty[:, None] + random.normal(0, 0.1, (25, 4))
        rows = [(str(prompt), float(value)) for prompt in range(25) for value in answers[prompt]]
        found = {
            "prompts": stats.estimate(list(stats.by_prompt(rows).values())),
            "answers": stats.estimate([value for _, value in rows]),
        }
        for name, estimate in found.items():
            assert estimate.low is not None
            assert estimate.high is not None
            covered[name] += estimate.low <= 0 <= estimate.high
            widths[name] += estimate.high - estimate.low
    assert covered["prompts"] >= 184
    assert covered["answers"] <= 150
    assert widths["answers"] / widths["prompts"] == pytest.approx(0.5, abs=0.05)


# ---------------------------------------------------------------- what could have been shown


@pytest.mark.parametrize("tests", [1, 7])
def test_the_smallest_difference_is_found_four_times_of_five_also_beside_others(tests: int) -> None:
    """Among others that show nothing, the first p must pass at 5 % / tests."""
    random = np.random.default_rng(4)
    smallest = stats.smallest_difference(list(random.normal(0, 1, 30)), tests)
    assert smallest is not None
    found = sum((stats.paired_p(list(random.normal(smallest, 1, 30))) or 1) < 0.05 / tests for _ in range(400))
    assert 0.68 <= found / 400 <= 0.92


def test_prompts_that_never_differ_could_still_not_have_shown_everything() -> None:
    assert stats.smallest_difference([0.0] * 20) == pytest.approx(6 / 20)
    assert stats.smallest_difference([0.0] * 20, tests=7) == pytest.approx(9 / 20)
    assert stats.smallest_difference([1.0] * 5) is None
    assert stats.smallest_difference([1.0] * 8, tests=7) is None


@every("tests", range(1, 9))
def test_so_many_prompts_are_enough_as_the_smallest_p_needs(tests: int) -> None:
    least = next(k for k in range(2, 40) if 2.0 ** (1 - k) * tests < 0.05)
    assert stats.smallest_difference([0.0] * 30, tests) == pytest.approx(least / 30)


def test_what_was_shown_or_never_could_be_has_no_smallest_difference() -> None:
    shown, few, open_ = (stats.Measure(d, stats.paired_p(d), 10) for d in ([1.0] * 9, [1.0] * 4, [1.0, -1.0] * 9))
    rows = stats.decide_together([shown, few, open_])
    assert [row.verdict for row in rows] == ["better", "too few prompts to tell", "no difference shown"]
    assert [row.smallest is None for row in rows] == [True, True, False]
    assert stats.decide_together([stats.Measure([1.0, -1.0] * 9, 1.0, 0.5)])[0].smallest is None  # beyond its range


def passing(n: int, gained: float, lost: float, tests: int) -> float:
    """The exact chance that McNemar's test passes, for shares of items that gain and lose."""
    total = 0.0
    for changed in range(n + 1):
        weight = scipy.stats.binom.pmf(changed, n, gained + lost)
        if weight < 1e-9:
            continue
        up = np.arange(changed + 1)
        passes = np.array([stats.mcnemar(int(k), changed - int(k)) < 0.05 / tests for k in up])
        total += (
            weight * scipy.stats.binom.pmf(up, changed, gained / (gained + lost))[passes].sum()
            if weight > 1e-9
            else 0.0
        )
    return total


@every("n, gained, lost, tests", [(20, 3, 0, 1), (20, 4, 1, 6), (28, 5, 3, 1), (30, 5, 0, 1), (40, 9, 4, 6)])
def test_so_many_items_would_show_four_times_of_five_what_was_seen(n: int, gained: int, lost: int, tests: int) -> None:
    needed = stats.needed_prompts([1.0] * gained + [-1.0] * lost + [0.0] * (n - gained - lost), tests)
    assert needed
    assert 0.73 <= passing(needed, gained / n, lost / n, tests) <= 0.91


@every("tests", [1, 6])
def test_so_many_scores_would_show_four_times_of_five_what_was_seen(tests: int) -> None:
    """Against the t-test's exact power, which is Student's noncentral distribution."""
    values = np.random.default_rng(6).normal(0, 1, 30)
    values = 0.3 + (values - values.mean()) / values.std(ddof=1)
    needed = stats.needed_prompts(list(values), tests)
    assert needed
    critical = scipy.stats.t.ppf(1 - 0.025 / tests, needed - 1)
    assert scipy.stats.nct.sf(critical, needed - 1, 0.3 * needed**0.5) == pytest.approx(0.8, abs=0.005)


def test_no_number_shows_what_is_next_to_nothing_and_a_larger_difference_takes_fewer() -> None:
    assert stats.needed_prompts([1.0, -1.0] * 10) is None
    assert stats.needed_prompts([1.0, -1.0] * 500 + [0.5]) is None
    assert stats.needed_prompts([1.0] * 5) is None  # of five nothing is known
    needed = [stats.needed_prompts([1.0] * gained + [0.0] * (40 - gained)) for gained in (1, 3, 5)]
    assert needed == sorted(filter(None, needed), reverse=True)


@given(st.lists(st.integers(-3, 3), min_size=6, max_size=60), st.integers(1, 7))
def test_it_is_where_the_detectable_difference_comes_down_to_the_one_seen(values: list[int], tests: int) -> None:
    """Of as many as are needed, whose spread is the same, it could have been detected."""
    needed, seen = stats.needed_prompts(values, tests), abs(sum(values) / len(values))
    smallest = stats.smallest_difference(values, tests)
    if smallest is not None and needed is not None:
        assert (needed <= len(values)) == (smallest <= seen)


def test_a_difference_of_style_alone_vanishes_at_equal_style_and_one_of_substance_stays() -> None:
    random = np.random.default_rng(5)
    styles = random.normal(0.5, 0.5, (60, 2))
    bought = 2.0 * styles[:, 0] + random.normal(0, 0.3, 60)
    earned = bought + 1.0
    style, substance = (stats.at_equal_style(list(values), styles.tolist()) for values in (bought, earned))
    assert style is not None
    assert substance is not None
    assert style.low is not None
    assert style.high is not None
    assert style.low <= 0 <= style.high
    assert stats.estimate(list(bought)).low > 0.5  # type: ignore[operator]
    assert substance.mean == pytest.approx(1.0, abs=0.3)
    assert stats.at_equal_style([1.0] * 19, [[0.0, 0.0]] * 19) is None


# ---------------------------------------------------------------- a whole run's verdict


def scorecard(random: np.random.Generator, effect: float, prompts: int = 30) -> list[stats.Measure]:
    """Preference, five dimensions and checks, correlated as a judge's are, in whole points."""
    shared = random.normal(0, 1, prompts)
    rows = []
    for _ in range(6):
        found = list(np.round(2 * (effect + 0.7 * shared + 0.714 * random.normal(0, 1, prompts))))
        rows.append(stats.Measure(found, stats.paired_p(found), 10))
    moved = random.random(prompts) < 0.3
    up = random.random(prompts) < 0.5 + effect / 4
    pairs = [(bool(m and not u), bool(m and u)) for m, u in zip(moved, up, strict=True)]
    return [*rows, stats.pass_fail(pairs)[1]]


def word(rows: list[stats.Measure]) -> str:
    return stats.overall([row.verdict for row in stats.decide_together(rows)])


@pytest.mark.long
def test_without_a_difference_at_most_one_run_in_twenty_shows_one() -> None:
    random = np.random.default_rng(6)
    words = [word(scorecard(random, 0.0)) for _ in range(1000)]
    assert set(words) <= {"better", "worse", "mixed", "no difference shown"}
    assert sum(word != "no difference shown" for word in words) <= 50


@pytest.mark.long
def test_a_difference_of_one_standard_deviation_is_found_nine_times_of_ten() -> None:
    random = np.random.default_rng(7)
    assert sum(word(scorecard(random, 1.0)) == "better" for _ in range(200)) >= 180
    assert sum(word(scorecard(random, -1.0)) == "worse" for _ in range(200)) >= 180
