"""Ninety posts over three accounts: the example DAG drains them at TikTok's pace, in order, each once."""

from __future__ import annotations

import csv
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_tiktok.sandbox.world import RequestRecord
from tests.airflow_tasks import SAMPLE
from tests.heavy import report
from tests.heavy.deployment import Deployment

pytestmark = [pytest.mark.integration, pytest.mark.heavy]

DAG_ID = "tiktok_backfill_queue"
ACCOUNTS, POSTS = 3, int(os.environ.get("POSTS", "30"))
MINUTE, DAY = 20.0, 90.0
INITS_A_MINUTE, POSTS_A_DAY = 6, 15
#: The least that the limits allow, from the first init on: 15 posts take three minutes, and begin with the
#: third's beginning to be a day old; the second 15 begin a day after the first.
LEAST = DAY * ((POSTS - 1) // POSTS_A_DAY) + MINUTE * (((POSTS - 1) % POSTS_A_DAY) // INITS_A_MINUTE)
#: TikTok's clock runs three times as fast, so ours does.
CLAIM_WRITE_SECONDS = 8.0
#: Airflow's scheduler, of a deferred task whose process it has not seen end.
RACE = "finished with state"


@dataclass(frozen=True)
class Run:
    """What one run of the DAG has done."""

    seconds: float
    began: float
    tasks: list[dict[str, Any]]
    requests: list[RequestRecord]
    titles: dict[str, list[str]]
    posted: Counter[str]
    load: float

    @property
    def inits(self) -> list[RequestRecord]:
        return [each for each in self.requests if each.endpoint == "video_init"]

    @property
    def refused(self) -> int:
        return sum(each.code != "ok" for each in self.inits)

    @property
    def retries(self) -> int:
        return sum(task["try_number"] - 1 for task in self.tasks)


@pytest.fixture(scope="module")
def deployment(deployed) -> Iterator[Deployment]:
    with deployed(
        claim_write_seconds=CLAIM_WRITE_SECONDS,
        dags=SAMPLE.parents[1],
        dag_ids=[DAG_ID],
        settings={"AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO", "AIRFLOW__CORE__PARALLELISM": "10"},
        minute=MINUTE,
        day=DAY,
        init_limit=INITS_A_MINUTE,
        post_cap=POSTS_A_DAY,
        processing_seconds=1.5,
        moderation_seconds=0.5,
    ) as running:
        yield running


def written(path: Path, conn_ids: list[str]) -> dict[str, list[str]]:
    """Write a queue in which the accounts take turns; gives each account's titles in order."""
    titles: dict[str, list[str]] = {conn_id: [] for conn_id in conn_ids}
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "tiktok_conn_id", "video", "title", "privacy_level", "post_mode", "not_before"])
        for number in range(POSTS):
            for conn_id in conn_ids:
                title = f"{conn_id} {number:02d}"
                titles[conn_id].append(title)
                row = title.replace(" ", "-")
                writer.writerow([row, conn_id, SAMPLE, title, "PUBLIC_TO_EVERYONE", "", ""])
    return titles


def drained(deployment: Deployment, queue: Path, seconds: float) -> Run:
    """Run the DAG once, and tell what it has done."""
    sandbox = deployment.sandbox
    sandbox.reset()
    conf = {"queue": str(queue), "poll_interval": 5}
    began = time.time()
    run_id = deployment.persist(lambda: deployment.airflow.trigger(DAG_ID, conf))
    deployment.airflow.keep_home = True
    print(deployment.airflow.home, flush=True)
    end = time.time() + seconds
    while time.time() < end and not deployment.run_is_over(DAG_ID, run_id):
        time.sleep(10)
        r = list(sandbox.requests)
        print(round(time.time()-began), Counter((x.endpoint, x.code) for x in r), len(sandbox.posts), os.getloadavg()[0], flush=True)
    tasks = deployment.tasks(DAG_ID, run_id, "publish")
    titles: dict[str, list[str]] = {}
    for publish in sandbox.publishes:
        titles.setdefault(publish.creator.username, []).append(publish.title)
    return Run(
        seconds=deployment.last_end([t for t in tasks if t["end_date"]]) - began,
        began=began,
        tasks=tasks,
        requests=list(sandbox.requests),
        titles=titles,
        posted=Counter(post.title for post in sandbox.posts),
        load=os.getloadavg()[0],
    )


def connected(deployment: Deployment, prefix: str, **extras: object) -> list[str]:
    """Connect three accounts."""
    conn_ids = [f"{prefix}{number}" for number in range(1, ACCOUNTS + 1)]
    for conn_id in conn_ids:
        deployment.connect(conn_id, creator=conn_id, expires_in=1, **extras)
    return conn_ids


@pytest.fixture(scope="module")
def limited(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run at TikTok's limits."""
    queue = tmp_path_factory.mktemp("limited") / "queue.csv"
    titles = written(queue, connected(deployment, "limited", rate_window=MINUTE, cap_window=DAY))
    r = drained(deployment, queue, 330); show(r); return r, titles


def test_a_backlog_is_drained_in_order_at_tiktoks_pace(
    deployment: Deployment, limited, tmp_path: Path
) -> None:
    limited, titles = limited
    show(limited)


def show(run: Run) -> None:
    """Print."""
    t0 = run.began
    print()
    print("seconds", run.seconds, "first init", run.inits[0].time - t0, "load", run.load)
    print("inits", len(run.inits), "refused", run.refused, Counter(r.code for r in run.inits))
    print("all", Counter((r.endpoint, r.code) for r in run.requests))
    print("states", Counter(t["state"] for t in run.tasks), "retries", run.retries)
    print("posted", Counter(run.posted.values()), len(run.posted))
    by: dict[str, list[float]] = {}
    for r in run.inits:
        by.setdefault(r.token.split("#")[0], []).append(round(r.time - t0, 1))
    for k, v in by.items():
        print(k, v)
    for k, v in run.titles.items():
        print(k, v == sorted(v), [x[-2:] for x in v])
    ends = sorted(datetime.fromisoformat(t["end_date"]).timestamp() - t0 for t in run.tasks if t["end_date"])
    print("ends", [round(e) for e in ends])
