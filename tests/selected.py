"""Made-up results["selection"]: a usual one, the ways in which the base is kept, and all that is hard to draw.

Items are drawn from a seed, so that shares, differences and counts agree with each other as measured ones do.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlx_distill.run.records import Estimate
from mlx_distill.run.results.selection import Candidate
from mlx_distill.run.wording import candidate, points
from mlx_distill.stats.proportions import wilson

Value = dict[str, Any]
Asked = tuple[str, str, float, float]
"""Title, domain, the base's share, and what the best candidate gains there (a share; negative: it loses)."""

OWN = "own domain"
USUAL: tuple[Asked, ...] = (
    ("HumanEval+", OWN, 0.42, 0.14),
    ("MBPP+", "other code", 0.62, -0.04),
    ("MATH-500", "mathematics", 0.3, -0.1),
    ("IFEval", "instructions", 0.55, 0.0),
)
LONG = "A benchmark with a very long name that nobody ever shortened (verified, v2) <b>$x$"


@dataclass(frozen=True)
class Made:
    """`eligible` False: every candidate loses somewhere. `confirmed` False: the first of them loses on further items.
    `noise`: items that are gained, and others that are lost, at full strength for no reason."""

    asked: Sequence[Asked] = USUAL
    steps: Sequence[int] = (8, 16, 24)
    strengths: Sequence[float] = (0.25, 0.5, 0.75, 1.0)
    items: int = 60
    eligible: bool = True
    confirmed: bool = True
    intervals: bool = True
    noise: float = 0.05
    seed: int = 1


SELECTIONS: dict[str, Made] = {
    "typical": Made(),
    "none eligible": Made((*USUAL[:3], ("IFEval", "instructions", 0.55, -0.3)), eligible=False, seed=2),
    "not confirmed": Made(confirmed=False, seed=3),
    "one of each": Made(asked=USUAL[:2], steps=(24,), strengths=(1.0,)),
    "many": Made((*USUAL, ("GSM8K", "mathematics", 0.5, -0.05)), tuple(range(125, 1001, 125)), seed=4),
    "own domain only": Made(asked=USUAL[:1]),
    "long names": Made(
        tuple((f"{LONG} {n}", OWN if not n else f"a domain of a long name, number {n}", 0.5, 0.05) for n in range(8)),
        steps=(1_000, 20_000, 30_000),
    ),
    "no intervals": Made(items=4, intervals=False, asked=USUAL[:3]),
    "nothing passed": Made(tuple((*asked[:2], 0.0, 0.0) for asked in USUAL), eligible=False, noise=0.0),
    "all passed": Made(tuple((*asked[:2], 1.0, 0.0) for asked in USUAL), eligible=False, noise=0.0),
}


def selected(results: Value, name: str = "typical") -> Value:
    """The results with a selection of this name."""
    return results | {"selection": selection(SELECTIONS[name])}


def selection(made: Made) -> Value:
    draw = random.Random(made.seed)
    half = made.items // 2
    bases = [_passed(draw, base, half) for _, _, base, _ in made.asked]
    grid = [(step, strength) for step in made.steps for strength in made.strengths]
    rows = [_candidate(made, bases, step, strength) for step, strength in grid]
    found = [row for row in rows if not row["loses"]] if made.eligible else []
    best = max(found, key=lambda row: row["gain"]["mean"], default=None)
    first = best and {"step": best["step"], "strength": best["strength"]}
    chosen = first if made.confirmed else None
    names = [_name(title) for title, *_ in made.asked]
    return {
        "items": made.items,
        "level": 0.05,
        "strengths": list(made.strengths),
        "steps": list(made.steps),
        "benchmarks": [
            {
                "name": name, "title": title, "domain": domain, "choosing": half, "confirming": half,
                "confirming_most": half,
                "base": _share(made, passed),
            }
            for name, (title, domain, *_), passed in zip(names, made.asked, bases, strict=True)
        ],
        "candidates": rows,
        "first": first,
        "refused": [first] if first and not chosen else [],
        "confirmation": _confirmation(made, draw) if first else [],
        "chosen": chosen,
        "heldout_best": made.steps[-1],
        "words": _words(made, best, len(found), len(rows)),
    }  # fmt: skip


