"""A sweep's file: which runs it makes, what each is configured to, and what it says of a file that cannot be meant."""

from __future__ import annotations

import itertools
import string
from pathlib import Path

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tables import every

from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.sweep.axes import named
from mlx_distill.sweep.matrix import Matrix, clean, read_matrix

FOUR = """
preset = "demo"
[training]
epochs = 7
[axes.teacher]
terse = { "training.data" = "terse.jsonl" }
full = { training.data = "full.jsonl", training.system = "Say it all." }
[axes]
"training.rank" = [8, 32]
"""


def matrix(tmp_path: Path, text: str) -> Matrix:
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return read_matrix(file)


def names(found: Matrix) -> list[str]:
    return [member.name for member in found.members]


# ---------------------------------------------------------------- what is made


def test_every_combination_is_a_run_with_a_whole_configuration(tmp_path: Path) -> None:
    found = matrix(tmp_path, FOUR)
    assert (found.name, found.budget) == ("mine", None)
    assert names(found) == ["terse-8", "terse-32", "full-8", "full-32"]
    last = found.members[-1]
    assert last.values == {"teacher": "full", "rank": "32"}
    training = last.config.training
    assert (training.data, training.system, training.rank, training.epochs) == ("full.jsonl", "Say it all.", 32, 7)
    assert (last.config.preset, training.student) == ("demo", "smollm2-135m")
    assert found.members[0].config.training.system == "You are a helpful coding assistant."


VALUES = st.lists(st.integers(1, 99), min_size=1, max_size=4, unique=True)
SETTINGS = ("training.rank", "training.epochs", "comparison.max_tokens", "teacher.max_tokens", "bench.max_tokens")


@st.composite
def axes(draw: st.DrawFn) -> dict[str, list[int]]:
    chosen = draw(st.lists(st.sampled_from(SETTINGS), min_size=1, max_size=4, unique=True))
    return {name: draw(VALUES) for name in chosen}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(axes(), st.data())
def test_the_runs_are_the_product_without_what_is_excluded_and_with_what_is_adjusted(
    tmp_path: Path, found: dict[str, list[int]], data: st.DataObject
) -> None:
    content: dict[str, object] = {"preset": "demo", "axes": found}
    places = {name: data.draw(st.lists(st.sampled_from(values), unique=True)) for name, values in found.items()}
    excluded = {name: values for name, values in places.items() if values}
    if excluded:
        content["exclude"] = [excluded]
    axis = data.draw(st.sampled_from(sorted(found)))
    value = data.draw(st.sampled_from(found[axis]))
    content["adjust"] = [{"when": {axis: value}, "set": {"training.layers": 3}}]
    wanted = [
        dict(zip(found, combination, strict=True))
        for combination in itertools.product(*found.values())
        if not excluded or not all(combination[list(found).index(name)] in excluded[name] for name in excluded)
    ]
    if not wanted:
        with pytest.raises(UsageError, match="no run is left"):
            matrix(tmp_path, tomli_w.dumps(content))
        return
    made = matrix(tmp_path, tomli_w.dumps(content))
    assert names(made) == ["-".join(map(str, values.values())) for values in wanted]
    for member, values in zip(made.members, wanted, strict=True):
        for name, number in values.items():
            section, _, setting = name.partition(".")
            assert getattr(getattr(member.config, section), setting) == number
        assert member.config.training.layers == (3 if values[axis] == value else 8)


def test_axes_and_rules_may_be_written_in_every_way_that_toml_has(tmp_path: Path) -> None:
    quoted = '[axes]\n"training.rank" = [8, 16]\n"training.epochs" = [1, 2]\n[[exclude]]\nrank = 8\nepochs = 2\n'
    dotted = (
        "axes.training.rank = [8, 16]\naxes.training.epochs = [1, 2]\n"
        "[[exclude]]\ntraining.rank = [8]\n'training.epochs' = 2\n"
    )
    assert matrix(tmp_path, quoted) == matrix(tmp_path, dotted)
    assert names(matrix(tmp_path, quoted)) == ["8-1", "16-1", "16-2"]
    assert matrix(tmp_path, "training.layers = 4\n" + quoted).members[0].config.training.layers == 4


