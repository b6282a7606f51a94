"""Arrays kept in memory and in a memory-mapped file: the same bits, also after a kill."""

from pathlib import Path

import mlx.core as mx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlx_distill.train.store import Store

DTYPES = (mx.float32, mx.bfloat16, mx.float16)


def arrays(count: int, dtype: mx.Dtype = mx.float32) -> dict[str, mx.array]:
    mx.random.seed(0)
    return {f"a{i}": mx.random.normal((3 + i, 8)).astype(dtype) for i in range(count)}


def filled(folder: Path, memory: int, given_arrays: dict[str, mx.array], key: str = "k") -> Store:
    store = Store(memory, folder, key)
    for name, array in given_arrays.items():
        store.put(name, array)
    return store


def same(store: Store, expected: dict[str, mx.array]) -> bool:
    found = {name: store.get(name) for name in expected}
    return all(array is not None and mx.array_equal(array, expected[name]) for name, array in found.items())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("memory", [0, 300, 1 << 20])
def test_what_is_kept_comes_back_bit_for_bit(tmp_path: Path, memory: int, dtype: mx.Dtype) -> None:
    expected = arrays(5, dtype)
    store = filled(tmp_path / "s", memory, expected)
    assert same(store, expected)
    assert all(array.dtype == store.get(name).dtype for name, array in expected.items())  # type: ignore[union-attr]
    assert (tmp_path / "s" / "arrays.bin").exists() == (memory < 1 << 20)


def test_another_process_finds_what_was_written(tmp_path: Path) -> None:
    expected = arrays(4)
    filled(tmp_path / "s", 0, expected)
    again = Store(0, tmp_path / "s", "k")
    assert same(again, expected)
    again.put("new", mx.ones((2, 2)))
    assert same(Store(0, tmp_path / "s", "k"), expected | {"new": mx.ones((2, 2))})


def test_another_key_finds_nothing(tmp_path: Path) -> None:
    filled(tmp_path / "s", 0, arrays(2))
    assert Store(0, tmp_path / "s", "another model").get("a0") is None
    assert Store(0, tmp_path / "s", "k").get("a0") is None  # and what was there is gone


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 400), st.integers(0, 600))
def test_a_torn_file_gives_what_is_whole_or_nothing(tmp_path: Path, index_cut: int, data_cut: int) -> None:
    """A kill may leave any prefix of both files; what comes back is right or absent, and can be put again."""
    folder, expected = tmp_path / f"{index_cut}-{data_cut}", arrays(3)
    if not folder.exists():
        filled(folder, 0, expected)
    for name, cut in (("index.jsonl", index_cut), ("arrays.bin", data_cut)):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: max(0, len(content) - cut)])
    store = Store(0, folder, "k")
    for name, array in expected.items():
        found = store.get(name)
        assert found is None or mx.array_equal(found, array)
        if found is None:
            store.put(name, array)
    assert same(store, expected)
    assert same(Store(0, folder, "k"), expected)


def test_a_line_of_zeros_costs_only_its_own_array(tmp_path: Path) -> None:
    """What a power failure may leave."""
    filled(tmp_path / "s", 0, arrays(2))
    index = tmp_path / "s" / "index.jsonl"
    lines = index.read_bytes().splitlines(keepends=True)
    index.write_bytes(b"".join([lines[0], b"\0" * 20 + b"\n", lines[2]]))
    store = Store(0, tmp_path / "s", "k")
    assert store.get("a0") is None
    assert same(store, {"a1": arrays(2)["a1"]})


def test_bytes_that_were_altered_are_not_given_out(tmp_path: Path) -> None:
    store = filled(tmp_path / "s", 0, arrays(1))
    file = tmp_path / "s" / "arrays.bin"
    content = bytearray(file.read_bytes())
    content[5] ^= 1
    file.write_bytes(content)
    assert store.get("a0") is None


def test_a_full_disk_keeps_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 500})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    store = filled(tmp_path / "s", 0, arrays(5))
    assert store.get("a0") is not None
    assert store.get("a4") is None
    assert (tmp_path / "s" / "arrays.bin").stat().st_size <= 250


def test_removing_leaves_nothing(tmp_path: Path) -> None:
    store = filled(tmp_path / "s", 0, arrays(2))
    store.remove()
    assert not (tmp_path / "s").exists()
    assert store.get("a0") is None


# ---------------------------------------------------------------- shared with other trainings


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_second_training_reads_what_the_first_one_put(tmp_path: Path, dtype: mx.Dtype) -> None:
    expected = arrays(5, dtype)
    first = Store(1 << 20, tmp_path / "s", "k", shared=True)
    for name, array in expected.items():
        first.put(name, array)
    first.remove()
    assert first.get("a0") is not None  # it is in memory, as long as this training lasts
    second = Store(1 << 20, tmp_path / "s", "k", shared=True)
    assert same(second, expected)
    before = (tmp_path / "s" / "arrays.bin").stat().st_mtime_ns
    assert same(second, expected)
    assert (tmp_path / "s" / "arrays.bin").stat().st_mtime_ns == before
    second.put("new", mx.ones((2, 2)))
    second.remove()
    assert same(Store(0, tmp_path / "s", "k", shared=True), expected | {"new": mx.ones((2, 2))})


def test_two_trainings_at_once_cost_only_time(tmp_path: Path) -> None:
    """Where an orphan still works, both write to one place: what was overwritten is absent, never wrong."""
    expected = arrays(6)
    one, other = (Store(0, tmp_path / "s", "k", shared=True) for _ in range(2))
    for place, (name, array) in enumerate(expected.items()):
        (one if place % 2 else other).put(name, array)
    again = Store(0, tmp_path / "s", "k", shared=True)
    for name, array in expected.items():
        found = again.get(name)
        assert found is None or mx.array_equal(found, array)
        if found is None:
            again.put(name, array)
    assert same(Store(0, tmp_path / "s", "k", shared=True), expected)
