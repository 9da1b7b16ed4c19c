"""The database is stopped between every two steps of a refresh: no refresh token is ever sent twice."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.heavy import report
from tests.heavy.deployment import Deployment
from tests.heavy.gate import Visitor
from tests.heavy.stepwise import DAG_ID, TASK_ID, Refresh, Run, connected, steps_of

pytestmark = [pytest.mark.integration, pytest.mark.heavy]

OUTAGE_SECONDS = 3.0
#: So many tasks at a time wait at a step each, and one outage strikes them all ...
TASKS = 12
#: ... but none waits for the others longer than this, which is no longer than the claim allows for.
WAIT_SECONDS = 1.5


@pytest.fixture(scope="module")
def deployment(deployed) -> Iterator[Deployment]:
    # an outage is longer than a write may take, and shorter than a claim is held
    # without dag processor and triggerer, which are not needed here, most of the time
    with deployed(claim_write_seconds=2.0, restart_pause=60.0) as running:
        yield running


class Outages(Run):
    """The account ``conn_ids[i]`` finds the database stopped at its step ``i + 1``."""

    def __init__(self, deployment: Deployment, conn_ids: list[str]) -> None:
        self.seconds: dict[str, float] = {}
        self.groups = [conn_ids[first : first + TASKS] for first in range(0, len(conn_ids), TASKS)]
        self.beginning: dict[str, Visitor] = {}
        self.held: list[Visitor] = []
        self.held_since = 0.0
        self.power_at: float | None = None
        refreshes = {conn_id: Refresh(strike_at=step) for step, conn_id in enumerate(conn_ids, 1)}
        tasks = [conn_ids[task::TASKS] for task in range(len(self.groups[0]))]
        super().__init__(deployment, refreshes, tasks)

    def go(self) -> None:
        """Let the accounts go, a group at a time, until every task has succeeded."""
        for group in self.groups:
            self.go_through(group)
        self.deployment.until(self.idle, 60, "Airflow to know that the first tries are over")
        # The scheduler has left its loop at the first outage, and may then wait for its workers for ever.
        self.deployment.kill("scheduler")
        self.attend_until(self.ended, 400)
        assert self.deployment.finished(DAG_ID, self.run_id, 1) == "success"

    def go_through(self, group: list[str]) -> None:
        self.attend_until(lambda: set(group) <= set(self.beginning), 120)
        began = time.monotonic()
        for conn_id in group:
            self.beginning.pop(conn_id).let_go()

        def over() -> bool:
            self.see_to_the_power(group)
            for conn_id in group:
                if self.refreshes[conn_id].ends:
                    self.seconds.setdefault(conn_id, time.monotonic() - began)
            return all(conn_id in self.seconds for conn_id in group) and self.power_at is None

        self.attend_until(over, 180)

    def may_begin(self, visitor: Visitor) -> bool:
        self.beginning[visitor.said["conn_id"]] = visitor
        return False

    def strike(self, visitor: Visitor) -> None:
        self.held_since = self.held_since if self.held else time.monotonic()
        self.held.append(visitor)

    def see_to_the_power(self, group: list[str]) -> None:
        """Stop the database once there is somebody to be struck, and start it again some seconds later."""
        if self.power_at is not None and time.monotonic() > self.power_at:
            self.deployment.postgres.start()
            self.power_at = None
        coming = any(not each.ends and not each.struck for each in map(self.refreshes.get, group) if each)
        if not self.held or (coming and time.monotonic() < self.held_since + WAIT_SECONDS):
            return
        if self.power_at is None:
            self.deployment.postgres.stop()
            self.power_at = time.monotonic() + OUTAGE_SECONDS
        for visitor in self.held:
            visitor.let_go()
        self.held.clear()

    def idle(self) -> bool | None:
        """Whether Airflow knows that all tries are over: one killed before is missed for minutes."""
        tasks = self.deployment.tasks(DAG_ID, self.run_id, TASK_ID)
        return None if any(task["state"] == "running" for task in tasks) else True


def strike_each_step(deployment: Deployment, conn_ids: list[str], title: str) -> None:
    began, before = time.monotonic(), len(deployment.refreshes())
    run = Outages(deployment, conn_ids)
    run.go()
    table = report.table(
        f"PostgreSQL stopped for {OUTAGE_SECONDS:.0f} s before each step of {title}",
        *(
            "step",
            "what was about to be done",
            "how the tries ended",
            "steps of the first try",
            "its seconds",
        ),
    )
    for conn_id, each in run.refreshes.items():
        table.add_row(
            str(each.strike_at),
            each.struck or "(not come to)",
            ", ".join(each.ends),
            str(len(each.steps)),
            f"{run.seconds[conn_id]:.1f}",
        )
    table.caption = f"{time.monotonic() - began:.0f} s in all"
    refreshes = [each.code for each in deployment.refreshes()[before:]]
    assert sum(bool(each.struck) for each in run.refreshes.values()) >= len(conn_ids) - 3
    assert deployment.sandbox.reuses == 0
    assert refreshes == ["ok"] * len(conn_ids), "one refresh for each account, and no token sent twice"


def test_an_outage_between_any_two_steps_costs_no_grant(deployment: Deployment):
    """Whatever step is struck: one refresh, and the task succeeds, if need be by its retry."""
    steps = steps_of(deployment, *connected(deployment, 1, "plain"))
    conn_ids = connected(deployment, len(steps), "struck")
    strike_each_step(deployment, conn_ids, "the first refresh of a login")

    deployment.sandbox.clock.advance(7201.0)
    deployment.expire("plain_001")
    steps = steps_of(deployment, "plain_001")
    conn_ids = conn_ids[: len(steps)]
    for conn_id in conn_ids:
        deployment.expire(conn_id)
    strike_each_step(deployment, conn_ids, "a later refresh")


def test_no_secret_is_written(deployment: Deployment):
    """What failed and was retried, with all logs on DEBUG, has left no secret anywhere."""
    deployment.assert_no_secret_is_written()
