"""
Drain a queue of posts over several accounts, in order, at the pace that TikTok allows.

The queue is a CSV file wherever Airflow's ``ObjectStoragePath`` reads and writes (a local path, ``s3://``),
one row a post, the first to be posted on top::

    id,tiktok_conn_id,video,title,privacy_level,post_mode,not_before
    a1,tiktok_alice,s3://renders/a1.mp4,The first #data,PUBLIC_TO_EVERYONE,,2026-12-01T09:00:00+00:00
    b1,tiktok_bob,s3://renders/b1.mp4,,,MEDIA_UPLOAD,

``id`` tells a row from all others, for ever; an empty ``post_mode`` posts directly, ``MEDIA_UPLOAD`` leaves a
draft; ``not_before`` may be empty. Rows may be added at any time, and removed once they are posted.

What became of a row is kept beside the queue, in ``<queue>.state/<id>.json``, by the task that posts it. A
row that was begun belongs to its task: a later run leaves it alone, and says so. It is tried again by later
runs only when its task has failed and surely nothing was posted; in all other cases, clear that task.

Each run takes the rows that are due. Where ``spacing_minutes`` is set, it takes one row an account, if that
account's latest is as old as that: give this DAG a schedule then, such as every 15 minutes.
"""

from __future__ import annotations

import csv
import io
import json
import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, AirflowSkipException, ObjectStoragePath, Param, task

from airflow_provider_tiktok.operators.tiktok import TikTokPublishVideoOperator

log = logging.getLogger(__name__)

#: What a row may give the operator; an empty cell leaves it to the operator's default.
COLUMNS = ("tiktok_conn_id", "video", "title", "privacy_level", "post_mode")
#: States of a row of which a later run takes no further notice; "begun" needs its own task.
OVER = ("posted", "stale")


class States:
    """
    What became of each row: a small file a row, so that tasks side by side do not disturb each other.

    :param queue: the queue's URI
    """

    def __init__(self, queue: str) -> None:
        self._folder = ObjectStoragePath(f"{queue}.state")

    def all(self) -> dict[str, dict[str, Any]]:
        """Give the state of every row that has one."""
        names = [each.name for each in self._folder.iterdir()] if self._folder.exists() else []
        return {name[:-5]: self.get(name[:-5]) for name in names if name.endswith(".json")}

    def get(self, row: str) -> dict[str, Any]:
        """Give a row's state; empty = nobody has begun with it."""
        path = self._folder / f"{row}.json"
        if not path.exists():
            return {}
        try:
            return dict(json.loads(path.read_text()))
        except ValueError:  # its writer was killed: who knows what it has done
            return {"state": "begun", "by": "a task that was killed"}

    def put(self, row: str, state: str, **more: Any) -> None:
        """Keep a row's state."""
        self._folder.mkdir(parents=True, exist_ok=True)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        (self._folder / f"{row}.json").write_text(json.dumps({"state": state, "at": at, **more}))


