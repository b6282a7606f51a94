"""Sections as a page that needs nothing but itself: report.html.

In: Results, charts as pictures. Out: HTML. Everything is escaped by the templates' environment, and a policy lets
nothing run or load but this page's own script and style.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mlx_distill.report.document import SIGNS, Block, Diagram, Facts, Section, has_content, text_of
from mlx_distill.report.page import views
from mlx_distill.report.page.answers import pieces
from mlx_distill.report.page.pictures import Picture
from mlx_distill.report.page.strips import alone, strip
from mlx_distill.report.sections import benchmarks, comparison, findings, making, prompts, seeds, selection
from mlx_distill.report.sections.measures import FORM
from mlx_distill.report.sections.numbers import numbers_of
from mlx_distill.report.sections.sweep_words import address
from mlx_distill.run.records import ROLES
from mlx_distill.run.results import Results
from mlx_distill.run.wording import NOTHING, estimate, p_value, percent, plural, visible

__all__ = ["Picture", "page"]

TEMPLATES = Path(__file__).parent / "templates"


def page(results: Results, pictures: Sequence[Picture] = ()) -> str:
    """The whole page. Parts whose stage has not run are left out."""
    return framed(
        "page.html",
        results.run.name,
        findings.headline(results).word or "not compared yet",
        results=results,
        run=results.run,
        comparison=results.comparison,
        training=results.training,
        gate=results.gate,
        benchmarks=results.benchmarks,
        pictures=pictures,
        parts=_parts(results),
        **_first(results),
    )


def framed(template: str, name: str, finding: str, *, styles: Sequence[str] = ("page.css",), **context: Any) -> str:
    """A template in the frame that all pages have, of which `name` and `finding` are the title."""
    style = "".join((TEMPLATES / each).read_text(encoding="utf-8") for each in styles)
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    text = (
        environment(TEMPLATES)
        .get_template(template)
        .render(
            context,
            name=name,
            finding=finding,
            style=Markup(style),
            script=Markup(script),
            policy=policy(style, script),
        )
    )
    return text.encode("utf-8", "replace").decode("utf-8")  # a model can write half a surrogate pair; a file cannot


def _first(results: Results) -> dict[str, Any]:
    """What stands above everything else."""
    verdict = findings.verdict_section(results).blocks
    return {
        "beforehand": findings.beforehand(results),
        "headline": findings.headline(results),
        "rules": findings.rules(results.gate) if results.gate else None,
        "warnings": findings.warnings(results),
        "basis": verdict[1:] if results.comparison else verdict,
        "self_check": findings.self_check_section(results),
        "seeds": seeds.training_seeds(results),
        "changes": findings.changes(results),
        "chosen": selection.headline(results.selection) if results.selection else None,
        "tally": views.tally(results.benchmarks),
    }


def _parts(results: Results) -> dict[str, list[Section]]:
    """The sections of each chapter."""
    asked = (benchmarks.scores, benchmarks.forgetting, benchmarks.changed_items, benchmarks.details, benchmarks.others)
    compared = (
        comparison.scorecard,
        comparison.preference,
        comparison.checks,
        comparison.prompted,
        comparison.judges,
        comparison.answers,
    )
    chapters = {
        "benchmarks": [make(results) for make in asked],
        "seeds": [seeds.training_seeds(results)],
        "selection": [selection.selection(results)],
        "scorecard": [make(results) for make in compared],
        "making": list(making.making(results).sections),
    }
    return {name: [part for part in parts if part.filled] for name, parts in chapters.items()}


def _in_columns(section: Section) -> bool:
    """Facts stand side by side; tables need the width."""
    return all(isinstance(block, Facts | Diagram) for block in section.blocks)


def policy(style: str, script: str) -> str:
    """Of a page with these two: nothing else may run or load."""
    parts = (
        "default-src 'none'",
        f"script-src '{_hash(script)}'",
        f"style-src '{_hash(style)}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(parts)


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def _shown(value: Any) -> Any:
    """Untrusted text must not turn the direction of what stands around it, either."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def kind_of(block: Block) -> str:
    return type(block).__name__


@cache
def environment(*folders: Path) -> Environment:
    """Escapes everything; a name that a template misspells is an error, not an empty place."""
    jinja = Environment(
        autoescape=True,
        loader=FileSystemLoader(folders),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    jinja.globals.update(ROLES=ROLES, NOTHING=NOTHING, SIGNS=SIGNS, CHANGES=findings.CHANGES)
    jinja.globals.update(NOTHING_SHOWN=findings.NOTHING_SHOWN, views=views, words=prompts, numbers_of=numbers_of)
    jinja.globals.update(FORM=FORM, strip=strip, alone=alone, pieces=pieces, roles_of=views.roles_of)
    jinja.globals.update(
        in_columns=_in_columns, address=address, kind_of=kind_of, text_of=text_of, has_content=has_content
    )
    jinja.globals.update(estimate=estimate, percent=percent, p_value=p_value, plural=plural)
    return jinja
