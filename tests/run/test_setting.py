"""What a setting declares of itself is what is checked, written and offered."""

import dataclasses
import math
from dataclasses import dataclass

import pytest
from tables import every

from mlx_distill.run import config as configuration
from mlx_distill.run.config.setting import Bounds, Field, fields_of, setting
from mlx_distill.run.errors import UsageError


def outside(field: Field) -> list[float]:
    """Numbers just outside of a setting's bounds."""
    bounds = field.setting.bounds
    limits = [
        bounds.above,
        None if bounds.at_least is None else bounds.at_least - 1,
        bounds.below,
        None if bounds.at_most is None else bounds.at_most + 1,
    ]
    return [limit for limit in limits if limit is not None]


BOUNDED = [(name, field) for name, field in configuration.settings() if outside(field)]


def test_most_numbers_have_bounds() -> None:
    assert len(BOUNDED) > 30


@every("name, field", BOUNDED)
def test_a_number_outside_its_bounds_is_refused_with_them(name: str, field: Field) -> None:
    for number in outside(field):
        value = number if float in field.kinds else int(number)
        with pytest.raises(UsageError) as caught:
            configuration.resolve("standard", {name: value})
        assert str(caught.value) == f"{name} is {value}: it must be {field.setting.bounds}."


@every("name, field", [(name, field) for name, field in configuration.settings() if field.setting.choices])
def test_a_word_that_is_no_choice_is_refused_with_the_choices(name: str, field: Field) -> None:
    with pytest.raises(UsageError) as caught:
        configuration.resolve("standard", {name: "nonsense"})
    assert all(choice in str(caught.value) for choice in field.setting.choices)


@every("name, field", list(configuration.settings()))
def test_every_default_is_valid_and_of_its_type(name: str, field: Field) -> None:
    if field.default is not None:
        assert configuration.resolve("standard", {name: field.default}) == configuration.resolve("standard")


@every(
    "bounds, words",
    [
        (Bounds(above=0), "above zero"),
        (Bounds(at_least=0), "at least 0"),
        (Bounds(at_least=0, below=1), "at least 0 and below 1"),
        (Bounds(above=0, at_most=1), "above zero and at most 1"),
    ],
)
def test_bounds_are_said_in_words_and_hold_for_no_nan(bounds: Bounds, words: str) -> None:
    assert str(bounds) == words
    assert not bounds.hold(math.nan)


def test_only_what_may_be_unlimited_may_be_infinite() -> None:
    assert configuration.resolve("demo", {"training.clip": math.inf}).training.clip == math.inf
    for name, value in (("training.clip", -math.inf), ("training.scale", math.inf), ("training.clip", math.nan)):
        with pytest.raises(UsageError, match=name):
            configuration.resolve("demo", {name: value})


@dataclass(frozen=True)
class Section:
    size: int | None = setting(None, "how large", group="One", flag="--size", above=0)
    words: tuple[str, ...] = setting(("a",), "which words", group="One")


def test_a_section_is_an_ordinary_dataclass() -> None:
    assert dataclasses.asdict(Section(size=3)) == {"size": 3, "words": ("a",)}
    fields = fields_of(Section)
    assert [field.name for field in fields.values()] == ["size", "words"]
    assert (fields["size"].kinds, fields["size"].takes_none) == ((int, type(None)), True)
    assert (fields["words"].default, fields["words"].takes_none) == (("a",), False)
