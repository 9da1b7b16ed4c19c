"""The trigger that waits for a turn: real triggers in a real event loop, against a local TikTok."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_tiktok import exceptions as errors
from airflow_provider_tiktok.api.client import AsyncClient
from airflow_provider_tiktok.auth.flight import two_may_ask
from airflow_provider_tiktok.exceptions import answer_error
from airflow_provider_tiktok.hooks import tiktok as hook_module
from airflow_provider_tiktok.hooks.tiktok import TikTokHook
from airflow_provider_tiktok.publishing import floor
from airflow_provider_tiktok.publishing import queue as queue_module
from airflow_provider_tiktok.publishing.events import read_release
from airflow_provider_tiktok.publishing.pace import OK, Released
from airflow_provider_tiktok.publishing.queue import Pause, Queue
from airflow_provider_tiktok.publishing.trail import Entry, Trail
from airflow_provider_tiktok.publishing.turn import note_outcome
from airflow_provider_tiktok.sandbox.server import Sandbox
from airflow_provider_tiktok.triggers import waiting
from airflow_provider_tiktok.triggers.pace import TikTokPaceTrigger
from tests.airflow_tasks import FakeVariables, endpoints_of, first_event, revived, secrets_in
from tests.publishing.pacing import least_seconds
from tests.triggers.backlog import Backlog, inits, refused

Connect = Callable[..., dict[str, Any]]
DIRECT = "DIRECT_POST"
NAME = "tiktok_pace__tiktok_default"
DATE = "2026-11-01T00:00:00.000000+00:00"


def trigger(index: int = 0, conn_id: str = "tiktok_default", **options: Any) -> TikTokPaceTrigger:
    options.setdefault("asked", time.time())
    return TikTokPaceTrigger(conn_id, f"t{index}", DATE, index, **options)


async def released(*triggers: TikTokPaceTrigger) -> list[Any]:
    """Each one's release, or the error that its task would raise."""

    async def one(each: TikTokPaceTrigger) -> Any:
        try:
            return read_release(await first_event(each))
        except errors.TikTokError as error:
            return error

    return await asyncio.gather(*map(one, triggers))


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real time, but little of it."""
    monkeypatch.setattr(floor, "FLOOR_SECONDS", 0.0)
    for name, seconds in (("READY_SECONDS", 0.2), ("COLLECT_SECONDS", 0.4), ("QUIET_SECONDS", 0.1)):
        monkeypatch.setattr(queue_module, name, seconds)


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[AsyncClient]]:
    """Every async client that a hook makes."""
    made: list[AsyncClient] = []

    def make(*args: Any, **options: Any) -> AsyncClient:
        made.append(AsyncClient(*args, **options))
        return made[-1]

    monkeypatch.setattr(hook_module, "AsyncClient", make)
    yield made
    assert all(each.transport._client.is_closed for each in made), "closed when the last one leaves"


@pytest.fixture
def quick(tiktok: Sandbox, connect: Connect, hurried: None) -> Sandbox:
    """A local TikTok whose minute is 2 s, and whose day is 20 s."""
    tiktok.knobs.update({"minute": 2.0, "day": 20.0})
    connect()
    return tiktok


def posted(variables: FakeVariables, number: int, age: float = 10.0) -> None:
    """Posts of the account's own, as its trail tells of them."""
    now = time.time()
    entries = tuple(Entry(now - age + each / 100, f"d{each}", OK, DIRECT) for each in range(number))
    variables.values[NAME] = Trail(entries).dumped()


class TestSerialize:
    def test_round_trip(self) -> None:
        given = {
            "tiktok_conn_id": "conn",
            "ticket": "t",
            "logical_date": DATE,
            "map_index": 3,
            "asked": 12.5,
            "tries": 2,
            "limit": "day",
            "post_mode": "MEDIA_UPLOAD",
            "max_wait": None,
        }
        made = TikTokPaceTrigger(**given)
        path, kwargs = made.serialize()
        assert path == "airflow_provider_tiktok.triggers.pace.TikTokPaceTrigger"
        assert json.loads(json.dumps(kwargs)) == given
        assert revived(made).serialize() == (path, kwargs)

    def test_plain_values(self) -> None:
        assert {type(each) for each in trigger().serialize()[1].values()} <= {str, float, int}


