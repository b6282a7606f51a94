import itertools
import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ifeval_examples import ENGLISH, EXAMPLES
from tables import every

from mlx_distill.evaluate.benchmarks.benchmark import Item, Mark, Scoring
from mlx_distill.evaluate.benchmarks.ifeval import IFEVAL, accuracies, content, form
from mlx_distill.evaluate.benchmarks.ifeval.marking import CHECKS, mark, variants
from mlx_distill.evaluate.benchmarks.ifeval.sentences import sentences
from mlx_distill.evaluate.benchmarks.ifeval.text import capital_words, is_in
from mlx_distill.run.errors import DataError

RIGHT = [(name, arguments, answer) for name, arguments, right, _ in EXAMPLES for answer in right]
WRONG = [(name, arguments, answer) for name, arguments, _, wrong in EXAMPLES for answer in wrong]

SHORT_TEXTS = st.one_of(
    *(st.text(alphabet=alphabet, max_size=20) for alphabet in ("a*- \n\t", "a[]\n", "a<> \n", "PpS. \n", "#1 \u2028\n"))
)


def asked(*instructions: tuple[str, Mapping[str, Any]]) -> Item:
    return Item("ifeval", "1", "Do so.", data={"instructions": instructions})


def strict(name: str, arguments: Mapping[str, Any], text: str) -> bool:
    found = mark(asked((name, arguments)), text)
    assert found.passed == found.parts[f"strict 1 {name}"]
    return bool(found.passed)


