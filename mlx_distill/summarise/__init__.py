"""The waist of the design: everything measured in a run → results.json.

In: the run's files. Out: Results. Right of it nothing computes, so whatever a chart or report shows was
computed here, from a file, as an Estimate with n and an interval where it has one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mlx_distill.evaluate.benchmarks.published import published_part
from mlx_distill.evaluate.selection import read_selection
from mlx_distill.run import config as configuration
from mlx_distill.run import paths, prices
from mlx_distill.run.config import Config
from mlx_distill.run.decode import read_results
from mlx_distill.run.files import DatasetFile, Environment, TrainingFile
from mlx_distill.run.folder import CONFIG, DATASET, ENVIRONMENT, PROMPTS, RESULTS, TEACHER_DATA, TRAINING, RunDir
from mlx_distill.run.records import Completion, Prompt, why_unusable
from mlx_distill.run.results import SCHEMA, Results, RunPart, Teacher
from mlx_distill.run.results.comparison import SelfCheck
from mlx_distill.run.results.part import fields_of
from mlx_distill.run.unfinished import unfinished_part
from mlx_distill.summarise import history
from mlx_distill.summarise.benchmarks import benchmarks_part
from mlx_distill.summarise.choice import choice_part
from mlx_distill.summarise.comparison import comparison_part
from mlx_distill.summarise.cost import cost_part
from mlx_distill.summarise.seeds import seeds_part
from mlx_distill.summarise.training import training_part

SELF_CHECK = "self-check"
"""The folder in a run where the base was compared with itself."""


def summarise(run: RunDir, config: Config) -> Results:
    """Parts whose stage has not run are None."""
    results = _summarise(run, config)
    return Results(**fields_of(results) | {"seeds": seeds_part(run, config, results)})


def _summarise(run: RunDir, config: Config) -> Results:
    environment = run.read_as(ENVIRONMENT, Environment)
    completions = run.read(TEACHER_DATA, Completion)
    training = run.find(TRAINING, TrainingFile)
    benchmarks, gate = benchmarks_part(run, config)
    return Results(
        schema=SCHEMA,
        unfinished=tuple(unfinished_part(run, config)),
        run=RunPart(
            name=run.path.resolve().name,
            created=environment.created,
            preset=config.preset,
            seed=config.training.seed,
            versions=environment.versions,
            hardware=environment.hardware,
            stages={name: stage.seconds for name, stage in run.stages().items()},
        ),
        teacher=_teacher(run, config, completions),
        choice=choice_part(run, config),
        training=training_part(run, config, training),
        comparison=comparison_part(run, config),
        self_check=_self_check(run, config),
        selection=read_selection(run),
        benchmarks=benchmarks,
        gate=gate,
        published=published_part(run),
        cost_scaling=cost_part(config, completions, training),
        previous=history.previous(run.path, environment.created),
    )


def _self_check(run: RunDir, config: Config) -> SelfCheck | None:
    """What comparing the base with itself found; anything but no difference speaks against the judges. None where
    another base was compared, or by other judges."""
    folder = RunDir(run / SELF_CHECK)
    if not (folder / RESULTS).exists():
        return None
    then, comparison = configuration.load(folder / CONFIG), read_results(folder.path).comparison
    same = then.training.student == config.training.student and then.comparison.judges == config.comparison.judges
    if comparison is None or not same:
        return None
    return SelfCheck(**{name: getattr(comparison, name) for name in SelfCheck.__struct_fields__})


def _teacher(run: RunDir, config: Config, completions: Sequence[Completion]) -> Teacher | None:
    if not completions:
        return None
    dataset = (None if config.training.data else run.find(DATASET, DatasetFile)) or DatasetFile()
    collect = run.stage("collect")
    flawed = Counter(why_unusable(answer.stop_reason, answer.completion) for answer in completions)
    paid = {  # identical prompts: once
        (answer.prompt_id, answer.message_id): answer.usd for answer in completions if answer.usd is not None
    }
    prompts = dataset.prompts or dict(Counter(prompt.split for prompt in run.stream(PROMPTS, Prompt)))
    return Teacher(
        spec=paths.shown(config.teacher.spec),
        models=tuple(sorted({answer.model for answer in completions})),
        prompts=prompts,
        categories=dataset.categories,
        completions=len(completions),
        left_out=dataset.left_out,
        truncated=flawed["truncated"],
        refused=flawed["refused"],
        input_tokens=sum(answer.input_tokens for answer in completions),
        output_tokens=sum(answer.output_tokens for answer in completions),
        usd=sum(paid.values()) if paid else None,
        seconds=collect.seconds if collect else None,
        prices_dated=prices.DATED,
    )