def test_two_settings_of_one_name_keep_their_sections(tmp_path: Path) -> None:
    found = matrix(tmp_path, '[axes]\n"teacher.max_tokens" = [5, 6]\n"bench.max_tokens" = [5, 7]\n')
    assert [axis.name for axis in found.axes] == ["teacher.max_tokens", "bench.max_tokens"]
    last = found.members[-1]
    assert last.values == {"teacher.max_tokens": "6", "bench.max_tokens": "7"}
    assert (last.config.teacher.max_tokens, last.config.bench.max_tokens) == (6, 7)


def test_a_later_axis_goes_before_an_earlier_one_and_an_adjustment_before_both(tmp_path: Path) -> None:
    text = """
    [training]
    rank = 1
    [axes.first]
    a = { training.rank = 2, training.epochs = 2 }
    [axes.second]
    b = { training.rank = 3 }
    c = {}
    [[adjust]]
    when = { second = "c" }
    set = { training.rank = 4 }
    """
    found = matrix(tmp_path, text)
    assert [(one.name, one.config.training.rank) for one in found.members] == [("a-b", 3), ("a-c", 4)]


@every(
    "value, name",
    [
        (1e-4, "0.0001"),
        (3e-5, "3e-05"),
        (0.12345678, "0.12345678"),
        (2.0, "2"),
        (8, "8"),
        (True, "true"),
        ([], ""),
        (["q_proj", "v_proj"], "q_proj+v_proj"),
        ([0.5, 1.0], "0.5+1"),
        ("Qwen/Qwen3-4B", "Qwen/Qwen3-4B"),
    ],
)
def test_a_value_is_called_as_it_is_written(value: object, name: str) -> None:
    assert named(value) == name


@given(st.floats(1e-12, 1e12), st.floats(1e-12, 1e12))
def test_two_numbers_never_share_a_name(a: float, b: float) -> None:
    assert (named(a) == named(b)) == (a == b)


@given(st.text())
def test_a_runs_name_is_a_folder_beside_the_others(name: str) -> None:
    cleaned = clean(name)
    assert set(cleaned) <= set(string.ascii_letters + string.digits + "._+-")
    assert cleaned.strip("._") == cleaned != ""
    assert clean(cleaned) == cleaned


def test_name_and_budget_are_the_sweeps_own(tmp_path: Path) -> None:
    found = matrix(tmp_path, f'name = "../a study"\nbudget = 12\n{FOUR}')
    assert (found.name, found.budget) == ("a_study", 12.0)
    assert read_matrix(tmp_path / "mine.toml", "other").name == "a_study"
    (tmp_path / "sweep.toml").write_text(FOUR)
    assert read_matrix(tmp_path / "sweep.toml", "study").name == "study"


# ---------------------------------------------------------------- what cannot be meant

RANKS = '[axes]\n"training.rank" = [8, 16]\n'

