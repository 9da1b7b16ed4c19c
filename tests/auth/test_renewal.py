"""The one place that spends refresh tokens: which grant is the live one, and how the next one is made."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from airflow_provider_tiktok.api.transport import Answer, Request
from airflow_provider_tiktok.auth import renewal as renewal_module
from airflow_provider_tiktok.auth import turns as turns_module
from airflow_provider_tiktok.auth.account import Seed
from airflow_provider_tiktok.auth.grant import Grant
from airflow_provider_tiktok.auth.renewal import Renewal
from airflow_provider_tiktok.auth.store import CheckedStore, VariableStore
from airflow_provider_tiktok.auth.turns import turn
from airflow_provider_tiktok.exceptions import (
    TikTokConfigError,
    TikTokConsentError,
    TikTokError,
    TikTokNoAnswerError,
    TikTokNothingSentError,
    TikTokProtocolError,
    TikTokServerError,
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
    refusal_key,
    refused,
    wait_for,
)

Make = Callable[..., Renewal]
NEW_LOGIN = replace(ACCOUNT, seed=Seed("rft.new"))


@pytest.fixture
def make(endpoint: TokenEndpoint, variables: Variables, quick: None) -> Make:
    return lambda account=ACCOUNT, store=None: Renewal(account, store or VariableStore(), endpoint.client())


def is_good(grant: Grant) -> bool:
    return not grant.due(time.time(), 0.5)


def renewed(renewal: Renewal) -> Grant:
    grant = renewal.renewed(is_good, patient=True)
    assert grant is not None
    return grant


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Begin something in a thread; its result, or error, will be in the list."""
    got: list[Any] = []

    def run() -> None:
        try:
            got.append(work())
        except Exception as error:
            got.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, got


