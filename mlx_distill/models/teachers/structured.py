"""Structured output of a local model: of the next tokens, only those that a JSON schema allows can be chosen.

In: a tokenizer and a JSON schema. Out: for each answer a Mask, a logits processor of mlx-lm. The schema is compiled
once and parsed along (llguidance, an Earley parser over the vocabulary's trie), so nothing has to be looked for in
free text afterwards. The price: an answer under a mask needs its last token on the CPU before the next one is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlx_distill.run.errors import TeacherError

if TYPE_CHECKING:
    from llguidance import LLMatcher

OPTIONS: Any = {"whitespace_flexible": False, "json_allowed_escapes": 'nrbtf\\"'}
"""No white space between values: a model could write it for ever. No \\u escapes: they can spell half a surrogate
pair, which is no Unicode and cannot be written to a file; every character stands for itself."""

TAG_TOKENS = 8
"""More tokens than the end of reasoning is written in."""


class Schemas:
    """Of one tokenizer. Raises TeacherError when that is not a fast one, whose vocabulary can be read."""

    def __init__(self, tokenizer: Any, model: str) -> None:
        from llguidance import LLTokenizer

        fast = getattr(tokenizer, "backend_tokenizer", None)
        if fast is None:
            raise TeacherError(f"{model} has no tokenizer.json, so its answers cannot be held to JSON: choose another.")
        self._tokenizer, self._model = tokenizer, model
        self._vocabulary = LLTokenizer(fast.to_str(), eos_token=sorted(tokenizer.eos_token_ids))
        self._compiled: dict[str, LLMatcher] = {}

    def mask(self, schema: str, after: str = "") -> Mask:
        """Holds one answer to `schema` from its first token on, or from where it has written `after`.

        Raises TeacherError for a schema that is wrong or asks for what cannot be held to.
        """
        if schema not in self._compiled:
            self._compiled[schema] = self._compile(schema)
        return Mask(self._compiled[schema].deep_copy(), self._tokenizer, after)

    def _compile(self, schema: str) -> LLMatcher:
        from llguidance import LLMatcher

        try:
            grammar = LLMatcher.grammar_from_json_schema(schema, overrides=OPTIONS)
            matcher = LLMatcher(self._vocabulary, grammar, log_level=0)
            problem = matcher.get_error()
        except ValueError as error:
            problem = str(error)
        if problem:
            reason = problem.splitlines()[0]
            raise TeacherError(f"{self._model} cannot be held to this JSON schema ({reason}): ask for a simpler shape.")
        return matcher


@dataclass
class Mask:
    """Called once a token, with all tokens so far and the logits (1, vocabulary) of the next one."""

    matcher: LLMatcher
    tokenizer: Any
    after: str = ""
    written: list[int] = field(default_factory=list)
    asked: bool = False

    def __call__(self, tokens: Any, logits: Any) -> Any:
        import mlx.core as mx
        import numpy as np

        if self.asked:
            self._take(int(tokens[-1].item()))
        self.asked = True
        if self.after:
            return logits
        bits = np.frombuffer(self.matcher.compute_bitmask(), np.uint8)
        allowed = np.zeros(logits.shape[-1], bool)  # a model can have more rows than its tokenizer has tokens
        known = np.unpackbits(bits, count=min(len(allowed), 8 * len(bits)), bitorder="little")
        allowed[: len(known)] = known
        return mx.where(mx.array(allowed), logits, -mx.inf)

    @property
    def complete(self) -> bool:
        """Whether what was written is a whole document."""
        return not self.after and not self.matcher.is_error() and self.matcher.is_accepting()

    def _take(self, token: int) -> None:
        if not self.after:
            self.matcher.consume_token(token)
            return
        self.written.append(token)
        if self.after in self.tokenizer.decode(self.written[-TAG_TOKENS:]):
            self.after = ""
