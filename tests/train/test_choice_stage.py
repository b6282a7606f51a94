"""The stage that chooses: what it reads and writes, and that nothing is drawn, checked or computed twice."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from command_line import Options, command, fails, invoke

from mlx_distill.models.students import Student
from mlx_distill.models.students.generate import Decoding
from mlx_distill.pipeline import rounds
from mlx_distill.run import config as configuration
from mlx_distill.run.choices import CandidateAnswer
from mlx_distill.run.data.material import collected
from mlx_distill.run.folder import RunDir
from mlx_distill.run.job import Job
from mlx_distill.run.records import Check, Completion, Generation, Prompt
from mlx_distill.train.choice import sampling, scoring
from mlx_distill.train.choice.stage import choose_answers

SCORES = "choice/scores.jsonl"
TASKS = {"double": "x * 2", "triple": "x * 3", "square": "x * x", "negate": "-x"}
RIGHT, LONG, WRONG = (
    "def {0}(x):\n    return {1}",
    "def {0}(x):\n    # It is easy.\n    return {1}",
    "def {0}(x): return x",
)


def code(form: str, name: str) -> str:
    return f"```python\n{form.format(name, TASKS[name])}\n```"


def prompts() -> list[Prompt]:
    asked = [
        Prompt(name, f"Write {name}(x).", checks=(Check(repr(eval(TASKS[name], {"x": 5})), f"{name}(5)"),))
        for name in TASKS
    ]
    return [*asked, Prompt("free", "Say hello."), Prompt("held", "Say bye.", split="valid")]


def answers() -> list[Completion]:
    """negate has none that passes; the free prompt has no checks."""
    texts = {name: [code(form, name) for form in (WRONG, LONG, RIGHT, RIGHT)] for name in TASKS}
    texts |= {
        "negate": [code(WRONG, "negate")],
        "free": ["Hello, hello, hello.", "Hi.\n" * 12, "Hi."],
        "held": ["Bye."],
    }
    return [
        Completion(prompt.id, prompt.text, text, "end_turn", "claude", usd=0.01)
        for prompt in prompts()
        for text in texts[prompt.id]
    ]


class Watcher:
    """A View that remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)

    warn = note

    @contextlib.contextmanager
    def tracking(self, stage: str, total: int) -> Iterator[Callable[[int, str], None]]:
        self.said.append(f"{stage} {total}")
        yield lambda done, text: None


@pytest.fixture
def job(short: Options, tmp_path: Path) -> Callable[..., Job]:
    def made(name: str = "run", **choice: Any) -> Job:
        run = RunDir(tmp_path / name)
        run.write_records("prompts.jsonl", prompts())
        run.write_records("teacher_data.jsonl", answers())
        settings = {"training.student": short[-1], "choice.max_tokens": 6, "comparison.batch_size": 3}
        settings |= {f"choice.{key}": value for key, value in choice.items()}
        return Job(run, configuration.resolve("demo", settings), Watcher())  # type: ignore[arg-type]

    return made


def chosen(job: Job) -> dict[str, str]:
    choose_answers(job)
    taken = {row.prompt_id: row.source for row in job.run.read("choices.jsonl", CandidateAnswer) if row.chosen}
    texts = {row.prompt_id: row.completion for row in job.run.read("chosen_data.jsonl", Completion)}
    assert len(texts) == len(prompts())
    return {name: f"{taken.get(name, 'none')}: {texts[name]}" for name in texts}


