"""The command line: parses, wires, and turns errors into one line and an exit code. No logic.

Everything heavy is imported inside the commands, so that --help answers at once.
"""

from __future__ import annotations

import contextlib
import io
import signal
import sys
from pathlib import Path
from typing import Any

import click

from mlx_distill import __version__
from mlx_distill.cli.options import Place, bench_settings, configuration_of, settings
from mlx_distill.report.look import FORMATS, THEMES, Look, size_of
from mlx_distill.run.errors import DataError, DistillError, MachineError, words_of


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="mlx-distill")
@click.option("--debug", is_flag=True, help="show a traceback when something fails")
def cli(debug: bool) -> None:
    """Distil a large teacher model into a small student, and find out honestly whether it got better.

    Exit codes: 0 done, 2 wrong use, 3 data, 4 teacher, 5 budget, 6 the machine (out of memory, or the GPU was taken
    away), 7 not let through (--gate), 8 a run of a sweep failed, 130 interrupted, 143 ended. The same command, run
    again, goes on where it stopped.
    """


GATE = click.option("--gate", is_flag=True, help="exit code 7 unless the benchmarks' verdict is ship")


@cli.command()
@settings
@GATE
def run(gate: bool, **options: Any) -> None:
    """Everything: collect, train, compare, put the benchmarks if any are named, report."""
    _in_run(options, "run_all", computes=True, gate=gate)


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
@click.option("--self-check", is_flag=True, help="compare the base with itself: what shows a difference then is wrong")
def compare(self_check: bool, **options: Any) -> None:
    """Let base and distilled answer the test prompts, check and judge the answers."""
    _in_run(options, "self_check_stage" if self_check else "compare_stages", computes=True)


@cli.command()
@bench_settings
@click.option(
    "--answers", multiple=True, help="[ROLE=]FILE: answers made elsewhere, instead of the student's (repeatable)"
)
@click.option("--json", "as_json", is_flag=True, help="for programs")
@click.option("--inspect-log", is_flag=True, help="also write logs that inspect-ai shows, where it is installed")
@GATE
def bench(answers: tuple[str, ...], as_json: bool, inspect_log: bool, gate: bool, **options: Any) -> None:
    """Put published benchmarks, or your own, to base and distilled: ship, mixed, or do not ship?

    Without --benchmark and --data: the default suite, HumanEval+, MBPP+, MATH-500, GSM8K and IFEval, from the hub.
    """
    from mlx_distill.evaluate.benchmarks.elsewhere import given

    files = [given(text) for text in answers]
    _in_run(
        options, "bench_stages", computes=not files, gate=gate, as_json=as_json, given=files, inspect_log=inspect_log
    )


@cli.command()
@settings
@click.option("--format", "picture", type=click.Choice(FORMATS), default="png", help="of the charts [png]")
@click.option("--size", default="1920x1080", help="of the charts in pixels, such as 1080x1920 [1920x1080]")
@click.option("--theme", type=click.Choice(THEMES), default="dark", help="of the charts [dark]")
@click.option("--animate", is_flag=True, help="each chart building itself up, too: numbered frames and a GIF")
def report(picture: str, size: str, theme: str, animate: bool, **options: Any) -> None:
    """Draw the charts and write RESULTS.md and report.html from what the run has measured."""
    look = Look(picture, size_of(size), theme)
    _in_run(options, "report_stage", computes=False, look=look, animated=animate)


@cli.command()
@bench_settings
def select(**options: Any) -> None:
    """Choose among saved checkpoints and strengths of the adapter, or keep the base, by --select N benchmark items.

    A third of the items choose: the candidate that gains most in the own domain, of those that lose nowhere. The
    others confirm it. None of them is among what `bench` reports.
    """
    _in_run(options, "select_stages", computes=True)


