"""A run in which each kind of publish is made by a task, and for an account, of its own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.heavy.deployment import DATABASE, Deployment
from tests.heavy.distributed.conftest import MINUTE
from tests.heavy.publish.kinds import Kind, Made, Media, made_by_creator

DAG_ID, TASK_IDS = "heavy_publish", ("video", "photos")
#: Seconds that TikTok processes a publish, until :meth:`Publishing.let_end`.
HELD_SECONDS = 600.0
#: Which task instances are polled for, and where.
POLLERS = """
    select ti.run_id, ti.task_id, ti.map_index, job.hostname from task_instance ti
    join trigger on trigger.id = ti.trigger_id join job on job.id = trigger.triggerer_id
    where ti.run_id in ({})
"""
_numbers = itertools.count(1)


class Publishing:
    """
    One run, whose publishes do not come to their end before the test lets them.

    :param deployment: where it runs
    :param public: the folder that the sandbox shows
    :param kinds: of publishes
    :param deferrable: whether its tasks wait in the triggerer
    """

    def __init__(
        self, deployment: Deployment, public: Path, kinds: Sequence[Kind], *, deferrable: bool = False
    ) -> None:
        self.deployment, sandbox = deployment, deployment.sandbox
        #: The accounts, and creators' names, by task and map index.
        self.accounts: dict[tuple[str, int], str] = {}
        #: Those whose bytes a task sends; TikTok fetches the others'.
        self.uploads: set[str] = set()
        sandbox.reset()
        sandbox.knobs.processing_seconds = HELD_SECONDS
        media = Media(public, f"{sandbox.url}/public/")
        given: dict[str, list[dict[str, Any]]] = {name: [] for name in TASK_IDS}
        for kind in kinds:
            name = f"published_{next(_numbers):02d}"
            deployment.connect(name, creator=name, media_public_base_url=media.url, rate_window=MINUTE)
            self.accounts[kind.operator, len(given[kind.operator])] = name
            self.uploads |= {name} if kind.fenced else set()
            arguments = {**kind.given(media), "tiktok_conn_id": name, "deferrable": deferrable}
            given[kind.operator].append(arguments)
        self.names = {*self.accounts.values()}
        self.run_id = deployment.start(DAG_ID, **given)

    def polled_since(self, moment: float = 0.0) -> set[str]:
        """Give the accounts whose publish TikTok has been asked about."""
        sandbox = self.deployment.sandbox
        requests = (each for each in sandbox.requests if each.endpoint == "status" and each.time > moment)
        asked = {each.publish_id for each in requests}
        return {each.creator.username for each in sandbox.publishes if each.publish_id in asked}

    def let_end(self) -> None:
        """Have all that TikTok has be processed, and what comes later at once."""
        self.deployment.sandbox.knobs.processing_seconds = 0.5
        self.deployment.sandbox.clock.advance(HELD_SECONDS)

    def tasks(self) -> dict[str, dict[str, Any]]:
        """Give the task instances that publish, by account."""
        found = (each for name in TASK_IDS for each in self.deployment.tasks(DAG_ID, self.run_id, name))
        by_place = {(each["task_id"], each["map_index"]): each for each in found}
        return {name: by_place[place] for place, name in self.accounts.items()}

    def at(self, worker: str) -> set[str]:
        """Give the accounts whose task is at work there."""
        tasks = self.tasks().items()
        return {name for name, task in tasks if (task["state"], task["hostname"]) == ("running", worker)}

    def polled_by(self) -> dict[str, str]:
        """Give the triggerer that polls for each account whose task is deferred."""
        found = polled_by(self.deployment, [self.run_id])
        return {self.accounts[task_id, index]: host for (_, task_id, index), host in found.items()}

    def made(self) -> dict[str, Made]:
        """Count what TikTok has of each account."""
        made = made_by_creator(self.deployment.sandbox)
        return {name: made.get(name, Made(0, 0)) for name in self.names}


def polled_by(deployment: Deployment, run_ids: Sequence[str]) -> dict[tuple[str, str, int], str]:
    """Give the triggerer that polls for each deferred task, by run, task and map index."""
    among = ", ".join(f"'{run_id}'" for run_id in run_ids)
    rows = (row.split("|") for row in deployment.postgres.query(DATABASE, POLLERS.format(among)).splitlines())
    return {(run_id, task_id, int(index)): host for run_id, task_id, index, host in rows}
