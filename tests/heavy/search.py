"""Looks for secrets in all that a deployment has written, and in the arguments of its processes."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

LOOK_SECONDS = 0.5


class CommandLines:
    """Collects the arguments of every process of this machine while it is used; a context manager."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="command lines", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            for process in psutil.process_iter():
                with suppress(psutil.Error):
                    self.seen.add(" ".join(process.cmdline()))


def files_of(folder: Path) -> dict[str, str]:
    """Give the text of every file in a folder, by its path there."""
    return {
        str(path.relative_to(folder)): path.read_text(errors="replace")
        for path in folder.rglob("*")
        if path.is_file()
    }


def cores(secrets: list[str]) -> list[str]:
    """
    Give of each secret the long random part.

    The rest of a token has characters that look different in a form, in JSON or in an URL.
    """
    return [secret.split("!")[0].split(".")[-1] for secret in secrets]


def holding(texts: dict[str, str], words: list[str]) -> list[str]:
    """Tell which texts hold one of these words; not which word, since this is printed."""
    return [name for name, text in texts.items() if any(word in text for word in words)]