@cli.command()
@click.argument("file", type=Place(), required=False)
@click.option("--plan", "only_plan", is_flag=True, help="what every run would take; starts nothing")
@click.option("--resume", is_flag=True, help="go on with a sweep that was begun: FILE, or --sweep its folder")
@click.option("--sweep", "folder", type=Place(), help="the sweep's folder [sweeps/NAME]")
@click.option("--shard", default="1/1", help="which part of the runs is done here, such as 1/2 and 2/2 [1/1]")
@click.option("--max-cost", type=float, help="US dollars that all runs together may cost")
@click.option("--collect", is_flag=True, help="only ask the teachers, before the runs are divided")
@click.option("--keep-going/--no-keep-going", default=True, help="after a run that failed [--keep-going]")
@click.option("--update", is_flag=True, help="change the settings of runs that were begun")
@click.option("--yes", is_flag=True, help="agree to the estimated cost without being asked")
@click.option("--accept-terms", is_flag=True, help="acknowledge Anthropic's terms (needed once a sweep)")
def sweep(file: Path | None, only_plan: bool, resume: bool, folder: Path | None, shard: str, **options: Any) -> None:
    """Make a run for every combination that FILE describes, and say which of them got better or worse.

    FILE is a config.toml with [axes]; examples/ has some. The same command, or --resume, goes on where it stopped.
    """
    from mlx_distill import sweep as sweeping
    from mlx_distill.cli.terminal import Terminal
    from mlx_distill.sweep.members import shard_of

    terminal = Terminal()
    found, source = sweeping.open_sweep(file, folder, shard_of(shard), resume)
    if only_plan:
        sweeping.plan(found, terminal)
        return
    sweeping.make(found, source, sweeping.Asked(**options), terminal)


@cli.command()
@click.argument("form", metavar="FORMAT", type=click.Choice(("peft", "votes")))
@click.option(
    "--run",
    "run_path",
    type=Place(),
    default=Path("runs", "standard"),
    help="run directory [runs/standard]",
)
@click.option("--to", "folder", type=Place(), help="folder or file to write [RUN/exports/FORMAT]")
def export(form: str, run_path: Path, folder: Path | None) -> None:
    """Write what the run has made in another FORMAT.

    peft: the adapter for Hugging Face. votes: a blind table of base and distilled answers, for people's --human votes.
    """
    from mlx_distill import pipeline
    from mlx_distill.cli.terminal import Terminal
    from mlx_distill.run.folder import RunDir

    with RunDir(run_path).locked() as run_dir:
        for line in pipeline.export_stage(run_dir, form, folder):
            Terminal().line(line)


@cli.command()
@click.argument("folder", type=Place(), default=Path("runs"))
@click.option("--json", "as_json", is_flag=True, help="for programs")
def runs(folder: Path, as_json: bool) -> None:
    """The runs of FOLDER [runs]: verdict, losses, dollars, minutes. The latest comes first."""
    from mlx_distill.cli.terminal import Terminal
    from mlx_distill.summarise import history

    entries, terminal = history.listed(folder), Terminal()
    if as_json:
        terminal.json(entries)
    else:
        terminal.runs(entries, str(folder))


@cli.command()
@click.argument("a", type=Place())
@click.argument("b", type=Place())
@click.option("--json", "as_json", is_flag=True, help="for programs")
def diff(a: Path, b: Path, as_json: bool) -> None:
    """Runs A and B side by side, and B's distilled model against A's on the prompts that both answered.

    A and B are run directories; a name that is none stands for the one in runs/.
    """
    from mlx_distill.cli.terminal import Terminal
    from mlx_distill.summarise import history

    found, terminal = history.diff(a, b), Terminal()
    if as_json:
        terminal.json(found)
    else:
        terminal.diff(found)


@cli.command()
@settings
def plan(**options: Any) -> None:
    """What a run would take: prompts, tokens, dollars, memory, time. Starts nothing."""
    from mlx_distill.cli.terminal import Terminal
    from mlx_distill.pipeline import preflight as looking
    from mlx_distill.pipeline.plan import plan as make_plan

    config, path = configuration_of(options)
    rows = [*make_plan(config, path), *looking.rows(config, path)]
    Terminal().table(f"Plan for {path}", ("what", "how much"), rows)


@cli.command()
def doctor() -> None:
    """What is there, what is missing, and how to get it."""
    from mlx_distill.machine import blas

    blas.ensure()
    from mlx_distill.cli.doctor import examine
    from mlx_distill.cli.terminal import Terminal

    rows = [(finding.what, finding.state, finding.advice) for finding in examine()]
    Terminal().table("mlx-distill doctor", ("what", "state", "to do"), rows)


