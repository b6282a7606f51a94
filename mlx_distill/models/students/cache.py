"""Where converted students are kept. Apart from the conversion, so that finding one does not load MLX."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mlx_distill.run.folder import file_hash

VERSION = 1
"""Part of a converted folder's name: raise it when the conversion changes."""


def converted_folder(file: Path) -> Path:
    """Where the conversion of a GGUF file is kept, whether it is there yet or not."""
    return cache_folder() / f"{file.stem}-{file_hash(file)[:12]}-v{VERSION}"


def cache_folder() -> Path:
    """MLX_DISTILL_CACHE, or the platform's cache folder."""
    if chosen := os.environ.get("MLX_DISTILL_CACHE"):
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "mlx-distill"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlx-distill"
