"""What grant and creator allow right now, asked just before a video's init, and what the init says then."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing, suppress
from typing import TYPE_CHECKING, TypeAlias

from airflow_provider_tiktok.api import endpoints
from airflow_provider_tiktok.api.client import Guard
from airflow_provider_tiktok.api.models import FileUpload, PublishInit, PullFromUrl
from airflow_provider_tiktok.exceptions import TikTokMediaReadError
from airflow_provider_tiktok.media.header import read_facts
from airflow_provider_tiktok.media.judgement import check_facts
from airflow_provider_tiktok.media.source import MediaAccess, MediaSource, open_source
from airflow_provider_tiktok.media.video import content_type
from airflow_provider_tiktok.publishing.checks import check_scope, fit_to_creator
from airflow_provider_tiktok.publishing.pull import check_seen
from airflow_provider_tiktok.publishing.request import VideoRequest

if TYPE_CHECKING:
    from airflow_provider_tiktok.hooks.tiktok import TikTokHook

log = logging.getLogger(__name__)

VideoInit: TypeAlias = Callable[[FileUpload | PullFromUrl, Guard], PublishInit]
#: Judges a video's header by the longest that the creator may post, in seconds; None = not known.
Judge: TypeAlias = Callable[[int | None], None]


def checked_video_init(hook: TikTokHook, request: VideoRequest, judge: Judge) -> tuple[VideoInit, str]:
    """
    Check against what grant and creator allow; give the init to be made, and what it says.

    :param hook: of the account
    :param request: read and checked already
    :param judge: of the video's header
    :raises TikTokError: it is not allowed
    """
    check_scope(hook.granted_scope(), request.post_mode)
    if request.post is None:
        judge(None)
        return lambda source, guard: hook.guarded(endpoints.inbox_init(source), guard), "no settings"
    creator = hook.creator_info()
    post = fit_to_creator(request.post, creator, disable=request.disable)
    judge(creator.max_video_post_duration_sec)
    log.info("Creator %s (@%s), privacy_level %s.", creator.nickname, creator.username, post.privacy_level)
    return lambda source, guard: hook.guarded(endpoints.video_init(post, source), guard), str(post)


def judge_media(media: MediaSource, kind: str) -> Judge:
    """
    Read a video's header now, to be judged when it is known what the creator may post.

    :param media: the video
    :param kind: its content type
    """
    facts = read_facts(media, kind)
    return lambda longest: check_facts(media.name, facts, longest=longest) if facts else None


def judge_seen(url: str, access: MediaAccess) -> Judge:
    """
    Do so for a video that TikTok pulls from where it lies, if this worker is let there.

    :param url: of the video
    :param access: how media is reached
    """
    if check_seen(url, access):
        with suppress(TikTokMediaReadError), closing(open_source(url, access)) as media:
            return judge_media(media, content_type(media))
    return lambda _: None
