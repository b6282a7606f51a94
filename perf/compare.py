"""Generating measured against stock: both models' answers to the test prompts, tokens a second. One table.

    python perf/compare.py [--prompts 16] [--cap 384] [--repeats N] [--seed N] [--small]

Ours: one copy of the weights, the adapter switched, all prompts in a batch. Stock: prompt after prompt with
`mlx_lm.generate`, model after model, the second loaded with the adapter. In: the real SmolLM2, the bundled test
prompts and an adapter of random weights that changes what is said. Out: the table. Each side is a process of its own,
in turn, on the same float32 weights and with the same BLAS. The trade-off: both are timed from the first prompt to
the last answer, so that loading, which only stock does twice, is told apart.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import table
from sides import ROOT, Elsewhere, environment, float32_folder
from table import Row

from mlx_distill import config as configuration
from mlx_distill import promptset
from mlx_distill.records import Prompt, Role

LEAST_FASTER = 4.0
STUDENT = "smollm2-135m"
ADAPTER_SCALE = 0.05
"""Standard deviation of the random adapter's weights: enough that base and distilled say different things."""


@dataclass(frozen=True)
class Task:
    """What both sides do."""

    model: str
    adapter: str
    prompts: int
    cap: int

    def read(self) -> list[Prompt]:
        config = configuration.resolve("demo").prompts
        return [prompt for prompt in promptset.load_prompts(config) if prompt.split == "test"][: self.prompts]


# ---------------------------------------------------------------- the two sides, each in a process of its own


def ours(task: Task) -> dict[str, Any]:
    from mlx_distill import compare, students
    from mlx_distill.students import adapter as adapters

    settings = {"comparison.max_tokens": task.cap, "comparison.batch_size": task.prompts}
    config = configuration.resolve("demo", settings)
    started = time.monotonic()
    student = students.load(task.model)
    adapter = adapters.load(student.model, Path(task.adapter))
    student.read_weights()
    loaded = time.monotonic()
    found: dict[str, Any] = {"texts": {}, "tokens": 0}
    roles: tuple[tuple[Role, float], ...] = (("base", 0.0), ("distilled", 1.0))
    for role, strength in roles:
        adapter.dial(strength)
        for batch in compare.generate(student, role, task.read(), config.training.system, config.comparison, 0):
            found["texts"] |= {f"{role} {g.prompt_id}": g.text for g in batch}
            found["tokens"] += sum(g.tokens for g in batch)
    return found | {"seconds": time.monotonic() - loaded, "loading": loaded - started}


def stock(task: Task) -> dict[str, Any]:
    import mlx_lm

    system = configuration.resolve("demo").training.system
    found: dict[str, Any] = {"texts": {}, "tokens": 0, "seconds": 0.0, "loading": 0.0}
    for role, adapter in (("base", None), ("distilled", task.adapter)):
        started = time.monotonic()
        model, tokenizer = mlx_lm.load(task.model, adapter_path=adapter)[:2]
        found["loading"] += time.monotonic() - started
        for prompt in task.read():
            messages = [{"role": "system", "content": system}, {"role": "user", "content": prompt.text}]
            tokens = tokenizer.apply_chat_template(messages, add_generation_prompt=True)
            started, text = time.monotonic(), ""
            for part in mlx_lm.stream_generate(model, tokenizer, tokens, max_tokens=task.cap):
                text += part.text
            found["seconds"] += time.monotonic() - started
            found["tokens"] += part.generation_tokens - (part.finish_reason == "stop")
            found["texts"][f"{role} {prompt.id}"] = text
    return found


SIDES = {"ours": ours, "stock": stock}


# ---------------------------------------------------------------- measuring


def made(folder: Path, prompts: int, cap: int) -> Task:
    """The weights and an adapter of all layers, as a training would leave them."""
    import mlx.core as mx

    from mlx_distill import students
    from mlx_distill.students import adapter as adapters

    model = float32_folder(STUDENT, folder / "model")
    student = students.load(str(model))
    settings = {"training.layers": "all", "training.rank": 16}
    adapter = adapters.attach(student.model, configuration.resolve("demo", settings).training)
    mx.random.seed(0)
    adapter.set_weights({name: ADAPTER_SCALE * mx.random.normal(a.shape) for name, a in adapter.weights().items()})
    adapter.save(folder / "adapter", str(model))
    mx.clear_cache()
    return Task(str(model), str(folder / "adapter"), prompts, cap)


def run(side: str, task: Task, folder: Path) -> dict[str, Any]:
    out = folder / f"{side}.json"
    command = [sys.executable, __file__, "--side", side, "--task", json.dumps(vars(task)), "--out", str(out)]
    subprocess.run(command, cwd=ROOT, env=environment(), check=True)
    found: dict[str, Any] = json.loads(out.read_text())
    return found | {"speed": found["tokens"] / found["seconds"]}


def speed(given: argparse.Namespace) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="perf-compare-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        task = made(folder, *((4, 24) if given.small else (given.prompts, given.cap)))
        turns = [(run("ours", task, folder), run("stock", task, folder)) for _ in range(given.repeats)]
    mine, theirs = ([turn[side] for turn in turns] for side in (0, 1))
    ratio = statistics.median(a["speed"] / b["speed"] for a, b in turns)
    each = f"{_median(mine, 'speed'):.1f} and {_median(theirs, 'speed'):.1f}"
    what = f"answers of base and distilled, {task.prompts} prompts, cap {task.cap}: tokens/s, ours and stock"
    reached = None if given.small else ratio >= LEAST_FASTER
    yield Row(what, f">= {LEAST_FASTER:g}x", f"{ratio:.2f}x ({each}; median of {given.repeats})", reached)
    loading = f"{_median(mine, 'loading'):.1f} s, {_median(theirs, 'loading'):.1f} s"
    yield Row("loading: ours once, stock twice", "-", loading)
    same = [a["texts"][key] == b["texts"][key] for a, b in turns for key in a["texts"]]
    yield Row("answers that are the same, greedy", "-", f"{sum(same)} of {len(same)}")
    different = sum(mine[0]["texts"][f"base {p.id}"] != mine[0]["texts"][f"distilled {p.id}"] for p in task.read())
    yield Row("prompts to which base and distilled say different things", "-", f"{different} of {task.prompts}")


def _median(runs: list[dict[str, Any]], name: str) -> float:
    return statistics.median(run[name] for run in runs)


SECTIONS = {"speed": speed}


def main() -> None:
    parser = table.parser(__doc__, SECTIONS)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--cap", type=int, default=384, help="tokens of an answer at most [384, the demo's]")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each side, in turn [3]")
    for internal in ("--side", "--task", "--out"):
        parser.add_argument(internal, help=argparse.SUPPRESS)
    given = table.parse(parser, SECTIONS)
    if given.side:
        Path(given.out).write_text(json.dumps(SIDES[given.side](Task(**json.loads(given.task)))))
        return
    elsewhere = Elsewhere()
    rows = table.measure(given.names, SECTIONS, given)
    table.finish(rows, f"Comparing, seed {given.seed}{', small' if given.small else ''}{elsewhere.said()}")


if __name__ == "__main__":
    main()
