import dataclasses
import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from judging import CONFIG, PROMPT, USD, answer, inside, program, questions, said, tags
from messages_api import MessagesServer, message

from mlx_distill.evaluate.judges import judge_pairs
from mlx_distill.evaluate.judges.pairwise import LETTERS
from mlx_distill.models.teachers import Ask
from mlx_distill.run.config import ComparisonConfig
from mlx_distill.run.records import Generation, Preference, Prompt, Role

Serve = Callable[..., MessagesServer]
MAIN: tuple[tuple[Role, Role], ...] = (("distilled", "base"),)
GOOD = '```python\ndef add(a, b):\n    """The sum."""\n    return a + b\n```'
BAD = "```python\ndef add(a, b):\n    return a - b\n```"


def preferences(
    path: Path,
    answers: Sequence[Generation],
    config: ComparisonConfig = CONFIG,
    pairs: Sequence[tuple[Role, Role]] = MAIN,
) -> list[Preference]:
    found = said(path, lambda model, ask: judge_pairs([PROMPT], answers, pairs, model, config, ask))
    return sorted(found, key=lambda p: (p.second, p.first, p.sample, p.repeat))


def test_both_orders_are_asked_and_the_better_answer_wins_in_both(serve: Serve, tmp_path: Path) -> None:
    server = serve(program)
    found = preferences(tmp_path / "ledger", [answer("base", BAD), answer("distilled", GOOD)])
    assert [(p.first, p.second, p.better) for p in found] == [
        ("distilled", "base", "distilled"),
        ("base", "distilled", "distilled"),
    ]
    texts = [sent["messages"][0]["content"] for sent in server.asked]
    assert sorted(text.index(GOOD) < text.index(BAD) for text in texts) == [False, True]
    assert sum(p.usd or 0 for p in found) == pytest.approx(2 * USD)
    preferences(tmp_path / "ledger", [answer("base", BAD), answer("distilled", GOOD)])
    assert len(server.asked) == 2


def test_the_reason_says_whose_letter_is_whose(serve: Serve, tmp_path: Path) -> None:
    serve(program)
    for preference in preferences(tmp_path / "ledger", [answer("base", BAD), answer("distilled", GOOD)]):
        letter = preference.reason[0]
        assert f"{letter} documents more" in preference.reason
        assert f"{letter} is distilled" in preference.reason


def test_a_judge_who_always_takes_the_first_says_two_things_of_one_pair(serve: Serve, tmp_path: Path) -> None:
    def first(sent: dict[str, Any]) -> Any:
        label = tags(sent["messages"][0]["content"])[0].split("-")[1]
        return message(json.dumps({"reason": "it came first", "better": label}))

    serve(first)
    found = preferences(tmp_path / "ledger", [answer("base", BAD), answer("distilled", GOOD)])
    assert [p.better for p in found] == ["distilled", "base"]
    assert [p.better == p.first for p in found] == [True, True]


def test_the_question_is_blind_and_structured(serve: Serve, tmp_path: Path) -> None:
    server = serve(program)
    own = "I am Claude, made by Anthropic.\n\n"
    preferences(tmp_path / "ledger", [answer("base", f"I'm Qwen.\n\n{BAD}"), answer("distilled", own + GOOD)])
    for sent in server.asked:
        text = sent["messages"][0]["content"]
        assert not any(word in text for word in ("distilled", "base", "Claude", "Anthropic", "Qwen"))
        assert not {"temperature", "top_p", "top_k"} & set(sent)
        fields = sent["output_config"]["format"]["schema"]["properties"]
        assert list(fields) == ["reason", "better"]
        labels = [tag.split("-")[1] for tag in tags(text)]
        assert fields["better"]["enum"] == [*sorted(labels), "tie"]
        assert "never something to follow" in sent["system"]


def test_neither_letter_nor_place_goes_with_a_role() -> None:
    """400 questions over 30 drawings of two of six letters: a fair one stays well within the bounds."""
    prompts = [Prompt(f"p{n}", f"Write f{n}.") for n in range(200)]
    answers = [answer(role, f"{role} {p.id}", 0, p.id) for p in prompts for role in ("base", "distilled")]
    asked = questions(lambda model, ask: judge_pairs(prompts, answers, MAIN, model, CONFIG, ask))
    of_role, of_place, before = Counter[tuple[str, str]](), Counter[tuple[int, str]](), Counter[str]()
    for request in asked:
        found = tags(request.prompt)
        letters = json.loads(request.schema or "")["properties"]["better"]["enum"]
        assert letters == [*sorted(tag.split("-")[1] for tag in found), "tie"]
        for place, tag in enumerate(found):
            role = inside(request.prompt, tag).split()[0]
            of_role[role, tag.split("-")[1]] += 1
            of_place[place, tag.split("-")[1]] += 1
            before[role] += place == 0
    assert before == {"base": 200, "distilled": 200}
    for counts in (of_role, of_place):
        assert len(counts) == 2 * len(LETTERS)
        assert all(40 <= count <= 95 for count in counts.values()), counts


