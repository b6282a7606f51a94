"""Quality filters: which completions are left out of training, and why. They flag; nothing is deleted.

In: completions, one at a time, and the held-out prompts. Out: the content of dataset.json. A completion is flagged
by its line in teacher_data.jsonl, because prompt ids may repeat. The rules err on the side of keeping: each threshold
lies between what good answers were measured to reach and what loops and copies do. No text is kept: a million
completions need 20 MB of memory, and those that are left out some hundred bytes each for saying why.
"""

from __future__ import annotations

import re
import tempfile
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mlx_distill.run import repetition
from mlx_distill.run.config import FilterConfig
from mlx_distill.run.data.rows import rows_of, stem
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.prompts import shorten
from mlx_distill.run.records import Completion, Prompt, why_unusable

if TYPE_CHECKING:
    from mlx_distill.run.overlap import Hashes, Protected

CountTokens = Callable[[str], int]
Rule = Callable[["Answer"], list[str]]

TEMPLATE_TOKENS = 64
"""Set aside for the chat template. ChatML adds 15 tokens to three messages; others write a date as well."""

LANGUAGE_LETTERS = 100
LANGUAGE_SURE, LANGUAGE_UNLIKELY = 0.5, 0.01
"""Another language is at least this probable, and the wanted one less than this. Of 2,037 English texts with at
least 100 letters of prose (bundled answers, GSM8K, MATH-500, AIME, IFEval, HumanEval) none is flagged."""

LANGUAGE_SAMPLE = 500
"""Characters read from each end of the prose: detection costs 0.3 µs a character."""

EXAMPLES = 3

_NO_LANGUAGE = "zxx"  # ISO 639-2: digests, identifiers, markup
_QUESTIONS = ("prompt", "question", "problem", "text")
_FENCE = re.compile(r"\s*(`{3,}|~{3,})(.*)")
_INLINE_CODE = re.compile(r"`[^`\n]*`")
_NOT_LETTERS = re.compile(r"[\W\d_]+")


@dataclass(frozen=True)
class Answer:
    """A completion with the hashes of its words, which several rules read."""

    completion: Completion
    asked: Hashes
    answered: Hashes


