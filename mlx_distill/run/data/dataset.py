"""What became of the rows that were read for training, as results.json has it.

In: dataset.json. Out: how many rows became examples, and why the others did not; None where nothing was encoded.
"""

from __future__ import annotations

from collections import Counter

from mlx_distill.run.files import DatasetFile
from mlx_distill.run.folder import DATASET, RunDir
from mlx_distill.run.results.training import Dataset


def read_dataset(run: RunDir) -> Dataset | None:
    found = run.find(DATASET, DatasetFile)
    return dataset_part(found) if found else None


def dataset_part(found: DatasetFile) -> Dataset | None:
    made = found.encoded
    if made is None:
        return None
    own = found.usable is None  # the filter's own count: what it leaves out is the teacher's part
    reasons = (found.not_read, found.left_out if own else {}, made.left_out)
    return Dataset(
        rows=found.rows,
        train=made.train,
        valid=made.valid,
        left_out=dict(sum((Counter(part) for part in reasons), Counter[str]()).most_common()),
        turn_by_turn=made.turn_by_turn,
        with_control_tokens=made.with_control_tokens,
        unused_keys=found.unused_keys,
        heldout_overlap=found.heldout_overlap,
    )
