"""Two runs side by side, and, where they answered the same prompts under the same judges, one against the other.

In: two run folders. Out: rows with both values, and paired comparisons of the distilled models, B minus A, or the
reason why there is none: two scores by different judges are two numbers on different scales.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlx_distill.run import wording
from mlx_distill.run.decode import read_results
from mlx_distill.run.errors import DataError
from mlx_distill.run.folder import CONFIG
from mlx_distill.run.records import Estimate
from mlx_distill.run.results import Results
from mlx_distill.run.results.comparison import Comparison, RoleOnPrompt
from mlx_distill.run.toml_file import toml_of
from mlx_distill.stats import inference as stats
from mlx_distill.summarise.history import benchmarks
from mlx_distill.summarise.history.runs import summary

Measure = tuple[str, stats.Measure]


@dataclass(frozen=True)
class Row:
    """One value of both runs, as a table shows it."""

    part: str
    name: str
    a: str
    b: str


@dataclass(frozen=True)
class Paired:
    """One measure of B's distilled model minus A's, over the prompts that both answered."""

    name: str
    difference: Estimate | None
    p: float | None
    p_holm: float | None
    verdict: str
    smallest: float | None
    """The smallest difference that so many prompts could have shown."""


@dataclass(frozen=True)
class Diff:
    a: str
    b: str
    rows: list[Row]
    paired: list[Paired]
    benchmarks: list[Paired]
    notes: list[str]
    """What was not compared, and why."""


def diff(a: Path, b: Path) -> Diff:
    """Raises DataError for a run that is missing, has no results, or has some of another version."""
    a, b = _located(a), _located(b)
    first, second = read_results(a), read_results(b)
    notes: list[str] = []
    rows = [*_settings(a, b, notes), *_figures(first, second)]
    paired = _paired(first.comparison, second.comparison, notes)
    benchmarked = _decided(benchmarks.paired(first, second, notes))
    return Diff(str(a), str(b), rows, paired, benchmarked, notes)


def _located(path: Path) -> Path:
    """A name that is no folder stands for the run in runs/, as `mlx-distill runs` lists it."""
    return path if path.exists() or not Path("runs", path).is_dir() else Path("runs", path)


# ---------------------------------------------------------------- side by side


def _settings(a: Path, b: Path, notes: list[str]) -> list[Row]:
    """Those that differ."""
    try:
        first, second = _config(a), _config(b)
    except DataError as error:
        notes.append(f"Settings: not compared, for one config.toml cannot be read ({error}).")
        return []
    names = [name for name in dict.fromkeys([*first, *second]) if first.get(name) != second.get(name)]
    return [
        Row("settings", name, first.get(name, wording.NOTHING), second.get(name, wording.NOTHING)) for name in names
    ]


def _config(path: Path) -> dict[str, str]:
    content = toml_of(path / CONFIG)
    flat: dict[str, str] = {}
    for section, table in content.items():
        inner = (
            {f"{section}.{name}": value for name, value in table.items()}
            if isinstance(table, dict)
            else {section: table}
        )
        flat |= {name: _setting(value) for name, value in inner.items()}
    return flat


def _setting(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _figures(a: Results, b: Results) -> list[Row]:
    parts = {"run": _run, "teacher": _teacher, "training": _training, "comparison": _comparison}
    parts |= {"gain over its base": _gains, "answers": _answers, "benchmarks": benchmarks.scores}
    return [row for part, values in parts.items() for row in _side_by_side(part, values(a), values(b))]


def _side_by_side(part: str, a: dict[str, str], b: dict[str, str]) -> Iterable[Row]:
    for name in dict.fromkeys([*a, *b]):
        yield Row(part, name, a.get(name, wording.NOTHING), b.get(name, wording.NOTHING))


def _run(results: Results) -> dict[str, str]:
    known = summary(results)
    return {
        "created": known.created[:16],
        "preset": known.preset,
        "version": results.run.versions.get("mlx-distill") or wording.NOTHING,
        "total cost": wording.money(known.usd),
        "time": wording.duration(known.seconds),
    }


def _teacher(results: Results) -> dict[str, str]:
    teacher = results.teacher
    if not teacher:
        return {}
    return {
        "teacher": teacher.spec,
        "completions": f"{teacher.completions:,}",
        "tokens in / out": f"{teacher.input_tokens:,} / {teacher.output_tokens:,}",
        "cost": wording.money(teacher.usd),
    }


def _training(results: Results) -> dict[str, str]:
    training = results.training
    if not training:
        return {}
    loss = training.heldout_loss
    return {
        "student": training.student,
        "examples": f"{training.examples['train']:,}",
        "epochs, steps": f"{training.epochs:g}, {training.steps}",
        "trainable parameters": f"{training.trainable_parameters:,}",
        "held-out loss, base": wording.estimate(loss.base, 3),
        "held-out loss, best": wording.estimate(loss.best, 3),
        "held-out loss, change": wording.estimate(loss.change, 3),
        "time in steps": wording.duration(training.seconds),
    }


def _comparison(results: Results) -> dict[str, str]:
    comparison = results.comparison
    if not comparison:
        return {}
    rows = {
        "verdict": f"{comparison.verdict} (n = {comparison.n})",
        "judges": ", ".join(comparison.judges),
        "answers": wording.answers_made(comparison),
    }
    if comparison.primary:
        rows["preferred to its base"] = wording.percent(comparison.primary.share)
    for name, counts in comparison.checks.roles.items():
        if counts.run:
            rows[f"checks passed, {name}"] = f"{counts.passed} of {counts.run}"
    return rows


def _gains(results: Results) -> dict[str, str]:
    """Of each distilled model over its own base."""
    measures = results.comparison.measures if results.comparison else []
    return {str(row.name): f"{wording.estimate(row.difference, 2, '+')} {row.verdict}" for row in measures}


def _answers(results: Results) -> dict[str, str]:
    comparison = results.comparison
    if not comparison:
        return {}
    lines = {}
    for role, answers in comparison.answers.items():
        lines[f"characters, {role}"] = wording.estimate(answers.characters, 0)
        lines[f"cut at the cap, {role}"] = f"{answers.cut_off} of {answers.count}"
        lines[f"end in a loop, {role}"] = f"{answers.loops} of {answers.count}"
    return lines


# ---------------------------------------------------------------- one against the other


def _paired(a: Comparison | None, b: Comparison | None, notes: list[str]) -> list[Paired]:
    if not a or not b:
        notes.append("Distilled models: not compared, for one run has no comparison.")
        return []
    both = _common(a, b)
    if refusal := _refusal(a, b, both):
        notes.append(f"Distilled models: not compared, for {refusal}.")
        return []
    most = max(len(a.prompts), len(b.prompts))
    if len(both) < most:
        notes.append(f"Distilled models: compared on the {len(both)} prompts that both answered, of {most}.")
    return _decided([*_scores(a, b, both, notes), *_checks(both)])


Prompts = Sequence[tuple[RoleOnPrompt, RoleOnPrompt]]
"""The distilled part of a prompt in both runs."""


def _common(a: Comparison, b: Comparison) -> Prompts:
    first, second = ({prompt.id: prompt.distilled for prompt in run.prompts} for run in (a, b))
    return [(first[name], second[name]) for name in first if name in second]


def _refusal(a: Comparison, b: Comparison, both: Prompts) -> str:
    """Why nothing of the answers may be compared; empty where they may."""
    if not both:
        return "they answered no prompt in common"
    ways = [wording.answers_made(run) for run in (a, b)]
    return f"the answers were made in different ways ({ways[0]}; {ways[1]})" if ways[0] != ways[1] else ""


def _scores(a: Comparison, b: Comparison, both: Prompts, notes: list[str]) -> list[Measure]:
    if set(a.judges) != set(b.judges):
        notes.append(f"Scores: not compared, for the judges differ ({_names(a)}; {_names(b)}).")
        return []
    alike = [pair for pair in both if _alike(*pair)]
    if not alike:
        notes.append("Scores: not compared, for no prompt was scored in the same way in both.")
        return []
    if len(alike) < len(both):
        notes.append(f"Scores: compared on the {len(alike)} prompts that were scored in the same way in both.")
    scores = [(first.scores or {}, second.scores or {}) for first, second in alike]
    names = [name for name in scores[0][0] if all(name in first for first, _ in scores)]
    rows = [("Mean score", [(second.overall or 0.0) - (first.overall or 0.0) for first, second in alike])]
    rows += [(name, [second[name] - first[name] for first, second in scores]) for name in names]
    return [(name, stats.Measure(score, stats.paired_p(score), 10)) for name, score in rows]


def _names(run: Comparison) -> str:
    return ", ".join(run.judges)


def _alike(first: RoleOnPrompt, second: RoleOnPrompt) -> bool:
    """Whether the same judges scored both on the same dimensions, correctness being checked in both or in neither."""
    if not first.scores or not second.scores or _judges(first) != _judges(second):
        return False
    return set(first.scores) == set(second.scores) and first.checked == second.checked


def _judges(role: RoleOnPrompt) -> set[str]:
    return {judgment.judge for answer in role.answers for judgment in answer.judgments if judgment.scores}


def _checks(both: Prompts) -> list[Measure]:
    """Passed whole in every sample; checks need no judge."""
    known = [(_passed(first), _passed(second)) for first, second in both]
    pairs = [(x[1], y[1]) for x, y in known if x and y and x[0] == y[0]]
    if not pairs:
        return []
    return [("Executed checks", stats.pass_fail(pairs)[1])]


def _passed(role: RoleOnPrompt) -> tuple[list[int], bool] | None:
    """How many checks each answer had, and whether all passed; None where some were not run."""
    checks = [answer.checks for answer in role.answers]
    run = [check for check in checks if check is not None and check.run]
    if not run or len(run) < len(checks):
        return None
    return [check.of for check in run], all(check.passed == check.of for check in run)


def _decided(measures: list[Measure]) -> list[Paired]:
    """Tested together, so adjusted together (Holm); better and worse are B's."""
    rows = stats.decide_together([test for _, test in measures])
    return [
        Paired(name, row.difference, row.p, row.p_holm, row.verdict, row.smallest)
        for (name, _), row in zip(measures, rows, strict=True)
    ]
