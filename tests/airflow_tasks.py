"""Runs operators and sensors as Airflow's task runner does, without an Airflow: what their tests share."""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import json
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

#: Modules that wait, and in which a test must not.
WAITING_MODULES = (
    "airflow_provider_tiktok.api.client",
    "airflow_provider_tiktok.api.upload",
    "airflow_provider_tiktok.media.readable",
    "airflow_provider_tiktok.claim",
    "airflow_provider_tiktok.publishing.begin",
    "airflow_provider_tiktok.publishing.floor",
    "airflow_provider_tiktok.publishing.publisher",
    "airflow_provider_tiktok.publishing.sending",
    "airflow_provider_tiktok.publishing.budget",
    "airflow_provider_tiktok.publishing.monitor",
    "airflow_provider_tiktok.publishing.status",
    "airflow_provider_tiktok.publishing.turn",
    "airflow_provider_tiktok.publishing.upload",
    "airflow_provider_tiktok.auth.grant",
    "airflow_provider_tiktok.auth.keeper",
    "airflow_provider_tiktok.auth.renewal",
)
SENSOR_MODULES = ("airflow.sdk.bases.sensor", "airflow.sensors.base")
SAMPLE = Path(__file__).parents[1] / "example_dags" / "media" / "sample.mp4"
INITS = {"video_init", "inbox_init", "content_init"}


class FakeClock:
    """Stands for the module ``time``: sleeping takes no time, but all clocks go on."""

    def __init__(self, advance: Callable[[float], None] = lambda _: None) -> None:
        self.pauses: list[float] = []
        self.ahead = 0.0
        self._advance = advance

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in (*WAITING_MODULES, *SENSOR_MODULES):
            try:
                module = importlib.import_module(name)
            except ImportError:  # the other Airflow's
                continue
            if getattr(module, "time", None) is time:
                monkeypatch.setattr(module, "time", self)
        trigger = importlib.import_module("airflow_provider_tiktok.triggers.waiting")
        client = importlib.import_module("airflow_provider_tiktok.api.client")
        floor = importlib.import_module("airflow_provider_tiktok.publishing.floor")
        for module in (trigger, client, floor):
            monkeypatch.setattr(module, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": self.asleep}))
        monitor = importlib.import_module("airflow_provider_tiktok.publishing.monitor")
        after = lambda one, seconds: self._turn_after(one, seconds)  # noqa: E731, PLW0108 - becomes a method
        monkeypatch.setattr(monitor.Monitor, "_after", after)

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def time(self) -> float:
        return time.time() + self.ahead

    def clock_gettime(self, clock: int) -> float:
        return time.clock_gettime(clock) + self.ahead

    def strftime(self, *given: Any) -> str:
        return time.strftime(*given)

    def gmtime(self, seconds: float) -> time.struct_time:
        return time.gmtime(seconds)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.ahead += seconds
        self._advance(seconds)

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)
        await asyncio.sleep(0)

    def _turn_after(self, monitor: Any, seconds: float) -> asyncio.Handle:
        """No pause of anybody's own, so it is not among them."""
        self.ahead += seconds
        self._advance(seconds)
        return asyncio.get_running_loop().call_soon(monitor._give_more)


class FakeVariables:
    """Airflow's Variables in memory; ``threads`` are the ones that asked, ``slow`` what each access takes."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.slow = 0.0
        self.broken = False
        self.reads: list[str] = []
        self.threads: set[int] = set()

    def _access(self) -> None:
        import threading

        self.threads.add(threading.get_ident())
        if self.slow:
            time.sleep(self.slow)
        if self.broken:
            raise RuntimeError("the metadata database does not answer")

    def get(self, key: str) -> str:
        self._access()
        self.reads.append(key)
        return self.values[key]

    def set(self, key: str, value: str) -> None:
        self._access()
        self.values[key] = value

    def delete(self, key: str) -> None:
        self._access()
        self.values.pop(key, None)


class StoredVariables(FakeVariables):
    """Airflow's Variables in a folder, for processes that come one after the other."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = Path(folder)
        self._folder.mkdir(exist_ok=True)

    def get(self, key: str) -> str:
        try:
            return (self._folder / key).read_text()
        except FileNotFoundError:
            raise KeyError(key) from None

    def set(self, key: str, value: str) -> None:
        (self._folder / f".{key}").write_text(value)
        (self._folder / f".{key}").rename(self._folder / key)

    def delete(self, key: str) -> None:
        (self._folder / key).unlink(missing_ok=True)


class FakeTi:
    """A task instance that keeps its XComs."""

    def __init__(self, xcoms: dict[str, Any] | None = None) -> None:
        self.xcoms: dict[str, Any] = dict(xcoms or {})
        self.task_id, self.dag_id, self.run_id = "task", "dag", "run"
        self.map_index, self.try_number, self.max_tries = -1, 1, 0
        self.start_date = datetime.now(UTC)
        self.first_reschedule: datetime | None = None
        self.broken = False

    def xcom_push(self, key: str, value: Any) -> None:
        if self.broken:
            raise RuntimeError("the API server does not answer")
        self.xcoms[key] = json.loads(json.dumps(value))

    def xcom_pull(self, task_ids: Any = None, *, key: str = "return_value", map_indexes: Any = None) -> Any:
        if self.broken:
            raise RuntimeError("the API server does not answer")
        return self.xcoms.get(key)

    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        return self.first_reschedule


