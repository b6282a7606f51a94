"""The commands that make a run or many, in the order of the work.

In: the values of a command's options. Out: files in a run directory, and what the terminal shows. What each command
runs is in `pipeline.commands`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cloup

from mlx_distill.cli.configuration import configuration_of
from mlx_distill.cli.job import open_job
from mlx_distill.cli.options import OUTPUT, group, settings
from mlx_distill.cli.values import Place
from mlx_distill.run.config.evaluation import BENCHMARKS, COMPARISON

GATE = cloup.option("--gate", is_flag=True, help="exit with code 7 unless the gate says `ship`")
JSON = cloup.option("--json", "as_json", is_flag=True, help="write JSON, for programs")


@cloup.command(epilog="Example: mlx-distill plan --preset quick")
@settings("plan")
def plan(**options: Any) -> None:
    """Show what `run` with the same options would do, cost and need. Starts nothing; --headroom alone asks prompts."""
    from mlx_distill.cli.terminal import Terminal
    from mlx_distill.pipeline import outlook, preflight
    from mlx_distill.pipeline.plan import plan as estimates
    from mlx_distill.run.folder import RunDir
    from mlx_distill.run.job import Job

    config, path = configuration_of(options)
    terminal = Terminal()
    job = Job(RunDir(path), config, terminal, teacher_named=options["teacher__spec"] is not None)
    rows = [*outlook.stages(job), *estimates(config, path), *outlook.obstacles(job, options["accept_terms"])]
    rows += preflight.rows(config, path)
    if config.run.headroom:
        with open_job(options, terminal, computes=True, terms=True) as opened:
            from mlx_distill.pipeline import commands

            rows += commands.headroom(opened)
    terminal.table(f"Plan for {path}", ("what", "how much"), rows)


@cloup.command(short_help="Run every stage, from collect to report.", epilog="Example: mlx-distill run --preset demo")
@settings("run")
@GATE
def run(gate: bool, **options: Any) -> None:
    """Run every stage: collect, train, compare, bench (if benchmarks are named), report."""
    from mlx_distill.cli.terminal import Terminal

    terminal = Terminal()
    with open_job(options, terminal, computes=True, terms=True) as job:
        from mlx_distill.pipeline import commands
        from mlx_distill.summarise.gate import check_gate

        results = commands.run_all(job)
        terminal.summary(results, str(job.run.path))
        if gate:
            check_gate(results)


@cloup.command(epilog="Example: mlx-distill collect --prompts prompts.txt --max-cost 5")
@settings("collect")
def collect(**options: Any) -> None:
    """Ask the teacher for its answers."""
    from mlx_distill.cli.terminal import Terminal

    with open_job(options, Terminal(), computes=False, terms=True) as job:
        from mlx_distill.pipeline import commands

        commands.collect(job)


@cloup.command(epilog="Example: mlx-distill train --data chat.jsonl --student qwen2.5-0.5b")
@settings("train")
def train(**options: Any) -> None:
    """Fine-tune the student on collected answers, or on --data FILE."""
    from mlx_distill.cli.terminal import Terminal

    with open_job(options, Terminal(), computes=True) as job:
        from mlx_distill.pipeline import commands

        commands.train(job)


@cloup.command(
    short_help="Let base and distilled answer the test prompts, and judge.",
    epilog="Example: mlx-distill compare --judge claude-opus-4-6 --repeats 3",
)
@settings("compare")
@cloup.option(
    "--self-check",
    is_flag=True,
    group=group("compare", COMPARISON),
    help="compare the base with itself; any difference it shows is judge error",
)
def compare(self_check: bool, **options: Any) -> None:
    """Let base and distilled answer the test prompts, check and judge the answers."""
    from mlx_distill.cli.terminal import Terminal

    terminal = Terminal()
    with open_job(options, terminal, computes=True, terms=not self_check) as job:
        from mlx_distill.pipeline import commands
        from mlx_distill.summarise import SELF_CHECK

        if self_check:
            terminal.summary(commands.self_check(job), str(job.run / SELF_CHECK))
        else:
            commands.compare(job)


@cloup.command(epilog="Example: mlx-distill bench --benchmark gsm8k --limit 200 --gate")
@settings("bench")
@cloup.option(
    "--answers",
    multiple=True,
    group=group("bench", BENCHMARKS),
    help="[ROLE=]FILE: answers made elsewhere, instead of the student's (repeatable)",
)
@JSON
@cloup.option(
    "--inspect-log",
    is_flag=True,
    group=group("bench", OUTPUT),
    help="also write logs that inspect-ai shows, where it is installed",
)
@GATE
def bench(answers: tuple[str, ...], as_json: bool, inspect_log: bool, gate: bool, **options: Any) -> None:
    """Score base and distilled on benchmarks, and say whether to ship.

    Without --benchmark and --data: the default suite, HumanEval+, MBPP+, MATH-500, GSM8K and IFEval, from the hub.
    """
    from mlx_distill.cli.terminal import Terminal
    from mlx_distill.evaluate.benchmarks.elsewhere import given

    files, terminal = [given(text) for text in answers], Terminal(aside=as_json)
    with open_job(options, terminal, computes=not files, reads=[file.path for file in files]) as job:
        from mlx_distill.pipeline import commands
        from mlx_distill.summarise.gate import check_gate

        results = commands.bench(job, files, inspect_log)
        if as_json:
            terminal.json({name: getattr(results, name) for name in ("benchmarks", "gate", "published")})
        else:
            terminal.summary(results, str(job.run.path))
        if gate:
            check_gate(results)


@cloup.command(
    short_help="Choose a checkpoint and strength by benchmarks, or the base.",
    epilog="Example: mlx-distill select --benchmark humaneval-plus --benchmark math-500 --select 90",
)
@settings("select")
def select(**options: Any) -> None:
    """Choose among saved checkpoints and strengths of the adapter, or keep the base, by --select N benchmark items.

    A third of the items choose: the candidate that gains most in the own domain, of those that lose nowhere. The
    others confirm it. None of them is among what `bench` reports.
    """
    from mlx_distill.cli.terminal import Terminal

    terminal = Terminal()
    with open_job(options, terminal, computes=True) as job:
        from mlx_distill.pipeline import commands

        terminal.summary(commands.select(job), str(job.run.path))


@cloup.command(
    "round",
    short_help="Distil once more, from what a run's student has learnt.",
    epilog="Example: mlx-distill round --run runs/standard",
)
@cloup.option("--run", "earlier", type=Place(), required=True, help="the run that goes on; it must be trained")
@cloup.option("--to", "folder", type=Place(), help="the new run's directory [RUN-round-2, beside it]")
@cloup.option("--yes", is_flag=True, help="agree to the estimated cost without being asked")
@cloup.option("--accept-terms", is_flag=True, help="acknowledge Anthropic's terms (needed once a run)")
@GATE
def one_round(earlier: Path, folder: Path | None, gate: bool, **options: Any) -> None:
    """Distil once more over the same ground: the student that RUN kept answers the training prompts.

    Its own answers that pass their checks are the next student's data, and the teacher's where it passes none. The next
    student is trained from the same base, in a run of its own.
    """
    from mlx_distill.cli.terminal import Terminal
    from mlx_distill.pipeline.rounds import next_folder, settings_after

    changes = {name.replace(".", "__"): value for name, value in settings_after(earlier).items()}
    named = {"run_path": folder or next_folder(earlier), "config_file": earlier / "config.toml", "preset": None}
    terminal = Terminal()
    with open_job({**named, **changes, **options, "update": False}, terminal, computes=True, terms=True) as job:
        from mlx_distill.pipeline import commands
        from mlx_distill.summarise.gate import check_gate

        results = commands.run_all(job)
        terminal.summary(results, str(job.run.path))
        if gate:
            check_gate(results)


@cloup.command(
    short_help="Make many runs from one file, and compare them.",
    epilog="Example: mlx-distill sweep examples/small.toml --plan",
)
@cloup.argument("file", type=Place(), required=False)
@cloup.option("--plan", "only_plan", is_flag=True, help="show what every run would take; starts nothing")
@cloup.option("--resume", is_flag=True, help="continue an earlier sweep: FILE, or its folder with --sweep")
@cloup.option("--sweep", "folder", type=Place(), help="the sweep's folder [sweeps/NAME]")
@cloup.option("--shard", default="1/1", help="which part of the runs this machine does, such as 1/2 and 2/2 [1/1]")
@cloup.option("--max-cost", type=float, help="stop before all runs together cost this many US dollars")
@cloup.option("--collect", is_flag=True, help="only ask the teachers, before the runs are divided into shards")
@cloup.option("--keep-going/--no-keep-going", default=True, help="continue after a run that failed [--keep-going]")
@cloup.option("--update", is_flag=True, help="change the settings of existing runs")
@cloup.option("--yes", is_flag=True, help="agree to the estimated cost without being asked")
@cloup.option("--accept-terms", is_flag=True, help="acknowledge Anthropic's terms (needed once a sweep)")
def sweep(file: Path | None, only_plan: bool, resume: bool, folder: Path | None, shard: str, **options: Any) -> None:
    """Make a run for every combination that FILE describes, and say which of them got better or worse.

    FILE is a config.toml with [axes]; examples/ has some. Run the same command again, or --resume, to continue.
    """
    from mlx_distill import sweep as sweeping
    from mlx_distill.cli.terminal import Terminal
    from mlx_distill.sweep.members import shard_of

    terminal = Terminal()
    opened, source = sweeping.open_sweep(file, folder, shard_of(shard), resume)
    if only_plan:
        sweeping.plan(opened, terminal)
        return
    sweeping.make(opened, source, sweeping.SweepOptions(**options), terminal)


COMMANDS = (plan, run, collect, train, compare, bench, select, one_round, sweep)
