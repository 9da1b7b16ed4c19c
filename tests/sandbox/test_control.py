"""The control API does at run time what the options do at start, and only for programs of this machine."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.sandbox.caller import Caller, code, one_chunk, video


def control(sandbox: Sandbox, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
    return httpx.request(method, f"{sandbox.url}/_sandbox{path}", json=body, headers=headers)


def result(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


def test_knobs_can_be_read_and_turned(sandbox: Sandbox) -> None:
    shown = result(control(sandbox, "GET", "/knobs"))
    assert shown["minute"] == 60.0
    assert "client_secret" not in shown

    turned = result(
        control(sandbox, "PATCH", "/knobs", {"minute": 20, "refuse_chunk_sizes": [5], "unaudited": True})
    )

    assert (turned["minute"], turned["refuse_chunk_sizes"], turned["unaudited"]) == (20.0, [5], True)
    assert sandbox.knobs.refuse_chunk_sizes == (5,)


def test_knobs_are_turned_all_or_none(sandbox: Sandbox) -> None:
    answer = control(sandbox, "PATCH", "/knobs", {"minute": 20, "day_kind": "lunar"})

    assert (answer.status_code, "lunar" in answer.json()["error"]) == (400, True)
    assert sandbox.knobs.minute == 60


def test_faults_can_be_ordered_and_taken_back(sandbox: Sandbox, alice: Caller) -> None:
    fault = result(
        control(sandbox, "POST", "/faults", {"endpoint": "creator_info", "status": 503, "times": None})
    )
    assert alice.creator_info().status_code == 503
    assert [each["hits"] for each in result(control(sandbox, "GET", "/faults"))] == [1]
    result(control(sandbox, "DELETE", f"/faults/{fault['id']}"))
    assert alice.creator_info().status_code == 200
    assert control(sandbox, "DELETE", f"/faults/{fault['id']}").status_code == 400
    assert control(sandbox, "POST", "/faults", {"endpoint": "x", "colour": "red"}).status_code == 400
    assert result(control(sandbox, "DELETE", "/faults")) == []


def test_a_grant_is_an_airflow_connection(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.knobs.update({"minute": 20, "day": 90})

    made = result(control(sandbox, "POST", "/grants", {"creator": "carol", "scopes": "video.publish"}))

    assert (made["conn_type"], made["host"], made["login"]) == ("tiktok", sandbox.url, "sandbox-client-key")
    extra = made["extra"]
    assert (extra["scope"], extra["rate_window"], extra["cap_window"]) == ("video.publish", 20.0, 90.0)
    alice.token = extra
    assert alice.creator_info().json()["data"]["creator_username"] == "carol"


def test_creators_can_be_changed(sandbox: Sandbox, alice: Caller) -> None:
    result(control(sandbox, "PATCH", "/creators/alice", {"private": True, "post_cap": 3, "nickname": "Al"}))

    assert alice.creator_info().json()["data"]["creator_nickname"] == "Al"
    assert control(sandbox, "PATCH", "/creators/alice", {"open_id": "x"}).status_code == 400
    assert control(sandbox, "PATCH", "/creators/alice", {"private": "yes"}).status_code == 400
    assert [each["username"] for each in result(control(sandbox, "GET", "/creators"))] == ["alice"]


def test_what_happened_can_be_read(sandbox: Sandbox, alice: Caller) -> None:
    publish_id = alice.upload(video(), title="t")

    (post,) = result(control(sandbox, "GET", "/posts"))
    (publish,) = result(control(sandbox, "GET", "/publishes"))
    requests = result(control(sandbox, "GET", "/requests"))

    assert (post["publish_id"], post["title"], post["creator"]) == (publish_id, "t", "alice")
    assert (publish["status"], publish["received"]) == ("PUBLISH_COMPLETE", 2000)
    assert [(each["endpoint"], each["token"], each["publish_id"]) for each in requests] == [
        ("video_init", requests[0]["token"], publish_id),
        ("upload", "", publish_id),
    ]
    assert requests[0]["token"].startswith("alice#")
    assert result(control(sandbox, "GET", "/counters")) == {"reuses": 0, "violations": []}


def test_no_secret_is_in_the_log(sandbox: Sandbox, alice: Caller) -> None:
    begun = alice.video_init(one_chunk(2000)).json()["data"]
    alice.put(begun["upload_url"], video(), 0, 2000)
    alice.refresh(alice.token["refresh_token"])

    text = control(sandbox, "GET", "/requests").text

    for secret in (
        *(alice.token[name] for name in ("access_token", "refresh_token")),
        "sandbox-client-secret",
    ):
        assert secret not in text
    assert begun["upload_url"].split("upload_token=")[1] not in text


def test_a_creator_can_act(sandbox: Sandbox, alice: Caller) -> None:
    begun = alice.inbox_init(one_chunk(2000)).json()["data"]
    alice.put(begun["upload_url"], video(), 0, 2000)

    finished = control(
        sandbox, "POST", f"/publishes/{begun['publish_id']}/finish", {"privacy_level": "SELF_ONLY"}
    )
    assert result(finished)["status"] == "PUBLISH_COMPLETE"
    result(control(sandbox, "DELETE", "/creators/alice/grants"))
    assert code(alice.creator_info()) == (401, "access_token_invalid")


def test_time_can_pass(sandbox: Sandbox, alice: Caller) -> None:
    result(control(sandbox, "POST", "/clock", {"advance": 7201}))

    assert code(alice.creator_info()) == (401, "access_token_invalid")
    assert control(sandbox, "POST", "/clock", {"advance": -1}).status_code == 400


def test_reset_forgets_posts_and_keeps_grants(sandbox: Sandbox, alice: Caller) -> None:
    alice.upload(video())
    result(control(sandbox, "POST", "/reset"))

    assert (sandbox.posts, sandbox.publishes, sandbox.requests) == ([], [], [])
    assert code(alice.creator_info()) == (200, "ok")


@pytest.mark.parametrize(
    "headers",
    [{"host": "evil.example"}, {"host": "127.0.0.1.evil.example:80"}, {"origin": "https://evil.example"}],
)
def test_a_page_on_the_web_cannot_reach_it(sandbox: Sandbox, headers: dict[str, str]) -> None:
    """Neither through a name that resolves to loopback, nor by a form sent across."""
    assert control(sandbox, "POST", "/grants", {}, **headers).status_code == 403
    assert control(sandbox, "GET", "/requests", **headers).status_code == 403


def test_a_body_must_be_an_object(sandbox: Sandbox) -> None:
    assert control(sandbox, "PATCH", "/knobs", [1]).status_code == 400
    assert httpx.patch(f"{sandbox.url}/_sandbox/knobs", content=b"{").status_code == 400
