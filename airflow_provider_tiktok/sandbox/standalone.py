"""
A real ``airflow standalone`` in a temporary home, on free loopback ports: for the demo, and for tests.

It is driven as a person would: through its REST API. Nothing here imports Airflow.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil

READY_SECONDS = 180.0
STOP_SECONDS = 15.0


class AirflowError(Exception):
    """Airflow did not do what was asked of it."""


class StandaloneAirflow:
    """
    Airflow with scheduler, triggerer, dag processor and API server, on SQLite; a context manager.

    :param dags: the DAG folder
    :param environment: further environment variables, such as ``AIRFLOW_CONN_...``; they may hold secrets,
        since they are passed on by no command line
    :param keep_home: leave the temporary home with its logs where it is
    """

    def __init__(self, dags: Path, environment: Mapping[str, str], *, keep_home: bool = False) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="tiktok-demo-"))
        self.keep_home = keep_home
        port, *log_ports = _free_ports(3)
        self.url = f"http://127.0.0.1:{port}"
        self._environment = {
            **with_bytecode(_own_environment(), self.home),
            **_settings(self.home, dags, port, log_ports),
            **environment,
        }
        self._begun: dict[str, subprocess.Popen[bytes]] = {}
        self._client = httpx.Client(base_url=self.url, timeout=20.0, trust_env=False)

    @property
    def log(self) -> Path:
        """What the components print."""
        return self.home / "standalone.log"

    def __enter__(self) -> Self:
        self._begin("standalone", "standalone")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
        while processes := list(self._processes()):  # some may have been started meanwhile
            _end(processes)
        if not self.keep_home:
            shutil.rmtree(self.home, ignore_errors=True)

    def wait_until_ready(self, dag_id: str) -> Iterator[str]:
        """
        Wait until Airflow can run a DAG; yields what is still missing, about once a second.

        :param dag_id: of the DAG
        :raises AirflowError: it ended, or took too long
        """
        until = time.monotonic() + READY_SECONDS
        while missing := self._missing(dag_id):
            for name, process in self._begun.items():
                if process.poll() is not None:
                    raise AirflowError(f"airflow {name} has ended")
            if time.monotonic() > until:
                raise AirflowError(f"Airflow was not ready after {READY_SECONDS:.0f} s: {missing}")
            yield missing
            time.sleep(1.0)

    def trigger(self, dag_id: str, conf: Mapping[str, Any]) -> str:
        """
        Start a run.

        :param dag_id: of the DAG
        :param conf: overrides the DAG's params
        :return: the run's id
        """
        run = self.ask("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": dict(conf)})
        return str(run["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Give the state of a run: ``queued``, ``running``, ``success`` or ``failed``."""
        return str(self.ask("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Give the task instances of a run, a hundred at most, as the REST API has them."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=100"
        tasks: list[dict[str, Any]] = self.ask("GET", path)["task_instances"]
        return tasks

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str) -> Any:
        """Give an XCom value; None if there is none."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        with suppress(AirflowError):
            value = self.ask("GET", path)["value"]
            return _decoded(value) if isinstance(value, str) else value
        return None

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """
        Ask Airflow's REST API.

        :param method: HTTP method
        :param path: such as ``/api/v2/variables``
        :param body: sent as JSON
        :return: the answer's JSON; None if it has no body
        :raises AirflowError: no answer, or one that is an error
        """
        try:
            if "Authorization" not in self._client.headers:
                token = self._client.get("/auth/token").json()["access_token"]
                self._client.headers["Authorization"] = f"Bearer {token}"
            answer = self._client.request(method, path, json=body)
            if answer.is_error:
                raise AirflowError(f"{method} {path}: HTTP {answer.status_code} {answer.text[:300]}")
            return answer.json() if answer.content else None
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise AirflowError(f"{method} {path}: {type(error).__name__}") from error

    def _missing(self, dag_id: str) -> str:
        try:
            health = self._client.get("/api/v2/monitor/health").json()
        except (httpx.HTTPError, ValueError):
            return "API server"
        for name in ("scheduler", "dag_processor", "triggerer"):
            if (health.get(name) or {}).get("status") != "healthy":
                return name.replace("_", " ")
        with suppress(AirflowError):
            self.ask("GET", f"/api/v2/dags/{dag_id}")
            return ""
        return f"DAG {dag_id}"

    def _begin(self, name: str, *arguments: str, **environment: str) -> None:
        """
        Begin a program of Airflow's.

        :param name: to know it by
        :param arguments: such as ``standalone``
        :param environment: more than all of them have
        """
        with self.log.open("ab") as output:
            # a session of its own: Ctrl-C in the terminal is for us, and we end Airflow in order
            self._begun[name] = subprocess.Popen(  # noqa: S603 - the program is this Python
                [sys.executable, "-m", "airflow", *arguments],
                env={**self._environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _processes(self, *names: str) -> Iterator[psutil.Process]:
        """
        Find every process of this Airflow: all that are in the sessions which :meth:`_begin` began.

        Not by their environment, which Airflow's servers and workers overwrite when they rename themselves,
        nor by their parents, whom some outlive.

        :param names: of programs; none = of all
        """
        sessions = {self._begun[name].pid for name in names or self._begun}
        for process in psutil.process_iter():
            with suppress(psutil.Error, ProcessLookupError):
                if os.getsid(process.pid) in sessions:
                    yield process


def _own_environment() -> dict[str, str]:
    """Take this process's environment over, but no setting of another Airflow."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    # standalone looks its components up on the PATH
    inherited["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", "")])
    return inherited


def with_bytecode(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """
    Give an environment in which Python keeps the bytecode of what it imports, as an installed Airflow has it.

    Many images set ``PYTHONDONTWRITEBYTECODE``, with which each of an Airflow's processes compiles all anew.

    :param environment: of this process
    :param folder: where it may be kept
    """
    if not environment.get("PYTHONDONTWRITEBYTECODE"):
        return environment
    kept = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    return {**environment, **kept}


def _settings(home: Path, dags: Path, port: int, log_ports: list[int]) -> dict[str, str]:
    sections = {
        "CORE__DAGS_FOLDER": dags,
        "CORE__LOAD_EXAMPLES": False,
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "CORE__PARALLELISM": 8,
        "API__HOST": "127.0.0.1",
        "API__PORT": port,
        "API__BASE_URL": f"http://127.0.0.1:{port}",
        "API__WORKERS": 1,
        "LOGGING__WORKER_LOG_SERVER_PORT": log_ports[0],
        "LOGGING__TRIGGER_LOG_SERVER_PORT": log_ports[1],
        "SCHEDULER__ENABLE_HEALTH_CHECK": False,
        "DAG_PROCESSOR__REFRESH_INTERVAL": 10,
        "USAGE_DATA_COLLECTION__ENABLED": False,
    }
    return {
        "AIRFLOW_HOME": str(home),
        "NO_PROXY": "127.0.0.1,localhost",
        **{f"AIRFLOW__{name}": str(value) for name, value in sections.items()},
    }


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _end(processes: list[psutil.Process]) -> None:
    """Ask Airflow's processes to end, then make them."""
    for how, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
        for process in processes:
            with suppress(psutil.Error):
                process.send_signal(how)
        processes = psutil.wait_procs(processes, timeout=seconds)[1]


def _decoded(text: str) -> Any:
    with suppress(ValueError):
        return json.loads(text)
    return text
