"""
A video behind an https URL, read by range.

A server that knows no ranges is read from front to back, in one request; going back means a new request from
the start. A range that fails is asked for again a few times.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from airflow_provider_tiktok.api.transport import Streamed, Transport
from airflow_provider_tiktok.exceptions import (
    TikTokMediaError,
    TikTokMediaReadError,
    TikTokTransportError,
)
from airflow_provider_tiktok.media.address import Resolver, resolve
from airflow_provider_tiktok.media.forward import BLOCK, Forward
from airflow_provider_tiktok.media.readable import MediaAccess, MediaSource, attempts, changed, within
from airflow_provider_tiktok.media.session import Session

_T = TypeVar("_T")

TRIES = 4
#: A range may take this long, plus its bytes at the slowest rate that is still worth waiting for.
RANGE_SECONDS, SLOWEST_RATE = 30.0, 128 * 1024
#: For a whole video in one request: as long as TikTok's upload address lives (Media Transfer Guide,
#: 2026-09-11).
WHOLE_SECONDS = 3600.0

_LATER = {408, 425, 429}
_REFUSED = {
    401: "Its server wants a login; give a signed URL.",
    403: "Its server does not allow it; a signed URL may have expired.",
    404: "It is not there.",
    410: "It is not there any more.",
}
_CONTENT_RANGE = re.compile(r"bytes\s+(\d+)-(\d+)/(\d+)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class _Version:
    """What must stay the same from request to request; empty where the server does not tell."""

    size: int
    etag: str
    modified: str

    @classmethod
    def of(cls, answer: Streamed, size: int) -> _Version:
        return cls(size, answer.headers.get("etag", ""), answer.headers.get("last-modified", ""))

    def same_as(self, other: _Version) -> bool:
        told = ((self.etag, other.etag), (self.modified, other.modified))
        return self.size == other.size and all(a == b for a, b in told if a and b)


class _AgainError(Exception):
    """A try failed in a way that the next one may not."""


class WebFile(MediaSource):
    """
    A video behind an https URL.

    :param url: https; plain http only to this machine and where ``access`` allows it
    :param access: what is allowed
    :param transports: makes transports; tests give fakes
    :param resolver: gives a host's addresses; tests give fakes
    :raises TikTokMediaError: a worker must not go there, or the server refuses, or does not tell the size
    :raises TikTokMediaReadError: the server did not answer, or is in trouble
    """

    def __init__(
        self,
        url: str,
        access: MediaAccess,
        *,
        transports: Callable[[], Transport] = Transport,
        resolver: Resolver = resolve,
    ) -> None:
        self._new_session = partial(Session, url, access, transports, resolver)
        self._session = self._new_session()
        self.name = self._session.start.name
        self._forward: Forward | None = None
        self._lock = threading.Lock()
        self._version: _Version | None = None
        try:
            version = self._tried(self._probe)
            version = version if version.size >= 0 else self._tried(self._head)
        except BaseException:
            self.close()
            raise
        self._version = version
        self.size = version.size

    def _probe(self) -> _Version:
        """Ask for one byte, which tells version, size (-1 = untold) and whether the server knows ranges."""
        with self._session.answer("GET", {"Range": "bytes=0-0"}, RANGE_SECONDS) as answer:
            if answer.status == 416:
                return _Version.of(answer, 0)
            self._check(answer, 200, 206)
            self.front_to_back = answer.status == 200
            if self.front_to_back:
                return _Version.of(answer, _content_length(answer))
            found = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", "").strip())
            return _Version.of(answer, int(found[3]) if found else -1)

    def _head(self) -> _Version:
        with self._session.answer("HEAD", {}, RANGE_SECONDS) as answer:
            size = _content_length(answer) if answer.status == 200 else -1
            if size < 0:
                raise TikTokMediaError(
                    f"{self.name}: its server does not tell the size (no Content-Length), and an upload to "
                    "TikTok needs it beforehand. Use another server, or copy the video to one first."
                )
            return _Version.of(answer, size)

    def read(self, start: int, length: int) -> bytes:
        """Read exactly these bytes; see :meth:`MediaSource.read`."""
        within(self, start, length)
        if not length:
            return b""
        ask = self._read_on if self.front_to_back else self._range
        with self._lock:
            return self._tried(lambda: ask(start, length))

    def _range(self, start: int, length: int) -> bytes:
        last = start + length - 1
        deadline = RANGE_SECONDS + length / SLOWEST_RATE
        with self._session.answer("GET", {"Range": f"bytes={start}-{last}"}, deadline) as answer:
            if answer.status in (200, 416):
                raise changed(self.name)
            self._check(answer, 206)
            found = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", "").strip())
            if not found or (int(found[1]), int(found[2])) != (start, last):
                raise _AgainError("the server answered another range than it was asked for")
            self._compare(answer, int(found[3]))
            data = bytearray()
            for block in answer.blocks(BLOCK):
                data += block
                if len(data) > length:
                    raise _AgainError("the server sent more than it was asked for")
        if len(data) != length:
            raise _AgainError("the answer broke off")
        return bytes(data)

    def _read_on(self, start: int, length: int) -> bytes:
        if self._forward is None or start < self._forward.position:
            self._restart()
        forward = self._forward or self._restart()
        try:
            data = forward.take(start, length)
        except (TikTokTransportError, TikTokMediaReadError, _AgainError):
            self._stop()
            raise
        if len(data) != length:
            self._stop()
            raise _AgainError("the answer broke off")
        return data

    def _restart(self) -> Forward:
        self._stop()
        self._forward = Forward(self.name, self._whole)
        return self._forward

    def _stop(self) -> None:
        if self._forward:
            self._forward.close()
        self._forward = None

    @contextmanager
    def _whole(self) -> Iterator[Iterator[bytes]]:
        session = self._new_session()  # a transport is busy for as long as a stream of it is open
        try:
            with session.answer("GET", {}, WHOLE_SECONDS) as answer:
                self._check(answer, 200)
                self._compare(answer, _content_length(answer))
                yield answer.blocks(BLOCK)
        finally:
            session.close()

    def _check(self, answer: Streamed, *wanted: int) -> None:
        status = answer.status
        if status in _LATER or status >= 500:
            raise _AgainError(f"HTTP {status}")
        if status in _REFUSED and self._version and self._session.back_to_start():
            raise _AgainError(f"HTTP {status}")
        if status not in wanted:
            raise TikTokMediaError(f"{self.name}: HTTP {status}. {_REFUSED.get(status, 'Check the URL.')}")
        if answer.headers.get("content-encoding", "identity") not in ("identity", ""):
            raise TikTokMediaError(
                f"{self.name}: its server compresses it although it was asked not to, so its bytes cannot be "
                "counted. Turn that off for videos."
            )

    def _compare(self, answer: Streamed, size: int) -> None:
        if self._version and not self._version.same_as(_Version.of(answer, size)):
            raise changed(self.name)

    def _tried(self, ask: Callable[[], _T]) -> _T:
        """Try a few times; no cause is chained, since it may hold the URL with its signature."""
        reason = ""
        for _ in attempts(TRIES):
            try:
                return ask()
            except _AgainError as error:
                reason = str(error)
            except TikTokTransportError as error:
                reason = str(error).partition(";")[0].removeprefix(f"{self.name}: ")
        raise TikTokMediaReadError(f"{self.name} could not be read in {TRIES} tries: {reason}.")

    def close(self) -> None:
        """Close all connections."""
        self._stop()
        self._session.close()


def _content_length(answer: Streamed) -> int:
    text = answer.headers.get("content-length", "")
    return int(text) if text.isdecimal() else -1
