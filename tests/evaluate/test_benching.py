"""Benchmarks from the command line: asked, scored, kept, gated, and answers that were made elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from command_line import fails, invoke
from conftest import missing

from mlx_distill.summarise import history

COLOURS = ["red", "green", "blue", "white", "black", "brown", "grey", "pink"]
ROWS = [
    {"id": f"c{i}", "prompt": f"Say the word {colour}, number {i}.", "answer": colour, "category": "ab"[i % 2]}
    for i, colour in enumerate(COLOURS * 3)
]


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return written(tmp_path / "colours.jsonl", ROWS)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def benched(*options: str | Path, code: int = 0) -> dict[str, Any]:
    done = invoke("bench", "--json", *options)
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# ---------------------------------------------------------------- a student's answers


@pytest.mark.real
def test_base_and_distilled_are_asked_scored_and_kept(finished: Path, data: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    first = ("--run", run, "--data", data, "--max-tokens", "4")
    (row,) = benched(*first, "--limit", "3")["benchmarks"]
    assert (row["name"], row["items"], row["n"], row["size"]) == ("colours", 3, 3, 0)
    assert row["subset"] == "3 of 24 items, stratified, seed 0"
    assert row["source"] == "file colours.jsonl"
    few = lines(run / "bench/answers.jsonl")
    assert sorted((a["role"], a["prompt_id"]) for a in few) == sorted(
        (role, f"colours/{item['id']}") for role in ("base", "distilled") for item in lines(run / "bench/items.jsonl")
    )

    whole = benched(*first, "--limit", "24")
    (row,) = whole["benchmarks"]
    assert (row["items"], row["subset"], len(row["passed"]["base"])) == (24, None, 24)
    assert row["gained"] + row["lost"] + row["both"] + row["neither"] == 24
    assert row["roles"]["base"]["cut_off"] > 0
    assert whole["gate"]["verdict"] in ("ship", "mixed", "do not ship")
    answers = lines(run / "bench/answers.jsonl")
    assert [a for a in answers if a in few] == few  # not answered again
    assert len(answers) == len(lines(run / "bench/scores.jsonl")) == 48

    assert "bench     up to date" in invoke("bench", *first).stdout
    written(run / "bench/answers.jsonl", answers[:-3])  # as if it had been killed
    (run / "bench/protocol.json").unlink()
    benched(*first)
    assert {json.dumps(a | {"seconds": 0}) for a in lines(run / "bench/answers.jsonl")} == {
        json.dumps(a | {"seconds": 0}) for a in answers
    }

    taught = written(tmp_path / "teacher.jsonl", [{"task_id": row["id"], "text": row["answer"]} for row in ROWS])
    (row,) = benched(*first, "--teacher-answers", taught)["benchmarks"]
    assert (row["teacher"]["mean"], row["teacher_gap"]["gap"]["mean"]) == (1.0, 1.0 - row["base"]["mean"])
    assert len(lines(run / "bench/answers.jsonl")) == 72
    assert "share of the teacher gap closed" in (run / "RESULTS.md").read_text()

    (row,) = benched("--run", run, "--data", data, "--max-tokens", "2", "--teacher-answers", "none")["benchmarks"]
    assert (row["teacher"], row["teacher_gap"]) == (None, None)
    assert all(a["tokens"] <= 2 for a in lines(run / "bench/answers.jsonl"))
    report = (run / "RESULTS.md").read_text()
    assert "colours" in report
    assert "colours" in (run / "report.html").read_text()


def test_without_an_adapter_the_base_is_asked_alone(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "base"
    found = benched("--run", run, "--data", data, "--student", "smollm2-135m", "--max-tokens", "2", "--limit", "2")
    (row,) = found["benchmarks"]
    assert (row["base"]["n"], row["distilled"], row["verdict"]) == (2, None, "not scored")


# ---------------------------------------------------------------- answers made elsewhere


def answers(path: Path, right: int) -> Path:
    said = [row["answer"] if i < right else "?" for i, row in enumerate(ROWS)]
    return written(path, [{"task_id": row["id"], "text": text} for row, text in zip(ROWS, said, strict=True)])


@pytest.fixture
def scored(data: Path, tmp_path: Path) -> Any:
    """Scores answers of which so many are right, in a run of its own."""

    def score(name: str, base: int, distilled: int, *options: str | Path, code: int = 0) -> dict[str, Any]:
        files = [answers(tmp_path / f"{name}-{n}.jsonl", n) for n in (base, distilled)]
        given = ("--answers", f"base={files[0]}", "--answers", f"distilled={files[1]}")
        return benched("--run", tmp_path / name, "--data", data, "--own-domain", "general", *given, *options, code=code)

    return score


@pytest.mark.real
def test_answers_made_elsewhere_need_no_model_and_the_gate_decides(scored: Any, tmp_path: Path) -> None:
    found = scored("good", 10, 24, "--gate")
    (row,) = found["benchmarks"]
    assert (row["gained"], row["lost"], row["verdict"], row["answers"]) == (14, 0, "better", "made elsewhere")
    assert found["gate"]["verdict"] == "ship"
    bad = scored("bad", 24, 0, "--gate", code=7)
    assert (bad["benchmarks"][0]["verdict"], bad["gate"]["verdict"]) == ("worse", "do not ship")
    same = scored("same", 4, 4)
    assert (same["benchmarks"][0]["verdict"], same["gate"]["verdict"]) == ("no difference shown", "do not ship")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_of_a_teachers_answers_the_share_of_its_gap_that_was_closed_is_told(data: Path, tmp_path: Path) -> None:
    base, distilled, teacher = (answers(tmp_path / f"{right}.jsonl", right) for right in (4, 10, 20))
    given = ("--answers", f"base={base}", "--answers", f"distilled={distilled}", "--teacher-answers", teacher)
    run = tmp_path / "taught"
    (row,) = benched("--run", run, "--data", data, *given)["benchmarks"]
    assert row["teacher"]["mean"] == pytest.approx(20 / 24)
    assert row["teacher_gap"]["closed"]["mean"] == pytest.approx(6 / 16)
    assert 0 < row["teacher_gap"]["closed"]["low"] < row["teacher_gap"]["closed"]["high"] < 1
    written(tmp_path / "other.jsonl", [{"task_id": ROWS[0]["id"], "role": "base", "text": "blue"}])
    wrong = ("--teacher-answers", tmp_path / "other.jsonl")
    fails(3, "holds no answer of the teacher", "bench", "--run", run, "--data", data, *given[:4], *wrong)


def test_several_answers_to_an_item_made_elsewhere_are_samples(data: Path, tmp_path: Path) -> None:
    """As in EvalPlus' own files; one role may have more of them than the other."""

    def file(role: str, said: list[list[str]]) -> str:
        rows = [{"task_id": row["id"], "text": text} for row, texts in zip(ROWS, said, strict=False) for text in texts]
        return f"--answers={role}={written(tmp_path / f'{role}.jsonl', rows)}"

    right, wrong = [row["answer"] for row in ROWS], "?"
    base = file("base", [[text, wrong] for text in right])
    found = benched("--run", tmp_path / "r", "--data", data, base, file("distilled", [[text] * 3 for text in right]))
    (row,) = found["benchmarks"]
    assert (row["samples"], row["base"]["mean"], row["distilled"]["mean"]) == (3, 0.5, 1.0)
    for name in ("RESULTS.md", "report.html"):
        assert "3, drawn as their maker did" in (tmp_path / "r" / name).read_text()


