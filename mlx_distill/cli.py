"""The command line: parses, wires, and turns errors into one line and an exit code. No logic.

Everything heavy is imported inside the commands, so that --help answers at once.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mlx_distill import __version__
from mlx_distill.config import FINE_TUNES, PRESETS, SCHEDULES, Config
from mlx_distill.errors import DataError, DistillError, MachineError, UsageError


class Layers(click.ParamType[int | str]):
    """A number, or "all"."""

    name = "number|all"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        try:
            return "all" if value == "all" else int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor 'all'.", param, ctx)


SETTINGS: tuple[tuple[str, str, Any, str], ...] = (
    (
        "--teacher",
        "teacher.spec",
        str,
        "a Claude model id, recorded[:FILE], mlx:MODEL (local), hf:DATASET or traces:FILE (existing answers)",
    ),
    (
        "--teacher-max-tokens",
        "teacher.max_tokens",
        int,
        "cap of one answer; answers cut there are not trained on; a larger one asks those again",
    ),
    ("--teacher-system", "teacher.system", str, "the system prompt that the teacher gets"),
    ("--thinking", "teacher.thinking", bool, "let Claude think; its summaries are kept apart from the answers"),
    ("--columns", "teacher.columns", str, "of existing answers: prompt=COLUMN,completion=COLUMN"),
    ("--concurrency", "collect.concurrency", int, "requests under way at once, at most"),
    ("--batch", "collect.batch", bool, "message batches: half the price, up to a day"),
    ("--cache-prompt", "collect.cache_prompt", bool, "cache the system prompt that all requests share"),
    ("--max-cost", "collect.max_cost", float, "US dollars that the run's ledger may not pass"),
    ("--price", "collect.price", str, "IN,OUT: dollars per million tokens of a model that the table lacks"),
    ("--ledger", "collect.ledger", str, "a ledger to share between runs (default: in the run directory)"),
    (
        "--student",
        "training.student",
        str,
        "qwen2.5-0.5b, qwen2.5-1.5b, smollm2-135m, hub id, folder, .gguf file",
    ),
    ("--language", "filters.language", str, "ISO 639-1 code; answers in another language are left out"),
    ("--near-duplicate", "filters.near_duplicate", float, "Jaccard similarity from which answers count as one"),
    ("--train-thinking", "training.thinking", bool, "train on the teacher's thinking too, as <think>…</think>"),
    ("--data", "training.data", str, "train on this chat JSONL instead of collecting"),
    ("--epochs", "training.epochs", int, "times over the examples"),
    ("--steps", "training.steps", int, "optimiser steps, instead of epochs"),
    ("--batch-size", "training.batch_size", int, "examples in an optimiser step"),
    ("--learning-rate", "training.learning_rate", float, "peak, after warm-up"),
    ("--schedule", "training.schedule", click.Choice(SCHEDULES), "of the learning rate, after warm-up"),
    ("--warmup", "training.warmup", float, "share of the steps in which the rate rises"),
    ("--fine-tune", "training.fine_tune", click.Choice(FINE_TUNES), "what is trained: adapters, or whole layers"),
    ("--layers", "training.layers", Layers(), "top layers that are trained: a number, or all"),
    ("--rank", "training.rank", int, "of the LoRA matrices"),
    ("--scale", "training.scale", float, "of the LoRA update: y = Wx + scale * BAx (mlx-lm's convention)"),
    ("--alpha", "training.alpha", float, "the other convention (PEFT's): scale = alpha / rank"),
    ("--dropout", "training.dropout", float, "on the LoRA input"),
    ("--window", "training.window", int, "longest example in tokens; longer ones are an error, never cut"),
    ("--evaluate-every", "training.evaluate_every", int, "steps between held-out losses (default: an epoch)"),
    ("--patience", "training.patience", int, "stop after so many held-out losses in a row without a better one"),
    ("--save-every", "training.save_every", int, "steps after which the adapter is kept by its number too"),
    ("--seed", "training.seed", int, "of everything random in training"),
    ("--memory", "machine.memory", float, "GiB that training may take (default: what this machine can spare)"),
    (
        "--batch-tokens",
        "machine.batch_tokens",
        int,
        "tokens at a time; a larger batch goes in parts and is the same step",
    ),
    ("--grad-checkpoint", "machine.grad_checkpoint", bool, "compute activations twice instead of keeping them"),
    ("--auto", "machine.auto", bool, "train only as many of the layers as fit the memory"),
    ("--judge", "comparison.judge", str, "a Claude model id, or `static`: code analysis without an LLM"),
    ("--max-tokens", "comparison.max_tokens", int, "cap of a compared answer"),
    ("--strength", "comparison.strength", float, "of the adapter when answers are compared: 0 base, 1 distilled"),
    ("--limit", "prompts.limit", int, "only the first N prompts of each split"),
)

REPEATABLE = (
    ("--target", "training.targets", "linear layers that are trained: q_proj, self_attn, mlp.up_proj … (default: all)"),
    ("--prompts", "prompts.train", "training prompts: a set's name, a TOML/JSONL/text file, or hf:DATASET"),
    ("--valid-prompts", "prompts.valid", "prompts for the held-out loss"),
    ("--test-prompts", "prompts.test", "prompts of the comparison"),
    ("--benchmark", "filters.benchmarks", "a benchmark's file, whose items may not be trained on"),
)


def settings(command: Callable[..., None]) -> Callable[..., None]:
    """The options that change a run's configuration."""
    for flag, name, kind, text in reversed(SETTINGS):
        text = f"{text}{_default(name)}"
        flags = f"{flag}/--no-{flag[2:]}" if kind is bool else flag
        command = click.option(flags, name.replace(".", "__"), type=kind, default=None, help=text)(command)
    for flag, name, text in reversed(REPEATABLE):
        command = click.option(flag, name.replace(".", "__"), multiple=True, help=f"{text} (repeatable)")(command)
    options = (
        click.option("--run", "run_path", type=click.Path(path_type=Path), help="run directory [runs/PRESET]"),
        click.option("--preset", type=click.Choice(tuple(PRESETS)), help="where the settings start from [standard]"),
        click.option("--config", "config_file", type=click.Path(path_type=Path), help="a config.toml to repeat"),
        click.option("--update", is_flag=True, help="change the settings of an existing run"),
        click.option("--yes", is_flag=True, help="agree to the estimated cost without being asked"),
        click.option("--accept-terms", is_flag=True, help="acknowledge Anthropic's terms (needed once a run)"),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _default(name: str) -> str:
    """The standard preset's value, for --help."""
    section, _, setting = name.partition(".")
    value = getattr(getattr(Config(), section), setting)
    return "" if value is None or value is False or len(str(value)) > 40 else f" [{value}]"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="mlx-distill")
