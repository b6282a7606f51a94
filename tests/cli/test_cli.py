"""The command line as a user meets it: whole runs, failures, interruptions, exit codes."""

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from command_line import Options, fails, invoke, started
from messages_api import MessagesServer, error, message
from tables import every

from mlx_distill import cli
from mlx_distill.cli.terminal import Terminal
from mlx_distill.evaluate.judges import DIMENSIONS
from mlx_distill.run.decode import read_results

# ---------------------------------------------------------------- whole runs


def files(run: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file()
        and path.name not in ("environment.json", "results.json", "RESULTS.md", "report.html", "stages.json")
        and path.suffix != ".png"
        and "ledger" not in path.name
    }


def test_a_run_leaves_every_file_that_it_promises(finished: Path) -> None:
    for name in [
        "config.toml",
        "environment.json",
        "prompts.jsonl",
        "teacher_data.jsonl",
        "dataset.json",
        "metrics.jsonl",
        "training.json",
        "distilled-student/adapters.safetensors",
        "distilled-student/adapter_config.json",
        "generations.jsonl",
        "judgments.jsonl",
        "preferences.jsonl",
        "scores.jsonl",
        "results.json",
        "RESULTS.md",
        "report.html",
        "visuals/model_scorecard.png",
        "visuals/pipeline.mmd",
    ]:
        assert (finished / name).is_file(), name


def test_results_have_the_keys_that_others_read(finished: Path) -> None:
    results = json.loads((finished / "results.json").read_text())
    assert set(results) >= {"schema", "run", "teacher", "training", "comparison", "benchmarks", "cost_scaling"}
    assert set(results["training"]["heldout_loss"]) >= {"base", "best", "last"}
    assert [row["prompts"] for row in results["cost_scaling"][1:]] == [10_000, 1_000_000, 16_000_000]
    assert [row["name"] for row in results["comparison"]["dimensions"]] == list(DIMENSIONS)
    assert results["comparison"]["prompts"][0]["teacher"]["answers"][0]["text"]


def test_the_same_command_again_keeps_everything(finished: Path, short: Options) -> None:
    before = files(finished)
    done = invoke("run", *short, "--run", finished)
    assert done.returncode == 0
    assert all(f"{stage:<9} kept" in done.stdout for stage in ("collect", "train", "generate", "judge"))
    assert files(finished) == before


def test_a_run_directory_of_another_configuration_is_left_alone(finished: Path, short: Options) -> None:
    before = files(finished)
    fails(2, "training.rank: 16 → 4", "run", *short, "--rank", "4", "--run", finished)
    assert files(finished) == before


def test_a_config_repeats_a_run_elsewhere(finished: Path, tmp_path: Path) -> None:
    done = invoke("collect", "--config", finished / "config.toml", "--run", tmp_path / "again")
    assert done.returncode == 0, done.stderr
    first, again = (
        [json.loads(line) for line in (run / "teacher_data.jsonl").read_text().splitlines()]
        for run in (finished, tmp_path / "again")
    )
    assert [row | {"answered_at": 0} for row in first] == [row | {"answered_at": 0} for row in again]


def test_an_earlier_run_is_a_teacher(finished: Path, tmp_path: Path, short: Options) -> None:
    spec = f"recorded:{finished / 'teacher_data.jsonl'}"
    done = invoke("collect", *short, "--teacher", spec, "--run", tmp_path / "next")
    assert done.returncode == 0, done.stderr


