"""The example DAG that drains a queue: which rows a run takes, and what becomes of each."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow_provider_tiktok.exceptions import TikTokError
from tests.airflow_tasks import FakeTi, context_of, run

FILE = Path(__file__).parents[1] / "example_dags" / "tiktok_backfill_queue.py"
PARAMS = {"most": 100, "spacing_minutes": 0, "stale_after_hours": 0}


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    return runpy.run_path(str(FILE))


def test_try(example, connect, clock, video, tmp_path) -> None:
    connect()
    task = example["QueuedVideoOperator"](
        task_id="p", row="a", queue_uri=str(tmp_path / "q.csv"), video=str(video), privacy_level="SELF_ONLY",
    )
    ti = FakeTi()
    context = context_of(ti)
    task.pre_execute(context)
    r = run(task, ti)
    task.post_execute(context, r)
    print(list((tmp_path/"q.csv.state").iterdir()))
