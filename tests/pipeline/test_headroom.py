"""Whether there is anything to learn, before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Options, fails, invoke
from hypothesis import given
from hypothesis import strategies as st
from tables import every

from mlx_distill.evaluate.headroom import compared
from mlx_distill.stats.inference import mcnemar

PASSES = st.dictionaries(st.sampled_from([f"p{i}" for i in range(30)]), st.booleans())


@given(PASSES, PASSES)
def test_prompts_that_both_have_answered_count(teacher: dict[str, bool], base: dict[str, bool]) -> None:
    both = [(base[name], teacher[name]) for name in teacher if name in base]
    found = compared(teacher, base)
    assert (found.prompts, found.teacher, found.base) == (len(both), sum(t for _, t in both), sum(b for b, _ in both))
    if len(both) >= 6:
        assert found.p == mcnemar(both.count((False, True)), both.count((True, False)))
        assert found.shown == (found.p < 0.05 and found.teacher > found.base)
    else:
        assert not found.shown


def test_a_teacher_that_is_better_is_said_to_be_before_anything_is_trained(short: Options, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = (*short, "--limit", "8", "--run", run, "--headroom", "8")
    done = invoke("plan", *options)
    assert done.returncode == 0, done.stderr
    headroom = json.loads((run / "headroom.json").read_text())
    assert (headroom["prompts"], headroom["base"], headroom["teacher"]) == (8, 0, 8)
    words = " ".join(done.stdout.split())
    assert "the teacher passes 8, the base 0" in words
    assert "there is something to learn" in words
    assert not (run / "metrics.jsonl").exists()


def test_a_teacher_that_is_not_shown_to_be_better_stops_a_run_that_requires_it(short: Options, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = (*short, "--run", run, "--headroom", "2", "--require-headroom")
    fails(7, "the teacher is not shown to be better", "run", *options, "--limit", "2")
    assert not (run / "metrics.jsonl").exists()


@every(
    "prompts, words",
    [
        ('[[prompt]]\ntext = "Say yes."\n', "no test prompt has checks"),
        ('[[prompt]]\ntext = "Write f()."\nchecks = [{ run = "f()", expected = "1" }]\n', "has no answer to"),
    ],
)
def test_what_cannot_be_measured_is_said_and_the_plan_goes_on(
    short: Options, tmp_path_factory: pytest.TempPathFactory, prompts: str, words: str
) -> None:
    folder = tmp_path_factory.mktemp("headroom")
    (folder / "mine.toml").write_text(f'name = "mine"\n{prompts}')
    done = invoke("plan", *short, "--test-prompts", folder / "mine.toml", "--run", folder / "run", "--headroom", "2")
    assert done.returncode == 0, done.stderr
    assert words in " ".join((done.stdout + done.stderr).split())
    assert not (folder / "run" / "headroom.json").exists()


def test_what_the_base_answered_for_it_is_not_asked_again(short: Options, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = invoke("run", *short, "--limit", "3", "--run", run, "--headroom", "3")
    assert done.returncode == 0, done.stderr
    assert "not shown to be better" in " ".join(done.stdout.split())
    assert "base:" not in done.stdout  # the comparison's progress names who answers
    answers = [json.loads(line) for line in (run / "generations.jsonl").read_text().splitlines()]
    assert [answer["role"] for answer in answers].count("base") == 3


def test_require_headroom_needs_a_number(short: Options, tmp_path: Path) -> None:
    fails(2, "needs --headroom N", "run", *short, "--run", tmp_path / "run", "--require-headroom")
