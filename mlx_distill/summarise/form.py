"""How answers were set down, told apart from what they are worth: the asked format, and packages that were not there.

In: a run's benchmarks. Out: for each the shares that followed the asked format strictly, with a test as for what
passes, and a sentence where one of the two differs and the other does not: answers are read in any format, so that a
habit of format is no ability. All formats of a run are one family, adjusted together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from mlx_distill.run.records import FORMAT, MODELS, Estimate, Role, Score
from mlx_distill.run.results.benchmarks import Format
from mlx_distill.run.results.comparison import Packages
from mlx_distill.run.results.part import fields_of
from mlx_distill.run.wording import plural, tested
from mlx_distill.stats import inference as stats
from mlx_distill.summarise.scored import ScoredBenchmark

SHOWN = ("better", "worse")
MOST_NAMED = 5


def formats_part(asked: Sequence[ScoredBenchmark], verdicts: Sequence[str]) -> list[Format | None]:
    """For each benchmark, in their order; None where no answer says in which format it stood. `verdicts` are
    those on what passes."""
    pairs = [_pairs(one) for one in asked]
    known = [index for index, one in enumerate(asked) if any(_shares(one, role) for role in MODELS)]
    measured = [_tested(asked[index], pairs[index]) for index in known]
    decided = dict(zip(known, stats.decide_together([test for _, test in measured]), strict=True))
    formats: list[Format | None] = [None] * len(asked)
    for (counts, _), index in zip(measured, known, strict=True):
        base, distilled = _estimates(asked[index], pairs[index])
        fields = fields_of(decided[index]) | (counts._asdict() if counts else {})
        form = Format(**fields, base=base, distilled=distilled, words="")
        formats[index] = replace(form, words=_words(asked[index].title, form, verdicts[index]))
    return formats


def _estimates(asked: ScoredBenchmark, pairs: Mapping[str, tuple[float, float]]) -> list[Estimate | None]:
    """Base and distilled, over items that both answered or, where there are none, over those of the one model."""
    mine = {role: [pair[at] for pair in pairs.values()] for at, role in enumerate(MODELS)}
    return [asked.share(mine[role] or list(_shares(asked, role).values())) for role in MODELS]


def _pairs(asked: ScoredBenchmark) -> dict[str, tuple[float, float]]:
    """Item → the share of its answers that followed the format, (base, distilled), where both have any."""
    base, distilled = (_shares(asked, role) for role in MODELS)
    return {item: (base[item], distilled[item]) for item in asked.items if item in base and item in distilled}


def _shares(asked: ScoredBenchmark, role: Role) -> dict[str, float]:
    mine = (score for (_, whose, _), score in asked.scores.items() if whose == role and FORMAT in score.parts)
    return stats.by_prompt((score.item_id, float(score.parts[FORMAT])) for score in mine)


def _tested(
    asked: ScoredBenchmark, pairs: Mapping[str, tuple[float, float]]
) -> tuple[stats.PairCounts | None, stats.Measure]:
    """As for what passes: McNemar on what changed or, of several answers an item, sign flips."""
    if asked.samples == 1:
        return stats.pass_fail([(base == 1, distilled == 1) for base, distilled in pairs.values()])
    differences = [distilled - base for base, distilled in pairs.values()]
    return None, stats.Measure(differences, stats.paired_p(differences), 1)


def _words(title: str, form: Format, verdict: str) -> str:
    """ "" where neither or both are shown to differ."""
    if (form.verdict in SHOWN) == (verdict in SHOWN):
        return ""
    if form.verdict in SHOWN:
        often = "more often" if form.verdict == "better" else "less often"
        shares = " → ".join(f"{100 * share.mean:.1f}" for role in MODELS if (share := form.of(role)))
        return (
            f"{title}: the distilled model keeps to the asked format {often} ({shares} %, {tested(form.p_holm)}). "
            f"Answers are read in any format, and of what passes there is {_unshown(verdict)}: "
            "the format differs, not the ability."
        )
    return (
        f"{title} is {verdict} in what passes, and of how many answers keep to the asked format there is "
        f"{_unshown(form.verdict)}: the ability differs, not the format."
    )


def _unshown(verdict: str) -> str:
    return "no difference shown" if verdict == stats.UNSHOWN else "too little to tell"


# ---------------------------------------------------------------- packages


def packages_part(scores: Iterable[Score], roles: Sequence[Role] = MODELS) -> Packages | None:
    """How many answers import what the sandbox lacks, and what; None where none does."""
    mine = list(scores)
    asking = [score for score in mine if score.packages]
    if not asking:
        return None
    counts = Counter(name for score in asking for name in score.packages)
    names = dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))
    by_role = Counter(score.role for score in asking)
    return Packages(
        answers=len(mine),
        asking=len(asking),
        failed=sum(score.passed is False for score in asking),
        roles={role: by_role[role] for role in roles},
        names=names,
    )


def packages_words(packages: Packages | None) -> list[str]:
    """The sentence that a report says once."""
    if packages is None:
        return []
    shown = [f"{name} {count:,}" for name, count in list(packages.names.items())[:MOST_NAMED]]
    rest = len(packages.names) - len(shown)
    imported = ", ".join(shown) + (f" and {plural(rest, 'other')}" if rest else "")
    lacking = ",".join(list(packages.names)[:MOST_NAMED])
    roles = ", ".join(f"{role} {count:,}" for role, count in packages.roles.items())
    return [
        f"{packages.asking:,} of {plural(packages.answers, 'answer')} import packages that the sandbox lacks "
        f"({imported}; {roles}), and {packages.failed:,} of them failed: with --sandbox-packages {lacking} they have "
        "them."
    ]
