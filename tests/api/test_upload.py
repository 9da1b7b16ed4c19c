"""The upload: every answer before and after the last range was begun, and no byte twice or missing."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_tiktok.api import pieces
from airflow_provider_tiktok.api import transport as transport_module
from airflow_provider_tiktok.api import upload as upload_module
from airflow_provider_tiktok.api.chunks import ChunkPlan
from airflow_provider_tiktok.api.endpoints import API_HOST
from airflow_provider_tiktok.api.transport import Transport
from airflow_provider_tiktok.api.upload import TRIES, Upload, UploadEnd, check_upload_url
from airflow_provider_tiktok.exceptions import (
    TikTokConfigError,
    TikTokMediaError,
    TikTokMediaReadError,
    TikTokUploadError,
    TikTokUploadGoneError,
)
from tests.api.server import Server

URL = "https://open-upload.tiktokapis.com/upload?upload_id=1&upload_token=SECRET"
FILE = bytes(range(35))
PLAN = ChunkPlan(35, 10, 3)
ONE = ChunkPlan(35, 35, 1)
Said = tuple[int, dict[str, str]] | int | Exception

NOTHING_SENT = httpx.ConnectError("x")
SILENCE = [
    httpx.ReadTimeout("x"),
    httpx.WriteTimeout("x"),
    httpx.ReadError("x"),
    httpx.WriteError("x"),
    httpx.RemoteProtocolError("x"),
    httpx.DecodingError("x"),
]


class Bytes:
    """A file in memory that notes what is read of it."""

    def __init__(self, data: bytes = FILE) -> None:
        self.data = data
        self.size = len(data)
        self.reads: list[tuple[int, int]] = []

    def read(self, start: int, length: int) -> bytes:
        self.reads.append((start, length))
        return self.data[start : start + length]


class Scripted:
    """Answers PUTs in turn with what it is given; after that, as a server that takes everything."""

    def __init__(self, *said: Said, plan: ChunkPlan = PLAN) -> None:
        self.said = list(said)
        self.plan = plan
        self.sent: list[int] = []
        self.bodies: list[bytes] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        first, last = map(
            int, re.fullmatch(r"bytes (\d+)-(\d+)/35", request.headers["content-range"]).groups()
        )  # type: ignore[union-attr]
        index = next(each for each in range(self.plan.count) if self.plan.bounds(each) == (first, last + 1))
        self.sent.append(index)
        self.bodies.append(request.content)
        said: Said = self.said.pop(0) if self.said else (201 if index == self.plan.last else 206)
        if isinstance(said, Exception):
            raise said
        status, headers = said if isinstance(said, tuple) else (said, {})
        return httpx.Response(status, headers=headers)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the upload would have slept."""
    slept: list[float] = []
    monkeypatch.setattr(upload_module, "time", SimpleNamespace(sleep=slept.append, monotonic=time.monotonic))
    return slept


def make(
    handler: Callable[[httpx.Request], httpx.Response],
    plan: ChunkPlan = PLAN,
    source: Any = None,
    progress: Callable[[], int | None] | None = None,
) -> Upload:
    more = {"progress": progress} if progress else {}
    source = source or Bytes()
    transport = Transport(httpx.MockTransport(handler))
    return Upload(transport, URL, plan, source, content_type="video/mp4", **more)


def told(status: int, last: int) -> Said:
    return status, {"Content-Range": f"bytes 0-{last}/35"}


# --- the way it should go ---


@pytest.mark.parametrize("last", [200, 201])
@pytest.mark.parametrize("plan", [PLAN, ONE], ids=["three", "one"])
def test_all_goes_well(pauses: list[float], plan: ChunkPlan, last: int) -> None:
    server = Scripted(*[206] * plan.last, last, plan=plan)
    assert make(server, plan).send() is UploadEnd.DONE
    assert server.sent == list(range(plan.count))
    assert b"".join(server.bodies) == FILE
    assert pauses == []


@pytest.mark.parametrize("index", [0, 1, 2])
def test_starts_from_any_progress(index: int, pauses: list[float]) -> None:
    server, source = Scripted(), Bytes()
    assert make(server, source=source).send(index) is UploadEnd.DONE
    assert server.sent == list(range(index, 3))
    assert b"".join(server.bodies) == FILE[index * 10 :]
    assert min(start for start, _ in source.reads) == index * 10


