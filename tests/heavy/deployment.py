"""A whole deployment on this machine: TikTok's sandbox, PostgreSQL, and Airflow with all its components."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self, TypeVar

import httpx
import psutil
from cryptography.fernet import Fernet

from airflow_provider_tiktok.sandbox.publishes import Publish
from airflow_provider_tiktok.sandbox.server import Sandbox
from airflow_provider_tiktok.sandbox.standalone import AirflowError, StandaloneAirflow
from airflow_provider_tiktok.sandbox.world import RequestRecord
from tests.heavy.gate import Gate
from tests.heavy.postgres import Postgres
from tests.heavy.search import CommandLines, cores, files_of, holding
from tests.sandbox.caller import Caller, one_chunk

ROOT = Path(__file__).parents[2]
DAGS = Path(__file__).parent / "dags"
DAG_IDS = ("heavy_race", "heavy_steps", "heavy_wait")
DATABASE = "airflow"
T = TypeVar("T")
#: Airflow's components end when their database does, and production starts them again: so does this.
RESTARTED = """#!/bin/sh
trap 'kill "$child"; exit 0' TERM INT
while :; do
  "{python}" -m airflow "$@" & child=$!
  echo "$child" > "{folder}/$1.pid"
  wait "$child"
  test "$?" = 137 || sleep "{pause}"  # not where Deployment.kill has done it
  echo "airflow $1 has ended and is started again"
