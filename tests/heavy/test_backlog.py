"""A backlog of ninety posts over three accounts is drained at TikTok's pace, in order, each post once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.airflow_tasks import SAMPLE
from tests.heavy import report
from tests.heavy.backlog import (
    COLUMNS,
    DATES_DAG_ID,
    LEAST,
    OPTIONS,
    connected,
    drain,
    expected,
    row,
    warm_up,
)
from tests.heavy.deployment import Deployment

pytestmark = [pytest.mark.integration, pytest.mark.heavy]


@pytest.fixture(scope="module")
def deployment(deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(**OPTIONS) as running:
        warm_up(running, tmp_path_factory.mktemp("warm"))
        yield running


def test_a_backlog_is_drained_in_order_at_tiktoks_pace(deployment: Deployment, tmp_path: Path) -> None:
    """How long it takes, beside what Airflow itself takes: the benchmark ``drain_backlog``."""
    accounts = connected(deployment, "limited")
    table = report.table(
        f"3 accounts with 30 posts each; 6 inits in 20 s and 15 posts in 90 s take {LEAST:.0f} s at least",
        *COLUMNS,
    )
    run = drain(deployment, tmp_path, accounts)
    table.add_row(*row("with limits", run, accounts))
    assert run.state == "success"
    assert dict(run.posts) == dict.fromkeys((title for name in accounts for title in expected(name)), 1)
    # a task that Airflow has failed itself, and tries again, loses its place, and so may the one behind it
    assert sum(run.displaced(name) for name in accounts) <= 2 * run.races
    assert run.retries <= run.races, "no retry but where Airflow has started a task twice"
    assert run.refused < 0.05 * len(run.inits)
    assert deployment.sandbox.violations == []


def test_airflows_backfill_posts_past_days_in_order(deployment: Deployment, tmp_path: Path) -> None:
    """``airflow backfill create``, as a person would call it: one post a logical date, the oldest first."""
    sandbox, airflow = deployment.sandbox, deployment.airflow
    days = [f"2026-10-{day:02d}" for day in range(1, 6)]
    for day in days:
        (tmp_path / f"{day}.mp4").symlink_to(SAMPLE)
    [name] = connected(deployment, "dates", 1)
    sandbox.knobs.limits = True
    sandbox.reset()
    airflow.ask("PATCH", f"/api/v2/dags/{DATES_DAG_ID}", {"is_paused": False})
    conf = {"folder": str(tmp_path), "tiktok_conn_id": name, "poll_interval": 5}
    dates = ("--from-date", days[0], "--to-date", days[-1])
    command = ("backfill", "create", "--dag-id", DATES_DAG_ID, *dates, "--max-active-runs", "10")
    subprocess.run(
        [sys.executable, "-m", "airflow", *command, "--dag-run-conf", json.dumps(conf)],
        env=airflow._environment,
        check=True,
        capture_output=True,
        timeout=120,
    )
    path = f"/api/v2/dags/{DATES_DAG_ID}/dagRuns?run_type=backfill"

    def over() -> list[str] | None:
        states = [each["state"] for each in deployment.persist(lambda: airflow.ask("GET", path))["dag_runs"]]
        return states if len(states) == len(days) and {*states} <= {"success", "failed"} else None

    assert deployment.until(over, 240, "the backfill to end") == ["success"] * len(days)
    assert [each.title[-16:-6] for each in sandbox.publishes] == days
    assert sorted(each.title[-16:-6] for each in sandbox.posts) == days
    assert all(each.code == "ok" for each in sandbox.requests if each.endpoint == "video_init")
