"""
What the heavy tests run in Airflow: tasks that use an account, and tell the test what they are about to do.

Nothing of the tests can be imported here, and nothing of the provider is changed: only what it calls is
announced, in the process of the task that does it.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from functools import wraps
from typing import Any
from unittest import mock

from airflow.sdk import DAG, Variable, get_current_context, task

from airflow_provider_tiktok.sensors.tiktok import TikTokPublishStatusSensor

OPTIONS: dict[str, Any] = {
    "start_date": datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it for UTC
    "catchup": False,
    "max_active_tasks": 64,
}
RETRIES = {"retries": 12, "retry_delay": timedelta(seconds=1)}
#: What a task waits for the test at most; a test that has failed answers nobody.
PATIENCE_SECONDS = 300.0


class Teller:
    """
    Tells the test what this process is about to do, and waits until it may go on.

    :param context: of the task
    """

    def __init__(self, context: Any) -> None:
        ti = context["ti"]
        host, port = context["params"]["gate"].split(":")
        self._address = (host, int(port))
        self._about = {"pid": os.getpid(), "number": ti.map_index, "try": ti.try_number}
        self._steps = itertools.count(1)

    def tell(self, **said: Any) -> None:
        """Tell something."""
        with socket.create_connection(self._address, timeout=PATIENCE_SECONDS) as connection:
            connection.sendall(json.dumps({**self._about, **said}).encode() + b"\n")
            connection.makefile("r").readline()

    def use(self, conn_id: str) -> Exception | None:
        """Use an account, telling each step and the end; gives what went wrong."""
        self._about["conn_id"], self._steps = conn_id, itertools.count(1)
        self.tell(begins=True)
        failure = None
        try:
            with self.steps():
                use_account(conn_id)
        except Exception as error:
            failure = error
        self.tell(ends=type(failure).__name__ if failure else "success")
        return failure

    def told(self, function: Callable[..., Any], step: Callable[..., str]) -> Callable[..., Any]:
        """Give a function that tells of itself first, if there is a name for this step."""

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if name := step(*args, **kwargs):
                self.tell(step=next(self._steps), name=name)
            return function(*args, **kwargs)

        return call

    @contextmanager
    def steps(self) -> Iterator[None]:
        """Tell of each access to a Variable of ours, and of each call of the token endpoint."""
        from airflow_provider_tiktok.api.transport import Transport

        def access(name: str) -> Callable[..., str]:
            def step(key: str = "", *_: Any, **more: Any) -> str:
                key = key or more.get("prefix", "")
                return f"{name} {key}" if key.startswith("tiktok_") else ""

            return step

        def call(_: Any, request: Any) -> str:
            return "ask TikTok" if "/oauth/token/" in request.url else ""

        names = [name for name in ("get", "set", "delete", "keys") if hasattr(Variable, name)]
        wrapped = {name: staticmethod(self.told(getattr(Variable, name), access(name))) for name in names}
        with (
            mock.patch.multiple(Variable, **wrapped),
            mock.patch.object(Transport, "send", self.told(Transport.send, call)),
        ):
            yield


def use_account(conn_id: str) -> str:
    """Ask TikTok who the account is: the cheapest call that needs a live token."""
    from airflow_provider_tiktok.hooks.tiktok import TikTokHook

    with closing(TikTokHook(conn_id)) as hook:
        return hook.user_info().open_id


with DAG("heavy_race", schedule=None, params={"gate": "", "conn_id": "", "tasks": 16}, **OPTIONS):

    @task
    def numbers(params: dict[str, Any]) -> list[int]:
        """Say how many tasks there are to be."""
        return list(range(params["tasks"]))

    @task(**RETRIES)
    def use(number: int, params: dict[str, Any]) -> str:
        """Use the account at the moment at which the test lets all tasks go."""
        Teller(get_current_context()).tell()
        return use_account(params["conn_id"])

    use.expand(number=numbers())


with DAG("heavy_steps", schedule=None, params={"gate": "", "accounts": [[]]}, **OPTIONS):

    @task
    def accounts(params: dict[str, Any]) -> list[list[str]]:
        """Say which accounts each task is to use."""
        return list(params["accounts"])

    @task(**RETRIES)
    def step_by_step(conn_ids: list[str]) -> None:
        """Use accounts that are nobody else's, one after the other."""
        teller = Teller(get_current_context())
        failures = [failure for conn_id in conn_ids if (failure := teller.use(conn_id))]
        if failures:
            raise failures[0]

    step_by_step.expand(conn_ids=accounts())


with DAG(
    "heavy_wait", schedule=None, params={"publish_id": "", "conn_id": "", "poll_interval": 3.0}, **OPTIONS
):
    TikTokPublishStatusSensor(
        task_id="wait",
        publish_id="{{ params.publish_id }}",
        tiktok_conn_id="{{ params.conn_id }}",
        poll_interval="{{ params.poll_interval }}",
        deferrable=True,
        timeout=3600,
        retries=0,
    )
