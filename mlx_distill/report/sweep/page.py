"""sweep.html: one file that holds everything of a sweep and asks for nothing; each run's own page is a link away.

In: sweep.json's content and the chart in both themes. Out: HTML in the style, with the script and under the security
policy of a run's page; names and error messages are escaped by the template engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mlx_distill.report.page import TEMPLATES as OF_A_RUN
from mlx_distill.report.page import policy as policy_of
from mlx_distill.report.page.pictures import Picture
from mlx_distill.report.sweep import words
from mlx_distill.report.sweep.parts import CHECKPOINTS, parts
from mlx_distill.report.sweep.tables import SIGNS
from mlx_distill.run.results.sweep import SweepResults
from mlx_distill.run.wording import visible

TEMPLATES = Path(__file__).parent / "templates"

KINDS = {"better": "better", "worse": "worse", "loses": "worse", "failed": "worse", "ship": "better"}
KINDS |= {"do not ship": "worse", "mixed": "mixed", "kept": "kept"}
"""What a cell means → its colour; the rest is faint."""


def sweep_page(found: SweepResults, pictures: Sequence[Picture] = ()) -> str:
    """The whole page. Parts that have nothing to say are left out."""
    style = _read(OF_A_RUN / "page.css") + _read(TEMPLATES / "sweep.css")
    script = _read(OF_A_RUN / "page.js")
    text = (
        _environment()
        .get_template("sweep.html")
        .render(
            found=found,
            sweep=found.sweep,
            parts=parts(found),
            pictures=pictures,
            style=Markup(style),
            script=Markup(script),
            policy=policy_of(style, script),
        )
    )
    return text.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair can be named; a file cannot hold it


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _shown(value: Any) -> Any:
    """A name that turned the direction of writing would turn the numbers after it, too."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment() -> Environment:
    """Escapes everything; a name that a template misspells is an error, not an empty place."""
    templates = FileSystemLoader([TEMPLATES, OF_A_RUN])
    made = Environment(autoescape=True, loader=templates, undefined=StrictUndefined, trim_blocks=True, finalize=_shown)
    made.lstrip_blocks = True
    made.globals.update(words=words, SIGNS=SIGNS, KINDS=KINDS, CHECKPOINTS=CHECKPOINTS)
    return made
