"""Made-up sweep.json values: one like study 2 (ten runs, teacher × data × student), and all that is hard to show.

Intervals and p-values are a normal distribution's, good enough to be shown: nothing here is tested for being right.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from runs import ATTACK

Values = dict[str, Any]

STEPS = tuple(range(100, 700, 100))
STRENGTHS = (0.25, 0.5, 1.0)
CHOOSING = 60
BENCHMARKS = {"math-500": ("MATH-500", 500), "mbpp-plus": ("MBPP+", 378), "ifeval": ("IFEval", 541)}
HARDWARE = {
    "chip": "Apple M4 Max",
    "cores": 16,
    "memory_bytes": 64 << 30,
    "os": "macOS 26",
    "backend": "Metal",
    "blas": None,
}

BASES = {
    "qwen2.5-3b": {"math-500": 0.642, "mbpp-plus": 0.62, "ifeval": 0.58},
    "qwen2.5-7b": {"math-500": 0.806, "mbpp-plus": 0.757, "ifeval": 0.71},
    "llama-3.2-3b": {"math-500": 0.40, "mbpp-plus": 0.49, "ifeval": 0.73},
}
ENDS = {
    ("r1", "math", "qwen2.5-7b"): {"math-500": 0.88, "mbpp-plus": 0.57, "ifeval": 0.66},
    ("r1", "code", "qwen2.5-7b"): {"math-500": 0.79, "mbpp-plus": 0.767, "ifeval": 0.70},
    ("r1", "math", "qwen2.5-3b"): {"math-500": 0.67, "mbpp-plus": 0.50, "ifeval": 0.52},
    ("r1", "code", "qwen2.5-3b"): {"math-500": 0.60, "mbpp-plus": 0.65, "ifeval": 0.56},
    ("r1", "math", "llama-3.2-3b"): {"math-500": 0.0, "mbpp-plus": 0.31, "ifeval": 0.60},
    ("r1", "code", "llama-3.2-3b"): {"math-500": 0.30, "mbpp-plus": 0.45, "ifeval": 0.66},
    ("sonnet", "math", "qwen2.5-3b"): {"math-500": 0.66, "mbpp-plus": 0.61, "ifeval": 0.59},
    ("sonnet", "code", "qwen2.5-3b"): {"math-500": 0.63, "mbpp-plus": 0.70, "ifeval": 0.60},
    ("sonnet", "math", "llama-3.2-3b"): {"math-500": 0.43, "mbpp-plus": 0.47, "ifeval": 0.72},
    ("sonnet", "code", "llama-3.2-3b"): {"math-500": 0.39, "mbpp-plus": 0.55, "ifeval": 0.74},
}
"""Where the shares of a run's last checkpoint would be."""


def estimate(mean: float, n: int, spread: float, ends: tuple[float, float] = (-1.0, 1.0)) -> Values:
    reach = 1.96 * spread / math.sqrt(n)
    return {"mean": mean, "n": n, "low": max(ends[0], mean - reach), "high": min(ends[1], mean + reach)}


def share(value: float, n: int) -> Values:
    return estimate(value, n, math.sqrt(max(value * (1 - value), 0.02)), (0.0, 1.0))


def difference(value: float, n: int) -> Values:
    return estimate(value, n, math.sqrt(abs(value) + 0.08))


def p_of(value: float, n: int) -> float:
    return math.erfc(abs(value) * math.sqrt(n / (abs(value) + 0.08)) / math.sqrt(2))


def verdict(value: float, p: float) -> str:
    return "no difference shown" if p >= 0.05 else "better" if value > 0 else "worse"


def domain(name: str, data: str) -> str:
    domains = {"math-500": "mathematics", "mbpp-plus": "other code", "ifeval": "instruction following"}
    return "own domain" if (name == "math-500") == (data == "math") and name != "ifeval" else domains[name]


# ---------------------------------------------------------------- a run


def best(data: str, base: Mapping[str, float], end: Mapping[str, float]) -> Values | None:
    """The candidate that gains most on the own domain of those that lose nowhere."""
    own = next(index for index, name in enumerate(BENCHMARKS) if domain(name, data) == "own domain")
    gains = [
        (found["scores"][own]["difference"]["mean"], {"step": step, "strength": strength})
        for step in STEPS
        for strength in STRENGTHS
        if not (found := _candidate(step, strength, base, end))["loses"]
    ]
    gain, kept = max(gains, key=lambda pair: pair[0], default=(0.0, None))
    return kept if gain > 0.01 else None


def selection(data: str, base: Mapping[str, float], end: Mapping[str, float], kept: Values | None) -> Values:
    benchmarks = [
        {
            "name": n,
            "title": BENCHMARKS[n][0],
            "domain": domain(n, data),
            "choosing": CHOOSING,
            "confirming": CHOOSING,
            "confirming_most": CHOOSING,
        }
        | {"base": share(base[n], CHOOSING)}
        for n in BENCHMARKS
    ]
    found = [_candidate(step, strength, base, end) for step in STEPS for strength in STRENGTHS]
    named = f"step {kept['step']} at strength {kept['strength']:g}" if kept else ""
    words = f"{named} gains most on the own domain of the candidates that lose nowhere" if kept else ""
    return {
        **{"items": 2 * CHOOSING, "level": 0.05, "strengths": list(STRENGTHS), "steps": list(STEPS)},
        **{"benchmarks": benchmarks, "candidates": found, "first": kept, "confirmation": [], "chosen": kept},
        **{"heldout_best": 500, "words": words or "no candidate gains on the own domain and loses nowhere"},
    }


