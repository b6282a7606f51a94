"""Measured numbers as people read them, the same in the terminal, RESULTS.md and the history.

In: values of results.json. Out: short text, "—" for what is not known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mlx_distill.run.records import Estimate
from mlx_distill.run.results import Results
from mlx_distill.run.results.benchmarks import Benchmark, Published
from mlx_distill.run.results.choice import AgainstFirst, AnswerChoice, AnswerSource
from mlx_distill.run.results.comparison import Comparison
from mlx_distill.run.results.selection import Candidate, CandidateRow, Selection
from mlx_distill.run.results.training import Dataset, Training

NOTHING = "—"
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What moves a terminal's cursor, rings, or turns the direction of writing."""
LINE_ENDS = re.compile("\r\n?")


def visible(text: Any) -> str:
    """Untrusted text without what would act on the screen; its lines (whatever ends them) and tabs stay."""
    return CONTROLS.sub("\ufffd", LINE_ENDS.sub("\n", str(text)))


def estimate(value: Estimate | None, digits: int = 2, sign: str = "") -> str:
    """The mean with its interval: `+1.06 [+0.18, +1.96]`."""
    return _interval(value, f"{sign}.{digits}f")


def percent(value: Estimate | None) -> str:
    return _interval(value, ".0%")


def points(value: Estimate | None, digits: int = 1, sign: str = "") -> str:
    """A share, or a difference of shares, in points of a hundred: `+28.0 [+20.1, +36.0]`."""
    return estimate(value and value.times(100), digits, sign)


def dollars(value: Estimate | None) -> str:
    return _interval(value, ",.2f")


def _interval(score: Estimate | None, form: str) -> str:
    if score is None:
        return NOTHING
    if score.interval is None:
        return f"{score.mean:{form}}"
    low, high = score.interval
    return f"{score.mean:{form}} [{low:{form}}, {high:{form}}]"


def share(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.0%}"


def p_value(p: float | None) -> str:
    return NOTHING if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def tested(p: float | None) -> str:
    """A p-value within a sentence."""
    return "untested" if p is None else f"p {p_value(p)}" if p < 0.001 else f"p = {p_value(p)}"


def money(usd: float | None) -> str:
    return NOTHING if usd is None else f"${usd:,.2f}"


def memory(size: int | None) -> str:
    return NOTHING if size is None else f"{size / 2**30:.0f} GiB"


def duration(seconds: float | None) -> str:
    if seconds is None:
        return NOTHING
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:,.1f} min"


def plural(count: int, thing: str) -> str:
    return f"{count:,} {thing}" + ("" if count == 1 else "s")


def answers_made(comparison: Comparison) -> str:
    """How the compared answers came about."""
    if comparison.samples is None:
        return "one greedy answer a prompt"
    return f"{plural(comparison.samples, 'answer')} a prompt, sampled at temperature {comparison.temperature:g}"


def capital(words: str) -> str:
    """Words that begin a sentence; names within keep their case."""
    return words[:1].upper() + words[1:]


# ---------------------------------------------------------------- benchmarks

UNSHOWN = "no difference shown"

BOUNDS = {
    "floor": "on the floor: a loss cannot be seen here",
    "ceiling": "at the ceiling: a gain cannot be seen here",
}
"""Where a base stands that passes below 5 % or above 95 %."""


ELSEWHERE = "made elsewhere"
"""The answers of a benchmark that came in a file."""


def answers_an_item(row: Benchmark) -> str:
    """How many answers of a benchmark's item there are, and how they were drawn, as far as that is known."""
    if row.answers == ELSEWHERE:
        return f"{row.samples or 'one'}, drawn as their maker did"
    return f"{row.samples} at temperature {row.temperature:g}" if row.samples else "one, greedy"


def equivalence(row: Benchmark) -> str:
    """Whether both models are shown to be alike: "yes" only where a test says so."""
    shown = row.equivalence
    return NOTHING if shown is None else f"{'yes' if shown.shown else 'not shown'} ({tested(shown.p)})"


def form(row: Benchmark) -> str:
    """The shares of answers that kept to the asked format, in percent; "" where that is not known."""
    shares = [row.format.base, row.format.distilled] if row.format else []
    if not any(shares):
        return ""
    return " → ".join(NOTHING if share is None else f"{100 * share.mean:.1f}" for share in shares)


def overlapping(row: Benchmark) -> str:
    """Which items share words with the training prompts; "" for none."""
    overlap = row.overlap
    if not overlap or overlap.checked is None:
        return "not checked for items among the training prompts"
    if not overlap.items:
        return ""
    count = len(overlap.items)
    share_ = "shares" if count == 1 else "share"
    return f"{count} of {plural(row.items, 'item')} {share_} 13 words in a row with a training prompt"


