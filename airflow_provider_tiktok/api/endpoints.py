"""
One small function for each of TikTok's endpoints: it builds the request and knows how to read the answer.

Nothing here does I/O. Paths, fields and limits: the Content Posting API references and Login Kit pages as of
2026-09-11 (tokens: 2026-11-02). All but the OAuth endpoints answer in one envelope, ``{"data", "error"}``, in
which success is ``error.code == "ok"`` and nothing else; the OAuth endpoints answer flat, and may report an
error with HTTP 200.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from airflow_provider_tiktok.api.models import (
    CreatorInfo,
    FileUpload,
    PhotoPost,
    PostMode,
    PublishInit,
    PublishStatus,
    PullFromUrl,
    Source,
    Token,
    UserInfo,
    VideoPage,
    VideoPost,
)
from airflow_provider_tiktok.api.transport import Answer
from airflow_provider_tiktok.exceptions import TikTokAnswerError, TikTokProtocolError, answer_error

API_HOST = "https://open.tiktokapis.com"
_WHOLE = re.compile(r"(\d{1,19})(?:\.0)?", re.ASCII)
#: The OAuth documents give no sample since lifetimes changed to two hours; used only if TikTok leaves it out.
DEFAULT_EXPIRES_IN = 7200

T = TypeVar("T")
Json: TypeAlias = Mapping[str, Any]
VideoSource: TypeAlias = FileUpload | PullFromUrl


@dataclass(frozen=True)
class Call(Generic[T]):
    """
    A call of one endpoint.

    :param name: what it is called in errors
    :param path: below the API's host
    :param read: makes the result of the answer's payload
    :param body: sent as JSON, or as a form with ``form``
    :param params: the query
    :param method: HTTP method
    :param form: whether it is an OAuth endpoint: form in, flat JSON out, no bearer token
    :param repeatable: whether it may be sent again after its answer was lost
    """

    name: str
    path: str
    read: Callable[[Json, str], T]
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    params: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    form: bool = False
    repeatable: bool = False

    def result(self, answer: Answer) -> T:
        """
        Read an answer.

        :raises TikTokAnswerError: TikTok said no; the subclass says what that means
        :raises TikTokProtocolError: the answer cannot be understood
        """
        payload, log_id = _flat(self.name, answer) if self.form else _enveloped(self.name, answer)
        try:
            return self.read(payload, log_id)
        except _Misshapen as error:
            reason = f"{error}, log_id {log_id or 'not given'}"
            raise _protocol_error(self.name, answer, reason) from None


class _Misshapen(Exception):  # noqa: N818
    """A part of an answer that is not of the documented shape."""


# --- token endpoints: flat answers ---


def exchange_code(
    client_key: str, client_secret: str, *, code: str, redirect_uri: str, code_verifier: str = ""
) -> Call[Token]:
    """
    Get a creator's first grant.

    :param code: from the redirect, URL-decoded
    :param redirect_uri: exactly the one that was used to authorize
    :param code_verifier: for desktop apps only
    """
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
    if code_verifier:
        form["code_verifier"] = code_verifier
    return _token_call("code exchange", client_key, client_secret, form)


def refresh_token(client_key: str, client_secret: str, *, refresh_token: str) -> Call[Token]:
    """
    Trade a refresh token for a new grant; the old one is dead as soon as TikTok answers (2026-11-02).

    :param refresh_token: it works once
    """
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    return _token_call("token refresh", client_key, client_secret, form)


def client_token(client_key: str, client_secret: str) -> Call[Token]:
    """Get a token for the app itself: of no use for posting, but it proves key and secret."""
    form = {"grant_type": "client_credentials"}
    return _token_call("client token", client_key, client_secret, form, repeatable=True)


def revoke(client_key: str, client_secret: str, *, access_token: str) -> Call[None]:
    """
    Take the app's permission away from a creator's grant.

    :param access_token: of the grant
    """
    form = {"client_key": client_key, "client_secret": client_secret, "token": access_token}
    return Call("revoke", "/v2/oauth/revoke/", _nothing, form, form=True, repeatable=True)


def _token_call(
    name: str, client_key: str, client_secret: str, form: dict[str, str], *, repeatable: bool = False
) -> Call[Token]:
    fields = {"client_key": client_key, "client_secret": client_secret, **form}
    return Call(name, "/v2/oauth/token/", _token, fields, form=True, repeatable=repeatable)


# --- posting ---


def creator_info() -> Call[CreatorInfo]:
    """Ask what the creator may do right now; TikTok wants it before each direct post. 20 a minute."""
    return Call("creator_info", "/v2/post/publish/creator_info/query/", _creator_info, {}, repeatable=True)


def video_init(post: VideoPost, source: VideoSource) -> Call[PublishInit]:
    """
    Start a direct video post. 6 a minute; not idempotent.

    :param post: what is said of it
    :param source: where its bytes come from
    """
    body = {"post_info": _without_none(asdict(post)), "source_info": _source_info(source)}
    return Call("video init", "/v2/post/publish/video/init/", _publish_init(source), body)


def inbox_init(source: VideoSource) -> Call[PublishInit]:
    """
    Start a draft in the creator's inbox: a video without any settings. 6 a minute; not idempotent.

    :param source: where its bytes come from
    """
    body = {"source_info": _source_info(source)}
    return Call("inbox video init", "/v2/post/publish/inbox/video/init/", _publish_init(source), body)


def content_init(post: PhotoPost, post_mode: PostMode) -> Call[PublishInit]:
    """
    Start a photo carousel, posted or as a draft. 6 a minute; not idempotent.

    :param post: pictures and text; of a draft TikTok takes only title and description
    :param post_mode: post, or draft
    """
    text = {"title": post.title, "description": post.description}
    settings = {
        "privacy_level": post.privacy_level,
        "disable_comment": post.disable_comment,
        "auto_add_music": post.auto_add_music,
        "brand_content_toggle": post.brand_content_toggle,
        "brand_organic_toggle": post.brand_organic_toggle,
    }
    direct = post_mode is PostMode.DIRECT_POST
    body: dict[str, Any] = {
        "media_type": "PHOTO",
        "post_mode": post_mode.value,
        "post_info": _without_none(text | settings if direct else text),
        "source_info": {
            "source": Source.PULL_FROM_URL.value,
            "photo_images": list(post.photo_images),
            "photo_cover_index": post.photo_cover_index,
        },
    }
    if post.is_aigc:
        body["is_aigc"] = True  # at the top level, unlike a video's (Photo Post reference, 2026-09-11)
    return Call("photo init", "/v2/post/publish/content/init/", _publish_init(None), body)


def publish_status(publish_id: str) -> Call[PublishStatus]:
    """
    Ask how far a publish is. 30 a minute.

    :param publish_id: from an init
    """
    body = {"publish_id": publish_id}
    return Call("status", "/v2/post/publish/status/fetch/", _publish_status, body, repeatable=True)


def cancel(publish_id: str) -> Call[None]:
    """
    Stop a pull that is still downloading, if TikTok can.

    :param publish_id: from an init
    """
    return Call("cancel", "/v2/post/publish/cancel/", _nothing, {"publish_id": publish_id})


# --- display ---


def user_info(fields: str = "open_id,display_name") -> Call[UserInfo]:
    """
    Ask whose token this is. 600 a minute.

    :param fields: comma-separated; each must be covered by a granted scope
    """
    return Call(
        "user info", "/v2/user/info/", _user_info, params={"fields": fields}, method="GET", repeatable=True
    )


def video_list(
    *, fields: str = "id,share_url,create_time", cursor: int | None = None, max_count: int = 20
) -> Call[VideoPage]:
    """
    List the creator's public videos, newest first. 600 a minute.

    :param fields: comma-separated
    :param cursor: from the page before; None = the newest
    :param max_count: 1 to 20
    """
    body = _without_none({"max_count": max_count, "cursor": cursor})
    return Call("video list", "/v2/video/list/", _video_page, body, {"fields": fields}, repeatable=True)


def video_query(video_ids: tuple[str, ...], *, fields: str = "id,share_url,create_time") -> Call[VideoPage]:
    """
    Ask for some of the creator's public videos. 600 a minute.

    :param video_ids: at most 20
    :param fields: comma-separated
    """
    body = {"filters": {"video_ids": list(video_ids)}}
    return Call("video query", "/v2/video/query/", _video_page, body, {"fields": fields}, repeatable=True)


def _source_info(source: VideoSource) -> dict[str, Any]:
    kind = Source.FILE_UPLOAD if isinstance(source, FileUpload) else Source.PULL_FROM_URL
    return {"source": kind.value, **asdict(source)}


def _without_none(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


# --- answers ---


def _flat(name: str, answer: Answer) -> tuple[Json, str]:
    payload = _json_object(name, answer, empty_is_ok=True)
    error, log_id = payload.get("error"), _text(payload, "log_id", "logid")
    if isinstance(error, Mapping) and error:  # not documented: a gateway answers in the others' envelope
        return _enveloped(name, answer)
    if error:
        detail = _text(payload, "error_description")
        raise answer_error(name, str(error), detail=detail, log_id=log_id, http_status=answer.status)
    if answer.status >= 400:
        raise _refused_without_code(name, answer)
    return payload, log_id


def _enveloped(name: str, answer: Answer) -> tuple[Json, str]:
    payload = _json_object(name, answer)
    error = payload.get("error")
    code = error.get("code") if isinstance(error, Mapping) else None
    if not isinstance(error, Mapping) or not isinstance(code, str) or not code:
        raise _refused_without_code(name, answer)
    log_id = _text(error, "log_id", "logid") or _text(payload, "log_id", "logid")
    if code != "ok":
        detail = _text(error, "message")
        raise answer_error(name, code, detail=detail, log_id=log_id, http_status=answer.status)
    data = payload.get("data")
    return (data if isinstance(data, Mapping) else {}), log_id


def _json_object(name: str, answer: Answer, *, empty_is_ok: bool = False) -> Json:
    if empty_is_ok and not answer.body.strip() and answer.status < 400:
        return {}  # revoke answers with an empty object or nothing at all
    try:
        payload = json.loads(answer.body)
    except (ValueError, RecursionError):
        payload = None
    if not isinstance(payload, dict):
        raise _refused_without_code(name, answer)
    return payload


def _refused_without_code(name: str, answer: Answer) -> TikTokAnswerError | TikTokProtocolError:
    """Judge an answer that holds no code of TikTok's: gateways and proxies answer with pages of their own."""
    if answer.status == 429 or answer.status >= 500:
        return answer_error(name, "", http_status=answer.status)
    return _protocol_error(name, answer, "no error code where TikTok documents one")


