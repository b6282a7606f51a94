r"""Inequalities joined by "or" as the intervals that they describe: x < -2 or x > 3.

In: an answer written plainly. Out: the same in interval notation where it is of that kind, else as it was. math-verify
reads a single inequality so, but takes several for a set of them.
"""

from __future__ import annotations

import re

OR = re.compile(r"\s*,?\s*(?:\\lor|\\vee|\\cup|(?<![a-zA-Z])or(?![a-zA-Z]))\s*")
SIDE = r"[^<>=]+?"
BELOW = re.compile(rf"({SIDE})\s*(<|\\le|>|\\ge|\\ne)\s*({SIDE})")
BETWEEN = re.compile(rf"({SIDE})\s*(<|\\le)\s*([a-zA-Z])\s*(<|\\le)\s*({SIDE})")
VARIABLE = re.compile(r"[a-zA-Z]")
BUILDER = re.compile(r"\\\{\s*([a-zA-Z])\s*(?:\\in\s*\\mathbb\{R\}\s*)?(?:\\mid|:|\|)\s*(.*)\\\}")
TURNED = {"<": ">", ">": "<", r"\le": r"\ge", r"\ge": r"\le", r"\ne": r"\ne"}


def as_union(text: str) -> str:
    if (built := BUILDER.fullmatch(text)) is not None:
        text = built[2].strip()
    if not re.search(r"[<>]|\\[lgn]e(?![a-z])", text):
        return text
    parts = OR.split(re.sub(r"\\([lgn]e)(?![a-zA-Z])\s*", r"\\\1 ", text))
    ranges = [_range(part.strip()) for part in parts]
    return r"\cup".join(ranges) if None not in ranges and (len(parts) > 1 or r"\ne" in text) else text  # type: ignore[arg-type]


def _range(text: str) -> str | None:
    if (match := BETWEEN.fullmatch(text)) is not None:
        low, left, _, right, high = match.groups()
        return f"{'(' if left == '<' else '['}{low.strip()},{high.strip()}{')' if right == '<' else ']'}"
    if (match := BELOW.fullmatch(text)) is None:
        return None
    left, sign, right = (part.strip() for part in match.groups())
    if VARIABLE.fullmatch(right) and not VARIABLE.fullmatch(left):
        left, sign, right = right, TURNED[sign], left
    if not VARIABLE.fullmatch(left):
        return None
    return {
        "<": rf"(-\infty,{right})",
        r"\le": rf"(-\infty,{right}]",
        ">": rf"({right},\infty)",
        r"\ge": rf"[{right},\infty)",
        r"\ne": rf"(-\infty,{right})\cup({right},\infty)",
    }[sign]