def published(row: Benchmark, results: Results) -> list[Published]:
    """What others have published of this benchmark, whichever of its names they used."""
    names = {str(row.name).casefold(), str(row.title).casefold()}
    return [entry for entry in results.published if str(entry.benchmark).casefold() in names]


# ---------------------------------------------------------------- choice


def choice_source(side: AnswerSource, prompts: int) -> str:
    """What became of the answers of one side."""
    checked = f", {side.passed:,} of {side.checked:,} pass their checks" if side.checked else ""
    return f"{side.candidates:,}{checked}; chosen for {side.chosen:,} of {plural(prompts, 'prompt')}"


def against_first(value: AgainstFirst, digits: int) -> str:
    """`0.61, of the teacher's first answers 0.85 (−0.24 [−0.31, −0.17])`."""
    means = f"{value.chosen.mean:,.{digits}f}, of the teacher's first answers {value.first.mean:,.{digits}f}"
    return f"{means} ({estimate(value.change, digits, '+')})"


def choice(made: AnswerChoice) -> str:
    """The whole of it in a sentence."""
    shares = f"{made.teacher.chosen:,} of the teacher's answers, {made.student.chosen:,} of the student's own"
    left = f"; left out: {counts(made.left_out)}" if made.left_out else ""
    nats = f"; nats a token {against_first(made.nats, 2)}" if made.nats else ""
    return f"Chosen by {made.rule} for training: {shares}{left}{nats}."


# ---------------------------------------------------------------- selection


def candidate(place: Candidate | None) -> str:
    """Which checkpoint at which strength of the adapter; None is the base."""
    return "the base" if place is None else f"step {place.step} at strength {place.strength:g}"


def kept(selection: Selection) -> str:
    return f"Kept: {candidate(selection.chosen)}"


def reason(selection: Selection) -> str:
    """Why it was kept, a clause that may follow its name."""
    return str(selection.words).removeprefix(f"{candidate(selection.chosen)} ")


def selecting(selection: Selection) -> str:
    """How many items are held back to choose and to confirm: of a small benchmark fewer than were asked for."""
    counts = {row.title: row.choosing + row.confirming_most for row in selection.benchmarks}
    if len(set(counts.values())) == 1:
        return f"{plural(next(iter(counts.values())), 'item')} of each benchmark"
    return f"items ({', '.join(f'{count:,} of {title}' for title, count in counts.items())})"


def standing(selection: Selection, row: CandidateRow) -> list[str]:
    """What a candidate is among the others: mostly nothing."""
    place = row.candidate
    heldout = (row.step, row.strength) == (selection.heldout_best, 1.0)
    marks = {
        "kept": place == selection.chosen,
        "not confirmed": place in selection.refused,
        "lowest held-out loss": heldout,
    }
    return [words for words, holds in marks.items() if holds]


SHOWN_KEYS = 5


def counts(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in numbers.items())


def keys_in_words(unused: Mapping[str, int]) -> str:
    names = [f"{name} ({plural(count, 'row')})" for name, count in unused.items()]
    more = [f"{len(names) - SHOWN_KEYS} more"] if len(names) > SHOWN_KEYS else []
    return ", ".join([*names[:SHOWN_KEYS], *more])


def dataset(data: Dataset | None) -> list[tuple[str, str]]:
    """What became of the rows that were read, for terminal and report alike."""
    facts: list[tuple[str, str]] = []
    if not data:
        return facts
    if data.rows is not None:
        sentence = f"{plural(data.train, 'example')} to train on, {data.valid:,} held out"
        facts.append(("Rows", f"{data.rows:,}, which give {sentence}"))
    if data.left_out:
        facts.append(("Left out", counts(data.left_out)))
    if data.heldout_overlap:
        what = f"{data.heldout_overlap:,} of {data.valid:,} ask what is trained on, so the loss looks better"
        facts.append(("Held out", f"{what} than it is"))
    if data.turn_by_turn:
        many = plural(data.turn_by_turn, "conversation")
        facts.append(("Turn by turn", f"{many}: the chat template rewrites earlier turns"))
    if data.with_control_tokens:
        facts.append(("Control tokens", f"named in {plural(data.with_control_tokens, 'row')}, learnt as words"))
    if data.unused_keys:
        facts.append(("Keys not used", keys_in_words(data.unused_keys)))
    return facts


def drift_in_words(training: Training) -> str:
    """One sentence, "" where no drift was measured."""
    drift = training.drift
    if drift is None:
        return ""
    own, general = (f"{measure.best.mean:.3f}" for measure in (drift.own, drift.general))
    gain = f"{-training.heldout_loss.change.mean:.3f}"
    held = f", with {training.replay.share:.0%} replay" if training.replay else ", without replay"
    return (
        f"The kept step drifted {own} nats per token from its base on held-out answers and {general} on general "
        f"prompts{held}, for {gain} nats of held-out loss"
    )
