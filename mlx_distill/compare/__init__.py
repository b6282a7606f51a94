"""Comparing: the test prompts answered by base and distilled, checked by execution, and judged."""

from mlx_distill.compare.checks import run_checks
from mlx_distill.compare.generate import generate
from mlx_distill.compare.judge import judge
from mlx_distill.compare.static import DIMENSIONS, MEASURED
from mlx_distill.compare.static import NAME as STATIC_JUDGE
from mlx_distill.compare.static import judge as static_judge

__all__ = ["DIMENSIONS", "MEASURED", "STATIC_JUDGE", "generate", "judge", "run_checks", "static_judge"]
