"""What is repeated, what never is, and where the access token goes; both clients by one handler."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from airflow_provider_tiktok.api import endpoints
from airflow_provider_tiktok.api.client import REPEATS, Client, Policy
from airflow_provider_tiktok.api.endpoints import Call
from airflow_provider_tiktok.api.models import FileUpload, PhotoPost, PostMode, PullFromUrl, VideoPost
from airflow_provider_tiktok.exceptions import (
    TikTokAnswerError,
    TikTokConsentError,
    TikTokError,
    TikTokNoAnswerError,
    TikTokNothingSentError,
    TikTokProtocolError,
    TikTokRateLimitError,
    TikTokServerError,
    TikTokStoreError,
    TikTokTokenError,
)
from tests.api.conftest import Driver

PULL = PullFromUrl("https://m.example/v.mp4")
READS = {
    "creator_info": endpoints.creator_info(),
    "status": endpoints.publish_status("p"),
    "user info": endpoints.user_info(),
    "video list": endpoints.video_list(),
    "video query": endpoints.video_query(("1",)),
}
INITS = {
    "video init": endpoints.video_init(VideoPost("SELF_ONLY"), FileUpload(7, 7, 1)),
    "pull init": endpoints.video_init(VideoPost("SELF_ONLY"), PULL),
    "inbox init": endpoints.inbox_init(PULL),
    "photo init": endpoints.content_init(
        PhotoPost(("https://m.example/1.jpg",), privacy_level="SELF_ONLY"), PostMode.DIRECT_POST
    ),
}
#: Not inits, and yet not to be done twice: a refresh token and a code work once.
ONCE = {
    "token refresh": endpoints.refresh_token("ck", "cs", refresh_token="rft.1"),
    "code exchange": endpoints.exchange_code("ck", "cs", code="c", redirect_uri="https://x.example/"),
    "cancel": endpoints.cancel("p"),
}
DATA = {"publish_id": "p", "upload_url": "https://up.tiktokapis.com/", "status": "PROCESSING_UPLOAD"}


def ok(data: object = None) -> httpx.Response:
    return httpx.Response(200, json={"data": data or DATA, "error": {"code": "ok", "log_id": "L"}})


def no(code: str, status: int) -> httpx.Response:
    return httpx.Response(status, json={"data": {}, "error": {"code": code, "message": "m", "log_id": "L"}})


def token() -> httpx.Response:
    return httpx.Response(200, json={"access_token": "act.9", "expires_in": 7200, "refresh_token": "rft.9"})


class Script:
    """Answers in turn with what it is given, the last one for ever; keeps the requests."""

    def __init__(self, *answers: Callable[[], httpx.Response] | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = self.answers[min(len(self.requests), len(self.answers) - 1)]
        self.requests.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer()

    @property
    def bearers(self) -> list[str | None]:
        return [each.headers.get("authorization") for each in self.requests]


NOT_SENT = [httpx.ConnectError("x"), httpx.ConnectTimeout("x"), httpx.PoolTimeout("x"), httpx.ProxyError("x")]
LOST = [
    httpx.ReadTimeout("x"),
    httpx.WriteTimeout("x"),
    httpx.ReadError("x"),
    httpx.WriteError("x"),
    httpx.RemoteProtocolError("x"),
    httpx.CloseError("x"),
    httpx.DecodingError("x"),
]
TROUBLE = {
    "500": lambda: httpx.Response(500),
    "502 page": lambda: httpx.Response(502, text="<html>"),
    "internal_error": lambda: no("internal_error", 500),
    "internal_error with 200": lambda: no("internal_error", 200),
}
all_reads = pytest.mark.parametrize("call", READS.values(), ids=READS)
all_deeds = pytest.mark.parametrize("call", [*INITS.values(), *ONCE.values()], ids=[*INITS, *ONCE])
all_calls = pytest.mark.parametrize(
    "call", [*READS.values(), *INITS.values(), *ONCE.values()], ids=[*READS, *INITS, *ONCE]
)


def _kind(error: Exception) -> str:
    return type(error).__name__


# --- repeating ---


@all_reads
@pytest.mark.parametrize("trouble", TROUBLE)
def test_reads_are_repeated_in_tiktoks_trouble(driver: Driver, call: Call[Any], trouble: str) -> None:
    script = Script(TROUBLE[trouble], TROUBLE[trouble], ok)
    driver.call(call, script)
    assert len(script.requests) == 3
    assert len(driver.pauses) == 2


@all_reads
@pytest.mark.parametrize("lost", LOST, ids=_kind)
def test_reads_are_repeated_after_lost_answers(driver: Driver, call: Call[Any], lost: Exception) -> None:
    script = Script(lost, ok)
    driver.call(call, script)
    assert len(script.requests) == 2


@pytest.mark.parametrize("trouble", [TROUBLE["500"], LOST[0], NOT_SENT[0]])
def test_repeating_ends_with_capped_backoff(driver: Driver, trouble: Any) -> None:
    script = Script(trouble)
    with pytest.raises(TikTokError):
        driver.call(READS["status"], script)
    assert len(script.requests) == REPEATS + 1
    assert all(low <= got <= 2 * low for low, got in zip((0.25, 0.5, 1.0), driver.pauses, strict=True))


def test_backoff_is_capped(driver: Driver) -> None:
    from airflow_provider_tiktok.api import client

    with pytest.raises(TikTokServerError):
        driver.call(READS["status"], Script(TROUBLE["500"]), repeats=12)
    assert len(driver.pauses) == 12
    assert max(driver.pauses) <= client.LONGEST_PAUSE


@all_deeds
@pytest.mark.parametrize("lost", LOST, ids=_kind)
def test_deeds_are_never_repeated_after_a_lost_answer(
    driver: Driver, call: Call[Any], lost: Exception
) -> None:
    """A second init may be a second post; a second refresh spends a dead token."""
    script = Script(lost)
    with pytest.raises(TikTokNoAnswerError, match="may have acted"):
        driver.call(call, script)
    assert len(script.requests) == 1
    assert driver.pauses == []


@all_deeds
@pytest.mark.parametrize("trouble", TROUBLE)
def test_deeds_are_never_repeated_in_tiktoks_trouble(driver: Driver, call: Call[Any], trouble: str) -> None:
    script = Script(TROUBLE[trouble])
    with pytest.raises(TikTokServerError):
        driver.call(call, script)
    assert len(script.requests) == 1


@all_calls
@pytest.mark.parametrize("body", [b"<html>", b'{"data": {', b"[]", b"\xff"])
def test_garbage_is_never_repeated(driver: Driver, call: Call[Any], body: bytes) -> None:
    script = Script(lambda: httpx.Response(200, content=body))
    with pytest.raises(TikTokProtocolError, match=call.name):
        driver.call(call, script)
    assert len(script.requests) == 1


@all_calls
@pytest.mark.parametrize("unsent", NOT_SENT, ids=_kind)
def test_all_is_repeated_while_nothing_was_sent(driver: Driver, call: Call[Any], unsent: Exception) -> None:
    script = Script(unsent, unsent, token if call.form else ok)
    driver.call(call, script)
    assert len(script.requests) == 3


def test_what_was_never_sent_is_told(driver: Driver) -> None:
    with pytest.raises(TikTokNothingSentError, match=r"video init: no connection to open\.tiktokapis\.com"):
        driver.call(INITS["video init"], Script(NOT_SENT[0]))


@all_deeds
def test_deed_that_left_once_is_not_repeated_for_an_earlier_one_that_did_not(
    driver: Driver, call: Call[Any]
) -> None:
    script = Script(NOT_SENT[0], LOST[0], ok)
    with pytest.raises(TikTokNoAnswerError):
        driver.call(call, script)
    assert len(script.requests) == 2


# --- tokens ---


@pytest.mark.parametrize("call", [*READS.values(), *INITS.values()], ids=[*READS, *INITS])
def test_dead_token_is_refreshed_once_and_the_call_repeated_once(driver: Driver, call: Call[Any]) -> None:
    """TikTok answers 401 before it acts, so this holds for inits too."""
    script = Script(lambda: no("access_token_invalid", 401), ok)
    driver.call(call, script)
    assert script.bearers == ["Bearer act.0", "Bearer act.1"]
    assert driver.tokens.asked == ["", "act.0"]
    assert driver.pauses == []


@pytest.mark.parametrize("call", [READS["status"], INITS["video init"]])
def test_second_dead_token_is_an_error(driver: Driver, call: Call[Any]) -> None:
    script = Script(lambda: no("access_token_invalid", 401))
    with pytest.raises(TikTokTokenError, match="access_token_invalid"):
        driver.call(call, script)
    assert len(script.requests) == 2
    assert driver.tokens.asked == ["", "act.0"]


@pytest.mark.parametrize("status", [200, 401])
def test_missing_scope_is_no_dead_token(driver: Driver, status: int) -> None:
    script = Script(lambda: no("scope_not_authorized", status))
    with pytest.raises(TikTokConsentError):
        driver.call(READS["status"], script)
    assert len(script.requests) == 1
    assert driver.tokens.asked == [""]


def test_refresh_that_fails_is_what_is_told(driver: Driver) -> None:
    class Broken:
        def token(self, refused: str = "") -> str:
            if refused:
                raise TikTokStoreError("no database")
            return "act.0"

        async def atoken(self, refused: str = "") -> str:
            return self.token(refused)

    script = Script(lambda: no("access_token_invalid", 401))
    with pytest.raises(TikTokStoreError, match="no database"):
        driver.call(READS["status"], script, tokens=Broken())
    assert len(script.requests) == 1


@pytest.mark.parametrize("call", [each for each in ONCE.values() if each.form])
def test_oauth_endpoints_get_no_bearer_token(driver: Driver, call: Call[Any]) -> None:
    script = Script(token)
    driver.call(call, script)
    assert script.bearers == [None]
    assert driver.tokens.asked == []
    assert script.requests[0].headers["content-type"] == "application/x-www-form-urlencoded"


def test_token_refused_by_an_oauth_endpoint_refreshes_nothing(driver: Driver) -> None:
    script = Script(lambda: httpx.Response(401, json={"error": "access_token_invalid"}))
    with pytest.raises(TikTokTokenError):
        driver.call(ONCE["token refresh"], script)
    assert len(script.requests) == 1
    assert driver.tokens.asked == []


@all_calls
@pytest.mark.parametrize("base", ["https://open.tiktokapis.com", "http://127.0.0.1:8765"])
def test_token_goes_to_the_base_url_only(driver: Driver, call: Call[Any], base: str) -> None:
    script = Script(token if call.form else ok)
    driver.call(call, script, base_url=base)
    assert [str(each.url).partition("?")[0] for each in script.requests] == [base + call.path]


@all_calls
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_never_followed(driver: Driver, call: Call[Any], status: int) -> None:
    """They would carry the token away."""
    script = Script(lambda: httpx.Response(status, headers={"Location": "https://evil.example/"}))
    with pytest.raises(TikTokProtocolError, match=f"{call.name}.*HTTP {status}"):
        driver.call(call, script)
    assert [each.url.host for each in script.requests] == ["open.tiktokapis.com"]


# --- a minute's limit ---


@all_calls
def test_minutes_limit_is_raised_at_once_without_patience(driver: Driver, call: Call[Any]) -> None:
    script = Script(lambda: no("rate_limit_exceeded", 429))
    with pytest.raises(TikTokRateLimitError):
        driver.call(call, script)
    assert len(script.requests) == 1
    assert driver.pauses == []


@all_calls
def test_minutes_limit_is_waited_out_with_patience(driver: Driver, call: Call[Any]) -> None:
    """The call was blocked, so even an init may come again."""
    if call.name == "status":
        pytest.skip("whoever asks for a status asks again")
    script = Script(lambda: httpx.Response(429), lambda: httpx.Response(429), token if call.form else ok)
    driver.call(call, script, patience=2, rate_window=10.0)
    assert len(script.requests) == 3
    assert all(5.0 <= pause <= 10.0 for pause in driver.pauses)


def test_a_status_is_never_waited_for(driver: Driver) -> None:
    """A deferrable sensor's first look must not hold its worker slot for minutes."""
    script = Script(lambda: no("rate_limit_exceeded", 429))
    with pytest.raises(TikTokRateLimitError):
        driver.call(READS["status"], script, patience=3)
    assert len(script.requests) == 1


