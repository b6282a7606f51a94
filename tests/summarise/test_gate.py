import dataclasses
import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_runs import COLLAPSED, RULES, STUDY_1, STUDY_2, Made, bench_run, drawn, settings
from msgspec.structs import replace
from scipy.special import bdtr
from tables import every
from typed import as_dict

from mlx_distill.run.errors import UsageError
from mlx_distill.run.records import Estimate, Score
from mlx_distill.run.results.benchmarks import Benchmark, DomainRow, Gate
from mlx_distill.run.results.part import fields_of
from mlx_distill.stats import inference as stats
from mlx_distill.stats.proportions import equivalence
from mlx_distill.summarise import gate as gates
from mlx_distill.summarise.benchmarks import benchmarks_part

CODE = Made("HumanEval+", "code", 60, 20, 25, 2)
EVERY = tuple(gates.RULES)


def gate(folder: Path, *benchmarks: Made, train: Sequence[str] = (), **options: Any) -> dict[str, Any]:
    found: dict[str, Any] | None = as_dict(
        benchmarks_part(bench_run(folder / "run", benchmarks, train=train), settings(**options))[1]
    )
    assert found is not None
    return found


def rule(found: dict[str, Any], name: str) -> tuple[bool, str]:
    (row,) = [row for row in found["rules"] if row["rule"] == name]
    return row["holds"], row["because"]


# ---------------------------------------------------------------- verdicts


def test_better_at_its_own_and_worse_at_nothing_may_ship(tmp_path: Path) -> None:
    found = gate(tmp_path, *STUDY_1[:2])
    assert (found["verdict"], found["coverage"], found["caveats"]) == ("ship", None, [])
    assert found["because"] == (
        "None of 2 benchmarks is shown to be worse; HumanEval+ is better: 55.5 → 83.5 %; "
        "IFEval is better: 63.6 → 77.3 %."
    )
    assert rule(found, "own domain better") == (True, "HumanEval+ is better: 55.5 → 83.5 %")


def test_what_two_small_benchmarks_show_only_together_is_said_first(tmp_path: Path) -> None:
    """AIME 2024 and 2025 lose 7 and 8 items of 30: no difference shown on either, and worse when pooled."""
    found = gate(tmp_path, *STUDY_1)
    said = "over AIME 2024 and AIME 2025 pooled, mathematics is worse: 68.3 → 50.0 %"
    assert found["because"].lower().startswith(said.lower())
    assert found["caveats"][0] == f"No benchmark shows it alone, but {said}."
    assert found["verdict"] == "ship"
    strict = gate(tmp_path / "strict", *STUDY_1, rules=(*RULES, "no domain worse"))
    assert strict["verdict"] == "mixed"
    assert rule(strict, "no domain worse") == (False, said)


def test_a_domain_of_one_benchmark_is_adjusted_for_fewer_others(tmp_path: Path) -> None:
    """3 gained and 13 lost, p = 0.021: among four benchmarks no difference shown, among two domains worse."""
    open_ = [Made(title, "code", 60, 30, 9, 9) for title in ("MBPP+", "LiveCodeBench")]
    found = gate(tmp_path, Made("MATH-500", "mathematics", 60, 40, 3, 13), CODE, *open_)
    assert [row["verdict"] for row in found["forgetting"]] == ["better", "worse"]
    assert found["because"].startswith("By domain, with MATH-500 alone, mathematics is worse: 66.7 → 50.0 %; ")


def test_a_loss_is_said_before_the_gain(tmp_path: Path) -> None:
    found = gate(tmp_path, *STUDY_2)
    assert found["verdict"] == "mixed"
    assert found["because"] == "MBPP+ is worse: 75.7 → 57.1 %; MATH-500 is better: 80.6 → 88.0 %."
    assert rule(found, "no benchmark worse") == (False, "MBPP+ is worse: 75.7 → 57.1 %")
    rows = {row["domain"]: row for row in found["forgetting"]}
    assert {domain: row["verdict"] for domain, row in rows.items()} == {"own domain": "worse", "mathematics": "better"}
    assert rows["own domain"]["difference"]["mean"] == pytest.approx(-70 / 378)
    assert list(rows) == ["own domain", "mathematics"]


def test_a_model_that_lost_everything_does_not_ship(tmp_path: Path) -> None:
    found = gate(tmp_path, *COLLAPSED)
    assert found["verdict"] == "do not ship"
    assert found["because"].startswith("MATH-500 is worse: 40.0 → 0.0 %; no benchmark of the own domain was asked")


def test_a_benchmark_is_called_as_its_owner_writes_it(tmp_path: Path) -> None:
    found = gate(tmp_path, dataclasses.replace(STUDY_2[1], title="ours.jsonl"))
    assert found["because"] == "ours.jsonl is worse: 75.7 → 57.1 %."


