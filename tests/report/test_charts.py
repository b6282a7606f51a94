"""The charts: no word is cut or lies on another, whatever a run was like; colours for every eye; stable files.

The small pictures in golden/ are drawn anew by `python tests/golden_charts.py`; look at them before committing.
"""

import copy
import dataclasses
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from benchmarked import BENCHMARKS, benchmarked
from golden_charts import GOLDEN, LOOK, draw_charts, golden_results
from matplotlib.patches import Rectangle
from PIL import Image
from runs import JUDGES, Made, results_of
from selected import SELECTIONS, selected
from tables import every
from typed import typed

from mlx_distill.report.animate import animate
from mlx_distill.report.charts import CHARTS, drawing
from mlx_distill.report.charts.canvas import Canvas
from mlx_distill.report.look import Look, size_of
from mlx_distill.report.style import HATCHES, PALETTES, Theme
from mlx_distill.run.errors import UsageError
from mlx_distill.run.records import ROLES

Results = dict[str, Any]

LONG = "mlx:mlx-community/Qwen2.5-Coder-32B-Instruct-with-a-long-name-4bit"
FOUR = ("human: anna", "claude-opus-4-6", LONG, "mlx:small")
RUNS = {
    "usual": Made(samples=2, repeats=2, effect=1.0),
    "one prompt": Made(prompts=1),
    "too few for intervals": Made(prompts=3, judges=FOUR[:1]),
    "forty": Made(prompts=40, judges=FOUR, effect=-2.0, name="a-very-long-name-of-a-run-" * 4),
    "two hundred": Made(prompts=200, judges=("static",), effect=2.0),
    "nothing judged": Made(missing=("comparison",)),
    "nothing trained": Made(missing=("training",), judges=FOUR, repeats=3),
    "nobody asked": Made(missing=("teacher",), judges=JUDGES[:1], against_teacher=True),
}
OTHER_SIZES = ((1080, 1080), (1080, 1920), (2400, 800), (960, 540))
HARD = (
    "one prompt",
    "forty",
    "two hundred",
    "long_titles",
    "benchmarks: one",
    "benchmarks: nine",
    "benchmarks: sampled",
    "selection: many",
    "selection: long names",
)
CHOSEN = ("checkpoint_scores", "gain_against_forgetting")
ASKED = ("benchmark_comparison", "gained_lost", "forgetting", "reasoning_length")


def all_equal(results: Results) -> None:
    for prompt in results["comparison"]["prompts"]:
        prompt.update(preference=0.0, difference=0.0, outcome="same")
        for role in ROLES:
            prompt[role]["overall"] = 5.0
    for row in results["training"]["curve"]:
        row.update(loss=2.0, valid_loss=2.0, accuracy=0.5, valid_accuracy=0.5)


def long_titles(results: Results) -> None:
    for prompt in results["comparison"]["prompts"]:
        prompt["title"] = ("Write $x$ and <b>everything</b> \u202e else, 日本語 \n" * 3)[:80]
    results["run"]["hardware"]["chip"] = "Intel(R) Xeon(R) Platinum 8488C Processor @ 2.40 GHz " * 3
    results["training"]["student"] = LONG * 2
    results["comparison"]["teacher_models"] = [LONG, LONG]


def no_preferences(results: Results) -> None:
    results["comparison"]["preferences"] = []
    for prompt in results["comparison"]["prompts"]:
        prompt["preference"] = None


def only_preferences(results: Results) -> None:
    for row in results["comparison"]["dimensions"]:
        row.update(dict.fromkeys((*ROLES, "difference", "p", "p_holm", "agreement", "repeat_agreement")))
        row.update(n=0, verdict="not scored")
    for prompt in results["comparison"]["prompts"]:
        prompt.update(difference=None)
        for role in ROLES:
            prompt[role].update(overall=None, scores=None)
    results["comparison"]["checks"].update(pairs=None, roles={})


def all_unscored(results: Results) -> None:
    only_preferences(results)
    no_preferences(results)
    for prompt in results["comparison"]["prompts"]:
        prompt["outcome"] = "unscored"


def dear(results: Results) -> None:
    for row in results["cost_scaling"]:
        for key in ("usd", "usd_batch"):
            row[key].update({k: v * 1e6 for k, v in row[key].items() if k != "n" and v is not None})


