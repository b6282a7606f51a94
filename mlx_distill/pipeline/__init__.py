"""Start here: the stages of a run in order, each with what it reads and writes in the run directory.

    prompts ──collect──▶ teacher_data.jsonl (──choose──▶ chosen_data.jsonl) ──filter──▶ dataset.json
    general prompts ──replay──▶ replay.jsonl (the base's own answers, where replay or drift is asked for)
    both ──train──▶ distilled-student/, metrics.jsonl, training.json
    checkpoints ──select──▶ selection.json, kept-student/
    test prompts ──generate──▶ generations.jsonl ──judge──▶ scores.jsonl, judgments.jsonl, preferences.jsonl
    test prompts ──prompted──▶ prompted/
    benchmarks ──bench──▶ bench/
    all of it ──report──▶ results.json ──▶ RESULTS.md, report.html, visuals/

In: a Job. Out: files in the run directory. A stage runs when one of its outputs is missing, or when something that it
depends on has changed; otherwise its results are kept. The report is not in the table: it is written anew each time,
because that takes less time than finding out whether it is up to date. `commands` says what each command runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlx_distill.collect import filtering
from mlx_distill.collect import stage as collecting
from mlx_distill.evaluate import answers as generating
from mlx_distill.evaluate import bench as benching
from mlx_distill.evaluate import judge as judging
from mlx_distill.evaluate import prompted as prompting
from mlx_distill.evaluate import select as selecting
from mlx_distill.evaluate.benchmarks.elsewhere import Given
from mlx_distill.models.students import trained
from mlx_distill.models.teachers import is_chosen
from mlx_distill.run.folder import (
    BENCH_ANSWERS,
    BENCH_ITEMS,
    BENCH_PROTOCOL,
    BENCH_SCORES,
    CHOICES,
    CHOSEN_DATA,
    DATASET,
    GENERATIONS,
    JUDGMENTS,
    METRICS,
    PREFERENCES,
    PROMPTED,
    PROMPTED_EXAMPLES,
    PROMPTED_JUDGMENTS,
    PROMPTED_SCORES,
    PROMPTS,
    REPLAY,
    SCORES,
    SELECTION,
    TEACHER_DATA,
    TRAINING,
)
from mlx_distill.run.job import ADAPTER, KEPT, WEIGHTS, Job, adapter_file
from mlx_distill.run.stage import Stage
from mlx_distill.train import examples
from mlx_distill.train import stage as training
from mlx_distill.train.choice import earlier
from mlx_distill.train.choice import stage as choosing
from mlx_distill.train.replay import answers as replaying

SELECTED = (KEPT, SELECTION)
"""What a selection leaves beside its answers, which are stored under keys of their own and stay."""

BENCH_OUTPUTS = (BENCH_PROTOCOL, BENCH_ITEMS, BENCH_ANSWERS, BENCH_SCORES)


def bench_stage(answer_files: Sequence[Given] = ()) -> Stage:
    """The stage that scores benchmarks. `answer_files`: answers made elsewhere, instead of the student's own."""
    return Stage(
        "bench",
        settings=lambda job: benching.made_from(job, answer_files),
        reads=lambda job: (PROMPTS, adapter_file(job.run)),
        writes=BENCH_OUTPUTS,
        run=lambda job: benching.run_benchmarks(job, answer_files),
        wanted=lambda job: job.config.bench.wanted,
        check=lambda job: _check_adapter(job) if not answer_files else None,
    )


def _check_adapter(job: Job) -> None:
    """At strength 0 only the base answers, and no adapter is needed."""
    if job.config.comparison.strength:
        trained.check(job)


def _check_selection(job: Job) -> None:
    selecting.check(job)
    trained.check(job)


STAGES: Mapping[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            "prompts",
            settings=collecting.prompt_settings,
            reads=(),
            writes=(PROMPTS,),
            run=collecting.write_prompts,
            wanted=collecting.has_prompts,
        ),
        Stage(
            "collect",
            settings=collecting.answer_settings,
            reads=collecting.answer_inputs,
            writes=collecting.answer_outputs,
            run=collecting.obtain_answers,
            wanted=lambda job: wants_teacher(job),
        ),
        Stage(
            "choose",
            settings=choosing.settings,
            reads=(PROMPTS, TEACHER_DATA),
            writes=(CHOICES, CHOSEN_DATA),
            run=choosing.choose_answers,
            wanted=lambda job: job.config.choice.wanted,
            check=earlier.check,
        ),
        Stage(
            "filter",
            settings=filtering.filter_settings,
            reads=filtering.filter_inputs,
            writes=(DATASET,),
            run=filtering.filter_answers,
            wanted=lambda job: job.config.training.data is None,
        ),
        Stage(
            "replay",
            settings=replaying.settings,
            reads=(),
            writes=(REPLAY,),
            run=replaying.answer,
            wanted=replaying.is_wanted,
            check=lambda job: replaying.check(job.config),
            stale=(REPLAY,),
        ),
        Stage(
            "train",
            settings=training.settings,
            reads=training.inputs,
            writes=(f"{ADAPTER}/{WEIGHTS}", METRICS, TRAINING),
            run=training.train,
            check=examples.refuse_leaks,
            stale=(ADAPTER, METRICS, TRAINING, *SELECTED),
        ),
        Stage(
            "select",
            settings=selecting.settings,
            reads=selecting.checkpoint_files,
            writes=(SELECTION,),
            run=selecting.select,
            wanted=lambda job: job.config.selection.items is not None,
            check=_check_selection,
            stale=SELECTED,
        ),
        Stage(
            "generate",
            settings=generating.settings,
            reads=lambda job: (PROMPTS, TEACHER_DATA, adapter_file(job.run)),
            writes=(GENERATIONS,),
            run=generating.generate,
            wanted=lambda job: bool(job.config.prompts.test),
            check=_check_adapter,
            stale=(GENERATIONS,),
        ),
        Stage(
            "judge",
            settings=judging.settings,
            reads=(PROMPTS, GENERATIONS),
            writes=(SCORES, JUDGMENTS, PREFERENCES),
            run=judging.judge,
            wanted=lambda job: bool(job.config.prompts.test),
        ),
        Stage(
            "prompted",
            settings=prompting.made_from,
            reads=(PROMPTS,),
            writes=(PROMPTED, PROMPTED_EXAMPLES, PROMPTED_SCORES, PROMPTED_JUDGMENTS),
            run=prompting.answer_prompted,
            wanted=lambda job: bool(job.config.prompts.test) and job.config.comparison.prompted_base,
            stale=(PROMPTED,),
        ),
        bench_stage(),
    )
}


def wants_teacher(job: Job) -> bool:
    """Whether a teacher takes part: by the settings, because the command names it, or because it has answered."""
    return job.teacher_named or is_chosen(job.config) or STAGES["collect"].is_done(job)
