"""
A video whose bytes we send.

It posts nothing before its last range is in, and is posted at most once, whoever sends that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_tiktok import stats
from airflow_provider_tiktok.api.chunks import ChunkPlan, chunk_plans
from airflow_provider_tiktok.api.client import Guard
from airflow_provider_tiktok.api.models import PublishInit
from airflow_provider_tiktok.api.transport import Transport
from airflow_provider_tiktok.api.upload import Upload, UploadEnd, check_upload_url
from airflow_provider_tiktok.exceptions import TikTokError, TikTokRequestError
from airflow_provider_tiktok.media.source import MediaSource, open_source
from airflow_provider_tiktok.media.video import content_type
from airflow_provider_tiktok.publishing.creator import VideoInit, checked_video_init, judge_media
from airflow_provider_tiktok.publishing.identity import bytes_identity
from airflow_provider_tiktok.publishing.ledger import Fence, Record
from airflow_provider_tiktok.publishing.pull import media_access
from airflow_provider_tiktok.publishing.request import VideoRequest
from airflow_provider_tiktok.publishing.status import ask

if TYPE_CHECKING:
    from airflow_provider_tiktok.hooks.tiktok import TikTokHook

log = logging.getLogger(__name__)


class VideoUpload:
    """
    A video that is uploaded; see :class:`~airflow_provider_tiktok.publishing.post.Post`.

    :param hook: of the account
    :param request: read and checked already
    :param keep_secret: called with an upload URL, and what it carries, before anything is sent to it
    """

    what = "this video"
    fence = Fence.PUBLISH_ID

    def __init__(self, hook: TikTokHook, request: VideoRequest, keep_secret: Callable[[str], None]) -> None:
        self.post_mode = request.post_mode
        self._hook, self._request, self._keep_secret = hook, request, keep_secret
        self._init: VideoInit | None = None
        self._plan: ChunkPlan | None = None

    @cached_property
    def _media(self) -> MediaSource:
        return open_source(self._request.video, media_access(self._hook))

    @cached_property
    def _plans(self) -> tuple[ChunkPlan, ...]:
        return chunk_plans(self._media.size, self._request.chunk_size)

    @cached_property
    def _content_type(self) -> str:
        return content_type(self._media)

    def media(self) -> str:
        """Give the identity of the bytes."""
        return bytes_identity(self._media.size, self._media.read)

    def check(self) -> str:
        """Check what only TikTok and the media can tell."""
        kind, _ = self._content_type, self._plans
        self._init, settings = checked_video_init(self._hook, self._request, judge_media(self._media, kind))
        request, media = self._request, self._media
        return (
            f"a {request.post_mode} by {request.source} of {media.name} ({kind}, {media.size} bytes), with "
            f"{settings}"
        )

    def stage(self) -> None:
        """Nothing has to be anywhere."""

    def init(self, guard: Guard) -> PublishInit:
        """Begin the publish; the ways to cut the file are tried in their order."""
        for plan in self._plans:
            self._plan = plan
            try:
                return self._call(plan, guard)
            except TikTokRequestError as error:
                if plan is self._plans[-1] or not _refuses_chunks(error):
                    raise
                log.info("TikTok refused ranges of %d bytes; trying others: %s", plan.chunk_size, error)
        raise AssertionError("a file has at least one plan")

    def _call(self, plan: ChunkPlan, guard: Guard) -> PublishInit:
        if self._init is None:
            self.check()
        assert self._init is not None  # noqa: S101 - check() has set it
        return self._init(plan.source_info, guard)

    def planned(self, record: Record) -> Record:
        """Add to a record how the file was cut."""
        plan = self._plan or self._plans[0]
        return replace(record, size=plan.size, chunk_size=plan.chunk_size, chunks=plan.count)

    def send(self, record: Record, url: str, start: int | None, seal: Callable[[], None]) -> UploadEnd:
        """Send the bytes that are missing."""
        for secret in _secrets_of(url):
            self._keep_secret(secret)
        check_upload_url(url, self._hook.account.base_url)
        plan = ChunkPlan(record.size, record.chunk_size, record.chunks)
        index = plan.last if start is None else _missing_range(plan, start)
        log.info(
            "Publish %s: uploading %d bytes in %d ranges, from range %d on.",
            record.publish_id,
            plan.size,
            plan.count,
            index + 1,
        )
        with closing(Transport()) as transport:
            end = Upload(
                transport,
                url,
                plan,
                self._media,
                content_type=self._content_type,
                progress=lambda: self._uploaded(record.publish_id),
                seal=seal,
                sealed=start is None,
            ).send(index)
        stats.count_uploaded(plan.size - plan.bounds(index)[0], self._hook.tiktok_conn_id)
        return end

    def _uploaded(self, publish_id: str) -> int | None:
        try:
            return ask(self._hook, publish_id).uploaded_bytes
        except TikTokError as error:
            log.info("Publish %s: its progress cannot be asked just now: %s", publish_id, error)
            return None

    def accepted(self, publish_id: str) -> None:
        """Nothing has to be remembered."""

    def unwanted(self) -> None:
        """Nothing was staged."""

    def close(self) -> None:
        """Close the media, if it was opened."""
        if "_media" in self.__dict__:
            self._media.close()


def _refuses_chunks(error: TikTokRequestError) -> bool:
    return error.code in ("invalid_param", "invalid_params") and "chunk" in error.detail.lower()


def _secrets_of(upload_url: str) -> list[str]:
    """Give the URL and, since a part of it may be logged alone, what its query carries."""
    return [upload_url, *(value for _, value in parse_qsl(urlsplit(upload_url).query) if len(value) > 8)]


def _missing_range(plan: ChunkPlan, uploaded: int) -> int:
    return min(plan.last, plan.next_after(uploaded - 1)) if uploaded > 0 else 0
