"""What HumanEval+ and MBPP+ have in common (EvalPlus, Liu et al. 2023, arXiv 2305.01210).

In: the inputs that a published row has, as values or inside a test program. Out: Items, and the marks of answers. Of a
test program only literals are read; its asserts are those of `outputs`, because the program would hold the expected
outputs in the process of the answer.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from mlx_distill.evaluate.benchmarks import execution
from mlx_distill.evaluate.benchmarks.benchmark import Case, Item, Mark, Scoring
from mlx_distill.evaluate.benchmarks.execution import Calls, Ran
from mlx_distill.evaluate.benchmarks.outputs import right
from mlx_distill.machine import sandbox
from mlx_distill.machine.checks.code import ended, extract
from mlx_distill.machine.checks.mending import parsed
from mlx_distill.machine.checks.names import bindings
from mlx_distill.machine.checks.values import UNREADABLE, untagged, whole
from mlx_distill.run.errors import DataError
from mlx_distill.run.records import FORMAT

BASE = "base tests"
LONGEST_READ = 2000
"""Characters of a value that is written anew for its reader."""

NO_CODE = "no answer extracted"
INPUTS = re.compile(r"^[ \t]*inputs = (.*)$", re.MULTILINE)
TOLERANCE = re.compile(r"(?:, |<= )([\d.e+-]+)\)?\s*\Z")

DEVIATIONS = (
    "An answer is asked for as a chat, with an instruction of our own and no prefilled beginning.",
    "The last block that defines the function is taken, however it was set, with what it needs of other blocks, and an "
    "error beside the definition does not count; EvalPlus takes the longest run of lines that parses, and of that what "
    "the function needs.",
    "Of an answer that was cut at the token cap the last line, which is half a line, is left out.",
    "Answers run in a sandbox without any package, numpy too; expected outputs never enter it: they are compared "
    "outside.",
    "A derived type (Counter, namedtuple) is compared as its base type; an object of any other type equals nothing.",
    "An output of more than a million characters is compared without a tolerance.",
    "Time is limited as in EvalPlus (an input 4 x the reference's time on this machine, at least 1 s; 60 s for all), "
    "but for an input it is the processor's time, so that a busy machine fails nobody; all inputs together have at "
    "least twice what the reference takes, and 10 s more for the sandbox to start.",
    "Base and plus tests share that time; in EvalPlus each has its own.",
    "A tolerance belongs to one output; in EvalPlus's loop the 1e-6 of a float stays for all outputs that follow.",
)


# ---------------------------------------------------------------- reading


def read(rows: Iterable[Mapping[str, Any]], made: Callable[[Mapping[str, Any]], Item]) -> list[Item]:
    """Raises DataError naming the row that is not as published."""
    items = []
    for row in rows:
        try:
            items.append(made(row))
        except (LookupError, TypeError, ValueError, SyntaxError, AttributeError) as error:
            name = row.get("task_id", "a row without task_id")
            raise DataError(f"{name} is not as EvalPlus publishes it ({error!r}): download the file again.") from error
    return items


def literal_inputs(test: str) -> list[Any]:
    """The inputs of a self-contained test program, in its order. Raises DataError where it has none."""
    line = INPUTS.search(test)
    try:
        return literal(line[1]) if line else _missing()
    except (ValueError, SyntaxError, RecursionError) as error:
        raise DataError(f"A test program's inputs are no literals ({error}): give EvalPlus's own file.") from None


def _missing() -> list[Any]:
    raise DataError("A test program has no inputs: give EvalPlus's file, not the original benchmark's.")


def literal(text: str) -> Any:
    """The value of a Python literal, in which inf and nan are floats. Raises ValueError or SyntaxError for all else.

    Most of the lines are JSON but for their quotes, and that is read ten times faster. With no backslash and one
    kind of quotes no quote stands inside a text.
    """
    if "\\" not in text and not ("'" in text and '"' in text):
        try:
            return json.loads(text.replace("'", '"'))
        except ValueError:
            pass
    return ast.literal_eval(_Infinities().visit(ast.parse(text, mode="eval")))


class _Infinities(ast.NodeTransformer):
    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.copy_location(ast.Constant(float(node.id)), node) if node.id in ("inf", "nan") else node


def tolerance_of(test: str) -> float:
    """The absolute tolerance in a test program's last line."""
    match = TOLERANCE.search(test)
    return float(match[1]) if match else 0.0


def item(
    benchmark: str,
    name: str,
    prompt: str,
    *,
    reference: str,
    entry_point: str,
    inputs: tuple[Iterable[Any], Iterable[Any]],
    tolerance: float,
    setup: str = "",
    shape: str = "",
    accept: str = "",
    published: str = "",
) -> Item:
    """`inputs`: the original benchmark's, and those that EvalPlus added. An input that is there twice is run once; the
    self-contained test programs leave it out too. `setup` is run before an answer; `shape` is of `running.SHAPES`,
    `accept` of `outputs.ACCEPTED`; `published` is the prompt that EvalPlus's samples go on from."""
    base = dict.fromkeys(map(whole, inputs[0]))
    plus = dict.fromkeys(text for text in map(whole, inputs[1]) if text not in base)
    data: dict[str, Any] = {"reference": reference, "entry_point": entry_point, "base": (*base,), "plus": (*plus,)}
    data |= {"tolerance": tolerance, "setup": setup, "shape": shape, "accept": accept, "published": published}
    return Item(benchmark, name, prompt, data=data)


