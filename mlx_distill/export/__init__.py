"""Exporting: a run's adapter in, the same adapter in another tool's format out. No model is loaded."""

from mlx_distill.export.peft import is_ours, why_not_loadable, write_peft

__all__ = ["is_ours", "why_not_loadable", "write_peft"]
