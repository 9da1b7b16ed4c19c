"""
What the triggers do until they fire.

A triggerer makes triggers in its event loop, which would stand still while this and all that it needs is
imported: the triggers import it when they run, by :func:`airflow_provider_tiktok.triggers.machinery.loaded`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import Any

from airflow_provider_tiktok.exceptions import TikTokError, TikTokStoreError
from airflow_provider_tiktok.hooks.tiktok import TikTokHook
from airflow_provider_tiktok.publishing.dispatch import dispatcher
from airflow_provider_tiktok.publishing.events import (
    error_event,
    no_release_event,
    release_event,
    status_event,
)
from airflow_provider_tiktok.publishing.floor import Floor
from airflow_provider_tiktok.publishing.monitor import Monitor
from airflow_provider_tiktok.publishing.pace import Released
from airflow_provider_tiktok.publishing.queue import Waiter, too_long
from airflow_provider_tiktok.publishing.status import Watch

log = logging.getLogger(__name__)

#: Between two tries to read a Connection that cannot be read just now.
AGAIN_SECONDS = 15.0


async def for_turn(conn_id: str, post_mode: str, waiter: Waiter) -> dict[str, Any]:
    """
    Wait for a task's turn to post, and give the event that tells of it.

    :param conn_id: of the Connection
    :param post_mode: of the post
    :param waiter: the task
    """
    with Floor() as floor:
        try:
            event = release_event(await _released(conn_id, post_mode, waiter))
        except TikTokError as error:
            event = no_release_event(conn_id, error)
        await floor.reached()
    return event


async def for_end(conn_id: str, publish_id: str, watch: Watch) -> dict[str, Any]:
    """
    Wait for the end of a publish, and give the event that tells of it.

    :param conn_id: of the Connection
    :param publish_id: of the publish
    :param watch: tells when to look, and when it is over
    """
    with Floor() as floor:
        try:
            event = await Waits(conn_id, publish_id, watch).run()
        except TikTokError as error:
            event = error_event(publish_id, error)
        await floor.reached()
    return event


async def _released(conn_id: str, post_mode: str, waiter: Waiter) -> Released:
    while True:
        try:
            async with TikTokHook.shared(conn_id) as hook, dispatcher(hook, post_mode) as queue:
                return await queue.wait(waiter)
        except TikTokStoreError as error:
            if time.time() >= waiter.gives_up_at(0.0):
                raise too_long(waiter) from error
            log.info("The turn to post cannot be waited for just now: %s", error)
            await asyncio.sleep(AGAIN_SECONDS * random.uniform(0.9, 1.1))  # noqa: S311


class Waits:
    """
    Waits for the end of a publish.

    :param conn_id: of the Connection
    :param publish_id: of the publish
    :param watch: tells when to look, and when it is over
    """

    def __init__(self, conn_id: str, publish_id: str, watch: Watch) -> None:
        self._conn_id, self._publish_id, self._watch = conn_id, publish_id, watch

    async def run(self) -> dict[str, Any]:
        """Look until it is over; what passes by itself is waited out."""
        while True:
            await asyncio.sleep(self._watch.pause())
            try:
                async with TikTokHook.shared(self._conn_id) as hook:
                    with hook.budget.waiting():
                        return await self._look(hook.monitor)
            except TikTokError as error:
                self._check_passing(error)

    async def _look(self, monitor: Monitor) -> dict[str, Any]:
        looks = 0
        while True:
            try:
                status = await monitor.look(self._publish_id, looks)
            except TikTokError as error:
                self._check_passing(error)
            else:
                if self._watch.is_over(status):
                    return status_event(self._publish_id, status)
                log.info("Publish %s: %s.", self._publish_id, status.status)
            looks += 1
            await asyncio.sleep(self._watch.pause(monitor.budget.interval))

    def _check_passing(self, error: TikTokError) -> None:
        if not self._watch.is_passing(error):
            raise error
        log.info("Publish %s: the status cannot be asked just now: %s", self._publish_id, error)


async def cancel(conn_id: str, publish_id: str) -> None:
    """
    Cancel a publish that TikTok is still pulling; never raises.

    :param conn_id: of the Connection
    :param publish_id: of the publish
    """
    try:
        async with TikTokHook.shared(conn_id) as hook:
            await hook.acancel(publish_id)
    except TikTokError as error:
        log.warning("Publish %s could not be cancelled: %s", publish_id, error)
    else:
        log.info("Publish %s is cancelled.", publish_id)
