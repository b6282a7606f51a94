"""Earlier runs: the list, the one before, and two side by side, with neighbours in every state."""

import io
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from runs import Made, made_run
from tables import every
from typed import typed

from mlx_distill import cli
from mlx_distill.cli.terminal import Terminal
from mlx_distill.run import config as configuration
from mlx_distill.run.errors import DataError
from mlx_distill.stats import inference as stats
from mlx_distill.summarise import history, summarise
from mlx_distill.summarise.history.runs import summary

GREEDY = Made(prompts=8, effect=0.0, name="greedy")


def finish(folder: Path, made: Made, day: int) -> Path:
    """A finished run of that day of November."""
    run, config = made_run(folder / made.name, made)
    environment = run.read_json("environment.json") | {"created": f"2026-11-{day:02}T10:00:00+00:00"}
    run.write_json("environment.json", environment)
    run.write_text("config.toml", tomli_w.dumps(configuration.to_table(config)))
    run.write_json("results.json", summarise(run, config))
    return run.path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs: `other` has the judges of neither, `better` differs in its distilled model alone."""
    folder = tmp_path_factory.mktemp("runs")
    finish(folder, GREEDY, 20)
    finish(folder, Made(prompts=8, effect=4.0, name="better"), 22)
    finish(folder, Made(prompts=6, judges=("static",), name="other"), 21)
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy of their results.json and config.toml, to be spoilt."""
    for run in finished.iterdir():
        (tmp_path / "some" / run.name).mkdir(parents=True)
        for name in ("results.json", "config.toml"):
            (tmp_path / "some" / run.name / name).write_bytes((run / name).read_bytes())
    return tmp_path / "some"


def results(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "results.json").read_text())
    return found


