"""Each endpoint's request, and what is made of every kind of answer."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_tiktok.api import endpoints
from airflow_provider_tiktok.api.endpoints import Call
from airflow_provider_tiktok.api.models import (
    CreatorInfo,
    FileUpload,
    PhotoPost,
    PostMode,
    PublishInit,
    PublishStatus,
    PullFromUrl,
    Token,
    UserInfo,
    VideoPage,
    VideoPost,
)
from airflow_provider_tiktok.api.transport import Answer
from airflow_provider_tiktok.auth.grant import Grant
from airflow_provider_tiktok.exceptions import (
    TikTokAnswerError,
    TikTokAppError,
    TikTokCapError,
    TikTokConsentError,
    TikTokError,
    TikTokProtocolError,
    TikTokRateLimitError,
    TikTokRequestError,
    TikTokServerError,
    TikTokTokenError,
)

FILE = FileUpload(50_000_123, 10_000_000, 5)
FILE_SENT = {
    "source": "FILE_UPLOAD",
    "video_size": 50_000_123,
    "chunk_size": 10_000_000,
    "total_chunk_count": 5,
}
PULL = PullFromUrl("https://media.example/v.mp4")
PULL_SENT = {"source": "PULL_FROM_URL", "video_url": "https://media.example/v.mp4"}
VIDEO = VideoPost("SELF_ONLY", title="Hi #x")
VIDEO_SENT = {
    "privacy_level": "SELF_ONLY",
    "title": "Hi #x",
    "disable_comment": False,
    "disable_duet": False,
    "disable_stitch": False,
    "brand_content_toggle": False,
    "brand_organic_toggle": False,
    "is_aigc": False,
}
PHOTOS = PhotoPost(
    ("https://m.example/1.jpg", "https://m.example/2.webp"),
    photo_cover_index=1,
    title="T",
    description="D",
    privacy_level="PUBLIC_TO_EVERYONE",
    auto_add_music=True,
)
PHOTOS_SOURCE = {
    "source": "PULL_FROM_URL",
    "photo_images": ["https://m.example/1.jpg", "https://m.example/2.webp"],
    "photo_cover_index": 1,
}
APP = {"client_key": "ck", "client_secret": "cs"}

CALLS: dict[str, tuple[Call[Any], str, str, dict[str, Any] | None, dict[str, str], bool, bool]] = {
    # name: call, method, path, body, query, whether it is an OAuth form, whether it may be repeated
    "code exchange": (
        endpoints.exchange_code(
            "ck", "cs", code="a*0!6410", redirect_uri="http://127.0.0.1:9/callback/", code_verifier="v"
        ),
        "POST",
        "/v2/oauth/token/",
        {
            **APP,
            "grant_type": "authorization_code",
            "code": "a*0!6410",
            "redirect_uri": "http://127.0.0.1:9/callback/",
            "code_verifier": "v",
        },
        {},
        True,
        False,
    ),
    "token refresh": (
        endpoints.refresh_token("ck", "cs", refresh_token="rft.1"),
        "POST",
        "/v2/oauth/token/",
        {**APP, "grant_type": "refresh_token", "refresh_token": "rft.1"},
        {},
        True,
        False,
    ),
    "client token": (
        endpoints.client_token("ck", "cs"),
        "POST",
        "/v2/oauth/token/",
        {**APP, "grant_type": "client_credentials"},
        {},
        True,
        True,
    ),
    "revoke": (
        endpoints.revoke("ck", "cs", access_token="act.1"),
        "POST",
        "/v2/oauth/revoke/",
        {**APP, "token": "act.1"},
        {},
        True,
        True,
    ),
    "creator_info": (
        endpoints.creator_info(),
        "POST",
        "/v2/post/publish/creator_info/query/",
        {},
        {},
        False,
        True,
    ),
    "video init": (
        endpoints.video_init(VIDEO, FILE),
        "POST",
        "/v2/post/publish/video/init/",
        {"post_info": VIDEO_SENT, "source_info": FILE_SENT},
        {},
        False,
        False,
    ),
    "inbox video init": (
        endpoints.inbox_init(PULL),
        "POST",
        "/v2/post/publish/inbox/video/init/",
        {"source_info": PULL_SENT},
        {},
        False,
        False,
    ),
    "photo init": (
        endpoints.content_init(PHOTOS, PostMode.DIRECT_POST),
        "POST",
        "/v2/post/publish/content/init/",
        {
            "media_type": "PHOTO",
            "post_mode": "DIRECT_POST",
            "post_info": {
                "title": "T",
                "description": "D",
                "privacy_level": "PUBLIC_TO_EVERYONE",
                "disable_comment": False,
                "auto_add_music": True,
                "brand_content_toggle": False,
                "brand_organic_toggle": False,
            },
            "source_info": PHOTOS_SOURCE,
        },
        {},
        False,
        False,
    ),
    "status": (
        endpoints.publish_status("v_pub_file~v2-1.7"),
        "POST",
        "/v2/post/publish/status/fetch/",
        {"publish_id": "v_pub_file~v2-1.7"},
        {},
        False,
        True,
    ),
    "cancel": (
        endpoints.cancel("v_pub_url~v2.7"),
        "POST",
        "/v2/post/publish/cancel/",
        {"publish_id": "v_pub_url~v2.7"},
        {},
        False,
        False,
    ),
    "user info": (
        endpoints.user_info(),
        "GET",
        "/v2/user/info/",
        None,
        {"fields": "open_id,display_name"},
        False,
        True,
    ),
    "video list": (
        endpoints.video_list(cursor=5, max_count=3),
        "POST",
        "/v2/video/list/",
        {"cursor": 5, "max_count": 3},
        {"fields": "id,share_url,create_time"},
        False,
        True,
    ),
    "video query": (
        endpoints.video_query(("1", "2")),
        "POST",
        "/v2/video/query/",
        {"filters": {"video_ids": ["1", "2"]}},
        {"fields": "id,share_url,create_time"},
        False,
        True,
    ),
}
FORMS = [name for name, row in CALLS.items() if row[5]]
ENVELOPED = [name for name, row in CALLS.items() if not row[5]]
every_call = pytest.mark.parametrize("name", CALLS)
every_enveloped = pytest.mark.parametrize("name", ENVELOPED)
every_form = pytest.mark.parametrize("name", FORMS)


def _answer(payload: object, status: int = 200, **headers: str) -> Answer:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Answer(status, headers, body)


def _ok(data: object = None, **error: object) -> Answer:
    return _answer({"data": data, "error": {"code": "ok", "message": "", "log_id": "LOG", **error}})


def _short(value: object) -> str:
    return repr(value)[:20]


def _call(name: str) -> Call[Any]:
    return CALLS[name][0]


# --- requests ---


@every_call
def test_request(name: str) -> None:
    """Method, path, body, query and kind of every endpoint are those of TikTok's reference."""
    call, method, path, body, query, form, repeatable = CALLS[name]
    assert call.name == name
    assert (call.method, call.path, call.body, call.params) == (method, path, body, query)
    assert (call.form, call.repeatable) == (form, repeatable)


