"""A video on the worker's own disk, or on whatever is mounted there."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from airflow_provider_tiktok.exceptions import TikTokError, TikTokMediaError, TikTokMediaReadError
from airflow_provider_tiktok.media.readable import MediaSource, changed, within

#: What no later try cures.
_PERMANENT = {
    errno.ENOENT: "does not exist on this worker",
    errno.ENOTDIR: "does not exist on this worker",
    errno.EACCES: "may not be read by the user this worker runs as",
    errno.EPERM: "may not be read by the user this worker runs as",
    errno.EISDIR: "is a directory; name one file",
    errno.ELOOP: "is a symbolic link that leads back to itself",
    errno.ENAMETOOLONG: "is longer than a path may be",
    errno.ENXIO: "is not a regular file",
}

#: A fifo would otherwise hold the open until somebody writes to it.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


class LocalFile(MediaSource):
    """
    A local file, read by range.

    :param path: absolute, relative to the worker's directory, or beginning with ``~``
    :raises TikTokMediaError: it is no regular file that this worker may read
    :raises TikTokMediaReadError: the disk failed
    """

    def __init__(self, path: str) -> None:
        self.name = path
        try:
            descriptor = os.open(Path(path).expanduser(), _FLAGS)
        except OSError as error:
            raise _trouble(path, error) from None
        except (ValueError, RuntimeError):  # a null byte; a user that does not exist
            raise TikTokMediaError(f"{path!r} is not a path that this worker can open.") from None
        self._file = os.fdopen(descriptor, "rb", buffering=0) if _is_file(descriptor) else None
        if self._file is None:
            kind = os.fstat(descriptor).st_mode
            os.close(descriptor)
            what = "a directory" if stat.S_ISDIR(kind) else "a pipe, socket or device"
            raise TikTokMediaError(f"{path} is {what}; name one video file.")
        self._state = self._now()
        self.size = self._state[0]

    def _now(self) -> tuple[int, int]:
        state = os.fstat(self._descriptor)
        return state.st_size, state.st_mtime_ns

    @property
    def _descriptor(self) -> int:
        if self._file is None:
            raise ValueError(f"{self.name} is closed")
        return self._file.fileno()

    def read(self, start: int, length: int) -> bytes:
        """Read exactly these bytes; see :meth:`MediaSource.read`."""
        within(self, start, length)
        pieces, missing = [], length
        try:
            while missing and (piece := os.pread(self._descriptor, missing, start + length - missing)):
                pieces.append(piece)
                missing -= len(piece)
            # Afterwards, so that a change during the reading is seen too.
            if missing or self._now() != self._state:
                raise changed(self.name)
        except OSError as error:
            raise TikTokMediaReadError(f"{self.name} could not be read: {error.strerror}.") from None
        return b"".join(pieces)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _is_file(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def _trouble(path: str, error: OSError) -> TikTokError:
    if error.errno in _PERMANENT:
        return TikTokMediaError(f"{path} {_PERMANENT[error.errno]}.")
    return TikTokMediaReadError(f"{path} could not be opened: {error.strerror}.")
