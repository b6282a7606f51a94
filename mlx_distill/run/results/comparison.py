"""The comparison in results.json: base and distilled on the run's own prompts, judged and executed."""

from __future__ import annotations

from mlx_distill.run.records import ROLES, Estimate, Role
from mlx_distill.run.results.part import Part, TeacherGap, Tested, TestedOfBoth


class Kappa(Part, frozen=True, kw_only=True):
    """Cohen's kappa of two judges."""

    judges: tuple[str, ...]
    kappa: Estimate | None


class Agreement(Part, frozen=True, kw_only=True):
    """Between judges, on who won each prompt; `alpha` is Krippendorff's."""

    alpha: Estimate | None
    kappa: tuple[Kappa, ...]


class JudgeOfPairs(Part, frozen=True, kw_only=True):
    """One judge of answers side by side, and how far it can be trusted. Shares are 0 to 1."""

    judge: str
    person: bool
    n: int
    difference: Estimate | None
    share: Estimate | None
    questions: int
    unscored: int
    ties: float | None
    swap_consistency: Estimate | None
    first_slot: Estimate | None
    repeat_agreement: Estimate | None


class PairPreference(Part, frozen=True, kw_only=True):
    """Who was preferred, over prompts. `difference`: won minus lost, -1 to 1; `share`: won, with half of the ties.

    Only the pair of distilled and base is tested: of another, `p` and `p_holm` are None and `verdict` is "".
    """

    pair: tuple[Role, Role]
    n: int
    difference: Estimate | None
    share: Estimate | None
    won: int
    lost: int
    tied: int
    adjusted: Estimate | None
    length_ratio: Estimate | None
    questions: int
    unscored: int
    judges: tuple[JudgeOfPairs, ...]
    agreement: Agreement | None
    name: str = "Preference"
    p: float | None = None
    p_holm: float | None = None
    verdict: str = ""
    smallest: float | None = None
    needed: int | None = None


class Dimension(TestedOfBoth, frozen=True, kw_only=True):
    """A row of the scorecard, 0 to 10; `from_checks`: prompts whose score is their executed checks."""

    name: str
    teacher: Estimate | None
    from_checks: int
    agreement: Estimate | None
    repeat_agreement: Estimate | None
    teacher_gap: TeacherGap | None


class CheckCounts(Part, frozen=True, kw_only=True):
    """Prompts: whose checks passed whole, were run, were not run, and of these refused by the sandbox."""

    passed: int
    run: int
    not_run: int
    refused: int


class Packages(Part, frozen=True, kw_only=True):
    """Answers that import what the sandbox lacks."""

    answers: int
    asking: int
    failed: int
    roles: dict[Role, int]
    names: dict[str, int]


class ExecutedPairs(Tested, frozen=True, kw_only=True):
    """Executed checks of distilled against base, by prompt (McNemar). `bound`: where the base stands ("", floor,
    ceiling)."""

    name: str
    gained: int
    lost: int
    both: int
    neither: int
    bound: str
    teacher_gap: TeacherGap | None


Measure = PairPreference | Dimension | ExecutedPairs
"""What is tested of the comparison."""


class Checks(Part, frozen=True, kw_only=True):
    sandbox: tuple[str, ...]
    roles: dict[Role, CheckCounts]
    packages: Packages | None
    pairs: ExecutedPairs | None


class AnswersOfRole(Part, frozen=True, kw_only=True):
    """`cut_off`: at the token cap; `loops`: that end in a loop, cut off or not."""

    count: int
    cut_off: int
    loops: int
    characters: Estimate | None
    tokens: int
    seconds: float
    tokens_per_second: float | None


class PromptedScore(Part, frozen=True, kw_only=True):
    """A dimension of 10, or the share of executed checks. `gain`: prompted base less base; `ahead`: distilled less
    prompted base. Neither is tested."""

    name: str
    prompted: Estimate
    gain: Estimate | None
    ahead: Estimate | None


class PromptedBase(Part, frozen=True, kw_only=True):
    """The base under the teacher's system prompt, with so many training examples before each question."""

    examples: int
    answers: AnswersOfRole
    scores: tuple[PromptedScore, ...]


class Unscored(Part, frozen=True, kw_only=True):
    answers: int
    pairs: int


# ---------------------------------------------------------------- prompt by prompt


class PreferenceReason(Part, frozen=True, kw_only=True):
    judge: str
    first: Role
    second: Role
    better: str | None
    reason: str
    sample: int


class AnswerChecks(Part, frozen=True, kw_only=True):
    passed: int
    of: int
    run: bool
    detail: str


class AnswerJudgment(Part, frozen=True, kw_only=True):
    judge: str
    scores: dict[str, float] | None
    reason: str


class Answer(Part, frozen=True, kw_only=True):
    """`loop`: it ends in one."""

    text: str
    finish_reason: str
    loop: bool
    tokens: int
    seconds: float
    checks: AnswerChecks | None
    judgments: tuple[AnswerJudgment, ...]


class RoleOnPrompt(Part, frozen=True, kw_only=True):
    """`checked`: its correctness is what executed checks found."""

    overall: float | None
    scores: dict[str, float] | None
    checked: bool
    answers: tuple[Answer, ...]


class PromptResult(Part, frozen=True, kw_only=True):
    """One prompt. `preference` is -1 to 1, `difference` in points of 10; `outcome`: better, worse, same, unscored."""

    id: str
    title: str
    text: str
    category: str
    source: str
    language: str
    preference: float | None
    difference: float | None
    outcome: str
    preference_reasons: tuple[PreferenceReason, ...]
    teacher: RoleOnPrompt
    base: RoleOnPrompt
    distilled: RoleOnPrompt

    def of(self, role: Role) -> RoleOnPrompt:
        part: RoleOnPrompt = getattr(self, role)
        return part


class Comparison(Part, frozen=True, kw_only=True):
    """`answers` and the checks' roles name who answered: the teacher is not among them where nobody asked one."""

    judges: tuple[str, ...]
    judge_is_llm: bool
    measured: dict[str, str] | None
    judge_usd: float | None
    unscored: Unscored
    judgments: int
    pairs_judged: int
    n: int
    verdict: str
    verdict_in_words: str
    preferences: tuple[PairPreference, ...]
    dimensions: tuple[Dimension, ...]
    checks: Checks
    answers: dict[Role, AnswersOfRole]
    prompted: PromptedBase | None = None
    samples: int | None
    temperature: float | None
    repeats: int
    teacher_models: tuple[str, ...]
    caveats: tuple[str, ...]
    prompts: tuple[PromptResult, ...]

    @property
    def roles(self) -> tuple[Role, ...]:
        """Who answered: base and distilled, and the teacher where there is one."""
        return tuple(role for role in ROLES if role in self.answers)

    @property
    def primary(self) -> PairPreference | None:
        """The preference between distilled and base, the only one that is tested; None where they were not paired."""
        return next((entry for entry in self.preferences if entry.pair == ("distilled", "base")), None)

    @property
    def measures(self) -> list[Measure]:
        """Everything that was tested together: preference, dimensions, executed checks."""
        primary = [self.primary] if self.primary else []
        return [*primary, *self.dimensions, *([self.checks.pairs] if self.checks.pairs else [])]


class SelfCheck(Part, frozen=True, kw_only=True):
    """The base compared with itself: anything but no difference speaks against the judges."""

    verdict: str
    verdict_in_words: str
    n: int
    judges: tuple[str, ...]
    samples: int | None