def _candidate(step: int, strength: float, base: Mapping[str, float], end: Mapping[str, float]) -> Values:
    scores = []
    for index, name in enumerate(BENCHMARKS):
        wobble = 0.012 * math.sin(step / 70 + 2 * index + 10 * base[name])
        change = (end[name] - base[name]) * strength * (1 - math.exp(-step / 180)) / 0.96 + strength * wobble
        change = max(-base[name], change)
        score = share(base[name] + change, CHOOSING)
        row = {"name": name, "score": score, "difference": difference(change, CHOOSING), "gained": 3, "lost": 1}
        row |= {"base": share(base[name], CHOOSING)}
        scores.append(row | {"loss_p": 0.1 if change < -0.04 else 0.9, "loses": change < -0.04})
    lost = [BENCHMARKS[row["name"]][0] for row in scores if row["loses"]]
    pooled = difference(0.01, CHOOSING)
    return {"step": step, "strength": strength, "scores": scores, "gain": pooled, "elsewhere": pooled, "loses": lost}


def cells(data: str, base: Mapping[str, float], end: Mapping[str, float], tested: int = 27) -> list[Values]:
    found = []
    for name, (title, n) in BENCHMARKS.items():
        change, p = end[name] - base[name], p_of(end[name] - base[name], n)
        holm, lost = min(1.0, p * tested), max(0, round(-change * n)) + 9
        found.append(
            {"name": name, "title": title, "domain": domain(name, data), "n": n, "base": share(base[name], n)}
            | {"distilled": share(end[name], n), "difference": difference(change, n), "p": p, "p_holm": holm}
            | {"gained": lost + round(change * n), "lost": lost, "verdict": verdict(change, holm), "degraded": []}
        )
    return found


def pooled(rows: Sequence[Values]) -> list[Values]:
    """Each domain has one benchmark."""
    names = ("n", "base", "distilled", "difference", "verdict", "p_holm")
    return [{"domain": r["domain"], "benchmarks": [r["title"]]} | {name: r[name] for name in names} for r in rows]


def run(name: str, values: Mapping[str, str], student: str, *, kept: Values | None, end: Mapping[str, float]) -> Values:
    data, base = values.get("data", "math"), BASES[student]
    rows = cells(data, base, end)
    lost = [row["title"] for row in rows if row["verdict"] == "worse"]
    gate = {"verdict": "mixed", "because": f"{lost[0]} is worse"} if lost else {"verdict": "ship", "because": "no loss"}
    loss = {"base": estimate(1.312, 40, 0.3, (0.0, 9.0)), "best": estimate(1.02, 40, 0.3, (0.0, 9.0))}
    return {
        **{"name": name, "values": dict(values), "state": "done", "why": "", "student": student, "seconds": 1812.4},
        **{"usd": 0.42, "steps": STEPS[-1], "heldout_loss": loss, "selection": selection(data, base, end, kept)},
        **{"gate": gate, "benchmarks": rows, "forgetting": pooled(rows)},
    }


def undone(name: str, values: Mapping[str, str], state: str, why: str = "") -> Values:
    missing = dict.fromkeys(("seconds", "usd", "steps", "heldout_loss", "selection", "gate"))
    found = {"name": name, "values": dict(values), "state": state, "why": why, "student": "qwen2.5-3b"}
    return found | missing | {"benchmarks": [], "forgetting": []}


# ---------------------------------------------------------------- sweeps


def found_of(runs: Sequence[Values], name: str = "study-2", caveats: Sequence[str] = ()) -> Values:
    axes = {axis for run in runs for axis in run["values"]}
    return {
        "schema": 1,
        "sweep": {
            **{"name": name, "created": "2026-05-04T10:00:00+00:00", "file": f"{name}.toml"},
            "axes": [{"name": a, "values": sorted({r["values"][a] for r in runs})} for a in sorted(axes)],
            **{"usd": 4.1, "seconds": 16_310.0, "seed": 0, "hardware": HARDWARE, "versions": {"mlx-distill": "0.1.0"}},
        },
        "runs": list(runs),
        "baselines": _baselines(runs),
        "findings": _findings(runs),
        "cells": sum(row["difference"] is not None for run in runs for row in run["benchmarks"]),
        "caveats": list(caveats),
    }


def _baselines(runs: Sequence[Values]) -> list[Values]:
    found: dict[str, Values] = {}
    for run in runs:
        rows = [{key: row[key] for key in ("name", "title", "n", "base", "degraded")} for row in run["benchmarks"]]
        if rows:
            found.setdefault(run["student"], {"student": run["student"], "benchmarks": rows})
    return list(found.values())