def rows_of(shared: Path) -> list[dict[str, Any]]:
    lines = (shared / "benchmarks/ifeval/input_data.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


@every("name, arguments, text", RIGHT)
def test_an_answer_that_follows_its_instruction_passes(name: str, arguments: dict[str, Any], text: str) -> None:
    assert strict(name, arguments, text)


@every("name, arguments, text", WRONG)
def test_an_answer_that_does_not_follow_its_instruction_fails(name: str, arguments: dict[str, Any], text: str) -> None:
    found = mark(asked((name, arguments)), text)
    assert found.passed is False
    assert found.found == text.strip()
    assert found.detail == f"not followed: {name}"


def test_each_of_the_25_instructions_has_two_right_and_two_wrong_answers() -> None:
    assert len(CHECKS) == 25
    assert {name for name, *_ in EXAMPLES} == set(CHECKS)
    assert all(len(right) >= 2 and len(wrong) >= 2 for _, _, right, wrong in EXAMPLES)


@pytest.mark.parametrize(
    ("name", "arguments", "unit"),
    [
        ("keywords:frequency", {"keyword": "war", "frequency": 4}, "war "),
        ("keywords:letter_frequency", {"letter": "q", "let_frequency": 4}, "Q"),
        ("length_constraints:number_sentences", {"num_sentences": 4}, "Go on. "),
        ("length_constraints:number_words", {"num_words": 4}, "word "),
        ("change_case:capital_word_frequency", {"capital_frequency": 4}, "NASA "),
    ],
)
def test_at_least_takes_the_number_itself_and_less_than_does_not(
    name: str, arguments: dict[str, Any], unit: str
) -> None:
    relation = {"keywords:letter_frequency": "let_relation", "change_case:capital_word_frequency": "capital_relation"}
    for count in range(1, 8):
        for words, expected in (("at least", count >= 4), ("less than", count < 4)):
            given = arguments | {relation.get(name, "relation"): words}
            assert strict(name, given, unit * count) is expected, (words, count)


@pytest.mark.parametrize(
    ("name", "arguments", "unit"),
    [
        ("detectable_format:number_bullet_lists", {"num_bullets": 3}, "* point\n"),
        ("length_constraints:number_paragraphs", {"num_paragraphs": 3}, "text\n***\n"),
    ],
)
def test_bullets_and_paragraphs_are_counted_exactly(name: str, arguments: dict[str, Any], unit: str) -> None:
    assert [strict(name, arguments, unit * count) for count in range(1, 6)] == [False, False, True, False, False]


@pytest.mark.parametrize(
    ("name", "arguments", "unit"),
    [
        ("detectable_format:number_highlighted_sections", {"num_highlights": 3}, "*so* "),
        ("detectable_format:multiple_sections", {"num_sections": 3, "section_spliter": "Day"}, "Day 1\ntext\n"),
        ("detectable_content:number_placeholders", {"num_placeholders": 3}, "[name] "),
    ],
)
def test_sections_highlights_and_placeholders_may_be_more(name: str, arguments: dict[str, Any], unit: str) -> None:
    assert [strict(name, arguments, unit * count) for count in range(1, 6)] == [False, False, True, True, True]


def test_a_paragraph_beyond_the_last_has_no_first_word() -> None:
    arguments = {"num_paragraphs": 1, "nth_paragraph": 2, "first_word": "elm"}
    assert not strict("length_constraints:nth_paragraph_first_word", arguments, "elm")


@every("text, name", itertools.product(["", " ", "\n\n\t\n", "\u2028"], sorted(CHECKS)))
def test_an_empty_answer_follows_nothing(name: str, text: str) -> None:
    arguments = next(arguments for known, arguments, *_ in EXAMPLES if known == name)
    found = mark(asked((name, arguments)), text)
    assert found == Mark(
        False, None, "no answer", {"prompt, loose": False, f"strict 1 {name}": False, f"loose 1 {name}": False}
    )


NO_COMMA = ("punctuation:no_comma", {})
QUOTED = ("startend:quotation", {})
LOWER = ("change_case:english_lowercase", {})
FIRST_WORD = (
    "length_constraints:nth_paragraph_first_word",
    {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "elm"},
)


@every(
    "instruction, text",
    [
        (NO_COMMA, "Sure, here it is:\nOne and two."),
        (NO_COMMA, "One and two.\nThat, too."),
        (NO_COMMA, "Sure, here:\nOne and two.\nThat, too."),
        (QUOTED, '**"One and two."**'),
        (QUOTED, 'Sure:\n*"One and two."*'),
        (QUOTED, '*"One and two."*\nSo long'),
        (QUOTED, 'Sure:\n\n*"One and two."*\n\nSo long'),
        (("detectable_format:json_format", {}), "Here it is:\n[1]"),
        (LOWER, f"Sure!\n{ENGLISH}"),
        (FIRST_WORD, "Sure:\n\n\nElm trees.\n\nOaks."),
    ],
)
def test_loose_forgives_stars_a_first_and_a_last_line(instruction: tuple[str, dict[str, Any]], text: str) -> None:
    found = mark(asked(instruction), text)
    assert found.passed is False
    assert found.parts == {
        "prompt, loose": True,
        f"strict 1 {instruction[0]}": False,
        f"loose 1 {instruction[0]}": True,
    }
    assert found.detail == f"not followed: {instruction[0]}"


@pytest.mark.parametrize(
    ("instruction", "text"),
    [
        (NO_COMMA, "One, two.\nThree, four.\nFive, six."),
        (NO_COMMA, "One, two."),
        (NO_COMMA, "Sure,\nyes,\nOne and two."),
        (QUOTED, '_"One and two."_'),
    ],
)
def test_loose_forgives_no_more(instruction: tuple[str, dict[str, Any]], text: str) -> None:
    assert mark(asked(instruction), text).parts["prompt, loose"] is False


def test_the_eight_forms_of_an_answer() -> None:
    assert set(variants("*a*\n*b*\n*c*")) == {
        *("*a*\n*b*\n*c*", "*b*\n*c*", "*a*\n*b*", "*b*"),
        *("a\nb\nc", "b\nc", "a\nb", "b"),
    }
    assert variants("one line") == ["one line"]
    assert variants(" \n ") == []


def test_each_instruction_is_loose_on_its_own() -> None:
    """Different forms may follow different instructions, as published: no one form follows both of these."""
    found = mark(asked(NO_COMMA, ("detectable_format:number_highlighted_sections", {"num_highlights": 1})), "*a*, b\nc")
    assert found.parts["prompt, loose"] is True
    found = mark(asked(NO_COMMA, ("keywords:existence", {"keywords": ["sure"]})), "Sure, here:\nOne and two.")
    assert found.passed is False
    assert found.parts["prompt, loose"] is True


def test_what_was_not_followed_is_named_and_the_same_instruction_twice_is_told_apart() -> None:
    least = ("length_constraints:number_words", {"num_words": 2, "relation": "at least"})
    most = ("length_constraints:number_words", {"num_words": 4, "relation": "less than"})
    found = mark(asked(least, NO_COMMA, most), " one, two three four \n")
    assert found.passed is False
    assert found.found == "one, two three four"
    assert found.detail == "not followed: punctuation:no_comma, length_constraints:number_words"
    assert found.parts == {
        "prompt, loose": False,
        "strict 1 length_constraints:number_words": True,
        "loose 1 length_constraints:number_words": True,
        "strict 2 punctuation:no_comma": False,
        "loose 2 punctuation:no_comma": False,
        "strict 3 length_constraints:number_words": False,
        "loose 3 length_constraints:number_words": False,
    }


def test_all_prompts_are_read_with_instructions_that_can_be_checked(shared: Path) -> None:
    rows = rows_of(shared)
    items = IFEVAL.read(rows)
    assert len({item.id for item in items}) == len(items) == IFEVAL.size
    assert [item.prompt for item in items] == [row["prompt"] for row in rows]
    assert {name for item in items for name, _ in item.data["instructions"]} == set(CHECKS)
    assert sum(len(item.data["instructions"]) for item in items) == 834
    assert all(columns <= rows[0].keys() for columns in IFEVAL.columns)
    for found in IFEVAL.score([(item, "Yes, *sure*.\nP.S. So.") for item in items[::5]], Scoring()):
        assert found.passed in (True, False)


def test_the_form_of_the_hub_gives_the_same_items(shared: Path) -> None:
    rows = rows_of(shared)
    every = {argument: None for row in rows for arguments in row["kwargs"] for argument in arguments}
    hub = [row | {"kwargs": [every | arguments for arguments in row["kwargs"]]} for row in rows]
    assert len(hub[0]["kwargs"][0]) > 20
    assert IFEVAL.read(hub) == IFEVAL.read(rows)
    fractions = [{k: float(v) if isinstance(v, int) else v for k, v in a.items()} for a in rows[0]["kwargs"]]
    (item,) = IFEVAL.read([rows[0] | {"kwargs": fractions}])
    assert all(not isinstance(v, float) for _, arguments in item.data["instructions"] for v in arguments.values())


def test_categories_are_families_and_the_difficulty_counts_instructions(shared: Path) -> None:
    items = {item.id: item for item in IFEVAL.read(rows_of(shared))}
    assert (items["1001"].category, items["1001"].difficulty) == ("punctuation", "1 instruction")
    assert (items["1000"].category, items["1000"].difficulty) == ("several families", "3 instructions")
    assert {item.category for item in items.values()} == {name.partition(":")[0] for name in CHECKS} | {
        "several families"
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"instruction_id_list": ["keywords:unheard_of"]},
        {"kwargs": [{"num_words": 3, "relation": None}]},
        {"kwargs": [{"num_words": 3, "relation": "more than"}]},
        {"kwargs": [{"num_words": float("nan"), "relation": "at least"}]},
        {"kwargs": [{"num_words": 3, "relation": "at least", "letter": "a"}]},
        {"kwargs": []},
    ],
)
def test_a_prompt_that_cannot_be_checked_is_said_when_it_is_read(wrong: dict[str, Any]) -> None:
    row = {
        "key": 77,
        "prompt": "Go on.",
        "instruction_id_list": ["length_constraints:number_words"],
        "kwargs": [{"num_words": 3, "relation": "at least"}],
    }
    assert IFEVAL.read([row])[0].id == "77"
    with pytest.raises(DataError, match=r"77.*input_data\.jsonl"):
        IFEVAL.read([row | wrong])


