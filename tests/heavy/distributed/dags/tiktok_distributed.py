"""Publishes whatever the test asks for, a task each: the run's conf has the operators' arguments."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_tiktok.operators.tiktok import TikTokPublishPhotosOperator, TikTokPublishVideoOperator

#: A worker's death costs a try, whatever the task was doing.
OPTIONS: dict[str, Any] = {
    "wait_for_completion": True,
    "poll_interval": 3.0,
    "retries": 3,
    "retry_delay": timedelta(seconds=1),
}

with DAG(
    "heavy_publish",
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it for UTC
    catchup=False,
    max_active_tasks=64,
    params={"gate": "", "video": [], "photos": []},
):

    @task
    def given(operator: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        """Give what is to be published by an operator."""
        return list(params[operator])

    TikTokPublishVideoOperator.partial(task_id="video", **OPTIONS).expand_kwargs(given("video"))
    TikTokPublishPhotosOperator.partial(task_id="photos", **OPTIONS).expand_kwargs(given("photos"))
