"""
Publish one video a day, the one of the run's date; and those of past days, with Airflow's backfill.

Unpause the DAG for the days to come. For the days that have passed, oldest first::

    airflow backfill create --dag-id tiktok_backfill_dates --from-date 2026-10-01 --to-date 2026-10-31

All runs of a backfill (give it ``--max-active-runs 31``) wait in their account's queue, in the triggerer, in
the order of their dates: a month goes out at TikTok's pace, about 15 a day, and takes no worker slot. A day
whose video is not there fails, and does not hold up the others. Days that passed while the DAG was paused are
not posted by themselves: that is ``catchup=False``.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_tiktok.operators.tiktok import TikTokPublishVideoOperator

with DAG(
    dag_id="tiktok_backfill_dates",
    schedule="@daily",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it for UTC
    catchup=False,
    is_paused_upon_creation=True,  # unpause it when the params are yours
    tags=["tiktok", "example"],
    doc_md=__doc__,
    params={
        "folder": Param("s3://my-media/daily", type="string", description="Holds <date>.mp4 of each day."),
        "tiktok_conn_id": Param("tiktok_default", type="string"),
        "privacy_level": Param("PUBLIC_TO_EVERYONE", type="string"),
        "poll_interval": Param(30, type="number", description="Longest pause between two looks, in seconds."),
    },
) as dag:
    # [START dates]
    TikTokPublishVideoOperator(
        task_id="publish",
        video="{{ params.folder }}/{{ ds }}.mp4",
        title="The day in numbers, {{ ds }} #data",
        privacy_level="{{ params.privacy_level }}",
        tiktok_conn_id="{{ params.tiktok_conn_id }}",
        wait_for_completion=True,
        deferrable=True,
        max_wait=None,
        poll_interval="{{ params.poll_interval }}",
        retries=3,
        retry_delay=timedelta(minutes=5),
    )
    # [END dates]