def change(run: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    found = results(run)
    edit(found)
    (run / "results.json").write_text(json.dumps(found))


def spoil(folder: Path) -> None:
    """Neighbours in every state that a run can be in, and some that are no run."""
    for name, content in {
        "torn": b'{"schema": 1, "run"',
        "list": b"[]",
        "empty": b"",
        "bytes": b"\xff\xfe\x00",
        "deep": b"[" * 200_000,
        "shape": b'{"run": {"name": 3}, "teacher": 4, "comparison": [], "training": "x"}',
    }.items():
        (folder / name).mkdir()
        (folder / name / "results.json").write_bytes(content)
    (folder / "begun").mkdir()
    (folder / "begun" / "config.toml").write_text("")
    (folder / "notes").mkdir()
    (folder / "file.txt").write_text("")
    (folder / "pipe").mkdir()
    os.mkfifo(folder / "pipe" / "results.json")
    (folder / "loop").symlink_to(folder / "loop")


# ---------------------------------------------------------------- the list


def test_the_latest_run_comes_first_with_what_it_came_to(folder: Path) -> None:
    entries = history.listed(folder)
    assert [entry.name for entry in entries] == ["better", "other", "greedy"]
    run, whole = entries[0].run, results(folder / "better")
    assert run is not None
    comparison = whole["comparison"]
    assert run.verdict == comparison["verdict"]
    assert run.usd == pytest.approx(whole["teacher"]["usd"] + comparison["judge_usd"])
    assert run.seconds == pytest.approx(84.2 + 321.0 + 65.5 + 48.1)
    assert run.heldout_loss.best
    assert run.heldout_loss.best.mean == whole["training"]["heldout_loss"]["best"]["mean"]
    assert (run.student, run.created[:10]) == ("qwen2.5-0.5b", "2026-11-22")


def test_every_loss_is_counted(folder: Path) -> None:
    def lose(found: dict[str, Any]) -> None:
        comparison = found["comparison"]
        rows = [comparison["preferences"][0], comparison["checks"]["pairs"], *comparison["dimensions"]]
        for place, row in enumerate(rows):
            row["verdict"] = "worse" if place in (0, 1, 4) else "no difference shown"

    change(folder / "better", lose)
    run = history.listed(folder)[0].run
    assert run is not None
    assert run.worse == 3


def test_runs_in_every_state_are_listed_as_what_they_are(folder: Path) -> None:
    spoil(folder)
    states = {entry.name: entry.state for entry in history.listed(folder)}
    assert states == {
        **dict.fromkeys(("better", "other", "greedy"), "finished"),
        **dict.fromkeys(("torn", "list", "empty", "bytes", "deep", "shape"), "not readable"),
        "begun": "not finished",
    }


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [leaf for key, item in inner for leaf in ((*path, key), *leaves(item, (*path, key)))]


@given(st.randoms(use_true_random=False), st.sampled_from([None, "x", -1, 1e999, [], {}, "2026", True]))
@settings(max_examples=100, deadline=None)
def test_a_run_with_anything_wrong_is_shown_or_refused(finished: Path, draw: random.Random, wrong: Any) -> None:
    found = results(finished / "greedy")
    found["training"]["curve"] = found["comparison"]["prompts"] = []
    *path, last = draw.choice(leaves(found))
    place = found
    for key in path:
        place = place[key]
    place[last] = wrong
    try:
        run = summary(typed(found))
    except (DataError, ValueError):
        return
    view = Terminal(Console(width=100, file=io.StringIO()))
    view.runs([history.Entry("a", "a", "finished", run)], "runs")


# ---------------------------------------------------------------- the run before


def test_the_latest_earlier_run_is_the_previous_one(folder: Path) -> None:
    spoil(folder)
    assert history.previous(folder / "greedy", "2026-11-20T10:00:00+00:00") is None
    for name, created, expected in (
        ("better", "2026-11-22T10:00:00+00:00", "other"),
        ("better", "2026-11-21T12:00:00+02:00", "greedy"),  # the same moment as the other: not earlier
        ("other", "2026-11-21T10:00:00", "greedy"),
        ("new", "2026-12-01T10:00:00+00:00", "better"),
    ):
        found = history.previous(folder / name, created)
        assert found is not None
        assert found.name == expected
        assert found == history.previous(folder / name, created)


def test_a_run_that_compared_nothing_is_no_previous_one(folder: Path) -> None:
    change(folder / "other", lambda found: found.update(comparison=None))
    found = history.previous(folder / "better", "2026-11-22T10:00:00+00:00")
    assert found is not None
    assert found.name == "greedy"


def test_results_know_the_run_before(finished: Path) -> None:
    before = {path.name: results(path)["previous"] for path in finished.iterdir()}
    assert before["greedy"] is None
    assert before["better"]["name"] == before["other"]["name"] == "greedy"  # of what was there when each was made
    assert before["better"]["epochs"] == results(finished / "greedy")["training"]["epochs"]


# ---------------------------------------------------------------- side by side


def test_both_values_stand_side_by_side(folder: Path) -> None:
    config = (folder / "better" / "config.toml").read_text().replace("rank = 16", "rank = 8")
    (folder / "better" / "config.toml").write_text(config)
    found = history.diff(folder / "greedy", folder / "better")
    rows = {(row.part, row.name): (row.a, row.b) for row in found.rows}
    assert {key: value for key, value in rows.items() if key[0] == "settings"} == {
        ("settings", "training.rank"): ("16", "8")
    }
    counts = [results(folder / name)["comparison"]["checks"]["roles"]["distilled"] for name in ("greedy", "better")]
    assert rows["comparison", "checks passed, distilled"] == tuple(f"{c['passed']} of {c['run']}" for c in counts)
    parts = {"settings", "run", "teacher", "training", "comparison", "gain over its base", "answers"}
    assert {part for part, _ in rows} == parts


def test_distilled_models_are_compared_by_prompt(folder: Path) -> None:
    found = history.diff(folder / "greedy", folder / "better")
    a, b = (results(folder / name)["comparison"]["prompts"] for name in ("greedy", "better"))
    pairs = [(x["distilled"]["scores"], y["distilled"]["scores"]) for x, y in zip(a, b, strict=True)]
    differences = [y["Documentation"] - x["Documentation"] for x, y in pairs if x and y]
    row = next(row for row in found.paired if row.name == "Documentation")
    assert row.difference == stats.estimate(differences)
    assert row.p == stats.paired_p(differences)
    assert row.p_holm is not None
    assert row.p_holm > row.p > 0
    assert row.difference.mean > 1
    back = next(row for row in history.diff(folder / "better", folder / "greedy").paired if row.name == "Documentation")
    assert back.difference.mean == pytest.approx(-row.difference.mean)


def test_checks_are_compared_exactly(folder: Path) -> None:
    def passing(names: set[int]) -> Callable[[dict[str, Any]], None]:
        def edit(found: dict[str, Any]) -> None:
            for number, prompt in enumerate(found["comparison"]["prompts"]):
                for answer in prompt["distilled"]["answers"]:
                    answer["checks"] = {"passed": 3 * (number in names), "of": 3, "run": True, "detail": ""}

        return edit

    change(folder / "greedy", passing({0}))
    change(folder / "better", passing({1, 2, 3, 4, 5, 6, 7}))
    found = history.diff(folder / "greedy", folder / "better")
    row = next(row for row in found.paired if row.name == "Executed checks")
    assert row.p == pytest.approx(stats.mcnemar(7, 1))
    assert row.difference.mean == pytest.approx(6 / 8)


def test_the_same_run_twice_shows_no_difference(folder: Path) -> None:
    found = history.diff(folder / "better", folder / "better")
    assert {row.difference.mean for row in found.paired} == {0.0}
    assert {row.verdict for row in found.paired} <= {"no difference shown", "too few prompts to tell"}
    assert all(row.a == row.b for row in found.rows)


def test_by_other_judges_nothing_but_the_checks_is_compared(folder: Path) -> None:
    found = history.diff(folder / "greedy", folder / "other")
    assert {row.name for row in found.paired} <= {"Executed checks"}
    judges = "claude-opus-4-6, mlx:Qwen2.5-7B-Instruct-4bit; static"
    assert any(f"the judges differ ({judges})" in note for note in found.notes)
    assert any("on the 6 prompts that both answered, of 8" in note for note in found.notes)


def renamed(comparison: dict[str, Any]) -> None:
    for number, prompt in enumerate(comparison["prompts"]):
        prompt["id"] = f"other {number}"


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda found: found["comparison"].update(samples=3), "(one greedy answer a prompt; 3 answers a prompt"),
        (lambda found: renamed(found["comparison"]), "no prompt in common"),
        (lambda found: found.update(comparison=None), "one run has no comparison"),
    ],
)
def test_a_comparison_that_would_mean_nothing_is_refused(folder: Path, edit: Any, words: str) -> None:
    change(folder / "better", lambda found: [found["comparison"].update(temperature=0.7), edit(found)])
    found = history.diff(folder / "greedy", folder / "better")
    assert found.paired == []
    assert any(words in note for note in found.notes)


