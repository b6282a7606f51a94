"""results["selection"]: what candidates passed, which is kept, and the words for it."""

from __future__ import annotations

import pytest
from tables import every
from typed import as_dict

from mlx_distill.evaluate.choosing import LOSS_WHERE_CHOSEN
from mlx_distill.evaluate.selection import Ground, Passed, Tried, selection_part
from mlx_distill.run.results.selection import Candidate

N, MORE = 30, 60
CHOOSING, CONFIRMING = [f"c{i}" for i in range(N)], [f"f{i}" for i in range(MORE)]
OWN = Ground("own", "Own", "own domain", CHOOSING, CONFIRMING, [MORE])
OTHER = Ground("other", "Other", "mathematics", CHOOSING, CONFIRMING, [MORE])
BEST, WILD = Candidate(20, 0.5), Candidate(20, 1.0)


def passed(own: int, other: int, more_own: int | None = None, more_other: int = 30) -> Passed:
    """So many of the items that choose; and of those that confirm, where these were answered."""

    def first(ids: object, right: int) -> dict[str, bool]:
        return {name: place < right for place, name in enumerate(ids)}  # type: ignore[arg-type]

    found = {"own": first(OWN.choosing, own), "other": first(OTHER.choosing, other)}
    if more_own is not None:
        found["own"] |= first(OWN.confirming, more_own)
        found["other"] |= first(OTHER.confirming, more_other)
    return found


def tried(best: Passed, wild: Passed) -> Tried:
    return Tried([OWN, OTHER], passed(10, 15, 20), {BEST: best, WILD: wild, Candidate(10, 1.0): passed(12, 15)})


def test_what_gains_most_and_loses_nowhere_is_kept() -> None:
    part = as_dict(selection_part(tried(passed(16, 15, 32), passed(25, 5)), 90, 20))
    assert part["chosen"] == part["first"] == {"step": 20, "strength": 0.5}
    assert (part["items"], part["steps"], part["strengths"]) == (90, [10, 20], [0.5, 1.0])
    assert part["level"] == LOSS_WHERE_CHOSEN
    assert [row["loses"] for row in part["candidates"]] == [[], [], ["Other"]]
    best = part["candidates"][1]
    assert (best["gain"]["mean"], best["gain"]["n"]) == (pytest.approx(0.2), N)
    assert best["elsewhere"]["mean"] == 0
    assert [(row["score"]["mean"], row["gained"], row["lost"]) for row in best["scores"]] == [
        (pytest.approx(16 / 30), 6, 0),
        (0.5, 0, 0),
    ]
    assert [(row["name"], row["difference"]["n"], row["loses"]) for row in part["confirmation"]] == [
        ("own", MORE, False),
        ("other", MORE, False),
    ]
    assert part["words"] == (
        "step 20 at strength 0.5 gains most in the own domain (+20.0 points, n = 30) of the 2 of 3 candidates that "
        "lose nowhere, and loses nowhere on 120 further items"
    )


def test_what_is_not_confirmed_is_not_kept() -> None:
    part = as_dict(selection_part(tried(passed(16, 15, 32, more_other=20), passed(25, 5)), 90, 20))
    assert (part["first"], part["chosen"]) == ({"step": 20, "strength": 0.5}, None)
    assert part["refused"] == [{"step": 20, "strength": 0.5}]
    assert part["words"] == (
        "step 20 at strength 0.5 gained most in the own domain where it was chosen (+20.0 points, n = 30), but loses "
        "on Other (-16.7 points, n = 60) where that was to be confirmed"
    )


def test_a_weaker_adapter_is_kept_where_the_best_does_not_hold() -> None:
    weaker = Candidate(20, 0.25)
    found = tried(passed(16, 15, 32, more_other=20), passed(25, 5))
    part = as_dict(
        selection_part(Tried(found.grounds, found.base, {**found.candidates, weaker: passed(13, 15, 26)}), 90, 20)
    )
    assert part["chosen"] == part["first"] == {"step": 20, "strength": 0.25}
    assert part["refused"] == [{"step": 20, "strength": 0.5}]
    assert not any(row["loses"] for row in part["confirmation"])
    assert part["words"] == (
        "step 20 at strength 0.25 gains in the own domain (+10.0 points, n = 30) and loses nowhere on 120 further "
        "items; step 20 at strength 0.5 gained most in the own domain where it was chosen (+20.0 points, n = 30), but "
        "loses on Other (-16.7 points, n = 60) where that was to be confirmed"
    )


