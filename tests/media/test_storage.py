"""Files of object storages: what goes wrong there is told, without what the storage itself says."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_tiktok.exceptions import TikTokMediaError, TikTokMediaReadError
from airflow_provider_tiktok.media.storage import StorageFile

SIGNED = "https://store.example/clip.mp4?signature=very-secret"


@pytest.fixture
def storage() -> MemoryFileSystem:
    made = MemoryFileSystem()
    made.store.clear()  # one for the whole process
    made.pipe("/renders/clip.mp4", b"0123456789")
    return made


def opened(storage: Any, path: str = "/renders/clip.mp4") -> StorageFile:
    return StorageFile(storage, path, "gs://renders/clip.mp4")


def test_ranges(storage: MemoryFileSystem) -> None:
    with opened(storage) as file:
        assert (file.size, file.read(2, 3), file.read(0, 10)) == (10, b"234", b"0123456789")


def test_no_file(storage: MemoryFileSystem) -> None:
    with pytest.raises(TikTokMediaError, match=r"gs://renders/clip\.mp4 does not exist"):
        opened(storage, "/renders/other.mp4")


def test_a_directory(storage: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some storages open those, too, as an empty object of that name."""
    monkeypatch.setattr(storage, "info", lambda _: {"size": 0, "type": "directory"})
    with pytest.raises(TikTokMediaError, match="is a directory"):
        opened(storage)


@pytest.mark.parametrize(
    ("error", "kind"),
    [(PermissionError(SIGNED), TikTokMediaError), (OSError(SIGNED), TikTokMediaReadError)],
)
def test_a_storage_that_does_not_answer(
    storage: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[Exception]
) -> None:
    monkeypatch.setattr(storage, "info", _raises(error))
    with pytest.raises(kind) as caught:
        opened(storage)
    assert "secret" not in str(caught.value)


def test_a_read_that_fails(storage: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    """Retryable, and without the address that the storage names."""
    with opened(storage) as file:
        monkeypatch.setattr(file._file, "seek", _raises(ConnectionResetError(SIGNED)))
        with pytest.raises(TikTokMediaReadError, match="ConnectionResetError") as caught:
            file.read(0, 4)
    assert "secret" not in str(caught.value)


def test_a_file_that_has_become_shorter(storage: MemoryFileSystem) -> None:
    """What follows would be sent in its place."""
    with opened(storage) as file:
        file._file = io.BytesIO(b"012")
        with pytest.raises(TikTokMediaReadError, match="changed"):
            file.read(0, 10)


def _raises(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail
