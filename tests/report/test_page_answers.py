"""Answers as pieces of escaped HTML, and strips as places: without a browser."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from mlx_distill.report.page.answers import LEXERS, highlight, pieces
from mlx_distill.report.page.strips import strip
from mlx_distill.report.sections.measures import whole_reach
from mlx_distill.run.records import Estimate


def plain(html: Markup) -> str:
    return Markup(re.sub(r"</?i(?: class=\w+)?>", "", html)).unescape()


@settings(deadline=None)
@given(
    st.text(alphabet=st.sampled_from("ab \n\t<>&'\"#`-+@=:()\\\u2028é"), max_size=200), st.sampled_from(sorted(LEXERS))
)
def test_highlighted_code_says_what_the_code_says(code: str, language: str) -> None:
    html = highlight(code, language)
    assert plain(html) == code
    assert all(re.fullmatch(r"</i>|<i class=\w+>", tag) for tag in re.findall(r"<[^>]*>", html))


LINES = st.sampled_from(
    ["one", "two  ", "", "- item", "  ```py", "```", "~~~", "    four", "> ```", "````sql x", "\u2028"]
)


@settings(deadline=None)
@given(st.lists(LINES, max_size=14).map("\n".join))
def test_no_line_of_an_answer_is_lost_and_their_order_is_kept(text: str) -> None:
    shown = "\n".join(plain(piece.html) for piece in pieces(text)).split()
    fences = re.compile(r"[>\s]*(```+|~~~+)[^`]*")
    wanted = [word for line in text.split("\n") if not fences.fullmatch(line) for word in line.split()]
    left = iter(shown)
    assert all(word in left for word in wanted)


def test_code_is_found_as_a_markdown_reader_would() -> None:
    found = pieces("Say:\n\n````md\n```python\nx\n```\n````\n\n- in a list\n  ```py\n  y = 1\n  ```\nend", "sql")
    assert [(piece.language, plain(piece.html).strip()) for piece in found] == [
        (None, "Say:"),
        ("md", "```python\nx\n```"),
        (None, "- in a list"),
        ("py", "y = 1"),
        (None, "end"),
    ]
    assert [piece.language for piece in pieces("```\nselect 1\n```", "sql")] == ["sql"]


def test_strips_stay_on_their_scale() -> None:
    wide = strip(Estimate(5.0, 9, -40.0, 50.0), (-10, 10), 0)
    assert wide is not None
    assert (wide.low, wide.dot, wide.high, wide.zero) == (0, 75, 100, 50)
    assert strip(None, (0, 1)) is None
    assert whole_reach([Estimate(0.5, 9, -3.2, 1.0), None]) == 4
    assert whole_reach([]) == 1