def test_correctness_by_checks_and_by_judges_are_two_scales(folder: Path) -> None:
    def unchecked(found: dict[str, Any]) -> None:
        for prompt in found["comparison"]["prompts"][:3]:
            prompt["distilled"]["checked"] = not prompt["distilled"]["checked"]

    change(folder / "better", unchecked)
    found = history.diff(folder / "greedy", folder / "better")
    assert any("on the 5 prompts that were scored in the same way" in note for note in found.notes)
    assert next(row for row in found.paired if row.name == "Mean score").difference.n == 5


def test_settings_that_cannot_be_read_are_no_reason_to_stop(folder: Path) -> None:
    (folder / "greedy" / "config.toml").unlink()
    (folder / "better" / "config.toml").write_text("[")
    for a, b in (("greedy", "other"), ("better", "other")):
        assert any(note.startswith("Settings: not compared") for note in history.diff(folder / a, folder / b).notes)


@pytest.mark.parametrize("name", ["torn", "list", "bytes", "deep", "shape", "begun", "nothing", "file.txt", "pipe"])
def test_a_run_that_cannot_be_read_is_refused_in_one_line(folder: Path, name: str) -> None:
    spoil(folder)
    with pytest.raises(DataError, match=name) as error:
        history.diff(folder / "greedy", folder / name)
    assert "\n" not in str(error.value)


# ---------------------------------------------------------------- commands and terminal


def command(*arguments: str | Path) -> str:
    return CliRunner().invoke(cli.cli, [str(a) for a in arguments], catch_exceptions=False).output


def test_runs_for_programs(folder: Path) -> None:
    spoil(folder)
    rows = json.loads(command("runs", folder, "--json"))
    assert [row["name"] for row in rows][:3] == ["better", "other", "greedy"]
    assert rows[0]["run"]["heldout_loss"]["best"]["n"] == 8
    assert rows[-1]["run"] is None


def test_a_difference_for_programs(folder: Path) -> None:
    found = json.loads(command("diff", folder / "greedy", folder / "better", "--json"))
    assert {row["name"] for row in found["paired"]} >= {"Mean score", "Documentation"}


def test_a_bare_name_is_a_run_in_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.rename(folder.parent / "runs")
    monkeypatch.chdir(folder.parent)
    assert "Documentation" in command("diff", "greedy", "better")
    assert "better" in command("runs")


@every("width", [60, 80, 110, 200])
def test_names_do_nothing_to_a_terminal(folder: Path, width: int) -> None:
    evil = "[red]x[/red] \x1b[2J\x07\r:boom:\u202e"
    change(folder / "better", lambda found: found["comparison"].update(verdict=evil))
    change(folder / "better", lambda found: found["training"].update(student=evil))
    (folder / "[bold]b\x1b[1m").mkdir(exist_ok=True)
    (folder / "[bold]b\x1b[1m" / "stages.json").write_text("{}")
    screen = io.StringIO()
    view = Terminal(Console(width=width, file=screen, color_system=None, emoji=False))
    view.runs(history.listed(folder), "[i]runs\x1b[3m")
    view.diff(history.diff(folder / "greedy", folder / "better"))
    text = screen.getvalue()
    assert not set("\x1b\x07\r\u202e") & set(text)
    for words in ("[red]", "[bold]", "[i]", ":boom:"):
        assert words in text
    assert max(map(len, text.splitlines())) <= width
