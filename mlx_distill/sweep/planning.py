"""What a sweep would take, run by run and all together, before anything starts.

In: a Sweep. Out: rows for a table, and how long each run is likely to take beside the others. What several runs ask a
teacher is paid for once.
"""

from __future__ import annotations

from pathlib import Path

from mlx_distill import plan
from mlx_distill.errors import DistillError
from mlx_distill.fit import in_gib
from mlx_distill.plan import Figures, in_time
from mlx_distill.sweep.members import Sweep
from mlx_distill.wording import NOTHING, plural

HEADER = ("run", "dollars, at most", "memory, about", "training, about", "state")

Planned = dict[str, Figures | str]
"""By run; why one cannot be made, where it cannot."""


def planned(sweep: Sweep) -> Planned:
    """Every run by itself: one that cannot be made stops no other."""
    beside = _beside(sweep)
    found: Planned = {}
    for member in sweep.matrix.members:
        try:
            found[member.name] = plan.figures(member.config, beside)
        except DistillError as error:
            found[member.name] = str(error)
    return found


def _beside(sweep: Sweep) -> Path:
    """Where runs of this machine say how fast it is: in the sweep itself, or else among the other runs."""
    known = any(sweep.folder.glob("*/results.json"))
    return (sweep.folder if known else Path("runs")) / "-"


def rows(sweep: Sweep, found: Planned) -> list[tuple[str, ...]]:
    lines = [_row(sweep.standing(member).state, member.name, found[member.name]) for member in sweep.matrix.members]
    return [*lines, _whole(sweep, found)]


def _row(state: str, name: str, one: Figures | str) -> tuple[str, ...]:
    if isinstance(one, str):
        return (name, NOTHING, NOTHING, NOTHING, f"cannot be made: {one}")
    return (name, _usd(one.teacher_usd + one.judge_usd), _memory(one), _time(one.seconds), state)


def _memory(one: Figures) -> str:
    if one.peak is None or one.limit is None:
        return "unknown"
    return f"{in_gib(one.peak)}{'' if one.peak <= one.limit else f', of {in_gib(one.limit)} to be had'}"


def _time(seconds: float | None) -> str:
    return "unknown" if seconds is None else in_time(seconds)


def _whole(sweep: Sweep, found: Planned) -> tuple[str, ...]:
    known = [one for one in found.values() if isinstance(one, Figures)]
    seconds = [one.seconds for one in known]
    peaks = [one.peak for one in known if one.peak is not None]
    whole = sum(second for second in seconds if second is not None) if None not in seconds else None
    share = f", {plural(sum(map(sweep.mine, sweep.matrix.members)), 'run')} in this shard" if sweep.shard.of > 1 else ""
    return (
        f"all {plural(len(found), 'run')}{share}",
        _usd(most_usd(found)),
        in_gib(max(peaks)) if peaks else "unknown",
        _time(whole),
        "answers, baselines and activations are shared",
    )


def most_usd(found: Planned) -> float:
    """Judges ask anew for every run; teachers once for all that ask the same."""
    known = [one for one in found.values() if isinstance(one, Figures)]
    return sum({one.asked: one.teacher_usd for one in known}.values()) + sum(one.judge_usd for one in known)


def weights(found: Planned) -> dict[str, float] | None:
    """None where one is not known: then all count alike."""
    seconds = {name: one.seconds for name, one in found.items() if isinstance(one, Figures)}
    known = {name: second for name, second in seconds.items() if second}
    return known if len(known) == len(found) else None


def _usd(dollars: float) -> str:
    return f"${dollars:,.2f}" if dollars else "nothing"
