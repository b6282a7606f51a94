"""The selection in charts, RESULTS.md, report.html and the model card: what is kept, why, and every loss."""

import copy
import itertools
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from matplotlib.lines import Line2D
from runs import ATTACK, Made, results_of
from selected import SELECTIONS, selected
from typed import typed

from mlx_distill.report import draw
from mlx_distill.report.card import model_card
from mlx_distill.report.charts import drawing
from mlx_distill.report.charts.canvas import Canvas
from mlx_distill.report.look import Look
from mlx_distill.report.markdown import results_markdown
from mlx_distill.report.page import page
from mlx_distill.report.sections.numbers import numbers_of
from mlx_distill.report.style import PALETTES
from mlx_distill.run.wording import candidate, points, standing

Results = dict[str, Any]
CHARTS = ("checkpoint_scores", "gain_against_forgetting")
LEGEND = 260
"""Pixels from the top at which it has ended."""
DARK = PALETTES["dark"]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return results_of(tmp_path_factory.mktemp("made"), Made(prompts=4, missing=("comparison",)))


@pytest.fixture(scope="module")
def made(bare: Results) -> dict[str, Results]:
    return {name: selected(bare, name) for name in SELECTIONS}


@pytest.fixture
def results(made: dict[str, Results]) -> Results:
    return copy.deepcopy(made["typical"])


def drawn(results: Results, name: str, progress: float = 1.0) -> Canvas:
    canvas = drawing(name, typed(results), Look(), progress)
    assert canvas
    return canvas


def words(canvas: Canvas) -> list[str]:
    return [text.get_text() for text in canvas.axes.texts if text.get_text()]


def marks(canvas: Canvas, shape: str = "", colour: str = "") -> list[Line2D]:
    """Without those of the legend, which lie above everything else."""
    found = [line for line in canvas.axes.lines if line.get_marker() not in ("None", "")]
    found = [line for line in found if line.get_ydata()[0] > LEGEND]
    return [m for m in found if shape in ("", m.get_marker()) and colour in ("", m.get_color())]


# ---------------------------------------------------------------- charts


def test_the_title_says_what_is_kept_and_the_sentence_why(made: dict[str, Results]) -> None:
    for name, results in made.items():
        for chart in CHARTS:
            canvas = drawing(chart, typed(results), Look())
            if canvas is None:
                assert (name, chart) == ("own domain only", CHARTS[1])
                continue
            assert words(canvas)[0] == f"Kept: {candidate(typed(results).selection.chosen)}"
    assert any(said.startswith("Gains most on HumanEval+ (+13.3") for said in words(drawn(made["typical"], CHARTS[0])))
    kept_base = words(drawn(made["not confirmed"], CHARTS[0]))
    assert kept_base[0] == "Kept: the base"
    assert any("it loses on IFEval" in said for said in kept_base)
    assert sum(said.endswith("loses on the items that confirm") for said in kept_base) == 1


def test_a_title_has_one_size_whatever_is_kept(made: dict[str, Results]) -> None:
    titles = [
        next(t for t in drawn(made[name], CHARTS[0]).axes.texts if t.get_text().startswith("Kept: "))
        for name in ("typical", "none eligible")
    ]
    assert len({(t.get_fontsize(), t.get_weight(), t.get_color()) for t in titles}) == 1


def test_every_panel_has_a_star_on_what_is_kept_and_marks_what_loses(made: dict[str, Results]) -> None:
    yellow = DARK.roles["teacher"]
    for name, filled, hollow in (("typical", 4, 0), ("none eligible", 4, 0), ("not confirmed", 4, 4), ("many", 5, 0)):
        results = made[name]
        stars = marks(drawn(results, CHARTS[0]), "*", yellow)
        assert [sum(s.get_markerfacecolor() == yellow for s in stars)] == [filled]
        assert len(stars) == filled + hollow
        lost = sum(score["loses"] for row in results["selection"]["candidates"] for score in row["scores"])
        assert len(marks(drawn(results, CHARTS[0]), colour=DARK.worse)) == lost > 0
    at_the_base = marks(drawn(made["none eligible"], CHARTS[0]), "*", yellow)
    squares = marks(drawn(made["none eligible"], CHARTS[0]), "s", DARK.roles["base"])
    assert [s.get_xdata() for s in at_the_base] == [s.get_xdata() for s in squares]


