"""What results.json is said to be is what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runs import Made, results_of

from mlx_distill.run.schema import results_schema, schema_page


def test_every_record_has_a_table_with_all_of_its_keys() -> None:
    page = schema_page()
    for name, part in results_schema()["$defs"].items():
        table = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
        assert all(f"\n| `{key}` | " in table for key in part["properties"])
    assert "| anything" not in page


def test_what_a_run_writes_has_the_keys_of_the_schema(tmp_path: Path) -> None:
    found, records = results_of(tmp_path, Made(prompts=4)), results_schema()["$defs"]

    def check(value: Any, kind: str) -> None:
        assert set(records[kind].get("required", ())) <= set(value) <= set(records[kind]["properties"])

    check(found, "Results")
    for key, kind in {"run": "RunPart", "training": "Training", "comparison": "Comparison"}.items():
        check(found[key], kind)
    for prompt in found["comparison"]["prompts"]:
        check(prompt, "PromptResult")
