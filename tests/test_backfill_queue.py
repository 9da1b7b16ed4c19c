"""The example DAG that drains a queue: which rows a run takes, and what becomes of each."""

from __future__ import annotations

import json
import runpy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_tiktok.exceptions import TikTokError
from tests.airflow_tasks import FakeTi, context_of, run

FILE = Path(__file__).parents[1] / "example_dags" / "tiktok_backfill_queue.py"
HEAD = "id,tiktok_conn_id,video,title,privacy_level,post_mode,not_before\n"


@pytest.fixture(scope="module")
def example() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(FILE)))


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    return tmp_path / "queue.csv"


def row(number: int, account: str = "one", not_before: datetime | None = None) -> str:
    return f"r{number},{account},v.mp4,,SELF_ONLY,,{not_before.isoformat() if not_before else ''}\n"


def hours(number: float) -> datetime:
    return datetime.now(UTC) + timedelta(hours=number)


def taken(example: SimpleNamespace, queue: Path, *rows: str, **params: Any) -> list[str]:
    queue.write_text(HEAD + "".join(rows))
    params = {"most": 100, "spacing_minutes": 0, "stale_after_hours": 0, **params}
    states = example.States(str(queue))
    return [each["id"] for each in example.due_rows(example.read_rows(str(queue)), states, params)]


def state(queue: Path, name: str) -> dict[str, Any]:
    return json.loads((queue.parent / "queue.csv.state" / f"{name}.json").read_text())


# --- which rows a run takes ---


def test_the_rows_that_are_due_in_their_order(example: SimpleNamespace, queue: Path) -> None:
    rows = row(3), row(1, "two"), row(2, not_before=hours(1)), row(4, not_before=hours(-1))
    assert taken(example, queue, *rows) == ["r3", "r1", "r4"]


@pytest.mark.parametrize(
    ("known", "again"), [("posted", False), ("stale", False), ("begun", False), ("failed", True)]
)
def test_only_a_failed_row_is_taken_again(
    example: SimpleNamespace, queue: Path, known: str, again: bool
) -> None:
    example.States(str(queue)).put("r1", known, by="a run", account="one")
    assert taken(example, queue, row(1), row(2)) == (["r1", "r2"] if again else ["r2"])


def test_a_state_that_was_half_written_is_in_doubt(example: SimpleNamespace, queue: Path) -> None:
    example.States(str(queue)).put("r1", "failed")
    (queue.parent / "queue.csv.state" / "r1.json").write_text("")
    assert taken(example, queue, row(1)) == []


def test_what_is_too_old_is_skipped_for_good(example: SimpleNamespace, queue: Path) -> None:
    rows = row(1, not_before=hours(-3)), row(2, not_before=hours(-1)), row(3)
    assert taken(example, queue, *rows, stale_after_hours=2) == ["r2", "r3"]
    assert state(queue, "r1")["state"] == "stale"
    assert taken(example, queue, *rows) == ["r2", "r3"]


def test_so_many_of_each_account(example: SimpleNamespace, queue: Path) -> None:
    rows = row(1), row(2), row(3), row(4, "two")
    assert taken(example, queue, *rows, most=2) == ["r1", "r2", "r4"]


def test_spacing_lets_one_of_each_account_go_that_has_rested(example: SimpleNamespace, queue: Path) -> None:
    example.States(str(queue)).put("r0", "posted", account="one")
    rows = row(0), row(1), row(2, "two"), row(3, "two")
    assert taken(example, queue, *rows, spacing_minutes=30) == ["r2"]
    rested = {**state(queue, "r0"), "at": hours(-0.6).isoformat()}
    (queue.parent / "queue.csv.state" / "r0.json").write_text(json.dumps(rested))
    assert taken(example, queue, *rows, spacing_minutes=30) == ["r1", "r2"]


def test_an_id_that_is_not_one_is_refused(example: SimpleNamespace, queue: Path) -> None:
    with pytest.raises(ValueError, match="r1"):
        taken(example, queue, row(1), row(1))


# --- what becomes of a row ---


@pytest.fixture
def account(tiktok: Any, connect: Any, clock: Any) -> Any:
    """A connected account; gives the local TikTok."""
    connect()
    return tiktok


def operator(example: SimpleNamespace, queue: Path, video: Path | str) -> Any:
    return example.QueuedVideoOperator(
        task_id="publish",
        row="r1",
        queue_uri=str(queue),
        video=str(video),
        privacy_level="SELF_ONLY",
    )


def worked(task: Any, ti: FakeTi) -> None:
    """Do what Airflow does with a task."""
    context = context_of(ti, task=task)
    task.pre_execute(context)
    task.post_execute(context, run(task, ti))


def failed(example: SimpleNamespace, task: Any, ti: FakeTi, error: BaseException) -> None:
    example.give_back(context_of(ti, task=task, exception=error))


def test_a_row_is_posted_once_however_many_runs_there_are(
    example: SimpleNamespace, account: Any, video: Path, queue: Path
) -> None:
    first, second = FakeTi(), FakeTi()
    second.run_id = "another run"
    worked(operator(example, queue, video), first)
    assert state(queue, "r1")["state"] == "posted"
    assert state(queue, "r1")["publish_id"] == account.publishes[0].publish_id
    with pytest.raises(AirflowSkipException, match="posted by run"):
        worked(operator(example, queue, video), second)
    worked(operator(example, queue, video), first)  # cleared: its record says so
    assert len(account.posts) == 1


def test_a_row_that_surely_was_not_posted_is_given_back(
    example: SimpleNamespace, account: Any, video: Path, queue: Path
) -> None:
    task, ti = operator(example, queue, "/nowhere.mp4"), FakeTi()
    with pytest.raises(TikTokError) as caught:
        worked(task, ti)
    assert state(queue, "r1")["state"] == "begun"
    failed(example, task, ti, caught.value)
    assert state(queue, "r1")["state"] == "failed"
    assert "nowhere.mp4" in state(queue, "r1")["error"]
    other = FakeTi()
    other.run_id = "another run"
    worked(operator(example, queue, video), other)
    assert state(queue, "r1")["by"].startswith("another run")
    failed(example, task, ti, caught.value)  # too late: it is not its row any more
    assert state(queue, "r1")["state"] == "posted"
    assert len(account.posts) == 1


def test_a_row_that_may_be_posted_stays_with_its_task(
    example: SimpleNamespace, account: Any, video: Path, queue: Path
) -> None:
    """Posted, but the state could not be written: the task has failed, and its record knows."""
    task, ti = operator(example, queue, video), FakeTi()
    context = context_of(ti, task=task)
    task.pre_execute(context)
    run(task, ti)
    failed(example, task, ti, OSError("the storage does not answer"))
    assert state(queue, "r1")["state"] == "begun"
    other = FakeTi()
    other.run_id = "another run"
    with pytest.raises(AirflowSkipException, match="begun by run"):
        worked(operator(example, queue, video), other)
    worked(operator(example, queue, video), ti)
    assert state(queue, "r1")["state"] == "posted"
    assert len(account.posts) == 1
