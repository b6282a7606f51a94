"""Rebuilds a tokenizer, its special tokens and its chat template from a GGUF file's metadata.

In: the metadata. Out: tokenizer.json and tokenizer_config.json. How text is split before the merges apply is not
in the file, only its name is; a name that is not in SPLITS is refused, since a guess would tokenise wrongly
without anybody noticing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from mlx_distill.run.errors import DataError

CONTROL, USER_DEFINED = 3, 4
"""Token types that stand for themselves in a text (llama.cpp's enumeration)."""

LONGEST_PIECE = 256
"""Characters of a piece that is put together of two others: vocabularies have a few dozen."""

_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _split_by(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _gpt2() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


SPLITS = {
    "qwen2": lambda: _split_by(_WORDS % ""),
    "deepseek-r1-qwen": lambda: _split_by(_WORDS % ""),
    "llama-bpe": lambda: _split_by(_WORDS % "{1,3}"),
    "smaug-bpe": lambda: _split_by(_WORDS % "{1,3}"),
    "smollm": lambda: pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), _gpt2()]),
    "gpt-2": _gpt2,
}

NFC = ("qwen2", "deepseek-r1-qwen")


def write_tokenizer(metadata: Mapping[str, Any], folder: Path, path: Path) -> None:
    """Raises DataError for a kind of tokenizer that cannot be rebuilt, KeyError for missing metadata."""
    kind = metadata["tokenizer.ggml.model"]
    if kind == "gpt2":
        tokenizer = _byte_level(metadata, path)
    elif kind == "llama":
        tokenizer = _sentencepiece(metadata)
    else:
        raise DataError(f"{path} has a tokenizer of kind {kind!r}: only gpt2 and llama can be rebuilt.")
    tokens, types = metadata["tokenizer.ggml.tokens"], metadata.get("tokenizer.ggml.token_type", [])
    for token, token_type in zip(tokens, types, strict=False):
        if token_type in (CONTROL, USER_DEFINED):
            tokenizer.add_tokens([AddedToken(token, normalized=False, special=token_type == CONTROL)])
    special = {
        f"{name}_token": tokens[metadata[f"tokenizer.ggml.{key}_token_id"]]
        for name, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"), ("unk", "unknown"))
        if f"tokenizer.ggml.{key}_token_id" in metadata
    }
    if metadata.get("tokenizer.ggml.add_bos_token", kind == "llama") and "bos_token" in special:
        bos = special["bos_token"]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A $B", special_tokens=[(bos, tokens.index(bos))]
        )
    tokenizer.save(str(folder / "tokenizer.json"))
    config = special | {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "chat_template": metadata.get("tokenizer.chat_template"),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1, ensure_ascii=False))


def _byte_level(metadata: Mapping[str, Any], path: Path) -> Tokenizer:
    split = metadata.get("tokenizer.ggml.pre", "gpt-2")
    if split not in SPLITS:
        raise DataError(f"{path} splits text by the rule {split!r}, which is not known: use its hub id.")
    vocabulary = {token: index for index, token in enumerate(metadata["tokenizer.ggml.tokens"])}
    merges = [tuple(merge.split(" ", 1)) for merge in metadata["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, fuse_unk=False))
    tokenizer.pre_tokenizer = SPLITS[split]()
    tokenizer.decoder = decoders.ByteLevel()
    if split in NFC:
        tokenizer.normalizer = normalizers.NFC()
    return tokenizer


def _sentencepiece(metadata: Mapping[str, Any]) -> Tokenizer:
    """A sentencepiece BPE model: its merges follow from the pieces, the best-scored first."""
    tokens, scores = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.scores"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    merges = [
        (scores[index], (piece[:cut], piece[cut:]))
        for piece, index in vocabulary.items()
        for cut in range(1, len(piece) if len(piece) <= LONGEST_PIECE else 1)
        if piece[:cut] in vocabulary and piece[cut:] in vocabulary
    ]
    merges.sort(key=lambda merge: (-merge[0], vocabulary[merge[1][0]], vocabulary[merge[1][1]]))
    unknown = tokens[metadata.get("tokenizer.ggml.unknown_token_id", 0)]
    tokenizer = Tokenizer(
        models.BPE(
            vocab=vocabulary,
            merges=[pair for _, pair in merges],
            unk_token=unknown,
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    prefix = [normalizers.Prepend("▁")] if metadata.get("tokenizer.ggml.add_space_prefix", True) else []
    tokenizer.normalizer = normalizers.Sequence([*prefix, normalizers.Replace(" ", "▁")])
    strip = [decoders.Strip(content=" ", left=1)] if prefix else []
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    return tokenizer
