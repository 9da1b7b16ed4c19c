"""No token, client secret or upload address in anything that a task says, raises, pushes or defers with."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, TaskDeferred

from airflow_provider_tiktok.operators.tiktok import TikTokPublishVideoOperator
from airflow_provider_tiktok.sandbox.server import Sandbox
from airflow_provider_tiktok.sandbox.uploads import Uploads
from airflow_provider_tiktok.sensors.tiktok import TikTokPublishStatusSensor
from tests.airflow_tasks import FakeClock, FakeTi, FakeVariables, first_event, resume, run, secrets_in

FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("none", {"action": "drop"}),
    ("token", {"action": "drop", "when": "after"}),
    ("token", {"action": "error", "code": "invalid_grant"}),
    ("token", {"action": "garbage", "when": "after", "body": "truncated"}),
    ("creator_info", {"action": "garbage", "body": "html"}),
    ("creator_info", {"action": "error", "code": "access_token_invalid", "times": None}),
    ("video_init", {"action": "garbage", "when": "after", "body": "truncated"}),
    ("video_init", {"action": "redirect"}),
    ("upload", {"action": "status", "status": 400}),
    ("upload", {"action": "drop", "when": "after"}),
    ("upload", {"action": "drop", "when": "during"}),
    ("status", {"action": "error", "code": "scope_not_authorized", "times": None}),
    ("status", {"action": "drop"}),
]


@pytest.fixture
def upload_urls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every upload address that the local TikTok gave out."""
    given: list[str] = []
    genuine = Uploads.open

    def keep(self: Uploads, *args: Any, **options: Any) -> str:
        given.append(genuine(self, *args, **options))
        return given[-1]

    monkeypatch.setattr(Uploads, "open", keep)
    return given


@pytest.mark.parametrize(("endpoint", "fault"), FAULTS, ids=str)
async def test_in_a_whole_run(
    *,
    tiktok: Sandbox,
    connect: Callable[..., dict[str, Any]],
    variables: FakeVariables,
    clock: FakeClock,
    video: Path,
    upload_urls: list[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    endpoint: str,
    fault: dict[str, Any],
) -> None:
    """With the log at DEBUG, a refresh on the way, and without the help of Airflow's own masker."""
    caplog.set_level(logging.DEBUG)
    for name in ("airflow_provider_tiktok.auth.keeper", "airflow_provider_tiktok.operators.tiktok"):
        monkeypatch.setattr(f"{name}.mask_secret", lambda *_: None)
    extra = connect(expires_in=30)["extra"]
    tiktok.fault(endpoint, **fault)
    told: list[object] = []
    ti = FakeTi()
    options = {"privacy_level": "PUBLIC_TO_EVERYONE", "wait_for_completion": True}
    for deferrable in (False, True):
        task = TikTokPublishVideoOperator(task_id="t", video=str(video), deferrable=deferrable, **options)
        await _to_its_end(task, ti, told)
        told += [getattr(task, name) for name in task.template_fields]
    publish_id = ti.xcoms.get("publish_id", "v_pub_file~1")
    sensor = TikTokPublishStatusSensor(task_id="s", publish_id=publish_id, deferrable=True)
    await _to_its_end(sensor, ti, told)
    told += [record.getMessage() for record in caplog.records]
    told += [record.exc_text for record in caplog.records if record.exc_text]
    told += [ti.xcoms, variables.values]
    secrets = [tiktok.knobs.client_secret, extra["refresh_token"], extra["access_token"], *upload_urls]
    assert len(told) > 20
    assert secrets_in(told, *secrets) == []


async def _to_its_end(task: Any, ti: FakeTi, told: list[object]) -> None:
    try:
        try:
            told.append(run(task, ti))
        except TaskDeferred as deferred:
            event = await first_event(deferred.trigger)
            told += [deferred.trigger.serialize(), vars(deferred), event]
            told.append(resume(task, event, ti))
    except AirflowException as error:
        told += [str(error), repr(error), *traceback.format_exception(error)]
