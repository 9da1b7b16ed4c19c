"""A video in any object storage that Airflow has a filesystem for."""

from __future__ import annotations

import threading
from typing import Any

from airflow_provider_tiktok.exceptions import TikTokError, TikTokMediaError, TikTokMediaReadError
from airflow_provider_tiktok.media.readable import MediaSource, changed, within

#: What no later try cures.
_PERMANENT: dict[type[Exception], str] = {
    FileNotFoundError: "does not exist",
    NotADirectoryError: "does not exist",
    IsADirectoryError: "is a directory; name one video file",
    PermissionError: "may not be read with the credentials of its Connection",
}


class StorageFile(MediaSource):
    """
    A file of an fsspec filesystem, read by range.

    fsspec's own caches are off: its default read-ahead is for readers that do not know what comes next.
    A change of the file is noticed where the filesystem tells of one.

    :param filesystem: an fsspec filesystem
    :param path: of the file, as the filesystem names it
    :param name: as it may be shown
    :raises TikTokMediaError: there is no such file, or it may not be read
    :raises TikTokMediaReadError: the storage did not answer
    """

    def __init__(self, filesystem: Any, path: str, name: str) -> None:
        self.name = name
        self._filesystem = filesystem
        self._path = path
        self._lock = threading.Lock()
        try:
            state = filesystem.info(path)
            self.size = int(state["size"] or 0)
            self._key = filesystem.ukey(path)
            self._file = filesystem.open(path, "rb", cache_type="none")
        except Exception as error:
            raise self._trouble(error) from None
        if state.get("type") == "directory":
            raise self._trouble(IsADirectoryError())

    def read(self, start: int, length: int) -> bytes:
        """Read exactly these bytes; see :meth:`MediaSource.read`."""
        within(self, start, length)
        try:
            with self._lock:  # one position for all threads
                self._file.seek(start)
                data = bytes(self._file.read(length))
                same = self._filesystem.ukey(self._path) == self._key
        except Exception as error:
            raise self._trouble(error) from None
        if len(data) != length or not same:
            raise changed(self.name)
        return data

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _trouble(self, error: Exception) -> TikTokError:
        """Say what happened. The cause's own text is left out: a filesystem may put a signed URL into it."""
        for kind, trouble in _PERMANENT.items():
            if isinstance(error, kind):
                return TikTokMediaError(f"{self.name} {trouble}.")
        return TikTokMediaReadError(f"{self.name} could not be read ({type(error).__name__}).")
