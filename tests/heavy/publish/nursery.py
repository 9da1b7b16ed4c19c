"""
A program from which processes that publish are forked, each within milliseconds, as many as are asked for.

``python -m tests.heavy.publish.nursery`` takes an order a line on its standard input, and tells on its
standard output what becomes of each process: begun, stopped, ended. It has one thread, so that what it forks
inherits no lock that nobody holds any more.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

LOOK_SECONDS = 0.01


def prepare() -> None:
    """Import all that a publish needs, and make the tables of Airflow's database."""
    import av  # noqa: F401
    import boto3  # noqa: F401
    import httpx
    from airflow import settings
    from airflow.models.base import Base
    from airflow.models.team import Team  # noqa: F401 - Variables refer to its table
    from airflow.models.variable import Variable
    from airflow.sdk.execution_time import supervisor  # noqa: F401

    from airflow_provider_tiktok.hooks import tiktok  # noqa: F401
    from airflow_provider_tiktok.operators import tiktok as operators  # noqa: F401
    from airflow_provider_tiktok.publishing import photos, video  # noqa: F401
    from tests import airflow_tasks  # noqa: F401
    from tests.heavy.publish import claims, strikes  # noqa: F401

    claims.use(claims.FORKED)
    tables = [table for name, table in Base.metadata.tables.items() if name in ("team", "variable")]
    Base.metadata.create_all(settings.engine, tables=tables)
    Variable.set("warm", "what the first access has to load takes half a second")
    Variable.get("warm")
    settings.engine.dispose()  # a connection must not be used by two processes
    context = httpx.create_ssl_context()  # takes 50 ms and more, for each client
    httpx._transports.default.create_ssl_context = lambda **_: context  # type: ignore[attr-defined]


def publish(order: dict[str, Any]) -> None:
    """Do what one process is asked for: one try of one task instance."""
    from airflow_provider_tiktok.operators.tiktok import (
        TikTokPublishPhotosOperator,
        TikTokPublishVideoOperator,
    )
    from tests.airflow_tasks import FakeTi, let_go, run
    from tests.heavy.publish.strikes import Journal, Struck, from_dict

    os.environ[f"AIRFLOW_CONN_{order['conn_id'].upper()}"] = json.dumps(order["connection"])
    classes = {"video": TikTokPublishVideoOperator, "photos": TikTokPublishPhotosOperator}
    task = classes[order["operator"]](
        task_id="publish",
        tiktok_conn_id=order["conn_id"],
        wait_for_completion=True,
        poll_interval=1.0,
        **order["given"],
    )
    ti = FakeTi()
    ti.dag_id, ti.run_id, ti.task_id = "side_by_side", order["conn_id"], "publish"
    ti.try_number, ti.max_tries = order["try"], 9
    ti.map_index = 1 if order["of_backlog"] else -1
    begin = let_go if order["of_backlog"] and order["try"] == 1 else run
    time.sleep(max(0.0, order["begin_at"] - time.time()))
    struck = Struck(Journal(Path(order["journal"])), from_dict(order["strike"]), order["process"])
    struck.do(lambda: begin(task, ti))


def child(order: dict[str, Any]) -> None:
    """Be the process."""
    log = os.open(f"{order['journal']}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(0)
    try:
        publish(order)
        status = 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def tell(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def look(children: dict[int, int]) -> None:
    """Tell of every process that has stopped or ended."""
    for pid, number in list(children.items()):
        found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
        if found and os.WIFSTOPPED(status):
            tell(number=number, event="stopped")
        elif found:
            del children[pid]
            tell(number=number, event="ended", code=os.waitstatus_to_exitcode(status))


def main() -> None:
    prepare()
    tell(number=0, event="ready")
    children: dict[int, int] = {}
    unread = b""
    while True:
        if select.select([0], [], [], LOOK_SECONDS)[0]:
            read = os.read(0, 1 << 16)
            if not read:
                break
            *lines, unread = (unread + read).split(b"\n")
            for line in lines:
                order = json.loads(line)
                pid = os.fork()
                if not pid:
                    child(order)
                children[pid] = order["number"]
                tell(number=order["number"], event="begun", pid=pid)
        look(children)
    for pid in children:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
