"""``tiktok-sandbox demo``: a real Airflow publishes real videos and photos to the sandbox, in every way."""

from __future__ import annotations

import hashlib
import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

import airflow_provider_tiktok
from airflow_provider_tiktok.sandbox.bucket import NAME, DemoBucket
from airflow_provider_tiktok.sandbox.server import Sandbox
from airflow_provider_tiktok.sandbox.standalone import AirflowError, StandaloneAirflow

SAMPLE = "sample.mp4"
#: What is right already, and must arrive as it is.
UNTOUCHED_PHOTO = "photo_2.jpg"
MEDIA_CONN_ID = "tiktok_media"
RUN_SECONDS = 300.0


@dataclass(frozen=True)
class Way:
    """
    One way of publishing that the demo shows.

    :param dag_id: of the example DAG
    :param task: that publishes
    :param waiter: the task that waits for it
    :param files: how many files a post has
    :param is_draft: whether it ends in the creator's inbox
    :param rendered: the task that has told what the file is; empty = it is a sample
    """

    dag_id: str
    task: str
    waiter: str
    files: int = 1
    is_draft: bool = False
    rendered: str = ""


VIDEO, PHOTOS, RENDER = "tiktok_publish_video", "tiktok_publish_photos", "tiktok_render_then_publish"
WAYS = (
    Way(VIDEO, "upload", "wait_for_upload"),
    Way(VIDEO, "pull", "pull"),
    Way(VIDEO, "draft", "draft", is_draft=True),
    Way(PHOTOS, "carousel", "wait_for_carousel", files=3),
    Way(PHOTOS, "photo_draft", "photo_draft", files=3, is_draft=True),
    Way(RENDER, "publish_render", "publish_render", rendered="render"),
)
#: Characters a line, where nobody says how wide the output is.
WIDTH = 170
#: Of a post URL: a draft has none yet, TikTok documents none for photos, and tells a video's after a while.
_INSTEAD = {True: "(the creator posts it)", False: "(TikTok has told none)"}
_STYLES = {"success": "green", "failed": "bold red", "deferred": "magenta", "running": "yellow"}


@dataclass
class Row:
    """One publish, as the table shows it."""

    way: Way
    state: str = ""
    publish_id: str = ""
    status: str = ""
    seconds: float = 0.0
    post_url: str = ""
    is_there: bool = False


