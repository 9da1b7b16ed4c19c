"""
How TikTok's answers are read: the two shapes that they come in, and what is in them.

All endpoints but the OAuth ones answer in one envelope, ``{"data", "error"}``, in which success is
``error.code == "ok"`` and nothing else; the OAuth endpoints answer flat, and may report an error with HTTP
200 (API v2 error handling and OAuth error handling, 2026-09-11).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from airflow_provider_tiktok.api.models import (
    CreatorInfo,
    FileUpload,
    PublishInit,
    PublishStatus,
    PullFromUrl,
    Token,
    UserInfo,
    VideoPage,
)
from airflow_provider_tiktok.api.transport import Answer
from airflow_provider_tiktok.exceptions import TikTokAnswerError, TikTokProtocolError, answer_error

#: The OAuth documents give no sample since lifetimes changed to two hours; used only if TikTok leaves it out.
DEFAULT_EXPIRES_IN = 7200
_WHOLE = re.compile(r"(\d{1,19})(?:\.0)?", re.ASCII)

Json: TypeAlias = Mapping[str, Any]


class Misshapen(Exception):  # noqa: N818
    """A part of an answer that is not of the documented shape."""


def flat(name: str, answer: Answer) -> tuple[Json, str]:
    """
    Read an OAuth endpoint's answer: its payload and log_id.

    :param name: of the call, for errors
    :param answer: of any shape
    :raises TikTokAnswerError: TikTok said no
    :raises TikTokProtocolError: the answer cannot be understood
    """
    payload = _json_object(name, answer, empty_is_ok=True)
    error, log_id = payload.get("error"), _text(payload, "log_id", "logid")
    if isinstance(error, Mapping) and error:  # not documented: a gateway answers in the others' envelope
        return enveloped(name, answer)
    if error:
        detail = _text(payload, "error_description")
        raise answer_error(name, str(error), detail=detail, log_id=log_id, http_status=answer.status)
    if answer.status >= 400:
        raise _refused_without_code(name, answer)
    return payload, log_id


def enveloped(name: str, answer: Answer) -> tuple[Json, str]:
    """Read any other endpoint's answer: its data and log_id. Parameters and errors as for :func:`flat`."""
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
        payload = _sound(json.loads(answer.body))
    except (ValueError, RecursionError):
        payload = None
    if not isinstance(payload, dict):
        raise _refused_without_code(name, answer)
    return payload


def _sound(value: Any) -> Any:
    """Replace half characters: a text cut within an emoji has one, and no log or database takes it."""
    text = json.dumps(value, ensure_ascii=False)
    return value if text.isascii() else json.loads(text.encode("utf-8", "replace"))


def _refused_without_code(name: str, answer: Answer) -> TikTokAnswerError | TikTokProtocolError:
    """Judge an answer that holds no code of TikTok's: gateways and proxies answer with pages of their own."""
    if answer.status == 429 or answer.status >= 500:
        return answer_error(name, "", http_status=answer.status)
    return protocol_error(name, answer, "no error code where TikTok documents one")


def protocol_error(name: str, answer: Answer, reason: str) -> TikTokProtocolError:
    """
    Make the error for an answer that cannot be understood; nothing of its body is quoted.

    :param name: of the call
    :param answer: of any shape
    :param reason: what is wrong with it
    """
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
        raise Misshapen(f"{name} is missing")
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


def read_nothing(_payload: Json, _log_id: str) -> None:
    """Read an answer that says no more than ok."""
    return


def read_token(payload: Json, _log_id: str) -> Token:
    """Read what a token endpoint gave."""
    return Token(
        access_token=_needed(payload, "access_token"),
        expires_in=_whole(payload, "expires_in") or DEFAULT_EXPIRES_IN,
        refresh_token=_text(payload, "refresh_token"),
        refresh_expires_in=_whole(payload, "refresh_expires_in") or 0,
        open_id=_text(payload, "open_id"),
        scope=_text(payload, "scope"),
    )


def read_creator_info(data: Json, _log_id: str) -> CreatorInfo:
    """Read what a creator may do."""
    return CreatorInfo(
        username=_text(data, "creator_username"),
        nickname=_text(data, "creator_nickname"),
        privacy_level_options=_texts(data.get("privacy_level_options")),
        comment_disabled=data.get("comment_disabled") is True,
        duet_disabled=data.get("duet_disabled") is True,
        stitch_disabled=data.get("stitch_disabled") is True,
        max_video_post_duration_sec=_whole(data, "max_video_post_duration_sec") or 0,
    )


def read_publish_init(source: FileUpload | PullFromUrl | None) -> Callable[[Json, str], PublishInit]:
    """
    Give the reader of an init's answer.

    :param source: how the video comes: an upload's answer has to name an upload URL
    """

    def read(data: Json, _log_id: str) -> PublishInit:
        upload_url = _needed(data, "upload_url") if isinstance(source, FileUpload) else ""
        return PublishInit(_needed(data, "publish_id"), upload_url)

    return read


def read_publish_status(data: Json, log_id: str) -> PublishStatus:
    """Read how far a publish is."""
    return PublishStatus(
        status=_needed(data, "status"),
        fail_reason=_text(data, "fail_reason"),
        # the first is TikTok's own spelling
        post_ids=_texts(data.get("publicaly_available_post_id", data.get("publicly_available_post_id"))),
        uploaded_bytes=_whole(data, "uploaded_bytes"),
        downloaded_bytes=_whole(data, "downloaded_bytes"),
        log_id=log_id,
    )


def read_user_info(data: Json, _log_id: str) -> UserInfo:
    """Read whose token it is."""
    user = data.get("user")
    fields = dict(user) if isinstance(user, Mapping) else {}
    return UserInfo(_text(fields, "open_id"), _text(fields, "display_name"), fields)


def read_video_page(data: Json, _log_id: str) -> VideoPage:
    """Read a page of videos."""
    videos = data.get("videos")
    return VideoPage(
        videos=tuple(each for each in videos if isinstance(each, dict)) if isinstance(videos, list) else (),
        cursor=_whole(data, "cursor") or 0,
        has_more=data.get("has_more") is True,
    )
