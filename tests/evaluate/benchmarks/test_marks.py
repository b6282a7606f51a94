"""Whether an answer is right does not depend on how it is written or where it stands, and no word of it is left out."""

import logging
import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import every
from written_answers import RIGHT, WRONG

from mlx_distill.evaluate.benchmarks.benchmark import Item
from mlx_distill.evaluate.benchmarks.mathematics import Pool, mark
from mlx_distill.evaluate.benchmarks.reading import quantity, signs
from mlx_distill.evaluate.benchmarks.reading.final import boxed, final, last
from mlx_distill.evaluate.benchmarks.reading.quantity import Quantity
from mlx_distill.evaluate.benchmarks.reading.sameness import Gold, same
from mlx_distill.evaluate.benchmarks.reading.units import counted
from mlx_distill.run.records import FORMAT

DOCS = Path(__file__).parents[3] / "docs/marks.md"


def agrees(pool: Pool, gold: str, answer: str, question: str = "") -> bool:
    return same(Gold(gold, question), answer, pool.compare)[0]


# Sameness


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.real)])
def test_answers_that_say_the_same_and_that_do_not(pool: Pool, step: int) -> None:
    assert [pair for pair in RIGHT[::step] if not agrees(pool, *pair)] == []
    assert [pair for pair in WRONG[::step] if agrees(pool, *pair)] == []


def documented() -> list[list[str]]:
    rows = [line.strip("| \n").split(" | ") for line in DOCS.read_text("utf-8").splitlines() if line.startswith("| `")]
    return [[cell.strip("` ") for cell in row] for row in rows if row[2] in ("right", "wrong")]


def test_the_examples_of_the_documentation_hold(pool: Pool) -> None:
    assert len(documented()) > 40
    assert [row for row in documented() if agrees(pool, row[0], row[1]) != (row[2] == "right")] == []


@pytest.mark.real
def test_the_documentation_says_how_math_verify_marks_them() -> None:
    from math_verify import parse, verify

    logging.disable(logging.CRITICAL)
    found = []
    for gold, answer, _, theirs, *_ in documented():
        texts = (parse(rf"\boxed{{{text}}}", parsing_timeout=None) for text in (gold, answer))
        if verify(*texts, timeout_seconds=None) != (theirs == "right"):
            found.append((gold, answer))
    logging.disable(logging.NOTSET)
    assert found == []


@every(
    "gold, answer, question, right",
    [
        ("20", "20 samurai", "How many samurai are there?", True),
        ("20", "20 samurai", "Tell me the number.", False),
        ("20", "20 red samurai", "How many red samurai are there?", True),
        ("3", "3 quarters", "How many quarters does she have?", True),
        ("0.5", r"0.5\%", "What percent is it?", True),
        ("0.5", r"50\%", "What share is it?", True),
        ("125,600", "125600", "How many people live there?", True),
        ("125,600", "125600", "Give all solutions.", False),
        ("5", "5 below zero", "How many degrees below zero?", False),
    ],
)
def test_the_question_says_what_is_counted(pool: Pool, gold: str, answer: str, question: str, right: bool) -> None:
    assert agrees(pool, gold, answer, question) is right


# Places

BOXES = [
    r"\boxed{%s}",
    "So\n\n$$\\boxed{%s}$$",
    r"\fbox{%s}",
    r"\boxed{\boxed{%s}}",
    "It is \\boxed{%s}.\n\nAs asked, it stands within \\boxed{}.",
    r"$\boxed{%s}$ is it, in a `\boxed{answer}`.",
]
FORMATS = [
    "The answer is $%s$.",
    "**%s**",
    "1 + 1 = 2.\n\n%s",
    "Therefore, the final answer is: **%s**",
    "Hence the answer is\n\n\\[ %s \\]",
    "Answer: %s",
    "**Answer:** %s",
    "#### %s",
    "There are 3 cases.\n\nFinal Answer: $%s$\n\nI hope this helps!",
    "So, the answer is:\n$$%s$$",
    "### Final answer\n\n%s",
    "The final answer is %s. This is because of the above.",
]
SIMPLE = [pair for pair in RIGHT if not re.search(r"\$|answer|boxed|\\\\", pair[1])]
FALSE = [pair for pair in WRONG if "$" not in pair[1]]


@settings(max_examples=100)
@given(st.sampled_from(SIMPLE), st.sampled_from(BOXES + FORMATS))
def test_no_format_makes_a_right_answer_wrong(pool: Pool, pair: tuple[str, str], form: str) -> None:
    gold, answer = pair
    found = mark((Item("x", "1", "?", data={"answer": gold}), form % answer), pool.compare)
    assert found.passed, found
    assert found.parts == {FORMAT: form in BOXES}


