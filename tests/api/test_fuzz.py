"""Whatever TikTok, or what stands before it, answers: a typed error or a result, nothing stray."""

from __future__ import annotations

import asyncio
import gzip
import json
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_tiktok.api import client as client_module
from airflow_provider_tiktok.api import upload as upload_module
from airflow_provider_tiktok.api.chunks import chunk_plans
from airflow_provider_tiktok.api.client import AsyncClient, Client, Policy
from airflow_provider_tiktok.api.endpoints import API_HOST, Call, refresh_token
from airflow_provider_tiktok.api.models import (
    CreatorInfo,
    PublishInit,
    PublishStatus,
    Token,
    UserInfo,
    VideoPage,
)
from airflow_provider_tiktok.api.oauth import Authorization, check_redirect_uri
from airflow_provider_tiktok.api.transport import Answer, AsyncTransport, Request, Transport
from airflow_provider_tiktok.api.upload import Upload, UploadEnd, check_upload_url
from airflow_provider_tiktok.auth.account import Account
from airflow_provider_tiktok.auth.grant import Grant, read_back, written
from airflow_provider_tiktok.exceptions import TikTokConfigError, TikTokError, TikTokUploadError
from tests import fuzz
from tests.api.conftest import FakeTokens, Sender
from tests.api.server import Server
from tests.api.test_endpoints import CALLS

PATIENT = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
FEW = settings(PATIENT, max_examples=60)

_OK = {"code": "ok", "message": "", "log_id": "2026LOG"}
_TOKEN = {
    "access_token": "act.1",
    "expires_in": 7200,
    "refresh_token": "rft.1",
    "refresh_expires_in": 15552000,
    "open_id": "o",
    "scope": "video.publish",
    "token_type": "Bearer",
}
_CREATOR = {
    "creator_username": "alice",
    "creator_nickname": "Alice",
    "privacy_level_options": ["SELF_ONLY"],
    "comment_disabled": False,
    "max_video_post_duration_sec": 300,
}
_INIT = {"publish_id": "v_pub_file~v2-1.7", "upload_url": "https://open-upload.tiktokapis.com/upload?a=b"}
_STATUS = {"status": "PUBLISH_COMPLETE", "publicaly_available_post_id": [7601], "uploaded_bytes": 5}
_VIDEOS = {"videos": [{"id": "7601", "share_url": "https://www.tiktok.com/x"}], "cursor": 1, "has_more": True}


def _enveloped(data: Any) -> dict[str, Any]:
    return {"data": data, "error": _OK}


#: What a right answer is, by what is in the name of the call.
RIGHT: dict[str, Any] = {
    "code exchange": _TOKEN,
    "token": _TOKEN,
    "creator_info": _enveloped(_CREATOR),
    "init": _enveloped(_INIT),
    "status": _enveloped(_STATUS),
    "user": _enveloped({"user": {"open_id": "o", "display_name": "A"}}),
    "video": _enveloped(_VIDEOS),
}
REFUSALS: list[Any] = [
    {"error": "invalid_grant", "error_description": "expired", "log_id": "L"},
    {"data": {}, "error": {"code": "access_token_invalid", "message": "m", "log_id": "L"}},
    {"error": {"code": "spam_risk", "message": "m", "logid": "L"}},
]
RESULTS = (CreatorInfo, PublishInit, PublishStatus, Token, UserInfo, VideoPage, type(None))

statuses = st.one_of(
    st.sampled_from([200, 200, 200, 401, 403, 429, 500, 504, 301, 307]), st.integers(200, 599)
)
headers = st.lists(
    st.tuples(
        st.sampled_from(
            [
                b"Content-Type",
                b"Content-Encoding",
                b"Location",
                b"Retry-After",
                b"Set-Cookie",
                b"Content-Range",
            ]
        ),
        st.sampled_from(
            [b"gzip", b"br", b"application/json", b"/elsewhere", b"http://[", b"bytes 0-9/*", b"soon"]
        )
        | st.binary(max_size=8),
    ),
    max_size=3,
)


def _plain(document: str) -> bytes:
    return document.encode("utf-8", "surrogatepass")


