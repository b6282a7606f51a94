"""sweep.html: one file that holds everything of a sweep and asks for nothing; each run's own page is a link away.

In: sweep.json's content and the chart in both themes. Out: HTML in the style, with the script and under the security
policy of a run's page; names and error messages are escaped by the template engine.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from mlx_distill.report.page import TEMPLATES, environment, policy
from mlx_distill.report.page.pictures import Picture
from mlx_distill.report.sections import sweep_words
from mlx_distill.report.sections.sweep_parts import CHECKPOINTS, parts
from mlx_distill.run.results.sweep import SweepResults


def sweep_page(results: SweepResults, pictures: Sequence[Picture] = ()) -> str:
    """The whole page. Parts that have nothing to say are left out."""
    style = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "sweep.css"))
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    template = environment(TEMPLATES).get_template("sweep.html")
    text = template.render(
        found=results,
        sweep=results.sweep,
        parts=parts(results),
        pictures=pictures,
        style=Markup(style),
        script=Markup(script),
        policy=policy(style, script),
        said=sweep_words,
        CHECKPOINTS=CHECKPOINTS,
    )
    return text.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair can be named; a file cannot hold it
