"""RESULTS.md and pipeline.mmd from results.json: what was done, what it measured, what got worse.

In: results. Out: text. What models wrote is shown in code fences longer than any run of backticks inside, so that
it can neither end the fence nor be rendered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mlx_distill.records import ROLES


def results_markdown(results: dict[str, Any], charts: Sequence[str], visuals: Path) -> str:
    parts = [
        _head(results),
        _pipeline(results),
        _collecting(results),
        _training(results),
        _comparison(results),
        _changes(results),
        _cost(results),
        _pictures(charts, visuals),
        _prompts(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def pipeline_diagram(results: dict[str, Any]) -> str:
    """A Mermaid flow chart with this run's numbers."""
    teacher, training, comparison = results["teacher"], results["training"], results["comparison"]
    collected = f"{teacher['completions']} completions" if teacher else "not run"
    examples = f"{training['examples']['train']} examples" if training else "not run"
    steps = f"{training['steps']} steps" if training else "not run"
    judged = f"{len(comparison['prompts'])} test prompts" if comparison else "not run"
    verdict = comparison["verdict"] if comparison else "not run"
    return f"""flowchart LR
    prompts[Prompts] -->|collect| completions["Teacher data: {collected}"]
    completions -->|encode| examples["{examples}"]
    examples -->|train| adapter["Adapter: {steps}"]
    heldout["{judged}"] -->|generate| answers[teacher / base / distilled]
    adapter --> answers
    answers -->|check and judge| verdict["Verdict: {verdict}"]
    verdict -->|report| charts[Charts, RESULTS.md]
"""


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(_cell(value) for value in row) + " |" for row in rows)])


def _cell(value: Any) -> str:
    text = "—" if value is None else str(value)
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _estimate(estimate: dict[str, Any] | None, digits: int = 2, sign: str = "") -> str:
    if estimate is None:
        return "—"
    form = f"{sign}.{digits}f"
    if estimate["low"] is None:
        return f"{estimate['mean']:{form}}"
    return f"{estimate['mean']:{form}} [{estimate['low']:{form}}, {estimate['high']:{form}}]"


def _head(results: dict[str, Any]) -> str:
    run, comparison = results["run"], results["comparison"]
    hardware = run["hardware"]
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items() if version)
    rows = [
        ("Date", run["created"]),
        ("Preset, seed", f"{run['preset']}, {run['seed']}"),
        (
            "Hardware",
            f"{hardware['chip']}, {hardware['cores']} cores, {hardware['memory_bytes'] / 2**30:.0f} GiB",
        ),
        ("System", f"{hardware['os']}, {hardware['backend']}, BLAS {hardware['blas'] or 'of MLX'}"),
        ("Versions", versions),
    ]
    verdict = f"**Verdict: {comparison['verdict']}; {comparison['verdict_in_words']}.** " if comparison else ""
    intro = (
        f"{verdict}Brackets are 95 % intervals over prompts, for one "
        "number at a time; verdicts are adjusted for looking at several (Holm), so an interval beside zero can come "
        "with no verdict. Every number comes from this run's files."
    )
    return f"# Results: {run['name']}\n\n{intro}\n\n" + _table(("", ""), rows)


def _pipeline(results: dict[str, Any]) -> str:
    return f"## Pipeline\n\n```mermaid\n{pipeline_diagram(results)}```\n\n" + _table(
        ("Stage", "Seconds"), [(name, f"{seconds:.1f}") for name, seconds in results["run"]["stages"].items()]
    )


def _collecting(results: dict[str, Any]) -> str:
    teacher = results["teacher"]
    if teacher is None:
        return ""
    left_out = ", ".join(f"{count} {reason}" for reason, count in teacher["left_out"].items()) or "none"
    counted = teacher["input_tokens"] + teacher["output_tokens"] > 0
    tokens = f"{teacher['input_tokens']:,} / {teacher['output_tokens']:,}" if counted else "not counted"
    rows = [
        ("Teacher", f"{teacher['spec']} ({', '.join(teacher['models'])})"),
        ("Prompts", ", ".join(f"{count} {split}" for split, count in teacher["prompts"].items())),
        ("Completions", teacher["completions"]),
        ("Left out of training", left_out),
        ("Tokens in / out", tokens),
        ("Cost", "nothing" if teacher["usd"] is None else f"${teacher['usd']:.2f}"),
    ]
    return "## Step 1: collecting\n\n" + _table(("", ""), rows)