def test_where_no_strength_holds_the_base_is_kept() -> None:
    weaker = Candidate(20, 0.25)
    found = tried(passed(16, 15, 32, more_other=20), passed(25, 5))
    candidates = {**found.candidates, weaker: passed(13, 15, 26, more_other=22)}
    part = as_dict(selection_part(Tried(found.grounds, found.base, candidates), 90, 20))
    assert (part["chosen"], part["first"]) == (None, {"step": 20, "strength": 0.5})
    assert [one["strength"] for one in part["refused"]] == [0.5, 0.25]
    assert part["words"].endswith("where that was to be confirmed; so does it at strength 0.25")


def test_where_none_gains_without_losing_the_base_is_kept_and_what_would_have_been_is_said() -> None:
    found = Tried([OWN, OTHER], passed(10, 15, 20), {WILD: passed(25, 5), Candidate(10, 1.0): passed(9, 15)})
    part = as_dict(selection_part(found, 90, 20))
    assert (part["first"], part["chosen"], part["confirmation"]) == (None, None, [])
    assert part["words"] == (
        "none of 2 candidates gains in the own domain and loses nowhere; step 20 at strength 1, which has the lowest "
        "held-out loss, changes the own domain by +50.0 points, n = 30, and loses on Other"
    )


def test_what_could_not_be_scored_is_in_no_pair() -> None:
    base, mine = passed(10, 15, 20), passed(16, 15, 32)
    part = as_dict(
        selection_part(
            Tried([OWN, OTHER], {**base, "own": {}}, {BEST: mine}),
            90,
            20,
        )
    )
    assert part["benchmarks"][0]["base"] is None
    assert (part["candidates"][0]["gain"], part["candidates"][0]["scores"][0]["difference"]) == (None, None)
    assert part["chosen"] is None


def test_elsewhere_is_nothing_where_only_the_own_domain_was_asked() -> None:
    part = as_dict(selection_part(Tried([OWN], passed(10, 15, 20), {BEST: passed(16, 15, 32)}), 90, 20))
    assert part["candidates"][0]["elsewhere"] is None
    assert part["chosen"]


# ---------------------------------------------------------------- a doubt asks more

LONG = [f"f{i}" for i in range(240)]
DOUBTED = [Ground(name, name, domain, CHOOSING, LONG, [60, 120, 240]) for name, domain in
           (("own", "own domain"), ("other", "mathematics"))]  # fmt: skip


def doubted(*lost: tuple[int, int]) -> Tried:
    """The other benchmark's (gained, lost) of the items that each look adds; where it ends, no more was answered."""
    base: dict[str, dict[str, bool]] = {"own": dict.fromkeys([*CHOOSING, *LONG[:60]], False), "other": {}}
    mine: dict[str, dict[str, bool]] = {"own": dict.fromkeys([*CHOOSING, *LONG[:60]], True), "other": {}}
    base["other"] = dict.fromkeys(CHOOSING, True)
    mine["other"] = dict.fromkeys(CHOOSING, True)
    for (gains, losses), (start, stop) in zip(lost, ((0, 60), (60, 120), (120, 240)), strict=False):
        for place, item in enumerate(LONG[start:stop]):
            base["other"][item] = place >= gains
            mine["other"][item] = not gains <= place < gains + losses
    return Tried(DOUBTED, base, {BEST: mine})


@every(
    "looks, n, outcome",
    [
        ([(6, 2)], 60, "holds"),  # nothing speaks for a loss
        ([(0, 9)], 60, "loses"),  # a clear loss
        ([(3, 5)], 60, "in doubt"),
        ([(3, 5), (9, 2)], 120, "holds"),
        ([(3, 5), (0, 9)], 120, "loses"),
        ([(3, 5), (4, 5)], 120, "in doubt"),
        ([(3, 5), (4, 5), (9, 9)], 240, "holds"),
        ([(3, 5), (4, 5), (6, 14)], 240, "loses"),
    ],
)
def test_more_items_are_asked_while_it_is_in_doubt_whether_a_candidate_loses(
    looks: list[tuple[int, int]], n: int, outcome: str
) -> None:
    seen = doubted(*looks).confirmation(BEST, len(looks))
    other = seen["other"]
    words = "loses" if other.loses else "in doubt" if other.in_doubt else "holds"
    assert (other.n, words) == (n, outcome)
    assert seen["own"].n == 60  # without a doubt it is not asked again


def test_a_suspected_loss_says_how_many_items_would_tell() -> None:
    part = selection_part(doubted((3, 5), (4, 5), (6, 14)), 90, 20)
    assert part.chosen is None
    (other,) = [row for row in part.confirmation if row.name == "other"]
    assert other.needed is not None
    assert other.needed > 240
    assert f"about {other.needed:,} items would show such a loss" in part.words
