"""Where processes of Airflow tell the test what they are about to do, and wait until it lets them."""

from __future__ import annotations

import json
import queue
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Visitor:
    """
    A process that waits at the gate.

    :param said: what it has told: ``pid`` and whatever the DAG adds
    """

    said: dict[str, Any]
    _connection: socket.socket = field(repr=False)

    def let_go(self, answer: str = "") -> None:
        """Let it go on; does nothing where it has died meanwhile."""
        with suppress(OSError), self._connection as connection:
            connection.sendall(answer.encode() + b"\n")


class Gate:
    """A TCP server on loopback, to which tasks come one line at a time; a context manager."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._came: queue.Queue[Visitor] = queue.Queue()
        self._thread = threading.Thread(target=self._listen, name="gate", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()

    def next(self, seconds: float) -> Visitor | None:
        """Give the next one that has come, or None if nobody has for so long."""
        with suppress(queue.Empty):
            return self._came.get(timeout=seconds)
        return None

    def all(self, count: int, seconds: float) -> list[Visitor]:
        """Give that many, once they are all there."""
        there: list[Visitor] = []
        for _ in range(count):
            visitor = self.next(seconds)
            assert visitor, f"only {len(there)} of {count} have come: {[each.said for each in there]}"
            there.append(visitor)
        return there

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            connection.settimeout(10.0)
            with suppress(OSError, ValueError):  # whoever dies while talking has not come
                said = json.loads(connection.makefile("r").readline())
                connection.settimeout(None)
                self._came.put(Visitor(said, connection))
