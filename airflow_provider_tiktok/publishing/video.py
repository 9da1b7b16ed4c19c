"""
A video that TikTok pulls, from where it lies or from the account's bucket.

The header is read before TikTok is asked anything, and judged together with what the creator may post.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from airflow_provider_tiktok.api.client import Guard
from airflow_provider_tiktok.api.models import PublishInit, PullFromUrl, Source
from airflow_provider_tiktok.media.hosting import Stageable
from airflow_provider_tiktok.media.readable import as_file
from airflow_provider_tiktok.media.source import open_source
from airflow_provider_tiktok.media.video import content_type
from airflow_provider_tiktok.publishing.creator import VideoInit, checked_video_init, judge_media, judge_seen
from airflow_provider_tiktok.publishing.post import Post
from airflow_provider_tiktok.publishing.pull import (
    Pulled,
    check_hosting,
    check_pull_url,
    is_shown,
    media_access,
)
from airflow_provider_tiktok.publishing.request import VideoRequest
from airflow_provider_tiktok.publishing.upload import VideoUpload

if TYPE_CHECKING:
    from airflow_provider_tiktok.hooks.tiktok import TikTokHook


def video_post(hook: TikTokHook, request: VideoRequest, keep_secret: Callable[[str], None]) -> Post:
    """
    Give the way that a video takes.

    :param hook: of the account
    :param request: read and checked already
    :param keep_secret: called with an upload URL before anything is sent to it
    """
    if request.source is Source.PULL_FROM_URL:
        return PulledVideo(hook, request)
    return VideoUpload(hook, request, keep_secret)


class PulledVideo(Pulled):
    """
    A video that TikTok pulls.

    :param hook: of the account
    :param request: read and checked already
    """

    what = "this video"

    def __init__(self, hook: TikTokHook, request: VideoRequest) -> None:
        super().__init__(hook, request.post_mode)
        self._request = request
        self._init: VideoInit | None = None
        self._file: Stageable | None = None

    def media(self) -> str:
        """Give the address."""
        return self._request.video

    def check(self) -> str:
        """Check what only TikTok and the media can tell."""
        hook, request = self._hook, self._request
        if self._is_staged():
            check_hosting(hook, "With source PULL_FROM_URL (not with FILE_UPLOAD) a local or private video")
            media = self._stack.enter_context(open_source(request.video, media_access(hook)))
            kind = content_type(media)
            judge = judge_media(media, kind)
            self._file = Stageable(media.name, kind, media.size, lambda: as_file(media))
            what = f"{media.name} ({kind}, {media.size} bytes), staged"
        else:
            check_pull_url(request.video, is_local=hook.account.is_local)
            judge, what = judge_seen(request.video, media_access(hook)), "a URL"
        self._init, settings = checked_video_init(hook, request, judge)
        return f"a {request.post_mode} by {request.source} of {what}, with {settings}"

    def _is_staged(self) -> bool:
        url = self._request.video
        is_web = url.lower().startswith(("https://", "http://"))
        return not is_web or bool(self._hook.account.hosting.bucket and not is_shown(self._hook, url))

    def _files(self) -> Sequence[Stageable]:
        return [self._file] if self._file else []

    def _call(self, urls: tuple[str, ...], guard: Guard) -> PublishInit:
        if self._init is None:
            self.check()
        assert self._init is not None  # noqa: S101 - check() has set it
        return self._init(PullFromUrl(urls[0] if urls else self._request.video), guard)
