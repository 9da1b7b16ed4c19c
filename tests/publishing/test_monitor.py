"""The queue of one account: at its pace, in a fair order, and whoever leaves takes only their own along."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import itertools
import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_tiktok.api.endpoints import Call
from airflow_provider_tiktok.api.models import PublishStatus
from airflow_provider_tiktok.exceptions import TikTokError, TikTokNoAnswerError, answer_error
from airflow_provider_tiktok.publishing.budget import MOST, Budget
from airflow_provider_tiktok.publishing.monitor import Monitor
from airflow_provider_tiktok.publishing.status import Watch

#: Seconds of TikTok's minute: questions then come 10 ms apart.
MINUTE = 0.01 * MOST
PENDING = PublishStatus("PROCESSING_UPLOAD")
belongs_to: contextvars.ContextVar[str] = contextvars.ContextVar("belongs_to", default="nobody")


class Account:
    """Answers calls, and knows when it was asked for what."""

    def __init__(self, minute: float = MINUTE) -> None:
        self.asked: list[tuple[float, str]] = []
        self.contexts: list[str] = []
        self.seconds = 0.0
        self.error: Callable[[str], Exception | None] = lambda _: None
        self.monitor = Monitor(self.call, Budget(minute))

    async def call(self, call: Call[PublishStatus]) -> PublishStatus:
        publish_id = str((call.body or {})["publish_id"])
        self.asked.append((time.monotonic(), publish_id))
        self.contexts.append(belongs_to.get())
        belongs_to.set("the question")
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if error := self.error(publish_id):
            raise error
        return PENDING

    @property
    def order(self) -> list[str]:
        return [publish_id for _, publish_id in self.asked]


@pytest.fixture
def account() -> Account:
    return Account()


async def cancel(tasks: list[asyncio.Task[Any]]) -> None:
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class TestPace:
    async def test_many_at_once(self, account: Account) -> None:
        await asyncio.gather(*(account.monitor.look(str(each), 0) for each in range(50)))
        times = [at for at, _ in account.asked]
        assert len(times) == 50
        assert times[-1] - times[0] >= 49 * MINUTE / MOST * 0.95

    async def test_alone_it_does_not_wait(self, account: Account) -> None:
        account.monitor.budget = Budget(60.0)
        await asyncio.wait_for(account.monitor.look("p", 0), 1.0)

    async def test_a_slow_answer_holds_up_nobody(self, account: Account) -> None:
        account.seconds = 0.3
        began = time.monotonic()
        await asyncio.gather(*(account.monitor.look(str(each), 0) for each in range(20)))
        assert time.monotonic() - began < 20 * 0.3 / 2

    async def test_asks_once_a_turn(self, account: Account) -> None:
        """What a client repeats by itself is not in the budget."""
        calls: list[Call[PublishStatus]] = []

        async def call(call: Call[PublishStatus]) -> PublishStatus:
            calls.append(call)
            return PENDING

        await Monitor(call, Budget(60.0)).look("p", 0)
        assert [(each.repeatable, each.patient) for each in calls] == [(False, False)]

    async def test_429_slows_everybody_down(self, account: Account) -> None:
        account.error = lambda _: answer_error("status", "rate_limit_exceeded", http_status=429)
        with pytest.raises(TikTokError, match="rate_limit_exceeded"):
            await account.monitor.look("p", 0)
        assert account.monitor.budget.rate < MOST / 2 + 1

    async def test_other_errors_do_not(self, account: Account) -> None:
        account.error = lambda _: TikTokNoAnswerError("x")
        with pytest.raises(TikTokNoAnswerError):
            await account.monitor.look("p", 0)
        assert account.monitor.budget.rate == MOST


class TestOrder:
    async def test_the_longest_waiting_and_the_youngest_take_turns(self, account: Account) -> None:
        """Six who come in this order, the oldest publishes first."""
        looks = [
            account.monitor.look(name, looks) for name, looks in zip("abcdef", range(6, 0, -1), strict=True)
        ]
        await asyncio.gather(*looks)
        assert account.order == ["a", "f", "b", "e", "c", "d"]

    async def test_one_that_has_just_begun(self, account: Account) -> None:
        """It is among the next two, however many stand there."""
        tasks = [asyncio.create_task(account.monitor.look(f"old{each}", 90)) for each in range(30)]
        await asyncio.sleep(0)
        before = len(account.asked)
        tasks.append(asyncio.create_task(account.monitor.look("new", 0)))
        await asyncio.gather(*tasks)
        assert account.order.index("new") <= before + 2

    async def test_nobody_is_starved(self, account: Account) -> None:
        """Ever more come who are younger: the old one's turn comes all the same."""
        tasks = [asyncio.create_task(account.monitor.look(f"young{each}", 1)) for each in range(10)]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(account.monitor.look("old", 90)))

        async def crowd() -> None:
            for number in itertools.count():
                tasks.append(asyncio.create_task(account.monitor.look(f"next{number}", 0)))
                await asyncio.sleep(MINUTE / MOST / 2)  # twice as many as can be served

        crowding = asyncio.create_task(crowd())
        while "old" not in account.order and len(account.asked) < 100:
            await asyncio.sleep(0.01)
        await cancel([crowding, *tasks])
        assert account.order.index("old") <= 2 * 11 + 1

    async def test_after_a_restart(self, account: Account) -> None:
        """All come at once, and again as soon as they may: each has been asked for before any is twice."""

        async def wait(name: str) -> None:
            for looks in itertools.count():
                await account.monitor.look(name, looks)

        tasks = [asyncio.create_task(wait(str(each))) for each in range(20)]
        while len(account.asked) < 40:
            await asyncio.sleep(0.01)
        await cancel(tasks)
        assert len(set(account.order[:30])) == 20

    async def test_as_publishes_are_waited_for(self) -> None:
        """Twenty for a while, each with its own growing pauses: within the pace, and none forgotten."""
        scale = 100.0
        account = Account(60.0 / scale)

        async def wait(name: str) -> None:
            watch = Watch(30.0)
            with account.monitor.budget.waiting():
                for looks in itertools.count():
                    await asyncio.sleep(watch.pause(account.monitor.budget.interval * scale) / scale)
                    await account.monitor.look(name, looks)

        tasks = [asyncio.create_task(wait(str(each))) for each in range(20)]
        await asyncio.sleep(3.0)
        await cancel(tasks)
        times = [at for at, _ in account.asked]
        # a busy machine wakes late, and the next comes in time
        assert max(sum(at <= each < at + 60 / scale for each in times) for at in times) <= MOST + 2
        counts = Counter(account.order)
        assert len(counts) == 20
        assert min(counts.values()) >= max(counts.values()) / 3

    async def test_what_is_over_is_forgotten(self, account: Account) -> None:
        account.monitor.budget = Budget(MOST * 0.0005)
        for _ in range(20):
            await asyncio.gather(*(account.monitor.look(str(each), -each) for each in range(20)))
        assert len(account.monitor._youngest) + len(account.monitor._longest) < 100


