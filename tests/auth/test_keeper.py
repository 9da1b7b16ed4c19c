"""Who waits for a renewal and who does not, and that none is torn apart, whatever becomes of who began it."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

import httpx
import pytest

from airflow_provider_tiktok.auth import flight as flight_module
from airflow_provider_tiktok.auth import keeper as keeper_module
from airflow_provider_tiktok.auth.account import Account, Seed
from airflow_provider_tiktok.auth.grant import State, read_back, written
from airflow_provider_tiktok.auth.keeper import AGAIN_SECONDS, TokenKeeper
from airflow_provider_tiktok.auth.renewal import Renewal
from airflow_provider_tiktok.auth.turns import turn
from airflow_provider_tiktok.exceptions import (
    TikTokConfigError,
    TikTokConsentError,
    TikTokError,
    TikTokNoAnswerError,
    TikTokStoreError,
)
from tests.auth.grants import (
    ACCOUNT,
    KEY,
    QUICK,
    SEED,
    TokenEndpoint,
    Variables,
    claim_key,
    dead,
    due,
    kept,
    put,
    refused,
    wait_for,
)
from tests.auth.process import forked

Make = Callable[..., TokenKeeper]
#: Longer than anything here takes that does not wait for another process.
SOON = QUICK * 8
two_may_ask = keeper_module.two_may_ask


@pytest.fixture(autouse=True)
def masked(monkeypatch: pytest.MonkeyPatch, quick: None) -> list[str]:
    """What was given to Airflow's log masker; and this Airflow is one whose tasks need not wait."""
    got: list[str] = []
    for module in (keeper_module, flight_module):
        monkeypatch.setattr(module, "two_may_ask", lambda: True)
    monkeypatch.setattr(keeper_module, "mask_secret", got.append)
    return got


@pytest.fixture
def make(endpoint: TokenEndpoint, variables: Variables) -> Iterator[Make]:
    made: list[TokenKeeper] = []

    def keeper(account: Account = ACCOUNT, **more: Any) -> TokenKeeper:
        made.append(TokenKeeper(account, client=endpoint.client(), **more))
        return made[-1]

    yield keeper
    variables.heal()
    for each in made:
        each.close()


@pytest.fixture
def gate(endpoint: TokenEndpoint) -> Iterator[SimpleNamespace]:
    """TikTok's answer waits until it is opened; ``asked`` tells that it was asked."""
    asked, opened = threading.Event(), threading.Event()

    def hold() -> None:
        asked.set()
        assert opened.wait(20)

    endpoint.before_answer = hold
    yield SimpleNamespace(asked=asked, open=opened.set)
    opened.set()


def another_has_claimed(variables: Variables, generation: int = 5) -> None:
    claim = {"nonce": "x", "stamp": time.time(), "guards": "renewal"}
    variables.values[claim_key(generation)] = json.dumps(claim)


def together(work: Callable[[int], Any], count: int) -> list[Any]:
    """Do something in so many threads at once; what each got, or its error."""

    def safely(number: int) -> Any:
        try:
            return work(number)
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(safely, range(count)))


def landed(keeper: TokenKeeper) -> None:
    wait_for(lambda: keeper._flight is None)