@settings(max_examples=100)
@given(st.sampled_from(FALSE), st.sampled_from(BOXES + FORMATS))
def test_no_format_makes_a_wrong_answer_right(pool: Pool, pair: tuple[str, str], form: str) -> None:
    gold, answer = pair
    assert not mark((Item("x", "1", "?", data={"answer": gold}), form % answer), pool.compare).passed


@every(
    "text, found",
    [
        (r"so \boxed{5}.", "5"),
        (r"\boxed{1} no, \boxed{2}", "2"),
        (r"\boxed{\frac{1}{2}} that is all", r"\frac{1}{2}"),
        (r"\fbox{7}", "7"),
        (r"\boxed {7}", "7"),
        (r"\boxed{\left\{ x \right.}", r"\left\{ x \right."),
        (r"\boxed{\boxed{5}}", r"\boxed{5}"),
        (r"\boxed{ 5 }", "5"),
        (r"\boxed{}", ""),
        (r"\boxed{1} and \boxed{2", None),
        (r"\boxed{\frac{1}{2}", None),
        ("The answer is 5.", None),
        ("", None),
        (r"\boxed 5", "5"),
        (r"$\boxed5$", "5"),
        (r"\boxed 42.", "42"),
        (r"\boxed(5)", "5"),
        (r"\boxed\frac{1}{2}", r"\frac{1}{2}"),
        ("boxed{5}", "5"),
        (r"\boxed{5$ is it", "5"),
        (r"\boxed{2} and \boxed{3}", "2, 3"),
        (r"$x = \boxed{2}$ and $y = \boxed{3}$.", "2, 3"),
        (r"\boxed{5}, \boxed{5}", "5"),
        (r"\boxed{5} as \boxed{...}", "5"),
        (r"\boxed{5}, not `\boxed{6}`", "5"),
        (r"“\boxed{6}”", "6"),
    ],
)
def test_the_answer_is_the_last_box_that_is_meant(text: str, found: str | None) -> None:
    assert boxed(text) == found


@every(
    "text, found",
    [
        ("She earns $1,800.00 a day.", "$1,800.00 a day"),
        ("20 - 2 = 18", "20 - 2 = 18"),
        ("It is 118.", "118"),
        (r"Thus $\left(3,\frac{\pi}{2}\right)$.", r"\left(3,\frac{\pi}{2}\right)"),
        ("It is even.", "even"),
        (r"\boxed{18", None),
        ("9 * 2 = 18\n#### $1,800\n", "$1,800"),
        ("#### 1080 km", "1080 km"),
        ("#### x = 5", "x = 5"),
        ("#### Step 4: add them", None),
        ("####", None),
        (r"#### 1 but \boxed{2}", "2"),
        (r"#### 1 but \boxed{2", None),
        ("16 - 3 - 4 = 9 eggs.\nShe makes 9 * 2 = $18 every day at the farmer's market.", r"\$18"),
        ("So the total is 2+1=3 bolts.", "3 bolts"),
        ("He needs 20 minutes more than 5 hours", None),
        ("The total is 3 hours 20 minutes.", "3 hours 20 minutes"),
        ("There are 5 out of 20", None),
        ("The answer is not 5.", None),
        ("I think the answer is 5, but I may be wrong.", "5"),
        ("The answer is 5.\nWait, actually it's 6.\n\n**6**", "**6**"),
        ("The answer is 5.\n\nThis took 3 steps.", "5."),
        ("### Answer\n18 dollars", "18 dollars"),
        ("The answer is B because 2+2=4.", "B"),
        ("the answer is: 1,080 km (rounded).", "1,080 km"),
        ("He saved 50%.", r"50\%"),
    ],
)
def test_without_a_box_it_is_what_the_text_states(text: str, found: str | None) -> None:
    reading = final(text)
    assert (reading and reading.text.strip()) == found


@every(
    "text, found",
    [
        ("So she has 18", None),
        ("3 + 5 = 8\nSo she has 18", None),
        ("The answer is 18", None),
        ("The answer is 18.", None),
        ("The answer is 18. She has", "18"),
        ("#### 18\n\nLet me", "18"),
        ("#### 18", None),
        ("The answer is 18.\nWait, I", None),
        ("The answer is 18.\nThe answer is 1", "18"),
        ("It is **18**", None),
        (r"It is \boxed{18}. To che", "18"),
        (r"It is \boxed{18}", "18"),
        (r"It is \boxed{18", None),
        (r"It is \boxed 1", None),
        (r"It is \boxed 1. Now", "1"),
    ],
)
def test_where_it_was_cut_off_nothing_is_an_answer_by_luck(text: str, found: str | None) -> None:
    reading = final(text, cut=True)
    assert (reading and reading.text.strip(" .")) == found
    assert [each.text for each in last(text, cut=True)][:1] == ([reading.text] if reading else [])


