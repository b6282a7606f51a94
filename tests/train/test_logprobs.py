"""The store of log-probabilities: what is scored once is there for every run, whole or not at all."""

from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from tiny import tiny
from training_data import CONFIG, Data, examples_of

from mlx_distill.models.students import Student
from mlx_distill.train.logprobs import scoring
from mlx_distill.train.logprobs.scoring import scored
from mlx_distill.train.logprobs.store import HEADER, LogprobStore, TopLogprobs, name_of
from mlx_distill.train.trainee import Trainee, attach

K = 20


@pytest.fixture(scope="module")
def data(smollm: Student) -> Data:
    return examples_of(smollm)


@pytest.fixture
def trainee(smollm: Student) -> Trainee:
    made = attach(tiny(smollm), CONFIG)
    made.adapter.dial(0)
    return made


def all_of(trainee: Trainee, folder: Path, data: Data, scorer: str = "tiny", k: int = K) -> dict[str, TopLogprobs]:
    return scored(trainee.split, trainee.prefix, LogprobStore(folder, scorer, k), data[0])


def test_they_are_the_likeliest_of_the_models_own_and_the_token_that_stands_there(
    trainee: Trainee, data: Data, tmp_path: Path
) -> None:
    tops = all_of(trainee, tmp_path, data)
    for example in data[0]:
        top = tops[name_of(example)]
        whole: Any = trainee.split.model(mx.array([example.tokens[:-1]]))[0].astype(mx.float32)
        logprobs = np.array(whole - mx.logsumexp(whole, axis=-1, keepdims=True))
        positions = [place for start, stop in example.scored for place in range(start, stop)]
        for row, place in enumerate(positions):
            mine = logprobs[place - 1]
            best = np.sort(mine)[::-1][:K]
            np.testing.assert_allclose(top.logprobs[row, :K], best, atol=0.01)
            assert top.ids[row, K] == example.tokens[place]
            np.testing.assert_allclose(top.logprobs[row], mine[top.ids[row]], atol=0.01)


def test_a_position_takes_six_bytes_a_token_and_six(trainee: Trainee, data: Data, tmp_path: Path) -> None:
    all_of(trainee, tmp_path, data)
    sizes = sorted(path.stat().st_size for path in tmp_path.rglob("*.bin"))
    assert sizes == sorted(HEADER.size + 126 * example.scored_count for example in data[0])


def test_a_second_run_computes_nothing(
    trainee: Trainee, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = all_of(trainee, tmp_path, data)
    computed: list[str] = []
    compute = scoring._score
    monkeypatch.setattr(scoring, "_score", lambda *given: computed.extend(map(name_of, given[2])) or compute(*given))
    again = all_of(trainee, tmp_path, data)
    assert computed == []
    assert all(top.to_bytes() == first[name].to_bytes() for name, top in again.items())
    for other in ({"scorer": "another"}, {"k": 5}):
        computed.clear()
        all_of(trainee, tmp_path, data, **other)  # type: ignore[arg-type]
        assert len(computed) == len(data[0])


@pytest.mark.parametrize("damage", ["torn", "altered", "empty", "another k"])
def test_what_is_damaged_is_computed_again(trainee: Trainee, data: Data, tmp_path: Path, damage: str) -> None:
    first = all_of(trainee, tmp_path, data)
    path = next(tmp_path.rglob("*.bin"))
    content = path.read_bytes()
    columns = TopLogprobs(np.zeros((3, 2), np.int32), np.zeros((3, 2), np.float16)).to_bytes()
    changed = {"torn": content[:-1], "altered": content[:-1] + b"\x7f", "empty": b"", "another k": columns}
    path.write_bytes(changed[damage])
    again = all_of(trainee, tmp_path, data)
    assert path.read_bytes() == content
    assert all(top.to_bytes() == first[name].to_bytes() for name, top in again.items())


def test_a_kill_loses_the_example_under_way_and_no_other(
    trainee: Trainee, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(done: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    store = LogprobStore(tmp_path, "tiny", K)
    with pytest.raises(KeyboardInterrupt):
        scored(trainee.split, trainee.prefix, store, data[0], killed)
    assert sum(store.get(example) is not None for example in data[0]) == 3
    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert names == {f"{name_of(example)}.bin" for example in data[0][:3]}


def test_what_is_kept_does_not_depend_on_the_batch_or_the_lanes(
    trainee: Trainee, data: Data, tmp_path: Path, smollm: Student
) -> None:
    together = all_of(trainee, tmp_path / "a", data)
    other = attach(tiny(smollm), CONFIG)
    other.adapter.dial(0)
    del other.split.lanes[1:]
    for example in reversed(data[0]):
        alone = scored(other.split, other.prefix, LogprobStore(tmp_path / "b", "tiny", K), [example])
        assert alone[name_of(example)].to_bytes() == together[name_of(example)].to_bytes()
