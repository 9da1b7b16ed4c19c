"""Ninety posts over three accounts, drained by the example DAG: what its test and its benchmark share."""

from __future__ import annotations

import csv
import os
import re
import time
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_tiktok.sandbox.publishes import Publish
from airflow_provider_tiktok.sandbox.world import RequestRecord
from tests.airflow_tasks import SAMPLE
from tests.heavy.deployment import Deployment

DAG_ID, DATES_DAG_ID = "tiktok_backfill_queue", "tiktok_backfill_dates"
ACCOUNTS, POSTS = 3, 30
MINUTE, DAY = 20.0, 90.0
INITS_A_MINUTE, POSTS_A_DAY = 6, 15
#: The least that the limits allow, from the first init to the last: the 16th comes a day after the first, and
#: the 30th in the third minute of that day.
LEAST = DAY * ((POSTS - 1) // POSTS_A_DAY) + MINUTE * (((POSTS - 1) % POSTS_A_DAY) // INITS_A_MINUTE)
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

    def displaced(self, creator: str) -> int:
        """Count the posts of an account that would have to be left out for the others to be in order."""
        ends: list[str] = []  # of the rows in order that were found, by their lengths
        titles = self.titles(creator)
        for title in titles:
            place = bisect_left(ends, title)
            ends[place : place + 1] = [title]
        return len(titles) - len(ends)

    def titles(self, creator: str) -> list[str]:
        """Give what was begun for an account, in order."""
        return [each.title for each in self.publishes if each.creator.username == creator]


#: What the deployment is made of.
OPTIONS: dict[str, Any] = {
    "claim_write_seconds": 8.0,
    "dags": SAMPLE.parents[1],
    "dag_ids": [DAG_ID, DATES_DAG_ID],
    "settings": {"AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO"},
    "minute": MINUTE,
    "day": DAY,
    "init_limit": INITS_A_MINUTE,
    "post_cap": POSTS_A_DAY,
    "processing_seconds": 1.5,
    "moderation_seconds": 0.5,
}


def connected(deployment: Deployment, prefix: str, count: int = ACCOUNTS, **extras: object) -> list[str]:
    """Connect accounts, as their users have just done: their tokens live for hours."""
    names = [f"{prefix}_{number}" for number in range(1, count + 1)]
    for name in names:
        deployment.connect(name, creator=name, **extras)
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
        time.sleep(0.25)  # what has come of it is told in any case
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


def warm_up(deployment: Deployment, folder: Path) -> None:
    """Have the triggerer run its first trigger, which costs it seconds of imports."""
    drain(deployment, folder, connected(deployment, "warm", 2), 1)


COLUMNS = (
    *("TikTok", "posted", "twice", "in order", "failed", "retries", "races", "inits", "refused"),
    *("s to 1st init", "s to the end", "load"),
)


def row(kind: str, run: Run, accounts: list[str]) -> list[str]:
    """Give a run's figures, as a table's row."""
    in_order = sum(not run.displaced(name) for name in accounts)
    failed = sum(task["state"] != "success" for task in run.tasks)
    figures = (len(run.posts), sum(count > 1 for count in run.posts.values()), in_order, failed)
    figures += (run.retries, run.races, len(run.inits), run.refused)
    return [kind, *map(str, figures), f"{run.first_init:.1f}", f"{run.seconds:.1f}", f"{run.load:.1f}"]
