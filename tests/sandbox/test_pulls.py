"""Pulls: really fetched, never through a redirect, checked, and cancelled; and whose URLs they may be."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from airflow_provider_tiktok.sandbox.ownership import verified
from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.sandbox.caller import Caller, Host, code, mp4, picture, pulled, video


def begin(alice: Caller, url: str) -> str:
    answer = alice.video_init(pulled(url))
    assert code(answer) == (200, "ok"), answer.text
    return answer.json()["data"]["publish_id"]


def photos(alice: Caller, urls: list[str], mode: str = "DIRECT_POST", **info: object) -> str:
    answer = alice.content_init(urls, mode, **info)
    assert code(answer) == (200, "ok"), answer.text
    return answer.json()["data"]["publish_id"]


def test_a_video_is_fetched(sandbox: Sandbox, alice: Caller, host: Host) -> None:
    data = video(300_000)

    status = alice.ended(begin(alice, host.serve("/a.mp4", data, "video/mp4")))

    assert (status["status"], status["downloaded_bytes"]) == ("PUBLISH_COMPLETE", len(data))
    assert "uploaded_bytes" not in status
    assert sandbox.posts[0].sha256 == (hashlib.sha256(data).hexdigest(),)


def test_a_query_is_part_of_the_url(alice: Caller, host: Host) -> None:
    """Signed URLs carry theirs there."""
    url = host.serve("/a.mp4?signature=x%2Fy", video(), "video/mp4")

    assert alice.ended(begin(alice, url))["status"] == "PUBLISH_COMPLETE"
    assert host.asked == ["/a.mp4?signature=x%2Fy"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(alice: Caller, host: Host, status: int) -> None:
    target = host.serve("/b.mp4", video(), "video/mp4")
    url = host.serve("/a.mp4", b"", status=status, location=target)

    assert alice.ended(begin(alice, url))["fail_reason"] == "video_pull_failed"
    assert host.asked == ["/a.mp4"]


@pytest.mark.parametrize("status", [204, 404, 403, 500])
def test_anything_but_200_is_a_failed_pull(alice: Caller, host: Host, status: int) -> None:
    assert (
        alice.ended(begin(alice, host.serve("/a", b"", status=status)))["fail_reason"] == "video_pull_failed"
    )


def test_nobody_there_is_a_failed_pull(alice: Caller) -> None:
    assert alice.ended(begin(alice, "http://127.0.0.1:9/a.mp4"))["fail_reason"] == "video_pull_failed"
    assert alice.ended(photos(alice, ["http://127.0.0.1:9/a.jpg"]))["fail_reason"] == "photo_pull_failed"


def test_a_body_cut_short_is_a_failed_pull(alice: Caller, host: Host) -> None:
    url = host.serve("/a.mp4", video(), "video/mp4", **{"content-length": "5000", "connection": "close"})

    assert alice.ended(begin(alice, url))["fail_reason"] == "video_pull_failed"


def test_a_pull_takes_only_so_long(sandbox: Sandbox, alice: Caller, host: Host) -> None:
    sandbox.knobs.pull_timeout = 0

    assert alice.ended(begin(alice, host.serve("/a", video())))["fail_reason"] == "video_pull_failed"


@pytest.mark.parametrize(
    ("kind", "data", "reason"),
    [
        ("video/mp4", b"<html>no video", "file_format_check_failed"),
        ("text/html", video(), "file_format_check_failed"),
        ("video/mp4", mp4(width=100), "picture_size_check_failed"),
    ],
)
def test_what_was_fetched_is_checked(alice: Caller, host: Host, kind: str, data: bytes, reason: str) -> None:
    assert alice.ended(begin(alice, host.serve("/a", data, kind)))["fail_reason"] == reason


@pytest.mark.parametrize("kind", ["", "application/octet-stream", "binary/octet-stream", "video/quicktime"])
def test_an_undeclared_type_is_no_fault(alice: Caller, host: Host, kind: str) -> None:
    """Object stores serve what nobody labelled as octet-stream; nothing is known of TikTok minding."""
    assert alice.ended(begin(alice, host.serve("/a", video(), kind)))["status"] == "PUBLISH_COMPLETE"


def test_a_carousel_keeps_its_order_and_texts(sandbox: Sandbox, alice: Caller, host: Host) -> None:
    files = [picture(), picture(1080, 1920, "WEBP"), picture(1920, 1080)]
    kinds = ["image/jpeg", "image/webp", "image/jpeg"]
    urls = [host.serve(f"/{n}", *each) for n, each in enumerate(zip(files, kinds, strict=True))]

    status = alice.ended(photos(alice, urls, title="t", description="d #x", auto_add_music=True))

    assert (status["status"], status["downloaded_bytes"]) == ("PUBLISH_COMPLETE", sum(map(len, files)))
    (post,) = sandbox.posts
    assert (post.kind, post.title, post.description) == ("photo", "t", "d #x")
    assert [path.read_bytes() for path in post.media] == files


def test_a_draft_of_photos_keeps_only_its_texts(sandbox: Sandbox, alice: Caller, host: Host) -> None:
    url = host.serve("/a", picture(), "image/jpeg")

    status = alice.ended(photos(alice, [url], "MEDIA_UPLOAD", title="t", disable_comment=True))

    assert status["status"] == "SEND_TO_USER_INBOX"
    assert sandbox.drafts[0].options == {"title": "t"}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ((picture(1081, 1081), "image/jpeg"), "picture_size_check_failed"),
        ((picture(100, 1921), "image/jpeg"), "picture_size_check_failed"),
        ((picture(kind="PNG"), "image/png"), "file_format_check_failed"),
        ((picture(kind="PNG"), "image/jpeg"), "file_format_check_failed"),
        ((picture(), "image/png"), "file_format_check_failed"),
        ((picture()[:300], "image/jpeg"), "file_format_check_failed"),
        ((picture() + bytes(20 * 1024**2), "image/jpeg"), "file_format_check_failed"),
    ],
)
def test_one_bad_photo_fails_the_carousel_unnamed(
    sandbox: Sandbox, alice: Caller, host: Host, bad: tuple[bytes, str], reason: str
) -> None:
    good = host.serve("/good", picture(), "image/jpeg")

    status = alice.ended(photos(alice, [good, host.serve("/bad", *bad), good]))

    assert (status["status"], status["fail_reason"]) == ("FAILED", reason)
    assert "bad" not in str(status)
    assert sandbox.posts == []


def test_pulls_may_hang(sandbox: Sandbox, alice: Caller, host: Host) -> None:
    sandbox.knobs.update({"hang_pulls": True, "pull_timeout": 1})
    publish_id = begin(alice, host.serve("/a", video()))
    sandbox.clock.advance(7000)
    assert alice.status(publish_id)["status"] == "PROCESSING_DOWNLOAD"
    assert host.asked == []

    sandbox.knobs.hang_pulls = False
    assert alice.ended(publish_id)["status"] == "PUBLISH_COMPLETE"


def test_a_cancelled_pull_posts_nothing(sandbox: Sandbox, alice: Caller, host: Host) -> None:
    sandbox.knobs.hang_pulls = True
    publish_id = begin(alice, host.serve("/a", video()))
    alice.cancel(publish_id)
    sandbox.knobs.hang_pulls = False

    assert alice.ended(publish_id)["fail_reason"] == "publish_cancelled"
    assert (sandbox.posts, host.asked) == ([], [])


def test_the_public_folder_can_be_pulled(sandbox: Sandbox, alice: Caller, tmp_path: Path) -> None:
    (tmp_path / "a.webp").write_bytes(picture(kind="WEBP"))
    sandbox.knobs.update({"public_dir": tmp_path})

    status = alice.ended(photos(alice, [f"{sandbox.url}/public/a.webp"]))

    assert status["status"] == "PUBLISH_COMPLETE"


@pytest.mark.parametrize(
    ("url", "properties", "fine"),
    [
        ("http://127.0.0.1:5/a", ("loopback",), True),
        ("http://localhost/a", ("loopback",), True),
        ("https://127.0.0.1.example.com/a", ("loopback",), False),
        ("http://127.0.0.1:5/a", (), False),
        ("https://static.example.com/a", ("static.example.com",), True),
        ("https://video.static.example.com/a", ("static.example.com",), True),
        ("https://example.com/a", ("static.example.com",), False),
        ("https://evilstatic.example.com/a", ("static.example.com",), False),
        ("https://example.com/media/a?signed=1", ("https://example.com/media/",), True),
        ("https://example.com/media2/a", ("https://example.com/media",), False),
        ("http://example.com/media/a", ("https://example.com/media/",), False),
        ("https://example.com@evil.com/media/", ("https://example.com/",), False),
    ],
)
def test_ownership(url: str, properties: tuple[str, ...], fine: bool) -> None:
    assert verified(url, properties) is fine


def test_what_is_not_verified_is_refused_at_init(sandbox: Sandbox, alice: Caller) -> None:
    answer = alice.video_init(pulled("https://example.com/a.mp4"))
    assert code(answer) == (403, "url_ownership_unverified")
    sandbox.knobs.verified_prefixes = ()
    assert code(alice.video_init(pulled("http://127.0.0.1:1/a.mp4"))) == (403, "url_ownership_unverified")
    assert sandbox.publishes == []
