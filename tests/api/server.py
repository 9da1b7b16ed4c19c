"""A server for one test: it speaks as badly as it is told to."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress

Behave = Callable[["Server", socket.socket, bytes], bool]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"


class Server:
    """
    Listens on a free port of loopback; each connection has a thread of its own.

    :param behave: called with each request that came in whole; the connection ends when it returns False
    :param context: speaks TLS with it
    """

    def __init__(self, behave: Behave, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.ended = threading.Event()
        self._behave = behave
        self._context = context
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while not self.ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._talk, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _talk(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError):
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            while True:
                request = _whole_request(connection)
                self.requests.append(request)
                if not self._behave(self, connection, request):
                    break
        with suppress(OSError):
            connection.close()

    def drip(self, connection: socket.socket, byte: bytes = b"x") -> bool:
        """Send a byte now and then, for ever."""
        while not self.ended.wait(0.02):
            connection.sendall(byte)
        return False

    def hang(self) -> bool:
        """Do nothing, for ever."""
        self.ended.wait()
        return False

    def close(self) -> None:
        """End everything, and see that it has ended."""
        self.ended.set()
        for each in (self._listener, *self._open):
            with suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)
            with suppress(OSError):
                each.close()
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()


def reset(connection: socket.socket) -> bool:
    """End a connection with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def _whole_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    parts, have = [body], len(body)
    while have < length:
        parts.append(_some(connection))
        have += len(parts[-1])
    return head + b"\r\n\r\n" + b"".join(parts)


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ValueError("closed")
    return data
