"""A sweep's reports from sweep.json alone: losses first, every number, and nobody else's markup, links or paths."""

from __future__ import annotations

import copy
import itertools
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from browsing import CONTRASTS, CONTROLS, chromium, visit
from markdown_it import MarkdownIt
from PIL import Image
from swept import NASTY, SWEEPS, study
from test_charts import VISION, apart, contrast, faults
from typed import typed_sweep

from mlx_distill.report.charts.canvas import Canvas
from mlx_distill.report.charts.sweep_chart import MOST, sweep_chart
from mlx_distill.report.charts.sweep_series import COLOURS, SHAPES
from mlx_distill.report.look import Look
from mlx_distill.report.style import PALETTES, SETTINGS
from mlx_distill.report.sweep import draw_sweep, tables
from mlx_distill.report.sweep.curves import full_strength
from mlx_distill.report.sweep.markdown import sweep_markdown
from mlx_distill.report.sweep.page import sweep_page
from mlx_distill.report.sweep.words import address, headline
from mlx_distill.run.wording import points

Values = dict[str, Any]

HEADINGS = ("Runs", "Baselines", "Checkpoints", "Best by rule", "Forgetting", "Every cell", "Read with care")
DRAWN = [name for name in SWEEPS if name not in ("nothing asked", "all waiting")]


@pytest.fixture
def found() -> Values:
    return study()


def text_of(found: Values) -> str:
    return sweep_markdown(typed_sweep(found), "visuals/sweep.png")


def section(text: str, title: str, level: int = 2) -> str:
    marks = "#" * level
    return text.split(f"\n{marks} {title}\n")[1].split(f"\n{marks} ")[0]


def plain(text: str) -> str:
    """Without Markdown's escapes."""
    return re.sub(r"\\(.)", r"\1", text)


# ---------------------------------------------------------------- sweep.md


def test_findings_come_first_and_losses_before_gains(found: Values) -> None:
    lines = text_of(found).splitlines()
    assert lines[0] == "# Sweep: study-2"
    assert lines[2].startswith("**9 worse, 1 better of 24 cells.** ")
    assert "adjusted for all 24 cells of the sweep (Holm)" in lines[2]
    told = [re.match(r"- \*\*(.) (\w+):\*\* ", line).groups() for line in lines[4:14]]  # type: ignore[union-attr]
    assert told == [("▼", "worse")] * 9 + [("▲", "better")]
    assert "r1-math-qwen2.5-7b is worse on MBPP+: 75.7 → 57.0 % (-18.7 [-23.9, -13.5] points" in plain(lines[4])
    assert lines[15] == "## Runs"
    assert re.findall(r"^## (.+)$", text_of(found), re.MULTILINE) == list(HEADINGS)


def test_no_difference_is_one_sentence() -> None:
    text = text_of(SWEEPS["one alone"]())
    assert text.splitlines()[2].startswith("**No cell of 3 shows a difference.** ")
    assert "▼ worse:" not in text
    assert headline(typed_sweep(SWEEPS["all waiting"]())) == "No cell was tested"


def test_a_failed_run_is_as_loud_as_a_finding(found: Values) -> None:
    text = section(text_of(found), "Runs")
    assert "10 runs (8 done, 1 failed, 1 waiting); study-2.toml, 2026-05-04" in text
    assert "- **✗ sonnet-code-qwen2.5-3b failed:** The loss of step 3 is nan: lower --learning-rate" in text
    assert "| sonnet-code-qwen2.5-3b | code | qwen2.5-3b | sonnet | **✗ failed** | — |" in text
    assert "| **✗ failed** |" in section(text_of(found), "Best by rule")
    found["runs"][9].update(state="stopped", why="There is no room for 12 GiB: give --batch 2.")
    assert "- **sonnet-code-llama-3.2-3b stopped:** There is no room" in section(text_of(found), "Runs")


def test_runs_have_values_choice_gate_loss_time_and_cost(found: Values) -> None:
    text = section(text_of(found), "Runs")
    assert "| run | data | student | teacher | state | kept | gate | held-out loss | time | cost |" in text
    first = "[r1-math-qwen2.5-7b](./r1-math-qwen2.5-7b/RESULTS.md) | math | qwen2.5-7b | r1 | done"
    rest = r"**★ step 300 at strength 0.25** | **◆ mixed** | 1.312 → 1.020 | 30.2 min | \$0.42"
    assert f"| {first} | {rest} |" in text
    assert "| **★ the base** |" in text


