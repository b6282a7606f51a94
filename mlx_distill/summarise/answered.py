"""How a benchmark's answers came out, whatever they were worth: cut, in a loop, unreadable, not scored, and how long.

In: an Asked. Out: counts for each role, what they make doubtful, and lengths in characters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from mlx_distill.run.records import MODELS, ROLES, Estimate, Role
from mlx_distill.run.results.benchmarks import CategoryLength, RoleCounts
from mlx_distill.stats import inference as stats
from mlx_distill.summarise.loops import ends_in_loop
from mlx_distill.summarise.scored import ScoredBenchmark

DEGRADED = 0.02
"""Above this share of answers cut off, in a loop, unreadable, not scored or missing, a result says too much of that."""

SMALLEST_CATEGORY = 5
"""Items from which a category's lengths are shown."""


def roles_part(asked: ScoredBenchmark) -> dict[Role, RoleCounts]:
    answered = {role for _, role, _ in asked.answers}
    return {role: _role(asked, role) for role in ROLES if role in MODELS or role in answered}


def _role(asked: ScoredBenchmark, role: Role) -> RoleCounts:
    answers = [answer for (_, whose, _), answer in asked.answers.items() if whose == role]
    scores = {case: score for case, score in asked.scores.items() if case[1] == role}
    cases = {case for case in asked.answers if case[1] == role} | set(scores)
    lengths = list(_lengths(asked, role).values())
    return RoleCounts(
        answers=len(cases),
        cut_off=sum(answer.finish_reason == "length" for answer in answers),
        loops=sum(ends_in_loop(answer.text) for answer in answers),
        no_answer=sum(score.passed is False and score.found is None for score in scores.values()),
        not_run=sum(case not in scores or scores[case].passed is None for case in cases),
        missing=max(0, len(asked.items) * asked.samples - len(cases)),
        characters=stats.estimate(lengths) if lengths else None,
    )


def degraded(asked: ScoredBenchmark, roles: Mapping[Role, RoleCounts]) -> tuple[str, ...]:
    """A sentence for whatever goes above DEGRADED; what the teacher lacks makes base against distilled not doubtful."""
    limit = asked.protocol.max_tokens
    at = f" at {limit:,} tokens" if limit else ""
    sentences = []
    for role in MODELS:
        counts = roles[role]
        answers, everything = counts.answers, counts.answers + counts.missing
        sentences += [
            f"{role}: {count:,} of {of:,} answers {what} ({100 * count / of:.1f} %)"
            for count, of, what in (
                (counts.missing, everything, "missing"),
                (counts.cut_off, answers, f"cut off{at}"),
                (counts.loops or 0, answers, "ending in a loop"),
                (counts.no_answer, answers, "without one that could be read"),
                (counts.not_run, answers, "not scored"),
            )
            if of and count / of > DEGRADED
        ]
    return tuple(sentences)


# ---------------------------------------------------------------- lengths


def _lengths(asked: ScoredBenchmark, role: Role) -> dict[str, float]:
    """Item → mean characters of the role's answers to it."""
    mine = ((case[0], float(len(answer.answer_text))) for case, answer in asked.answers.items() if case[1] == role)
    return stats.by_prompt(mine)


def lengths_part(asked: ScoredBenchmark) -> tuple[Estimate | None, tuple[CategoryLength, ...]]:
    """Distilled over base, over items that both answered, in all and for each category."""
    base, distilled = (_lengths(asked, role) for role in MODELS)
    both = [item for item in asked.items if item in base and item in distilled]
    categories: dict[str, list[str]] = defaultdict(list)
    for item in both:
        if asked.items[item]["category"]:
            categories[asked.items[item]["category"]].append(item)
    by_category = (
        CategoryLength(
            name=name,
            n=len(items),
            base=sum(base[item] for item in items) / len(items),
            distilled=sum(distilled[item] for item in items) / len(items),
            ratio=_ratio(items, base, distilled),
        )
        for name, items in sorted(categories.items())
        if len(items) >= SMALLEST_CATEGORY and len(categories) > 1
    )
    return _ratio(both, base, distilled), tuple(by_category)


def _ratio(items: Sequence[str], base: Mapping[str, float], distilled: Mapping[str, float]) -> Estimate | None:
    """Over the items to which the base wrote anything; None where it never did."""
    written = [item for item in items if base[item]]
    return stats.ratio([distilled[item] for item in written], [base[item] for item in written]) if written else None
