"""Processes that publish without an Airflow around them, over a real metadata database."""

from __future__ import annotations

import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

#: Nothing here takes as long, whatever a claim is waited for.
PATIENCE_SECONDS = 120.0


class Process:
    """
    One process.

    :param number: among all of its nursery
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.pid = 0
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()

    def wait(self) -> str:
        """Wait until it stops or ends, and say which."""
        while True:
            event = self.events.get(timeout=PATIENCE_SECONDS)
            if event["event"] == "begun":
                self.pid = event["pid"]
            else:
                return str(event["event"])

    def thaw(self) -> None:
        """Let a stopped process go on."""
        os.kill(self.pid, signal.SIGCONT)


class Nursery:
    """
    Where processes come from; a context manager.

    :param environment: of the processes, beside this one's
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {**os.environ, **environment}
        self._processes: dict[int, Process] = {0: Process(0)}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._program = subprocess.Popen(
            [sys.executable, "-m", "tests.heavy.publish.nursery"],
            env=self._environment,
            cwd=Path(__file__).parents[3],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._thread = threading.Thread(target=self._listen, name="nursery", daemon=True)
        self._thread.start()
        assert self._processes[0].wait() == "ready"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._program.stdin
        self._program.stdin.close()
        self._program.wait(30)
        self._thread.join()

    def begin(self, order: dict[str, Any]) -> Process:
        """Have a process begin."""
        assert self._program.stdin
        with self._lock:
            process = Process(next(self._numbers))
            self._processes[process.number] = process
            self._program.stdin.write(json.dumps({**order, "number": process.number}) + "\n")
            self._program.stdin.flush()
        return process

    def _listen(self) -> None:
        assert self._program.stdout
        for line in self._program.stdout:
            if line.startswith("{"):
                event = json.loads(line)
                self._processes[event["number"]].events.put(event)
        for process in self._processes.values():
            process.events.put({"event": "lost"})