def test_progress_of_everything_leaves_only_the_status(pauses: list[float]) -> None:
    """What a later try finds may be that all bytes are in."""
    server = Scripted()
    assert make(server).send(PLAN.count) is UploadEnd.ASK_STATUS
    assert server.sent == []


# --- the table of answers ---

AGAIN: list[Said] = [429, 500, 502, 503, 504, 599, NOTHING_SENT]
#: answer to range 0 of three -> the ranges sent, when all goes well from there
BEFORE: dict[str, tuple[Said, list[int]]] = {
    "206": (206, [0, 1, 2]),
    "206 told by index": (told(206, 9), [0, 1, 2]),
    "206 told by count": (told(206, 10), [0, 1, 2]),
    "206 has more": (told(206, 19), [0, 2]),
    "206 has less": (told(206, 0), [0, 0, 1, 2]),
    "416 by index, forward": (told(416, 9), [0, 1, 2]),
    "416 by count, forward": (told(416, 20), [0, 2]),
    "416 nothing there": (told(416, 0), [0, 0, 1, 2]),
    "416 off the grid": (told(416, 14), [0, 1, 2]),
    "416 star": ((416, {"Content-Range": "bytes 0-19/*"}), [0, 2]),
    "416 spaced": ((416, {"Content-Range": "  bytes   0-19/35 "}), [0, 2]),
    "201 early, and told": (told(201, 9), [0, 1, 2]),
    "200 early, and told": (told(200, 10), [0, 1, 2]),
    **{str(each) or type(each).__name__: (each, [0, 0, 1, 2]) for each in AGAIN},
    **{type(each).__name__: (each, [0, 0, 1, 2]) for each in SILENCE},
}


@pytest.mark.parametrize(("said", "sent"), BEFORE.values(), ids=BEFORE)
def test_answer_before_the_last_range(said: Said, sent: list[int], pauses: list[float]) -> None:
    server = Scripted(said)
    assert make(server).send() is UploadEnd.DONE
    assert server.sent == sent
    assert len(pauses) == sent.count(0) - 1


@pytest.mark.parametrize("status", [200, 201])
def test_early_and_silent_about_progress_is_for_the_status_to_say(status: int, pauses: list[float]) -> None:
    """A range in the middle cannot complete an upload: a gateway's own 200 must not pass for TikTok's."""
    server = Scripted(status)
    assert make(server).send() is UploadEnd.ASK_STATUS
    assert server.sent == [0]


@pytest.mark.parametrize("last", [34, 35, 99])
def test_416_that_has_everything_leaves_only_the_status(last: int, pauses: list[float]) -> None:
    server = Scripted(told(416, last))
    assert make(server).send() is UploadEnd.ASK_STATUS
    assert server.sent == [0]


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("at", [0, 1])
def test_gone_before_the_last_range(status: int, at: int, pauses: list[float]) -> None:
    server = Scripted(*[206] * at, status)
    with pytest.raises(TikTokUploadGoneError, match=f"HTTP {status}.*nothing was posted"):
        make(server).send()
    assert server.sent == list(range(at + 1))


@pytest.mark.parametrize("status", [400, 401, 405, 411, 413, 301, 302, 307, 308, 204])
def test_refused_before_the_last_range(status: int, pauses: list[float]) -> None:
    server = Scripted((status, {"Location": "https://evil.example/"}))
    with pytest.raises(TikTokUploadError, match=f"HTTP {status}.*nothing was posted") as caught:
        make(server).send()
    assert type(caught.value) is TikTokUploadError
    assert server.sent == [0]


@pytest.mark.parametrize("said", [*AGAIN, *SILENCE, 416], ids=str)
@pytest.mark.parametrize("at", [0, 1])
def test_gives_up_before_the_last_range(said: Said, at: int, pauses: list[float]) -> None:
    server = Scripted(*[206] * at, *[said] * 100)
    with pytest.raises(TikTokUploadError, match=f"bytes {at * 10}-{at * 10 + 9} after {TRIES} tries"):
        make(server).send()
    assert server.sent[at:] == [at] * TRIES
    assert len(pauses) == TRIES - 1
    assert pauses[0] <= 1.0 < pauses[-1] <= upload_module.LONGEST_PAUSE


