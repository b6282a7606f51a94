"""What became of the rows that were read for training, as results.json has it.

In: dataset.json. Out: how many rows became examples, and why the others did not; None where nothing was encoded.
"""

from __future__ import annotations

from collections import Counter

from mlx_distill.run.files import DatasetFile
from mlx_distill.run.folder import DATASET, RunDir
from mlx_distill.run.results.training import Dataset


def read_dataset(run: RunDir) -> Dataset | None:
    dataset = run.find(DATASET, DatasetFile)
    return dataset_part(dataset) if dataset else None


def dataset_part(dataset: DatasetFile) -> Dataset | None:
    encoded = dataset.encoded
    if encoded is None:
        return None
    own = dataset.usable is None  # the filter's own count: what it leaves out is the teacher's part
    reasons = (dataset.not_read, dataset.left_out if own else {}, encoded.left_out)
    return Dataset(
        rows=dataset.rows,
        train=encoded.train,
        valid=encoded.valid,
        left_out=dict(sum((Counter(part) for part in reasons), Counter[str]()).most_common()),
        turn_by_turn=encoded.turn_by_turn,
        with_control_tokens=encoded.with_control_tokens,
        unused_keys=dataset.unused_keys,
        heldout_overlap=dataset.heldout_overlap,
    )
