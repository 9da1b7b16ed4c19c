"""The one place that spends refresh tokens: once each, saved before used, by one at a time."""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from airflow_provider_tiktok import register
from airflow_provider_tiktok.api.client import Client, Policy
from airflow_provider_tiktok.api.transport import Transport
from airflow_provider_tiktok.auth import keeper as keeper_module
from airflow_provider_tiktok.auth.account import Account, Seed
from airflow_provider_tiktok.auth.grant import Grant, read_back, written
from airflow_provider_tiktok.auth.keeper import TokenKeeper
from airflow_provider_tiktok.exceptions import (
    TikTokConfigError,
    TikTokConsentError,
    TikTokError,
    TikTokNoAnswerError,
    TikTokProtocolError,
    TikTokServerError,
    TikTokStoreError,
)
from tests.test_register import FakeVariable

KEY = "tiktok_grant__tiktok_default"
SEED = Seed("rft.0", open_id="o", scope="video.publish")
ACCOUNT = Account("tiktok_default", "ck", "cs", "https://open.tiktokapis.com", SEED)


class TikTok:
    """A token endpoint with strict rotation: a refresh token works once."""

    def __init__(self) -> None:
        self.live = "rft.0"
        self.count = 0
        self.spent: list[str] = []
        self.expires_in: int | None = 7200
        self.faults: list[Callable[[], httpx.Response] | Exception] = []
        self.before_answer: Callable[[], None] = lambda: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        assert form["client_key"] == "ck"
        assert form["client_secret"] == "cs"
        assert form["grant_type"] == "refresh_token"
        self.spent.append(form["refresh_token"])
        if self.faults:
            fault = self.faults.pop(0)
            if isinstance(fault, Exception):
                raise fault
            return fault()
        if form["refresh_token"] != self.live:
            return refused()
        self.count += 1
        self.live = f"rft.{self.count}"
        self.before_answer()
        return httpx.Response(
            200,
            json={
                "access_token": f"act.{self.count}",
                "expires_in": self.expires_in,
                "refresh_token": self.live,
                "refresh_expires_in": 15552000,
                "open_id": "o",
                "scope": "video.publish,video.upload",
            },
        )


def refused() -> httpx.Response:
    return httpx.Response(
        200, json={"error": "invalid_grant", "error_description": "Refresh token is invalid", "log_id": "L"}
    )


@pytest.fixture
def tiktok() -> TikTok:
    return TikTok()


@pytest.fixture
def variable(monkeypatch: pytest.MonkeyPatch) -> FakeVariable:
    fake = FakeVariable()
    monkeypatch.setattr(register, "Variable", fake)
    return fake


