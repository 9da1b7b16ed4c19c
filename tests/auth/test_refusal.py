"""What TikTok has refused is not asked again by everybody in turn."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_tiktok import register
from airflow_provider_tiktok.auth import refusal
from airflow_provider_tiktok.auth.account import Seed
from airflow_provider_tiktok.auth.grant import Grant
from airflow_provider_tiktok.auth.keeper import TokenKeeper
from airflow_provider_tiktok.exceptions import TikTokConsentError
from tests.auth.grants import ACCOUNT, QUICK, TokenEndpoint, Variables, dead, put, refused

pytestmark = pytest.mark.usefixtures("quick")
GRANT = Grant("act.dead", "rft.SECRET", seed="f1", generation=3)
ERROR = TikTokConsentError("TikTok: refused. What to do: login.", code="invalid_grant", log_id="L1")


def keys(variables: Variables) -> list[str]:
    return [key for key in variables.values if key.startswith("tiktok_refusal__")]


def test_what_was_said_is_given_back(variables: Variables) -> None:
    refusal.remember("tiktok_default", GRANT, ERROR)
    got = refusal.recall("tiktok_default", GRANT)
    assert isinstance(got, TikTokConsentError)
    assert (str(got), got.code, got.log_id) == (str(ERROR), "invalid_grant", "L1")
    assert "SECRET" not in str(variables.values)


@pytest.mark.parametrize(
    "other", [{"generation": 4}, {"seed": "f2"}, {"conn_id": "another"}], ids=lambda each: str(*each)
)
def test_it_counts_for_this_grant_alone(variables: Variables, other: dict[str, Any]) -> None:
    """A new login, or the generation of another host, is not touched by it."""
    refusal.remember("tiktok_default", GRANT, ERROR)
    conn_id = other.pop("conn_id", "tiktok_default")
    assert refusal.recall(conn_id, replace(GRANT, **other)) is None


@pytest.mark.parametrize("age", [refusal.REMEMBERED_SECONDS + 1, -refusal.REMEMBERED_SECONDS - 1])
def test_it_is_forgotten(variables: Variables, age: float) -> None:
    """TikTok may have been mistaken; and a clock that was set must not make it last for ever."""
    refusal.remember("tiktok_default", GRANT, ERROR)
    (key,) = keys(variables)
    variables.values[key] = json.dumps(json.loads(variables.values[key]) | {"at": time.time() - age})
    assert refusal.recall("tiktok_default", GRANT) is None


@pytest.mark.parametrize("text", ["", "garbage", "[]", "{}", '{"at": "x"}', '{"at": 1e999}', "null", "7"])
def test_whatever_stands_there_harms_nobody(variables: Variables, text: str) -> None:
    refusal.remember("tiktok_default", GRANT, ERROR)
    variables.values[keys(variables)[0]] = text
    assert refusal.recall("tiktok_default", GRANT) is None


def test_nor_does_a_register_that_is_away(variables: Variables) -> None:
    variables.broken = True
    refusal.remember("tiktok_default", GRANT, ERROR)
    assert refusal.recall("tiktok_default", GRANT) is None


def test_a_hundred_tasks_ask_once(variables: Variables, endpoint: TokenEndpoint) -> None:
    """And none waits for the claim of the one before: they all hear the same."""
    put(variables, **dead())
    endpoint.faults = [refused] * 100
    keepers = [TokenKeeper(ACCOUNT, client=endpoint.client()) for _ in range(100)]
    heard: list[str] = []

    def ask(keeper: TokenKeeper) -> None:
        with pytest.raises(TikTokConsentError) as caught:
            keeper.token()
        heard.append(str(caught.value))

    threads = [threading.Thread(target=ask, args=(keeper,)) for keeper in keepers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(heard) == 100
    assert len(set(heard)) == 1
    assert "airflow-tiktok login --conn-id tiktok_default" in heard[0]
    assert endpoint.spent == ["rft.0"]


def test_a_new_login_is_used_at_once(variables: Variables, endpoint: TokenEndpoint) -> None:
    put(variables, **dead())
    endpoint.faults = [refused]
    with pytest.raises(TikTokConsentError):
        TokenKeeper(ACCOUNT, client=endpoint.client()).token()
    endpoint.live = "rft.new"
    account = replace(ACCOUNT, seed=Seed("rft.new"))
    began = time.monotonic()
    assert TokenKeeper(account, client=endpoint.client()).token() == "act.1"
    assert time.monotonic() - began < QUICK * 15, "nobody's claim is waited for"


def test_names_are_neutral(variables: Variables) -> None:
    refusal.remember("my_secret_token", GRANT, ERROR)
    (key,) = keys(variables)
    assert key == register.name("refusal", "my_secret_token", "f1", "3")
    assert "secret" not in key