def test_of_a_sentence_about_the_answer_both_are_read() -> None:
    assert [reading.text for reading in last("I thought.\nThe capital of Norway is Oslo.")] == [
        "The capital of Norway is Oslo.",
        "Oslo",
    ]
    assert [(reading.text, reading.strict) for reading in last("Oslo\n")] == [("Oslo", True)]


# Quantities

HOUR, MINUTE, DOLLAR = (("hour", 1),), (("minute", 1),), (("dollar", 1),)


@every(
    "text, value, unit",
    [
        ("18", "18", ()),
        (r"\$18.00", "18", DOLLAR),
        ("11,\\! 111,\\! 111,\\! 100", "11111111100", ()),
        (r"2\,220", "2220", ()),
        (r"90^{\circ}", "90", (("degree", 1),)),
        (r"\text{18 dollars per day}", "18", (("day", -1), *DOLLAR)),
        ("6.72e-5", "21/312500", ()),
        ("seven and a half million", "7500000", ()),
        ("three quarters", "3/4", ()),
        ("one hundred and five", "105", ()),
        ("half an hour", "1/2", HOUR),
        ("5'6\"", "11/2", (("foot", 1),)),
        ("5 ㎡", "5", (("metre", 2),)),
        ("864 square inches", "864", (("inch", 2),)),
        ("0.3\u0305", "1/3", ()),
        ("20 degrees Celsius", "20", (("celsius", 1),)),
    ],
)
def test_a_quantity_is_read_as_it_is_written(text: str, value: str, unit: quantity.Unit) -> None:
    found = quantity.read(signs.plain(text))
    assert found
    assert (found.value, found.unit) == (Fraction(value), unit)


@every(
    "text",
    [
        *("", "x", "1,2", "1, 000", "12,34", "5 pi", "5 x", "5x", r"5\pi", "2^3", "3!", "1.2.3", "3 or 4", "nan"),
        *("infinity", "1e9999", "٣", "9" * 2000, "5 widgets", "3 hours 20 dollars", "20 minutes 3 hours", "1/0"),
        *("five six", "hundred", "and", "a", "5..."),
    ],
)
def test_what_is_not_wholly_a_quantity_is_none(text: str) -> None:
    assert quantity.read(signs.plain(text)) is None


TEENS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
)
TEENS += "eighteen nineteen"
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"


def spelt(number: int) -> str:
    """A naive speller, for an oracle."""
    for size, name in ((10**6, "million"), (1000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = number % size
            return f"{spelt(number // size)} {name}" + (f" {'and ' if rest < 100 else ''}{spelt(rest)}" if rest else "")
    if number < 20:
        return TEENS.split()[number]
    return TENS.split()[number // 10 - 2] + (f"-{spelt(number % 10)}" if number % 10 else "")


@given(st.integers(0, 10**9 - 1))
def test_numbers_in_words(number: int) -> None:
    assert quantity.read(spelt(number)) == Quantity(Fraction(number))


def expanded(over: int, under: int) -> str:
    r"""Long division: 1/6 is 0.1\overline{6}."""
    whole, rest = divmod(over, under)
    digits, seen = "", {}
    while rest and rest not in seen:
        seen[rest] = len(digits)
        digits += str(10 * rest // under)
        rest = 10 * rest % under
    if not rest:
        return f"{whole}.{digits or '0'}"
    return rf"{whole}.{digits[: seen[rest]]}\overline{{{digits[seen[rest] :]}}}"


@given(st.integers(0, 500), st.integers(1, 60))
def test_repeating_decimals_are_exact(over: int, under: int) -> None:
    assert quantity.read(expanded(over, under)) == Quantity(Fraction(over, under))


@given(st.fractions(-1000, 1000, max_denominator=50), st.integers(-30, 30))
def test_precision_is_relative(value: Fraction, power: int) -> None:
    """A ten-thousandth more is another number, however small both are; ten digits of a decimal without an end pass."""
    value *= Fraction(10) ** power
    assert quantity.close(value, value)
    assert not quantity.close(value, value * Fraction(10001, 10000)) or not value
    third = abs(value) / 7 + Fraction(10) ** power
    assert quantity.close(third, Fraction(f"{float(third):.14e}"))
    assert not quantity.close(third, Fraction(f"{float(third):.5e}")) or third == Fraction(f"{float(third):.5e}")


def test_what_a_question_counts() -> None:
    assert counted("How many red eggs are there, and what is the number of pears?") == {
        *("red", "eggs", "egg"),
        *("pears", "pear"),
    }
    assert counted("How many more than before? Give a total.") == set()
