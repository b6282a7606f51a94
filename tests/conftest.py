from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import SHORT, Options, invoke
from filelock import FileLock
from hypothesis import settings
from messages_api import MessagesServer, echo

BUDGETS = {"default": 1, "real": 20, "long": 300}
"""Seconds of a test, by its tier."""

SHARED = Path(__file__).parents[2] / "shared"


def pytest_configure() -> None:
    """No test reaches a hub, none reads the developer's own key, and none fails because the machine is busy."""
    settings.register_profile("busy", deadline=None)
    settings.load_profile("busy")
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("MLX_DISTILL_BLAS", "off")  # a command would replace this process by one with a fast BLAS
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"):
        os.environ.pop(name, None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that opens a browser is of the second tier."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.real)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Names the tests that took longer than their tier allows. They do not fail: the machine may be busy."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    calls = [report for report in reports if getattr(report, "when", "") == "call"]
    for seconds, tier, call in sorted(((call.duration, tier_of(call), call.nodeid) for call in calls), reverse=True):
        if seconds > BUDGETS[tier]:
            terminalreporter.write_line(f"over {BUDGETS[tier]} s ({tier}): {seconds:.1f} s {call}")


def tier_of(report: Any) -> str:
    return next((tier for tier in ("long", "real") if tier in report.keywords), "default")


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., MessagesServer]]:
    """Starts a Messages server that answers with the given function; the client's environment points to it."""
    running: list[MessagesServer] = []

    def start(answer: Any = echo, **options: Any) -> MessagesServer:
        server = MessagesServer(answer, **options)
        running.append(server)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-secret")
        return server

    yield start
    for server in running:
        server.close()


@pytest.fixture(scope="module")
def pool() -> Iterator[Any]:
    """What compares mathematical expressions, in processes of its own: to start one takes a second."""
    from mlx_distill.evaluate.benchmarks.mathematics import Pool

    found = Pool()
    yield found
    found.close()


@pytest.fixture(scope="session")
def smollm() -> Any:
    """The real SmolLM2-135M-Instruct, loaded once; its weights are read when they are used. Tests that change it put it
    back."""
    from mlx_distill.models import students

    return students.load("smollm2-135m", lazy=True)


@pytest.fixture(scope="session")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this session that all workers share."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "together"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def short(smollm: Any, together: Path) -> Options:
    """The options of a run that takes seconds, with a student of random weights."""
    from tiny import tiny_folder

    with FileLock(together / "student.lock"):
        if not (together / "student" / "model.safetensors").exists():
            tiny_folder(smollm, together / "student")
    return (*SHORT, "--student", str(together / "student"))


@pytest.fixture(scope="session")
def finished(together: Path, short: Options) -> Path:
    """A whole short run, made once for all workers. Tests that change it copy it."""
    run = together / "short"
    with FileLock(together / "short.lock"):
        if not (run / "results.json").exists():
            done = invoke("run", *short, "--run", run)
            assert done.returncode == 0, done.stderr
    return run


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        missing("the shared folder with published models is not beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def peft_python() -> str:
    """The interpreter of an environment with torch, transformers and peft, which are never in the project's own."""
    python = os.environ.get("MLX_DISTILL_PEFT_PYTHON")
    if not python:
        missing("MLX_DISTILL_PEFT_PYTHON names no Python that has torch, transformers and peft")
    return str(python)


def missing(reason: str) -> None:
    """Skips a test that lacks something; where MLX_DISTILL_NO_SKIP is set that is a failure."""
    if os.environ.get("MLX_DISTILL_NO_SKIP"):
        pytest.fail(reason)
    pytest.skip(reason)
