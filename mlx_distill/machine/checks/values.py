"""Values across the sandbox's border, as JSON text: one reading of them for checks and benchmarks.

In: a value. Out: text from which an equal one can be made, of the same types as far as a literal can have them; of a
long one a digest. It is used on both sides, and inside the sandbox its text stands before that of the program: it
imports nothing but the standard library.
"""

import array
import itertools
import json
import marshal
import sys
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
BASES = (bool, int, float, complex, str, bytes, bytearray, list, tuple, set, frozenset, dict)

LONGEST_RATIO = 4000
"""Bits of a fraction's parts: to reduce one takes time that grows with their square."""

dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
loads = json.loads


def tagged(value: Any) -> Any:
    """A value as JSON that tells its types apart: numbers, strings, None and lists as they are, all else as
    {type: content}. What derives from a known type is read with that type's own methods, whatever it overrides; so are
    numbers of the standard library and numpy, and what stands for a dictionary, list or text. Of anything else only the
    name of its type is told. Raises RecursionError for a value that contains itself."""
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
    bytearray: lambda value: {"bytes": bytearray.hex(value)},
    type(...): lambda _: {"ellipsis": 0},
    type({}.keys()): lambda value: {"set": _all(iter(value))},
    type({}.items()): lambda value: {"set": _all(iter(value))},
    types.MappingProxyType: lambda value: tagged(dict(value)),
    object: lambda value: _of_library(value),
}


def _exact(value: Any) -> Any:
    """A fraction as its parts; infinities and what is no number as floats."""
    try:
        numerator, denominator = value.as_integer_ratio()
    except (OverflowError, ValueError):
        return tagged(float(value))
    if max(int(numerator).bit_length(), int(denominator).bit_length()) > LONGEST_RATIO:
        return {"object": type(value).__name__}
    return {"ratio": [int(numerator), int(denominator)]}


LIBRARY: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("decimal", "Decimal", _exact),
    ("fractions", "Fraction", _exact),
    ("numpy", "generic", lambda value: _number(value.item())),
    ("collections", "UserDict", lambda value: tagged(dict(value))),
    ("collections", "ChainMap", lambda value: tagged(dict(value))),
    ("collections", "UserList", lambda value: tagged(list(value))),
    ("collections", "UserString", lambda value: tagged(str(value))),
)
"""Types that are equal to literals without being derived from theirs. Only a program that has loaded the module can
have made one; what it puts there in their place could not say more than a number that it returns."""


def _of_library(value: Any) -> Any:
    for module, name, write in LIBRARY:
        kind = getattr(sys.modules.get(module), name, None)
        if isinstance(kind, type) and issubclass(type(value), kind):
            return write(value)
    return {"object": type(value).__name__}


def _number(value: Any) -> Any:
    return tagged(value) if type(value) in PLAIN or type(value) is complex else {"object": type(value).__name__}


def untagged(value: Any, most: int = sys.maxsize) -> Any:
    """Back from `tagged`. `most`: the elements that a set or dictionary may have; they are of an unknown sender, and
    their hashes may collide. Raises ValueError or another of the errors in UNREADABLE."""
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
    "ellipsis": lambda _: ...,
    "ratio": lambda parts: _ratio(*parts),
    "object": lambda name: object(),
}


def _ratio(numerator: int, denominator: int) -> Any:
    from fractions import Fraction

    if max(numerator.bit_length(), denominator.bit_length()) > LONGEST_RATIO:
        raise ValueError("too long a fraction")
    return Fraction(numerator, denominator)


UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError, ArithmeticError)
"""What reading or comparing an unknown sender's values may raise."""


def encoded(value: Any) -> str:
    """A value as JSON text in one line; of one that has more than LARGE characters only a digest, which equal values
    have in common: a list of a million numbers would take longer to send than to make."""
    digits = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(MOST_DIGITS)  # an answer may have lifted it, for itself
    try:
        return _encoded(value)
    finally:
        sys.set_int_max_str_digits(digits)


def _encoded(value: Any) -> str:
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
    return whole(_as_equal(value)).encode("utf-8", "surrogatepass")


def _as_equal(value: Any) -> Any:
    """Numbers that are equal become the same: True, 1 and 1.0."""
    kind = type(value)
    if kind is bool or (kind is float and value.is_integer()):
        return int(value)
    if kind is tuple:
        return tuple(_as_equal([*value]))
    if kind is not list or set(map(type, value)) <= {int, str}:
        return value
    return [_as_equal(item) for item in value]