def test_what_is_chosen_is_filtered_and_trained_on_and_what_is_not_is_counted(job: Callable[..., Job]) -> None:
    from mlx_distill.collect.filtering import filter_answers

    work = job(rule="shortest")
    found = chosen(work)
    assert found["double"] == f"teacher: {code(RIGHT, 'double')}"
    assert found["negate"] == f"none: {code(WRONG, 'negate')}"
    assert (found["free"], found["held"]) == ("teacher: Hi.", "none: Bye.")
    rows = work.run.read("choices.jsonl", CandidateAnswer)
    assert [row.passed for row in rows if row.prompt_id == "double"] == [
        False,
        True,
        True,
    ]  # the same again is no other
    assert [row.problem for row in rows if row.prompt_id == "free"] == ["", "repetition", ""]
    assert {row.passed for row in rows if row.prompt_id == "free"} == {None}
    assert all(row.nats and row.tokens and row.usd == 0.01 for row in rows if not row.problem)
    filter_answers(work)
    dataset = work.run.read_json("dataset.json")
    assert dataset["left_out"] == {"no answer passes its checks": 1}
    trained = {talk.id: talk.messages[-1]["content"] for talk in collected(work.run, work.config)}
    assert trained == {name: text.partition(": ")[2] for name, text in found.items() if name != "negate"}


