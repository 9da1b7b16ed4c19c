"""The trigger in which the tasks of an account wait for their turn to post."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_tiktok.api.models import PostMode
from airflow_provider_tiktok.publishing.pace import DEFAULT_MAX_WAIT, Place
from airflow_provider_tiktok.triggers.machinery import loaded

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
        came = time.time()
        await loaded()
        from airflow_provider_tiktok.publishing.queue import Waiter
        from airflow_provider_tiktok.triggers import waiting

        waiter = Waiter(self.place, came, self.limit, self.max_wait)
        event = await waiting.for_turn(self.tiktok_conn_id, self.post_mode, waiter)
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]