def _trained(training: dict[str, Any]) -> str:
    layers = training["layers"]
    where = "all layers" if layers == "all" else f"top {layers} layers"
    if training["fine_tune"] == "full":
        return f"every weight of the {where}"
    kind = {"lora": "LoRA", "dora": "DoRA"}[training["fine_tune"]]
    return f"{kind} of rank {training['rank']} and scale {training['scale']:g} on the {where}"


def _settings(training: dict[str, Any]) -> list[tuple[str, str]]:
    share = training["trainable_parameters"] / training["total_parameters"]
    return [
        ("Student", training["student"]),
        (
            "Trainable parameters",
            f"{training['trainable_parameters']:,} of {training['total_parameters']:,} ({share:.2%})",
        ),
        ("Examples", ", ".join(f"{count} {split}" for split, count in training["examples"].items())),
        ("Trained", _trained(training)),
        (
            "Epochs, steps",
            f"{training['epochs']:g}, {training['steps']}" + (" (stopped early)" if training["stopped_early"] else ""),
        ),
        (
            "Time in steps",
            f"{training['seconds']:.0f} s, {training['tokens_per_second']:.0f} scored tokens/s",
        ),
        ("Peak memory", f"{training['peak_memory_bytes'] / 2**30:.2f} GiB"),
        ("Kept", f"step {training['best_step']}"),
    ]


def _training(results: dict[str, Any]) -> str:
    training = results["training"]
    if training is None:
        return ""
    loss, accuracy = training["heldout_loss"], training["token_accuracy"]
    measured = [
        (
            "Held-out loss",
            _estimate(loss["base"], 3),
            _estimate(loss["best"], 3),
            f"{loss['last']['mean']:.3f}",
        ),
        (
            "Token accuracy",
            _estimate(accuracy["base"], 3),
            _estimate(accuracy["best"], 3),
            f"{accuracy['last']['mean']:.3f}",
        ),
    ]
    change = _estimate(loss["change"], 3, "+")
    return (
        "## Step 2: training\n\n"
        + _table(("", ""), _settings(training))
        + f"\n\nOn {training['heldout_prompts']} prompts that were not trained on "
        + f"(change of the loss: {change}):\n\n"
        + _table(("", "base", "kept", "last step"), measured)
    )


def _comparison(results: dict[str, Any]) -> str:
    comparison = results["comparison"]
    if comparison is None:
        return ""
    rows = [
        (
            dimension["name"],
            *(_estimate(dimension[role]) for role in ROLES),
            _estimate(dimension["difference"], 2, "+"),
            "—" if dimension["p_holm"] is None else f"{dimension['p_holm']:.3f}",
            dimension["n"],
            f"**{dimension['verdict']}**" if dimension["verdict"] in ("better", "worse") else dimension["verdict"],
        )
        for dimension in comparison["dimensions"]
    ]
    header = ("Dimension", *ROLES, "distilled − base", "p (Holm)", "n", "verdict")
    text = f"## Step 3: comparison\n\nJudge: {', '.join(comparison['judges'])}. Scores from 0 to 10.\n\n"
    text += _table(header, rows)
    if comparison["measured"]:
        measured = [f"- {name}: {what}" for name, what in comparison["measured"].items()]
        text += "\n\nWhat the static analysis measures:\n\n" + "\n".join(measured)
    checks = comparison["checks"]
    if any(checks[role]["run"] or checks[role]["not_run"] for role in ROLES):
        text += "\n\nExecuted checks, prompts passed whole:\n\n" + _table(
            ROLES, [[f"{checks[role]['passed']} of {checks[role]['run']}" for role in ROLES]]
        )
    if comparison["caveats"]:
        text += "\n\nRead with care:\n\n" + "\n".join(f"- {caveat}" for caveat in comparison["caveats"])
    return text