@pytest.fixture(autouse=True)
def masked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What was masked; and the machine's lock lies in a directory of the test's own."""
    got: list[str] = []
    monkeypatch.setattr(keeper_module, "mask_secret", got.append)
    monkeypatch.setattr(keeper_module, "SAVE_PAUSES", (0, 0, 0))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return got


@pytest.fixture
def make(tiktok: TikTok, variable: FakeVariable) -> Iterator[Callable[..., TokenKeeper]]:
    made: list[TokenKeeper] = []

    def keeper(account: Account = ACCOUNT, **more: Any) -> TokenKeeper:
        client = Client(Policy(account.base_url), transport=Transport(httpx.MockTransport(tiktok)))
        made.append(TokenKeeper(account, client=client, **more))
        return made[-1]

    yield keeper
    for each in made:
        each.close()


def store(variable: FakeVariable, account: Account = ACCOUNT, **fields: Any) -> Grant:
    """Have a grant in the store, alive and not due unless told otherwise."""
    given = {
        "access_token": "act.stored",
        "refresh_token": "rft.0",
        "expires_at": time.time() + 7200,
        "seed": account.seed.fingerprint,
        "generation": 5,
    }
    grant = Grant(**given | fields)
    variable.kept[KEY] = written(grant, account)
    return grant


def stored(variable: FakeVariable, account: Account = ACCOUNT) -> Grant:
    return read_back(variable.kept[KEY], account)


DUE = {"expires_at": 300.0}


def due(**more: Any) -> dict[str, Any]:
    return {"expires_at": time.time() + 300, "access_token": "act.due"} | more


def dead(**more: Any) -> dict[str, Any]:
    return {"expires_at": time.time() - 1, "access_token": "act.dead"} | more


# --- where the grant comes from ---


def test_living_grant_of_the_store_is_used(make: Any, variable: FakeVariable, tiktok: TikTok) -> None:
    store(variable)
    assert make().token() == "act.stored"
    assert tiktok.spent == []


def test_seed_is_used_where_the_store_is_proven_empty(
    make: Any, variable: FakeVariable, tiktok: TikTok
) -> None:
    keeper = make()
    assert keeper.token() == "act.1"
    assert tiktok.spent == ["rft.0"]
    got = stored(variable)
    assert (got.refresh_token, got.generation, got.seed) == ("rft.1", 1, SEED.fingerprint)
    assert list(variable.kept) == [KEY]
    assert keeper.scope() == "video.publish,video.upload"


@pytest.mark.parametrize("fault", ["get_fails", "reads_empty", "loses_writes", "set_fails"])
def test_seed_is_not_used_where_the_store_cannot_be_read(
    make: Any, variable: FakeVariable, tiktok: TikTok, fault: str
) -> None:
    """It may have been spent long ago, or would be spent in vain."""
    setattr(variable, fault, True)
    with pytest.raises(TikTokStoreError):
        make().token()
    assert tiktok.spent == []


def test_seeds_own_access_token_is_used_while_it_lives(
    make: Any, variable: FakeVariable, tiktok: TikTok
) -> None:
    account = replace(ACCOUNT, seed=replace(SEED, access_token="act.0", expires_at=time.time() + 7000))
    assert make(account).token() == "act.0"
    assert tiktok.spent == []


def test_new_login_replaces_the_stored_grant(make: Any, variable: FakeVariable, tiktok: TikTok) -> None:
    """The fingerprint in the store is not that of the Connection any more."""
    store(variable, access_token="act.old", refresh_token="rft.old")
    account = replace(ACCOUNT, seed=Seed("rft.new"))
    tiktok.live = "rft.new"
    assert make(account).token() == "act.1"
    assert tiktok.spent == ["rft.new"]
    assert stored(variable, account).seed == Seed("rft.new").fingerprint


def test_new_login_replaces_a_grant_that_the_new_secret_cannot_read(
    make: Any, variable: FakeVariable, tiktok: TikTok
) -> None:
    store(variable, replace(ACCOUNT, client_secret="old secret"))
    account = replace(ACCOUNT, seed=Seed("rft.new"))
    tiktok.live = "rft.new"
    assert make(account).token() == "act.1"


def test_changed_client_secret_is_told(make: Any, variable: FakeVariable, tiktok: TikTok) -> None:
    store(variable, replace(ACCOUNT, client_secret="old secret"))
    with pytest.raises(TikTokConfigError, match="client secret"):
        make().token()
    assert tiktok.spent == []


def test_store_serves_where_the_connection_has_no_grant(
    make: Any, variable: FakeVariable, tiktok: TikTok
) -> None:
    store(variable)
    assert make(replace(ACCOUNT, seed=Seed())).token() == "act.stored"


def test_no_grant_anywhere(make: Any, variable: FakeVariable, tiktok: TikTok) -> None:
    with pytest.raises(TikTokConfigError, match=r"tiktok_default.*refresh_token"):
        make(replace(ACCOUNT, seed=Seed())).token()


def test_dead_access_token_without_a_refresh_token(make: Any, variable: FakeVariable, tiktok: TikTok) -> None:
    account = replace(ACCOUNT, seed=Seed(access_token="act.0", expires_at=time.time() - 1))
    with pytest.raises(TikTokConfigError, match="refresh_token"):
        make(account).token()
    assert tiktok.spent == []


# --- refreshing ---


@pytest.mark.parametrize("state", [due, dead])
def test_refresh(make: Any, variable: FakeVariable, tiktok: TikTok, state: Any) -> None:
    store(variable, **state())
    asked = time.time()
    assert make().token() == "act.1"
    got = stored(variable)
    assert (got.access_token, got.refresh_token, got.generation) == ("act.1", "rft.1", 6)
    assert asked + 7200 <= got.expires_at <= time.time() + 7200
    assert tiktok.spent == ["rft.0"]


def test_lifetime_counts_from_the_question(make: Any, variable: FakeVariable, tiktok: TikTok) -> None:
    """An answer that took long is not taken for a longer life."""
    store(variable, **dead())
    tiktok.before_answer = lambda: time.sleep(0.1)
    asked = time.time()
    make().token()
    assert stored(variable).expires_at < asked + 7200 + 0.05


def test_new_grant_is_saved_before_it_is_used(
    make: Any, variable: FakeVariable, tiktok: TikTok, masked: list[str]
) -> None:
    store(variable, **dead())
    seen: list[str] = []
    real = variable.set

    def spying(key: str, value: str) -> None:
        seen.append(keeper._grant.access_token if keeper._grant else "")
        real(key, value)

    variable.set = spying  # type: ignore[method-assign]
    keeper = make()
    assert keeper.token() == "act.1"
    assert "act.1" not in seen


def test_refused_token_is_replaced_by_the_stores_newer_one(
    make: Any, variable: FakeVariable, tiktok: TikTok
) -> None:
    """Another process has refreshed meanwhile."""
    store(variable, access_token="act.5")
    keeper = make()
    assert keeper.token() == "act.5"
    store(variable, access_token="act.6", generation=6)
    assert keeper.token() == "act.5"
    assert keeper.token(refused="act.5") == "act.6"
    assert tiktok.spent == []


def test_refused_token_is_refreshed_though_it_should_live(
    make: Any, variable: FakeVariable, tiktok: TikTok
) -> None:
    store(variable)
    keeper = make()
    assert keeper.token(refused="act.stored") == "act.1"
    assert keeper.token() == "act.1"
    assert tiktok.spent == ["rft.0"]


def test_refresh_is_not_repeated_in_vain(make: Any, variable: FakeVariable, tiktok: TikTok) -> None:
    store(variable, **dead())
    keeper = make()
    for _ in range(5):
        assert keeper.token() == "act.1"
    assert tiktok.count == 1


def test_token_without_refresh_token_keeps_the_old_one(
    make: Any, variable: FakeVariable, tiktok: TikTok
) -> None:
    store(variable, **dead())
    tiktok.faults = [lambda: httpx.Response(200, json={"access_token": "act.bare"})]
    assert make().token() == "act.bare"
    assert stored(variable).refresh_token == "rft.0"


# --- refreshing that fails ---

TROUBLE: dict[str, tuple[Any, type[TikTokError]]] = {
    "lost answer": (httpx.ReadTimeout("x"), TikTokNoAnswerError),
    "5xx": (lambda: httpx.Response(503), TikTokServerError),
    "server_error": (lambda: httpx.Response(200, json={"error": "server_error"}), TikTokServerError),
    "garbage": (lambda: httpx.Response(200, text="<html>"), TikTokProtocolError),
    "no token": (lambda: httpx.Response(200, json={}), TikTokProtocolError),
    "invalid_grant": (refused, TikTokConsentError),
}
trouble = pytest.mark.parametrize(("fault", "error"), TROUBLE.values(), ids=TROUBLE)


@trouble
def test_living_token_goes_on(
    make: Any, variable: FakeVariable, tiktok: TikTok, fault: Any, error: type[TikTokError]
) -> None:
    """It was only to be refreshed early."""
    store(variable, **due())
    tiktok.faults = [fault] * 3
    keeper = make()
    for _ in range(10):
        assert keeper.token() == "act.due"
    assert len(tiktok.spent) == 1, "asked again only after a while"


@trouble
def test_dead_token_does_not(
    make: Any, variable: FakeVariable, tiktok: TikTok, fault: Any, error: type[TikTokError]
) -> None:
    store(variable, **dead())
    tiktok.faults = [fault]
    with pytest.raises(error):
        make().token()
    assert tiktok.spent == ["rft.0"], "never repeated by itself"


@trouble
def test_refused_token_does_not(
    make: Any, variable: FakeVariable, tiktok: TikTok, fault: Any, error: type[TikTokError]
) -> None:
    store(variable, **due())
    keeper = make()
    tiktok.faults = [fault, fault]
    assert keeper.token() == "act.due"
    with pytest.raises(error):
        keeper.token(refused="act.due")


def test_early_refresh_is_tried_again_later(
    make: Any, variable: FakeVariable, tiktok: TikTok, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(variable, **due())
    tiktok.faults = [httpx.ReadTimeout("x")]
    keeper = make()
    assert keeper.token() == "act.due"
    monkeypatch.setattr(keeper, "_again_at", 0.0)
    assert keeper.token() == "act.1"


@pytest.mark.parametrize("fault", ["get_fails", "reads_empty"])
def test_living_token_goes_on_while_the_store_is_away(
    make: Any, variable: FakeVariable, tiktok: TikTok, fault: str
) -> None:
    store(variable, **due())
    tiktok.faults = [httpx.ReadTimeout("x")]
    keeper = make()
    keeper.token()
    keeper._again_at = 0.0
    setattr(variable, fault, True)
    assert keeper.token() == "act.due"
    with pytest.raises(TikTokStoreError):
        keeper.token(refused="act.due")


def test_invalid_grant_with_a_newer_one_in_the_store(
    make: Any, variable: FakeVariable, tiktok: TikTok
) -> None:
    """Another host was faster; its grant is ours too."""
    store(variable, **dead())

    def faster() -> httpx.Response:
        store(variable, access_token="act.other", refresh_token="rft.other", generation=6)
        return refused()

    tiktok.faults = [faster]
    assert make().token() == "act.other"
    assert tiktok.spent == ["rft.0"]


@pytest.mark.parametrize("generation", [4, 5])
def test_invalid_grant_without_a_newer_one_is_permanent(
    make: Any, variable: FakeVariable, tiktok: TikTok, generation: int
) -> None:
    store(variable, **dead())

    def slower() -> httpx.Response:
        store(variable, access_token="act.other", generation=generation)
        return refused()

    tiktok.faults = [slower]
    with pytest.raises(TikTokConsentError, match="let the creator allow the app again"):
        make().token()


def test_lost_answer_may_be_tried_again(make: Any, variable: FakeVariable, tiktok: TikTok) -> None:
    """TikTok may not have seen it; if it has, the next try is told so."""
    store(variable, **dead())
    tiktok.faults = [httpx.ReadTimeout("x")]
    keeper = make()
    with pytest.raises(TikTokNoAnswerError):
        keeper.token()
    assert keeper.token() == "act.1"


# --- saving ---


def test_save_is_tried_again(make: Any, variable: FakeVariable, tiktok: TikTok) -> None:
    """Who holds TikTok's answer holds the only live grant."""
    store(variable, **dead())
    real, failed = variable.set, []

    def fails_thrice(key: str, value: str) -> None:
        if key == KEY and len(failed) < 3:
            failed.append(key)
            raise RuntimeError("500")
        real(key, value)

    variable.set = fails_thrice  # type: ignore[method-assign]
    assert make().token() == "act.1"
    assert len(failed) == 3
    assert stored(variable).refresh_token == "rft.1"


