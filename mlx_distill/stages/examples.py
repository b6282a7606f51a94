"""What is trained on: the run's completions or the user's own rows, as conversations, and as examples.

In: teacher_data.jsonl and dataset.json, or the file that `training.data` names. Out: examples of each split; in
dataset.json what became of every row, which is also said.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlx_distill.config import Config, TrainingConfig
from mlx_distill.conversations import EXAMPLES, parse_columns
from mlx_distill.errors import DataError
from mlx_distill.promptset import load_prompts
from mlx_distill.records import Completion, Conversation, Prompt, digest
from mlx_distill.rundir import RunDir
from mlx_distill.stages import Job, trained
from mlx_distill.summarise.dataset import DATASET, dataset_part
from mlx_distill.wording import counts, dataset

if TYPE_CHECKING:
    from mlx_distill.students import Student
    from mlx_distill.train.chat import OwnData
    from mlx_distill.train.encode import Encoded, Example

LOUD = ("Left out", "Held out")


# ---------------------------------------------------------------- conversations


def own_data(config: Config) -> OwnData:
    """The user's own conversations, read again only when a file is another one. Raises DataError for what is none."""
    training = config.training
    files = tuple(Path(name) for name in (training.data, training.valid_data) if name)
    return _read(files, training.seed, config.teacher.columns, training.thinking, tuple(map(_state, files)))


@functools.lru_cache(maxsize=1)
def _read(files: tuple[Path, ...], seed: int, columns: str | None, thinking: bool, state: Any) -> OwnData:
    from mlx_distill.train.chat import load_conversations

    valid = files[1] if len(files) > 1 else None
    return load_conversations(files[0], seed, valid=valid, columns=parse_columns(columns), thinking=thinking)


def _state(path: Path) -> tuple[tuple[str, int, int], ...]:
    """What tells a file, or a folder's files, from what it was."""
    files = sorted(path.iterdir()) if path.is_dir() else [path] if path.exists() else []
    return tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files)


def refuse_leaks(job: Job) -> None:
    """Raises DataError when the user's own training data gives a test prompt away; prompt sets are checked as read."""
    from mlx_distill.train import refuse_leaks

    if job.config.training.data:
        refuse_leaks(own_data(job.config).conversations, load_prompts(job.config.prompts))


def material(job: Job) -> str:
    """Of what is trained on and held out; the test prompts' answers do not count, so they may change."""
    own = own_data(job.config).conversations if job.config.training.data else collected(job.run, job.config.training)
    return digest(repr(conversation) for conversation in own)


def collected(run: RunDir, config: TrainingConfig) -> list[Conversation]:
    """What is trained on and held out: dataset.json says which answers are left out of training."""
    split = {prompt.id: prompt.split for prompt in run.stream("prompts.jsonl", Prompt)}
    completions = run.read("teacher_data.jsonl", Completion)
    if not completions:
        raise DataError(f"{run.path} has no answers to train on: run `mlx-distill collect` first.")
    left_out = run.read_json(DATASET)["left_out_lines"]
    return [
        Conversation(
            answer.prompt_id,
            _turns(answer, config.thinking),
            split[answer.prompt_id],
            where=f"{run.path}/teacher_data.jsonl, line {line}",
        )
        for line, answer in enumerate(completions, 1)
        if str(line) not in left_out and split[answer.prompt_id] != "test"
    ]


def _turns(answer: Completion, thinking: bool) -> tuple[dict[str, str], ...]:
    exchange = (("user", answer.prompt), ("assistant", answer.trained(thinking)))
    said = (("system", answer.system), *exchange) if answer.system else exchange
    return tuple({"role": role, "content": text} for role, text in said)


# ---------------------------------------------------------------- examples


def encoded(job: Job) -> tuple[Student, dict[str, list[Example]]]:
    """The student, whose weights are not read yet, and the examples of each split. Raises DataError where one is
    empty."""
    from mlx_distill.train.chat import split as divide
    from mlx_distill.train.encode import encode_all

    config = job.config.training
    own = own_data(job.config) if config.data else None
    conversations = own.conversations if own else collected(job.run, config)
    student = trained.load(job, lazy=True)

    def encode(conversations: list[Conversation]) -> dict[str, Encoded]:
        parts = {split: [c for c in conversations if c.split == split] for split in ("train", "valid")}
        return {split: encode_all(part, student, config.system, config.window) for split, part in parts.items()}

    found = encode(conversations)
    if own and own.divided and not found["valid"].examples:  # all that was to be held out is left out
        lost = {place for part in found.values() for _, place in part.left_out}
        kept, others = ([c for c in conversations if (c.where in lost) is out] for out in (False, True))
        found = encode([*(divide(kept, config.seed, Path(str(config.data))) if len(kept) > 1 else kept), *others])
    account = _account(found) if own is None else _account(found) | own.account.plain()
    part = _say(job, account)
    for split, name in (("train", "train on"), ("valid", "hold out")):
        if not found[split].examples and (split == "train" or part["left_out"]):
            raise DataError(_nothing(name, part, config))
    return student, {split: part.examples for split, part in found.items()}


def _nothing(name: str, part: Mapping[str, Any], config: TrainingConfig) -> str:
    reasons = counts(part["left_out"]) or "nothing"
    window = f"a larger --window than {config.window} keeps what is too long, or " if "too long" in reasons else ""
    return f"There is nothing to {name} (left out: {reasons}): {window}give other rows."


def _account(found: Mapping[str, Encoded]) -> dict[str, Any]:
    """What encoding made of the conversations, as dataset.json has it."""
    reasons, places = Counter[str](), dict[str, list[str]]()
    for part in found.values():
        for reason, place in part.left_out:
            reasons[reason] += 1
            if len(places.setdefault(reason, [])) < EXAMPLES:
                places[reason].append(place)
    return {
        "encoded": {
            **{split: len(part.examples) for split, part in found.items()},
            "left_out": dict(reasons),
            "places": places,
            "turn_by_turn": sum(part.divided for part in found.values()),
            "with_control_tokens": sum(part.with_control_tokens for part in found.values()),
        }
    }


def _say(job: Job, account: dict[str, Any]) -> dict[str, Any]:
    """Keeps the account in dataset.json, and tells it: of the user's rows all, of answers what encoding left out."""
    known = job.run.read_json(DATASET) if (job.run / DATASET).exists() and not job.config.training.data else {}
    job.run.write_json(DATASET, known | account)
    part = dataset_part(known | account)
    assert part is not None
    for name, words in dataset(part):
        (job.view.warn if name in LOUD else job.view.note)(f"{name}: {words}.")
    return part


def counted_texts(config: Config, run: RunDir) -> tuple[list[Conversation], list[Conversation]]:
    """What is trained on and held out, as far as it is known: nothing before it is collected and filtered."""
    if config.training.data:
        found: Iterable[Conversation] = own_data(config).conversations
    else:
        found = collected(run, config.training) if (run / DATASET).exists() else ()
    found = list(found)
    return [c for c in found if c.split == "train"], [c for c in found if c.split == "valid"]
