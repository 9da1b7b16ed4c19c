"""The trigger that waits for a publish in the triggerer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_tiktok.publishing.arguments import DEFAULT_POLL_INTERVAL
from airflow_provider_tiktok.triggers.machinery import loaded


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
        await loaded()
        from airflow_provider_tiktok.publishing.status import Watch
        from airflow_provider_tiktok.triggers import waiting

        watch = Watch(
            self.poll_interval,
            wait_for_creator=self.wait_for_creator,
            wait_for_post_id=self.wait_for_post_id,
            stuck_at=self.stuck_at,
        )
        event = await waiting.for_end(self.tiktok_conn_id, self.publish_id, watch)
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def on_kill(self) -> None:
        """Cancel what TikTok is still pulling, if that is asked for; Airflow calls it only for a person."""
        if self.cancel_on_kill:
            await loaded()
            from airflow_provider_tiktok.triggers import waiting

            await waiting.cancel(self.tiktok_conn_id, self.publish_id)
