"""Which candidate is kept: the rule, and how often it keeps one that is worse."""

import functools
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import norm
from tables import every

from mlx_distill.evaluate.choosing import Change, change, gain, level, order
from mlx_distill.run.results.selection import Candidate
from mlx_distill.stats import inference as stats
from mlx_distill.stats.inference import loss_p

COUNTS = st.integers(0, 40)


def made(gained: int, lost: int, n: int, benchmarks: int = 2) -> Change:
    pairs = [(False, True)] * gained + [(True, False)] * lost + [(True, True)] * (n - gained - lost)
    return change(pairs, benchmarks)


@given(COUNTS, COUNTS)
def test_a_loss_s_p_is_the_binomial_tail_with_half_of_its_edge(gained: int, lost: int) -> None:
    n = gained + lost
    tail = sum(math.comb(n, k) for k in range(lost + 1, n + 1)) + math.comb(n, lost) / 2
    assert loss_p(gained, lost) == pytest.approx(tail / 2**n if n else 1.0)


@every("benchmarks", [1, 2, 3, 5, 8])
def test_the_level_is_where_missed_and_then_shown_is_five_percent_at_worst(benchmarks: int) -> None:
    """The closed form against the maximum found by searching."""
    z, fresh = norm.isf(level(benchmarks)), norm.isf(0.025 / max(1, benchmarks - 1))
    worst = minimize_scalar(lambda d: -norm.cdf(z - d) * norm.cdf(d - fresh), bounds=(0, 8), method="bounded")
    assert -worst.fun == pytest.approx(0.05, abs=1e-4)


def test_the_best_that_loses_nowhere_is_confirmed_first() -> None:
    found = {
        Candidate(10, 1.0): {"own": made(9, 0, 30), "other": made(0, 6, 30)},  # gains most, and loses
        Candidate(10, 0.5): {"own": made(6, 1, 30), "other": made(1, 1, 30)},
        Candidate(20, 0.5): {"own": made(4, 1, 30), "other": made(3, 0, 30)},
    }
    assert order(found, ["own"]) == [Candidate(10, 0.5)]
    assert order(found, ["other"]) == [Candidate(20, 0.5)]


def test_of_equals_the_weaker_then_the_earlier_is_first() -> None:
    same = {"own": made(5, 0, 20)}
    places = itertools.product((20, 10), (1.0, 0.5))
    assert order({Candidate(step, strength): same for step, strength in places}, ["own"]) == [Candidate(10, 0.5)]


def test_of_equals_the_one_that_drifted_less_is_before_the_earlier() -> None:
    same = {"own": made(5, 0, 20)}
    tried = {Candidate(step, 1.0): same for step in (10, 20, 30)}
    drift = {Candidate(10, 1.0): 0.3, Candidate(20, 1.0): 0.1}
    assert order(tried, ["own"], drift) == [Candidate(20, 1.0)]
    better = tried | {Candidate(30, 1.0): {"own": made(6, 0, 20)}}
    assert order(better, ["own"], drift | {Candidate(30, 1.0): 0.9}) == [Candidate(30, 1.0)]


def test_after_the_best_come_weaker_strengths_of_its_checkpoint_that_lose_nowhere_either() -> None:
    found = {
        Candidate(10, 1.0): {"own": made(9, 0, 30), "other": made(1, 1, 30)},
        Candidate(10, 0.75): {"own": made(7, 0, 30), "other": made(0, 6, 30)},
        Candidate(10, 0.5): {"own": made(5, 0, 30), "other": made(1, 1, 30)},
        Candidate(10, 0.25): {"own": made(1, 0, 30), "other": made(1, 0, 30)},
        Candidate(20, 0.5): {"own": made(8, 0, 30), "other": made(1, 0, 30)},
    }
    assert order(found, ["own"]) == [Candidate(10, 1.0), Candidate(10, 0.5), Candidate(10, 0.25)]