WRONG = {
    "": "there is no [axes]",
    "axes = 5": "there is no [axes]",
    "[axes]": "there is no [axes]",
    "[axes]\nrank = 5": "the axis 'rank' has no values",
    "[axes]\n'training.rank' = []": "the axis 'training.rank' has no values",
    "[axes]\nteacher = {}": "the axis 'teacher' has no values",
    "[axes.teacher]\na = 5": "the axis 'teacher' has no values",
    "[axes]\n'training.rank' = [8, 16, 8]": "the axis 'training.rank' has 8 twice",
    "[axes]\n'training.scale' = [1, 1.0]": "the axis 'training.scale' has 1 twice",
    "[axes]\n'training.rank' = [8]\ntraining.rank = [16]": "two axes 'training.rank'",
    "[axes]\n'training.rang' = [8]": "rang 8: There is no setting 'training.rang'",
    "[axes]\n'rank' = [8]": "rank 8: There is no setting 'rank'",
    "[axes]\n'training.rank' = ['high']": "rank high: training.rank = 'high' is not of the right kind",
    "[axes]\n'training.rank' = [8, 0]": "rank 0: training.rank is 0: it must be above zero",
    "[axes.teacher]\na = { training.rang = 5 }": "teacher a: There is no setting 'training.rang'",
    f"[bench]\nrules = ['be good']\n{RANKS}": "rank 8: ",
    f"preset = 'huge'\n{RANKS}": "rank 8: There is no preset 'huge'",
    f"preset = ['demo']\n{RANKS}": "preset is ['demo']: give a name",
    f"name = 5\n{RANKS}": "name is 5",
    f"budget = -1\n{RANKS}": "budget is -1: give dollars, 0 or more",
    f"budget = nan\n{RANKS}": "budget is nan",
    f"budget = true\n{RANKS}": "budget is True",
    f"budget = '5'\n{RANKS}": "budget is '5'",
    f"training = 5\n{RANKS}": "training is no section",
    f"{RANKS}\n[[excludes]]\nrank = 8": "excludes is no section",
    f"{RANKS}\n[training]\nrang = 8": "There is no setting 'training.rang'",
    f"{RANKS}\n[collect]\nledger = 'mine.sqlite'": "collect.ledger is the sweep's own",
    f"{RANKS}\n[collect]\nmax_cost = 5": "give a budget",
    f"{RANKS}\n[machine]\nshared = 'x'": "machine.shared is the sweep's own",
    f"{RANKS}\n[exclude]\nrank = 8": "write [[exclude]], a table for each",
    f"exclude = [5]\n{RANKS}": "write [[exclude]], a table for each",
    f"{RANKS}\n[[exclude]]\n": "an empty [[exclude]] would leave out everything",
    f"{RANKS}\n[[exclude]]\nrank = 9": "[[exclude]] names rank = 9, which is no axis with such a value",
    f"{RANKS}\n[[exclude]]\nrank = [8, 9]": "[[exclude]] names rank = [8, 9]",
    f"{RANKS}\n[[exclude]]\nrank = []": "[[exclude]] names rank = []",
    f"{RANKS}\n[[exclude]]\nteacher = 'r1'": "[[exclude]] names teacher = 'r1'",
    f"{RANKS}\n[[exclude]]\nrank = [8, 16]": "no run is left: every combination is excluded",
    f"{RANKS}\n[[adjust]]\nwhen = {{ rank = 8 }}": "[[adjust]] has `when`",
    f"{RANKS}\n[[adjust]]\nwhen = {{ rank = 8 }}\nset = 5": "[[adjust]] has `when`",
    f"{RANKS}\n[[adjust]]\nwhen = {{ rank = 8 }}\nset = {{}}\nalso = {{}}": "and nothing else",
    f"{RANKS}\n[[adjust]]\nwhen = {{ rank = 9 }}\nset = {{}}": "[[adjust]] names rank = 9",
    f"{RANKS}\n[[adjust]]\nwhen = {{ rank = 8 }}\nset = {{ training.rang = 5 }}": "rank 8: There is no setting",
    "[axes]\n'training.data' = ['a/b', 'a b']": "2 runs would be called 'a_b'",
    "[axes]\n'training.data' = ['Terse', 'terse']": "2 runs would be called 'terse'",
    "[axes]\n'training.data' = ['shared']": "run name 'shared' is reserved",
    "[axes.data]\nConfigs = {}": "run name 'Configs' is reserved",
    f"[axes.data]\n{'long' * 40} = {{}}": "160 characters): give the values short names",
    f"[axes]\n'training.rank' = {list(range(1, 40))}\n'training.epochs' = {list(range(1, 40))}": "1,521 combinations",
}


@every("text", WRONG)
def test_what_cannot_be_meant_is_said_with_the_file_and_the_key(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        matrix(tmp_path, text)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path}/mine.toml: ")
    assert WRONG[text] in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"axes = [", "is not valid TOML"), (b"name = '\xff'", "is not UTF-8"), (None, "does not exist")],
)
def test_a_file_that_cannot_be_read_is_data(tmp_path: Path, content: bytes | None, words: str) -> None:
    file = tmp_path / "mine.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_matrix(file)


def test_a_folder_leads_to_resume(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--resume"):
        read_matrix(tmp_path)


def test_the_examples_can_be_read() -> None:
    folder = Path(__file__).parents[2] / "examples"
    assert len(read_matrix(folder / "small.toml").members) == 4
    assert all(read_matrix(file).members for file in folder.glob("*.toml"))
