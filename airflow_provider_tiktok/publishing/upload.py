"""
Starts a publish whose bytes we send, sends them, and asks what became of the last of them.

An upload posts nothing before its last range is in, so a lost init is simply made anew by the next try.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias
from urllib.parse import parse_qsl, urlsplit

from airflow.providers.common.compat.sdk import AirflowTaskTimeout

from airflow_provider_tiktok.api.chunks import ChunkPlan
from airflow_provider_tiktok.api.models import FileUpload, PublishInit, PublishState, PublishStatus
from airflow_provider_tiktok.api.pieces import Readable
from airflow_provider_tiktok.api.transport import Transport
from airflow_provider_tiktok.api.upload import Upload, UploadEnd, check_upload_url
from airflow_provider_tiktok.exceptions import TikTokError, TikTokRequestError
from airflow_provider_tiktok.publishing.started import started
from airflow_provider_tiktok.publishing.status import Watch

log = logging.getLogger(__name__)

#: Seconds between two questions what became of the last range.
SETTLE_PAUSES = (1, 2, 4, 8, 15, 30)

Init: TypeAlias = Callable[[FileUpload], PublishInit]
Ask: TypeAlias = Callable[[str], PublishStatus]


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
