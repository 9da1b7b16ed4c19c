"""No secret leaves its place: everything that a real Airflow wrote in a full run is searched for each."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import pytest

import airflow_provider_tiktok
from airflow_provider_tiktok.sandbox.server import Sandbox
from airflow_provider_tiktok.sandbox.standalone import StandaloneAirflow

pytestmark = pytest.mark.integration

DAGS = Path(airflow_provider_tiktok.__file__).parent.parent / "example_dags"
DAG_ID = "tiktok_publish_video"


def run(airflow: StandaloneAirflow, sandbox: Sandbox) -> str:
    conf = {"video_url": f"{sandbox.url}/public/sample.mp4", "poll_interval": 5}
    run_id = airflow.trigger(DAG_ID, conf)
    until = time.monotonic() + 180
    while (state := airflow.run_state(DAG_ID, run_id)) not in ("success", "failed"):
        assert time.monotonic() < until, f"still {state}"
        time.sleep(1)
    return state


def written(home: Path) -> dict[str, str]:
    """Everything that Airflow wrote: its logs, and its database as text."""
    texts = {str(path.relative_to(home)): path.read_text(errors="replace") for path in home.rglob("*.log")}
    with sqlite3.connect(home / "airflow.db") as database:
        texts["airflow.db"] = "\n".join(database.iterdump())
    return texts


def test_no_secret_is_written_anywhere_while_the_grant_rotates_and_posts_fail():
    sandbox = Sandbox(public_dir=str(DAGS / "media"), access_token_seconds=20.0, processing_seconds=4.0)
    with sandbox:
        connection = json.dumps(sandbox.connection("creator1", expires_in=1))
        environment = {
            "AIRFLOW_CONN_TIKTOK_DEFAULT": connection,
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        }
        with StandaloneAirflow(DAGS, environment) as airflow:
            list(airflow.wait_until_ready(DAG_ID))
            assert run(airflow, sandbox) == "success"
            sandbox.fault("status", action="error", code="internal_error", status=500, times=2)
            sandbox.knobs.fail_reason = "spam_risk_text"
            assert run(airflow, sandbox) == "failed"
            texts, secrets = written(airflow.home), sandbox.secrets

        refreshes = [each for each in sandbox.requests if each.endpoint == "token" and each.code == "ok"]
        assert len(refreshes) >= 2, "the grant was meant to rotate in this run"
        assert sandbox.reuses == 0
        assert sandbox.violations == []
        assert len(sandbox.posts) == 2

    task_log = "".join(text for name, text in texts.items() if "task_id=upload" in name)
    assert "spam_risk_text" in "".join(texts.values()), "the logs that are searched hold the failure"
    assert "Publish v_pub_file" in task_log, "the logs that are searched hold the upload"
    assert len(secrets) > 10, "a client secret, access and refresh tokens, and keys of upload URLs"
    assert all(len(secret) > 10 for secret in secrets)
    leaks = [name for name, text in texts.items() for secret in secrets if secret in text]
    assert leaks == []
