"""Dimensions and their anchors come from a rubric file: the bundled one, a prompt set's, or one that is named."""

import json
from pathlib import Path

import pytest

from mlx_distill.evaluate.judge import check_rubric
from mlx_distill.evaluate.judges.rubric import schema
from mlx_distill.run import config as configuration
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.prompts import data_folder
from mlx_distill.run.rubric import Rubric, has_own_rubric, read_rubric, rubric_of

LETTERS = """You score one letter to a customer.

Politeness: would a customer write again?
0 insulting · 5 neutral · 10 warm and clear.

Facts [checks]: is everything in it true?
0 invented · 5 partly · 10 all of it.
"""


def rubric(folder: Path, text: str = LETTERS) -> Path:
    path = folder / "letters.md"
    path.write_text(text)
    return path


def test_the_bundled_rubric_has_five_dimensions_of_which_checks_decide_one() -> None:
    bundled = rubric_of(configuration.resolve("demo"))
    assert bundled.checked == "Code Correctness"
    assert len(bundled.dimensions) == 5
    assert "[checks]" not in bundled.text
    assert not has_own_rubric(configuration.resolve("demo"))


def test_a_rubric_names_dimensions_in_its_order(tmp_path: Path) -> None:
    found = read_rubric(rubric(tmp_path))
    assert found == Rubric(LETTERS.replace(" [checks]", ""), ("Politeness", "Facts"), "Facts")
    asked = json.loads(schema(found.dimensions))
    assert asked["required"] == list(asked["properties"]) == ["Politeness", "Facts"]


def test_a_prompt_set_may_name_its_rubric(tmp_path: Path) -> None:
    rubric(tmp_path)
    prompts = tmp_path / "letters.toml"
    prompts.write_text('name = "letters"\nrubric = "letters.md"\n\n[[prompt]]\ntext = "Write to Mr Ito."\n')
    config = configuration.resolve("demo", {"prompts.test": (str(prompts),)})
    assert rubric_of(config).dimensions == ("Politeness", "Facts")
    assert has_own_rubric(config)


def test_two_sets_with_two_rubrics_need_a_choice(tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        (tmp_path / f"{name}.md").write_text(LETTERS)
        files.append(tmp_path / f"{name}.toml")
        files[-1].write_text(f'rubric = "{name}.md"\n[[prompt]]\ntext = "Write {name}."\n')
    config = configuration.resolve("demo", {"prompts.test": tuple(map(str, files))})
    with pytest.raises(UsageError, match="choose one with --rubric"):
        rubric_of(config)
    chosen = configuration.replace(config, {"comparison.rubric": str(data_folder() / "rubric.md")})
    assert rubric_of(chosen).checked == "Code Correctness"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Be strict.\n", "has no dimension"),
        ("Tone: polite?\n0 no · 10 yes.\n\nTone: again?\n0 no · 10 yes.\n", "give each another name"),
    ],
)
def test_a_rubric_without_dimensions_says_what_to_write(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_rubric(rubric(tmp_path, text))


def test_a_missing_rubric_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no rubric"):
        read_rubric(tmp_path / "none.md")


def test_static_analysis_alone_needs_a_dimension_that_it_measures(tmp_path: Path) -> None:
    own = {"comparison.rubric": str(rubric(tmp_path)), "comparison.judges": ("static",)}
    with pytest.raises(UsageError, match="name a model with --judge"):
        check_rubric(configuration.resolve("demo", own))
    check_rubric(configuration.resolve("demo", own | {"comparison.judges": ("static", "claude-opus-4-6")}))