def test_nothing_secret_in_a_calls_repr() -> None:
    """Calls end up in tracebacks."""
    for name, (call, *_) in CALLS.items():
        assert not any(secret in repr(call) for secret in ("'cs'", "rft.1", "act.1", "6410")), name


def test_web_apps_send_no_code_verifier() -> None:
    call = endpoints.exchange_code("ck", "cs", code="c", redirect_uri="https://x.example/")
    assert "code_verifier" not in (call.body or {})


def test_cover_timestamp_is_post_info_and_only_if_given() -> None:
    """TikTok documents it in post_info; other clients put it elsewhere, where it is ignored."""
    body = endpoints.video_init(VideoPost("SELF_ONLY", video_cover_timestamp_ms=0), PULL).body or {}
    assert body["post_info"]["video_cover_timestamp_ms"] == 0
    assert "video_cover_timestamp_ms" not in (endpoints.video_init(VIDEO, PULL).body or {})["post_info"]


def test_photo_label_is_at_the_top_level() -> None:
    labelled = PhotoPost(("https://m.example/1.jpg",), privacy_level="SELF_ONLY", is_aigc=True)
    body = endpoints.content_init(labelled, PostMode.DIRECT_POST).body or {}
    assert body["is_aigc"] is True
    assert "is_aigc" not in body["post_info"]