def test_the_students_own_answers_compete_where_they_pass(
    job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A student that can double, and negate where no teacher can; what it cannot do comes from the teacher."""
    asked: list[str] = []

    def able(student: Student, role: str, texts: Mapping[str, str], decoding: Decoding, done: Any) -> Any:
        asked.extend(texts)
        for name in texts:
            form = RIGHT if name in ("double", "negate") else WRONG
            ended = "length" if name == "square" else "stop"
            text = f"<think>Hm.</think>Mine {decoding.seed}:\n{code(form, name)}"
            yield [Generation(name, "base", text, 9, 0.1, ended)]

    monkeypatch.setattr(sampling, "generate", able)
    found = chosen(job(rule="fit", student_answers=2))
    assert sorted(set(asked)) == sorted(TASKS)  # those with checks
    sources = {name: text.partition(":")[0] for name, text in found.items()}
    assert sources == {
        **{"double": "student", "triple": "teacher", "square": "teacher", "negate": "student", "free": "teacher"},
        "held": "none",
    }
    assert "Mine" in found["double"]
    assert "Hm." not in found["double"]
    own = chosen(job(rule="own", student_answers=2))
    assert {name for name, text in own.items() if text.startswith("student")} == {"double", "negate"}
    rows = job().run.read("choices.jsonl", CandidateAnswer)
    assert {row.problem for row in rows if row.prompt_id == "square" and row.source == "student"} == {"truncated"}


def test_another_rule_draws_checks_and_computes_nothing(
    job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = job(rule="fit", student_answers=1)
    choose_answers(work)
    scores = (work.run / SCORES).read_bytes()

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError

    for module, name in ((scoring, "measure"), (scoring, "run_checks"), (sampling, "generate")):
        monkeypatch.setattr(module, name, never)
    for rule in ("shortest", "first", "fit"):
        choose_answers(job(rule=rule, student_answers=1))
    assert (work.run / SCORES).read_bytes() == scores


def test_runs_that_share_a_folder_draw_and_compute_once_and_each_keeps_what_it_used(
    job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def sharing(work: Job) -> Job:
        machine = dataclasses.replace(work.config.machine, shared=str(tmp_path / "shared"))
        return dataclasses.replace(work, config=dataclasses.replace(work.config, machine=machine))

    choose_answers(sharing(job("one", rule="fit", student_answers=1)))
    for module, name in ((scoring, "measure"), (scoring, "run_checks"), (sampling, "generate")):
        monkeypatch.setattr(module, name, None)
    choose_answers(sharing(job("two", rule="fit", student_answers=1)))
    shutil.rmtree(tmp_path / "shared")
    for name in ("one", "two"):
        choose_answers(job(name, rule="shortest", student_answers=1))
    assert (tmp_path / "one" / "choices.jsonl").read_bytes() == (tmp_path / "two" / "choices.jsonl").read_bytes()


def test_one_more_of_the_students_answers_draws_that_one_only(job: Callable[..., Job]) -> None:
    work = job(rule="fit", student_answers=1)
    choose_answers(work)
    choose_answers(job(rule="fit", student_answers=3))
    whole = job("whole", rule="fit", student_answers=3)
    choose_answers(whole)
    (grown,), (drawn,) = (list((run / "choice").glob("answers-*")) for run in (work.run.path, whole.run.path))
    timeless = [
        [{**json.loads(line), "seconds": 0} for line in file.read_text().splitlines()] for file in (grown, drawn)
    ]
    assert timeless[0] == timeless[1]
    assert len(timeless[0]) == 3 * len(TASKS)
    assert len({row["text"] for row in timeless[0] if row["prompt_id"] == "double"}) == 3
    assert (work.run / "choices.jsonl").read_bytes() == (whole.run / "choices.jsonl").read_bytes()


def test_what_was_cut_off_goes_on_and_ends_with_the_same_bits(
    job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = job("whole", rule="fit"), job("cut", rule="fit")
    choose_answers(whole)
    measured, calls = scoring.measure, []

    def stopped(split: Any, prefix: Any, examples: Any) -> Any:
        calls.append(len(examples))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return measured(split, prefix, examples)

    monkeypatch.setattr(scoring, "measure", stopped)
    with pytest.raises(KeyboardInterrupt):
        choose_answers(cut)
    with (cut.run / SCORES).open("a") as file:
        file.write('{"key": "torn')
    choose_answers(cut)
    assert calls[0] + sum(calls[2:]) == len((whole.run / SCORES).read_text().splitlines())
    for name in ("choices.jsonl", "chosen_data.jsonl", SCORES):
        assert (cut.run / name).read_bytes() == (whole.run / name).read_bytes()


def test_what_would_choose_nothing_is_refused() -> None:
    fails(2, "the student gives no answers: add --student-answers", "plan", "--choose", "own")
    fails(2, "With training.data (--data) nothing is chosen", "plan", "--choose", "fit", "--data", __file__)


# ---------------------------------------------------------------- from the command line


def write_run(folder: Path, student: str) -> list[str | Path]:
    """Prompt sets, recorded answers and a configuration. Returns the options that name them."""
    asked = [
        {"prompt": p.text, "checks": [{"run": c.run, "expected": c.expected} for c in p.checks]} if p.checks
        else {"prompt": p.text}
        for p in prompts()
    ]  # fmt: skip
    sets = {"train": asked[:-1], "valid": asked[-1:], "test": [{"prompt": "Which of all questions decides it?"}]}
    rows = [{"prompt": row.prompt, "completion": row.completion} for row in answers()]
    rows.append({"prompt": sets["test"][0]["prompt"], "completion": "This one."})
    for name, lines in {**sets, "answers": rows}.items():
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (folder / "own.toml").write_text(
        'preset = "demo-short"\n[prompts]\ntrain = ["train.jsonl"]\nvalid = ["valid.jsonl"]\ntest = ["test.jsonl"]\n'
        f'limit = "none"\n[teacher]\nspec = "recorded:answers.jsonl"\n[training]\nstudent = "{student}"\nlayers = 2\n'
        "[comparison]\nmax_tokens = 4\n[choice]\nmax_tokens = 6\n"
    )
    return ["--config", folder / "own.toml", "--run", folder / "run"]


@pytest.mark.real
def test_a_whole_run_says_what_was_chosen(short: Options, tmp_path: Path) -> None:
    given = write_run(tmp_path, short[-1])
    run = tmp_path / "run"
    several = ("--answers-per-prompt", "4", "--student-answers", "1")
    planned = " ".join(invoke("plan", *given, *several, "--choose", "fit").stdout.split())
    assert "Student's own answers 4, of up to 6 tokens" in planned
    assert "choose" in planned.partition("Stages to run")[2]
    done = invoke("run", *given, *several, "--choose", "fit")
    assert done.returncode == 0, done.stderr
    part = json.loads((run / "results.json").read_text())["choice"]
    assert (part["rule"], part["prompts"], part["left_out"]) == ("fit", 5, {"no answer passes its checks": 1})
    counted = {side: [part[side][key] for key in ("candidates", "passed", "chosen")] for side in ("teacher", "student")}
    assert counted == {"teacher": [13, 6, 4], "student": [4, 0, 0]}
    assert part["nats"]["change"]["mean"] == pytest.approx(
        part["nats"]["chosen"]["mean"] - part["nats"]["first"]["mean"]
    )
    page, report = ((run / name).read_text() for name in ("report.html", "RESULTS.md"))
    for text in (page, report):
        assert "Choice among answers" in text
        assert "no answer passes its checks" in text
    assert "Chosen by fit for training: 4 of the teacher's answers, 0 of the student's own" in " ".join(
        done.stdout.split()
    )
    assert "choose up to date" in " ".join(invoke("run", "--run", run).stdout.split())
    scores = (run / SCORES).read_bytes()
    goes_on(run)
    again = invoke("train", "--run", run, "--choose", "shortest", "--update")
    assert again.returncode == 0, again.stderr
    assert (run / SCORES).read_bytes() == scores
    back = invoke(
        *("run", "--run", run, "--update", "--choose", "first", "--answers-per-prompt", "1", "--student-answers", "0")
    )
    assert back.returncode == 0, back.stderr
    assert json.loads((run / "results.json").read_text())["choice"] is None


def goes_on(run: Path) -> None:
    """A further round: the distilled student answers, the base reads, and nobody is asked again."""
    done = invoke("round", "--run", run)
    assert done.returncode == 0, done.stderr
    further = run.with_name("run-round-2")
    assert not (further / "ledger.sqlite").exists()
    assert (further / "teacher_data.jsonl").read_bytes() == (run / "teacher_data.jsonl").read_bytes()
    now, before = (json.loads((folder / "results.json").read_text()) for folder in (further, run))
    assert (now["choice"]["answers_of"], now["choice"]["student"]["candidates"]) == ("run", 16)
    assert now["training"]["heldout_loss"]["base"] == before["training"]["heldout_loss"]["base"]
    assert "Its own, distilled in run" in (further / "RESULTS.md").read_text()
    scores = [{row["key"]: row for row in map(json.loads, (folder / SCORES).open())} for folder in (run, further)]
    shared = scores[0].keys() & scores[1].keys()
    assert len(shared) == 12  # the teacher's answers, which the base finds as likely as before, bit for bit
    assert all(scores[0][key] == scores[1][key] for key in shared)
    assert rounds.next_folder(further) == run.with_name("run-round-3")
    fails(2, "its student is", "run", "--run", further, "--update", "--student", "smollm2-135m", "--yes")


@pytest.mark.long
def test_killed_while_it_chooses_it_ends_with_the_same_choice(short: Options, tmp_path: Path) -> None:
    given = write_run(tmp_path, short[-1])
    options = [*given, "--answers-per-prompt", "4", "--student-answers", "3", "--choose", "fit"]
    assert invoke("collect", *options).returncode == 0
    shutil.copytree(tmp_path / "run", tmp_path / "whole")
    assert invoke("train", "--run", tmp_path / "whole").returncode == 0
    kills = 0
    for lines in (1, 6, 12, 13, 18, 99):
        process = subprocess.Popen(command("train", "--run", tmp_path / "run"), stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 100
        while process.poll() is None and written(tmp_path / "run") < lines and time.monotonic() < deadline:
            time.sleep(0.005)
        process.kill()
        kills += process.wait() == -9
        if process.returncode == 0:
            break
    assert kills >= 2
    assert invoke("train", "--run", tmp_path / "run").returncode == 0
    for name in ("choices.jsonl", "distilled-student/adapters.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def written(run: Path) -> int:
    """Lines of what was drawn and computed."""
    return sum(file.read_bytes().count(b"\n") for file in (run / "choice").glob("*.jsonl"))
