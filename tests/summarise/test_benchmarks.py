import dataclasses
from pathlib import Path
from typing import Any

import pytest
from bench_runs import ATTACK, ROLES, STUDY_1, STUDY_2, Made, bench_run, drawn, settings
from typed import as_dict

from mlx_distill.run.folder import RunDir
from mlx_distill.run.records import Generation, Score
from mlx_distill.summarise.benchmarks import benchmarks_part

CODE = Made("HumanEval+", "code", 60, 20, 15, 5)


def rows_of(folder: Path, *benchmarks: Made) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = as_dict(benchmarks_part(bench_run(folder / "run", benchmarks), settings())[0])
    return found


def row_of(folder: Path, made: Made) -> dict[str, Any]:
    (row,) = rows_of(folder, made)
    return row


def test_a_run_without_benchmarks_has_none(tmp_path: Path) -> None:
    assert as_dict(benchmarks_part(RunDir(tmp_path), settings())) == [[], None]


# ---------------------------------------------------------------- published studies out of their counts


def test_a_published_student_is_better_at_two_and_left_open_at_two(tmp_path: Path) -> None:
    human, follow, aime24, aime25 = rows_of(tmp_path, *STUDY_1)
    for row, base, distilled in ((human, 55.5, 83.5), (follow, 63.6, 77.3), (aime24, 70.0, 56.7), (aime25, 66.7, 43.3)):
        assert (round(100 * row["base"]["mean"], 1), round(100 * row["distilled"]["mean"], 1)) == (base, distilled)
    assert (human["n"], human["gained"], human["lost"], human["both"], human["neither"]) == (164, 49, 3, 88, 24)
    assert human["p"] < 1e-9
    assert follow["p"] < 1e-7
    assert (aime24["p"], aime25["p"]) == (pytest.approx(0.344, abs=5e-4), pytest.approx(0.039, abs=5e-4))
    assert aime25["p_holm"] == pytest.approx(0.078, abs=5e-4)
    words = [row["verdict"] for row in (human, follow, aime24, aime25)]
    assert words == ["better", "better", "no difference shown", "no difference shown"]
    assert [row["equivalence"]["shown"] for row in (aime24, aime25)] == [False, False]
    assert aime24["smallest"] > 0.3


def test_intervals_of_shares_are_wilsons_and_that_of_the_difference_holds_it(tmp_path: Path) -> None:
    row = rows_of(tmp_path, *STUDY_1)[0]
    assert (row["base"]["low"], row["base"]["high"]) == (pytest.approx(0.478, abs=1e-3), pytest.approx(0.629, abs=1e-3))
    assert row["difference"]["mean"] == pytest.approx(46 / 164)
    assert row["difference"]["low"] < 46 / 164 < row["difference"]["high"]


def test_what_the_protocol_says_is_repeated(tmp_path: Path) -> None:
    row = row_of(tmp_path, dataclasses.replace(CODE, protocol={"floor": 0.02, "subset": "60 of 164 items"}))
    assert (row["size"], row["items"], row["subset"], row["floor"]) == (60, 60, "60 of 164 items", 0.02)
    assert row["source"].startswith("evalplus/")
    assert row["deviations"]
    assert row["overlap"] == {"checked": 104, "items": []}


# ---------------------------------------------------------------- what counts


def test_what_could_not_be_scored_is_no_failure_and_is_not_paired(tmp_path: Path) -> None:
    made = Made("MBPP+", "code", 100, 100, 0, 0, not_run={"distilled": 30, "base": 10})
    row = row_of(tmp_path, made)
    assert (row["n"], row["base"]["mean"], row["distilled"]["mean"]) == (70, 1.0, 1.0)
    assert (row["roles"]["base"]["not_run"], row["roles"]["distilled"]["not_run"]) == (10, 30)
    assert row["lost"] == 0


