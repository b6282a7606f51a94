"""Answers side by side: who was preferred, how far the judges can be trusted, and what style has to do with it.

In: preferences, generations. Out: an entry for each pair of roles, the distilled one first.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlx_distill.evaluate.judges import PEOPLE
from mlx_distill.evaluate.judges.blind import blinded
from mlx_distill.evaluate.judges.pairwise import PAIRS
from mlx_distill.evaluate.judges.style import style_difference
from mlx_distill.run.records import Estimate, Generation, Preference, Role
from mlx_distill.run.results.comparison import Agreement, JudgeOfPairs, Kappa, PairPreference
from mlx_distill.stats import agreement
from mlx_distill.stats import inference as stats

Pair = tuple[Role, Role]
Case = tuple[str, str, int, int]
"""Prompt, judge, sample, repeat: what was judged once, in both orders."""


def outcomes(preferences: Iterable[Preference], pair: Pair) -> dict[Case, float | None]:
    """1 where the pair's first role won, -1 where its second did, 0 for a tie; None where it is unscored.

    A judge who says another thing when the order is changed has said nothing: that is a tie. People see a pair once,
    in one order.
    """
    cases: dict[Case, list[Preference]] = defaultdict(list)
    for preference in preferences:
        if {preference.first, preference.second} == set(pair):
            case = (preference.prompt_id, preference.judge, preference.sample, preference.repeat)
            cases[case].append(preference)
    return {case: _outcome(judged, pair) for case, judged in cases.items()}


def _outcome(preferences: Sequence[Preference], pair: Pair) -> float | None:
    words = [preference.better for preference in preferences]
    if None in words or len(words) < (1 if preferences[0].judge.startswith(PEOPLE) else 2):
        return None
    if len(set(words)) > 1 or words[0] == "tie":
        return 0.0
    return 1.0 if words[0] == pair[0] else -1.0


def preferences_part(preferences: Sequence[Preference], generations: Sequence[Generation]) -> list[PairPreference]:
    """An entry for each pair that was judged; the first is the primary result, and is decided with the rest."""
    texts = {(g.prompt_id, g.role, g.sample): g.answer_text for g in generations}
    return [entry for pair in PAIRS if (entry := _pair(preferences, pair, texts))]


def _pair(preferences: Sequence[Preference], pair: Pair, texts: Mapping[Any, str]) -> PairPreference | None:
    cases = outcomes(preferences, pair)
    if not cases:
        return None
    values = prompt_values(cases)
    judges = sorted({judge for _, judge, _, _ in cases})
    mine = [p for p in preferences if {p.first, p.second} == set(pair)]
    differences = list(values.values())
    return PairPreference(
        pair=pair,
        n=len(differences),
        difference=_estimate(differences),
        share=_share(differences),
        won=sum(value > 0 for value in differences),
        lost=sum(value < 0 for value in differences),
        tied=sum(value == 0 for value in differences),
        adjusted=_adjusted(values, pair, texts),
        length_ratio=_length_ratio(values, pair, texts),
        questions=len(mine),
        unscored=sum(p.better is None for p in mine),
        judges=tuple(_judge(mine, cases, judge, pair, texts) for judge in judges),
        agreement=_agreement(cases, judges),
    )


def prompt_values(cases: Mapping[Case, float | None], judge: str | None = None) -> dict[str, float]:
    """One number from -1 to 1 for each prompt: the mean over judges of the means over samples and repeats."""
    known = [(case, value) for case, value in cases.items() if value is not None and judge in (None, case[1])]
    by_judge = stats.by_prompt((f"{name}\n{prompt}", value) for (prompt, name, _, _), value in known)
    return stats.by_prompt((key.rpartition("\n")[2], value) for key, value in by_judge.items())


def _share(differences: Sequence[float]) -> Estimate | None:
    """Won, with half of the ties, 0 to 1."""
    return _estimate([(value + 1) / 2 for value in differences])


def _estimate(values: Sequence[float]) -> Estimate | None:
    return stats.estimate(values) if values else None


def _adjusted(values: Mapping[str, float], pair: Pair, texts: Mapping[Any, str]) -> Estimate | None:
    styles = [_style(prompt, pair, texts) for prompt in values]
    return stats.at_equal_style(list(values.values()), styles)


def _style(prompt: str, pair: Pair, texts: Mapping[Any, str]) -> tuple[float, float]:
    """Means over the samples that both have; a role without that sample answers with its first."""
    differences = [
        style_difference(text, texts.get((prompt, pair[1], sample), texts.get((prompt, pair[1], 0), "")))
        for (name, role, sample), text in texts.items()
        if name == prompt and role == pair[0]
    ]
    return (
        tuple(sum(column) / len(differences) for column in zip(*differences, strict=True))
        if differences
        else (0.0, 0.0)
    )


def _length_ratio(values: Mapping[str, float], pair: Pair, texts: Mapping[Any, str]) -> Estimate | None:
    """Characters of the first role's answers over the second's."""
    lengths = {
        role: stats.by_prompt((name, float(len(text))) for (name, whose, _), text in texts.items() if whose == role)
        for role in pair
    }
    both = [name for name in values if lengths[pair[0]].get(name) and lengths[pair[1]].get(name)]
    return stats.ratio([lengths[pair[0]][n] for n in both], [lengths[pair[1]][n] for n in both]) if both else None


# ---------------------------------------------------------------- how far a judge can be trusted


def _judge(
    preferences: Sequence[Preference],
    cases: Mapping[Case, float | None],
    judge: str,
    pair: Pair,
    texts: Mapping[Any, str],
) -> JudgeOfPairs:
    mine = [p for p in preferences if p.judge == judge]
    asked = [p for p in mine if not _alike(p, texts)]
    ended = [value for (_, name, _, _), value in cases.items() if name == judge]
    scored = [value for value in ended if value is not None]
    differences = list(prompt_values(cases, judge).values())
    return JudgeOfPairs(
        judge=judge,
        person=judge.startswith(PEOPLE),
        n=len(differences),
        difference=_estimate(differences),
        share=_share(differences),
        questions=len(mine),
        unscored=sum(p.better is None for p in mine),
        ties=sum(value == 0 for value in scored) / len(scored) if scored else None,
        swap_consistency=_swap_consistency(asked),
        first_slot=_first_slot(asked),
        repeat_agreement=_repeat_agreement(cases, judge),
    )


def _alike(preference: Preference, texts: Mapping[Any, str]) -> bool:
    """Answers that look the same to a judge are no question, and say nothing of it."""
    first, second = (
        texts.get((preference.prompt_id, role, preference.sample), texts.get((preference.prompt_id, role, 0)))
        for role in (preference.first, preference.second)
    )
    return first is not None and second is not None and blinded(first) == blinded(second)


def _swap_consistency(preferences: Sequence[Preference]) -> Estimate | None:
    """How often the same was said in both orders."""
    cases: dict[tuple[str, int, int], list[Preference]] = defaultdict(list)
    for p in preferences:
        if p.better is not None:
            cases[p.prompt_id, p.sample, p.repeat].append(p)
    return stats.share(
        (case[0], float(judged[0].better == judged[1].better)) for case, judged in cases.items() if len(judged) == 2
    )


def _first_slot(preferences: Sequence[Preference]) -> Estimate | None:
    """How often the answer that was shown first won, where one did."""
    return stats.share((p.prompt_id, float(p.better == p.first)) for p in preferences if p.better not in (None, "tie"))


def _repeat_agreement(cases: Mapping[Case, float | None], judge: str) -> Estimate | None:
    """How often two repeats of one case ended alike."""
    repeats: dict[tuple[str, int], list[float]] = defaultdict(list)
    for (prompt, name, sample, _), value in cases.items():
        if name == judge and value is not None:
            repeats[prompt, sample].append(value)
    return stats.share(
        (prompt, float(a == b)) for (prompt, _), values in repeats.items() for a, b in itertools.combinations(values, 2)
    )


def _agreement(cases: Mapping[Case, float | None], judges: Sequence[str]) -> Agreement | None:
    """Between judges, on who won each prompt."""
    if len(judges) < 2:
        return None
    words = {judge: {name: _word(value) for name, value in prompt_values(cases, judge).items()} for judge in judges}
    prompts = sorted({prompt for given in words.values() for prompt in given})
    ratings = [[[words[judge].get(prompt) for judge in judges]] for prompt in prompts]
    return Agreement(
        alpha=agreement.alpha(ratings, ordered=False),
        kappa=tuple(
            Kappa(
                judges=(a, b),
                kappa=agreement.kappa([(words[a].get(prompt), words[b].get(prompt)) for prompt in prompts]),
            )
            for a, b in itertools.combinations(judges, 2)
        ),
    )


def _word(value: float) -> str:
    return "won" if value > 0 else "lost" if value < 0 else "tied"