def test_the_report_can_be_drawn_again_without_the_weights(finished: Path, tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "generate_visuals.py"
    subprocess.run([sys.executable, script, finished, tmp_path], check=True, capture_output=True)
    assert (tmp_path / "model_scorecard.png").read_bytes() == (finished / "visuals/model_scorecard.png").read_bytes()


def claude(request: dict[str, Any]) -> Any:
    if "output_config" in request:
        return message(json.dumps({name: {"reason": "seen", "score": 6} for name in DIMENSIONS}), tokens=(100, 50))
    return message("Use this.\n\n```python\ndef f() -> int:\n    return 1\n```", tokens=(30, 40))


@pytest.mark.real
def test_the_real_path_with_claude_as_teacher_and_judge(
    serve: Callable[..., MessagesServer], tmp_path: Path, short: Options
) -> None:
    server = serve(claude)
    run = tmp_path / "run"
    options = (*short, "--teacher", "claude-sonnet-4-6", "--judge", "claude-opus-4-6", "--run", run, "--yes")
    fails(4, "--accept-terms", "run", *options)
    assert server.asked == []
    done = invoke("run", *options, "--accept-terms")
    assert done.returncode == 0, done.stderr
    assert json.loads((run / "terms.json").read_text())["teacher"] == "claude-sonnet-4-6"
    results = json.loads((run / "results.json").read_text())
    assert results["teacher"]["usd"] == pytest.approx(6 * (30 * 3 + 40 * 15) / 1e6)
    assert results["comparison"]["judges"] == ["claude-opus-4-6"]
    assert any("one family" in caveat for caveat in results["comparison"]["caveats"])
    asked = len(server.asked)
    assert invoke("run", *options).returncode == 0
    assert len(server.asked) == asked
    everything = b"".join(path.read_bytes() for path in run.rglob("*") if path.is_file())
    assert b"sk-ant-secret" not in everything
    assert "sk-ant-secret" not in done.stdout + done.stderr


@pytest.mark.real
def test_train_takes_a_chat_file_without_collecting(tmp_path: Path) -> None:
    rows = [
        {"messages": [{"role": "user", "content": f"number {i}?"}, {"role": "assistant", "content": str(i)}]}
        for i in range(12)
    ]
    (tmp_path / "chat.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    run = tmp_path / "run"
    done = invoke(
        "train",
        "--data",
        tmp_path / "chat.jsonl",
        "--student",
        "smollm2-135m",
        "--layers",
        "2",
        "--epochs",
        "1",
        "--run",
        run,
    )
    assert done.returncode == 0, done.stderr
    assert (run / "distilled-student" / "adapters.safetensors").is_file()
    assert not (run / "teacher_data.jsonl").exists()
    assert invoke("report", "--run", run).returncode == 0


# ---------------------------------------------------------------- failures


def test_wrong_use(tmp_path: Path, short: Options) -> None:
    run = ("--run", tmp_path / "run")
    fails(2, "not in the price table", "collect", *run, "--teacher", "claude-9000", "--accept-terms")
    fails(2, "must be above zero", "train", *run, "--epochs", "0")
    fails(2, "There is no prompt set", "collect", *run, *short, "--prompts", "nowhere.txt")
    assert invoke("run", "--preset", "nothing").returncode == 2
    assert started("run", "--nonsense").returncode == 2
    (tmp_path / "file").write_text("")
    fails(2, "is a file", "run", "--preset", "demo", "--run", tmp_path / "file")


def test_bad_data(tmp_path: Path, short: Options) -> None:
    (tmp_path / "latin.txt").write_bytes("caf\xe9\n".encode("latin-1"))
    (tmp_path / "broken.toml").write_text("[[prompt]")
    (tmp_path / "empty.txt").write_text("")
    for name, words in (("latin.txt", "not UTF-8"), ("broken.toml", "not valid TOML"), ("empty.txt", "is empty")):
        fails(3, words, "collect", "--run", tmp_path / "r", "--preset", "demo", "--prompts", tmp_path / name)
    (tmp_path / "student").mkdir()
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + b"\x07" * 100)
    assert invoke("collect", *short, "--run", tmp_path / "s").returncode == 0
    for student, words in (
        (tmp_path / "student", "no config.json"),
        (tmp_path / "bad.gguf", "damaged"),
        ("qwen2.5-1.5b", "what would work here"),
    ):
        fails(3, words, "train", *short, "--student", student, "--update", "--run", tmp_path / "s")
    fails(
        3,
        "nothing to train on (left out: 4 too long): a larger --window than 50",
        "train",
        *short,
        "--window",
        "50",
        "--update",
        "--run",
        tmp_path / "s",
    )
    assert (tmp_path / "s" / "teacher_data.jsonl").is_file()
    fails(3, "run `mlx-distill collect` first", "train", *short, "--run", tmp_path / "empty")
    judged = ("--judge", "claude-opus-4-6", "--run", tmp_path / "judged")
    fails(3, "run `mlx-distill collect` first", "compare", *short, *judged)


def test_teacher_failures(tmp_path: Path, serve: Callable[..., MessagesServer]) -> None:
    run = ("--run", tmp_path / "run", "--accept-terms", "--yes")
    fails(4, "set ANTHROPIC_API_KEY", "collect", *run)
    server = serve(lambda _: error(401, "authentication_error", "invalid x-api-key"))
    fails(4, "check ANTHROPIC_API_KEY", "collect", *run)
    server.answer = lambda _: message("x", tokens=(10, 2000))
    fails(5, "raise --max-cost", "collect", *run, "--max-cost", "0.5")


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/dev/full").exists(), reason="needs an unwritable place")
def test_an_unwritable_disk_is_one_line() -> None:
    fails(3, "/proc/nowhere", "run", "--preset", "demo", "--run", "/proc/nowhere/run")


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = started("--debug", "collect", "--preset", "demo", "--prompts", "nowhere.txt", "--run", tmp_path / "r")
    assert "Traceback" in done.stderr


@pytest.mark.real
def test_a_run_on_a_terminal_that_is_not_utf_8(finished: Path, short: Options) -> None:
    done = invoke("run", *short, "--run", finished, encoding="latin-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "?" in done.stdout
    assert "Held-out loss" in done.stdout


@every("encoding", ["latin-1", "ascii", "cp1252"])
def test_what_a_terminal_cannot_write_is_replaced(encoding: str, finished: Path) -> None:
    told = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    with redirect_stdout(told):
        cli._replace_what_cannot_be_written()
        Terminal().summary(read_results(finished), "…")
    assert "Verdict" in told.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    failed = invoke("plan", "--config", "…", encoding=encoding)
    assert (failed.returncode, "does not exist" in failed.stderr) == (3, True)


# ---------------------------------------------------------------- looking without starting


def test_plan_starts_nothing(tmp_path: Path) -> None:
    done = invoke("plan", "--run", tmp_path / "run")
    assert done.returncode == 0
    for words in ("104 train, 8 valid, 28 test", "qwen2.5-1.5b, 1,544 M weights", "at most", "GiB"):
        assert words in done.stdout, words
    assert not (tmp_path / "run").exists()


def test_doctor_names_what_is_there_and_what_is_missing() -> None:
    done = invoke("doctor")
    assert done.returncode == 0
    for words in ("Python", "MLX", "BLAS", "smollm2-135m", "not set", "Sandbox"):
        assert words in done.stdout, words


@pytest.mark.real
def test_the_judge_is_never_silently_the_teacher(
    serve: Callable[..., MessagesServer], tmp_path: Path, short: Options
) -> None:
    serve(claude)
    options = (
        "--teacher",
        "claude-opus-4-6",
        "--judge",
        "claude-opus-4-6",
        "--accept-terms",
        "--yes",
        "--run",
        tmp_path / "run",
    )
    done = invoke("run", *short, "--limit", "1", *options)
    assert done.returncode == 0, done.stderr
    assert "The judge claude-opus-4-6 is the teacher itself" in done.stdout.split("collect")[0]
    caveats = json.loads((tmp_path / "run" / "results.json").read_text())["comparison"]["caveats"]
    assert any("the teacher itself" in caveat for caveat in caveats)


def test_a_judge_without_a_key_is_found_before_training(tmp_path: Path, short: Options) -> None:
    fails(4, "claude-opus-4-6 needs a key", "run", *short, "--judge", "claude-opus-4-6", "--run", tmp_path / "run")
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_report_of_nothing_is_refused(tmp_path: Path) -> None:
    fails(3, "nothing to report", "report", "--run", tmp_path / "typo")


@pytest.mark.long
def test_other_test_prompts_do_not_train_again(finished: Path, tmp_path: Path, short: Options) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    adapter = (run / "distilled-student" / "adapters.safetensors").read_bytes()
    done = invoke("run", *short, "--test-prompts", "heldout", "--update", "--run", run)
    assert done.returncode == 0, done.stderr
    assert "train     kept" in done.stdout
    assert (run / "distilled-student" / "adapters.safetensors").read_bytes() == adapter
    prompts = json.loads((run / "results.json").read_text())["comparison"]["prompts"]
    assert {prompt["source"] for prompt in prompts} == {"heldout"}
