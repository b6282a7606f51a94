"""What an option may be given: the types of values that click lacks. In: a typed text. Out: a value, or why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlx_distill.run import config as configuration


class Place(click.Path):
    """A file or folder. An empty text is a variable that was not set, and would mean the current folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty: give a file or folder; . is the current folder.", param, ctx)
        return super().convert(value, param, ctx)


class OrNone(click.ParamType[Any]):
    """Another type's values, or "none", which resets the setting."""

    def __init__(self, kind: Any) -> None:
        self.kind = click.types.convert_type(kind)
        self.name = f"{self.kind.name}|none"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if str(value).lower() == configuration.NONE:
            return configuration.NONE
        return self.kind.convert(value, param, ctx)


class NumberOr(click.ParamType[int | str]):
    """A whole number, or one word, such as "all"."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.name = f"number|{word}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        try:
            return self.word if str(value).lower() == self.word else int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor {self.word!r}.", param, ctx)


class Numbers(click.ParamType[tuple[float, ...]]):
    """Numbers separated by commas."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        try:
            return tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers separated by commas, such as 0.5,1.", param, ctx)
