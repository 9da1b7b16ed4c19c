"""The bytes of an upload on their way: read a few pieces ahead of what is being sent, and counted."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

from airflow_provider_tiktok.api.chunks import ChunkPlan
from airflow_provider_tiktok.exceptions import TikTokMediaReadError

log = logging.getLogger(__name__)

#: One being sent, PIECES_AHEAD waiting and one being read are never more than two ranges. They pass over the
#: borders of ranges: a store takes time to answer, so that a short piece at the end of each would be dear.
PIECE = 4_000_000
PIECES_AHEAD = 1
SEND_SIZE = 1024 * 1024
PROGRESS_SECONDS = 20.0


class Readable(Protocol):
    """Anything whose bytes can be read by range."""

    size: int

    def read(self, start: int, length: int) -> bytes:
        """
        Read exactly these bytes.

        :param start: first byte
        :param length: how many
        """


class ReadAhead:
    """
    Reads the video piece by piece in a thread, a few pieces ahead of what is being sent.

    ``index`` is the range whose pieces come next.
    """

    def __init__(self, source: Readable, plan: ChunkPlan, index: int) -> None:
        self.index: int | None = index
        self._source = source
        self._plan = plan
        self._queue: queue.Queue[bytes | BaseException] = queue.Queue(PIECES_AHEAD)
        self._sent, self._at = b"", 0  # the piece that is being sent, and how far
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(index,), name="tiktok-read", daemon=True)
        self._thread.start()

    def _read(self, index: int) -> None:
        try:
            size = self._plan.size
            for start in range(self._plan.bounds(index)[0], size, PIECE):
                if self._closed.is_set():
                    return
                self._put(self._piece(start, min(PIECE, size - start)))
        except BaseException as error:  # it belongs to the thread that sends, and is raised there
            self._put(error)

    def _piece(self, start: int, length: int) -> bytes:
        piece = self._source.read(start, length)
        if len(piece) != length:  # what follows would be sent in its place
            raise TikTokMediaReadError(f"The media gave {len(piece)} bytes at {start}, not {length}.")
        return piece

    def _put(self, piece: bytes | BaseException) -> None:
        while not self._closed.is_set():
            with suppress(queue.Full):
                self._queue.put(piece, timeout=0.2)
                return

    def range(self, index: int) -> Iterator[bytes]:
        """Give the bytes of a range in blocks: of a large one httpcore copies the rest at each send."""
        first, stop = self._plan.bounds(index)
        missing = stop - first
        self.index = None
        while missing > 0:
            if self._at == len(self._sent):
                piece = self._queue.get()
                if isinstance(piece, BaseException):
                    raise piece
                self._sent, self._at = piece, 0
            block = self._sent[self._at : self._at + min(SEND_SIZE, missing)]
            self._at += len(block)
            missing -= len(block)
            yield block
        self.index = index + 1

    def close(self) -> None:
        """End the reading."""
        self._closed.set()
        self._thread.join()


class Meter:
    """A line in the task log now and then, for an upload that takes long."""

    def __init__(self, plan: ChunkPlan) -> None:
        self._size = plan.size
        self._began = self._told = time.monotonic()
        self._sent = 0

    def counted(self, first: int, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """
        Pass blocks on, and tell how far they are.

        :param first: the file's byte that they begin with
        :param blocks: bytes in order
        """
        position = first
        for block in blocks:
            yield block
            position += len(block)
            self._sent += len(block)
            now = time.monotonic()
            if now - self._told >= PROGRESS_SECONDS:
                self._told = now
                log.info(
                    "Uploaded %d %%: %.1f of %.1f MB, %.1f MB/s.",
                    100 * position // self._size,
                    position / 1e6,
                    self._size / 1e6,
                    self._sent / 1e6 / (now - self._began),
                )