# ---------------------------------------------------------------- scoring


def score(cases: Sequence[Case], scoring: Scoring, slow: frozenset[str] = frozenset()) -> Iterator[Mark]:
    """`slow`: ids of items whose reference takes more than a second."""

    def prepare(chunk: Sequence[Case]) -> None:
        if chunk and not execution.reason_not_to_run(scoring):
            keys = [(item.data["reference"], calls_of(item)) for item, _ in chunk]
            execution.references(keys, unsandboxed=scoring.unsandboxed)

    return execution.in_order(
        cases, lambda case: mark(*case, scoring), scoring.workers, prepare, lambda item: item.id in slow
    )


def mark(item: Item, text: str, scoring: Scoring) -> Mark:
    """One answer's. `passed` is None where no code is run, or the reference could not be."""
    data = item.data
    cut = text in scoring.cut
    read = extract(ended(text) if cut else text, [data["entry_point"]], given=_names(data["setup"]), cut=cut)
    code = read.code
    if reason := execution.reason_not_to_run(scoring):
        return Mark(None, code, reason)
    if code is None:
        return Mark(False, None, NO_CODE, {BASE: False, FORMAT: False}, sandbox.level())
    calls = calls_of(item)
    known = execution.reference(data["reference"], calls, unsandboxed=scoring.unsandboxed)
    if known.why or len(known.outputs) < len(calls.inputs):
        return Mark(None, code, f"the reference could not be run: {known.why}"[:200], sandbox=known.level)
    allowed = execution.allowed_beside(known)
    ran = execution.run(code, calls, allowed, scoring)
    return execution.described(_compared(item, code, ran, known, scoring), read, scoring)


def _names(setup: str) -> set[str]:
    """What stands before every answer."""
    tree = parsed(setup)
    return {binding.name for binding in bindings(tree)} if tree else set()


def calls_of(item: Item, *, only_base: bool = False) -> Calls:
    data = item.data
    inputs = (*data["base"],) if only_base else (*data["base"], *data["plus"])
    return Calls(inputs, data["entry_point"], setup=data["setup"], shape=data["shape"])


def _compared(item: Item, code: str, ran: Ran, known: Ran, scoring: Scoring) -> Mark:
    if not ran.ran:  # the sandbox was refused, or did not start: the machine's fault
        return Mark(None, code, ran.why)
    inputs, base = (*item.data["base"], *item.data["plus"]), len(item.data["base"])
    good = _right(item, ran, known)
    if good == len(inputs):
        return Mark(True, code, "", {BASE: True}, ran.level)
    base_good = good >= base or (not ran.whole and base < len(inputs) and _base_right(item, code, known, scoring))
    return Mark(False, code, _reason(item, inputs[good], ran, known, good), {BASE: base_good}, ran.level)


def _right(item: Item, ran: Ran, known: Ran) -> int:
    """How many outputs are right, up to the first that is not."""
    data = item.data
    for at, (output, expected) in enumerate(zip(ran.outputs, known.outputs, strict=False)):
        inputs = data["base"] if at < len(data["base"]) else data["plus"]
        arguments = inputs[at if at < len(data["base"]) else at - len(data["base"])]
        if not right(output, expected, data["tolerance"], data["accept"], arguments):
            return at
    return len(ran.outputs)


def _base_right(item: Item, code: str, known: Ran, scoring: Scoring) -> bool:
    """An answer that took its process down with it told nothing; the base tests alone it may survive."""
    base = len(item.data["base"])
    allowed = execution.allowed_beside(Ran(known.outputs[:base], known.seconds[:base]))
    ran = execution.run(code, calls_of(item, only_base=True), allowed, scoring)
    return _right(item, ran, known) == base


def _reason(item: Item, arguments: str, ran: Ran, known: Ran, at: int) -> str:
    if not ran.whole:
        return ran.why
    call = f"{item.data['entry_point']}({_short(_as_python(arguments)[1:-1])})"
    if at < len(ran.outputs):
        return f"{call} is {_short(_as_python(ran.outputs[at]))}, not {_short(_as_python(known.outputs[at]))}"
    return f"{call}: {ran.why or 'no output'}"[:200]


def _as_python(text: str) -> str:
    """A value as Python writes it; what is long or cannot be read as it came."""
    if len(text) > LONGEST_READ:
        return text
    try:
        return repr(untagged(json.loads(text), most=len(text)))
    except UNREADABLE:
        return text


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
