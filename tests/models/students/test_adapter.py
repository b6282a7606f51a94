import dataclasses
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm import generate as mlx_lm_generate
from mlx_lm import load as mlx_lm_load
from mlx_lm.tuner.utils import load_adapters
from tiny import LAYERS, tiny

from mlx_distill.models.students import Student, files
from mlx_distill.models.students import adapter as adapters
from mlx_distill.models.students.adapter import Adapter
from mlx_distill.run.config import TrainingConfig
from mlx_distill.run.errors import DataError, UsageError

TOKENS = mx.array([[1, 100, 200, 300, 2]])
KINDS = ("lora", "dora", "full")


def attach(student: Student, **changes: Any) -> Adapter:
    return adapters.attach(student.model, dataclasses.replace(TrainingConfig(layers=2, rank=4), **changes))


def noisy(adapter: Adapter) -> Adapter:
    mx.random.seed(1)
    adapter.set_weights({n: a + mx.random.normal(a.shape) * 0.05 for n, a in adapter.weights().items()})
    return adapter


def gap(a: mx.array, b: mx.array) -> float:
    return float(np.abs(np.array(a.astype(mx.float32)) - np.array(b.astype(mx.float32))).max())


# ---------------------------------------------------------------- the dial


@pytest.mark.parametrize("kind", KINDS)
def test_the_dial_is_bit_exact_at_both_ends_and_mixes_weights_between(smollm: Student, kind: str) -> None:
    student = tiny(smollm)
    base = student.model(TOKENS)
    adapter = noisy(attach(student, fine_tune=kind))
    trained = student.model(TOKENS)
    assert gap(trained, base) > 0.01
    for strength in (0.5, 0.0, 0.25, 1.0, 0.0):
        adapter.dial(strength)
        assert mx.array_equal(student.model(TOKENS), base) == (strength == 0)
        assert mx.array_equal(student.model(TOKENS), trained) == (strength == 1)
    adapter.dial(0.25)
    mixed = student.model(TOKENS)
    assert gap(mixed, interpolated(smollm, kind, 0.25)) < 1e-4


def interpolated(smollm: Student, kind: str, strength: float) -> mx.array:
    """The oracle: every linear layer's weight of base and trained model, fused and mixed by hand."""
    base, trained = tiny(smollm), tiny(smollm)
    noisy(attach(trained, fine_tune=kind))
    other = dict(trained.model.named_modules())
    for name, module in base.model.named_modules():
        if name.endswith(("proj", "norm")) and "weight" in module:
            found = other[name]
            fused = found.fuse() if hasattr(found, "fuse") else found
            module.weight = (1 - strength) * module.weight + strength * fused.weight
    return base.model(TOKENS)


def test_off_is_the_real_base_bit_for_bit(smollm: Student) -> None:
    before = smollm.model(TOKENS)
    adapter = noisy(attach(smollm))
    assert not mx.array_equal(smollm.model(TOKENS), before)
    adapter.dial(0)
    assert mx.array_equal(smollm.model(TOKENS), before)


# ---------------------------------------------------------------- what is trained


def test_the_parameter_count_is_computed(smollm: Student) -> None:
    adapter = attach(smollm)
    dim, inner, keys = 576, 1536, 192
    pairs = [(dim, dim), (keys, dim), (keys, dim), (dim, dim), (inner, dim), (inner, dim), (dim, inner)]
    assert adapter.parameter_count() == 2 * sum(4 * (rows + columns) for rows, columns in pairs)
    adapter.dial(0)
    assert files.total_parameters(smollm.model) == 134_515_008


def test_full_trains_every_weight_of_the_top_layers_and_no_other(smollm: Student) -> None:
    adapter = attach(tiny(smollm), fine_tune="full", layers=3)
    assert {name.split(".")[2] for name in adapter.weights()} == {"1", "2", "3"}
    assert any(name.endswith("input_layernorm.weight") for name in adapter.weights())


def test_all_layers_are_all_layers(smollm: Student) -> None:
    names = attach(tiny(smollm), layers="all").weights()
    assert {name.split(".")[2] for name in names} == {str(layer) for layer in range(LAYERS)}


