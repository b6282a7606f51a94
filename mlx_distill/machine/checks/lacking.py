"""What an answer needs that the sandbox does not have: packages, and what the machine may refuse.

In: an answer's code. Out: the packages that it imports and that are not there; and, where a level of the sandbox has no
network of its own, no room for threads or no new interpreters, why a program that uses them could not be run. What is
there is tried once, with a real program at the level of this machine, so that a mark means the same at every level.
"""

from __future__ import annotations

import ast
import functools

from mlx_distill.machine import sandbox
from mlx_distill.machine.checks.mending import parsed
from mlx_distill.machine.checks.names import imported, is_standard

OWN = frozenset({"answer", "solution", "__main__"})
"""Modules by whose name an answer may mean itself."""

USED_BY = {
    "network of its own": frozenset(
        {"socket", "socketserver", "http", "xmlrpc", "start_server", "create_server", "open_connection"}
    ),
    "way to start interpreters": frozenset({"multiprocessing", "concurrent", "subprocess"}),
    "room for threads": frozenset({"threading", "concurrent", "_thread", "to_thread", "ThreadPool"}),
}
"""What a program uses each of them by: modules, or attributes of such."""

TRIAL = """
import json, os, sys

def network():
    import socket
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname(), timeout=5)
    server.accept()[0].send(b"x")
    return client.recv(1) == b"x"

def threads():
    import threading
    gate = threading.Barrier(MANY + 1, timeout=10)
    started = [threading.Thread(target=gate.wait, daemon=True) for _ in range(MANY)]
    for thread in started:
        thread.start()
    gate.wait()
    return True

def processes():
    import multiprocessing
    child = multiprocessing.get_context("spawn").Process(target=os.getpid)
    child.start()
    child.join(30)
    return child.exitcode == 0

MANY = 64

if __name__ == "__main__":
    printed, nothing = os.dup(1), os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    found = []
    for trial in (network, processes, threads):
        try:
            found.append(bool(trial()))
        except BaseException:
            found.append(False)
    os.write(printed, json.dumps(found).encode())
    os._exit(0)
"""


def packages(code: str, shown: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What code imports beside the standard library and the packages that are `shown` to it, by the modules' names."""
    there = sandbox.shelf(shown).modules | OWN
    return tuple(sorted(name for name in imported(code) - there if name and not is_standard(name)))


def facility(code: str, *, unsandboxed: bool = False) -> str:
    """Why a program that failed could not be run here; empty where it could."""
    words = _words(code)
    wanted = [name for name, by in USED_BY.items() if words & by]
    lacking = [name for name in wanted if name in _refused(unsandboxed)] if wanted else []
    return f"could not be run: this sandbox has no {' and no '.join(lacking)}" if lacking else ""


def _words(code: str) -> frozenset[str]:
    """The modules that code imports, and the attributes that it uses."""
    tree = parsed(code)
    nodes = list(ast.walk(tree)) if tree else []
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return imported(code) | frozenset(attributes)


@functools.cache
def _refused(unsandboxed: bool) -> frozenset[str]:
    outcome = sandbox.run(TRIAL, limits=sandbox.Limits(seconds=60), unsandboxed=unsandboxed)
    refused = outcome.result if isinstance(outcome.result, list) and len(outcome.result) == len(USED_BY) else []
    return frozenset(name for name, there in zip(USED_BY, refused, strict=False) if there is False)