def context_of(ti: FakeTi | None = None, **more: Any) -> dict[str, Any]:
    return {"ti": ti or FakeTi(), "params": {}, "run_id": "run", **more}


def run(task: Any, ti: FakeTi | None = None, **more: Any) -> Any:
    """Render a task's fields and execute it, as Airflow's task runner does."""
    context = context_of(ti, **more)
    task.render_template_fields(context)
    return executed(task, task.execute, context)


def executed(task: Any, function: Callable[..., Any], context: dict[str, Any]) -> Any:
    """Call ``execute`` in the way that Airflow 3 takes for the task runner's."""
    own = contextvars.copy_context()
    try:
        from airflow.sdk.bases.operator import ExecutorSafeguard
    except ImportError:
        return function(context, **{f"{type(task).__name__}__sentinel": _sentinel()})
    own.run(ExecutorSafeguard.tracker.set, task)
    return own.run(function, context=context)


def _sentinel() -> Any:
    from airflow.models import baseoperator

    return baseoperator._sentinel


def resume(task: Any, event: Any, ti: FakeTi | None = None) -> Any:
    """Resume a deferred task with an event, as Airflow's task runner does."""
    return task.resume_execution("execute_complete", {"event": event}, context_of(ti))


def let_go(task: Any, ti: FakeTi | None = None, ticket: str = "t1") -> Any:
    """Resume a task whose turn to post has come, as Airflow's task runner does."""
    event = {"status": "released", "ticket": ticket, "after": ""}
    return task.resume_execution("execute_released", {"event": event, "place": None}, context_of(ti))


def fail_deferral(task: Any, reason: str = "Trigger timeout", ti: FakeTi | None = None) -> Any:
    """Resume a task whose trigger failed, or whose deferral timed out."""
    return task.resume_execution("__fail__", {"error": reason, "traceback": None}, context_of(ti))


async def first_event(trigger: Any) -> Any:
    """Serialize a trigger, make it again as the triggerer does, and run it to its event."""
    again = revived(trigger)
    events = [event.payload async for event in again.run()]
    assert len(events) == 1, "one event, then the end"
    return json.loads(json.dumps(events[0]))


def revived(trigger: Any) -> Any:
    path, kwargs = trigger.serialize()
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)(**json.loads(json.dumps(kwargs)))


def publish_connection(monkeypatch: pytest.MonkeyPatch, conn_id: str, connection: dict[str, Any]) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))


def endpoints_of(tiktok: Any) -> list[str]:
    """The endpoints that were asked, in order."""
    return [each.endpoint for each in tiktok.requests]


def inits_of(tiktok: Any) -> list[str]:
    return [each for each in endpoints_of(tiktok) if each in INITS]


def ended_publish(tiktok: Any) -> Any:
    """The one publish, once the local TikTok has done with it."""
    for _ in range(1000):
        (publish,) = tiktok.publishes
        if not publish.in_progress:
            return publish
        time.sleep(0.01)
    raise AssertionError("still in progress")


def longer(video: Path, size: int, path: Path) -> Path:
    """A copy of an MP4 with a box at its end that players skip, so that it has exactly this size."""
    data = video.read_bytes()
    padding = size - len(data)
    assert padding >= 8
    with path.open("wb") as file:
        file.write(data + padding.to_bytes(4, "big") + b"free")
        # not zeros only, so that ranges that are swapped or sent twice are noticed
        block = bytes(range(256)) * 4096
        missing = padding - 8
        while missing > 0:
            missing -= file.write(block[:missing] if missing < len(block) else block)
            block = block[1:] + block[:1]
    return path


SECRET = re.compile(r"(act|rft|clt)\.[\w-]{20,}|upload_token=[\w-]{20,}")


def secrets_in(texts: Iterable[object], *more: str) -> list[str]:
    """What looks like one of the local TikTok's secrets, or is one of those named."""
    found = []
    for each in texts:
        text = str(each)
        found += [match[0] for match in SECRET.finditer(text)]
        found += [secret for secret in more if secret and secret in text]
    return found


#: Where each Airflow keeps what it masks: 3.1 and newer, 3.0, 2.
MASKER_MODULES = (
    "airflow.sdk._shared.secrets_masker",
    "airflow.sdk.execution_time.secrets_masker",
    "airflow.utils.log.secrets_masker",
)


def forget_masks() -> None:
    """Empty Airflow's log masker: with every secret of a test run in it, each line takes longer."""
    masker = first_module(MASKER_MODULES)._secrets_masker()
    masker.patterns, masker.replacer = set(), None


def first_module(names: Iterable[str]) -> Any:
    """Give the first of these modules that this Airflow has."""
    for name in names:
        with suppress(ImportError):
            return importlib.import_module(name)
    raise ImportError(f"none of {', '.join(names)}")
