"""Which answers end in a loop: ends that SmolLM2-135M wrote, as base and distilled, and what only looks like one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import every

from mlx_distill.run.prompts import data_folder
from mlx_distill.summarise.loops import LONG, ROUNDS, WINDOW, ends_in_loop

WRITTEN = {
    "words": "It uses a nested list" + " that creates a nested list comprehension" * 49 + " that creates a",
    "part of a word": 'print(roman_to_int("IVIII"))  # Output: 4\nprint(roman_to_int("' + "IV" * 218,
    "a name": "class Override" + "_override" * 114 + "_",
    "one line": "from collections.abc import Callable, Dict\n" * 42 + "from collections.",
    "an empty docstring": 'def balanced(values):\n    """\n' + '    """\n' * 157,
    "two lines": (
        "        self.put_key_value_set_set_set = {}\n        self.get_key_value_set_set_set = {}\n" * 10
        + "        self"
    ),
    "a block": (
        '\nif __name__ == "__main__":\n    while True:\n        job = signal(signal.SIGTERI off, SIGTERM)\n'
        "        job.run()\n        job.terminate()\n\n"
    ) * 6 + "\nif __name__",
    "several functions": (
        '    def payment_method_callback(method, amount):\n        return {\n            "payment_method": method,\n'
        '            "amount": amount\n        }\n    def payment_type_callback(payment_type, amount):\n'
        '        return {\n            "payment_type": payment_type,\n            "amount": amount\n        }\n'
    ) * 5 + "    def payment",
    "empty lines": "def f(x):\n    return x" + "\n" * 300,
    "a loop, then the end": "So the answer is: " + "yes, it is, " * 30 + "\n\n",
}  # fmt: skip

RIGHT = {
    "no text": "",
    "a short answer": "```python\ndef f(x: int) -> int:\n    return x\n```",
    "a rule": "The end.\n" + "-" * 80,
    "a board": "board = [\n" + "    [0, 0, 0, 0, 0, 0, 0, 0],\n" * 8 + "]\n```\nIt has eight rows.",
    "a table": "| n | square |\n|---|---|\n" + "".join(f"| {n} | {n * n} |\n" for n in range(200)),
    "a long list": "".join(f"{n}. The item number {n} of the list is here.\n" for n in range(100)),
    "tests that are alike": "".join(f"assert add({n}, 1) == {n + 1}\n" for n in range(90)),
    "lines that come twice": "    self.left = None\n    self.right = None\n" * 2 + "    return self\n",
    "a loop that was left": "the same again " * 40 + "and then the model went on to its end.",
}  # fmt: skip


@every("name", WRITTEN)
def test_what_a_stuck_model_wrote_ends_in_a_loop(name: str) -> None:
    assert ends_in_loop(WRITTEN[name])


@every("name", RIGHT)
def test_what_repeats_with_changes_or_in_the_middle_does_not(name: str) -> None:
    assert not ends_in_loop(RIGHT[name])


def test_no_reference_answer_ends_in_a_loop() -> None:
    lines = (data_folder() / "recorded.jsonl").read_text().splitlines()
    assert [line for line in lines if ends_in_loop(json.loads(line)["completion"])] == []


@pytest.mark.parametrize(("rounds", "loops"), [(ROUNDS - 1, False), (ROUNDS, True)])
def test_a_long_round_must_stand_there_three_times(rounds: int, loops: bool) -> None:
    one = "".join(f"step {n}; " for n in range(30))
    assert ends_in_loop("First: " + one * rounds) is loops


def slow(text: str) -> bool:
    """The definition, tried for every period."""
    end = text[-WINDOW:]
    lengths = {period: max(LONG, ROUNDS * period) for period in range(1, len(end) // ROUNDS + 1)}
    return any(
        length <= len(end) and all(end[-at] == end[-at - period] for at in range(1, length - period + 1))
        for period, length in lengths.items()
    )


TEXTS = st.text("ab\n", max_size=120)


@given(TEXTS, TEXTS, st.integers(0, 8), st.text("ab", max_size=3))
def test_it_is_as_if_every_period_had_been_tried(before: str, one: str, rounds: int, after: str) -> None:
    text = before + one * rounds + after
    assert ends_in_loop(text) == (slow(text) or slow(text.rstrip()))
