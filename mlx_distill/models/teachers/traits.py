"""What a spec says of a teacher or judge: its kind, and what follows from that.

In: a spec, as --teacher and --judge take it. Out: its Traits, found without opening anything. This is the only place
that looks at how a spec begins; everybody else asks for an attribute.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

Kind = Literal["claude", "recorded", "mlx", "traces", "static", "unknown"]

BEFORE_THE_COLON: dict[str, Kind] = {"recorded": "recorded", "mlx": "mlx", "hf": "traces", "traces": "traces"}
ALONE: dict[str, Kind] = {"recorded": "recorded", "static": "static"}

CLAUDE_NAMES = ("claude", "anthropic", "sonnet", "opus")
"""One of these words in the name of existing answers says that Claude wrote them."""


@dataclass(frozen=True)
class Traits:
    """
    kind         claude: a model of the Messages API. recorded: answers from a file. mlx: a local model. traces: answers
                 that exist already, so that nobody is asked. static: the judge that is no model. unknown: none of them
    name         the spec without its kind: a model, a file, a data set; "" where there is none
    on_hub       the name is a data set of the Hugging Face hub
    paid         an answer costs dollars
    batches      it takes message batches, at half the price
    local        it computes on this machine
    needs_terms  training on its answers needs an acknowledgement of Anthropic's terms
    """

    kind: Kind
    name: str
    on_hub: bool = False
    paid: bool = False
    batches: bool = False
    local: bool = False
    needs_terms: bool = False

    @property
    def file(self) -> str | None:
        """The file with its answers, for recorded:FILE and traces:FILE."""
        return self.name if self.name and self.kind in ("recorded", "traces") and not self.on_hub else None


@functools.cache
def traits_of(spec: str) -> Traits:
    """Never fails: whether a spec is valid is for `check_name` to say."""
    if spec.startswith("claude-"):
        return Traits("claude", spec, paid=True, batches=True, needs_terms=True)
    before, colon, rest = spec.partition(":")
    kind = BEFORE_THE_COLON.get(before, "unknown") if colon else ALONE.get(spec, "unknown")
    return Traits(
        kind,
        rest,
        on_hub=before == "hf",
        local=kind == "mlx",
        needs_terms=kind == "traces" and any(word in spec.lower() for word in CLAUDE_NAMES),
    )
