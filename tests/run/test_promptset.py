from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import every

from mlx_distill.run.config import PromptConfig, resolve
from mlx_distill.run.digest import content_id
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.prompts import OVERLAP, load_prompts, load_set, overlap, overlaps, shingles
from mlx_distill.run.records import Prompt


def test_campaign_is_32_base_prompts_and_72_expanded_over_eight_categories() -> None:
    campaign, base = list(load_set("coding", "train")), list(load_set("coding:base", "train"))
    assert (len(campaign), len(base)) == (104, 32)
    assert len({prompt.category for prompt in base}) >= 8
    assert all(any(p.text.startswith(b.text + "\n\n") for b in base) for p in campaign[32:])


def test_ids_are_hashes_of_the_text_and_unique() -> None:
    prompts = load_prompts(PromptConfig())
    assert all(prompt.id == content_id(prompt.text) for prompt in prompts)
    assert len({prompt.id for prompt in prompts}) == len(prompts)


def test_showcase_prompts_come_in_the_order_of_the_original_demo() -> None:
    texts = [prompt.text for prompt in load_set("showcase", "test")]
    for text, words in zip(texts, ("balanced", "ConnectionPool", "window function", "ttl_cache"), strict=True):
        assert words in text


def test_heldout_set_has_24_prompts_of_which_12_python_ones_are_executable() -> None:
    heldout = list(load_set("heldout", "test"))
    assert len(heldout) >= 24
    assert sum(bool(prompt.checks) and prompt.language == "python" for prompt in heldout) >= 12


@every("preset, count", [("standard", 36), ("demo", 48)])
def test_no_bundled_heldout_prompt_overlaps_a_training_prompt(preset: str, count: int) -> None:
    prompts = load_prompts(resolve(preset).prompts)
    heldout = [p for p in prompts if p.split != "train"]
    assert len(heldout) == count
    assert overlaps(heldout, [p for p in prompts if p.split == "train"]) == []


def test_a_users_heldout_prompt_that_repeats_a_training_prompt_is_refused(tmp_path: Path) -> None:
    train, test = tmp_path / "train.txt", tmp_path / "test.txt"
    train.write_text("Please write a function that reverses the words of a sentence in Python\n")
    test.write_text("Write a function that reverses the words of a sentence in Python, quickly\n")
    with pytest.raises(DataError, match="overlaps the training prompt"):
        load_prompts(PromptConfig(train=(str(train),), valid=(), test=(str(test),)))


words = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=14).map(" ".join)


@given(st.lists(words, max_size=6, unique=True), st.lists(words, max_size=6, unique=True))
def test_overlaps_agrees_with_comparing_every_pair(heldout: list[str], training: list[str]) -> None:
    def prompts(texts: list[str]) -> list[Prompt]:
        return [Prompt(content_id(text), text) for text in texts]

    def naive(a: str, b: str) -> float:
        n = min(5, len(a.split()), len(b.split()))

        def grams(text: str) -> set[str]:
            words = text.split()
            return {" ".join(words[i : i + n]) for i in range(len(words) - n + 1)}

        if n < 3:
            return float(a.split() == b.split())
        return len(grams(a) & grams(b)) / min(len(grams(a)), len(grams(b)))

    expected = {(a, b) for a in heldout for b in training if naive(a, b) >= OVERLAP}
    found = {(a.text, b.text) for a, b, _ in overlaps(prompts(heldout), prompts(training))}
    assert found == expected


def test_a_short_prompt_inside_a_longer_one_overlaps() -> None:
    assert len(shingles("two words")) == 1
    assert overlap("Implement a trie", "Implement a trie in Python with tests") == 1.0
    assert overlap("???", "Implement a trie") == 0.0
    assert overlap("Why?", "Why is the sky blue?") == 0.0
    assert overlap("Sort a list", "Write a Python function that reverses a list") == 0.0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("set.toml", '[[prompt]]\ntext = "one"\n[[prompt]]\ntext = "two"\n'),
        ("set.jsonl", '{"prompt": "one"}\n{"text": "two"}\n'),
        ("set.txt", "one\n\ntwo\n"),
    ],
)
def test_a_users_prompts_come_from_toml_jsonl_or_text(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert [prompt.text for prompt in load_set(str(tmp_path / name), "train")] == ["one", "two"]


def test_prompts_come_from_a_dataset_by_name_and_column(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text('{"question": "one"}\n{"question": "two"}\n')
    assert [p.text for p in load_set(f"hf:{tmp_path}:question", "train")] == ["one", "two"]
    with pytest.raises(DataError, match="no column 'prompt'"):
        list(load_set(f"hf:{tmp_path}", "train"))


@every(
    "content, complaint",
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"[[prompt", "not valid TOML"),
        (b"", "is empty"),
        (b'[[prompt]]\ntext = " "\n', "empty prompt"),
        (b'[[prompt]]\ntext = "a"\nexpand = ["faster"]\n', "'faster' is not declared"),
        (b'[[prompt]]\ncategory = "a"\n', "no 'prompt' or 'text'"),
        (b'prompt = "a"\n', "no \\[\\[prompt\\]\\] tables"),
        (b'[[prompt]]\ntext = "a"\nchecks = [{ code = 1 }]\n', "not {run, expected}"),
        (b'[[prompt]]\ntext = "a"\nchecks = [{ expected = "[1" }]\n', "with a literal"),
    ],
)
def test_a_broken_prompt_file_is_one_clear_error(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "set.toml"
    path.write_bytes(content)
    with pytest.raises(DataError, match=complaint):
        list(load_set(str(path), "train"))


def test_a_held_out_prompt_may_be_there_once_and_a_training_prompt_often(tmp_path: Path) -> None:
    path = tmp_path / "set.txt"
    path.write_text("parse a roman numeral please\nparse a roman numeral please\n")
    with pytest.raises(DataError, match="there twice"):
        load_prompts(PromptConfig(test=(str(path),)))
    assert len([p for p in load_prompts(PromptConfig(train=(str(path),))) if p.split == "train"]) == 2


def test_an_unknown_set_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="coding, showcase"):
        list(load_set("nothing", "train"))
