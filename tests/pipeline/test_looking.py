"""Before anything is paid, everything that can fail later is looked at."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command_line import Options, fails, invoke
from messages_api import MessagesServer
from tables import every

from mlx_distill.models.students import Student
from mlx_distill.models.students import looking as students_looking
from mlx_distill.models.students.files import check_headers
from mlx_distill.models.students.looking import Unreachable
from mlx_distill.pipeline import preflight as looking
from mlx_distill.run import config as configuration
from mlx_distill.run.config import Config
from mlx_distill.run.errors import DataError, DistillError, UsageError

PLAIN = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
OPEN = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
REFUSES = "{{ raise_exception('no message here') }}"


@pytest.fixture
def student(short: Options, tmp_path: Path) -> Callable[..., str]:
    """Makes a copy of the random student with another template, configuration or weights."""

    def made(name: str, template: str | None = PLAIN + OPEN, weights: bool = True, **config: Any) -> str:
        folder, whole = tmp_path / name, Path(short[-1])
        folder.mkdir()
        for path in whole.iterdir():
            if path.name not in ("tokenizer_config.json", "chat_template.jinja", "config.json") and (
                weights or not path.name.endswith(".safetensors")
            ):
                (folder / path.name).symlink_to(path)
        settings = json.loads((whole / "tokenizer_config.json").read_text())
        settings.pop("chat_template", None)
        if template:
            settings["chat_template"] = template
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        shape = json.loads((whole / "config.json").read_text()) | config
        (folder / "config.json").write_text(json.dumps(shape))
        return str(folder)

    return made


def problem(**changes: Any) -> str:
    """What is wrong with a short run of these settings, by the plan's rows."""
    settings = {"training.layers": 2} | {name.replace("__", "."): value for name, value in changes.items()}
    rows = looking.rows(configuration.resolve("demo-short", settings), Path("runs", "none"))
    return " ".join(f"{what}: {words}" for what, words in rows)


@pytest.mark.real
def test_a_good_student_has_no_problem(student: Callable[..., str]) -> None:
    assert problem(training__student=student("good")) == ""


@pytest.mark.real
def test_what_is_wrong_with_a_student_is_known_from_its_files(student: Callable[..., str], tmp_path: Path) -> None:
    good = student("good")
    cut = student("cut", weights=False)
    weights = (Path(good) / "model.safetensors").read_bytes()
    (Path(cut) / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    lacking = student("lacking")
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (Path(lacking) / "model.safetensors.index.json").write_text(json.dumps(index))
    for name, changes, words in (
        (student("refuses", REFUSES + PLAIN + OPEN), {}, "refuses these messages (no message here)"),
        (student("none", None), {}, "has no chat template"),
        (student("broken", "{% for m in messages %}{{ m.nothing.at.all }}{% endfor %}"), {}, "chat template"),
        (student("syntax", "{% for m in messages %}{{ m.content }"), {}, "chat template"),
        (student("weightless", weights=False), {}, "no weights"),
        (cut, {}, "is cut short"),
        (lacking, {}, "lacks model-00002-of-00002.safetensors"),
        (student("wide", hidden_size=64), {}, "cannot be loaded"),
        (good, {"training__layers": 9}, "has 4 layers, not 9"),
        (good, {"training__targets": ("nothing",)}, "no layer 'nothing'"),
        (good, {"training__rank": 64}, "above the student's width"),
        ("nowhere/at-all", {}, "Not checked: nowhere/at-all is not on this machine"),
    ):
        assert words in problem(training__student=name, **changes), name


@every(
    "template, words",
    [
        (REFUSES + PLAIN + OPEN, "refuses these messages (no message here)"),
        ("{% for m in messages %}{{ m.nothing.at.all }}{% endfor %}", "refuses these messages"),
        ("{% for m in messages %}{{ m.content }", "refuses these messages"),
        (PLAIN + OPEN, ""),
    ],
)
def test_a_template_is_tried_as_training_and_comparing_use_it(template: str, words: str, smollm: Any) -> None:
    student = Student(smollm.spec, smollm.folder, smollm.model, smollm.tokenizer)  # it keeps what it saw of a template
    config = configuration.resolve("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(smollm.tokenizer._tokenizer, "chat_template", template)
        if words:
            with pytest.raises(DataError, match=re.escape(words)):
                looking._check_template(student, config)
        else:
            looking._check_template(student, config)


def test_weights_are_known_by_their_headers(short: Options, tmp_path: Path) -> None:
    weights = (Path(short[-1]) / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights)
    check_headers(tmp_path)
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(DataError, match="lacks model-00002-of-00002"):
        check_headers(tmp_path)
    (tmp_path / "model.safetensors.index.json").unlink()
    (tmp_path / "model.safetensors").write_bytes(weights[:-1])
    with pytest.raises(DataError, match="is cut short"):
        check_headers(tmp_path)


def test_what_else_takes_part_is_looked_at_too(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "bad.jsonl").write_text('{"neither": 1}\n')
    for changes, words in (
        ({"prompts__test": (str(tmp_path / "none.txt"),)}, "There is no prompt set"),
        ({"comparison__judges": ("recorded:none.jsonl",)}, "none.jsonl"),
        ({"comparison__judges": (f"mlx:{tmp_path}",)}, "no config.json"),
        ({"comparison__human": ("none.csv",)}, "none.csv does not exist"),
        ({"teacher__spec": "recorded:none.jsonl"}, "none.jsonl"),
        ({"bench__benchmarks": ("nothing",)}, "There is no benchmark 'nothing'"),
        ({"bench__data": (str(tmp_path / "bad.jsonl"),)}, "none of the published formats"),
        ({"bench__published": ("none.jsonl",)}, "none.jsonl"),
        ({"comparison__sandbox_packages": "no_such_package"}, "no_such_package"),
    ):
        settings = {name.replace("__", "."): value for name, value in changes.items()}
        with pytest.raises(DistillError, match=re.escape(words)):
            all_but_the_student(configuration.resolve("demo-short", settings))


def all_but_the_student(config: Config) -> None:
    for look_at in looking.checks(whole=False)[1:]:
        look_at(config, Path("runs", "none"))


def test_a_disk_without_room_is_found_before(short: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = configuration.resolve("demo", {"training.student": short[-1]})
    looking._disk(config, tmp_path / "not" / "there")
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1 << 20}))
    with pytest.raises(DataError, match="make room"):
        looking._disk(config, tmp_path / "not" / "there")