class TestLeaving:
    async def test_a_waiter_that_is_cancelled_gives_its_turn_away(self, account: Account) -> None:
        account.monitor.budget = Budget(5.0)
        await account.monitor.look("first", 0)
        tasks = [asyncio.create_task(account.monitor.look(name, 0)) for name in "abc"]
        await asyncio.sleep(0)
        await cancel(tasks[:2])
        await tasks[2]
        assert account.order == ["first", "c"]

    async def test_a_question_that_is_cancelled(self, account: Account) -> None:
        account.seconds = 30.0
        task = asyncio.create_task(account.monitor.look("p", 0))
        await asyncio.sleep(0.05)
        assert account.order == ["p"]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others, "the question has ended with whoever asked it"

    async def test_all_leave(self, account: Account) -> None:
        account.monitor.budget = Budget(60.0)
        tasks = [asyncio.create_task(account.monitor.look(str(each), 0)) for each in range(20)]
        await asyncio.sleep(0.01)
        await cancel(tasks)
        account.monitor.budget = Budget(60.0)
        again = asyncio.create_task(account.monitor.look("again", 0))
        await asyncio.sleep(0.01)
        await cancel([again])
        assert not account.monitor._standing

    def test_a_loop_that_ends(self, caplog: pytest.LogCaptureFixture) -> None:
        """As a triggerer that shuts down: no task is destroyed while it is pending."""

        async def main() -> None:
            account = Account(60.0)
            account.seconds = 30.0
            tasks = [asyncio.create_task(account.monitor.look(str(each), 0)) for each in range(5)]
            await asyncio.sleep(0.05)
            assert tasks

        asyncio.run(main())
        gc.collect()
        assert [record.getMessage() for record in caplog.records] == []

    async def test_a_breakdown_reaches_everybody(
        self, account: Account, caplog: pytest.LogCaptureFixture
    ) -> None:
        account.monitor.budget = Budget(3.0)
        tasks = [asyncio.create_task(account.monitor.look(str(each), 0)) for each in range(5)]
        await asyncio.sleep(0)

        def broken() -> float:
            raise ZeroDivisionError

        account.monitor.budget.take = broken  # type: ignore[method-assign]
        results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5.0)
        assert results[0] is PENDING
        assert all(isinstance(each, TikTokError) for each in results[1:])
        assert len({id(each) for each in results}) == 5, "each has an error of its own"
        assert "ZeroDivisionError" in str(results[1])
        del account.monitor.budget.take
        assert await account.monitor.look("later", 0) is PENDING


class TestWhoseLog:
    """Airflow keeps in the context to which task's log a line belongs."""

    async def test_a_question_belongs_to_nobody(self, account: Account) -> None:
        async def wait(name: str) -> str:
            belongs_to.set(name)
            await account.monitor.look(name, 0)
            return belongs_to.get()

        seen = await asyncio.gather(*(asyncio.create_task(wait(name)) for name in "abcd"))
        assert account.contexts == ["nobody"] * 4
        assert seen == list("abcd"), "each goes on in its own"

    async def test_a_breakdown_too(self, account: Account) -> None:
        account.monitor.budget = Budget(3.0)
        logged: list[str] = []

        class Kept(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                logged.append(belongs_to.get())

        async def wait(name: str) -> None:
            belongs_to.set(name)
            await account.monitor.look(name, 0)

        tasks = [asyncio.create_task(wait(name)) for name in "ab"]
        await asyncio.sleep(0)
        account.monitor.budget.take = lambda: 1 / 0  # type: ignore[method-assign]
        logger, handler = logging.getLogger("airflow_provider_tiktok.publishing.monitor"), Kept()
        logger.addHandler(handler)
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            logger.removeHandler(handler)
        assert logged == ["nobody"]
