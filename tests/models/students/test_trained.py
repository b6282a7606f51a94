"""A later stage looks whether the training before it is finished, and whether the adapter belongs to this student."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from command_line import fails, invoke
from tables import every

from mlx_distill.models.students.dated import dated
from mlx_distill.models.students.files import weights_digest
from mlx_distill.models.students.peft import why_not_loadable
from mlx_distill.run.config import Config, replace
from mlx_distill.run.folder import RunDir
from mlx_distill.run.records import StepMetrics
from mlx_distill.run.unfinished import unfinished_part
from mlx_distill.summarise.gate import FINISHED, gate_part

ITEMS = [{"prompt": f"What is {n} + 2?", "answer": str(n + 2)} for n in range(2)]


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """A finished run with a student of its own: tests may do to both what they like."""
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    student = json.loads((run / "student.json").read_text())["student"]
    shutil.copytree(student, tmp_path / "student")
    for name in ("config.toml", "student.json"):
        (run / name).write_text((run / name).read_text().replace(student, str(tmp_path / "student")))
    written = "".join(f"{json.dumps(row)}\n" for row in ITEMS)
    (tmp_path / "items.jsonl").write_text(written)
    return run


def bench(run: Path) -> Any:
    return invoke("bench", "--run", run, "--data", run.parent / "items.jsonl", "--max-tokens", "2")


def changed(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.real
def test_a_training_that_was_cut_off_is_said_first_and_everywhere(copy: Path) -> None:
    changed(copy / "stages.json", lambda stages: stages["train"].update(state="running"))
    changed(copy / "student.json", lambda known: known.update(steps=60))
    (copy / "training.json").unlink()
    steps = len((copy / "metrics.jsonl").read_text().splitlines()) - 1
    words = f"The training is not finished: {steps} of 60 steps are done"
    done = bench(copy)
    assert done.returncode == 0, done.stderr
    assert words in done.stdout.partition("Gate:")[0]
    assert f"do not ship. {words}" in done.stdout
    card = (copy / "distilled-student" / "README.md").read_text().partition("Gate:")[0]
    assert words in card
    assert words in (copy / "report.html").read_text().partition("<h1")[0]
    assert (copy / "RESULTS.md").read_text().partition("Gate:")[0].count(words) == 1
    assert words in invoke("export", "peft", "--run", copy).stdout


@pytest.mark.real
def test_weights_that_were_swapped_are_noticed(copy: Path) -> None:
    student = copy.parent / "student" / "model.safetensors"
    weights = mx.load(str(student))
    assert bench(copy).returncode == 0
    mx.save_safetensors(str(student), {name: array + 0.01 for name, array in weights.items()})
    words = "and the weights in"
    fails(3, words, "bench", "--run", copy, "--data", copy.parent / "items.jsonl", "--max-tokens", "2")
    fails(3, words, "compare", "--run", copy, "--update", "--max-tokens", "3")


def test_a_copy_has_the_same_digest_and_other_weights_another(tmp_path: Path) -> None:
    folder, other = tmp_path / "a", tmp_path / "b"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 20000)
    shutil.copytree(folder, other)
    (other / "README.md").write_text("of no weight")
    assert weights_digest(folder) == weights_digest(other)
    (other / "model.safetensors").write_bytes(bytes(reversed(range(256))) * 20000)
    assert weights_digest(folder) != weights_digest(other)


def made(folder: Path, state: str | None, steps: int, **settings: Any) -> RunDir:
    run = RunDir(folder)
    (folder / "distilled-student").mkdir(parents=True)
    (folder / "distilled-student" / "adapters.safetensors").write_bytes(b"")
    (folder / "stages.json").write_text(json.dumps({"train": {"state": state}} if state else {}))
    run.write_json("student.json", {"steps": 60, "settings": settings})
    for step in range(steps + 1):
        loss = {0: 2.0, 6: 1.5, 12: 1.7}.get(step)
        run.append("metrics.jsonl", StepMetrics(step, 0.0, 1.0, 0.5, 1, 1.0, 1.0, 1, 1.0, valid_loss=loss))
    return run


@every(
    "state, steps, settings, said",
    [
        ("done", 60, {}, []),
        ("running", 14, {}, ["14 of 60 steps are done, and the adapter is that of step 6, the best so far."]),
        ("running", 3, {}, ["3 of 60 steps are done, and the adapter is the one of the beginning"]),
        (None, 3, {}, ["was not trained in this run"]),
        ("done", 60, {"rank": 16, "targets": []}, []),
        ("done", 60, {"rank": 8}, ["trained with other settings than the run has now (rank: 8 → 16)"]),
    ],
)
def test_what_is_said_of_a_training(
    tmp_path_factory: pytest.TempPathFactory, state: str | None, steps: int, settings: dict[str, Any], said: list[str]
) -> None:
    run = made(tmp_path_factory.mktemp("runs") / "run", state, steps, **settings)
    found = unfinished_part(run, Config())
    assert len(found) == len(said)
    assert all(words in sentence for words, sentence in zip(said, found, strict=True))


def test_another_stage_that_was_cut_off_is_said_too(tmp_path: Path) -> None:
    run = made(tmp_path / "run", "done", 60)
    changed(run / "stages.json", lambda stages: stages.update(generate={"state": "running"}))
    (sentence,) = unfinished_part(run, replace(Config(), {}))
    assert sentence.startswith("Answering the test prompts is not finished")


def test_what_is_not_finished_does_not_ship() -> None:
    gate = gate_part([], ["nothing degraded"], unfinished=["The training is not finished: 14 of 60 steps."])
    assert gate.verdict == "do not ship"
    assert gate.because.startswith("The training is not finished: 14 of 60 steps")
    assert [rule.rule for rule in gate.rules if not rule.holds] == [FINISHED]


# ---------------------------------------------------------------- the date of a chat template


def rendered(template: str, moment: datetime) -> str:
    """As transformers' own environment does it."""
    from transformers.utils.chat_template_utils import render_jinja_template

    texts, _ = render_jinja_template([[{"role": "user", "content": "Hi"}]], chat_template=dated(template, moment))
    return str(texts[0])