def test_photo_draft_carries_only_its_text() -> None:
    """TikTok drops all else of a draft without a word."""
    body = endpoints.content_init(PHOTOS, PostMode.MEDIA_UPLOAD).body or {}
    assert body == {
        "media_type": "PHOTO",
        "post_mode": "MEDIA_UPLOAD",
        "post_info": {"title": "T", "description": "D"},
        "source_info": PHOTOS_SOURCE,
    }


def test_first_page_has_no_cursor() -> None:
    assert endpoints.video_list().body == {"max_count": 20}


# --- good answers ---


def test_creator_info() -> None:
    data = {
        "creator_avatar_url": "https://a.example/x",
        "creator_username": "ann",
        "creator_nickname": "Ann",
        "privacy_level_options": ["PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"],
        "comment_disabled": False,
        "duet_disabled": True,
        "stitch_disabled": True,
        "max_video_post_duration_sec": 600,
    }
    assert endpoints.creator_info().result(_ok(data)) == CreatorInfo(
        "ann",
        "Ann",
        ("PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"),
        comment_disabled=False,
        duet_disabled=True,
        stitch_disabled=True,
        max_video_post_duration_sec=600,
    )


def test_creator_info_of_nothing_allows_nothing() -> None:
    for data in ({}, None, [], "x"):
        assert endpoints.creator_info().result(_ok(data)) == CreatorInfo()


def test_init_of_an_upload() -> None:
    got = endpoints.video_init(VIDEO, FILE).result(
        _ok(
            {
                "publish_id": "v_pub_file~v2-1.7",
                "upload_url": "https://up.tiktokapis.com/?upload_token=SECRET",
            }
        )
    )
    assert got == PublishInit("v_pub_file~v2-1.7", "https://up.tiktokapis.com/?upload_token=SECRET")
    assert "SECRET" not in repr(got)


@pytest.mark.parametrize(
    "call", [endpoints.inbox_init(PULL), endpoints.content_init(PHOTOS, PostMode.DIRECT_POST)]
)
def test_init_of_a_pull_has_no_upload_url(call: Call[PublishInit]) -> None:
    got = call.result(_ok({"publish_id": "p", "upload_url": "https://never.example/"}))
    assert got == PublishInit("p", "")


@pytest.mark.parametrize("missing", ["publish_id", "upload_url"])
@pytest.mark.parametrize("value", [None, "", 7, [], {}])
def test_init_without_what_it_is_for(missing: str, value: object) -> None:
    """TikTok has accepted something that nobody can name: an error with the log_id, not a half result."""
    data = {"publish_id": "p", "upload_url": "https://up.tiktokapis.com/"} | {missing: value}
    with pytest.raises(TikTokProtocolError, match=rf"video init.*{missing} is missing.*LOG"):
        endpoints.video_init(VIDEO, FILE).result(_ok(data))


@pytest.mark.parametrize("spelling", ["publicaly_available_post_id", "publicly_available_post_id"])
@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ([7546000000000000001], ("7546000000000000001",)),
        (7546000000000000001, ("7546000000000000001",)),
        ("7546000000000000001", ("7546000000000000001",)),
        (["7546000000000000001", "8"], ("7546000000000000001", "8")),
        ([1, "2", None, True, 1.5, {}, []], ("1", "2")),
        ([], ()),
        (None, ()),
        ("", ()),
        (0, ()),
        (True, ()),
        (1.5, ()),
        ({"id": 1}, ()),
    ],
)
def test_post_ids(spelling: str, value: object, ids: tuple[str, ...]) -> None:
    """19 digits exactly, whatever they come in; what is no id is none."""
    got = endpoints.publish_status("p").result(_ok({"status": "PUBLISH_COMPLETE", spelling: value}))
    assert got.post_ids == ids