def _words(made: Made, best: Value | None, eligible: int, count: int) -> str:
    title, half = made.asked[0][0], made.items // 2
    if best is None:
        return f"each of the {count} candidates loses on some benchmark or gains nothing on {title}"
    named, gain = candidate(Candidate(best["step"], best["strength"])), Estimate(**best["gain"])
    of = f"of the {eligible} of {count} candidates that lose nowhere"
    if made.confirmed:
        gains = f"{named} gains most on {title} ({points(gain, sign='+')} points, n = {half})"
        return f"{gains} {of}, and loses nothing on {half} further items"
    return f"{named} gained most {of}, but on {half} further items it loses on {made.asked[-1][0]}"


def _candidate(made: Made, bases: list[list[bool]], step: int, strength: float) -> Value:
    """Gains grow fast with the strength and losses late; both are greatest at the middle of the training."""
    draw = random.Random(f"{made.seed} {step}")  # a checkpoint's items, whatever the strength
    along = math.sin(math.pi * (0.25 + 0.5 * step / made.steps[-1]))
    pairs = [
        (passed, _changed(draw, passed, gain * along * strength ** (0.5 if gain > 0 else 1.5), made.noise * strength))
        for passed, (_, _, _, gain) in zip(bases, made.asked, strict=True)
    ]
    scores = [
        {"name": _name(asked[0]), **_compared(made, *pair)} for asked, pair in zip(made.asked, pairs, strict=True)
    ]
    scores[-1]["loses"] |= not made.eligible
    own = [pair for pair, asked in zip(pairs, made.asked, strict=True) if asked[1] == OWN]
    others = [pair for pair, asked in zip(pairs, made.asked, strict=True) if asked[1] != OWN]
    return {
        "step": step,
        "strength": strength,
        "scores": [dict(score) for score in scores],
        "gain": _pooled(made, own),
        "elsewhere": _pooled(made, others) if others else None,
        "loses": [asked[0] for asked, score in zip(made.asked, scores, strict=True) if score["loses"]],
    }


def _confirmation(made: Made, draw: random.Random) -> list[Value]:
    rows = []
    for title, _, base, gain in made.asked:
        passed = _passed(draw, base, made.items // 2)
        rows.append({"name": _name(title), **_compared(made, passed, _changed(draw, passed, gain, made.noise / 2))})
        rows[-1]["loses"] = False
    rows[-1]["loses"] = not made.confirmed
    return rows


def _compared(made: Made, base: list[bool], candidate: list[bool]) -> Value:
    gained = sum(new and not old for old, new in zip(base, candidate, strict=True))
    lost = sum(old and not new for old, new in zip(base, candidate, strict=True))
    p = sum(math.comb(gained + lost, k) for k in range(gained + 1)) / 2 ** (gained + lost)
    return {
        "score": _share(made, candidate),
        "base": _share(made, base),
        "difference": _pooled(made, [(base, candidate)]),
        "gained": gained,
        "lost": lost,
        "loss_p": p,
        "loses": p < 0.235,
    }


def _passed(draw: random.Random, share: float, n: int) -> list[bool]:
    return [draw.random() < share for _ in range(n)]


def _changed(draw: random.Random, passed: list[bool], gain: float, noise: float) -> list[bool]:
    """Items that the candidate passes: each is gained or lost by chance, so that the share moves by about `gain`."""
    up, down = (max(0.0, gain) + noise, max(0.0, -gain) + noise)
    share = sum(passed) / len(passed)
    up, down = min(1.0, up / max(1 - share, 0.2)), min(1.0, down / max(share, 0.2))
    return [draw.random() >= down if old else draw.random() < up for old in passed]


def _share(made: Made, passed: list[bool]) -> Value:
    found = wilson(sum(passed), len(passed))
    ends = {"low": found.low, "high": found.high} if made.intervals else {"low": None, "high": None}
    return {"mean": found.mean, "n": found.n, **ends}


def _pooled(made: Made, pairs: list[tuple[list[bool], list[bool]]]) -> Value:
    differences = [int(new) - int(old) for base, after in pairs for old, new in zip(base, after, strict=True)]
    n, mean = len(differences), sum(differences) / len(differences)
    half = 1.96 * math.sqrt(sum((d - mean) ** 2 for d in differences)) / n
    ends = {"low": mean - half, "high": mean + half} if made.intervals else {"low": None, "high": None}
    return {"mean": mean, "n": n, **ends}


def _name(title: str) -> str:
    return title.casefold().replace("+", "-plus").replace(" ", "-")
