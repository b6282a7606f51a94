import json
from pathlib import Path

import pytest

from mlx_distill import config as configuration
from mlx_distill import students
from mlx_distill.config import TrainingConfig
from mlx_distill.plan import KNOWN_SHAPES, adapter_count, parameter_count, plan
from mlx_distill.students import Student
from mlx_distill.students import adapter as adapters


def test_counts_are_those_of_the_loaded_model(smollm: Student) -> None:
    shape = students.model_config("smollm2-135m")
    assert shape is not None
    assert parameter_count(shape) == pytest.approx(134_515_008, rel=1e-3)
    adapter = adapters.attach(smollm.model, TrainingConfig(layers=3, rank=5))
    assert adapter_count(shape, 3, 5) == adapter.parameter_count()
    adapter.dial(0)


@pytest.mark.parametrize(("student", "published"), [("qwen2.5-0.5b", 0.49e9), ("qwen2.5-1.5b", 1.54e9)])
def test_published_shapes_give_the_published_sizes(student: str, published: float) -> None:
    assert parameter_count(KNOWN_SHAPES[student]) == pytest.approx(published, rel=0.01)


def rows(tmp_path: Path, **changes: object) -> dict[str, str]:
    return dict(plan(configuration.resolve("demo", dict(changes)), tmp_path))


def test_time_is_unknown_until_a_run_has_measured_it(tmp_path: Path) -> None:
    assert "unknown" in rows(tmp_path)["Training time"]
    (tmp_path / "earlier").mkdir()
    training = {
        "student": "smollm2-135m",
        "tokens_per_second": 100.0,
        "scored_tokens": 12_000,
        "epochs": 2,
        "examples": {"train": 20},
    }
    (tmp_path / "earlier" / "results.json").write_text(json.dumps({"training": training}))
    assert rows(tmp_path)["Training time"].startswith("about 3 minutes, at the 100 scored tokens/s of earlier")


def test_a_recorded_teacher_costs_nothing_and_claude_has_an_upper_bound(tmp_path: Path) -> None:
    assert rows(tmp_path)["Teacher's cost"] == "nothing"
    claude = dict(plan(configuration.resolve("standard"), tmp_path))
    assert claude["Teacher's cost, at most"].startswith("$6.")
