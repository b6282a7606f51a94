"""The sections of measuring: how a checkpoint is chosen, how base and distilled are compared, and the benchmarks."""

from __future__ import annotations

from dataclasses import dataclass

from mlx_distill.run.config.setting import setting

COMPARISON = "Comparison"
SANDBOX = "Sandbox"
BENCHMARKS = "Benchmarks"
SELECTION = "Selection of a checkpoint"

JUDGINGS = ("both", "pairwise", "rubric")


@dataclass(frozen=True)
class SelectionConfig:
    """Which saved checkpoint is kept, and at which strength, by what base and candidates answer.

    Without `items` nothing is selected: the checkpoint with the lowest held-out loss is kept. Strength 0, the base,
    is always a candidate.
    """

    items: int | None = setting(
        None,
        "hold back N items per benchmark (at most half) to choose the checkpoint; they are not reported",
        flag="--select",
        group=SELECTION,
        above=0,
    )
    most: int | None = setting(
        None,
        "hold back up to N items per benchmark (at most half), asked where it is in doubt whether a candidate loses",
        flag="--select-most",
        group=SELECTION,
        shown="three times --select",
        above=0,
    )
    strengths: tuple[float, ...] = setting(
        (0.25, 0.5, 0.75, 1.0),
        "strengths of the adapter to try with every checkpoint, separated by commas",
        flag="--strengths",
        group=SELECTION,
    )


@dataclass(frozen=True)
class ComparisonConfig:
    """How base and distilled answer the test prompts, and how the answers are judged.

    Without `samples`, each model gives one greedy answer to a prompt.
    """

    judges: tuple[str, ...] = setting(
        ("claude-opus-4-6",),
        "who judges: a Claude model id, mlx:MODEL, recorded:FILE, or static (code analysis without a language model)",
        flag="--judge",
        group=COMPARISON,
        common=True,
    )
    judging: str = setting(
        "both",
        "judge answers side by side (pairwise), each alone (rubric), or both",
        flag="--judging",
        group=COMPARISON,
        choices=JUDGINGS,
    )
    rubric: str = setting(
        "",
        "file of the dimensions, with their anchors, by which answers are scored alone",
        flag="--rubric",
        group=COMPARISON,
        shown="the prompt set's, or prompts/rubric.md",
    )
    repeats: int = setting(
        1,
        "how often a judge is asked each question: 1 for a look, 3 to publish",
        flag="--repeats",
        group=COMPARISON,
        above=0,
    )
    against_teacher: bool = setting(
        False, "also compare distilled answers with the teacher's", flag="--against-teacher", group=COMPARISON
    )
    prompted_base: bool = setting(
        False,
        "also let the base answer with the teacher's system prompt and up to 3 training examples",
        flag="--prompted-base",
        group=COMPARISON,
    )
    human: tuple[str, ...] = setting(
        (), "CSV file with people's votes, from `mlx-distill export votes`", flag="--human", group=COMPARISON
    )
    judge_max_tokens: int = setting(2048, "token limit of a judge's answer", group=COMPARISON, above=0)
    max_tokens: int = setting(1024, "token limit of a compared answer", flag="--max-tokens", group=COMPARISON, above=0)
    samples: int | None = setting(
        None,
        "sampled answers per prompt, each with its own seed",
        flag="--samples",
        group=COMPARISON,
        shown="one greedy answer",
        above=0,
    )
    temperature: float = setting(
        0.7, "sampling temperature of --samples", flag="--temperature", group=COMPARISON, above=0
    )
    batch_size: int = setting(32, "answers that are generated at once", group=COMPARISON, above=0)
    price_as: str = setting("claude-sonnet-4-6", "model whose price the report's cost scaling uses", group=COMPARISON)
    strength: float = setting(
        1.0,
        "strength of the adapter when the student answers: 0 is the base, 1 the distilled student",
        flag="--strength",
        group=COMPARISON,
        at_least=0,
        at_most=1,
    )
    unsandboxed: bool = setting(
        False, "run models' code without a sandbox where this machine has none", flag="--unsandboxed", group=SANDBOX
    )
    sandbox_packages: str = setting(
        "",
        "packages of this environment that models' code may import, such as numpy,pandas",
        flag="--sandbox-packages",
        group=SANDBOX,
    )


@dataclass(frozen=True)
class BenchConfig:
    """Which benchmarks base and distilled answer, and what the student must show before it is shipped."""

    benchmarks: tuple[str, ...] = setting(
        (),
        "benchmark to run, by name, or default for the default suite",
        flag="--benchmark",
        group=BENCHMARKS,
        common=True,
    )
    data: tuple[str, ...] = setting(
        (),
        "benchmark file: a published one (recognised by its columns), or your own (JSON Lines: prompt, checks|answer)",
        flag="--data",
        group=BENCHMARKS,
        common=True,
    )
    limit: int | None = setting(
        None,
        "use only N items of each benchmark: a fixed, stratified subset",
        flag="--limit",
        group=BENCHMARKS,
        common=True,
        shown="all",
        above=0,
    )
    max_tokens: int | None = setting(
        None,
        "token limit of an answer",
        flag="--max-tokens",
        group=BENCHMARKS,
        shown="each benchmark's own",
        above=0,
    )
    batch_size: int = setting(32, "answers that are generated at once", flag="--batch-size", group=BENCHMARKS, above=0)
    samples: int | None = setting(
        None,
        "sampled answers per item, for pass@k",
        flag="--samples",
        group=BENCHMARKS,
        shown="one greedy answer",
        above=0,
    )
    temperature: float = setting(
        0.7, "sampling temperature of --samples", flag="--temperature", group=BENCHMARKS, above=0
    )
    system: str = setting("", "system prompt", flag="--system", group=BENCHMARKS, shown="none, as published")
    own: tuple[str, ...] = setting(
        ("code",),
        "capability or benchmark that the student was distilled for",
        flag="--own-domain",
        group=BENCHMARKS,
    )
    rules: tuple[str, ...] = setting(
        ("no benchmark worse", "own domain better"),
        "rule that must hold before the gate says `ship`",
        flag="--rule",
        group=BENCHMARKS,
    )
    published: tuple[str, ...] = setting(
        (),
        "JSON Lines file of other models' published scores to show beside: model, benchmark, score, source",
        flag="--published",
        group=BENCHMARKS,
    )
    teacher_answers: tuple[str, ...] = setting(
        (),
        "JSON Lines file of the teacher's answers (task_id or prompt, and text), to show the share of its gap closed",
        flag="--teacher-answers",
        group=BENCHMARKS,
    )
    # the default window is the one that most reports use: 454 problems
    since: str = setting("2024-08-01", "first contest date of LiveCodeBench", flag="--since", group=BENCHMARKS)
    until: str = setting("2025-05-01", "last contest date of LiveCodeBench", flag="--until", group=BENCHMARKS)

    @property
    def wanted(self) -> bool:
        """Whether any benchmark is named."""
        return bool(self.benchmarks or self.data)
