"""Runs that never ran: every file of a run directory, made up from a seed, for what is computed and drawn from them.

`effect` is the distilled model's advantage in score points; judges scatter by one point around what an answer is
worth. Texts contain what must be escaped.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
from pathlib import Path
from typing import Any

from typed import as_dict

from mlx_distill.evaluate.judges import MEASURED
from mlx_distill.run import config as configuration
from mlx_distill.run.config import Config
from mlx_distill.run.digest import content_id
from mlx_distill.run.folder import RunDir
from mlx_distill.run.records import (
    MODELS,
    ROLES,
    Completion,
    Generation,
    Judgment,
    Preference,
    Prompt,
    Role,
    Score,
    StepMetrics,
)
from mlx_distill.summarise import summarise

JUDGES = ("claude-opus-4-6", "mlx:Qwen2.5-7B-Instruct-4bit")
CATEGORIES = ("algorithms", "SQL", "testing", "web and APIs")
ATTACK = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


@dataclasses.dataclass(frozen=True)
class Made:
    """What a made-up run is like. `missing`: parts of results.json whose stages have not run."""

    prompts: int = 28
    judges: tuple[str, ...] = JUDGES
    samples: int = 1
    repeats: int = 1
    effect: float = 0.0
    seed: int = 0
    against_teacher: bool = False
    missing: tuple[str, ...] = ()
    name: str = "made-up"


def results_of(folder: Path, made: Made = Made()) -> dict[str, Any]:
    """results.json of such a run, computed from its files as for any run."""
    found: dict[str, Any] = as_dict(summarise(*made_run(folder / made.name, made)))
    return found


def made_run(folder: Path, made: Made = Made()) -> tuple[RunDir, Config]:
    run, draw = RunDir(folder), random.Random(made.seed)
    settings = {
        "comparison.judges": made.judges,
        "comparison.repeats": made.repeats,
        "comparison.samples": made.samples if made.samples > 1 else None,
        "replay.share": 0.25,
    }
    config = configuration.resolve("quick", settings)
    prompts = _prompts(made)
    run.write_json("environment.json", _environment())
    run.write_records("prompts.jsonl", prompts)
    if "teacher" not in made.missing:
        run.write_records("teacher_data.jsonl", [_completion(prompt, draw) for prompt in prompts])
        run.write_json("dataset.json", _dataset(len(prompts)))
    if "training" not in made.missing:
        _training(run, draw)
    if "comparison" not in made.missing:
        _comparison(run, made, [prompt for prompt in prompts if prompt.split == "test"], draw)
    for stage, seconds in (("collect", 84.2), ("train", 321.0), ("generate", 65.5), ("judge", 48.1)):
        run.mark(stage, "", "done", seconds)
    return run, config


def _environment() -> dict[str, Any]:
    return {
        "created": "2026-11-22T10:00:00+00:00",
        "versions": {"mlx-distill": "0.1.0", "mlx": "0.32.4", "mlx-lm": "0.32.2"},
        "chip": "Apple M9",
        "cores": 12,
        "memory_bytes": 32 << 30,
        "os": "macOS 27.1",
        "backend": "Metal",
        "blas": None,
    }


def _prompts(made: Made) -> list[Prompt]:
    rows = []
    for number in range(made.prompts):
        text = f"Write a Python function number_{number}(x) that doubles x & returns <x>."
        source = "showcase" if number < 4 else "heldout"
        category = CATEGORIES[number % len(CATEGORIES)]
        rows.append(Prompt(content_id(text), text, f"Task number {number}", category, "test", source))
    train = [Prompt(content_id(f"train {n}"), f"train {n}", f"T{n}", "algorithms", "train") for n in range(8)]
    return train + rows


def _completion(prompt: Prompt, draw: random.Random) -> Completion:
    tokens = draw.randint(200, 900)
    return Completion(
        prompt.id, prompt.text, _text(prompt, "teacher", 0, draw), "end_turn", "claude-sonnet-4-6",
        input_tokens=60, output_tokens=tokens, seconds=4.0, usd=tokens * 15e-6,
    )  # fmt: skip


def _dataset(count: int) -> dict[str, Any]:
    prompts = {"train": 8, "valid": 0, "test": count - 8}
    return {"prompts": prompts, "categories": {"algorithms": 8}, "left_out": {}, "reasons": {}}


def _text(prompt: Prompt, role: Role, sample: int, draw: random.Random) -> str:
    words = " ".join(draw.choices(["sum", "loop", "carefully", "returns", "the", "value"], k=draw.randint(10, 60)))
    name = prompt.title.lower().replace(" ", "_")
    return (
        f"## Answer of {role} ({sample})\n\n- {words}\n- **{ATTACK}**\n\n"
        f'```python\ndef {name}(x: int) -> int:\n    """Double x."""\n    return x * 2  # {ATTACK}\n```\n'
    )


def _training(run: RunDir, draw: random.Random) -> None:
    heldout = {
        "base": [[draw.uniform(180, 220), draw.randint(50, 60), 100] for _ in range(8)],
        "best": [[draw.uniform(150, 170), draw.randint(60, 70), 100] for _ in range(8)],
    }
    counts = {"trainable_parameters": 1_302_528, "total_parameters": 494_032_768}
    examples = {"train": 104, "valid": 8}
    drift = {name: [[low + number / 2, 100] for number in range(8)] for name, low in (("own", 8), ("replay", 3))}
    lengths = {"tokens": [[60, 400]] * 8, "replay_tokens": [[40, 100]] * 160}
    run.write_json("training.json", counts | {"examples": examples, "heldout": heldout, "drift": drift} | lengths)
    rows = [StepMetrics(0, 0.0, None, None, 0, 0.0, 0.0, 2 << 30, 0.0, 2.0, 0.55)]
    for step in range(1, 41):
        valid = 2.0 - 0.4 * (1 - 0.9**step) if step % 10 == 0 else None
        loss = 2.1 - 0.5 * (1 - 0.9**step) + draw.uniform(-0.1, 0.1)
        accuracy = None if valid is None else 0.65
        row = StepMetrics(step, step / 13, loss, 0.6, 900, 410.0, 1e-4, 3 << 30, 2.2, valid, accuracy, 300, 0.05)
        strayed = None if valid is None else 0.1 * step / 40
        rows.append(dataclasses.replace(row, drift=strayed, replay_drift=strayed and strayed / 3))
    run.write_records("metrics.jsonl", rows)


def _comparison(run: RunDir, made: Made, prompts: list[Prompt], draw: random.Random) -> None:
    worth = {(p.id, role): draw.gauss(mean, 1.5) for p in prompts for role, mean in
             (("teacher", 8.5), ("base", 5.0), ("distilled", 5.0 + made.effect))}  # fmt: skip
    samples = {"teacher": 1, "base": made.samples, "distilled": made.samples}
    generations = [
        Generation(p.id, role, _text(p, role, s, draw), draw.randint(50, 400), 1.5, _ended(draw), s)
        for p in prompts for role in _answering(made) for s in range(samples[role])
    ]  # fmt: skip
    run.write_records("generations.jsonl", generations)
    run.write_records("judgments.jsonl", [
        _judgment(g, judge, repeat, worth[g.prompt_id, g.role], draw)
        for g in generations for judge in made.judges for repeat in range(made.repeats)
    ])  # fmt: skip
    pairs: list[tuple[Role, Role]] = [("distilled", "base")]
    pairs += [("distilled", "teacher")] if made.against_teacher else []
    run.write_records("preferences.jsonl", [
        _preference(p.id, order, judge, s, repeat, worth, draw)
        for p, pair, judge, s, repeat in itertools.product(
            prompts, pairs, made.judges, range(made.samples), range(made.repeats)
        )
        for order in (pair, (pair[1], pair[0]))
    ])  # fmt: skip
    checked = [g for index, g in enumerate(generations) if index % 2 == 0 or g.role != "teacher"]
    run.write_records("scores.jsonl", [_score(g, worth[g.prompt_id, g.role], draw) for g in checked])


def _answering(made: Made) -> tuple[Role, ...]:
    return MODELS if "teacher" in made.missing else ROLES


def _ended(draw: random.Random) -> str:
    return draw.choice(["stop"] * 5 + ["length"])


def _judgment(g: Generation, judge: str, repeat: int, worth: float, draw: random.Random) -> Judgment:
    if draw.random() < 0.02:
        return Judgment(g.prompt_id, g.role, judge, None, problem="the judge stopped with refusal", repeat=repeat)
    scores = {name: float(min(10, max(0, round(draw.gauss(worth, 1))))) for name in MEASURED}
    reason = "; ".join(f"{name}: said because of {ATTACK}" for name in MEASURED)
    return Judgment(g.prompt_id, g.role, judge, scores, reason=reason, usd=0.004, sample=g.sample, repeat=repeat)


def _preference(
    prompt: str, order: tuple[Role, Role], judge: str, sample: int, repeat: int, worth: Any, draw: random.Random
) -> Preference:
    difference = worth[prompt, order[0]] - worth[prompt, order[1]] + draw.gauss(0.2, 0.8)
    better = order[0] if difference > 0.5 else order[1] if difference < -0.5 else "tie"
    reason = f"It is shorter & {ATTACK}"
    return Preference(prompt, *order, judge, better, reason=reason, usd=0.003, sample=sample, repeat=repeat)


def _score(g: Generation, worth: float, draw: random.Random) -> Score:
    passed = sum(draw.gauss(worth, 1) > 6 for _ in range(3))
    return Score("checks", g.prompt_id, g.role, passed == 3, 3, passed, "", g.sample, "namespaces")
