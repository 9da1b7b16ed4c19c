"""What to measure against: the trigger that anybody would write, and one that does nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.triggers.base import BaseTrigger, TriggerEvent

log = logging.getLogger(__name__)

ENDS = {"PUBLISH_COMPLETE", "SEND_TO_USER_INBOX", "FAILED"}


class PlainTrigger(BaseTrigger):
    """Wait until a publish is done: a client of its own, a look every 30 seconds, and no idea of a limit."""

    def __init__(self, tiktok_conn_id: str, publish_id: str, poll_interval: float = 30.0) -> None:
        super().__init__()
        self.tiktok_conn_id = tiktok_conn_id
        self.publish_id = publish_id
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = ("tiktok_conn_id", "publish_id", "poll_interval")
        return f"{__name__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        connection = await get_async_connection(self.tiktok_conn_id)
        extra = await get_async_extra_dejson(connection)
        headers = {"Authorization": f"Bearer {extra['access_token']}"}
        async with httpx.AsyncClient(base_url=connection.host, headers=headers) as client:
            while True:
                await asyncio.sleep(self.poll_interval)
                try:
                    answer = await client.post(
                        "/v2/post/publish/status/fetch/", json={"publish_id": self.publish_id}
                    )
                    status = answer.raise_for_status().json()["data"]["status"]
                except httpx.HTTPError as error:
                    log.info("Publish %s: %s", self.publish_id, type(error).__name__)
                    continue
                if status in ENDS:
                    yield TriggerEvent({"publish_id": self.publish_id, "status": status})
                    return
                log.info("Publish %s: %s.", self.publish_id, status)


class SleepingTrigger(PlainTrigger):
    """Do nothing, for ever."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        while True:
            await asyncio.sleep(self.poll_interval)
        yield TriggerEvent(None)
