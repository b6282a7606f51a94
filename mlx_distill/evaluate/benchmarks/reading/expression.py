"""Which letters of an expression are variables, which are words, and which are its unit.

In: an answer written plainly, and as it was written. Out: the expression without its unit, and whether it has words
that nothing here reads. An expression with such words never reaches math-verify, which leaves words out.
"""

from __future__ import annotations

import re

from mlx_distill.evaluate.benchmarks.reading import quantity
from mlx_distill.evaluate.benchmarks.reading.numerals import listed
from mlx_distill.evaluate.benchmarks.reading.quantity import Quantity

LONGEST_UNIT = 60
SPLIT = re.compile(r"(?<=[0-9}) ])(?=[A-Za-z^\\$\u00a2-\u00a5\u20a0-\u20cf])")


def without_unit(text: str, things: frozenset[str]) -> tuple[str, Quantity | None]:
    r"""An expression and one of its unit: 12\pi cm^2. A letter alone is a unit only where there are no variables."""
    for place in SPLIT.finditer(text, max(0, len(text) - LONGEST_UNIT)):
        head, tail = text[: place.start()].strip(), text[place.start() :].strip()
        one = quantity.read(f"1 {tail}", things)
        variable = len(re.sub(r"[^A-Za-z]", "", tail)) == 1 and re.search(r"(?<![a-zA-Z\\])[a-zA-Z]", bare(head))
        if one and one.unit and one.value == 1 and not one.others and not variable and re.search(r"[\w})]$", head):
            return head, one
    return text, None


FUNCTIONS = frozenset(
    listed(
        "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp max min gcd lcm mod det dim sgn and "
        "or if"
    )
)


def bare(text: str) -> str:
    """Without commands and the names of environments."""
    return re.sub(r"\\[a-zA-Z]+", " ", re.sub(r"\\(?:begin|end)\s*\{[a-z*]+\}|\\mathbb\s*\{[A-Z]\}", " ", text))


def _runs(text: str) -> list[str]:
    return [run for run in re.findall("[^\\W0-9_]{2,}", bare(text)) if run not in FUNCTIONS]


TEXT = re.compile(r"\\(?:text[a-z]*|mbox|hbox|emph|mathrm|operatorname)\s*\{([^{}]*)\}")


def _texts(raw: str) -> set[str]:
    """The words that stand in a text's \\text{…}."""
    return {word for text in TEXT.findall(raw) for word in re.findall("[^\\W0-9_]{2,}", text)}


def is_wordy(wanted: str, raw: str, own: bool) -> bool:
    """Whether a gold answer is words, not a product of variables: 2xy + 1 and abc are products."""
    texts = _texts(raw)
    product = re.search(r"[-+*/^=_\\]|[0-9][a-zA-Z]", wanted)
    return any(run in texts or not (product or (len(run) < 4 and not own)) for run in _runs(wanted))


def has_words(text: str, raw: str, letters: set[str] | None = None) -> bool:
    """Whether an answer has words in it, which nothing here reads: letters that are no variables of the gold answer."""
    texts = _texts(raw)
    return any(run in texts or not set(run) <= (letters or set()) for run in _runs(text))
