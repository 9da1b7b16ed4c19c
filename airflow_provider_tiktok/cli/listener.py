"""A web server on loopback that takes exactly one thing: TikTok's answer to the login that waits."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from queue import SimpleQueue
from socketserver import TCPServer, ThreadingMixIn
from types import TracebackType
from typing import Self, TypeAlias
from urllib.parse import urlsplit

from airflow_provider_tiktok.api.oauth import Authorization, Consent, TikTokRedirectError
from airflow_provider_tiktok.cli import pages
from airflow_provider_tiktok.exceptions import TikTokConfigError, TikTokError

LOOPBACK = "127.0.0.1"
CALLBACK_PATH = "/callback/"
#: A browser opens connections in advance, on which nothing comes; none may hold a thread for long.
_SILENCE_SECONDS = 10

#: The page to show, and what the terminal is to be told.
_Judged: TypeAlias = tuple[pages.Page, Consent | TikTokError | None]


class Listener:
    """
    Listens from its creation on, so that its port is known; answers within ``with``.

    :param port: 0 = a free one
    :param path: of the redirect URI
    :raises TikTokConfigError: the port cannot be had
    """

    def __init__(self, port: int = 0, path: str = CALLBACK_PATH) -> None:
        self.path = path
        self.outcomes: SimpleQueue[Consent | TikTokError] = SimpleQueue()
        self._ring, self.bell = socket.socketpair()
        try:
            self._server = _Server((LOOPBACK, port), self._judge, self._tell)
        except OSError as error:
            raise TikTokConfigError(
                f"Port {port} of {LOOPBACK} cannot be listened on ({error.strerror}): choose another one "
                "with --port. The app must have its redirect URI registered; 0 takes a free one."
            ) from None
        self._authorization: Authorization | None = None
        self._decided = False
        self._lock = threading.Lock()

    @property
    def redirect_uri(self) -> str:
        """The address that TikTok has to lead the browser back to."""
        return f"http://{LOOPBACK}:{self._server.server_address[1]}{self.path}"

    def expect(self, authorization: Authorization) -> Self:
        """
        Say which login's answer is to be taken.

        :param authorization: the one that waits
        """
        self._authorization = authorization
        return self

    def __enter__(self) -> Self:
        threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="tiktok-login", daemon=True
        ).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._ring.close()
        self.bell.close()

    def _judge(self, method: str, target: str) -> _Judged:
        if method != "GET" or urlsplit(target).path != self.path or self._authorization is None:
            return pages.NOT_HERE, None
        try:
            return self._take(self._authorization.consent(target), pages.ALLOWED)
        except TikTokRedirectError as error:
            return pages.FOREIGN, error
        except TikTokError as error:
            return self._take(error, pages.NOT_ALLOWED)

    def _take(self, outcome: Consent | TikTokError, page: pages.Page) -> _Judged:
        with self._lock:
            first, self._decided = not self._decided, True
        return page, outcome if first else None  # a browser may load the page again

    def _tell(self, outcome: Consent | TikTokError) -> None:
        self.outcomes.put(outcome)
        self._ring.send(b"!")


class _Server(ThreadingMixIn, TCPServer):
    # not http.server's own: that one looks the name of 127.0.0.1 up, which may take seconds
    daemon_threads = True
    block_on_close = False
    # several logins one after the other on a registered port; on Linux it steals no port that is listened on
    allow_reuse_address = True

    def __init__(
        self,
        address: tuple[str, int],
        judge: Callable[[str, str], _Judged],
        tell: Callable[[Consent | TikTokError], None],
    ) -> None:
        self.judge, self.tell = judge, tell
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a browser that hangs up is no concern of the person at the terminal."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _SILENCE_SECONDS
    server_version, sys_version = "airflow-tiktok", ""

    def _answer(self) -> None:
        page, outcome = self.server.judge(self.command, self.path)
        try:
            self._show(page)
        finally:
            # only now: a login that was not allowed ends at once, and would take the page with it
            if outcome is not None:
                self.server.tell(outcome)

    def _show(self, page: pages.Page) -> None:
        body = page.html()
        self.send_response(page.status)
        for name, value in {**pages.HEADERS, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing: the address holds the code."""