def _in_run(
    options: dict[str, Any], stage: str, *, computes: bool, gate: bool = False, as_json: bool = False, **more: Any
) -> None:
    from mlx_distill.machine import blas, watchdog

    if computes:
        blas.ensure()
    from mlx_distill import pipeline
    from mlx_distill.cli.terminal import Terminal
    from mlx_distill.machine import environment
    from mlx_distill.pipeline.terms import accept_terms
    from mlx_distill.run import ownership
    from mlx_distill.run.folder import RunDir
    from mlx_distill.run.job import Job
    from mlx_distill.summarise import SELF_CHECK
    from mlx_distill.summarise.gate import check_gate

    rank = environment.launched_rank()
    if rank:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # it waits for the others in native code, and keeps nothing
        pipeline.follow()
        return
    config, path = configuration_of(options)
    ownership.check(config, path, [file.path for file in more.get("given", ())])
    if any(spec.startswith("mlx:") for spec in (config.teacher.spec, *config.comparison.judges)):
        computes = True
        blas.ensure()
    terminal = Terminal(aside=as_json)
    watched = watchdog.watch() if computes and sys.platform == "darwin" else contextlib.nullcontext()
    with watched, RunDir(path).locked() as run_dir:
        changed = pipeline.prepare(run_dir, config, update=options["update"])
        if stage in ("run_all", "collect_stage", "compare_stages"):
            accept_terms(run_dir, config, options["accept_terms"])
        named = options.get("teacher__spec") is not None
        job = Job(run_dir, config, terminal, changed, options["yes"], named)
        results = getattr(pipeline, stage)(job, **more)
        if rank is not None:
            pipeline.dismiss()
        if results and as_json:
            terminal.json({name: getattr(results, name) for name in ("benchmarks", "gate", "published")})
        elif results:
            terminal.summary(results, str(path / SELF_CHECK if stage == "self_check_stage" else path))
        if gate:
            check_gate(results)


def main() -> None:
    """The console script: every known failure is one line on stderr and an exit code."""
    debug = "--debug" in sys.argv
    _replace_what_cannot_be_written()
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
        sys.exit(_failed(DataError(_advised(error)), debug))
    except Exception as error:
        sys.exit(_failed(_unforeseen(error), debug, error))


def _advised(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    wrong_path = isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError)
    advice = "check the path" if wrong_path else "make room or check the permissions"
    return f"{error.strerror or error}{where}: {advice}, then run the same command again."


def _replace_what_cannot_be_written() -> None:
    """A terminal or pipe that is not UTF-8 gets question marks, and no command fails for it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _unforeseen(error: Exception) -> DistillError:
    """The machine's failure where an exception's words say so, or else a fault of this program."""
    from mlx_distill.machine import watchdog

    words = f"{type(error).__name__}: {error}"
    if isinstance(error, RecursionError) or (isinstance(error, ValueError) and "integer string conversion" in words):
        return DataError("What was read is nested too deeply, or holds a number of thousands of digits: remove it.")
    if isinstance(error, RuntimeError | MemoryError) and (advice := watchdog.explain(words)):
        return MachineError(advice)
    return DistillError(f"{words_of(error, named=True)}. This is a fault of mlx-distill: report it with --debug.")


def _failed(error: DistillError, debug: bool, cause: Exception | None = None) -> int:
    from mlx_distill.cli.terminal import Terminal

    if debug:
        raise cause or error
    Terminal().error(f"Error: {error}")
    return error.exit_code


_ended: list[int] = []
"""The SIGTERM that was received, if any."""


def _terminate(number: int, _frame: Any) -> None:
    """SIGTERM ends a command as Ctrl-C does: what is under way is waited for and kept."""
    _ended.append(number)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started by a script with `&`
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)


def _interrupted() -> int:
    from mlx_distill.cli.terminal import Terminal

    word = "Ended" if _ended else "Interrupted"
    Terminal().error(f"{word}. Everything so far is kept; the same command goes on from here.")
    return 143 if _ended else 130
