"""The process that listens for an abort's last words: real processes, real signals, the words as Metal writes them."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tables import every

from mlx_distill.machine import watchdog
from mlx_distill.machine.watchdog import DISPLAY_OFF, LESS_MEMORY, explain

pytestmark = pytest.mark.real

METAL = "[METAL] Command buffer execution failed: "
INTERACTIVITY = f"{METAL}Impacting Interactivity (0000000e:kIOGPUCommandBufferCallbackErrorImpactingInteractivity)"
TIMEOUT = f"{METAL}Caused GPU Timeout Error (00000002:kIOGPUCommandBufferCallbackErrorTimeout)."
IGNORED = (
    f"{METAL}Ignored (for causing prior/excessive GPU errors) "
    "(00000004:kIOGPUCommandBufferCallbackErrorSubmissionsIgnored)"
)
OUT_OF_MEMORY = f"{METAL}Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)"
UNCAUGHT = "libc++abi: terminating due to uncaught exception of type std::runtime_error: "
ADVICE = f"\nmlx-distill: {DISPLAY_OFF}\n".encode()


def child(code: str) -> list[str]:
    """A Python process whose fd 2 is watched. It leaves no core file, and ends after 50 seconds whatever happens."""
    start = "import os, resource, signal, subprocess, sys\nfrom mlx_distill.machine.watchdog import watch\n"
    limits = "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\nsignal.alarm(50)\n"
    return [sys.executable, "-c", start + limits + code]


def ended(code: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(child(code), capture_output=True, timeout=60, check=False, **options)


def dying(*pieces: str) -> str:
    """Code that writes the pieces to file descriptor 2 and aborts."""
    return f"with watch():\n    for piece in {pieces!r}:\n        os.write(2, piece.encode())\n    os.abort()"


# ---------------------------------------------------------------- what it means


@every(
    "text, advice",
    [
        (INTERACTIVITY, DISPLAY_OFF),
        (TIMEOUT, DISPLAY_OFF),
        (IGNORED, DISPLAY_OFF),
        ("Impacting Interactivity", DISPLAY_OFF),
        ("0000000e:kIOAccelCommandBufferCallbackErrorImpactingInteractivity", DISPLAY_OFF),
        (OUT_OF_MEMORY, LESS_MEMORY),
        (f"{IGNORED}\n{OUT_OF_MEMORY}", LESS_MEMORY),
        ("RuntimeError: [malloc] Unable to allocate 70368744177664 bytes.", LESS_MEMORY),
        ("RuntimeError: [malloc_or_wait] Unable to allocate 8589934592 bytes.", LESS_MEMORY),
        (
            "RuntimeError: [metal::malloc] Attempting to allocate 48736917632 bytes which is greater than the maximum "
            "allowed buffer size of 30150672384 bytes.",
            LESS_MEMORY,
        ),
        ("MemoryError: Unable to allocate 8.00 GiB for an array with shape (1073741824,)", LESS_MEMORY),
        ("std::bad_alloc", LESS_MEMORY),
        ("", None),
        ("RuntimeError: [matmul] Last dimension of first input with shape (2,3) must match", None),
        (f"{METAL}Invalid Resource (00000009:kIOGPUCommandBufferCallbackErrorInvalidResource)", None),
        ("RuntimeError: [metal::malloc] Resource limit (499000) exceeded.", None),
        ("TimeoutError: the request to api.anthropic.com timed out", None),
        ("RuntimeError: [load_safetensors] Failed to open file /memory/out.safetensors", None),
    ],
)
def test_what_is_known_is_explained_and_nothing_else(text: str, advice: str | None) -> None:
    assert explain(text) == advice


def test_advice_is_one_line_and_ends_with_what_the_same_command_does() -> None:
    for advice in (DISPLAY_OFF, LESS_MEMORY):
        assert "\n" not in advice
        assert advice.endswith("The same command goes on from the last checkpoint.")
        assert explain(advice) is None
    for words in ("caffeinate -is", "pmset displaysleepnow", "Lock Screen", "ssh", "AGX_RELAX_CDM_CTXSTORE_TIMEOUT=1"):
        assert words in DISPLAY_OFF
    for words in ("--batch-tokens", "--layers", "--auto", "close other programs"):
        assert words in LESS_MEMORY


# ---------------------------------------------------------------- an abort


@pytest.mark.parametrize("pieces", [(f"{UNCAUGHT}{INTERACTIVITY}\n",), ("libc++abi: ", UNCAUGHT, INTERACTIVITY, "\n")])
def test_an_abort_keeps_its_status_and_gets_advice(pieces: tuple[str, ...]) -> None:
    done = ended(dying(*pieces))
    assert done.returncode == -signal.SIGABRT
    assert done.stderr == "".join(pieces).encode() + ADVICE


def test_last_words_without_a_line_end_get_advice_too() -> None:
    assert ended(dying(UNCAUGHT + OUT_OF_MEMORY)).stderr.endswith(f"\nmlx-distill: {LESS_MEMORY}\n".encode())


def test_last_words_in_two_lines_after_much_else_get_advice_once() -> None:
    libstdcxx = "terminate called after throwing an instance of 'std::runtime_error'\n"
    done = ended(dying("x" * 100_000 + "\n", libstdcxx, f"  what():  {INTERACTIVITY}\n", "Aborted\n"))
    assert done.stderr.count(ADVICE) == 1
    assert done.stderr.replace(ADVICE, b"").endswith(f"  what():  {INTERACTIVITY}\nAborted\n".encode())


@pytest.mark.parametrize(
    "words",
    [
        f"Execution of the command buffer was aborted due to an error during execution. {INTERACTIVITY}\n",
        f"{UNCAUGHT}mutex lock failed: Invalid argument\n",
        f"{INTERACTIVITY}\n{UNCAUGHT}mutex lock failed\n",
    ],
    ids=["may have been caught", "another abort", "another abort later"],
)
def test_what_killed_nobody_gets_no_advice(words: str) -> None:
    assert ended(dying(words)).stderr == words.encode()


def test_advice_comes_before_the_process_has_gone() -> None:
    """The shell's prompt must not stand between the last words and the advice."""
    code = dying(f"{UNCAUGHT}{INTERACTIVITY}\n").replace("os.abort()", "sys.stdin.read()")
    with subprocess.Popen(child(code), stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stdin is not None
        words = [process.stderr.readline() for _ in range(3)]
        process.stdin.close()
    assert b"".join(words).endswith(ADVICE)


def test_ctrl_c_does_not_reach_the_listener() -> None:
    code = (
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored where the tests run in the background
        "with watch():\n    try:\n        print(flush=True)\n        signal.pause()\n"
        f"    except KeyboardInterrupt:\n        os.write(2, {UNCAUGHT + INTERACTIVITY!r}.encode())\n        os.abort()"
    )
    process = subprocess.Popen(
        child(code), stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.2)  # until the listener could be hit, were it in the same group
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60)[1].endswith(ADVICE.decode())
    assert process.returncode == -signal.SIGABRT


