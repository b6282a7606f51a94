"""Results of made-up runs with benchmarks, as they look in results.json: usual ones, and all that is hard to draw."""

import dataclasses
from pathlib import Path
from typing import Any

from bench_runs import COLLAPSED, STUDY_1, STUDY_2, Made, bench_run, settings
from typed import as_dict

from mlx_distill.summarise.benchmarks import benchmarks_part

CODE, FOLLOWING, AIME24, AIME25 = STUDY_1
MATHS, MBPP = STUDY_2
STUDY = (
    dataclasses.replace(CODE, protocol={"overlap": {"checked": 104, "items": ["HumanEval+/3", "HumanEval+/9"]}}),
    dataclasses.replace(FOLLOWING, cut_off={"distilled": 14}, no_answer={"base": 1}),
    MBPP,
    dataclasses.replace(MATHS, lengths={"base": 900, "distilled": 1700}),
    AIME24,
)
"""Better at three, much worse at one, and one left open."""

LONG = "A benchmark with a very long name that nobody ever shortened (verified, v2)"
SAMPLED = Made("MBPP sampled", "code", 40, 10, 20, 2, samples=4)
NINE = (
    *STUDY,
    dataclasses.replace(AIME25, title=f"{LONG} <b>$x$"),
    SAMPLED,
    Made("GSM8K", "mathematics", 600, 300, 5, 6),
    Made("Tiny", "general", 3, 2, 0, 1, cut_off={"base": 3, "distilled": 3}),
)
BENCHMARKS: dict[str, tuple[Made, ...]] = {
    "study": STUDY,
    "one": (CODE,),
    "nine": NINE,
    "all nothing": tuple(dataclasses.replace(made, base=0, gained=0, lost=0) for made in STUDY),
    "all passed": tuple(dataclasses.replace(made, base=made.n, gained=0, lost=0) for made in STUDY),
    "base alone": tuple(dataclasses.replace(made, missing={"distilled": made.n}) for made in STUDY[:2]),
    "sampled": (SAMPLED, dataclasses.replace(SAMPLED, title="Other", capability="general")),
    "collapsed": COLLAPSED,
}
PUBLISHED = [
    {"model": model, "benchmark": benchmark, "score": score, "source": f"{model}'s model card"}
    for model, scores in {
        "Qwen2.5-Coder-7B-Instruct": (0.841, 0.71, 0.72),
        "A model whose name is long enough to fill half of a line of text": (0.84, 0.75, 0.7),
        "teacher": (1.0, 0.76, 0.74),
    }.items()
    for benchmark, score in zip(("humaneval+", "IFEval", "MBPP+"), scores, strict=True)
]


def benchmarked(results: dict[str, Any], folder: Path, name: str = "study") -> dict[str, Any]:
    """The results with the benchmarks of this name, and what others published where there are several."""
    rows, gate = benchmarks_part(bench_run(folder, BENCHMARKS[name]), settings())
    published = PUBLISHED if name in ("study", "nine") else []
    return results | {"benchmarks": as_dict(rows), "gate": as_dict(gate), "published": published}
