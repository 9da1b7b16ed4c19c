"""How an operator leaves its worker, to wait in the triggerer for its turn or for the end of its publish."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

from airflow_provider_tiktok.publishing.pace import Limit, Place
from airflow_provider_tiktok.publishing.request import Waiting
from airflow_provider_tiktok.telling import began_waiting
from airflow_provider_tiktok.triggers.pace import TikTokPaceTrigger
from airflow_provider_tiktok.triggers.tiktok import TikTokPublishStatusTrigger

if TYPE_CHECKING:
    from airflow_provider_tiktok.operators.base import TikTokPublishOperator


def wait_there(
    task: TikTokPublishOperator, publish_id: str, waiting: Waiting, stuck_at: float | None, *, cancels: bool
) -> NoReturn:
    """
    Wait for the end of a publish.

    :param task: an operator
    :param publish_id: of the publish
    :param waiting: how long, and how often is asked
    :param stuck_at: when to come back although it is not over; None = never
    :param cancels: whether a person who ends the task cancels the publish
    """
    task.defer(
        trigger=TikTokPublishStatusTrigger(
            task.tiktok_conn_id,
            publish_id,
            poll_interval=waiting.poll_interval,
            stuck_at=stuck_at,
            cancel_on_kill=cancels,
        ),
        method_name="execute_complete",
        kwargs={"waits": began_waiting("processing")},
        timeout=timedelta(seconds=waiting.timeout),
    )


def queue_there(
    task: TikTokPublishOperator, place: Place, max_wait: float | None, post_mode: str, limit: Limit | None
) -> NoReturn:
    """
    Wait for the task's turn.

    :param task: an operator
    :param place: in the queue of its account
    :param max_wait: seconds to wait while no post of the account gets through; None = for ever
    :param post_mode: of the post
    :param limit: that the task has met; None = none yet
    """
    # Airflow writes an XCom for each at the end of every process, also where there is nothing to link to yet
    task.operator_extra_links = ()
    task.defer(
        trigger=TikTokPaceTrigger(
            task.tiktok_conn_id,
            **place.as_dict(),
            limit=str(limit or ""),
            post_mode=str(post_mode),
            max_wait=max_wait,
        ),
        method_name="execute_released",
        kwargs={"place": place.as_dict(), "waits": began_waiting(str(limit or "turn"))},
    )