def test_the_gates_reason_is_one_line_and_rules_are_known(data: Path, tmp_path: Path, scored: Any) -> None:
    scored("bad", 24, 0, code=0)
    fails(7, "Do not ship: ", "bench", *given_again(tmp_path, "bad"), "--gate")
    fails(2, "no benchmark worse", "bench", "--run", tmp_path / "r", "--data", data, "--rule", "never")


def given_again(folder: Path, name: str) -> list[str | Path]:
    files = [f"--answers={role}={folder / f'{name}-{n}.jsonl'}" for role, n in (("base", 24), ("distilled", 0))]
    return ["--run", folder / name, *files]


def test_published_scores_stand_beside_ours(scored: Any, tmp_path: Path) -> None:
    rows = [{"model": "Other-7B", "benchmark": "colours", "score": 0.8, "source": "its card"}]
    found = scored("beside", 2, 4, "--published", written(tmp_path / "published.jsonl", rows))
    assert found["published"] == rows
    assert "Other-7B" in (tmp_path / "beside" / "RESULTS.md").read_text()
    broken = written(tmp_path / "broken.jsonl", [{"model": "x", "benchmark": "y", "score": 80}])
    fails(3, "share passed, 0 to 1", "bench", "--run", tmp_path / "beside", "--published", broken)


@pytest.mark.real
def test_two_runs_are_compared_item_by_item_or_refused(scored: Any, tmp_path: Path, data: Path) -> None:
    scored("a", 0, 1)
    scored("b", 0, 8)
    found = history.diff(tmp_path / "a", tmp_path / "b")
    (pair,) = found.benchmarks
    assert (pair.name, pair.verdict, pair.difference.mean) == ("colours", "better", pytest.approx(7 / 24))
    written(data, [ROWS[0] | {"answer": "another"}, *ROWS[1:]])
    scored("c", 0, 8)
    found = history.diff(tmp_path / "a", tmp_path / "c")
    assert found.benchmarks == []
    assert "colours: not compared, for the items is not the same in both." in found.notes


@pytest.mark.long
def test_inspect_ai_reads_the_log(data: Path, tmp_path: Path) -> None:
    python = os.environ.get("MLX_DISTILL_INSPECT_PYTHON") or missing(
        "MLX_DISTILL_INSPECT_PYTHON names no Python that has inspect-ai"
    )
    places = [str(Path(__file__).parents[2]), sysconfig.get_path("purelib")]
    ours = f"import runpy, sys; sys.path += {places}; runpy.run_module('mlx_distill', run_name='__main__')"
    files = [answers(tmp_path / f"{n}.jsonl", n) for n in (2, 6)]
    given = ("--answers", f"base={files[0]}", "--answers", f"distilled={files[1]}")
    command = [str(python), "-c", ours, "bench", "--run", tmp_path / "r", "--data", data, *given]
    subprocess.run([*command, "--inspect-log"], check=True, capture_output=True)
    code = (
        "import sys; from inspect_ai.log import read_eval_log; log = read_eval_log(sys.argv[1]);"
        "print(log.status, log.results.scores[0].metrics['accuracy'].value, len(log.samples), log.samples[0].input)"
    )
    log = tmp_path / "r/bench/inspect/colours-distilled.eval"
    done = subprocess.run([str(python), "-c", code, str(log)], check=True, capture_output=True, text=True)
    assert done.stdout.split(maxsplit=3)[:3] == ["success", "0.25", "24"]
    assert ROWS[0]["prompt"] in done.stdout


def test_without_inspect_ai_nothing_is_measured_first(data: Path, tmp_path: Path) -> None:
    fails(2, "needs inspect-ai", "bench", "--run", tmp_path / "r", "--data", data, "--inspect-log")
    assert not (tmp_path / "r" / "bench").exists()
