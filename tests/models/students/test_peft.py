"""An exported adapter: its files here, and in the real PEFT the same logits as in mlx."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten
from mlx_lm.models import qwen2
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import load_model

from mlx_distill.models.students import Student
from mlx_distill.models.students.adapter import load_arrays
from mlx_distill.models.students.peft import write_peft
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.folder import write_atomic

RANK, SCALE = 4, 2.5
TOKENS = [[1, 17, 5, 99, 42, 3, 64, 2, 11, 23]]

IN_PEFT = """
import sys, warnings
import numpy, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

base_folder, adapter, out, tokens = sys.argv[1], sys.argv[2], sys.argv[3], eval(sys.argv[4])
base, loading = AutoModelForCausalLM.from_pretrained(base_folder, dtype=torch.float32, output_loading_info=True)
assert not loading["missing_keys"] and not loading["unexpected_keys"], loading
with warnings.catch_warnings():
    warnings.filterwarnings("error", message=".*(missing|unexpected).*")
    model = PeftModel.from_pretrained(base, adapter).eval()
with torch.no_grad():
    logits = model(torch.tensor(tokens)).logits
    with model.disable_adapter():
        plain = model(torch.tensor(tokens)).logits
numpy.savez(out + "/logits.npz", base=plain.numpy(), distilled=logits.numpy())
model.save_pretrained(out + "/saved", save_embedding_layers=False)
"""


# ---------------------------------------------------------------- what is exported


@pytest.fixture(autouse=True)
def _same_numbers_each_time() -> None:
    mx.random.seed(0)


def adapt(model: Any, layers: int, kind: str = "lora", keys: list[str] | None = None) -> dict[str, Any]:
    """Attaches a random adapter to the top layers. Returns what its adapter_config.json has to say."""
    parameters: dict[str, Any] = {"rank": RANK, "scale": SCALE, "dropout": 0.0} | ({"keys": keys} if keys else {})
    model.freeze()
    linear_to_lora_layers(model, layers, parameters, use_dora=kind == "dora")
    for _, module in model.named_modules():
        if "lora_b" in module:
            module.lora_b = mx.random.normal(module.lora_b.shape) * 0.1
        if "m" in module:
            module.m = module.m * mx.random.uniform(0.5, 1.5, module.m.shape)
    return {"fine_tune_type": kind, "num_layers": layers, "lora_parameters": parameters}


def save(folder: Path, arrays: dict[str, mx.array], settings: dict[str, Any]) -> Path:
    folder.mkdir(parents=True)
    mx.save_safetensors(str(folder / "adapters.safetensors"), arrays)
    (folder / "adapter_config.json").write_text(json.dumps({"model": "smollm2-135m"} | settings))
    return folder


def save_adapter(folder: Path, model: Any, settings: dict[str, Any]) -> Path:
    return save(folder, dict(tree_flatten(model.trainable_parameters())), settings)


def tiny(folder: Path) -> Any:
    """A random Qwen2 (its attention has biases) that mlx-lm and transformers both load."""
    if mx.default_device() == mx.cpu:
        mx.disable_compile()
    config = {
        "model_type": "qwen2",
        "architectures": ["Qwen2ForCausalLM"],
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "max_position_embeddings": 128,
        "vocab_size": 100,
        "tie_word_embeddings": True,
    }
    model = qwen2.Model(qwen2.ModelArgs.from_dict(config))
    drawn = [
        (name, mx.random.normal(array.shape) * 0.2 + ("norm" in name))
        for name, array in tree_flatten(model.parameters())
    ]
    model.load_weights(drawn)
    folder.mkdir()
    mx.save_safetensors(str(folder / "model.safetensors"), dict(drawn), metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    return model


@pytest.fixture(params=["lora", "dora"])
def arrays(request: pytest.FixtureRequest) -> dict[str, mx.array]:
    """Two layers' worth, in the form of mlx-lm."""
    found = {}
    for name, size in (("self_attn.q_proj", 6), ("mlp.down_proj", 5)):
        for layer in (2, 10):
            module = f"model.layers.{layer}.{name}"
            found[f"{module}.lora_a"] = mx.random.normal((8, RANK)).astype(mx.bfloat16)
            found[f"{module}.lora_b"] = mx.random.normal((RANK, size)).astype(mx.bfloat16)
            if request.param == "dora":
                found[f"{module}.m"] = mx.random.normal((size,)).astype(mx.bfloat16)
    return found


def settings(kind: str = "lora", **changes: Any) -> dict[str, Any]:
    lora = {"rank": RANK, "scale": SCALE, "dropout": 0.1}
    return {"fine_tune_type": kind, "num_layers": 2, "lora_parameters": lora} | changes


# ---------------------------------------------------------------- the files


