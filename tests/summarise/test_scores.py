"""Answers each alone, the executed checks, and the verdict over all of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import Made, made_run, results_of
from typed import as_dict

from mlx_distill.evaluate.judges import MEASURED
from mlx_distill.run.prompts import data_folder
from mlx_distill.run.records import MODELS, Generation, Judgment, Preference, Prompt, Score
from mlx_distill.run.rubric import read_rubric
from mlx_distill.stats.inference import decide_together
from mlx_distill.summarise import summarise
from mlx_distill.summarise.scores import checks_part, dimensions_part, mark, marks, pairs_part

RUBRIC = read_rubric(data_folder() / "rubric.md")
PROMPTS = [Prompt(name, name) for name in "abcdefgh"]
MANY = [Prompt(f"p{i}", f"p{i}") for i in range(27)]


def test_executed_checks_decide_correctness_whatever_a_judge_says() -> None:
    judged = [Judgment("a", "base", "j", {"Code Correctness": 9.0, "Documentation": 3.0})]
    scored = [Score("checks", "a", "base", False, 4, 1), Score("checks", "a", "distilled", True, 4, 4)]
    assert mark(marks(judged, scored, RUBRIC.checked)["a", "base", "Code Correctness"]) == 2.5
    assert mark(marks(judged, scored, RUBRIC.checked)["a", "base", "Documentation"]) == 3.0
    for not_run in ([Score("checks", "a", "base", None, 4), scored[1]], scored[:1]):
        assert mark(marks(judged, not_run, RUBRIC.checked)["a", "base", "Code Correctness"]) == 9.0


def test_a_judge_who_scored_one_model_alone_does_not_bring_in_his_mildness() -> None:
    """The strict one is silent on a third of the distilled answers; both see no difference anywhere."""
    judged = []
    for index, prompt in enumerate(MANY):
        for judge, score in (("mild", 9.0), ("strict", 4.0)):
            for role in ("base", "distilled"):
                silent = judge == "strict" and role == "distilled" and index % 3 == 0
                judged.append(Judgment(prompt.id, role, judge, None if silent else dict.fromkeys(MEASURED, score)))  # type: ignore[arg-type]
    for _, test in dimensions_part(MANY, judged, [], RUBRIC):
        assert set(test.differences) == {0.0}
        assert len(test.differences) == len(MANY)


def test_samples_repeats_and_judges_become_one_number_and_unscored_is_no_zero() -> None:
    judged = [
        Judgment("a", "base", "j", {"Documentation": 2.0}, repeat=0),
        Judgment("a", "base", "j", {"Documentation": 4.0}, repeat=1),
        Judgment("a", "base", "j", None, problem="refused", repeat=2),
        Judgment("a", "base", "k", {"Documentation": 9.0}),
    ]
    assert mark(marks(judged, [], RUBRIC.checked)["a", "base", "Documentation"]) == 6.0


def test_a_row_says_how_many_prompts_were_checked_and_how_far_judges_and_repeats_agree() -> None:
    judged = [
        Judgment(
            p.id, role, judge, {"Code Correctness": 5.0 + index % 3, "Documentation": 5.0 + index % 3}, repeat=repeat
        )
        for index, p in enumerate(PROMPTS)
        for role in ("base", "distilled")
        for judge in ("j", "k")
        for repeat in range(2)
    ]  # type: ignore[misc]
    scored = [Score("checks", "a", role, True, 1, 1) for role in ("base", "distilled")]  # type: ignore[misc]
    parts = dimensions_part(PROMPTS, judged, scored, RUBRIC)
    decided = as_dict(decide_together([test for _, test in parts]))
    rows = {row.name: as_dict(row) | test for (row, _), test in zip(parts, decided, strict=True)}
    assert rows["Code Correctness"]["from_checks"] == 1
    assert rows["Documentation"]["from_checks"] == 0
    assert rows["Documentation"]["n"] == 8
    assert rows["Documentation"]["agreement"]["mean"] == 1
    assert rows["Documentation"]["repeat_agreement"]["mean"] == 1
    assert rows["Completeness"]["n"] == 0
    assert rows["Completeness"]["difference"] is None


def test_checks_are_paired_by_prompt_and_a_prompt_passes_only_in_every_sample() -> None:
    passes = {"a": (False, True), "b": (False, True), "c": (True, False), "d": (True, True), "e": (False, False)}
    scored = [
        Score("checks", item, role, passed, 1, int(passed), "", 0, "seatbelt")
        for item, pair in passes.items()
        for role, passed in zip(("base", "distilled"), pair, strict=True)
    ]  # type: ignore[misc]
    scored.append(Score("checks", "d", "distilled", False, 1, 0, "", 1, "seatbelt"))
    scored.append(Score("checks", "f", "base", None, 1, 0, "no sandbox", 0, ""))
    scored.append(Score("checks", "g", "base", None, 1, 0, "could not be run", 0, "seatbelt"))
    part, found = as_dict(checks_part(scored, None, MODELS)), pairs_part(scored)
    assert found is not None
    assert found[0]._asdict() == {"gained": 2, "lost": 2, "both": 0, "neither": 1}
    assert len(found[1].differences) == 5
    assert part["roles"]["base"] == {"passed": 2, "run": 5, "not_run": 2, "refused": 1}
    assert part["roles"]["distilled"]["passed"] == 2
    assert part["sandbox"] == ["seatbelt"]
    assert found[1].p is None  # five prompts can show nothing


# ---------------------------------------------------------------- whole runs


def test_a_planted_advantage_is_found_and_a_planted_loss_as_well(tmp_path: Path) -> None:
    better = results_of(tmp_path, Made(effect=4.0, name="better"))["comparison"]
    worse = results_of(tmp_path, Made(effect=-4.0, name="worse"))["comparison"]
    assert (better["verdict"], worse["verdict"]) == ("better", "worse")
    assert better["preferences"][0]["verdict"] == "better"
    assert worse["preferences"][0]["verdict"] == "worse"
    assert worse["verdict_in_words"].startswith("of 7 measures better in 0, worse in ")


def test_four_prompts_are_too_few_whatever_they_show(tmp_path: Path) -> None:
    comparison = results_of(tmp_path, Made(prompts=4, effect=9.0))["comparison"]
    assert comparison["verdict"] == "too few prompts to tell"
    assert {row["verdict"] for row in comparison["dimensions"]} == {"too few prompts to tell"}


def test_all_that_is_tested_is_adjusted_together(tmp_path: Path) -> None:
    comparison = results_of(tmp_path, Made(effect=1.0))["comparison"]
    rows = [comparison["preferences"][0], *comparison["dimensions"], comparison["checks"]["pairs"]]
    smallest = min(row["p"] for row in rows)
    assert min(row["p_holm"] for row in rows) == pytest.approx(min(1, smallest * len(rows)))
    assert all(row["p_holm"] >= row["p"] for row in rows)


def test_preference_leakage_is_named_when_judge_and_teacher_are_of_one_family(tmp_path: Path) -> None:
    alike = results_of(tmp_path, Made(judges=("claude-opus-4-6",), name="a"))["comparison"]["caveats"]
    apart = results_of(tmp_path, Made(judges=("mlx:Llama-3.3-70B-Instruct-4bit",), name="b"))["comparison"]["caveats"]
    assert any("preference leakage, arXiv 2502.01534" in caveat for caveat in alike)
    assert not any("preference leakage" in caveat for caveat in apart)
    own = results_of(tmp_path, Made(judges=("mlx:Qwen2.5-7B-Instruct-4bit",), name="c"))["comparison"]["caveats"]
    assert any("Judge and student are of one family (Qwen)" in caveat for caveat in own)


def test_every_sample_is_shown_with_its_own_reasons(tmp_path: Path) -> None:
    results = results_of(tmp_path, Made(prompts=3, samples=2))
    prompt = results["comparison"]["prompts"][0]
    assert [len(prompt[role]["answers"]) for role in ("teacher", "base", "distilled")] == [1, 2, 2]
    assert {j["judge"] for j in prompt["base"]["answers"][1]["judgments"]} == set(results["comparison"]["judges"])


def test_a_run_that_was_only_compared_pairwise_has_a_verdict_and_no_scores(tmp_path: Path) -> None:
    run, config = made_run(tmp_path / "run", Made(effect=4.0))
    run.write_records("judgments.jsonl", [])
    run.write_records("scores.jsonl", [])
    comparison = as_dict(summarise(run, config))["comparison"]
    assert comparison["verdict"] == "better"
    assert {row["verdict"] for row in comparison["dimensions"]} == {"not scored"}
    assert comparison["prompts"][0]["difference"] is None
    assert comparison["prompts"][0]["outcome"] in ("better", "worse", "same")


def test_a_run_that_was_only_scored_has_a_verdict_and_no_preference(tmp_path: Path) -> None:
    run, config = made_run(tmp_path / "run", Made(effect=4.0))
    run.write_records("preferences.jsonl", [])
    comparison = as_dict(summarise(run, config))["comparison"]
    assert comparison["verdict"] == "better"
    assert comparison["preferences"] == []


def test_results_do_not_depend_on_the_order_in_which_answers_arrived(tmp_path: Path) -> None:
    run, config = made_run(tmp_path / "run", Made(samples=2, repeats=2))
    before = as_dict(summarise(run, config))["comparison"]
    kinds = {"judgments": Judgment, "preferences": Preference, "generations": Generation, "scores": Score}
    for name, kind in kinds.items():
        run.write_records(f"{name}.jsonl", reversed(run.read(f"{name}.jsonl", kind)))
    after = as_dict(summarise(run, config))["comparison"]
    for key in ("verdict", "verdict_in_words", "checks", "unscored"):
        assert before[key] == after[key]
    for row, other in zip(before["dimensions"], after["dimensions"], strict=True):
        assert row["difference"]["mean"] == pytest.approx(other["difference"]["mean"])
        assert row["verdict"] == other["verdict"]


def test_what_was_cut_and_what_is_unscored_is_said(tmp_path: Path) -> None:
    comparison = results_of(tmp_path, Made())["comparison"]
    cut = comparison["answers"]["base"]["cut_off"]
    assert cut
    assert any(f"{cut} of 28 answers of the base model were cut" in caveat for caveat in comparison["caveats"])
    unscored = comparison["unscored"]["answers"]
    assert unscored
    assert any(f"{unscored} of " in caveat and "unscored" in caveat for caveat in comparison["caveats"])


def test_a_rater_named_as_a_model_is_no_model(tmp_path: Path) -> None:
    people = Made(judges=("human: Claude",), name="people")
    assert not any("family" in caveat for caveat in results_of(tmp_path, people)["comparison"]["caveats"])


def test_each_measure_that_decided_says_its_own_n(tmp_path: Path) -> None:
    said = results_of(tmp_path, Made(effect=4.0))["comparison"]["verdict_in_words"]
    assert said.startswith("of 7 measures better in 7 (Preference, ")
    assert said.endswith("Executed checks, n = 28), worse in 0")


def test_a_part_whose_stage_has_not_run_is_missing(tmp_path: Path) -> None:
    made = Made(missing=("training", "comparison", "teacher"))
    results = results_of(tmp_path, made)
    assert results["training"] is None
    assert results["comparison"] is None
    assert results["teacher"] is None
