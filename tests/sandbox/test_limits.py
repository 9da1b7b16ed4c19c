"""Limits: sliding minutes per user and endpoint, caps of a day; what is blocked makes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_tiktok.sandbox.limits import SlidingWindow, day_began
from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.sandbox.caller import INITS, Caller, code, one_chunk, pulled, video

URL = "http://127.0.0.1:1/a.mp4"


def test_the_window_slides() -> None:
    window = SlidingWindow()

    assert [window.admit("a", now, 2, 60) for now in (0, 30, 59.9, 60, 61, 90)] == [
        *(True, True, False),
        *(True, False, True),
    ]
    assert window.admit("b", 61, 2, 60), "another user's minute"
    assert all(window.admit("c", 0, 0, 60) for _ in range(100)), "0 = no limit"


def test_a_calendar_day_begins_at_its_boundary() -> None:
    assert day_began(250.0, 100.0, "rolling") == 150.0
    assert day_began(250.0, 100.0, "calendar") == pytest.approx(200.0, abs=1e-3)


@pytest.mark.parametrize(
    ("limit", "call"),
    [
        (6, lambda c: c.video_init(one_chunk(2000))),
        (6, lambda c: c.inbox_init({})),
        (6, lambda c: c.content_init([URL])),
        (20, lambda c: c.creator_info()),
        (30, lambda c: c.call(f"{INITS}/status/fetch/", {"publish_id": "x"})),
    ],
)
def test_each_endpoint_has_its_minute(
    sandbox: Sandbox, caller: Callable[..., Caller], limit: int, call: Callable[[Caller], object]
) -> None:
    alice, bob = caller("alice"), caller("bob")
    codes = [code(call(alice))[1] for _ in range(limit)]  # type: ignore[arg-type]
    made = len(sandbox.publishes)

    assert "rate_limit_exceeded" not in codes
    assert code(call(alice)) == (429, "rate_limit_exceeded")  # type: ignore[arg-type]
    assert len(sandbox.publishes) == made, "a blocked init makes nothing"
    assert code(call(bob))[0] != 429  # type: ignore[arg-type]
    sandbox.clock.advance(61)
    assert code(call(alice))[0] != 429  # type: ignore[arg-type]


def test_a_refresh_gives_no_fresh_minute(sandbox: Sandbox, alice: Caller) -> None:
    for _ in range(6):
        alice.video_init(one_chunk(2000))
    alice.token = alice.refresh(alice.token["refresh_token"])

    assert code(alice.video_init(one_chunk(2000))) == (429, "rate_limit_exceeded")


def test_the_endpoints_count_apart(alice: Caller) -> None:
    for _ in range(6):
        alice.video_init(one_chunk(2000))

    assert code(alice.inbox_init(one_chunk(2000))) == (200, "ok")


def test_a_shorter_minute(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.knobs.minute = 20
    for _ in range(6):
        alice.video_init(one_chunk(2000))
    assert code(alice.video_init(one_chunk(2000)))[0] == 429
    sandbox.clock.advance(20.1)

    assert code(alice.video_init(one_chunk(2000)))[0] == 200


def test_without_limits(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.knobs.limits = False

    assert {code(alice.inbox_init(one_chunk(2000)))[1] for _ in range(12)} == {"ok"}


def test_the_posts_of_a_day(sandbox: Sandbox, caller: Callable[..., Caller], alice: Caller) -> None:
    sandbox.knobs.update({"post_cap": 2, "init_limit": 0})
    cap = "spam_risk_too_many_posts"
    for _ in range(2):
        alice.upload(video())

    assert code(alice.video_init(one_chunk(2000))) == (403, cap)
    assert code(alice.content_init([URL])) == (403, cap)
    assert code(alice.creator_info()) == (200, cap), "with HTTP 200 on purpose"
    assert code(alice.inbox_init(one_chunk(2000))) == (200, "ok"), "drafts have a cap of their own"
    assert code(caller("bob").creator_info()) == (200, "ok")
    sandbox.clock.advance(86_401)
    alice.token = sandbox.grant("alice")
    assert code(alice.video_init(one_chunk(2000))) == (200, "ok")


def test_the_cap_comes_also_after_the_bytes(sandbox: Sandbox, alice: Caller) -> None:
    """Inits in flight are not counted: two on one free place go through, and the second fails at its end."""
    sandbox.knobs.update({"post_cap": 1, "processing_seconds": 5})
    first, second = alice.upload(video()), alice.upload(video(3000))
    sandbox.clock.advance(6)

    assert alice.status(first)["status"] == "PUBLISH_COMPLETE"
    failed = alice.status(second)
    assert (failed["status"], failed["fail_reason"]) == ("FAILED", "spam_risk_too_many_posts")
    assert len(sandbox.posts) == 1


def test_a_creators_own_cap(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.creator("alice").post_cap = 0

    assert code(alice.creator_info()) == (200, "spam_risk_too_many_posts")


def test_five_pending_drafts(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.knobs.init_limit = 0
    begun = [alice.inbox_init(one_chunk(2000)).json()["data"] for _ in range(5)]
    pending = (403, "spam_risk_too_many_pending_share")
    assert code(alice.inbox_init(one_chunk(2000))) == pending
    assert code(alice.content_init([URL], "MEDIA_UPLOAD")) == pending
    assert code(alice.video_init(one_chunk(2000))) == (200, "ok")

    alice.put(begun[0]["upload_url"], video(), 0, 2000)
    assert code(alice.inbox_init(one_chunk(2000))) == pending
    sandbox.finish_draft(begun[0]["publish_id"])
    assert code(alice.inbox_init(one_chunk(2000))) == (200, "ok")
    sandbox.clock.advance(86_401)
    alice.token = sandbox.grant("alice")
    assert code(alice.inbox_init(one_chunk(2000))) == (200, "ok")


def test_a_failed_draft_is_no_longer_pending(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.knobs.update({"draft_cap": 1, "hang_pulls": True})
    hanging = alice.inbox_init(pulled(URL)).json()["data"]["publish_id"]
    assert code(alice.inbox_init(one_chunk(2000)))[0] == 403
    alice.cancel(hanging)

    assert code(alice.inbox_init(one_chunk(2000)))[0] == 200
