"""Faults strike the request they were meant for, and it is certain whether the server had acted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from airflow_provider_tiktok.sandbox.faults import Fault
from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.sandbox.caller import Caller, code, one_chunk


def init(caller: Caller) -> httpx.Response:
    return caller.video_init(one_chunk(2000))


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_status_before_or_after_acting(
    sandbox: Sandbox, alice: Caller, when: str, made: int, status: int
) -> None:
    sandbox.fault("video_init", status=status, when=when)

    assert code(init(alice)) == (status, "rate_limit_exceeded" if status == 429 else "internal_error")
    assert len(sandbox.publishes) == made
    assert code(init(alice)) == (200, "ok"), "once only"


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
def test_a_dropped_connection(sandbox: Sandbox, alice: Caller, when: str, made: int) -> None:
    sandbox.fault("video_init", action="drop", when=when)

    with pytest.raises(httpx.TransportError):
        init(alice)
    assert len(sandbox.publishes) == made
    last = sandbox.requests[-1]
    assert (last.status, last.fault) == (0, f"drop {when}")
    assert bool(last.publish_id) is bool(made)


def test_a_delay_outlasts_the_client_and_the_server_acts_all_the_same(
    sandbox: Sandbox, alice: Caller
) -> None:
    sandbox.fault("video_init", action="delay", seconds=0.2)
    alice.http = httpx.Client(timeout=0.05)

    with pytest.raises(httpx.ReadTimeout):
        init(alice)
    assert sandbox.publishes == []
    time.sleep(0.3)
    assert len(sandbox.publishes) == 1


def test_a_delay_after_acting(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.fault("video_init", action="delay", when="after", seconds=0.1)

    assert code(init(alice)) == (200, "ok")
    assert sandbox.requests[-1].seconds >= 0.1


@pytest.mark.parametrize("body", ["text", "truncated", "html", "empty"])
def test_garbage_is_not_json(sandbox: Sandbox, alice: Caller, body: str) -> None:
    sandbox.fault("video_init", action="garbage", when="after", body=body)

    answer = init(alice)

    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    assert len(sandbox.publishes) == 1


def test_garbage_of_another_shape(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.fault("video_init", action="garbage", body="shape")

    assert isinstance(init(alice).json(), list)


def test_a_body_shorter_than_it_says(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.fault("video_init", action="garbage", body="cut", when="after")

    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        init(alice)
    assert len(sandbox.publishes) == 1


def test_a_redirect_shows_whether_a_client_carries_its_token_away(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.fault("creator_info", action="redirect", location="/elsewhere")

    answer = alice.creator_info()

    assert (answer.status_code, answer.headers["location"]) == (302, "/elsewhere")


def test_any_code_of_tiktoks(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.fault("video_init", action="error", code="spam_risk_user_banned_from_posting")
    sandbox.fault("token", action="error", code="temporarily_unavailable")

    assert code(init(alice)) == (403, "spam_risk_user_banned_from_posting")
    assert alice.refresh(alice.token["refresh_token"])["error"] == "temporarily_unavailable"


def test_the_token_endpoint_fails_in_its_own_shape(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.fault("token", status=503)

    answer = alice.form("token", grant_type="refresh_token", refresh_token="x")

    assert (answer.status_code, answer.json()["error"]) == (503, "server_error")


def test_it_can_wait_for_the_nth_and_last_for_several(sandbox: Sandbox, alice: Caller) -> None:
    fault = sandbox.fault("creator_info", status=503, nth=2, times=2)

    assert [alice.creator_info().status_code for _ in range(5)] == [200, 503, 503, 200, 200]
    assert fault.hits == 2


def test_it_can_last_until_it_is_removed(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.fault("*", status=500, times=None)
    assert [alice.creator_info().status_code for _ in range(3)] == [500] * 3
    sandbox.clear_faults()

    assert alice.creator_info().status_code == 200


def test_it_can_be_meant_for_one_creator(
    sandbox: Sandbox, caller: Callable[..., Caller], alice: Caller
) -> None:
    sandbox.fault("creator_info", status=500, creator="alice")

    assert (caller("bob").creator_info().status_code, alice.creator_info().status_code) == (200, 500)


def test_several_wait_in_turn(sandbox: Sandbox, alice: Caller) -> None:
    for status in (500, 502, 504):
        sandbox.fault("creator_info", status=status)

    assert [alice.creator_info().status_code for _ in range(4)] == [500, 502, 504, 200]


@pytest.mark.parametrize(
    "wrong",
    [{"action": "explode"}, {"when": "sometime"}, {"body": "soup"}, {"when": "during"}, {"colour": "red"}],
)
def test_a_fault_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        Fault("video_init", **wrong)


def test_latency_holds_for_all(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.knobs.latency = 0.05
    began = time.monotonic()
    alice.creator_info()

    assert time.monotonic() - began >= 0.05