@every(
    "template, text",
    [
        ("{{ messages[0].content }}", "Hi"),
        ("Today: {{ strftime_now('%d %b %Y') }}.", "Today: 05 Mar 2021."),
        ("\n{{ strftime_now('%-d. %B, %H:%M:%S') }}", "\n5. March, 06:07:08"),
        ("{% set how = '%Y-%m-%d' %}{% if strftime_now is defined %}{{ strftime_now(how) }}{% endif %}", "2021-03-05"),
        ("{% for m in messages %}{{ strftime_now('%A') }} {{ m.content }}{% endfor %}", "Friday Hi"),
    ],
)
def test_a_template_prints_the_date_that_it_is_given(template: str, text: str) -> None:
    assert rendered(template, datetime(2021, 3, 5, 6, 7, 8)) == text


@pytest.mark.real
def test_the_date_of_a_run_is_the_one_of_its_first_use(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a training that goes on tomorrow is the same."""
    from mlx_distill.models import students
    from mlx_distill.models.students import trained
    from mlx_distill.run.job import Job

    class Quiet:
        def warn(self, text: str) -> None: ...

    folder = copy.parent / "student"
    changed(
        folder / "tokenizer_config.json",
        lambda known: known.update(chat_template="{{ strftime_now('%Y') }} {{ messages[0].content }}"),
    )
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    (copy / "date.json").unlink()
    job = Job(RunDir(copy), replace(Config(), {"training.student": str(folder)}), Quiet())  # type: ignore[arg-type]
    now = str(datetime.now().year)
    hi = [{"role": "user", "content": "Hi"}]
    assert trained.load(job, lazy=True).render(hi, generate=True) == f"{now} Hi"
    (copy / "date.json").write_text('{"date": "1999-12-31T23:59:59"}')
    assert trained.load(job, lazy=True).render(hi, generate=True) == "1999 Hi"
    assert students.load(str(folder), lazy=True).render(hi, generate=True) == f"{now} Hi"


# ---------------------------------------------------------------- transformers


def test_a_base_that_transformers_cannot_load_is_named(tmp_path: Path) -> None:
    def base(**config: Any) -> str:
        (tmp_path / "config.json").write_text(json.dumps(config))
        (tmp_path / "model.safetensors").write_bytes(b"")
        return str(tmp_path)

    assert why_not_loadable("weights.gguf") == "it is a GGUF file"
    assert why_not_loadable(base(model_type="llama", quantization={"bits": 4})) == "it is quantised for MLX"
    assert why_not_loadable(base(model_type="frobnicator")) == "it knows no model type 'frobnicator'"
    assert why_not_loadable(base(model_type="llama")) == ""
    assert why_not_loadable("somebody/not-here") == ""
