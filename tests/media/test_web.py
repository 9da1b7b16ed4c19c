"""A video behind a URL: read as it is there; no redirect leads astray; no signature is shown."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
import ssl
import threading
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_tiktok.api.transport import Transport
from airflow_provider_tiktok.exceptions import TikTokMediaError, TikTokMediaReadError
from airflow_provider_tiktok.media import readable
from airflow_provider_tiktok.media.source import MediaAccess, open_source
from airflow_provider_tiktok.media.web import TRIES, WebFile

DATA = bytes(range(256)) * 4000
PUBLIC = "93.184.216.34"
SIGNED = "https://cdn.example/clip.mp4?X-Amz-Signature=verysecret"
HERE = MediaAccess(allow_loopback=True)


@pytest.fixture(autouse=True)
def _no_proxy_no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readable, "_FIRST_PAUSE", 0.0)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class _Server(ThreadingHTTPServer):
    """A media server that can be told to misbehave; the path says whether it knows ranges."""

    daemon_threads = True
    data = DATA
    etag = '"one"'
    break_off_at = 0  # bytes after which the next answer ends too early
    said: list[tuple[str, str, str]]

    def handle_error(self, request, client_address) -> None:
        pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        server, asked = self.server, self.headers.get("Range", "")
        server.said.append((self.path, asked, self.headers["Host"]))
        assert self.headers["Accept-Encoding"] == "identity"
        data = server.data
        span = re.fullmatch(r"bytes=(\d+)-(\d+)", asked) if "/ranges" in self.path else None
        self.send_response(206 if span else 200)
        if span:
            first, last = int(span[1]), int(span[2])
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
            data = data[first : last + 1]
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", server.etag)
        self.end_headers()
        if server.break_off_at and len(data) > server.break_off_at:
            data, server.break_off_at = data[: server.break_off_at], 0
            self.close_connection = True
        self.wfile.write(data)


def _serve(server: _Server) -> Iterator[_Server]:
    server.said = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def server() -> Iterator[_Server]:
    yield from _serve(_Server(("127.0.0.1", 0), _Handler))


def _url(server: _Server, path: str) -> str:
    return f"http://127.0.0.1:{server.server_port}{path}"


class TestReading:
    @pytest.mark.parametrize("path", ["/ranges/clip.mp4?X-Sig=s", "/whole/clip.mp4?X-Sig=s"])
    def test_any_range_is_exact(self, server: _Server, path: str) -> None:
        """Also going back, and also where the server knows no ranges."""

        @settings(deadline=None, max_examples=25)
        @given(data=st.data())
        def exact(data) -> None:
            start = data.draw(st.integers(0, len(DATA)))
            length = data.draw(st.integers(0, len(DATA) - start))
            assert source.read(start, length) == DATA[start : start + length]

        with open_source(_url(server, path), HERE) as source:
            assert source.size == len(DATA)
            assert source.name == _url(server, path).partition("?")[0]
            exact()

    def test_front_to_back_needs_one_request_beside_the_first(self, server: _Server) -> None:
        with open_source(_url(server, "/whole/clip.mp4"), HERE) as source:
            read = b"".join(source.read(start, 1000) for start in range(0, len(DATA), 1000))
        assert read == DATA
        assert len(server.said) == 2

    @pytest.mark.parametrize("path", ["/ranges/clip.mp4", "/whole/clip.mp4"])
    def test_an_answer_that_breaks_off_is_read_again(self, server: _Server, path: str) -> None:
        with open_source(_url(server, path), HERE) as source:
            server.break_off_at = 700_000
            assert source.read(0, 900_000) == DATA[:900_000]

    @pytest.mark.parametrize("path", ["/ranges/clip.mp4", "/whole/clip.mp4"])
    @pytest.mark.parametrize("change", [{"etag": '"two"'}, {"data": DATA + b"x"}, {"data": DATA[:-1]}])
    def test_a_change_is_noticed(self, server: _Server, path: str, change: dict) -> None:
        with open_source(_url(server, path), HERE) as source:
            for name, value in change.items():
                setattr(server, name, value)
            with pytest.raises(TikTokMediaReadError, match="changed while"):
                source.read(0, 100)

    def test_loopback_is_for_sandboxes(self, server: _Server) -> None:
        with pytest.raises(TikTokMediaError):
            open_source(_url(server, "/ranges/clip.mp4"), MediaAccess())
        assert server.said == []


Handler = Callable[[httpx.Request], httpx.Response]


def _open(handler: Handler, url: str = SIGNED, addresses: tuple[str, ...] = (PUBLIC,)) -> WebFile:
    mock = httpx.MockTransport(handler)
    return WebFile(
        url, MediaAccess(), transports=lambda: Transport(mock), resolver=lambda host, port: addresses
    )


def _part(request: httpx.Request, data: bytes = DATA, **headers: str) -> httpx.Response:
    first, last = (int(each) for each in request.headers["range"].removeprefix("bytes=").split("-"))
    told = {"Content-Range": f"bytes {first}-{last}/{len(data)}", **headers}
    return httpx.Response(206, headers=told, content=data[first : last + 1])


class TestRequests:
    def test_they_go_to_the_judged_address_under_the_name(self) -> None:
        seen: list[httpx.Request] = []

        def handler(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return _part(request)

        with _open(handler) as source:
            source.read(5, 5)
        assert {each.url.host for each in seen} == {PUBLIC}
        assert {each.headers["host"] for each in seen} == {"cdn.example"}
        assert {each.extensions["sni_hostname"] for each in seen} == {"cdn.example"}
        assert {each.url.query for each in seen} == {b"X-Amz-Signature=verysecret"}

    def test_the_next_address_is_tried_when_one_takes_no_connection(self) -> None:
        def handler(request: httpx.Request) -> httpx.Response:
            if request.url.host != PUBLIC:
                raise httpx.ConnectError("no route")
            return _part(request)

        with _open(handler, addresses=("2606:2800::1", PUBLIC)) as source:
            assert source.read(3, 3) == DATA[3:6]

    def test_the_name_is_looked_up_once(self) -> None:
        """A second look-up could lead elsewhere: DNS rebinding."""
        answers = [(PUBLIC,), ("169.254.169.254",)]
        mock = httpx.MockTransport(_part)
        with WebFile(
            SIGNED, MediaAccess(), transports=lambda: Transport(mock), resolver=lambda *a: answers.pop(0)
        ) as source:
            assert source.read(1, 2) == DATA[1:3]
        assert len(answers) == 1


class TestRedirects:
    def _redirecting(self, *hops: str) -> tuple[Handler, list[str]]:
        seen: list[str] = []

        def handler(request: httpx.Request) -> httpx.Response:
            seen.append(f"{request.headers['host']}{request.url.path}")
            if len(seen) <= len(hops):
                return httpx.Response(302, headers={"Location": hops[len(seen) - 1]})
            return _part(request)

        return handler, seen

    def test_three_are_followed_and_remembered(self) -> None:
        handler, seen = self._redirecting("/b", "https://other.example/c", "d?sig=x")
        with _open(handler) as source:
            assert source.read(9, 9) == DATA[9:18]
        assert seen == ["cdn.example/clip.mp4", "cdn.example/b", "other.example/c", *["other.example/d"] * 2]

    def test_the_fourth_is_refused(self) -> None:
        handler, _ = self._redirecting("/b", "/c", "/d", "/e")
        with pytest.raises(TikTokMediaError, match="more than 3 times"):
            _open(handler)

    @pytest.mark.parametrize(
        ("location", "says"),
        [
            ("https://169.254.169.254/latest/meta-data/", "metadata service"),
            ("https://[fd00:ec2::254]/latest/meta-data/", "metadata service"),
            ("https://[::ffff:169.254.169.254]/x", "metadata service"),
            ("http://cdn.example/clip.mp4?X-Amz-Signature=verysecret", "not https"),
            ("https://127.0.0.1/x", "this machine"),
            ("https://user:verysecret@cdn.example/x", "user name or password"),
            ("file:///etc/passwd", "."),
            ("", "nowhere"),
        ],
    )
    def test_each_is_judged_anew(self, location: str, says: str) -> None:
        def resolver(host: str, port: int) -> tuple[str, ...]:
            return (PUBLIC,) if host.endswith("example") else (host,)

        handler, seen = self._redirecting(location)
        with pytest.raises(TikTokMediaError, match=says) as caught:
            WebFile(
                SIGNED,
                MediaAccess(),
                transports=lambda: Transport(httpx.MockTransport(handler)),
                resolver=resolver,
            )
        assert len(seen) == 1
        assert "verysecret" not in "".join(traceback.format_exception(caught.value))

    def test_https_to_http_is_refused_even_in_a_sandbox(self) -> None:
        handler, _ = self._redirecting("http://127.0.0.1/x")
        with pytest.raises(TikTokMediaError, match="not https"):
            WebFile(
                "https://127.0.0.1/x",
                HERE,
                transports=lambda: Transport(httpx.MockTransport(handler)),
            )

    def test_where_a_redirect_led_may_expire_during_a_long_upload(self) -> None:
        ends, seen = iter(("/signed-1", "/signed-2")), []

        def handler(request: httpx.Request) -> httpx.Response:
            seen.append(request.url.path)
            if request.url.path == "/clip.mp4":
                return httpx.Response(302, headers={"Location": next(ends)})
            return httpx.Response(403) if seen.count("/signed-1") > 1 and "1" in seen[-1] else _part(request)

        with _open(handler) as source:
            assert source.read(0, 4) == DATA[:4]
        assert seen == ["/clip.mp4", "/signed-1", "/signed-1", "/clip.mp4", "/signed-2"]


class TestAnswers:
    @pytest.mark.parametrize(
        ("status", "error", "says"),
        [
            (401, TikTokMediaError, "wants a login"),
            (403, TikTokMediaError, "signed URL may have expired"),
            (404, TikTokMediaError, "not there"),
            (410, TikTokMediaError, "not there any more"),
            (418, TikTokMediaError, "HTTP 418"),
            (204, TikTokMediaError, "HTTP 204"),
            (429, TikTokMediaReadError, "HTTP 429"),
            (500, TikTokMediaReadError, "HTTP 500"),
            (503, TikTokMediaReadError, "HTTP 503"),
        ],
    )
    def test_what_each_status_means(self, status: int, error: type[Exception], says: str) -> None:
        calls = []

        def handler(request: httpx.Request) -> httpx.Response:
            calls.append(request)
            return httpx.Response(status)

        with pytest.raises((TikTokMediaError, TikTokMediaReadError), match=says) as caught:
            _open(handler)
        assert type(caught.value) is error
        assert len(calls) == (TRIES if error is TikTokMediaReadError else 1)
        assert "https://cdn.example/clip.mp4" in str(caught.value)
        assert "verysecret" not in "".join(traceback.format_exception(caught.value))

    @pytest.mark.parametrize(
        "failure",
        [httpx.ConnectError("x"), httpx.ReadError("x"), httpx.ReadTimeout("x"), httpx.InvalidURL("x")],
    )
    def test_no_answer_is_worth_a_retry(self, failure: Exception) -> None:
        def handler(request: httpx.Request) -> httpx.Response:
            raise failure

        with pytest.raises(TikTokMediaReadError) as caught:
            _open(handler)
        text = "".join(traceback.format_exception(caught.value))
        assert "verysecret" not in text
        assert "TikTok may have acted" not in text

    def test_a_short_trouble_costs_nothing(self) -> None:
        answers = [httpx.Response(503), httpx.ReadError("x"), httpx.Response(429)]

        def handler(request: httpx.Request) -> httpx.Response:
            if answers:
                answer = answers.pop()
                if isinstance(answer, Exception):
                    raise answer
                return answer
            return _part(request)

        with _open(handler) as source:
            assert source.size == len(DATA)

    def test_too_large_is_refused_before_it_is_read(self) -> None:
        def handler(request: httpx.Request) -> httpx.Response:
            return httpx.Response(206, headers={"Content-Range": f"bytes 0-0/{5 * 1024**3}"}, content=b"x")

        with pytest.raises(TikTokMediaError, match="at most 4 GB"):
            _check(handler)

    def test_empty(self) -> None:
        with pytest.raises(TikTokMediaError, match="empty"):
            _check(lambda request: httpx.Response(416, headers={"Content-Range": "bytes */0"}))

    def test_compressed_bytes_cannot_be_counted(self) -> None:
        def handler(request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, headers={"Content-Encoding": "gzip", "Content-Length": "100"})

        with pytest.raises(TikTokMediaError, match="compresses"):
            _open(handler)

    def test_no_size_at_all(self) -> None:
        def handler(request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, content=iter([b"abc"]))

        with pytest.raises(TikTokMediaError, match="does not tell the size"):
            _open(handler)

    def test_a_size_that_only_head_tells(self) -> None:
        def handler(request: httpx.Request) -> httpx.Response:
            if request.method == "HEAD":
                return httpx.Response(200, headers={"Content-Length": "1000"})
            if request.headers["range"] == "bytes=0-0":
                return httpx.Response(206, headers={"Content-Range": "bytes 0-0/*"}, content=b"x")
            return _part(request, DATA[:1000])

        with _open(handler) as source:
            assert source.size == 1000
            assert source.read(10, 20) == DATA[10:30]

    @pytest.mark.parametrize(
        "wrong", ["bytes 0-3/1024000", "bytes 8-12/1024000", "nonsense", "bytes 8-11/*", ""]
    )
    def test_another_range_than_asked_for_is_never_taken(self, wrong: str) -> None:
        def handler(request: httpx.Request) -> httpx.Response:
            if request.headers["range"] == "bytes=0-0":
                return _part(request)
            return httpx.Response(206, headers={"Content-Range": wrong}, content=b"1234")

        with _open(handler) as source, pytest.raises(TikTokMediaReadError, match="another range"):
            source.read(8, 4)

    def test_a_server_that_sends_more_than_asked_for_is_cut_off(self) -> None:
        sent = []

        def endless() -> Iterator[bytes]:
            for _ in range(1000):
                sent.append(1)
                yield bytes(256 * 1024)

        def handler(request: httpx.Request) -> httpx.Response:
            if request.headers["range"] == "bytes=0-0":
                return _part(request)
            return httpx.Response(206, headers={"Content-Range": "bytes 8-11/1024000"}, content=endless())

        with _open(handler) as source, pytest.raises(TikTokMediaReadError, match="more than"):
            source.read(8, 4)
        assert len(sent) < 3 * TRIES


def _check(handler: Handler) -> None:
    """Open through the function that users use, with the network faked."""
    from airflow_provider_tiktok.media import source

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "WebFile", lambda url, access: _open(handler, url))
        source.open_source(SIGNED, MediaAccess())


class TestCertificate:
    """The connection goes to an address, and the certificate must still be the name's."""

    @pytest.fixture
    def secure(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Server]:
        certificate = tmp_path / "certificate.pem"
        certificate.write_bytes(_certificate("media.test"))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        server = _Server(("127.0.0.1", 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        yield from _serve(server)

    def _read(self, server: _Server, name: str) -> bytes:
        url = f"https://{name}:{server.server_port}/ranges/clip.mp4"
        with WebFile(url, HERE, resolver=lambda host, port: ["127.0.0.1"]) as source:
            return source.read(7, 7)

    def test_of_the_name(self, secure: _Server) -> None:
        assert self._read(secure, "media.test") == DATA[7:14]
        assert {host for _, _, host in secure.said} == {f"media.test:{secure.server_port}"}

    def test_of_another_name(self, secure: _Server) -> None:
        with pytest.raises(TikTokMediaReadError, match=r"(?i)certificate"):
            self._read(secure, "other.test")


def _certificate(name: str) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.2"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
