"""The address of the Messages API: what is wrong with it is said before anything is sent, or soon after."""

import asyncio
import json
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from asking import patience, requests
from command_line import fails
from messages_api import MessagesServer
from tables import every

from mlx_distill.models import teachers
from mlx_distill.models.asking.ask import ask_all
from mlx_distill.models.asking.budget import Budget
from mlx_distill.models.asking.ledger import Ledger
from mlx_distill.models.asking.rate import rate_of
from mlx_distill.models.teachers import FIRST_TRIES, Options, Unreachable, open_teacher
from mlx_distill.models.teachers.address import address
from mlx_distill.run.errors import TeacherError, UsageError

MODEL = "claude-sonnet-4-6"
Serve = Callable[..., MessagesServer]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-secret")
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def closed_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def asked(ledger: Path, count: int = 3, cap: float | None = None) -> tuple[TeacherError, list[float]]:
    """How asking ends, and the pauses before."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def work() -> None:
        teacher = open_teacher(MODEL, Options())
        try:
            with Ledger(ledger) as book:
                waits = patience()
                waits = type(waits)(sleep=sleep, random=waits.random)
                rate = rate_of(waits, 4, paced=True)
                async for _ in ask_all(requests(count), teacher, book, budget=Budget(cap), patience=waits, rate=rate):
                    pass
        finally:
            await teacher.close()

    with pytest.raises(TeacherError) as caught:
        asyncio.run(work())
    return caught.value, pauses


def owed(ledger: Path) -> tuple[float, float]:
    with Ledger(ledger) as book:
        return book.spent_usd(), book.uncertain_usd()


@every(
    "url, words",
    [
        ("", "is empty: unset it"),
        ("   ", "is empty"),
        ("api.example.com", "begins with https://"),
        ("localhost:8080", "begins with https://"),
        ("ftp://api.example.com", "begins with https://"),
        ("https://", "begins with https://"),
        ("http://host:99999", "begins with https://"),
        ("http://[bad", "begins with https://"),
        (" https://api.example.com", "begins with https://"),
        ("https://api.example.com/v1", "ends in /v1"),
        ("https://api.example.com/anthropic/v1/", "ends in /v1"),
    ],
)
def test_a_wrong_address_is_found_before_anything_is_sent(url: str, words: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANTHROPIC_BASE_URL", url)
        for check in (teachers.check, open_teacher):
            with pytest.raises(TeacherError, match=words):
                check(MODEL)


def test_a_right_address_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("https://api.anthropic.com", "http://127.0.0.1:8080", "https://me:secret@gate.example.com/anthropic/"):
        monkeypatch.setenv("ANTHROPIC_BASE_URL", url)
        teachers.check(MODEL)
    assert address() == "https://gate.example.com/anthropic"
    monkeypatch.delenv("ANTHROPIC_BASE_URL")
    teachers.check(MODEL)


def test_a_closed_port_is_given_up_soon_and_nothing_is_owed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    monkeypatch.setenv("ANTHROPIC_BASE_URL", url)
    error, pauses = asked(tmp_path / "ledger", cap=5.0)
    assert f"{url} cannot be reached: it refuses the connection. Nothing was sent." in str(error)
    assert len(pauses) < 4 * FIRST_TRIES
    assert owed(tmp_path / "ledger") == (0.0, 0.0)


def test_an_unknown_host_is_given_up_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://no-such-host.invalid")

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error, pauses = asked(tmp_path / "ledger")
    assert "http://no-such-host.invalid cannot be reached: nobody knows its name" in str(error)
    assert pauses == []
    assert owed(tmp_path / "ledger") == (0.0, 0.0)


def test_a_dead_proxy_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    proxy = f"127.0.0.1:{closed_port()}"
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://api.example.com")
    monkeypatch.setenv("HTTP_PROXY", f"http://me:secret@{proxy}")
    error, _ = asked(tmp_path / "ledger")
    assert f"the proxy http://{proxy} (HTTP_PROXY) cannot be reached" in str(error)
    assert "secret" not in str(error)
    assert owed(tmp_path / "ledger") == (0.0, 0.0)


def test_what_has_answered_once_is_waited_for(serve: Serve, tmp_path: Path) -> None:
    from mlx_distill.models.teachers.claude import ClaudeTeacher

    serve()
    before = ClaudeTeacher.answer
    calls: list[str] = []

    async def answer(self: ClaudeTeacher, request: teachers.Request) -> teachers.Reply:
        calls.append(request.prompt)
        if 1 < len(calls) < 3 + FIRST_TRIES:
            raise Unreachable("gone", certain=True)
        return await before(self, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClaudeTeacher, "answer", answer)
        assert len(answered(tmp_path / "ledger")) == 3


def answered(ledger: Path) -> list[str]:
    from asking import ask

    return [reply.text for reply in ask(ledger, requests(3), concurrency=1)]


def test_what_is_waited_for_is_shown() -> None:
    rate = rate_of(patience(), 2, paced=True)
    rate.trouble = "http://127.0.0.1:1 cannot be reached: it refuses the connection"
    assert rate.in_force().startswith("trying again: http://127.0.0.1:1 cannot be reached")


def test_a_model_that_is_not_there_may_be_an_address_that_is_wrong(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from messages_api import error as failing

    server = serve(lambda _: failing(404, "not_found_error", "nothing here"))
    error, _ = asked(tmp_path / "ledger")
    assert f"check its id, and that {server.url} (ANTHROPIC_BASE_URL) is a Messages API" in str(error)


@every("spec", ["anthropic/claude-sonnet-4-6", "gpt-4o", "openai:gpt-4o", "Claude-sonnet-4-6"])
def test_a_teacher_of_no_known_kind_is_not_told_to_give_a_price(spec: str) -> None:
    for price in (None, "3,15"):
        with pytest.raises(UsageError) as caught:
            teachers.check(spec, price)
        assert "There is no teacher" in str(caught.value)
        assert "--price" not in str(caught.value)


def test_the_command_names_the_id_to_give(tmp_path: Path) -> None:
    options = ("--teacher", "anthropic/claude-haiku-4-5", "--price", "3,15", "--run", tmp_path / "run")
    fails(2, "such as claude-haiku-4-5", "collect", "--preset", "demo", *options)


def test_a_run_that_reaches_nobody_says_so_and_owes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: tuple[str, ...]
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://no-such-host.invalid")

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    options = ("--teacher", MODEL, "--accept-terms", "--yes", "--max-cost", "1", "--run", tmp_path / "run")
    fails(4, "nobody knows its name", "collect", *short, *options)
    with sqlite3.connect(tmp_path / "run" / "ledger.sqlite") as database:
        states = json.dumps(database.execute("SELECT state FROM attempts").fetchall())
    assert "sent" not in states
