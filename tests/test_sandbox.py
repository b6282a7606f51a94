"""Attacks: nothing gets out, and nothing hangs. Where there is no sandbox nothing runs, which is tested too."""

import os
import socket
from pathlib import Path

import pytest

from mlx_distill import sandbox

pytestmark = pytest.mark.skipif(
    sandbox.level() == "none" and not os.environ.get("MLX_DISTILL_NO_SKIP"), reason="this machine offers no sandbox"
)

REPORT = "import json\njson.dump({value}, open('result.json', 'w'))\n"


def told(code: str, value: str) -> object:
    return sandbox.run(code + "\n" + REPORT.format(value=value)).result


def test_a_program_gets_its_task_and_hands_back_a_result() -> None:
    program = "import json\ntask = json.load(open('task.json'))\n" + REPORT.format(value="task['n'] + 1")
    outcome = sandbox.run(program, {"n": 41})
    assert (outcome.ended, outcome.result) == ("ok", 42)


def test_the_environment_holds_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-secret")
    everything = told(
        "import os, glob\nseen = dict(os.environ)\n"
        "for path in glob.glob('/proc/*/environ'):\n"
        "    try: seen[path] = open(path, 'rb').read().decode(errors='replace')\n"
        "    except OSError: pass",
        "seen",
    )
    assert everything
    assert "secret" not in str(everything)


def test_no_connection_leaves() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = (
            f"import socket\ntry:\n    socket.create_connection(('127.0.0.1', {port}), 1)\n    out = 'connected'\n"
            "except OSError as error:\n    out = type(error).__name__"
        )
        assert told(code, "out") != "connected"


def test_home_and_project_cannot_be_read_and_nothing_outside_written(tmp_path: Path) -> None:
    (tmp_path / "private").write_text("mine")
    places = [str(tmp_path / "private"), str(Path.home() / ".bashrc"), str(Path(__file__))]
    code = (
        "found = []\n"
        f"for path in {places!r}:\n"
        "    try: found.append(open(path).read())\n"
        "    except OSError: pass\n"
        "written = []\n"
        f"for path in [{str(tmp_path / 'new')!r}, '/usr/evil', '/evil', '/etc/evil']:\n"
        "    try:\n        open(path, 'w').write('x'); written.append(path)\n"
        "    except OSError: pass\n"
    )
    assert told(code, "[found, written]") == [[], []]
    assert not (tmp_path / "new").exists()
    assert not Path("/usr/evil").exists()


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import time\ntime.sleep(1e6)",
        "import os\nwhile True:\n    os.fork()",
    ],
)
def test_what_never_ends_is_ended(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "TIMEOUT_SECONDS", 2)
    assert sandbox.run(code).ended in ("timeout", "failed")


@pytest.mark.parametrize(
    "code",
    [
        "x = bytearray(10 << 30)",
        "f = open('big', 'wb')\nwhile True: f.write(b'x' * 65536)",
        "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nraise SystemExit(3)",
    ],
)
def test_greed_and_violence_fail_inside(code: str) -> None:
    assert sandbox.run(code).ended == "failed"


def test_endless_output_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "TIMEOUT_SECONDS", 2)
    assert sandbox.run("while True: print('x' * 1000)").ended == "timeout"


def test_without_a_sandbox_nothing_runs(tmp_path: Path) -> None:
    outcome = sandbox._run("none", f"open({str(tmp_path / 'ran')!r}, 'w')", {})
    assert outcome.ended == "not run"
    assert not (tmp_path / "ran").exists()
