"""Start here: the stages in order, and the file that each one leaves in the run directory.

    prompts ──collect──▶ teacher_data.jsonl ──filter──▶ dataset.json
    both ──train──▶ distilled-student/, metrics.jsonl, training.json
    checkpoints ──select──▶ selection.json, kept-student/
    test prompts ──generate──▶ generations.jsonl ──judge──▶ scores.jsonl, judgments.jsonl, preferences.jsonl
    benchmarks ──bench──▶ bench/
    all of it ──report──▶ results.json ──▶ RESULTS.md, visuals/

A stage runs when an output is missing or what it was made from has changed; otherwise it is kept. What each one
reads and writes is in `stages/`; these alone know file names.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli_w

from mlx_distill.collect import stage as collecting
from mlx_distill.evaluate import answers as generating
from mlx_distill.evaluate import judge as judging
from mlx_distill.evaluate import select as selecting
from mlx_distill.evaluate.benchmarks.elsewhere import Given
from mlx_distill.evaluate.benchmarks.inspect_log import check_installed
from mlx_distill.evaluate.selection import SELECTION
from mlx_distill.machine import environment
from mlx_distill.models import students
from mlx_distill.models.asking.opened import ledger_path
from mlx_distill.models.students import trained
from mlx_distill.models.teachers import is_traces, kind_of
from mlx_distill.pipeline import export as exporting
from mlx_distill.pipeline.agree import agree_on_costs, check_judges, check_teacher, check_teachers, wants_teacher
from mlx_distill.pipeline.preflight import look_before_paying
from mlx_distill.report.look import DEFAULT, Look
from mlx_distill.run import config as configuration
from mlx_distill.run import prompts as promptset
from mlx_distill.run.config import Config
from mlx_distill.run.data import material
from mlx_distill.run.errors import DataError, TeacherError, UsageError
from mlx_distill.run.folder import RunDir
from mlx_distill.run.job import ADAPTER, KEPT, WORK, Job, adapter_file
from mlx_distill.run.records import Split
from mlx_distill.run.results import Results
from mlx_distill.run.stage import plain_settings, remove, run_stage
from mlx_distill.summarise import SELF_CHECK, summarise
from mlx_distill.summarise.gate import check_rules
from mlx_distill.train import examples
from mlx_distill.train import stage as training

SELECTED = (KEPT, SELECTION)
"""What a selection leaves beside the answers; these are kept under keys of their own."""

BENCH_OUTPUTS = ("bench/protocol.json", "bench/items.jsonl", "bench/answers.jsonl", "bench/scores.jsonl")


# ---------------------------------------------------------------- the run


def prepare(run: RunDir, config: Config, *, update: bool = False) -> bool:
    """Gives a run its configuration. Returns whether it had another one.

    Raises UsageError when it has another one and something was made with that, unless `update` says to change it.
    """
    configuration.check(config)
    check_rules(config.bench.rules)
    students.check_name(config.training.student)
    path = run / "config.toml"
    has_work = any((run / name).exists() for name in WORK)
    different = configuration.differences(configuration.load(path), config) if path.exists() and has_work else []
    if different and not update:
        raise UsageError(
            f"{run.path} was made with another configuration ({'; '.join(different)}): "
            "choose another --run, or add --update to change this one and redo what depends on it."
        )
    _write_config(run, config)
    return bool(different)


def _write_config(run: RunDir, config: Config) -> None:
    run.write_text("config.toml", tomli_w.dumps(configuration.to_table(config)))


def run_all(job: Job) -> Results:
    """Every stage, in order. Returns what results.json holds."""
    check_teachers(job)
    if job.config.selection.items:
        selecting.check(job)
    look_before_paying(job)
    prompts_stage(job, _splits(job))
    job = agree_on_costs(job, _paid(job))
    if job.config.training.data is None:
        _collect(job)
    job = _settled(job)
    _train(job)
    select_stage(job)
    if job.config.prompts.test:
        _compare(job)
    if job.config.bench.asked:
        bench_stage(job)
    return report_stage(job)


def _splits(job: Job) -> tuple[Split, ...]:
    """Of the prompts: all, unless the user brings his own training data; none to compare with where none are named."""
    if job.config.training.data is None:
        return ("train", "valid", "test")
    return ("test",) if job.config.prompts.test else ()


def compare_stages(job: Job) -> None:
    brings_data = job.config.training.data is not None
    if brings_data:
        prompts_stage(job, ("test",))
    generating.read_test_prompts(job)
    check_judges(job)
    if brings_data:
        job = agree_on_costs(job, _paid(job))
    _compare(job)


def _paid(job: Job) -> tuple[str, ...]:
    return ("collect", "judge") if wants_teacher(job) else ("judge",)


def _compare(job: Job) -> None:
    if job.config.training.data is not None:
        examples.refuse_leaks(job)
        _ask_about_tests(job)
    generate_stage(job)
    if not job.yes:  # not asked yet, or other answers than those that were judged
        agree_on_costs(job, ("judge",))
    judge_stage(job)


def _ask_about_tests(job: Job) -> None:
    """The teacher's answers to the test prompts of who trains on data of his own, where there is a teacher: recorded
    answers may be to other prompts. What it answered earlier stays in the ledger."""
    why = f"{job.config.teacher.spec} is the default and was not asked (--teacher names one)"
    if wants_teacher(job):
        try:
            _collect(job)
            return
        except TeacherError as error:
            if kind_of(job.config.teacher.spec) != "recorded":
                raise
            why = str(error).rstrip(".")
    remove(job.run / "teacher_data.jsonl")
    job.view.note(f"No teacher: {why}. Base and distilled are compared alone.")


# ---------------------------------------------------------------- collect


def collect_stage(job: Job) -> None:
    """The prompts, what the teacher says to them, and which of it is trained on."""
    job = dataclasses.replace(job, teacher_named=True)  # by the command itself
    check_teacher(job)
    look_before_paying(job, whole=False)
    prompts_stage(job, _splits(job))
    agree_on_costs(job, ("collect",))
    _collect(job)


def prompts_stage(job: Job, splits: tuple[Split, ...]) -> None:
    """Traces bring their prompts along."""
    if is_traces(job.config.teacher.spec) or not splits:
        return
    prompts = job.config.prompts
    run_stage(
        job,
        "prompts",
        [prompts, promptset.identity(prompts), splits],
        [],
        ["prompts.jsonl"],
        lambda: collecting.write_prompts(job, splits),
    )


def _collect(job: Job) -> None:
    teacher = job.config.teacher
    if is_traces(teacher.spec):
        file = teacher.spec.removeprefix("traces:") if teacher.spec.startswith("traces:") else None
        prompts = job.config.prompts
        run_stage(
            job,
            "collect",
            [teacher, environment.hash_of(file), prompts, promptset.identity(prompts)],
            [],
            ["prompts.jsonl", "teacher_data.jsonl"],
            lambda: collecting.import_traces(job),
        )
    else:
        run_stage(job, "collect", *collecting.made_from(job), lambda: asyncio.run(collecting.collect_answers(job)))
    if job.config.training.data is None:
        _filter(job)


def _filter(job: Job) -> None:
    settings = job.config.training
    counted = students.tokenizer_file(settings.student) is not None
    benchmarks = [environment.hash_of(path) for path in job.config.filters.benchmarks]
    run_stage(
        job,
        "filter",
        [
            job.config.filters,
            benchmarks,
            settings.student,
            settings.window,
            settings.system,
            settings.thinking,
            counted,
        ],
        ["prompts.jsonl", "teacher_data.jsonl"],
        ["dataset.json"],
        lambda: collecting.filter_answers(job),
    )


# ---------------------------------------------------------------- train


def train_stage(job: Job) -> None:
    _train(_settled(job))


def _settled(job: Job) -> Job:
    """With `--auto`, as many trained layers as fit; what has begun to be trained keeps its own."""
    if not job.config.machine.auto:
        return job
    begun = job.run.started_from("train", job.run.fingerprint(_trained_from(job), []))
    if begun and (job.run / "metrics.jsonl").exists():
        return job
    job = training.settled(job)
    _write_config(job.run, job.config)
    return job


def _trained_from(job: Job) -> list[Any]:
    config = job.config.training
    return [plain_settings(config), material.digest_of(job.config, job.run), students.identity(config.student)]


def _train(job: Job) -> None:
    examples.refuse_leaks(job)
    run_stage(
        job,
        "train",
        _trained_from(job),
        [],
        [f"{ADAPTER}/adapters.safetensors", "metrics.jsonl", "training.json"],
        lambda: training.train(job),
        partial=[ADAPTER, "metrics.jsonl", "training.json", *SELECTED],
    )


def follow() -> None:
    """What the processes do that `mlx.launch` started beside the first: they train along, and leave the rest to it."""
    training.follow()


def dismiss() -> None:
    """The first one's last word to them."""
    training.dismiss()


