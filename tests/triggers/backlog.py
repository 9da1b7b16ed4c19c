"""A backlog drained against a local TikTok: real triggers in one event loop, task processes as threads."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_tiktok.api.models import PrivacyLevel, PullFromUrl, VideoPost
from airflow_provider_tiktok.exceptions import TikTokError
from airflow_provider_tiktok.hooks.tiktok import TikTokHook
from airflow_provider_tiktok.publishing.events import read_release
from airflow_provider_tiktok.publishing.pace import OK, Place, Released, limit_of
from airflow_provider_tiktok.publishing.turn import note_gone, note_outcome, turn
from airflow_provider_tiktok.sandbox.server import Sandbox
from airflow_provider_tiktok.triggers.pace import TikTokPaceTrigger
from tests.airflow_tasks import first_event

DIRECT = "DIRECT_POST"


@dataclass
class Backlog:
    """
    Drains posts of one account.

    :param tiktok: the local TikTok
    :param start: gives the seconds from a trigger's event to what its task does
    :param fails: map indices of tasks that fail before their init
    """

    tiktok: Sandbox
    conn_id: str = "tiktok_default"
    start: Callable[[], float] = lambda: random.uniform(0.2, 1.0)
    fails: set[int] = field(default_factory=set)
    order: list[int] = field(default_factory=list)
    errors: list[TikTokError] = field(default_factory=list)
    rounds: int = 0

    async def drain(self, indices: Iterable[int], apart: float = 0.05) -> float:
        """Give the seconds from the first task to the last init."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number, index in enumerate(indices):
                group.create_task(self._task(index, number * apart))
        return time.monotonic() - began

    async def _task(self, index: int, after: float) -> None:
        await asyncio.sleep(after)
        place = Place(f"ticket{index}", "2026-11-01T00:00:00+00:00", index, time.time())
        limit = ""
        while True:
            trigger = TikTokPaceTrigger(self.conn_id, **place.as_dict(), limit=limit)
            try:
                released = read_release(await first_event(trigger))
                await asyncio.to_thread(self._process, place, released)
            except TikTokError as error:
                self.rounds += 1
                limit = str(limit_of(error) or "")
                if not limit:
                    self.errors.append(error)
                    return
                await asyncio.sleep(0.2)
            else:
                return

    def _process(self, place: Place, released: Released) -> None:
        time.sleep(self.start())
        hook = TikTokHook(self.conn_id)
        try:
            if place.map_index in self.fails:
                raise TikTokError("This task fails before its init.")
            try:
                hook.creator_info()
            except TikTokError as error:
                note_outcome(hook, error, DIRECT, released.ticket)
                raise
            post = VideoPost(privacy_level=PrivacyLevel.PUBLIC_TO_EVERYONE, title=str(place.map_index))
            with turn(hook, place, released, DIRECT) as mine:
                hook.video_init(post, PullFromUrl(f"{self.tiktok.url}/public/sample.mp4"))
                mine.note(OK)
                self.order.append(place.map_index)
        finally:
            note_gone(hook, released, DIRECT)
            hook.close()


def inits(tiktok: Sandbox) -> list[Any]:
    return [each for each in tiktok.requests if each.endpoint == "video_init"]


def refused(tiktok: Sandbox) -> list[str]:
    return [each.code for each in inits(tiktok) if each.code != "ok"]
