"""results.json and sweep.json as they are read back: of this version, or named as what they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from click.testing import CliRunner
from runs import Made, made_run, results_of
from tables import every
from typed import as_dict, typed

from mlx_distill import cli
from mlx_distill.run import config as configuration
from mlx_distill.run.errors import DataError
from mlx_distill.summarise import history, summarise

SCHEMA_1 = {"schema": 1, "run": {"name": "old"}, "teacher": None, "comparison": {"preferences": [], "n": 3}}
TOLD = "has schema 1, and this version reads 3: `mlx-distill report --run"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return results_of(tmp_path_factory.mktemp("made"), Made(prompts=4))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A run of before, beside which nothing lies."""
    run = tmp_path / "runs" / "old"
    run.mkdir(parents=True)
    (run / "results.json").write_text(json.dumps(SCHEMA_1))
    return run


def test_what_was_written_is_read_the_same(made: dict[str, Any]) -> None:
    assert as_dict(typed(made)) == made


def test_a_file_of_another_schema_is_listed_as_not_readable_with_what_to_do(old: Path) -> None:
    (entry,) = history.listed(old.parent)
    assert (entry.state, entry.run) == ("not readable", None)
    assert TOLD in entry.why
    shown = CliRunner().invoke(cli.cli, ["runs", str(old.parent)], catch_exceptions=False).output
    assert "not readable" in shown
    assert "has schema 1" in shown
    assert "mlx-distill report --run" in " ".join(shown.split())


def test_a_file_of_another_schema_is_not_compared(old: Path) -> None:
    with pytest.raises(DataError) as error:
        history.diff(old, old)
    assert TOLD in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_of_another_schema_is_not_drawn(old: Path, tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "generate_visuals.py"
    command = [sys.executable, script, old, tmp_path / "drawn"]
    found = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert (found.returncode, len(found.stderr.splitlines())) == (1, 1)
    assert TOLD in found.stderr


def test_a_report_over_a_self_check_of_another_schema_says_so(tmp_path: Path) -> None:
    run, config = made_run(tmp_path / "run", Made(prompts=4))
    run.write_text("self-check/config.toml", tomli_w.dumps(configuration.to_table(config)))
    run.write_json("self-check/results.json", SCHEMA_1)
    with pytest.raises(DataError) as error:
        summarise(run, config)
    assert TOLD in str(error.value)


def test_no_run_before_is_made_of_another_schema(old: Path) -> None:
    assert history.previous(old.parent / "new", "2026-12-01T10:00:00+00:00") is None


@every(
    "wrong, words",
    [
        ({"unknown": 1}, "unknown field `unknown`"),
        ({"run": None}, r"\$.run"),
        ({"benchmarks": [{"name": 3}]}, r"\$.benchmarks\[0\]"),
        ({"self_check": {"verdict": ""}}, "missing required field"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(made: dict[str, Any], wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        typed(made | wrong)


def test_a_list_is_no_results() -> None:
    with pytest.raises(DataError, match="is not a JSON object"):
        typed([])  # type: ignore[arg-type]
