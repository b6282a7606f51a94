"""The comparing process: is an answer the gold answer, perhaps written otherwise? By math-verify and a few rules.

In, on standard input, a pair a line: JSON [gold, answer]. Out, a line each: {"equal": bool}. It runs as a program of
its own, by its path, because some answers can only be stopped by ending a process; its parent is `mathematics`. Of
math-verify it uses the reading and the comparing; not its search through prose (the parent hands it one answer), and
not its clocks, which are signals and cannot interrupt a computation that is in C.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import sys
from typing import Any, NoReturn

CPU_SECONDS = 5
MEMORY_BYTES = 1 << 30
DIGITS = 10
"""Significant digits to which a decimal must agree with an exact value. math-verify counts places, six by default:
.0000674 passed for .0000672, 0.333333 for a third, and all numbers below 5e-7 for each other."""
EXACT_DIGITS = 25
"""And two exact values, where algebra alone does not show that they are equal."""

INERT = re.compile(r"[0-9.]+(?:[eE][-+]?[0-9]{1,4})?(?:/[0-9]+)?|[A-Za-z]+", re.ASCII)
"""Strings that sympy may evaluate: a number, or one name (of those it makes symbols, for units that it loads late)."""

REWRITTEN = (
    (re.compile(r"(?<=[0-9])\\[,;:]\s*(?=[0-9])"), ""),  # 2\,220 is one number
    (re.compile("°"), r"^\\circ "),
    (re.compile(r"√\s*([0-9]+|[a-zA-Z])"), r"\\sqrt{\1}"),
    (re.compile(r"\(([0-9]+)\)\s*_"), r"\1_"),  # (52)_8, which math-verify takes for a count of permutations
    (re.compile(r"(?<=[0-9])\s*_\s*\{?\s*(?:\\text\s*\{[a-z ]+\}|[a-z]+)\s*\}?"), ""),  # 52_{\text{eight}}
    (re.compile(r"^\s*[a-zA-Z]\s*\\in\b"), ""),  # x \in [-2,7]
    (re.compile(r"^[\s*]+|[\s*.]+$"), ""),
)
"""What math-verify misreads, as it is rewritten first: (pattern, replacement)."""

BASE = re.compile(r"[0-9]\s*_\s*\{?\s*([0-9]+)\s*\}?\s*$")

FORBIDDEN = ("os.", "subprocess.", "socket.", "ctypes.", "shutil.", "pty.", "tempfile.", "sys.addaudithook")
HARMLESS = ("os.listdir", "os.scandir", "os.walk", "os.getxattr", "os.listxattr", "os.putenv", "os.unsetenv")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def equal(gold: str, answer: str) -> bool:
    """Whether two LaTeX expressions have the same value. The order is that of `math_verify.verify`: gold first.

    Of variables the names count; a set's order does not, a tuple's does; an interval's ends must be open or closed
    alike; units and degree signs are not compared; an inequality equals the interval that it describes; of an equation
    the right side counts where the gold answer is none, so that f(2) = 7 is 7.
    """
    from math_verify import verify
    from math_verify.grader import should_treat_as_complex

    gold, answer = rewritten(gold), rewritten(answer)
    vars(sys.modules["math_verify.grader"])["sympy_numeric_eq"] = numbers_equal
    if not _bases_agree(gold, answer):
        return False
    real = not (should_treat_as_complex(gold) or should_treat_as_complex(answer))
    return bool(
        verify(
            _read(gold, real),
            _read(answer, real),
            strict=True,
            allow_set_relation_comp=True,
            timeout_seconds=None,
        )
    )


def numbers_equal(gold: Any, answer: Any, *_: int) -> bool:
    """In place of math-verify's comparison of numbers, whose precision is absolute. Matrices by their entries."""
    from sympy import Basic, MatrixBase

    gold, answer = (one.doit() if isinstance(one, MatrixBase) else one for one in (gold, answer))
    if isinstance(gold, MatrixBase) and isinstance(answer, MatrixBase):
        pairs = zip(gold.flat(), answer.flat(), strict=True) if gold.shape == answer.shape else [(0, 1)]
        return all(one == other or numbers_equal(one, other) for one, other in pairs)
    if not (isinstance(gold, Basic) and isinstance(answer, Basic)):
        return False
    return any(_close(one, other) for one, other in _percent_pairs(gold, answer))


def _percent_pairs(gold: Any, answer: Any) -> list[tuple[Any, Any]]:
    """Both values; and where the answer, or a gold answer of at least 1, is in percent, its number too: 20% is 20."""
    from math_verify.grader import get_pct_val

    pairs = [(gold.doit(), answer.doit())]
    in_gold, in_answer = get_pct_val(gold), get_pct_val(answer)
    if in_gold is not None and in_answer is None:
        pairs.append((in_gold, answer))
    if in_answer is not None and in_gold is None and gold.is_number and abs(gold) >= 1:
        pairs.append((gold, in_answer))
    return pairs


