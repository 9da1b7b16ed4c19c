"""
One small function for each of TikTok's endpoints: it builds the request and knows how to read the answer.

Nothing here does I/O. Paths, fields and limits: the Content Posting API references and Login Kit pages as of
2026-09-11 (tokens: 2026-11-02).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from airflow_provider_tiktok.api import answers
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

API_HOST = "https://open.tiktokapis.com"

T = TypeVar("T")
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
    :param patient: whether it may wait where a minute's limit was hit; not where the caller asks again anyhow
    """

    name: str
    path: str
    read: Callable[[answers.Json, str], T]
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    params: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    form: bool = False
    repeatable: bool = False
    patient: bool = True

    def result(self, answer: Answer) -> T:
        """
        Read an answer.

        :raises TikTokAnswerError: TikTok said no; the subclass says what that means
        :raises TikTokProtocolError: the answer cannot be understood
        """
        read = answers.flat if self.form else answers.enveloped
        payload, log_id = read(self.name, answer)
        try:
            return self.read(payload, log_id)
        except answers.Misshapen as error:
            reason = f"{error}, log_id {log_id or 'not given'}"
            raise answers.protocol_error(self.name, answer, reason) from None


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
    return Call("revoke", "/v2/oauth/revoke/", answers.read_nothing, form, form=True, repeatable=True)


def _token_call(
    name: str, client_key: str, client_secret: str, form: dict[str, str], *, repeatable: bool = False
) -> Call[Token]:
    fields = {"client_key": client_key, "client_secret": client_secret, **form}
    return Call(name, "/v2/oauth/token/", answers.read_token, fields, form=True, repeatable=repeatable)


# --- posting ---


def creator_info() -> Call[CreatorInfo]:
    """Ask what the creator may do right now; TikTok wants it before each direct post. 20 a minute."""
    return Call(
        "creator_info", "/v2/post/publish/creator_info/query/", answers.read_creator_info, {}, repeatable=True
    )


def video_init(post: VideoPost, source: VideoSource) -> Call[PublishInit]:
    """
    Start a direct video post. 6 a minute; not idempotent.

    :param post: what is said of it
    :param source: where its bytes come from
    """
    body = {"post_info": _without_none(asdict(post)), "source_info": _source_info(source)}
    return Call("video init", "/v2/post/publish/video/init/", answers.read_publish_init(source), body)


def inbox_init(source: VideoSource) -> Call[PublishInit]:
    """
    Start a draft in the creator's inbox: a video without any settings. 6 a minute; not idempotent.

    :param source: where its bytes come from
    """
    body = {"source_info": _source_info(source)}
    read = answers.read_publish_init(source)
    return Call("inbox video init", "/v2/post/publish/inbox/video/init/", read, body)


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
    return Call("photo init", "/v2/post/publish/content/init/", answers.read_publish_init(None), body)


def publish_status(publish_id: str) -> Call[PublishStatus]:
    """
    Ask how far a publish is. 30 a minute.

    :param publish_id: from an init
    """
    body = {"publish_id": publish_id}
    read = answers.read_publish_status
    return Call("status", "/v2/post/publish/status/fetch/", read, body, repeatable=True, patient=False)


def cancel(publish_id: str) -> Call[None]:
    """
    Stop a pull that is still downloading, if TikTok can.

    :param publish_id: from an init
    """
    return Call("cancel", "/v2/post/publish/cancel/", answers.read_nothing, {"publish_id": publish_id})


# --- display ---


def user_info(fields: str = "open_id,display_name") -> Call[UserInfo]:
    """
    Ask whose token this is. 600 a minute.

    :param fields: comma-separated; each must be covered by a granted scope
    """
    return Call(
        "user info",
        "/v2/user/info/",
        answers.read_user_info,
        params={"fields": fields},
        method="GET",
        repeatable=True,
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
    read, params = answers.read_video_page, {"fields": fields}
    return Call("video list", "/v2/video/list/", read, body, params, repeatable=True)


def video_query(video_ids: tuple[str, ...], *, fields: str = "id,share_url,create_time") -> Call[VideoPage]:
    """
    Ask for some of the creator's public videos. 600 a minute.

    :param video_ids: at most 20
    :param fields: comma-separated
    """
    body = {"filters": {"video_ids": list(video_ids)}}
    read, params = answers.read_video_page, {"fields": fields}
    return Call("video query", "/v2/video/query/", read, body, params, repeatable=True)


def _source_info(source: VideoSource) -> dict[str, Any]:
    kind = Source.FILE_UPLOAD if isinstance(source, FileUpload) else Source.PULL_FROM_URL
    return {"source": kind.value, **asdict(source)}


def _without_none(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
