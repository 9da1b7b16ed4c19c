"""
Ninety posts over three accounts: the example DAG drains them at TikTok's pace, in order, each once.

Against a sandbox whose minute is 20 s and whose day is 90 s, and then, to see what Airflow itself takes,
against one without limits.
"""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_tiktok.sandbox.publishes import Publish
from airflow_provider_tiktok.sandbox.world import RequestRecord
from tests.airflow_tasks import SAMPLE
from tests.heavy import report
from tests.heavy.deployment import Deployment

pytestmark = [pytest.mark.integration, pytest.mark.heavy]

DAG_ID, DATES_DAG_ID = "tiktok_backfill_queue", "tiktok_backfill_dates"
ACCOUNTS, POSTS = 3, 30
MINUTE, DAY = 20.0, 90.0
INITS_A_MINUTE, POSTS_A_DAY = 6, 15
#: The least that the limits allow, from the first init to the last: the 16th comes a day after the first, and
#: the 30th in the third minute of that day.
LEAST = DAY * ((POSTS - 1) // POSTS_A_DAY) + MINUTE * (((POSTS - 1) % POSTS_A_DAY) // INITS_A_MINUTE)
WITHIN = 1.25
#: For one run, on a machine that has other things to do.
PATIENCE_SECONDS = 600.0
#: For a Connection to a TikTok without limits: nobody waits for a minute or a day to pass.
AT_ONCE = {"rate_window": 0.1, "cap_window": 0.1}
HEADINGS = ("id", "tiktok_conn_id", "video", "title", "privacy_level", "post_mode", "not_before")
#: What Airflow's scheduler logs where it has failed a deferred task whose first process it had not seen end.
RACE = re.compile(r"reported that the task instance <TaskInstance: (.+? map_index=\d+)")


@dataclass(frozen=True)
class Run:
    """
    What one run of the DAG has done.

    :param began: when it was started
    :param seconds: to its end
    :param tasks: that publish
    :param races: how many of them Airflow has failed while their second process ran
    :param load: of the machine, at the end, over the last minute
    """

    began: float
    seconds: float
    state: str
    tasks: list[dict[str, Any]]
    requests: list[RequestRecord]
    publishes: list[Publish]
    posts: Counter[str]
    races: int
    load: float

    @property
    def inits(self) -> list[RequestRecord]:
        return [each for each in self.requests if each.endpoint == "video_init"]

    @property
    def refused(self) -> int:
        """Inits that TikTok has answered with 429 or with a cap."""
        return sum(each.code != "ok" for each in self.inits)

    @property
    def retries(self) -> int:
        return sum(task["try_number"] - 1 for task in self.tasks)

    @property
    def first_init(self) -> float:
        """Seconds from the start to the first init."""
        return self.inits[0].time - self.began

    def titles(self, creator: str) -> list[str]:
        """Give what was begun for an account, in order."""
        return [each.title for each in self.publishes if each.creator.username == creator]


@pytest.fixture(scope="module")
def deployment(deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(
        claim_write_seconds=8.0,
        dags=SAMPLE.parents[1],
        dag_ids=[DAG_ID, DATES_DAG_ID],
        settings={"AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO", "AIRFLOW__CORE__PARALLELISM": "10"},
        minute=MINUTE,
        day=DAY,
        init_limit=INITS_A_MINUTE,
        post_cap=POSTS_A_DAY,
        processing_seconds=1.5,
        moderation_seconds=0.5,
    ) as running:
        # the first trigger of a triggerer's life costs it seconds of imports
        drain(running, tmp_path_factory.mktemp("warm"), connected(running, "warm", 2), 1)
        yield running


def connected(deployment: Deployment, prefix: str, count: int = ACCOUNTS, **extras: object) -> list[str]:
    """Connect accounts whose grant, as in daily life, has been renewed before."""
    names = [f"{prefix}_{number}" for number in range(1, count + 1)]
    for name in names:
        deployment.connect(name, creator=name, expires_in=1, **extras)
    return names


def expected(name: str, posts: int = POSTS) -> list[str]:
    """Give an account's titles, in order."""
    return [f"{name} {number:02d}" for number in range(posts)]


def drain(deployment: Deployment, folder: Path, names: list[str], posts: int = POSTS) -> Run:
    """Have the DAG drain a queue in which the accounts take turns."""
    queue = folder / "queue.csv"
    with queue.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADINGS)
        for turn in zip(*(expected(name, posts) for name in names), strict=True):
            for name, title in zip(names, turn, strict=True):
                writer.writerow([title.replace(" ", "-"), name, SAMPLE, title, "PUBLIC_TO_EVERYONE", "", ""])
    sandbox = deployment.sandbox
    sandbox.reset()
    began = time.time()
    run_id = deployment.persist(
        lambda: deployment.airflow.trigger(DAG_ID, {"queue": str(queue), "poll_interval": 5})
    )
    end = time.monotonic() + PATIENCE_SECONDS
    while not deployment.run_is_over(DAG_ID, run_id) and time.monotonic() < end:
        time.sleep(1.0)  # what has come of it is told in any case
    load = os.getloadavg()[0]
    tasks = deployment.tasks(DAG_ID, run_id, "publish")
    return Run(
        began=began,
        seconds=time.time() - began,
        state=deployment.airflow.run_state(DAG_ID, run_id),
        tasks=tasks,
        requests=list(sandbox.requests),
        publishes=list(sandbox.publishes),
        posts=Counter(post.title for post in sandbox.posts),
        races=len({each for each in RACE.findall(deployment.airflow.log.read_text()) if run_id in each}),
        load=load,
    )


def test_a_backlog_is_drained_in_order_at_tiktoks_pace(deployment: Deployment, tmp_path: Path) -> None:
    names, free = connected(deployment, "limited"), connected(deployment, "free", **AT_ONCE)
    table = report.table(
        f"{ACCOUNTS} accounts with {POSTS} posts each, drained by {DAG_ID}; {INITS_A_MINUTE} inits in "
        f"{MINUTE:.0f} s and {POSTS_A_DAY} posts in {DAY:.0f} s take {LEAST:.0f} s at least",
        *("TikTok", "posted", "twice", "in order", "failed", "retries", "races", "inits", "refused"),
        *("s to 1st init", "s to the end", "load"),
    )

    def told(run: Run, kind: str, accounts: list[str]) -> Run:
        in_order = sum(run.titles(name) == sorted(run.titles(name)) for name in accounts)
        failed = sum(task["state"] != "success" for task in run.tasks)
        figures = (len(run.posts), sum(count > 1 for count in run.posts.values()), in_order, failed)
        figures += (run.retries, run.races, len(run.inits), run.refused)
        table.add_row(
            kind, *map(str, figures), f"{run.first_init:.1f}", f"{run.seconds:.1f}", f"{run.load:.1f}"
        )
        return run

    (tmp_path / "limited").mkdir()
    limited = told(drain(deployment, tmp_path / "limited", names), "with limits", names)
    deployment.sandbox.knobs.limits = False
    (tmp_path / "free").mkdir()
    unlimited = told(drain(deployment, tmp_path / "free", free), "without", free)

    for run, accounts in ((limited, names), (unlimited, free)):
        assert run.state == "success"
        assert dict(run.posts) == dict.fromkeys((title for name in accounts for title in expected(name)), 1)
        assert all(run.titles(name) == expected(name) for name in accounts)
        assert run.retries <= run.races, "no retry but where Airflow has started a task twice"
    assert limited.refused < 0.05 * len(limited.inits)
    assert limited.seconds <= WITHIN * max(LEAST, unlimited.seconds), "from the start of the run on"
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
