import json
from pathlib import Path

import pytest

from mlx_distill import students
from mlx_distill.errors import DataError


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