@st.composite
def bodies(draw: st.DrawFn, name: str) -> bytes:
    """
    Give a body that often resembles what this call is answered.

    :param name: of the call
    """
    own = [each for kind, each in RIGHT.items() if kind in name]
    document = draw(fuzz.documents(draw(st.sampled_from([*own * 12, *RIGHT.values(), *REFUSALS]))))
    packed = draw(
        st.sampled_from([_plain, _plain, _plain, _plain, lambda each: gzip.compress(_plain(each), 1)])
    )
    return packed(document) if draw(st.integers(0, 9)) else draw(st.binary(max_size=50))


class Answers:
    """A TikTok that gives one answer to everything, and counts who asks."""

    def __init__(self) -> None:
        self.answer: tuple[int, Any, bytes] = (200, [], b"")
        self.asked = 0

    def __call__(self, _: httpx.Request) -> httpx.Response:
        self.asked += 1
        status, headers, body = self.answer
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def asleep(_: float) -> None:
        pass

    monkeypatch.setattr(client_module.time, "sleep", lambda _: None)
    monkeypatch.setattr(client_module, "asyncio", type("", (), {"sleep": staticmethod(asleep)}))


@pytest.fixture(params=["sync", "async"])
def asked(request: pytest.FixtureRequest, no_pauses: None) -> Iterator[Callable[..., Any]]:
    """Makes a call to one that answers as it is told."""
    tiktok, policy, tokens = Answers(), Policy(API_HOST, repeats=1, patience=1), FakeTokens()
    mock, loop = httpx.MockTransport(tiktok), asyncio.new_event_loop()
    client = Client(policy, tokens, Transport(mock))
    aclient = AsyncClient(policy, tokens, AsyncTransport(mock))

    def ask(call: Call[Any], answer: tuple[int, Any, bytes]) -> Any:
        tiktok.answer, tiktok.asked = answer, 0
        got = client.call(call) if request.param == "sync" else loop.run_until_complete(aclient.call(call))
        assert tiktok.asked <= 4, "no redirect is followed"
        return got

    yield ask
    client.close()
    loop.run_until_complete(aclient.aclose())
    loop.close()


def _fine(error: TikTokError) -> None:
    """See that Airflow can send it to another process, and write it down."""
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))
    str(error).encode()


@pytest.mark.parametrize("name", CALLS)
@settings(PATIENT, max_examples=150)
@given(data=st.data(), status=statuses, headers=headers)
def test_any_answer(
    asked: Callable[..., Any], name: str, data: st.DataObject, status: int, headers: Any
) -> None:
    body = data.draw(bodies(name))
    try:
        got = asked(CALLS[name][0], (status, headers, body))
    except TikTokError as error:
        _fine(error)
    else:
        assert isinstance(got, RESULTS)
        _used(got)


def _used(got: Any) -> None:
    """Do with a result what is done with it next."""
    if isinstance(got, Token):
        account = Account("tiktok_default", client_key="k", client_secret="s")
        grant = Grant("a", "r").refreshed(got, 1_800_000_000.0)
        assert read_back(written(grant, account), account) == grant
        # the next refresh sends what this one brought
        client_module._request(
            refresh_token("k", "s", refresh_token=grant.refresh_token), Policy(API_HOST), ""
        )
    if isinstance(got, PublishInit):
        json.dumps(got.publish_id).encode()
        got.publish_id.encode()
        if got.upload_url:
            try:
                check_upload_url(got.upload_url, API_HOST)
            except TikTokConfigError:
                pass
            else:
                assert got.upload_url.startswith("https://")
    if isinstance(got, PublishStatus):
        " ".join((got.status, got.fail_reason, got.log_id, *got.post_ids)).encode()


def test_a_right_answer_is_still_read(asked: Callable[..., Any]) -> None:
    """A fuzz that refuses everything would pass as well."""
    assert asked(CALLS["token refresh"][0], (200, [], json.dumps(_TOKEN).encode())) == Token(
        "act.1", 7200, "rft.1", 15552000, "o", "video.publish"
    )
    init = asked(CALLS["video init"][0], (200, [], json.dumps(_enveloped(_INIT)).encode()))
    assert init.upload_url == _INIT["upload_url"]


