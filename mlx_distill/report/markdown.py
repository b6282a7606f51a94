"""Sections as Markdown: RESULTS.md, and the pieces of the model card.

In: Results, or Sections. Out: Markdown. All text is escaped here and nowhere else: it makes no HTML, image, link, table
cell or heading, in any renderer; prompts and answers stand in fences that they cannot close.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from mlx_distill.report import sections
from mlx_distill.report.document import (
    LOUD,
    Block,
    Bullets,
    Cell,
    Diagram,
    Facts,
    Line,
    Measure,
    Measures,
    Section,
    Table,
    has_content,
    sign_of,
    text_of,
)
from mlx_distill.report.markdown_text import bullets, fence, inline, table
from mlx_distill.report.sections import findings, making, prompts
from mlx_distill.report.sections.sweep_parts import CHECKPOINTS
from mlx_distill.report.sections.sweep_parts import parts as sweep_parts
from mlx_distill.report.sections.sweep_words import address, explained, headline
from mlx_distill.run.records import ROLES, Role
from mlx_distill.run.results import Results
from mlx_distill.run.results.comparison import Comparison, PromptResult, RoleOnPrompt
from mlx_distill.run.results.sweep import SweepResults
from mlx_distill.run.wording import NOTHING, p_value, visible


def results_markdown(results: Results, charts: Sequence[str], visuals: Path) -> str:
    """RESULTS.md. `visuals`: the charts' folder as the file sees it."""
    comparison = results.comparison
    parts = [
        f"# Results: {inline(results.run.name)}",
        *map(line, findings.beforehand(results)),
        *map(section, sections.first(results)),
        *map(section, sections.measured(results)),
        pictures("Charts", charts, visuals),
        section(making.making(results)),
        _prompt_by_prompt(comparison) if comparison else "",
    ]
    return document(parts)