@pytest.mark.parametrize(("key", "character", "least"), [("1122", "#", 4), ("1129", "!", 0)])
def test_prompts_that_ask_for_a_sign_count_that_sign(shared: Path, key: str, character: str, least: int) -> None:
    item = next(item for item in IFEVAL.read(rows_of(shared)) if item.id == key)
    ((name, arguments),) = ((n, a) for n, a in item.data["instructions"] if n == "keywords:letter_frequency")
    assert arguments["letter"] == character
    number = arguments["let_frequency"]
    at_least = arguments["let_relation"] == "at least"
    assert strict(name, arguments, "a" + character * number) is at_least
    assert strict(name, arguments, "a" + character * (number - 1)) is not at_least
    assert strict(name, arguments, "abcdefghijklmnopqrstuvwxyz" * 100) is not at_least


def test_a_whole_set_of_answers_is_scored_in_one_call(shared: Path) -> None:
    """As other tools publish them: lines with a prompt and a response, in any order."""
    items = {item.prompt: item for item in IFEVAL.read(rows_of(shared))}
    lines = [json.dumps({"prompt": prompt, "response": f"{prompt}\n\nP.S. [name]"}) for prompt in reversed(items)]
    rows = [json.loads(line) for line in lines]
    marks = list(IFEVAL.score([(items[row["prompt"]], row["response"]) for row in rows], Scoring()))
    assert len(marks) == IFEVAL.size
    assert marks[5] == mark(items[rows[5]["prompt"]], rows[5]["response"])
    found = accuracies(marks)
    assert found["prompt, strict"] == sum(bool(mark.passed) for mark in marks) / 541
    assert 0 < found["prompt, strict"] < found["prompt, loose"] < 1
    followed = [value for mark in marks for name, value in mark.parts.items() if name.startswith("strict ")]
    assert len(followed) == 834
    assert found["instruction, strict"] == sum(followed) / 834
    assert found["instruction, strict"] < found["instruction, loose"] < 1