def test_status() -> None:
    data = {"status": "FAILED", "fail_reason": "internal", "uploaded_bytes": 7, "downloaded_bytes": "8"}
    assert endpoints.publish_status("p").result(_ok(data)) == PublishStatus(
        "FAILED", "internal", (), 7, 8, "LOG"
    )
    assert endpoints.publish_status("p").result(_ok({"status": "BRAND_NEW"})) == PublishStatus(
        "BRAND_NEW", log_id="LOG"
    )


@pytest.mark.parametrize(
    "value", [None, "", "x", "-1", "1.5", True, [], {}, 1.5, "\u0661", "9" * 5000, 10**400], ids=_short
)
def test_what_is_no_number_of_bytes_is_not_told(value: object) -> None:
    data = {"status": "PROCESSING_UPLOAD", "uploaded_bytes": value}
    assert endpoints.publish_status("p").result(_ok(data)).uploaded_bytes is None


@pytest.mark.parametrize("data", [None, {}, [], {"status": None}, {"status": 1}, {"status": ""}])
def test_status_without_status(data: object) -> None:
    with pytest.raises(TikTokProtocolError, match="status"):
        endpoints.publish_status("p").result(_ok(data))


def test_user_info_and_videos() -> None:
    user = {"open_id": "o", "display_name": "Ann", "follower_count": 3}
    assert endpoints.user_info().result(_ok({"user": user})) == UserInfo("o", "Ann", user)
    assert endpoints.user_info().result(_ok({"user": [1]})) == UserInfo()
    page = {"videos": [{"id": "1"}, "odd", None], "cursor": "1700000000000", "has_more": True}
    assert endpoints.video_list().result(_ok(page)) == VideoPage(({"id": "1"},), 1_700_000_000_000, True)
    assert endpoints.video_query(("1",)).result(_ok({"videos": None})) == VideoPage()


TOKEN = {
    "access_token": "act.1",
    "expires_in": 7200,
    "open_id": "o",
    "refresh_token": "rft.2",
    "refresh_expires_in": 15552000,
    "scope": "user.info.basic,video.publish",
    "token_type": "Bearer",
}


def test_token() -> None:
    got = endpoints.refresh_token("ck", "cs", refresh_token="rft.1").result(_answer(TOKEN))
    assert got == Token("act.1", 7200, "rft.2", 15552000, "o", "user.info.basic,video.publish")
    assert "act.1" not in repr(got)
    assert "rft.2" not in repr(got)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(7200, 7200), ("86400", 86400), (86400.0, 86400), (60, 60)]
    + [(bad, 7200) for bad in (None, "", "x", 0, -5, "-5", True, [], 10**400, "9" * 5000)],
    ids=_short,
)
def test_lifetime_of_a_token(given: object, seconds: int) -> None:
    """Whatever TikTok says, or not, a grant can be made of it: its refresh token is the only one left."""
    token = endpoints.client_token("ck", "cs").result(_answer(TOKEN | {"expires_in": given}))
    assert token.expires_in == seconds
    assert Grant("a", "r").refreshed(token, 1_800_000_000.0).expires_at == 1_800_000_000.0 + seconds


def test_token_with_nothing_but_itself() -> None:
    got = endpoints.refresh_token("ck", "cs", refresh_token="r").result(_answer({"access_token": "act.1"}))
    assert got == Token("act.1", 7200)


@pytest.mark.parametrize("status", [200, 204])
@pytest.mark.parametrize("body", [b"", b"{}", b" \n", b'{"error": ""}', b'{"error": {"code": "ok"}}'])
def test_revoked(status: int, body: bytes) -> None:
    endpoints.revoke("ck", "cs", access_token="a").result(Answer(status, {}, body))


def test_cancelled_without_data() -> None:
    endpoints.cancel("p").result(_answer({"error": {"code": "ok"}}))


# --- refusals ---


@every_enveloped
@pytest.mark.parametrize("status", [200, 400, 401, 403, 500])
def test_error_code_decides_whatever_the_status(name: str, status: int) -> None:
    body = {"data": {}, "error": {"code": "spam_risk_too_many_posts", "message": "m", "log_id": "L"}}
    with pytest.raises(TikTokCapError) as caught:
        _call(name).result(_answer(body, status))
    error = caught.value
    assert (error.code, error.log_id, error.http_status, error.detail) == (
        "spam_risk_too_many_posts",
        "L",
        status,
        "m",
    )
    assert name in str(error)


