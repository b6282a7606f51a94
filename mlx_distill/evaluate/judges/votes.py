"""People's votes: a table to fill in, blind, and the votes read back from it.

In: prompts and generations. Out: a CSV file for any spreadsheet; from the filled one, Preferences. Which answer is
shown as 1 follows from a hash of the two, so that reading needs no key and the file holds none. Answers are models'
words: a cell that a spreadsheet would compute begins with an apostrophe, which reading overlooks.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlx_distill.evaluate.judges.blind import blinded
from mlx_distill.run.data.rows import found_in
from mlx_distill.run.digest import content_id
from mlx_distill.run.errors import DataError
from mlx_distill.run.records import Generation, Preference, Prompt, Role

COLUMNS = ("prompt_id", "prompt", "answer_1", "answer_2", "better", "rater")
PEOPLE = "human: "
"""Before a person's name, where a judge's stands."""

ID = "prompt-"
"""Before an id, so that no spreadsheet takes its hex digits for a number."""

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
Row = dict[str, str]


@dataclass(frozen=True)
class Sheet:
    """One prompt's row: two roles in the order in which people see their answers."""

    prompt: Prompt
    roles: tuple[Role, Role]
    answers: tuple[str, str]


def sheets(prompts: Sequence[Prompt], generations: Sequence[Generation]) -> list[Sheet]:
    """Of every prompt that base and distilled have answered: their first samples, without what names an author."""
    texts = {(g.prompt_id, g.role): g.answer_text for g in generations if g.sample == 0}
    both = [p for p in prompts if (p.id, "base") in texts and (p.id, "distilled") in texts]
    return [_sheet(p, texts[p.id, "base"], texts[p.id, "distilled"]) for p in both]


def _sheet(prompt: Prompt, base: str, distilled: str) -> Sheet:
    shown: dict[Role, str] = {
        "base": blinded(base, prompt.language),
        "distilled": blinded(distilled, prompt.language),
    }
    first, second = sorted(shown, key=lambda role: content_id(f"{prompt.id}\n{shown[role]}"))
    return Sheet(prompt, (first, second), (shown[first], shown[second]))


def votes_table(prompts: Sequence[Prompt], generations: Sequence[Generation]) -> bytes:
    """The CSV to fill in: 1, 2 or tie under `better`, a name under `rater`. UTF-8 with the mark that Excel needs.

    Raises DataError where there is nothing to compare.
    """
    answered = sheets(prompts, generations)
    if not answered:
        raise DataError("No prompt has answers of both base and distilled: run `mlx-distill compare` first.")
    differing = [sheet for sheet in answered if sheet.answers[0] != sheet.answers[1]]
    if not differing:
        raise DataError("Base and distilled answer every prompt alike: there is nothing to vote on.")
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for sheet in differing:
        shown = (sheet.prompt.text, *sheet.answers)
        writer.writerow([f"{ID}{sheet.prompt.id}", *map(_defused, shown), "", ""])
    return file.getvalue().encode("utf-8-sig")


def _defused(text: str) -> str:
    """A cell that is text in every spreadsheet (OWASP, CSV Injection)."""
    return f"'{text}" if text.lstrip().startswith(FORMULA) or text[:1] in ("\t", "\r") else text


def read_votes(path: Path, prompts: Sequence[Prompt], generations: Sequence[Generation]) -> list[Preference]:
    """The filled rows. A row without a name is the file's own voter.

    Raises DataError for a file that is no such table, a vote that is none of the words, a prompt that the run does
    not have, answers that are not the run's, and a second vote of one person on one prompt.
    """
    known = {sheet.prompt.id: sheet for sheet in sheets(prompts, generations)}
    where = ""
    votes: dict[tuple[str, str], Preference] = {}
    for where, row in _rows(path):
        if not row["better"].strip():
            continue
        vote = _vote(row, known, path.stem, where)
        if (vote.prompt_id, vote.judge) in votes:
            raise DataError(f"{where}: {vote.judge.removeprefix(PEOPLE)} has voted on this prompt before: keep one.")
        votes[vote.prompt_id, vote.judge] = vote
    if not where:
        raise DataError(f"{path} has no rows of {', '.join(COLUMNS)}: keep the file as exported.")
    return list(votes.values())


def _rows(path: Path) -> Iterator[tuple[str, Row]]:
    """(where it stands, its cells): rows as a spreadsheet counts them, the header being the first."""
    for where, fields in found_in(path):
        row = {name.lower(): "" if cell is None else str(cell) for name, cell in fields.items()}
        if lacking := [name for name in COLUMNS if name not in row]:
            raise DataError(f"{where} has no column {', '.join(lacking)}: keep the columns as exported.")
        yield where, row


def _vote(row: Mapping[str, str], known: Mapping[str, Sheet], voter: str, where: str) -> Preference:
    sheet = known.get(row["prompt_id"].strip().removeprefix(ID))
    if sheet is None:
        raise DataError(f"{where}: this run has no test prompt {row['prompt_id'].strip()!r}: is it another run's file?")
    if not all(_same(row[f"answer_{n}"], answer) for n, answer in enumerate(sheet.answers, 1)):
        raise DataError(f"{where}: the answers are not this run's, so the vote is for others: export and vote again.")
    words: dict[str, Role | Literal["tie"]] = {"1": sheet.roles[0], "2": sheet.roles[1], "tie": "tie"}
    better = row["better"].strip().lower()
    if better not in words:
        raise DataError(f"{where}: better is {row['better'].strip()!r}: write 1, 2 or tie, or leave it empty.")
    rater = " ".join(row["rater"].split()) or voter
    return Preference(sheet.prompt.id, *sheet.roles, f"{PEOPLE}{rater}", words[better])


def _same(cell: str, answer: str) -> bool:
    """But for white space, which spreadsheets change, and apostrophes before it all."""
    return "".join(cell.split()).lstrip("'") == "".join(answer.split()).lstrip("'")
