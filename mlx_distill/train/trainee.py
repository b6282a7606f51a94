"""What is trained, with everything that training it needs: the student, its adapter, the cut, the frozen prefix.

In: a loaded student and a configuration. Out: one value that the loop, the step and the evaluation share.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mlx_distill.models.students import Student
from mlx_distill.models.students import adapter as adapters
from mlx_distill.models.students.adapter import Adapter
from mlx_distill.run.config import TrainingConfig
from mlx_distill.train.fit import Layout
from mlx_distill.train.group import Group
from mlx_distill.train.prefix import CACHE_BYTES, FrozenPrefix
from mlx_distill.train.split import SplitModel
from mlx_distill.train.store import Store


@dataclass(frozen=True)
class Trainee:
    config: TrainingConfig
    adapter: Adapter
    split: SplitModel
    prefix: FrozenPrefix
    group: Group = field(default_factory=Group)


def attach(
    student: Student,
    config: TrainingConfig,
    layout: Layout | None = None,
    store: Store | None = None,
    group: Group | None = None,
) -> Trainee:
    """The student with a new adapter, initialised from the run's seed. Raises UsageError where it cannot have one."""
    adapter = adapters.attach(student.model, config)
    split = SplitModel(student.model, adapter.settings.layers, layout or Layout())
    return Trainee(config, adapter, split, FrozenPrefix(split, store or Store(CACHE_BYTES)), group or Group())