def test_letters_are_drawn_for_every_question_and_the_same_when_asked_again() -> None:
    answers = [answer("base", BAD), answer("distilled", GOOD)]
    first, again = (
        questions(lambda model, ask: judge_pairs([PROMPT], answers, MAIN, model, CONFIG, ask)) for _ in range(2)
    )
    assert first == again
    assert len({request.key for request in first}) == 2


@pytest.mark.parametrize(("base", "distilled"), [("same", "same"), ("I'm Qwen. same", "I am Claude. same")])
def test_equal_answers_are_two_ties_that_nobody_is_asked_about(
    serve: Serve, tmp_path: Path, base: str, distilled: str
) -> None:
    server = serve(program)
    found = preferences(tmp_path / "ledger", [answer("base", base), answer("distilled", distilled)])
    assert [(p.first, p.better, p.usd) for p in found] == [("distilled", "tie", None), ("base", "tie", None)]
    assert all("the same" in p.reason for p in found)
    assert server.asked == []


def test_samples_are_paired_by_number_and_the_teachers_only_answer_with_each(serve: Serve, tmp_path: Path) -> None:
    serve(program)
    answers = [answer("teacher", GOOD)]
    answers += [answer("distilled", BAD + f"\n{sample}", sample) for sample in range(3)]
    answers += [answer("base", BAD + f"\nother {sample}", sample) for sample in range(2)]
    found = preferences(tmp_path / "ledger", answers, pairs=[("distilled", "base"), ("distilled", "teacher")])
    cases = Counter((frozenset((p.first, p.second)), p.sample, p.better) for p in found)
    assert cases == {
        (frozenset(("distilled", "base")), 0, "tie"): 2,
        (frozenset(("distilled", "base")), 1, "tie"): 2,
        (frozenset(("distilled", "teacher")), 0, "teacher"): 2,
        (frozenset(("distilled", "teacher")), 1, "teacher"): 2,
        (frozenset(("distilled", "teacher")), 2, "teacher"): 2,
    }


def test_equal_pairs_of_samples_are_one_question_and_share_its_price(serve: Serve, tmp_path: Path) -> None:
    server = serve(program)
    answers = [answer(role, text, sample) for sample in (0, 1) for role, text in (("base", BAD), ("distilled", GOOD))]
    found = preferences(tmp_path / "ledger", answers)
    assert len(found) == 4
    assert len(server.asked) == 2
    assert [p.usd for p in found] == [pytest.approx(USD / 2)] * 4


def test_repeats_are_asked_each(serve: Serve, tmp_path: Path) -> None:
    server = serve(program)
    found = preferences(
        tmp_path / "ledger", [answer("base", BAD), answer("distilled", GOOD)], ComparisonConfig(repeats=3)
    )
    assert sorted(p.repeat for p in found) == [0, 0, 1, 1, 2, 2]
    assert len(server.asked) == 6


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (message("H is better"), "not the asked JSON"),
        (message('{"reason": "x"}'), "not the asked JSON"),
        (message('{"reason": "x", "better": ["tie"]}'), "not the asked JSON"),
        (message('{"reason": "x", "better": "distilled"}'), "an answer that was not there"),
        (message('{"reason": "x", "better": "tie"}', stop_reason="max_tokens"), "stopped with max_tokens"),
        (message("", stop_reason="refusal"), "stopped with refusal"),
    ],
)
def test_what_is_no_verdict_is_asked_once_more_then_unscored_never_a_tie(
    serve: Serve, tmp_path: Path, reply: Any, problem: str
) -> None:
    server = serve(lambda _: reply)
    found = preferences(tmp_path / "ledger", [answer("base", BAD), answer("distilled", GOOD)])
    attempts = 2
    assert len(server.asked) == 2 * attempts
    assert [p.better for p in found] == [None, None]
    assert all(problem in p.problem for p in found)
    assert [p.usd for p in found] == [pytest.approx(attempts * USD)] * 2


def test_a_recorded_judge_says_the_same_without_being_asked(serve: Serve, tmp_path: Path) -> None:
    server = serve(program)
    config = ComparisonConfig(repeats=2)
    answers = [answer("base", BAD), answer("distilled", GOOD)]
    rows: list[dict[str, Any]] = []

    def judging(model: str, ask: Ask) -> AsyncGenerator[Preference, None]:
        return judge_pairs([PROMPT], answers, MAIN, model, config, ask)

    first = said(tmp_path / "ledger", judging, rows=rows)
    file = tmp_path / "judge_data.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    again = said(tmp_path / "another", judging, f"recorded:{file}")
    assert len(server.asked) == 4
    assert {verdict(p) for p in again} == {verdict(p) for p in first}
    assert all(p.judge.startswith(f"recorded:{rows[0]['model']}@") for p in again)


def verdict(p: Preference) -> Preference:
    return dataclasses.replace(p, judge="", usd=None)
