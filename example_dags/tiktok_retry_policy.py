"""
Retry as long as what was met takes, and no longer; for Airflow 3.3 and newer.

``TIKTOK_RETRY_POLICY`` decides by the error: after a rate limit it waits a minute, at a day's cap an hour,
after TikTok's own trouble longer each time; what no retry can cure fails at once. ``retries`` still says how
often. Airflow below 3.3 knows no such policies, and waits longer each time, whatever was met. Needs a
Connection ``tiktok_default`` of type ``tiktok``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_tiktok.operators.tiktok import TikTokPublishVideoOperator

try:
    from airflow_provider_tiktok.retry import TIKTOK_RETRY_POLICY
except ImportError:  # below Airflow 3.3
    WAITING: dict[str, Any] = {"retry_delay": timedelta(minutes=5), "retry_exponential_backoff": True}
else:
    WAITING = {"retry_policy": TIKTOK_RETRY_POLICY}

SAMPLE = Path(__file__).parent / "media" / "sample.mp4"

with DAG(
    dag_id="tiktok_retry_policy",
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it for UTC
    catchup=False,
    tags=["tiktok", "example"],
    doc_md=__doc__,
    params={
        "video": Param(str(SAMPLE), type="string", description="Path or URI of the video."),
        "privacy_level": Param("PUBLIC_TO_EVERYONE", type="string"),
    },
) as dag:
    TikTokPublishVideoOperator(
        task_id="publish",
        video="{{ params.video }}",
        privacy_level="{{ params.privacy_level }}",
        retries=8,
        **WAITING,
    )
