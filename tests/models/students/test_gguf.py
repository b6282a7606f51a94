"""Conversion of GGUF files, against numpy, sentencepiece, and what the models say."""

import json
import subprocess
from pathlib import Path
from typing import Any

import gguf
import mlx.core as mx
import numpy as np
import pytest
from gguf.quants import quantize

from mlx_distill.models import students
from mlx_distill.models.students.gguf import TENSOR_TYPES, convert, rotary_halves
from mlx_distill.run.errors import DataError

DIM, HEADS, LAYERS, INNER = 256, 4, 1, 256
TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *(chr(c) for c in range(33, 127)), "Ġ", "Ċ", "in", "Ġin"]
MERGES = ["i n", "Ġ in"]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLX_DISTILL_CACHE", str(tmp_path / "cache"))


def write(path: Path, family: str = "llama", kind: str = "F32", **changes: Any) -> dict[str, np.ndarray]:
    """A small random model; returns its tensors as the file holds them."""
    settings = {"pre": "smollm", "skip": "", "extra": None, "add": lambda writer: None} | changes
    random = np.random.default_rng(0)
    shapes = {
        "token_embd.weight": (len(TOKENS), DIM),
        "output_norm.weight": (DIM,),
        "blk.0.attn_norm.weight": (DIM,),
        "blk.0.ffn_norm.weight": (DIM,),
        "blk.0.attn_q.weight": (DIM, DIM),
        "blk.0.attn_k.weight": (DIM // 2, DIM),
        "blk.0.attn_v.weight": (DIM // 2, DIM),
        "blk.0.attn_output.weight": (DIM, DIM),
        "blk.0.ffn_gate.weight": (INNER, DIM),
        "blk.0.ffn_up.weight": (INNER, DIM),
        "blk.0.ffn_down.weight": (DIM, INNER),
    }
    if family == "qwen2":
        shapes |= {f"blk.0.attn_{p}.bias": (DIM if p == "q" else DIM // 2,) for p in "qkv"}
    if settings["extra"]:
        shapes[settings["extra"]] = (DIM,)
    writer = gguf.GGUFWriter(path, family)
    writer.add_context_length(512)
    writer.add_embedding_length(DIM)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS // 2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(settings["pre"])
    writer.add_token_list(TOKENS)
    writer.add_token_types([3, 3, 3] + [1] * (len(TOKENS) - 3))
    writer.add_token_merges(MERGES)
    writer.add_eos_token_id(2)
    writer.add_bos_token_id(1)
    writer.add_chat_template(TEMPLATE)
    settings["add"](writer)
    tensors = {}
    for name, shape in shapes.items():
        if name == settings["skip"]:
            continue
        tensor = random.normal(size=shape).astype(np.float32) * 0.05
        tensors[name] = tensor
        if len(shape) == 1 or kind == "F32":
            writer.add_tensor(name, tensor)
        else:
            wanted = gguf.GGMLQuantizationType[kind]
            packed = packed_k(kind, shape, random) if kind.endswith("_K") else quantize(tensor, wanted)
            tensors[name] = gguf.quants.dequantize(packed, wanted).reshape(shape)
            writer.add_tensor(name, packed, raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tensors


def packed_k(kind: str, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Random blocks with small finite scales: the library can read K quants but not write them."""
    size, bytes_each = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    blocks = random.integers(0, 255, (shape[0], shape[1] // size, bytes_each), dtype=np.uint8)
    scale = np.frombuffer(np.float16(0.001).tobytes(), np.uint8)
    if kind == "Q6_K":
        blocks[..., -2:] = scale
    else:
        blocks[..., 0:2] = scale
        blocks[..., 2:4] = scale
    return blocks.reshape(shape[0], -1)


@pytest.mark.parametrize("kind", TENSOR_TYPES)
@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_every_tensor_type_comes_out_as_the_numbers_in_the_file(tmp_path: Path, kind: str, family: str) -> None:
    tensors = write(tmp_path / "m.gguf", family, kind)
    weights = mx.load(str(convert(tmp_path / "m.gguf") / "model.safetensors"))
    rounding = 0.0 if kind in ("F32", "F16") else 2**-8
    for ours, theirs in (
        ("model.embed_tokens.weight", "token_embd.weight"),
        ("model.layers.0.mlp.down_proj.weight", "blk.0.ffn_down.weight"),
        ("model.layers.0.self_attn.v_proj.weight", "blk.0.attn_v.weight"),
    ):
        found = np.array(weights[ours].astype(mx.float32))
        np.testing.assert_allclose(found, tensors[theirs], rtol=rounding, atol=1e-8)


def naive_permute(array: np.ndarray, heads: int) -> np.ndarray:
    """Row by row, what llama.cpp's converter does: row (half, pair) of a head goes to (pair, half)."""
    result = np.empty_like(array)
    size = array.shape[0] // heads
    for head in range(heads):
        for half in range(2):
            for pair in range(size // 2):
                result[head * size + 2 * pair + half] = array[head * size + half * (size // 2) + pair]
    return result


def test_rotary_rows_of_llama_files_are_put_back() -> None:
    array = np.arange(24 * 3, dtype=np.float32).reshape(24, 3)
    np.testing.assert_array_equal(rotary_halves(naive_permute(array, 2), 2), array)


def test_a_converted_folder_is_kept_and_loads(tmp_path: Path) -> None:
    write(tmp_path / "m.gguf")
    first = convert(tmp_path / "m.gguf")
    stamp = first.stat().st_mtime_ns
    student = students.load(str(tmp_path / "m.gguf"))
    assert student.folder == first
    assert first.stat().st_mtime_ns == stamp
    text = "<|im_start|>user\nin 12<|im_end|>\n<|im_start|>assistant\n"
    tokens = student.tokens([{"role": "user", "content": "in 12"}])
    assert student.tokenizer.decode(tokens) == text
    assert "Ġin" not in student.tokenizer.convert_ids_to_tokens(tokens)
    assert json.loads((first / "config.json").read_text())["num_key_value_heads"] == HEADS // 2


def scaled(writer: Any) -> None:
    writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)


def split(writer: Any) -> None:
    writer.add_uint16("split.no", 1)
    writer.add_uint16("split.count", 3)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"family": "gemma2"}, "family 'gemma2'"),
        ({"pre": "unheard-of"}, "rule 'unheard-of'"),
        ({"skip": "blk.0.attn_q.weight"}, "lacks what a model needs"),
        ({"skip": "token_embd.weight"}, "lacks what a model needs"),
        ({"extra": "rope_freqs.weight"}, "rotary"),
        ({"add": scaled}, "rotary"),
        ({"extra": "blk.0.mystery.weight"}, "mystery"),
        ({"add": split}, "is part 2 of 3 of a split GGUF file"),
    ],
)
def test_what_cannot_be_converted_rightly_is_refused(tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    write(tmp_path / "m.gguf", **changes)
    with pytest.raises(DataError, match=complaint):
        convert(tmp_path / "m.gguf")
    assert not list((tmp_path / "cache").glob("*")), "nothing half-made is left"


def test_a_file_for_other_processors_is_named(tmp_path: Path) -> None:
    gguf.GGUFWriter(tmp_path / "m.gguf", "llama", endianess=gguf.GGUFEndian.BIG)
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama", endianess=gguf.GGUFEndian.BIG)
    writer.add_context_length(512)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(DataError, match="big-endian"):
        convert(tmp_path / "m.gguf")


def test_damaged_files_are_one_clear_error(tmp_path: Path) -> None:
    write(tmp_path / "m.gguf")
    content = (tmp_path / "m.gguf").read_bytes()
    random = np.random.default_rng(1)
    broken = [b"", b"GGUF", b"not a gguf file at all, but long enough", content[: len(content) // 2], content[:400]]
    for _ in range(25):
        noisy = bytearray(content)
        for position in random.integers(4, 2000, 20):
            noisy[position] = int(random.integers(0, 256))
        broken.append(bytes(noisy))
    refused = 0
    for data in broken:
        (tmp_path / "broken.gguf").write_bytes(data)
        try:
            convert(tmp_path / "broken.gguf")
        except DataError:
            refused += 1
    assert refused >= 5


@pytest.mark.parametrize("key", ["attention.head_count", "attention.head_count_kv", "block_count", "embedding_length"])
@pytest.mark.parametrize("size", [0, 2**32 - 1])
def test_a_size_that_no_model_has_is_the_files_fault(tmp_path: Path, key: str, size: int) -> None:
    write(tmp_path / "m.gguf")
    content = bytearray((tmp_path / "m.gguf").read_bytes())
    name = f"llama.{key}".encode()
    at = content.index(len(name).to_bytes(8, "little") + name) + 8 + len(name) + 4
    content[at : at + 4] = size.to_bytes(4, "little")
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(DataError, match="lacks what a model needs"):
        convert(tmp_path / "m.gguf")


def test_sentencepiece_vocabulary_tokenises_as_sentencepiece_does(tmp_path: Path) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    text = Path(__file__).read_text() + "\nnaïve café 123 日本語"
    (tmp_path / "text.txt").write_text(text)
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text.txt"),
        model_prefix=str(tmp_path / "sp"),
        vocab_size=600,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
    )
    oracle = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "sp.model"))
    from mlx_distill.models.students.gguf_tokenizer import _sentencepiece

    count = oracle.vocab_size()
    tokenizer = _sentencepiece(
        {
            "tokenizer.ggml.tokens": [oracle.id_to_piece(i) for i in range(count)],
            "tokenizer.ggml.scores": [oracle.get_score(i) for i in range(count)],
            "tokenizer.ggml.unknown_token_id": oracle.unk_id(),
        }
    )
    for sample in ("def test_a(self) -> None:", "  two spaces", "naïve 日本語 🙂", "x=1;y = [1, 2]"):
        assert tokenizer.encode(sample).ids == oracle.encode(sample)
        assert tokenizer.decode(oracle.encode(sample)) == sample


def say(student: students.Student, question: str, limit: int = 40) -> str:
    from mlx_lm import batch_generate

    messages = [{"role": "system", "content": "You are helpful."}, {"role": "user", "content": question}]
    tokens = student.tokens(messages)
    return str(batch_generate(student.model, student.tokenizer, [tokens], max_tokens=limit).texts[0])


def test_smollm_from_its_wheel_knows_the_capital_of_france(smollm: students.Student) -> None:
    assert "Paris" in say(smollm, "What is the capital of France? Answer in one sentence.")


@pytest.mark.long
def test_qwen_from_a_k_quant_file_answers_and_writes_code(
    shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("qwen")
    path = folder / "qwen2.5-coder-0.5b.gguf"
    subprocess.run(["bash", str(shared / "models" / "qwen2.5-coder-0.5b.sh"), str(path)], check=True)
    student = students.load(str(path))
    assert student.tokenizer.encode("Hello world") == [9707, 1879]  # the published tokenizer's ids
    assert "Paris" in say(student, "What is the capital of France? Answer in one sentence.")
    assert "def add(" in say(student, "Write a Python function add(a, b). Only the code.")