def _close(gold: Any, answer: Any) -> bool:
    """Relative to the larger one. Whole numbers and fractions are the same or not."""
    from sympy import Float

    if gold == answer or (gold.is_Rational and answer.is_Rational):
        return bool(gold == answer)
    difference = (gold - answer).evalf(EXACT_DIGITS + 10)
    if not (gold.is_number and answer.is_number):
        return bool(difference == 0)
    if not (gold.is_finite and answer.is_finite):
        return False
    scale = max(abs(gold.evalf(EXACT_DIGITS)), abs(answer.evalf(EXACT_DIGITS)))
    digits = DIGITS if gold.has(Float) or answer.has(Float) else EXACT_DIGITS
    return bool(abs(difference) <= scale / 10**digits)


def rewritten(text: str) -> str:
    for pattern, replacement in REWRITTEN:
        text = pattern.sub(replacement, text)
    return text


def _bases_agree(gold: str, answer: str) -> bool:
    """math-verify ignores the base of a number. Here an answer may leave it out, but not have another one."""
    wanted, given = BASE.search(gold), BASE.search(answer)
    return not given or int(given[1]) == int(wanted[1] if wanted else 10)


def _read(latex: str, real: bool) -> list[Any]:
    """As `math_verify.parse` reads what is in a box: an expression where there is one, then the normalised text.

    `real` is the same for both sides: math-verify decides it for each, so that 1+2 i was not 1+2i.
    """
    from latex2sympy2_extended.latex2sympy2 import NormalizationConfig, latex2sympy, normalize_latex
    from math_verify.parser import get_last_eq

    config = NormalizationConfig(basic_latex=True, units=True, malformed_operators=True, nits=True, boxed="none")
    text = normalize_latex(latex, config)
    for candidate in dict.fromkeys((text, get_last_eq(text))):
        try:
            return [latex2sympy(candidate, is_real=real, normalization_config=None), text]
        except Exception:
            continue
    return [text]


def close_doors() -> None:
    """Nothing that an answer says can become Python, and nothing here can write, connect, or start a program.

    sympy turns strings into expressions with `eval` and functions into Python with `exec`. What reaches the first from
    an answer are digits only, by math-verify's grammar, and the second needs a sum or root to be evaluated; this holds
    whether or not that grammar does. The audit hook (PEP 578) is there should both be wrong.
    """
    import latex2sympy2_extended.latex2sympy2 as reading
    import math_verify.parser as parser
    from sympy.core.sympify import SympifyError
    from sympy.parsing import sympy_parser

    original = sympy_parser.parse_expr

    def inert_only(text: str, *args: Any, **options: Any) -> Any:
        if not INERT.fullmatch(text):
            raise SympifyError(text)
        return original(text, *args, **options)

    for module in (sympy_parser, reading, parser):
        module.parse_expr = inert_only
    for name in ("sympy.utilities.lambdify", "mpmath.identification"):
        vars(sys.modules[name]).update(exec=_refuse, eval=_refuse)
    sys.dont_write_bytecode = True
    sys.addaudithook(_audit)


def _refuse(*_: Any) -> NoReturn:
    """sympy takes a NotImplementedError for a way that is not open, and tries the next."""
    raise NotImplementedError("answers do not become code")


def _audit(event: str, args: tuple[Any, ...]) -> None:
    writes = event == "open" and isinstance(args[2], int) and args[2] & WRITES
    if writes or (event.startswith(FORBIDDEN) and event not in HARMLESS):
        raise PermissionError(f"{event} in a comparison")


def limit() -> None:
    """Limits are set one by one: macOS refuses some, and one refusal must not stop the others."""
    wanted = {"AS": MEMORY_BYTES, "FSIZE": 0, "CORE": 0, "NPROC": 0, "NOFILE": 64}
    for kind, most in wanted.items():
        with contextlib.suppress(AttributeError, OSError, ValueError):
            resource.setrlimit(getattr(resource, f"RLIMIT_{kind}"), (most, most))


def _allow_one_pair(seconds: int) -> None:
    """The kernel ends this process when a pair has had its seconds: processor time, so that a busy machine changes no
    mark."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + 1 + seconds
    with contextlib.suppress(OSError, ValueError):  # where the user's own limit is lower
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _compared(line: bytes) -> bool:
    gold, answer = json.loads(line)
    try:
        return equal(gold, answer)
    except Exception:
        return False


def main() -> None:
    """Replies {"ready": true} when all is loaded."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else CPU_SECONDS
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    equal("1", "x")  # loads math-verify and sympy
    limit()
    close_doors()
    replies.write('{"ready": true}\n')
    for line in sys.stdin.buffer:
        _allow_one_pair(seconds)
        replies.write(json.dumps({"equal": _compared(line)}) + "\n")


if __name__ == "__main__":
    main()
