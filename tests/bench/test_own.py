import pytest
from conftest import missing

from mlx_distill import sandbox
from mlx_distill.bench.benchmark import Item, Mark, Scoring
from mlx_distill.bench.own import own

BENCHMARK = own("mine")
ADD = {"prompt": "Write add.", "checks": [{"run": "add(1, 2)", "expected": "3"}]}


def marks(row: dict[str, object], *texts: str) -> list[Mark]:
    (item,) = BENCHMARK.read([row])
    return list(BENCHMARK.score([(item, text) for text in texts], Scoring()))


@pytest.mark.parametrize(
    ("answer", "text", "right"),
    [
        ("Paris", "I think of it.\n\nparis.\n", True),
        ("Paris", "Paris is it, I think.", False),
        ("Paris", "Not Rome. \\boxed{Paris}\nThat is all.", True),
        ("1000", "So it is\n1,000", True),
        ("1000", "So it is\n1,001", False),
        ("0.5", "\\boxed{.50}", True),
        ("Paris", "", False),
        ("Paris", " \n ", False),
    ],
)
def test_an_answer_is_the_last_box_or_line(answer: str, text: str, right: bool) -> None:
    (mark,) = marks({"prompt": "q", "answer": answer}, text)
    assert mark.passed is right
    assert (mark.found is None) == (not text.strip())


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
