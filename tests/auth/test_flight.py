"""Where a renewal runs: on Airflows whose triggerer dies of a strange thread, in one of asgiref's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from airflow_provider_tiktok.auth import flight
from airflow_provider_tiktok.auth.flight import Flight, StoppedError, beside, launch, token_of, two_may_ask
from airflow_provider_tiktok.auth.grant import Grant
from airflow_provider_tiktok.exceptions import TikTokStoreError


@pytest.mark.parametrize(
    ("sdk", "fine"),
    [(None, True), ("1.0.6", False), ("1.1.8", False), ("1.2.0", False), ("1.2.1", True), ("1.3.2", True)],
)
def test_who_may_ask_beside_others(monkeypatch: pytest.MonkeyPatch, sdk: str | None, *, fine: bool) -> None:
    def version(_: str) -> str:
        if sdk is None:
            raise flight.metadata.PackageNotFoundError
        return sdk

    monkeypatch.setattr(flight.metadata, "version", version)
    assert two_may_ask.__wrapped__() is fine


@pytest.fixture
def told() -> tuple[Callable[[], None], Callable[[], str]]:
    """Something to run, and what tells the name of the thread that it ran in."""
    names: list[str] = []
    done = threading.Event()

    def run() -> None:
        names.append(threading.current_thread().name)
        done.set()

    def name() -> str:
        assert done.wait(10)
        return names[0]

    return run, name


def test_in_a_task_it_has_a_thread_of_its_own(monkeypatch: pytest.MonkeyPatch, told) -> None:
    run, name = told
    monkeypatch.setattr(flight, "two_may_ask", lambda: False)
    launch(run)
    assert name() == "tiktok-grant"


@pytest.mark.parametrize("fine", [True, False])
async def test_in_a_loop(monkeypatch: pytest.MonkeyPatch, told, *, fine: bool) -> None:
    run, name = told
    monkeypatch.setattr(flight, "two_may_ask", lambda: fine)
    launch(run)
    ran_in = await asyncio.to_thread(name)
    assert ran_in != threading.current_thread().name
    assert (ran_in == "tiktok-grant") is fine


async def test_asgirefs_thread_finds_the_way_back_into_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is how the triggerer of Airflow 3.0 and 3.1 lets a thread read a Variable."""
    sync = pytest.importorskip("asgiref.sync")
    monkeypatch.setattr(flight, "two_may_ask", lambda: False)
    loops: list[asyncio.AbstractEventLoop] = []
    done = threading.Event()

    async def ask() -> None:
        loops.append(asyncio.get_running_loop())

    def run() -> None:
        sync.async_to_sync(ask)()
        done.set()

    launch(run)
    assert await asyncio.to_thread(done.wait, 10)
    assert loops == [asyncio.get_running_loop()]


def test_each_who_waits_raises_an_error_of_their_own() -> None:
    error = TikTokStoreError("x")
    caught = []
    for _ in range(2):
        with pytest.raises(TikTokStoreError) as info:
            token_of(error)
        caught.append(info.value)
    assert caught[0] is not caught[1]
    assert token_of(Grant("act.1", "rft.1")) == "act.1"


def test_who_is_not_wanted_stops() -> None:
    under_way = Flight()
    under_way.check_wanted()
    under_way.wanted = False
    with pytest.raises(StoppedError):
        under_way.check_wanted()


class TestBeside:
    @pytest.mark.parametrize("fine", [True, False])
    async def test_what_it_gives(self, monkeypatch: pytest.MonkeyPatch, *, fine: bool) -> None:
        monkeypatch.setattr(flight, "two_may_ask", lambda: fine)
        assert await beside(threading.get_ident) != threading.get_ident()

    @pytest.mark.parametrize("fine", [True, False])
    async def test_what_it_raises(self, monkeypatch: pytest.MonkeyPatch, *, fine: bool) -> None:
        monkeypatch.setattr(flight, "two_may_ask", lambda: fine)

        def failing() -> None:
            raise TikTokStoreError("x")

        with pytest.raises(TikTokStoreError):
            await beside(failing)

    async def test_nobody_waits_any_more(self) -> None:
        """The answer comes all the same, and troubles nobody."""
        may_go, gone = threading.Event(), threading.Event()

        def slow() -> None:
            may_go.wait(10)
            gone.set()

        waiting = asyncio.ensure_future(beside(slow))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        may_go.set()
        assert await asyncio.to_thread(gone.wait, 10)
