"""
HTTP as this provider wants it, and the only module that imports httpx.

A request here has one deadline for everything from DNS to the last byte of its answer: httpx's own time-outs
count from byte to byte, and a server that drips would hold them for ever. No redirect is followed, no cookie
kept, and neither httpx nor httpcore may log a request of ours, since they log whole URLs. What goes wrong is
told apart by the one thing that matters to a caller: whether the other side can have seen the request.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

import httpx

from airflow_provider_tiktok import __version__
from airflow_provider_tiktok.exceptions import (
    TikTokError,
    TikTokNoAnswerError,
    TikTokNothingSentError,
    TikTokProtocolError,
)

CONNECT_SECONDS = 10.0
MAX_ANSWER_BYTES = 4 * 1024 * 1024
USER_AGENT = f"airflow-provider-tiktok/{__version__}"

_NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_UNUSABLE = (httpx.UnsupportedProtocol, httpx.InvalidURL)
_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpcore.socks")
#: A proxy's own loopback is not ours, and httpx asks it unless NO_PROXY says otherwise.
_NEVER_BY_PROXY = ("all://127.0.0.1", "all://localhost", "all://[::1]")
_ours: ContextVar[bool] = ContextVar("airflow_provider_tiktok_request", default=False)


@dataclass(frozen=True)
class Request:
    """
    One request.

    :param name: what it is called in errors, since URLs may be secret
    :param method: HTTP method
    :param url: absolute; never logged
    :param headers: never logged
    :param content: the body; an iterable needs a ``Content-Length`` header and can be sent only once
    :param deadline: seconds for everything, from DNS to the last byte of the answer
    :param idle: seconds that the other side may be silent; None = until the deadline
    :param sni: the name to check the certificate against, where the URL holds an address
    """

    name: str
    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content: bytes | Iterable[bytes] = field(default=b"", repr=False)
    deadline: float = 30.0
    idle: float | None = None
    sni: str = ""


@dataclass(frozen=True)
class Answer:
    """
    An answer, read to its end.

    :param status: HTTP status
    :param headers: by lower-case name
    :param body: decoded
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


class _OursAreSilent(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        return not _ours.get()


@contextmanager
def _silenced() -> Iterator[None]:
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(each, _OursAreSilent) for each in logger.filters):
            logger.addFilter(_OursAreSilent())
    before = _ours.get()
    _ours.set(True)
    try:
        yield
    finally:
        _ours.set(before)  # not reset(): a stream may be closed by another thread than opened it


