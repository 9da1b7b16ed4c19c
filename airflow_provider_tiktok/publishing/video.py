"""
Publishes one video: what only TikTok and the media can tell is checked, then it is uploaded or pulled.

The header is read before TikTok is asked anything, and judged together with what the creator may post.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from airflow_provider_tiktok.api.chunks import chunk_plans
from airflow_provider_tiktok.api.models import FileUpload, PublishInit, PullFromUrl, Source
from airflow_provider_tiktok.exceptions import TikTokMediaReadError
from airflow_provider_tiktok.media.header import read_facts
from airflow_provider_tiktok.media.hosting import Stageable
from airflow_provider_tiktok.media.judgement import check_facts
from airflow_provider_tiktok.media.readable import as_file
from airflow_provider_tiktok.media.source import MediaAccess, MediaSource, open_source
from airflow_provider_tiktok.media.video import content_type
from airflow_provider_tiktok.publishing.checks import check_scope, fit_to_creator
from airflow_provider_tiktok.publishing.pull import (
    check_hosting,
    check_pull_url,
    check_seen,
    is_shown,
    media_access,
    opened_host,
    start_pull,
    start_staged_pull,
)
from airflow_provider_tiktok.publishing.request import VideoRequest
from airflow_provider_tiktok.publishing.upload import start_upload

if TYPE_CHECKING:
    from airflow_provider_tiktok.hooks.tiktok import TikTokHook

log = logging.getLogger(__name__)

_DRY_RUN = "Dry run: all checks passed, nothing was sent. It would be a %s by %s of %s, with %s."

Init: TypeAlias = Callable[[FileUpload | PullFromUrl], PublishInit]
#: Judges a video's header by the longest that the creator may post, in seconds; None = not known.
Judge: TypeAlias = Callable[[int | None], None]


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
    with closing(open_source(request.video, media_access(hook))) as media:
        return _upload(hook, request, media, keep_secret)


def _pull(hook: TikTokHook, request: VideoRequest) -> str | None:
    access, url = media_access(hook), request.video
    if not _is_web(url) or (hook.account.hosting.bucket and not is_shown(hook, url)):
        check_hosting(hook, "With source PULL_FROM_URL (not with FILE_UPLOAD) a local or private video")
        with closing(open_source(url, access)) as media:
            return _pull_staged(hook, request, media)
    check_pull_url(url, is_local=hook.account.is_local)
    init, settings = _checked_init(hook, request, _judge_seen(url, access))
    if request.dry_run:
        log.info(_DRY_RUN, request.post_mode, request.source, "a URL", settings)
        return None
    return start_pull(lambda: init(PullFromUrl(url)), "this video")


def _is_web(video: str) -> bool:
    return video.lower().startswith(("https://", "http://"))


def _pull_staged(hook: TikTokHook, request: VideoRequest, media: MediaSource) -> str | None:
    kind = content_type(media)
    init, settings = _checked_init(hook, request, _judge(media, kind))
    if request.dry_run:
        what = f"{media.name} ({kind}, {media.size} bytes), staged"
        log.info(_DRY_RUN, request.post_mode, request.source, what, settings)
        return None
    file = Stageable(media.name, kind, media.size, lambda: as_file(media))
    with opened_host(hook) as host:
        return start_staged_pull(host, [file], lambda urls: init(PullFromUrl(urls[0])), "this video")


def _upload(
    hook: TikTokHook, request: VideoRequest, media: MediaSource, keep_secret: Callable[[str], None]
) -> str | None:
    kind = content_type(media)
    plans = chunk_plans(media.size, request.chunk_size)
    init, settings = _checked_init(hook, request, _judge(media, kind))
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


def _checked_init(hook: TikTokHook, request: VideoRequest, judge: Judge) -> tuple[Init, str]:
    """Check against what grant and creator allow right now; give the init to be made, and what it says."""
    check_scope(hook.granted_scope(), request.post_mode)
    if request.post is None:
        judge(None)
        return hook.inbox_init, "no settings"
    creator = hook.creator_info()
    post = fit_to_creator(request.post, creator, disable=request.disable)
    judge(creator.max_video_post_duration_sec)
    log.info("Creator %s (@%s), privacy_level %s.", creator.nickname, creator.username, post.privacy_level)
    return partial(hook.video_init, post), str(post)


def _judge(media: MediaSource, kind: str) -> Judge:
    """Read the header now, to be judged when it is known what the creator may post."""
    facts = read_facts(media, kind)
    return lambda longest: check_facts(media.name, facts, longest=longest) if facts else None


def _judge_seen(url: str, access: MediaAccess) -> Judge:
    """Do so for a video that TikTok pulls from where it lies, if this worker is let there."""
    if check_seen(url, access):
        with suppress(TikTokMediaReadError), closing(open_source(url, access)) as media:
            return _judge(media, content_type(media))
    return lambda _: None
