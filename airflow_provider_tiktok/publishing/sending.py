"""Sends the bytes of an upload, whoever began it, and finds out what became of the last of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_tiktok.api.models import PublishState, PublishStatus
from airflow_provider_tiktok.api.upload import UploadEnd
from airflow_provider_tiktok.exceptions import TikTokError, TikTokStoreError, TikTokUploadGoneError
from airflow_provider_tiktok.publishing.decision import SEEN, Action, Column, seen
from airflow_provider_tiktok.publishing.ledger import Ledger, Record, Stage
from airflow_provider_tiktok.publishing.post import Post, Standing
from airflow_provider_tiktok.publishing.status import ask

if TYPE_CHECKING:
    from airflow_provider_tiktok.hooks.tiktok import TikTokHook

log = logging.getLogger(__name__)

#: Seconds between two questions what became of the last range.
SETTLE_PAUSES = (1, 2, 4, 8, 15, 30)
#: After an upload's host has forgotten it, so long is waited before TikTok is asked once more.
GONE_PAUSE = 120.0


class OvertakenError(Exception):
    """Another process has made a publish of its own the record's: this one is left, and posts nothing."""


@dataclass(frozen=True)
class Sending:
    """
    Sends what is missing of one publish.

    :param hook: of the account
    :param ledger: of the task instance
    :param post: the video
    :param owner: gives the publish that the generation has; waits until that is decided
    """

    hook: TikTokHook
    ledger: Ledger
    post: Post
    owner: Callable[[], Record | None]

    def run(self, record: Record, url: str, start: int | None) -> Standing | None:
        """
        Send the bytes.

        :param record: of the publish
        :param url: where they go
        :param start: bytes that TikTok has; None = only the last range may be missing, and may be there
        :return: None where the record has to be looked at again
        :raises TikTokUploadError: they did not get through; nothing was posted
        """
        sealed = start is None

        def seal() -> None:
            nonlocal sealed
            self._seal(record)
            sealed = True

        try:
            end = self.post.send(record, url, start, seal)
        except TikTokUploadGoneError as error:
            return self._gone(record, error)
        except OvertakenError:
            log.warning("Publish %s is left: another process of this task has one.", record.publish_id)
            return None
        if not sealed:
            return None  # somebody answered for TikTok, as a gateway may: bytes are surely missing
        if end is UploadEnd.ASK_STATUS and start is not None:
            end = self._settled(record, url)
        if end is UploadEnd.DONE:
            self._submitted(record)
        return Standing.of(record)

    def _seal(self, record: Record) -> None:
        """
        Note, before the last range, that it may have been sent; see that it is still this publish's to send.

        :raises TikTokStoreError: that is not proven
        """
        self.owner()
        there = self.ledger.read(record.generation)
        sealed = self.ledger.sealed(record.generation, writes=True)
        if there is None or there.publish_id != record.publish_id or sealed not in (None, record.publish_id):
            raise OvertakenError
        self.ledger.seal(record)

    def _submitted(self, record: Record) -> None:
        try:
            self.ledger.write(replace(record, stage=Stage.SUBMITTED, submitted=time.time()))
        except TikTokStoreError as error:  # it is on its way, and its mark before the last range says enough
            log.warning("Publish %s: it is not noted that all bytes were sent: %s", record.publish_id, error)

    def _settled(self, record: Record, url: str) -> UploadEnd:
        """Find out what became of the last range, and send it again where TikTok says that it is missing."""
        for pause in SETTLE_PAUSES:
            action, status = self._look(record, Column.SEALED)
            if action is Action.LAST:
                if self.post.send(record, url, None, lambda: None) is UploadEnd.DONE:
                    return UploadEnd.DONE
            elif isinstance(status, PublishStatus):
                is_upload = status.status == PublishState.PROCESSING_UPLOAD
                return UploadEnd.DONE if is_upload else UploadEnd.ASK_STATUS
            time.sleep(pause)
        log.warning(
            "Publish %s: TikTok does not say whether it has all of the video. It is not sent as another "
            "publish, which might post it twice; its status will tell.",
            record.publish_id,
        )
        return UploadEnd.ASK_STATUS

    def _gone(self, record: Record, error: TikTokUploadGoneError) -> Standing | None:
        """Give an upload up that its host has forgotten, if bytes are still missing two minutes later."""
        log.warning("Publish %s: %s", record.publish_id, error)
        for pause in (GONE_PAUSE, 0):
            action, _ = self._look(record, Column.OPEN)
            if action not in (Action.SAME, Action.NEW):
                return None  # another process has sent the rest, or it has ended
            time.sleep(pause)
        self.ledger.write(replace(record, stage=Stage.GONE))
        self.ledger.forget_url(record)
        return None

    def _look(self, record: Record, column: Column) -> tuple[Action, PublishStatus | TikTokError]:
        try:
            answer: PublishStatus | TikTokError = ask(self.hook, record.publish_id)
        except TikTokError as error:
            log.info("Publish %s: the status cannot be asked just now: %s", record.publish_id, error)
            answer = error
        return SEEN[seen(answer, record, now=time.time())][column], answer
