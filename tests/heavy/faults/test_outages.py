"""The database is stopped between every two steps of a refresh: no refresh token is ever sent twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import groupby, zip_longest

import pytest

from tests.heavy import report
from tests.heavy.deployment import Deployment
from tests.heavy.gate import Visitor
from tests.heavy.stepwise import DAG_ID, TASK_ID, Place, Refresh, Run, connected, places, steps_of

pytestmark = [pytest.mark.integration, pytest.mark.heavy]

OUTAGE_SECONDS = 3.0
#: So many tasks at a time wait at a step each, and one outage strikes them all ...
TASKS = 12
#: ... but none waits for the others longer than this, which is no longer than the claim allows for.
WAIT_SECONDS = 1.5


def stage(place: Place | None) -> int:
    """Tell what a place is near to in time: the claim is left alone for seconds once it is written."""
    milestone, since = place or ("", 0)
    if milestone == "" or (milestone, since) == ("set tiktok_claim", 0):
        return 0
    return 1 if milestone == "set tiktok_claim" else 2


def grouped(refreshes: dict[str, Refresh]) -> Iterator[list[str]]:
    """Give accounts that come to their places at about the same time."""
    for _, near in groupby(refreshes, lambda conn_id: stage(refreshes[conn_id].strike_at)):
        conn_ids = list(near)
        for first in range(0, len(conn_ids), TASKS):
            yield conn_ids[first : first + TASKS]


class Outages(Run):
    """Each account finds the database stopped at its place."""

    def __init__(self, deployment: Deployment, refreshes: dict[str, Refresh]) -> None:
        self.seconds: dict[str, float] = {}
        self.groups = list(grouped(refreshes))
        self.beginning: dict[str, Visitor] = {}
        self.held: list[Visitor] = []
        self.held_since = 0.0
        self.power_at: float | None = None
        tasks = zip_longest(*self.groups)
        super().__init__(deployment, refreshes, [[each for each in task if each] for task in tasks])

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


def strike_each_step(deployment: Deployment, targets: dict[str, Place], title: str) -> None:
    began, before, reuses = time.monotonic(), len(deployment.refreshes()), deployment.sandbox.reuses
    run = Outages(deployment, {conn_id: Refresh(place) for conn_id, place in targets.items()})
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
    for number, (conn_id, each) in enumerate(run.refreshes.items(), 1):
        table.add_row(
            str(number),
            each.struck or "(not come to)",
            ", ".join(each.ends),
            str(len(each.steps)),
            f"{run.seconds[conn_id]:.1f}",
        )
    table.caption = f"{time.monotonic() - began:.0f} s in all"
    assert sum(bool(each.struck) for each in run.refreshes.values()) >= len(targets) * 0.9
    assert [each.code for each in deployment.refreshes()[before:]] == ["ok"] * len(targets), "one each"
    assert deployment.sandbox.reuses == reuses


def test_an_outage_between_any_two_steps_costs_no_grant(deployment: Deployment, part_of):
    """Whatever step is struck: one refresh, and the task succeeds, if need be by its retry."""
    (plain,) = connected(deployment, 1, "unstruck")
    struck_at = part_of(places(steps_of(deployment, plain)), 3)
    conn_ids = connected(deployment, len(struck_at), "struck")
    strike_each_step(deployment, dict(zip(conn_ids, struck_at, strict=True)), "the first refresh of a login")

    deployment.sandbox.clock.advance(7201.0)
    for conn_id in (plain, *conn_ids):
        deployment.expire(conn_id)
    struck_at = part_of(places(steps_of(deployment, plain)), 3)
    strike_each_step(deployment, dict(zip(conn_ids, struck_at, strict=False)), "a later refresh")


def test_no_secret_is_written(deployment: Deployment):
    """What was killed, struck and retried, with all logs on DEBUG, has left no secret anywhere."""
    deployment.assert_no_secret_is_written()