def _protocol_error(name: str, answer: Answer, reason: str) -> TikTokProtocolError:
    kind = answer.headers.get("content-type", "no content type")
    return TikTokProtocolError(
        f"TikTok: {name}: the answer cannot be understood: {reason} (HTTP {answer.status}, {kind}, "
        f"{len(answer.body)} bytes). Check the Connection's host and what stands between Airflow and TikTok."
    )


def _text(fields: Json, *names: str) -> str:
    for name in names:
        if value := fields.get(name):
            return str(value)
    return ""


def _needed(fields: Json, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise _Misshapen(f"{name} is missing")
    return value


def _whole(fields: Json, name: str) -> int | None:
    """Take a number of the documented int64, 0 or more; what is none counts as not told."""
    value = fields.get(name)
    if isinstance(value, str | float):
        found = _WHOLE.fullmatch(str(value))
        value = int(found[1]) if found else None
    known = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
    return value if known else None


def _texts(value: object) -> tuple[str, ...]:
    """Take one value, many or none: ids come as a list, as a scalar, or not at all."""
    many = value if isinstance(value, list) else [value]
    return tuple(
        str(each) for each in many if isinstance(each, int | str) and not isinstance(each, bool) and each
    )


def _nothing(_payload: Json, _log_id: str) -> None:
    return None


def _token(payload: Json, _log_id: str) -> Token:
    return Token(
        access_token=_needed(payload, "access_token"),
        expires_in=_whole(payload, "expires_in") or DEFAULT_EXPIRES_IN,
        refresh_token=_text(payload, "refresh_token"),
        refresh_expires_in=_whole(payload, "refresh_expires_in") or 0,
        open_id=_text(payload, "open_id"),
        scope=_text(payload, "scope"),
    )


def _creator_info(data: Json, _log_id: str) -> CreatorInfo:
    return CreatorInfo(
        username=_text(data, "creator_username"),
        nickname=_text(data, "creator_nickname"),
        privacy_level_options=_texts(data.get("privacy_level_options")),
        comment_disabled=data.get("comment_disabled") is True,
        duet_disabled=data.get("duet_disabled") is True,
        stitch_disabled=data.get("stitch_disabled") is True,
        max_video_post_duration_sec=_whole(data, "max_video_post_duration_sec") or 0,
    )


def _publish_init(source: VideoSource | None) -> Callable[[Json, str], PublishInit]:
    def read(data: Json, _log_id: str) -> PublishInit:
        upload_url = _needed(data, "upload_url") if isinstance(source, FileUpload) else ""
        return PublishInit(_needed(data, "publish_id"), upload_url)

    return read


def _publish_status(data: Json, log_id: str) -> PublishStatus:
    return PublishStatus(
        status=_needed(data, "status"),
        fail_reason=_text(data, "fail_reason"),
        # the first is TikTok's own spelling
        post_ids=_texts(data.get("publicaly_available_post_id", data.get("publicly_available_post_id"))),
        uploaded_bytes=_whole(data, "uploaded_bytes"),
        downloaded_bytes=_whole(data, "downloaded_bytes"),
        log_id=log_id,
    )


def _user_info(data: Json, _log_id: str) -> UserInfo:
    user = data.get("user")
    fields = dict(user) if isinstance(user, Mapping) else {}
    return UserInfo(_text(fields, "open_id"), _text(fields, "display_name"), fields)


def _video_page(data: Json, _log_id: str) -> VideoPage:
    videos = data.get("videos")
    return VideoPage(
        videos=tuple(each for each in videos if isinstance(each, dict)) if isinstance(videos, list) else (),
        cursor=_whole(data, "cursor") or 0,
        has_more=data.get("has_more") is True,
    )
