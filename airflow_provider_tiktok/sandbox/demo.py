"""``tiktok-sandbox demo``: a real Airflow publishes a real video to the sandbox, three ways."""

from __future__ import annotations

import hashlib
import json
import signal
import sys
import time
from collections.abc import Iterator
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
from airflow_provider_tiktok.sandbox.server import Sandbox
from airflow_provider_tiktok.sandbox.standalone import AirflowError, StandaloneAirflow

DAG_ID = "tiktok_publish_video"
SAMPLE = "sample.mp4"
#: Task -> the task that waits for it, and whether it leaves a draft.
PUBLISHES = {"upload": ("wait_for_upload", False), "pull": ("pull", False), "draft": ("draft", True)}
RUN_SECONDS = 180.0
#: Characters a line, where nobody says how wide the output is.
WIDTH = 170
_STYLES = {"success": "green", "failed": "bold red", "deferred": "magenta", "running": "yellow"}


@dataclass
class Row:
    """One publish, as the table shows it."""

    task: str
    state: str = ""
    publish_id: str = ""
    status: str = ""
    seconds: float = 0.0
    post_url: str = ""
    is_there: bool = False


@click.command()
@click.option("--keep", is_flag=True, help="Leave sandbox and Airflow running until Ctrl-C.")
def demo(*, keep: bool) -> None:
    """Publish a real video from a real Airflow to the sandbox: uploaded, pulled, and as a draft."""
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
    with Sandbox(public_dir=str(dags / "media"), time_scale=4.0) as sandbox:
        connection = json.dumps(sandbox.connection(sandbox.knobs.creators[0]))
        with StandaloneAirflow(dags, {"AIRFLOW_CONN_TIKTOK_DEFAULT": connection}) as airflow:
            try:
                rows = _publish(console, sandbox, airflow)
            except AirflowError as error:
                airflow.keep_home = True
                console.print(f"[red]{error}[/]\nThe last lines of {airflow.log}:")
                console.print(Text("\n".join(airflow.log.read_text(errors="replace").splitlines()[-30:])))
                return False
            console.print(_table(rows, final=True))
            done = all(row.is_there for row in rows)
            if done:
                console.print(f"[green]All {len(rows)} are really there, byte for byte.[/]")
            else:
                airflow.keep_home = True
                console.print(f"[red]Not everything is there.[/] Airflow's logs: {airflow.home / 'logs'}")
            if keep:
                console.print(
                    f"\nTikTok's feed  {sandbox.url}/\nAirflow        {airflow.url}/\n\nCtrl-C ends both."
                )
                while True:
                    time.sleep(1.0)
            return done


def _publish(console: Console, sandbox: Sandbox, airflow: StandaloneAirflow) -> list[Row]:
    rows = [Row(task) for task in PUBLISHES]
    began = time.monotonic()
    console.print(
        f"TikTok's feed: {sandbox.url}/   Starting a real Airflow: half a minute, or two on a cold machine."
    )
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        for missing in airflow.wait_until_ready(DAG_ID):
            live.update(Text(f"Starting a real Airflow ({time.monotonic() - began:.0f} s): {missing}"))
    console.print(f"Airflow is ready after {time.monotonic() - began:.0f} s. Publishing.")
    conf = {"video_url": f"{sandbox.url}/public/{SAMPLE}", "poll_interval": 5}
    run_id = airflow.trigger(DAG_ID, conf)
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        for state in _states(airflow, run_id):
            before = [row.state for row in rows]
            _update(rows, airflow, run_id)
            live.update(_table(rows))
            if not console.is_terminal and [row.state for row in rows] != before:
                console.print(", ".join(f"{row.task}: {row.state}" for row in rows))
            if state in ("success", "failed"):
                break
    _check(rows, sandbox)
    return rows


def _states(airflow: StandaloneAirflow, run_id: str) -> Iterator[str]:
    until = time.monotonic() + RUN_SECONDS
    while time.monotonic() < until:
        yield airflow.run_state(DAG_ID, run_id)
        time.sleep(1.0)
    raise AirflowError(f"The run was not over after {RUN_SECONDS:.0f} s")


def _update(rows: list[Row], airflow: StandaloneAirflow, run_id: str) -> None:
    tasks = {task["task_id"]: task for task in airflow.tasks(DAG_ID, run_id)}
    for row in rows:
        waiter = PUBLISHES[row.task][0]
        first, last = tasks[row.task], tasks[waiter]
        row.state = (last["state"] or first["state"] or "") if waiter != row.task else first["state"] or ""
        row.seconds = _seconds(first["start_date"], last["end_date"])
        if row.state == "success" and not row.status:
            key = "return_value" if waiter != row.task else "publish_status"
            result: dict[str, Any] = airflow.xcom(DAG_ID, run_id, waiter, key) or {}
            row.publish_id = str(result.get("publish_id") or "")
            row.status = str(result.get("status") or "")
            row.post_url = str(result.get("post_url") or "")


def _seconds(start: str | None, end: str | None) -> float:
    if not start:
        return 0.0
    began = datetime.fromisoformat(start)
    ended = datetime.fromisoformat(end) if end else datetime.now(began.tzinfo)
    return (ended - began).total_seconds()


def _check(rows: list[Row], sandbox: Sandbox) -> None:
    """See that what Airflow says is posted is posted: the sandbox has it, with the very bytes."""
    wanted = hashlib.sha256((_example_dags() / "media" / SAMPLE).read_bytes()).hexdigest()
    posts = {post.publish_id: list(post.sha256) for post in sandbox.posts}
    drafts = {draft.publish_id: draft.sha256 for draft in sandbox.drafts}
    for row in rows:
        there = drafts if PUBLISHES[row.task][1] else posts
        row.is_there = row.state == "success" and there.get(row.publish_id) == [wanted]


def _table(rows: list[Row], *, final: bool = False) -> Table:
    table = Table()
    for heading in ("task", "state", "publish_id", "status", "seconds", "post URL"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        state = row.state if row.is_there or not final or row.state != "success" else "not there"
        table.add_row(
            row.task,
            Text(state, style=_STYLES.get(state, "")),
            row.publish_id,
            row.status,
            f"{row.seconds:.1f}",
            row.post_url or ("(the creator posts it)" if final and PUBLISHES[row.task][1] else ""),
        )
    return table


def _example_dags() -> Path:
    """Find the example DAGs: beside the package in a checkout, inside it in a wheel."""
    package = Path(airflow_provider_tiktok.__file__).parent
    for folder in (package.parent / "example_dags", package / "example_dags"):
        if (folder / "media" / SAMPLE).is_file():
            return folder
    raise click.ClickException("the example DAGs are not installed")
