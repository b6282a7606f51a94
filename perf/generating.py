"""The two sides of answering many prompts as base and distilled, each in a process of its own.

In: prompts, the real SmolLM2 and an adapter of random weights that changes what is said. Out: answers, tokens and
seconds. Ours: one copy of the weights, the adapter switched, the prompts in batches. Stock: prompt after prompt with
`mlx_lm.generate`, model after model, the second loaded with the adapter. Both are timed from the first prompt to the
last answer, so that loading, which only stock does twice, is told apart.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from sides import ROOT, environment, float32_folder
from table import Row

from mlx_distill.run import config as configuration
from mlx_distill.run.records import Role

STUDENT = "smollm2-135m"
ADAPTER_SCALE = 0.05
"""Standard deviation of the random adapter's weights: enough that base and distilled say different things."""


@dataclass(frozen=True)
class Task:
    """What both sides do. `prompts`: a JSON file of id → text; `batch`: prompts that ours answers at a time."""

    model: str
    adapter: str
    prompts: str
    system: str
    cap: int
    batch: int

    def read(self) -> dict[str, str]:
        texts: dict[str, str] = json.loads(Path(self.prompts).read_text())
        return texts


def ours(task: Task) -> dict[str, Any]:
    from mlx_distill.models import students
    from mlx_distill.models.students import adapter as adapters
    from mlx_distill.models.students.generate import Decoding, generate

    decoding = Decoding(task.system, task.cap, task.batch)
    started = time.monotonic()
    student = students.load(task.model)
    adapter = adapters.load(student.model, Path(task.adapter))
    student.read_weights()
    loaded = time.monotonic()
    found: dict[str, Any] = {"texts": {}, "tokens": 0}
    roles: tuple[tuple[Role, float], ...] = (("base", 0.0), ("distilled", 1.0))
    for role, strength in roles:
        adapter.dial(strength)
        for batch in generate(student, role, task.read(), decoding):
            found["texts"] |= {f"{role} {g.prompt_id}": g.text for g in batch}
            found["tokens"] += sum(g.tokens for g in batch)
    return found | {"seconds": time.monotonic() - loaded, "loading": loaded - started}


def stock(task: Task) -> dict[str, Any]:
    import mlx_lm

    found: dict[str, Any] = {"texts": {}, "tokens": 0, "seconds": 0.0, "loading": 0.0}
    system = [{"role": "system", "content": task.system}] if task.system else []
    for role, adapter in (("base", None), ("distilled", task.adapter)):
        started = time.monotonic()
        model, tokenizer = mlx_lm.load(task.model, adapter_path=adapter)[:2]
        found["loading"] += time.monotonic() - started
        for name, prompt in task.read().items():
            messages = [*system, {"role": "user", "content": prompt}]
            tokens = tokenizer.apply_chat_template(messages, add_generation_prompt=True)
            started, text = time.monotonic(), ""
            for part in mlx_lm.stream_generate(model, tokenizer, tokens, max_tokens=task.cap):
                text += part.text
            found["seconds"] += time.monotonic() - started
            found["tokens"] += part.generation_tokens - (part.finish_reason == "stop")
            found["texts"][f"{role} {name}"] = text
    return found


SIDES = {"ours": ours, "stock": stock}


def made(folder: Path, prompts: dict[str, str], system: str, cap: int, batch: int) -> Task:
    """The weights and an adapter of all layers, as a training would leave them."""
    import mlx.core as mx

    from mlx_distill.models import students
    from mlx_distill.models.students import adapter as adapters

    model = float32_folder(STUDENT, folder / "model")
    student = students.load(str(model))
    settings = {"training.layers": "all", "training.rank": 16}
    adapter = adapters.attach(student.model, configuration.resolve("demo", settings).training)
    mx.random.seed(0)
    adapter.set_weights({name: ADAPTER_SCALE * mx.random.normal(a.shape) for name, a in adapter.weights().items()})
    adapter.save(folder / "adapter", str(model))
    mx.clear_cache()
    (folder / "prompts.json").write_text(json.dumps(prompts))
    return Task(str(model), str(folder / "adapter"), str(folder / "prompts.json"), system, cap, batch)


def rows(task: Task, folder: Path, repeats: int, least: float, judged: bool) -> Iterator[Row]:
    """Both sides in turn, so many times. `judged`: whether the ratio is held against what is demanded."""
    turns = [(_run("ours", task, folder), _run("stock", task, folder)) for _ in range(repeats)]
    mine, theirs = ([turn[side] for turn in turns] for side in (0, 1))
    ratio = statistics.median(a["speed"] / b["speed"] for a, b in turns)
    each = f"{_median(mine, 'speed'):.1f} and {_median(theirs, 'speed'):.1f}"
    count = len(task.read())
    what = f"answers of base and distilled, {count} prompts, cap {task.cap}: tokens/s, ours and stock"
    reached = ratio >= least if judged else None
    yield Row(what, f">= {least:g}x", f"{ratio:.2f}x ({each}; median of {repeats})", reached)
    loading = f"{_median(mine, 'loading'):.1f} s, {_median(theirs, 'loading'):.1f} s"
    yield Row("loading: ours once, stock twice", "-", loading)
    same = [a["texts"][key] == b["texts"][key] for a, b in turns for key in a["texts"]]
    yield Row("answers that are the same, greedy", "-", f"{sum(same)} of {len(same)}")
    texts = mine[0]["texts"]
    different = sum(texts[f"base {name}"] != texts[f"distilled {name}"] for name in task.read())
    yield Row("prompts to which base and distilled say different things", "-", f"{different} of {count}")


def _run(side: str, task: Task, folder: Path) -> dict[str, Any]:
    out = folder / f"{side}.json"
    command = [sys.executable, __file__, side, json.dumps(vars(task)), str(out)]
    subprocess.run(command, cwd=ROOT, env=environment(), check=True)
    found: dict[str, Any] = json.loads(out.read_text())
    return found | {"speed": found["tokens"] / found["seconds"]}


def _median(runs: list[dict[str, Any]], name: str) -> float:
    return statistics.median(run[name] for run in runs)


def main() -> None:
    parser = argparse.ArgumentParser(description="one side of perf/compare.py or perf/bench.py")
    for name in ("side", "task", "out"):
        parser.add_argument(name)
    given = parser.parse_args()
    Path(given.out).write_text(json.dumps(SIDES[given.side](Task(**json.loads(given.task)))))


if __name__ == "__main__":
    main()
