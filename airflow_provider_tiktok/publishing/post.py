"""What can be published: what the publisher has to know of a video or carousel, whichever way it takes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from airflow_provider_tiktok.api.client import Guard
from airflow_provider_tiktok.api.models import PostMode, PublishInit, PublishStatus
from airflow_provider_tiktok.api.upload import UploadEnd
from airflow_provider_tiktok.publishing.ledger import Fence, Record

log = logging.getLogger(__name__)


class Post(Protocol):
    """
    Something that is to be posted, or left as a draft.

    Made of an operator's arguments without any I/O: a task that is resumed needs none of its media. The steps
    come in the order in which they stand here.
    """

    what: str
    """As it is called in messages."""
    fence: Fence
    """What keeps it from being made twice."""
    post_mode: PostMode
    """Post, or draft."""

    def media(self) -> str:
        """Give the identity of the bytes."""

    def check(self) -> str:
        """
        Check what only TikTok and the media can tell; gives what would be published, for a dry run.

        :raises TikTokError: nothing was sent
        """

    def stage(self) -> None:
        """Put what TikTok has to pull where it can."""

    def init(self, guard: Guard) -> PublishInit:
        """
        Begin the publish.

        :param guard: asked before each request
        """

    def planned(self, record: Record) -> Record:
        """
        Add to a record how the bytes were cut.

        :param record: of the publish that :meth:`init` has begun
        """

    def send(self, record: Record, url: str, start: int | None, seal: Callable[[], None]) -> UploadEnd:
        """
        Send the bytes; only where the fence is the ``publish_id``.

        :param record: of the publish
        :param url: from the init
        :param start: bytes that TikTok has, as it tells them; None = only the last range may be missing
        :param seal: called before the last range
        """

    def accepted(self, publish_id: str) -> None:
        """
        TikTok has begun the publish.

        :param publish_id: its name
        """

    def unwanted(self) -> None:
        """Take away what was staged: TikTok has surely not taken it."""

    def close(self) -> None:
        """Close what was opened."""


def dry_run(post: Post) -> None:
    """
    Check everything, tell what would be sent, and send nothing.

    :param post: what would be posted
    """
    log.info("Dry run: all checks passed, nothing was sent. It would be %s.", post.check())


@dataclass(frozen=True)
class Standing:
    """
    Where a publish stands.

    :param publish_id: its name
    :param began: seconds since 1970, before its init
    :param status: that ended it; None while it is on its way
    :param creator: the name of whose account it is; empty = TikTok was not asked
    """

    publish_id: str
    began: float
    status: PublishStatus | None = None
    creator: str = ""

    @classmethod
    def of(cls, record: Record, status: PublishStatus | None = None) -> Standing:
        """
        Tell where the publish of a record stands.

        :param record: of the publish
        :param status: that ended it
        """
        return cls(record.publish_id, record.began, status, record.creator)
