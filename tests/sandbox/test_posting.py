"""Inits, status, cancel, creator_info: what is refused, with which code, and that nothing is made then."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.sandbox.caller import INITS, Caller, code, one_chunk, pulled, video

URL = "http://127.0.0.1:1/a.mp4"
EMOJI = "\N{PARTY POPPER}"


def test_creator_info_says_who_posts_and_how(sandbox: Sandbox, alice: Caller) -> None:
    answer = alice.creator_info()

    assert code(answer) == (200, "ok")
    assert answer.json()["data"] == {
        "creator_avatar_url": f"{sandbox.url}/avatar/alice.svg",
        "creator_username": "alice",
        "creator_nickname": "Alice",
        "privacy_level_options": ["PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"],
        "comment_disabled": False,
        "duet_disabled": False,
        "stitch_disabled": False,
        "max_video_post_duration_sec": 600,
    }


def test_a_private_account_has_other_options(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.creator("alice").private = True

    data = alice.creator_info().json()["data"]

    assert data["privacy_level_options"] == ["FOLLOWER_OF_CREATOR", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"]
    assert (data["duet_disabled"], data["stitch_disabled"]) == (True, True)


def test_creator_info_takes_an_empty_object_too(alice: Caller) -> None:
    assert code(alice.call(f"{INITS}/creator_info/query/", {})) == (200, "ok")


@pytest.mark.parametrize(
    ("begin", "shape"),
    [
        (lambda c: c.video_init(one_chunk(2000)), r"v_pub_file~v2-1\.\d{19}"),
        (lambda c: c.video_init(pulled(URL)), r"v_pub_url~v2\.\d{19}"),
        (lambda c: c.inbox_init(one_chunk(2000)), r"v_inbox_file~v2\.\d{19}"),
        (lambda c: c.inbox_init(pulled(URL)), r"v_inbox_url~v2\.\d{19}"),
        (lambda c: c.content_init([URL]), r"p_pub_url~v2\.\d{19}"),
        (lambda c: c.content_init([URL], "MEDIA_UPLOAD"), r"p_pub_url~v2\.\d{19}"),
    ],
)
def test_publish_ids_have_tiktoks_shapes(
    alice: Caller, begin: Callable[[Caller], httpx.Response], shape: str
) -> None:
    answer = begin(alice)

    assert code(answer) == (200, "ok")
    assert re.fullmatch(shape, answer.json()["data"]["publish_id"])
    assert ("upload_url" in answer.json()["data"]) == ("file" in shape)


@pytest.mark.parametrize(
    ("info", "named"),
    [
        ({"privacy_level": None}, "privacy_level is required"),
        ({"privacy_level": "EVERYBODY"}, "privacy_level must be one of"),
        ({"privacy_level": 1}, "privacy_level must be of type string"),
        ({"title": 5}, "title must be of type string"),
        ({"disable_comment": "false"}, "disable_comment must be of type bool"),
        ({"is_aigc": 1}, "is_aigc must be of type bool"),
        ({"video_cover_timestamp_ms": 1.5}, "video_cover_timestamp_ms must be of type int32"),
        ({"video_cover_timestamp_ms": True}, "video_cover_timestamp_ms must be of type int32"),
        ({"video_cover_timestamp_ms": 2**31}, "video_cover_timestamp_ms must be of type int32"),
        ({"description": "for photos only"}, "description is not a field"),
        ({"auto_add_music": True}, "auto_add_music is not a field"),
        ({"title": "x" * 2201}, "title is longer than 2200"),
        ({"title": EMOJI * 1101}, "title is longer than 2200"),
        ({"brand_content_toggle": True, "privacy_level": "SELF_ONLY"}, "branded content cannot be SELF_ONLY"),
    ],
)
def test_video_init_checks_its_fields(
    sandbox: Sandbox, alice: Caller, info: dict[str, Any], named: str
) -> None:
    answer = alice.video_init(one_chunk(2000), **info)

    assert code(answer) == (400, "invalid_params")
    assert named in answer.json()["error"]["message"]
    assert sandbox.publishes == []


@pytest.mark.parametrize("title", ["x" * 2200, EMOJI * 1100, "", "line\nbreak \u202e <b>&"])
def test_texts_up_to_the_limit_go_through(alice: Caller, title: str) -> None:
    assert code(alice.video_init(one_chunk(2000), title=title)) == (200, "ok")


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ({}, "source must be one of"),
        ({"source": "URL"}, "source must be one of"),
        ({"source": "FILE_UPLOAD", "video_size": 2000}, "chunk_size is required"),
        ({**one_chunk(2000), "video_size": "2000"}, "video_size must be of type int64"),
        ({**one_chunk(2000), "video_url": URL}, "video_url is not a field"),
        ({**one_chunk(2000), "video_cover_timestamp_ms": 5}, "video_cover_timestamp_ms is not a field"),
        ({"source": "PULL_FROM_URL"}, "video_url is required"),
        (pulled("http://example.com/a.mp4"), "https"),
        (pulled("https://93.184.216.34/a.mp4"), "https"),
        (pulled("https://u:p@example.com/a.mp4"), "https"),
        (pulled("ftp://example.com/a"), "https"),
        (pulled("https://[broken/a"), "not a URL"),
        (pulled("https://example.com:port/a"), "not a URL"),
    ],
)
def test_sources_are_checked(sandbox: Sandbox, alice: Caller, source: dict[str, Any], named: str) -> None:
    answer = alice.inbox_init(source)

    assert code(answer) == (400, "invalid_params")
    assert named in answer.json()["error"]["message"]
    assert sandbox.publishes == []


def test_an_inbox_init_has_no_post_info(sandbox: Sandbox, alice: Caller) -> None:
    """TikTok drops it silently; the sandbox says so unless told not to."""
    assert (
        "post_info" in alice.inbox_init(one_chunk(2000), post_info={"title": "x"}).json()["error"]["message"]
    )
    sandbox.knobs.strict_fields = False
    assert code(alice.inbox_init(one_chunk(2000), post_info={"title": "x"})) == (200, "ok")
    assert sandbox.publishes[0].title == ""


def test_brand_toggles_may_be_required(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.knobs.require_brand_toggles = True

    assert code(alice.video_init(one_chunk(2000)))[0] == 400
    toggles = {"brand_content_toggle": False, "brand_organic_toggle": False}
    assert code(alice.video_init(one_chunk(2000), **toggles)) == (200, "ok")


def test_both_spellings_of_the_code_occur(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.knobs.invalid_code = "invalid_param"

    assert code(alice.video_init({})) == (400, "invalid_param")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b'"x"', "application/json"),
        (b"{}", "text/plain"),
    ],
)
def test_bodies_must_be_json_objects(sandbox: Sandbox, alice: Caller, body: bytes, kind: str) -> None:
    headers = {"authorization": f"Bearer {alice.token['access_token']}", "content-type": kind}

    answer = httpx.post(f"{sandbox.url}{INITS}/video/init/", content=body, headers=headers)

    assert code(answer) == (400, "invalid_params")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer act.unknown", "Basic x", "act.unknown"])
def test_no_token_no_answer(sandbox: Sandbox, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header}

    answer = httpx.post(f"{sandbox.url}{INITS}/creator_info/query/", headers=headers)

    assert code(answer) == (401, "access_token_invalid")


@pytest.mark.parametrize(
    ("scopes", "refused", "allowed"),
    [
        ("video.upload", ["creator_info", "video_init", "photos"], ["inbox_init", "draft photos", "status"]),
        ("video.publish", ["inbox_init", "draft photos"], ["creator_info", "video_init", "photos", "status"]),
        ("user.info.basic", ["creator_info", "video_init", "inbox_init", "photos", "status"], []),
    ],
)
def test_each_mode_needs_its_own_scope(
    caller: Callable[..., Caller], scopes: str, refused: list[str], allowed: list[str]
) -> None:
    alice = caller("alice", scopes=scopes)
    calls = {
        "creator_info": alice.creator_info,
        "video_init": lambda: alice.video_init(one_chunk(2000)),
        "inbox_init": lambda: alice.inbox_init(one_chunk(2000)),
        "photos": lambda: alice.content_init([URL]),
        "draft photos": lambda: alice.content_init([URL], "MEDIA_UPLOAD"),
        "status": lambda: alice.call(f"{INITS}/status/fetch/", {"publish_id": "x"}),
    }

    assert [code(calls[name]()) for name in refused] == [(401, "scope_not_authorized")] * len(refused)
    assert "scope_not_authorized" not in [code(calls[name]())[1] for name in allowed]


def test_only_the_creators_own_levels(sandbox: Sandbox, alice: Caller) -> None:
    answer = alice.video_init(one_chunk(2000), privacy_level="FOLLOWER_OF_CREATOR")
    assert code(answer) == (403, "privacy_level_option_mismatch")
    sandbox.creator("alice").private = True
    answer = alice.video_init(one_chunk(2000), privacy_level="PUBLIC_TO_EVERYONE")
    assert code(answer) == (403, "privacy_level_option_mismatch")


@pytest.mark.parametrize(
    ("private", "level", "expected"),
    [
        (True, "SELF_ONLY", (200, "ok")),
        (True, "FOLLOWER_OF_CREATOR", (403, "unaudited_client_can_only_post_to_private_accounts")),
        (False, "SELF_ONLY", (403, "unaudited_client_can_only_post_to_private_accounts")),
        (False, "PUBLIC_TO_EVERYONE", (403, "unaudited_client_can_only_post_to_private_accounts")),
    ],
)
def test_an_unaudited_app_posts_privately_to_private_accounts(
    sandbox: Sandbox, alice: Caller, private: bool, level: str, expected: tuple[int, str]
) -> None:
    """It is the *account* that must be private: SELF_ONLY on a public one is refused, too."""
    sandbox.knobs.unaudited, sandbox.creator("alice").private = True, private

    assert code(alice.video_init(one_chunk(2000), privacy_level=level)) == expected
    assert code(alice.inbox_init(one_chunk(2000))) == (200, "ok"), "drafts need no audit"


def test_an_unaudited_app_has_five_posting_users(sandbox: Sandbox, caller: Callable[..., Caller]) -> None:
    sandbox.knobs.update({"unaudited": True, "private_accounts": True})
    people = [caller(f"user{number}") for number in range(6)]

    codes = [code(each.video_init(one_chunk(2000), privacy_level="SELF_ONLY")) for each in people]

    assert codes == [(200, "ok")] * 5 + [(403, "reached_active_user_cap")]
    assert code(people[5].creator_info()) == (200, "reached_active_user_cap")
    assert code(people[0].creator_info()) == (200, "ok")
    sandbox.clock.advance(86401)
    people[5].token = sandbox.grant("user5")
    assert code(people[5].video_init(one_chunk(2000), privacy_level="SELF_ONLY")) == (200, "ok")


def test_a_banned_creator(sandbox: Sandbox, alice: Caller) -> None:
    banned = "spam_risk_user_banned_from_posting"
    sandbox.creator("alice").banned = True

    assert code(alice.creator_info()) == (200, banned)
    assert code(alice.video_init(one_chunk(2000))) == (403, banned)
    assert code(alice.inbox_init(one_chunk(2000))) == (403, banned)
    assert code(alice.content_init([URL])) == (403, banned)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"media_type": "VIDEO"}, (400, "invalid_params")),
        ({"media_type": None}, (400, "invalid_params")),
        ({"post_mode": "DIRECT POST"}, (400, "invalid_params")),
        ({"post_info": {}}, (400, "invalid_params")),
        ({"post_info": {"privacy_level": "SELF_ONLY", "title": "x" * 91}}, (400, "invalid_params")),
        ({"post_info": {"privacy_level": "SELF_ONLY", "description": "x" * 4001}}, (400, "invalid_params")),
        ({"post_info": {"privacy_level": "SELF_ONLY", "disable_duet": True}}, (400, "invalid_params")),
        ({"post_info": {"privacy_level": "SELF_ONLY", "is_aigc": True}}, (400, "invalid_params")),
        ({"is_aigc": True}, (200, "ok")),
        ({"source_info": {"source": "FILE_UPLOAD"}}, (400, "invalid_params")),
    ],
)
def test_content_init_checks_its_fields(
    alice: Caller, change: dict[str, Any], expected: tuple[int, str]
) -> None:
    body = {
        "media_type": "PHOTO",
        "post_mode": "DIRECT_POST",
        "post_info": {"privacy_level": "SELF_ONLY", "title": "x" * 90, "description": "y" * 4000},
        "source_info": {"source": "PULL_FROM_URL", "photo_images": [URL], "photo_cover_index": 0},
        **change,
    }

    assert code(alice.call(f"{INITS}/content/init/", body)) == expected


@pytest.mark.parametrize(
    ("images", "cover", "expected"),
    [
        ([], 0, (400, "invalid_params")),
        ([URL] * 35, 34, (200, "ok")),
        ([URL] * 36, 0, (400, "invalid_params")),
        ([URL], 1, (400, "invalid_params")),
        ([URL], -1, (400, "invalid_params")),
        ([URL], None, (400, "invalid_params")),
        ([URL, 5], 0, (400, "invalid_params")),
        ([URL, "http://example.com/a.jpg"], 0, (400, "invalid_params")),
        ([URL, "https://example.com/a.jpg"], 0, (403, "url_ownership_unverified")),
    ],
)
def test_one_to_thirty_five_photos(
    alice: Caller, images: list[Any], cover: int | None, expected: tuple[int, str]
) -> None:
    source = {"source": "PULL_FROM_URL", "photo_images": images, "photo_cover_index": cover}
    body = {
        "media_type": "PHOTO",
        "post_mode": "DIRECT_POST",
        "post_info": {"privacy_level": "SELF_ONLY"},
        "source_info": source,
    }

    assert code(alice.call(f"{INITS}/content/init/", body)) == expected


def test_a_draft_of_photos_needs_a_new_app(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.creator("alice").old_app = True

    assert code(alice.content_init([URL], "MEDIA_UPLOAD")) == (400, "app_version_check_failed")


def test_status_knows_its_ids_and_their_owners(caller: Callable[..., Caller], alice: Caller) -> None:
    publish_id = alice.upload(video())
    path = f"{INITS}/status/fetch/"

    assert code(alice.call(path, {"publish_id": "v_pub_file~v2-1.1"})) == (400, "invalid_publish_id")
    assert code(alice.call(path, {"publish_id": 5})) == (400, "invalid_params")
    assert code(alice.call(path)) == (400, "invalid_params")
    foreign = caller("bob").call(path, {"publish_id": publish_id})
    assert code(foreign) == (400, "token_not_authorized_for_specified_publish_id")


def test_a_publish_id_may_be_unknown_at_first_and_at_last(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.knobs.update({"publish_id_delay": 30, "publish_id_seconds": 1000})
    body = {"publish_id": alice.upload(video())}

    codes = []
    for seconds in (0, 31, 1000):
        sandbox.clock.advance(seconds)
        codes.append(code(alice.call(f"{INITS}/status/fetch/", body))[1])

    assert codes == ["invalid_publish_id", "ok", "invalid_publish_id"]


def test_status_may_be_odd_and_silent(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.knobs.update({"processing_seconds": 60, "processing_status": "REVIEWING", "tell_progress": False})

    assert alice.status(alice.upload(video())) == {"status": "REVIEWING", "publicaly_available_post_id": []}


def test_only_a_download_under_way_can_be_cancelled(
    sandbox: Sandbox, caller: Callable[..., Caller], alice: Caller
) -> None:
    sandbox.knobs.hang_pulls = True
    hanging = alice.video_init(pulled(URL)).json()["data"]["publish_id"]
    uploading = alice.video_init(one_chunk(2000)).json()["data"]["publish_id"]

    assert code(alice.cancel("nothing")) == (400, "invalid_publish_id")
    assert code(caller("bob").cancel(hanging)) == (400, "token_not_authorized_for_specified_publish_id")
    assert code(alice.cancel(uploading)) == (400, "publish_not_cancellable")
    assert code(alice.cancel(hanging)) == (200, "ok")
    assert alice.status(hanging)["fail_reason"] == "publish_cancelled"
    assert code(alice.cancel(hanging)) == (400, "publish_not_cancellable")


def test_paths_end_with_a_slash(sandbox: Sandbox, alice: Caller) -> None:
    assert alice.call(f"{INITS}/creator_info/query").status_code == 404
    assert httpx.get(f"{sandbox.url}{INITS}/video/init/").status_code == 405
