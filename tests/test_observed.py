"""What a real Airflow shows of posts: buttons, a DAG that starts when one is live, and metrics."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_tiktok.links.tiktok import INBOX_HELP
from airflow_provider_tiktok.sandbox.server import Sandbox
from airflow_provider_tiktok.sandbox.standalone import StandaloneAirflow
from tests.statsd import Statsd

pytest.importorskip("statsd")
pytestmark = pytest.mark.integration

EXAMPLES = Path(__file__).parents[1] / "example_dags"
DAG_ID, NEXT = "tiktok_when_live", "tiktok_when_live_next"
RUN_SECONDS = 240.0
#: Due after half of its life, a token is refreshed while the triggerer waits for the post, at least twice.
TOKEN_SECONDS, PROCESSING_SECONDS = 70.0, 80.0


@dataclass
class Seen:
    """What was seen of the runs; ``refreshed`` are the numbers of refreshes while all tasks were deferred."""

    links: dict[str, dict[str, str | None]] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    announced: list[dict[str, Any]] = field(default_factory=list)
    refreshed: set[int] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)
    milliseconds: dict[str, list[float]] = field(default_factory=dict)


def draft_dag(path: Path) -> None:
    """The same DAG, but for a draft and without an asset."""
    text = (EXAMPLES / f"{DAG_ID}.py").read_text()
    text = text.partition('\nwith DAG(\n    dag_id="tiktok_when_live_next"')[0]
    for old, new in (
        ('dag_id="tiktok_when_live"', 'dag_id="draft"'),
        ('        privacy_level="{{ params.privacy_level }}",\n', ""),
        ('        title="Announced by the next DAG #airflow",\n', '        post_mode="MEDIA_UPLOAD",\n'),
        ("        outlets=[POSTS],\n", ""),
    ):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def ended(airflow: StandaloneAirflow, runs: dict[str, tuple[str, str]], look: Callable[[], None]) -> None:
    until = time.monotonic() + RUN_SECONDS
    while time.monotonic() < until:
        states = {name: airflow.run_state(*run) for name, run in runs.items()}
        look()
        if set(states.values()) <= {"success", "failed"}:
            break
        time.sleep(1.0)
    assert set(states.values()) == {"success"}, states


def links_of(airflow: StandaloneAirflow, dag_id: str, run_id: str) -> dict[str, str | None]:
    answer = airflow.ask("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/publish/links")
    return dict(answer["extra_links"])


def announced(airflow: StandaloneAirflow, wanted: int) -> list[dict[str, Any]]:
    """What the runs give that the asset's events have started; several events may share a run."""
    until = time.monotonic() + RUN_SECONDS
    found: list[dict[str, Any]] = []
    while len(found) < wanted and time.monotonic() < until:
        runs = airflow.ask("GET", f"/api/v2/dags/{NEXT}/dagRuns")["dag_runs"]
        values = [airflow.xcom(NEXT, run["dag_run_id"], "announce", "return_value") for run in runs]
        found = [each for value in values if value for each in value]
        time.sleep(1.0)
    return found


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    dags = tmp_path_factory.mktemp("dags")
    shutil.copy(EXAMPLES / f"{DAG_ID}.py", dags)
    shutil.copytree(EXAMPLES / "media", dags / "media")
    draft_dag(dags / "draft.py")
    statsd, found = Statsd(), Seen()
    seconds = {"access_token_seconds": TOKEN_SECONDS, "processing_seconds": PROCESSING_SECONDS}
    with Sandbox(**seconds, moderation_seconds=0.0) as tiktok:
        environment = {
            "AIRFLOW_CONN_TIKTOK_DEFAULT": json.dumps(tiktok.connection("alice")),
            "AIRFLOW__TIKTOK__CLAIM_WRITE_SECONDS": "0.5",
            **statsd.environment,
        }
        with StandaloneAirflow(dags, environment) as airflow:
            for dag_id in (DAG_ID, NEXT, "draft"):
                list(airflow.wait_until_ready(dag_id))
            conf = {"poll_interval": 5}
            runs = {
                "public": (DAG_ID, airflow.trigger(DAG_ID, conf)),
                "private": (DAG_ID, airflow.trigger(DAG_ID, {**conf, "privacy_level": "SELF_ONLY"})),
                "draft": ("draft", airflow.trigger("draft", conf)),
            }

            def look() -> None:
                tasks = [task["state"] for run in runs.values() for task in airflow.tasks(*run)]
                if set(tasks) == {"deferred"}:
                    found.refreshed.add(statsd.counts().get("tiktok.refreshes.done", 0))

            ended(airflow, runs, look)
            found.links = {name: links_of(airflow, *run) for name, run in runs.items()}
            found.results = {
                name: airflow.xcom(*run, "publish", "publish_status") for name, run in runs.items()
            }
            found.announced = announced(airflow, wanted=2)
    found.counts, found.milliseconds = statsd.counts(), statsd.milliseconds()
    statsd.close()
    return found


def test_a_public_posts_page_leads_to_it(seen: Seen) -> None:
    url = seen.results["public"]["post_url"]
    assert url.startswith("https://www.tiktok.com/@alice/video/")
    assert seen.links["public"] == {"TikTok post": url, "TikTok inbox": None}


def test_a_private_posts_page_leads_to_the_profile(seen: Seen) -> None:
    assert seen.results["private"]["post_url"] is None
    assert seen.links["private"] == {"TikTok post": "https://www.tiktok.com/@alice", "TikTok inbox": None}


def test_a_drafts_page_leads_to_the_inbox(seen: Seen) -> None:
    assert seen.links["draft"] == {"TikTok post": None, "TikTok inbox": INBOX_HELP}


def test_what_is_live_starts_the_next_dag_which_reads_what_it_is(seen: Seen) -> None:
    told = {each["publish_id"]: each for each in seen.announced}
    assert told == {each["publish_id"]: each for name, each in seen.results.items() if name != "draft"}


def test_tasks_send_metrics(seen: Seen) -> None:
    assert (seen.counts["tiktok.posts.complete"], seen.counts["tiktok.posts.inbox"]) == (2, 1)
    size = (EXAMPLES / "media" / "sample.mp4").stat().st_size
    assert seen.counts["tiktok.uploaded_bytes"] == 3 * size
    waits = seen.milliseconds["tiktok.waited.processing"]
    assert len(waits) == 3
    assert all(5_000 < each < RUN_SECONDS * 1000 for each in waits)
    assert not any(name.startswith("tiktok.posts.failed") for name in seen.counts)


def test_the_triggerer_sends_metrics(seen: Seen) -> None:
    """It refreshes while all tasks are deferred, when no process of a task is there to tell of it."""
    assert len(seen.refreshed) > 1, seen.refreshed
