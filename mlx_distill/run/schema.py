"""results.json described for those who read it with other programs: as JSON Schema, and as a page.

In: the records of `run.results`. Out: the schema that msgspec makes of them, and Markdown with a table for each record.
Both are made from the types that write and read the file, so that they cannot differ from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from mlx_distill.run.results import SCHEMA, Results

Part = Mapping[str, Any]

HEAD = f"""Everything that a run measured, in one file; the reports are drawn from it alone. This describes
schema {SCHEMA}: a file of another number is written anew by `mlx-distill report --run RUN`.
The same as JSON Schema (draft 2020-12):
`python -c "import json; from mlx_distill.run.schema import results_schema; print(json.dumps(results_schema()))"`.

A key that has no "else" is always there. `null` says that it was not measured, or that its stage has not run."""


def results_schema() -> dict[str, Any]:
    """JSON Schema of results.json, with $defs for its records."""
    return msgspec.json.schema(Results)


def schema_page() -> str:
    """Markdown below a title: each record with what it is, its keys and their types; from the whole file inwards."""
    records = results_schema()["$defs"]
    return "\n\n".join([HEAD, *(_record(name, part) for name, part in records.items())])


def _record(name: str, part: Part) -> str:
    about = " ".join(str(part.get("description", "")).split("\n\n")[0].split())
    table = "\n".join(["| key | type |", "| --- | --- |", *_rows(part)])
    return "\n\n".join(filter(None, (f"## {name}", about, *_columns(part), table)))


def _columns(part: Part) -> Iterator[str]:
    """What a docstring sets in columns stays as it is."""
    for paragraph in str(part.get("description", "")).split("\n\n")[1:]:
        yield f"```text\n{paragraph}\n```"


def _rows(part: Part) -> Iterator[str]:
    for key, value in part["properties"].items():
        absent = "" if key in part.get("required", ()) else f", else `{_json(value.get('default'))}`"
        yield f"| `{key}` | {_type(value)}{absent} |"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _type(value: Part) -> str:
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in value:
        return " or ".join(map(_type, value["anyOf"]))
    if "enum" in value:
        return ", ".join(f"`{_json(one)}`" for one in value["enum"])
    if value.get("type") == "array":
        return _array(value)
    if value.get("type") == "object":
        return f"object of {_type(value['additionalProperties'])} by {_type(value.get('propertyNames', TEXT))}"
    return str(value.get("type", "anything"))


TEXT = {"type": "string"}


def _array(value: Part) -> str:
    if "prefixItems" in value:
        return f"array of {', '.join(map(_type, value['prefixItems']))}"
    return f"array of {_type(value['items'])}"
