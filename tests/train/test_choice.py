"""Which of several answers is trained on, and what it is decided by."""

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import every
from tiny import tiny
from training_data import conversations

from mlx_distill.models.students import Student
from mlx_distill.run.choices import CandidateAnswer, Source
from mlx_distill.run.config.collecting import CHOICE_RULES
from mlx_distill.train.choice.lengths import LONG, SMALL, long_answers
from mlx_distill.train.choice.rules import RULES, choose
from mlx_distill.train.choice.scoring import Base
from mlx_distill.train.encode import encode_all


def candidate(words: str) -> CandidateAnswer:
    """`teacher pass 0.5 20`: source, what the checks say (pass, fail, none), nats and tokens; or a problem instead."""
    source, marks, *numbers = words.split()
    sources: dict[str, Source] = {"teacher": "teacher", "own": "student"}
    if not numbers:
        return CandidateAnswer("p", sources[source], 0, None, None, None, None, problem=marks)
    passed = {"pass": True, "fail": False, "none": None}[marks]
    return CandidateAnswer("p", sources[source], 0, passed, float(numbers[0]), int(numbers[1]), None)


CHECKED = ("teacher fail .1 9", "teacher pass .8 30", "teacher pass .5 40", "own pass .4 50", "own pass .3 60")
UNABLE = ("teacher fail .1 9", "teacher pass .8 30", "teacher pass .5 40", "own fail .4 50", "own fail .3 60")
UNCHECKED = ("teacher none .9 20", "teacher none .7 30", "own none .1 5")
FAILED = ("teacher fail .9 20", "own fail .1 5")
CUT = ("teacher truncated", "teacher none .9 20", "teacher none .95 10")
PARTLY = ("teacher none .1 9", "teacher pass .8 30", "own none .1 9")


@every(
    "candidates, chosen",
    [
        (CHECKED, {"first": 0, "shortest": 1, "fit": 4, "own": 4}),
        (UNABLE, {"first": 0, "shortest": 1, "fit": 2, "own": None}),
        (UNCHECKED, {"first": 0, "shortest": 0, "fit": 1, "own": None}),
        (FAILED, {"first": 0, "shortest": None, "fit": None, "own": None}),
        (CUT, {"first": 1, "shortest": 2, "fit": 1, "own": None}),
        (PARTLY, {"first": 0, "shortest": 1, "fit": 1, "own": None}),
        (("teacher truncated",), {"first": None, "shortest": None, "fit": None, "own": None}),
        (("teacher none .5 9", "teacher none .5 9"), {"first": 0, "shortest": 0, "fit": 0, "own": None}),
    ],
)
def test_each_rule_chooses_as_documented(candidates: tuple[str, ...], chosen: dict[str, int | None]) -> None:
    assert {rule: choose(rule, [candidate(words) for words in candidates]) for rule in RULES} == chosen


def test_every_rule_that_can_be_named_is_there() -> None:
    assert set(CHOICE_RULES) == set(RULES)


SOME = st.builds(
    "{} {}".format,
    st.sampled_from(["teacher", "own"]),
    st.one_of(
        st.just("truncated"),
        st.builds("{} {} {}".format, st.sampled_from(["pass", "fail", "none"]), st.integers(1, 4), st.integers(1, 4)),
    ),
)


@given(st.lists(SOME, max_size=6), st.sampled_from(sorted(RULES)))
def test_no_candidate_would_have_been_better(words: list[str], rule: str) -> None:
    """The oracle looks at each candidate alone: may it be chosen, and does any other come before it?"""
    made = [candidate(text) for text in words]
    ran = [c.passed for c in made if not c.problem and c.passed is not None]

    def allowed(c: CandidateAnswer) -> bool:
        if c.problem or (c.source == "student" and (not ran or rule in ("first", "shortest"))):
            return False
        return c.passed is True if ran and rule != "first" else True

    def rank(place: int) -> tuple[float, ...]:
        c = made[place]
        keys = {"first": (0.0,), "shortest": (c.tokens or 0,), "fit": (c.source == "teacher", c.nats or 0)}
        return (*keys.get(rule, (c.nats or 0,)), place)

    ranked = sorted(
        (rank(place) for place, c in enumerate(made) if allowed(c) and (rule != "own" or c.source != "teacher"))
    )
    assert choose(rule, made) == (int(ranked[0][-1]) if ranked else None)


@pytest.fixture(scope="module", params=["random", pytest.param("SmolLM2", marks=pytest.mark.real)])
def student(request: pytest.FixtureRequest, smollm: Student) -> Student:
    return smollm if request.param == "SmolLM2" else tiny(smollm)


def test_nats_are_those_of_a_naive_pass_and_depend_on_nobody_else(student: Student) -> None:
    examples = encode_all(conversations(7, "item"), student, "Answer.", 4096).examples
    base, naive = Base(student), []
    for example in examples:
        logits = np.array(student.model(mx.array([example.tokens[:-1]]))[0].astype(mx.float32), dtype=np.float64)
        logits -= logits.max(axis=-1, keepdims=True)
        likely = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        ((start, stop),) = example.scored
        naive.append(-np.mean([likely[at - 1, example.tokens[at]] for at in range(start, stop)]))
    together = base.nats(examples)
    np.testing.assert_allclose([mean for mean, _ in together], naive, rtol=1e-4)
    assert [count for _, count in together] == [example.scored_count for example in examples]
    assert together == [base.nats([example])[0] for example in examples]
    assert together[::-1] == base.nats(examples[::-1])


@every(
    "parameters, lengths, own_data, words",
    [
        (SMALL, [LONG, LONG + 2, 9], False, ""),
        (SMALL, [LONG + 2, LONG + 2, 9], False, "has 1,502 tokens"),
        (SMALL, [LONG, LONG + 2], False, "--choose shortest"),
        (SMALL, [LONG, LONG + 2], True, "train on shorter ones"),
        (SMALL + 1, [9999], False, ""),
        (1, [], False, ""),
    ],
)
def test_long_answers_are_too_much_for_a_small_student(
    parameters: int, lengths: list[int], own_data: bool, words: str
) -> None:
    said = long_answers(parameters, lengths, own_data=own_data)
    assert (words in said[0]) if words else not said