def test_no_difference_is_no_reason_to_ship(tmp_path: Path) -> None:
    found = gate(tmp_path, Made("MBPP+", "code", 378, 200, 30, 30))
    assert found["verdict"] == "do not ship"
    assert found["because"] == "No benchmark of the own domain is better."
    assert any(
        "No difference shown does not mean that there is none. Detectable (80 % power): from 6 points" in c
        for c in found["caveats"]
    )


# ---------------------------------------------------------------- rules


def test_a_rule_that_there_is_not_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='no rule "nothing lost": choose among "no benchmark worse"'):
        gate(tmp_path, CODE, rules=("nothing lost",))
    with pytest.raises(UsageError, match="anything would ship"):
        gate(tmp_path / "b", CODE, rules=())


@pytest.mark.parametrize("name", ["no benchmark worse", "own domain not worse"])
def test_absence_needs_that_something_could_have_been_seen(tmp_path: Path, name: str) -> None:
    found = gate(tmp_path, Made("MBPP+", "code", 5, 5, 0, 5), rules=(name,))
    assert found["verdict"] == "do not ship"
    holds, because = rule(found, name)
    assert not holds
    assert because.endswith("could have shown a loss; MBPP+ has too few items to tell (n = 5)")


def test_what_could_not_be_seen_is_named_where_the_rest_could(tmp_path: Path) -> None:
    small = Made("AIME 2024", "mathematics", 5, 4, 0, 4)
    found = gate(tmp_path, CODE, small, Made("AIME 2025", "mathematics", 30, 2, 1, 2))
    assert found["verdict"] == "ship"
    assert "AIME 2024 has too few items to tell (n = 5)" in found["because"]
    assert "AIME 2025 had next to nothing to lose (the base passed 2 of 30)" in found["because"]
    assert any(caveat.startswith("AIME 2024 has too few") for caveat in found["caveats"])


def test_what_was_not_scored_is_named_too(tmp_path: Path) -> None:
    unscored = Made("MBPP+", "code", 20, 10, 0, 0, not_run={"base": 20, "distilled": 20})
    found = gate(tmp_path, CODE, unscored, rules=EVERY)
    assert "MBPP+ was not scored for both models" in rule(found, "no benchmark worse")[1]
    assert rule(found, "no loss beyond the margin") == (False, "MBPP+ was not scored for both models")
    assert not rule(found, "nothing degraded")[0]
    assert found["verdict"] == "mixed"


def test_a_loss_beyond_the_margin_is_ruled_out_only_by_enough_items(tmp_path: Path) -> None:
    """Where no item changed the interval is a point; thirty items still say little."""
    name = "no loss beyond the margin"
    still = Made("AIME 2024", "mathematics", 30, 15, 0, 0)
    few = gate(tmp_path, CODE, still, rules=(name,))
    assert rule(few, name) == (False, "AIME 2024 may have lost 3 points or more (+0.0 [+0.0, +0.0], n = 30)")
    many = gate(tmp_path / "b", CODE, Made("GSM8K", "mathematics", 1319, 700, 30, 32), rules=(name,))
    assert rule(many, name) == (True, "a loss of 3 points or more is ruled out on every benchmark")


def test_an_own_domain_that_was_not_asked_is_not_better(tmp_path: Path) -> None:
    found = gate(tmp_path, CODE, own=("general",), rules=("own domain better", "own domain not worse"))
    assert [row["holds"] for row in found["rules"]] == [False, False]
    assert found["verdict"] == "mixed"


def test_one_better_does_not_make_up_for_one_worse_in_the_own_domain(tmp_path: Path) -> None:
    found = gate(tmp_path, CODE, STUDY_2[1], rules=("own domain better", "own domain not worse"))
    assert [row["holds"] for row in found["rules"]] == [False, False]


def test_degraded_answers_are_a_rule_and_a_caveat(tmp_path: Path) -> None:
    cut = dataclasses.replace(CODE, cut_off={"distilled": 6})
    found = gate(tmp_path, cut, rules=(*RULES, "nothing degraded"))
    assert found["verdict"] == "mixed"
    sentence = "HumanEval+, distilled: 6 of 60 answers cut off at 1,024 tokens (10.0 %)"
    assert rule(found, "nothing degraded") == (False, sentence)
    assert found["caveats"][0] == f"{sentence}."


# ---------------------------------------------------------------- caveats


