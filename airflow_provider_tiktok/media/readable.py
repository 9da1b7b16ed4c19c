"""What every kind of media offers to those who read it, and what all kinds share."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, Self

from airflow_provider_tiktok.exceptions import TikTokMediaReadError

#: "Maximum 4GB" (Media Transfer Guide, 2026-09-11), taken at its widest: TikTok itself judges the rest.
MAX_BYTES = 4 * 1024**3

_FIRST_PAUSE = 0.5


@dataclass(frozen=True)
class MediaAccess:
    """
    How media is reached; made by the hook from the TikTok Connection.

    :param media_conn_id: ``aws``-type Connection for ``s3://``; empty = boto3's own credential chain
    :param allow_loopback: whether a media URL may lead to this machine and be plain http there; True only
        where the TikTok Connection's host is itself a loopback address, as a sandbox's is
    """

    media_conn_id: str = ""
    allow_loopback: bool = False


class MediaSource(Protocol):
    """
    Media whose bytes can be read by range; a context manager that closes itself.

    ``name`` may be shown in logs and errors: it holds no query string and no credentials. ``size`` is in
    bytes and fixed when the media is opened. ``front_to_back`` says that a byte costs reading all bytes
    before it, as with a server that knows no ranges.
    """

    name: str
    size: int
    front_to_back: bool = False

    def read(self, start: int, length: int) -> bytes:
        """
        Read exactly these bytes. Threads may call it at the same time.

        :param start: first byte, from 0
        :param length: how many bytes; at most this much is held in memory, twice
        :raises TikTokMediaReadError: they cannot be had this time, or the media has changed meanwhile
        :raises TikTokMediaError: they cannot be had any more
        """

    def close(self) -> None:
        """Let go of files and connections; may be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def within(source: MediaSource, start: int, length: int) -> None:
    """
    See that a range lies inside the media.

    :raises ValueError: it does not, which is a mistake of the caller
    """
    if start < 0 or length < 0 or start + length > source.size:
        raise ValueError(f"{source.name}: bytes {start}+{length} are not within its {source.size} bytes")


def as_file(source: MediaSource, block: int = 8 * 1024 * 1024) -> io.BufferedReader:
    """
    Give media as a file, for libraries that want one. Closing it leaves the media open.

    :param source: the media
    :param block: bytes that are read at a time
    """
    return io.BufferedReader(_File(source), block)


class _File(io.RawIOBase):
    def __init__(self, source: MediaSource) -> None:
        super().__init__()
        self._source = source
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._source.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        length = max(0, min(len(view), self._source.size - self._position))
        view[:length] = self._source.read(self._position, length) if length else b""
        self._position += length
        return length


def changed(name: str) -> TikTokMediaReadError:
    """
    Make the error for media that is no longer what was opened.

    :param name: of the media
    """
    return TikTokMediaReadError(
        f"{name} changed while it was being read, so what was read is not one video. "
        "Publish it when whatever writes it has finished."
    )


def attempts(count: int) -> Iterator[int]:
    """
    Count the tries of something that may work the next time, with a growing pause between them.

    :param count: how many tries
    """
    for attempt in range(count):
        if attempt:
            time.sleep(_FIRST_PAUSE * 2 ** (attempt - 1) * random.uniform(0.5, 1.0))  # noqa: S311
        yield attempt