class QueuedVideoOperator(TikTokPublishVideoOperator):
    """
    Publish one row of the queue, and keep its state.

    :param row: its id
    :param queue_uri: of the queue
    """

    template_fields = (*TikTokPublishVideoOperator.template_fields, "row", "queue_uri")

    def __init__(self, *, row: str, queue_uri: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.row = row
        self.queue_uri = queue_uri

    def pre_execute(self, context: Any) -> None:
        """Take the row before anything is sent; each time the task goes on, see that it still has it."""
        state, me = States(self.queue_uri).get(self.row), whose(context)
        if state.get("state") in ("begun", *OVER) and state.get("by") != me:
            raise AirflowSkipException(f"Row {self.row} is {state['state']} by {state.get('by')}.")
        if not state or state["state"] == "failed":
            States(self.queue_uri).put(self.row, "begun", by=me, account=self.tiktok_conn_id)

    def post_execute(self, context: Any, result: Any = None) -> None:
        """Note that it is posted; where that cannot be written, a retry does, and posts nothing again."""
        more = {"by": whose(context), "account": self.tiktok_conn_id, "publish_id": result}
        States(self.queue_uri).put(self.row, "posted", **more)


def whose(context: Any) -> str:
    """Name a task instance: it alone has the record of what it has begun."""
    ti = context["ti"]
    return f"{ti.run_id} {ti.task_id}[{ti.map_index}]"


def give_back(context: Any) -> None:
    """Let later runs try a row again whose task has failed, if surely nothing was posted."""
    from airflow_provider_tiktok.publishing.outcome import may_have_posted

    operator, states, me = context["task"], States(context["task"].queue_uri), whose(context)
    state = states.get(operator.row)
    if state.get("state") == "begun" and state.get("by") == me and not may_have_posted(context):
        error = str(context.get("exception", ""))[:500]
        states.put(operator.row, "failed", by=me, account=operator.tiktok_conn_id, error=error)


def read_rows(queue: str) -> list[dict[str, str]]:
    """Read the queue."""
    rows = list(csv.DictReader(io.StringIO(ObjectStoragePath(queue).read_text())))
    counts = Counter(row["id"] for row in rows)
    if repeated := [row for row, count in counts.items() if count > 1 or not row]:
        raise ValueError(f"These ids are empty, or stand in more than one row: {', '.join(repeated)}.")
    return rows


def due_rows(rows: list[dict[str, str]], states: States, params: dict[str, Any]) -> list[dict[str, str]]:
    """Give the rows that are to be posted now, in order; those that are too old are skipped for good."""
    now, known = datetime.now(UTC), states.all()
    spacing = timedelta(minutes=params["spacing_minutes"])
    stale_after = timedelta(hours=params["stale_after_hours"])
    most = Counter({row["tiktok_conn_id"]: 1 if spacing else params["most"] for row in rows})
    for state in known.values():
        if spacing and state["state"] in ("begun", "posted") and moment(state["at"]) + spacing > now:
            most[state.get("account", "")] = 0
    taken = []
    for row in rows:
        state, due = known.get(row["id"], {}), moment(row.get("not_before"))
        if state.get("state") == "begun":
            log.warning("Row %s is left alone: it was begun by %s.", row["id"], state.get("by"))
        if state.get("state") in ("begun", *OVER) or due > now:
            continue
        if row.get("not_before") and stale_after and due + stale_after < now:
            states.put(row["id"], "stale")
            log.warning("Row %s is skipped: it should have been posted at %s.", row["id"], due)
        elif most[row["tiktok_conn_id"]] > 0:
            most[row["tiktok_conn_id"]] -= 1
            taken.append(row)
    log.info("%d of %d rows are taken.", len(taken), len(rows))
    return taken


def moment(text: str | None) -> datetime:
    """Read an ISO date and time; one without a zone is UTC, and an empty one lies long ago."""
    found = datetime.fromisoformat(text or "2000-01-01")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


with DAG(
    dag_id="tiktok_backfill_queue",
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it for UTC
    catchup=False,
    max_active_runs=1,  # two readers would take the same rows
    # as many as run at once: whom the queue lets go would stand behind all that have not yet begun, otherwise
    max_active_tasks=10,
    tags=["tiktok", "example"],
    doc_md=__doc__,
    params={
        "queue": Param("s3://my-media/queue.csv", type="string", description="Path or URI of the CSV file."),
        "most": Param(100, type="integer", description="Rows that one run takes of each account at most."),
        "spacing_minutes": Param(0, type="number", description="Between two posts of an account; 0 = none."),
        "stale_after_hours": Param(
            0, type="number", description="After not_before a row is skipped so much later; 0 = never."
        ),
        "poll_interval": Param(30, type="number", description="Longest pause between two looks, in seconds."),
    },
) as dag:
    # [START queue]
    @task(retries=3)
    def take(params: dict[str, Any]) -> list[dict[str, str]]:
        """Give the rows that this run is to post, in their order: what the operator is called with."""
        taken = due_rows(read_rows(params["queue"]), States(params["queue"]), params)
        return [{"row": row["id"], **{name: row[name] for name in COLUMNS if row.get(name)}} for row in taken]

    QueuedVideoOperator.partial(
        task_id="publish",
        queue_uri="{{ params.queue }}",
        wait_for_completion=True,
        deferrable=True,  # a place at TikTok's limits is waited for in the triggerer
        max_wait=None,  # for as long as it takes
        poll_interval="{{ params.poll_interval }}",
        retries=6,
        retry_delay=timedelta(seconds=10),  # a retry goes on with what was begun
        retry_exponential_backoff=True,
        on_failure_callback=give_back,
        map_index_template="{{ task.tiktok_conn_id }} {{ task.row }}",
    ).expand_kwargs(take())
    # [END queue]
