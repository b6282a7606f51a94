"""Answers side by side: what counts as won, and what is said of the judges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import Made, made_run
from screen import shown
from typed import as_dict, typed

from mlx_distill.report.charts import CHARTS, drawing
from mlx_distill.report.look import Look
from mlx_distill.report.markdown import results_markdown
from mlx_distill.report.page import page
from mlx_distill.report.sections.numbers import numbers_of
from mlx_distill.run.records import Generation, Preference, Role
from mlx_distill.summarise import history, summarise
from mlx_distill.summarise.preferences import outcomes, preferences_part, prompt_values

PAIR: tuple[Role, Role] = ("distilled", "base")
FLIPPED: tuple[Role, Role] = ("base", "distilled")


def both(prompt: str, first: Any, second: Any, **more: Any) -> list[Preference]:
    """What one judge said in both orders."""
    judge = more.pop("judge", "j")
    return [Preference(prompt, *PAIR, judge, first, **more), Preference(prompt, *FLIPPED, judge, second, **more)]


def generations(prompts: Sequence[str], distilled: str = "long", base: str = "short") -> list[Generation]:
    return [
        Generation(prompt, role, text, 1, 1.0, "stop")
        for prompt in prompts
        for role, text in (("distilled", distilled), ("base", base))
    ]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (("distilled", "distilled"), 1.0),
        (("base", "base"), -1.0),
        (("distilled", "base"), 0.0),
        (("base", "distilled"), 0.0),
        (("distilled", "tie"), 0.0),
        (("tie", "tie"), 0.0),
        (("distilled", None), None),
        ((None, None), None),
    ],
)
def test_only_what_is_said_in_both_orders_counts(said: tuple[Any, Any], outcome: float | None) -> None:
    assert list(outcomes(both("p", *said), PAIR).values()) == [outcome]


def test_a_pair_of_which_one_order_is_missing_is_unscored_but_a_persons_one_vote_counts() -> None:
    alone = [Preference("p", *PAIR, "j", "distilled")]
    person = [Preference("p", *FLIPPED, "human: Ada", "distilled")]
    assert list(outcomes(alone, PAIR).values()) == [None]
    assert list(outcomes(person, PAIR).values()) == [1.0]


def test_a_judge_who_always_takes_the_first_answer_prefers_nobody_and_is_found_out() -> None:
    prompts = [f"p{i}" for i in range(12)]
    said = [p for name in prompts for p in both(name, "distilled", "base")]
    (entry,) = as_dict(preferences_part(said, generations(prompts)))
    assert entry["difference"]["mean"] == 0
    assert entry["share"]["mean"] == 0.5
    assert (entry["won"], entry["lost"], entry["tied"]) == (0, 0, 12)
    (judge,) = entry["judges"]
    assert judge["swap_consistency"]["mean"] == 0
    assert judge["first_slot"]["mean"] == 1
    assert judge["ties"] == 1


def test_a_steady_judge_is_consistent_and_takes_each_place_half_of_the_time() -> None:
    prompts = [f"p{i}" for i in range(12)]
    said = [p for name in prompts for p in both(name, "distilled", "distilled")]
    (entry,) = as_dict(preferences_part(said, generations(prompts)))
    (judge,) = entry["judges"]
    assert entry["share"]["mean"] == 1
    assert judge["swap_consistency"]["mean"] == 1
    assert judge["first_slot"]["mean"] == 0.5
    assert entry["length_ratio"]["mean"] == pytest.approx(4 / 5)


def test_equal_answers_say_nothing_of_a_judge() -> None:
    prompts = [f"p{i}" for i in range(6)]
    said = [p for name in prompts for p in both(name, "tie", "tie")]
    (entry,) = as_dict(preferences_part(said, generations(prompts, "same", "same")))
    (judge,) = entry["judges"]
    assert entry["n"] == 6
    assert judge["swap_consistency"] is None
    assert judge["first_slot"] is None


def test_repeats_that_contradict_each_other_are_counted() -> None:
    said = [
        *both("p", "distilled", "distilled", repeat=0),
        *both("p", "base", "base", repeat=1),
        *both("p", "distilled", "distilled", repeat=2),
    ]
    (entry,) = as_dict(preferences_part(said, generations(["p"])))
    assert entry["judges"][0]["repeat_agreement"]["mean"] == pytest.approx(1 / 3)
    assert entry["difference"]["mean"] == pytest.approx(1 / 3)
    assert (entry["won"], entry["n"]) == (1, 1)


def test_every_judge_weighs_the_same_however_often_it_was_asked() -> None:
    said = [
        *both("p", "distilled", "distilled", judge="once"),
        *(p for repeat in range(3) for p in both("p", "base", "base", judge="thrice", repeat=repeat)),
    ]
    assert prompt_values(outcomes(said, PAIR)) == {"p": 0.0}


def test_judges_who_say_the_same_agree_and_who_say_the_opposite_do_not() -> None:
    prompts = [f"p{i}" for i in range(10)]
    words: list[Role] = ["distilled", "base"] * 5
    said = []
    for name, word in zip(prompts, words, strict=True):
        other: Role = "base" if word == "distilled" else "distilled"
        said += both(name, word, word, judge="a") + both(name, word, word, judge="b")
        said += both(name, other, other, judge="c")
    (entry,) = as_dict(preferences_part(said, generations(prompts)))
    kappas = {tuple(row["judges"]): row["kappa"]["mean"] for row in entry["agreement"]["kappa"]}
    assert kappas["a", "b"] == 1
    assert kappas["a", "c"] == -1
    assert entry["agreement"]["alpha"]["mean"] < 0.5


def test_unscored_pairs_are_counted_and_left_out() -> None:
    said = both("p", "distilled", "distilled") + both("q", None, "distilled")
    (entry,) = as_dict(preferences_part(said, generations(["p", "q"])))
    assert (entry["n"], entry["unscored"], entry["questions"]) == (1, 1, 4)
    assert entry["difference"]["mean"] == 1


def test_when_nothing_could_be_scored_there_is_no_number() -> None:
    (entry,) = as_dict(preferences_part(both("p", None, None), generations(["p"])))
    assert entry["n"] == 0
    assert entry["difference"] is None
    assert entry["share"] is None


# ---------------------------------------------------------------- what is compared with what


@pytest.fixture
def taught(tmp_path: Path) -> dict[str, Any]:
    """A run whose distilled model was held against the teacher alone."""
    run, config = made_run(tmp_path / "run", Made(prompts=24, against_teacher=True))
    kept = [p for p in run.read("preferences.jsonl", Preference) if {p.first, p.second} == {"distilled", "teacher"}]
    run.write_records("preferences.jsonl", kept)
    found: dict[str, Any] = as_dict(summarise(run, config))
    return found


def test_a_pair_with_the_teacher_is_never_taken_for_the_one_that_is_tested(taught: dict[str, Any]) -> None:
    results = typed(taught)
    comparison = results.comparison
    assert comparison
    assert [entry.pair for entry in comparison.preferences] == [("distilled", "teacher")]
    assert comparison.primary is None
    assert "Preference" not in [row.name for row in comparison.measures]
    assert history.summary(results).preference is None
    assert results.comparison.preferences[0].verdict == ""


def test_every_report_of_such_a_run_is_whole_and_says_whom_it_was_held_against(taught: dict[str, Any]) -> None:
    results = typed(taught)
    text = results_markdown(results, [], Path("visuals"))
    assert "distilled against teacher" in text
    assert "Distilled preferred to teacher" not in page(results).split('id="scorecard"')[0]
    assert numbers_of("judge_agreement", results)[1] is None
    assert "Preference" not in [row[0] for row in numbers_of("model_scorecard", results)[1].rows]
    assert "Distilled preferred to teacher" in shown(taught)
    drawn = [name for name in CHARTS if drawing(name, results, Look(size=(320, 320)))]
    assert {"model_scorecard", "answer_lengths"} <= set(drawn)


WORDS = st.sampled_from(["distilled", "base", "tie", None])


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=20))
def test_turning_the_pair_round_turns_the_sign_of_everything(said: list[tuple[Any, Any]]) -> None:
    found = [p for index, words in enumerate(said) for p in both(f"p{index}", *words)]
    there, back = prompt_values(outcomes(found, PAIR)), prompt_values(outcomes(found, FLIPPED))
    assert there == {name: -value for name, value in back.items()}