def test_an_answer_that_was_cut_off_or_could_not_be_read_is_a_failure_and_is_counted(tmp_path: Path) -> None:
    made = dataclasses.replace(CODE, cut_off={"base": 7}, no_answer={"distilled": 4})
    row = row_of(tmp_path, made)
    assert row["n"] == 60
    assert [row["roles"][role]["cut_off"] for role in ROLES] == [7, 0]
    assert [row["roles"][role]["no_answer"] for role in ROLES] == [0, 4]
    assert row["base"]["mean"] == pytest.approx(20 / 60)


@pytest.mark.parametrize("kind", ["cut_off", "no_answer", "not_run", "missing"])
@pytest.mark.parametrize(("count", "degraded"), [(2, False), (3, True)])
def test_a_result_is_degraded_above_two_per_cent(tmp_path: Path, kind: str, count: int, degraded: bool) -> None:
    made = Made("HumanEval+", "code", 100, 20, 0, 0)
    row = row_of(tmp_path, dataclasses.replace(made, **{kind: {"distilled": count}}))  # type: ignore[arg-type]
    assert row["roles"]["distilled"][kind] == count
    assert bool(row["degraded"]) == degraded
    assert all(sentence.startswith("distilled: 3 of 100 answers ") for sentence in row["degraded"])


def test_what_degrades_a_result_is_a_sentence_with_its_count(tmp_path: Path) -> None:
    made = Made("HumanEval+", "code", 164, 91, 49, 3, cut_off={"distilled": 14})
    assert row_of(tmp_path, made)["degraded"] == ["distilled: 14 of 164 answers cut off at 1,024 tokens (8.5 %)"]


def test_one_model_alone_has_its_share_and_no_comparison(tmp_path: Path) -> None:
    run = bench_run(tmp_path, [CODE])
    kept = [score for score in run.read("bench/scores.jsonl", Score) if score.role == "base"]
    run.write_records("bench/scores.jsonl", kept)
    answers = [answer for answer in run.read("bench/answers.jsonl", Generation) if answer.role == "base"]
    run.write_records("bench/answers.jsonl", answers)
    (row,), gate = as_dict(benchmarks_part(run, settings()))
    assert (row["verdict"], row["n"], row["p"], row["distilled"], row["equivalence"]) == (
        "not scored",
        0,
        None,
        None,
        None,
    )
    assert row["base"]["mean"] == pytest.approx(20 / 60)
    assert row["difference"] is row["length_ratio"] is None
    assert row["degraded"] == ["distilled: 60 of 60 answers missing (100.0 %)"]
    assert gate is not None
    assert gate["verdict"] == "do not ship"
    assert gate["forgetting"] == []


def test_a_run_that_was_stopped_before_it_scored_says_so(tmp_path: Path) -> None:
    run = bench_run(tmp_path, [CODE])
    (run / "bench/scores.jsonl").unlink()
    (row,), _ = as_dict(benchmarks_part(run, settings()))
    assert (row["verdict"], row["base"], row["roles"]["base"]["not_run"]) == ("not scored", None, 60)


def test_a_line_written_twice_counts_once_and_items_of_an_earlier_subset_do_not_count(tmp_path: Path) -> None:
    run = bench_run(tmp_path, [CODE])
    scores = run.read("bench/scores.jsonl", Score)
    other = dataclasses.replace(scores[0], item_id="HumanEval+/999")
    run.write_records("bench/scores.jsonl", [*scores, *scores[:20], other])
    assert as_dict(benchmarks_part(run, settings()))[0][0]["n"] == 60


def test_a_benchmark_of_no_items_has_nothing_to_say(tmp_path: Path) -> None:
    run = bench_run(tmp_path, [Made("MBPP+", "code", 0, 0, 0, 0), CODE])
    rows, _ = as_dict(benchmarks_part(run, settings()))
    assert (rows[0]["verdict"], rows[0]["base"], rows[0]["bound"], rows[0]["degraded"]) == (
        "not scored",
        None,
        "",
        [],
    )
    assert rows[1]["p"] == rows[1]["p_holm"]


def test_five_items_are_too_few_and_say_so(tmp_path: Path) -> None:
    row = row_of(tmp_path, Made("AIME 2024", "mathematics", 5, 4, 1, 4))
    assert (row["verdict"], row["p"], row["smallest"]) == ("too few prompts to tell", None, None)


