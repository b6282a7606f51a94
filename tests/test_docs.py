"""README, CONTRIBUTING and docs/ say what is true of the code: commands, flags, settings, links, lengths."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import click
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from mlx_distill import __version__
from mlx_distill.cli import cli, reference
from mlx_distill.run.config import Config
from mlx_distill.run.ownership import WRITTEN

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *DOCS]
BY_HAND = [path for path in DOCS if path.name not in reference.PAGES]
LONGEST = 150
SHELLS = ("sh", "bash", "console")
OTHERS_FLAGS = {"--no-deps", "--adapter-path", "--hosts", "--over", "--backend", "--auto-setup", "--output-hostfile"}
OTHERS_FLAGS |= {"--hostfile", "--python", "--user-repo", "--help", "--version", "--debug"}
"""Flags of other programs that the pages name, and those that every command has."""


@cache
def tokens(path: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))


def inline(path: Path, kind: str) -> Iterator[Token]:
    for token in tokens(path):
        yield from (child for child in token.children or () if child.type == kind)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# ---------------------------------------------------------------- lengths


@pytest.mark.parametrize("path", [ROOT / "README.md", *BY_HAND], ids=name_of)
def test_a_page_written_by_hand_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


# ---------------------------------------------------------------- links


def anchors(path: Path) -> set[str]:
    """Of a page's headings, as GitHub makes them: the second of one name gets -1."""
    found: Counter[str] = Counter()
    names = set()
    for heading, content in zip(tokens(path), tokens(path)[1:], strict=False):
        if heading.type == "heading_open":
            text = "".join(child.content for child in content.children or ())
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            names.add(f"{slug}-{found[slug]}" if found[slug] else slug)
            found[slug] += 1
    return names


def targets(path: Path) -> list[str]:
    links = [str(token.attrs["href"]) for token in inline(path, "link_open")]
    return links + [str(token.attrs["src"]) for token in inline(path, "image")]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_link_leads_somewhere(path: Path) -> None:
    dead = []
    for target in targets(path):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file) if file else path
        if not there.exists() or (anchor and anchor not in anchors(there)):
            dead.append(target)
    assert dead == []


def test_the_readme_leads_to_every_page() -> None:
    named = {target.partition("#")[0] for path in PAGES for target in targets(path)}
    assert [path.name for path in DOCS if not {path.name, f"docs/{path.name}"} & named] == []


# ---------------------------------------------------------------- commands


def commands() -> dict[str, click.Command]:
    return dict(cli.commands)


def typed(path: Path) -> list[list[str]]:
    """The arguments of every `mlx-distill` in a page's shell blocks, without comments."""
    found = []
    for token in tokens(path):
        if token.type == "fence" and token.info.strip() in SHELLS:
            for line in token.content.replace("\\\n", " ").splitlines():
                words = shlex.split(line.removeprefix("$ "), comments=True)
                names = [
                    i
                    for i, word in enumerate(words)
                    if Path(word).name == "mlx-distill" and words[max(0, i - 1)] != "cd"
                ]
                found += [words[names[-1] + 1 :]] if names else []
    return found


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_command_in_a_shell_block_parses(path: Path) -> None:
    parent = click.Context(cli, info_name="mlx-distill", **cli.context_settings)
    for name, *rest in typed(path):
        if name.startswith("-"):
            continue
        assert name in commands(), (name, rest)
        try:
            commands()[name].make_context(name, list(rest), parent)
        except click.exceptions.Exit:  # --help
            pass
        except click.ClickException as error:
            pytest.fail(f"mlx-distill {shlex.join([name, *rest])}: {error.format_message()}")


def test_the_pages_show_commands() -> None:
    assert len([line for path in PAGES for line in typed(path)]) > 20


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_commands_and_flags_in_the_text_exist(path: Path) -> None:
    if path.name == "CHANGELOG.md":  # it may name what was removed
        return
    flags = {
        flag
        for command in commands().values()
        for option in command.params
        for flag in [*option.opts, *option.secondary_opts]
    }
    said = [token.content for token in inline(path, "code_inline")]
    names = {match[1] for text in said if (match := re.match(r"(?:\.venv/bin/)?mlx-distill ([a-z]+)", text))}
    assert names <= set(commands())
    assert {flag for text in said for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)} <= flags | OTHERS_FLAGS


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_is_explained(name: str) -> None:
    said = "\n".join(path.read_text(encoding="utf-8") for path in BY_HAND)
    assert f"mlx-distill {name}" in said


# ---------------------------------------------------------------- settings


def every_setting() -> list[str]:
    return [
        f"{section.name}.{setting.name}"
        for section in dataclasses.fields(Config)
        if section.name != "preset"
        for setting in dataclasses.fields(getattr(Config(), section.name))
    ]


def test_every_setting_has_a_row_and_what_has_no_flag_is_explained_by_hand() -> None:
    page, flagless = {}, []
    for block in re.split(r"^## ", reference.settings(), flags=re.MULTILINE)[1:]:
        section = block.split("\n", 1)[0]
        for row in re.findall(r"^\| `(\w+)` \|(.*)\|$", block, re.MULTILINE):
            page[f"{section}.{row[0]}"] = row[1]
            flagless += [] if "`--" in row[1] else [f"{section}.{row[0]}"]
    assert set(every_setting()) <= set(page)
    assert "`--epochs`" in page["training.epochs"]
    assert "`--since`" in page["bench.since"]
    said = "\n".join(path.read_text(encoding="utf-8") for path in BY_HAND)
    assert [name for name in flagless if name in every_setting() and f"`{name}`" not in said] == []


# ---------------------------------------------------------------- generated pages


@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_a_generated_page_is_current(name: str) -> None:
    """If it is not: python -m mlx_distill.cli.reference docs"""
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == reference.PAGES[name]()


def test_a_generated_page_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    before = reference.command_line()
    monkeypatch.setenv("COLUMNS", "40")
    assert reference.command_line() == before


def test_writing_the_pages_leaves_them_where_they_were_asked_for(tmp_path: Path) -> None:
    assert [path.name for path in reference.write(tmp_path)] == list(reference.PAGES)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(reference.PAGES)


def is_listed(name: str) -> bool:
    """Whether a file of a run has a row of its own, or lies in a folder that has one."""
    return any(
        fnmatchcase(name, file.name) or (file.name.endswith("/") and name.startswith(file.name))
        for file in reference.RUN_FILES
    )


def test_every_file_of_a_run_has_a_row(finished: Path) -> None:
    names = [path.relative_to(finished).as_posix() for path in finished.rglob("*") if path.is_file()]
    assert len(names) > 15
    assert [name for name in names if not is_listed(name) and not name.startswith("ledger.sqlite-")] == []


def test_every_file_that_a_run_may_write_has_a_row() -> None:
    names = [pattern.replace("*", "") for pattern in WRITTEN]
    listed = {file.name.lower() for file in reference.RUN_FILES}
    assert [name for name in names if not any(file.startswith(name) for file in listed)] == []


# ---------------------------------------------------------------- versions


def test_one_version_everywhere() -> None:
    project = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    changes = re.search(r"^## \[?(\d[\d.]+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert project
    assert changes
    assert project[1] == changes[1] == __version__
