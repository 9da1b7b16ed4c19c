"""
What a status means, for everybody who waits: when a publish is done, when it has failed, when to look again.

States and fail reasons: Get Post Status reference (2026-08-04). A state that is not known counts as still
processing: TikTok adds some.
"""

from __future__ import annotations

import logging
import random
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_tiktok import stats
from airflow_provider_tiktok.api import endpoints
from airflow_provider_tiktok.api.endpoints import Call
from airflow_provider_tiktok.api.models import PublishState, PublishStatus
from airflow_provider_tiktok.exceptions import (
    TikTokAnswerError,
    TikTokError,
    TikTokInputError,
    TikTokProtocolError,
    TikTokRateLimitError,
    TikTokServerError,
    TikTokStoreError,
    TikTokTransportError,
    TikTokUnfinishedError,
    answer_error,
)
from airflow_provider_tiktok.publishing.arguments import DEFAULT_POLL_INTERVAL

if TYPE_CHECKING:
    from airflow_provider_tiktok.hooks.tiktok import TikTokHook

log = logging.getLogger(__name__)

FIRST_PAUSE = 5.0
GROWTH = 1.5
#: TikTok takes 30 questions a minute; nobody learns more by asking faster.
SHORTEST_PAUSE = 1.0
#: A task that defers takes a worker some seconds once more, for its end: for so long it waits itself before.
LOOK_SECONDS = 2.0
#: TikTok may not know a publish in the first moments after its init.
YOUNG_SECONDS = 60.0

_PASSING = (
    TikTokTransportError,
    TikTokServerError,
    TikTokRateLimitError,
    TikTokProtocolError,
    TikTokStoreError,
)


def is_finished(
    status: PublishStatus, *, wait_for_creator: bool = False, wait_for_post_id: bool = False
) -> bool:
    """
    Tell whether waiting is over.

    :param status: as TikTok told it
    :param wait_for_creator: a draft in the inbox is not enough; wait until the creator has posted it
    :param wait_for_post_id: wait until TikTok names the public post, which it never does for private ones
    """
    if status.status == PublishState.FAILED:
        return True
    if status.status == PublishState.SEND_TO_USER_INBOX:
        return not wait_for_creator and not wait_for_post_id
    return status.status == PublishState.PUBLISH_COMPLETE and bool(status.post_ids or not wait_for_post_id)


def failure(publish_id: str, status: PublishStatus) -> TikTokAnswerError | None:
    """
    Give the error that a failed publish is raised as; None if it has not failed.

    :param publish_id: of the publish
    :param status: as TikTok told it
    """
    if status.status != PublishState.FAILED:
        return None
    return answer_error(f"publish {publish_id}", status.fail_reason, log_id=status.log_id)


def check_publish_id(publish_id: object) -> str:
    """
    See that there is a publish to ask for.

    :param publish_id: rendered
    :raises TikTokInputError: there is none
    """
    text = str(publish_id or "").strip()
    if text in ("", "None"):
        raise TikTokInputError(
            "publish_id is empty. It is what a publish operator returns; a dry run returns none."
        )
    return text


