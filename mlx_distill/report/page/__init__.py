"""report.html: one file that holds everything of a run and asks for nothing else.

In: results and the charts as pictures. Out: HTML. Whatever a model, judge or file wrote is escaped by the template
engine, and the page's security policy lets nothing run or load but the one style and the one script in it.
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

from mlx_distill.report.page import benchmarks, numbers, selection, views
from mlx_distill.report.page.answers import pieces
from mlx_distill.report.page.pictures import Picture
from mlx_distill.report.page.strips import alone, strip
from mlx_distill.run.records import ROLES
from mlx_distill.run.results import Results
from mlx_distill.run.wording import NOTHING, duration, estimate, p_value, percent, plural, points, selecting, visible

__all__ = ["Picture", "page"]

TEMPLATES = Path(__file__).parent / "templates"


def page(results: Results, pictures: Sequence[Picture] = ()) -> str:
    """The whole page. Parts whose stage has not run are left out."""
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    text = (
        _environment()
        .get_template("page.html")
        .render(
            results=results,
            run=results.run,
            comparison=results.comparison,
            training=results.training,
            gate=results.gate,
            benchmarks=results.benchmarks or [],
            selection=results.selection,
            pictures=pictures,
            style=Markup(style),
            script=Markup(script),
            policy=policy(style, script),
        )
    )
    return text.encode("utf-8", "replace").decode("utf-8")  # a model can write half a surrogate pair; a file cannot


def _shown(value: Any) -> Any:
    """Untrusted text must not turn the direction of what stands around it, either."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


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


@cache
def _environment() -> Environment:
    """Escapes everything; a name that a template misspells is an error, not an empty place."""
    templates = FileSystemLoader(TEMPLATES)
    made = Environment(autoescape=True, loader=templates, undefined=StrictUndefined, trim_blocks=True, finalize=_shown)
    made.lstrip_blocks = True
    made.globals.update(
        ROLES=ROLES, NOTHING=NOTHING, views=views, numbers=numbers, strip=strip, alone=alone, pieces=pieces
    )
    made.globals.update(
        bench=benchmarks,
        chosen=selection,
        points=points,
        estimate=estimate,
        percent=percent,
        p_value=p_value,
        plural=plural,
        selecting=selecting,
        duration=duration,
    )
    return made
