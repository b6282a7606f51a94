"""The sections that say what is asked, of whom, and what of the answers is trained on."""

from __future__ import annotations

from dataclasses import dataclass

from mlx_distill.run.config.setting import setting

PROMPTS = "Prompts"
TEACHER = "Teacher"
REQUESTS = "Requests and cost"
FILTERS = "Filters"
CHOICE = "Choice among answers"

CHOICE_RULES = ("first", "shortest", "fit", "own")


@dataclass(frozen=True)
class PromptConfig:
    """Which prompts a run has, by split. A prompt set is a name, a file, or hf:DATASET."""

    train: tuple[str, ...] = setting(
        ("coding",),
        "training prompts: coding, coding:base, functions, a TOML, JSON Lines or text file, or hf:DATASET",
        flag="--prompts",
        group=PROMPTS,
        common=True,
    )
    valid: tuple[str, ...] = setting(
        ("validation",), "prompts that measure the held-out loss", flag="--valid-prompts", group=PROMPTS
    )
    test: tuple[str, ...] = setting(
        ("showcase", "heldout"),
        "prompts on which base and distilled are compared",
        flag="--test-prompts",
        group=PROMPTS,
    )
    limit: int | None = setting(
        None, "use only the first N prompts of each split", flag="--limit", group=PROMPTS, common=True, above=0
    )


@dataclass(frozen=True)
class TeacherConfig:
    """Whose answers the student learns, and how they are asked for. A change asks anew."""

    spec: str = setting(
        "claude-sonnet-4-6",
        "a Claude model id, recorded[:FILE], mlx:MODEL (local), or existing answers: hf:DATASET, traces:FILE",
        flag="--teacher",
        group=TEACHER,
        common=True,
    )
    system: str = setting(
        "You are a careful senior engineer. Answer with correct, complete code and a short explanation.",
        "system prompt of the teacher",
        flag="--teacher-system",
        group=TEACHER,
    )
    max_tokens: int = setting(
        3072,
        "token limit of an answer; an answer that reaches it is left out of training; a higher limit asks for it again",
        flag="--teacher-max-tokens",
        group=TEACHER,
        above=0,
    )
    thinking: bool = setting(
        False,
        "let Claude think; summaries of its thinking are kept beside its answers",
        flag="--thinking",
        group=TEACHER,
    )
    columns: str | None = setting(
        None,
        "columns of existing answers or --data: prompt=COLUMN,completion=COLUMN",
        flag="--columns",
        group=TEACHER,
    )


@dataclass(frozen=True)
class CollectConfig:
    """How the teacher and the judges are asked. A change asks nothing again: the questions stay the same."""

    concurrency: int = setting(32, "most requests at the same time", flag="--concurrency", group=REQUESTS, above=0)
    batch: bool = setting(
        False, "use message batches: half the price, up to a day of waiting", flag="--batch", group=REQUESTS
    )
    cache_prompt: bool = setting(
        False, "cache the system prompt, which all requests share", flag="--cache-prompt", group=REQUESTS
    )
    max_cost: float | None = setting(
        None,
        "stop before the run's ledger passes this many US dollars",
        flag="--max-cost",
        group=REQUESTS,
        common=True,
        at_least=0,
        infinite=True,
    )
    price: str | None = setting(
        None,
        "IN,OUT: price in dollars per million tokens, for a model without a built-in price",
        flag="--price",
        group=REQUESTS,
    )
    ledger: str | None = setting(
        None,
        "ledger file that several runs share",
        flag="--ledger",
        group=REQUESTS,
        shown="ledger.sqlite in the run directory",
    )


@dataclass(frozen=True)
class FilterConfig:
    """Which answers are left out of training, beside those that are cut off, refused or empty. None is deleted."""

    language: str | None = setting(
        None, "leave out answers in another language than this (ISO 639-1 code)", flag="--language", group=FILTERS
    )
    near_duplicate: float = setting(
        0.8,
        "leave out answers at least this similar to an earlier one (Jaccard)",
        flag="--near-duplicate",
        group=FILTERS,
        above=0,
        at_most=1,
    )
    benchmarks: tuple[str, ...] = setting(
        (), "leave out answers that overlap this benchmark file", flag="--keep-out", group=FILTERS
    )


@dataclass(frozen=True)
class ChoiceConfig:
    """Which of several answers to a training prompt is trained on. With the defaults there is one, and nothing to
    choose."""

    teacher_answers: int = setting(
        1, "answers that the teacher gives to each training prompt", flag="--answers-per-prompt", group=CHOICE, above=0
    )
    student_answers: int = setting(
        0,
        "answers that the student itself gives to each training prompt with checks, before it is trained",
        flag="--student-answers",
        group=CHOICE,
        at_least=0,
    )
    answers_of: str | None = setting(
        None,
        "run whose distilled student gives --student-answers (see `mlx-distill round`)",
        flag="--answers-of",
        group=CHOICE,
        shown="the base gives them",
    )
    rule: str = setting(
        "first",
        "which answer is trained on: the teacher's first or shortest, the student's own, or the one that fits it",
        flag="--choose",
        group=CHOICE,
        choices=CHOICE_RULES,
    )
    temperature: float = setting(0.7, "sampling temperature of --student-answers", group=CHOICE, above=0)
    max_tokens: int = setting(1024, "token limit of --student-answers", group=CHOICE, above=0)

    @property
    def wanted(self) -> bool:
        """Whether there is anything to choose."""
        return self.teacher_answers > 1 or self.student_answers > 0 or self.rule != "first"
