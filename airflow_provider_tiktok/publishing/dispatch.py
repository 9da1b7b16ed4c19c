"""
Lets the tasks of one account go, one after another, from an event loop in which all of them wait.

One loop task for each account and kind of post reads the account's trail, asks TikTok where that is needed,
and tells each waiter. It runs in a context of its own: what concerns a task is logged by that task's waiter.
"""

from __future__ import annotations

import asyncio
import contextvars
import copy
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakKeyDictionary

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_tiktok.auth.flight import beside, two_may_ask
from airflow_provider_tiktok.exceptions import (
    TikTokCapError,
    TikTokError,
    TikTokRateLimitError,
    TikTokStoreError,
)
from airflow_provider_tiktok.publishing import trails
from airflow_provider_tiktok.publishing.pace import Released, Windows
from airflow_provider_tiktok.publishing.queue import Ask, Fail, Pause, Queue, Release, Waiter
from airflow_provider_tiktok.publishing.trail import Trail

if TYPE_CHECKING:
    from airflow_provider_tiktok.auth.account import Account
    from airflow_provider_tiktok.hooks.tiktok import TikTokHook

log = logging.getLogger(__name__)

#: The trail is looked at this often at most, while an answer is awaited; less often, the longer the minute.
_LOOK_SECONDS, _LONGEST_LOOK_SECONDS = 0.25, 3.0
_LOOKS_A_MINUTE = 20
_SHORTEST_PAUSE = 0.02
#: So long is an answer of Airflow's waited for, which may take seconds where many ask.
_READ_SECONDS = 0.2

#: A text is logged by the waiter, who waits on.
Letter: TypeAlias = str | Released | TikTokError