def test_the_four_figures() -> None:
    item = asked(NO_COMMA, QUOTED)
    marks = list(IFEVAL.score([(item, '"a b"'), (item, "a, b"), (item, "a b"), (item, '*"a b"*')], Scoring()))
    assert [mark.passed for mark in marks] == [True, False, False, False]
    assert accuracies(marks) == {
        "prompt, strict": 1 / 4,
        "prompt, loose": 2 / 4,
        "instruction, strict": 4 / 8,
        "instruction, loose": 5 / 8,
    }


UNSURE = "HE SAID NOTHING AT ALL"
"""English for two of three seeds: langdetect leaves out words in capitals but for their first letter."""

IN_A_PROCESS = """
import json, random, sys
from mlx_distill.evaluate.benchmarks.ifeval.marking import mark
from mlx_distill.evaluate.benchmarks.benchmark import Item
answers, order = json.loads(sys.stdin.read())
for place in order:
    name, arguments, text = answers[place]
    found = mark(Item("ifeval", "1", "", data={"instructions": [(name, arguments)]}), text)
    print(json.dumps([place, found.passed, found.detail, dict(found.parts)]))
"""


def test_marks_are_the_same_in_any_order_and_in_any_process() -> None:
    answers = [*RIGHT[::3], *WRONG[::3], *(("change_case:english_capital", {}, UNSURE[:n]) for n in range(5, 20))]
    lines = []
    for seed in range(2):
        order = list(range(len(answers)))
        random.Random(seed).shuffle(order)
        done = subprocess.run(
            [sys.executable, "-c", IN_A_PROCESS],
            input=json.dumps([answers, order]),
            env={"PYTHONHASHSEED": str(seed + 1), "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        )
        lines.append(sorted(done.stdout.splitlines()))
    assert len(lines[0]) == len(answers)
    assert lines[0] == lines[1]


def test_the_language_does_not_depend_on_chance_and_leaves_others_their_chance() -> None:
    import langdetect

    state = random.getstate()
    assert len({is_in("en", UNSURE) for _ in range(10)}) == 1
    assert random.getstate() == state
    assert langdetect.DetectorFactory.seed is None
    assert len({langdetect.detect(UNSURE) == "en" for _ in range(40)}) == 2, (
        "the text is no test: it is always the same"
    )


@every(
    "text, expected",
    [
        ("One. Two.", ["One.", "Two."]),
        ("Mr. Hill met Dr. J. Smith. They left.", ["Mr. Hill met Dr. J. Smith.", "They left."]),
        ("He lives in the U.S. The city is big.", ["He lives in the U.S.", "The city is big."]),
        ("It is 5 p.m. now. Go.", ["It is 5 p.m. now.", "Go."]),
        ("Wait... it is. Wait... The end.", ["Wait... it is.", "Wait...", "The end."]),
        ("1. one\n2. Two", ["1. one\n2.", "Two"]),
        ('(He left.) "Go on." Yes', ["(He left.)", '"Go on."', "Yes"]),
        ("What?! Yes!!", ["What?!", "Yes!", "!"]),
        ("**One.** Two", ["**One.", "** Two"]),
        ("version 3.11 of e.g. this", ["version 3.11 of e.g.", "this"]),
        ("He is in the U.S. Sometimes he writes.", ["He is in the U.S.", "Sometimes he writes."]),
        ("He works for the U.S. Government now.", ["He works for the U.S. Government now."]),
        ("This is plan B. Then go.", ["This is plan B.", "Then go."]),
        ("He is in the U.S. Sometimes. Yes.", ["He is in the U.S.", "Sometimes.", "Yes."]),
        ("It cost 3. Zelda paid.", ["It cost 3.", "Zelda paid."]),
        ("It cost 3. the rest", ["It cost 3. the rest"]),
        ("Item 3. , done", ["Item 3. , done"]),
        ("It was in 1990. Credit is dear.", ["It was in 1990. Credit is dear."]),
        ("One.\nTwo.\nThree.", ["One.", "Two.", "Three."]),
        ("No end", ["No end"]),
        ("“One.” Two", ["“One.” Two"]),
        ("  One.  \n\n Two.  ", ["  One.", "Two."]),
        ("Bros. Smith-Inc. grew. S. Bach", ["Bros. Smith-Inc. grew.", "S. Bach"]),
    ],
)
def test_sentences_are_those_of_the_published_counter(text: str, expected: list[str]) -> None:
    assert list(sentences(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I'm I'd I've I'll", ["I"] * 4),
        ("IT'S DON'T HE'LL", ["IT", "'S", "DO", "N'T", "HE", "'LL"]),
        ("CANNOT GONNA 'TIS", ["CAN", "NOT", "GON", "NA", "'T", "IS"]),
        ("Don't Cannot nasa", []),
        ("U.S. (EU), NASA: A:B 1:A2", ["U.S", "EU", "NASA", "A", "B", "A2"]),
        ("A:1B C,2D, 'A'B C'M", ["A:1B", "C,2D", "A", "B", "C", "'M"]),
        ("TOP-10 A/B A--B A_B", ["TOP-10", "A/B", "A", "B", "A_B"]),
        ("**BOLD** `CODE` “Q” DON’T", ["BOLD", "CODE", "Q", "DON", "T"]),
    ],
)
def test_words_in_capitals_are_those_of_the_published_counter(text: str, expected: list[str]) -> None:
    assert list(capital_words(text)) == expected


def published(pattern: str) -> Callable[[str], list[str]]:
    """What the published pattern finds, in quadratic time."""
    return re.compile(pattern, re.MULTILINE).findall


@settings(deadline=None, max_examples=500)
@given(SHORT_TEXTS)
def test_linear_counts_are_those_of_the_published_patterns(text: str) -> None:
    bullets = len(published(r"^\s*\*[^\*].*$")(text)) + len(published(r"^\s*-.*$")(text))
    assert form.number_bullet_lists(text, bullets)
    assert not form.number_bullet_lists(text, bullets + 1)
    placeholders = len(published(r"\[.*?\]")(text))
    assert content.number_placeholders(text, placeholders)
    assert not content.number_placeholders(text, placeholders + 1)
    titles = [found.lstrip("<").rstrip(">").strip() for found in published(r"<<[^\n]+>>")(text)]
    assert form.title(text) is any(titles)
    assert content.postscript(text, "P.S.") is bool(published(r"\s*p\.\s?s\..*$")(text.lower()))
    assert content.postscript(text, "P.P.S") is bool(published(r"\s*p\.\s?p\.\s?s.*$")(text.lower()))
    highlights = [found.strip("*") for found in published(r"\*[^\n\*]*\*")(text)]
    highlights += [found[2:-2] for found in published(r"\*\*[^\n\*]*\*\*")(text)]
    count = sum(bool(found.strip()) for found in highlights)
    assert form.number_highlighted_sections(text, count)
    assert not form.number_highlighted_sections(text, count + 1)
    sections = len(re.split(r"\s?#\s?\d+\s?", text)) - 1
    assert form.multiple_sections(text, "#", sections)
    assert not form.multiple_sections(text, "#", sections + 1)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(RIGHT + WRONG), min_size=1, max_size=3), st.text(alphabet="ab .,*\n\"I'", max_size=40))
