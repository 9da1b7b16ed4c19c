"""The runner: up on entry, gone on exit, fit for any thread; and what tests of the provider rely on."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.sandbox.caller import Caller, mp4, one_chunk, video


def test_it_serves_between_entry_and_exit(http: httpx.Client) -> None:
    with Sandbox(processing_seconds=0) as sandbox:
        alice = Caller(sandbox, http, sandbox.grant("alice"))
        alice.upload(video())
        address, folder = (urlsplit(sandbox.url).hostname, urlsplit(sandbox.url).port), sandbox.folder
        assert folder.is_dir()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    assert not folder.exists()
    assert len(sandbox.posts) == 1, "what happened stays readable"
    assert not any(
        each.name == "tiktok-sandbox" and each.ident == sandbox._thread.ident
        for each in threading.enumerate()
    )


def test_its_end_waits_for_nobody(http: httpx.Client) -> None:
    """A client that hangs in a delayed answer, a pull that hangs and an open connection do not hold it up."""
    with Sandbox(hang_pulls=True) as sandbox:
        alice = Caller(sandbox, httpx.Client(timeout=0.05), sandbox.grant("alice"))
        alice.content_init(["http://127.0.0.1:1/a.jpg"])
        sandbox.fault("creator_info", action="delay", seconds=60)
        with pytest.raises(httpx.ReadTimeout):
            alice.creator_info()
        began = time.monotonic()
    assert time.monotonic() - began < 4


def test_media_stays_in_a_folder_of_ones_own(tmp_path: Path, http: httpx.Client) -> None:
    with Sandbox(processing_seconds=0, data_dir=tmp_path / "data") as sandbox:
        Caller(sandbox, http, sandbox.grant("alice")).upload(video())

    assert sandbox.posts[0].media[0].read_bytes() == video()


def test_it_listens_on_loopback_only() -> None:
    with pytest.raises(ValueError, match="loopback"):
        Sandbox(host="0.0.0.0")


def test_a_knob_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="no knob 'minutes'"):
        Sandbox(minutes=3)
    with pytest.raises(ValueError, match="minute"):
        Sandbox(minute=0)


def test_live_knobs_cannot_be_misspelt(sandbox: Sandbox) -> None:
    with pytest.raises(AttributeError):
        sandbox.knobs.minutes = 3  # type: ignore[attr-defined]


def test_a_connection_has_airflows_shape(sandbox: Sandbox) -> None:
    made = sandbox.connection("alice", media_bucket="b")

    assert set(made) == {"conn_type", "login", "password", "host", "extra"}
    assert set(made["extra"]) == {
        *("refresh_token", "access_token", "expires_at", "open_id", "scope", "media_bucket")
    }
    assert made["extra"]["expires_at"] == pytest.approx(time.time() + 7200, abs=5)


def test_the_same_creator_keeps_its_open_id(sandbox: Sandbox) -> None:
    first, second = sandbox.grant("alice"), sandbox.grant("alice")

    assert first["open_id"] == second["open_id"] != sandbox.grant("bob")["open_id"]
    assert first["access_token"] != second["access_token"]


def test_a_post_says_all_there_is(sandbox: Sandbox, alice: Caller) -> None:
    publish_id = alice.upload(mp4(), title="t", privacy_level="MUTUAL_FOLLOW_FRIENDS")
    (post,) = sandbox.posts

    assert (post.publish_id, post.creator, post.kind, post.mode) == (
        publish_id,
        "alice",
        "video",
        "DIRECT_POST",
    )
    assert (post.title, post.description, post.privacy_level) == ("t", "", "MUTUAL_FOLLOW_FRIENDS")
    assert post.post_id.isdigit()
    assert post.created <= sandbox.clock.now()


def test_many_threads_at_once(sandbox: Sandbox, http: httpx.Client) -> None:
    sandbox.knobs.limits = False
    failures: list[object] = []

    def work(number: int) -> None:
        try:
            own = Caller(sandbox, http, sandbox.grant(f"user{number}"))
            for _ in range(5):
                assert own.video_init(one_chunk(2000)).status_code == 200
                assert len(sandbox.publishes) > 0
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert len({each.publish_id for each in sandbox.publishes}) == 40


def test_it_loads_nothing_of_airflow_and_of_the_provider_only_the_enums() -> None:
    """It must be able to contradict the client."""
    script = (
        "import sys, airflow_provider_tiktok.sandbox.server, airflow_provider_tiktok.sandbox.commands\n"
        "own = 'airflow_provider_tiktok.'\n"
        "print(*sorted(n for n in sys.modules if n.split('.')[0] == 'airflow' or n == 'PIL'"
        " or n.startswith(own) and not n.startswith(own + 'sandbox')))"
    )

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert loaded.split() == ["airflow_provider_tiktok.api", "airflow_provider_tiktok.api.models"]