@pytest.mark.parametrize(("base", "bound"), [(4, "floor"), (5, ""), (95, ""), (96, "ceiling")])
def test_a_base_stands_on_the_floor_or_at_the_ceiling_in_the_outer_twentieths(
    tmp_path: Path, base: int, bound: str
) -> None:
    assert row_of(tmp_path, Made("AIME 2024", "mathematics", 100, base, 0, 0))["bound"] == bound


def test_domains_are_told_by_capability_or_by_name(tmp_path: Path) -> None:
    run = bench_run(tmp_path, [CODE, STUDY_2[0], Made("GSM8K", "mathematics", 20, 10, 0, 0)])

    def domains(*own: str) -> list[str]:
        return [row["domain"] for row in as_dict(benchmarks_part(run, settings(own)))[0]]

    assert domains("code") == ["own domain", "mathematics", "mathematics"]
    assert domains("Mathematics") == ["other code", "own domain", "own domain"]
    assert domains("gsm8k") == ["other code", "mathematics", "own domain"]


# ---------------------------------------------------------------- several samples


def test_several_samples_are_one_share_for_each_item(tmp_path: Path) -> None:
    row = row_of(tmp_path, Made("HumanEval+", "code", 40, 10, 20, 2, samples=8))
    assert (row["n"], row["gained"], row["both"], row["verdict"]) == (40, None, None, "better")
    assert (row["roles"]["base"]["answers"], row["temperature"]) == (320, 0.7)
    assert [entry["k"] for entry in row["pass_at_k"]] == [1, 4, 8]
    assert row["pass_at_k"][0]["base"]["mean"] == pytest.approx(row["base"]["mean"])
    means = [entry["distilled"]["mean"] for entry in row["pass_at_k"]]
    assert means == sorted(means)
    assert row["changes"]["gained"]
    assert not row["equivalence"]["shown"]


def test_pass_at_k_counts_only_items_with_so_many_scored_answers(tmp_path: Path) -> None:
    run = bench_run(tmp_path, [Made("HumanEval+", "code", 20, 10, 5, 2, samples=4)])
    scores = run.read("bench/scores.jsonl", Score)
    unscored = [
        dataclasses.replace(score, passed=None) if (score.item_id, score.sample) == ("HumanEval+/0", 3) else score
        for score in scores
    ]
    run.write_records("bench/scores.jsonl", unscored)
    (row,), _ = as_dict(benchmarks_part(run, settings()))
    assert [entry["base"]["n"] for entry in row["pass_at_k"]] == [20, 20, 19]
    assert row["n"] == 20


# ---------------------------------------------------------------- what a number is made of


def test_instructions_are_counted_singly_and_prompts_whole(tmp_path: Path) -> None:
    run = bench_run(tmp_path, [Made("IFEval", "instruction following", 6, 3, 0, 0)])
    scores = run.read("bench/scores.jsonl", Score)
    marked = []
    for number, score in enumerate(scores):
        strict = {f"strict {i} a:b": number % 6 == 0 for i in range(3 if number % 6 == 0 else 1)}
        loose = {f"loose {i} a:b": True for i in range(len(strict))}
        marked.append(dataclasses.replace(score, parts=strict | loose | {"prompt, loose": score.role == "distilled"}))
    run.write_records("bench/scores.jsonl", marked)
    parts = {part["name"]: part for part in as_dict(benchmarks_part(run, settings()))[0][0]["parts"]}
    assert set(parts) == {"instructions, strict", "instructions, loose", "prompt, loose"}
    strict = parts["instructions, strict"]
    assert strict["base"]["mean"] == pytest.approx(3 / 8)
    assert (strict["base"]["n"], strict["difference"]["mean"]) == (6, 0)
    assert (parts["prompt, loose"]["base"]["mean"], parts["prompt, loose"]["distilled"]["mean"]) == (0, 1)
    assert parts["prompt, loose"]["base"]["high"] == pytest.approx(0.390, abs=1e-3)  # Wilson


