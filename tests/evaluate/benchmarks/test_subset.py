from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mlx_distill.evaluate.benchmarks.benchmark import Item
from mlx_distill.evaluate.benchmarks.subset import subset, words

KINDS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["", "easy", "hard"])), min_size=1, max_size=60)


def items_of(kinds: list[tuple[str, str]]) -> list[Item]:
    return [Item("b", f"{i}", f"question {i}", *kind) for i, kind in enumerate(kinds)]


@given(KINDS, st.integers(1, 60), st.integers(0, 60))
def test_a_smaller_subset_lies_within_every_larger_one_and_keeps_the_order(
    kinds: list[tuple[str, str]], limit: int, more: int
) -> None:
    items = items_of(kinds)
    small, large = subset(items, limit), subset(items, limit + more)
    assert len(small) == min(limit, len(items))
    assert set(map(id, small)) <= set(map(id, large))
    assert [item.id for item in small] == [item.id for item in items if item in small]


@given(KINDS, st.integers(1, 60))
def test_every_stratum_has_its_share_to_within_one_item(kinds: list[tuple[str, str]], limit: int) -> None:
    items = items_of(kinds)
    found = Counter((item.category, item.difficulty) for item in subset(items, limit))
    share = min(limit, len(items)) / len(items)
    for kind, count in Counter(kinds).items():
        assert abs(found[kind] - share * count) <= 1


def test_the_same_items_in_every_run_and_others_by_another_seed() -> None:
    items = items_of([("a", "")] * 50)
    assert subset(items, 10) == subset(items, 10)
    assert subset(items, 10) != subset(items, 10, seed=1)
    assert subset(items, None) == items


def test_a_part_is_named_as_one() -> None:
    items = items_of([("a", "")] * 3)
    assert words(items, 3) is None
    assert words(items, 2) == "2 of 3 items, stratified, seed 0"
    assert words([Item("b", "1", "q"), Item("b", "2", "q")], 1) == "1 of 2 items, drawn evenly, seed 0"
