"""User info and the creator's public videos: fields in the query, scopes per field, public posts only."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.sandbox.caller import Caller, code, video

ALL = "user.info.basic,user.info.profile,user.info.stats,video.list,video.publish"


def user_info(alice: Caller, fields: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {alice.token['access_token']}"}
    return alice.http.get(f"{alice.sandbox.url}/v2/user/info/", params={"fields": fields}, headers=headers)


def test_user_info_gives_what_was_asked(sandbox: Sandbox, caller: Callable[..., Caller]) -> None:
    answer = user_info(caller("alice", scopes=ALL), "open_id,display_name,username,video_count")

    assert answer.json()["data"]["user"] == {
        "open_id": sandbox.creator("alice").open_id,
        "display_name": "Alice",
        "username": "alice",
        "video_count": 0,
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("", (400, "invalid_params")),
        ("open_id,shoe_size", (400, "invalid_params")),
        ("open_id,username", (400, "scope_permission_missed")),
        ("open_id,video_count", (400, "scope_permission_missed")),
    ],
)
def test_user_info_refuses(alice: Caller, fields: str, expected: tuple[int, str]) -> None:
    assert code(user_info(alice, fields)) == expected


def test_user_info_needs_its_scope(caller: Callable[..., Caller]) -> None:
    assert code(user_info(caller("alice", scopes="video.publish"), "open_id")) == (
        401,
        "scope_not_authorized",
    )


def test_the_list_has_public_posts_newest_first_in_pages(
    sandbox: Sandbox, caller: Callable[..., Caller]
) -> None:
    alice = caller("alice", scopes=ALL)
    for number in range(3):
        alice.upload(video(), title=f"{number}" + "x" * 200)
        sandbox.clock.advance(1)
    alice.upload(video(), privacy_level="SELF_ONLY")
    caller("bob").upload(video())
    path = "/v2/video/list/?fields=id,title,share_url,create_time"

    first = alice.call(path, {"max_count": 2}).json()["data"]
    second = alice.call(path, {"max_count": 2, "cursor": first["cursor"]}).json()["data"]

    shown = [*first["videos"], *second["videos"]]
    assert [each["title"][0] for each in shown] == ["2", "1", "0"]
    assert {len(each["title"]) for each in shown} == {150}
    assert [each["id"] for each in reversed(shown)] == [
        p.post_id for p in sandbox.posts if p.creator == "alice" and p.public_at
    ]
    assert (first["has_more"], second["has_more"]) == (True, False)
    assert alice.http.get(shown[0]["share_url"]).status_code == 200


def test_a_query_by_id(sandbox: Sandbox, caller: Callable[..., Caller]) -> None:
    alice = caller("alice", scopes=ALL)
    alice.upload(video(), is_aigc=True)
    (post,) = sandbox.posts

    answer = alice.call("/v2/video/query/?fields=id,is_aigc", {"filters": {"video_ids": [post.post_id, "1"]}})

    assert answer.json()["data"]["videos"] == [{"id": post.post_id, "is_aigc": True}]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v2/video/list/", {}),
        ("/v2/video/list/?fields=id", {"max_count": 21}),
        ("/v2/video/list/?fields=id", {"fields": "id"}),
        ("/v2/video/list/?fields=nothing", {}),
        ("/v2/video/query/?fields=id", {}),
        ("/v2/video/query/?fields=id", {"filters": {"video_ids": []}}),
        ("/v2/video/query/?fields=id", {"filters": {"video_ids": ["1"] * 21}}),
        ("/v2/video/query/?fields=id", {"filters": {"video_ids": [5]}}),
    ],
)
def test_lists_refuse(caller: Callable[..., Caller], path: str, body: dict[str, object]) -> None:
    assert code(caller("alice", scopes=ALL).call(path, body)) == (400, "invalid_params")
