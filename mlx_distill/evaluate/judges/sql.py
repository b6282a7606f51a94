"""What the static judge measures of SQL.

In: an answer and its query. Out: the measures of three dimensions; a query is not run here.
"""

from __future__ import annotations

import re

from mlx_distill.evaluate.judges.measures import PLACEHOLDER, Measure, faultless
from mlx_distill.machine.checks.code import prose_of
from mlx_distill.run.records import Generation

CLAUSE = re.compile(r"\b(SELECT|FROM|WHERE|JOIN|ORDER|GROUP)\b", re.I)
COMMENT = re.compile(r"--[^\n]*|/\*.*?(\*/|\Z)", re.S)


def sql_measures(generation: Generation, code: str) -> dict[str, list[Measure]]:
    query = COMMENT.sub("", code).strip()
    uncrowded = [len(CLAUSE.findall(line)) <= 2 for line in query.splitlines()]
    return {
        "Structure & Design": [
            ("a SELECT", 4, "SELECT" in query.upper()),
            ("few clauses a line", 3, faultless(uncrowded)),
            ("one style of keywords", 2, len({word.isupper() for word in CLAUSE.findall(query)}) <= 1),
            ("columns by name", 1, not re.search(r"SELECT\s+\*", query, re.I)),
        ],
        "Documentation": [
            ("prose", 7, len(prose_of(generation.text).split()) >= 8),
            ("aliases", 3, bool(re.search(r"\bAS\b", query, re.I))),
        ],
        "Completeness": [
            ("not cut off", 3, generation.finish_reason == "stop"),
            ("no placeholders", 3, not PLACEHOLDER.search(code) and "..." not in code),
            ("a whole statement", 2, query.endswith(";")),
        ],
    }
