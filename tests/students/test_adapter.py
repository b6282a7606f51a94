from pathlib import Path

import mlx.core as mx
import pytest
from mlx_lm import load as mlx_lm_load

from mlx_distill.errors import DataError, UsageError
from mlx_distill.students import Student
from mlx_distill.students import adapter as adapters
from mlx_distill.students.adapter import Adapter

TOKENS = mx.array([[1, 100, 200, 300, 2]])


def attach(student: Student, **changes: int) -> Adapter:
    settings = {"layers": 2, "rank": 4, "scale": 2.0, "dropout": 0.0, "seed": 0} | changes
    return Adapter(student.model, **settings)  # type: ignore[arg-type]


def noisy(adapter: Adapter) -> Adapter:
    adapter.set_weights({n: mx.random.normal(a.shape) * 0.05 for n, a in adapter.weights().items()})
    return adapter


def test_off_is_the_base_bit_for_bit_and_on_is_not(smollm: Student) -> None:
    before = smollm.model(TOKENS)
    adapter = noisy(attach(smollm))
    assert not mx.array_equal(smollm.model(TOKENS), before)
    adapter.switch(False)
    assert mx.array_equal(smollm.model(TOKENS), before)


def test_the_parameter_count_is_computed(smollm: Student) -> None:
    adapter = attach(smollm)
    dim, inner, keys = 576, 1536, 192
    pairs = [(dim, dim), (keys, dim), (keys, dim), (dim, dim), (inner, dim), (inner, dim), (dim, inner)]
    assert adapter.parameter_count() == 2 * sum(4 * (rows + columns) for rows, columns in pairs)
    adapter.switch(False)
    assert adapters.total_parameters(smollm.model) == 134_515_008


def test_a_saved_adapter_gives_the_same_logits_here_and_in_mlx_lm(smollm: Student, tmp_path: Path) -> None:
    adapter = noisy(attach(smollm))
    adapter.save(tmp_path, smollm.spec)
    ours = smollm.model(TOKENS)
    adapter.switch(False)
    again = adapters.load(smollm.model, tmp_path)
    assert mx.array_equal(smollm.model(TOKENS), ours)
    again.switch(False)
    theirs, _ = mlx_lm_load(str(smollm.folder), adapter_path=str(tmp_path))
    theirs.set_dtype(mx.float32)
    assert mx.allclose(theirs(TOKENS), ours, rtol=1e-4, atol=1e-3)


def test_a_folder_without_an_adapter_is_refused(smollm: Student, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no adapter"):
        adapters.load(smollm.model, tmp_path)


def test_more_layers_than_the_student_has_are_refused(smollm: Student) -> None:
    with pytest.raises(UsageError, match="has 30 layers, not 31"):
        attach(smollm, layers=31)


def test_another_adapters_weights_are_refused(smollm: Student) -> None:
    adapter = attach(smollm)
    with pytest.raises(DataError, match="other layers or another rank"):
        adapter.set_weights({"model.layers.0.x": mx.zeros((1,))})
    adapter.switch(False)
