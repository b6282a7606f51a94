"""The benchmarks in results.json: a row for each, and the gate over them."""

from __future__ import annotations

from mlx_distill.run.records import Estimate, Role
from mlx_distill.run.results.comparison import Packages
from mlx_distill.run.results.part import OfBoth, Part, TeacherGap, TestedOfBoth


class RoleCounts(Part, frozen=True, kw_only=True):
    """How a role's answers came out. `missing`: asked for, not answered; `not_run`: answered, not scored; `no_answer`:
    failed, because no answer could be read out of the text; `loops`: end in a loop, cut off or not; None where an
    earlier version did not count them."""

    answers: int
    cut_off: int
    loops: int | None
    no_answer: int
    not_run: int
    missing: int
    characters: Estimate | None


class ScorePart(OfBoth, frozen=True, kw_only=True):
    """A part of the score, such as IFEval's instructions, as shares."""

    name: str
    difference: Estimate | None


class PassAtK(OfBoth, frozen=True, kw_only=True):
    k: int


class Group(Part, frozen=True, kw_only=True):
    """A category or difficulty: shares passed, and items gained and lost (None with several samples)."""

    name: str
    n: int
    base: float
    distilled: float
    gained: int | None
    lost: int | None
    difference: Estimate | None


class ChangedItem(Part, frozen=True, kw_only=True):
    id: str
    title: str


class Changes(Part, frozen=True, kw_only=True):
    gained: tuple[ChangedItem, ...]
    lost: tuple[ChangedItem, ...]


class CategoryLength(Part, frozen=True, kw_only=True):
    """Mean characters of the answers, and distilled over base."""

    name: str
    n: int
    base: float
    distilled: float
    ratio: Estimate | None


class Equivalence(Part, frozen=True, kw_only=True):
    """`p`: of a difference of `margin` or more, either way. `no_loss_p`: of a loss so large, the one side of it."""

    margin: float
    p: float
    shown: bool
    no_loss_p: float


class Format(TestedOfBoth, frozen=True, kw_only=True):
    """The share of answers that kept to the asked format; `words` where only one of format and ability differs."""

    gained: int | None = None
    lost: int | None = None
    both: int | None = None
    neither: int | None = None
    words: str


class Overlap(Part, frozen=True, kw_only=True):
    """Items that share words with a training prompt; `checked` counts these, None where there was none to check."""

    checked: int | None
    items: tuple[str, ...]


class BenchProtocol(Part, frozen=True, kw_only=True):
    """How a benchmark was asked; what is not known of answers made elsewhere is None."""

    name: str
    title: str
    capability: str
    size: int | None
    items: int
    subset: str | None
    source: str
    scorer: str
    max_tokens: int | None
    samples: int | None
    temperature: float | None
    strength: float | None
    deviations: tuple[str, ...]
    floor: float | None
    answers: str
    overlap: Overlap | None
    items_digest: str
    template: str | None
    system: str | None


class Benchmark(BenchProtocol, frozen=True, kw_only=True):
    """One benchmark: its protocol, shares passed, and what changed. `passed` has a character for each item: 1 passed,
    0 did not, . has no score, ~ passed in some samples. `bound`: where the base stands ("",
    floor, ceiling)."""

    n: int
    difference: Estimate | None
    p: float | None
    p_holm: float | None
    verdict: str
    smallest: float | None
    needed: int | None
    teacher: Estimate | None
    base: Estimate | None
    distilled: Estimate | None
    domain: str
    roles: dict[Role, RoleCounts]
    degraded: tuple[str, ...]
    bound: str
    parts: tuple[ScorePart, ...]
    pass_at_k: tuple[PassAtK, ...]
    categories: tuple[Group, ...]
    difficulties: tuple[Group, ...]
    changes: Changes
    passed: dict[Role, str]
    length_ratio: Estimate | None
    length_by_category: tuple[CategoryLength, ...]
    gained: int | None
    lost: int | None
    both: int | None
    neither: int | None
    equivalence: Equivalence | None
    teacher_gap: TeacherGap | None
    format: Format | None = None

    def of(self, role: Role) -> Estimate | None:
        value: Estimate | None = getattr(self, role)
        return value


# ---------------------------------------------------------------- the gate


class RuleResult(Part, frozen=True, kw_only=True):
    rule: str
    holds: bool
    because: str


class DomainRow(TestedOfBoth, frozen=True, kw_only=True):
    """The benchmarks of one domain, their items pooled."""

    domain: str
    benchmarks: tuple[str, ...]


class CoverageCategory(Part, frozen=True, kw_only=True):
    name: str
    share: float
    difference: float
    n: int


class Coverage(Part, frozen=True, kw_only=True):
    """Spearman's rank correlation of a category's share of the training and its improvement."""

    rho: Estimate | None
    p: float
    categories: tuple[CoverageCategory, ...]
    words: str


class Gate(Part, frozen=True, kw_only=True):
    """`verdict`: ship, mixed, do not ship."""

    verdict: str
    because: str
    rules: tuple[RuleResult, ...]
    forgetting: tuple[DomainRow, ...]
    coverage: Coverage | None
    packages: Packages | None = None
    caveats: tuple[str, ...]


class Published(Part, frozen=True, kw_only=True):
    """Another model's score as somebody published it, 0 to 1."""

    model: str
    benchmark: str
    score: float
    source: str