AFTER: dict[str, Said] = {
    **{
        str(each): each
        for each in (206, 204, 301, 302, 308, 400, 401, 403, 404, 409, 413, 416, 500, 502, 503)
    },
    "416 told less": told(416, 9),
    "416 told all": told(416, 34),
    "206 told all": told(206, 34),
    **{type(each).__name__: each for each in SILENCE},
}


@pytest.mark.parametrize("said", AFTER.values(), ids=AFTER)
@pytest.mark.parametrize("plan", [PLAN, ONE], ids=["three", "one"])
def test_after_the_last_range_was_begun_only_the_status_tells(
    said: Said, plan: ChunkPlan, pauses: list[float]
) -> None:
    """It may be posted: never "gone", never a reason for a new init."""
    server = Scripted(*[206] * plan.last, said, plan=plan)
    assert make(server, plan).send() is UploadEnd.ASK_STATUS
    assert server.sent == list(range(plan.count))


@pytest.mark.parametrize("said", [429, NOTHING_SENT])
def test_last_range_that_was_not_taken_is_sent_again(said: Said, pauses: list[float]) -> None:
    server = Scripted(206, 206, said)
    assert make(server).send() is UploadEnd.DONE
    assert server.sent == [0, 1, 2, 2]


@pytest.mark.parametrize("said", [429, NOTHING_SENT])
def test_last_range_that_is_never_taken_leaves_the_status(said: Said, pauses: list[float]) -> None:
    server = Scripted(206, 206, *[said] * 100)
    assert make(server).send() is UploadEnd.ASK_STATUS
    assert server.sent == [0, 1] + [2] * TRIES


@pytest.mark.parametrize("then", [403, 404, 400, 416, 500, SILENCE[0]], ids=str)
def test_what_was_begun_once_stays_begun(then: Said, pauses: list[float]) -> None:
    """The last range is doubtful, TikTok then says that an earlier one is missing: still never "gone"."""
    server = Scripted(206, 206, 503, *[then] * 100)
    upload = make(server)
    assert upload.send() is UploadEnd.ASK_STATUS
    assert upload.send(1) is UploadEnd.ASK_STATUS


def test_206_on_the_last_range_that_tells_less_goes_back(pauses: list[float]) -> None:
    server = Scripted(206, 206, told(206, 9), 206, 201)
    assert make(server).send() is UploadEnd.DONE
    assert server.sent == [0, 1, 2, 1, 2]


# --- resync without a header ---


@pytest.mark.parametrize(
    ("uploaded", "sent"), [(0, [0, 0, 1, 2]), (10, [0, 1, 2]), (20, [0, 2]), (13, [0, 1, 2])]
)
@pytest.mark.parametrize("header", [{}, {"Content-Range": "bytes */35"}, {"Content-Range": "junk"}])
def test_416_that_does_not_tell_asks_the_status(
    uploaded: int, sent: list[int], header: dict[str, str], pauses: list[float]
) -> None:
    server = Scripted((416, header))
    assert make(server, progress=lambda: uploaded).send() is UploadEnd.DONE
    assert server.sent == sent


def test_416_and_nobody_knows(pauses: list[float]) -> None:
    server = Scripted(416, 416)
    assert make(server, progress=lambda: None).send() is UploadEnd.DONE
    assert server.sent == [0, 0, 0, 1, 2]


def test_progress_is_asked_only_where_needed(pauses: list[float]) -> None:
    asked: list[int] = []
    make(Scripted(500, told(416, 9), 206), progress=lambda: asked.append(1) or 0).send()
    assert asked == []


def test_number_without_end_in_a_header(pauses: list[float]) -> None:
    server = Scripted((416, {"Content-Range": f"bytes 0-{'9' * 5000}/*"}))
    assert make(server).send() is UploadEnd.DONE


def test_server_that_never_agrees_ends(pauses: list[float]) -> None:
    """Forward, back, forward: bounded, although there is progress in between."""
    server = Scripted(*[each for _ in range(100) for each in (told(206, 9), told(416, 0))])
    with pytest.raises(TikTokUploadError):
        make(server).send()
    assert len(server.sent) < 50


