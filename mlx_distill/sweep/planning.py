"""What a sweep would take, run by run and all together, before anything starts.

In: a Sweep. Out: rows for a table, and how long each run is likely to take beside the others. What several runs ask a
teacher or a base is asked once; what is done already takes nothing any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlx_distill.models.teachers import is_chosen
from mlx_distill.models.teachers.traits import traits_of
from mlx_distill.pipeline import plan
from mlx_distill.pipeline.plan import Figures, in_time
from mlx_distill.run.config import Config
from mlx_distill.run.errors import DistillError
from mlx_distill.run.wording import NOTHING, plural
from mlx_distill.sweep.counting import Answers, count_answers
from mlx_distill.sweep.matrix import Member
from mlx_distill.sweep.members import Sweep, compares
from mlx_distill.train.fit import in_gib

HEADER = ("run", "dollars, at most", "memory, about", "training, about", "benchmark answers", "state")
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Part:
    """Of one run. `answers` None: only the run will know."""

    figures: Figures
    answers: Answers | None


Planned = Mapping[str, Part | str]
"""By run; why one cannot be made, where it cannot."""


def planned(sweep: Sweep) -> Planned:
    """Every run by itself: one that cannot be made stops no other."""
    return {member.name: _part(member, _beside(sweep, member)) for member in sweep.matrix.members}


def _part(member: Member, beside: Path) -> Part | str:
    try:
        return Part(plan.figures(member.config, beside), count_answers(member.config))
    except DistillError as error:
        return str(error)


def _beside(sweep: Sweep, member: Member) -> Path:
    """Where runs of this machine say how fast it is: in the sweep itself, or else among the other runs."""
    known = any(sweep.folder.glob("*/results.json"))
    return sweep.run(member).path if known else Path("runs", "-")


def title(sweep: Sweep) -> str:
    return f"Plan for {sweep.folder}: answers, baselines and activations are shared"


def rows(sweep: Sweep, sweep_plan: Planned) -> list[tuple[str, ...]]:
    lines = [
        _row(sweep.standing(member).state, member.name, sweep_plan[member.name]) for member in sweep.matrix.members
    ]
    return [*lines, _whole(sweep, sweep_plan)]


def _row(state: str, name: str, one: Part | str) -> tuple[str, ...]:
    if isinstance(one, str):
        return (name, *(NOTHING for _ in HEADER[2:]), f"cannot be made: {one}")
    figures, answers = one.figures, one.answers
    return (
        name,
        _usd(figures.teacher_usd + figures.judge_usd),
        _memory(figures),
        UNKNOWN if figures.seconds is None else in_time(figures.seconds),
        UNKNOWN if answers is None else _count(answers.whole),
        state,
    )


def _memory(one: Figures) -> str:
    if one.peak is None or one.limit is None:
        return UNKNOWN
    return f"{in_gib(one.peak)}{'' if one.peak <= one.limit else f', of {in_gib(one.limit)} allowed'}"


def _whole(sweep: Sweep, sweep_plan: Planned) -> tuple[str, ...]:
    """Of what is not done yet."""
    left = [member for member in sweep.mine if not sweep.is_done(member)]
    parts = [one for member in left if isinstance(one := sweep_plan[member.name], Part)]
    seconds = [one.figures.seconds for one in parts]
    peaks = [one.figures.peak for one in parts if one.figures.peak is not None]
    states = Counter(sweep.standing(member).state for member in sweep.matrix.members)
    which = "all" if len(left) == len(sweep_plan) else "the"
    return (
        f"{which} {plural(len(left), 'run')}{_which(sweep, len(left), sweep_plan)}",
        _usd(most_usd(sweep, sweep_plan)),
        in_gib(max(peaks)) if peaks else UNKNOWN if parts else NOTHING,
        UNKNOWN if None in seconds else in_time(sum(second for second in seconds if second is not None)),
        _answers(parts),
        ", ".join(f"{count} {state}" for state, count in states.items()),
    )


def _which(sweep: Sweep, left: int, sweep_plan: Planned) -> str:
    if left == len(sweep_plan):
        return ""
    return f" left in shard {sweep.shard.index} of {sweep.shard.of}" if sweep.shard.of > 1 else " that are left"


def _answers(parts: Iterable[Part]) -> str:
    """The bases' once."""
    known = [one.answers for one in parts]
    if None in known:
        return UNKNOWN
    there = [one for one in known if one]
    return _count(sum({one.key: one.base for one in there}.values()) + sum(one.distilled for one in there))


def _count(number: int) -> str:
    return f"{number:,}" if number else NOTHING


def most_usd(sweep: Sweep, sweep_plan: Planned) -> float:
    """What this shard may still pay. Judges ask anew for every run; teachers once for all that ask the same."""
    parts = [(member, one.figures) for member in sweep.mine if isinstance(one := sweep_plan[member.name], Part)]
    there = {one.questions for member, one in parts if sweep.is_collected(member)}
    left = [one for member, one in parts if not sweep.is_done(member)]
    asked = {one.questions: one.teacher_usd for one in left if one.questions not in there}
    return sum(asked.values()) + sum(one.judge_usd for one in left)


def unpriced(sweep: Sweep, sweep_plan: Planned) -> list[str]:
    """Runs that pay somebody, and nobody knows how much."""
    return [
        member.name
        for member in sweep.mine
        if isinstance(sweep_plan[member.name], str)
        and not sweep.is_done(member)
        and compares(member.config)
        and any(traits_of(spec).paid for spec in _paid(member.config))
    ]


def _paid(config: Config) -> tuple[str, ...]:
    return (*((config.teacher.spec,) if is_chosen(config) else ()), *config.comparison.judges)


def weights(sweep_plan: Planned) -> dict[str, float]:
    """Seconds of training, as far as they are known."""
    seconds = {name: one.figures.seconds for name, one in sweep_plan.items() if isinstance(one, Part)}
    return {name: second for name, second in seconds.items() if second}


def _usd(dollars: float) -> str:
    return f"${dollars:,.2f}" if dollars else "nothing"
