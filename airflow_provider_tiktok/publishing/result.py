"""What a finished publish is to the tasks behind it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_tiktok.api.models import PublishStatus
from airflow_provider_tiktok.publishing.pull import release
from airflow_provider_tiktok.publishing.status import failure

if TYPE_CHECKING:
    from airflow_provider_tiktok.hooks.tiktok import TikTokHook

log = logging.getLogger(__name__)


def publish_result(hook: TikTokHook, publish_id: str, status: PublishStatus) -> dict[str, Any]:
    """
    Give the XCom value of a finished publish, and take away what was staged for it.

    :param hook: of the account, asked for the creator's name where there is a public post
    :param publish_id: of the publish
    :param status: the one that ended the waiting
    :raises TikTokAnswerError: the publish has failed; the message says why and what to do
    """
    release(hook, publish_id)
    if error := failure(publish_id, status):
        raise error
    return described(hook, publish_id, status)


def described(hook: TikTokHook, publish_id: str, status: PublishStatus, creator: str = "") -> dict[str, Any]:
    """
    Give the XCom value of a publish that has ended well.

    :param hook: of the account, asked for the creator's name where there is a public post
    :param publish_id: of the publish
    :param status: the one that ended the waiting
    :param creator: their name, where it is known
    """
    return {
        "publish_id": publish_id,
        "status": status.status,
        "post_ids": list(status.post_ids),
        "post_url": _post_url(hook, publish_id, status.post_ids, creator),
    }


def _post_url(hook: TikTokHook, publish_id: str, post_ids: tuple[str, ...], creator: str) -> str | None:
    """Give a video's public address; a photo post's is known from hearsay only, so it has none."""
    if not post_ids or publish_id.startswith("p_"):
        return None
    try:
        username = creator or hook.creator_info().username
    except Exception as error:  # also Airflow's own: the post is out, and its task must not fail for a name
        log.info(
            "Publish %s: the creator's name, for the post's address, cannot be asked: %s", publish_id, error
        )
        return None
    return f"https://www.tiktok.com/@{username}/video/{post_ids[0]}" if username else None