@every(
    "protocol, said",
    [
        ({"overlap": {"checked": 9, "items": ["a", "b"]}}, "2 items of HumanEval+ share 13 words in a row with a"),
        ({"overlap": {"checked": None, "items": []}}, "Not checked for items among the training prompts: HumanEval+."),
        ({"subset": "60 of 164 items, seed 0"}, "HumanEval+ was asked in part: 60 of 164 items, seed 0."),
        ({"strength": 0.5}, "HumanEval+: the distilled model answered with its adapter at strength 0.5 of 1."),
    ],
)
def test_what_must_be_known_of_how_it_was_asked_is_said(tmp_path: Path, protocol: dict[str, Any], said: str) -> None:
    caveats = gate(tmp_path, dataclasses.replace(CODE, protocol=protocol))["caveats"]
    assert any(caveat.startswith(said) for caveat in caveats)


def test_code_without_a_sandbox_is_said(tmp_path: Path) -> None:
    run = bench_run(tmp_path, [CODE])
    scores = run.read("bench/scores.jsonl", Score)
    run.write_records("bench/scores.jsonl", [dataclasses.replace(score, sandbox="none") for score in scores])
    found = as_dict(benchmarks_part(run, settings()))[1]
    assert found is not None
    assert any("without a sandbox" in caveat for caveat in found["caveats"])


# ---------------------------------------------------------------- forgetting and coverage


def test_a_domain_pools_the_items_of_its_benchmarks(tmp_path: Path) -> None:
    found = gate(tmp_path, *STUDY_1, STUDY_2[1], own=("HumanEval+",))
    rows = {row["domain"]: row for row in found["forgetting"]}
    assert list(rows) == ["own domain", "other code", "mathematics", "instruction following"]
    mathematics = rows["mathematics"]
    assert (mathematics["benchmarks"], mathematics["n"]) == (["AIME 2024", "AIME 2025"], 60)
    assert mathematics["base"]["mean"] == pytest.approx(41 / 60)
    assert mathematics["p"] == pytest.approx(stats.mcnemar(4, 15))
    assert [row["p_holm"] for row in rows.values()] == stats.holm([row["p"] for row in rows.values()])


def test_a_domain_with_several_samples_is_tested_by_shares(tmp_path: Path) -> None:
    (row,) = gate(tmp_path, CODE, Made("MBPP+", "code", 40, 10, 20, 2, samples=4))["forgetting"]
    assert (row["n"], row["verdict"]) == (100, "better")


SHARES = (20, 15, 11, 8, 5, 3, 1)
NAMES = ("Algebra", "Geometry", "Number Theory", "Counting", "Calculus", "Logic", "Topology")


def planted(gains: Sequence[int]) -> list[Made]:
    """A benchmark of forty items for each category, of which so many are gained."""
    return [
        Made(f"M {name}", "mathematics", 40, 10, gain, 2, (name.upper(),))
        for name, gain in zip(NAMES, gains, strict=True)
    ]


def trained() -> list[str]:
    return [name for name, count in zip(NAMES, SHARES, strict=True) for _ in range(count)]


def test_a_planted_correlation_with_the_training_is_found(tmp_path: Path) -> None:
    coverage = gate(tmp_path, *planted((28, 24, 20, 15, 10, 6, 2)), train=trained())["coverage"]
    assert (coverage["rho"]["mean"], coverage["rho"]["n"]) == (pytest.approx(1), 7)
    assert coverage["p"] == pytest.approx(2 / 5040)
    assert coverage["words"].startswith("categories with more training prompts improved more (Spearman's rho +1.00")
    assert coverage["categories"][0] == {
        "name": "Algebra", "share": pytest.approx(20 / 63), "difference": pytest.approx(26 / 40), "n": 40,
    }  # fmt: skip


def test_without_a_correlation_there_is_no_evidence_of_one(tmp_path: Path) -> None:
    coverage = gate(tmp_path, *planted((12, 20, 10, 22, 11, 19, 14)), train=trained())["coverage"]
    assert coverage["p"] > 0.05
    assert coverage["words"].startswith("no evidence that ")
    assert "uniform" not in coverage["words"]


def test_below_five_shared_categories_there_is_no_coverage(tmp_path: Path) -> None:
    four = [name for name in trained() if name in NAMES[:4]]
    assert gate(tmp_path, *planted((1, 2, 3, 4, 5, 6, 7)), train=four)["coverage"] is None
    assert gate(tmp_path / "b", CODE)["coverage"] is None


# ---------------------------------------------------------------- how often it errs

SIZES = (164, 378, 500, 1319, 541, 30)
DOMAINS = ("own domain", "own domain", "mathematics", "mathematics", "instruction following", "mathematics")


def counts(random: np.random.Generator, n: int, gain: float, loss: float) -> tuple[int, int]:
    gained, lost, _ = random.multinomial(n, [gain, loss, 1 - gain - loss])
    return int(gained), int(lost)


def mcnemar(gained: int, lost: int) -> float:
    """As in `stats`, in a hundredth of the time."""
    return min(1.0, 2 * float(bdtr(min(gained, lost), gained + lost, 0.5)))


