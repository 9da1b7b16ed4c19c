"""
What is proven on one host holds on many: two workers and two triggerers publish once, and refresh once.

They share nothing but Airflow's database: none sees the locks that another has on its own host (cluster.py).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_tiktok.sandbox import demo
from airflow_provider_tiktok.sandbox.bucket import DemoBucket
from tests.heavy import report
from tests.heavy.deployment import Deployment
from tests.heavy.distributed.cluster import SLOTS, TRIGGERERS, TRIGGERS, WORKERS
from tests.heavy.distributed.conftest import MINUTE, SHOWN
from tests.heavy.distributed.publishes import DAG_ID, Publishing, polled_by
from tests.heavy.publish.kinds import KINDS, Made

pytestmark = [pytest.mark.integration, pytest.mark.heavy]

TWO_HOURS = 7201.0
#: More than one triggerer takes.
SENSORS = TRIGGERS + 1
#: Long enough that all tasks have begun before the first of them has sent its bytes.
UPLOAD_SECONDS = 30.0
#: As many as one triggerer takes, so that it can take over all of the other's: a post and a draft that are
#: uploaded, a video that TikTok pulls, and photos.
WAITING = (KINDS[0], KINDS[1], KINDS[3], KINDS[5])


class Told:
    """
    The table, to which each test adds its line.

    :param deployment: that all of it happens in
    """

    def __init__(self, deployment: Deployment) -> None:
        self._sandbox = deployment.sandbox
        self._table = report.table(
            f"CeleryExecutor on Redis, PostgreSQL, {len(WORKERS)} workers, {len(TRIGGERERS)} triggerers",
            *("what", "tasks by worker", "succeeded", "retries", "posts, drafts"),
            *("publishes", "refreshes", "reuses", "s"),
        )

    def add(self, what: str, tasks: Collection[dict[str, Any]], began: float) -> None:
        """Add what a test has come to; its sandbox had been reset."""
        sandbox, spread = self._sandbox, Counter(task["hostname"] for task in tasks)
        self._table.add_row(
            what,
            ", ".join(f"{spread[worker]}" for worker in WORKERS),
            f"{sum(task['state'] == 'success' for task in tasks)} of {len(tasks)}",
            str(sum(task["try_number"] - 1 for task in tasks)),
            f"{len(sandbox.posts)}, {len(sandbox.drafts)}",
            str(len(sandbox.publishes)),
            str(sum(each.endpoint == "token" for each in sandbox.requests)),
            str(sandbox.reuses),
            f"{time.monotonic() - began:.0f}",
        )


@pytest.fixture(scope="module")
def told(distributed: Deployment) -> Told:
    return Told(distributed)


def test_the_demos_dags_post_each_once(deployment: Deployment, bucket: DemoBucket, told: Told) -> None:
    """Uploaded, pulled, rendered, drafts and carousels, waited for in workers and in triggerers."""
    began, sandbox, airflow = time.monotonic(), deployment.sandbox, deployment.airflow
    sandbox.reset()
    sandbox.knobs.processing_seconds = 1.0
    media = bucket.extras(demo.MEDIA_CONN_ID)
    deployment.connect("tiktok_default", "creator1", rate_window=MINUTE, **media)
    deployment.connect_as(demo.MEDIA_CONN_ID, bucket.connection())
    runs = {dag_id: deployment.start(dag_id, **demo._conf(dag_id)) for dag_id in SHOWN}
    states = [deployment.finished(dag_id, run_id, 180) for dag_id, run_id in runs.items()]
    tasks = [task for dag_id, run_id in runs.items() for task in airflow.tasks(dag_id, run_id)]
    rows = [demo.Row(way) for way in demo.WAYS]
    demo._update(rows, airflow, runs)
    demo._check(rows, sandbox, airflow, runs)
    told.add("the demo's DAGs", tasks, began)
    assert states == ["success"] * len(SHOWN)
    assert [row.way.task for row in rows if not row.is_there] == []
    assert len(sandbox.posts) + len(sandbox.drafts) == len(sandbox.publishes) == len(demo.WAYS), "each once"
    assert {task["hostname"] for task in tasks} == {*WORKERS}
    assert bucket.keys() == []
    assert sandbox.violations == []


def test_an_expired_token_is_refreshed_once_by_all_hosts(deployment: Deployment, told: Told) -> None:
    """Sixteen tasks on both workers and sensors in both triggerers need a new token at the same moment."""
    began, sandbox, count = time.monotonic(), deployment.sandbox, len(WORKERS) * SLOTS
    sandbox.reset()
    deployment.connect("raced", "raced", expires_in=1, rate_window=MINUTE)
    with deployment.waiting_sensor("raced", count=SENSORS) as sensors:
        run_id = deployment.start("heavy_race", conn_id="raced", tasks=count)
        visitors = deployment.gate.all(count, 120)
        triggerers = {*polled_by(deployment, sensors.run_ids).values()}
        before = len(deployment.refreshes())
        sandbox.clock.advance(TWO_HOURS)
        deployment.expire("raced")
        for visitor in visitors:
            visitor.let_go()
        state = deployment.finished("heavy_race", run_id, 90)
        tasks = deployment.tasks("heavy_race", run_id, "use")
        refreshes = [each.code for each in deployment.refreshes()[before:]]
    told.add(f"a race for a refresh (one came before); {SENSORS} sensors poll", tasks, began)
    assert triggerers == {*TRIGGERERS}
    assert Counter(task["hostname"] for task in tasks) == dict.fromkeys(WORKERS, SLOTS)
    assert state == "success"
    assert [task["try_number"] for task in tasks] == [1] * count
    assert refreshes == ["ok"]
    assert sandbox.reuses == 0


def test_a_worker_dies_while_it_publishes(deployment: Deployment, public: Path, told: Told) -> None:
    """
    Whether bytes are on their way or TikTok is at work: the other worker goes on with that publish.

    Celery then gives the dead worker's messages to another, of tries that Airflow has given up: all in vain.
    """
    began, sandbox, airflow = time.monotonic(), deployment.sandbox, deployment.airflow
    logged = airflow.logged
    publishing = Publishing(deployment, public, KINDS)
    uploads, others = publishing.uploads, publishing.names - publishing.uploads
    held = sandbox.fault("upload", action="delay", seconds=UPLOAD_SECONDS, times=len(uploads))
    deployment.until(
        lambda: (held.hits == len(uploads) and others <= publishing.polled_since()) or None,
        UPLOAD_SECONDS * 2,
        "all tasks to publish",
    )
    running = {worker: publishing.at(worker) for worker in WORKERS}
    victim = max(WORKERS, key=lambda worker: len(running[worker] & uploads))
    airflow.kill(victim)
    publishing.let_end()
    state = deployment.finished(DAG_ID, publishing.run_id, 120)
    airflow.revive()
    deployment.until(
        lambda: airflow.given_again(logged) >= len(running[victim]) or None, 60, "messages to be given again"
    )
    tasks, made = publishing.tasks(), publishing.made()
    told.add(f"{victim} dies as {len(running[victim])} of its tasks publish", tasks.values(), began)
    assert state == "success"
    assert made == dict.fromkeys(made, Made(posts=1, inits=1))
    assert running[victim] & uploads, "it sent bytes"
    assert {name for name, task in tasks.items() if task["try_number"] > 1} == running[victim]
    assert {tasks[name]["hostname"] for name in running[victim]} == {*WORKERS} - {victim}
    assert sandbox.reuses == 0


def test_a_worker_and_a_triggerer_die_while_tasks_wait(
    deployment: Deployment, public: Path, told: Told
) -> None:
    """The other triggerer asks TikTok for what the dead one did, and the other worker ends the tasks."""
    began, sandbox = time.monotonic(), deployment.sandbox
    publishing = Publishing(deployment, public, WAITING, deferrable=True)
    names = publishing.names
    deployment.until(
        lambda: (names == publishing.polled_since() and names == {*publishing.polled_by()}) or None,
        90,
        "all tasks to be polled for",
    )
    ran_at, polled_by = publishing.tasks(), publishing.polled_by()
    worker = Counter(task["hostname"] for task in ran_at.values()).most_common(1)[0][0]
    triggerer = Counter(polled_by.values()).most_common(1)[0][0]
    orphans = {name for name, host in polled_by.items() if host == triggerer}
    deployment.airflow.kill(worker, triggerer)
    died, died_at = sandbox.clock.now(), time.monotonic()
    deployment.until(lambda: orphans <= publishing.polled_since(died) or None, 60, "the other to poll")
    seconds = time.monotonic() - died_at
    publishing.let_end()
    state = deployment.finished(DAG_ID, publishing.run_id, 120)
    tasks, made = publishing.tasks(), publishing.made()
    what = f"{worker} and {triggerer} die; its {len(orphans)} polls are taken over after {seconds:.0f} s"
    told.add(what, tasks.values(), began)
    assert state == "success"
    assert made == dict.fromkeys(made, Made(posts=1, inits=1))
    assert [task["try_number"] for task in tasks.values()] == [1] * len(tasks)
    assert {task["hostname"] for task in tasks.values()} == {*WORKERS} - {worker}


def test_no_secret_is_written(distributed: Deployment) -> None:
    """All of that, with all logs on DEBUG, has left no secret anywhere."""
    distributed.assert_no_secret_is_written()