# ---------------------------------------------------------------- a student on the hub


@pytest.mark.real
def test_a_student_that_is_not_here_is_known_by_its_tokenizer(
    student: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {"good": student("good", weights=False), "refuses": student("refuses", REFUSES + PLAIN, weights=False)}
    monkeypatch.setattr(students_looking, "_fetched", lambda repository: Path(there[repository.partition("/")[2]]))
    assert problem(training__student="my/good") == ""
    assert "refuses these messages" in problem(training__student="my/refuses")
    assert "has 4 layers, not 9" in problem(training__student="my/good", training__layers=9)


class Hub:
    """In place of the hub's client."""

    names: list[str] | Exception

    def model_info(self, repository: str, timeout: float) -> Any:
        if isinstance(self.names, Exception):
            raise self.names
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=name) for name in self.names])


def test_a_model_without_weights_on_the_hub_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLX_DISTILL_CACHE", str(tmp_path))
    monkeypatch.setattr("mlx_distill.models.students.is_local", lambda spec: False)
    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(tmp_path))
    Hub.names = ["config.json", "pytorch_model.bin"]
    with pytest.raises(DataError, match="has no weights"):
        students_looking.look("my/model")
    Hub.names = OSError("no route")
    with pytest.raises(Unreachable, match="cannot be downloaded"):
        students_looking.look("my/model")


# ---------------------------------------------------------------- nothing is sent


@every("command", ["run", "collect"])
def test_nothing_is_sent_for_a_student_that_cannot_be_trained(
    command: str, serve: Callable[..., MessagesServer], student: Callable[..., str], tmp_path: Path
) -> None:
    server = serve()
    refuses = tmp_path / "refuses"
    options = ("--preset", "demo-short", "--teacher", "claude-sonnet-4-6", "--accept-terms", "--yes", "--layers", "2")
    bad = str(refuses) if refuses.exists() else student("refuses", REFUSES + PLAIN + OPEN)
    fails(3, "no message here", command, *options, "--student", bad, "--run", tmp_path / command)
    assert server.asked == []


def test_a_student_that_nobody_can_reach_stops_a_run_and_is_a_note_where_only_answers_are_collected(
    tmp_path: Path,
) -> None:
    options = ("--preset", "demo-short", "--student", "qwen2.5-1.5b")
    fails(3, "what would work here", "run", *options, "--run", tmp_path / "run")
    done = invoke("collect", *options, "--run", tmp_path / "collected")
    assert done.returncode == 0, done.stderr
    assert "Not checked: Qwen/Qwen2.5-1.5B-Instruct" in " ".join(done.stdout.split())


def test_a_plan_says_what_would_fail(student: Callable[..., str], tmp_path: Path) -> None:
    bad = student("refuses", REFUSES + PLAIN + OPEN)
    options = ("--preset", "demo-short", "--layers", "2", "--student", bad)
    told = " ".join(invoke("plan", *options, "--run", tmp_path / "run").stdout.split())
    assert "Would fail" in told
    assert "no message here" in told
    assert not (tmp_path / "run").exists()


def test_what_is_done_is_not_looked_at_again(finished: Path, monkeypatch: pytest.MonkeyPatch, short: Options) -> None:
    monkeypatch.setattr(looking, "look", lambda spec: pytest.fail("it was looked at"))
    assert invoke("run", *short, "--run", finished).returncode == 0


def test_checking_settings_changes_no_model(smollm: Any) -> None:
    from tiny import tiny

    from mlx_distill.models.students.adapter import check_settings
    from mlx_distill.run.config import TrainingConfig

    model = tiny(smollm).model
    check_settings(model, TrainingConfig(layers="all", targets=("q_proj",)))
    assert not any("lora" in name for name, _ in model.named_modules())
    with pytest.raises(UsageError):
        check_settings(model, TrainingConfig(layers=9))
