"""Uploads: every status of TikTok's table, to the byte, and one post whatever uploaders do to each other."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import pytest

from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.sandbox.caller import Caller, chunked, mp4, one_chunk, video

SIZE, CHUNK = 11_000_123, 5_000_000


@pytest.fixture
def begun(alice: Caller) -> dict[str, str]:
    return alice.video_init(chunked(SIZE, CHUNK, 2)).json()["data"]


def test_chunks_are_answered_206_and_the_last_201(
    sandbox: Sandbox, alice: Caller, begun: dict[str, str]
) -> None:
    data, url = video(SIZE), begun["upload_url"]
    assert len(url) <= 256

    first = alice.put(url, data[:CHUNK], 0, SIZE)
    assert (first.status_code, first.headers["content-range"]) == (206, f"bytes 0-{CHUNK - 1}/{SIZE}")
    assert alice.status(begun["publish_id"]) == {
        "status": "PROCESSING_UPLOAD",
        "uploaded_bytes": CHUNK,
        "publicaly_available_post_id": [],
    }
    assert sandbox.posts == []

    last = alice.put(url, data[CHUNK:], CHUNK, SIZE)
    assert (last.status_code, last.headers["content-range"]) == (201, f"bytes 0-{SIZE - 1}/{SIZE}")
    (post,) = sandbox.posts
    assert post.media[0].read_bytes() == data
    assert post.sha256 == (__import__("hashlib").sha256(data).hexdigest(),)


def test_progress_may_be_a_count(sandbox: Sandbox, alice: Caller, begun: dict[str, str]) -> None:
    sandbox.knobs.upload_progress = "count"

    answer = alice.put(begun["upload_url"], video(SIZE)[:CHUNK], 0, SIZE)

    assert answer.headers["content-range"] == f"bytes 0-{CHUNK}/{SIZE}"


@pytest.mark.parametrize(
    "headers",
    [
        {"content_type": "application/octet-stream"},
        {"content_range": "0-4999999/11000123"},
        {"content_range": "bytes 0-4999999/*"},
        {"content_range": "bytes 0-4999999/11000124"},
        {"content_range": "bytes 0-4999998/11000123"},
        {"content_range": "bytes 5-4/11000123"},
        {"content_range": ""},
    ],
)
def test_bad_headers_are_400(
    sandbox: Sandbox, alice: Caller, begun: dict[str, str], headers: dict[str, str]
) -> None:
    assert alice.put(begun["upload_url"], video(SIZE)[:CHUNK], 0, SIZE, **headers).status_code == 400
    assert alice.status(begun["publish_id"])["uploaded_bytes"] == 0


def test_a_range_off_the_grid_is_400(alice: Caller, begun: dict[str, str]) -> None:
    assert alice.put(begun["upload_url"], video(SIZE)[: CHUNK - 1], 0, SIZE).status_code == 400
    assert alice.put(begun["upload_url"], video(SIZE), 0, SIZE).status_code == 400


def test_a_body_without_content_length_is_400(alice: Caller, begun: dict[str, str]) -> None:
    headers = {"content-type": "video/mp4", "content-range": f"bytes 0-{CHUNK - 1}/{SIZE}"}
    blocks = iter([video(SIZE)[:CHUNK]])

    assert httpx.put(begun["upload_url"], content=blocks, headers=headers).status_code == 400


def test_out_of_step_is_416_and_tells_the_progress(alice: Caller, begun: dict[str, str]) -> None:
    data, url = video(SIZE), begun["upload_url"]

    ahead = alice.put(url, data[CHUNK:], CHUNK, SIZE)
    assert (ahead.status_code, ahead.headers["content-range"]) == (416, f"bytes 0-0/{SIZE}")
    assert alice.put(url, data[:CHUNK], 0, SIZE).status_code == 206
    again = alice.put(url, data[:CHUNK], 0, SIZE)
    assert (again.status_code, again.headers["content-range"]) == (416, f"bytes 0-{CHUNK - 1}/{SIZE}")


@pytest.mark.parametrize("status", [416, 404, 403])
def test_a_put_after_the_end_posts_nothing_more(sandbox: Sandbox, alice: Caller, status: int) -> None:
    sandbox.knobs.reput_status = status
    data = video()
    begun = alice.video_init(one_chunk(len(data))).json()["data"]
    assert alice.put(begun["upload_url"], data, 0, len(data)).status_code == 201

    assert alice.put(begun["upload_url"], data, 0, len(data)).status_code == status
    assert len(sandbox.posts) == 1


def test_the_last_answer_may_be_200(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.knobs.complete_status = 200
    begun = alice.video_init(one_chunk(2000)).json()["data"]

    assert alice.put(begun["upload_url"], video(), 0, 2000).status_code == 200


def test_an_unknown_task_or_token_is_404(alice: Caller, begun: dict[str, str]) -> None:
    base, query = begun["upload_url"].split("?")
    upload_id = query.split("&")[0]

    assert alice.put(f"{base}?upload_id=1&upload_token=x", b"x", 0, 1).status_code == 404
    assert alice.put(f"{base}?{upload_id}&upload_token=wrong", b"x", 0, 1).status_code == 404
    assert alice.put(base, b"x", 0, 1).status_code == 404


def test_an_expired_url_is_403_and_the_publish_waits(
    sandbox: Sandbox, alice: Caller, begun: dict[str, str]
) -> None:
    sandbox.clock.advance(3601)

    assert alice.put(begun["upload_url"], video(SIZE)[:CHUNK], 0, SIZE).status_code == 403
    assert alice.status(begun["publish_id"])["status"] == "PROCESSING_UPLOAD"


def test_credentials_are_refused_and_counted(sandbox: Sandbox, alice: Caller, begun: dict[str, str]) -> None:
    data = video(SIZE)[:CHUNK]

    assert alice.put(begun["upload_url"], data, 0, SIZE, authorization="Bearer act.x").status_code == 400
    assert alice.put(begun["upload_url"], data, 0, SIZE, cookie="a=b").status_code == 400
    assert sandbox.violations == ["upload: header authorization", "upload: header cookie"]


def test_of_a_body_cut_in_the_middle_nothing_is_kept(
    sandbox: Sandbox, alice: Caller, begun: dict[str, str]
) -> None:
    parts = urlsplit(begun["upload_url"])
    head = (
        f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: video/mp4\r\n"
        f"content-length: {CHUNK}\r\ncontent-range: bytes 0-{CHUNK - 1}/{SIZE}\r\n\r\n"
    )
    with socket.create_connection((str(parts.hostname), int(parts.port or 0))) as connection:
        connection.sendall(head.encode() + video(SIZE)[: CHUNK // 2])
    deadline = time.monotonic() + 5
    while not any(each.code == "client_disconnected" for each in sandbox.requests):
        assert time.monotonic() < deadline
        time.sleep(0.01)

    assert alice.status(begun["publish_id"])["uploaded_bytes"] == 0
    publish_folder = sandbox.folder / begun["publish_id"]
    assert list(publish_folder.iterdir()) == []
    assert alice.put(begun["upload_url"], video(SIZE)[:CHUNK], 0, SIZE).status_code == 206


def test_the_server_may_hang_up_during_a_body(sandbox: Sandbox, alice: Caller, begun: dict[str, str]) -> None:
    sandbox.fault("upload", action="drop", when="during")

    with pytest.raises(httpx.TransportError):
        alice.put(begun["upload_url"], video(SIZE)[:CHUNK], 0, SIZE)
    assert alice.status(begun["publish_id"])["uploaded_bytes"] == 0


def test_a_lost_answer_to_the_last_chunk_has_posted_all_the_same(sandbox: Sandbox, alice: Caller) -> None:
    begun = alice.video_init(one_chunk(2000)).json()["data"]
    sandbox.fault("upload", action="drop", when="after")

    with pytest.raises(httpx.TransportError):
        alice.put(begun["upload_url"], video(), 0, 2000)
    assert len(sandbox.posts) == 1
    assert alice.put(begun["upload_url"], video(), 0, 2000).status_code == 416


def test_two_uploaders_at_once_make_one_post(sandbox: Sandbox, alice: Caller, begun: dict[str, str]) -> None:
    """Each range has one winner, the other hears 416, and the bytes are whole."""
    data, url, barrier = video(SIZE), begun["upload_url"], threading.Barrier(2)
    answers: list[int] = []

    def upload() -> None:
        for first, last in ((0, CHUNK), (CHUNK, SIZE)):
            barrier.wait(10)
            answers.append(alice.put(url, data[first:last], first, SIZE).status_code)

    threads = [threading.Thread(target=upload) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [201, 206, 416, 416]
    (post,) = sandbox.posts
    assert post.media[0].read_bytes() == data


def test_a_frozen_uploader_that_thaws_gets_416(
    sandbox: Sandbox, alice: Caller, begun: dict[str, str]
) -> None:
    """It had sent half a range when its successor sent the same range whole."""
    data, parts = video(SIZE), urlsplit(begun["upload_url"])
    head = (
        f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: video/mp4\r\n"
        f"content-length: {CHUNK}\r\ncontent-range: bytes 0-{CHUNK - 1}/{SIZE}\r\n\r\n"
    )
    with socket.create_connection((str(parts.hostname), int(parts.port or 0))) as frozen:
        frozen.sendall(head.encode() + data[: CHUNK // 2])
        for first, last in ((0, CHUNK), (CHUNK, SIZE)):
            assert alice.put(begun["upload_url"], data[first:last], first, SIZE).status_code in (206, 201)
        frozen.sendall(data[CHUNK // 2 : CHUNK])
        assert frozen.recv(100).startswith(b"HTTP/1.1 416")
    assert [post.media[0].read_bytes() == data for post in sandbox.posts] == [True]


def test_a_refused_chunk_of_many_bytes_still_gets_its_answer(alice: Caller, begun: dict[str, str]) -> None:
    """The server answers before it has read the body; the client must be able to read that answer."""
    assert alice.put(begun["upload_url"], video(SIZE)[CHUNK:], CHUNK, SIZE).status_code == 416


def test_an_upload_whose_creator_leaves_is_404(
    sandbox: Sandbox, alice: Caller, begun: dict[str, str]
) -> None:
    sandbox.remove_app("alice")

    assert alice.put(begun["upload_url"], video(SIZE)[:CHUNK], 0, SIZE).status_code == 404
    assert [each.fail_reason for each in sandbox.publishes] == ["auth_removed"]


def test_the_upload_url_has_the_name_the_client_used(sandbox: Sandbox, alice: Caller) -> None:
    """A connection may say localhost; the client then accepts no upload URL of 127.0.0.1."""
    answer = httpx.post(
        f"{sandbox.url.replace('127.0.0.1', 'localhost')}/v2/post/publish/inbox/video/init/",
        json={"source_info": one_chunk(2000)},
        headers={"authorization": f"Bearer {alice.token['access_token']}"},
    )

    assert answer.json()["data"]["upload_url"].startswith("http://localhost:")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(1000), "file_format_check_failed"),
        (mp4(codec=b"mp4v"), "file_format_check_failed"),
        (mp4(seconds=601, frames=601 * 30), "duration_check_failed"),
        (mp4(frames=50), "frame_rate_check_failed"),
        (mp4(frames=500), "frame_rate_check_failed"),
        (mp4(width=240), "picture_size_check_failed"),
        (mp4(height=4098), "picture_size_check_failed"),
    ],
)
def test_what_is_wrong_with_a_video_shows_only_after_its_bytes(
    alice: Caller, data: bytes, reason: str
) -> None:
    status = alice.ended(alice.upload(data))

    assert (status["status"], status["fail_reason"]) == ("FAILED", reason)


def test_the_creators_own_duration_counts(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.creator("alice").max_video_post_duration_sec = 4

    assert alice.ended(alice.upload(mp4(seconds=5)))["fail_reason"] == "duration_check_failed"


@pytest.mark.parametrize(("check", "status"), [("full", "FAILED"), ("magic", "PUBLISH_COMPLETE")])
def test_without_a_readable_header_only_the_full_check_fails(
    sandbox: Sandbox, alice: Caller, check: str, status: str
) -> None:
    sandbox.knobs.media_check = check

    assert alice.ended(alice.upload(video()))["status"] == status


def test_a_good_video_passes_the_full_check(sandbox: Sandbox, alice: Caller) -> None:
    sandbox.knobs.media_check = "full"

    assert alice.ended(alice.upload(mp4()))["status"] == "PUBLISH_COMPLETE"


def test_uploads_run_beside_each_other(sandbox: Sandbox, caller: Callable[..., Caller]) -> None:
    """No creator waits for another's slow chunk."""
    bob, begun = caller("bob"), caller("alice").video_init(one_chunk(2000)).json()["data"]
    parts = urlsplit(begun["upload_url"])
    with socket.create_connection((str(parts.hostname), int(parts.port or 0))) as slow:
        slow.sendall(
            f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: video/mp4\r\n"
            f"content-length: 2000\r\ncontent-range: bytes 0-1999/2000\r\n\r\nx".encode()
        )
        assert bob.ended(bob.upload(video()))["status"] == "PUBLISH_COMPLETE"