CHANGES = (all_equal, long_titles, no_preferences, only_preferences, all_unscored, dear)


class Runs(dict[str, Results]):
    """Results by name, each computed when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def __missing__(self, name: str) -> Results:
        self[name] = self._made(name)
        return self[name]

    def _made(self, name: str) -> Results:
        kind, _, rest = name.partition(": ")
        if kind == "benchmarks":
            return benchmarked(self["bare"], self.folder / name, rest)
        if kind == "selection":
            return selected(self["bare"], rest)
        if name == "bare":
            return results_of(self.folder, Made(missing=("teacher", "training", "comparison"), name=name))
        if name in RUNS:
            return self._run(name)
        found = copy.deepcopy(self["usual"])
        next(change for change in CHANGES if change.__name__ == name)(found)
        return found

    def _run(self, name: str) -> Results:
        made = RUNS[name]
        found = results_of(self.folder, dataclasses.replace(made, name=made.name[:90] + str([*RUNS].index(name))))
        if name not in ("usual", "nothing trained"):
            return found
        return selected(benchmarked(found, self.folder / f"{name}, benchmarked"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("runs"))


# ---------------------------------------------------------------- text


def faults(canvas: Canvas) -> list[str]:
    """Words that are cut by the edge, lie on each other, on a bar, or are too small to be read."""
    renderer = canvas.figure.canvas.get_renderer()
    texts = [t for t in canvas.axes.texts if t.get_visible() and t.get_text().strip() and t.get_alpha() != 0]
    places = [(t, t.get_window_extent(renderer)) for t in texts]
    width, height = canvas.look.size
    found = [
        f"cut: {text.get_text()!r}"
        for text, box in places
        if box.x0 < 1 or box.y0 < 1 or box.x1 > width - 1 or box.y1 > height - 1
    ]
    x0, y0, x1, y1 = np.array([(box.x0, box.y0, box.x1, box.y1) for _, box in places]).reshape(-1, 4).T
    wide = np.minimum.outer(x1, x1) - np.maximum.outer(x0, x0) > 0.5
    high = np.minimum.outer(y1, y1) - np.maximum.outer(y0, y0) > 0.2 * (y1 - y0)[:, None]
    for one, other in np.argwhere(np.triu(wide & high, 1)):
        found.append(f"overlap: {texts[one].get_text()!r} and {texts[other].get_text()!r}")
    for bar in canvas.axes.patches:
        assert isinstance(bar, Rectangle)
        shape = bar.get_window_extent(renderer)
        if matplotlib.colors.to_hex(bar.get_facecolor()) == canvas.theme.background:
            continue
        for text, box in places:
            inside = min(box.x1, shape.x1) - max(box.x0, shape.x0), min(box.y1, shape.y1) - max(box.y0, shape.y0)
            if inside[0] > 1 and inside[1] > 0.3 * box.height:
                found.append(f"on a bar: {text.get_text()!r}")
    small = [t.get_text() for t in texts if t.get_fontsize() < 7.5]
    return found + [f"tiny: {words!r}" for words in small]


EVERY = [*RUNS, *(f"benchmarks: {name}" for name in BENCHMARKS), *(f"selection: {name}" for name in SELECTIONS)]
EVERY += [change.__name__ for change in CHANGES]


def assert_legible(results: Results, size: tuple[int, int]) -> None:
    assert legible(results, size) == {}


def legible(results: Results, size: tuple[int, int]) -> dict[str, list[str]]:
    """The faults of each chart that has any."""
    found = {chart: faults(canvas) for chart in CHARTS if (canvas := drawing(chart, typed(results), Look(size=size)))}
    return {chart: said for chart, said in found.items() if said}


@pytest.mark.real
@every("name", EVERY)
def test_no_word_is_cut_or_lies_on_another(runs: dict[str, Results], name: str) -> None:
    assert_legible(runs[name], (1920, 1080))


@pytest.mark.parametrize("size", [(1920, 1080), OTHER_SIZES[1]], ids="{0[0]}x{0[1]}".format)
def test_layouts_hold_where_it_is_hard(runs: dict[str, Results], size: tuple[int, int]) -> None:
    assert_legible(runs["forty"], size)


@pytest.mark.real
@every("name", HARD)
def test_layouts_hold_in_other_sizes(runs: dict[str, Results], name: str) -> None:
    assert_legible(runs[name], OTHER_SIZES[1])


@pytest.mark.long
@pytest.mark.parametrize("size", [*OTHER_SIZES, (3840, 2160), (1000, 2900)], ids="{0[0]}x{0[1]}".format)
def test_layouts_hold_in_every_size(runs: dict[str, Results], size: tuple[int, int]) -> None:
    found = {name: legible(runs[name], size) for name in EVERY}
    assert {name: said for name, said in found.items() if said} == {}


@pytest.mark.real
def test_what_is_not_there_is_not_drawn(runs: dict[str, Results]) -> None:
    def drawn(name: str) -> set[str]:
        return {chart for chart in CHARTS if drawing(chart, typed(runs[name]), Look(size=(320, 320)))}

    assert drawn("usual") == set(CHARTS)
    assert drawn("nothing judged") == {"training_curves", "gain_against_drift", "cost_scaling"}
    assert drawn("nothing trained") == set(CHARTS) - {"training_curves", "gain_against_drift"}
    assert "judge_agreement" not in drawn("all_unscored")
    assert drawn("benchmarks: one") == set(ASKED)
    assert drawn("benchmarks: sampled") == set(ASKED) - {"gained_lost"}
    assert drawn("benchmarks: base alone") == {"benchmark_comparison", "reasoning_length"}
    assert drawn("selection: many") == set(CHOSEN)
    assert drawn("selection: own domain only") == {"checkpoint_scores"}


def test_results_of_before_there_were_benchmarks_are_drawn(runs: dict[str, Results]) -> None:
    new = ("benchmarks", "gate", "published", "selection")
    old = {key: value for key, value in runs["usual"].items() if key not in new}
    assert {chart for chart in CHARTS if drawing(chart, typed(old), Look())} == set(CHARTS) - {*ASKED, *CHOSEN}


def words(canvas: Canvas | None) -> list[str]:
    assert canvas
    return [text.get_text() for text in canvas.axes.texts if text.get_text()]


def test_the_scorecard_says_losses_as_loudly_as_gains(runs: dict[str, Results]) -> None:
    results = copy.deepcopy(runs["usual"])
    first, second = results["comparison"]["dimensions"][:2]
    first.update(verdict="better")
    second.update(verdict="worse")
    canvas = drawing("model_scorecard", typed(results), Look())
    assert canvas
    better, worse = (next(t for t in canvas.axes.texts if t.get_text() == said) for said in ("▲ better", "▼ worse"))
    assert (better.get_fontsize(), better.get_weight()) == (worse.get_fontsize(), worse.get_weight())
    assert better.get_color() != worse.get_color()


def test_the_scorecard_begins_with_the_preference_and_names_preference_leakage(runs: dict[str, Results]) -> None:
    found = words(drawing("model_scorecard", typed(runs["usual"]), Look()))
    names = [d["name"] for d in runs["usual"]["comparison"]["dimensions"]]
    order = [found.index(name) for name in ("Preference", *names, "Executed checks")]
    assert order == sorted(order)
    assert any("of one family" in line for line in found)


def test_benchmarks_say_losses_as_loudly_as_gains(runs: dict[str, Results]) -> None:
    for chart in ("benchmark_comparison", "gained_lost"):
        for name in ("usual", "benchmarks: nine"):
            canvas = drawing(chart, typed(runs[name]), Look())
            assert canvas
            found = {t.get_text(): t for t in canvas.axes.texts}
            better, worse = found["▲ better"], found["▼ worse"]
            assert (better.get_fontsize(), better.get_weight()) == (worse.get_fontsize(), worse.get_weight())
            assert any(said.startswith("Mixed: MBPP+ is worse: 75.7 → 57.1 %") for said in found)


def test_what_is_gained_and_lost_has_bars_of_one_scale(runs: dict[str, Results]) -> None:
    canvas = drawing("gained_lost", typed(runs["usual"]), Look())
    assert canvas
    rows = runs["usual"]["benchmarks"]
    bars = [bar for bar in canvas.axes.patches if bar.get_height() > 30]
    wanted = [row[key] / row["n"] for row in rows for key in ("lost", "gained")]
    assert [bar.get_width() / bars[1].get_width() for bar in bars] == pytest.approx([w / wanted[1] for w in wanted])


def test_published_scores_are_marked_and_named(runs: dict[str, Results]) -> None:
    found = words(drawing("benchmark_comparison", typed(runs["usual"]), Look()))
    assert "published, not tested" in found
    assert any(said.startswith("Published by others: a Qwen2.5-Coder-7B-Instruct") for said in found)
    assert "published, not tested" not in words(drawing("benchmark_comparison", typed(runs["benchmarks: one"]), Look()))


def test_no_difference_shown_is_worth_something_or_not(runs: dict[str, Results]) -> None:
    found = words(drawing("benchmark_comparison", typed(runs["benchmarks: nine"]), Look()))
    assert "equivalent within ±3 points" in found
    assert any(said.startswith("detectable: ") for said in found)


def test_unscored_is_said_and_no_zero_is_drawn(runs: dict[str, Results]) -> None:
    results = copy.deepcopy(runs["usual"])
    for prompt in results["comparison"]["prompts"]:
        prompt["distilled"]["overall"] = None
    found = words(drawing("prompt_comparison", typed(results), Look()))
    assert found.count("unscored") == 4
    assert "0.0" not in found


# ---------------------------------------------------------------- looks


@pytest.mark.real
def test_the_default_is_a_dark_full_hd_png_in_the_original_colours(runs: dict[str, Results], tmp_path: Path) -> None:
    for path in draw_charts(runs["usual"], tmp_path):
        assert matplotlib.image.imread(path).shape[:2] == (1080, 1920)
    pixels = np.asarray(Image.open(tmp_path / "model_scorecard.png").convert("RGB"))
    colours = {tuple(colour) for colour in pixels.reshape(-1, 3)[::7].tolist()}
    assert tuple(pixels[0, 0]) == (0x1A, 0x1A, 0x2E)
    assert {(0xFF, 0xD9, 0x3D), (0x00, 0xD4, 0xFF), (0xFF, 0x6B, 0x6B)} <= colours


@pytest.mark.real
@pytest.mark.parametrize("size", [(1080, 1080), (3840, 2160), (1081, 1919), (320, 320)])
def test_a_picture_has_the_pixels_that_were_asked_for(
    runs: dict[str, Results], size: tuple[int, int], tmp_path: Path
) -> None:
    canvas = drawing("cost_scaling", typed(runs["usual"]), Look(size=size))
    assert canvas
    with Image.open(canvas.save(tmp_path / "a.png")) as image:
        assert image.size == size


@pytest.mark.real
@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_a_picture_is_the_same_twice(runs: dict[str, Results], form: str, tmp_path: Path) -> None:
    look = Look(form, (640, 360), "light")
    first, second = (draw_charts(runs["usual"], tmp_path / name, look) for name in "ab")
    assert [path.name for path in first] == [f"{name}.{form}" for name in CHARTS]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert first[0].read_bytes()[:5] in (b"\x89PNG\r", b"<?xml", b"%PDF-")


@every("text", ["", "1920", "1920x", "0x0", "100x100", "9000x9000", "1920x400", "-5x7", "1e3x1e3"])
def test_a_size_that_cannot_be_drawn_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="give"):
        size_of(text)
    assert size_of("1080x1920") == (1080, 1920)


# ---------------------------------------------------------------- colours

# Machado, Oliveira and Fernandes 2009, severity 1, on linear sRGB.
VISION = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(light: np.ndarray) -> np.ndarray:
    """CIE 1976 L*a*b* under D65."""
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = (
        np.cbrt(v) if v > 216 / 24389 else (24389 / 27 * v + 16) / 116
        for v in matrix @ np.clip(light, 0, 1) / matrix.sum(axis=1)
    )
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def apart(one: str, other: str, vision: str) -> float:
    """ΔE*ab as such a viewer sees it; 2 can just be seen side by side."""
    matrix = np.asarray(VISION[vision])
    return float(np.linalg.norm(lab(matrix @ linear(one)) - lab(matrix @ linear(other))))


def contrast(one: str, other: str) -> float:
    """WCAG 2.2."""
    dark, bright = sorted(float(np.dot([0.2126, 0.7152, 0.0722], linear(c))) + 0.05 for c in (one, other))
    return bright / dark


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("theme", PALETTES.values(), ids=PALETTES)
def test_colours_are_told_apart_by_every_viewer(theme: Theme, vision: str) -> None:
    pairs = [*itertools.combinations(theme.roles.values(), 2), (theme.better, theme.worse)]
    pairs += [(theme.roles["teacher"], theme.batch), (theme.better, theme.batch)]
    assert min(apart(*pair, vision) for pair in pairs) > 25


@every("theme", PALETTES.values())
def test_contrast_is_enough_for_text_and_marks(theme: Theme) -> None:
    for colour in (theme.text, theme.muted, theme.better, theme.worse):
        assert contrast(colour, theme.background) >= 4.5
    for colour in (*theme.roles.values(), theme.batch):
        assert contrast(colour, theme.background) >= 3


def test_roles_are_told_by_more_than_colour() -> None:
    assert len(set(HATCHES.values())) == len(ROLES)


# ---------------------------------------------------------------- animation


@pytest.mark.real
def test_an_animation_ends_with_the_still_picture(runs: dict[str, Results], tmp_path: Path) -> None:
    look = Look("svg", (480, 270), "light")
    (tmp_path / "cost_scaling").mkdir()
    (tmp_path / "cost_scaling" / "0009.png").write_text("of a longer one")
    gifs = animate(typed(runs["usual"]), tmp_path, look, frames=4)
    stills = draw_charts(runs["usual"], tmp_path / "still", dataclasses.replace(look, format="png"))
    assert [path.stem for path in gifs] == [path.stem for path in stills]
    for gif, still in zip(gifs, stills, strict=True):
        frames = sorted((tmp_path / gif.stem).iterdir())
        assert [frame.name for frame in frames] == ["0001.png", "0002.png", "0003.png", "0004.png"]
        assert frames[-1].read_bytes() == still.read_bytes()
        different = len({frame.read_bytes() for frame in frames})
        assert different >= 3  # two frames of a chart of few points may be alike: a GIF has one for both
        with Image.open(gif) as image:
            assert (image.n_frames, image.size) == (different, (240, 135))


def test_bars_only_grow_and_words_come_last(runs: dict[str, Results]) -> None:
    lengths, opacity = [], []
    for progress in (0.0, 0.3, 0.6, 0.9, 1.0):
        canvas = drawing("model_scorecard", typed(runs["usual"]), Look(), progress)
        assert canvas
        lengths.append(sum(bar.get_width() for bar in canvas.axes.patches))
        opacity.append(next(t.get_alpha() for t in canvas.axes.texts if t.get_text().startswith("●")))
    assert lengths == sorted(lengths)
    assert lengths[2] < lengths[3] == lengths[4]
    assert opacity[:3] == [0, 0, 0]
    assert 0 < opacity[3] < opacity[4] == 1


# ---------------------------------------------------------------- golden pictures


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return golden_results(tmp_path_factory.mktemp("golden"))


@every("chart", CHARTS)
def test_the_charts_look_as_they_did_when_someone_looked(golden: Results, chart: str) -> None:
    """Within what another build of the font renderer changes at the edges of letters."""
    canvas = drawing(chart, typed(golden), LOOK)
    assert canvas
    expected = Image.open(GOLDEN / f"{chart}.png").convert("RGB")
    off = np.asarray(canvas.image, dtype=float) - np.asarray(expected, dtype=float)
    assert canvas.image.size == expected.size
    assert np.sqrt((off**2).mean()) < 4, f"look at {chart} and draw it anew (see the top of this file)"


def test_the_golden_pictures_stay_small() -> None:
    assert sum(path.stat().st_size for path in GOLDEN.iterdir()) < 850_000


# ---------------------------------------------------------------- the script


def test_the_script_draws_what_it_is_asked_for(runs: dict[str, Results], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "results.json").write_text(json.dumps(runs["nothing judged"]))
    script = Path(__file__).parents[2] / "generate_visuals.py"
    command = [sys.executable, script, tmp_path / "run", tmp_path / "out", "--format", "svg", "--theme", "light"]
    subprocess.run(command, check=True, capture_output=True, env=os.environ)
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"training_curves.svg", "cost_scaling.svg"}
    assert PALETTES["light"].roles["teacher"] in (tmp_path / "out" / "cost_scaling.svg").read_text()
    refused = subprocess.run([*command, "--size", "huge"], capture_output=True, text=True)
    assert refused.returncode == 1
    assert "1920x1080" in refused.stderr
    assert "Traceback" not in refused.stderr
