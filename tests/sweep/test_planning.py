"""What a sweep would take: what is shared counts once, what is done not at all, and nothing is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sweeping import Watcher, three

from mlx_distill.run import config as configuration
from mlx_distill.run.errors import UsageError
from mlx_distill.sweep import SweepOptions, make, planning
from mlx_distill.sweep.counting import count_answers
from mlx_distill.sweep.members import Shard, Sweep
from mlx_distill.train import fit

PAID = """
preset = "quick"
[prompts]
train = ["train.txt"]
valid = ["valid.txt"]
test = []
[axes]
"training.rank" = [8, 16]
"teacher.spec" = ["claude-sonnet-4-6", "claude-haiku-4-5"]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.txt").write_text("".join(f"Explain topic {i} to a colleague\n" for i in range(20)))
    (tmp_path / "valid.txt").write_text("What would you rather hold out\n")
    return tmp_path


def dollars(sweep: Sweep, place: int) -> float:
    found = planning.rows(sweep, planning.planned(sweep))
    return float(found[place][1].removeprefix("$").replace("nothing", "0"))


def paid(sweep: Sweep) -> float:
    return planning.most_usd(sweep, planning.planned(sweep))


def collected(sweep: Sweep, place: int, state: str = "waiting") -> None:
    """As a run stands whose teacher has answered."""
    member = sweep.matrix.members[place]
    sweep.run(member).write_json("stages.json", {"collect": {"state": "done", "fingerprint": "", "seconds": 1}})
    sweep.mark(member, state, "", 1.0)
    if state == "done":
        sweep.run(member).write_json("results.json", {"run": {}})


def test_what_several_runs_ask_a_teacher_is_paid_for_once(folder: Path) -> None:
    sweep = three(folder, text=PAID)
    each = [dollars(sweep, place) for place in range(5)]
    assert each[0] == each[2] > each[1] == each[3] > 0
    assert each[4] == pytest.approx(each[0] + each[1], abs=0.02)
    assert not sweep.folder.exists()


def test_what_is_collected_or_done_is_not_paid_for_again(folder: Path) -> None:
    sweep = three(folder, text=PAID)
    whole = paid(sweep)
    collected(sweep, 0)
    haiku = dollars(sweep, 1)
    assert haiku < whole
    assert paid(sweep) == pytest.approx(haiku, abs=0.01)
    collected(sweep, 1, "done")
    assert paid(sweep) == 0
    assert planning.rows(sweep, planning.planned(sweep))[-1][0] == "the 3 runs that are left"
    other = three(folder, text=PAID + '[teacher]\nsystem = "Be brief."\n')
    assert paid(other) > 0  # these were made with another question


def test_judges_are_paid_for_every_run(folder: Path) -> None:
    (folder / "test.txt").write_text("Which of all the many questions decides it in the end\n")
    text = PAID.replace("test = []", 'test = ["test.txt"]') + '[comparison]\njudges = ["claude-opus-4-6"]\n'
    sweep = three(folder, text=text)
    collected(sweep, 0)
    collected(sweep, 1)
    once = paid(three(folder, text=text.replace("[8, 16]", "[8]")))
    assert once > 0
    assert paid(sweep) == pytest.approx(2 * once)


def test_a_run_that_cannot_be_made_stops_no_other_and_is_asked_about(folder: Path) -> None:
    sweep = three(folder, text=PAID.replace("[8, 16]", "[8]").replace("claude-haiku-4-5", "claude-unknown-9"))
    found = planning.planned(sweep)
    last = planning.rows(sweep, found)
    assert last[1][-1].startswith("cannot be made: ")
    assert last[0][-1] == "waiting"
    assert planning.unpriced(sweep, found) == [sweep.matrix.members[1].name]


def test_own_data_without_a_comparison_pays_nobody(folder: Path) -> None:
    sweep = three(folder, text=PAID.replace("[prompts]", '[training]\ndata = "missing.jsonl"\n[prompts]'))
    found = planning.planned(sweep)
    assert all(isinstance(one, str) and "missing.jsonl" in one for one in found.values())
    assert (planning.unpriced(sweep, found), paid(sweep)) == ([], 0)
    assert planning.rows(sweep, found)[-1][1:5] == ("nothing", "—", "0 s", "—")


