"""What each command runs: stages of the table, with the checks and questions that come before they pay.

In: a Job. Out: files in the run directory, and results.json's content where the command reports.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from mlx_distill.evaluate import answers as generating
from mlx_distill.evaluate import select as selecting
from mlx_distill.evaluate.benchmarks.elsewhere import Given
from mlx_distill.evaluate.benchmarks.inspect_log import check_installed
from mlx_distill.machine import environment
from mlx_distill.models.asking.opened import ledger_path
from mlx_distill.pipeline import BENCH_OUTPUTS, SELECTED, STAGES, bench_stage, wants_teacher
from mlx_distill.pipeline.agree import agree_on_costs, check_judges, check_teacher, check_teachers
from mlx_distill.pipeline.export import EXPORTS
from mlx_distill.pipeline.headroom import check_headroom
from mlx_distill.pipeline.preflight import check_before_paying
from mlx_distill.pipeline.prepare import write_config
from mlx_distill.pipeline.seeds import further_seeds, sharing
from mlx_distill.report.look import DEFAULT, Look
from mlx_distill.run import config as configuration
from mlx_distill.run import folder as files
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.folder import RunDir
from mlx_distill.run.job import WORK, Job
from mlx_distill.run.results import Results
from mlx_distill.run.stage import remove, run_stage
from mlx_distill.summarise import SELF_CHECK, summarise
from mlx_distill.train import stage as training


def run_all(job: Job) -> Results:
    """Every stage that the configuration wants, in order; then again under further training seeds where it wants any,
    and the report of all."""
    with sharing(job) as shared:
        results = _run_once(shared)
        for seed in further_seeds(shared):
            _run_once(seed)
    return results if job.config.run.training_seeds == 1 else report(job)


def _run_once(job: Job) -> Results:
    check_teachers(job)
    if STAGES["select"].wanted(job):
        selecting.check(job)
    STAGES["choose"].check(job)
    check_before_paying(job)
    _run_wanted(job, "prompts")
    job = agree_on_costs(job, _paid_stages(job))
    check_headroom(job)
    if job.config.training.data is None:
        _run_wanted(job, "collect", "choose", "filter")
    job = _trained(job)
    select_checkpoint(job)
    if job.config.prompts.test:
        _answer_and_judge(job)
    _run_wanted(job, "bench")
    return report(job)


def _run_wanted(job: Job, *names: str) -> None:
    for name in names:
        if STAGES[name].wanted(job):
            run_stage(job, STAGES[name])


def _paid_stages(job: Job) -> tuple[str, ...]:
    return ("collect", "judge") if wants_teacher(job) else ("judge",)


def headroom(job: Job) -> list[tuple[str, str]]:
    """A row for the plan. Asks teacher and base some test prompts, and nothing else."""
    check_teacher(job)
    _run_wanted(job, "prompts")
    measured = check_headroom(job)
    return [("Headroom", measured.words.removeprefix("Headroom: "))] if measured else []


# ---------------------------------------------------------------- collect and train


def collect(job: Job) -> None:
    """The prompts, the teacher's answers, and which of them are trained on."""
    job = dataclasses.replace(job, teacher_named=True)  # by the command itself
    check_teacher(job)
    check_before_paying(job, whole=False)
    _run_wanted(job, "prompts")
    agree_on_costs(job, ("collect",))
    _run_wanted(job, "collect")
    if STAGES["choose"].wanted(job):
        job.view.note("Which of the answers are trained on is chosen by `train`: the student has to read them.")
    else:
        _run_wanted(job, "filter")


def train(job: Job) -> None:
    if STAGES["choose"].wanted(job):
        _run_wanted(job, "choose", "filter")
    _trained(job)


def _trained(job: Job) -> Job:
    """The run after training, which --auto may have given fewer layers."""
    _run_wanted(job, "replay")
    job = _with_fitting_layers(job)
    run_stage(job, STAGES["train"])
    return job


def _with_fitting_layers(job: Job) -> Job:
    """With --auto, trains only as many layers as fit; a training that has begun keeps its number."""
    if not job.config.machine.auto:
        return job
    if STAGES["train"].is_begun(job) and (job.run / files.METRICS).exists():
        return job
    job = training.with_fitting_layers(job)
    write_config(job.run, job.config)
    return job


