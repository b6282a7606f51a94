"""Which values of an answer are the expected ones, and that no value says so itself."""

from __future__ import annotations

import collections
import enum
import types
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import every

from mlx_distill.machine.checks.equality import right
from mlx_distill.machine.checks.values import encoded

Pair = collections.namedtuple("Pair", "x y")


class Text(str):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


class Number(enum.IntEnum):
    ONE = 1


class Letter(enum.StrEnum):
    A = "a"


class Plain(enum.Enum):
    ONE = 1


class Same:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


class SameClass(type):
    def __eq__(cls, other: object) -> bool:
        return True

    __hash__ = type.__hash__


class Disguised(metaclass=SameClass):
    __class__ = int  # type: ignore[assignment]


@every(
    "value, expected",
    [
        ({"n": 1, "ok": True}, "{'ok': True, 'n': 1}"),
        ({"b": False, "a": True}, "{'a': True, 'b': False}"),
        ({"a": [{2: {"x": 1, "y": False}}]}, "{'a': [{2: {'y': False, 'x': 1}}]}"),
        ({True: 1, (1, False): 2}, "{(1, False): 2, True: 1}"),
        (collections.Counter("aab"), "{'a': 2, 'b': 1}"),
        (collections.defaultdict(int, a=2), "{'a': 2}"),
        (collections.OrderedDict(b=1, a=2), "{'a': 2, 'b': 1}"),
        (collections.UserDict(a=1), "{'a': 1}"),
        (collections.ChainMap({"a": 1}, {"b": 2}), "{'a': 1, 'b': 2}"),
        (types.MappingProxyType({"a": 1}), "{'a': 1}"),
        ({"a": 1}.keys(), "{'a'}"),
        ({"a": 1}.items(), "{('a', 1)}"),
        (collections.UserList([1]), "[1]"),
        (collections.UserString("a"), "'a'"),
        (Pair(1, [2]), "(1, [2])"),
        (Number.ONE, "1"),
        (Letter.A, "'a'"),
        (Text("a"), "'a'"),
        (frozenset({1, (2, 3)}), "{(2, 3), 1}"),
        (bytearray(b"a"), "b'a'"),
        (1 + 2j, "1+2j"),
        (Decimal(2), "2"),
        (Decimal("0.3"), "0.3"),
        (Fraction(4, 2), "2"),
        (Fraction(1, 2), "0.5"),
        ([float("-inf"), 1], "[-1e999, 1]"),
        (Decimal("Infinity"), "1e999"),
        (0.1 + 0.2, "0.3"),
        ([1.1 + 2.2], "[3.3]"),
        (1.2e-16, "0.0"),
        (2, "2.0"),
        (2.0, "2"),
        (..., "..."),
        (None, "None"),
        (10**4000, str(10**4000)),
        (np.int64(3), "3"),
        (np.float64(0.5), "0.5"),
        (np.bool_(True), "True"),
        ("\ud800", "'\\ud800'"),
    ],
)
def test_what_equals_the_literal_is_right(value: Any, expected: str) -> None:
    assert right(encoded(value), expected)
    assert right(encoded([value]), f"[{expected}]")


@every(
    "value, expected",
    [
        (True, "1"),
        (1, "True"),
        (0, "False"),
        ({1: 2}, "{True: 2}"),
        ({True}, "{1}"),
        ([1], "(1,)"),
        ((1,), "[1]"),
        ({1}, "[1]"),
        (["a"], "'a'"),
        ("1", "1"),
        ("0.3", "0.3"),
        ("1+2j", "1+2j"),
        (Plain.ONE, "1"),
        (np.array([1]), "[1]"),
        (collections.deque([1]), "[1]"),
        (iter([1]), "[1]"),
        (range(2), "[0, 1]"),
        (object(), "None"),
        (float("nan"), "None"),
        (float("nan"), "1e999"),
        (0.30001, "0.3"),
        (3.0000000001, "3"),
        (1e-13, "2e-13"),
        (0, "1e-13"),
        (3.14159, "3.14"),
        (10**400, "1.0"),
        (10**5000, "1e999"),
        ({"a": 1, "b": 2}, "{'a': 1}"),
        ([1, 2], "[1]"),
        (collections.Counter(a=2, b=0), "{'a': 2}"),
        (Decimal("0.30001"), "0.3"),
        (Decimal("1E+99999"), "1"),
        (Decimal("NaN"), "0"),
        (Text("b"), "'a'"),
        (Same(), "1"),
        ([Same()], "[1]"),
        (Disguised(), "1"),
        (1, "1 +"),
        (1, "int(1)"),
    ],
)
def test_what_does_not_is_wrong_whatever_it_says(value: Any, expected: str) -> None:
    assert not right(encoded(value), expected)
    assert not right(encoded({"a": value}), f"{{'a': {expected}}}")


LITERALS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.tuples(st.integers(), st.text()), inner)
        | st.sets(st.integers() | st.tuples(st.text()))
    ),
)


@settings(max_examples=50)
@given(LITERALS)
def test_every_literal_is_itself_and_no_other(value: Any) -> None:
    expected = repr(value).replace("inf", "1e999")
    assert right(encoded(value), expected)
    assert not right(encoded([value, 0]), f"[{expected}, 1]")
    assert not right(encoded((value,)), f"[{expected}]")


@given(st.dictionaries(st.text() | st.booleans() | st.integers(2), st.booleans() | st.integers()), st.randoms())
def test_a_dictionary_has_no_order(value: dict[Any, Any], draw: Any) -> None:
    items = list(value.items())
    draw.shuffle(items)
    assert right(encoded(dict(items)), repr(value))


@every(
    "found",
    [
        *("", "nonsense", "[" * 100_000, '{"int":' * 50_000, '{"dict":[[[],1]]}', '{"set":[{"set":[1]}]}', "{}"),
        *('{"list":[]}', '{"int":"zz"}', '{"complex":["1","2"]}', '{"bytes":"0"}', '{"tuple":3}', "9" * 10_000),
        *('{"ratio":[1,0]}', '{"ratio":[1]}', '{"ratio":["a","b"]}', '{"digest":"0"}'),
        '{"ratio":[' + "9" * 4000 + ",3]}",
        '{"set":[' + ",".join(str(n * (2**61 - 1)) for n in range(50_000)) + "]}",
    ],
)  # fmt: skip
def test_what_an_answer_sends_cannot_hurt(found: str) -> None:
    for expected in ("{1, 2}", "[1.5]", "(1,)", "1", "{'a': True}", "1e999", "..."):
        assert not right(found, expected)