@every(
    "own",
    [
        pytest.param(made(0, 0, 30), id="nothing changed"),
        pytest.param(made(2, 2, 30), id="as much lost as gained"),
        pytest.param(made(0, 9, 30), id="worse"),
    ],
)
def test_without_a_gain_the_base_is_kept(own: Change) -> None:
    assert order({Candidate(1, 1.0): {"own": own, "other": made(9, 0, 30)}}, ["own"]) == []
    assert order({}, ["own"]) == []


def test_a_gain_weighs_items_not_benchmarks() -> None:
    found = {"a": made(10, 0, 10), "b": made(0, 5, 90)}
    assert gain(found, ["a", "b"]) == pytest.approx(0.05)


# ---------------------------------------------------------------- simulated selections

mcnemar = functools.cache(stats.mcnemar)
CANDIDATES = [Candidate(step, strength) for step in (1, 2, 3) for strength in (0.25, 0.5, 0.75, 1.0)]
TIMES, FLIPS = 500, 0.25


def simulate(draw: np.random.Generator, own: float, others: list[float], n: int, alike: float) -> tuple[bool, bool]:
    """(a candidate was kept, a fresh set as large as the confirming one shows it worse). Full strength changes each
    benchmark by what is given, a weaker candidate by its share; `alike`: share of items on which candidates agree."""
    effects = {"own": own, **{f"other {i}": effect for i, effect in enumerate(others)}}

    def counts(effect: float, size: int, shared: np.ndarray) -> tuple[int, int]:
        moved = np.where(draw.random(size) < alike, shared, draw.random(size))
        return int((moved < (FLIPS + effect) / 2).sum()), int((moved > 1 - (FLIPS - effect) / 2).sum())

    def changes(strength: float, size: int, shared: dict[str, np.ndarray]) -> dict[str, Change]:
        found = {}
        for name, effect in effects.items():
            gained, lost = counts(effect * strength, size, shared[name])
            p = loss_p(gained, lost)
            found[name] = Change(size, gained, lost, p, p < level(len(effects)))
        return found

    def fresh(size: int) -> dict[str, np.ndarray]:
        return {name: draw.random(size) for name in effects}

    shared, confirming = fresh(n), fresh(2 * n)
    found = {c: changes(c.strength, n, shared) for c in CANDIDATES}
    for candidate in order(found, ["own"]):
        if not any(one.loses for one in changes(candidate.strength, 2 * n, confirming).values()):
            again = changes(candidate.strength, 2 * n, fresh(2 * n)).values()
            adjusted = stats.holm([mcnemar(one.gained, one.lost) for one in again])
            shown = [p is not None and p < 0.05 and x.lost > x.gained for x, p in zip(again, adjusted, strict=True)]
            return True, any(shown)
    return False, False


@pytest.mark.long
@pytest.mark.parametrize("alike", [0.0, 0.8])
@pytest.mark.parametrize(
    ("own", "others"),
    [
        pytest.param(0.0, [0.0, 0.0], id="nothing changes"),
        pytest.param(-0.05, [-0.05], id="a little worse everywhere"),
        pytest.param(-0.15, [-0.15], id="much worse everywhere"),
        pytest.param(0.2, [-0.1], id="better at its own, worse elsewhere"),
        pytest.param(0.2, [-0.05, 0.0, 0.0], id="better at its own, a little worse elsewhere"),
        pytest.param(0.2, [-0.15, 0.0], id="better at its own, much worse elsewhere"),
        pytest.param(-0.06, [], id="its own alone, a little worse"),
    ],
)
def test_a_candidate_that_a_fresh_set_shows_worse_is_kept_five_times_of_a_hundred(
    own: float, others: list[float], alike: float
) -> None:
    draw = np.random.default_rng(1)
    found = [simulate(draw, own, others, 40, alike) for _ in range(TIMES)]
    assert sum(worse for _, worse in found) <= 25


def test_a_candidate_that_is_better_and_loses_nothing_is_kept_most_times() -> None:
    draw = np.random.default_rng(2)
    found = [simulate(draw, 0.2, [0.05], 40, 0.8) for _ in range(100)]
    assert sum(kept for kept, _ in found) >= 80
