"""What became of the rows that were read for training, as results.json has it.

In: dataset.json. Out: how many rows became examples, and why the others did not; None where nothing was encoded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from mlx_distill.run.data.material import DATASET
from mlx_distill.run.folder import RunDir
from mlx_distill.run.results.training import Dataset


def read_dataset(run: RunDir) -> Dataset | None:
    return dataset_part(run.read_json(DATASET)) if (run / DATASET).exists() else None


def dataset_part(dataset: Mapping[str, Any]) -> Dataset | None:
    made = dataset.get("encoded")
    if made is None:
        return None
    own = "usable" not in dataset  # the filter's own count: what it leaves out is the teacher's part
    reasons = (dataset.get("not_read", {}), dataset.get("left_out", {}) if own else {}, made["left_out"])
    return Dataset(
        rows=dataset.get("rows"),
        train=made["train"],
        valid=made["valid"],
        left_out=dict(sum((Counter(part) for part in reasons), Counter[str]()).most_common()),
        turn_by_turn=made["turn_by_turn"],
        with_control_tokens=made["with_control_tokens"],
        unused_keys=dataset.get("unused_keys", {}),
        heldout_overlap=dataset.get("heldout_overlap", 0),
    )