class TestReleases:
    async def test_one(self, quick: Sandbox) -> None:
        (turn,) = await released(trigger(1))
        assert isinstance(turn, Released)
        assert turn.ticket.startswith("t1.")
        assert turn.after == ""
        assert endpoints_of(quick) == [], "nothing is asked while there is room"

    @pytest.mark.skipif(not two_may_ask(), reason="where only one thread may ask Airflow, tasks refresh it")
    async def test_the_token_is_fresh_when_a_task_needs_it(
        self, tiktok: Sandbox, connect: Connect, hurried: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is refreshed here meanwhile: a task's process would wait for that, and take up a worker."""
        monkeypatch.setenv("AIRFLOW__TIKTOK__CLAIM_WRITE_SECONDS", "0.1")
        connect(expires_in=1)
        await released(trigger())
        assert endpoints_of(tiktok) == ["token"]

    async def test_never_within_its_first_seconds(
        self, quick: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(floor, "FLOOR_SECONDS", 1.0)
        began = time.monotonic()
        await released(trigger(), trigger(1, max_wait=0.0))
        assert time.monotonic() - began >= 1.0

    def test_the_first_seconds(self) -> None:
        """Both are Airflow's: no trigger may fire before the scheduler has read its task's exit."""
        assert floor.FLOOR_SECONDS == queue_module.READY_SECONDS == 5.5

    async def test_in_order_however_they_come(self, quick: Sandbox) -> None:
        """As after a restart of the triggerer, which remembers nothing."""
        order: list[int] = []

        async def one(index: int) -> None:
            await first_event(trigger(index))
            order.append(index)

        await asyncio.gather(*map(one, random.Random(1).sample(range(4), 4)))
        assert order == [0, 1, 2, 3]

    async def test_the_next_batch_knows_the_one_before(self, quick: Sandbox) -> None:
        """The queue was empty between; who was released is still on the way."""
        ((first,), (second,)) = [await released(trigger(index)) for index in (1, 2)]
        assert second.after == first.ticket

    async def test_without_variables(self, quick: Sandbox, variables: FakeVariables) -> None:
        variables.broken = True
        (turn,) = await released(trigger())
        assert isinstance(turn, Released)

    async def test_accounts_do_not_wait_for_each_other(self, quick: Sandbox, connect: Connect) -> None:
        connect("bob", conn_id="bob")
        both = await released(trigger(1), trigger(2, "bob"), trigger(3, post_mode="MEDIA_UPLOAD"))
        assert [each.after for each in both] == ["", "", ""]

    def test_two_loops_in_one_process(self, quick: Sandbox, clients: list[AsyncClient]) -> None:
        found: list[Any] = []

        def run() -> None:
            found.extend(asyncio.run(released(trigger(1), trigger(2))))

        threads = [threading.Thread(target=run) for _ in range(2)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert len(found) == 4
        assert all(isinstance(each, Released) for each in found)


class TestBacklog:
    @pytest.mark.integration
    async def test_at_the_minute_s_pace(self, tiktok: Sandbox, connect: Connect, hurried: None) -> None:
        """14 tasks, whose processes take a random while to start: none refused, in order, hardly any loss."""
        tiktok.knobs.minute = 5.0
        connect()
        backlog = Backlog(tiktok)
        await backlog.drain(range(14))
        assert refused(tiktok) == []
        assert backlog.order == list(range(14))
        times = [each.time for each in inits(tiktok)]
        least = least_seconds(14, queue_module.Windows(5.0))
        assert times[-1] - times[0] < 1.25 * least + 1.0

    @pytest.mark.integration
    async def test_over_two_days(self, tiktok: Sandbox, connect: Connect, hurried: None) -> None:
        """20 tasks at 15 a day, TikTok's cap met by the queue alone: not one init is refused."""
        tiktok.knobs.update({"minute": 4.0, "day": 20.0})
        connect()
        backlog = Backlog(tiktok)
        await backlog.drain(range(20))
        assert refused(tiktok) == []
        assert backlog.order == list(range(20))
        while any(each.in_progress for each in tiktok.publishes):
            await asyncio.sleep(0.02)
        assert [each.title for each in tiktok.posts] == [str(index) for index in range(20)]
        times = [each.time for each in inits(tiktok)]
        assert times[-1] - times[0] < 1.25 * (8.0 + 20.0)
        assert not any(each.status == 429 for each in tiktok.requests), "nor is creator_info overdone"

    async def test_a_task_that_fails_before_its_init(self, quick: Sandbox) -> None:
        """It says that it goes, once the one before it has posted; the next does not wait for it."""
        starts = iter([1.5, 0.1, 0.1, 0.1])
        backlog = Backlog(quick, fails={1}, start=lambda: next(starts))
        assert await backlog.drain(range(4)) < 10.0
        assert backlog.order == [0, 2, 3]


class TestDay:
    async def test_asks_and_waits(
        self, quick: Sandbox, variables: FakeVariables, clients: list[AsyncClient]
    ) -> None:
        """One asks for all; when a place frees, one of them goes."""
        posted(variables, 15)
        quick.creator("alice").post_cap = 0
        waiting = [asyncio.ensure_future(released(trigger(index))) for index in range(5)]
        await asyncio.sleep(3.0)
        asked = endpoints_of(quick)
        assert set(asked) == {"creator_info"}
        assert 2 <= len(asked) <= 24
        assert not any(each.done() for each in waiting)
        quick.creator("alice").post_cap = 15
        done, rest = await asyncio.wait(waiting, timeout=1.5)
        assert [each.result()[0].ticket[:3] for each in done] == ["t0."]
        for each in rest:
            each.cancel()
        await asyncio.wait(rest)

    async def test_tiktok_s_trouble_is_waited_out(self, quick: Sandbox, variables: FakeVariables) -> None:
        posted(variables, 15)
        quick.fault("creator_info", action="error", code="internal_error", status=500, times=4)
        (turn,) = await released(trigger())
        assert isinstance(turn, Released)

    async def test_max_wait(self, quick: Sandbox, variables: FakeVariables) -> None:
        posted(variables, 15, age=5.0)
        quick.creator("alice").post_cap = 0
        began = time.monotonic()
        (error,) = await released(trigger(max_wait=6.0, asked=time.time() - 100.0))
        assert isinstance(error, errors.TikTokCapError)
        assert error.code == "spam_risk_too_many_posts"
        assert "max_wait" in str(error)
        assert 0.5 < time.monotonic() - began < 4.0, "counted from the account's last post"


class TestCircuit:
    async def test_an_obstacle_that_a_task_met(self, quick: Sandbox) -> None:
        hook = TikTokHook()
        note_outcome(hook, answer_error("video init", "auth_removed", detail="Gone.", log_id="2026"), DIRECT)
        told = await released(*[trigger(index) for index in range(5)])
        assert {type(each) for each in told} == {errors.TikTokConsentError}
        assert {(each.code, each.log_id) for each in told} == {("auth_removed", "2026")}
        assert "--conn-id tiktok_default" in str(told[0])
        assert endpoints_of(quick) == []

    async def test_a_new_grant_ends_it(self, quick: Sandbox) -> None:
        hook = TikTokHook()
        note_outcome(hook, answer_error("video init", "auth_removed"), DIRECT)
        await asyncio.to_thread(hook.renew_grant)
        (turn,) = await released(trigger())
        assert isinstance(turn, Released)

    async def test_an_obstacle_that_the_head_meets(self, quick: Sandbox, variables: FakeVariables) -> None:
        """All fail with it, and one has asked."""
        posted(variables, 15)
        quick.creator("alice").banned = True
        told = await released(*[trigger(index) for index in range(5)])
        assert {each.code for each in told} == {"spam_risk_user_banned_from_posting"}
        assert endpoints_of(quick) == ["creator_info"]


class TestUnreadable:
    async def test_a_connection_that_cannot_be_read(
        self, quick: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In a triggerer an outage of the database looks like absence: it waits on."""
        monkeypatch.setattr(waiting, "AGAIN_SECONDS", 0.05)
        real, tries = hook_module.TikTokHook.get_connection, []

        def failing(_: object, conn_id: str) -> Any:
            tries.append(1)
            if len(tries) < 4:
                raise RuntimeError("the metadata database does not answer")
            return real(conn_id)

        monkeypatch.setattr(hook_module.TikTokHook, "get_connection", failing)
        (turn,) = await released(trigger())
        assert isinstance(turn, Released)
        assert len(tries) == 4

    async def test_but_not_for_ever(self, quick: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(waiting, "AGAIN_SECONDS", 0.05)
        (error,) = await released(trigger(conn_id="nowhere", max_wait=0.3))
        assert "max_wait" in str(error)

    async def test_a_connection_that_lacks_something(
        self, quick: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_EMPTY", json.dumps({"conn_type": "tiktok"}))
        (error,) = await released(trigger(conn_id="empty"))
        assert isinstance(error, errors.TikTokConfigError)
        assert "client key" in str(error)

    async def test_slow_variables_do_not_stop_the_loop(
        self, quick: Sandbox, variables: FakeVariables
    ) -> None:
        variables.slow = 1.0
        gaps: list[float] = []

        async def tick() -> None:
            while True:
                before = time.monotonic()
                await asyncio.sleep(0.01)
                gaps.append(time.monotonic() - before)

        ticking = asyncio.ensure_future(tick())
        await released(trigger())
        ticking.cancel()
        assert max(gaps) < 0.5

    async def test_slow_variables_hold_nobody_up(self, quick: Sandbox, variables: FakeVariables) -> None:
        """With many at once an answer of Airflow's takes seconds; a turn does not wait for it."""
        waiting = asyncio.ensure_future(released(*[trigger(index) for index in range(3)]))
        await asyncio.sleep(0.1)
        variables.slow = 6.0
        began = time.monotonic()
        assert all(isinstance(each, Released) for each in await waiting)
        assert time.monotonic() - began < 5.5


class TestLeaves:
    async def test_who_is_cancelled(self, quick: Sandbox, clients: list[AsyncClient]) -> None:
        """The next has its turn, and nothing is left behind."""
        first = asyncio.ensure_future(released(trigger(0)))
        second = asyncio.ensure_future(released(trigger(1)))
        await asyncio.sleep(0.05)
        first.cancel()
        (turn,) = await second
        assert turn.ticket.startswith("t1.")
        assert await asyncio.gather(first, return_exceptions=True)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def test_all_at_once(
        self, quick: Sandbox, variables: FakeVariables, clients: list[AsyncClient]
    ) -> None:
        """As when a triggerer ends, in the middle of a question to TikTok."""
        posted(variables, 15)
        quick.fault("creator_info", action="delay", seconds=5.0)
        waiting = [asyncio.ensure_future(released(trigger(index))) for index in range(5)]
        await asyncio.sleep(0.8)
        for each in waiting:
            each.cancel()
        await asyncio.wait(waiting, timeout=3.0)
        assert all(each.cancelled() for each in waiting)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def test_a_crash_reaches_all(self, quick: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        def crash(queue: Queue, *_: object) -> Pause:
            return Pause(float("inf")) if len(queue.waiters) < 5 else Pause(1 / 0)

        with monkeypatch.context() as patch:
            patch.setattr(Queue, "step", crash)
            told = await released(*[trigger(index) for index in range(5)])
        assert all("broke down (ZeroDivisionError)" in str(each) for each in told)
        (turn,) = await released(trigger())
        assert isinstance(turn, Released), "and the next ones have a queue that works"


class Logs:
    """Whose context each line was logged in: Airflow keeps there to whose log it belongs."""

    def __init__(self) -> None:
        self.whose = contextvars.ContextVar("whose", default="nobody")
        self.lines: list[tuple[str, str]] = []

    async def run(self, index: int, **options: Any) -> None:
        self.whose.set(f"task {index}")
        await first_event(trigger(index, **options))

    def by(self, text: str) -> list[str]:
        return sorted(who for who, line in self.lines if text in line)


@pytest.fixture
def logs() -> Iterator[Logs]:
    made = Logs()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            made.lines.append((made.whose.get(), record.getMessage()))

    logger = logging.getLogger("airflow_provider_tiktok")
    handler, level = Handler(), logger.level
    logger.addHandler(handler)
    logger.setLevel("DEBUG")
    yield made
    logger.removeHandler(handler)
    logger.setLevel(level)


class TestLogs:
    async def test_each_task_logs_its_own(self, quick: Sandbox, variables: FakeVariables, logs: Logs) -> None:
        posted(variables, 15, age=9.0)
        quick.creator("alice").post_cap = 0
        await asyncio.gather(*[logs.run(index, max_wait=3.0 - index) for index in range(2)])
        assert logs.by("Waiting for a turn") == ["task 0", "task 1"]
        assert set(logs.by("no place yet")) == {"task 0"}, "it was the head"
        assert secrets_in([text for _, text in logs.lines], *quick.secrets) == []

    async def test_what_concerns_all_is_no_task_s(
        self, quick: Sandbox, logs: Logs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Queue, "next_deadline", lambda *_: 1 / 0)
        await asyncio.gather(*[logs.run(index) for index in range(2)])
        assert set(logs.by("broke down")) == {"nobody"}, "once, or twice where the second came after it"