@click.command()
@click.option("--keep", is_flag=True, help="Leave sandbox and Airflow running until Ctrl-C.")
def demo(*, keep: bool) -> None:
    """Publish real videos and photos from a real Airflow to the sandbox: posted, pulled, and as drafts."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts background jobs with SIGINT ignored
        signal.signal(number, _as_ctrl_c)
    try:
        done = _demo(console, keep=keep)
    except KeyboardInterrupt:
        console.print("\nEnded.")
        sys.exit(130)
    sys.exit(0 if done else 1)


def _as_ctrl_c(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _demo(console: Console, *, keep: bool) -> bool:
    dags = _example_dags()
    with Sandbox(public_dir=str(dags / "media"), time_scale=4.0) as sandbox, DemoBucket() as bucket:
        account = sandbox.connection(sandbox.knobs.creators[0], **bucket.extras(MEDIA_CONN_ID))
        connections = {"TIKTOK_DEFAULT": account, MEDIA_CONN_ID.upper(): bucket.connection()}
        environment = {f"AIRFLOW_CONN_{name}": json.dumps(each) for name, each in connections.items()}
        with StandaloneAirflow(dags, environment) as airflow:
            try:
                rows = _publish(console, sandbox, airflow)
            except AirflowError as error:
                airflow.keep_home = True
                console.print(f"[red]{error}[/]\nThe last lines of {airflow.log}:")
                console.print(Text("\n".join(airflow.log.read_text(errors="replace").splitlines()[-30:])))
                return False
            console.print(_table(rows, final=True))
            left = bucket.keys()
            done = all(row.is_there for row in rows) and not left
            if done:
                console.print(
                    f"[green]All {len(rows)} are really there, byte for byte where nothing had to change; "
                    "nothing is left in the bucket.[/]"
                )
            else:
                airflow.keep_home = True
                console.print(
                    f"[red]Not everything is as it should be.[/] Left in the bucket: {left or 'nothing'}. "
                    f"Airflow's logs: {airflow.home / 'logs'}"
                )
            if keep:
                console.print(
                    f"\nTikTok's feed  {sandbox.url}/\nAirflow        {airflow.url}/\n\nCtrl-C ends both."
                )
                while True:
                    time.sleep(1.0)
            return done


def _publish(console: Console, sandbox: Sandbox, airflow: StandaloneAirflow) -> list[Row]:
    rows = [Row(way) for way in WAYS]
    began = time.monotonic()
    console.print(
        f"TikTok's feed: {sandbox.url}/   Starting a real Airflow: half a minute, or two on a cold machine."
    )
    dag_ids = list(dict.fromkeys(way.dag_id for way in WAYS))
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        for dag_id in dag_ids:
            for missing in airflow.wait_until_ready(dag_id):
                live.update(Text(f"Starting a real Airflow ({time.monotonic() - began:.0f} s): {missing}"))
    console.print(f"Airflow is ready after {time.monotonic() - began:.0f} s. Publishing.")
    runs = {dag_id: airflow.trigger(dag_id, _conf(dag_id)) for dag_id in dag_ids}
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        for over in _until_over(airflow, runs):
            before = [row.state for row in rows]
            _update(rows, airflow, runs)
            live.update(_table(rows))
            if not console.is_terminal and [row.state for row in rows] != before:
                console.print(", ".join(f"{row.way.task}: {row.state}" for row in rows))
            if over:
                break
    _check(rows, sandbox, airflow, runs)
    return rows


def _conf(dag_id: str) -> dict[str, Any]:
    """Give the params of a run; the pulled video lies nowhere but here, so that it is staged."""
    own = {VIDEO: {"video_url": str(_example_dags() / "media" / SAMPLE)}, RENDER: {"bucket": NAME}}
    return {"poll_interval": 5, **own.get(dag_id, {})}


def _until_over(airflow: StandaloneAirflow, runs: Mapping[str, str]) -> Iterator[bool]:
    until = time.monotonic() + RUN_SECONDS
    while time.monotonic() < until:
        states = [airflow.run_state(dag_id, run_id) for dag_id, run_id in runs.items()]
        yield all(state in ("success", "failed") for state in states)
        time.sleep(1.0)
    raise AirflowError(f"The runs were not over after {RUN_SECONDS:.0f} s")


def _update(rows: list[Row], airflow: StandaloneAirflow, runs: Mapping[str, str]) -> None:
    tasks = {
        (dag_id, task["task_id"]): task for dag_id in runs for task in airflow.tasks(dag_id, runs[dag_id])
    }
    for row in rows:
        way = row.way
        first, last = tasks[way.dag_id, way.task], tasks[way.dag_id, way.waiter]
        row.state = last["state"] or first["state"] or ""
        row.seconds = _seconds(first["start_date"], last["end_date"])
        if row.state == "success" and not row.status:
            key = "publish_status" if way.waiter == way.task else "return_value"
            result: dict[str, Any] = airflow.xcom(way.dag_id, runs[way.dag_id], way.waiter, key) or {}
            row.publish_id = str(result.get("publish_id") or "")
            row.status = str(result.get("status") or "")
            row.post_url = str(result.get("post_url") or "")


def _seconds(start: str | None, end: str | None) -> float:
    if not start:
        return 0.0
    began = datetime.fromisoformat(start)
    ended = datetime.fromisoformat(end) if end else datetime.now(began.tzinfo)
    return (ended - began).total_seconds()


def _check(rows: list[Row], sandbox: Sandbox, airflow: StandaloneAirflow, runs: Mapping[str, str]) -> None:
    """See that what Airflow says is posted is posted: the sandbox has it, with the very bytes."""
    posts = {post.publish_id: list(post.sha256) for post in sandbox.posts}
    drafts = {draft.publish_id: list(draft.sha256) for draft in sandbox.drafts}
    for row in rows:
        found = (drafts if row.way.is_draft else posts).get(row.publish_id, [])
        wanted = _wanted(row.way, airflow, runs)
        row.is_there = row.state == "success" and len(found) == row.way.files and wanted in (None, *found)


def _wanted(way: Way, airflow: StandaloneAirflow, runs: Mapping[str, str]) -> str | None:
    """Give the digest of a file that must have arrived as it was; None = all of them were to be changed."""
    if way.rendered:
        return str(airflow.xcom(way.dag_id, runs[way.dag_id], way.rendered, "sha256"))
    if way.files > 1 and way.is_draft:
        return None  # padded
    name = UNTOUCHED_PHOTO if way.files > 1 else SAMPLE
    return hashlib.sha256((_example_dags() / "media" / name).read_bytes()).hexdigest()


def _table(rows: list[Row], *, final: bool = False) -> Table:
    table = Table()
    for heading in ("task", "state", "publish_id", "status", "seconds", "post URL"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        state = row.state if row.is_there or not final or row.state != "success" else "not there"
        table.add_row(
            row.way.task,
            Text(state, style=_STYLES.get(state, "")),
            row.publish_id,
            row.status,
            f"{row.seconds:.1f}",
            row.post_url or (_INSTEAD[row.way.is_draft] if final and row.is_there else ""),
        )
    return table


def _example_dags() -> Path:
    """Find the example DAGs: beside the package in a checkout, inside it in a wheel."""
    package = Path(airflow_provider_tiktok.__file__).parent
    for folder in (package.parent / "example_dags", package / "example_dags"):
        if (folder / "media" / SAMPLE).is_file():
            return folder
    raise click.ClickException("the example DAGs are not installed")