@pytest.mark.parametrize(
    ("targets", "modules"),
    [
        (("q_proj", "v_proj"), {"self_attn.q_proj", "self_attn.v_proj"}),
        (("mlp",), {"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}),
        (("self_attn.o_proj",), {"self_attn.o_proj"}),
    ],
)
def test_targets_name_what_is_adapted(smollm: Student, targets: tuple[str, ...], modules: set[str]) -> None:
    names = attach(tiny(smollm), targets=targets).weights()
    assert {".".join(name.split(".")[3:-1]) for name in names} == modules


def test_alpha_is_scale_times_rank(smollm: Student) -> None:
    assert attach(tiny(smollm), alpha=32.0, rank=16).settings.scale == attach(tiny(smollm), scale=2.0).settings.scale


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"layers": 5}, "has 4 layers, not 5"),
        ({"targets": ("w1",)}, "no layer 'w1' to adapt: it has mlp.down_proj"),
    ],
)
def test_what_the_student_lacks_is_refused(smollm: Student, changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        attach(tiny(smollm), **changes)


# ---------------------------------------------------------------- dtypes and quantised bases


def test_bfloat16_models_get_their_adapter_in_bfloat16_from_float32_masters(smollm: Student) -> None:
    student = tiny(smollm, dtype=mx.bfloat16)
    adapter = attach(student)
    step = {name: array + 1e-4 for name, array in adapter.weights().items()}  # lost in bfloat16 beside 0.1
    adapter.set_weights(step)
    assert all(array.dtype == mx.float32 for array in adapter.weights().values())
    assert all(mx.array_equal(array, step[name]) for name, array in adapter.weights().items())
    layer = student.model.layers[-1].self_attn.q_proj
    assert layer.lora_a.dtype == mx.bfloat16
    assert student.model(TOKENS).dtype == mx.bfloat16


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_a_quantised_base_is_adapted_and_dialled_too(smollm: Student, kind: str) -> None:
    student = tiny(smollm, bits=4)
    base = student.model(TOKENS)
    adapter = noisy(attach(student, fine_tune=kind))
    assert gap(student.model(TOKENS), base) > 0.01
    adapter.dial(0)
    assert mx.array_equal(student.model(TOKENS), base)


def test_a_quantised_base_is_not_trained_whole(smollm: Student) -> None:
    with pytest.raises(UsageError, match="quantised student cannot be trained whole"):
        attach(tiny(smollm, bits=4), fine_tune="full")


# ---------------------------------------------------------------- saved and loaded


@pytest.mark.parametrize("kind", KINDS)
def test_mlx_lm_loads_what_is_saved(smollm: Student, kind: str, tmp_path: Path) -> None:
    ours, theirs = tiny(smollm), tiny(smollm)
    adapter = noisy(attach(ours, fine_tune=kind, targets=() if kind == "full" else ("q_proj", "mlp")))
    adapter.save(tmp_path, "tiny")
    load_adapters(theirs.model, str(tmp_path))
    assert gap(theirs.model(TOKENS), ours.model(TOKENS)) < 1e-6
    again = tiny(smollm)
    assert adapters.load(again.model, tmp_path).settings.to_row("tiny") == adapter.settings.to_row("tiny")
    assert mx.array_equal(again.model(TOKENS), ours.model(TOKENS))


@pytest.mark.real
def test_a_saved_adapter_gives_the_same_tokens_in_mlx_lm(smollm: Student, tmp_path: Path) -> None:
    """The real student, through mlx_lm's own load and generate."""
    adapter = noisy(attach(smollm, rank=4))
    adapter.set_weights({name: array * 0.3 for name, array in adapter.weights().items()})
    adapter.save(tmp_path, smollm.spec)
    prompt = smollm.tokens([{"role": "user", "content": "Write a haiku about rivers."}])
    ours = mlx_lm_generate(smollm.model, smollm.tokenizer, prompt, max_tokens=12)
    adapter.dial(0)
    plain = mlx_lm_generate(smollm.model, smollm.tokenizer, prompt, max_tokens=12)
    loaded: Any = mlx_lm_load(str(smollm.folder), adapter_path=str(tmp_path))
    loaded[0].set_dtype(mx.float32)
    theirs = mlx_lm_generate(loaded[0], loaded[1], prompt, max_tokens=12)
    assert ours == theirs != plain


def test_a_folder_without_an_adapter_is_refused(smollm: Student, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no adapter"):
        adapters.load(tiny(smollm).model, tmp_path)


def test_another_adapters_weights_are_refused(smollm: Student) -> None:
    with pytest.raises(DataError, match="other layers or another rank"):
        attach(tiny(smollm)).set_weights({"model.layers.0.x": mx.zeros((1,))})
