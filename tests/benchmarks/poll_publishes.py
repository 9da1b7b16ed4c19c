"""
What it costs a triggerer to wait for 1,000 publishes of 50 accounts, beside a plain trigger.

``python -m tests.benchmarks.poll_publishes`` has Airflow's own trigger runner wait, in a process of its own,
for publishes that stay pending at a local TikTok: first with the provider's trigger, then with one that makes
a client for each publish and asks every 30 seconds, then with one that only sleeps, for Airflow's own share.
It prints them, and the ratios of the first two. All triggers start at once, as after a restart of the
triggerer; the first minute is shown apart from the rest. ``--seconds`` is how long each runs (180).

The goals: no warning of a blocked loop, no 429, less than 30 KB a publish above the idle triggerer, less than
15 % of a core.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from airflow_provider_tiktok.api import endpoints
from airflow_provider_tiktok.api.client import Client, Policy
from airflow_provider_tiktok.api.models import FileUpload
from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.benchmarks.figures import Figure, shown
from tests.benchmarks.triggerer import Triggerer

ACCOUNTS, PUBLISHES = 50, 1000
STARTUP_SECONDS, IDLE_SECONDS = 60.0, 10.0
#: In these, Airflow makes a thousand triggers, and none of them asks for anything yet.
MAKING_SECONDS = 4.0
OURS = "airflow_provider_tiktok.triggers.tiktok.TikTokPublishStatusTrigger"
PLAIN = "tests.benchmarks.plain_trigger.PlainTrigger"
SLEEPING = "tests.benchmarks.plain_trigger.SleepingTrigger"


#: What is wanted of which of the figures below.
FIGURES = (
    ("CPU in the first minute", "startup_cpu", 100, "% of a core", 15.0),
    ("CPU after it", "cpu", 100, "% of a core", 15.0),
    ("memory a publish", "memory", 1, "KB", 30.0),
    ("warnings of a blocked loop", "blocked", 1, "", 1.0),
    ("questions answered 429", "refused", 1, "", 1.0),
)


@dataclass(frozen=True)
class Figures:
    """What one of them has cost."""

    idle_cpu: float
    startup_cpu: float
    cpu: float
    memory: float
    polls: int
    refused: int
    blocked: int
    blocked_later: int
    startup_lag: float
    lag: float
    rarest: float


class Token:
    """An access token, where a client wants to be given one."""

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self, refused: str = "") -> str:
        return self._token

    async def atoken(self, refused: str = "") -> str:
        return self._token


def prepared(tiktok: Sandbox) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Begin publishes whose bytes never come: the Connections' environment, the triggers' arguments."""
    environment, arguments = {}, []
    tiktok.knobs.limits = False
    for number in range(ACCOUNTS):
        conn_id = f"creator_{number:02d}"
        connection = tiktok.connection(conn_id)
        environment[f"AIRFLOW_CONN_{conn_id.upper()}"] = json.dumps(connection)
        client = Client(Policy(tiktok.url), Token(connection["extra"]["access_token"]))
        for _ in range(PUBLISHES // ACCOUNTS):
            init = client.call(endpoints.inbox_init(FileUpload(1_000_000, 1_000_000, 1)))
            arguments.append({"tiktok_conn_id": conn_id, "publish_id": init.publish_id})
        client.close()
    tiktok.knobs.limits = True
    arguments.sort(key=lambda each: each["publish_id"])  # the accounts take turns
    return environment, arguments


def measured(classpath: str, seconds: float) -> Figures:
    """Have the triggers of one class wait."""
    with tempfile.TemporaryDirectory() as folder, Sandbox() as tiktok:
        environment, arguments = prepared(tiktok)
        with Triggerer(Path(folder), environment) as triggerer:
            time.sleep(IDLE_SECONDS / 2)
            before, memory = triggerer.cpu, triggerer.memory
            time.sleep(IDLE_SECONDS)
            idle = (triggerer.cpu - before) / IDLE_SECONDS
            began, began_cpu, began_at = time.monotonic(), triggerer.cpu, time.time()
            triggerer.start(classpath, arguments)
            time.sleep(min(STARTUP_SECONDS, seconds / 2))
            started, started_cpu = time.monotonic(), triggerer.cpu
            time.sleep(seconds - min(STARTUP_SECONDS, seconds / 2))
            ended, ended_cpu, used = time.monotonic(), triggerer.cpu, triggerer.memory - memory
        polls = [each for each in tiktok.requests if each.endpoint == "status"]
        asked = {each["publish_id"]: 0 for each in arguments}
        for each in polls:
            if each.publish_id:  # TikTok does not read what it refuses with 429
                asked[each.publish_id] += 1
        return Figures(
            idle_cpu=idle,
            startup_cpu=(started_cpu - began_cpu) / (started - began),
            cpu=(ended_cpu - started_cpu) / (ended - started),
            memory=used / len(arguments) / 1024,
            polls=len(polls),
            refused=sum(each.status == 429 for each in polls),
            blocked=triggerer.blocked(began_at),
            blocked_later=triggerer.blocked(began_at + MAKING_SECONDS),
            startup_lag=triggerer.longest_lag(began, started),
            lag=triggerer.longest_lag(started, ended),
            rarest=min(asked.values()),
        )


def table(ours: Figures, plain: Figures, sleeping: Figures, seconds: float) -> Table:
    """Give the figures side by side."""
    rows = (
        ("CPU of the idle triggerer (% of a core)", "idle_cpu", 100, ".1f"),
        ("CPU in the first minute (%)", "startup_cpu", 100, ".1f"),
        ("CPU after it (%)", "cpu", 100, ".1f"),
        ("memory above the idle triggerer (KB a publish)", "memory", 1, ".1f"),
        ("longest lag of the loop in the first minute (ms)", "startup_lag", 1000, ".0f"),
        ("longest lag after it (ms)", "lag", 1000, ".0f"),
        ("warnings of a blocked loop", "blocked", 1, ".0f"),
        ("of them when Airflow had made the triggers", "blocked_later", 1, ".0f"),
        ("questions", "polls", 1, ".0f"),
        ("of them answered 429", "refused", 1, ".0f"),
        ("questions about the publish that was asked for least", "rarest", 1, ".0f"),
    )
    shown = Table(title=f"{PUBLISHES} pending publishes of {ACCOUNTS} accounts, {seconds:.0f} s each")
    for heading in ("", "ours", "plain", "ours / plain", "sleeping"):
        shown.add_column(heading, justify="right" if heading else "left")
    for what, name, factor, form in rows:
        mine, other, least = (getattr(each, name) for each in (ours, plain, sleeping))
        ratio = f"{mine / other:.2f}" if other else "-"
        figures = [format(each * factor, form) for each in (mine, other, least)]
        shown.add_row(what, *figures[:2], ratio, figures[2])
    return shown


def figures(seconds: float = 180.0) -> Iterator[Figure]:
    """Measure, and give each figure with its baseline."""
    ours, plain, sleeping = (measured(each, seconds) for each in (OURS, PLAIN, SLEEPING))
    Console(width=120).print(table(ours, plain, sleeping, seconds))
    what = f"wait for {PUBLISHES} publishes, beside a plain trigger"
    for name, field, factor, unit, goal in FIGURES:
        mine, other = (getattr(each, field) * factor for each in (ours, plain))
        yield Figure(f"{what}: {name}", mine, other, unit, below=goal)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0)
    shown(figures(parser.parse_args().seconds))


if __name__ == "__main__":
    main()
