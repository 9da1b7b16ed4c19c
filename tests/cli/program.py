"""``airflow-tiktok`` as a process of its own, with an Airflow home of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_URL = re.compile(r"https?://\S+/v2/auth/authorize/\?\S+")


def environment(home: Path, **more: str) -> dict[str, str]:
    """An environment without anything of the developer's, and with the most talkative logs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "TIKTOK"))}
    return {
        **{
            name: value
            for name, value in kept.items()
            if name not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
        },
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
        "AIRFLOW__TIKTOK__CLAIM_WRITE_SECONDS": "0.2",
        "PYTHONUNBUFFERED": "1",
        **more,
    }


class Program:
    """A command that runs; ``out`` and ``err`` are what it has printed."""

    def __init__(self, home: Path, *arguments: str, stdin: Any = subprocess.DEVNULL, **more: str) -> None:
        command = [sys.executable, "-m", "airflow_provider_tiktok.cli", *arguments]
        # what a shell starts in the background ignores Ctrl-C, and so does all that is started by that
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(home, **more),
            text=True,
        )
        signal.signal(signal.SIGINT, before)
        self.out, self.err = "", ""
        self._readers = [threading.Thread(target=self._read, args=(name,)) for name in ("out", "err")]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str) -> None:
        stream = getattr(self.process, f"std{name}")
        for line in iter(stream.readline, ""):
            setattr(self, name, getattr(self, name) + line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.ended()

    def url(self, seconds: float = 60) -> str:
        """Wait for the address to open."""
        until = time.monotonic() + seconds
        while not (found := _URL.search(self.err)) or "Waiting for" not in self.err:
            assert self.process.poll() is None, self.err
            assert time.monotonic() < until, self.err
            time.sleep(0.05)
        return found[0]

    def ended(self, seconds: float = 60) -> int:
        """Wait for its end; gives the exit code."""
        code = self.process.wait(seconds)
        for reader in self._readers:
            reader.join(5)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        return code


def command_lines() -> list[str]:
    """The arguments of every process of this machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # it has just ended
            continue
    return found