def test_answer_too_long_to_read(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """A page in the way is a lost answer: again before the last range, the status after."""
    monkeypatch.setattr(transport_module, "MAX_ANSWER_BYTES", 10)
    sent: list[str] = []

    def flood(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["content-range"])
        status = 206 if len(sent) < 2 else 201
        return httpx.Response(status, content=b"" if len(sent) == 1 else b"x" * 100)

    two = ChunkPlan(35, 17, 2)
    assert make(flood, two).send() is UploadEnd.ASK_STATUS
    assert len(sent) == 2
    sent.clear()
    with pytest.raises(TikTokUploadError):
        make(lambda _: httpx.Response(206, content=b"x" * 100)).send()


# --- reading the media ---


def readers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "tiktok-read"]


class Broken(Bytes):
    """Fails at a byte, from a certain read on."""

    def __init__(self, at: int, error: Exception, good_reads: int = 0) -> None:
        super().__init__()
        self.at, self.error, self.good_reads = at, error, good_reads

    def read(self, start: int, length: int) -> bytes:
        data = super().read(start, length)
        if start <= self.at < start + length and len(self.reads) > self.good_reads:
            raise self.error
        return data


@pytest.mark.parametrize("error", [TikTokMediaReadError("disk"), TikTokMediaError("gone"), OSError(5, "io")])
@pytest.mark.parametrize("at", [0, 15, 34])
def test_error_of_the_media_comes_as_it_is(error: Exception, at: int, pauses: list[float]) -> None:
    with pytest.raises(type(error)) as caught:
        make(Scripted(), source=Broken(at, error)).send()
    assert caught.value is error
    assert readers() == []


