"""No trigger fires so early that Airflow fails its task: the later, the more of them there are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from airflow_provider_tiktok.publishing.floor import Floor
from tests.airflow_tasks import FakeClock


@pytest.fixture
def time_of(clock: FakeClock) -> Iterator[FakeClock]:
    before = Floor._running
    yield clock
    assert Floor._running == before, "each takes itself out of the number, whatever happens"


@pytest.mark.parametrize(("others", "seconds"), [(0, 5.5), (50, 7.0), (999, 9.0)])
async def test_the_more_wait_the_longer(time_of: FakeClock, others: int, seconds: float) -> None:
    """The scheduler is slowest where it has just resumed a whole backlog."""
    with ExitStack() as crowd:
        for _ in range(others):
            crowd.enter_context(Floor())
        began = time_of.monotonic()
        with Floor() as floor:
            await floor.reached()
        assert time_of.monotonic() - began == pytest.approx(seconds, abs=0.1)


async def test_where_supervisors_look_more_seldom_it_is_longer(
    time_of: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "20")
    began = time_of.monotonic()
    with Floor() as floor:
        await floor.reached()
    assert time_of.monotonic() - began == pytest.approx(20.5, abs=0.1)


async def test_what_has_passed_counts(time_of: FakeClock) -> None:
    began = time_of.monotonic()
    with Floor() as floor:
        time_of.sleep(60.0)
        await floor.reached()
    assert time_of.monotonic() - began == pytest.approx(60.0, abs=0.1)


async def test_one_that_is_cancelled_counts_no_more(time_of: FakeClock) -> None:
    async def waits() -> None:
        with Floor():
            await asyncio.Event().wait()

    waiting = asyncio.ensure_future(waits())
    while not Floor._running:
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