def test_every_reported_number_is_there(found: Values) -> None:
    text = plain(text_of(found))
    for run in typed_sweep(found).runs:
        for row in run.benchmarks:
            assert points(row.difference, sign="+") in section(text, "Every cell")
            assert f"{points(row.base)}, n = {row.n}" in section(text, "Baselines")
            if row.domain == "own domain":
                assert f"| {points(row.base)} | {points(row.distilled)} |" in section(text, "Best by rule")
        for domain in run.forgetting:
            assert points(domain.difference, sign="+") in section(text, "Forgetting")


def test_checkpoints_are_rows_with_the_choice_and_the_losers_marked(found: Values) -> None:
    text = plain(section(text_of(found), "Checkpoints"))
    assert "which are not the reported ones" in text
    assert "![visuals/sweep.png](visuals/sweep.png)" in text
    rows = section(text, "r1-math-qwen2.5-7b", 3).splitlines()[1:]
    assert rows[0] == "| step | MATH-500 (n = 60) | MBPP+ (n = 60) | IFEval (n = 60) |"
    steps = [row.split("|")[1].strip() for row in rows[2:10]]
    assert steps == [
        "0, the base",
        *("**▼ 100**", "**▼ 200**", "**▼ 300**", "**★ 300 at strength 0.25**"),
        *("**▼ 400**", "**▼ 500**", "**▼ 600**"),
    ]
    assert "| 83.8 [" in rows[3]
    assert "| **▼ 66.2 [" in rows[3]
    assert "Kept: step 300 at strength 0.25; gains most" in text
    assert "The held-out loss is lowest at step 500." in text
    collapsed = section(text, "r1-math-llama-3.2-3b", 3)
    assert "| **★ 0, the base** | 40.0 [" in collapsed
    assert "| **▼ 600** | **▼ 0.0 [" in collapsed
    assert "Kept: the base; no candidate" in collapsed


def test_what_was_not_confirmed_is_marked() -> None:
    text = section(text_of(SWEEPS["not confirmed"]()), "only", 3)
    assert "| **★ 0, the base** |" in text
    assert "| ☆ 300 at strength 0.5 |" in text


def test_where_full_strength_was_not_tried_the_strongest_is_shown(found: Values) -> None:
    selection = found["runs"][0]["selection"]
    selection["candidates"] = [one for one in selection["candidates"] if one["strength"] < 1]
    assert {one.strength for one in full_strength(typed_sweep(found).runs[0].selection)} == {0.5}
    assert "Shown at strength 0.5" in section(text_of(found), "r1-math-qwen2.5-7b", 3)


