"""Benchmarks of the user's own: answers, and checks."""

import pytest
from conftest import missing
from tables import every

from mlx_distill.evaluate.benchmarks import mathematics
from mlx_distill.evaluate.benchmarks.benchmark import Item, Mark, Scoring
from mlx_distill.evaluate.benchmarks.mathematics import Pool
from mlx_distill.evaluate.benchmarks.own import own
from mlx_distill.machine import sandbox
from mlx_distill.run.records import FORMAT

BENCHMARK = own("mine")
ADD = {"prompt": "Write add.", "checks": [{"run": "add(1, 2)", "expected": "3"}]}


@pytest.fixture
def own_pool(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """One set of processes for all rows of a table."""
    monkeypatch.setattr(pool, "close", lambda: None)
    monkeypatch.setattr(mathematics, "Pool", lambda: pool)


def marks(row: dict[str, object], *texts: str) -> list[Mark]:
    (item,) = BENCHMARK.read([row])
    return list(BENCHMARK.score([(item, text) for text in texts], Scoring()))


RIGHT = [
    ("Paris", "I think of it.\n\nparis.\n"),
    ("Paris", "Not Rome. \\boxed{Paris}\nThat is all."),
    ("Paris", "**Paris**"),
    ("Paris", "The answer is Paris."),
    ("Paris", "**Answer:** Paris\n\nI hope this helps!"),
    ("Paris", "The capital of France is **Paris**."),
    ("Paris", "So the capital is Paris."),
    ("Paris", r"\boxed{\text{Paris}}"),
    ("Paris", "\\boxed{Paris}\n\nThe answer is in \\boxed{}."),
    ("St. Louis", "The answer is St. Louis."),
    ("sell", 'The opposite of "buy" is "sell."'),
    ("had", 'The past of "have" is "had".'),
    ("What is love", "What is love"),
    ("1000", "So it is\n1,000"),
    ("1000", "So it is\n1 thousand"),
    ("0.5", "\\boxed{.50}"),
    ("1/2", r"\boxed{\frac{1}{2}}"),
    (0.5, "1/2"),
    (3.1, "3.10"),
    ("5", r"\boxed{x=5}"),
    ("5", "#### 5 km"),
    ("5", "So there are 5 eggs left."),
    ("(1,2)", r"\boxed{(1, 2)}"),
    ("B", "(B)"),
    ("B", "B) Oslo"),
    ("B", "The correct answer is (B) Oslo."),
    ("(B) Oslo", "B"),
    ("(B) Oslo", "Oslo"),
    ("na\u00efve", "nai\u0308ve"),
    ("12 May", "May 12th"),
    ("12 May", "The answer is 12 May."),
    ("10 meters", "10 m"),
    ("10 meters", "It is 10 metres."),
    ("$50", "50 dollars"),
    ("50%", "one half"),
    ("3.10", "3.10"),
    ("10:30", "10:30"),
    ("x^2 + 1", "1 + x^2"),
]
WRONG = [
    ("Paris", "Paris is it, I think."),
    ("Paris", ""),
    ("Paris", " \n "),
    ("Paris", "The answer is not Paris."),
    ("Paris", "The answer is Rome, not Paris."),
    ("Paris", "I doubt that it is Paris."),
    ("1000", "So it is\n1,001"),
    ("5", "5 hundred"),
    ("12 May", "12 June"),
    ("12 May", "13 May"),
    ("12 May", "12"),
    ("100 Main Street", "100 Oak Avenue"),
    ("7 Samurai", "7 Dwarfs"),
    ("7 Samurai", "7"),
    ("3 blind mice", "3 little pigs"),
    ("10 meters", "10 miles"),
    ("10 meters", "10"),
    ("50 cents", "50 dollars"),
    ("$50", "50%"),
    ("3.10", "3.1"),
    ("007", "7"),
    ("2020-05-12", "2003"),
    ("10:30", "10"),
    ("555-1234", "-679"),
    ("B", "(C)"),
    ("B", "(B) or (C)"),
    ("A. Smith", "A"),
    ("(B) Oslo", "(B) Rome"),
    ("1/2", r"\boxed{\frac{1}{3}}"),
]


@every("answer, text, right", [*((*row, True) for row in RIGHT), *((*row, False) for row in WRONG)])
def test_an_answer_is_what_a_careful_reader_finds(own_pool: None, answer: object, text: str, right: bool) -> None:
    (mark,) = marks({"prompt": "q", "answer": answer}, text)
    assert mark.passed is right
    assert (mark.found is None) == (not text.strip())


@every(
    "text, strict",
    [
        ("Paris", True),
        ("I thought.\nParis.", True),
        (r"It is \boxed{Paris}.", True),
        ("The answer is Paris.", False),
        ("**Paris**", False),
        ("The capital is Rome.", False),
    ],
)
def test_the_format_is_told_apart_from_the_answer(own_pool: None, text: str, strict: bool) -> None:
    (mark,) = marks({"prompt": "q", "answer": "Paris"}, text)
    assert mark.parts == {FORMAT: strict}


def test_a_distilled_model_that_learns_the_dates_is_shown_to_be_better() -> None:
    """Both gave the number before: 100 % against 100 %."""
    rows = [{"prompt": f"{day}?", "answer": f"{day} May"} for day in range(1, 21)]
    items = BENCHMARK.read(rows)
    for month, right in (("May", True), ("June", False)):
        cases = [(item, f"{day} {month}") for day, item in enumerate(items, 1)]
        assert {mark.passed for mark in BENCHMARK.score(cases, Scoring())} == {right}


def test_a_number_that_the_cap_cut_off_is_no_answer(own_pool: None) -> None:
    (item,) = BENCHMARK.read([{"prompt": "q", "answer": "18"}])
    for text, right in (("So it is 18", False), ("So it is \\boxed{18}. Or", True)):
        (mark,) = BENCHMARK.score([(item, text)], Scoring(cut=frozenset({text})))
        assert mark.passed is right


def test_checks_are_executed_and_no_code_is_no_answer() -> None:
    if sandbox.level() == "none":
        missing("this machine offers no sandbox")
    right, wrong, words = marks(
        ADD, "```python\ndef add(a, b):\n    return a + b\n```", "```python\ndef add(a, b):\n    return a\n```", "Add."
    )
    assert (right.passed, right.found, right.sandbox) == (True, "1 of 1 checks", sandbox.level())
    assert (wrong.passed, wrong.found) == (False, "0 of 1 checks")
    assert (words.passed, words.found) == (False, None)


def test_items_have_an_id_of_their_own() -> None:
    first, second = BENCHMARK.read([{"prompt": "a", "answer": "1"}, {"prompt": "b", "answer": "1"}])
    assert isinstance(first, Item)
    assert first.id != second.id
