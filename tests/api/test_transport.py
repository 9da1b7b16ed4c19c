"""Deadlines, silence and the question "was it sent?", against real sockets."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import httpx
import pytest

from airflow_provider_tiktok.api import transport as transport_module
from airflow_provider_tiktok.api.transport import Answer, AsyncTransport, Request, Transport
from airflow_provider_tiktok.exceptions import (
    TikTokMediaReadError,
    TikTokNoAnswerError,
    TikTokNothingSentError,
    TikTokProtocolError,
)
from tests.api.conftest import Sender
from tests.api.server import OK, Behave, Server, reset

Serve = Callable[..., Server]
DEADLINE = 0.3
#: What a busy machine may add to a deadline.
SLACK = 1.5


def good(server: Server, connection: socket.socket, request: bytes) -> bool:
    connection.sendall(OK)
    return True


def silent(server: Server, connection: socket.socket, request: bytes) -> bool:
    return server.hang()


def drips_status(server: Server, connection: socket.socket, request: bytes) -> bool:
    connection.sendall(b"HTTP/1.1 200 O")
    return server.drip(connection)


def drips_headers(server: Server, connection: socket.socket, request: bytes) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    return server.drip(connection)


def drips_body(server: Server, connection: socket.socket, request: bytes) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    return server.drip(connection)


def drips_informational(server: Server, connection: socket.socket, request: bytes) -> bool:
    return server.drip(connection, b"HTTP/1.1 100 Continue\r\n\r\n")


def closes(server: Server, connection: socket.socket, request: bytes) -> bool:
    return False


def cuts_headers(server: Server, connection: socket.socket, request: bytes) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
    return False


def cuts_after_headers(server: Server, connection: socket.socket, request: bytes) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    return False


def cuts_body(server: Server, connection: socket.socket, request: bytes) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
    return False


def resets(server: Server, connection: socket.socket, request: bytes) -> bool:
    return reset(connection)


def no_http(server: Server, connection: socket.socket, request: bytes) -> bool:
    connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
    return False


def no_gzip(server: Server, connection: socket.socket, request: bytes) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc")
    return True


HANGS = (silent, drips_status, drips_headers, drips_body, drips_informational)
BREAKS = (closes, cuts_headers, cuts_after_headers, cuts_body, resets, no_http, no_gzip)


def after_one_good(behave: Behave) -> Behave:
    """Answer the first request well, so that the next one comes on the same connection."""

    def both(server: Server, connection: socket.socket, request: bytes) -> bool:
        first = len(server.requests) == 1
        return good(server, connection, request) if first else behave(server, connection, request)

    return both


def ask(url: str, **more: object) -> Request:
    return Request("TikTok: test", "POST", f"{url}/x?secret=SECRETURL", **{"deadline": DEADLINE} | more)  # type: ignore[arg-type]


def took(began: float) -> float:
    return time.monotonic() - began


# --- sent, and not answered ---


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("reused", [False, True], ids=["fresh", "reused"])
@pytest.mark.parametrize("behave", HANGS, ids=lambda each: each.__name__)
def test_deadline_holds(sender: Sender, serve: Serve, behave: Behave, reused: bool, tls: bool) -> None:
    """Whatever the server does, no request takes longer than it was given."""
    server = serve(after_one_good(behave) if reused else behave, tls=tls)
    first = [ask(server.url, deadline=5.0)] if reused else []
    began = time.monotonic()
    *_, got = sender.send(*first, ask(server.url))
    assert DEADLINE <= took(began) < DEADLINE + SLACK
    if isinstance(got, TikTokNothingSentError):  # a machine too busy to send it in time
        assert len(server.requests) == reused
        return
    assert isinstance(got, TikTokNoAnswerError)
    assert "no answer within 0.3 s" in str(got)
    assert server.connections == 1


@pytest.mark.parametrize("reused", [False, True], ids=["fresh", "reused"])
@pytest.mark.parametrize("behave", BREAKS, ids=lambda each: each.__name__)
def test_broken_answer_is_a_lost_one(sender: Sender, serve: Serve, behave: Behave, reused: bool) -> None:
    server = serve(after_one_good(behave) if reused else behave)
    first = [ask(server.url)] if reused else []
    *_, got = sender.send(*first, ask(server.url, deadline=5.0))
    assert isinstance(got, TikTokNoAnswerError)
    assert "may have acted" in str(got)
    assert len(server.requests) == 1 + reused


def test_body_that_nobody_reads(sender: Sender, serve: Serve) -> None:
    """The deadline covers the sending too."""

    def never_reads(server: Server, connection: socket.socket, request: bytes) -> bool:
        raise AssertionError

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        began = time.monotonic()
        (got,) = sender.send(ask(url, content=bytes(64_000_000)))
    assert took(began) < DEADLINE + SLACK
    assert isinstance(got, TikTokNoAnswerError)


def test_silence_may_be_shorter_than_the_deadline(sender: Sender, serve: Serve) -> None:
    """For answers so long that only their silence tells that they will not end."""
    began = time.monotonic()
    (got,) = sender.send(ask(serve(silent).url, deadline=30.0, idle=0.3))
    assert took(began) < 0.3 + SLACK
    assert isinstance(got, TikTokNoAnswerError)
    (got,) = sender.send(ask(serve(drips_body).url, deadline=0.9, idle=0.3))
    assert "no answer within 0.9 s" in str(got)


@pytest.mark.parametrize("behave", [silent, drips_body], ids=lambda each: each.__name__)
def test_works_again_after_a_cut(sender: Sender, serve: Serve, behave: Behave) -> None:
    def once(server: Server, connection: socket.socket, request: bytes) -> bool:
        return (behave if len(server.requests) == 1 else good)(server, connection, request)

    server = serve(once)
    cut, answer = sender.send(ask(server.url), ask(server.url))
    assert isinstance(cut, TikTokNoAnswerError)
    assert getattr(answer, "body", cut) == b"{}"
    assert server.connections == 2


# --- never sent ---


def test_connection_refused(sender: Sender) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    (got,) = sender.send(ask(f"http://127.0.0.1:{port}"))
    assert isinstance(got, TikTokNothingSentError)
    assert "TikTok: test: no connection to 127.0.0.1" in str(got)
    assert "Connection refused" in str(got) or "Connect call failed" in str(got)


def test_name_that_does_not_resolve(sender: Sender) -> None:
    (got,) = sender.send(ask("http://nowhere.invalid", deadline=5.0))
    assert isinstance(got, TikTokNothingSentError)
    assert "nowhere.invalid" in str(got)


def test_server_that_speaks_no_tls(sender: Sender, serve: Serve) -> None:
    server = serve(good)
    (got,) = sender.send(ask(server.url.replace("http:", "https:")))
    assert isinstance(got, TikTokNothingSentError)
    assert server.requests == []


def test_certificate_that_nobody_signed(
    sender: Sender, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(good, tls=True)
    monkeypatch.delenv("SSL_CERT_FILE")
    (got,) = sender.send(ask(server.url))
    assert isinstance(got, TikTokNothingSentError)
    assert "certificate" in str(got).lower()
    assert server.requests == []


def test_certificate_of_another_name(sender: Sender, serve: Serve) -> None:
    server = serve(good, tls=True)
    (got,) = sender.send(ask(server.url, sni="open.tiktokapis.com"))
    assert isinstance(got, TikTokNothingSentError)
    assert server.requests == []


def test_tls_that_never_ends_its_handshake(sender: Sender) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        began = time.monotonic()
        (got,) = sender.send(ask(f"https://127.0.0.1:{listener.getsockname()[1]}"))
    assert took(began) < 2 * DEADLINE + SLACK
    assert isinstance(got, TikTokNothingSentError)


@pytest.fixture
def full() -> Iterator[int]:
    """A port that takes no more connections, and says nothing about it."""
    with ExitStack() as stack:
        listener = stack.enter_context(closing(socket.socket()))
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(closing(socket.socket()))
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        time.sleep(0.05)
        yield listener.getsockname()[1]


def test_connection_that_never_comes(sender: Sender, full: int) -> None:
    began = time.monotonic()
    (got,) = sender.send(ask(f"http://127.0.0.1:{full}"))
    assert took(began) < DEADLINE + SLACK
    assert isinstance(got, TikTokNothingSentError)


def test_many_addresses_share_one_deadline(
    sender: Sender, full: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name with twelve dead addresses must not take twelve times as long."""
    if sender.kind == "sync":
        pytest.xfail("httpx offers no way to end a connect from outside; nothing is sent late, though")
    place = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", full))
    real = socket.getaddrinfo

    def many(host: object, *more: object, **named: object) -> object:
        name = host.decode() if isinstance(host, bytes) else host
        return [place] * 12 if name == "many.example" else real(host, *more, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", many)
    began = time.monotonic()
    (got,) = sender.send(ask(f"http://many.example:{full}"))
    assert took(began) < DEADLINE + SLACK
    assert isinstance(got, TikTokNothingSentError)


def test_nothing_leaves_after_the_deadline(
    sender: Sender, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resolver cannot be interrupted; what it held up for too long is not sent any more."""
    server = serve(good)
    real = socket.getaddrinfo

    def slow(host: object, *more: object, **named: object) -> object:
        time.sleep(DEADLINE + 0.1)
        return real(host, *more, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    (got,) = sender.send(ask(server.url.replace("127.0.0.1", "localhost")))
    assert isinstance(got, TikTokNothingSentError)
    assert server.requests == []


# --- several at once ---


def test_second_thread_waits_and_the_firsts_deadline_does_not_hit_it(serve: Serve) -> None:
    """The first is cut; the second, which waited for it, gets its answer."""
    asked = threading.Event()

    def first_hangs(server: Server, connection: socket.socket, request: bytes) -> bool:
        asked.set()
        return silent(server, connection, request) if b"/x?" in request else good(server, connection, request)

    server, transport, got = serve(first_hangs), Transport(), []

    def second() -> None:
        asked.wait()
        got.append(transport.send(Request("TikTok: second", "GET", f"{server.url}/y", deadline=5.0)))

    thread = threading.Thread(target=second)
    thread.start()
    with pytest.raises(TikTokNoAnswerError):
        transport.send(ask(server.url))
    thread.join(5)
    assert [each.body for each in got] == [b"{}"]
    transport.close()


def test_waiting_for_another_thread_counts(serve: Serve) -> None:
    """A request's deadline runs from when it was asked for; what never had its turn was never sent."""
    server, transport, got = serve(silent), Transport(), {}

    def first() -> None:
        with pytest.raises(TikTokNoAnswerError):
            transport.send(ask(server.url, deadline=2.0))
        got["first"] = True

    thread = threading.Thread(target=first)
    thread.start()
    while not server.requests:
        time.sleep(0.01)
    began = time.monotonic()
    with pytest.raises(TikTokNothingSentError):
        transport.send(ask(server.url))
    assert took(began) < 1.5
    thread.join(5)
    assert got["first"]
    assert len(server.requests) == 1
    transport.close()


def test_old_deadline_does_not_touch_the_next_request(serve: Serve) -> None:
    """On one connection: the first is answered, the second takes longer than the first was allowed to."""

    def slow_second(server: Server, connection: socket.socket, request: bytes) -> bool:
        if len(server.requests) == 2:
            time.sleep(DEADLINE * 2)
        return good(server, connection, request)

    server = serve(slow_second)
    for answer in Sender("sync").send(ask(server.url), ask(server.url, deadline=5.0)):
        assert getattr(answer, "body", answer) == b"{}"
    assert server.connections == 1


async def test_async_requests_run_side_by_side(serve: Serve) -> None:
    """In a triggerer one that hangs holds up no other."""

    def picky(server: Server, connection: socket.socket, request: bytes) -> bool:
        return silent(server, connection, request) if b"/x?" in request else good(server, connection, request)

    server, transport = serve(picky), AsyncTransport()
    hung = [asyncio.create_task(transport.send(ask(server.url, deadline=1.0))) for _ in range(5)]
    await asyncio.sleep(0.1)
    began = time.monotonic()
    answer = await transport.send(Request("TikTok: y", "GET", f"{server.url}/y", deadline=1.0))
    assert answer.status == 200
    assert took(began) < 0.5
    for each in hung:
        each.cancel()
    await asyncio.gather(*hung, return_exceptions=True)
    await transport.aclose()


def test_no_thread_is_left(serve: Serve) -> None:
    server = serve(good)
    before = threading.active_count()
    Sender("sync").send(*[ask(server.url, deadline=60.0)] * 5)
    time.sleep(0.1)
    assert threading.active_count() <= before + 1  # the server's, for the connection


# --- through a proxy ---


@pytest.mark.parametrize("behave", [silent, drips_body], ids=lambda each: each.__name__)
def test_deadline_holds_through_a_proxy(
    sender: Sender, serve: Serve, behave: Behave, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many workers reach TikTok only through one."""
    server, tunnels = serve(behave, tls=True), []

    def tunnel(proxy: Server, connection: socket.socket, request: bytes) -> bool:
        assert request.startswith(b"CONNECT ")
        tunnels.append(request)
        far = socket.create_connection(("127.0.0.1", server.port))
        proxy._open.append(far)
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        back = threading.Thread(target=_pump, args=(far, connection), daemon=True)
        proxy._threads.append(back)
        back.start()
        _pump(connection, far)
        return False

    proxy = serve(tunnel)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    began = time.monotonic()
    (got,) = sender.send(ask("https://tiktok.test"))  # known to the proxy only
    assert took(began) < DEADLINE + SLACK
    assert isinstance(got, TikTokNoAnswerError)
    assert len(tunnels) == len(server.requests) == 1


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_loopback_is_never_asked_through_a_proxy(
    sender: Sender, serve: Serve, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy's own loopback is not ours."""
    server, proxy = serve(good), serve(good)
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    (got,) = sender.send(ask(server.url.replace("127.0.0.1", name)))
    assert isinstance(got, Answer)
    assert proxy.requests == []


def test_proxy_that_refuses(sender: Sender, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(server: Server, connection: socket.socket, request: bytes) -> bool:
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        return True

    monkeypatch.setenv("HTTPS_PROXY", serve(refuse).url)
    (got,) = sender.send(ask("https://open.tiktokapis.com"))
    assert isinstance(got, TikTokNothingSentError)


# --- what an answer may be ---


def test_answer_is_read_whole(sender: Sender, serve: Serve) -> None:
    def chunked(server: Server, connection: socket.socket, request: bytes) -> bool:
        connection.sendall(
            b"HTTP/1.1 416 Nope\r\nTransfer-Encoding: chunked\r\nContent-Range: bytes 0-9/20\r\n\r\n"
        )
        connection.sendall(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        return True

    (got,) = sender.send(ask(serve(chunked).url))
    assert (got.status, got.body) == (416, b"abcde")  # type: ignore[union-attr]
    assert got.headers["content-range"] == "bytes 0-9/20"  # type: ignore[union-attr]


@pytest.mark.parametrize("length", [b"Content-Length: 9000000", b"Transfer-Encoding: chunked"])
def test_answer_without_end(sender: Sender, serve: Serve, length: bytes) -> None:
    """Memory is not TikTok's, nor a captive portal's, to fill."""

    def floods(server: Server, connection: socket.socket, request: bytes) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n\r\n")
        for _ in range(150):
            connection.sendall((b"10000\r\n" if b"chunked" in length else b"") + bytes(65536))
            connection.sendall(b"\r\n" if b"chunked" in length else b"")
        return False

    (got,) = sender.send(ask(serve(floods).url, deadline=10.0))
    assert isinstance(got, TikTokProtocolError)
    assert "TikTok: test" in str(got)


def test_redirect_is_an_answer(sender: Sender, serve: Serve) -> None:
    other = serve(good)

    def elsewhere(server: Server, connection: socket.socket, request: bytes) -> bool:
        connection.sendall(
            f"HTTP/1.1 302 Found\r\nLocation: {other.url}/\r\nContent-Length: 0\r\n\r\n".encode()
        )
        return True

    (got,) = sender.send(ask(serve(elsewhere).url))
    assert got.status == 302  # type: ignore[union-attr]
    assert other.requests == []


def test_cookies_are_not_sent_back(sender: Sender, serve: Serve) -> None:
    def sets(server: Server, connection: socket.socket, request: bytes) -> bool:
        connection.sendall(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b; Path=/\r\n\r\n"))
        return True

    server = serve(sets)
    sender.send(ask(server.url), ask(server.url))
    assert len(server.requests) == 2
    assert not any(b"cookie" in each.lower() for each in server.requests)


def test_early_answer_to_a_long_body_is_taken(serve: Serve) -> None:
    """A server may refuse an upload before it has read it all."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 20):
                pass
            connection.close()

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        request = ask(
            f"http://127.0.0.1:{listener.getsockname()[1]}", content=bytes(20_000_000), deadline=5.0
        )
        (got,) = Sender("sync").send(request)
        assert getattr(got, "status", got) == 403
        thread.join(5)


def test_error_of_the_body_comes_as_it_is(serve: Serve) -> None:
    """What goes wrong while reading the media is not what goes wrong with TikTok."""

    def body() -> Iterator[bytes]:
        yield b"a" * 10
        raise TikTokMediaReadError("disk")

    server = serve(good)
    (got,) = Sender("sync").send(ask(server.url, content=body(), headers={"Content-Length": "20"}))
    assert isinstance(got, TikTokMediaReadError)


def test_error_of_whoever_reads_a_stream_comes_as_it_is(serve: Serve) -> None:
    transport = Transport()
    with pytest.raises(KeyError), transport.stream(ask(serve(good).url)):
        raise KeyError
    transport.close()


@pytest.mark.parametrize("value", ["act.1\nX-Evil: y", "act.1\r", "act.\u2026", "act.\x00"], ids=ascii)
def test_header_that_cannot_be_sent(sender: Sender, serve: Serve, value: str) -> None:
    server = serve(good)
    (got,) = sender.send(ask(server.url, headers={"Authorization": value}))
    assert isinstance(got, TikTokNothingSentError)
    assert "act." not in str(got)
    assert server.requests == []


# --- silence ---


class Everything(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def heard() -> Iterator[Everything]:
    """All that any logger says at DEBUG."""
    names = [None, "httpx", "httpcore", "httpcore.connection", "httpcore.http11", "httpcore.proxy", "asyncio"]
    before = {name: logging.getLogger(name).level for name in names}
    handler = Everything()
    logging.getLogger().addHandler(handler)
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield handler
    logging.getLogger().removeHandler(handler)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


SECRET = "SECRETURL", "SECRETHEADER", "SECRETBODY", "SECRETCOOKIE", "SECRETANSWER"


def echoes(server: Server, connection: socket.socket, request: bytes) -> bool:
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nX-Echo: SECRETANSWER\r\nSet-Cookie: a=SECRETCOOKIE\r\n"
        b"Content-Length: 12\r\n\r\nSECRETANSWER"
    )
    return True


def breaks_loudly(server: Server, connection: socket.socket, request: bytes) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\nSECRETANSWER\r\n\r\n")
    return False


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(
    "behave", [echoes, closes, breaks_loudly, cuts_body, silent], ids=lambda each: each.__name__
)
def test_no_secret_in_logs_or_errors(
    sender: Sender, serve: Serve, heard: Everything, behave: Behave, tls: bool
) -> None:
    request = ask(
        serve(behave, tls=tls).url,
        headers={"Authorization": "Bearer SECRETHEADER", "Content-Type": "text/plain"},
        content=b"SECRETBODY",
    )
    (got,) = sender.send(request)
    said = [f"{each.getMessage()} {each.args!r} {each.exc_info!r}" for each in heard.records]
    assert not [each for each in heard.records if each.name.startswith(("httpx", "httpcore"))]
    shown = [repr(request)]
    if isinstance(got, Exception):
        shown += [repr(got), str(got), repr(got.args), repr(vars(got)), repr(got.__cause__)]
        assert got.__cause__ is None
        assert got.__suppress_context__ or got.__context__ is None
    else:
        shown.append(repr(got))
    assert not [(each, secret) for each in said + shown for secret in SECRET if secret in each]


def test_others_are_not_silenced(sender: Sender, serve: Serve, heard: Everything) -> None:
    """Another provider in the same process keeps its httpx logs, even after ours were at work."""
    server = serve(good)
    sender.send(ask(server.url))
    assert not [each for each in heard.records if each.name == "httpx"]
    with httpx.Client() as other:
        other.get(f"{server.url}/theirs")
    assert [each for each in heard.records if each.name == "httpx" and "/theirs" in each.getMessage()]
    assert [each for each in heard.records if each.name.startswith("httpcore.")]


def test_others_are_not_silenced_meanwhile(serve: Serve, heard: Everything) -> None:
    """Not while one of ours is under way in another thread, either."""
    server, transport = serve(good), Transport()
    with transport.stream(ask(server.url)):
        thread = threading.Thread(target=lambda: httpx.get(f"{server.url}/theirs"))
        thread.start()
        thread.join(5)
    transport.close()
    urls = [each.getMessage() for each in heard.records if each.name == "httpx"]
    assert len(urls) == 1
    assert "/theirs" in urls[0]


async def test_others_are_not_silenced_in_the_same_loop(serve: Serve, heard: Everything) -> None:
    def slow(server: Server, connection: socket.socket, request: bytes) -> bool:
        time.sleep(0.2)
        return good(server, connection, request)

    server, transport = serve(slow), AsyncTransport()
    async with httpx.AsyncClient() as other:
        await asyncio.gather(transport.send(ask(server.url, deadline=5.0)), other.get(f"{server.url}/theirs"))
    await transport.aclose()
    urls = [each.getMessage() for each in heard.records if each.name == "httpx"]
    assert len(urls) == 1
    assert "/theirs" in urls[0]


def test_only_one_module_talks_http() -> None:
    """Deadlines and silence are decided in one place."""
    from pathlib import Path

    package = Path(transport_module.__file__).parents[1]
    found = [
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if "import httpx" in path.read_text() and "sandbox" not in path.parts
    ]
    assert found == ["api/transport.py"]


def test_one_set_of_certificates_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each set takes 50 ms and 700 KB, and a triggerer has a client for each account."""
    made: list[object] = []
    genuine = httpx.create_ssl_context

    def make() -> object:
        made.append(genuine())
        return made[-1]

    monkeypatch.setattr(httpx, "create_ssl_context", make)
    transport_module._certificates.cache_clear()
    for _ in range(3):
        Transport().close()
    assert len(made) == 1
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere")
    Transport().close()
    assert len(made) == 2, "another set is another set"
