"""What runs inside the sandbox: one answer, and all that it is called with or reads from its standard input.

In: a task, or a list of them, as JSON on standard input. Out: {"outputs", "seconds", "took", "why"}, or a list of such.
This file's text is the program, so it imports nothing but the standard library. No expected output ever comes in here:
an answer that takes over this process can only send what it would have returned anyway.
"""

# ruff: noqa: PTH123, SIM115  pathlib and contextlib would take longer to load than most answers to run

import array
import itertools
import json
import marshal
import os
import signal
import sys
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

MANY, LARGE = 10_000, 1 << 20
"""Elements of a list that are written at once, and characters of a value up to which it is sent whole."""

FLOATS = 1 << 53
"""Whole numbers up to which floats hold them all."""

MOST_DIGITS = 4300
LONG = 10_000
"""Bits from which a whole number travels in hexadecimal: Python refuses decimals of more digits than that."""

PLAIN = frozenset({int, float, str, bool, type(None)})
BASES = (bool, int, float, complex, str, bytes, list, tuple, set, frozenset, dict)

dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
loads = json.loads


# ---------------------------------------------------------------- values as JSON


def tagged(value: Any) -> Any:
    """A value as JSON that tells its types apart: numbers, strings, None and lists as they are, all else as
    {type: content}. What derives from a known type is read with that type's own methods, whatever it overrides;
    of anything else only the name of its type is told. Raises RecursionError for a value that contains itself."""
    kind = type(value)
    if kind is list:
        return value if _is_plain(value) else [tagged(item) for item in value]
    if kind in PLAIN:
        return value if kind is not int or value.bit_length() <= LONG else {"int": hex(value)}
    if kind not in WRITTEN:
        kind = next((base for base in BASES if issubclass(kind, base)), object)
    return WRITTEN[kind](value)


def _is_plain(values: list[Any]) -> bool:
    """Whether all elements are written as they are; long lists of numbers are common, and this is quick."""
    kinds = set(map(type, values))
    if not kinds <= PLAIN:
        return False
    return int not in kinds or not any(type(value) is int and value.bit_length() > LONG for value in values)


def _all(values: Iterator[Any]) -> list[Any]:
    return [tagged(value) for value in values]


WRITTEN: dict[type, Callable[[Any], Any]] = {
    int: lambda value: tagged(int.__int__(value)),
    float: float.__float__,
    str: str.__str__,
    list: lambda value: _all(list.__iter__(value)),
    tuple: lambda value: {"tuple": tagged([*tuple.__iter__(value)])},
    set: lambda value: {"set": _all(set.__iter__(value))},
    frozenset: lambda value: {"frozenset": _all(frozenset.__iter__(value))},
    dict: lambda value: {"dict": [_all(iter(pair)) for pair in dict.items(value)]},
    bytes: lambda value: {"bytes": bytes.hex(value)},
    complex: lambda value: {"complex": [complex.real.__get__(value), complex.imag.__get__(value)]},
    object: lambda value: {"object": type(value).__name__},
}


def untagged(value: Any, most: int = sys.maxsize) -> Any:
    """Back from `tagged`. `most`: the elements that a set or dictionary may have; they are of an unknown sender, and
    their hashes may collide. Raises ValueError or another of the errors in `outputs.UNREADABLE`."""
    if isinstance(value, list):
        return [untagged(item, most) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind in HASHED and len(content) > most:
        raise ValueError(f"more than {most} elements")
    if kind == "dict":
        return {untagged(key, most): untagged(item, most) for key, item in content}
    return READ[kind]([untagged(item, most) for item in content] if isinstance(content, list) else content)


HASHED = frozenset({"set", "frozenset", "dict"})
READ: dict[str, Callable[[Any], Any]] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "bytes": bytes.fromhex,
    "complex": lambda parts: complex(*parts),
    "int": lambda text: int(text, 16),
    "object": lambda name: object(),
}


def encoded(value: Any) -> str:
    """A value as JSON text in one line; of one that has more than LARGE characters only a digest, which equal values
    have in common: a list of a million numbers would take longer to send than to make."""
    sys.set_int_max_str_digits(MOST_DIGITS)  # an answer may have lifted it, for itself
    size, parts = 0, []
    for part in _parts(value):
        parts.append(whole(part))
        size += len(parts[-1])
        if size > LARGE:
            return dumps({"digest": _digest(value)})
    return parts[0] if len(parts) == 1 else f"[{','.join(part[1:-1] for part in parts)}]"


