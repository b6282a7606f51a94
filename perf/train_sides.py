"""The two sides of a training measurement: one data set and one model folder, given to ours and to stock `mlx_lm.lora`.

In: a student and a size. Out: for every run its scored tokens a second, its peak memory, its seconds by epoch. Each run
is a process of its own. Stock prints its tokens a second as a whole number and no memory at all, so it is started
through its real entry point with its real flags and a reporter of ours (`--report-to`) that writes down what it hands
to reporters. Its clock runs from the batch to the updated weights: tokenising, making batches and saving are not in
it, nor is anything but the step in `seconds` of our metrics.jsonl; what ours does outside of its steps is told apart.
Both are rated by our count of scored tokens, since stock also counts, and trains, what follows an answer's end.
"""

from __future__ import annotations

import json
import math
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sides import ROOT, environment, float32_folder

SYSTEM = "You are a helpful coding assistant."
SPREAD = 0.7
"""Standard deviation of the logarithm of the lengths: with a median of 250 every fiftieth would pass 1,000."""

RANK, SCALE, RATE, BATCH, WINDOW = 16, 2.0, 1e-3, 4, 2048

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Material:
    """What both sides are given. `scored` and `stocks_scored`: tokens an epoch, by our count and by stock's."""

    model: Path
    data: Path
    stock: Path
    heldout: Path
    heldout_ids: frozenset[str]
    examples: int
    scored: int
    stocks_scored: int


@dataclass(frozen=True)
class Run:
    """`outside`: seconds from the base's held-out loss to the last step that no step took."""

    folder: Path
    epochs: tuple[float, ...]
    scored: int
    peak: int
    outside: float = 0.0

    @property
    def speed(self) -> float:
        """Scored tokens a second."""
        return self.scored * len(self.epochs) / sum(self.epochs)


# ---------------------------------------------------------------- material


def prepare(student: str, folder: Path, seed: int, examples: int, median: int, longest: int) -> Material:
    """The float32 folder and a chat set of which `examples` are trained on, as `train --data` splits it."""
    model = float32_folder(student, folder / "model")
    data = folder / "chat.jsonl"
    count = next(n for n in range(examples + 1, 2 * examples + 2) if n - max(1, round(n / 10)) == examples)
    write_rows(data, conversations(model, random.Random(seed), lengths(count, median, longest)))
    return _divided(model, data, folder, seed, examples)


def lengths(count: int, median: int, longest: int) -> list[int]:
    """Tokens of the examples: evenly spaced quantiles, so that a small set has the tail of a large one."""
    normal = statistics.NormalDist(math.log(median), SPREAD)
    return [min(longest, round(math.exp(normal.inv_cdf((i + 0.5) / count)))) for i in range(count)]


