"""The trigger that waits for a publish in the triggerer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_tiktok.exceptions import TikTokError
from airflow_provider_tiktok.hooks.tiktok import TikTokHook
from airflow_provider_tiktok.publishing.events import error_event, status_event
from airflow_provider_tiktok.publishing.floor import Floor
from airflow_provider_tiktok.publishing.monitor import Monitor
from airflow_provider_tiktok.publishing.status import DEFAULT_POLL_INTERVAL, Watch

log = logging.getLogger(__name__)


class TikTokPublishStatusTrigger(BaseTrigger):
    """
    Wait until a publish is done or has failed.

    All triggers of one account in one triggerer share a client and the account's pace. A status that cannot
    be asked for a while (429, 5xx, no network, no metadata database) never ends the waiting: the deadline is
    the deferral's, in Airflow's database. Fires one event, and not within its first 5.5 seconds; 9 where
    many wait.

    :param tiktok_conn_id: Connection of type ``tiktok``
    :param publish_id: from a publish operator
    :param poll_interval: longest pause between two looks, in seconds; the first is about 5. Where many
        wait for publishes of the same account, pauses grow beyond it
    :param wait_for_creator: a draft in the creator's inbox is not enough; wait until it is posted
    :param wait_for_post_id: wait until TikTok names the public post, which it never does for private ones
    :param stuck_at: seconds since 1970 from which on a publish that is not over is handed back as it is
    :param cancel_on_kill: cancel a pull that TikTok is still downloading when a person ends the task (Airflow
        3.3 and newer)
    """

    def __init__(
        self,
        tiktok_conn_id: str,
        publish_id: str,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        wait_for_creator: bool = False,
        wait_for_post_id: bool = False,
        *,
        stuck_at: float | None = None,
        cancel_on_kill: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tiktok_conn_id = tiktok_conn_id
        self.publish_id = publish_id
        self.poll_interval = poll_interval
        self.wait_for_creator = wait_for_creator
        self.wait_for_post_id = wait_for_post_id
        self.stuck_at = stuck_at
        self.cancel_on_kill = cancel_on_kill

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give what Airflow needs to make this trigger again: plain values, no secret."""
        names = ["tiktok_conn_id", "publish_id", "poll_interval", "wait_for_creator", "wait_for_post_id"]
        names += [name for name in ("stuck_at", "cancel_on_kill") if getattr(self, name)]
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until the waiting is over, then tell."""
        watch = Watch(
            self.poll_interval,
            wait_for_creator=self.wait_for_creator,
            wait_for_post_id=self.wait_for_post_id,
            stuck_at=self.stuck_at,
        )
        with Floor() as floor:
            try:
                event = await self._wait(watch)
            except TikTokError as error:
                event = error_event(self.publish_id, error)
            await floor.reached()
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _wait(self, watch: Watch) -> dict[str, Any]:
        while True:
            await asyncio.sleep(watch.pause())
            try:
                async with TikTokHook.shared(self.tiktok_conn_id) as hook:
                    with hook.budget.waiting():
                        return await self._look(hook.monitor, watch)
            except TikTokError as error:
                self._check_passing(watch, error)

    async def _look(self, monitor: Monitor, watch: Watch) -> dict[str, Any]:
        looks = 0
        while True:
            try:
                status = await monitor.look(self.publish_id, looks)
            except TikTokError as error:
                self._check_passing(watch, error)
            else:
                if watch.is_over(status):
                    return status_event(self.publish_id, status)
                log.info("Publish %s: %s.", self.publish_id, status.status)
            looks += 1
            await asyncio.sleep(watch.pause(monitor.budget.interval))

    async def on_kill(self) -> None:
        """Cancel what TikTok is still pulling, if that is asked for; Airflow calls it only for a person."""
        if not self.cancel_on_kill:
            return
        try:
            async with TikTokHook.shared(self.tiktok_conn_id) as hook:
                await hook.acancel(self.publish_id)
        except TikTokError as error:
            log.warning("Publish %s could not be cancelled: %s", self.publish_id, error)
        else:
            log.info("Publish %s is cancelled.", self.publish_id)

    def _check_passing(self, watch: Watch, error: TikTokError) -> None:
        if not watch.is_passing(error):
            raise error
        log.info("Publish %s: the status cannot be asked just now: %s", self.publish_id, error)