@pytest.mark.parametrize("status", [200, 201, 302, 400, 401, 429, 500])
def test_ok_is_ok_whatever_the_status(status: int) -> None:
    body = {"data": {"status": "FAILED"}, "error": {"code": "ok"}}
    assert endpoints.publish_status("p").result(_answer(body, status)).status == "FAILED"


@pytest.mark.parametrize(
    ("body", "log_id"),
    [
        ({"error": {"code": "internal_error", "log_id": "A"}}, "A"),
        ({"error": {"code": "internal_error", "logid": "B"}}, "B"),
        ({"error": {"code": "internal_error"}, "log_id": "C"}, "C"),
        ({"error": {"code": "internal_error"}, "logid": "D"}, "D"),
        ({"error": {"code": "internal_error", "log_id": 5}}, "5"),
        ({"error": {"code": "internal_error", "log_id": None}}, ""),
    ],
)
def test_both_spellings_of_log_id(body: object, log_id: str) -> None:
    with pytest.raises(TikTokServerError) as caught:
        endpoints.creator_info().result(_answer(body))
    assert caught.value.log_id == log_id


@pytest.mark.parametrize("code", ["invalid_param", "invalid_params"])
def test_both_spellings_of_invalid_param(code: str) -> None:
    body = {"error": {"code": code, "message": "The chunk size is invalid", "log_id": "L"}}
    with pytest.raises(TikTokRequestError, match="The chunk size is invalid"):
        endpoints.video_init(VIDEO, FILE).result(_answer(body, 400))


@pytest.mark.parametrize(
    ("code", "kind"),
    [("access_token_invalid", TikTokTokenError), ("scope_not_authorized", TikTokConsentError)],
)
def test_dead_token_is_not_a_missing_scope(code: str, kind: type[TikTokAnswerError]) -> None:
    with pytest.raises(kind):
        endpoints.creator_info().result(_answer({"error": {"code": code}}, 401))


@every_form
@pytest.mark.parametrize("status", [200, 400, 401])
def test_oauth_error_whatever_the_status(name: str, status: int) -> None:
    body = {"error": "invalid_grant", "error_description": "Refresh token is invalid", "log_id": "L9"}
    with pytest.raises(TikTokConsentError, match="L9") as caught:
        _call(name).result(_answer(body, status))
    assert caught.value.detail == "Refresh token is invalid"
    assert caught.value.http_status == status


@every_form
def test_oauth_error_in_the_other_endpoints_envelope(name: str) -> None:
    """A gateway in front of all endpoints may refuse with the common shape."""
    body = {"data": {}, "error": {"code": "invalid_client", "message": "who?", "log_id": "L8"}}
    with pytest.raises(TikTokAppError) as caught:
        _call(name).result(_answer(body, 401))
    assert (caught.value.code, caught.value.detail, caught.value.log_id) == ("invalid_client", "who?", "L8")


@pytest.mark.parametrize("body", [{}, {"error": None}, {"access_token": ""}, {"access_token": 7}, b"", b"{}"])
def test_token_answer_without_token(body: object) -> None:
    """Success is an access token and no error, never the HTTP status."""
    with pytest.raises(TikTokProtocolError, match=r"token refresh.*access_token"):
        endpoints.refresh_token("ck", "cs", refresh_token="r").result(_answer(body))


def test_error_beats_a_token() -> None:
    with pytest.raises(TikTokConsentError):
        endpoints.refresh_token("ck", "cs", refresh_token="r").result(
            _answer(TOKEN | {"error": "invalid_grant"})
        )


# --- garbage ---

