"""What is left out of training, and why. Rules with many cases are compared with a naive oracle."""

import gzip
import json
import math
import random
import re
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import every

from mlx_distill.collect import duplicates
from mlx_distill.collect.duplicates import Duplicates, signature
from mlx_distill.collect.filters import describe_dataset, prose
from mlx_distill.run.config import FilterConfig
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.overlap import Protected, word_hashes
from mlx_distill.run.prompts import data_folder
from mlx_distill.run.records import Completion, Prompt, why_unusable

GERMAN = (
    "Um diese Funktion zu schreiben, gehen wir in einer Schleife der Reihe nach durch alle Elemente der Liste. "
    "Danach geben wir das Ergebnis zurück und prüfen noch einmal alle Randfälle."
)
ENGLISH = (
    "To write this function we walk through all elements of the list in order, one after the other. "
    "Then we return the result and look once more at every edge case that could go wrong."
)
CHINESE = "为了编写这个函数，我们使用一个列表和一个循环，依次遍历所有元素。然后返回结果并检查边界情况。"
CODE = "\n```python\ndef total(values: list[int]) -> int:\n    return sum(value for value in values if value)\n```\n"
RECORDED = [json.loads(line) for line in (data_folder() / "recorded.jsonl").read_text().splitlines()]


def answer(text: str, prompt: str = "Do it.", name: str = "a", stop: str = "end_turn") -> Completion:
    return Completion(name, prompt, text, stop, "m")


def words(count: int, seed: int = 0) -> str:
    """As many different words."""
    return " ".join(f"w{seed}x{number}" for number in range(count))


def describe(
    completions: Sequence[Completion],
    heldout: Sequence[Prompt] = (),
    *,
    config: FilterConfig | None = None,
    window: int = 4096,
    count_tokens: Callable[[str], int] | None = None,
    system: str = "",
) -> dict[str, Any]:
    return describe_dataset(
        iter(completions),
        heldout,
        config or FilterConfig(),
        prompts={"train": len(completions)},
        categories={},
        window=window,
        count_tokens=count_tokens,
        system=system,
    )