class _Watch:
    """
    The deadline of one request, and whether the request has begun to leave.

    ``sent`` is None until httpcore reports anything: a test's MockTransport never does.
    """

    _LEAVES = ("connect_tcp.started", "start_tls.started", "send_request_headers.started")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.until = time.monotonic() + request.deadline
        self.sent: bool | None = None
        self._ended = False
        self._lock = threading.Lock()

    @property
    def late(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self.until

    def note(self, event: str) -> None:
        """Take note of an event of httpcore's; raise where the time is up, so that nothing leaves late."""
        self.sent = bool(self.sent)
        if event.endswith(self._LEAVES) and self.late:
            raise httpx.ReadTimeout("deadline")
        if event.endswith("send_request_headers.started"):
            self.sent = True

    def cut(self, sockets: Iterable[socket.socket]) -> None:
        """End whatever the request is waiting for; does nothing once it has ended."""
        with self._lock:
            if self._ended:
                return
            for each in list(sockets):
                with suppress(OSError):
                    # not the SSL socket's own shutdown, which drops the object another thread reads from
                    socket.socket.shutdown(each, socket.SHUT_RDWR)

    def end(self) -> None:
        """The request is over: from here on its deadline must not touch the next one's socket."""
        with self._lock:
            self._ended = True

    @property
    def left(self) -> float:
        """Seconds until the time is up."""
        return max(0.0, self.until - time.monotonic())

    def error(self, cause: BaseException) -> TikTokError:
        """Say what a failure means to the caller. The cause's own text is left out: it can hold a URL."""
        what, kind = self.request.name, type(cause).__name__
        if isinstance(cause, _UNUSABLE):
            return TikTokNothingSentError(f"{what}: the address cannot be used ({kind}); nothing was sent.")
        if isinstance(cause, _NOTHING_SENT) or self.sent is False:
            return TikTokNothingSentError(
                f"{what}: no connection to {_host(self.request)} ({_connect_reason(cause)}); "
                "nothing was sent. Check the network, the proxy settings and the Connection's host."
            )
        if self.late:
            kind = f"no answer within {self.request.deadline:g} s"
        return TikTokNoAnswerError(
            f"{what}: the request left, but its answer was lost ({kind}); TikTok may have acted on it."
        )


def _connect_reason(cause: BaseException) -> str:
    reason: BaseException | None = cause
    while reason and not getattr(reason, "strerror", None):
        reason = reason.__cause__ or reason.__context__
    return getattr(reason, "strerror", None) or type(cause).__name__


def _host(request: Request) -> str:
    return urlsplit(request.url).hostname or "the host"


def _cookies() -> CookieJar:
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


def _timeout(request: Request) -> httpx.Timeout:
    connect = min(CONNECT_SECONDS, request.deadline)
    return httpx.Timeout(request.deadline, connect=connect, read=request.idle or request.deadline)


@cache
def _certificates(*_named_by: str | None) -> ssl.SSLContext:
    """Load whom to trust, once a process: it takes 50 ms and 700 KB, and triggerers have many clients."""
    return httpx.create_ssl_context()


def _options() -> dict[str, Any]:
    return {
        "verify": _certificates(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")),
        "follow_redirects": False,
        "cookies": _cookies(),
        "headers": {"User-Agent": USER_AGENT},
        "mounts": dict.fromkeys(_NEVER_BY_PROXY),
    }


def _parts(request: Request, trace: object) -> dict[str, Any]:
    if not all(value.isascii() and value.isprintable() for value in request.headers.values()):
        raise TikTokNothingSentError(
            f"{request.name}: a header, such as the access token, holds characters that cannot be sent; "
            "nothing was sent."
        )
    extensions: dict[str, Any] = {"trace": trace}
    if request.sni:
        extensions["sni_hostname"] = request.sni
    return {
        "method": request.method,
        "url": request.url,
        "headers": dict(request.headers),
        "content": request.content,
        "timeout": _timeout(request),
        "extensions": extensions,
    }


class Streamed:
    """
    An answer whose body is still on its way.

    :param status: HTTP status
    :param headers: by lower-case name
    """

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        self._response = response

    def blocks(self, size: int) -> Iterator[bytes]:
        """
        Give the body block by block.

        :param size: bytes of each block but the last
        """
        return self._response.iter_bytes(size)


class Transport:
    """
    Sends requests, one at a time: a second thread waits for the first.

    :param mock: an ``httpx.MockTransport`` in tests; None = the network
    """

    def __init__(self, mock: Any = None) -> None:
        self._client = httpx.Client(transport=mock, **_options())
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._one_at_a_time = threading.RLock()

    def send(self, request: Request) -> Answer:
        """
        Send a request and read its answer.

        :raises TikTokNothingSentError: the other side cannot have seen the request
        :raises TikTokNoAnswerError: it may have
        :raises TikTokProtocolError: the answer is longer than any that TikTok documents
        """
        with self.stream(request) as streamed:
            body = _Body(request.name)
            for block in streamed.blocks(65536):
                body.add(block)
            return Answer(streamed.status, streamed.headers, bytes(body.data))

    @contextmanager
    def stream(self, request: Request) -> Iterator[Streamed]:
        """
        Send a request and give its answer while it arrives; the deadline covers the reading.

        Raises as :meth:`send` does.
        """
        watch = _Watch(request)

        def trace(event: str, info: Mapping[str, Any]) -> None:
            watch.note(event)
            if event.endswith(("connect_tcp.complete", "start_tls.complete")):  # also in a proxy's tunnel
                self._remember(info["return_value"])

        with self._turn(watch), _silenced():
            timer = threading.Timer(watch.left, watch.cut, [self._sockets])
            timer.daemon = True
            timer.start()
            try:
                with self._client.stream(**_parts(request, trace)) as response:
                    yield Streamed(response)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise watch.error(error) from None
            finally:
                watch.end()
                timer.cancel()

    @contextmanager
    def _turn(self, watch: _Watch) -> Iterator[None]:
        if not self._one_at_a_time.acquire(timeout=watch.left):
            name, deadline = watch.request.name, watch.request.deadline
            raise TikTokNothingSentError(
                f"{name}: another thread's request took all of {deadline:g} s; nothing was sent."
            )
        try:
            yield
        finally:
            self._one_at_a_time.release()

    def _remember(self, stream: Any) -> None:
        opened = stream.get_extra_info("socket")
        if isinstance(opened, socket.socket):
            self._sockets.add(opened)

    def close(self) -> None:
        """Close all connections."""
        with _silenced():
            self._client.close()


class AsyncTransport:
    """
    Sends requests, any number at a time, from one event loop.

    :param mock: an ``httpx.MockTransport`` in tests; None = the network
    """

    def __init__(self, mock: Any = None) -> None:
        self._client = httpx.AsyncClient(transport=mock, **_options())

    async def send(self, request: Request) -> Answer:
        """Send a request and read its answer; raises as :meth:`Transport.send` does."""
        async with self._stream(request) as response:
            body = _Body(request.name)
            async for block in response.aiter_bytes(65536):
                body.add(block)
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, headers, bytes(body.data))

    @asynccontextmanager
    async def _stream(self, request: Request) -> AsyncIterator[httpx.Response]:
        watch = _Watch(request)

        async def trace(event: str, info: Mapping[str, Any]) -> None:  # noqa: ARG001
            watch.note(event)

        with _silenced():
            try:
                async with (
                    asyncio.timeout(request.deadline),
                    self._client.stream(**_parts(request, trace)) as response,
                ):
                    yield response
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
                raise watch.error(error) from None

    async def aclose(self) -> None:
        """Close all connections."""
        with _silenced():
            await self._client.aclose()


class _Body:
    """A body that is not allowed to grow without end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.data = bytearray()

    def add(self, block: bytes) -> None:
        self.data += block
        if len(self.data) > MAX_ANSWER_BYTES:
            raise TikTokProtocolError(
                f"{self.name}: the answer is longer than {MAX_ANSWER_BYTES} bytes: this is not TikTok's API. "
                "Check the Connection's host."
            )
