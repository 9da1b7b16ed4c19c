"""Sixteen tasks and the triggerer at once, with a token that has expired: one refresh, and nobody fails."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.heavy import report
from tests.heavy.deployment import Deployment

pytestmark = [pytest.mark.integration, pytest.mark.heavy]

TASKS = 16
ROUNDS = 5
#: TikTok's access tokens live for two hours.
TWO_HOURS = 7201.0
CONN_ID = "shared_account"


@pytest.fixture(scope="module")
def deployment(deployed) -> Iterator[Deployment]:
    # as it comes out of the box: a refresh takes 10 seconds and more
    with deployed(claim_write_seconds=8.0) as running:
        running.connect(CONN_ID, expires_in=1)
        yield running


@pytest.mark.parametrize("known", [True, False], ids=["the grant says so", "TikTok alone says so"])
def test_sixteen_tasks_and_the_triggerer_make_one_refresh(deployment: Deployment, known: bool, part_of):
    """The token has expired; each process sees that in the stored grant, or learns it by a 401."""
    table = report.table(
        f"{TASKS} tasks and a deferred sensor at once; the token has expired, "
        + ("and the stored grant says so" if known else "as TikTok's 401 says"),
        *("round", "refreshes", "reuses", "401s", "tasks in success", "retries", "s to the last task's end"),
    )
    with deployment.waiting_sensor(CONN_ID):
        for number in range(1, part_of(ROUNDS, 3) + 1):
            run_id = deployment.start("heavy_race", conn_id=CONN_ID, tasks=TASKS)
            visitors = deployment.gate.all(TASKS, 120)
            before = len(deployment.sandbox.requests)
            deployment.sandbox.clock.advance(TWO_HOURS)
            if known:
                deployment.expire(CONN_ID)
            began = time.time()
            for visitor in visitors:
                visitor.let_go()
            state = deployment.finished("heavy_race", run_id, 150)
            tasks = deployment.tasks("heavy_race", run_id, "use")
            requests = deployment.sandbox.requests[before:]
            refreshes = [each.code for each in requests if each.endpoint == "token"]
            table.add_row(
                str(number),
                str(len(refreshes)),
                str(deployment.sandbox.reuses),
                str(sum(each.status == 401 for each in requests)),
                str(sum(task["state"] == "success" for task in tasks)),
                str(sum(task["try_number"] - 1 for task in tasks)),
                f"{deployment.last_end(tasks) - began:.1f}",
            )
            assert state == "success"
            assert refreshes == ["ok"]
            assert [task["try_number"] for task in tasks] == [1] * TASKS
            assert deployment.sandbox.reuses == 0
    assert deployment.sandbox.violations == []


def test_no_secret_is_written(deployment: Deployment):
    """The rounds before, with all logs on DEBUG, have left no secret anywhere."""
    deployment.assert_no_secret_is_written()
