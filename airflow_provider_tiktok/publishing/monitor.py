"""
The one queue through which, in an event loop, all questions about an account's publishes go.

A waiter sleeps out its own pause, then stands here until its turn comes. Turns are given at the pace of the
account's :class:`~airflow_provider_tiktok.publishing.budget.Budget`, by a timer and not by a task: nothing
here can stop unseen, a slow answer holds up nobody else's turn, and a waiter that is cancelled takes only its
own question along. Whoever stands here longest gets every second turn, the youngest, which were asked for the
fewest times, those between: what has just begun is most likely to be over soon, and nobody is overtaken for
ever.

Questions are asked in a context of their own: what is logged about an account while one is on its way (its
token, its connections) belongs to no task's log. What is learned of a publish, its waiter logs.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_tiktok.api.endpoints import Call
from airflow_provider_tiktok.api.models import PublishStatus
from airflow_provider_tiktok.exceptions import TikTokError, TikTokRateLimitError
from airflow_provider_tiktok.publishing.budget import Budget
from airflow_provider_tiktok.publishing.status import question

log = logging.getLogger(__name__)


@dataclass(order=True, slots=True)
class _Turn:
    """One who stands in the queue; the younger, the smaller."""

    looks: int
    number: int
    come: asyncio.Future[None] = field(compare=False)


class Monitor:
    """
    Asks for the status of one account's publishes, for all who wait for one in this event loop.

    :param call: carries out a call as that account
    :param budget: the account's
    """

    def __init__(
        self, call: Callable[[Call[PublishStatus]], Coroutine[Any, Any, PublishStatus]], budget: Budget
    ) -> None:
        self.budget = budget
        self._call = call
        self._numbers = itertools.count()
        self._standing = 0
        self._longest: deque[_Turn] = deque()
        self._youngest: list[_Turn] = []
        self._youngest_next = False
        self._timer: asyncio.TimerHandle | None = None

    async def look(self, publish_id: str, looks: int) -> PublishStatus:
        """
        Ask how far a publish is, when the turn has come.

        :param publish_id: of the publish
        :param looks: how often it has been asked for by this waiter
        :raises TikTokError: it cannot be asked for
        """
        await self._turn(looks)
        asked_at = time.monotonic()
        try:
            return await asyncio.create_task(self._call(question(publish_id)), context=Context())
        except TikTokRateLimitError:
            self.budget.refused(asked_at)
            raise

    async def _turn(self, looks: int) -> None:
        coming = asyncio.get_running_loop().create_future()
        turn = _Turn(looks, next(self._numbers), coming)
        self._longest.append(turn)
        heapq.heappush(self._youngest, turn)
        self._standing += 1
        try:
            self._give()
            await turn.come
        finally:
            self._standing -= 1

    def _give(self) -> None:
        """Give the turns that can be given now, and come back for the next."""
        try:
            while self._timer is None and (turn := self._next()):
                if left := self.budget.take():
                    self._timer = self._after(left)
                else:
                    turn.come.set_result(None)
                    self._youngest_next = not self._youngest_next
        except Exception as error:  # whoever stands here would stand for ever
            self._break_down(error)

    def _after(self, seconds: float) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, self._give_more, context=Context())

    def _give_more(self) -> None:
        self._timer = None
        self._give()

    def _next(self) -> _Turn | None:
        """Find whose turn it is; those whose turn has come, or who have left, are forgotten on the way."""
        if len(self._youngest) > 2 * self._standing + 16:
            self._youngest = [each for each in self._youngest if not each.come.done()]
            heapq.heapify(self._youngest)
        while self._longest and self._longest[0].come.done():
            self._longest.popleft()
        while self._youngest and self._youngest[0].come.done():
            heapq.heappop(self._youngest)
        if not self._longest:
            return None
        return self._youngest[0] if self._youngest_next else self._longest[0]

    def _break_down(self, cause: Exception) -> None:
        log.error("The queue in which an account's publishes are asked for broke down.", exc_info=cause)
        for turn in self._longest:
            if not turn.come.done():
                error = TikTokError(
                    f"The status could not be asked for: the account's queue broke down "
                    f"({type(cause).__name__}). Let the task be retried; the publish goes on at TikTok."
                )
                error.__cause__ = cause
                turn.come.set_exception(error)
        self._longest.clear()
        self._youngest.clear()
