"""The allocator's limits: set while training lasts, and put back whatever happens."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import pytest

from mlx_distill.train.memory import allocator


@pytest.fixture
def metal(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """MLX as it is on Metal, as far as limits go: what they are now."""
    limits = {"cache": 11, "wired": 22}

    def setter(name: str) -> Any:
        def change(value: int) -> int:
            before, limits[name] = limits[name], value
            return before

        return change

    monkeypatch.setattr(mx, "metal", SimpleNamespace(is_available=lambda: True))
    monkeypatch.setattr(mx, "device_info", lambda: {"max_recommended_working_set_size": 777})
    monkeypatch.setattr(mx, "set_cache_limit", setter("cache"))
    monkeypatch.setattr(mx, "set_wired_limit", setter("wired"))
    return limits


def test_limits_are_set_and_put_back(metal: dict[str, int]) -> None:
    with allocator(500):
        assert metal == {"cache": 500, "wired": 777}
    assert metal == {"cache": 11, "wired": 22}


def test_limits_are_put_back_after_a_failure(metal: dict[str, int]) -> None:
    with pytest.raises(KeyError), allocator(500):
        raise KeyError
    assert metal == {"cache": 11, "wired": 22}


def test_without_a_prediction_the_cache_is_left_alone(metal: dict[str, int]) -> None:
    with allocator(None):
        assert metal == {"cache": 11, "wired": 777}


def test_where_nothing_is_recommended_nothing_is_wired(metal: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mx, "device_info", dict)
    with allocator(500):
        assert metal == {"cache": 500, "wired": 22}


def test_the_real_cache_holds_a_step_and_no_more() -> None:
    default = mx.set_cache_limit(0)
    mx.set_cache_limit(default)
    with allocator(3 << 20):
        for _ in range(4):
            arrays = [mx.ones((1 << 20,)) for _ in range(4)]
            mx.eval(arrays)
            del arrays
        assert 0 < mx.get_cache_memory() <= 3 << 20
    assert mx.get_cache_memory() == 0
    assert mx.set_cache_limit(default) == default
