"""Reasoning is set apart from the answer before anything looks at it."""

from hypothesis import given
from hypothesis import strategies as st
from tables import every

from mlx_distill.evaluate.benchmarks import BENCHMARKS, Scoring
from mlx_distill.run.reasoning import TAGS, answer_of, opening, split
from mlx_distill.run.records import Generation


@every(
    "written, reasoning, answer",
    [
        ("Blue.", "", "Blue."),
        ("<think>\nHm.\n</think>\n\nBlue.", "Hm.", "Blue."),
        ("\ufeff \n<think>Hm.</think>Blue.", "Hm.", "Blue."),
        ("<THINK>Hm.</Think>Blue.", "Hm.", "Blue."),
        ("<thinking>Hm.</thinking>\nBlue.", "Hm.", "Blue."),
        ("[THINK]Hm.[/THINK]Blue.", "Hm.", "Blue."),
        ("<think>A</think>\n<think>B</think>\nBlue.", "A\n\nB", "Blue."),
        ("<think>\n\n</think>\n\nBlue.", "", "Blue."),
        ("the template opened it\n</think>\n\nBlue.", "the template opened it", "Blue."),
        ("it ends a line.</think>\nBlue.", "it ends a line.", "Blue."),
        ("A tag is <think>so</think>.", "", "A tag is <think>so</think>."),
        ("A tag is <think>so\n</think>\n.", "", "A tag is <think>so\n</think>\n."),
        ("Split at `</think>`\nand go on.", "", "Split at `</think>`\nand go on."),
        ("x = s.split('</think>')\n", "", "x = s.split('</think>')\n"),
        ("", "", ""),
    ],
)
def test_the_answer_is_what_stands_after_the_reasoning(written: str, reasoning: str, answer: str) -> None:
    assert split(written) == (reasoning, answer, True)


def test_reasoning_that_never_ended_has_no_answer() -> None:
    assert split("<think>Hm, the ```python\nx = 1\n```") == ("Hm, the ```python\nx = 1\n```", "", False)


def test_tags_that_a_tokenizer_names_count_too() -> None:
    assert split("<hm>so</hm>Blue.", ("<hm>", "</hm>")) == ("so", "Blue.", True)
    assert opening("<|im_start|>assistant\n<think>\n") == "<think>"
    assert opening("<think>\n\n</think>\n\n") == opening("<|im_start|>assistant\n") == ""


PLAIN = st.text(st.sampled_from("ab \n<>/[]'"), max_size=30).filter(lambda text: "<" not in text and "[" not in text)


@given(st.sampled_from(TAGS), PLAIN, PLAIN)
def test_any_reasoning_leaves_the_answer_as_it_was(tags: tuple[str, str], thought: str, answer: str) -> None:
    assert answer_of(f"{tags[0]}{thought}{tags[1]}\n{answer}") == answer.lstrip()
    assert answer_of(answer) == answer


def test_no_megabyte_takes_long() -> None:
    for unit in ("<think></think>", "<think>", " \t", "</think>\n'", "x </think> ", "\u0130"):
        answer_of(unit * (1_000_000 // len(unit)))


def test_generations_and_benchmarks_know_the_answer_alone() -> None:
    assert Generation("p", "base", "<think>Hm.</think>Blue.", 1, 0.0, "stop").answer_text == "Blue."
    ifeval = BENCHMARKS["ifeval"]
    row = {"key": 1, "prompt": "q", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    (item,) = ifeval.read([row])
    marks = list(ifeval.score([(item, "<think>Well, yes.</think>No."), (item, "Well, yes.")], Scoring()))
    assert [mark.passed for mark in marks] == [True, False]
