import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from judging import CONFIG, MODEL, PROMPT, RUBRIC, USD, answer, questions, said, scores
from messages_api import MessagesServer, message

from mlx_distill.evaluate.judges import MEASURED, count_questions, judge_alone, judge_pairs
from mlx_distill.evaluate.judges import questions as judge
from mlx_distill.run.config import ComparisonConfig
from mlx_distill.run.errors import TeacherError
from mlx_distill.run.records import Generation, Judgment

Serve = Callable[..., MessagesServer]


def judgments(path: Path, wanted: Sequence[Generation], config: ComparisonConfig = CONFIG) -> Any:
    found: list[Judgment] = said(path, lambda model, ask: judge_alone([PROMPT], wanted, model, config, ask, RUBRIC))
    return sorted(found, key=lambda judgment: (judgment.role, judgment.sample, judgment.repeat))


def test_scores_come_as_structured_output_without_sampling_parameters(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda _: message(scores()))
    base, distilled = judgments(tmp_path / "ledger", [answer("base", "a"), answer("distilled", "b")])
    assert base.scores == dict.fromkeys(MEASURED, 7.0)
    assert base.judge == distilled.judge == MODEL
    assert "seen Documentation" in base.reason
    assert base.usd == pytest.approx(USD)
    for sent in server.asked:
        assert not {"temperature", "top_p", "top_k"} & set(sent)
        schema = sent["output_config"]["format"]["schema"]
        assert schema["required"] == list(MEASURED)
        assert list(schema["properties"]["Documentation"]["properties"]) == ["reason", "score"]


def test_the_judge_is_not_told_whose_answer_it_is(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda _: message(scores()))
    told = [answer("base", "I'm Qwen. `a`"), answer("distilled", "As Claude, I say `b`."), answer("teacher", "c")]
    judgments(tmp_path / "ledger", told)
    assert len(server.asked) == 3
    for sent in server.asked:
        text = json.dumps(sent["messages"])
        assert not any(word in text for word in ("distilled", "base", "teacher", "Claude", "Qwen"))


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (message("no json"), "not the asked JSON"),
        (message(f"Here it is: {scores()}"), "not the asked JSON"),
        (message("[]"), "not the asked JSON"),
        (message("[" * 2000), "not the asked JSON"),
        (message(scores(11)), "outside of 0-10"),
        (message(scores(True)), "outside of 0-10"),
        (message(scores(7.5)), "outside of 0-10"),
        (message(scores(), stop_reason="max_tokens"), "stopped with max_tokens"),
        (message("", stop_reason="refusal"), "stopped with refusal"),
    ],
)
def test_what_cannot_be_scored_is_asked_once_more_then_unscored_never_zero(
    serve: Serve, tmp_path: Path, reply: Any, problem: str
) -> None:
    server = serve(lambda _: reply)
    (judgment,) = judgments(tmp_path / "ledger", [answer("base", "a")])
    assert judgment.scores is None
    assert problem in judgment.problem
    assert len(server.asked) == 2
    assert judgment.usd == pytest.approx(len(server.asked) * USD)


def many(count: int) -> list[Generation]:
    return [answer("base", f"answer {number}", sample=number) for number in range(count)]


@pytest.mark.parametrize(
    ("reply", "advice"),
    [(message("no json"), "JSON of a given schema"), (message(scores(), stop_reason="max_tokens"), "judge_max_tokens")],
)
def test_a_judge_that_is_never_readable_is_given_up_after_a_handful(
    serve: Serve, tmp_path: Path, reply: Any, advice: str
) -> None:
    server = serve(lambda _: reply)
    for _ in range(2):
        with pytest.raises(TeacherError, match=advice):
            judgments(tmp_path / "ledger", many(50))
    assert len(server.asked) <= 2 * (judge.HANDFUL + 2)
    server.answer = lambda _: message(scores())  # mended: what was said before stays unscored only until asked again
    assert all(judgment.scores for judgment in judgments(tmp_path / "ledger", many(50)))


