"""What a task tells of its publish to the assets that are its outlets, by Airflow's own accessors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset, AssetAlias, TaskDeferred

from airflow_provider_tiktok.operators.tiktok import TikTokPublishVideoOperator
from airflow_provider_tiktok.sandbox.server import Sandbox
from airflow_provider_tiktok.sensors.tiktok import TikTokPublishStatusSensor
from tests.airflow_tasks import FakeClock, FakeTi, context_of, executed, first_event

try:
    from airflow.sdk.execution_time.context import OutletEventAccessors
except ImportError:  # Airflow 2
    from airflow.utils.context import OutletEventAccessors

Connect = Callable[..., dict[str, Any]]
POSTS, OTHERS = Asset("tiktok://posts/tiktok_default"), Asset("tiktok://posts/all")


def run(task: Any, events: Any, ti: FakeTi | None = None) -> Any:
    context = context_of(ti, outlet_events=events)
    task.render_template_fields(context)
    return executed(task, task.execute, context)


def operator(video: Path, **options: Any) -> TikTokPublishVideoOperator:
    return TikTokPublishVideoOperator(
        task_id="publish", video=str(video), privacy_level="PUBLIC_TO_EVERYONE", **options
    )


def test_every_outlet_is_told_what_is_live(
    tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
) -> None:
    connect()
    events, ti = OutletEventAccessors(), FakeTi()
    run(operator(video, wait_for_completion=True, outlets=[POSTS, OTHERS]), events, ti)
    assert events[POSTS].extra == events[OTHERS].extra == ti.xcoms["publish_status"]
    assert events[POSTS].extra["status"] == "PUBLISH_COMPLETE"
    assert events[POSTS].extra["post_url"].startswith("https://www.tiktok.com/@alice/video/")


async def test_also_after_a_deferral(
    tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
) -> None:
    connect()
    events, ti = OutletEventAccessors(), FakeTi()
    options: dict[str, Any] = {"wait_for_completion": True, "deferrable": True, "outlets": [POSTS]}
    with pytest.raises(TaskDeferred) as deferred:
        run(operator(video, **options), events, ti)
    kwargs = {**deferred.value.kwargs, "event": await first_event(deferred.value.trigger)}
    context = context_of(ti, outlet_events=events)
    operator(video, **options).resume_execution("execute_complete", kwargs, context)
    assert events[POSTS].extra == ti.xcoms["publish_status"]


def test_without_waiting_only_the_publish_is_known(tiktok: Sandbox, connect: Connect, video: Path) -> None:
    connect()
    events = OutletEventAccessors()
    publish_id = run(operator(video, outlets=[POSTS]), events)
    assert events[POSTS].extra == {"publish_id": publish_id}


def test_a_sensor_tells_too(tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path) -> None:
    connect()
    publish_id = run(operator(video), OutletEventAccessors())
    events = OutletEventAccessors()
    result = run(TikTokPublishStatusSensor(task_id="w", publish_id=publish_id, outlets=[POSTS]), events)
    assert events[POSTS].extra == (result.xcom_value if hasattr(result, "xcom_value") else result)


def test_a_dry_run_tells_nothing(tiktok: Sandbox, connect: Connect, video: Path) -> None:
    connect()
    events = OutletEventAccessors()
    run(operator(video, dry_run=True, outlets=[POSTS]), events)
    assert events[POSTS].extra == {}


def test_what_is_no_asset_is_left_alone(tiktok: Sandbox, connect: Connect, video: Path) -> None:
    """A post that is out must not fail for an outlet."""
    connect()
    events = OutletEventAccessors()
    outlets = [AssetAlias("some"), object(), POSTS]
    publish_id = run(operator(video, outlets=outlets), events)
    assert events[POSTS].extra == {"publish_id": publish_id}
    assert len(tiktok.publishes) == 1