done
"""


@dataclass
class Sensor:
    """
    A sensor that waits, or several.

    :param run_ids: of its runs, one each
    :param may_fail: its account's grant has been lost
    """

    run_ids: list[str]
    may_fail: bool = False


class Deployment:
    """
    Everything that runs in production; a context manager.

    :param postgres: where its metadata database is made
    :param claim_write_seconds: of the provider's configuration: the scale of all the claim's constants
    :param restart_pause: seconds after which a component that has ended is started again
    :param dags: the DAG folder
    :param dag_ids: which DAGs it has to know before it is ready
    :param parallelism: tasks at a time
    :param settings: more of Airflow's environment
    :param airflow: makes the Airflow, given DAG folder and environment
    :param knobs: of the sandbox
    """

    def __init__(
        self,
        postgres: Postgres,
        *,
        claim_write_seconds: float,
        restart_pause: float = 5.0,
        dags: Path = DAGS,
        dag_ids: Sequence[str] = DAG_IDS,
        parallelism: int = 24,
        settings: Mapping[str, str] = MappingProxyType({}),
        airflow: Callable[[Path, Mapping[str, str]], StandaloneAirflow] = StandaloneAirflow,
        **knobs: Any,
    ) -> None:
        self.postgres = postgres
        self.dag_ids = dag_ids
        self.sandbox = Sandbox(client_secret=secrets.token_hex(20), **knobs)
        self.gate = Gate()
        self.command_lines = CommandLines()
        self.creators: dict[str, str] = {}
        self._stack = ExitStack()
        environment = {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.url(DATABASE),
            "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
            "AIRFLOW__CORE__PARALLELISM": str(parallelism),
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
            "AIRFLOW__TIKTOK__CLAIM_WRITE_SECONDS": str(claim_write_seconds),
            "PYTHONPATH": str(ROOT),
            "PATH": os.pathsep.join(
                [self._restarted(restart_pause), str(Path(sys.executable).parent), os.environ["PATH"]]
            ),
            **settings,
        }
        self.airflow = airflow(dags, environment)

    def __enter__(self) -> Self:
        with self._stack:
            self._stack.enter_context(self.sandbox)
            self._stack.enter_context(self.gate)
            self.postgres.create(DATABASE)
            self._stack.callback(self.postgres.drop, DATABASE)
            self._stack.enter_context(self.command_lines)
            self._stack.enter_context(self.airflow)
            for dag_id in self.dag_ids:
                for _ in self.airflow.wait_until_ready(dag_id):
                    pass
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _restarted(self, pause: float) -> str:
        """Make the program ``airflow`` that standalone starts its components with; gives its folder."""
        folder = Path(tempfile.mkdtemp(prefix="tiktok-heavy-"))
        program = folder / "airflow"
        program.write_text(RESTARTED.format(python=sys.executable, folder=folder, pause=pause))
        program.chmod(0o755)
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        self._folder = folder
        return str(folder)

    def kill(self, component: str) -> None:
        """Kill a component with all its children, as a liveness probe does; it is started again."""
        process = psutil.Process(int((self._folder / f"{component}.pid").read_text()))
        for each in (*process.children(recursive=True), process):
            with suppress(psutil.Error):
                each.kill()

    # --- accounts ---

    def connect(
        self, conn_id: str, creator: str = "creator1", *, expires_in: float | None = None, **extras: object
    ) -> None:
        """Make a Connection with a new grant, in Airflow's database, where Airflow encrypts it."""
        self.creators[conn_id] = creator
        self.connect_as(conn_id, self.sandbox.connection(creator, expires_in=expires_in, **extras))

    def connect_as(self, conn_id: str, made: dict[str, Any]) -> None:
        """Make a Connection, given in Airflow's JSON for one."""
        body = {"connection_id": conn_id, **made, "extra": json.dumps(made["extra"])}
        self.persist(lambda: self.airflow.ask("POST", "/api/v2/connections", body))

    def stored(self, conn_id: str) -> dict[str, Any]:
        """Give the grant as the Variable has it."""
        return dict(json.loads(self._variable(conn_id)["value"]))

    def generation(self, conn_id: str) -> int:
        """Give how often the stored grant has been refreshed; 0 = there is none yet."""
        key = f"tiktok_grant__{conn_id}"
        # the list of all Variables is cut off at a hundred, but tells absence from failure
        path = f"/api/v2/variables?variable_key_pattern={key}"
        found = self.persist(lambda: self.airflow.ask("GET", path))["variables"]
        values = {each["key"]: each["value"] for each in found}
        return int(json.loads(values[key])["generation"]) if key in values else 0

    def expire(self, conn_id: str) -> None:
        """Have everybody who reads the grant take its access token for expired."""
        grant = {**self.stored(conn_id), "expires_at": time.time() - 60}
        variable = {"key": f"tiktok_grant__{conn_id}", "value": json.dumps(grant)}
        path = f"/api/v2/variables/{variable['key']}"
        self.persist(lambda: self.airflow.ask("PATCH", path, variable))

    def _variable(self, conn_id: str) -> dict[str, Any]:
        path = f"/api/v2/variables/tiktok_grant__{conn_id}"
        return dict(self.persist(lambda: self.airflow.ask("GET", path)))

    # --- runs ---

    def start(self, dag_id: str, **conf: Any) -> str:
        """Start a run; its tasks come to the gate."""
        conf = {"gate": self.gate.address, **conf}
        return self.persist(lambda: self.airflow.trigger(dag_id, conf))

    def finished(self, dag_id: str, run_id: str, seconds: float) -> str:
        """Wait for the end of a run, and give its state."""

        self.until(lambda: self.run_is_over(dag_id, run_id) or None, seconds, f"the end of {run_id}")
        return self.airflow.run_state(dag_id, run_id)

    def run_is_over(self, dag_id: str, run_id: str) -> bool:
        """Tell whether Airflow says so."""
        return self.persist(lambda: self.airflow.run_state(dag_id, run_id)) in ("success", "failed")

    def tasks(self, dag_id: str, run_id: str, task_id: str) -> list[dict[str, Any]]:
        """Give a run's instances of one task."""
        tasks = self.persist(lambda: self.airflow.tasks(dag_id, run_id))
        return [task for task in tasks if task["task_id"] == task_id]

    def task_log(self, dag_id: str, run_id: str, task_id: str, number: int | None = None) -> str:
        """Give all that a run's instances of one task have logged, or one instance."""
        folder = self.airflow.home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
        folder = folder if number is None else folder / f"map_index={number}"
        return "\n".join(path.read_text(errors="replace") for path in sorted(folder.rglob("*.log")))

    @staticmethod
    def last_end(tasks: list[dict[str, Any]]) -> float:
        """Give the moment at which the last of these tasks ended, in seconds since 1970."""
        return max(datetime.fromisoformat(task["end_date"]).timestamp() for task in tasks)

    @contextmanager
    def waiting_sensor(self, conn_id: str, poll_interval: float = 3.0, count: int = 1) -> Iterator[Sensor]:
        """Have a deferred sensor, or several, poll for a publish all the time, and succeed at the end."""
        publish = self.begin_publish(self.sandbox.creator(self.creators[conn_id]).username)
        conf = {"publish_id": publish.publish_id, "conn_id": conn_id, "poll_interval": poll_interval}
        run_ids = [self.start("heavy_wait", **conf) for _ in range(count)]

        def states() -> list[tuple[str, int]]:
            tasks = (task for run_id in run_ids for task in self.tasks("heavy_wait", run_id, "wait"))
            return [(task["state"], task["try_number"]) for task in tasks]

        self.until(lambda: states() == [("deferred", 1)] * count or None, 90, "the sensors to defer")
        sensor = Sensor(run_ids)
        yield sensor
        if not sensor.may_fail:
            assert states() == [("deferred", 1)] * count, "the sensors have waited all the time"
        self.end_publish(publish)
        ends = {self.finished("heavy_wait", run_id, 90) for run_id in run_ids}
        assert sensor.may_fail or (ends == {"success"} and states() == [("success", 1)] * count)

    @staticmethod
    def until(look: Callable[[], T | None], seconds: float, what: str) -> T:
        """Look until there is something to be seen."""
        end = time.monotonic() + seconds
        while (seen := look()) is None:
            assert time.monotonic() < end, f"waited {seconds:.0f} s for {what}"
            time.sleep(0.3)
        return seen

    @staticmethod
    def persist(ask: Callable[[], T], seconds: float = 60.0) -> T:
        """Ask again while Airflow recovers from an outage."""
        end = time.monotonic() + seconds
        while True:
            try:
                return ask()
            except AirflowError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)

    # --- what it has written ---

    def written(self) -> dict[str, str]:
        """Give all that Airflow has written, and the arguments of all processes."""
        return {
            **files_of(self.airflow.home),
            "the metadata database": self.postgres.dump(DATABASE),
            "command lines": "\n".join(self.command_lines.seen),
        }

    def assert_no_secret_is_written(self) -> None:
        """Search for every secret that TikTok has given out, and for the app's own."""
        texts = self.written()
        words = cores(self.sandbox.secrets)
        assert len(words) > 5
        assert all(len(word) >= 40 for word in words)
        assert holding(texts, words) == []
        # that the search would have found them: each place holds what belongs there
        logs = {name: text for name, text in texts.items() if name.startswith("logs/dag_id=heavy")}
        assert holding(logs, ["Refreshed the access token of connection"])
        assert holding(logs, ['"level":"debug"'])
        assert {"the metadata database", "standalone.log"} <= set(holding(texts, ["heavy_"]))
        assert "airflow" in texts["command lines"]
        dump = texts["the metadata database"]
        assert "tiktok_grant__" in dump
        assert self.sandbox.knobs.client_key in dump, "the Connection is in the database"
        secret = self.sandbox.knobs.client_secret
        assert not holding({"": dump}, [secret])
        planted = {**texts, "command lines": texts["command lines"] + secret}
        assert holding(planted, words) == ["command lines"]

    # --- what TikTok has seen ---

    def refreshes(self) -> list[RequestRecord]:
        """Give every request to the token endpoint, oldest first."""
        return [each for each in self.sandbox.requests if each.endpoint == "token"]

    def begin_publish(self, creator: str = "creator1") -> Publish:
        """Begin a publish by another grant of the creator; it is processed until :meth:`end_publish`."""
        with httpx.Client() as http:
            answer = Caller(self.sandbox, http, self.sandbox.grant(creator)).inbox_init(one_chunk(1_000_000))
        publish_id = answer.json()["data"]["publish_id"]
        return next(each for each in self.sandbox.publishes if each.publish_id == publish_id)

    def end_publish(self, publish: Publish) -> None:
        """Have all bytes of a publish arrive and be processed."""
        sandbox = self.sandbox
        sandbox.knobs.processing_seconds = 0.0
        sandbox._in_loop(lambda: sandbox._world.bytes_in(publish))
