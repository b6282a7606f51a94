"""The same run under several training seeds: what is shared, what is asked again, and what is said of all of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from command_line import Options, invoke
from runs import Made, made_run, results_of
from tables import every
from typed import as_dict, typed

from mlx_distill.report.markdown import results_markdown
from mlx_distill.run import config as configuration
from mlx_distill.run.config import Config
from mlx_distill.run.folder import RunDir
from mlx_distill.summarise import summarise


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_under_two_seeds_asks_teacher_and_base_once(short: Options, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = invoke("run", *short, "--run", run, "--training-seeds", "2")
    assert done.returncode == 0, done.stderr
    again = run / "seeds" / "1"
    assert (again / "teacher_data.jsonl").read_text() == (run / "teacher_data.jsonl").read_text()
    first, second = (lines(folder / "generations.jsonl") for folder in (run, again))
    assert [g for g in first if g["role"] == "base"] == [g for g in second if g["role"] == "base"]
    assert not (run / "seeds" / "shared").exists()
    assert (again / "metrics.jsonl").read_text() != (run / "metrics.jsonl").read_text()

    seeds = json.loads((run / "results.json").read_text())["seeds"]
    assert (seeds["seeds"], seeds["wanted"], len(seeds["heldout_loss"])) == ([0, 1], 2, 2)
    assert "Over the training seeds" in done.stdout
    assert "## Training seeds" in (run / "RESULTS.md").read_text()
    assert invoke("run", *short, "--run", run, "--training-seeds", "2").stdout.count("train     up to date") == 2


def with_seeds(folder: Path, effects: list[float], **changes: Any) -> tuple[RunDir, Config]:
    """A made-up run under as many seeds, in each of which the student gains so much."""
    made, *others = (made_run(folder / f"{place}", Made(effect=effect)) for place, effect in enumerate(effects))
    run, config = made
    for seed, (other, _) in enumerate(others, 1):
        settings = {"training.seed": seed} | changes
        other.write_text("config.toml", tomli_w.dumps(configuration.to_table(configuration.replace(config, settings))))
        other.write_json("results.json", summarise(other, config))
        (run.path / "seeds").mkdir(exist_ok=True)
        other.path.rename(run.path / "seeds" / str(seed))
    return run, configuration.replace(config, {"run.training_seeds": len(effects)})


@every(
    "effects, verdict", [([3.0, 3.0, 3.0], "better"), ([3.0, 0.0, 3.0], "no difference shown"), ([0.0, -3.0], "worse")]
)
def test_better_is_what_is_better_under_every_seed_and_worse_what_is_worse_under_any(
    effects: list[float], verdict: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run, config = with_seeds(tmp_path_factory.mktemp("seeds"), effects)
    seeds = as_dict(summarise(run, config))["seeds"]
    assert seeds["verdict"] == verdict
    row = seeds["measures"][0]
    assert len(row["differences"]) == len(effects)
    assert row["mean"] == pytest.approx(sum(row["differences"]) / len(effects))
    text = results_markdown(typed(as_dict(summarise(run, config))), [], run / "visuals")
    assert f"Over the training seeds: {verdict}" in text


def test_a_seed_of_another_configuration_does_not_count(tmp_path: Path) -> None:
    run, config = with_seeds(tmp_path, [3.0, 3.0], **{"training.epochs": 9})
    assert summarise(run, config).seeds is None


def test_one_seed_has_no_such_part(tmp_path: Path) -> None:
    assert results_of(tmp_path)["seeds"] is None