def test_media_that_fails_while_the_last_range_is_in_doubt(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first sending of it may have arrived: a new init, which a raised error leads to, may post twice."""
    monkeypatch.setattr(pieces, "PIECE", 10)
    source = Broken(30, TikTokMediaReadError("disk"), good_reads=4)
    upload = make(Scripted(206, 206, 503), source=source)
    assert upload.send() is UploadEnd.ASK_STATUS
    assert upload.send(PLAN.last) is UploadEnd.ASK_STATUS


@pytest.mark.parametrize("short", [0, 3, 50])
def test_media_that_gives_another_number_of_bytes(
    short: int, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is cut while it is read must not shift what is sent, nor hang the upload."""
    monkeypatch.setattr(pieces, "PIECE", 10)

    class Odd(Bytes):
        def read(self, start: int, length: int) -> bytes:
            return b"x" * (short if start == 10 else length)

    with pytest.raises(TikTokMediaReadError):
        make(Scripted(), source=Odd()).send()


@pytest.mark.parametrize("said", [201, 403, 400, 429])
def test_threads_end(said: int, pauses: list[float]) -> None:
    with suppress(TikTokUploadError):
        make(Scripted(*[said] * 100)).send()
    assert readers() == []


# --- what goes over the wire ---


def test_request_on_the_wire(serve: Callable[..., Server]) -> None:
    """Explicit length, no credentials, no chunked encoding, the URL whole; streamed, and byte for byte."""

    def stores(server: Server, connection: socket.socket, request: bytes) -> bool:
        last = len(server.requests) == 3
        status = b"201 Created" if last else b"206 Partial Content"
        connection.sendall(
            b"HTTP/1.1 " + status + b"\r\nSet-Cookie: sid=1; Path=/\r\nContent-Length: 0\r\n\r\n"
        )
        return True

    server = serve(stores)
    url = f"{server.url}/upload?upload_id=1&upload_token=A%2Fb+c~SECRET"
    data = bytes(range(256)) * 4000
    plan = ChunkPlan(len(data), 341_333, 3)
    transport = Transport()
    upload = Upload(transport, url, plan, Bytes(data), content_type="video/quicktime")
    assert upload.send() is UploadEnd.DONE
    transport.close()
    got = b""
    for index, request in enumerate(server.requests):
        head, _, body = request.partition(b"\r\n\r\n")
        line, *fields = head.split(b"\r\n")
        headers = dict(field.lower().split(b": ", 1) for field in fields)
        first, stop = plan.bounds(index)
        assert line == b"PUT /upload?upload_id=1&upload_token=A%2Fb+c~SECRET HTTP/1.1"
        assert headers[b"content-length"] == str(stop - first).encode()
        assert headers[b"content-range"] == f"bytes {first}-{stop - 1}/{len(data)}".encode()
        assert headers[b"content-type"] == b"video/quicktime"
        assert not headers.keys() & {b"transfer-encoding", b"authorization", b"cookie"}
        got += body
    assert got == data


def test_a_dead_range_ends_within_its_deadline(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    monkeypatch.setattr(upload_module, "RANGE_SECONDS", 0.3)
    monkeypatch.setattr(upload_module, "TRIES", 2)

    def silent(server: Server, connection: socket.socket, request: bytes) -> bool:
        return server.hang()

    transport = Transport()
    upload = Upload(transport, f"{serve(silent).url}/u", PLAN, Bytes(), content_type="video/mp4")
    began = time.monotonic()
    with pytest.raises(TikTokUploadError, match="TikTokNoAnswerError"):
        upload.send()
    assert time.monotonic() - began < 3.0
    transport.close()


@pytest.mark.parametrize("said", [403, 400, 500, SILENCE[0]], ids=str)
def test_no_secret_in_errors(said: Said, pauses: list[float]) -> None:
    with pytest.raises(TikTokUploadError) as caught:
        make(Scripted(*[said] * 100)).send()
    assert "SECRET" not in repr(caught.value)
    assert caught.value.__cause__ is None


# --- any weather ---


class Strict:
    """Keeps bytes as TikTok does: only the next range, only once; with faults before or after storing."""

    def __init__(self, plan: ChunkPlan, faults: list[str], by_index: bool) -> None:
        self.plan, self.faults, self.by_index = plan, faults, by_index
        self.stored = b""
        self.begun_last = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        first = int(request.headers["content-range"][6:].partition("-")[0])
        self.begun_last |= first == self.plan.bounds(self.plan.last)[0]
        fault = self.faults.pop(0) if self.faults else "none"
        if fault == "nothing sent":
            raise httpx.ConnectError("x")
        if fault == "lost before":
            raise httpx.ReadTimeout("x")
        if fault.isdecimal():
            return httpx.Response(int(fault))
        if first != len(self.stored):
            told = max(0, len(self.stored) - self.by_index)
            return httpx.Response(416, headers={"Content-Range": f"bytes 0-{told}/{self.plan.size}"})
        self.stored += request.content
        if fault == "lost after":
            raise httpx.RemoteProtocolError("x")
        if fault == "500 after":
            return httpx.Response(500)
        return httpx.Response(201 if len(self.stored) == self.plan.size else 206)


FAULTS = [
    "none",
    "lost before",
    "lost after",
    "500 after",
    "nothing sent",
    "500",
    "429",
    "403",
    "404",
    "416",
    "400",
]


@settings(max_examples=300, deadline=None)
@given(
    plan=st.sampled_from([PLAN, ONE, ChunkPlan(35, 5, 7), ChunkPlan(35, 17, 2)]),
    faults=st.lists(st.sampled_from([*FAULTS, "none", "none", "none"]), max_size=25),
    by_index=st.booleans(),
)
def test_any_weather(plan: ChunkPlan, faults: list[str], by_index: bool) -> None:
    """What arrives is the file; "lost" is said only while the last range was never begun."""
    server = Strict(plan, list(faults), by_index)
    real = upload_module.time
    upload_module.time = SimpleNamespace(sleep=lambda _: None, monotonic=time.monotonic)  # type: ignore[assignment]
    upload = make(server, plan, progress=lambda: len(server.stored))
    index = 0
    try:
        for _ in range(20):
            with suppress(TikTokUploadError):
                end = upload.send(index)
                assert FILE.startswith(server.stored)
                assert server.begun_last or len(server.stored) == plan.size
                if end is UploadEnd.DONE or len(server.stored) == plan.size:
                    break
                index = plan.next_after(len(server.stored)) if server.stored else 0  # as the status tells
                continue
            assert not server.begun_last
            assert len(server.stored) < plan.size
            return
        assert server.stored == FILE
    finally:
        upload_module.time = real


# --- where bytes may go ---

GOOD = [
    "https://open-upload.tiktokapis.com/video/?upload_id=1",
    "https://upload.us.tiktokapis.com/video/?upload_token=x",
    "https://open-upload-va.tiktokapis.com/upload",
    "https://open-upload-sg.tiktokapis.com/upload",
    "https://open-upload-i18n.tiktokapis.com/upload",
    "https://OPEN-UPLOAD.TikTokAPIs.com/upload",
    "HTTPS://open-upload.tiktokapis.com/upload",
    "https://open-upload.tiktokapis.com:443/upload",
]
BAD = [
    "",
    "upload",
    "//open-upload.tiktokapis.com/u",
    "http://open-upload.tiktokapis.com/u",
    "ftp://open-upload.tiktokapis.com/u",
    "https://open-upload.tiktokapis.com:8443/u",
    "https://open-upload.tiktokapis.com:80/u",
    "https://open-upload.tiktokapis.com:0/u",
    "https://open-upload.tiktokapis.com:x/u",
    "https://open-upload.tiktokapis.com:99999/u",
    "https://tiktokapis.com/u",
    "https://.tiktokapis.com/u",
    "https://evil-tiktokapis.com/u",
    "https://eviltiktokapis.com/u",
    "https://tiktokapis.com.evil.com/u",
    "https://open-upload.tiktokapis.com.evil.com/u",
    "https://evil.com/.tiktokapis.com",
    "https://evil.com?.tiktokapis.com",
    "https://evil.com#.tiktokapis.com",
    "https://evil.com\\.tiktokapis.com/u",
    "https://evil.com%2f.tiktokapis.com/u",
    "https://evil.com%00.tiktokapis.com/u",
    "https://evil.com\t.tiktokapis.com/u",
    "https://evil.com\n.tiktokapis.com/u",
    "https://evil.com .tiktokapis.com/u",
    "https://open-upload.tiktokapis.com./u",
    "https://open-upload.tiktokapis.com@evil.com/u",
    "https://evil.com@open-upload.tiktokapis.com/u",
    "https://u:p@open-upload.tiktokapis.com/u",
    "https://:p@open-upload.tiktokapis.com/u",
    "https://@open-upload.tiktokapis.com/u",
    "https://127.0.0.1/u",
    "https://[::1]/u",
    "https://[::1",
    "https://[.tiktokapis.com/u",
    "https://open-upload.tiktokap\u0131s.com/u",
    "https://open-upload\u3002tiktokapis.com/u",
    "https://\uff4f.tiktokapis.com/u",
    "https://evil.com\u2100.tiktokapis.com/u",
    "https://\ud800.tiktokapis.com/u",
    "https://open-upload.tiktokapis.com/\ud800",
]


@pytest.mark.parametrize("base", [API_HOST, "https://open.tiktokapis.com:443"])
@pytest.mark.parametrize("url", GOOD)
def test_good_upload_urls(url: str, base: str) -> None:
    check_upload_url(url, base)


@pytest.mark.parametrize("url", BAD, ids=ascii)
def test_bad_upload_urls(url: str) -> None:
    with pytest.raises(TikTokConfigError) as caught:
        check_upload_url(url, API_HOST)
    assert "/u" not in str(caught.value)


SANDBOX = "http://127.0.0.1:8765"


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://127.0.0.1:8765/upload?x", SANDBOX),
        ("HTTP://127.0.0.1:8765/upload", SANDBOX),
        ("http://[::1]:8765/u", "http://[::1]:8765"),
        ("https://tiktok.corp.example/u", "https://tiktok.corp.example"),
        ("https://tiktok.corp.example:443/u", "https://tiktok.corp.example"),
        ("https://tiktok.corp.example/u", "https://tiktok.corp.example:443"),
        ("http://localhost:80/u", "http://localhost"),
    ],
)
def test_overridden_host_gets_its_own_bytes(url: str, base: str) -> None:
    check_upload_url(url, base)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8766/u",
        "http://127.0.0.1/u",
        "https://127.0.0.1:8765/u",
        "http://127.0.0.2:8765/u",
        "http://localhost:8765/u",
        "http://u:p@127.0.0.1:8765/u",
        "http://127.0.0.1:8765@evil.com/u",
        "https://open-upload.tiktokapis.com/u",
        "http://[::1",
        "",
    ],
)
def test_overridden_host_gets_nobody_elses_bytes(url: str) -> None:
    with pytest.raises(TikTokConfigError):
        check_upload_url(url, SANDBOX)