def conversations(model: Path, draw: random.Random, totals: Sequence[int]) -> list[Messages]:
    """One conversation a length, half of it the answer, out of the recorded answers' text and code."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    frame = len(tokenizer.encode(SYSTEM).ids) + 16
    pieces = _pieces(tokenizer, draw)
    next(pieces)
    found = []
    for total in draw.sample(totals, len(totals)):
        question = pieces.send(max(8, total // 2 - frame))
        answer = pieces.send(total // 2 - 1)
        turns = (("system", SYSTEM), ("user", question), ("assistant", answer))
        found.append([{"role": role, "content": text} for role, text in turns])
    return found


def _pieces(tokenizer: Any, draw: random.Random) -> Generator[str, int, None]:
    """As many tokens of text as are sent; what was used up comes again with its words in another order."""
    rows = (ROOT / "prompts" / "recorded.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(row)["completion"] for row in rows]
    text = "\n\n".join(draw.sample(texts, len(texts)))
    places, at = tokenizer.encode(text).offsets, 0
    wanted = yield ""
    while True:
        if at + wanted > len(places):
            words = text.split(" ")
            text = " ".join(draw.sample(words, len(words)))
            places, at = tokenizer.encode(text).offsets, 0
        start, at = at, at + wanted
        wanted = yield text[places[start][0] : places[at - 1][1]].strip()


def _divided(model: Path, data: Path, folder: Path, seed: int, examples: int) -> Material:
    """Asks ours what it holds out of the file, and writes stock what is left."""
    from mlx_lm.utils import load_tokenizer

    from mlx_distill.run.data.own import load_conversations

    parts: dict[str, list[Any]] = {"train": [], "valid": []}
    for conversation in load_conversations(data, seed).conversations:
        parts[conversation.split].append(conversation)
    if len(parts["train"]) != examples:
        sys.exit(f"{len(parts['train'])} examples are trained on, not {examples}: another share is held out now.")
    tokenizer = load_tokenizer(model)
    counts = [count(tokenizer, list(conversation.messages)) for conversation in parts["train"]]
    (folder / "stock").mkdir()
    write_rows(folder / "stock" / "train.jsonl", [list(conversation.messages) for conversation in parts["train"]])
    write_rows(folder / "heldout.jsonl", [list(conversation.messages) for conversation in parts["valid"]])
    return Material(
        model=model,
        data=data,
        stock=folder / "stock",
        heldout=folder / "heldout.jsonl",
        heldout_ids=frozenset(conversation.id for conversation in parts["valid"]),
        examples=examples,
        scored=sum(end - offset for _, offset, end in counts),
        stocks_scored=sum(len(tokens) + 1 - offset for tokens, offset, _ in counts),
    )


def count(tokenizer: Any, messages: Messages) -> tuple[list[int], int, int]:
    """(all tokens, where the answer starts, behind its end of turn), tokenised as stock does it."""
    tokens = list(tokenizer.apply_chat_template(messages, return_dict=False))
    before = tokenizer.apply_chat_template(messages[:-1], add_generation_prompt=True, return_dict=False)
    end = max(place for place, token in enumerate(tokens, 1) if token in tokenizer.eos_token_ids)
    return tokens, len(before), end


def write_rows(path: Path, rows: Sequence[Messages]) -> None:
    path.write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows), encoding="utf-8")


# ---------------------------------------------------------------- runs


def ours(material: Material, folder: Path, layers: int, epochs: int, seed: int) -> Run:
    """`mlx_distill train` from the command line."""
    options = {"layers": layers, "epochs": epochs, "seed": seed, "rank": RANK, "scale": SCALE}
    options |= {"batch-size": BATCH, "learning-rate": RATE, "window": WINDOW}
    flags = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    command = ["-m", "mlx_distill", "train", "--data", str(material.data), "--student", str(material.model)]
    seen = _started([*command, "--run", str(folder), *flags], folder / "metrics.jsonl")
    first, *rows = read_rows(folder / "metrics.jsonl")
    steps = len(rows) // epochs
    taken = tuple(sum(row["seconds"] for row in rows[i : i + steps]) for i in range(0, len(rows), steps))
    heldout = json.loads((folder / "training.json").read_text())["heldout"]["ids"]
    _agreed("tokens that ours scores", sum(row["tokens"] for row in rows), material.scored * epochs)
    _agreed("examples that ours holds out", sorted(heldout), sorted(material.heldout_ids))
    peak = max(row["peak_memory"] for row in [first, *rows])
    return Run(folder, taken, material.scored, peak, seen[-1] - seen[0] - sum(taken))


def stock(material: Material, folder: Path, layers: int, epochs: int, seed: int) -> Run:
    """`mlx_lm.lora` from its own command line, without validation: that would count in its peak of memory."""
    folder.mkdir(parents=True)
    config = {"lora_parameters": {"rank": RANK, "scale": SCALE, "dropout": 0.0}}
    (folder / "config.yaml").write_text(json.dumps(config))  # JSON is YAML; the rank has no flag
    steps = material.examples // BATCH
    options = {
        "model": material.model,
        "data": material.stock,
        "adapter-path": folder,
        "config": folder / "config.yaml",
    }
    numbers = {"num-layers": layers, "batch-size": BATCH, "iters": steps * epochs, "learning-rate": RATE, "seed": seed}
    quiet = {"val-batches": 0, "steps-per-eval": 10**9, "save-every": 10**9, "steps-per-report": 1}
    flags = [f"--{name}={value}" for name, value in (options | numbers | quiet | {"max-seq-length": WINDOW}).items()]
    inside("stock", folder / "report.jsonl", ["--train", "--mask-prompt", *flags])
    rows = read_rows(folder / "report.jsonl")
    seconds = [1 / row["iterations_per_second"] for row in rows]
    taken = tuple(sum(seconds[i : i + steps]) for i in range(0, len(rows), steps))
    _agreed("tokens that stock scores", rows[-1]["trained_tokens"], material.stocks_scored * epochs)
    return Run(folder, taken, material.scored, round(1e9 * rows[-1]["peak_memory"]))


def inside(name: str, report: Path, arguments: Sequence[str] = ()) -> None:
    """One of the drivers of train_inside.py, in a process of its own."""
    _started([str(Path(__file__).with_name("train_inside.py")), name, str(report), *arguments], report)


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _started(arguments: Sequence[str], rows: Path) -> list[float]:
    """Runs Python to its end; when each line of `rows` was first seen, to a twentieth of a second."""
    rows.parent.mkdir(parents=True, exist_ok=True)
    log = rows.parent.with_name(f"{rows.parent.name}.{rows.stem}.log")
    seen: list[float] = []
    with (
        log.open("wb") as said,
        subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment(), stdout=said, stderr=said) as child,
    ):
        try:
            running = True
            while running:
                running = child.poll() is None
                lines = rows.read_bytes().count(b"\n") if rows.exists() else 0
                seen += [time.monotonic()] * (lines - len(seen))
                time.sleep(0.05)
        finally:
            child.kill()
    if child.returncode:
        sys.exit(f"{' '.join(arguments)}\nended with {child.returncode}:\n{log.read_text(errors='replace')[-3000:]}")
    return seen


def _agreed(what: str, measured: object, expected: object) -> None:
    if measured != expected:
        sys.exit(f"{what}: {measured}, and {expected} by our own count: the two sides would not train the same.")
