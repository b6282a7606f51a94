"""Made-up results as JSON has them, which tests may change, and as the records that the program reads."""

from typing import Any

import msgspec

from mlx_distill.run.decode import results_of
from mlx_distill.run.decode import typed as decoded
from mlx_distill.run.results import Results
from mlx_distill.run.results.sweep import SweepResults


def typed(value: dict[str, Any]) -> Results:
    """As any reader gets it: whatever does not fit is an error."""
    return results_of(value, "results.json", "correct it")


def typed_sweep(value: dict[str, Any]) -> SweepResults:
    return decoded(SweepResults, value, "sweep.json", "correct it")


def as_dict(record: Any) -> Any:
    """What stands in the file; of several records a list."""
    return msgspec.json.decode(msgspec.json.encode(record))


def run_before(**values: Any) -> dict[str, Any]:
    """results.previous of a run of which nothing but these values is known."""
    names = ("student", "epochs", "usd", "verdict", "verdict_in_words", "worse", "samples", "preference")
    known = {"name": "before", "created": "2026-11-20T10:00:00+00:00", "preset": "quick", "seconds": 0.0, "n": 0}
    known |= {"judges": [], "dimensions": {}, "heldout_loss": {"base": None, "best": None}}
    return {**dict.fromkeys(names), **known, **values}


def self_check(**values: Any) -> dict[str, Any]:
    return {"verdict_in_words": "", "judges": [], "samples": None, **values}