def _parts(value: Any) -> Iterator[Any]:
    """A long list in lists of MANY elements."""
    if type(value) is not list or len(value) <= MANY:
        yield value
    else:
        for at in range(0, len(value), MANY):
            yield value[at : at + MANY]


def whole(value: Any) -> str:
    """A value as JSON text, of any length.

    Python's own notation of a list of numbers is JSON but for nan and inf, and quicker.
    """
    if type(value) is list and set(map(type, value)) <= {int, float}:
        try:
            text = repr(value)
            if "n" not in text:
                return text
        except ValueError:  # a whole number with too many digits
            pass
    return dumps(tagged(value))


def _digest(value: Any) -> str:
    import hashlib

    digest = hashlib.sha256()
    for part in _parts(value):
        digest.update(_alike(part))
    return digest.hexdigest()


def _alike(value: Any) -> bytes:
    """What equal values have in common. Numbers that a float holds exactly, and tuples of texts, are quick."""
    if type(value) is list:
        kinds = set(map(type, value))
        if kinds <= {int, float, bool} and min(value) >= -FLOATS and max(value) <= FLOATS:
            return array.array("d", map((0.0).__add__, value)).tobytes()  # and -0.0 becomes 0.0
        if kinds == {tuple} and set(map(type, itertools.chain.from_iterable(value))) == {str}:
            return marshal.dumps(value, 2)
    return whole(_exact(value)).encode("utf-8", "surrogatepass")


def _exact(value: Any) -> Any:
    """Numbers that are equal become the same: True, 1 and 1.0."""
    kind = type(value)
    if kind is bool or (kind is float and value.is_integer()):
        return int(value)
    if kind is tuple:
        return tuple(_exact([*value]))
    if kind is not list or set(map(type, value)) <= {int, str}:
        return value
    return [_exact(item) for item in value]


# ---------------------------------------------------------------- an answer that is called


PATIENCE = 5
"""Times the seconds of the processor that an input may take by the clock: the machine may be busy, and fails nobody."""


class TooLong(BaseException):
    """Not an Exception: answers catch those."""


def _too_long(*_: Any) -> None:
    raise TooLong


def _limited() -> Callable[[float], None]:
    """What sets the time from now on, and ends it with 0. An answer may put other functions in these places."""
    signal.signal(signal.SIGALRM, _too_long)
    signal.signal(signal.SIGPROF, _too_long)
    timer, clock, processor, patience = signal.setitimer, signal.ITIMER_REAL, signal.ITIMER_PROF, PATIENCE

    def limit(seconds: float) -> None:
        timer(processor, seconds)
        timer(clock, patience * seconds)

    return limit


SHAPES: dict[str, Callable[[Any], Any]] = {
    "": lambda output: output,
    "set": set,
    "given": lambda output: output if type(output) is bool else output is not None,
    "list": lambda output: [*output] if isinstance(output, tuple) else output,
}
"""What is sent of an output, where the published test looks at a part of it only: its elements, whether there is one,
a tuple's content."""


def call(task: dict[str, Any], result: dict[str, Any]) -> None:
    """Calls the answer with one input after another, until one raises or takes longer than its limit.

    Each input is read anew, so that no call sees what another has changed.
    """
    clock, limit, write, read, parse = time.process_time, _limited(), encoded, untagged, loads
    shape = SHAPES[task["shape"]]
    function = _load(task)
    for text, most in zip(task["inputs"], task["limits"], strict=True):
        arguments = read(parse(text))
        started = clock()
        limit(most)
        output = shape(function(*arguments))
        limit(0)
        result["seconds"].append(clock() - started)
        result["outputs"].append(write(output))
        del output


def _load(task: dict[str, Any]) -> Callable[..., Any]:
    names = _module("answer").__dict__
    exec(task["setup"], names)
    exec(task["code"], names)
    found = names[task["entry_point"]]
    return getattr(found(), task["method"]) if task["method"] else found  # type: ignore[no-any-return]


