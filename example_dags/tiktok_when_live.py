"""
Schedule a DAG on "it is live": publishing emits an asset event that carries the post's address.

``tiktok_when_live`` publishes a video and waits until it is posted. Since it has the asset as an outlet,
Airflow then runs ``tiktok_when_live_next``, which reads from the event what was posted: ``publish_id``,
``status``, ``post_ids`` and ``post_url``. Needs a Connection ``tiktok_default`` of type ``tiktok``.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Asset, Param, task

from airflow_provider_tiktok.operators.tiktok import TikTokPublishVideoOperator

SAMPLE = Path(__file__).parent / "media" / "sample.mp4"
START = datetime(2026, 1, 1)  # noqa: DTZ001 - Airflow takes it for UTC
POSTS = Asset("tiktok://posts/tiktok_default")

with DAG(
    dag_id="tiktok_when_live",
    schedule=None,
    start_date=START,
    catchup=False,
    tags=["tiktok", "example"],
    doc_md=__doc__,
    params={
        "video": Param(str(SAMPLE), type="string", description="Path or URI of the video."),
        "privacy_level": Param("PUBLIC_TO_EVERYONE", type="string"),
        "poll_interval": Param(30, type="number", description="Longest pause between two looks, in seconds."),
    },
) as dag:
    TikTokPublishVideoOperator(
        task_id="publish",
        video="{{ params.video }}",
        title="Announced by the next DAG #airflow",
        privacy_level="{{ params.privacy_level }}",
        wait_for_completion=True,
        deferrable=True,
        poll_interval="{{ params.poll_interval }}",
        outlets=[POSTS],
    )

with DAG(
    dag_id="tiktok_when_live_next",
    schedule=[POSTS],
    start_date=START,
    catchup=False,
    tags=["tiktok", "example"],
    doc_md=__doc__,
) as next_dag:

    @task
    def announce(**context: Any) -> list[dict[str, Any]]:
        """Give what was posted, by the events that have started this run; several posts may share a run."""
        name = "triggering_asset_events"
        events = context[name if name in context else "triggering_dataset_events"]  # as Airflow 2 calls it
        return [dict(event.extra) for of_asset in events.values() for event in of_asset]

    announce()