# ---------------------------------------------------------------- select


def select_stages(job: Job) -> Results:
    """The selection, and the report with what it says. Raises UsageError where none is configured."""
    if job.config.selection.items is None:
        raise UsageError("Nothing says how many items choose: give --select N, and benchmarks with --benchmark.")
    select_stage(job)
    return report_stage(job)


def select_stage(job: Job) -> None:
    """Without a selection the checkpoint of the lowest held-out loss stays."""
    if job.config.selection.items is None:
        for name in SELECTED:
            remove(job.run / name)
        return
    selecting.check(job)
    trained.check(job)
    settings, inputs, outputs = selecting.made_from(job)
    run_stage(job, "select", settings, inputs, outputs, lambda: selecting.select(job), partial=SELECTED)


# ---------------------------------------------------------------- compare


def generate_stage(job: Job) -> None:
    if job.config.comparison.strength:
        trained.check(job)
    settings, inputs, outputs = generating.made_from(job)
    run_stage(job, "generate", settings, inputs, outputs, lambda: generating.generate(job), partial=outputs)


def judge_stage(job: Job) -> None:
    run_stage(job, "judge", *judging.made_from(job), lambda: judging.judge(job))


def self_check_stage(job: Job) -> Results:
    """The comparison of the base with itself, sampled, reported in a folder of its own: any difference that it shows is
    false. Returns its results."""
    prompts_stage(job, _splits(job))
    folder = RunDir(job.run / SELF_CHECK)
    settings = {
        "comparison.strength": 0.0,
        "comparison.samples": job.config.comparison.samples or 1,
        "comparison.against_teacher": False,
        "comparison.human": (),
        "training.data": None,
        "collect.ledger": str(ledger_path(job)),
    }
    with folder.locked():
        inner = dataclasses.replace(job, run=folder, config=configuration.replace(job.config, settings))
        _write_config(folder, inner.config)
        folder.write_records("prompts.jsonl", generating.read_test_prompts(job))
        check_judges(inner)
        _compare(inner)
        return report_stage(inner)


