"""
Publishes one video: checks, init, bytes, and the question what became of the last of them.

An upload posts nothing before its last range is in, so a lost init is simply made anew by the next try. A
pull is posted by its init alone: where that init's answer is lost, nobody can know, and nothing here posts
twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from airflow.providers.common.compat.sdk import AirflowTaskTimeout

from airflow_provider_tiktok.api.chunks import ChunkPlan, chunk_plans
from airflow_provider_tiktok.api.models import (
    FileUpload,
    PublishInit,
    PublishState,
    PublishStatus,
    PullFromUrl,
    Source,
)
from airflow_provider_tiktok.api.pieces import Readable
from airflow_provider_tiktok.api.transport import Transport
from airflow_provider_tiktok.api.upload import Upload, UploadEnd, check_upload_url
from airflow_provider_tiktok.exceptions import (
    TikTokError,
    TikTokInputError,
    TikTokNoAnswerError,
    TikTokProtocolError,
    TikTokRequestError,
    TikTokServerError,
    TikTokUnconfirmedError,
)
from airflow_provider_tiktok.media.source import MediaAccess, MediaSource, open_source
from airflow_provider_tiktok.media.video import content_type, duration_seconds
from airflow_provider_tiktok.publishing.checks import check_scope, fit_to_creator
from airflow_provider_tiktok.publishing.request import VideoRequest
from airflow_provider_tiktok.publishing.started import started
from airflow_provider_tiktok.publishing.status import Watch

if TYPE_CHECKING:
    from airflow_provider_tiktok.hooks.tiktok import TikTokHook

log = logging.getLogger(__name__)

#: Seconds between two questions what became of the last range.
SETTLE_PAUSES = (1, 2, 4, 8, 15, 30)

_DRY_RUN = "Dry run: all checks passed, nothing was sent. It would be a %s by %s of %s, with %s."

Init = Callable[[FileUpload | PullFromUrl], PublishInit]
Ask = Callable[[str], PublishStatus]


def publish_video(hook: TikTokHook, request: VideoRequest, keep_secret: Callable[[str], None]) -> str | None:
    """
    Check what only TikTok and the media can tell, and start the publish.

    :param hook: of the account
    :param request: read and checked already
    :param keep_secret: called with the upload URL before anything is sent to it
    :return: the ``publish_id``; None after a dry run
    :raises TikTokError: the subclass says whether anything can have been posted
    """
    if request.source is Source.PULL_FROM_URL:
        return _pull(hook, request)
    access = MediaAccess(hook.account.media_conn_id, allow_loopback=hook.account.is_local)
    with closing(open_source(request.video, access)) as media:
        return _upload(hook, request, media, keep_secret)


def _pull(hook: TikTokHook, request: VideoRequest) -> str | None:
    check_pull_url(request.video, is_local=hook.account.is_local)
    init, settings = _checked_init(hook, request, None)
    if request.dry_run:
        log.info(_DRY_RUN, request.post_mode, request.source, "a URL", settings)
        return None
    return start_pull(init, request.video)


def _upload(
    hook: TikTokHook, request: VideoRequest, media: MediaSource, keep_secret: Callable[[str], None]
) -> str | None:
    kind = content_type(media)
    plans = chunk_plans(media.size, request.chunk_size)
    init, settings = _checked_init(hook, request, duration_seconds(media) if request.post else None)
    if request.dry_run:
        what = f"{media.name} ({kind}, {media.size} bytes)"
        log.info(_DRY_RUN, request.post_mode, request.source, what, settings)
        return None
    return start_upload(
        init,
        hook.publish_status,
        media,
        plans,
        content_type=kind,
        base_url=hook.account.base_url,
        keep_secret=keep_secret,
    )


def _checked_init(hook: TikTokHook, request: VideoRequest, duration: float | None) -> tuple[Init, str]:
    """Check against what grant and creator allow right now; give the init to be made, and what it says."""
    check_scope(hook.granted_scope(), request.post_mode)
    if request.post is None:
        return hook.inbox_init, "no settings"
    creator = hook.creator_info()
    post = fit_to_creator(request.post, creator, disable=request.disable, duration=duration)
    log.info("Creator %s (@%s), privacy_level %s.", creator.nickname, creator.username, post.privacy_level)
    return partial(hook.video_init, post), str(post)


def start_upload(
    init: Init,
    ask: Ask,
    source: Readable,
    plans: Sequence[ChunkPlan],
    *,
    content_type: str,
    base_url: str,
    keep_secret: Callable[[str], None],
) -> str:
    """
    Start a publish and send the video's bytes.

    :param init: makes the init, for a direct post or a draft
    :param ask: asks for the status of a publish
    :param source: the video
    :param plans: the ways to cut it, in the order in which they are tried
    :param content_type: of the video
    :param base_url: of the API: bytes go nowhere else
    :param keep_secret: called with the upload URL, and what it carries, before anything is sent to it
    :return: the ``publish_id``
    :raises TikTokUnconfirmedError: nobody can know whether the last of the bytes arrived
    :raises TikTokError: nothing was posted
    """
    plan, begun = _init_upload(init, plans)
    for secret in _secrets_of(begun.upload_url):
        keep_secret(secret)
    check_upload_url(begun.upload_url, base_url)
    publish_id = begun.publish_id
    log.info("Publish %s: uploading %d bytes in %d ranges.", publish_id, plan.size, plan.count)
    transport = Transport()
    try:
        upload = Upload(
            transport,
            begun.upload_url,
            plan,
            source,
            content_type=content_type,
            progress=lambda: _uploaded(ask, publish_id),
        )
        if _sent(upload, publish_id) is UploadEnd.ASK_STATUS:
            with started(publish_id):
                _settle(upload, ask, publish_id)
    finally:
        transport.close()
    return publish_id


def check_pull_url(url: str, *, is_local: bool) -> None:
    """
    See that TikTok can fetch a video from this URL (Media Transfer Guide, 2026-09-11).

    :param url: public, https, with a host name and no address
    :param is_local: the API is a sandbox on this machine, which may fetch from this machine over http
    :raises TikTokInputError: it cannot
    """
    if not _can_be_pulled(url, is_local=is_local):
        raise TikTokInputError(
            "source PULL_FROM_URL needs a public https URL with a host name (no address) on a domain or "
            "prefix that is verified with TikTok, without user name and password. "
            "For a local file or a bucket use source FILE_UPLOAD."
        )


def _can_be_pulled(url: str, *, is_local: bool) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return False
    good = parts.scheme == "https" or (is_local and parts.scheme == "http")
    is_address = ":" in host or host.rpartition(".")[2].isdecimal()
    return good and bool(host) and "@" not in parts.netloc and (is_local or not is_address)


def start_pull(init: Init, video_url: str) -> str:
    """
    Start a publish whose video TikTok fetches.

    :param init: makes the init, for a direct post or a draft
    :param video_url: checked by :func:`check_pull_url`
    :return: the ``publish_id``
    :raises TikTokUnconfirmedError: TikTok may or may not have taken the video
    """
    try:
        return init(PullFromUrl(video_url)).publish_id
    except (TikTokNoAnswerError, TikTokServerError, TikTokProtocolError, AirflowTaskTimeout) as error:
        raise TikTokUnconfirmedError(
            "PULL_FROM_URL: TikTok may have taken this video or not, and a second try might post it twice. "
            "Look in the creator's profile, drafts and inbox; if it is not there after an hour, clear the "
            f"task. What happened: {error}"
        ) from error


def _init_upload(init: Init, plans: Sequence[ChunkPlan]) -> tuple[ChunkPlan, PublishInit]:
    *first, last = plans
    for plan in first:
        try:
            return plan, init(plan.source_info)
        except TikTokRequestError as error:
            if not _refuses_chunks(error):
                raise
            log.info("TikTok refused ranges of %d bytes; trying others: %s", plan.chunk_size, error)
    return last, init(last.source_info)


def _sent(upload: Upload, publish_id: str) -> UploadEnd:
    try:
        return upload.send()
    except AirflowTaskTimeout:
        if not upload.sealed:
            raise
        with started(publish_id):  # the last range may have arrived
            raise


def _refuses_chunks(error: TikTokRequestError) -> bool:
    return error.code in ("invalid_param", "invalid_params") and "chunk" in error.detail.lower()


def _secrets_of(upload_url: str) -> list[str]:
    """Give the URL and, since a part of it may be logged alone, what its query carries."""
    return [upload_url, *(value for _, value in parse_qsl(urlsplit(upload_url).query) if len(value) > 8)]


def _uploaded(ask: Ask, publish_id: str) -> int | None:
    try:
        return ask(publish_id).uploaded_bytes
    except TikTokError as error:
        log.info("Publish %s: its progress cannot be asked just now: %s", publish_id, error)
        return None


def _settle(upload: Upload, ask: Ask, publish_id: str) -> None:
    """Find out what became of the last range, and send it again where TikTok says that it has not got it."""
    watch = Watch()
    for pause in SETTLE_PAUSES:
        try:
            status = ask(publish_id)
        except TikTokError as error:
            if not watch.is_passing(error):
                raise
            log.info("Publish %s: the status cannot be asked just now: %s", publish_id, error)
        else:
            if status.status != PublishState.PROCESSING_UPLOAD or status.uploaded_bytes == upload.plan.size:
                return
            missing = _missing_range(upload.plan, status.uploaded_bytes)
            if upload.send(missing) is UploadEnd.DONE:
                return
        time.sleep(pause)
    log.warning(
        "Publish %s: TikTok does not say whether it has all of the video. It is not sent as another publish, "
        "which might post it twice; its status will tell.",
        publish_id,
    )


def _missing_range(plan: ChunkPlan, uploaded: int | None) -> int:
    if uploaded is None:
        return plan.last
    return min(plan.last, plan.next_after(uploaded - 1)) if uploaded > 0 else 0