GARBAGE = {
    "html": b"<html><body>Bad gateway</body></html>",
    "cut short": b'{"data": {"publish_id": "v_pub',
    "a list": b'[{"error": {"code": "ok"}}]',
    "a number": b"7",
    "null": b"null",
    "deep": b"[" * 100_000,
    "deep and closed": b'{"error":' * 50_000 + b"1" + b"}" * 50_000,
    "not utf-8": b'{"error": {"code": "\xff\xfe"}}',
    "no error": b'{"data": {"publish_id": "p"}}',
    "error is a list": b'{"error": ["ok"]}',
    "error without code": b'{"error": {"message": "m"}}',
    "code is a number": b'{"error": {"code": 0}}',
    "code is null": b'{"error": {"code": null}}',
    "huge number": b'{"error": {"code": ' + b"9" * 10_000 + b"}}",
    "empty": b"",
}
#: Legal JSON objects that are not legal envelopes: the flat endpoints see other faults in them.
NOT_JSON = [
    "html",
    "cut short",
    "a list",
    "a number",
    "null",
    "deep",
    "deep and closed",
    "not utf-8",
    "huge number",
]


@every_enveloped
@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_names_the_endpoint(name: str, garbage: str) -> None:
    for status in (200, 302, 403):
        with pytest.raises(TikTokProtocolError, match=f"TikTok: {name}: .*HTTP {status}, text/html"):
            _call(name).result(Answer(status, {"content-type": "text/html"}, GARBAGE[garbage]))


@every_form
@pytest.mark.parametrize("garbage", NOT_JSON)
def test_garbage_of_a_form_names_the_endpoint(name: str, garbage: str) -> None:
    with pytest.raises(TikTokProtocolError, match=f"TikTok: {name}: .*HTTP 200"):
        _call(name).result(Answer(200, {}, GARBAGE[garbage]))


@every_call
@pytest.mark.parametrize("garbage", NOT_JSON)
@pytest.mark.parametrize(("status", "kind"), [(502, TikTokServerError), (429, TikTokRateLimitError)])
def test_gateway_without_a_code(name: str, garbage: str, status: int, kind: type[TikTokAnswerError]) -> None:
    """A page of a proxy's own: its status is all there is to go by."""
    with pytest.raises(kind, match=name) as caught:
        _call(name).result(Answer(status, {}, GARBAGE[garbage]))
    assert caught.value.http_status == status


def test_no_answer_is_quoted_whole() -> None:
    """A page of megabytes has no place in a task log, nor a token that a proxy echoes."""
    for status in (200, 403, 502):
        with pytest.raises(TikTokError) as caught:
            endpoints.creator_info().result(Answer(status, {}, b"act.echoed" * 10_000))
        assert "act.echoed" not in str(caught.value)


_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["ok", "invalid_grant", "internal_error", "9" * 5000, 10**400, -1, "\ud800", "\u0663"])
)
_json = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)
_NAMES = [
    "publish_id",
    "upload_url",
    "status",
    "fail_reason",
    "publicaly_available_post_id",
    "uploaded_bytes",
    "access_token",
    "expires_in",
    "refresh_token",
    "refresh_expires_in",
    "open_id",
    "scope",
    "user",
    "videos",
    "cursor",
    "has_more",
    "privacy_level_options",
    "max_video_post_duration_sec",
    "error_description",
]
_fields = st.dictionaries(st.sampled_from(_NAMES), _json, max_size=6)
_error = _json | st.fixed_dictionaries(
    {}, optional={"code": _scalars, "message": _json, "log_id": _json, "logid": _json}
)
_payload = (
    st.binary(max_size=40)
    | _json.map(lambda each: json.dumps(each).encode())
    | st.fixed_dictionaries({}, optional={"data": _fields | _json, "error": _error}).map(
        lambda each: json.dumps(each).encode()
    )
    | st.tuples(_fields, st.fixed_dictionaries({}, optional={"error": _error})).map(
        lambda each: json.dumps(each[0] | each[1]).encode()
    )
)


@settings(max_examples=400, deadline=None)
@given(
    body=_payload,
    status=st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 429, 500, 502, 599]),
    kind=st.text(max_size=5),
)
def test_any_answer_gives_a_result_or_an_error_of_ours(body: bytes, status: int, kind: str) -> None:
    for call, *_ in CALLS.values():
        with suppress(TikTokError):
            got = call.result(Answer(status, {"content-type": kind}, body))
            if isinstance(got, Token):
                Grant("a", "r").refreshed(got, 1_800_000_000.0)
