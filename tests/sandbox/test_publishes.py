"""The state machine of a publish, through the API and, where time matters, with the sandbox's clock moved."""

from __future__ import annotations

import json

import pytest

from airflow_provider_tiktok.api.models import PostMode, PublishState, Source
from airflow_provider_tiktok.sandbox.accounts import Creator
from airflow_provider_tiktok.sandbox.publishes import Publishes
from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.sandbox.caller import INITS, Caller, one_chunk, video


def test_a_public_post_gets_its_id_later_than_complete(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.knobs.update({"processing_seconds": 10, "moderation_seconds": 20})
    publish_id = alice.upload(video())
    seen = [alice.status(publish_id)]
    for seconds in (11, 20):
        sandbox.clock.advance(seconds)
        seen.append(alice.status(publish_id))

    assert [each["status"] for each in seen] == ["PROCESSING_UPLOAD", "PUBLISH_COMPLETE", "PUBLISH_COMPLETE"]
    assert [len(each["publicaly_available_post_id"]) for each in seen] == [0, 0, 1]
    (post,) = sandbox.posts
    (told,) = seen[-1]["publicaly_available_post_id"]
    assert isinstance(told, int)
    assert (len(str(told)), str(told)) == (19, post.post_id)


def test_time_scale_divides_processing_and_moderation(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.knobs.update({"processing_seconds": 100, "moderation_seconds": 100, "time_scale": 100})
    publish_id = alice.upload(video())
    sandbox.clock.advance(2.1)

    assert len(alice.status(publish_id)["publicaly_available_post_id"]) == 1


@pytest.mark.parametrize("level", ["SELF_ONLY", "MUTUAL_FOLLOW_FRIENDS"])
def test_other_posts_never_get_an_id(sandbox: Sandbox, alice: Caller, level: str) -> None:
    publish_id = alice.upload(video(), privacy_level=level)
    sandbox.clock.advance(100_000)
    alice.token = sandbox.grant("alice")

    assert alice.status(publish_id)["status"] == "PUBLISH_COMPLETE"
    assert alice.status(publish_id)["publicaly_available_post_id"] == []
    assert [post.privacy_level for post in sandbox.posts] == [level]


@pytest.mark.parametrize(
    ("shape", "kind"), [("list", list), ("scalar", int), ("empty", list), ("absent", type(None))]
)
def test_the_id_has_several_shapes(sandbox: Sandbox, alice: Caller, shape: str, kind: type) -> None:
    sandbox.knobs.post_id_shape = shape

    told = alice.status(alice.upload(video())).get("publicaly_available_post_id")

    assert isinstance(told, kind)
    assert bool(told) is (shape in ("list", "scalar"))


def test_the_id_is_a_bare_json_number(alice: Caller) -> None:
    """A reader that takes numbers for floats rounds it."""
    body = {"publish_id": alice.upload(video())}

    text = alice.call(f"{INITS}/status/fetch/", body).text

    (told,) = json.loads(text)["data"]["publicaly_available_post_id"]
    assert f"[{told}]" in text
    assert told > 2**53


def test_a_draft_waits_for_its_creator(sandbox: Sandbox, alice: Caller) -> None:
    begun = alice.inbox_init(one_chunk(2000)).json()["data"]
    alice.put(begun["upload_url"], video(), 0, 2000)
    assert alice.status(begun["publish_id"])["status"] == "SEND_TO_USER_INBOX"
    assert [each.publish_id for each in sandbox.drafts] == [begun["publish_id"]]
    assert sandbox.posts == []

    sandbox.finish_draft(begun["publish_id"], posts=2)

    done = alice.status(begun["publish_id"])
    assert done["status"] == "PUBLISH_COMPLETE"
    assert sorted(map(str, done["publicaly_available_post_id"])) == sorted(p.post_id for p in sandbox.posts)
    assert len(sandbox.posts) == 2
    assert sandbox.drafts == []


def test_only_a_draft_can_be_finished(sandbox: Sandbox, alice: Caller) -> None:
    with pytest.raises(ValueError, match="PUBLISH_COMPLETE"):
        sandbox.finish_draft(alice.upload(video()))


def test_fail_reasons_to_order(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.knobs.fail_reason = "spam_risk_text"
    first = alice.status(alice.upload(video()))
    sandbox.knobs.fail_reason = ""
    sandbox.fault("video_init", action="fail", fail_reason="internal")
    second, third = alice.status(alice.upload(video())), alice.status(alice.upload(video()))

    assert [each.get("fail_reason") for each in (first, second, third)] == [
        "spam_risk_text",
        "internal",
        None,
    ]
    assert len(sandbox.posts) == 1


def test_what_fell_due_is_settled_in_order_of_its_end() -> None:
    """The cap strikes the later of two, however late somebody looks."""
    publishes, ended = Publishes(), []
    creator = Creator("a", "id", "A")
    made = [
        publishes.create(
            creator=creator, kind="video", mode=PostMode.DIRECT_POST, source=Source.FILE_UPLOAD, created=0
        )
        for _ in range(3)
    ]
    for publish, processing in zip(made, (30, 10, 20), strict=True):
        publishes.bytes_in(publish, 0, processing)

    publishes.settle(25, ended.append)
    assert ended == [made[1], made[2]]
    publishes.settle(30, ended.append)
    assert ended == [made[1], made[2], made[0]]


def test_a_publish_ends_once() -> None:
    publishes = Publishes()
    publish = publishes.create(
        creator=Creator("a", "id", "A"),
        kind="video",
        mode=PostMode.DIRECT_POST,
        source=Source.PULL_FROM_URL,
        created=0,
        options={"privacy_level": "SELF_ONLY"},
    )
    assert publish.status is PublishState.PROCESSING_DOWNLOAD
    publishes.bytes_in(publish, 1, 5)
    publish.fail("auth_removed", 2)
    publish.finish_processing("", 0)

    assert (publish.status, publish.fail_reason, publish.posts) == (PublishState.FAILED, "auth_removed", [])
