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

from mlx_distill.evaluate.choosing import (
    CLEAR_LOSS,
    EARLY,
    WHERE_CHOSEN,
    Change,
    change,
    gain,
    level,
    look_levels,
    look_sizes,
    order,
)
from mlx_distill.evaluate.selection import Ground, Tried
from mlx_distill.run.results.selection import Candidate
from mlx_distill.stats import inference as stats
from mlx_distill.stats.inference import loss_p

COUNTS = st.integers(0, 40)


def made(gained: int, lost: int, n: int) -> Change:
    pairs = [(False, True)] * gained + [(True, False)] * lost + [(True, True)] * (n - gained - lost)
    return change(pairs, WHERE_CHOSEN)


@given(COUNTS, COUNTS)
def test_a_loss_s_p_is_the_binomial_tail_with_half_of_its_edge(gained: int, lost: int) -> None:
    n = gained + lost
    tail = sum(math.comb(n, k) for k in range(lost + 1, n + 1)) + math.comb(n, lost) / 2
    assert loss_p(gained, lost) == pytest.approx(tail / 2**n if n else 1.0)


@every("benchmarks, items, error", itertools.product([1, 2, 3, 5, 8], [1, 2, 4], [0.05, 0.03, 0.01]))
def test_the_level_is_where_missed_and_then_shown_is_the_error_at_worst(
    benchmarks: int, items: int, error: float
) -> None:
    """The grid against the maximum found by searching."""
    z, fresh = norm.isf(level(benchmarks, items, error)), norm.isf(0.025 / max(1, benchmarks - 1))
    worst = minimize_scalar(
        lambda d: -norm.cdf(z - d * math.sqrt(items)) * norm.cdf(d - fresh), bounds=(0, 8), method="bounded"
    )
    assert -worst.fun == pytest.approx(error, abs=1e-4)


@every(
    "first, most, sizes",
    [(60, 240, [60, 120, 240]), (60, 1000, [60, 120, 240]), (60, 200, [60, 120, 200]), (60, 120, [60, 120]),
     (60, 80, [60, 80]), (60, 60, [60]), (54, 54, [54]), (0, 0, [0])],
)  # fmt: skip
def test_a_doubt_asks_twice_and_four_times_as_many_where_there_are(first: int, most: int, sizes: list[int]) -> None:
    assert look_sizes(first, most) == sizes
    levels = look_levels(sizes, 2)
    assert [one.loses for one in levels[:-1]] == [CLEAR_LOSS] * (len(sizes) - 1)
    assert levels[-1].loses == levels[-1].holds
    if first:
        last = level(2, sizes[-1] / first, 0.05 - EARLY * (len(sizes) - 1))
        assert levels[-1].holds == pytest.approx(last)


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


class Simulated:
    """One selection, whose candidates answer when they are asked. Full strength changes each benchmark by what is
    given, a weaker candidate by its share; `alike`: share of items on which candidates agree."""

    def __init__(self, draw: np.random.Generator, effects: list[float], n: int, alike: float) -> None:
        self.draw, self.alike, self.n = draw, alike, n
        self.effects = {f"benchmark {i}": effect for i, effect in enumerate(effects)}
        sizes = look_sizes(2 * n, 8 * n)
        self.choosing, self.confirming = ([f"{part}{i}" for i in range(k)] for part, k in (("c", n), ("f", sizes[-1])))
        self.shared = {name: draw.random(n) for name in self.effects}
        self.shared_further = {name: draw.random(sizes[-1]) for name in self.effects}
        self.grounds = [
            Ground(name, name, "own domain" if not i else "other", self.choosing, self.confirming, sizes)
            for i, name in enumerate(self.effects)
        ]

    def moved(self, name: str, strength: float, shared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(gained, lost), by item."""
        effect = self.effects[name] * strength
        moved = np.where(self.draw.random(len(shared)) < self.alike, shared, self.draw.random(len(shared)))
        return moved < (FLIPS + effect) / 2, moved > 1 - (FLIPS - effect) / 2

    def run(self) -> tuple[bool, bool]:
        """(a candidate was kept, a fresh set as large as the first confirming one shows it worse)."""
        answers = {c: {n: self.moved(n, c.strength, self.shared[n]) for n in self.effects} for c in CANDIDATES}
        tried = Tried(self.grounds, {}, {})
        changes = {c: {n: counted(*found) for n, found in by_name.items()} for c, by_name in answers.items()}
        for candidate in order(changes, tried.own):
            if self.holds(candidate):
                return True, self.worse_on_a_fresh_set(candidate)
        return False, False

    def holds(self, candidate: Candidate) -> bool:
        """By the walk of the product, over gains and losses that are written as what base and candidate passed."""
        base: dict[str, dict[str, bool]] = {}
        mine: dict[str, dict[str, bool]] = {}
        for name in self.effects:
            gained, lost = self.moved(name, candidate.strength, self.shared_further[name])
            base[name] = dict(zip(self.confirming, (~gained).tolist(), strict=True))
            mine[name] = dict(zip(self.confirming, (~lost).tolist(), strict=True))
        return Tried(self.grounds, base, {candidate: mine}).holds(candidate)

    def worse_on_a_fresh_set(self, candidate: Candidate) -> bool:
        found = [self.moved(name, candidate.strength, self.draw.random(2 * self.n)) for name in self.effects]
        again = [(int(gained.sum()), int(lost.sum())) for gained, lost in found]
        adjusted = stats.holm([mcnemar(*counts) for counts in again])
        return any(
            p is not None and p < 0.05 and lost > gained for (gained, lost), p in zip(again, adjusted, strict=True)
        )


def counted(gained: np.ndarray, lost: np.ndarray) -> Change:
    return made(int(gained.sum()), int(lost.sum()), len(gained))


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
    found = [Simulated(draw, [own, *others], 30, alike).run() for _ in range(TIMES)]
    assert sum(worse for _, worse in found) <= 25


@pytest.mark.long
@pytest.mark.parametrize("alike", [0.0, 0.8])
@pytest.mark.parametrize("others", [0, 1, 2, 4, 7])
def test_a_candidate_that_gains_twenty_points_and_loses_nothing_is_kept_nine_times_of_ten(
    others: int, alike: float
) -> None:
    draw = np.random.default_rng(2)
    found = [Simulated(draw, [0.2] + [0.0] * others, 30, alike).run() for _ in range(200)]
    assert sum(kept for kept, _ in found) >= 180
