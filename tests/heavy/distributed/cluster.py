"""Airflow with CeleryExecutor: two workers and two triggerers, each as if it had a host of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from airflow_provider_tiktok.sandbox.standalone import AirflowError, StandaloneAirflow
from tests.heavy.distributed import hosts

WORKERS, TRIGGERERS = ("worker-1", "worker-2"), ("triggerer-1", "triggerer-2")
MIGRATION_SECONDS, READY_SECONDS = 120.0, 120.0
#: As many tasks as a worker runs at a time; the race needs all of both.
SLOTS = 8
#: As many triggers as a triggerer takes; of one more, the other has to take its share.
TRIGGERS = 4
#: After which Airflow gives up a task whose worker is dead; it is told every 2 s that a task is alive.
HEARTBEAT_SECONDS = 10
#: After which Redis gives a dead worker's messages to another. Longer than the time above: what is given
#: again is then a try that Airflow has given up, and must not run.
VISIBILITY_SECONDS = 25
#: After which a triggerer that does not say that it is alive is taken for dead.
TRIGGERER_SECONDS = 8
#: What a worker logs of a message.
MESSAGE = re.compile(rb"Task execute_workload\[([0-9a-f-]+)\] (\w+)")
SETTINGS = {
    "CORE__EXECUTOR": "CeleryExecutor",
    "CORE__HOSTNAME_CALLABLE": f"{hosts.__name__}.{hosts.name.__name__}",
    "CELERY__WORKER_CONCURRENCY": SLOTS,
    # of each, the first task of every slot costs two seconds of processor time otherwise
    "CELERY__EXTRA_CELERY_CONFIG": json.dumps({"imports": ["airflow.sdk.execution_time.task_runner"]}),
    "CELERY__OPERATION_TIMEOUT": 10,
    "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": VISIBILITY_SECONDS,
    "WORKERS__MIN_HEARTBEAT_INTERVAL": 2,
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": HEARTBEAT_SECONDS,
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 2,
    "TRIGGERER__JOB_HEARTBEAT_SEC": 2,
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": TRIGGERER_SECONDS,
    "TRIGGERER__CAPACITY": TRIGGERS,
}
_QUIET = ("--skip-serve-logs",)
_WORKER = ("celery", "worker", *_QUIET, "--without-mingle", "--without-gossip", "--celery-hostname")
COMPONENTS: Mapping[str, tuple[str, ...]] = {
    **{name: (*_WORKER, name) for name in WORKERS},
    "api-server": ("api-server",),
    "scheduler": ("scheduler", *_QUIET),
    "dag-processor": ("dag-processor",),
    **dict.fromkeys(TRIGGERERS, ("triggerer", *_QUIET)),
}


class DistributedAirflow(StandaloneAirflow):
    """
    Airflow's components, started one by one; a context manager.

    Each has a folder for temporary files of its own, in which the provider's locks between the processes of
    a host lie too, and a host's name of its own: what protects them from each other here is what protects
    hosts from each other.

    :param dags: the DAG folder
    :param environment: with the settings of the database and the broker
    """

    def __init__(self, dags: Path, environment: Mapping[str, str]) -> None:
        settings = {f"AIRFLOW__{name}": str(value) for name, value in SETTINGS.items()}
        super().__init__(dags, {**settings, **environment})
        self._begun_at: dict[str, int] = {}
        self._sessions: set[int] = set()

    def __enter__(self) -> Self:
        try:
            self._begin_components(WORKERS)  # which need no database yet
            self._migrate()
            self._begin_components(name for name in COMPONENTS if name not in WORKERS)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        left = list(self._left())
        assert left == [], "all that was begun has ended"

    @property
    def logged(self) -> int:
        """The size of :attr:`log`."""
        return self.log.stat().st_size if self.log.exists() else 0

    def kill(self, *names: str) -> None:
        """Kill components with all their processes at once, as when their hosts lose power."""
        while processes := list(self._processes(*names)):
            for process in processes:
                with suppress(psutil.Error):
                    process.send_signal(signal.SIGKILL)
            psutil.wait_procs(processes, timeout=5.0)
        for name in names:
            del self._begun[name]

    def revive(self) -> None:
        """Begin what has been killed, and wait until both workers take tasks."""
        self._begin_components(name for name in COMPONENTS if name not in self._begun)
        end = time.monotonic() + READY_SECONDS
        while missing := [name for name in WORKERS if not self._takes_tasks(name)]:
            if time.monotonic() > end:
                raise AirflowError(f"not ready after {READY_SECONDS:.0f} s: {', '.join(missing)}")
            time.sleep(0.3)

    def given_again(self, since: int) -> int:
        """
        Count the messages that Redis has given to a second worker, which is through with them.

        :param since: what :attr:`log` held before they were given for the first time
        """
        ends: dict[bytes, list[bytes]] = {}
        for task, what in MESSAGE.findall(self._logged(since)):
            ends.setdefault(task, []).append(what)
        return sum(each.count(b"received") > 1 and each[-1] != b"received" for each in ends.values())

    def _left(self) -> Iterator[psutil.Process]:
        """Find all that has ever been begun, killed or not."""
        for process in psutil.process_iter():
            with suppress(psutil.Error, ProcessLookupError):
                if os.getsid(process.pid) in self._sessions:
                    yield process

    def _logged(self, since: int) -> bytes:
        with self.log.open("rb") as log:
            log.seek(since)
            return log.read()

    def _migrate(self) -> None:
        """Make the database's tables."""
        self._begin("migration", "db", "migrate", **self._host("migration"))
        if self._begun["migration"].wait(MIGRATION_SECONDS) != 0:
            raise AirflowError("airflow db migrate has failed")
        del self._begun["migration"]

    def _begin(self, name: str, *arguments: str, **environment: str) -> None:
        super()._begin(name, *arguments, **environment)
        self._sessions.add(self._begun[name].pid)

    def _begin_components(self, names: Iterable[str]) -> None:
        for name in names:
            self._begun_at[name] = self.logged
            self._begin(name, *COMPONENTS[name], **self._host(name))

    def _takes_tasks(self, worker: str) -> bool:
        return f"celery@{worker} ready".encode() in self._logged(self._begun_at[worker])

    def _host(self, name: str) -> dict[str, str]:
        folder = self.home / "hosts" / name
        folder.mkdir(parents=True, exist_ok=True)
        return {hosts.VARIABLE: name, "TMPDIR": str(folder)}