_LINES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 999 ?",
        b"HTTP/1.0 204",
        b"HTTP/2 200",
        b"ICY 200 OK",
        b"HTTP/1.1 101 S",
        b"",
    ]
)
_FRAMES = st.sampled_from(
    [
        b"Content-Length: 2",
        b"Content-Length: -1",
        b"Content-Length: 99999999999999999999",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Content-Encoding: gzip",
        b"Location: http://127.0.0.1:1/",
        b": x",
        b"\xff\xfe: \x00",
    ]
)
_WIRE = st.one_of(
    st.tuples(
        _LINES,
        st.lists(_FRAMES, max_size=3),
        st.sampled_from([b"{}", b"2\r\n{}\r\n0\r\n\r\n", b"ffffffff\r\n{"]),
    ).map(lambda parts: b"\r\n".join([parts[0], *parts[1], b"", parts[2]])),
    st.binary(max_size=200),
)


@FEW
@given(wire=_WIRE)
def test_any_bytes_on_the_wire(sender: Sender, serve: Callable[..., Server], wire: bytes) -> None:
    """Over real sockets: what is no HTTP at all, lies about its length, or ends in the middle."""
    server = serve(lambda _, connection, __: bool(connection.sendall(wire)))
    (got,) = sender.send(Request("fuzz", "POST", f"{server.url}/x", {}, b"{}", 2.0))
    assert isinstance(got, Answer | TikTokError), repr(got)
    server.close()


class _Media:
    size = 12_000_000

    def read(self, start: int, length: int) -> bytes:
        return bytes(length)


_RANGES = st.one_of(
    st.sampled_from(["bytes 0-4999999/12000000", "bytes 0-11999999/12000000", "bytes 0-99999999999/*", ""]),
    st.integers(0, 10**18).map(lambda end: f"bytes 0-{end}/12000000"),
    st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=20),
)


@settings(PATIENT, max_examples=150)
@given(
    answers=st.lists(
        st.tuples(st.sampled_from([200, 201, 206, 400, 403, 404, 416, 429, 500, 302]) | statuses, _RANGES),
        min_size=1,
        max_size=12,
    ),
    progress=st.none() | st.integers(0, 2**62),
)
def test_any_answer_to_a_range(
    monkeypatch: pytest.MonkeyPatch, answers: list[tuple[int, str]], progress: int | None
) -> None:
    """Once the last range was begun, no answer makes it conclude that nothing was posted."""
    monkeypatch.setattr(upload_module.time, "sleep", lambda _: None)
    left, sealed = iter(answers), list[bool]()

    def handle(request: httpx.Request) -> httpx.Response:
        request.read()
        status, told = next(left, answers[-1])
        return httpx.Response(status, headers=[(b"Content-Range", told.encode("latin-1"))])

    transport = Transport(httpx.MockTransport(handle))
    plan = chunk_plans(_Media.size, 6_000_000)[0]
    upload = Upload(
        transport,
        "https://open-upload.tiktokapis.com/upload?t=1",
        plan,
        _Media(),
        content_type="video/mp4",
        progress=lambda: progress,
        seal=lambda: sealed.append(True),
    )
    end: UploadEnd | None = None
    try:
        end = upload.send()
    except TikTokUploadError as error:
        _fine(error)
    assert end is not None or not sealed
    assert end is not UploadEnd.DONE or sealed
    transport.close()


_QUESTION = Authorization("key", ("video.publish",), "http://127.0.0.1:9/callback/", "state-1", "verifier")
_REDIRECTED = st.one_of(
    fuzz.text,
    st.lists(
        st.tuples(
            st.sampled_from(["code", "state", "error", "scopes", "error_description"]),
            st.just("state-1") | fuzz.text | st.sampled_from(["%ff", "%00", "%ED%A0%80", "access_denied"]),
        ),
        max_size=5,
    ).map(
        lambda pairs: "http://127.0.0.1:9/callback/?" + "&".join(f"{name}={value}" for name, value in pairs)
    ),
)


@settings(PATIENT, max_examples=500)
@given(redirected=_REDIRECTED)
def test_any_address_that_is_pasted(redirected: str) -> None:
    try:
        assert _QUESTION.consent(redirected).code
    except TikTokError as error:
        _fine(error)


@PATIENT
@given(address=fuzz.text | fuzz.text.map(lambda each: f"https://{each}"))
def test_any_address_that_is_configured(address: str) -> None:
    for check in (check_redirect_uri, lambda each: check_upload_url(each, API_HOST)):
        try:
            check(address)
        except TikTokError as error:
            _fine(error)