def test_a_point_of_a_hundred_is_as_high_in_every_panel(results: Results) -> None:
    """So that a gain on one benchmark and a loss on another compare."""
    canvas = drawn(results, CHARTS[0])
    texts = [(text.get_text(), text.get_position()[1]) for text in canvas.axes.texts if text.get_text()]
    values = [(float(said[:-1]), y) if re.fullmatch(r"\d+%", said) else None for said, y in texts]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.pairwise(values) if a and b]
    assert len(slopes) >= 4
    assert slopes == pytest.approx([slopes[0]] * len(slopes))


def test_strengths_are_told_apart_by_shape(results: Results) -> None:
    for chart in CHARTS:
        shapes = {mark.get_marker() for mark in marks(drawn(results, chart))}
        assert {"o", "D", "^", "v"} <= shapes


def test_the_scatter_has_all_four_quadrants_and_as_much_room_for_losses(results: Results) -> None:
    found = words(drawn(results, CHARTS[1]))
    for said in ("better here, worse elsewhere", "▲ better here, nothing lost elsewhere", "▼ worse in both"):
        assert said in found
    assert {"base", "step 8", "step 16", "step 24"} <= set(found)
    ticks = [float(said) for said in found if said[0] in "+-" and said[1:].replace(".", "").isdigit()]
    assert sorted(ticks) == sorted(-tick for tick in ticks)


def test_a_path_leads_from_the_base_through_the_strengths(results: Results) -> None:
    canvas = drawn(results, CHARTS[1])
    base = marks(canvas, "s", DARK.roles["base"])[0]
    start = (base.get_xdata()[0], base.get_ydata()[0])
    paths = [line for line in canvas.axes.lines if len(line.get_xdata()) == 5]
    assert len(paths) == 3
    assert {(path.get_xdata()[0], path.get_ydata()[0]) for path in paths} == {start}


def test_an_animation_grows_and_keeps_the_star_for_the_end(results: Results) -> None:
    for chart in CHARTS:
        counts = [len(marks(drawn(results, chart, progress))) for progress in (0.0, 0.3, 0.6, 1.0)]
        assert counts == sorted(counts)
        assert counts[0] < counts[-1]
        assert not marks(drawn(results, chart, 0.6), "*", DARK.roles["teacher"])


def test_what_could_not_be_scored_is_left_out(results: Results) -> None:
    found = results["selection"]
    found["benchmarks"][0]["base"] = None
    for row in found["candidates"]:
        row["scores"][1].update(score=None, difference=None)
    assert "kept: — → 53.3 % · none loses here" in words(drawn(results, CHARTS[0]))
    found["candidates"][0]["gain"] = None
    assert drawing(CHARTS[1], typed(results), Look()) is None
    assert "| 8 | 0.25 | — |" in text_of(results)


# ---------------------------------------------------------------- RESULTS.md


def text_of(results: Results) -> str:
    return results_markdown(typed(results), [], Path("visuals"))


def section(text: str, title: str = "Selection") -> str:
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_section_says_what_is_kept_and_lists_every_candidate(results: Results) -> None:
    text = section(text_of(results))
    assert text.strip().startswith("**✓ Kept: step 8 at strength 0.75.** Gains most on HumanEval+")
    selection = typed(results).selection
    assert selection
    for row in selection.candidates:
        told = f"| {row.step} | {row.strength:g} | {points(row.gain, sign='+')} |"
        line = next(line for line in text.splitlines() if line.startswith(told))
        assert points(row.elsewhere, sign="+") in line
        assert (f"| **▼ {', '.join(row.loses)}** |" in line) == bool(row.loses)
        assert all(word in line for word in standing(selection, row))
    assert "Held back are 60 items of each benchmark; none of them is among the reported ones" in text
    assert "one-sided p below 0.05" in text


def test_the_confirmation_is_a_table(made: dict[str, Results]) -> None:
    held = section(text_of(made["typical"]))
    assert "### Step 8 at strength 0.75: confirmed" in held
    failed = section(text_of(made["not confirmed"]))
    assert failed.strip().startswith("**✗ Kept: the base.** Step 8 at strength 0.25 gained most")
    rows = failed.split("### Step 8 at strength 0.25: not confirmed")[1]
    assert next(line for line in rows.splitlines() if line.startswith("| IFEval |")).endswith("| **▼ loses** |")
    assert "###" not in section(text_of(made["none eligible"]))


