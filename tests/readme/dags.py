"""Runs tasks one after the other, as far as Airflow's own programs are not needed for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from airflow.providers.common.compat.sdk import TaskDeferred

from tests.airflow_tasks import FakeTi, context_of, first_event, run


class _RunTi(FakeTi):
    """A task instance that sees what the run's other tasks have returned."""

    def __init__(self, task_id: str, returned: dict[str, Any]) -> None:
        super().__init__()
        self.task_id = task_id
        self._returned = returned

    def xcom_pull(self, task_ids: Any = None, *, key: str = "return_value", **more: Any) -> Any:
        if task_ids and key == "return_value":
            return self._returned[task_ids if isinstance(task_ids, str) else next(iter(task_ids))]
        return super().xcom_pull(task_ids, key=key)


def played(tasks: Iterable[Any], ds: str, after_each: Callable[[], None]) -> dict[str, Any]:
    """
    Run tasks, through the triggerer where they defer; gives what they returned.

    :param tasks: in order, and none of them mapped
    :param ds: the run's date
    :param after_each: called after each task
    """
    returned: dict[str, Any] = {}
    for task in tasks:
        ti = _RunTi(task.task_id, returned)
        try:
            returned[task.task_id] = run(task, ti, ds=ds)
        except TaskDeferred as deferred:
            returned[task.task_id] = _resumed(task, ti, deferred)
        after_each()
    return returned


def _resumed(task: Any, ti: FakeTi, deferred: Any) -> Any:
    while True:
        event = asyncio.run(first_event(deferred.trigger))
        given = {**(deferred.kwargs or {}), "event": event}
        try:
            return task.resume_execution(deferred.method_name, given, context_of(ti))
        except TaskDeferred as again:
            deferred = again