# ---------------------------------------------------------------- select


def select(job: Job) -> Results:
    """The selection, and the report with what it says. Raises UsageError where none is configured."""
    if not STAGES["select"].wanted(job):
        raise UsageError("`select` needs --select N (items to choose by) and --benchmark.")
    select_checkpoint(job)
    return report(job)


def select_checkpoint(job: Job) -> None:
    """Without a selection, the checkpoint with the lowest held-out loss stays, and an earlier selection goes."""
    if STAGES["select"].wanted(job):
        run_stage(job, STAGES["select"])
        return
    for name in SELECTED:
        remove(job.run / name)


# ---------------------------------------------------------------- compare


def compare(job: Job) -> None:
    """The answers of base and distilled to the test prompts, and what the judges say of them."""
    brings_data = job.config.training.data is not None
    if brings_data:
        _run_wanted(job, "prompts")
    generating.read_test_prompts(job)
    check_judges(job)
    if brings_data:
        job = agree_on_costs(job, _paid_stages(job))
    _answer_and_judge(job)


def _answer_and_judge(job: Job) -> None:
    if job.config.training.data is not None:
        STAGES["train"].check(job)
        _ask_about_tests(job)
    run_stage(job, STAGES["generate"])
    if not job.yes:  # not asked yet, or the answers are other ones than those that were judged
        agree_on_costs(job, ("judge",))
    run_stage(job, STAGES["judge"])
    _run_wanted(job, "prompted")


def _ask_about_tests(job: Job) -> None:
    """Collects the teacher's answers to the test prompts, where the training data is the user's own.

    What a teacher answered earlier stays in the ledger.
    """
    if STAGES["collect"].wanted(job):
        run_stage(job, STAGES["collect"])
        return
    remove(job.run / files.TEACHER_DATA)
    reason = f"{job.config.teacher.spec} is the default and was not asked (--teacher names one)"
    job.view.note(f"No teacher: {reason}. Base and distilled are compared alone.")


def self_check(job: Job) -> Results:
    """Compares the base with itself, sampled, in a folder of its own; any difference it shows is judge error."""
    _run_wanted(job, "prompts")
    folder = RunDir(job.run / SELF_CHECK)
    settings = {
        "comparison.strength": 0.0,
        "comparison.samples": job.config.comparison.samples or 1,
        "comparison.against_teacher": False,
        "comparison.prompted_base": False,
        "comparison.human": (),
        "training.data": None,
        "collect.ledger": str(ledger_path(job)),
    }
    with folder.locked():
        inner = dataclasses.replace(job, run=folder, config=configuration.replace(job.config, settings))
        write_config(folder, inner.config)
        folder.write_records(files.PROMPTS, generating.read_test_prompts(job))
        check_judges(inner)
        _answer_and_judge(inner)
        return report(inner)


# ---------------------------------------------------------------- bench


def bench(job: Job, answer_files: Sequence[Given] = (), inspect_log: bool = False) -> Results:
    """Scores the benchmarks, and reports. `answer_files`: answers made elsewhere, instead of the student's own."""
    if inspect_log:
        check_installed()
    if not answer_files:
        select_checkpoint(job)
    run_stage(job, bench_stage(answer_files))
    if inspect_log:
        from mlx_distill.evaluate.bench_log import write_logs

        for path in write_logs(job, environment.now()):
            job.view.note(str(path))
    return report(job)


# ---------------------------------------------------------------- report and export


def report(job: Job, look: Look = DEFAULT, animated: bool = False) -> Results:
    """results.json from the run's files; from it alone the charts, RESULTS.md and report.html."""
    from mlx_distill.report import draw

    if not any((job.run / name).exists() for name in (*WORK, *BENCH_OUTPUTS)):
        raise DataError(f"{job.run.path} holds nothing to report: run `mlx-distill run` there first.")
    if not (job.run / files.ENVIRONMENT).exists():
        training.write_environment(job)
    results = summarise(job.run, job.config)
    job.run.write_json(files.RESULTS, results)
    draw(results, job.run.path, job.run / files.VISUALS, look, animated)
    return results


def export(run: RunDir, form: str, folder: Path | None) -> list[str]:
    """Writes what was trained, for another tool. Returns the lines to show."""
    return EXPORTS[form](run, folder or run / files.EXPORTS / form)
