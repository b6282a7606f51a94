"""What `plan` says: from what is there, and what it calls unknown."""

import json
import re
from pathlib import Path

import pytest

from mlx_distill.models import students
from mlx_distill.pipeline.plan import plan
from mlx_distill.run import config as configuration
from mlx_distill.train import fit
from mlx_distill.train.fit import shape


@pytest.mark.parametrize(("student", "published"), [("qwen2.5-0.5b", 0.49e9), ("qwen2.5-1.5b", 1.54e9)])
def test_published_shapes_give_the_published_sizes(student: str, published: float) -> None:
    found = fit.shape_of(shape.KNOWN_SHAPES[student])
    assert found is not None
    assert found.weights() == pytest.approx(published, rel=0.01)


def test_the_published_shape_of_the_demo_student_is_the_one_that_is_here() -> None:
    here = students.model_config("smollm2-135m")
    assert here is not None
    assert shape.KNOWN_SHAPES["smollm2-135m"].items() <= here.items()


def rows(tmp_path: Path, preset: str = "demo", **changes: object) -> dict[str, str]:
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return dict(plan(configuration.resolve(preset, named), tmp_path / "new"))


def test_the_parts_of_memory_are_told_and_add_up(tmp_path: Path) -> None:
    found = rows(tmp_path)
    parts = ("Weights", "Adapter and optimiser", "Activations", "Logits chunks", "Prefix cache")
    total = sum(float(found[name].split()[0]) for name in parts)
    assert float(found["Peak memory, about"].split()[0]) == pytest.approx(total, abs=0.03)
    assert "not calibrated yet" in found["Peak memory, about"]
    assert found["Weights"] == "0.50 GiB"
    assert found["Examples"].startswith("104, assumed to have 1,000 tokens each")


def test_further_answers_to_training_prompts_are_counted(tmp_path: Path) -> None:
    claude = {"teacher__spec": "claude-sonnet-4-6"}
    usd, tokens = (
        [
            float(re.sub("[$,]", "", rows(tmp_path, **claude, **more)[name].split()[0]))
            for more in ({}, {"choice__teacher_answers": 3})
        ]
        for name in ("Teacher's cost, at most", "Output tokens, at most")
    )
    counts = [int(part.split()[0]) for part in rows(tmp_path)["Prompts"].split(", ")]
    assert tokens[1] - tokens[0] == 2 * counts[0] * 3072
    assert usd[1] / usd[0] == pytest.approx((sum(counts) + 2 * counts[0]) / sum(counts), rel=0.02)
    asked = rows(tmp_path, choice__teacher_answers=3)["Answers to ask for, at most"]
    assert int(asked) == sum(counts) + 2 * counts[0]


def test_a_student_that_is_not_here_is_planned_from_its_published_shape(tmp_path: Path) -> None:
    assert rows(tmp_path, "quick")["Student"] == "qwen2.5-0.5b, 494 M weights"
    assert rows(tmp_path, "quick", training__student="someone/else")["Memory and time"].startswith("unknown")


def test_the_users_own_data_is_counted(tmp_path: Path) -> None:
    data = tmp_path / "chat.jsonl"
    lines = [{"prompt": "word " * count, "completion": "yes"} for count in (10, 20, 400)]
    lines.append({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]})
    data.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = rows(tmp_path, training__data=str(data))["Examples"]
    assert found.startswith("4 of ")
    assert "counted with the student's tokenizer" in found


def test_what_does_not_fit_is_said_with_what_would_and_auto_takes_it(tmp_path: Path) -> None:
    tight = {"training__fine_tune": "full", "training__layers": 20, "machine__memory": 1.0}
    refused = rows(tmp_path, **tight)
    assert refused["Fits"].startswith("no: --layers ")
    layers = refused["Fits"].split()[2]
    settled = rows(tmp_path, **tight, machine__auto=True)
    assert settled["Layers, --auto"] == f"{layers} of 20"
    assert "tokens at a time" in settled["Fits"]


def test_time_is_unknown_until_a_run_has_measured_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "unknown" in rows(tmp_path)["Training time"]
    run = fit.Earlier("earlier", "smollm2-135m", "CPU", "Test", 1.1, 50e9)
    monkeypatch.setattr(fit, "earlier_runs", lambda folder: [run])
    monkeypatch.setattr("mlx_distill.machine.environment.chip", lambda: "Test")
    known = rows(tmp_path)
    assert known["Step time, about"].endswith("at the 50 GFLOP/s of earlier")
    assert known["Training time, about"].endswith("for 96 steps")
    assert known["Peak memory, about"].endswith("(calibrated by 1 earlier run)")


def test_a_recorded_teacher_costs_nothing_and_claude_has_an_upper_bound(tmp_path: Path) -> None:
    assert rows(tmp_path)["Teacher's cost"] == "nothing"
    assert rows(tmp_path, "standard")["Teacher's cost, at most"].startswith("$6.")


def test_benchmarks_are_planned_without_being_loaded(tmp_path: Path) -> None:
    settings = {"bench.benchmarks": ("default", "aime24"), "bench.limit": 100, "bench.data": ("mine.jsonl",)}
    rows = dict(plan(configuration.resolve("demo", settings), tmp_path))
    assert rows["Benchmarks, items"] == (
        "HumanEval+ (100), MBPP+ (100), MATH-500 (100), GSM8K (100), IFEval (100), AIME 2024 (30), 1 of your files"
    )
    tokens = 100 * (1024 + 1024 + 2048 + 1024 + 1280) + 30 * 8192
    assert rows["Tokens of the answers, at most"] == f"{2 * tokens:,}"
    assert "Benchmarks, items" not in dict(plan(configuration.resolve("demo", {}), tmp_path))