@click.option("--debug", is_flag=True, help="show a traceback when something fails")
def cli(debug: bool) -> None:
    """Distil a large teacher model into a small student, and find out honestly whether it got better.

    Exit codes: 0 done, 2 wrong use, 3 data, 4 teacher, 5 budget, 6 the machine (out of memory, or the GPU was taken
    away), 130 interrupted, 143 ended. The same command, run again, goes on where it stopped.
    """


@cli.command()
@settings
def run(**options: Any) -> None:
    """Everything: collect, train, compare, report."""
    _in_run(options, "run_all", computes=True)


@cli.command()
@settings
def collect(**options: Any) -> None:
    """Ask the teacher for its answers."""
    _in_run(options, "collect_stage", computes=False)


@cli.command()
@settings
def train(**options: Any) -> None:
    """Fine-tune the student on collected answers, or on --data FILE."""
    _in_run(options, "train_stage", computes=True)


@cli.command()
@settings
def compare(**options: Any) -> None:
    """Let base and distilled answer the test prompts, check and judge the answers."""
    _in_run(options, "compare_stages", computes=True)


@cli.command()
@settings
def report(**options: Any) -> None:
    """Draw the charts and write RESULTS.md from what the run has measured."""
    _in_run(options, "report_stage", computes=False)


@cli.command()
@click.argument("form", metavar="FORMAT", type=click.Choice(("peft",)))
@click.option(
    "--run",
    "run_path",
    type=click.Path(path_type=Path),
    default=Path("runs", "standard"),
    help="run directory [runs/standard]",
)
@click.option("--to", "folder", type=click.Path(path_type=Path), help="folder to write [RUN/exports/FORMAT]")
def export(form: str, run_path: Path, folder: Path | None) -> None:
    """Write the run's adapter in another tool's FORMAT: peft (Hugging Face)."""
    from mlx_distill import pipeline
    from mlx_distill.console import Terminal
    from mlx_distill.rundir import RunDir

    with RunDir(run_path).locked() as run_dir:
        for line in pipeline.export_stage(run_dir, form, folder):
            Terminal().line(line)


@cli.command()
@settings
def plan(**options: Any) -> None:
    """What a run would take: prompts, tokens, dollars, memory, time. Starts nothing."""
    from mlx_distill.console import Terminal
    from mlx_distill.plan import plan as make_plan

    config, path = _configuration(options)
    rows = make_plan(config, path)
    Terminal().table(f"Plan for {path}", ("what", "how much"), rows)