class Dispatcher:
    """
    The loop task of one queue.

    :param hook: of the account; asked only from this event loop
    :param queue: whose tasks are let go
    """

    def __init__(self, hook: TikTokHook, queue: Queue) -> None:
        self.users = 0
        self.broken = False
        self._hook, self._queue = hook, queue
        self._mail: dict[Waiter, asyncio.Queue[Letter]] = {}
        self._changed = asyncio.Event()
        self._trail, self._read_at = Trail(), 0.0
        self._reading: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._freshening: asyncio.Future[None] | None = None

    async def wait(self, waiter: Waiter) -> Released:
        """
        Wait for a task's turn.

        :param waiter: the task
        :raises TikTokError: its turn will not come
        """
        mail: asyncio.Queue[Letter] = asyncio.Queue()
        self._mail[waiter] = mail
        log.info("Waiting for a turn to post: %d tasks of this account are before.", self._queue.join(waiter))
        self._wake()
        try:
            while isinstance(letter := await mail.get(), str):
                log.info("%s", letter)
        finally:
            del self._mail[waiter]
            self._queue.leave(waiter)
            self._changed.set()
        if isinstance(letter, TikTokError):
            raise letter
        return letter

    async def stop(self) -> None:
        """End the loop task."""
        running = [each for each in (self._task, self._reading, self._freshening) if each is not None]
        for each in running:
            each.cancel()
        if running:
            await asyncio.wait(running)

    def _wake(self) -> None:
        self._changed.set()
        if self._task is None:
            # not in the waiter's context: Airflow keeps there to whom a log line belongs
            self._task = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())

    async def _run(self) -> None:
        try:
            while True:
                self._changed.clear()
                await self._next()
        except Exception as error:  # whoever waits has to hear of it
            self.broken = True
            log.exception("The queue of connection %s broke down.", self._hook.tiktok_conn_id)
            self._fail_all(TikTokError(f"The queue of this account broke down ({type(error).__name__})."))

    async def _next(self) -> None:
        trail = await self._look()
        # where only one thread may ask Airflow, the trail would have to wait for it
        if two_may_ask() and (self._freshening is None or self._freshening.done()):
            self._freshening = asyncio.ensure_future(self._freshen())
        now = time.time()
        match self._queue.step(trail, now):
            case Release(waiter):
                self._mail[waiter].put_nowait(self._queue.release(waiter, now))
            case Fail(waiter, error):
                self._fail(waiter, error)
            case Ask():
                await self._ask(trail)
            case Pause(until):
                await self._pause(min(until, self._queue.next_deadline(trail)) - now)

    async def _pause(self, seconds: float) -> None:
        longest = self._look_seconds if self._queue.underway else self._queue.windows.minute
        try:
            async with asyncio.timeout(max(_SHORTEST_PAUSE, min(seconds, longest))):
                await self._changed.wait()
        except TimeoutError:
            pass

    @property
    def _look_seconds(self) -> float:
        return min(_LONGEST_LOOK_SECONDS, max(_LOOK_SECONDS, self._queue.windows.minute / _LOOKS_A_MINUTE))

    async def _look(self) -> Trail:
        """
        Give the trail; a read that takes long is waited for only at first.

        An older one does no harm: who was released since counts as under way.
        """
        is_old = time.monotonic() >= self._read_at + self._look_seconds
        is_due = not self._read_at or self._queue.is_due(time.time())
        if self._reading is None and self._mail and is_old and is_due:
            self._reading = asyncio.ensure_future(self._read())
        if self._reading is not None:
            await asyncio.wait([self._reading], timeout=_READ_SECONDS if self._read_at else None)
            if self._reading.done():
                reading, self._reading = self._reading, None
                reading.result()
        return self._trail

    async def _read(self) -> None:
        """Read the trail; where that cannot be done, what was read before holds."""
        try:
            trail = await beside(partial(trails.look, self._hook.account))
            if trail is not None:
                self._trail = await self._without_old_circuit(trail)
        except TikTokStoreError as error:
            log.debug("What became of the tasks before cannot be read just now: %s", error)
        self._read_at = time.monotonic()
        self._changed.set()

    async def _without_old_circuit(self, trail: Trail) -> Trail:
        """An obstacle may have gone with the grant that met it."""
        circuit = trail.circuit
        if circuit is None or not circuit.grant or not circuit.holds(self._queue.lane, time.time()):
            return trail
        try:
            mark = await beside(partial(trails.grant_mark, self._hook.account))
        except TikTokError:
            return trail
        return trail if mark == circuit.grant else replace(trail, circuit=None)

    async def _freshen(self) -> None:
        """Have a live access token by the time that a task needs it, whose process would wait for it."""
        try:
            await self._hook.agranted_scope()
        except TikTokError as error:  # the task meets it, too, and can tell
            log.debug("The access token cannot be seen to: %s", error)

    async def _ask(self, trail: Trail) -> None:
        """Ask TikTok for the head of the queue whether the day has a place."""
        queue, minute = self._queue, self._queue.windows.minute
        try:
            await self._hook.acreator_info()
        except TikTokCapError as error:
            queue.day.said_no(error.code, trail, time.time())
            self._say(f"TikTok has no place yet: {error.code}. It is asked again.")
        except TikTokRateLimitError:
            queue.day.ask_later(time.time() + minute / 2)
        except TikTokError as error:
            if isinstance(error, AirflowFailException):  # with nothing given, it concerns the account
                self._fail_all(error)
            queue.day.ask_later(time.time() + minute / 2)
            self._say(f"TikTok cannot be asked for a place just now: {error}")
        else:
            queue.day.said_yes(trail, time.time(), queue.underway)

    def _say(self, text: str) -> None:
        for waiter in self._queue.waiters[:1]:
            self._mail[waiter].put_nowait(text)

    def _fail_all(self, error: TikTokError) -> None:
        for waiter in list(self._mail):
            self._fail(waiter, error)

    def _fail(self, waiter: Waiter, error: TikTokError) -> None:
        self._queue.leave(waiter)
        self._mail[waiter].put_nowait(copy.copy(error))  # raised by many, one and the same would grow


@asynccontextmanager
async def dispatcher(hook: TikTokHook, lane: str) -> AsyncIterator[Dispatcher]:
    """
    Give the one dispatcher that this event loop has for an account's posts of one kind.

    It ends with its last user, but the queue is remembered: who was released may still be on the way.

    :param hook: the one that all in this event loop share, and that outlives the block
    :param lane: the post mode
    """
    dispatchers, queues = _known.setdefault(asyncio.get_running_loop(), ({}, {}))
    account = hook.account
    key = account, lane
    if key not in queues:
        queues[key] = Queue(lane, Windows(account.rate_window, account.cap_window))
    if (shared := dispatchers.get(key)) is None or shared.broken:
        shared = dispatchers[key] = Dispatcher(hook, queues[key])
    shared.users += 1
    try:
        yield shared
    finally:
        shared.users -= 1
        if not shared.users:
            if dispatchers.get(key) is shared:
                del dispatchers[key]
            await shared.stop()


_Key: TypeAlias = "tuple[Account, str]"
_Known: TypeAlias = tuple[dict[_Key, Dispatcher], dict[_Key, Queue]]
_known: WeakKeyDictionary[asyncio.AbstractEventLoop, _Known] = WeakKeyDictionary()