@pytest.mark.parametrize("name", SELECTIONS)
def test_selections_of_every_kind_are_told(made: dict[str, Results], name: str) -> None:
    for text in (text_of(made[name]), model_card(typed(made[name])), page(typed(made[name]))):
        assert "None" not in text
        assert "nan" not in text.split("Selection")[-1][:2000]
        assert "Kept: " in text
    for chart in CHARTS:
        _, table = numbers_of(chart, typed(made[name]))
        assert table
        assert {len(row) for row in table.rows} == {len(table.header)}


def test_older_results_say_nothing_of_a_selection(bare: Results) -> None:
    for results in (bare, bare | {"selection": None}):
        for text in (text_of(results), model_card(typed(results)), page(typed(results))):
            assert "Kept: " not in text
            assert "Selection" not in text
        assert [numbers_of(chart, typed(results))[1] for chart in CHARTS] == [None, None]
        assert [drawing(chart, typed(results), Look()) for chart in CHARTS] == [None, None]


# ---------------------------------------------------------------- report.html


class Words(HTMLParser):
    """The text of a page, and how many of each element it has."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.tags = "", dict[str, int]()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_has_it_in_the_verdict_and_as_a_section(made: dict[str, Results]) -> None:
    for name, sign in (("typical", "✓"), ("not confirmed", "✗"), ("none eligible", "✗")):
        results = made[name]
        found = Words(page(typed(results)))
        kept = f"{sign} Kept: {candidate(typed(results).selection.chosen)}."
        assert found.text.count(kept) == 2
        assert 'href="#selection"' in page(typed(results))
        assert found.tags["table"] - Words(page(typed(results | {"selection": None}))).tags.get("table", 0) == (
            2 if results["selection"]["confirmation"] else 1
        )


# ---------------------------------------------------------------- model card


def test_a_card_says_which_candidate_the_adapter_is(made: dict[str, Results]) -> None:
    text = section(model_card(typed(made["typical"])), "Which checkpoint this is")
    assert "**✓ Kept: step 8 at strength 0.75.**" in text
    assert "The strength is folded into the adapter's own weights" in text
    for name in ("none eligible", "not confirmed"):
        text = section(model_card(typed(made[name])), "Which checkpoint this is")
        assert "**✗ Kept: the base.**" in text
        assert "Use the base: this adapter is step 24 at full strength" in text


@pytest.mark.real
def test_a_card_lies_beside_the_adapter_that_it_describes(made: dict[str, Results], tmp_path: Path) -> None:
    for folder in ("distilled-student", "kept-student"):
        (tmp_path / folder).mkdir()
    for name, folder in (("typical", "kept-student"), ("none eligible", "distilled-student")):
        results = made[name] | {"cost_scaling": []}
        card = draw(typed(results), tmp_path, tmp_path / "visuals", Look(size=(320, 320)))[-1]
        assert card == tmp_path / folder / "README.md"


# ---------------------------------------------------------------- what others wrote


EVILS = (ATTACK, "| cell | \n# heading", "[a](https://example.org) ![b](x.png)", "`code` **bold** <!-- ", "\x1b[2J")


@pytest.mark.parametrize("evil", EVILS)
def test_titles_and_words_make_no_markup(made: dict[str, Results], evil: str) -> None:
    results = copy.deepcopy(made["not confirmed"])
    known = [*map(structure, texts(results))], Words(page(typed(results))).tags
    found = results["selection"]
    found["words"] += f" {evil}"
    for asked in found["benchmarks"]:
        asked.update(title=f"{asked['title']} {evil}", domain=f"{asked['domain']} {evil}")
    for row in found["candidates"]:
        row["loses"] = [f"{title} {evil}" for title in row["loses"]]
    assert ([*map(structure, texts(results))], Words(page(typed(results))).tags) == known
    assert not any("\x1b" in text for text in texts(results))


def texts(results: Results) -> list[str]:
    return [text_of(results), model_card(typed(results)).split("---\n\n", 1)[1]]


def structure(text: str) -> list[str]:
    """What a reader makes of it, but for the words."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    found = [[token.type, *(child.type for child in token.children or [] if child.type != "text")] for token in tokens]
    return [kind for kinds in found for kind in kinds]
