"""Where converted students are kept. Apart from the conversion, so that `doctor` need not load MLX."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """MLX_DISTILL_CACHE, or the platform's cache folder."""
    if chosen := os.environ.get("MLX_DISTILL_CACHE"):
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "mlx-distill"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlx-distill"
