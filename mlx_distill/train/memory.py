"""What MLX's allocator may keep while training lasts: the buffers of a step, to be used again by the next.

In: bytes that come and go with every step. Out: MLX's own limits, put back afterwards. Without a limit the allocator
keeps whatever it ever had, up to half as much again as Metal recommends; clearing it at every step, as mlx_lm does,
allocates everything anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import mlx.core as mx


@contextlib.contextmanager
def allocator(step: int | None) -> Iterator[None]:
    """`step`: bytes, or None where nobody has predicted them; then the cache is left as it is.

    On Metal the recommended working set is wired meanwhile: the system moves none of it out of memory.
    """
    mx.reset_peak_memory()
    cached = None if step is None else mx.set_cache_limit(step)
    recommended = _recommended()
    wired = None if recommended is None else mx.set_wired_limit(recommended)
    try:
        yield
    finally:
        if wired is not None:
            mx.synchronize()
            mx.set_wired_limit(wired)
        if cached is not None:
            mx.set_cache_limit(cached)
        mx.clear_cache()


def _recommended() -> int | None:
    """Bytes that Metal recommends as working set; None on other backends."""
    if not mx.metal.is_available():
        return None
    recommended = mx.device_info().get("max_recommended_working_set_size")
    return int(recommended) if recommended else None