@pytest.mark.parametrize("state", [due, dead])
def test_grant_that_could_not_be_saved_is_not_lost(
    make: Any, variable: FakeVariable, tiktok: TikTok, state: Any
) -> None:
    """It is saved as soon as that works, and its predecessor's refresh token never sent again."""
    before = state()
    store(variable, **before)
    keeper = make()
    variable.loses_writes = True
    for _ in range(2):
        keeper._again_at = 0.0
        if state is dead:
            with pytest.raises(TikTokStoreError):
                keeper.token()
        else:
            assert keeper.token() == "act.due"
    variable.loses_writes = False
    keeper._again_at = 0.0
    assert keeper.token() == "act.1"
    assert stored(variable).refresh_token == "rft.1"
    assert tiktok.spent == ["rft.0"]


def test_grant_that_could_not_be_saved_gives_way_to_a_newer_one(
    make: Any, variable: FakeVariable, tiktok: TikTok
) -> None:
    store(variable, **dead())
    keeper = make()
    variable.loses_writes = True
    with pytest.raises(TikTokStoreError):
        keeper.token()
    variable.loses_writes = False
    store(variable, access_token="act.other", generation=6)
    assert keeper.token() == "act.other"
    assert stored(variable).access_token == "act.other"


# --- many at once ---


