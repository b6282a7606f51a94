"""Which of several answers to a prompt is trained on.

In: the candidates of one prompt, scored. Out: the place of the one that is chosen, or None. Of right answers the one
that the base finds likeliest teaches most (GRAPE, arXiv 2502.04194), and text that it finds likely makes it forget less
(arXiv 2501.14315); small models learn badly from long answers (arXiv 2502.12143). What is likely need not be right: so
the student's own answers compete only where checks were run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mlx_distill.run.choices import CandidateAnswer

Rule = Callable[[Sequence[CandidateAnswer], Sequence[CandidateAnswer]], CandidateAnswer | None]
"""Chooses among the teacher's answers and the student's own, of those that may be trained on."""


def choose(rule: str, candidates: Sequence[CandidateAnswer]) -> int | None:
    """Where some of a prompt's candidates were checked, those that did not pass drop out; without checks the student's
    own do. `first` alone takes the teacher's answer unchecked."""
    usable = [candidate for candidate in candidates if not candidate.problem]
    checked = any(candidate.passed is not None for candidate in usable)
    if checked and rule != "first":
        usable = [candidate for candidate in usable if candidate.passed]
    teacher = [candidate for candidate in usable if candidate.source == "teacher"]
    own = [candidate for candidate in usable if candidate.source == "student" and checked]
    chosen = RULES[rule](teacher, own)
    return None if chosen is None else candidates.index(chosen)


def first(teacher: Sequence[CandidateAnswer], own: Sequence[CandidateAnswer]) -> CandidateAnswer | None:
    return next(iter(teacher), None)


def shortest(teacher: Sequence[CandidateAnswer], own: Sequence[CandidateAnswer]) -> CandidateAnswer | None:
    return min(teacher, key=lambda candidate: candidate.tokens or 0, default=None)


def likeliest(candidates: Sequence[CandidateAnswer]) -> CandidateAnswer | None:
    """The one whose tokens cost the base least, on the mean."""
    return min(candidates, key=lambda candidate: candidate.nats or 0.0, default=None)


def fit(teacher: Sequence[CandidateAnswer], own: Sequence[CandidateAnswer]) -> CandidateAnswer | None:
    """What the student can do it keeps as it does it; the rest it learns from the likeliest of the teacher's."""
    return likeliest(own) or likeliest(teacher)


def own(teacher: Sequence[CandidateAnswer], own: Sequence[CandidateAnswer]) -> CandidateAnswer | None:
    """The student's alone, as in rejection sampling (arXiv 2308.01825): where none of its own passes, nothing."""
    return likeliest(own)


RULES: dict[str, Rule] = {"first": first, "shortest": shortest, "fit": fit, "own": own}
