"""The records that travel between stages.

What comes in and goes out of every stage is one of these frozen dataclasses, so a stage can be read, tested
and replaced on its own. `lines` says how a file keeps them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mlx_distill.run.reasoning import answer_of, with_reasoning

Role = Literal["teacher", "base", "distilled"]
ROLES: tuple[Role, ...] = ("teacher", "base", "distilled")
MODELS: tuple[Role, Role] = ("base", "distilled")
"""Before and after training, which everything is measured of."""
Split = Literal["train", "valid", "test"]

SCORED_STOPS = ("end_turn", "stop_sequence")
"""Stop reasons of a complete answer. Anything else (max_tokens, refusal, …) is kept and never trained on."""


@dataclass(frozen=True)
class Check:
    """A few lines run after an answer's code; the last one's value must equal `expected`, a Python literal.

    For SQL `run` is empty and `expected` is the list of rows of the answer's query.
    """

    expected: str
    run: str = ""


@dataclass(frozen=True)
class Prompt:
    id: str
    text: str
    title: str = ""
    category: str = ""
    split: Split = "train"
    source: str = ""
    language: str = "python"
    setup: str = ""
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What came with an answer. `usd` is what it cost; None where nothing is charged by the token.

    `input_tokens` are those that no prompt cache wrote or read; `batch`: asked at the price of a message batch;
    `attempt` counts what was sent until it came; `answered_at` is in Unix seconds.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0
    seconds: float = 0.0
    usd: float | None = None
    batch: bool = False
    reasoning: str = ""
    refusal_category: str | None = None
    message_id: str = ""
    request_id: str = ""
    attempt: int = 1
    answered_at: float = 0.0
    sdk: str = ""
    prices_dated: str = ""


@dataclass(frozen=True)
class Completion(Delivery):
    """One answer of the teacher. `system` is what was asked under, where an existing trace says so; "" is the run's
    own."""

    prompt_id: str
    prompt: str
    completion: str
    stop_reason: str
    model: str
    system: str = ""

    @property
    def complete(self) -> bool:
        return self.stop_reason in SCORED_STOPS and bool(self.completion.strip())

    def trained(self, thinking: bool) -> str:
        """The answer as it is trained on; with `thinking` the teacher's reasoning stands before it."""
        return with_reasoning(self.reasoning if thinking else "", self.completion)


@dataclass(frozen=True)
class StepMetrics:
    """One optimiser step. `loss` and `valid_loss` are nats per scored token, `peak_memory` bytes.

    `divergence` is KL(base ‖ student) in nats per token, over the step's `replay_tokens`, before the step; `drift` is
    the same on the held-out examples, where they were measured, and `replay_drift` on held-out general prompts.
    """

    step: int
    epoch: float
    loss: float | None
    accuracy: float | None
    tokens: int
    tokens_per_second: float
    learning_rate: float
    peak_memory: int
    seconds: float
    valid_loss: float | None = None
    valid_accuracy: float | None = None
    replay_tokens: int = 0
    divergence: float | None = None
    drift: float | None = None
    replay_drift: float | None = None


@dataclass(frozen=True)
class Generation:
    """One answer of a role to a test prompt. `finish_reason`: stop, or length when it was cut at the cap.

    `sample` counts the answers of one role to one prompt; `seconds` is its share of its batch's time.
    """

    prompt_id: str
    role: Role
    text: str
    tokens: int
    seconds: float
    finish_reason: str
    sample: int = 0

    @property
    def answer_text(self) -> str:
        """The text without the reasoning before it: what is scored, judged and counted."""
        return answer_of(self.text)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a judge said beside the mark. `problem` says why there is none; `repeat` counts how often it was asked."""

    reason: str = ""
    problem: str = ""
    usd: float | None = None
    sample: int = 0
    repeat: int = 0


@dataclass(frozen=True)
class Judgment(Verdict):
    """One answer alone: whole scores 0-10 by dimension. `scores` None means unscored; it is never read as zero."""

    prompt_id: str
    role: Role
    judge: str
    scores: dict[str, float] | None


@dataclass(frozen=True)
class Preference(Verdict):
    """Two answers side by side, `first` shown first. `better` is one of the two, or "tie"; None means unscored."""

    prompt_id: str
    first: Role
    second: Role
    judge: str
    better: Role | Literal["tie"] | None


FORMAT = "format"
"""The part of a Score that says whether the answer followed the asked format strictly; it does not decide the mark."""


@dataclass(frozen=True)
class Score:
    """What an answer to a prompt with checks, or to a benchmark's item, is worth. `passed` None means that it was not
    scored (`detail` says why).

    `sandbox` is the level that code ran at: seatbelt, bubblewrap, namespaces, or none; `packages` are what the code
    imports and the sandbox lacks. Of a benchmark: `found` is the answer that was read out of the text, None where there
    was none to be read; `parts` are further results by name.
    """

    benchmark: str
    item_id: str
    role: Role
    passed: bool | None
    checks: int = 0
    checks_passed: int = 0
    detail: str = ""
    sample: int = 0
    sandbox: str = ""
    found: str | None = None
    parts: dict[str, bool] = field(default_factory=dict)
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """A measured mean with its 95 % interval over n items; low and high are None where n is too small."""

    mean: float
    n: int
    low: float | None = None
    high: float | None = None

    @property
    def ends(self) -> tuple[float, ...]:
        """The mean and, where there is an interval, its ends."""
        return (self.mean, *(self.interval or ()))

    @property
    def interval(self) -> tuple[float, float] | None:
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def top(self) -> float:
        """The interval's upper end, or the mean where there is no interval."""
        return self.mean if self.high is None else self.high

    def times(self, factor: float) -> Estimate:
        low, high = (None if end is None else factor * end for end in (self.low, self.high))
        return Estimate(factor * self.mean, self.n, low, high)

    @property
    def spans_zero(self) -> bool:
        """Whether zero lies in the interval, or there is none."""
        return self.low is None or self.high is None or self.low <= 0 <= self.high


@dataclass(frozen=True)
class Standing:
    """How one run of a sweep stands: waiting, running, done, failed, stopped, or left to another shard; what it is
    doing or why it failed; and the seconds that it took so far."""

    name: str
    state: str
    words: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Conversation:
    """What is trained on: chat messages, of which every assistant turn is scored, but for those at `unscored`.

    `where` is its place in a file, for messages about it; what is trained on does not depend on that.
    """

    id: str
    messages: tuple[dict[str, str], ...]
    split: Split = "train"
    unscored: tuple[int, ...] = ()
    where: str = field(default="", compare=False, repr=False)

    @property
    def question(self) -> str:
        return next((message["content"] for message in self.messages if message["role"] == "user"), "")


def why_unusable(stop_reason: str, answer: str) -> str | None:
    """Why an answer is kept but not trained on, or None."""
    if stop_reason in SCORED_STOPS:
        return None if answer.strip() else "empty"
    if stop_reason in ("max_tokens", "model_context_window_exceeded"):
        return "truncated"
    if stop_reason == "refusal":
        return "refused"
    return f"stopped ({stop_reason})" if answer.strip() else "empty"