# ---------------------------------------------------------------- bench


def bench_stages(job: Job, given: Sequence[Given] = (), inspect_log: bool = False) -> Results:
    """The benchmarks, and the report with what they say. `given`: answers made elsewhere, instead of the student's."""
    if inspect_log:
        check_installed()
    if not given:
        select_stage(job)
    bench_stage(job, given)
    if inspect_log:
        from mlx_distill.evaluate.bench_log import write_logs

        for path in write_logs(job, environment.now()):
            job.view.note(str(path))
    return report_stage(job)


def bench_stage(job: Job, given: Sequence[Given] = ()) -> None:
    from mlx_distill.evaluate import bench as benching

    if job.config.comparison.strength and not given:
        trained.check(job)
    inputs = ["prompts.jsonl", adapter_file(job.run)]
    run_stage(
        job, "bench", benching.made_from(job, given), inputs, BENCH_OUTPUTS, lambda: benching.run_benchmarks(job, given)
    )


# ---------------------------------------------------------------- report


def report_stage(job: Job, look: Look = DEFAULT, animated: bool = False) -> Results:
    """results.json from the run's files, and from it alone the charts, RESULTS.md and report.html."""
    from mlx_distill.report import draw

    if not any((job.run / name).exists() for name in (*WORK, *BENCH_OUTPUTS)):
        raise DataError(f"{job.run.path} holds nothing to report: run `mlx-distill run` there first.")
    if not (job.run / "environment.json").exists():
        training.write_environment(job)
    results = summarise(job.run, job.config)
    job.run.write_json("results.json", results)
    draw(results, job.run.path, job.run / "visuals", look, animated)
    return results


# ---------------------------------------------------------------- export


def export_stage(run: RunDir, form: str, folder: Path | None) -> list[str]:
    """What was trained, for another tool. Never kept: it takes less time than finding out. Returns what to say."""
    return exporting.EXPORTS[form](run, folder or run / "exports" / form)
