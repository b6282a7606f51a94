from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import SHORT, invoke
from hypothesis import settings
from messages_api import MessagesServer, echo

SHARED = Path(__file__).parents[2] / "shared"


def pytest_configure() -> None:
    """No test reaches a hub, none reads the developer's own key, and none fails because the machine is busy."""
    settings.register_profile("busy", deadline=None)
    settings.load_profile("busy")
    os.environ["HF_HUB_OFFLINE"] = "1"
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"):
        os.environ.pop(name, None)


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


@pytest.fixture(scope="session")
def smollm() -> Any:
    """The real SmolLM2-135M-Instruct, loaded once. Tests that change it put it back."""
    from mlx_distill import students

    return students.load("smollm2-135m")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole short run, made once. Tests that change it copy it."""
    run = tmp_path_factory.mktemp("runs") / "short"
    done = invoke("run", *SHORT, "--run", run)
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
