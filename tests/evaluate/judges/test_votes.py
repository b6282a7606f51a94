import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import assume, given
from hypothesis import strategies as st
from judging import answer
from tables import every

from mlx_distill.cli import cli
from mlx_distill.evaluate.judges import read_votes, votes_table
from mlx_distill.evaluate.judges.blind import blinded
from mlx_distill.evaluate.judges.votes import COLUMNS, sheets
from mlx_distill.run.digest import content_id
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.folder import RunDir
from mlx_distill.run.records import ROLES, Generation, Prompt

PROMPTS = [Prompt(content_id(f"task {n}"), f"task {n}", split="test") for n in range(4)]
ANSWERS = [answer(role, f"{role} says {p.id}", 0, p.id) for p in PROMPTS for role in ROLES]


def rows_of(table: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.decode("utf-8-sig"), newline="")))


def write(path: Path, rows: Sequence[dict[str, Any]], delimiter: str = ",", encoding: str = "utf-8-sig") -> Path:
    """As a spreadsheet saves it: only what needs them has quotes."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, COLUMNS, delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(file.getvalue().encode(encoding))
    return path


def voted(path: Path, votes: Sequence[str], rater: str = "Ada", **how: str) -> Path:
    rows = rows_of(votes_table(PROMPTS, ANSWERS))
    return write(path, [row | {"better": vote, "rater": rater} for row, vote in zip(rows, votes, strict=True)], **how)


def test_the_table_has_a_row_for_every_prompt_and_opens_in_a_spreadsheet() -> None:
    table = votes_table(PROMPTS, ANSWERS)
    assert table.startswith("\ufeff".encode())
    rows = rows_of(table)
    assert tuple(rows[0]) == COLUMNS
    assert [row["prompt"] for row in rows] == [prompt.text for prompt in PROMPTS]
    assert {row["better"] + row["rater"] for row in rows} == {""}
    for row in rows:
        assert sorted(row[f"answer_{n}"].split()[0] for n in (1, 2)) == ["base", "distilled"]


def test_the_table_does_not_say_whose_answer_is_whose() -> None:
    prompts = [Prompt(f"p{n}", f"task {n}") for n in range(200)]
    answers = [answer(role, f"{role}{p.id}", 0, p.id) for p in prompts for role in ROLES]
    first = [sheet.roles[0] for sheet in sheets(prompts, answers)]
    assert 70 < first.count("base") < 130
    said = [answer("base", "I am Qwen. a", 0, PROMPTS[0].id), answer("distilled", "I am Claude. b", 0, PROMPTS[0].id)]
    table = votes_table(PROMPTS, said).decode()
    assert not any(word in table for word in ("Qwen", "Claude", "base", "distilled"))


def test_votes_come_back_as_preferences(tmp_path: Path) -> None:
    path = voted(tmp_path / "votes.csv", ["1", " 2 ", "TIE", ""])
    found = read_votes(path, PROMPTS, ANSWERS)
    shown = sheets(PROMPTS, ANSWERS)
    assert [(p.prompt_id, p.first, p.second, p.better, p.judge) for p in found] == [
        (shown[0].prompt.id, *shown[0].roles, shown[0].roles[0], "human: Ada"),
        (shown[1].prompt.id, *shown[1].roles, shown[1].roles[1], "human: Ada"),
        (shown[2].prompt.id, *shown[2].roles, "tie", "human: Ada"),
    ]


NASTY = st.one_of(
    st.text(max_size=30),
    st.lists(
        st.sampled_from(["=1+1", "-x", "+", "@a", "'", ",", ";", '"', "\n", "\r\n", "\t", "a", "＝"]), max_size=8
    ).map("".join),
)


@given(NASTY, NASTY, st.sampled_from(["1", "2", "tie"]), st.sampled_from([",", ";", "\t"]), st.booleans())
def test_whoever_votes_for_an_answer_has_voted_for_the_role_that_wrote_it(
    tmp_path_factory: pytest.TempPathFactory, base: str, distilled: str, vote: str, delimiter: str, mark: bool
) -> None:
    """Whatever the answers are, and however the table was saved: the oracle looks at what the voter saw."""
    prompt = PROMPTS[0]
    wanted = [answer("base", base, 0, prompt.id), answer("distilled", distilled, 0, prompt.id)]
    assume(blinded(base) != blinded(distilled))  # the same answer twice is no question
    (row,) = rows_of(votes_table([prompt], wanted))
    row |= {"better": vote, "rater": "Ada"}
    path = write(tmp_path_factory.mktemp("votes") / "v.csv", [row], delimiter, "utf-8-sig" if mark else "utf-8")
    (found,) = read_votes(path, [prompt], wanted)
    if vote == "tie":
        assert found.better == "tie"
    else:
        seen = row[f"answer_{vote}"]
        assert seen.removeprefix("'") == {"base": base, "distilled": distilled}[str(found.better)].removeprefix("'")


@given(NASTY)
def test_no_cell_is_computed_by_a_spreadsheet(text: str) -> None:
    prompt = Prompt("p", text)
    table = rows_of(votes_table([prompt], [answer("base", text), answer("distilled", f"{text} x")]))
    for row in table:
        for cell in row.values():
            assert not cell.lstrip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))
            assert cell[:1] not in ("\t", "\r")


def test_an_id_of_digits_is_no_number_for_a_spreadsheet(tmp_path: Path) -> None:
    """12345678e901 would become 1.2345678E+908, and 000012345678 lose its zeros."""
    prompt = Prompt("000012345678", "task")
    wanted = [answer("base", "a", 0, prompt.id), answer("distilled", "b", 0, prompt.id)]
    (row,) = rows_of(votes_table([prompt], wanted))
    assert not row["prompt_id"][0].isdigit()
    path = write(tmp_path / "v.csv", [row | {"better": "1"}])
    assert read_votes(path, [prompt], wanted)[0].prompt_id == prompt.id


def test_several_people_vote_in_rows_or_in_files_of_their_own(tmp_path: Path) -> None:
    rows = rows_of(votes_table(PROMPTS, ANSWERS))
    both = [row | {"better": "1", "rater": rater} for row in rows for rater in ("Ada", "  Ben \n Moe")]
    found = read_votes(write(tmp_path / "both.csv", both), PROMPTS, ANSWERS)
    assert {p.judge for p in found} == {"human: Ada", "human: Ben Moe"}
    assert len(found) == 8
    unnamed = read_votes(voted(tmp_path / "carla.csv", ["1"] * 4, rater=""), PROMPTS, ANSWERS)
    assert {p.judge for p in unnamed} == {"human: carla"}


def test_line_ends_and_spaces_that_a_spreadsheet_changes_do_not_matter(tmp_path: Path) -> None:
    wanted = [answer("base", "a\r\n\r\n  b ", 0, PROMPTS[0].id), answer("distilled", "c\nd", 0, PROMPTS[0].id)]
    (row,) = rows_of(votes_table(PROMPTS, wanted))
    for name in ("answer_1", "answer_2"):
        row[name] = row[name].replace("\r\n", "\n").strip()
    assert len(read_votes(write(tmp_path / "v.csv", [row | {"better": "2"}]), PROMPTS, wanted)) == 1


@every(
    "changes, words",
    [
        ({"better": "3"}, "row 3: better is '3': write 1, 2 or tie"),
        ({"better": "distilled"}, "row 3: better is 'distilled'"),
        ({"prompt_id": "prompt-x"}, "row 3: this run has no test prompt 'prompt-x'"),
        ({"answer_2": "another answer"}, "row 3: the answers are not this run's"),
        ({"prompt_id": f"prompt-{PROMPTS[0].id}"}, "row 3: the answers are not this run's"),
    ],
)
def test_a_vote_that_cannot_be_counted_is_named_with_its_line(
    tmp_path: Path, changes: dict[str, str], words: str
) -> None:
    rows = [row | {"better": "1", "rater": "Ada"} for row in rows_of(votes_table(PROMPTS, ANSWERS))]
    rows[1] |= changes
    with pytest.raises(DataError, match=words):
        read_votes(write(tmp_path / "v.csv", rows), PROMPTS, ANSWERS)


def test_answers_that_changed_places_are_not_counted_for_the_wrong_role(tmp_path: Path) -> None:
    rows = [row | {"better": "1"} for row in rows_of(votes_table(PROMPTS, ANSWERS))]
    rows[0]["answer_1"], rows[0]["answer_2"] = rows[0]["answer_2"], rows[0]["answer_1"]
    with pytest.raises(DataError, match="row 2: the answers are not this run's"):
        read_votes(write(tmp_path / "v.csv", rows), PROMPTS, ANSWERS)


def test_one_person_has_one_vote_on_a_prompt(tmp_path: Path) -> None:
    row = rows_of(votes_table(PROMPTS, ANSWERS))[0] | {"rater": "Ada"}
    path = write(tmp_path / "v.csv", [row | {"better": "1"}, row | {"better": "2"}])
    with pytest.raises(DataError, match="row 3: Ada has voted on this prompt before"):
        read_votes(path, PROMPTS, ANSWERS)


def test_a_file_that_is_no_table_of_votes_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "v.csv"
    with pytest.raises(DataError, match="does not exist"):
        read_votes(path, PROMPTS, ANSWERS)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="has no rows of prompt_id, prompt"):
        read_votes(path, PROMPTS, ANSWERS)
    path.write_text("prompt_id,prompt,answer_1,answer_2,rater\n")
    with pytest.raises(DataError, match="has no rows of"):
        read_votes(path, PROMPTS, ANSWERS)
    path.write_text(",".join(COLUMNS) + "\nprompt-x,ä\n", encoding="latin-1")
    with pytest.raises(DataError, match="not UTF-8"):
        read_votes(path, PROMPTS, ANSWERS)


def test_nothing_to_vote_on_is_an_error() -> None:
    with pytest.raises(DataError, match="run `mlx-distill compare` first"):
        votes_table(PROMPTS, [answer("base", "alone", 0, PROMPTS[0].id)])


def test_a_short_row_has_no_vote(tmp_path: Path) -> None:
    path = tmp_path / "v.csv"
    path.write_text(",".join(COLUMNS) + f"\nprompt-{PROMPTS[0].id},task\n\n")
    assert read_votes(path, PROMPTS, ANSWERS) == []


# ---------------------------------------------------------------- mlx-distill export votes


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    found = RunDir(tmp_path / "run")
    found.write_records("prompts.jsonl", PROMPTS)
    found.write_records("generations.jsonl", ANSWERS)
    return found


def export(run: RunDir, *more: str) -> Any:
    return CliRunner().invoke(cli, ["export", "votes", "--run", str(run.path), *more])


def test_the_command_writes_the_table_and_says_what_to_do(run: RunDir, tmp_path: Path) -> None:
    result = export(run)
    assert result.exit_code == 0, result.output
    path = run / "exports/votes.csv"
    assert path.read_bytes() == votes_table(PROMPTS, ANSWERS)
    assert "1, 2 or tie" in result.output
    assert export(run, "--to", str(tmp_path / "for Ada")).exit_code == 0
    assert (tmp_path / "for Ada.csv").read_bytes() == path.read_bytes()


def test_a_table_with_votes_in_it_is_not_overwritten(run: RunDir) -> None:
    assert export(run).exit_code == 0
    assert export(run).exit_code == 0
    voted(run / "exports/votes.csv", ["1"] * 4)
    before = (run / "exports/votes.csv").read_bytes()
    assert isinstance(export(run).exception, UsageError)
    assert (run / "exports/votes.csv").read_bytes() == before


def test_only_test_prompts_and_first_samples_are_voted_on(run: RunDir) -> None:
    train = Prompt("t", "train", split="train")
    extra: list[Generation] = [answer(role, "x", 0, "t") for role in ROLES]
    extra += [answer(role, "second", 1, PROMPTS[0].id) for role in ROLES]
    run.write_records("prompts.jsonl", [train, *PROMPTS])
    run.write_records("generations.jsonl", [*ANSWERS, *extra])
    assert export(run).exit_code == 0
    assert (run / "exports/votes.csv").read_bytes() == votes_table(PROMPTS, ANSWERS)