@cli.command()
def doctor() -> None:
    """What is there, what is missing, and how to get it."""
    from mlx_distill import blas

    blas.ensure()
    from mlx_distill.console import Terminal
    from mlx_distill.doctor import examine

    rows = [(finding.what, finding.state, finding.advice) for finding in examine()]
    Terminal().table("mlx-distill doctor", ("what", "state", "to do"), rows)


def _configuration(options: dict[str, Any]) -> tuple[Any, Path]:
    """The configuration that a command means, without touching the run directory."""
    from mlx_distill import config as configuration

    changes = _changes(options)
    path = options["run_path"] or Path("runs", options["preset"] or "standard")
    existing = path / "config.toml"
    if options["config_file"]:
        config = configuration.replace(configuration.load(options["config_file"]), changes)
    elif existing.exists() and options["preset"] is None:
        config = configuration.replace(configuration.load(existing), changes)
    else:
        config = configuration.resolve(options["preset"] or "standard", changes)
    if existing.exists() and not options["update"]:
        config = configuration.settled(config, configuration.load(existing))
    return config, path


INSTEAD = {"training.scale": "training.alpha", "training.epochs": "training.steps"}
"""Two ways to say one thing, of which the second would win: the one that is given now replaces the other."""


def _changes(options: dict[str, Any]) -> dict[str, Any]:
    given = {
        name.replace("__", "."): value
        for name, value in options.items()
        if "__" in name and value is not None and value != ()
    }
    for name, other in INSTEAD.items():
        if name in given and other in given:
            flags = [f"--{setting.partition('.')[2]}" for setting in (name, other)]
            raise UsageError(f"{' and '.join(flags)} say the same in two ways: give one of them.")
        if name in given:
            given[other] = None
    return given


def _in_run(options: dict[str, Any], stage: str, *, computes: bool) -> None:
    from mlx_distill import blas, watchdog

    if computes:
        blas.ensure()
    from mlx_distill import environment, pipeline
    from mlx_distill.console import Terminal
    from mlx_distill.rundir import RunDir
    from mlx_distill.stages import Job

    rank = environment.launched_rank()
    if rank:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # it waits for the others in native code, and keeps nothing
        pipeline.follow()
        return
    config, path = _configuration(options)
    if config.teacher.spec.startswith("mlx:") or config.comparison.judge.startswith("mlx:"):
        computes = True
        blas.ensure()
    terminal = Terminal()
    watched = watchdog.watch() if computes and sys.platform == "darwin" else contextlib.nullcontext()
    with watched, RunDir(path).locked() as run_dir:
        changed = pipeline.prepare(run_dir, config, update=options["update"])
        if stage in ("run_all", "collect_stage", "compare_stages"):
            pipeline.accept_terms(run_dir, config, options["accept_terms"])
        results = getattr(pipeline, stage)(Job(run_dir, config, terminal, changed, options["yes"]))
        if rank is not None:
            pipeline.dismiss()
        if results:
            terminal.summary(results, str(path))


def main() -> None:
    """The console script: every known failure is one line on stderr and an exit code."""
    debug = "--debug" in sys.argv
    signal.signal(signal.SIGTERM, _terminate)
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(_interrupted())
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(_interrupted())
    except DistillError as error:
        sys.exit(_failed(error, debug))
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        reason = f"{error.strerror or error}{where}: make room or check the permissions, then run it again."
        sys.exit(_failed(DataError(reason), debug))
    except Exception as error:
        sys.exit(_failed(_unforeseen(error), debug, error))


def _unforeseen(error: Exception) -> DistillError:
    """The machine's failure where an exception's words say so, or else a fault of this program."""
    from mlx_distill import watchdog

    words = f"{type(error).__name__}: {error}"
    if isinstance(error, RuntimeError | MemoryError) and (advice := watchdog.explain(words)):
        return MachineError(advice)
    return DistillError(f"{words.splitlines()[0]}. This is a fault of mlx-distill: report it with --debug.")


def _failed(error: DistillError, debug: bool, cause: Exception | None = None) -> int:
    from mlx_distill.console import Terminal

    if debug:
        raise cause or error
    Terminal().error(f"Error: {error}")
    return error.exit_code


_ended: list[int] = []
"""The SIGTERM that was received, if any."""


def _terminate(number: int, _frame: Any) -> None:
    """SIGTERM ends a command as Ctrl-C does: what is under way is waited for and kept."""
    _ended.append(number)
    signal.raise_signal(signal.SIGINT)


def _interrupted() -> int:
    from mlx_distill.console import Terminal

    word = "Ended" if _ended else "Interrupted"
    Terminal().error(f"{word}. Everything so far is kept; the same command goes on from here.")
    return 143 if _ended else 130