def test_domains_are_a_matrix_with_signs(found: Values) -> None:
    text = plain(section(text_of(found), "Forgetting"))
    assert "| run | own domain | other code | instruction following | mathematics |" in text
    row = next(line for line in text.splitlines() if line.startswith("| [r1-math-qwen2.5-7b]"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert [cell.lstrip("*")[:2] for cell in cells[1:]] == ["▲ ", "▼ ", "▼ ", "—"]
    assert "| ○ +1.0 [" in text


def test_degraded_results_are_marked_and_said(found: Values) -> None:
    text = text_of(found)
    assert "n = 541 ! |" in section(text, "Baselines")
    assert "** ! |" in section(text, "Every cell")
    assert "- r1-math-qwen2.5-7b, IFEval: distilled: 14 of 541 answers cut off" in section(text, "Read with care")
    assert "- No difference shown does not mean none." in section(text, "Read with care")
    for run in found["runs"]:
        for row in run["benchmarks"]:
            row["degraded"] = []
    assert "marks a degraded result" not in text_of(found | {"baselines": []})


@pytest.mark.parametrize("name", SWEEPS)
def test_sweeps_of_every_kind_are_told(name: str) -> None:
    text, shown = text_of(SWEEPS[name]()), sweep_page(typed_sweep(SWEEPS[name]()))
    assert text.startswith("# Sweep: ")
    for said in (text, re.sub(r"<(style|script)>.*?</\1>", "", shown, flags=re.DOTALL)):
        assert not re.search(r"\b(None|nan|Undefined|undefined)\b", said.replace("is nan:", ""))
    for heading in re.findall(r"^## (.+)$", text, re.MULTILINE):
        assert section(text, heading).strip()
        assert f">{heading}</h2>" in shown


def test_cells_that_were_not_scored_are_said(found: Values) -> None:
    for row in (found["runs"][0]["benchmarks"][0], found["runs"][0]["forgetting"][0]):
        row.update(base=None, distilled=None, difference=None, p_holm=None, verdict="not scored")
    text = text_of(found)
    assert "| not scored |" in section(text, "Every cell")
    assert "| — | — | — | — | not scored |" in section(text, "Best by rule")
    assert sweep_page(typed_sweep(found))


# ---------------------------------------------------------------- what nobody may make it say


def test_names_make_no_markup_in_markdown() -> None:
    tokens = MarkdownIt("gfm-like", {"html": True, "linkify": True}).parse(text_of(SWEEPS["hostile"]()))
    inner = [child for token in tokens for child in token.children or []]
    assert not [token for token in (*tokens, *inner) if token.type in ("html_block", "html_inline", "code_inline")]
    assert [token.attrs["src"] for token in inner if token.type == "image"] == ["visuals/sweep.png"]
    links = {str(token.attrs["href"]) for token in inner if token.type == "link_open"}
    assert all(re.fullmatch(r"\./[\w.%~-]+/RESULTS\.md", link) for link in links)
    assert len(links) == 8
    headings = [tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"]
    assert len(headings) == 1 + len(HEADINGS) + 8


@pytest.mark.parametrize("name", ["a b", "../../etc", "javascript:alert(1)", "//evil.example", "x?y#z", "\ud800", "é"])
def test_a_link_leads_into_the_folder_beside(name: str) -> None:
    from urllib.parse import unquote, urljoin

    reached = urljoin("https://here.example/sweeps/x/sweep.html", f"{address(name)}/report.html")
    assert re.fullmatch(r"https://here\.example/sweeps/x/[^/?#]+/report\.html", reached)
    assert name == "\ud800" or unquote(address(name)) == f"./{name}"


# ---------------------------------------------------------------- sweep.html


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    assert [path.name for path in draw_sweep(typed_sweep(study()), folder)] == ["sweep.png", "sweep.md", "sweep.html"]
    return folder


def test_the_page_begins_with_the_findings(browser: Any, written: Path) -> None:
    opened = visit(browser, written / "sweep.html")
    page = opened.page
    assert page.title() == "study-2: 9 worse, 1 better of 24 cells"
    assert " ".join(page.inner_text("h1").split()) == "▼ 9 worse ▲ 1 better"
    told = page.locator(".hero .findings li").all_inner_texts()
    assert [one.split()[1] for one in told] == ["worse"] * 9 + ["better"]
    fonts = page.eval_on_selector_all(".hero .findings .verdict", "all => all.map(e => getComputedStyle(e).font)")
    assert len(set(fonts)) == 1
    assert "The loss of step 3 is nan" in page.inner_text("#runs .findings")
    assert [title.strip() for title in page.locator("h2").all_inner_texts()][: len(HEADINGS)] == list(HEADINGS)
    assert (opened.complaints, opened.requests) == ([], [])
    page.context.close()


def test_runs_are_linked_and_the_chart_has_both_themes(browser: Any, written: Path) -> None:
    opened = visit(browser, written / "sweep.html", color_scheme="dark")
    page = opened.page
    first = page.locator("#runs tbody a").first.evaluate("e => e.href")
    assert first == (written / "r1-math-qwen2.5-7b" / "report.html").as_uri()
    assert page.locator("#runs tbody a").count() == 8
    assert (page.is_visible("figure .on-dark"), page.is_visible("figure .on-light")) == (True, False)
    page.keyboard.press("t")
    assert (page.is_visible("figure .on-dark"), page.is_visible("figure .on-light")) == (False, True)
    assert page.evaluate("document.querySelector('figure .on-light').naturalWidth") == 1920
    page.keyboard.press("?")
    assert page.is_visible("#help")
    assert (opened.complaints, opened.requests) == ([], [])
    page.context.close()


def test_all_text_has_enough_contrast_and_all_controls_are_reached(browser: Any, written: Path) -> None:
    opened = visit(browser, written / "sweep.html", color_scheme="light")
    assert opened.page.evaluate(CONTRASTS) == []
    opened.page.emulate_media(color_scheme="dark")
    assert opened.page.evaluate(CONTRASTS) == []
    wanted, reached = opened.page.evaluate(CONTROLS), set()
    for _ in range(wanted + 40):
        opened.page.keyboard.press("Tab")
        reached.add(opened.page.evaluate("window.controls.indexOf(document.activeElement)"))
    assert len(reached - {-1}) == wanted > 40
    opened.page.context.close()


@pytest.mark.parametrize("name", ["hostile", "nothing asked"])
def test_nothing_is_wider_than_a_screen_and_no_name_acts(browser: Any, tmp_path: Path, name: str) -> None:
    file = tmp_path / "sweep.html"
    file.write_text(sweep_page(typed_sweep(SWEEPS[name]())), encoding="utf-8")
    opened = visit(browser, file)
    page = opened.page
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == width
    assert headline(typed_sweep(SWEEPS[name]())) in page.title()
    assert page.locator("main script, main img, main style").count() == 0
    hrefs = page.eval_on_selector_all("main a", "all => all.map(a => a.getAttribute('href'))")
    assert all(re.fullmatch(r"\./[\w.%~-]+/report\.html|#caveats", href) for href in hrefs)
    assert (opened.complaints, opened.requests) == ([], [])
    page.context.close()


def test_a_name_cannot_turn_the_numbers_after_it() -> None:
    assert "\u202e" in NASTY
    found = SWEEPS["hostile"]()
    for said in (sweep_page(typed_sweep(found)), text_of(found)):
        assert "\u202e" not in said


def test_half_a_character_does_not_stop_the_page(found: Values) -> None:
    found["runs"][0]["name"] = "a\ud800b"
    assert "a?b" in sweep_page(typed_sweep(found))


# ---------------------------------------------------------------- the chart


def drawn(found: Values, look: Look) -> Canvas:
    with mpl.rc_context(SETTINGS):
        canvas = sweep_chart(typed_sweep(found), look)
    assert canvas
    return canvas


def assert_legible(name: str, size: tuple[int, int]) -> None:
    canvas = drawn(SWEEPS[name](), Look(size=size))
    with mpl.rc_context(SETTINGS):  # text is as wide as it will be saved
        assert faults(canvas) == []


def words(canvas: Canvas) -> list[str]:
    return [text.get_text() for text in canvas.axes.texts if text.get_text()]


@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920)], ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.filterwarnings("ignore:Glyph")
def test_no_word_is_cut_or_lies_on_another(name: str, size: tuple[int, int]) -> None:
    assert_legible(name, size)


@pytest.mark.long
@pytest.mark.parametrize("size", [(1080, 1080), (2400, 800), (960, 540), (1000, 2900)], ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.filterwarnings("ignore:Glyph")
def test_layouts_hold_in_every_size(name: str, size: tuple[int, int]) -> None:
    assert_legible(name, size)


def test_a_panel_says_what_is_kept_found_failed_or_awaited(found: Values) -> None:
    canvas = drawn(found, Look())
    said = words(canvas)
    for word in ("kept: step 300 at strength 0.25", "kept: the base", "▼ 3 worse", "▲ 1 better", "✗ failed", "waiting"):
        assert word in said
    assert any(line.startswith("The loss of step 3 is nan") for line in said)
    assert said.count("kept") == 1
    assert any(line.startswith("9 worse, 1 better of 24 cells: ") for line in said)
    texts = {text.get_text(): text for text in canvas.axes.texts}
    better, worse = texts["▲ 1 better"], texts["▼ 3 worse"]
    assert (better.get_fontsize(), better.get_weight()) == (worse.get_fontsize(), worse.get_weight())


def test_all_panels_share_their_axes(found: Values) -> None:
    """A line's pixels say its points: the same change is as long in every panel."""
    canvas = drawn(found, Look())
    colour = COLOURS["dark"][0]
    lines = [line for line in canvas.axes.get_lines() if line.get_color() == colour and len(line.get_xdata()) > 2]
    shown = [run for run in typed_sweep(found).runs if run.selection]
    assert len(lines) == len(shown) == 8
    scales = []
    for line, run in zip(lines, shown, strict=True):
        change = full_strength(run.selection)[-1].scores[0].difference.mean
        xs, ys = list(line.get_xdata()), list(line.get_ydata())
        scales.append(((ys[0] - ys[-1]) / change, xs[-1] - xs[0]))
    assert all(
        math.isclose(a, b, rel_tol=1e-9) for pair in itertools.pairwise(scales) for a, b in zip(*pair, strict=True)
    )


def test_the_star_lies_where_the_kept_candidate_does(found: Values) -> None:
    run = copy.deepcopy(found["runs"][0])
    canvas = drawn(found | {"runs": [run]}, Look())
    stars = [line for line in canvas.axes.get_lines() if line.get_marker() == "*"][1:]  # the first is the legend's
    colours, shapes = COLOURS["dark"], SHAPES
    assert [star.get_color() for star in stars] == list(colours[:3])
    dots = [line for line in canvas.axes.get_lines() if line.get_marker() in shapes and line.get_color() in colours]
    assert {star.get_xdata()[0] for star in stars} < {dot.get_xdata()[0] for dot in dots}


def test_where_nothing_was_selected_reported_items_are_drawn_with_whiskers() -> None:
    said = words(drawn(SWEEPS["nothing selected"](), Look()))
    assert said.count("reported items") == 8
    assert not {"kept", "optimiser step"} & set(said)
    said = words(drawn(SWEEPS["partly selected"](), Look()))
    assert said.count("reported items") == 5
    assert "optimiser step" in said


def test_of_many_runs_those_with_losses_are_drawn() -> None:
    found = SWEEPS["thirty"]()
    said = words(drawn(found, Look()))
    names = [run["name"] for run in found["runs"]]
    assert len(set(said) & set(names)) == MOST
    assert {"rate-28", "rate-29"} <= set(said)
    assert any("12 of 30 runs" in line for line in said)


@pytest.mark.parametrize("name", ["nothing asked", "all waiting"])
def test_without_anything_to_draw_there_is_no_chart(name: str, tmp_path: Path) -> None:
    assert [path.name for path in draw_sweep(typed_sweep(SWEEPS[name]()), tmp_path)] == ["sweep.md", "sweep.html"]
    assert "<figure>" not in (tmp_path / "sweep.html").read_text()
    assert "visuals" not in (tmp_path / "sweep.md").read_text()


def test_a_chart_has_the_look_that_was_asked_for_and_is_the_same_twice(tmp_path: Path) -> None:
    found = SWEEPS["one alone"]()
    first, second = (
        draw_sweep(typed_sweep(found), tmp_path / name, Look(size=(640, 360), theme="light")) for name in "ab"
    )
    assert [a.read_bytes() == b.read_bytes() for a, b in zip(first, second, strict=True)] == [True] * 3
    with Image.open(first[0]) as image:
        assert image.size == (640, 360)
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    shown = draw_sweep(typed_sweep(found), tmp_path / "c", Look("pdf", (640, 360)))
    assert shown[0].read_bytes()[:5] == b"%PDF-"
    assert "\n[visuals/sweep.pdf](visuals/sweep.pdf)" in shown[1].read_text()


def test_benchmarks_are_told_apart_by_every_viewer() -> None:
    assert math.gcd(len(SHAPES), *map(len, COLOURS.values())) == 1
    assert "*" not in SHAPES
    for theme, colours in COLOURS.items():
        assert min(contrast(colour, PALETTES[theme].background) for colour in colours) >= 3
        pairs = list(itertools.combinations(colours, 2))
        assert min(apart(*pair, vision) for pair in pairs for vision in VISION) > 20


def test_every_mark_has_a_sign() -> None:
    assert {"better", "worse", "kept", "loses", "failed"} <= set(tables.SIGNS)
