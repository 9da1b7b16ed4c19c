"""Runs of the DAG whose tasks tell each step of a refresh, so that the test can strike exactly there."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from tests.heavy.deployment import Deployment
from tests.heavy.gate import Visitor

DAG_ID, TASK_ID = "heavy_steps", "step_by_step"
#: What divides a refresh: each of its steps is named after how many it follows which of these.
MILESTONES = ("set tiktok_claim", "ask TikTok", "set tiktok_grant")
Place: TypeAlias = tuple[str, int]


def places(steps: list[str]) -> list[Place]:
    """Give for each step its place, which stays the same when what comes before takes more tries."""
    found: list[Place] = []
    milestone, since = "", 0
    for step in steps:
        milestone, since = (step, 0) if step in MILESTONES else (milestone, since)
        found.append((milestone, since))
        since += 1
    return found


@dataclass
class Refresh:
    """
    The refresh of one account.

    :param strike_at: the place at which the first try is struck, once; None = nowhere
    :param struck: what was about to be done there
    :param steps: of the first try
    :param ends: how the tries have ended, as far as they could tell
    """

    strike_at: Place | None = None
    struck: str = ""
    steps: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)


class Run:
    """
    One run of the DAG.

    :param refreshes: by Connection
    :param tasks: which Connections each task uses, one after the other
    """

    def __init__(self, deployment: Deployment, refreshes: dict[str, Refresh], tasks: list[list[str]]) -> None:
        self.deployment = deployment
        self.refreshes = refreshes
        self.run_id = deployment.start(DAG_ID, accounts=tasks)
        self._look_at = 0.0

    def attend_until(self, over: Callable[[], bool], seconds: float) -> None:
        """See to whoever comes to the gate."""
        end = time.monotonic() + seconds
        while not over():
            assert time.monotonic() < end, f"waited {seconds:.0f} s: {self.refreshes}"
            if visitor := self.deployment.gate.next(0.1):
                self.attend(visitor)

    def attend(self, visitor: Visitor) -> None:
        """See to one who has come."""
        said = visitor.said
        refresh = self.refreshes[said["conn_id"]]
        if "ends" in said:
            refresh.ends.append(said["ends"])
        elif said["try"] == 1 and "name" in said:
            refresh.steps.append(re.sub(r"__.*", "", said["name"]))
            if not refresh.struck and places(refresh.steps)[-1] == refresh.strike_at:
                refresh.struck = refresh.steps[-1]
                self.strike(visitor)
                return
        elif said["try"] == 1 and not self.may_begin(visitor):
            return
        visitor.let_go()

    def may_begin(self, visitor: Visitor) -> bool:
        """Whether the first try of a refresh may begin at once."""
        return True

    def strike(self, visitor: Visitor) -> None:
        """Do what is to be done to the one who is at its step."""

    def ended(self) -> bool:
        """Whether Airflow says that the run has ended; it is asked once a second."""
        if time.monotonic() < self._look_at:
            return False
        self._look_at = time.monotonic() + 1.0
        state = self.deployment.persist(lambda: self.deployment.airflow.run_state(DAG_ID, self.run_id))
        return state in ("success", "failed")


def connected(deployment: Deployment, count: int, prefix: str) -> list[str]:
    """Make Connections, to a creator each, with a login that has not been used yet."""
    names = [f"{prefix}_{number:03d}" for number in range(1, count + 1)]
    for name in names:
        deployment.connect(name, creator=name, expires_in=1)
    return names


def steps_of(deployment: Deployment, conn_id: str) -> list[str]:
    """Give the steps of an account's refresh when nothing happens to it."""
    run = Run(deployment, {conn_id: Refresh()}, [[conn_id]])
    run.attend_until(run.ended, 90)
    assert run.refreshes[conn_id].ends == ["success"]
    return run.refreshes[conn_id].steps