class Watch:
    """
    One publish being waited for: when to look again, and when to stop.

    :param poll_interval: the longest pause between two looks, in seconds; the first is about 5. Where many
        wait for publishes of the same account, pauses grow beyond it
    :param wait_for_creator: as in :func:`is_finished`
    :param wait_for_post_id: as in :func:`is_finished`
    :param waited: seconds that were waited already, by processes before this one
    :param stuck_at: seconds since 1970 from which on a publish that is not over is handed back as it is;
        None = never
    """

    def __init__(
        self,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        *,
        wait_for_creator: bool = False,
        wait_for_post_id: bool = False,
        waited: float = 0.0,
        stuck_at: float | None = None,
    ) -> None:
        self._stuck_at = stuck_at
        self._longest = max(SHORTEST_PAUSE, poll_interval)
        self._pause = min(FIRST_PAUSE, self._longest)
        self._finish = {"wait_for_creator": wait_for_creator, "wait_for_post_id": wait_for_post_id}
        self._began = time.monotonic() - waited

    @property
    def seconds(self) -> float:
        """How long it has been waited."""
        return time.monotonic() - self._began

    def pause(self, crowded: float = 0.0) -> float:
        """
        Give the seconds until the next look: growing, and jittered, so that tasks do not come at once.

        :param crowded: to how many they grow, at least, since there are others who wait
        """
        longest = max(self._longest, crowded)
        pause = min(self._pause, longest)
        self._pause = min(longest, pause * GROWTH)
        return pause * random.uniform(0.9, 1.1)  # noqa: S311

    def is_over(self, status: PublishStatus) -> bool:
        """
        Tell whether waiting is over.

        :param status: as TikTok told it
        """
        return is_finished(status, **self._finish) or self._is_stuck()

    def _is_stuck(self) -> bool:
        return self._stuck_at is not None and time.time() >= self._stuck_at

    def is_passing(self, error: TikTokError) -> bool:
        """
        Tell whether an error met while asking says nothing about the post, so that waiting goes on.

        :param error: what was met
        """
        young = self.seconds < YOUNG_SECONDS
        unknown_yet = isinstance(error, TikTokAnswerError) and error.code == "invalid_publish_id" and young
        return unknown_yet or isinstance(error, _PASSING)


def question(publish_id: str) -> Call[PublishStatus]:
    """
    Make the call that asks for a status once: what a client repeats is not in the account's budget.

    :param publish_id: of the publish
    """
    return replace(endpoints.publish_status(publish_id), repeatable=False)


def ask(hook: TikTokHook, publish_id: str) -> PublishStatus:
    """
    Ask how far a publish is, at the pace that this process has for the account.

    :param hook: of the account
    :param publish_id: of the publish
    :raises TikTokError: it cannot be asked for
    """
    if left := hook.budget.reserve():
        time.sleep(left)
    asked_at = time.monotonic()
    try:
        return hook.call(question(publish_id))
    except TikTokRateLimitError:
        hook.budget.refused(asked_at)
        raise


def look(hook: TikTokHook, publish_id: str) -> PublishStatus | None:
    """
    See whether a publish is over in seconds, so that it need not be waited for elsewhere.

    :param hook: of the account
    :param publish_id: of the publish
    :return: how it ended; None = it has not, as far as is known
    """
    with suppress(TikTokError):  # it is met again where it is waited for
        return wait(hook, publish_id, Watch(), timeout=LOOK_SECONDS)  # shorter than its first pause: one look
    return None


def wait(hook: TikTokHook, publish_id: str, watch: Watch, *, timeout: float) -> PublishStatus:
    """
    Wait for a publish in a task.

    :param hook: of the account
    :param publish_id: of the publish
    :param watch: how to wait
    :param timeout: seconds to wait at most
    :raises TikTokUnfinishedError: it is not over by then
    :raises TikTokError: it cannot be asked for
    """
    with hook.budget.waiting():
        while watch.seconds < timeout:
            pause = watch.pause(hook.budget.interval)
            time.sleep(min(pause, max(0.0, timeout - watch.seconds)))
            try:
                status = ask(hook, publish_id)
            except TikTokError as error:
                if not watch.is_passing(error):
                    raise
                log.info("Publish %s: the status cannot be asked just now: %s", publish_id, error)
                continue
            if watch.is_over(status):
                stats.waited("processing", watch.seconds, hook.tiktok_conn_id)
                return status
            log.info("Publish %s: %s.", publish_id, status.status)
    raise TikTokUnfinishedError(
        f"Publish {publish_id}: not finished after {timeout:g} s; it goes on at TikTok. The record is kept: "
        "a retry goes on waiting for it, and posts nothing anew."
    )