def test_arrays_are_renamed_transposed_and_float32(arrays: dict[str, mx.array], tmp_path: Path) -> None:
    kind = "dora" if any(name.endswith(".m") for name in arrays) else "lora"
    write_peft(save(tmp_path / "mlx", arrays, settings(kind)), tmp_path / "peft")
    written, _ = load_arrays(tmp_path / "peft" / "adapter_model.safetensors")
    assert len(written) == len(arrays)
    for module in {name.rpartition(".")[0] for name in arrays}:
        theirs = f"base_model.model.{module}"
        assert mx.array_equal(written[f"{theirs}.lora_A.weight"], arrays[f"{module}.lora_a"].T)
        assert mx.array_equal(written[f"{theirs}.lora_B.weight"], arrays[f"{module}.lora_b"].T)
        if kind == "dora":
            assert mx.array_equal(written[f"{theirs}.lora_magnitude_vector"], arrays[f"{module}.m"])
    assert {array.dtype for array in written.values()} == {mx.float32}
    assert json.loads((tmp_path / "peft" / "adapter_config.json").read_text())["use_dora"] is (kind == "dora")


def test_the_settings_are_translated(arrays: dict[str, mx.array], tmp_path: Path) -> None:
    assert write_peft(save(tmp_path / "mlx", arrays, settings()), tmp_path / "peft") == (
        "HuggingFaceTB/SmolLM2-135M-Instruct"
    )
    config = json.loads((tmp_path / "peft" / "adapter_config.json").read_text())
    assert config["lora_alpha"] / config["r"] == SCALE
    assert isinstance(config["lora_alpha"], int)
    assert (config["r"], config["lora_dropout"], config["use_rslora"]) == (RANK, 0.1, False)
    assert config["target_modules"] == ["down_proj", "q_proj"]
    assert (config["layers_to_transform"], config["layers_pattern"]) == ([2, 10], "layers")
    assert (config["peft_type"], config["task_type"], config["bias"]) == ("LORA", "CAUSAL_LM", "none")
    assert config["base_model_name_or_path"] == "HuggingFaceTB/SmolLM2-135M-Instruct"


def test_a_scale_that_makes_no_whole_alpha_stays_exact(arrays: dict[str, mx.array], tmp_path: Path) -> None:
    lora = {"rank": RANK, "scale": 0.3, "dropout": 0.0}
    adapter = save(tmp_path / "mlx", arrays, settings(lora_parameters=lora, model="folder/of/mine"))
    assert write_peft(adapter, tmp_path / "peft") == "folder/of/mine"
    assert json.loads((tmp_path / "peft" / "adapter_config.json").read_text())["lora_alpha"] == pytest.approx(1.2)


def test_writing_again_replaces_what_was_there(arrays: dict[str, mx.array], tmp_path: Path) -> None:
    adapter = save(tmp_path / "mlx", arrays, settings())
    write_peft(adapter, tmp_path / "peft")
    first = {path.name: path.read_bytes() for path in (tmp_path / "peft").iterdir()}
    write_peft(adapter, tmp_path / "peft")
    assert {path.name: path.read_bytes() for path in (tmp_path / "peft").iterdir()} == first
    assert set(first) == {"adapter_model.safetensors", "adapter_config.json"}


# ---------------------------------------------------------------- what is refused


def refused(kind: type[Exception], words: str, adapter: Path, folder: Path) -> None:
    """In one line, and nothing is written."""
    with pytest.raises(kind, match=re.escape(words)) as failure:
        write_peft(adapter, folder)
    assert "\n" not in str(failure.value)
    assert not (folder / "adapter_model.safetensors").exists()


def test_whole_layers_are_refused(tmp_path: Path) -> None:
    whole = {"model.layers.2.self_attn.q_proj.weight": mx.ones((6, 8))}
    adapter = save(tmp_path / "mlx", whole, {"fine_tune_type": "full", "num_layers": 1})
    command = f"mlx_lm.fuse --model HuggingFaceTB/SmolLM2-135M-Instruct --adapter-path {adapter}"
    refused(UsageError, command, adapter, tmp_path / "peft")


def test_a_missing_adapter_is_refused(tmp_path: Path) -> None:
    refused(DataError, "holds no adapter", tmp_path / "mlx", tmp_path / "peft")