def test_patience_ends(driver: Driver) -> None:
    script = Script(lambda: no("rate_limit_exceeded", 429))
    with pytest.raises(TikTokRateLimitError):
        driver.call(INITS["video init"], script, patience=3)
    assert len(script.requests) == 4


def test_an_init_after_a_limit_is_still_an_init(driver: Driver) -> None:
    script = Script(lambda: httpx.Response(429), LOST[0], ok)
    with pytest.raises(TikTokNoAnswerError):
        driver.call(INITS["video init"], script, patience=3)
    assert len(script.requests) == 2


# --- what is sent ---


def test_json_request(driver: Driver) -> None:
    script = Script(ok)
    driver.call(READS["status"], script)
    request = script.requests[0]
    assert (request.method, json.loads(request.content)) == ("POST", {"publish_id": "p"})
    assert request.headers["content-type"] == "application/json; charset=UTF-8"
    assert request.headers["user-agent"].startswith("airflow-provider-tiktok/")


def test_form_request(driver: Driver) -> None:
    call = endpoints.exchange_code("ck", "c&s=", code="a*0!6410", redirect_uri="http://127.0.0.1:9/cb/")
    script = Script(token)
    driver.call(call, script)
    assert dict(httpx.QueryParams(script.requests[0].content.decode())) == dict(call.body or {})


