"""A video as the file that FFmpeg reads its header from, in a few small pieces however large it is."""

from __future__ import annotations

import io
import struct
from collections import deque

from airflow_provider_tiktok.exceptions import TikTokMediaError, TikTokMediaReadError
from airflow_provider_tiktok.media.readable import MediaSource

#: An MP4 has a handful of boxes before its first pictures.
_MOST_BOXES = 32


class HeaderFile:
    """
    A source as the file that PyAV wants: read where FFmpeg asks, a little at first, more where it reads on.

    PyAV prints an exception of a read into the log, and FFmpeg may take it for a broken video. So none is
    raised here: the file just ends, and ``failure`` and ``too_far`` tell why.

    :param source: the video
    """

    #: Bytes of the first piece after a jump, since most jumps look at one box; reading on doubles them.
    SHORTEST, LONGEST = 16 * 1024, 256 * 1024
    #: Pieces kept, since FFmpeg goes back by a few bytes, and from pictures to header.
    KEPT = 8
    #: A header of a 10-minute video is below 1 MiB; one of 4 GiB in tiny frames below this.
    MOST = 32 * 1024 * 1024
    #: A fragmented video without an index is read at the start of each fragment, a request each.
    MOST_READS = 300

    def __init__(self, source: MediaSource) -> None:
        self.failure: TikTokMediaReadError | TikTokMediaError | None = None
        self.too_far = False
        self._source = source
        self._position = 0
        self._pieces: deque[tuple[int, bytes]] = deque(maxlen=self.KEPT)
        self._fetched = self._reads = 0
        self._next, self._length = -1, self.SHORTEST
        self._spared, self._spared_left = range(0), 0

    def spare(self, pictures: range, most: int) -> None:
        """
        Give only a little of the pictures: FFmpeg reads the first one whole, and the header tells enough.

        :param pictures: where they lie, in bytes
        :param most: how many bytes of them are fetched; then the file ends there
        """
        self._spared, self._spared_left = pictures, most

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be read anywhere."""
        return True

    def tell(self) -> int:
        """Give the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """
        Go to a position.

        :param offset: in bytes
        :param whence: from where, as of any file
        """
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._source.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int) -> bytes:
        """
        Read on; less than asked for at the end of a piece, nothing at the end and after a failure.

        :param size: how many bytes at most
        """
        start, piece = self._piece(self._position)
        offset = self._position - start
        data = piece[offset : offset + size]
        self._position += len(data)
        return data

    def _piece(self, position: int) -> tuple[int, bytes]:
        for start, piece in self._pieces:
            if start <= position < start + len(piece):
                return start, piece
        found = position, self._fetch(position)
        if found[1]:
            self._pieces.append(found)
        return found

    def _fetch(self, start: int) -> bytes:
        length = self._allowed(start, self._planned(start))
        self.too_far |= (
            self._fetched + length > self.MOST
            or self._reads >= self.MOST_READS
            or (self._source.front_to_back and start >= self.MOST)
        )
        if length <= 0 or self.failure or self.too_far:
            return b""
        self._fetched += length
        self._reads += 1
        self._next = start + length
        try:
            return self._source.read(start, length)
        except (TikTokMediaReadError, TikTokMediaError) as error:
            self.failure = error
            return b""

    def _planned(self, start: int) -> int:
        self._length = min(self._length * 2, self.LONGEST) if start == self._next else self.SHORTEST
        return min(self._length, self._source.size - start)

    def _allowed(self, start: int, length: int) -> int:
        if start in self._spared:
            length = min(length, self._spared_left)
            self._spared_left -= max(length, 0)
        elif start < self._spared.start:
            length = min(length, self._spared.start - start)
        return length


def first_pictures(file: HeaderFile) -> range:
    """
    Find the first ``mdat`` box of an MP4 or MOV file, in which the first picture lies.

    :param file: the video
    :return: its bytes; none where there is no such box, or the boxes before it are broken
    """
    end, at, found = file.seek(0, io.SEEK_END), 0, range(0)
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            break
        length, name = struct.unpack(">I4s", head)
        if length == 1:
            length = int.from_bytes(file.read(8), "big")
        following = at + length if length else end
        if name == b"mdat":
            found = range(at, following)
        if found or following < at + 8:
            break
        at = following
    file.seek(0)
    return found