class TestWhichIsTheLiveOne:
    def test_the_connections_where_none_is_stored(self, make: Make) -> None:
        grant = make().current()
        assert (grant.refresh_token, grant.generation, grant.seed) == ("rft.0", 0, SEED.fingerprint)

    def test_none_at_all_says_how_to_get_one(self, make: Make) -> None:
        with pytest.raises(TikTokConfigError, match="airflow-tiktok login --conn-id tiktok_default"):
            make(replace(ACCOUNT, seed=Seed())).current()

    @pytest.mark.parametrize("seed", [SEED, Seed()], ids=["same login", "nothing in the Connection"])
    def test_the_stored_one(self, make: Make, variables: Variables, seed: Seed) -> None:
        stored = put(variables)
        assert make(replace(ACCOUNT, seed=seed)).current() == stored

    def test_the_connections_after_a_new_login(self, make: Make, variables: Variables) -> None:
        put(variables, past_seeds=("older",))
        grant = make(NEW_LOGIN).current()
        assert (grant.refresh_token, grant.generation) == ("rft.new", 0)
        assert grant.past_seeds == ("older", SEED.fingerprint)

    def test_the_stored_one_where_the_connection_is_older(
        self,
        make: Make,
        variables: Variables,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A host whose environment was not updated must not bring back a grant that is spent."""
        monkeypatch.setattr(renewal_module, "_warned", set())
        stored = put(variables, NEW_LOGIN, past_seeds=("older", SEED.fingerprint))
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                assert make().current() == stored
        assert len([each for each in caplog.messages if "holds an older login" in each]) == 1

    def test_hosts_with_different_logins_do_not_fight(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The later one stays, whoever comes next."""
        put(variables)
        endpoint.live = "rft.new"
        newer, older = make(NEW_LOGIN), make()
        assert renewed(newer).access_token == "act.1"
        for _ in range(3):
            assert older.current().access_token == newer.current().access_token == "act.1"
        variables.values[KEY] = json.dumps(json.loads(variables.values[KEY]) | {"expires_at": 1.0})
        assert renewed(older).access_token == renewed(newer).access_token == "act.2"
        assert endpoint.spent == ["rft.new", "rft.1"]

    @pytest.mark.parametrize("text", ["", "x", "{}", "null", '{"generation": Infinity}'])
    def test_garbled(self, make: Make, variables: Variables, endpoint: TokenEndpoint, text: str) -> None:
        """Something else has written there: the seed may have been spent long ago."""
        variables.values[KEY] = text
        for ask in (make().current, lambda: renewed(make())):
            with pytest.raises(
                TikTokConfigError, match=r"tiktok_default.*cannot be read.*remove the Variable"
            ):
                ask()
        assert endpoint.spent == []

    def test_a_changed_client_secret(self, make: Make, variables: Variables, endpoint: TokenEndpoint) -> None:
        put(variables, replace(ACCOUNT, client_secret="old"), **dead())
        with pytest.raises(TikTokConfigError, match=r"client secret .* has changed.*airflow-tiktok login"):
            renewed(make())
        assert endpoint.spent == []

    def test_a_changed_client_secret_and_a_new_login(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        put(variables, replace(ACCOUNT, client_secret="old"))
        endpoint.live = "rft.new"
        assert renewed(make(NEW_LOGIN)).access_token == "act.1"
        assert kept(variables, NEW_LOGIN).past_seeds == (SEED.fingerprint,)

    def test_missing_though_it_was_there(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, pauses: list[float]
    ) -> None:
        """Somebody has come to the second renewal of this login: its seed is spent, so reading failed."""
        variables.values[claim_key(1)] = "x"
        with pytest.raises(TikTokStoreError, match=r"cannot be found.*airflow-tiktok login --conn-id"):
            renewed(make())
        assert endpoint.spent == []

    def test_missing_before_the_first_renewal_was_over(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        """A claim on the first renewal does not tell whether it was made."""
        variables.values[claim_key(0)] = json.dumps({"nonce": "x", "stamp": time.time() - 3600})
        assert renewed(make()).access_token == "act.1"

    def test_a_claim_that_cannot_be_read_proves_nothing(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, pauses: list[float]
    ) -> None:
        variables.refuse("get", claim_key(1))
        with pytest.raises(TikTokStoreError):
            renewed(make())
        assert endpoint.spent == []

    @pytest.mark.parametrize("failing", ["get", "set"])
    def test_it_is_read_again_while_that_fails(
        self, make: Make, variables: Variables, pauses: list[float], failing: str
    ) -> None:
        variables.refuse(failing)
        with pytest.raises(TikTokStoreError):
            make().current()
        assert pauses == list(renewal_module.READ_PAUSES)

    def test_it_is_read_again_until_that_works(
        self, make: Make, variables: Variables, pauses: list[float]
    ) -> None:
        stored = put(variables)
        variables.disturb = lambda what, key: 1 / (len(pauses) >= 3)  # type: ignore[assignment,return-value]
        assert make().current() == stored
        assert len(pauses) == 3

    @pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
    def test_a_pace_that_is_none(self, make: Make, monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
        monkeypatch.setenv("AIRFLOW__TIKTOK__CLAIM_WRITE_SECONDS", seconds)
        with pytest.raises(TikTokConfigError, match=r"\[tiktok\] claim_write_seconds = .*above 0"):
            make()


class TestTheNextOne:
    @pytest.mark.parametrize("state", [due, dead])
    def test_is_made_and_saved(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, state: Any
    ) -> None:
        put(variables, **state())
        asked = time.time()
        grant = renewed(make())
        assert grant == kept(variables)
        assert (grant.access_token, grant.refresh_token, grant.generation) == ("act.1", "rft.1", 6)
        assert asked + 7200 <= grant.expires_at <= time.time() + 7200
        assert endpoint.spent == ["rft.0"]
        assert claim_key(5) in variables.values

    def test_is_not_made_without_need(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        stored = put(variables)
        assert renewed(make()) == stored
        assert endpoint.spent == []
        assert list(variables.values) == [KEY]

    def test_lives_from_the_question_on(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        """An answer that took long is not taken for a longer life."""
        put(variables, **dead())
        endpoint.before_answer = lambda: time.sleep(0.15)
        answered: list[float] = []
        renewal = make()
        grant = renewed(renewal)
        answered.append(time.time())
        assert grant.expires_at < answered[0] + 7200 - 0.14

    def test_is_asked_for_only_if_it_can_be_written_down(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A library that is broken must not be found so with the only live grant in hand."""

        def broken(*_: object) -> str:
            raise ImportError("cryptography")

        monkeypatch.setattr(renewal_module, "written", broken)
        with pytest.raises(ImportError):
            renewed(make())
        assert endpoint.spent == []

    @pytest.mark.parametrize("left_out", ["refresh_token", "refresh_expires_in", "open_id", "scope"])
    def test_keeps_what_an_answer_leaves_out(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, left_out: str
    ) -> None:
        before = put(variables, **dead(refresh_expires_at=9e9, open_id="mine", scope="video.upload"))
        endpoint.answer = {**endpoint.answer, left_out: None}
        grant = renewed(make())
        name = left_out.replace("expires_in", "expires_at")
        assert getattr(grant, name) == getattr(before, name)
        assert kept(variables) == grant

    @pytest.mark.parametrize(
        ("given", "lifetime"), [(None, 7200), (0, 7200), (1, 1), ("86400", 86400), (-5, 7200), (2**62, 2**62)]
    )
    def test_lives_as_long_as_tiktok_says(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, given: object, lifetime: int
    ) -> None:
        """Also where that is absurd: one answer is one grant, used as it is."""
        put(variables, **dead())
        endpoint.answer["expires_in"] = given
        assert renewed(make()).lifetime == lifetime
        assert kept(variables).generation == 6
        assert endpoint.spent == ["rft.0"]

    def test_without_a_refresh_token_there_is_none(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        account = replace(ACCOUNT, seed=Seed(access_token="act.0", expires_at=time.time() - 1))
        with pytest.raises(TikTokConfigError, match=r"refresh_token.*airflow-tiktok login --conn-id"):
            renewed(make(account))
        assert endpoint.spent == []

    def test_in_a_store_of_ones_own(self, make: Make, variables: Variables, endpoint: TokenEndpoint) -> None:
        """Only claims are Variables then."""
        shelf: dict[str, str] = {}
        store = CheckedStore(SimpleNamespace(load=shelf.get, save=shelf.__setitem__))
        assert renewed(make(store=store)).access_token == "act.1"
        assert set(shelf) == {"tiktok_default"}
        assert set(variables.values) == {claim_key(0)}

    def test_claims_that_are_over_are_removed(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        """All but two: the last, and that of generation 1, which proves that the seed is spent."""
        for number in range(1, 6):
            endpoint.answer["expires_in"] = 1
            grant = make().renewed(lambda grant, number=number: grant.generation >= number, patient=True)
            assert grant is not None
            assert grant.generation == number
        assert set(variables.values) == {KEY, claim_key(1), claim_key(4)}

    def test_claims_of_the_login_before_are_removed(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        put(variables)
        endpoint.live = "rft.new"
        variables.values |= {claim_key(1): "x", claim_key(4): "x", claim_key(5): "x"}
        renewed(make(NEW_LOGIN))
        assert set(variables.values) == {KEY, claim_key(0, NEW_LOGIN.seed)}


class TestOneAtATime:
    @pytest.fixture
    def hosts(
        self, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> Callable[[int], list[Any]]:
        """Renew on so many hosts at once: each has its own folder of turns, so that only claims part them."""
        local = threading.local()
        monkeypatch.setattr(turns_module, "tempfile", SimpleNamespace(gettempdir=lambda: local.folder))

        def renew(count: int) -> list[Any]:
            barrier = threading.Barrier(count)

            def host(number: int) -> Grant:
                local.folder = str(tmp_path / f"host{number}")
                Path(local.folder).mkdir(exist_ok=True)
                renewal = make()
                barrier.wait(20)
                return renewed(renewal)

            begun = [in_thread(lambda number=number: host(number)) for number in range(count)]
            for thread, _ in begun:
                thread.join(60)
            return [got[0] for _, got in begun]

        return renew

    @pytest.mark.parametrize("count", [2, 5, 8])
    @pytest.mark.parametrize("stored", [True, False], ids=["a stored grant", "the seed"])
    def test_hosts(
        self,
        *,
        hosts: Callable[[int], list[Any]],
        variables: Variables,
        endpoint: TokenEndpoint,
        count: int,
        stored: bool,
    ) -> None:
        if stored:
            put(variables, **dead())
        got = hosts(count)
        assert endpoint.spent == ["rft.0"]
        assert got == [kept(variables)] * count

    def test_hosts_of_a_slow_register(
        self, hosts: Callable[[int], list[Any]], variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        put(variables, **dead())
        variables.slow = QUICK / 8
        assert hosts(3) == [kept(variables)] * 3
        assert endpoint.spent == ["rft.0"]

    def test_one_after_the_other_on_one_host(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        """Only one of a machine's processes contends; the others find what it has saved."""
        put(variables, **dead())
        begun = [in_thread(lambda: renewed(make())) for _ in range(10)]
        for thread, _ in begun:
            thread.join(30)
        assert [got[0].access_token for _, got in begun] == ["act.1"] * 10
        assert endpoint.spent == ["rft.0"]
        assert variables.calls.count(("set", claim_key(5))) == 1

    def test_who_is_not_patient_leaves_it_to_another_process(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        put(variables, **due())
        with turn(f"{ACCOUNT.base_url} {KEY}", patience=0):
            assert make().renewed(is_good, patient=False) is None
        assert variables.calls == []
        assert make().renewed(is_good, patient=False) is not None
        assert endpoint.spent == ["rft.0"]

    def test_a_claim_of_somebody_who_has_died_is_waited_for(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        """They may hold the answer: only when that cannot be any more is the refresh token sent."""
        put(variables, **dead())
        variables.values[claim_key(5)] = json.dumps({"nonce": "x", "stamp": time.time()})
        waited, began = [], time.monotonic()
        make().renewed(is_good, patient=True, waits=lambda: waited.append(1))
        assert time.monotonic() - began >= QUICK * 15
        assert waited
        assert endpoint.spent == ["rft.0"]

    def test_what_they_have_saved_is_used(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        put(variables, **dead())
        variables.values[claim_key(5)] = json.dumps({"nonce": "x", "stamp": time.time()})
        waited: list[int] = []

        def waits() -> None:
            waited.append(1)
            if len(waited) == 3:
                put(variables, access_token="act.other", generation=6)

        grant = make().renewed(is_good, patient=True, waits=waits)
        assert grant is not None
        assert grant.access_token == "act.other"
        assert endpoint.spent == []

    def test_a_login_that_comes_meanwhile_is_used(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        put(variables, **dead())
        variables.values[claim_key(5)] = json.dumps({"nonce": "x", "stamp": time.time()})

        def waits() -> None:
            put(variables, NEW_LOGIN, access_token="act.new", generation=1, past_seeds=(SEED.fingerprint,))

        grant = make().renewed(is_good, patient=True, waits=waits)
        assert grant is not None
        assert grant.access_token == "act.new"
        assert endpoint.spent == []

    def test_who_waits_may_be_called_away(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        put(variables, **dead())
        variables.values[claim_key(5)] = json.dumps({"nonce": "x", "stamp": time.time()})

        class AwayError(Exception):
            pass

        def waits() -> None:
            raise AwayError

        with pytest.raises(AwayError):
            make().renewed(is_good, patient=True, waits=waits)
        assert endpoint.spent == []
        with turn(f"{ACCOUNT.base_url} {KEY}", patience=0) as mine:
            assert mine

    def test_the_register_away_while_waiting(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        """Its errors are no outcome, and no reason to go in."""
        put(variables, **dead())
        variables.values[claim_key(5)] = json.dumps({"nonce": "x", "stamp": time.time()})
        began = time.monotonic()

        def disturb(what: str, key: str) -> None:
            if 0.2 < time.monotonic() - began < 1.0:
                raise RuntimeError("500")

        variables.disturb = disturb
        renewed(make())
        assert time.monotonic() - began >= 1.0 + QUICK * 15
        assert endpoint.spent == ["rft.0"]


FINAL: dict[str, tuple[Any, type[TikTokError]]] = {
    "lost answer": (httpx.ReadTimeout("x"), TikTokNoAnswerError),
    "garbage": (lambda: httpx.Response(200, text="<html>"), TikTokProtocolError),
    "no token": (lambda: httpx.Response(200, json={}), TikTokProtocolError),
    "invalid_grant": (refused, TikTokConsentError),
}
PASSING: dict[str, tuple[Any, type[TikTokError]]] = {
    "no connection": (httpx.ConnectError("x"), TikTokNothingSentError),
    "503": (lambda: httpx.Response(503), TikTokServerError),
    "server_error": (lambda: httpx.Response(200, json={"error": "server_error"}), TikTokServerError),
}


class TestTrouble:
    @pytest.mark.parametrize(("fault", "error"), FINAL.values(), ids=FINAL)
    def test_after_which_tiktok_may_have_rotated(
        self,
        *,
        make: Make,
        variables: Variables,
        endpoint: TokenEndpoint,
        fault: Any,
        error: type[TikTokError],
    ) -> None:
        """Whoever asked decides whether it is asked again."""
        before = put(variables, **dead())
        endpoint.faults = [fault]
        with pytest.raises(error):
            renewed(make())
        assert endpoint.spent == ["rft.0"]
        assert kept(variables) == before

    @pytest.mark.parametrize(("fault", "error"), PASSING.values(), ids=PASSING)
    def test_after_which_it_surely_has_not(
        self,
        *,
        make: Make,
        variables: Variables,
        endpoint: TokenEndpoint,
        pauses: list[float],
        fault: Any,
        error: type[TikTokError],
    ) -> None:
        put(variables, **dead())
        endpoint.faults = [fault] * 3
        assert renewed(make()).access_token == "act.1"
        assert pauses == list(renewal_module.SEND_PAUSES)

    @pytest.mark.parametrize(("fault", "error"), PASSING.values(), ids=PASSING)
    def test_that_lasts(
        self,
        *,
        make: Make,
        variables: Variables,
        endpoint: TokenEndpoint,
        pauses: list[float],
        fault: Any,
        error: type[TikTokError],
    ) -> None:
        put(variables, **dead())
        endpoint.faults = [fault] * 9
        with pytest.raises(error, match="of connection tiktok_default"):
            renewed(make())
        assert len(endpoint.spent) == 4

    def test_that_lasts_longer_than_the_claim(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, pauses: list[float]
    ) -> None:
        """Nothing is sent near its end: somebody else may come in then."""
        put(variables, **dead())

        def slow() -> httpx.Response:
            time.sleep(QUICK * 3.5)
            return httpx.Response(503)

        endpoint.faults = [slow] * 9
        with pytest.raises(TikTokStoreError, match=r"right to refresh .* ran out"):
            renewed(make())
        assert len(endpoint.spent) == 1

    def test_each_request_ends_before_the_claim(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(variables, **dead())
        renewal, deadlines = make(), []
        genuine = renewal._client.transport.send

        def spying(request: Request) -> Answer:
            assert renewal._held is not None
            deadlines.append((request.deadline, renewal._held[1].left()))
            return genuine(request)

        monkeypatch.setattr(renewal._client.transport, "send", spying)
        renewed(renewal)
        ((deadline, left),) = deadlines
        assert 0 < deadline < left < renewal._pace.hold

    def test_a_second_try_goes_on_with_the_same_claim(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        """Its own claim would have to be watched for TTL, else."""
        put(variables, **dead())
        endpoint.faults = [httpx.ReadTimeout("x")]
        renewal = make()
        with pytest.raises(TikTokNoAnswerError):
            renewed(renewal)
        began = time.monotonic()
        assert renewed(renewal).access_token == "act.1"
        assert time.monotonic() - began < QUICK * 5

    def test_a_second_try_with_a_seed_of_long_life(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        """Whose lifetime is what is left of it, and another at each look."""
        seed = replace(SEED, access_token="act.0", expires_at=time.time() + 86400)
        endpoint.faults = [httpx.ReadTimeout("x")]
        renewal = make(replace(ACCOUNT, seed=seed))
        with pytest.raises(TikTokNoAnswerError):
            renewal.renewed(lambda grant: grant.generation > 0, patient=True)
        began = time.monotonic()
        assert renewal.renewed(lambda grant: grant.generation > 0, patient=True) is not None
        assert time.monotonic() - began < QUICK * 5

    def test_a_forked_process_does_not_go_on_with_it(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        put(variables, **dead())
        endpoint.faults = [httpx.ReadTimeout("x")]
        renewal = make()
        with pytest.raises(TikTokNoAnswerError):
            renewed(renewal)
        renewal.forget_claim()
        began = time.monotonic()
        assert renewed(renewal).access_token == "act.1"
        assert time.monotonic() - began >= QUICK * 10

    def test_invalid_grant_with_a_newer_one_in_the_store(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        """Another host was faster; its grant is ours too."""
        put(variables, **dead())

        def faster() -> httpx.Response:
            put(variables, access_token="act.other", refresh_token="rft.other", generation=6)
            return refused()

        endpoint.faults = [faster]
        assert renewed(make()).access_token == "act.other"
        assert endpoint.spent == ["rft.0"]

    @pytest.mark.parametrize("generation", [4, 5])
    def test_invalid_grant_without_a_newer_one(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, generation: int
    ) -> None:
        """Permanent, and it says what to do for which Connection."""
        put(variables, **dead())

        def slower() -> httpx.Response:
            put(variables, access_token="act.other", generation=generation)
            return refused()

        endpoint.faults = [slower]
        with pytest.raises(TikTokConsentError) as caught:
            renewed(make())
        assert "of connection tiktok_default" in str(caught.value)
        assert "airflow-tiktok login --conn-id tiktok_default" in str(caught.value)
        assert "rft." not in str(caught.value)


class TestTheSaveDoesNotGiveUp:
    def test_past_the_end_of_its_claim(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, caplog: pytest.LogCaptureFixture
    ) -> None:
        put(variables, **dead())
        variables.refuse("set", KEY)
        with caplog.at_level(logging.WARNING):
            thread, got = in_thread(lambda: renewed(make()))
            wait_for(lambda: endpoint.spent)
            thread.join(QUICK * 15)
            assert thread.is_alive()
            assert kept(variables).generation == 5
            variables.heal()
            thread.join(10)
        assert got == [kept(variables)]
        assert got[0].access_token == "act.1"
        assert endpoint.spent == ["rft.0"]
        assert "could not be saved yet" in caplog.text

    @pytest.mark.parametrize("what", ["get", "set"])
    @pytest.mark.parametrize("lost", [False, True], ids=["raises", "silent"])
    def test_while_the_register_fails(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, what: str, *, lost: bool
    ) -> None:
        """Silent: what is written does not land, and what is read looks like nothing."""
        put(variables, **dead())
        before = dict(variables.values)
        outage = threading.Event()

        def disturb(done: str, key: str) -> None:
            if outage.is_set() and key == KEY:
                if not lost:
                    if done == what:
                        raise RuntimeError("500")
                elif what == "get":
                    if done == "get":
                        raise KeyError(key)
                else:
                    variables.values[KEY] = before[KEY]

        variables.disturb = disturb
        endpoint.before_answer = outage.set
        thread, got = in_thread(lambda: renewed(make()))
        thread.join(0.6)
        if not (lost and what == "set"):
            assert thread.is_alive()
        outage.clear()
        thread.join(10)
        assert got == [kept(variables)]
        assert endpoint.spent == ["rft.0"]

    @pytest.mark.parametrize(
        "error",
        [RuntimeError("x"), TikTokConfigError("x"), KeyError("x"), TimeoutError(), AttributeError("x")],
    )
    def test_whatever_the_store_raises(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, pauses: list[float], error: Exception
    ) -> None:
        """A bug in a store, or one of ours: to give up would lose the only live grant there is."""
        shelf: dict[str, str] = {}
        failing: list[Exception] = []

        def load(conn_id: str) -> str | None:
            if failing:
                raise failing.pop()
            return shelf.get(conn_id)

        store = SimpleNamespace(load=load, save=shelf.__setitem__)
        endpoint.before_answer = lambda: failing.extend([error] * 5)
        assert renewed(make(store=store)).access_token == "act.1"
        assert list(shelf) == ["tiktok_default"]
        assert len(pauses) == 5
        assert endpoint.spent == ["rft.0"]

    def test_it_is_tried_again_sooner_than_anybody_gets_a_claim(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        """
        After an outage of more than a quarter of an hour its own claim counts for nothing.

        Who comes then gets in without watching it, and would spend the refresh token a second time.
        """
        put(variables, **dead())
        endpoint.before_answer = lambda: setattr(variables, "broken", True)
        thread, got = in_thread(lambda: renewed(make()))
        wait_for(lambda: variables.broken)
        time.sleep(1.9)
        claim = json.loads(variables.values[claim_key(5)])
        variables.values[claim_key(5)] = json.dumps(claim | {"stamp": time.time() - 3600})
        endpoint.before_answer = lambda: None
        variables.broken = False
        other = make()
        with pytest.MonkeyPatch.context() as patch:
            # the other is on another host, where it is its turn
            patch.setattr(other, "_account", replace(ACCOUNT, base_url="https://other.example"))
            assert renewed(other).access_token == "act.1"
        thread.join(10)
        assert got == [kept(variables)]
        assert endpoint.spent == ["rft.0"]

    @pytest.mark.parametrize(
        "there",
        [
            {"generation": 6, "access_token": "act.other"},
            {"generation": 9, "access_token": "act.other"},
            {"generation": 0, "seed": "newer login", "past_seeds": ("x", SEED.fingerprint)},
        ],
        ids=["same generation", "higher generation", "newer login"],
    )
    def test_gives_way_to_a_newer_one(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, there: dict[str, Any]
    ) -> None:
        put(variables, **dead())
        newer: list[Grant] = []
        endpoint.before_answer = lambda: newer.append(put(variables, **there))
        assert renewed(make(replace(ACCOUNT, seed=Seed()))) == newer[0]
        assert kept(variables) == newer[0]

    @pytest.mark.parametrize(
        "there",
        [{"generation": 5}, {"generation": 4}, {"generation": 99, "seed": "another login"}],
        ids=["same as before", "older", "an unrelated login"],
    )
    def test_gives_way_to_no_other(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, there: dict[str, Any]
    ) -> None:
        put(variables, **dead())
        endpoint.before_answer = lambda: put(variables, access_token="act.other", **there) and None
        assert renewed(make()).access_token == "act.1"
        assert kept(variables).access_token == "act.1"

    @pytest.mark.parametrize("text", ["", "garbled", "{}"])
    def test_gives_way_to_nothing_that_is_no_grant(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, text: str
    ) -> None:
        put(variables, **dead())
        endpoint.before_answer = lambda: variables.values.update({KEY: text})
        assert renewed(make()).access_token == "act.1"
        assert kept(variables).access_token == "act.1"

    def test_gives_way_to_a_login_with_another_client_secret(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        """Ours is over, and we cannot read theirs."""
        put(variables, **dead())
        changed = replace(NEW_LOGIN, client_secret="new secret")
        endpoint.before_answer = lambda: put(variables, changed, past_seeds=(SEED.fingerprint,)) and None
        with pytest.raises(TikTokConfigError, match="client secret"):
            renewed(make(replace(ACCOUNT, seed=Seed())))
        assert kept(variables, changed).access_token == "act.stored"


class TestALateWrite:
    """A write that timed out may land seconds later, over a newer one."""

    @pytest.mark.parametrize("made", [True, False], ids=["who made the newer", "who has seen the newer"])
    def test_is_put_right(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, *, made: bool
    ) -> None:
        put(variables, **dead())
        late, maker, reader = variables.values[KEY], make(), make()
        newer = renewed(maker)
        assert reader.current() == newer
        variables.values[KEY] = late
        assert (maker if made else reader).current() == newer
        assert kept(variables) == newer
        assert make().current() == newer

    def test_never_makes_an_older_refresh_token_be_sent(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        """With the store against it, too: what it has seen, it goes by."""
        put(variables, **dead(refresh_token="rft.spent", generation=4))
        late, renewal = variables.values[KEY], make()
        put(variables, **due())
        assert renewal.current().generation == 5
        variables.disturb = lambda what, key: variables.values.update({KEY: late}) if key == KEY else None
        grant = renewal.current()
        assert (grant.generation, grant.refresh_token) == (5, "rft.0")
        variables.values[KEY] = late
        variables.disturb = lambda what, key: None
        assert renewed(renewal).generation == 6
        assert endpoint.spent == ["rft.0"]

    def test_that_cannot_be_put_right_yet_holds_nobody_up(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint, pauses: list[float]
    ) -> None:
        """Reading works and writing does not: the newer one is in hand."""
        put(variables, **dead())
        late, renewal = variables.values[KEY], make()
        newer = renewed(renewal)
        variables.values[KEY] = late
        variables.refuse("set")
        assert renewal.current() == newer
        assert pauses == []
        variables.heal()
        assert renewal.current() == newer
        assert kept(variables) == newer

    def test_of_an_older_login_counts_as_one(
        self, make: Make, variables: Variables, endpoint: TokenEndpoint
    ) -> None:
        """A newer login begins with generation 0 again, and is not taken for an older grant."""
        put(variables, generation=50)
        renewal = make(NEW_LOGIN)
        endpoint.live = "rft.new"
        assert renewed(renewal).generation == 1
        assert renewal.current().generation == 1


def test_no_secret_in_log_lines_errors_or_variables(
    make: Make,
    variables: Variables,
    endpoint: TokenEndpoint,
    pauses: list[float],
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[str] = []

    def disturb(what: str, key: str) -> None:
        seen.extend((key, variables.values.get(key, "")))

    variables.disturb = disturb
    with caplog.at_level(logging.DEBUG):
        for fault in (None, *(fault for fault, _ in [*FINAL.values(), *PASSING.values()])):
            endpoint.live, endpoint.burned = "rft.0", False
            put(variables, **dead())
            for key in (claim_key(5), refusal_key(5)):
                variables.values.pop(key, None)
            endpoint.faults = [fault] * 9 if fault else []
            try:
                seen.append(repr(renewed(make())))
            except TikTokError as error:
                seen.append(repr(error))
        endpoint.faults, endpoint.live = [], "rft.0"
        put(variables, **dead())
        for key in (claim_key(5), refusal_key(5)):
            variables.values.pop(key, None)
        failing = iter("abc")

        def failing_set(what: str, key: str) -> None:
            if (what, key) == ("set", KEY) and next(failing, ""):
                raise RuntimeError(variables.values[KEY])

        variables.disturb = failing_set
        renewal = make()
        seen += [repr(renewed(renewal)), repr(vars(renewal))]
    assert len(caplog.messages) > 5
    everything = (
        caplog.text + "".join(seen) + "".join(f"{key}{value}" for key, value in variables.values.items())
    )
    assert not [each for each in ("act.", "rft.", "'cs'", "client_secret=") if each in everything]
