import json
from pathlib import Path
from typing import Any

import pytest
from tables import every
from tiny import tiny, tiny_folder

from mlx_distill.cli.values import NumberOr
from mlx_distill.models import students
from mlx_distill.models.students import Student, adapter
from mlx_distill.run.config import TrainingConfig
from mlx_distill.run.errors import DataError, UsageError, words_of


def test_a_student_that_is_not_here_says_what_would_work() -> None:
    with pytest.raises(DataError, match="what would work here: smollm2-135m"):
        students.locate("qwen2.5-1.5b")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"qwen2\.5-0\.5b, qwen2\.5-1\.5b, smollm2-135m"):
        students.locate("tiny-model")


def test_a_folder_without_weights_or_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no config\.json"):
        students.locate(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(DataError, match="no weights"):
        students.locate(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(DataError, match="has no tokenizer"):
        students.load(str(tmp_path))
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(DataError, match="cannot be loaded"):
        students.load(str(tmp_path))


def test_a_missing_gguf_is_refused() -> None:
    with pytest.raises(DataError, match="does not exist"):
        students.locate("nowhere.gguf")


def broken(folder: Path, **config: Any) -> str:
    """The random student in a folder, with another config.json."""
    known = json.loads((folder / "config.json").read_text()) | config
    (folder / "config.json").write_text(json.dumps({name: value for name, value in known.items() if value != "gone"}))
    return str(folder)


@every(
    "config, words",
    [
        (
            {"num_hidden_layers": 6, "layer_types": "gone"},
            "model.layers.4.input_layernorm.weight",
        ),  # the second line of mlx's error
        ({"num_hidden_layers": 3, "layer_types": "gone"}, "parameters not in model: model.layers.3.input_layernorm.w"),
        ({"rms_norm_eps": "gone"}, "'rms_norm_eps'"),
        ({"num_attention_heads": 0}, "ZeroDivisionError"),
        ({"hidden_size": "many"}, "TypeError"),
        ({"model_type": "unheard-of"}, "unheard-of"),
        ({"model_type": "gone"}, "model_type"),
        ({"num_attention_heads": 3}, "cannot be loaded"),
    ],
)
def test_a_foreign_configuration_is_never_our_fault(
    smollm: Student, tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any], words: str
) -> None:
    spec = broken(tiny_folder(smollm, tmp_path_factory.mktemp("students") / "student"), **config)
    with pytest.raises(DataError, match=r"whose config\.json belongs to its weights") as found:
        students.load(spec)
    assert words in str(found.value)
    assert "\n" not in str(found.value)


@every(
    "name, content, words",
    [
        ("config.json", b"", "cannot be read"),
        ("config.json", b"[1, 2]", "is no JSON object"),
        ("config.json", b"\xff", "cannot be read"),
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("model.safetensors", b"<!doctype html>", "is a web page"),
    ],
)
def test_a_file_that_is_another_one_is_named(
    smollm: Student, tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes, words: str
) -> None:
    folder = tiny_folder(smollm, tmp_path_factory.mktemp("students") / "student")
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=words):
        students.load(str(folder))


def test_the_rank_ends_at_the_width(smollm: Student) -> None:
    student = tiny(smollm)
    with pytest.raises(UsageError, match="--rank 33 is above the student's width of 32"):
        adapter.attach(student.model, TrainingConfig(layers=2, rank=33))


def test_all_layers_may_be_written_as_one_likes() -> None:
    layers = NumberOr("all")
    assert [layers.convert(word, None, None) for word in ("all", "ALL", "All", "3")] == ["all", "all", "all", 3]


def test_an_error_keeps_its_names() -> None:
    assert words_of(ValueError("Missing 2 parameters: \na,\nb.")) == "Missing 2 parameters: a, b."
    assert words_of(KeyError("model_type")) == "KeyError: 'model_type'"
    assert words_of(ValueError("")) == "ValueError"
    assert len(words_of(ValueError("x" * 1000))) < 310
