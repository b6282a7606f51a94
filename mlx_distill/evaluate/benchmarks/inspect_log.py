"""Results as logs that inspect-ai's viewer shows (`inspect view`), a file for each benchmark and role.

In: a benchmark's protocol, its items, answers and scores. Out: an EvalLog in the `.eval` format. inspect-ai is no
dependency: it brings fifty packages that nothing else here needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlx_distill.run.decode import plain
from mlx_distill.run.errors import UsageError
from mlx_distill.run.records import Generation, Score
from mlx_distill.run.results.benchmarks import BenchProtocol

PASSED, FAILED, UNSCORED = "C", "I", "N"
"""inspect-ai's letters: correct, incorrect, no answer."""

ADVICE = "--inspect-log needs inspect-ai: install it beside mlx-distill (pip install inspect-ai)."


def check_installed() -> None:
    """Raises UsageError where there is no inspect-ai, before anything has been measured in vain."""
    try:
        import inspect_ai.log  # noqa: F401
    except ImportError as error:
        raise UsageError(ADVICE) from error


def write_log(
    path: Path,
    protocol: BenchProtocol,
    prompts: Mapping[str, str],
    answers: Mapping[tuple[str, int], Generation],
    scores: Sequence[Score],
    model: str,
    created: str,
) -> None:
    """Of one role. `prompts` by item id; `answers` by item id and sample; `created` is ISO 8601."""
    from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalSpec, write_eval_log

    ids = list(dict.fromkeys(score.item_id for score in scores))
    spec = EvalSpec(
        created=created,
        task=protocol.name,
        dataset=EvalDataset(name=protocol.source, samples=len(ids), sample_ids=list(ids)),
        model=model,
        config=EvalConfig(epochs=protocol.samples or 1),
        metadata=plain(protocol),
    )
    samples = [_sample(score, prompts, answers, model) for score in scores]
    log = EvalLog(status="success", eval=spec, samples=samples, results=_results(protocol.scorer, scores))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_eval_log(log, str(path), format="eval")


def _sample(score: Score, prompts: Mapping[str, str], answers: Mapping[tuple[str, int], Generation], model: str) -> Any:
    from inspect_ai.log import EvalSample
    from inspect_ai.model import ModelOutput
    from inspect_ai.scorer import Score as Graded

    answer = answers[score.item_id, score.sample]
    letter = UNSCORED if score.passed is None else PASSED if score.passed else FAILED
    stop = "max_tokens" if answer.finish_reason == "length" else "stop"
    return EvalSample(
        id=score.item_id,
        epoch=score.sample + 1,
        input=prompts[score.item_id],
        target="",
        output=ModelOutput.from_content(model, answer.text, stop_reason=stop),
        scores={score.benchmark: Graded(value=letter, answer=score.found, explanation=score.detail or None)},
    )


def _results(scorer: str, scores: Sequence[Score]) -> Any:
    from inspect_ai.log import EvalMetric, EvalResults, EvalScore

    passed = [float(score.passed) for score in scores if score.passed is not None]
    metrics = {"accuracy": EvalMetric(name="accuracy", value=sum(passed) / len(passed))} if passed else {}
    name = scores[0].benchmark if scores else scorer
    return EvalResults(
        total_samples=len(scores),
        completed_samples=len(passed),
        scores=[EvalScore(name=name, scorer=scorer, metrics=metrics)],
    )
