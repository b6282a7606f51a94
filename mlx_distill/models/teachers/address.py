"""Where the Messages API is asked: what is wrong with the address, and who could not be reached on the way.

In: ANTHROPIC_BASE_URL, an error of the transport. Out: a TeacherError before anything is sent, or an Unreachable that
names the address or proxy in use. What never reached a server was not sent, and costs nothing.
"""

from __future__ import annotations

import os
import socket
import ssl
from urllib.parse import urlsplit

import aiohttp

from mlx_distill.models.teachers import BASE_URL, Unreachable
from mlx_distill.run.errors import words_of

DEFAULT = "https://api.anthropic.com"

NOT_SENT = (
    *(aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL),
    *(aiohttp.ClientHttpProxyError, aiohttp.ClientSSLError),
)
"""There was no connection to the API. The SDK's transport gives a connection that broke later the same name, so this
looks at the cause behind it."""

UNKNOWN_HOST = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))


def address() -> str:
    """Without a name, password or query that may stand in it."""
    return _plain(os.environ.get(BASE_URL, DEFAULT))


def not_sent(cause: BaseException | None) -> Unreachable | None:
    """Who could not be reached, where the error says that nobody was; None where something may have been sent."""
    if not isinstance(cause, NOT_SENT):
        return None
    if isinstance(cause, aiohttp.InvalidURL):
        return Unreachable(f"{BASE_URL} {address()} is no address", certain=True)
    if isinstance(cause, aiohttp.ClientHttpProxyError):
        return Unreachable(f"the proxy {_proxy()} lets nobody through (HTTP {cause.status})", certain=True)
    by_proxy = isinstance(cause, aiohttp.ClientProxyConnectionError)
    where = f"the proxy {_proxy()}" if by_proxy else address()
    reason, certain = _reason(cause)
    return Unreachable(f"{where} cannot be reached: {reason}", certain=certain)


def _reason(cause: BaseException) -> tuple[str, bool]:
    """In words, and whether trying again is no use."""
    behind = getattr(cause, "os_error", None) or cause.__cause__
    if isinstance(cause, ssl.CertificateError) or isinstance(behind, ssl.SSLError):
        return "its certificate is not accepted, or it speaks no TLS", True
    if isinstance(behind, socket.gaierror):
        unknown = behind.errno in UNKNOWN_HOST
        return ("nobody knows its name" if unknown else "the network does not answer"), unknown
    if isinstance(behind, ConnectionRefusedError):
        return "it refuses the connection", False
    if isinstance(cause, TimeoutError):
        return "it does not answer", False
    return words_of(behind or cause)[:80], False


def _proxy() -> str:
    """The proxy of the address's kind, and the variable that names it; "" where the environment has none."""
    scheme = urlsplit(os.environ.get(BASE_URL, DEFAULT)).scheme
    for name in (f"{scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            if value := os.environ.get(variable):
                return f"{_plain(value)} ({variable})"
    return ""


def _plain(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "that cannot be read"
    return f"{parts.scheme}://{host}{port}{parts.path}".rstrip("/") if host else url.rpartition("@")[2]