def test_time_and_memory_come_from_the_sweeps_own_runs_where_there_are_any(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = three(folder, text=PAID)
    assert planning.weights(planning.planned(sweep)) == {}
    assert {row[3] for row in planning.rows(sweep, planning.planned(sweep))} == {"unknown"}
    seen: list[Path] = []

    def earlier(folder: Path) -> list[fit.Earlier]:
        seen.append(folder)
        return [fit.Earlier("earlier", "smollm2-135m", "CPU", "Test", 1.1, 50e9)]

    monkeypatch.setattr(fit, "earlier_runs", earlier)
    monkeypatch.setattr("mlx_distill.machine.environment.chip", lambda: "Test")
    found = planning.planned(sweep)
    assert seen[0] == folder / "runs"
    assert len(planning.weights(found)) == 4
    assert all("unknown" not in row[3] for row in planning.rows(sweep, found))
    (sweep.folder / "other").mkdir(parents=True)
    (sweep.folder / "other" / "results.json").write_text("{}")
    planning.planned(sweep)
    assert seen[-1] == sweep.folder.resolve()


def test_a_shard_plans_its_own_runs(folder: Path) -> None:
    whole = paid(three(folder, text=PAID))
    shards = [three(folder, Shard(index, 4), PAID) for index in (1, 2, 3, 4)]
    rows = planning.rows(shards[0], planning.planned(shards[0]))
    assert [row[-1] for row in rows[:-1]] == ["waiting", *["left to another shard"] * 3]
    assert rows[-1][0] == "the 1 run left in shard 1 of 4"
    assert rows[-1][-1] == "1 waiting, 3 left to another shard"
    assert sum(map(paid, shards)) == pytest.approx(2 * whole)


def test_under_mlx_launch_a_run_is_started_not_a_sweep(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLX_RANK", "0")
    with pytest.raises(UsageError, match=r"mlx\.launch is for one run"):
        make(three(folder, text=PAID), folder / "three.toml", SweepOptions(), Watcher())


# ---------------------------------------------------------------- answers


def own(folder: Path, name: str, count: int) -> str:
    path = folder / name
    path.write_text("".join(json.dumps({"prompt": f"{i}?", "answer": str(i)}) + "\n" for i in range(count)))
    return str(path)


def test_benchmark_answers_are_counted_without_loading_any(tmp_path: Path) -> None:
    data = {"bench.data": (own(tmp_path, "a.jsonl", 30), own(tmp_path, "b.jsonl", 7))}
    plain = count_answers(configuration.resolve("demo", data))
    assert plain
    assert (plain.base, plain.distilled, plain.whole) == (37, 37, 74)
    sampled = count_answers(configuration.resolve("demo", data | {"bench.samples": 3, "bench.limit": 10}))
    assert sampled
    assert (sampled.base, sampled.distilled) == (51, 51)
    published = count_answers(configuration.resolve("demo", {"bench.benchmarks": ("default",), "bench.limit": 100}))
    assert published
    assert published.whole == 1000
    nothing = count_answers(configuration.resolve("demo"))
    assert nothing
    assert nothing.whole == 0


def test_candidates_answer_what_chooses_and_the_best_what_confirms(tmp_path: Path) -> None:
    settings = {
        "bench.data": (own(tmp_path, "a.jsonl", 30),),
        "selection.items": 12,
        "selection.strengths": (0.5, 1.0),
        "training.data": own(tmp_path, "chat.jsonl", 40),
        "training.batch_size": 4,
        "training.epochs": 2,
        "training.save_every": 6,
    }
    found = count_answers(configuration.resolve("demo", settings))
    assert found
    assert found.base == 30  # 18 reported, 4 choose, 8 confirm
    assert found.distilled == 18 + 4 * (3 + 1) * 2 + 8  # 18 steps: 3 saved, and perhaps one more
    by_prompts = count_answers(configuration.resolve("demo", settings | {"training.data": None, "prompts.limit": 4}))
    assert by_prompts
    assert by_prompts.distilled == 18 + 4 * 1 * 2 + 8
    traced = settings | {"training.data": None, "teacher.spec": "traces:x.jsonl"}
    assert count_answers(configuration.resolve("demo", traced)) is None
    assert count_answers(configuration.resolve("demo", traced | {"training.steps": 12})) is not None


def test_the_bases_answers_count_once(folder: Path) -> None:
    own(folder, "mine.jsonl", 10)
    text = f'{PAID}[bench]\ndata = ["mine.jsonl"]\n'
    sweep = three(folder, text=text)
    rows = planning.rows(sweep, planning.planned(sweep))
    assert [row[4] for row in rows] == ["20"] * 4 + ["50"]
    other = three(folder, text=text.replace("[axes]", '[axes]\n"bench.max_tokens" = [8, 9]'))
    assert planning.rows(other, planning.planned(other))[-1][4] == "100"


def test_states_are_counted_in_the_last_row(folder: Path) -> None:
    sweep = three(folder, text=PAID)
    collected(sweep, 0, "done")
    sweep.mark(sweep.matrix.members[1], "failed", "no", 1.0, 3)
    rows = planning.rows(sweep, planning.planned(sweep))
    assert [row[-1] for row in rows] == ["done", "failed", "waiting", "waiting", "1 done, 1 failed, 2 waiting"]
