"""Marks: which of its instructions an answer follows, to the letter (strict) and with allowances (loose).

In: cases. Out: a Mark for each, and the benchmark's four published figures. An answer passes if it follows all of its
instructions strictly; what the other three figures need is in the Mark's parts. Loose takes the best of up to eight
forms of an answer: between the two lies what fails by decoration alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mlx_distill.evaluate.benchmarks.benchmark import Case, Item, Mark, Scoring
from mlx_distill.evaluate.benchmarks.ifeval.content import CONTENT
from mlx_distill.evaluate.benchmarks.ifeval.form import FORM

CHECKS = CONTENT | FORM
"""Instruction id → check: the 25 of Zhou et al. 2023 (arXiv 2311.07911)."""

LOOSE = "prompt, loose"


def score(cases: Sequence[Case], scoring: Scoring) -> Iterator[Mark]:
    """Marks in order. One at a time: an answer takes milliseconds."""
    for item, text in cases:
        yield mark(item, text)


def mark(item: Item, text: str) -> Mark:
    """The same for the same answer, always. A blank answer follows nothing, not even "no commas"."""
    instructions: Sequence[tuple[str, Mapping[str, Any]]] = item.data["instructions"]
    forms = variants(text)
    strict = [_follows(forms[:1], *asked) for asked in instructions]
    loose = [followed or _follows(forms[1:], *asked) for followed, asked in zip(strict, instructions, strict=True)]
    parts = {LOOSE: all(loose)}
    for number, (name, _) in enumerate(instructions, 1):
        parts |= {f"strict {number} {name}": strict[number - 1], f"loose {number} {name}": loose[number - 1]}
    missed = [name for (name, _), followed in zip(instructions, strict, strict=True) if not followed]
    detail = f"not followed: {', '.join(missed)}" if forms else "no answer"
    return Mark(all(strict), text.strip() or None, detail if missed else "", parts)


def variants(text: str) -> list[str]:
    """The answer and what loose takes for it, without blank ones and repetitions: without stars, without the first
    line, the last line or both, and all of these without stars."""
    lines = text.split("\n")
    cut = [text, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    forms = [*cut, *(form.replace("*", "") for form in cut)]
    return [form for form in dict.fromkeys(forms) if form.strip()]


def _follows(forms: Iterable[str], name: str, arguments: Mapping[str, Any]) -> bool:
    return any(CHECKS[name](form, **arguments) for form in forms)


def accuracies(marks: Iterable[Mark]) -> dict[str, float]:
    """The four published figures, 0 to 1, of at least one mark: by prompt and by instruction, strict and loose."""
    listed = list(marks)
    parts = [part for mark in listed for part in mark.parts.items()]
    return {
        "prompt, strict": _share(mark.passed is True for mark in listed),
        LOOSE: _share(mark.parts[LOOSE] for mark in listed),
        "instruction, strict": _share(followed for name, followed in parts if name.startswith("strict ")),
        "instruction, loose": _share(followed for name, followed in parts if name.startswith("loose ")),
    }


def _share(followed: Iterable[bool]) -> float:
    listed = list(followed)
    return sum(listed) / len(listed)
