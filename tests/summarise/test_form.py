"""What is said of how answers were set down: format is not taken for ability, nor ability for format."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from bench_runs import STUDY_1, Made, bench_run, settings
from runs import Made as MadeRun
from runs import results_of
from tables import every
from typed import typed

from mlx_distill.report.document import Table
from mlx_distill.report.markdown import results_markdown
from mlx_distill.report.page import page
from mlx_distill.report.sections import benchmarks as sections
from mlx_distill.run.records import FORMAT, Role, Score
from mlx_distill.run.results import Results
from mlx_distill.run.results.benchmarks import Benchmark, Gate
from mlx_distill.summarise.benchmarks import benchmarks_part
from mlx_distill.summarise.form import packages_part, packages_words

SAME = Made("HumanEval+", "code", 164, 79, 6, 6)
BETTER = STUDY_1[0]
FEW = Made("HumanEval+", "code", 5, 3, 0, 0)


def parts_of(folder: Path, made: Made, base: int, distilled: int, other: Made | None = None) -> Any:
    """Rows and gate of a run in which the first so many answers of each role kept to the format."""
    run = bench_run(folder / f"{made.n}-{base}-{distilled}", [made, *([other] if other else [])])
    kept: dict[Role, int] = {"base": base, "distilled": distilled}
    scores = run.read("bench/scores.jsonl", Score)
    places = {item: place for place, item in enumerate(dict.fromkeys(s.item_id for s in scores))}
    found = [
        dataclasses.replace(score, parts={**score.parts, FORMAT: places[score.item_id] < kept[score.role]})
        if score.benchmark == made.name and score.role in kept
        else score
        for score in scores
    ]
    run.write_records("bench/scores.jsonl", found)
    return benchmarks_part(run, settings())


def told(folder: Path, rows: Sequence[Benchmark], gate: Gate | None) -> str:
    """RESULTS.md."""
    return results_markdown(results_with(folder, rows, gate), [], Path("visuals"))


def results_with(folder: Path, rows: Sequence[Benchmark], gate: Gate | None) -> Results:
    results = typed(results_of(folder, MadeRun(missing=("teacher", "training", "comparison"))))
    return msgspec.structs.replace(results, benchmarks=tuple(rows), gate=gate)


@every(
    "made, base, distilled, words",
    [
        (SAME, 11, 164, "more often (6.7 → 100.0 %, p < 0.001)"),
        (SAME, 164, 11, "less often (100.0 → 6.7 %, p < 0.001)"),
        (SAME, 164, 164, ""),
        (BETTER, 160, 160, "HumanEval+ is better in what passes"),
        (BETTER, 11, 160, ""),
        (dataclasses.replace(SAME, base=150, gained=0, lost=90), 100, 100, "HumanEval+ is worse in what passes"),
        (FEW, 5, 0, ""),
    ],
)
def test_a_sentence_tells_them_apart_where_one_differs_alone(
    tmp_path: Path, made: Made, base: int, distilled: int, words: str
) -> None:
    (row,), gate = parts_of(tmp_path, made, base, distilled)
    form = row.format
    assert (round(form.base.mean * made.n), round(form.distilled.mean * made.n)) == (base, distilled)
    assert (form.gained, form.lost) == (max(0, distilled - base), max(0, base - distilled))
    assert words in form.words
    assert bool(form.words) == bool(words)
    assert gate.because.endswith(form.words)


def test_it_stands_beside_what_passes_and_is_no_part_of_it(tmp_path: Path) -> None:
    rows, gate = parts_of(tmp_path, SAME, 11, 164, other=STUDY_1[1])
    assert rows[1].format is None
    assert FORMAT not in [part.name for part in rows[0].parts]
    shown = told(tmp_path, rows, gate)
    assert "in the asked format, %" in shown
    assert "6.7 → 100.0" in shown
    results = results_with(tmp_path, rows, gate)
    assert "in the asked format: 6.7 → 100.0 %" in page(results)
    parts = sections.details(results).sections[0].sections
    (table,) = [part.blocks[0] for part in parts if part.title == "In the asked format"]
    assert isinstance(table, Table)
    assert table.rows[0][4:6] == ("153", "0")
    assert "answers that followed it strictly" in shown


def test_without_formats_nothing_is_said(tmp_path: Path) -> None:
    rows, gate = benchmarks_part(bench_run(tmp_path / "run", [SAME]), settings())
    assert rows[0].format is None
    assert gate is not None
    shown = told(tmp_path, rows, gate).split("## What each score is made of")[0]
    assert "format" not in gate.because + shown
    assert "In the asked format" not in told(tmp_path, rows, gate)


def test_packages_that_are_not_there_are_counted_and_said_once(tmp_path: Path) -> None:
    run = bench_run(tmp_path / "run", [SAME, STUDY_1[2]])
    scores = run.read("bench/scores.jsonl", Score)
    imported: list[tuple[str, ...]] = [("pandas", "numpy"), ("numpy",)]
    asking = [dataclasses.replace(score, packages=imported[n % 2]) for n, score in enumerate(scores[:7])]
    run.write_records("bench/scores.jsonl", [*asking, *scores[7:]])
    _, gate = benchmarks_part(run, settings())
    assert gate is not None
    (said,) = [caveat for caveat in gate.caveats if "numpy" in caveat]
    assert said.startswith(
        f"7 of {len(scores)} answers import packages that the sandbox lacks (numpy 7, pandas 4; base "
    )
    assert "--sandbox-packages numpy,pandas" in said
    assert packages_part(scores) is None
    assert packages_words(None) == []