def describe_dataset(
    completions: Iterable[Completion],
    heldout: Sequence[Prompt],
    config: FilterConfig,
    *,
    prompts: Mapping[str, int],
    categories: Mapping[str, int],
    window: int,
    count_tokens: CountTokens | None,
    system: str,
    undecided: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """dataset.json: how many of each split, how long, and what is left out of training and why.

    `completions` is read once. What is not of a `heldout` prompt is of the training split, the only one that is
    held to more than `unusable`. Duplicates are sought among what no other rule has flagged: the one that is kept can
    be trained on. `undecided`: prompts of which no answer was chosen, and why. `prompts` and `categories` are counts,
    by split and of training prompts. `left_out` counts a completion once, under its first reason; `reasons` counts
    every reason. Raises DataError for a benchmark file without questions, UsageError for an unknown language.
    """
    from mlx_distill.collect.duplicates import Duplicates
    from mlx_distill.run.overlap import Protected

    protected = Protected(_protected_texts(heldout, config.benchmarks))
    too_long = [_too_long(window, count_tokens, system)] if count_tokens else []
    rules = [*too_long, *_other_languages(config), _loops, _overlaps(protected), _undecided(undecided)]
    heldout_ids = {prompt.id for prompt in heldout}
    account = Account()
    with tempfile.TemporaryFile() as file:
        duplicates = Duplicates(config.near_duplicate, file)
        for line, completion in enumerate(completions, 1):
            answer = None if completion.prompt_id in heldout_ids else _answer(completion)
            reasons = _reasons(completion, answer, rules)
            account.add(completion, reasons)
            if answer and not reasons:
                duplicates.add(line, completion, answer.asked, answer.answered)
        for line, prompt_id, reason in duplicates.found():
            account.flag(line, prompt_id, reason)
    counts = {"prompts": dict(prompts), "categories": dict(categories)}
    return counts | account.summary() | {"checked": _checked(config, window if count_tokens else None, protected)}


def _answer(completion: Completion) -> Answer:
    from mlx_distill.run.overlap import word_hashes

    return Answer(completion, word_hashes(completion.prompt), word_hashes(completion.completion))


def _reasons(completion: Completion, answer: Answer | None, rules: Sequence[Rule]) -> tuple[str, ...]:
    reasons = [reason for rule in rules for reason in rule(answer)] if answer else []
    return tuple(filter(None, [why_unusable(completion.stop_reason, completion.completion), *reasons]))


# ---------------------------------------------------------------- the rules


def _too_long(window: int, count_tokens: CountTokens, system: str) -> Rule:
    """A tokenizer makes at most one token of a byte, so most texts need not be tokenized to be known to fit."""

    def rule(answer: Answer) -> list[str]:
        texts = (answer.completion.system or system, answer.completion.prompt, answer.completion.completion)
        if sum(len(text.encode()) for text in texts) + TEMPLATE_TOKENS <= window:
            return []
        return ["too long"] if sum(map(count_tokens, texts)) + TEMPLATE_TOKENS > window else []

    return rule


def _other_languages(config: FilterConfig) -> list[Rule]:
    return [_other_language(config.language)] if config.language else []


def _other_language(wanted: str) -> Rule:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    detector = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    known = sorted(label for label in detector.labels if len(label) == 2)
    if wanted not in known:
        raise UsageError(f"The language {wanted!r} cannot be detected: use one of {', '.join(known)}.")

    def rule(answer: Answer) -> list[str]:
        text = prose(answer.completion.completion)
        if len(_NOT_LETTERS.sub("", text)) < LANGUAGE_LETTERS:
            return []
        if len(text) > 2 * LANGUAGE_SAMPLE:
            text = f"{text[:LANGUAGE_SAMPLE]}\n{text[-LANGUAGE_SAMPLE:]}"
        ranked = dict(detector.rank(text))
        likely = max(ranked, key=ranked.__getitem__)
        sure = ranked[likely] >= LANGUAGE_SURE and ranked[wanted] < LANGUAGE_UNLIKELY
        return ["language"] if sure and likely != _NO_LANGUAGE else []

    return rule


def prose(text: str) -> str:
    """A Markdown text without its code: fenced blocks, also one that is never closed, and inline code."""
    kept, fence = [], ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if fence:
            closes = mark is not None and mark[1].startswith(fence) and not mark[2].strip()
            fence = "" if closes else fence
        elif mark:
            fence = mark[1]
        else:
            kept.append(line)
    return _INLINE_CODE.sub(" ", "\n".join(kept))


def _loops(answer: Answer) -> list[str]:
    return ["repetition"] if repetition.repeats(answer.completion.completion, answer.answered) else []


def _overlaps(protected: Protected) -> Rule:
    def rule(answer: Answer) -> list[str]:
        overlaps = protected.overlapped(answer.asked) | protected.overlapped(answer.answered)
        return [name for name in protected.sizes if name in overlaps]

    return rule


def _undecided(reasons: Mapping[str, str]) -> Rule:
    """Of a prompt without a chosen answer the file holds the first, for a reader's eyes."""
    return lambda answer: [reasons[name]] if (name := answer.completion.prompt_id) in reasons else []


def _protected_texts(heldout: Sequence[Prompt], benchmarks: Sequence[str]) -> dict[str, Iterable[str]]:
    """By reason: the held-out prompts, and the questions of each benchmark."""
    stems = [stem(Path(file)) for file in benchmarks]
    names = [stem if stems.count(stem) == 1 else file for stem, file in zip(stems, benchmarks, strict=True)]
    sets: dict[str, Iterable[str]] = {"held-out overlap": [prompt.text for prompt in heldout]}
    files = zip(names, benchmarks, strict=True)
    return sets | {f"benchmark overlap: {name}": _questions(Path(file)) for name, file in files}


def _questions(path: Path) -> Iterator[str]:
    """The text of each item's question in a published benchmark file."""
    row: dict[str, Any] = {}
    for row in rows_of(path):
        text = next((row[key] for key in _QUESTIONS if isinstance(row.get(key), str)), None)
        if text is None:
            raise DataError(
                f"The benchmark {path} has an item without {', '.join(_QUESTIONS)}; its keys are "
                f"{shorten(', '.join(row), 200)}: rename the one with the question."
            )
        yield text
    if not row:
        raise DataError(f"The benchmark {path} is empty: remove it, or download it again.")


# ---------------------------------------------------------------- the account


class Account:
    """What was found, in four bytes a completion, and a hundred or two for one that is left out."""

    def __init__(self) -> None:
        self._codes = array("I")
        self._combinations: dict[tuple[str, ...], int] = {(): 0}
        self._examples: dict[str, list[str]] = {}
        self._lengths: Counter[int] = Counter()

    def add(self, completion: Completion, reasons: tuple[str, ...]) -> None:
        self._codes.append(self._code(completion.prompt_id, reasons))
        self._lengths[len(completion.completion)] += 1

    def flag(self, line: int, prompt_id: str, reason: str) -> None:
        """Leaves a completion out that nothing has flagged so far."""
        self._codes[line - 1] = self._code(prompt_id, (reason,))

    def _code(self, prompt_id: str, reasons: tuple[str, ...]) -> int:
        for reason in reasons:
            if len(known := self._examples.setdefault(reason, [])) < EXAMPLES:
                known.append(prompt_id)
        return self._combinations.setdefault(reasons, len(self._combinations))

    def summary(self) -> dict[str, Any]:
        combinations = [list(reasons) for reasons in self._combinations]
        left_out: Counter[str] = Counter()
        every: Counter[str] = Counter()
        for code, count in Counter(self._codes).items():
            left_out.update(dict.fromkeys(combinations[code][:1], count))
            every.update(dict.fromkeys(combinations[code], count))
        return {
            "completions": len(self._codes),
            "usable": len(self._codes) - left_out.total(),
            "left_out": dict(left_out),
            "reasons": {name: {"completions": every[name], "examples": self._examples[name]} for name in every},
            "left_out_lines": {str(line): combinations[code] for line, code in enumerate(self._codes, 1) if code},
            "characters": self._characters(),
        }

    def _characters(self) -> dict[str, int] | None:
        if not self._lengths:
            return None
        below, lengths = 0, sorted(self._lengths)
        for median in lengths:
            below += self._lengths[median]
            if below > len(self._codes) // 2:
                break
        return {"shortest": lengths[0], "median": median, "longest": lengths[-1]}


def _checked(config: FilterConfig, window: int | None, protected: Protected) -> dict[str, Any]:
    """Which filters ran, and how they were set."""
    length = {"window": window, "template_tokens": TEMPLATE_TOKENS}
    language = {"wanted": config.language, "least_letters": LANGUAGE_LETTERS}
    return {
        "length": length if window else "not checked: there was no tokenizer of the student",
        "language": language if config.language else "not checked: no language was asked for",
        "repetition": {
            "share": repetition.SHARE,
            "words": repetition.WORDS,
            "lines": repetition.LINES,
            "characters": repetition.CHARACTERS,
        },
        "near duplicate": {"jaccard": config.near_duplicate},
        "overlap": protected.sizes,
        "benchmarks": list(config.benchmarks) or "not checked: none was named",
    }
