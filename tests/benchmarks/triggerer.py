"""
Airflow's own trigger runner in a process of its own, and what its supervisor would tell it.

The runner, its logs and its watchdog are Airflow's. The supervisor's side is played here, since a real one
keeps its triggers in a metadata database: it hands out triggers and answers for Variables.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import msgspec
import psutil

from airflow_provider_tiktok.sandbox.standalone import with_bytecode

RUNNER = "from tests.benchmarks.triggerer import run; run()"
READY_SECONDS, STOP_SECONDS = 60.0, 30.0
BLOCKED = "async thread was blocked"


class Triggerer:
    """
    A running triggerer; a context manager.

    :param folder: for its log
    :param environment: holds the Connections
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._log, self._lags = folder / "log.jsonl", folder / "lags.json"
        self._environment = with_bytecode(
            {**os.environ, **environment, "BENCHMARK_FOLDER": str(folder)}, folder
        )
        self._variables: dict[str, str] = {}
        self._coming: list[Any] = []
        self._synced = threading.Event()

    def __enter__(self) -> Self:
        self._socket, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-c", RUNNER], stdin=theirs.fileno(), env=self._environment
        )
        theirs.close()
        threading.Thread(target=self._supervise, name="supervisor", daemon=True).start()
        if not self._synced.wait(READY_SECONDS):
            raise RuntimeError("the trigger runner did not start")
        self._seen = psutil.Process(self._process.pid)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        finally:
            self._process.kill()
            self._socket.close()

    def start(self, classpath: str, many: list[dict[str, Any]]) -> None:
        """Have triggers run, all at once, as after a restart."""
        from airflow.executors.workloads import RunTrigger
        from airflow.executors.workloads.task import TaskInstanceDTO

        def workload(number: int, given: dict[str, Any]) -> RunTrigger:
            ti = TaskInstanceDTO(
                id=uuid.uuid4(),
                task_id="publish",
                dag_id="benchmark",
                run_id="run",
                try_number=1,
                map_index=number,
                dag_version_id=uuid.uuid4(),
                pool_slots=1,
                queue="default",
                priority_weight=1,
            )
            return RunTrigger(id=number, classpath=classpath, encrypted_kwargs=json.dumps(given), ti=ti)

        self._coming = [workload(number, given) for number, given in enumerate(many, 1)]

    @property
    def memory(self) -> int:
        """Resident bytes."""
        return int(self._seen.memory_info().rss)

    @property
    def cpu(self) -> float:
        """Seconds of CPU so far."""
        times = self._seen.cpu_times()
        return float(times.user + times.system)

    def log(self) -> list[dict[str, Any]]:
        """What it has logged."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def blocked(self, since: float) -> int:
        """How often Airflow has warned that something blocks the loop, from a moment of the wall clock on."""
        warnings = [line for line in self.log() if BLOCKED in str(line.get("event"))]
        return sum(datetime.fromisoformat(line["timestamp"]).timestamp() >= since for line in warnings)

    def longest_lag(self, since: float, until: float) -> float:
        """Seconds by which the loop was late at most, between two moments; only after its end."""
        lags = json.loads(self._lags.read_text())
        return max((lag for at, lag in lags if since <= at < until), default=0.0)

    # --- the supervisor's side ---

    def _supervise(self) -> None:
        from airflow.sdk.execution_time.comms import _RequestFrame, _ResponseFrame

        decode = msgspec.msgpack.Decoder(_RequestFrame).decode
        self._socket.sendall(_ResponseFrame(id=0, body={"type": "StartTriggerer"}).as_bytes())
        with self._socket.makefile("rb") as stream:
            while header := stream.read(4):
                frame = decode(stream.read(int.from_bytes(header, "big")))
                body, error = self._answer(frame.body or {})
                self._socket.sendall(_ResponseFrame(frame.id, body, error).as_bytes())

    def _answer(self, asked: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        kind, key = asked["type"], asked.get("key", "")
        if kind == "TriggerStateChanges":
            self._synced.set()
            coming, self._coming = self._coming, []
            created = [each.model_dump() for each in coming]
            return {"type": "TriggerStateSync", "to_create": created, "to_cancel": []}, None
        if kind == "GetVariable" and key not in self._variables:
            return None, {"type": "ErrorResponse", "error": "VARIABLE_NOT_FOUND", "detail": {"key": key}}
        if kind == "GetVariable":
            return {"type": "VariableResult", "key": key, "value": self._variables[key]}, None
        if kind == "GetVariableKeys":
            keys = [each for each in self._variables if each.startswith(asked.get("prefix") or "")]
            return {"type": "VariableKeysResult", "keys": keys, "total_entries": len(keys)}, None
        if kind == "PutVariable":
            self._variables[key] = asked["value"]
        elif kind == "DeleteVariable":
            self._variables.pop(key, None)
            return {"type": "OKResponse", "ok": True}, None
        return None, None


# --- the runner's process ---


def run() -> None:
    """Run the triggers that the supervisor hands out, until SIGTERM."""
    from airflow.jobs.triggerer_job_runner import TriggerRunner
    from airflow.sdk.execution_time.supervisor import _configure_logs_over_json_channel

    folder = Path(os.environ["BENCHMARK_FOLDER"])
    _configure_logs_over_json_channel(os.open(folder / "log.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    lags: list[tuple[float, float]] = []

    class Watched(TriggerRunner):
        async def init_comms(self) -> None:
            await super().init_comms()
            self._lags = asyncio.create_task(_measure(lags))

    Watched().run()
    (folder / "lags.json").write_text(json.dumps(lags))


async def _measure(lags: list[tuple[float, float]]) -> None:
    """Note, each second, by how much the loop was late."""
    while True:
        longest, end = 0.0, time.monotonic() + 1.0
        while (now := time.monotonic()) < end:
            await asyncio.sleep(0.05)
            longest = max(longest, time.monotonic() - now - 0.05)
        lags.append((end, longest))
