"""Reading ranges from something that can only be read from front to back."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress

from airflow_provider_tiktok.exceptions import TikTokMediaReadError

BLOCK = 256 * 1024
BLOCKS_AHEAD = 8
#: Longer than any pause of a server that still works.
STALL_SECONDS = 60.0


class Forward:
    """
    One reading of a stream, in a thread that opens and closes it.

    A thread of its own, because a stream must be closed by whom it was opened, and because only who waits
    for a thread, and not for a socket, can give up on a server that has fallen silent.

    :param name: of the stream, for errors
    :param stream: opens the stream and gives its blocks
    """

    def __init__(self, name: str, stream: Callable[[], AbstractContextManager[Iterator[bytes]]]) -> None:
        self.position = 0
        self._name = name
        self._stream = stream
        self._rest = b""
        self._ended = False
        self._queue: queue.Queue[bytes | BaseException | None] = queue.Queue(BLOCKS_AHEAD)
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="tiktok-media", daemon=True).start()

    def _run(self) -> None:
        try:
            with self._stream() as blocks:
                for block in blocks:
                    self._put(block)
                    if self._closed.is_set():
                        return
            self._put(None)
        except BaseException as error:  # it belongs to the thread that reads, and is raised there
            self._put(error)

    def _put(self, item: bytes | BaseException | None) -> None:
        while not self._closed.is_set():
            with suppress(queue.Full):
                self._queue.put(item, timeout=0.2)
                return

    def take(self, start: int, length: int) -> bytes:
        """
        Read on to a range, throwing away what lies before it, and give it.

        :param start: first byte; not before ``position``
        :param length: how many bytes
        :return: the bytes; fewer where the stream ended
        :raises TikTokMediaReadError: the stream has stalled
        """
        self._some(start - self.position, keep=False)
        return self._some(length, keep=True)

    def _some(self, length: int, *, keep: bool) -> bytes:
        kept, missing = [], length
        while missing > 0:
            block = self._rest or self._next()
            if not block:
                break
            piece, self._rest = block[:missing], block[missing:]
            missing -= len(piece)
            self.position += len(piece)
            if keep:
                kept.append(piece)
        return b"".join(kept)

    def _next(self) -> bytes:
        if self._ended:  # nothing comes any more, and waiting for it would be in vain
            return b""
        try:
            item = self._queue.get(timeout=STALL_SECONDS)
        except queue.Empty:
            raise TikTokMediaReadError(f"{self._name}: no byte came in {STALL_SECONDS:g} s.") from None
        self._ended = not isinstance(item, bytes)
        if isinstance(item, BaseException):
            raise item
        return item or b""

    def close(self) -> None:
        """Stop reading; a thread that waits for a silent server ends with its request's deadline."""
        self._closed.set()
