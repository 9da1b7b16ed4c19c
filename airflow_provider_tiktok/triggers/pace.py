"""The trigger in which the tasks of an account wait for their turn to post."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_tiktok.api.models import PostMode
from airflow_provider_tiktok.exceptions import TikTokError, TikTokStoreError
from airflow_provider_tiktok.hooks.tiktok import TikTokHook
from airflow_provider_tiktok.publishing.dispatch import dispatcher
from airflow_provider_tiktok.publishing.events import no_release_event, release_event
from airflow_provider_tiktok.publishing.floor import Floor
from airflow_provider_tiktok.publishing.pace import DEFAULT_MAX_WAIT, Place, Released
from airflow_provider_tiktok.publishing.queue import Waiter, too_long

log = logging.getLogger(__name__)

#: Between two tries to read a Connection that cannot be read just now.
AGAIN_SECONDS = 15.0
_ARGUMENTS = (
    "tiktok_conn_id",
    "ticket",
    "logical_date",
    "map_index",
    "asked",
    "tries",
    "limit",
    "post_mode",
    "max_wait",
)


class TikTokPaceTrigger(BaseTrigger):
    """
    Wait for a task's turn to post, in the order of its account's queue.

    All triggers of one account and post mode in one triggerer share a queue; a triggerer that starts anew
    rebuilds it from the arguments. Fires one event, and not within its first 5.5
    seconds; 9 where many wait.

    :param tiktok_conn_id: Connection of type ``tiktok``
    :param ticket: as :class:`~airflow_provider_tiktok.publishing.pace.Place` says, and so the next four
    :param logical_date: see there
    :param map_index: see there
    :param asked: see there
    :param tries: see there
    :param limit: the limit that the task has met, as
        :class:`~airflow_provider_tiktok.publishing.pace.Limit` names it; empty = none yet
    :param post_mode: of the post
    :param max_wait: seconds to wait at most while no post of the account gets through; None = for ever
    """

    def __init__(
        self,
        tiktok_conn_id: str,
        ticket: str,
        logical_date: str,
        map_index: int,
        asked: float,
        *,
        tries: int = 0,
        limit: str = "",
        post_mode: str = PostMode.DIRECT_POST.value,
        max_wait: float | None = DEFAULT_MAX_WAIT,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tiktok_conn_id = tiktok_conn_id
        self.ticket = ticket
        self.logical_date = logical_date
        self.map_index = map_index
        self.asked = asked
        self.tries = tries
        self.limit = limit
        self.post_mode = post_mode
        self.max_wait = max_wait

    @property
    def place(self) -> Place:
        """The task's place in the queue."""
        return Place(self.ticket, self.logical_date, self.map_index, self.asked, self.tries)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give what Airflow needs to make this trigger again: plain values, no secret."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {name: getattr(self, name) for name in _ARGUMENTS}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the turn, then tell."""
        with Floor() as floor:
            try:
                event = release_event(await self._wait())
            except TikTokError as error:
                event = no_release_event(self.tiktok_conn_id, error)
            await floor.reached()
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _wait(self) -> Released:
        waiter = Waiter(self.place, time.time(), self.limit, self.max_wait)
        while True:
            try:
                async with (
                    TikTokHook.shared(self.tiktok_conn_id) as hook,
                    dispatcher(hook, self.post_mode) as queue,
                ):
                    return await queue.wait(waiter)
            except TikTokStoreError as error:
                if time.time() >= waiter.gives_up_at(0.0):
                    raise too_long(waiter) from error
                log.info("The turn to post cannot be waited for just now: %s", error)
                await asyncio.sleep(AGAIN_SECONDS * random.uniform(0.9, 1.1))  # noqa: S311
