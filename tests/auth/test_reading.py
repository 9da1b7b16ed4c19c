"""Connections that are wanted by many at once: one reading after the other, and none that is stale."""

from __future__ import annotations

import asyncio
import gc
import re

import pytest

from airflow_provider_tiktok.auth import reading
from airflow_provider_tiktok.auth.account import Account
from airflow_provider_tiktok.auth.reading import Readings, masking
from airflow_provider_tiktok.exceptions import TikTokStoreError


class Connections:
    """Can be read; counts how many do at a time."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.now = self.most = 0
        self.broken = False

    async def one(self, conn_id: str) -> Account:
        self.read.append(conn_id)
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.01)
        self.now -= 1
        if self.broken:
            raise TikTokStoreError("no database")
        return Account(conn_id, "key", f"secret {len(self.read)}")


async def test_many_at_once() -> None:
    connections, readings = Connections(), Readings()
    wanted = [f"creator_{number % 3}" for number in range(60)]
    accounts = await asyncio.gather(
        *(readings.account(each, lambda each=each: connections.one(each)) for each in wanted)
    )
    assert [each.conn_id for each in accounts] == wanted
    assert connections.most == 1
    assert len(connections.read) <= 4, "the first begins before the others have asked"


async def test_whoever_comes_later_hears_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "FRESH_SECONDS", 0.05)
    connections, readings = Connections(), Readings()
    first = await readings.account("c", lambda: connections.one("c"))
    await asyncio.sleep(0.1)
    second = await readings.account("c", lambda: connections.one("c"))
    assert first.client_secret != second.client_secret


async def test_whoever_comes_a_moment_later_waits_for_nobody() -> None:
    """Of a backlog, the first in order came late: behind the readings of other accounts."""
    connections, readings = Connections(), Readings()
    first = await readings.account("c", lambda: connections.one("c"))
    others = asyncio.create_task(readings.account("d", lambda: connections.one("d")))
    await asyncio.sleep(0.001)
    assert await readings.account("c", lambda: connections.one("c")) is first
    assert not others.done()
    await others


async def test_a_reading_that_failed_is_never_young_enough() -> None:
    connections, readings = Connections(), Readings()
    connections.broken = True
    with pytest.raises(TikTokStoreError):
        await readings.account("c", lambda: connections.one("c"))
    connections.broken = False
    assert (await readings.account("c", lambda: connections.one("c"))).conn_id == "c"


async def test_whoever_comes_while_it_is_read_has_it_read_again() -> None:
    """What they are told must not be older than their question."""
    connections, readings = Connections(), Readings()
    first = asyncio.create_task(readings.account("c", lambda: connections.one("c")))
    await asyncio.sleep(0.005)
    second = await readings.account("c", lambda: connections.one("c"))
    assert (await first).client_secret != second.client_secret


async def test_an_error_reaches_everybody() -> None:
    connections, readings = Connections(), Readings()
    connections.broken = True
    results = await asyncio.gather(
        *(readings.account("c", lambda: connections.one("c")) for _ in range(5)), return_exceptions=True
    )
    assert {type(each) for each in results} == {TikTokStoreError}
    assert {str(each) for each in results} == {"no database"}
    assert len({id(each) for each in results}) == 5
    assert len(connections.read) <= 2
    connections.broken = False
    assert (await readings.account("c", lambda: connections.one("c"))).conn_id == "c"


async def test_one_that_is_cancelled_holds_up_nobody() -> None:
    connections, readings = Connections(), Readings()
    first = asyncio.create_task(readings.account("c", lambda: connections.one("c")))
    second = asyncio.create_task(readings.account("c", lambda: connections.one("c")))
    await asyncio.sleep(0.005)
    first.cancel()
    assert (await second).conn_id == "c"


class TestMasking:
    @pytest.fixture(autouse=True)
    def _first_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reading, "_masked", set())

    def test_nothing_is_collected_meanwhile(self) -> None:
        with masking("c"):
            assert not gc.isenabled()
        assert gc.isenabled()

    def test_only_the_first_time(self) -> None:
        with masking("c"):
            pass
        with masking("c"):
            assert gc.isenabled()

    def test_again_after_it_has_failed(self) -> None:
        with pytest.raises(ValueError, match="x"), masking("c"):
            raise ValueError("x")
        assert gc.isenabled()
        with masking("c"):
            assert not gc.isenabled()

    def test_who_has_switched_it_off_finds_it_off(self) -> None:
        gc.disable()
        try:
            with masking("c"):
                pass
            assert not gc.isenabled()
        finally:
            gc.enable()

    def test_keeps_no_expression_that_is_outdated(self) -> None:
        purged: list[bool] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(re, "purge", lambda: purged.append(True))
            with masking("c"):
                pass
        assert purged == [True]