def test_twenty_threads_one_refresh(make: Any, variable: FakeVariable, tiktok: TikTok) -> None:
    store(variable, **dead())
    tiktok.before_answer = lambda: time.sleep(0.2)
    keeper, got = make(), []
    threads = [threading.Thread(target=lambda: got.append(keeper.token())) for _ in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(10)
    assert got == ["act.1"] * 20
    assert tiktok.spent == ["rft.0"]


def test_twenty_keepers_one_refresh(make: Any, variable: FakeVariable, tiktok: TikTok) -> None:
    """Tasks of one process, each with a hook of its own."""
    store(variable, **dead())
    tiktok.before_answer = lambda: time.sleep(0.1)
    keepers, got = [make() for _ in range(20)], []
    threads = [threading.Thread(target=lambda each=each: got.append(each.token())) for each in keepers]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    assert got == ["act.1"] * 20
    assert tiktok.spent == ["rft.0"]


@pytest.mark.parametrize("same", [True, False], ids=["one keeper", "two keepers"])
def test_who_holds_a_living_token_does_not_wait(
    make: Any, variable: FakeVariable, tiktok: TikTok, same: bool
) -> None:
    """Refreshing goes on beside the work."""
    store(variable, **due())
    asked, answer = threading.Event(), threading.Event()

    def slow() -> None:
        asked.set()
        assert answer.wait(10)

    tiktok.before_answer = slow
    first = make()
    second = first if same else make()
    if same:
        first._grant = stored(variable)
    thread = threading.Thread(target=first.token)
    thread.start()
    assert asked.wait(10)
    began = time.monotonic()
    assert second.token() == "act.due"
    assert time.monotonic() - began < 1.0
    answer.set()
    thread.join(10)
    assert first.token() == "act.1"
    assert tiktok.spent == ["rft.0"]


class _FileVariable:
    """A Variable that several processes share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> str:
        return (self.folder / key).read_text()

    def set(self, key: str, value: str) -> None:
        part = self.folder / f"{key}.{multiprocessing.current_process().pid}"
        part.write_text(value)
        part.replace(self.folder / key)

    def delete(self, key: str) -> None:
        (self.folder / key).unlink()


def _refresh_in_a_process(folder: Path, index: int, start: Any) -> None:
    register.Variable = _FileVariable(folder)  # type: ignore[assignment,misc]

    def tiktok(request: httpx.Request) -> httpx.Response:
        with (folder / "spent").open("a") as spent:
            spent.write(parse_qs(request.content.decode())["refresh_token"][0] + "\n")
        time.sleep(0.3)
        return httpx.Response(200, json={"access_token": "act.new", "refresh_token": "rft.1"})

    client = Client(Policy(ACCOUNT.base_url), transport=Transport(httpx.MockTransport(tiktok)))
    start.wait(10)
    token = TokenKeeper(ACCOUNT, masks=False, client=client).token()
    (folder / f"got{index}").write_text(token)


def test_several_processes_one_refresh(tmp_path: Path) -> None:
    """One process of a machine at a time refreshes; the others find what it saved."""
    context = multiprocessing.get_context("fork")
    folder = tmp_path / "variables"
    folder.mkdir()
    start = context.Barrier(3)
    processes = [
        context.Process(target=_refresh_in_a_process, args=(folder, index, start)) for index in range(3)
    ]
    for each in processes:
        each.start()
    for each in processes:
        each.join(30)
        assert each.exitcode == 0
    assert [(folder / f"got{index}").read_text() for index in range(3)] == ["act.new"] * 3
    assert (folder / "spent").read_text().split() == ["rft.0"]


def _hold_lock(name: str, held: Any) -> None:
    with keeper_module._machine_lock(name, wait=True):
        held.set()
        time.sleep(60)


def test_killed_process_frees_the_machines_lock(make: Any, variable: FakeVariable, tiktok: TikTok) -> None:
    store(variable, **dead())
    context = multiprocessing.get_context("fork")
    held = context.Event()
    process = context.Process(target=_hold_lock, args=(KEY, held), daemon=True)
    process.start()
    assert held.wait(10)
    process.kill()
    process.join(10)
    assert make().token() == "act.1"


async def test_event_loop_is_not_blocked(make: Any, variable: FakeVariable, tiktok: TikTok) -> None:
    """Register, lock and refresh happen in a thread; a good token in hand costs none."""
    store(variable, **dead())
    tiktok.before_answer = lambda: time.sleep(0.3)
    keeper, beats = make(), 0
    task = asyncio.create_task(keeper.atoken())
    while not task.done():
        await asyncio.sleep(0.01)
        beats += 1
    assert await task == "act.1"
    assert beats > 10
    assert await keeper.atoken() == "act.1"
    assert await keeper.atoken(refused="act.1") == "act.2"


# --- secrets ---


@pytest.mark.parametrize("masks", [True, False])
def test_masks_only_when_told(
    make: Any, variable: FakeVariable, tiktok: TikTok, masked: list[str], masks: bool
) -> None:
    """A triggerer lives long, and its masker would grow with every rotation."""
    store(variable, **dead())
    make(masks=masks).token()
    assert sorted(set(masked)) == (["act.1", "rft.1"] if masks else [])


def test_no_secret_in_logs_or_store(
    make: Any, variable: FakeVariable, tiktok: TikTok, caplog: pytest.LogCaptureFixture
) -> None:
    written_down: list[str] = []
    real = variable.set

    def spying(key: str, value: str) -> None:
        written_down.append(f"{key} {value}")
        real(key, value)

    variable.set = spying  # type: ignore[method-assign]
    with caplog.at_level(logging.DEBUG):
        for faults in ([], [httpx.ReadTimeout("x")], [refused], [lambda: httpx.Response(502)]):
            variable.kept.clear()
            tiktok.live = "rft.0"
            store(variable, **due())
            tiktok.faults = list(faults)
            make().token()
            variable.kept.clear()
            store(variable, **dead())
            tiktok.faults, tiktok.live = list(faults), "rft.0"
            try:
                make().token()
            except TikTokError as error:
                written_down.append(repr(error))
    assert len(written_down) > 3
    everything = caplog.text + "".join(written_down)
    assert not [each for each in ("act.", "rft.", "'cs'", "client_secret=") if each in everything]
    assert json.loads(variable.kept[KEY])["generation"] == 5