class TestWhoDoesNotWait:
    def test_with_a_good_token_in_hand_nobody_is_asked(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        put(variables)
        keeper = make()
        assert keeper.token() == "act.stored"
        variables.calls.clear()
        assert [keeper.token() for _ in range(5)] == ["act.stored"] * 5
        assert variables.calls == []
        assert endpoint.spent == []

    @pytest.mark.parametrize("in_hand", [False, True])
    def test_a_token_that_lives_is_had_at_once_while_the_next_is_made(
        self, *, make: Make, variables: Variables, endpoint: TokenEndpoint, gate: Any, in_hand: bool
    ) -> None:
        keeper = make()
        if in_hand:
            put(variables)
            keeper.token()
        grant = put(variables, **due())
        keeper._grant = grant if in_hand else None
        began = time.monotonic()
        assert keeper.token() == "act.due"
        assert gate.asked.wait(10)
        assert [keeper.token() for _ in range(5)] == ["act.due"] * 5
        assert time.monotonic() - began < SOON
        gate.open()
        landed(keeper)
        assert keeper.token() == "act.1"
        assert endpoint.spent == ["rft.0"]

    def test_nor_if_it_comes_just_between_two_looks(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A token that lives has been found since it was seen that none was in hand."""
        keeper, grant = make(), put(variables, **due())
        flight = keeper._flight = keeper_module.Flight()
        flight.usable.set_result(grant)
        assert keeper._found("") == "act.due"
        assert keeper._found("act.due") is flight.landed
        keeper._flight = None

    async def test_nor_in_an_event_loop(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, gate: Any
    ) -> None:
        put(variables, **due())
        keeper = make()
        assert await keeper.atoken() == "act.due"
        assert [await keeper.atoken() for _ in range(5)] == ["act.due"] * 5
        gate.open()
        await asyncio.to_thread(landed, keeper)
        assert await keeper.atoken() == "act.1"
        assert endpoint.spent == ["rft.0"]

    def test_nor_while_another_process_is_at_it(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        """It is asked about again only after a while, and then finds what that has saved."""
        put(variables, **due())
        keeper = make()
        with turn(f"{ACCOUNT.base_url} {KEY}", patience=0):
            assert keeper.token() == "act.due"
            landed(keeper)
            variables.calls.clear()
            assert keeper.token() == "act.due"
        assert variables.calls == []
        put(variables, access_token="act.other", generation=6)
        assert keeper.token() == "act.due"
        keeper._again_at = 0.0
        assert keeper.token() == "act.due"
        landed(keeper)
        assert keeper.token() == "act.other"
        assert endpoint.spent == []

    def test_nor_while_another_host_is_at_it(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        put(variables, **due())
        another_has_claimed(variables)
        keeper = make()
        began = time.monotonic()
        assert [keeper.token() for _ in range(3)] == ["act.due"] * 3
        assert time.monotonic() - began < SOON
        put(variables, access_token="act.other", generation=6)
        landed(keeper)
        assert keeper.token() == "act.other"
        assert endpoint.spent == []


TROUBLE: dict[str, tuple[Any, type[TikTokError]]] = {
    "lost answer": (httpx.ReadTimeout("x"), TikTokNoAnswerError),
    "invalid_grant": (refused, TikTokConsentError),
}
trouble = pytest.mark.parametrize(("fault", "error"), TROUBLE.values(), ids=TROUBLE)


class TestAnEarlyRenewalThatFails:
    @trouble
    def test_takes_nothing_from_a_token_that_lives(
        self,
        *,
        make: Make,
        variables: Variables,
        endpoint: TokenEndpoint,
        caplog: pytest.LogCaptureFixture,
        fault: Any,
        error: type[TikTokError],
    ) -> None:
        put(variables, **due())
        endpoint.faults = [fault] * 3
        keeper = make()
        with caplog.at_level(logging.WARNING):
            for _ in range(10):
                assert keeper.token() == "act.due"
                landed(keeper)
        assert len(endpoint.spent) == 1, "asked again only after a while"
        assert len([each for each in caplog.messages if "lives on, but could not be refreshed" in each]) == 1

    def test_is_tried_again_after_a_while(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        put(variables, **due())
        endpoint.faults = [httpx.ReadTimeout("x")]
        keeper = make()
        keeper.token()
        landed(keeper)
        assert 0 < keeper._again_at - time.monotonic() <= AGAIN_SECONDS
        keeper._again_at = time.monotonic()
        assert keeper.token() == "act.due"
        landed(keeper)
        assert keeper.token() == "act.1"

    def test_for_a_reason_that_nobody_thought_of(
        self,
        make: Make,
        variables: Variables,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """It is told, once, without its text, and not tried again with each call."""
        put(variables, **due())
        asked: list[int] = []

        def broken(*_: object, **__: object) -> None:
            asked.append(1)
            raise OSError("SECRET")

        monkeypatch.setattr(Renewal, "renewed", broken)
        keeper = make()
        with caplog.at_level(logging.WARNING):
            for _ in range(5):
                assert keeper.token() == "act.due"
                landed(keeper)
        assert len(asked) == 1
        assert "OSError" in caplog.text
        assert "SECRET" not in caplog.text

    @pytest.mark.parametrize("failing", ["get", "set"])
    def test_since_the_store_is_away(
        self,
        *,
        make: Make,
        variables: Variables,
        endpoint: TokenEndpoint,
        pauses: list[float],
        failing: str,
    ) -> None:
        put(variables)
        keeper = make()
        keeper.token()
        keeper._grant = put(variables, **due(generation=6))
        endpoint.faults = [httpx.ReadTimeout("x")] * 9
        variables.refuse(failing)
        assert keeper.token() == "act.due"
        time.sleep(QUICK)
        assert keeper.token() == "act.due"

    def test_does_not_pass_off_a_token_that_has_died_meanwhile(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        """Whoever waited since has to hear the reason."""
        put(variables, **due(expires_at=time.time() + QUICK * 2))
        another_has_claimed(variables)
        endpoint.faults = [httpx.ReadTimeout("x")] * 3
        keeper = make()
        assert keeper.token() == "act.due"
        time.sleep(QUICK * 2.5)
        with pytest.raises(TikTokNoAnswerError):
            keeper.token()


class TestWhoWaits:
    def test_with_no_token_that_lives(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        put(variables, **dead())
        assert make().token() == "act.1"
        assert endpoint.spent == ["rft.0"]

    def test_with_nothing_but_a_seed(self, make: Make, variables: Variables, endpoint: TokenEndpoint) -> None:
        assert make().token() == "act.1"
        assert kept(variables).generation == 1

    def test_until_it_is_saved(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, masked: list[str]
    ) -> None:
        put(variables, **dead())
        saved_before: list[bool] = []

        def disturb(what: str, key: str) -> None:
            if (what, key) == ("set", KEY):
                saved_before.append(keeper._grant is not None and keeper._grant.access_token == "act.1")

        variables.disturb = disturb
        keeper = make()
        assert keeper.token() == "act.1"
        assert saved_before == [False]

    @trouble
    def test_hears_what_went_wrong(
        self,
        *,
        make: Make,
        variables: Variables,
        endpoint: TokenEndpoint,
        fault: Any,
        error: type[TikTokError],
    ) -> None:
        put(variables, **dead())
        endpoint.faults = [fault]
        with pytest.raises(error):
            make().token()
        assert endpoint.spent == ["rft.0"], "never repeated by itself"

    async def test_hears_it_in_an_event_loop(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        put(variables, **dead())
        endpoint.faults = [refused]
        with pytest.raises(TikTokConsentError):
            await make().atoken()

    def test_may_try_again(self, make: Make, variables: Variables, endpoint: TokenEndpoint) -> None:
        put(variables, **dead())
        endpoint.faults = [httpx.ReadTimeout("x")]
        keeper = make()
        with pytest.raises(TikTokNoAnswerError):
            keeper.token()
        assert keeper.token() == "act.1"

    def test_without_a_grant(self, make: Make, variables: Variables) -> None:
        with pytest.raises(TikTokConfigError, match="airflow-tiktok login"):
            make(replace(ACCOUNT, seed=Seed())).token()

    @pytest.mark.parametrize("given", [1, None, 0])
    def test_gets_a_token_of_absurdly_short_life_all_the_same(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, given: int | None
    ) -> None:
        """One renewal a call at the most, and no loop of renewals."""
        put(variables, **dead())
        endpoint.answer["expires_in"] = given
        endpoint.before_answer = lambda: time.sleep(QUICK)
        keeper = make()
        got = [keeper.token() for _ in range(3)]
        assert got[0] == "act.1"
        assert 1 <= len(endpoint.spent) <= 3

    def test_sees_to_whom_it_belongs(self, make: Make, variables: Variables, endpoint: TokenEndpoint) -> None:
        """Airflow keeps in context variables to which task or trigger a log line belongs."""
        put(variables, **dead())
        owner = contextvars.ContextVar("owner", default="nobody")
        seen: set[str] = set()
        variables.disturb = lambda what, key: seen.add(owner.get())
        owner.set("this task")
        make().token()
        assert seen == {"this task"}


class TestOnAirflow30To32:
    """Where two threads of a task that ask its supervisor may get each other's answers."""

    @pytest.mark.parametrize(
        ("version", "may"),
        [
            (None, True),
            ("1.0.0", False),
            ("1.0.6", False),
            ("1.1.8", False),
            ("1.2.0", False),
            ("1.2.1rc1", True),
            ("1.2.1", True),
            ("1.3.2", True),
            ("1.10.0", True),
            ("2.0.0.dev0", True),
        ],
    )
    def test_by_version_of_the_sdk(
        self, monkeypatch: pytest.MonkeyPatch, version: str | None, *, may: bool
    ) -> None:
        """Airflow 2 has none, and each task asks the database itself."""

        def installed(name: str) -> str:
            assert name == "apache-airflow-task-sdk"
            if version is None:
                raise metadata.PackageNotFoundError
            return version

        monkeypatch.setattr(metadata, "version", installed)
        assert two_may_ask.__wrapped__() is may

    def test_a_task_waits_while_a_renewal_is_on_its_way(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(keeper_module, "two_may_ask", lambda: False)
        put(variables, **due())
        keeper = make()
        assert keeper.token() == "act.1"
        assert keeper._flight is None
        keeper._grant = put(variables, **due(refresh_token="rft.1", generation=7))
        assert keeper.token() == "act.2"
        assert keeper._flight is None

    def test_and_goes_on_with_what_lives_when_that_failed(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(keeper_module, "two_may_ask", lambda: False)
        put(variables, **due())
        endpoint.faults = [httpx.ReadTimeout("x")]
        keeper = make()
        assert [keeper.token() for _ in range(3)] == ["act.due"] * 3
        assert len(endpoint.spent) == 1

    async def test_an_event_loop_does_not(
        self, make: Make, variables: Variables, gate: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(keeper_module, "two_may_ask", lambda: False)
        put(variables, **due())
        assert await make().atoken() == "act.due"

    def test_a_call_that_blocks_an_event_loop_needs_no_loop(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As in a notebook, where ``dag.test()`` runs in one: it would wait for itself, for ever."""
        monkeypatch.setattr(keeper_module, "two_may_ask", lambda: False)
        monkeypatch.setattr(flight_module, "two_may_ask", lambda: False)
        put(variables)
        got: list[str] = []

        async def cell() -> None:
            got.append(make().token())

        notebook = threading.Thread(target=lambda: asyncio.run(cell()), daemon=True)
        notebook.start()
        notebook.join(10)
        assert got == ["act.stored"]


class TestATokenThatTikTokRefuses:
    def test_is_replaced_by_the_stores_newer_one(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        """Another process has refreshed meanwhile."""
        put(variables, access_token="act.5")
        keeper = make()
        assert keeper.token() == "act.5"
        put(variables, access_token="act.6", generation=6)
        assert keeper.token() == "act.5"
        assert keeper.token(refused="act.5") == "act.6"
        assert endpoint.spent == []

    def test_is_replaced_by_a_new_one_though_it_should_live(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        put(variables)
        keeper = make()
        assert keeper.token(refused="act.stored") == "act.1"
        assert keeper.token() == "act.1"
        assert endpoint.spent == ["rft.0"]

    async def test_in_an_event_loop(self, make: Make, variables: Variables, endpoint: TokenEndpoint) -> None:
        put(variables)
        keeper = make()
        assert await keeper.atoken() == "act.stored"
        assert await keeper.atoken(refused="act.stored") == "act.1"

    def test_while_the_next_is_being_made_beside(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, gate: Any
    ) -> None:
        """Who still has it goes on; who was refused waits for the renewal that is on its way."""
        put(variables, **due())
        keeper = make()
        assert keeper.token() == "act.due"
        assert gate.asked.wait(10)
        threading.Timer(QUICK, gate.open).start()
        assert keeper.token(refused="act.due") == "act.1"
        assert endpoint.spent == ["rft.0"]

    def test_while_another_process_is_at_it(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        """An early renewal leaves it to that one; who was refused does not, but waits."""
        put(variables, **due())
        keeper = make()
        with turn(f"{ACCOUNT.base_url} {KEY}", patience=0):
            assert keeper.token() == "act.due"
            timer = threading.Timer(QUICK, lambda: put(variables, access_token="act.other", generation=6))
            timer.start()
            got: list[str] = []
            waiter = threading.Thread(target=lambda: got.append(keeper.token(refused="act.due")))
            waiter.start()
            timer.join()
            assert got == []
        waiter.join(10)
        assert got == ["act.other"]
        assert endpoint.spent == []

    @trouble
    def test_and_cannot_be_replaced(
        self,
        *,
        make: Make,
        variables: Variables,
        endpoint: TokenEndpoint,
        fault: Any,
        error: type[TikTokError],
    ) -> None:
        """It is not handed out again, however long it should live."""
        put(variables)
        keeper = make()
        assert keeper.token() == "act.stored"
        endpoint.faults = [fault] * 2
        with pytest.raises(error):
            keeper.token(refused="act.stored")
        endpoint.faults = [fault] * 2
        with pytest.raises(error):
            keeper.token()

    def test_and_that_tiktok_gives_once_more(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        """No endless loop of renewals: TikTok's next answer to it says more."""
        put(variables)
        endpoint.answer["access_token"] = "act.stored"
        keeper = make()
        (got,) = together(lambda _: keeper.token(refused="act.stored"), 1)
        assert got == "act.stored"
        assert endpoint.spent == ["rft.0"]
        assert keeper.token() == "act.stored"
        assert endpoint.spent == ["rft.0"]

    def test_by_many_at_once(self, make: Make, variables: Variables, endpoint: TokenEndpoint) -> None:
        put(variables)
        keeper = make()
        keeper.token()
        assert together(lambda _: keeper.token(refused="act.stored"), 20) == ["act.1"] * 20
        assert endpoint.spent == ["rft.0"]

    def test_and_one_that_was_not_in_hand_changes_nothing(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        """The answer to an old request may come late."""
        put(variables)
        keeper = make()
        keeper.token()
        for number in range(20):
            assert keeper.token(refused=f"act.old{number}") == "act.stored"
        assert endpoint.spent == []


class TestManyAtOnce:
    def test_threads_of_one_keeper(self, make: Make, variables: Variables, endpoint: TokenEndpoint) -> None:
        put(variables, **dead())
        endpoint.before_answer = lambda: time.sleep(QUICK)
        keeper = make()
        assert together(lambda _: keeper.token(), 30) == ["act.1"] * 30
        assert endpoint.spent == ["rft.0"]

    def test_keepers_of_one_process(self, make: Make, variables: Variables, endpoint: TokenEndpoint) -> None:
        put(variables, **dead())
        keepers = [make() for _ in range(15)]
        assert together(lambda number: keepers[number].token(), 15) == ["act.1"] * 15
        assert endpoint.spent == ["rft.0"]

    def test_each_gets_an_error_of_its_own(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, gate: Any
    ) -> None:
        """Raised by many, one and the same would grow with each: its text in the log would be endless."""
        put(variables, **dead())
        endpoint.faults = [lambda: (time.sleep(QUICK), refused())[1]]
        keeper = make()
        got = together(lambda _: keeper.token(), 20)
        assert {type(each) for each in got} == {TikTokConsentError}
        assert len(set(map(id, got))) == 20
        assert len(set(map(str, got))) == 1
        assert {each.code for each in got} == {"invalid_grant"}
        lengths = [len(traceback.extract_tb(each.__traceback__)) for each in got]
        assert max(lengths) - min(lengths) <= 1
        assert any(frame.name == "_exchanged" for frame in traceback.extract_tb(got[0].__traceback__))

    async def test_hundreds_in_an_event_loop(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        """They take no thread of the loop's own, which others need; not even one."""
        put(variables, **dead())
        endpoint.before_answer = lambda: time.sleep(QUICK)
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        busy = threading.Event()
        blocked = asyncio.create_task(asyncio.to_thread(busy.wait, 20))
        threads = threading.active_count()
        keeper = make()
        waiters = [asyncio.create_task(keeper.atoken()) for _ in range(500)]
        await asyncio.sleep(QUICK / 2)
        assert threading.active_count() <= threads + 4  # the renewal, its request's deadline, the busy one
        assert set(await asyncio.gather(*waiters)) == {"act.1"}
        assert endpoint.spent == ["rft.0"]
        busy.set()
        await blocked

    async def test_hundreds_hear_of_an_error(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        put(variables, **dead())
        endpoint.faults = [refused]
        keeper = make()
        got = await asyncio.gather(*(keeper.atoken() for _ in range(300)), return_exceptions=True)
        assert {type(each) for each in got} == {TikTokConsentError}
        assert len(set(map(id, got))) == 300

    async def test_the_event_loop_is_not_held_up(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        put(variables, **dead())
        variables.slow = 0.005
        keeper, longest, before = make(), 0.0, time.monotonic()
        task = asyncio.create_task(keeper.atoken())
        while not task.done():
            await asyncio.sleep(0.005)
            longest, before = max(longest, time.monotonic() - before), time.monotonic()
        assert await task == "act.1"
        assert longest < 0.2

    async def test_cancelled_while_it_waits(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, gate: Any
    ) -> None:
        """A trigger that is taken away takes neither the renewal nor the other triggers with it."""
        put(variables, **dead())
        keeper = make()
        first, second = asyncio.create_task(keeper.atoken()), asyncio.create_task(keeper.atoken())
        assert await asyncio.to_thread(gate.asked.wait, 10)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert not second.done()
        gate.open()
        assert await second == "act.1"
        assert kept(variables).generation == 6

    async def test_all_cancelled(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, gate: Any
    ) -> None:
        put(variables, **dead())
        keeper = make()
        tasks = [asyncio.create_task(keeper.atoken()) for _ in range(5)]
        assert await asyncio.to_thread(gate.asked.wait, 10)
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        gate.open()
        await asyncio.to_thread(landed, keeper)
        assert kept(variables).generation == 6
        assert await keeper.atoken() == "act.1"
        assert endpoint.spent == ["rft.0"]

    def test_in_a_loop_that_is_gone_when_it_lands(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, gate: Any, caplog: Any
    ) -> None:
        put(variables, **dead())
        keeper = make()

        async def give_up() -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(keeper.atoken(), QUICK)

        asyncio.run(give_up())
        gate.open()
        landed(keeper)
        assert keeper.token() == "act.1"
        assert "exception" not in caplog.text.lower()


class TestThreadsThatCannotBeHad:
    def test_at_all(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A container at its limit of threads: an error, and not a wait for a renewal that never began."""
        put(variables, **dead())
        keeper = make()

        def none(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", none)
            for _ in range(2):
                with pytest.raises(RuntimeError):
                    keeper.token()
            keeper.settle()
        assert keeper.token() == "act.1"

    def test_since_a_signal_came_in_between(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It has begun, but nobody knows: it must do nothing, else two would be on their way."""
        put(variables, **dead())
        keeper, genuine = make(), threading.Thread.start
        begun: list[threading.Thread] = []

        def interrupted(thread: threading.Thread) -> None:
            genuine(thread)
            begun.append(thread)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", interrupted)
            with pytest.raises(KeyboardInterrupt):
                keeper.token()
        begun[0].join(10)
        assert not begun[0].is_alive()
        assert endpoint.spent == []
        assert keeper.token() == "act.1"
        assert endpoint.spent == ["rft.0"]


class TestClose:
    def test_without_ado(self, make: Make, variables: Variables) -> None:
        put(variables)
        keeper = make()
        for _ in range(2):
            keeper.close()
        unused = make()
        unused.close()

    def test_waits_for_a_renewal_of_its_own(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, gate: Any
    ) -> None:
        put(variables, **due())
        keeper = make()
        keeper.token()
        assert gate.asked.wait(10)
        threading.Timer(QUICK, gate.open).start()
        keeper.close()
        assert kept(variables).access_token == "act.1"

    def test_waits_until_it_is_saved(self, make: Make, variables: Variables, endpoint: TokenEndpoint) -> None:
        put(variables, **due())
        variables.refuse("set", KEY)
        keeper = make()
        keeper.token()
        threading.Timer(SOON, variables.heal).start()
        keeper.close()
        assert kept(variables).access_token == "act.1"

    def test_does_not_wait_for_another_hosts_claim(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, caplog: pytest.LogCaptureFixture
    ) -> None:
        put(variables, **due())
        another_has_claimed(variables)
        keeper = make()
        keeper.token()
        time.sleep(QUICK)
        began = time.monotonic()
        keeper.close()
        assert time.monotonic() - began < SOON
        assert endpoint.spent == []
        assert "could not be refreshed" not in caplog.text, "nothing has gone wrong"

    def test_does_not_wait_for_another_processs_turn(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        put(variables, **dead())
        keeper = make()
        with turn(f"{ACCOUNT.base_url} {KEY}", patience=0):
            thread = threading.Thread(target=lambda: together(lambda _: keeper.token(), 1))
            thread.start()
            wait_for(lambda: keeper._flight)
            began = time.monotonic()
            keeper.close()
            assert time.monotonic() - began < SOON
        thread.join(10)
        assert endpoint.spent == []

    def test_who_waited_in_another_thread_is_told(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        put(variables, **dead())
        another_has_claimed(variables)
        keeper = make()
        threading.Timer(QUICK, keeper.close).start()
        with pytest.raises(TikTokError, match="not waited for"):
            keeper.token()

    def test_in_an_event_loop_does_not_hold_it_up(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, gate: Any
    ) -> None:
        """
        In a triggerer, Variables are read through the loop: waiting there would be for ever.

        The connections are closed when the renewal has landed.
        """
        put(variables, **due())
        keeper = make()
        closed: list[bool] = []
        keeper._client.close = lambda: closed.append(True)  # type: ignore[method-assign]

        async def leave() -> None:
            await keeper.atoken()
            assert await asyncio.to_thread(gate.asked.wait, 10)
            keeper.close()
            keeper.settle()

        asyncio.run(leave())
        assert closed == []
        gate.open()
        landed(keeper)
        wait_for(lambda: closed)
        assert kept(variables).access_token == "act.1"

    def test_in_the_renewals_own_thread_does_not_wait_for_itself(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        """The garbage collector may come to a hook there."""
        put(variables, **dead())
        keeper, threads = make(), []

        def collected() -> None:
            threads.append(threading.current_thread().name)
            keeper.settle()
            keeper.close()

        endpoint.before_answer = collected
        assert together(lambda _: keeper.token(), 1) == ["act.1"]
        assert threads == ["tiktok-grant"]
        assert kept(variables).access_token == "act.1"

    def test_settling_has_an_end(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, gate: Any
    ) -> None:
        put(variables, **due())
        keeper = make()
        keeper.token()
        assert gate.asked.wait(10)
        began = time.monotonic()
        keeper.settle(QUICK)
        assert QUICK <= time.monotonic() - began < SOON

    def test_a_signal_meanwhile_is_not_lost(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, gate: Any
    ) -> None:
        """Nor does it end the waiting; even if it looks like a time-out."""
        put(variables, **due())
        keeper = make()
        keeper.token()
        assert gate.asked.wait(10)

        def handler(*_: object) -> None:
            raise TimeoutError("the task's")

        before = signal.signal(signal.SIGUSR1, handler)
        threading.Timer(QUICK, os.kill, [os.getpid(), signal.SIGUSR1]).start()
        threading.Timer(QUICK * 3, gate.open).start()
        try:
            with pytest.raises(TimeoutError, match="the task's"):
                keeper.close()
        finally:
            signal.signal(signal.SIGUSR1, before)
        assert kept(variables).access_token == "act.1"

    def test_at_exit_all_are_waited_for(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, gate: Any
    ) -> None:
        """Even if a signal comes while the first is."""
        put(variables, **due())
        keepers = [make(), make()]
        finished: list[int] = []

        def interrupted(number: int) -> None:
            finished.append(number)
            raise KeyboardInterrupt

        for number, keeper in enumerate(keepers):
            keeper.token()
            keeper.settle = lambda _, number=number: interrupted(number)  # type: ignore[method-assign]
        keeper_module._flying.update(keepers)
        try:
            with pytest.raises(KeyboardInterrupt):
                keeper_module._finish()
        finally:
            keeper_module._flying.difference_update(keepers)
            for keeper in keepers:
                del keeper.settle
        assert sorted(finished) == [0, 1]

    def test_a_keeper_that_has_landed_is_forgotten(self, make: Make, variables: Variables) -> None:
        put(variables)
        keeper = make()
        keeper.token()
        landed(keeper)
        assert keeper not in keeper_module._flying


class TestRenew:
    @pytest.mark.parametrize(
        "state", [dict, due, dead, lambda: {"expires_at": 0.0}], ids=["lives", "due", "dead", "no known end"]
    )
    def test_is_one_refresh(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, state: Callable[[], dict[str, Any]]
    ) -> None:
        """Not two where the access token had ended, as it has by the time of a weekly task."""
        put(variables, **state())
        got = make().renew()
        assert got == kept(variables).state
        assert got.generation == 6
        assert endpoint.spent == ["rft.0"]

    def test_of_a_seed(self, make: Make, variables: Variables, endpoint: TokenEndpoint) -> None:
        assert make().renew().generation == 1
        assert endpoint.spent == ["rft.0"]

    def test_each_time(self, make: Make, variables: Variables, endpoint: TokenEndpoint) -> None:
        keeper = make()
        assert [keeper.renew().generation for _ in range(3)] == [1, 2, 3]
        assert endpoint.spent == ["rft.0", "rft.1", "rft.2"]

    def test_fails_loudly(self, make: Make, variables: Variables, endpoint: TokenEndpoint) -> None:
        put(variables)
        endpoint.faults = [refused] * 2
        with pytest.raises(TikTokConsentError, match="airflow-tiktok login"):
            make().renew()


class TestState:
    @pytest.fixture
    def grant(self, variables: Variables) -> Any:
        return put(variables, access_token="act.SECRET", refresh_token="rft.SECRET", scope="video.upload")

    def test_tells_what_is_known_and_no_secret(self, make: Make, grant: Any) -> None:
        state = make().state()
        assert type(state) is State
        assert (state.scope, state.generation, state.expires_at) == ("video.upload", 5, grant.expires_at)
        assert "SECRET" not in repr(vars(state))

    async def test_in_an_event_loop(self, make: Make, grant: Any) -> None:
        assert await make().astate() == grant.state

    def test_is_that_of_a_token_that_lives(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        put(variables, **dead())
        assert make().state().generation == 6


class TestSecrets:
    @pytest.mark.parametrize("masks", [True, False])
    def test_masked_only_when_told(
        self, *, make: Make, variables: Variables, endpoint: TokenEndpoint, masked: list[str], masks: bool
    ) -> None:
        """A triggerer lives long, and its masker would grow with every rotation."""
        put(variables, **due())
        keeper = make(masks=masks)
        keeper.token()
        landed(keeper)
        assert set(masked) == ({"act.due", "rft.0", "act.1", "rft.1"} if masks else set())

    def test_in_no_log_line_or_repr(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, caplog: pytest.LogCaptureFixture
    ) -> None:
        shown: list[str] = []
        with caplog.at_level(logging.DEBUG):
            for fault in (None, httpx.ReadTimeout("x"), refused):
                for state in (due, dead):
                    endpoint.live, endpoint.burned = "rft.0", False
                    endpoint.faults = [fault] * 3 if fault else []
                    variables.values.clear()
                    put(variables, **state())
                    keeper = make()
                    shown += [repr(each) for each in together(lambda _, keeper=keeper: keeper.state(), 1)]
                    landed(keeper)
                    shown += [repr(keeper), repr(vars(keeper)), repr(vars(keeper._renewal))]
        everything = caplog.text + "".join(shown).replace("deque(['act", "")
        assert not [each for each in ("act.", "rft.", "'cs'", "client_secret=") if each in everything]


def test_a_forked_process_begins_anew(
    make: Make, variables: Variables, endpoint: TokenEndpoint, gate: Any
) -> None:
    """It has no thread of the parent's, and neither its locks nor its claim: it must not wait for those."""
    put(variables, **dead())
    keeper = make()
    thread = threading.Thread(target=lambda: together(lambda _: keeper.token(), 1))
    thread.start()
    assert gate.asked.wait(10)
    keeper._lock.acquire()
    child = os.fork()
    if not child:
        signal.alarm(15)
        try:
            put(variables, access_token="act.other", generation=6)
            assert not keeper_module._flying
            assert keeper._renewal._held is None
            assert keeper.token() == "act.other"
            keeper.close()
            keeper_module._finish()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    keeper._lock.release()
    assert os.waitpid(child, 0)[1] == 0
    gate.open()
    thread.join(10)
    assert endpoint.spent == ["rft.0"]
    assert kept(variables).access_token == "act.1"


class TestProcessesThatEnd:
    """Real ones, in the middle of a renewal."""

    @pytest.fixture
    def begin(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Callable[..., tuple[int, TextIO]]]:
        # on a busy machine a write that takes long is withdrawn, and nobody waits for what comes after that
        monkeypatch.setenv("AIRFLOW__TIKTOK__CLAIM_WRITE_SECONDS", "1")
        begun: list[tuple[int, TextIO]] = []

        def begin(what: str, **fields: Any) -> tuple[int, TextIO]:
            store_in(tmp_path, **fields)
            begun.append(forked(what, tmp_path))
            return begun[-1]

        yield begin
        for child, said in begun:
            said.close()
            with suppress(ChildProcessError):  # it has been waited for
                if os.waitpid(child, os.WNOHANG) == (0, 0):
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)

    def test_told_to_stop_while_the_grant_cannot_be_saved(
        self, begin: Callable[..., tuple[int, TextIO]], tmp_path: Path
    ) -> None:
        """It stays until that is done, however often it is told, and then stops as it was told."""
        child, said = begin("signalled", **dead())
        assert said.readline() == "saving\n"
        for _ in range(2):
            os.kill(child, signal.SIGTERM)
            while (line := said.readline()) == "saving\n":
                pass
            assert line == "told\n"
            time.sleep(QUICK)  # Airflow lets seconds pass between two
        time.sleep(SOON)
        assert os.waitpid(child, os.WNOHANG) == (0, 0)
        (tmp_path / "may save").touch()
        assert [each for each in said.read().split() if each != "saving"] == ["stopped", "end"]
        assert os.waitpid(child, 0)[1] == 0
        assert read_back((tmp_path / KEY).read_text(), ACCOUNT).generation == 6

    @pytest.mark.parametrize("what", ["task", "dropped"])
    def test_that_closes_nothing_and_waits_for_no_thread(
        self, begin: Callable[..., tuple[int, TextIO]], tmp_path: Path, what: str
    ) -> None:
        """As task processes of Airflow 3 and 2 do: with a token that lives, the task was over at once."""
        (tmp_path / "may save").touch()
        child, said = begin(what, **due())
        assert said.read().split() == ["act.due", "saving"]
        assert os.waitpid(child, 0)[1] == 0
        assert read_back((tmp_path / KEY).read_text(), ACCOUNT).generation == 6

    def test_that_waits_for_another_host(self, tmp_path: Path) -> None:
        """It does not stay for that: Python joins threads before it does anything else."""
        store_in(tmp_path, **due())
        claim = {"nonce": "x", "stamp": time.time(), "guards": "renewal"}
        (tmp_path / claim_key(5)).write_text(json.dumps(claim))
        slow = {"AIRFLOW__TIKTOK__CLAIM_WRITE_SECONDS": "2", "TMPDIR": str(tmp_path)}
        with subprocess.Popen(
            [sys.executable, "-m", "tests.auth.process", "waiting", str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, **slow},
        ) as process:
            assert process.stdout
            assert process.stdout.readline() == "act.due\n"
            began = time.monotonic()
            assert process.stdout.read().split() == ["end"]
            assert process.wait(20) == 0
        assert time.monotonic() - began < 10, "TTL is 30 seconds"
        assert read_back((tmp_path / KEY).read_text(), ACCOUNT).generation == 5


def store_in(folder: Path, **fields: Any) -> None:
    fake = Variables()
    put(fake, **fields)
    (folder / KEY).write_text(fake.values[KEY])


def test_a_keeper_that_nobody_has_any_more_is_collected(make: Make, variables: Variables) -> None:
    """A triggerer makes one after the other."""
    import weakref

    put(variables)
    keeper = TokenKeeper(ACCOUNT, client=TokenEndpoint().client())
    keeper.token()
    keeper.close()
    gone = weakref.ref(keeper)
    del keeper
    wait_for(lambda: gc.collect() >= 0 and gone() is None)


def test_the_seeds_own_access_token_is_used_while_it_lives(
    make: Make, variables: Variables, endpoint: TokenEndpoint
) -> None:
    account = replace(ACCOUNT, seed=replace(SEED, access_token="act.0", expires_at=time.time() + 7000))
    assert make(account).token() == "act.0"
    assert endpoint.spent == []
    assert variables.values == {}


class TestAnAccountConnectedToday:
    """Its grant is in its Connection alone, and to prove that takes twenty requests of each of its tasks."""

    @pytest.fixture
    def account(self) -> Account:
        return replace(ACCOUNT, seed=replace(SEED, access_token="act.0", expires_at=time.time() + 7000))

    def test_costs_one_look(self, make: Make, variables: Variables, account: Account) -> None:
        assert make(account).token() == "act.0"
        assert variables.calls == [("get", KEY)]

    def test_a_look_that_was_wrong_spends_no_refresh_token(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, account: Account
    ) -> None:
        """The stored grant is newer, but its first read has failed: TikTok says so, and then it is proven."""
        put(variables, account)
        stored = variables.values.pop(KEY)
        keeper = make(account)
        assert keeper.token() == "act.0"
        variables.values[KEY] = stored
        assert keeper.token(refused="act.0") == "act.stored"
        assert endpoint.spent == []

    def test_a_look_that_fails_proves_nothing_either(
        self, make: Make, variables: Variables, account: Account, pauses: list[float]
    ) -> None:
        failures = iter([RuntimeError("500")])

        def disturb(what: str, key: str) -> None:
            if (what, key) == ("get", KEY):
                for failure in failures:
                    raise failure

        variables.disturb = disturb
        put(variables, account)
        assert make(account).token() == "act.stored"

    def test_whose_token_is_due_is_proven(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, account: Account
    ) -> None:
        old = replace(account, seed=replace(account.seed, expires_at=time.time() - 1))
        assert make(old).token() == "act.1"
        assert ("set", KEY) in variables.calls
        assert any(key.startswith("tiktok_probe__") for _, key in variables.calls)


def test_in_a_store_of_ones_own(make: Make, variables: Variables, endpoint: TokenEndpoint) -> None:
    shelf = {"tiktok_default": written(put(Variables(), **due()), ACCOUNT)}
    keeper = make(store=SimpleNamespace(load=shelf.get, save=shelf.__setitem__))
    assert keeper.token() == "act.due"
    landed(keeper)
    assert keeper.token() == "act.1"
    assert KEY not in variables.values


def test_that_the_store_cannot_be_read_is_told(make: Make, variables: Variables, pauses: list[float]) -> None:
    variables.refuse("get")
    with pytest.raises(TikTokStoreError):
        make().token()