def test_loose_is_never_stricter_and_all_is_all(chosen: list[tuple[str, dict[str, Any], str]], more: str) -> None:
    texts = [chosen[0][2], chosen[-1][2] + more, more + "\n" + chosen[0][2]]
    for text in texts:
        found = mark(asked(*((name, arguments) for name, arguments, _ in chosen)), text[:2000])
        by_kind = {kind: [v for n, v in found.parts.items() if n.startswith(kind)] for kind in ("strict ", "loose ")}
        assert all(loose or not firm for firm, loose in zip(by_kind["strict "], by_kind["loose "], strict=True))
        assert found.passed is all(by_kind["strict "])
        assert found.parts["prompt, loose"] is all(by_kind["loose "])


@settings(deadline=None, max_examples=30)
@given(st.text(st.characters(), max_size=60))
def test_no_answer_breaks_the_scorer(text: str) -> None:
    every = [(name, arguments) for name, arguments, *_ in EXAMPLES]
    assert mark(asked(*every), text).passed is False


SIZE = 200_000

ADVERSARIAL = {
    "stars": "*" * SIZE,
    "highlights": "**a*" * (SIZE // 4),
    "opening brackets": "[" * SIZE,
    "opening titles": "<" * SIZE,
    "quotes": "\"'" * (SIZE // 2),
    "full stops": ". " * (SIZE // 2),
    "abbreviations": "*\n" + "Mr. a. " * (SIZE // 7) + "\n*",
    "empty lines": "\n" * SIZE + "x",
    "spaces": "x" + " " * SIZE + "x",
    "stars in lines": "\n*" * (SIZE // 2),
    "open JSON": '[{"a":' * (SIZE // 6),
    "digits": "-" + "9" * SIZE + ".5",
    "clitics": "*\n" + "x'Xx'S " * (SIZE // 7) + "\n*",
    "one word": "ß" * SIZE,
    "addresses": "a.@" * (SIZE // 3),
}


@pytest.mark.parametrize("kind", ADVERSARIAL)
def test_no_answer_takes_long(kind: str) -> None:
    """CPU seconds: 0.6 at the most; the published patterns take minutes for some."""
    is_in("en", "loads the languages")
    for name, arguments in {name: arguments for name, arguments, *_ in EXAMPLES}.items():
        started = time.process_time()
        mark(asked((name, arguments)), ADVERSARIAL[kind])
        assert time.process_time() - started < 2, name