@pytest.mark.parametrize("content", [None, "{"])
def test_missing_or_damaged_settings_are_refused(
    content: str | None, arrays: dict[str, mx.array], tmp_path: Path
) -> None:
    adapter = save(tmp_path / "mlx", arrays, settings())
    (adapter / "adapter_config.json").unlink()
    if content:
        write_atomic(adapter / "adapter_config.json", content)
    refused(DataError, "run `mlx-distill train` again", adapter, tmp_path / "peft")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("model.layers.2.mlp.switch_mlp.up_proj.lora_a", (3, RANK, 8)),
        ("model.embed_tokens.lora_a", (100, RANK)),
        ("language_model.model.layers.2.self_attn.q_proj.lora_a", (8, RANK)),
    ],
)
def test_experts_embeddings_and_other_houses_are_refused(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    adapter = save(tmp_path / "mlx", {name: mx.ones(shape)}, settings())
    refused(DataError, name, adapter, tmp_path / "peft")


def test_an_mlx_adapter_is_never_written_over(arrays: dict[str, mx.array], tmp_path: Path) -> None:
    adapter = save(tmp_path / "mlx", arrays, settings())
    before = (adapter / "adapter_config.json").read_bytes()
    refused(UsageError, "choose another --to", adapter, adapter)
    assert (adapter / "adapter_config.json").read_bytes() == before


# ---------------------------------------------------------------- the command


def export(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mlx_distill", "export", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_says_where_and_how_to_load_it(arrays: dict[str, mx.array], tmp_path: Path) -> None:
    run = tmp_path / ("a long name " * 10)
    save(run / "distilled-student", arrays, settings())
    for folder, options in (
        (run / "exports" / "peft", ()),
        (tmp_path / "elsewhere" / "peft", ("--to", tmp_path / "elsewhere" / "peft")),
    ):
        done = export("peft", "--run", run, *options)
        assert (done.returncode, done.stderr) == (0, "")
        where, how = done.stdout.splitlines()
        assert str(folder) in where
        assert "HuggingFaceTB/SmolLM2-135M-Instruct" in where
        assert how == f"PeftModel.from_pretrained(base, {str(folder)!r})"
        assert (folder / "adapter_model.safetensors").is_file()


def test_the_commands_failures_are_one_line(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = export("peft", "--run", run)
    assert (done.returncode, len(done.stderr.splitlines()), done.stdout) == (3, 1, "")
    assert "holds no adapter" in done.stderr
    save(run / "distilled-student", {"x": mx.ones((1,))}, {"fine_tune_type": "full", "num_layers": 1})
    done = export("peft", "--run", run)
    assert (done.returncode, len(done.stderr.splitlines()), done.stdout) == (2, 1, "")
    assert export("gguf", "--run", run).returncode == 2


# ---------------------------------------------------------------- in the real PEFT


def in_peft(python: str, base: Path, adapter: Path, out: Path) -> dict[str, Any]:
    """Logits (batch, width, vocabulary) of base and distilled, as transformers and PEFT compute them."""
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}  # torch has its own BLAS
    command = [python, "-c", IN_PEFT, str(base), str(adapter), str(out), str(TOKENS)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return dict(np.load(out / "logits.npz"))


def gap(ours: mx.array, theirs: Any) -> float:
    return float(np.abs(np.array(ours.astype(mx.float32)) - theirs).max())


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "keys"), [("lora", None), ("dora", None), ("lora", ["self_attn.q_proj", "mlp.down_proj"])]
)
def test_peft_computes_the_same_logits(kind: str, keys: list[str] | None, peft_python: str, tmp_path: Path) -> None:
    model = tiny(tmp_path / "base")
    base = model(mx.array(TOKENS))
    adapter = save_adapter(tmp_path / "mlx", model, adapt(model, 2, kind, keys) | {"model": str(tmp_path / "base")})
    ours = model(mx.array(TOKENS))
    write_peft(adapter, tmp_path / "peft")
    theirs = in_peft(peft_python, tmp_path / "base", tmp_path / "peft", tmp_path)
    assert gap(base, np.array(ours)) > 0.1, "the adapter must matter"
    assert gap(base, theirs["base"]) < 1e-4
    assert gap(ours, theirs["distilled"]) < 1e-4


@pytest.mark.long
@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_peft_saves_what_was_written_again(kind: str, peft_python: str, tmp_path: Path) -> None:
    """So its names and shapes are the format's, and no layer got an adapter that was not trained."""
    model = tiny(tmp_path / "base")
    adapter = save_adapter(tmp_path / "mlx", model, adapt(model, 2, kind) | {"model": str(tmp_path / "base")})
    write_peft(adapter, tmp_path / "peft")
    in_peft(peft_python, tmp_path / "base", tmp_path / "peft", tmp_path)
    written, saved = (load_arrays(tmp_path / name / "adapter_model.safetensors")[0] for name in ("peft", "saved"))
    assert written.keys() == saved.keys()
    assert all(mx.array_equal(written[name], saved[name]) for name in written)
    ours, theirs = (json.loads((tmp_path / name / "adapter_config.json").read_text()) for name in ("peft", "saved"))
    assert {name: sorted(v) if isinstance(v, list) else v for name, v in theirs.items() if name in ours} == ours


@pytest.mark.long
def test_the_real_student_gives_the_same_logits_in_peft(smollm: Student, peft_python: str, tmp_path: Path) -> None:
    """Float32 rounding adds up over 30 layers: the bound is relative to the largest logit (3e-6 of it was seen)."""
    model, _ = load_model(smollm.folder)
    model.set_dtype(mx.float32)
    adapter = save_adapter(tmp_path / "mlx", model, adapt(model, 8))
    ours = model(mx.array(TOKENS))
    write_peft(adapter, tmp_path / "peft")
    theirs = in_peft(peft_python, smollm.folder, tmp_path / "peft", tmp_path)
    scale = float(mx.abs(ours).max())
    assert gap(smollm.model(mx.array(TOKENS)), theirs["distilled"]) > 0.01 * scale, "the adapter must matter"
    assert gap(ours, theirs["distilled"]) < 1e-4 * scale