def test_query_request(driver: Driver) -> None:
    script = Script(lambda: ok({"user": {"open_id": "o"}}))
    driver.call(READS["user info"], script)
    request = script.requests[0]
    assert (request.method, request.content) == ("GET", b"")
    assert request.url.params["fields"] == "open_id,display_name"
    assert "content-type" not in request.headers


@pytest.mark.parametrize("bad", ["act.\nX: y", "act.\u2026", "act.\ud800"], ids=ascii)
def test_token_that_fits_in_no_header(driver: Driver, bad: str) -> None:
    """Pasted from a document: an error of ours, that does not quote it, and nothing was sent."""

    class Bad:
        def token(self, refused: str = "") -> str:
            return bad

        async def atoken(self, refused: str = "") -> str:
            return bad

    script = Script(ok)
    with pytest.raises(TikTokNothingSentError) as caught:
        driver.call(READS["status"], script, tokens=Bad())
    assert "act." not in str(caught.value)
    assert script.requests == []


@pytest.mark.parametrize("base", ["http://[::1", "ftp://127.0.0.1", "http://a b", "http://127.0.0.1:99999"])
def test_address_that_is_none(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be sent at all is not tried again and again."""
    from airflow_provider_tiktok.api import client

    monkeypatch.setattr(client, "FIRST_PAUSE", 0.0)
    made = Client(Policy(base))
    with pytest.raises(TikTokNothingSentError):
        made.call(ONCE["token refresh"])
    made.close()


def test_error_of_the_caller_is_not_swallowed(driver: Driver) -> None:
    class Stopped(BaseException):
        pass

    def handler(request: httpx.Request) -> httpx.Response:
        raise Stopped

    with pytest.raises(Stopped):
        driver.call(READS["status"], handler)


def test_known_refusals_come_at_once(driver: Driver) -> None:
    script = Script(lambda: no("privacy_level_option_mismatch", 403))
    with pytest.raises(TikTokAnswerError):
        driver.call(INITS["video init"], script)
    assert len(script.requests) == 1