@functools.cache
def usual() -> Benchmark:
    """A row with nothing to say but its counts."""
    with tempfile.TemporaryDirectory() as folder:
        return benchmarks_part(bench_run(Path(folder) / "run", (CODE,)), settings())[0][0]


def decided(names: Sequence[str], found: Sequence[tuple[int, int, int]]) -> list[Benchmark]:
    """Rows of benchmarks or domains of (n, gained, lost), half of what did not change passed."""
    tested, rows = [], []
    for name, (n, gained, lost) in zip(names, found, strict=True):
        both = (n - gained - lost) // 2
        differences = [1.0] * gained + [-1.0] * lost + [0.0] * (n - gained - lost)
        tested.append(stats.Measure(differences, mcnemar(gained, lost), 1))
        shares = {"base": Estimate((both + lost) / n, n), "distilled": Estimate((both + gained) / n, n)}
        rows.append(
            replace(usual(), title=f"{name} {n}", domain=name, equivalence=equivalence(gained, lost, n), **shares)
        )
    return [replace(row, **fields_of(more)) for row, more in zip(rows, stats.decide_together(tested), strict=True)]


def pooled_rows(rows: Sequence[Benchmark]) -> list[DomainRow]:
    """The same, as domains of one benchmark each."""
    names = [name for name in DomainRow.__struct_fields__ if name != "benchmarks"]
    return [DomainRow(benchmarks=(row.domain,), **{name: getattr(row, name) for name in names}) for row in rows]


def simulated(random: np.random.Generator, drop: float = 0.0) -> tuple[list[Benchmark], Gate]:
    """Six benchmarks of which 10 to 30 % of the items change either way alike; the second loses `drop`."""
    found = []
    for index, n in enumerate(SIZES):
        flips = 0.3 if drop else random.uniform(0.1, 0.3)
        lost = drop / 2 if index == 1 else 0.0
        found.append((n, *counts(random, n, flips / 2 - lost, flips / 2 + lost)))
    rows = decided(DOMAINS, found)
    names = list(dict.fromkeys(DOMAINS))
    pooled = [np.sum([f for f, d in zip(found, DOMAINS, strict=True) if d == name], axis=0) for name in names]
    domains = decided(names, [(int(n), int(gained), int(lost)) for n, gained, lost in pooled])
    return rows, gates.gate_part(rows, RULES, pooled_rows(domains))


@every("gained, lost", [(0, 0), (3, 7), (49, 3), (120, 130), (200, 140)])
def test_the_quick_test_is_the_exact_one(gained: int, lost: int) -> None:
    assert mcnemar(gained, lost) == pytest.approx(stats.mcnemar(gained, lost))


@pytest.fixture
def _no_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor what could have been shown: they decide nothing, and take time."""
    monkeypatch.setattr(stats, "smallest_difference", lambda *_: None)
    monkeypatch.setattr(stats, "needed_prompts", lambda *_: None)
    monkeypatch.setattr(stats, "estimate", lambda values: Estimate(sum(values) / len(values), len(values)))


@pytest.mark.long
@pytest.mark.usefixtures("_no_intervals")
def test_without_a_change_at_most_one_run_in_twenty_shows_one() -> None:
    random = np.random.default_rng(0)
    runs = [simulated(random) for _ in range(1000)]
    words = [{row.verdict for row in rows} for rows, _ in runs]
    assert sum(bool(said & {"better", "worse"}) for said in words) <= 50
    assert sum(found.verdict != "do not ship" for _, found in runs) <= 50
    domains = [{row.verdict for row in found.forgetting} for _, found in runs]
    assert sum(bool(said & {"better", "worse"}) for said in domains) <= 50


@pytest.mark.usefixtures("_no_intervals")
def test_a_drop_of_ten_points_is_found_nine_times_of_ten_alone_and_mostly_beside_five_others() -> None:
    """378 items of which 30 % change. Beside five benchmarks it has to pass at 5 % / 6, which costs a tenth."""
    random = np.random.default_rng(1)
    alone = [counts(random, 378, 0.1, 0.2) for _ in range(1000)]
    found = sum(mcnemar(gained, lost) < 0.05 and lost > gained for gained, lost in alone)
    beside = sum(simulated(random, drop=0.1)[0][1].verdict == "worse" for _ in range(400))
    assert found >= 900
    assert beside >= 300


def test_a_drawn_run_changes_as_it_was_told() -> None:
    made = drawn("GSM8K", "mathematics", 4000, 0.6, -0.1, 0.3)
    assert (made.gained - made.lost) / made.n == pytest.approx(-0.1, abs=0.02)
    assert (made.gained + made.lost) / made.n == pytest.approx(0.3, abs=0.03)