def test_instructions_of_one_prompt_move_together(tmp_path: Path) -> None:
    """Twenty prompts of four instructions that are followed all or none: no better known than twenty instructions."""
    run = bench_run(tmp_path, [Made("IFEval", "instruction following", 20, 10, 0, 0)])
    scores = run.read("bench/scores.jsonl", Score)
    rows = [dataclasses.replace(s, parts={f"strict {i} a:b": bool(s.passed) for i in range(4)}) for s in scores]
    run.write_records("bench/scores.jsonl", rows)
    part = as_dict(benchmarks_part(run, settings()))[0][0]["parts"][0]
    assert part["base"]["high"] - part["base"]["low"] > 0.4


def test_plain_parts_are_shares_over_items(tmp_path: Path) -> None:
    (part,) = row_of(tmp_path, dataclasses.replace(CODE, parts=("base tests",)))["parts"]
    assert (part["name"], part["base"]["n"]) == ("base tests", 60)
    assert part["base"]["mean"] > 20 / 60
    assert part["difference"]["mean"] == pytest.approx(part["distilled"]["mean"] - part["base"]["mean"])


def test_categories_and_difficulties_add_up_to_the_whole(tmp_path: Path) -> None:
    row = row_of(tmp_path, STUDY_2[0])
    for key, names in (("categories", ["Algebra", "Geometry", "Number Theory"]), ("difficulties", ["1", "2", "3"])):
        assert [group["name"] for group in row[key]] == names
        assert [sum(group[count] for group in row[key]) for count in ("n", "gained", "lost")] == [500, 57, 20]
        assert sum(group["base"] * group["n"] for group in row[key]) == pytest.approx(403)
    assert row_of(tmp_path / "b", CODE)["categories"] == []


def test_lengths_are_compared_item_by_item(tmp_path: Path) -> None:
    made = Made("MBPP+", "code", 40, 20, 3, 3, ("a", "b", "c"), lengths={"base": 400, "distilled": 800})
    row = row_of(tmp_path, dataclasses.replace(made, n=40))
    assert row["length_ratio"]["mean"] == pytest.approx(2, abs=0.2)
    assert row["length_ratio"]["low"] < row["length_ratio"]["mean"] < row["length_ratio"]["high"]
    assert row["roles"]["distilled"]["characters"]["mean"] == pytest.approx(800, rel=0.1)
    assert [(entry["name"], entry["n"]) for entry in row["length_by_category"]] == [("a", 14), ("b", 13), ("c", 13)]
    assert row["length_by_category"][0]["ratio"]["mean"] == pytest.approx(2, abs=0.3)


def test_categories_of_fewer_than_five_items_have_no_lengths(tmp_path: Path) -> None:
    row = row_of(tmp_path, Made("MBPP+", "code", 14, 7, 1, 1, ("a", "a", "b")))
    assert [entry["name"] for entry in row["length_by_category"]] == ["a"]


def test_the_items_that_changed_are_named_fifty_at_most(tmp_path: Path) -> None:
    row = row_of(tmp_path, Made("MBPP+", "code", 100, 20, 70, 4))
    assert (row["gained"], len(row["changes"]["gained"]), len(row["changes"]["lost"])) == (70, 50, 4)
    changed = row["changes"]["lost"][0]
    assert changed["id"].startswith("MBPP+/")
    assert changed["title"].startswith("Solve number")
    assert len(changed["title"]) <= 60


def test_made_up_runs_are_the_same_from_one_seed_and_hold_what_must_be_escaped(tmp_path: Path) -> None:
    made = drawn("GSM8K", "mathematics", 50, 0.6, -0.1, 0.3)
    one, same, other = (bench_run(tmp_path / str(i), [made], seed=seed) for i, seed in enumerate((0, 0, 1)))
    texts = [(run / "bench/scores.jsonl").read_text() for run in (one, same, other)]
    assert texts[0] == texts[1] != texts[2]
    assert ATTACK in one.read("bench/answers.jsonl", Generation)[0].text