def reasons(*completions: Completion, **settings: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = describe(completions, **settings)["left_out_lines"]
    return found


# ---------------------------------------------------------------- the account


@every(
    "stop, text, reason",
    [
        ("end_turn", "fine", None),
        ("stop_sequence", "fine", None),
        ("max_tokens", "cut", "truncated"),
        ("model_context_window_exceeded", "cut", "truncated"),
        ("refusal", "", "refused"),
        ("end_turn", " \n", "empty"),
        ("pause_turn", "half", "stopped (pause_turn)"),
    ],
)
def test_an_answer_that_is_not_whole_is_left_out_of_every_split(stop: str, text: str, reason: str | None) -> None:
    assert why_unusable(stop, text) == reason
    expected = {} if reason is None else {"1": [reason]}
    assert reasons(answer(text, stop=stop)) == expected
    assert reasons(answer(text, stop=stop), heldout=[Prompt("a", "Do it.", split="valid")]) == expected


def test_held_out_answers_are_held_to_nothing_more() -> None:
    loop = answer("again and again " * 40, name="held")
    assert reasons(loop) == {"1": ["repetition"]}
    assert reasons(loop, loop, heldout=[Prompt("held", "Do it.", split="test")]) == {}


def test_all_reasons_are_listed_and_a_completion_is_counted_once() -> None:
    loop = "again and again " * 40
    completions = [
        answer(loop, stop="max_tokens", name="one"),
        answer(words(20), name="two"),
        answer(words(20), name="three"),
        *[answer(f"{loop} {number}", name=f"loop{number}") for number in range(4)],
    ]
    found = describe(completions)
    assert found["left_out_lines"] == {"1": ["truncated", "repetition"], "3": ["duplicate"]} | {
        str(line): ["repetition"] for line in (4, 5, 6, 7)
    }
    assert found["left_out"] == {"truncated": 1, "repetition": 4, "duplicate": 1}
    assert (found["completions"], found["usable"]) == (7, 1)
    assert found["reasons"]["repetition"] == {"completions": 5, "examples": ["one", "loop0", "loop1"]}
    assert found["reasons"]["duplicate"] == {"completions": 1, "examples": ["three"]}
    assert json.loads(json.dumps(found)) == found


def test_lines_are_listed_in_order_and_repeated_ids_are_told_apart() -> None:
    completions = [answer(words(20), name="same"), answer(words(20), name="same"), answer("cut", stop="max_tokens")]
    assert list(describe(completions)["left_out_lines"].items()) == [("2", ["duplicate"]), ("3", ["truncated"])]


@given(st.lists(st.integers(0, 30), max_size=12))
@settings(deadline=None)
def test_the_median_length_is_the_middle_of_the_sorted_ones(lengths: list[int]) -> None:
    ordered = sorted(lengths)
    expected = (
        {"shortest": ordered[0], "median": ordered[len(ordered) // 2], "longest": ordered[-1]} if ordered else None
    )
    assert describe([answer("x" * length) for length in lengths])["characters"] == expected


def test_what_was_not_checked_says_so() -> None:
    checked = describe([answer("fine")])["checked"]
    assert checked["length"].startswith("not checked")
    assert checked["language"].startswith("not checked")
    assert checked["benchmarks"].startswith("not checked")
    checked = describe([answer("fine")], config=FilterConfig("en"), count_tokens=len)["checked"]
    assert (checked["length"]["window"], checked["language"]["wanted"]) == (4096, "en")


@every("row", RECORDED)
def test_every_bundled_answer_passes_alone(row: dict[str, str]) -> None:
    assert reasons(answer(row["completion"], row["prompt"])) == {}


def test_the_bundled_answers_pass_together_in_english_and_beside_the_benchmarks(shared: Path) -> None:
    files = sorted((shared / "benchmarks").glob("*/*.jsonl*"))
    completions = [answer(row["completion"], row["prompt"], str(place)) for place, row in enumerate(RECORDED)]
    assert len(files) == 10
    assert reasons(*completions, config=FilterConfig("en", benchmarks=tuple(map(str, files)))) == {}


# ---------------------------------------------------------------- length


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(64, 250))
@settings(deadline=None)
def test_too_long_is_more_than_the_window_with_the_template(system: int, asked: int, said: int, window: int) -> None:
    completion = answer(words(said) or ".", words(asked))
    found = reasons(completion, system=words(system), window=window, count_tokens=lambda text: len(text.split()))
    tokens = system + asked + max(said, 1) + 64
    assert found == ({"1": ["too long"]} if tokens > window else {})


# ---------------------------------------------------------------- language


def test_prose_in_another_language_is_flagged_and_code_is_not_read() -> None:
    texts = {
        "german": GERMAN + CODE,
        "english": ENGLISH + CODE,
        "chinese": CHINESE * 3,
        "quoted": f"Here.\n```text\n{GERMAN}\n```\nDone. `{GERMAN}`",
        "short": GERMAN[:110],
        "no language": " ".join(f"x{number}a y{number}b" for number in range(80)),
        "late": " ".join(map(str, range(400))) + f"\n{GERMAN}",
    }
    assert sum(map(str.isalpha, texts["short"])) < 100
    completions = [answer(text, name=name) for name, text in texts.items()]

    def flagged(language: str | None) -> set[str]:
        lines = reasons(*completions, config=FilterConfig(language))
        return {completions[int(line) - 1].prompt_id for line, found in lines.items() if found == ["language"]}

    assert flagged("en") == {"german", "chinese", "late"}
    assert flagged("de") == {"english", "chinese"}
    assert flagged(None) == set()


@pytest.mark.parametrize("language", ["klingon", "zxx"])
def test_a_language_that_cannot_be_detected_is_refused(language: str) -> None:
    with pytest.raises(UsageError, match=rf"'{language}' cannot be detected: use one of .*en, "):
        describe([], config=FilterConfig(language))


@every(
    "text, expected",
    [
        ("a\n```\nb\n```\nc", "a\nc"),
        ("a\n~~~~\nb\n~~~\nb\n~~~~\nc", "a\nc"),
        ("a\n```\nb\n~~~\nb\n```\nc", "a\nc"),
        ("a\n```py\nb\n```py\nc\n``` \nd", "a\nd"),
        ("- a\n  ```\n  b\n  ```\n- c", "- a\n- c"),
        ("a\n```\nnever closed", "a"),
        ("use `x = 1` here", "use   here"),
        ("one ` alone\nand ` another", "one ` alone\nand ` another"),
    ],
)
def test_prose_is_what_stands_outside_of_code(text: str, expected: str) -> None:
    assert prose(text) == expected


# ---------------------------------------------------------------- repetition


@every(
    "text",
    [
        pytest.param("Sort the list.\n" + "The list is sorted and then it is returned. " * 12, id="sentence"),
        pytest.param(words(60) + " " + "def f(x):\n    return f(x)\n\n" * 30, id="code"),
        pytest.param("one two three four five six seven eight nine ten eleven " * 5, id="55 words"),
        pytest.param("x = 1\n" * 10, id="line"),
        pytest.param("}\n\n" * 10, id="line without words, blank lines between"),
        pytest.param("Done." + "\n" * 300, id="character"),
        pytest.param("Ah" + "的" * 300, id="character of a script without spaces"),
    ],
)
def test_loops_are_flagged(text: str) -> None:
    assert reasons(answer(text)) == {"1": ["repetition"]}


@every(
    "text",
    [
        pytest.param("ten words that come twice in a text of fewer. " * 4, id="36 words"),
        pytest.param(words(51) + " " + words(50), id="half"),
        pytest.param("x = 1\n" * 9, id="9 lines"),
        pytest.param("".join("  " * depth + "}\n" for depth in range(20, 0, -1)), id="closing braces"),
        pytest.param("-" * 299, id="299 characters"),
    ],
)
def test_what_repeats_a_little_is_kept(text: str) -> None:
    assert reasons(answer(text)) == {}


# ---------------------------------------------------------------- duplicates


def test_the_first_of_equal_completions_is_kept() -> None:
    text = words(20)
    spaced = text.replace(" ", "\n  ")
    assert reasons(answer(text), answer(spaced), answer(text, " Do\tit. ")) == {"2": ["duplicate"], "3": ["duplicate"]}
    assert reasons(answer("yes"), answer("yes", "Is it?")) == {}
    assert reasons(answer("ab", "c"), answer("a", "bc"), answer("a b", "c")) == {}


def test_an_answer_that_is_left_out_already_takes_no_other_with_it() -> None:
    assert reasons(answer(words(60), stop="max_tokens"), answer(words(60) + " end")) == {"1": ["truncated"]}


def test_answers_without_words_are_duplicates_only_when_equal() -> None:
    assert reasons(answer("+", "?"), answer("-", "?"), answer("+", "?")) == {"3": ["duplicate"]}


def test_a_few_changed_words_are_a_near_duplicate_as_far_as_the_setting_says() -> None:
    first, second = words(100), words(98) + " changed here"
    assert reasons(answer(first), answer(second)) == {"2": ["near duplicate"]}
    assert reasons(answer(first), answer(second), config=FilterConfig(near_duplicate=1.0)) == {}
    assert reasons(answer(first), answer(words(50) + " " + words(50, seed=1))) == {}


def test_near_duplicates_agree_with_the_exact_jaccard_of_every_pair() -> None:
    """Pairs within three standard errors of 64 permutations from 0.8 may go either way."""
    chance = random.Random(1)
    texts: list[list[str]] = []
    for number in range(120):
        own = list(chance.choice(texts)) if number % 3 else [f"v{chance.random()}" for _ in range(100)]
        for _ in range(chance.choice((0, 1, 8, 40)) if number % 3 else 0):
            own[chance.randrange(len(own))] = f"v{chance.random()}"
        texts.append(own)
    found = reasons(*(answer(" ".join(own), "") for own in texts))
    shingles = [{tuple(re.findall(r"\w+", " ".join(own))[at : at + 5]) for at in range(196)} for own in texts]
    closest = [
        max([len(own & early) / len(own | early) for early in shingles[:place]], default=0.0)
        for place, own in enumerate(shingles)
    ]
    for line, similarity in enumerate(closest, 1):
        assert similarity <= 0.95 or str(line) in found
        assert similarity >= 0.62 or str(line) not in found
    assert sum(similarity > 0.95 for similarity in closest) > 20 < sum(similarity < 0.62 for similarity in closest)


variants = st.lists(
    st.tuples(st.integers(0, 3), st.lists(st.tuples(st.integers(0, 29), st.integers(0, 2)), max_size=6)), max_size=25
)


@given(variants, st.sampled_from([0.3, 0.55, 0.7, 0.8, 0.95, 1.0]), st.integers(1, 6), st.integers(1, 6))
@settings(deadline=None)
def test_bands_find_what_comparing_every_pair_of_signatures_finds(
    drawn: list[tuple[int, list[tuple[int, int]]]], threshold: float, chunk: int, block: int
) -> None:
    texts = []
    for base, changes in drawn:
        own = words(30, base).split()
        for place, value in changes:
            own[place] = f"changed{value}"
        texts.append(" ".join(own))
    hashes = [word_hashes(text) for text in texts]
    signatures = [signature(duplicates.mixed(duplicates.grams(own, 5))) for own in hashes]
    agree = [[int(np.count_nonzero(a == b)) for b in signatures] for a in signatures]
    expected = []
    for place, text in enumerate(texts):
        if text in texts[:place]:
            expected.append((place + 1, str(place), "duplicate"))
        elif any(agree[place][early] >= math.ceil(threshold * 64) for early in range(place)):
            expected.append((place + 1, str(place), "near duplicate"))
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryFile() as file:
        patch.setattr(duplicates, "_CHUNK", chunk)
        patch.setattr(duplicates, "_BLOCK", block)
        found = Duplicates(threshold, file)
        for place, text in enumerate(texts):
            found.add(place + 1, answer(text, "", str(place)), word_hashes(""), hashes[place])
        assert list(found.found()) == expected


def test_the_minima_estimate_the_jaccard_similarity() -> None:
    chance = np.random.default_rng(0)
    errors = []
    for shared in range(0, 200, 2):
        common, rest = chance.integers(0, 2**63, shared), chance.integers(0, 2**63, (2, 200 - shared))
        first, second = (signature(np.concatenate([common, own]).astype(np.uint64)) for own in rest)
        errors.append(float(np.mean(first == second)) - shared / (400 - shared))
    assert abs(np.mean(errors)) < 0.02
    assert 0.03 < np.std(errors) < 0.07


def test_a_template_shared_by_all_is_compared_only_with_what_is_near_in_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A group of candidates may be the whole file: what lies further apart than REACH is not compared."""
    monkeypatch.setattr(duplicates, "_BLOCK", 1)
    template = words(80)
    several = [answer(f"{template} {words(30, seed=number)}", "") for number in range(1, 81)]
    read = Duplicates._read
    compared = []
    for reach in (2, 80):
        counts: list[int] = []
        monkeypatch.setattr(
            Duplicates, "_read", lambda self, rows, seen=counts: seen.append(len(rows)) or read(self, rows)
        )
        monkeypatch.setattr(duplicates, "REACH", reach)
        assert reasons(*several) == {}
        compared.append(sum(counts))
    assert 0 < compared[0] < compared[1] / 2


# ---------------------------------------------------------------- overlap

letters = st.sampled_from("abcdefgh")


def test_the_form_that_many_questions_share_is_no_overlap() -> None:
    form = "you are given a list of numbers and must return the answer as one integer about"
    for count, expected in ((3, {"set"}), (4, set())):
        protected = Protected({"set": [f"{form} topic{i} alpha{i} beta{i}" for i in range(count)]})
        assert protected.overlapped(word_hashes(f"{form} something else")) == expected
        own = word_hashes(f"{form} topic1 alpha1 beta1")
        assert protected.overlapped(own) == {"set"}


@given(st.data())
def test_overlap_agrees_with_comparing_all_ngrams(data: st.DataObject) -> None:
    sets: dict[str, list[list[str]]] = {
        name: data.draw(st.lists(st.lists(letters, max_size=18), max_size=3)) for name in ("first", "second")
    }
    known = [own for texts in sets.values() for own in texts] or [[]]
    inside = data.draw(st.sampled_from(known))
    cut = data.draw(st.integers(0, 6))
    text = [*data.draw(st.lists(letters, max_size=4)), *inside[cut:], *data.draw(st.lists(letters, max_size=4))]

    def ngrams(own: list[str], width: int) -> set[tuple[str, ...]]:
        return {tuple(own[place : place + width]) for place in range(len(own) - width + 1)}

    expected = {
        name
        for name, texts in sets.items()
        for own in texts
        if len(own) >= 8 and ngrams(own, min(13, len(own))) & ngrams(text, min(13, len(own)))
    }
    protected = Protected({name: [" ".join(own) for own in texts] for name, texts in sets.items()})
    assert protected.overlapped(word_hashes(" ".join(text).upper())) == expected
    assert protected.sizes["first"] == {
        "texts": len(sets["first"]),
        "ignored": sum(len(own) < 8 for own in sets["first"]),
    }


def test_a_held_out_prompt_is_found_in_prompts_and_in_completions() -> None:
    heldout = [Prompt("held", words(13), split="test")]
    assert reasons(answer("Fine.", f"Please, {words(13).upper()}!"), heldout=heldout) == {"1": ["held-out overlap"]}
    assert reasons(answer(f"Fine: {words(14)}"), heldout=heldout) == {"1": ["held-out overlap"]}
    assert reasons(answer("Fine.", words(12)), answer(words(7), words(6)), heldout=heldout) == {}


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(rows), path)


@pytest.mark.parametrize(
    ("name", "write"), [("it.jsonl", write_jsonl), ("it.jsonl.gz", write_jsonl), ("it.parquet", write_parquet)]
)
@pytest.mark.parametrize("key", ["prompt", "question", "problem", "text"])
def test_a_benchmark_file_is_protected_by_name(
    tmp_path: Path, name: str, write: Callable[[Path, list[dict[str, Any]]], None], key: str
) -> None:
    write(tmp_path / name, [{"id": 1, key: words(20), "zzz": words(20, seed=1)}, {"id": 2, key: "Short."}])
    config = FilterConfig(benchmarks=(str(tmp_path / name),))
    found = describe([answer("fine", words(15)), answer("fine", words(20, seed=1))], config=config)
    assert found["left_out_lines"] == {"1": ["benchmark overlap: it"]}
    assert found["checked"]["overlap"]["benchmark overlap: it"] == {"texts": 2, "ignored": 1}


def test_benchmarks_of_one_name_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    files = [tmp_path / folder / "test.jsonl" for folder in ("one", "two")]
    for seed, file in enumerate(files):
        file.parent.mkdir()
        write_jsonl(file, [{"question": words(20, seed)}])
    config = FilterConfig(benchmarks=tuple(map(str, files)))
    assert reasons(answer(words(20, 1)), config=config) == {"1": [f"benchmark overlap: {files[1]}"]}


def test_a_benchmark_without_questions_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "it.jsonl"
    write_jsonl(path, [{"prompt": words(20)}, {"turns": ["a"], "category": "b"}])
    with pytest.raises(DataError, match=r"it\.jsonl has an item without .*; its keys are turns, category"):
        describe([], config=FilterConfig(benchmarks=(str(path),)))
    path.write_text("")
    with pytest.raises(DataError, match="is empty"):
        describe([], config=FilterConfig(benchmarks=(str(path),)))
    with pytest.raises(DataError, match="does not exist"):
        describe([], config=FilterConfig(benchmarks=("nowhere.jsonl",)))


def test_the_published_benchmarks_are_found_in_themselves(shared: Path) -> None:
    for name, key in (("gsm8k/test.jsonl", "question"), ("ifeval/input_data.jsonl", "prompt")):
        path = shared / "benchmarks" / name
        texts = [json.loads(line)[key] for line in path.read_text().splitlines()][:50]
        config = FilterConfig(benchmarks=(str(path),), near_duplicate=1.0)
        found = describe([answer("fine", text) for text in texts], config=config)
        assert found["left_out"] == {f"benchmark overlap: {path.stem}": 50}


# ---------------------------------------------------------------- cost


def peak(count: int) -> int:
    def stream() -> Iterator[Completion]:
        for number in range(count):
            yield answer(words(30, seed=number), "Do it.", f"{number:012x}")

    tracemalloc.start()
    describe_dataset(stream(), (), FilterConfig(), prompts={}, categories={}, window=1, count_tokens=None, system="")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def test_memory_grows_by_twenty_bytes_a_completion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_CHUNK", 64)
    peak(50)
    small, large = peak(300), peak(2300)
    assert (large - small) / 2000 <= 20


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    heavy = "numpy", "py3langid", "pyarrow", "datasets"
    code = f"import sys, mlx_distill.collect.filters; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
