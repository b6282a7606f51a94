"""The machine that a run was made on, as results.json has it."""

from __future__ import annotations

from mlx_distill.run.results.part import Part


class Hardware(Part, frozen=True, kw_only=True):
    chip: str
    cores: int | None
    memory_bytes: int | None
    os: str
    backend: str | None
    blas: str | None
