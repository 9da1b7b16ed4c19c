"""Whether what is asked for now is what a task has begun, or made, before."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from airflow_provider_tiktok.exceptions import TikTokInputError
from airflow_provider_tiktok.publishing.ledger import Record
from airflow_provider_tiktok.publishing.post import Post

log = logging.getLogger(__name__)


def check_posted(request: Mapping[str, str], record: Record) -> None:
    """
    See that a post that was made is what is asked for.

    :param request: a digest of each argument
    :param record: of the publish that was made
    :raises TikTokInputError: it is not
    """
    if differs := _differing(request, record):
        raise TikTokInputError(
            f"This task has posted already, as publish {record.publish_id}, and with other arguments: "
            f"{', '.join(differs)}. Nothing was posted now. To post once more, clear the task with "
            'if_published="republish"; else put back the arguments.'
        )


def check_under_way(post: Post, request: Mapping[str, str], record: Record) -> None:
    """
    See that a publish under way is what is asked for: its bytes decide.

    :param post: what is to be posted
    :param request: a digest of each argument
    :param record: of the publish
    :raises TikTokInputError: it is not
    """
    differs = _differing(request, record)
    if not differs:
        return
    if record.media != post.media():
        raise TikTokInputError(
            f"Publish {record.publish_id} of this task is under way with other media and arguments: "
            f"{', '.join(differs)}. Nothing was posted now. Wait for it with a TikTokPublishStatusSensor, "
            "and post the other in a task of its own."
        )
    log.warning(
        "Publish %s was begun with other arguments (%s), which cannot be changed any more.",
        record.publish_id,
        ", ".join(differs),
    )


def check_bytes(post: Post, record: Record) -> None:
    """
    See that a file is still the one of which some bytes were sent.

    :param post: the video
    :param record: of the publish
    :raises TikTokInputError: it is not
    """
    if record.media != post.media():
        raise TikTokInputError(
            f"Publish {record.publish_id} of this task is under way with another video: the file has changed "
            "since, and bytes of both cannot be mixed. Nothing was posted. Put the file back, or clear the "
            "task 70 minutes after the beginning, when a new publish is made."
        )


def _differing(request: Mapping[str, str], record: Record) -> list[str]:
    then = record.request
    return sorted(name for name in request.keys() & then.keys() if request[name] != then[name])