def document(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def pictures(title: str, charts: Sequence[str], folder: Path) -> str:
    """A PDF is linked: no reader shows one in a page."""
    shown = [_picture(name, (folder / name).as_posix()) for name in charts]
    return "\n\n".join([f"## {title}", *shown]) if shown else ""


def _picture(name: str, path: str) -> str:
    return f"{'' if name.endswith('.pdf') else '!'}[{name}]({path})"


# ---------------------------------------------------------------- sections and blocks

COUNTS = ("won", "gained", "tied", "unchanged", "lost")
"""Columns of a scorecard, gains at the left and losses at the right."""


def section(one: Section, level: int = 2, chart: str | None = None) -> str:
    """Nothing where it has nothing to say; a section without a title has no heading. `chart`: stands after its text."""
    if not one.filled:
        return ""
    below = level if one.folded else level + 1
    parts = [block(each) for each in one.blocks if has_content(each)]
    parts += [_picture(chart, chart)] if chart else []
    parts += filter(None, (section(part, below) for part in one.sections))
    if one.folded:
        return _folded(one.title, "\n\n".join(parts))
    heading = [f"{'#' * level} {inline(one.title)}"] if one.title else []
    return "\n\n".join([*heading, *parts])


def block(part: Block) -> str:
    match part:
        case Line():
            return line(part)
        case Bullets():
            return bullets(map(line, part.lines), part.otherwise)
        case Facts():
            return table(("", ""), [map(cell, row) for row in part.rows])
        case Table():
            return table(map(inline, part.header), [map(cell, row) for row in part.rows])
        case Measures():
            return _measures(part)
        case Diagram():
            return f"```mermaid\n{part.source}```"


def line(words: Line) -> str:
    sign = sign_of(words.word, words.lead)
    lead = f"**{' '.join(filter(None, (sign, inline(words.lead, first=not sign))))}**" if words.lead else ""
    return " ".join(part for part in (lead, inline(words.text, first=not lead)) if part)


def cell(content: Cell | str) -> str:
    shown = text_of(content)
    text = inline(shown.text, first=False)
    if shown.run:
        text = f"[{text}]({address(shown.run)}/RESULTS.md)"
    if sign := sign_of(shown.word, shown.text):
        text = f"{sign} {text}"
    text = f"**{text}**" if shown.word in LOUD else text
    return f"{text} !" if shown.doubtful else text


def _measures(measures: Measures) -> str:
    roles = [role for role in ROLES if any(role == mine for row in measures.rows for mine, *_ in row.values)]
    counted = {word for row in measures.rows for word, _ in row.counts}
    counts = [word for word in COUNTS if word in counted]
    further = list(dict.fromkeys(name for row in measures.rows for name, _ in row.further))
    about = any(row.notes for row in measures.rows)
    header = (measures.first.capitalize(), "n", *roles, "distilled − base", *counts)
    header += ("p", "p (Holm)", "verdict", "detectable", "needed to tell", *further)
    closed = any(row.closed for row in measures.rows)
    header += (*("share of the teacher gap closed",) * closed, *("about",) * about)
    rows = [_measure(row, roles, counts, further, (closed, about)) for row in measures.rows]
    warnings = [f"{inline(row.name)}, {inline(warning)}." for row in measures.rows for warning in row.warnings]
    return "\n\n".join(filter(None, (table(map(inline, header), rows), bullets(warnings))))


def _measure(
    row: Measure, roles: Sequence[Role], counts: Sequence[str], further: Sequence[str], last: tuple[bool, bool]
) -> list[str]:
    """`last`: whether there are columns of the teacher gap and of notes."""
    values = {role: text for role, _, text in row.values}
    counted, more = dict(row.counts), dict(row.further)
    cells: list[Cell | str] = [row.name, row.counted.rpartition(" ")[0], *(values.get(role, NOTHING) for role in roles)]
    cells += [f"{row.difference_text} {row.unit}".strip(), *(str(counted.get(word, NOTHING)) for word in counts)]
    cells += [p_value(row.p), p_value(row.p_holm)]
    after = [row.equivalent or row.detectable or NOTHING, row.needed if row.to_tell else NOTHING]
    after += [*(more.get(name, NOTHING) for name in further)]
    after += [*[row.closed or NOTHING] * last[0], *["; ".join(row.notes)] * last[1]]
    return [*map(cell, [*cells, Cell(row.verdict, row.verdict), *after])]


# ---------------------------------------------------------------- sweeps


def sweep_markdown(results: SweepResults, chart: str | None) -> str:
    """sweep.md. `chart`: its path from the file's folder."""
    findings_ = [Line(one.words, f"{one.verdict}:", one.verdict) for one in results.findings]
    parts = [
        f"# Sweep: {inline(results.sweep.name)}",
        f"**{headline(results)}.** {explained(results)}",
        bullets(map(line, findings_)),
        *(section(part, chart=chart if part.name == CHECKPOINTS else None) for part in sweep_parts(results)),
    ]
    return document(parts)


# ---------------------------------------------------------------- prompt by prompt


def _prompt_by_prompt(comparison: Comparison) -> str:
    parts = [_prompt(number, prompt, comparison.roles) for number, prompt in enumerate(comparison.prompts, 1)]
    return "\n\n".join(["## Prompt by prompt", *parts]) if parts else ""


def _prompt(number: int, prompt: PromptResult, roles: Sequence[Role]) -> str:
    reasons = (
        f"{inline(reason.judge)}: {inline(prompts.preferred(reason))}. {inline(reason.reason)}".strip()
        for reason in prompt.preference_reasons
    )
    parts = [
        f"### {number}. {inline(prompt.title)} ({inline(prompt.category)}, {inline(prompt.source)})",
        fence(prompt.text),
        inline(prompts.outcome(prompt)),
        table(("", "mean score", "checks passed", "ended"), [_role(role, prompt.of(role)) for role in roles]),
        *(_answer(role, prompt.of(role), place) for role in roles for place in range(len(prompt.of(role).answers))),
        _folded("Who was preferred, and why", bullets(reasons)),
    ]
    return "\n\n".join(part for part in parts if part)


def _role(role: str, answers: RoleOnPrompt) -> tuple[str, ...]:
    scored = "unscored" if answers.overall is None else f"{answers.overall:.1f}"
    checked = ", ".join(prompts.checks(answer.checks) for answer in answers.answers) or NOTHING
    return role, scored, checked, ", ".join(inline(prompts.ended(answer)) for answer in answers.answers) or "no answer"


def _answer(role: str, answers: RoleOnPrompt, place: int) -> str:
    answer, count = answers.answers[place], len(answers.answers)
    title = f"{role}, answer {place + 1} of {count}" if count > 1 else role
    judged = (
        f"{inline(judgment.judge)}: {inline(prompts.scores(judgment))}. {inline(judgment.reason)}".strip()
        for judgment in answer.judgments
    )
    detail = f"Checks: {inline(answer.checks.detail)}" if answer.checks and answer.checks.detail else ""
    return _folded(title, "\n\n".join(part for part in (fence(answer.text), bullets(judged), detail) if part))


def _folded(title: str, content: str) -> str:
    """The title stands within HTML, on one line."""
    shown = html.escape(visible(" ".join(title.split())))
    return f"<details><summary>{shown}</summary>\n\n{content}\n\n</details>" if content else ""
