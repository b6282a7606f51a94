"""What doctor says of the ways into the sandbox."""

import importlib

import pytest

from mlx_distill.machine import environment

doctor = importlib.import_module("mlx_distill.cli.doctor")


def rows(monkeypatch: pytest.MonkeyPatch, **trials: str) -> list[tuple[str, str, str]]:
    monkeypatch.setattr(environment, "sandbox_trials", lambda: trials)
    return [(finding.what, finding.state, finding.advice) for finding in doctor._sandbox()]


def test_every_level_is_tried_and_one_that_does_not_work_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    found = rows(monkeypatch, namespaces="unshare: Operation not permitted", bubblewrap="")
    assert found == [
        ("Sandbox: namespaces", "does not work: unshare: Operation not permitted", ""),
        ("Sandbox: bubblewrap", "works", ""),
    ]


def test_without_any_there_is_something_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    found = rows(monkeypatch, namespaces="unshare: Operation not permitted", bubblewrap="bwrap is not installed")
    assert [advice for _, _, advice in found if not advice] == []
    assert found[1][2] == "install bubblewrap"
    assert "not run" in found[2][1]
    assert "--unsandboxed" in found[2][2]
