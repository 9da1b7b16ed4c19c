"""A StatsD server on loopback, and Airflow's metrics set up to send to it."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import socket
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

#: What Airflow's task processes use, and its own components; the same below 3.2.
TASKS, COMPONENTS = "airflow.sdk.observability", "airflow.observability"


class Statsd:
    """Keeps what it is sent; ``lines`` are the texts, one a metric."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._lines: list[str] = []

    @property
    def environment(self) -> dict[str, str]:
        """What has an Airflow send here."""
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self.port),
        }

    @property
    def lines(self) -> list[str]:
        """All that has come, ours only."""
        self._socket.settimeout(0.05)
        with contextlib.suppress(TimeoutError):
            while True:
                self._lines += self._socket.recv(65536).decode().splitlines()
        return [line.removeprefix("airflow.") for line in self._lines if line.startswith("airflow.tiktok.")]

    def counts(self) -> dict[str, int]:
        """The counters: name -> sum."""
        found: dict[str, int] = {}
        for name, value in self._values("c"):
            found[name] = found.get(name, 0) + int(value)
        return found

    def milliseconds(self) -> dict[str, list[float]]:
        """The timers: name -> what was told."""
        found: dict[str, list[float]] = {}
        for name, value in self._values("ms"):
            found.setdefault(name, []).append(float(value))
        return found

    def wait_for(self, name: str, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if name in self.counts():
                return True
        return False

    def _values(self, kind: str) -> Iterator[tuple[str, str]]:
        for line in self.lines:
            name, _, rest = line.rpartition(":")
            value, _, its = rest.partition("|")
            if its == kind:
                yield name, value

    def close(self) -> None:
        self._socket.close()


def homes() -> list[str]:
    """The copies of Airflow's metrics that are there."""
    found = []
    for home in (TASKS, COMPONENTS):
        with contextlib.suppress(ImportError):
            importlib.import_module(f"{home}.stats")
            found.append(home)
    return found or ["airflow"]


def set_up(home: str) -> None:
    """Do as Airflow's processes of this kind do when they start."""
    if home == "airflow":
        stats = importlib.import_module("airflow.stats").Stats
        stats.__class__.factory = importlib.import_module("airflow.metrics.statsd_logger").get_statsd_logger
        stats.instance = None
        return
    stats = importlib.import_module(f"{home}.stats")
    of_this = importlib.import_module(f"{home}.metrics.stats_utils").get_stats_factory
    # 3.2 wants the class
    _initialize(stats, of_this(stats.Stats) if inspect.signature(of_this).parameters else of_this())


def put_back(home: str) -> None:
    if home == "airflow":
        logger = importlib.import_module("airflow.metrics.base_stats_logger").NoStatsLogger
        stats = importlib.import_module("airflow.stats").Stats
        stats.__class__.factory, stats.instance = logger, None
        return
    _initialize(importlib.import_module(f"{home}.stats"), None)


def _initialize(module: ModuleType, factory: Any) -> None:
    if hasattr(module, "initialize"):
        module.initialize(factory=factory, export_legacy_names=False)
    else:  # 3.2
        module.Stats.initialize(factory=factory)