# ---------------------------------------------------------------- everything else


@pytest.mark.parametrize("count", [30, 3000])
def test_what_is_written_passes_unchanged_and_is_there_when_the_process_ends(count: int, tmp_path: Path) -> None:
    """A file, not a pipe: nobody waits for more than the process itself. Then nothing is left running."""
    code = (
        "before = sys.stderr\n"
        f"with watch():\n    for n in range({count}):\n        os.write(2, bytes([n % 256]) * 1000 + b'\\n')\n"
        "print('after', file=sys.stderr)\nassert sys.stderr is before\n"
        "try:\n    os.waitpid(-1, os.WNOHANG)\nexcept ChildProcessError:\n    os._exit(7)"
    )
    with (tmp_path / "stderr").open("wb") as file:
        done = subprocess.run(child(code), stderr=file, timeout=60, check=False)
    assert done.returncode == 7
    lines = [bytes([n % 256]) * 1000 + b"\n" for n in range(count)]
    assert (tmp_path / "stderr").read_bytes() == b"".join(lines) + b"after\n"


def test_an_exception_passes_through() -> None:
    done = ended("with watch():\n    raise ValueError('mine')")
    assert done.returncode == 1
    assert done.stderr.endswith(b"ValueError: mine\n")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_kill_leaves_no_listener(number: signal.Signals) -> None:
    """stderr ends when the last process that holds it has ended: here that is the listener."""
    code = "with watch():\n    os.write(2, b'working\\n')\n    print(flush=True)\n    signal.pause()"
    process = subprocess.Popen(child(code), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(number)
    assert process.communicate(timeout=30)[1] == b"working\n"
    assert process.returncode == -number


def test_a_child_that_lingers_does_not_hold_up_the_end(tmp_path: Path) -> None:
    code = "with watch():\n    print(subprocess.Popen(['sleep', '50'], stdout=subprocess.DEVNULL).pid)"
    with (tmp_path / "stderr").open("wb") as file:
        done = subprocess.run(child(code), stdout=subprocess.PIPE, stderr=file, timeout=30, check=False)
    os.kill(int(done.stdout), signal.SIGKILL)
    assert done.returncode == 0


def test_python_keeps_its_terminal_and_an_abort_shows_the_cursor_again() -> None:
    ours, theirs = pty.openpty()
    code = dying(f"{UNCAUGHT}{INTERACTIVITY}\n").replace("os.abort()", "print(sys.stderr.isatty()); os.abort()")
    done = subprocess.run(
        [*child(code)[:1], "-u", *child(code)[1:]], stdout=subprocess.PIPE, stderr=theirs, timeout=60, check=False
    )
    os.close(theirs)
    heard = b""
    while ADVICE.strip() not in heard:
        heard += os.read(ours, 4096)
    os.close(ours)
    assert done.stdout == b"True\n"
    assert watchdog.SHOW_CURSOR in heard


def test_it_reads_on_when_the_terminal_has_gone() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-I", "-S", watchdog.__file__]
    done = subprocess.run(command, input=b"x" * 1_000_000, stderr=write_end, timeout=60, check=False)
    os.close(write_end)
    assert done.returncode == 0


# ---------------------------------------------------------------- the command line


def command(stage: str, platform: str, body: str, run: Path) -> subprocess.CompletedProcess[bytes]:
    """`mlx-distill STAGE` on another platform, with another stage's body."""
    arguments = ["mlx-distill", stage, "--preset", "demo-short", "--run", str(run)]
    return ended(
        "from mlx_distill import cli\nfrom mlx_distill.machine import blas\nfrom mlx_distill.pipeline import commands\n"
        f"def stage(job):\n    {body}\n"
        f"blas.ensure, commands.{stage}, sys.argv = lambda: None, stage, {arguments!r}\n"
        f"sys.platform = {platform!r}\ncli.main()"
    )


@pytest.mark.parametrize(("words", "advice"), [(INTERACTIVITY, DISPLAY_OFF), (OUT_OF_MEMORY, LESS_MEMORY)])
def test_what_python_can_catch_is_one_line_and_exit_6(words: str, advice: str, tmp_path: Path) -> None:
    for platform in ("linux", "darwin"):
        done = command("train", platform, f"raise RuntimeError({words!r})", tmp_path / platform)
        assert done.returncode == 6
        assert done.stderr.decode() == f"Error: {advice}\n"


def test_other_failures_stay_a_fault_of_ours(tmp_path: Path) -> None:
    for kind, words in (("RuntimeError", "[matmul] shapes"), ("ValueError", INTERACTIVITY)):
        done = command("train", "linux", f"raise {kind}({words!r})", tmp_path / kind)
        assert done.returncode == 1
        assert b"fault of mlx-distill" in done.stderr


def test_no_memory_for_python_is_exit_6(tmp_path: Path) -> None:
    assert command("train", "linux", "raise MemoryError", tmp_path / "run").returncode == 6


@pytest.mark.parametrize(("stage", "platform"), [("train", "darwin"), ("train", "linux"), ("collect", "darwin")])
def test_only_what_computes_on_a_mac_is_listened_to(stage: str, platform: str, tmp_path: Path) -> None:
    body = f"os.write(2, {UNCAUGHT + INTERACTIVITY!r}.encode()); os.abort()"
    done = command(stage, platform, body, tmp_path / "run")
    assert done.returncode == -signal.SIGABRT
    assert done.stderr.endswith(ADVICE) == (stage == "train" and platform == "darwin")
