"""The code in an answer: one reading for checks, benchmarks and the static judge.

In: an answer's text and the names that are asked for. Out: the block that defines them, the last one that is whole,
with what it needs of other blocks before it (imports, helpers), and nothing of them that only uses it. Where no block
defines a name, a class may have it as a method. A definition counts however the block was set; what only repeats a
signature, or was cut at the cap, counts where nothing else does. How it stood is told apart, as `strict`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mlx_distill.machine.checks import names as code_names
from mlx_distill.machine.checks.blocks import Block, Parts, parts
from mlx_distill.machine.checks.mending import ESCAPED, mended, parsed, salvaged, unnamed
from mlx_distill.machine.checks.names import Binding, bindings, method_of, needed, written
from mlx_distill.run.reasoning import answer_of

PYTHON = ("", "python")
KINDS = {"fence": 3, "html": 3, "indented": 2, "bare": 1, "span": 0}
"""The more it was set as code, the more it counts."""

MOST_BLOCKS = 300
"""Of one answer, the last ones."""

READS_INPUT = re.compile(r"\binput\s*\(|\bstdin\b|\bopen\(0\b|fileinput")
CLOSED = re.compile(r"[ \t]*(?:`{3,}|~{3,}|(?:</\w+>)+)[ \t]*")
FUTURE = re.compile(r"^from[ \t]+__future__[ \t]+import[ \t]+[\w, \t]+\n?", re.MULTILINE)


@dataclass(frozen=True)
class Extracted:
    """`code` is None where there is none. `strict`: it stood alone, in one fenced block. `others`: the code of the
    blocks of Python that were left out, such as usage."""

    code: str | None
    strict: bool = False
    others: tuple[str, ...] = ()


class _Candidate(NamedTuple):
    """A block that is Python. `rank`: how much it is set as code, and where it stands."""

    code: str
    tree: ast.Module
    bindings: list[Binding]
    rank: tuple[int, int]
    whole: bool


def extract(text: str, wanted: Sequence[str], *, given: Collection[str] = (), cut: bool = False) -> Extracted:
    """The code that defines as many of the `wanted` names as the answer does.

    given  names that are there without it, such as a prompt's imports
    cut    the text ends at the token cap: a block that is not closed may be half a definition
    """
    text = answer_of(text)
    pieces = parts(text)
    whole = unnamed(text) if "```" in text else mended(text)
    if (tree := parsed(whole)) and _defined(bindings(tree), wanted):
        return Extracted(whole)
    candidates = list(_candidates(pieces, wanted, cut))
    chosen = [one for name in wanted if (one := _defining(candidates, name))]
    if not chosen:
        return _as_method(candidates, wanted, given) or Extracted(_broken(pieces, wanted))
    chosen = sorted({id(one): one for one in chosen}.values(), key=lambda one: one.rank[1])
    code = _composed([one.code for one in chosen], chosen[0].rank[1], candidates, {*given, *wanted})
    return Extracted(code, _is_strict(pieces, wanted), _others(candidates, chosen))


def ended(text: str) -> str:
    """The lines that had ended in a text that was cut at the token cap. Half a line could pass by luck: `return a`, of
    what was to be `return a + b`."""
    head, line_end, half = text.rpartition("\n")
    return text if CLOSED.fullmatch(half) else head + line_end


def defines(code: str, name: str) -> bool:
    """Whether code gives `name` something of its own at module level; code that cannot be parsed is looked at line by
    line."""
    tree = parsed(code)
    if tree is not None:
        return _defined(bindings(tree), [name])
    return bool(re.search(rf"^{_definition(name)}", code, re.MULTILINE))


def _definition(name: str) -> str:
    return (
        rf"(?:(?:async[ \t]+def|def|class)[ \t]+{re.escape(name)}\b|{re.escape(name)}[ \t]*(?::[^=\n]{{1,80}})?=(?!=))"
    )


def _defined(known: Sequence[Binding], wanted: Collection[str]) -> bool:
    return any(binding.name in wanted and binding.definition for binding in known)


# ---------------------------------------------------------------- candidates


def _candidates(pieces: Parts, wanted: Sequence[str], cut: bool) -> Iterator[_Candidate]:
    """Blocks that are Python, or hold some beside what is broken, in their order."""
    mentioned = re.compile("|".join(map(_definition, wanted)) or r"(?!)")
    blocks = [
        (place, block)
        for place, block in enumerate(pieces.blocks)
        if block.code.strip() and ((block.tag in PYTHON and block.kind != "span") or mentioned.search(block.code))
    ]
    for place, block in blocks[-MOST_BLOCKS:]:
        yield from _candidate(block, place, cut)
    for place, prose in ((-2, ESCAPED.sub(r"\1", pieces.prose)), (-1, pieces.prose)):
        if mentioned.search(prose) and (place == -1 or prose != pieces.prose):
            yield from _made(salvaged(prose), (KINDS["bare"], place), whole=not cut)


def _candidate(block: Block, place: int, cut: bool) -> Iterator[_Candidate]:
    code = mended(block.code)
    whole = block.closed or not cut
    rank = (KINDS[block.kind], place)
    bound = list(_made(code, rank, whole))
    yield from bound or (_made(salvaged(code), rank, whole) if block.kind != "span" else ())


def _made(code: str, rank: tuple[int, int], whole: bool) -> Iterator[_Candidate]:
    tree = parsed(code)
    if tree is not None and tree.body:
        yield _Candidate(code.rstrip("\n") + "\n", tree, bindings(tree), rank, whole)


def _defining(candidates: Sequence[_Candidate], name: str) -> _Candidate | None:
    """The last one that defines a name, those that are set as code and whole before others."""
    defining = [(_worth(one, binding), one) for one in candidates for binding in one.bindings if binding.name == name]
    best = max((worth for worth, _ in defining if worth), default=None)
    return next((one for worth, one in defining if worth == best), None) if best else None


def _worth(one: _Candidate, binding: Binding) -> tuple[bool, bool, bool, tuple[int, int]] | None:
    """None for a name that is imported from nowhere: from a module that was never shown."""
    if not binding.definition and not _is_standard_import(binding):
        return None
    return binding.definition, not binding.stub, one.whole, one.rank


def _is_standard_import(binding: Binding) -> bool:
    node = binding.statement
    return isinstance(node, ast.ImportFrom) and code_names.is_standard(node.module or ".")


def _as_method(candidates: Sequence[_Candidate], wanted: Sequence[str], given: Collection[str]) -> Extracted | None:
    """A class that has what is asked for as a method; an object of it is made without arguments."""
    for one in sorted(candidates, key=lambda one: (one.whole, one.rank), reverse=True):
        methods = {name: method for name in wanted if (method := method_of(one.tree, name))}
        if methods:
            code = _composed([one.code], one.rank[1], candidates, {*given, *wanted})
            lines = [f"{name} = {of}{'' if free else '()'}.{name}\n" for name, (of, free) in methods.items()]
            return Extracted(code + "\n\n" + "".join(lines), False, _others(candidates, [one]))
    return None


def _broken(pieces: Parts, wanted: Sequence[str]) -> str | None:
    """The last block that would define a name, were it Python."""
    written_so = re.compile("|".join(rf"^{_definition(name)}" for name in wanted) or r"(?!)", re.MULTILINE)
    codes = [pieces.prose, *(block.code for block in pieces.blocks if block.kind != "span")]
    broken = (code for code in map(unnamed, reversed(codes)) if written_so.search(code))
    return next((code for code in broken if parsed(code) is None), None)


def _others(candidates: Sequence[_Candidate], chosen: Sequence[_Candidate]) -> tuple[str, ...]:
    return tuple(one.code for one in candidates if one not in chosen and one.rank[0] >= KINDS["indented"])


def _is_strict(pieces: Parts, wanted: Sequence[str]) -> bool:
    """Whether the answer has one fenced block, as Markdown has them, that is Python as it stands and defines all."""
    fences = [block for block in pieces.blocks if block.kind == "fence"]
    if len(fences) != 1 or not fences[0].strict or fences[0].tag not in PYTHON:
        return False
    code = fences[0].code
    tree = parsed(code) if unnamed(code) == code else None
    return tree is not None and all(
        any(b.name == name and b.definition and not b.stub for b in bindings(tree)) for name in wanted
    )


# ---------------------------------------------------------------- what a block needs of others


def _composed(codes: Sequence[str], place: int, candidates: Sequence[_Candidate], given: Collection[str]) -> str:
    """Code, after the statements of other blocks that give it what it needs."""
    code = "\n".join(codes)
    taken: dict[tuple[int, int], str] = {}
    waiting, seen = sorted(needed(code) - set(given)), set(given)
    while waiting:
        name = waiting.pop()
        source = None if name in seen else _giving(candidates, name, place)
        seen.add(name)
        if source is not None:
            one, statement = source
            text = written(one.code, statement)
            taken[one.rank[1], statement.lineno] = text
            waiting += sorted(needed(text) - seen)
    return _in_order([*(taken[key] for key in sorted(taken)), code])


def _giving(candidates: Sequence[_Candidate], name: str, place: int) -> tuple[_Candidate, ast.stmt] | None:
    """The statement that gives a name, in the nearest block before a place, else in the first one after it."""
    giving = [
        (one, binding.statement)
        for one in candidates
        for binding in one.bindings
        if binding.name == name and not binding.stub
    ]
    giving.sort(key=lambda source: source[0].rank[1])
    before = [source for source in giving if source[0].rank[1] <= place]
    return before[-1] if before else giving[0] if giving else None


def _in_order(pieces: Sequence[str]) -> str:
    """As one program: imports from __future__ come first."""
    if len(pieces) == 1:
        return pieces[0]
    future = dict.fromkeys(line.strip() for piece in pieces for line in FUTURE.findall(piece))
    return "\n".join([*(f"{line}\n" for line in future), *(FUTURE.sub("", piece) for piece in pieces)])


# ---------------------------------------------------------------- programs, and other languages


def script(text: str, *, cut: bool = False) -> Extracted:
    """A program that is run as it is: the last block of Python that reads its input, else the last one, with what it
    needs of others; the text itself where that is Python."""
    text = answer_of(text)
    if text.strip() and (tree := parsed(unnamed(text))) and tree.body and not _is_words(tree):
        return Extracted(unnamed(text))
    pieces = parts(text)
    blocks = [block for block in pieces.blocks if block.kind != "span" and block.tag in PYTHON]
    named = ([block for block in blocks if block.tag] or blocks)[-MOST_BLOCKS:]
    candidates = [one for place, block in enumerate(named) for one in _candidate(block, place, cut)]
    candidates = candidates or list(_made(salvaged(pieces.prose), (KINDS["bare"], -1), whole=not cut))
    if not candidates:
        code = next((unnamed(block.code) for block in reversed(named) if block.code.strip()), None)
        return Extracted(code)
    one = max(candidates, key=lambda one: (one.whole, bool(READS_INPUT.search(one.code)), one.rank))
    code = _composed([one.code], one.rank[1], candidates, ())
    return Extracted(code, _is_strict(pieces, ()), _others(candidates, [one]))


def _is_words(tree: ast.Module) -> bool:
    """A word or two that Python takes for names."""
    return all(isinstance(node, ast.Expr) and not isinstance(node.value, ast.Call) for node in tree.body)


def everything(text: str) -> str | None:
    """All Python of an answer to which no names were given: its blocks joined, without those that are no Python and
    define nothing, such as sketches."""
    text = answer_of(text)
    pieces = parts(text)
    blocks = [block for block in pieces.blocks if block.kind != "span" and block.tag in PYTHON and block.code.strip()]
    named = ([block for block in blocks if block.tag] or blocks)[-MOST_BLOCKS:]
    codes = [mended(block.code) for block in named]
    whole = [code for code in codes if parsed(code) or re.search(r"^[ \t]*(?:def|class)\b", code, re.MULTILINE)]
    if whole or codes:
        return _in_order([code if code.endswith("\n") else f"{code}\n" for code in whole or codes])
    if (tree := parsed(unnamed(text))) and tree.body and not _is_words(tree):
        return unnamed(text)
    return salvaged(pieces.prose) or None


QUERY = re.compile(r"^[ \t]*(?:SELECT|WITH|VALUES|INSERT|UPDATE|DELETE|CREATE)\b", re.IGNORECASE | re.MULTILINE)
STATEMENT = re.compile(
    r"^[ \t]*(?:SELECT|WITH|INSERT|UPDATE|DELETE|CREATE)\b(?:[^;\n]|\n(?!\s*\n))*;?", re.IGNORECASE | re.MULTILINE
)


def query(text: str) -> str | None:
    """All SQL of an answer: its blocks joined, or the statements among its words."""
    text = answer_of(text)
    pieces = parts(text)
    blocks = [block for block in pieces.blocks if block.kind != "span" and block.code.strip()]
    named = [unnamed(block.code) for block in blocks if block.tag == "sql"]
    codes = named or [unnamed(block.code) for block in blocks if not block.tag and QUERY.search(block.code)]
    return "\n;\n".join(codes) or "\n;\n".join(STATEMENT.findall(pieces.prose)) or None


def code_of(text: str, language: str, wanted: Sequence[str] = (), *, cut: bool = False) -> Extracted:
    """The code of an answer in a prompt's language."""
    if language == "sql":
        return Extracted(query(text))
    extracted = extract(text, wanted, cut=cut) if wanted else Extracted(None)
    return extracted if extracted.code is not None else Extracted(everything(text))


def prose_of(text: str) -> str:
    """What stands around the code: words."""
    prose = parts(answer_of(text)).prose
    code = set(salvaged(prose).split("\n"))
    return "\n".join(line for line in prose.split("\n") if line not in code)