def _module(name: str) -> types.ModuleType:
    sys.modules[name] = types.ModuleType(name)
    return sys.modules[name]


# ---------------------------------------------------------------- an answer that is a script


class Failed(Exception):
    """A script did; its error has been written down by its own process."""


def script(task: dict[str, Any], result: dict[str, Any]) -> None:
    """Runs the answer as a program of its own for each input, until one fails or takes longer than its limit."""
    code, names = compile(task["code"], "answer.py", "exec"), _module("__main__").__dict__
    exec(task["setup"], names)
    limit = _limited()
    for text, most in zip(task["inputs"], task["limits"], strict=True):
        for name, content in (("input", text), ("output", ""), ("error", "it was killed")):
            with open(name, "w", encoding="utf-8", errors="surrogatepass") as file:
                file.write(content)
        started = time.perf_counter()
        _fork(code, names, limit, most)
        result["seconds"].append(time.perf_counter() - started)
        with open("output", encoding="utf-8", errors="replace") as file:
            result["outputs"].append(file.read())


def _fork(code: types.CodeType, names: dict[str, Any], limit: Callable[[float], None], most: float) -> None:
    """Raises TooLong or Failed."""
    child = os.fork()
    if not child:
        _as_main(code, names, limit, most)
    try:
        limit(most)
        _, status = os.waitpid(child, 0)
        limit(0)
    except TooLong:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    if status:
        with open("error", encoding="utf-8", errors="replace") as file:
            raise Failed(file.read(200))


def _as_main(code: types.CodeType, names: dict[str, Any], limit: Callable[[float], None], most: float) -> None:
    """Never comes back. An exit is an end like any other, as in the published test."""
    leave, status, why = os._exit, 1, _why
    try:
        for descriptor, name, flags in ((0, "input", os.O_RDONLY), (1, "output", os.O_WRONLY)):
            os.dup2(os.open(name, flags), descriptor)
        sys.stdin = open(0, encoding="utf-8", errors="surrogatepass", closefd=False)
        sys.stdout = open(1, "w", encoding="utf-8", errors="surrogatepass", closefd=False)
        limit(most)
        exec(code, names)
        sys.stdout.flush()
        status = 0
    except SystemExit:
        sys.stdout.flush()
        status = 0
    except BaseException as error:
        with open("error", "w", encoding="utf-8") as file:
            file.write(why(error))
    finally:
        leave(status)


# ---------------------------------------------------------------- the program


def _why(error: BaseException) -> str:
    if isinstance(error, TooLong):
        return "too slow"
    name, text = type(error).__name__, str(error)
    return text if isinstance(error, Failed) else f"{name}: {text}"[:200] if text else name


def answer(task: dict[str, Any], to: int) -> None:
    """Never comes back. Nothing that an answer prints gets into the result, and nothing of it goes on after that."""
    result: dict[str, Any] = {"outputs": [], "seconds": [], "took": 0.0, "why": ""}
    said = open(to, "w", encoding="utf-8", errors="surrogatepass")
    clock, leave, write, why = time.perf_counter, os._exit, dumps, _why  # an answer may replace them
    started = clock()
    try:
        (script if task["script"] else call)(task, result)
    except BaseException as error:
        result["why"] = why(error)
    result["took"] = clock() - started
    said.write(write(result))
    said.close()
    leave(0)


def several(tasks: list[dict[str, Any]], to: int) -> None:
    """The results as a list. Each task has a process of its own, but they share the sandbox: not for answers."""
    with open(to, "w", encoding="utf-8", errors="surrogatepass") as said:
        for number, task in enumerate(tasks):
            read, write = os.pipe()
            child = os.fork()
            if not child:
                answer(task, write)
            os.close(write)
            with open(read, encoding="utf-8", errors="surrogatepass") as result:
                said.write(f"{',' if number else '['}{result.read() or 'null'}")
            os.waitpid(child, 0)
        said.write("]")


def main() -> None:
    printed, nothing = os.dup(1), os.open(os.devnull, os.O_RDWR)
    task = loads(sys.stdin.read())
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    (several if isinstance(task, list) else answer)(task, printed)


if __name__ == "__main__":
    main()