@pytest.mark.parametrize("good", [1, 4])
def test_one_readable_reply_is_enough_to_go_on(serve: Serve, tmp_path: Path, good: int) -> None:
    turn = itertools.count(1)
    server = serve(lambda _: message(scores() if next(turn) == good else "garbled"))
    found = judgments(tmp_path / "ledger", many(12))
    assert sum(judgment.scores is not None for judgment in found) == 1
    assert len(server.asked) == 12 + 11


def test_refusals_are_about_the_questions(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda _: message("", stop_reason="refusal"))
    assert {judgment.problem for judgment in judgments(tmp_path / "ledger", many(9))} == {
        "the judge stopped with refusal"
    }
    assert len(server.asked) == 18


def test_a_second_attempt_can_succeed_and_equal_answers_are_asked_once(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda _: message(scores() if len(server.asked) > 1 else "garbled"))
    found = judgments(tmp_path / "ledger", [answer("base", "same"), answer("distilled", "same")])
    assert [judgment.scores is not None for judgment in found] == [True, True]
    assert len(server.asked) == 2
    assert sum(judgment.usd or 0 for judgment in found) == pytest.approx(2 * USD)


def test_every_repeat_and_attempt_is_a_question_of_its_own_and_is_paid_for_once(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda _: message("garbled"))
    config = ComparisonConfig(repeats=3)
    found = judgments(tmp_path / "ledger", [answer("base", "a")], config)
    assert [(judgment.repeat, judgment.problem != "") for judgment in found] == [(0, True), (1, True), (2, True)]
    assert len(server.asked) == 3 * judge.ATTEMPTS
    judgments(tmp_path / "ledger", [answer("base", "a")], config)
    assert len(server.asked) == 3 * judge.ATTEMPTS


def test_a_first_look_stays_paid_for_when_repeats_are_added(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda _: message(scores()))
    judgments(tmp_path / "ledger", [answer("base", "a")])
    judgments(tmp_path / "ledger", [answer("base", "a")], ComparisonConfig(repeats=3))
    assert len(server.asked) == 3


def test_samples_are_judged_each(serve: Serve, tmp_path: Path) -> None:
    serve(lambda _: message(scores()))
    found = judgments(tmp_path / "ledger", [answer("base", f"a{sample}", sample) for sample in range(3)])
    assert [judgment.sample for judgment in found] == [0, 1, 2]


@pytest.mark.parametrize("judging", ["both", "pairwise", "rubric"])
@pytest.mark.parametrize("against_teacher", [False, True])
@pytest.mark.parametrize(("samples", "repeats"), [(None, 1), (3, 2)])
def test_questions_are_counted_before_there_are_answers(
    judging: str, against_teacher: bool, samples: int | None, repeats: int
) -> None:
    config = ComparisonConfig(judging=judging, against_teacher=against_teacher, samples=samples, repeats=repeats)
    prompts = [PROMPT, type(PROMPT)("q", "Write sub.")]
    answers = [answer("teacher", f"teacher {p.id}", 0, p.id) for p in prompts]
    for prompt in prompts:
        for sample in range(samples or 1):
            answers += [
                answer(role, f"{role} {sample} {prompt.id}", sample, prompt.id) for role in ("base", "distilled")
            ]
    pairs = [("distilled", "base"), ("distilled", "teacher")][: 1 + against_teacher]
    alone = questions(lambda model, ask: judge_alone(prompts, answers, model, config, ask, RUBRIC))
    beside = questions(lambda model, ask: judge_pairs(prompts, answers, pairs, model, config, ask))  # type: ignore[arg-type]
    count = count_questions(2, config)
    assert count.alone == (0 if judging == "pairwise" else len(set(alone)))
    assert count.pairs == (0 if judging == "rubric" else len(set(beside)))