def _findings(runs: Sequence[Values]) -> list[Values]:
    shown = [(run, row) for run in runs for row in run["benchmarks"] if row["verdict"] in ("better", "worse")]
    shown.sort(key=lambda pair: pair[1]["verdict"] == "better")
    return [{"run": r["name"], "title": c["title"], "verdict": c["verdict"], "words": _words(r, c)} for r, c in shown]


def _words(run: Values, row: Values) -> str:
    change = "{mean:+.1f} [{low:+.1f}, {high:+.1f}]".format(**{k: 100 * v for k, v in row["difference"].items()})
    shares = f"{100 * row['base']['mean']:.1f} → {100 * row['distilled']['mean']:.1f} %"
    return f"{run['name']} is {row['verdict']} on {row['title']}: {shares} ({change} points, n = {row['n']}, p < 0.001)"


def study() -> Values:
    """Ten runs: eight done, one failed, one waiting."""
    runs = []
    for (teacher, data, student), end in ENDS.items():
        values = {"teacher": teacher, "data": data, "student": student}
        kept = best(data, BASES[student], end)
        runs.append(run("-".join(values.values()), values, student, kept=kept, end=end))
    why = "The loss of step 3 is nan: lower --learning-rate (it is 0.001), or give --clip 1."
    for index, state, said in ((7, "failed", why), (9, "waiting", "")):
        runs[index] = undone(runs[index]["name"], runs[index]["values"], state, said)
    runs[0]["benchmarks"][2]["degraded"] = ["distilled: 14 of 541 answers cut off at 1,024 tokens (2.6 %)"]
    caveats = ["No difference shown does not mean none.", "Teachers were asked with different prompts."]
    return found_of(runs, caveats=caveats)


def not_confirmed() -> Values:
    found = one_alone()
    found["runs"][0]["selection"].update(
        chosen=None, words="step 300 at strength 0.5 gains most, and loses MBPP+ on 60 further items"
    )
    return found


def one_alone() -> Values:
    end = ENDS["sonnet", "math", "qwen2.5-3b"]
    only = run("only", {"rate": "0.0003"}, "qwen2.5-3b", kept={"step": 300, "strength": 0.5}, end=end)
    return found_of([only], "one")


def nothing_selected() -> Values:
    found = study()
    for one in found["runs"]:
        one["selection"] = None
    return found


def partly_selected() -> Values:
    found = study()
    for one in found["runs"][::2]:
        one["selection"] = None
    return found


def nothing_asked() -> Values:
    found = study()
    for one in found["runs"]:
        one.update(benchmarks=[], forgetting=[], selection=None, gate=None)
    return found | {"baselines": [], "findings": [], "cells": 0}


def all_waiting() -> Values:
    names = ("waiting", "stopped", "left to another shard")
    found = found_of([undone(f"a-{n}", {"rate": str(n)}, state) for n, state in enumerate(names)], "later")
    found["sweep"].update(hardware=None, versions=None, seed=None, seconds=0, usd=None)
    return found


def thirty() -> Values:
    """Runs whose only findings come last."""
    even, worse = (ENDS[key] for key in (("sonnet", "math", "qwen2.5-3b"), ("r1", "math", "qwen2.5-3b")))
    kept = {"step": 200, "strength": 1.0}
    runs = [
        run(f"rate-{n}", {"rate": f"{n}e-5"}, "qwen2.5-3b", kept=kept, end=worse if n > 27 else even) for n in range(30)
    ]
    return found_of(runs, "thirty")


NASTY = f"../a b|c`$x$` [x](http://evil.example) \u202e {ATTACK}"


def hostile() -> Values:
    """Long names, and such as would be markup, links or paths elsewhere."""
    found = study()
    first, second = found["runs"][:2]
    first.update(name=NASTY, values=dict.fromkeys(first["values"], NASTY), student=NASTY)
    second["name"] = "r1-distilled-mathematics-into-a-student-with-a-name-that-nobody-shortened-" * 3
    found["runs"][7].update(why=f"Unreadable:\n\n# {NASTY}\n" + "and so on, " * 60, name="javascript:alert(1)")
    for row in [*first["benchmarks"], *first["selection"]["benchmarks"]]:
        row["title"] = f"{NASTY} {row['title']}"
    first["forgetting"][0]["domain"] = NASTY
    first["benchmarks"][0]["degraded"] = [NASTY]
    first["selection"]["words"] = NASTY
    first["gate"]["because"] = NASTY
    for axis in found["sweep"]["axes"]:
        axis["values"] = [NASTY, *axis["values"]]
    found["sweep"].update(name=NASTY, file=NASTY)
    made = found_of(found["runs"], NASTY, [NASTY])
    return found | {key: made[key] for key in ("baselines", "findings", "caveats")}


SWEEPS = {
    "study": study,
    "one alone": one_alone,
    "not confirmed": not_confirmed,
    "nothing selected": nothing_selected,
    "partly selected": partly_selected,
    "nothing asked": nothing_asked,
    "all waiting": all_waiting,
    "thirty": thirty,
    "hostile": hostile,
}