def _changes(results: dict[str, Any]) -> str:
    """What got better and what got worse, under headings of the same size, never left out."""
    comparison, training = results["comparison"], results["training"]
    if comparison is None:
        return ""
    lines: dict[str, list[str]] = {"better": [], "worse": [], "undecided": []}
    for dimension in comparison["dimensions"]:
        if dimension["difference"] is None:
            continue
        text = f"{dimension['name']}: {_estimate(dimension['difference'], 2, '+')} (n = {dimension['n']})"
        decided = dimension["verdict"] in ("better", "worse")
        lines[dimension["verdict"] if decided else "undecided"].append(
            text if decided else f"{text}: {dimension['verdict']}"
        )
    if training is not None:
        change = training["heldout_loss"]["change"]
        text = f"Held-out loss: {_estimate(change, 3, '+')} nats per token"
        known = change["low"] is not None and change["low"] * change["high"] > 0
        lines["undecided" if not known else "better" if change["mean"] < 0 else "worse"].append(text)
    if checks := comparison["checks_difference"]:
        text = f"Executed checks, share of prompts passed whole: {_estimate(checks['difference'], 2, '+')}"
        decided = checks["verdict"] in ("better", "worse")
        lines[checks["verdict"] if decided else "undecided"].append(text)
    titles = {"better": "What got better", "worse": "What got worse", "undecided": "No difference shown"}
    return "\n\n".join(
        f"## {titles[name]}\n\n" + ("\n".join(f"- {line}" for line in found) or "Nothing that could be shown.")
        for name, found in lines.items()
    )


def _cost(results: dict[str, Any]) -> str:
    rows = results["cost_scaling"]
    if not rows:
        return ""
    table = [(row["label"], f"{row['prompts']:,}", _money(row["usd"]), _money(row["usd_batch"])) for row in rows]
    return f"## Cost at scale\n\nBasis: {rows[0]['basis']}.\n\n" + _table(
        ("", "Prompts", "Online, USD", "Batch, USD"), table
    )


def _money(estimate: dict[str, Any]) -> str:
    if estimate["low"] is None:
        return f"{estimate['mean']:,.2f}"
    return f"{estimate['mean']:,.2f} [{estimate['low']:,.2f}, {estimate['high']:,.2f}]"


def _pictures(charts: Sequence[str], visuals: Path) -> str:
    return "## Charts\n\n" + "\n\n".join(f"![{name}]({(visuals / name).as_posix()})" for name in charts)


def _prompts(results: dict[str, Any]) -> str:
    comparison = results["comparison"]
    if comparison is None:
        return ""
    return "## Prompt by prompt\n\n" + "\n\n".join(
        _prompt(number, prompt) for number, prompt in enumerate(comparison["prompts"], 1)
    )


def _prompt(number: int, prompt: dict[str, Any]) -> str:
    rows = [
        (
            role,
            "unscored" if prompt[role]["overall"] is None else f"{prompt[role]['overall']:.1f}",
            _checks(prompt[role]["checks"]),
            prompt[role]["finish_reason"],
        )
        for role in ROLES
    ]
    answers = "\n\n".join(
        f"<details><summary>{role}</summary>\n\n{fence(prompt[role]['text'])}\n\n</details>"
        for role in ROLES
        if prompt[role]["text"] is not None
    )
    text = prompt["text"].replace("<", "&lt;").replace("\n", "\n> ")
    table = _table(("", "Mean score", "Checks", "Ended"), rows)
    heading = f"### {number}. {_cell(prompt['title'])} ({_cell(prompt['category'])}, {_cell(prompt['source'])})"
    return f"{heading}\n\n> {text}\n\n{table}\n\n{answers}"


def _checks(checks: dict[str, Any] | None) -> str:
    if checks is None:
        return "—"
    return f"{checks['passed']} of {checks['of']}" if checks["run"] else "not run"


def fence(text: str) -> str:
    """Untrusted text in a fence that it cannot close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}text\n{text}\n{marks}"
