"""What TikTok pulls from: put into a bucket, seen as TikTok sees it, and taken away; on a real S3 server."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import httpx
import pytest
from airflow.providers.common.compat.sdk import AirflowTaskTimeout

from airflow_provider_tiktok.auth.account import EXTRAS
from airflow_provider_tiktok.exceptions import TikTokMediaError, TikTokMediaReadError
from airflow_provider_tiktok.media import readable
from airflow_provider_tiktok.media.aws import BRIEF, AwsLogin
from airflow_provider_tiktok.media.bucket import PART_BYTES
from airflow_provider_tiktok.media.bucket import Bucket as StoreBucket
from airflow_provider_tiktok.media.hosting import MediaHost, Stageable
from airflow_provider_tiktok.media.readable import MediaAccess
from tests.buckets import KEYS, Bucket
from tests.readme.blocks import blocks

LOCAL = MediaAccess(allow_loopback=True)
PUBLISH_ID = "p_pub_url~v2.7600000000000000001"
FUTURE = datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readable, "_FIRST_PAUSE", 0.0)


def file(name: str = "a.jpg", body: bytes = b"jpeg", kind: str = "image/jpeg") -> Stageable:
    return Stageable(name, kind, len(body), lambda: io.BytesIO(body))


def host_of(bucket: Bucket, prefix: str = "", base: str = "") -> MediaHost:
    return MediaHost(bucket.opened(), prefix, base or bucket.url, LOCAL)


@pytest.fixture
def host(bucket: Bucket) -> Iterator[MediaHost]:
    made = host_of(bucket, "media/tiktok/")
    yield made
    made.close()


class TestStage:
    def test_a_file_is_seen_as_it_is(self, bucket: Bucket, host: MediaHost) -> None:
        staged = host.stage([file(body=b"one"), file("b.webp", b"two2", "image/webp")])
        seen = [httpx.get(url, trust_env=False) for url in staged.urls]
        assert [each.content for each in seen] == [b"one", b"two2"]
        assert [each.headers["content-type"] for each in seen] == ["image/jpeg", "image/webp"]
        assert all(key.startswith("media/tiktok/airflow-tiktok/staged/") for key in bucket.listed())
        assert [key.rpartition("/")[2] for key in bucket.listed()] == ["01.jpg", "02.webp"]

    def test_nobody_guesses_where_it_lies(self, host: MediaHost) -> None:
        folders = {host.stage([file()]).folder for _ in range(3)}
        assert len(folders) == 3
        assert all(len(folder.split("/")[-2]) >= 32 for folder in folders)

    def test_a_large_file_goes_up_in_parts(self, bucket: Bucket, host: MediaHost) -> None:
        body = bytes(range(256)) * (3 * PART_BYTES // 256) + b"end"
        staged = host.stage([file("long.mp4", body, "video/mp4")])
        (key,) = bucket.listed()
        assert bucket.client.head_object(Bucket=bucket.name, Key=key)["ETag"].endswith('-4"'), "4 parts"
        assert httpx.get(staged.urls[0], trust_env=False).content == body

    @pytest.mark.parametrize("prefix", ["", "media/", "a/b/"])
    @pytest.mark.parametrize("shows", ["bucket", "prefix"])
    def test_the_public_url_may_show_the_bucket_or_the_prefix(
        self, bucket: Bucket, prefix: str, shows: str
    ) -> None:
        base = bucket.url if shows == "bucket" else bucket.url + prefix
        (url,) = host_of(bucket, prefix, base).stage([file(body=b"there")]).urls
        assert httpx.get(url, trust_env=False).content == b"there"

    @pytest.mark.parametrize("shows", ["bucket", "prefix"])
    def test_a_prefix_that_a_url_has_to_quote(self, bucket: Bucket, shows: str) -> None:
        prefix = "médias 100%/#1/"
        base = bucket.url + (quote(prefix) if shows == "prefix" else "")
        (url,) = host_of(bucket, prefix, base).stage([file(body=b"there")]).urls
        assert re.fullmatch(r"[!-~]+", url)
        assert httpx.get(url, trust_env=False).content == b"there"

    def test_a_cdn_whose_path_says_nothing_of_the_prefix(self, bucket: Bucket, cdn: Cdn) -> None:
        """It shows what lies below the prefix under its root: found out by looking."""
        cdn.shows = f"{bucket.url}a/b/"
        (url,) = host_of(bucket, "a/b/", cdn.url).stage([file(body=b"there")]).urls
        assert url.startswith(f"{cdn.url}airflow-tiktok/staged/")
        assert httpx.get(url, trust_env=False).content == b"there"


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve on this machine; give the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


class Cdn:
    """A server in front of the bucket, which may do everything that TikTok refuses."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.shows = ""
        self.headers: dict[str, str] = {}
        self.status = 200
        self.head_status = 0
        self.seen: list[tuple[str, str]] = []


@pytest.fixture
def cdn(bucket: Bucket) -> Iterator[Cdn]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            state.seen.append((self.command, self.headers.get("Range", "")))
            status = (self.command == "HEAD" and state.head_status) or state.status
            behind = httpx.get(state.shows + self.path[1:], trust_env=False)
            status = behind.status_code if status == 200 else status
            body = behind.content
            headers = {"content-type": behind.headers.get("content-type", ""), **state.headers}
            if self.headers.get("Range") == "bytes=0-0" and status == 200:
                headers["content-range"] = f"bytes 0-0/{len(body)}"
                status, body = 206, body[:1]
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with serving(Handler) as url:
        state = Cdn(url)
        state.shows = bucket.url
        yield state


class TestSeenAsTikTokSees:
    @pytest.mark.parametrize(
        ("status", "headers", "says"),
        [
            (
                301,
                {"location": "http://127.0.0.1:1/elsewhere"},
                "HTTP 301: it redirects, and TikTok follows no",
            ),
            (302, {}, "it redirects"),
            (401, {}, "HTTP 401: it wants a login"),
            (403, {}, "HTTP 403: it may not be read"),
            (404, {}, "HTTP 404: it is not there"),
            (418, {}, "HTTP 418: check the URL"),
            (
                200,
                {"content-type": "text/html; charset=utf-8"},
                "its server calls it text/html, and it has to be",
            ),
            (200, {"content-type": "image/png"}, "calls it image/png, and it has to be image/jpeg"),
            (200, {"content-length": "3"}, "its server shows 3 bytes, and it has 4"),
        ],
    )
    def test_what_tiktok_could_not_pull_is_named(
        self, bucket: Bucket, cdn: Cdn, status: int, headers: dict[str, str], says: str
    ) -> None:
        """And nothing stays in the bucket."""
        cdn.status, cdn.headers = status, headers
        with pytest.raises(TikTokMediaError, match=says) as caught:
            host_of(bucket, base=cdn.url).stage([file("holiday.jpg")])
        assert "holiday.jpg" in str(caught.value)
        assert bucket.listed() == []

    @pytest.mark.parametrize("status", [403, 405, 501])
    def test_a_server_that_knows_no_head_is_asked_for_a_byte(
        self, bucket: Bucket, cdn: Cdn, status: int
    ) -> None:
        cdn.head_status = status
        host_of(bucket, base=cdn.url).stage([file()])
        assert ("GET", "bytes=0-0") in cdn.seen

    @pytest.mark.parametrize("kind", ["application/octet-stream", "binary/octet-stream", "IMAGE/JPEG; q=1"])
    def test_a_server_need_not_know_what_it_shows(self, bucket: Bucket, cdn: Cdn, kind: str) -> None:
        cdn.headers = {"content-type": kind}
        host_of(bucket, base=cdn.url).stage([file()])

    @pytest.mark.parametrize("status", [408, 429, 500, 503])
    def test_a_server_in_trouble_may_be_fine_later(self, bucket: Bucket, cdn: Cdn, status: int) -> None:
        cdn.status = status
        with pytest.raises(TikTokMediaReadError, match=f"in 3 tries: HTTP {status}"):
            host_of(bucket, base=cdn.url).stage([file()])
        assert bucket.listed() == []

    @pytest.mark.parametrize(
        ("base", "says"),
        [
            ("http://media.example.com/", "it is not https"),
            ("https://192.0.2.7/", "its host is an address"),
            ("https://127.0.0.1:9/", "its host is an address"),
            ("https://user@media.example.com/", "user name or password"),
        ],
    )
    def test_rules_that_the_url_alone_breaks(self, bucket: Bucket, base: str, says: str) -> None:
        """As it is with TikTok's own API, which is not on this machine."""
        host = MediaHost(bucket.opened(), "", base, MediaAccess())
        with pytest.raises(TikTokMediaError, match=says):
            host.stage([file()])
        assert bucket.listed() == []


class TestTakeAway:
    def test_what_a_publish_pulled_from_goes_when_it_has_ended(self, bucket: Bucket, host: MediaHost) -> None:
        """And nothing else, be it another publish's or somebody else's."""
        bucket.client.put_object(Bucket=bucket.name, Key="media/tiktok/theirs.jpg", Body=b"x")
        other = host.stage([file()])
        host.remember("p_other", other)
        host.remember(PUBLISH_ID, host.stage([file(), file()]))
        before = bucket.listed()
        host.release(PUBLISH_ID)
        assert len(before) - len(bucket.listed()) == 3
        assert "media/tiktok/theirs.jpg" in bucket.listed()
        assert any(key.startswith(other.folder) for key in bucket.listed())
        host.release("p_other")
        assert bucket.listed() == ["media/tiktok/theirs.jpg"]

    def test_a_publish_that_staged_nothing(self, bucket: Bucket, host: MediaHost) -> None:
        host.release("v_pub_file~v2-1.1")
        host.release("v_pub_file~v2-1.1")
        assert bucket.listed() == []

    @pytest.mark.parametrize(
        "planted", ["", "/", "media/tiktok/", "elsewhere/", "media/tiktok/airflow-tiktok/"]
    )
    def test_a_note_that_names_something_else_harms_nobody(
        self, bucket: Bucket, host: MediaHost, planted: str
    ) -> None:
        bucket.client.put_object(Bucket=bucket.name, Key="elsewhere/theirs.jpg", Body=b"x")
        other = host.stage([file()])
        host.remember(PUBLISH_ID, other)
        (note,) = bucket.listed("media/tiktok/airflow-tiktok/publishes/")
        bucket.client.put_object(Bucket=bucket.name, Key=note, Body=planted.encode())
        host.release(PUBLISH_ID)
        assert "elsewhere/theirs.jpg" in bucket.listed()
        assert any(key.startswith(other.folder) for key in bucket.listed())

    def test_a_release_that_breaks_down_can_be_repeated(
        self, bucket: Bucket, host: MediaHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The note goes last."""
        host.remember(PUBLISH_ID, host.stage([file()]))
        delete = host._bucket.delete

        def dying(key: str) -> None:
            delete(key)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(host._bucket, "delete", dying)
            with pytest.raises(KeyboardInterrupt):
                host.release(PUBLISH_ID)
        assert len(bucket.listed()) == 1
        host.release(PUBLISH_ID)
        assert bucket.listed() == []

    def test_files_that_cannot_be_removed_are_the_sweeps(
        self, bucket: Bucket, cdn: Cdn, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The first trouble is what is told."""
        cdn.status = 404
        host = host_of(bucket, base=cdn.url)

        def refused(_: str) -> None:
            raise TikTokMediaError("may not be removed")

        monkeypatch.setattr(host._bucket, "delete", refused)
        with caplog.at_level(logging.WARNING), pytest.raises(TikTokMediaError, match="HTTP 404"):
            host.stage([file()])
        assert "airflow-tiktok media sweep" in caplog.text

    def test_a_long_upload_ends_when_its_task_is_ended(self, bucket: Bucket, host: MediaHost) -> None:
        """And not only when all of it is up, minutes later."""
        blocks = []

        class Slow(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                blocks.append(size)
                if len(blocks) == 2:
                    os.kill(os.getpid(), signal.SIGALRM)
                time.sleep(0.2)
                return super().read(size)

        def ended(*_: object) -> None:
            raise AirflowTaskTimeout("execution_timeout")

        body = bytes(10 * PART_BYTES)
        before = signal.signal(signal.SIGALRM, ended)
        try:
            with pytest.raises(AirflowTaskTimeout):
                host.stage([Stageable("long.mp4", "video/mp4", len(body), lambda: Slow(body))])
        finally:
            signal.signal(signal.SIGALRM, before)
        assert len(blocks) < 8
        assert (bucket.listed(), host.leftovers(FUTURE)) == ([], [])

    def test_a_task_that_is_ended_while_it_stages_leaves_nothing(
        self, bucket: Bucket, host: MediaHost
    ) -> None:
        def ended() -> io.BytesIO:
            raise SystemExit(143)

        with pytest.raises(SystemExit):
            host.stage([file(), Stageable("b.jpg", "image/jpeg", 4, ended)])
        assert bucket.listed() == []

    def test_a_release_that_the_store_refuses_can_be_repeated(
        self, bucket: Bucket, host: MediaHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By whoever sees the end next: the note stays while the files do."""
        host.remember(PUBLISH_ID, host.stage([file()]))
        delete = host._bucket.delete

        def refused(key: str) -> None:
            if "/staged/" in key:
                raise TikTokMediaReadError("not now")
            delete(key)

        with monkeypatch.context() as patch:
            patch.setattr(host._bucket, "delete", refused)
            with pytest.raises(TikTokMediaReadError, match="not now"):
                host.release(PUBLISH_ID)
        host.release(PUBLISH_ID)
        assert bucket.listed() == []

    def test_what_another_has_removed_meanwhile_is_well(
        self, bucket: Bucket, host: MediaHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Some stores answer a second removal with 404, where S3 says that all is well."""
        host.remember(PUBLISH_ID, host.stage([file()]))
        delete = host._bucket._client.delete_object

        def strict(**where: str) -> object:
            delete(**where)
            return bucket.client.get_object(**where)  # 404

        monkeypatch.setattr(host._bucket._client, "delete_object", strict)
        host.release(PUBLISH_ID)
        assert bucket.listed() == []

    def test_a_store_that_lists_less_and_more_than_it_is_asked(
        self, bucket: Bucket, host: MediaHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Keys without sizes and dates, and some that were not asked for: those stay."""
        bucket.client.put_object(Bucket=bucket.name, Key="theirs.jpg", Body=b"x")
        host.remember(PUBLISH_ID, host.stage([file()]))

        class Careless:
            def paginate(self, **_: object) -> list[object]:
                return [{"Contents": [{"Key": key} for key in bucket.listed()]}]

        monkeypatch.setattr(host._bucket._client, "get_paginator", lambda _: Careless())
        host.release(PUBLISH_ID)
        assert bucket.listed() == ["theirs.jpg"]

    def test_nobody_is_kept_waiting_for_a_store_that_does_not_answer(self) -> None:
        """The publish has ended: what cannot be removed in a moment is the sweep's."""
        requests = []

        class Unwell(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                requests.append(self.path)
                self.send_error(503)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        with serving(Unwell) as url:
            login = AwsLogin(*KEYS, endpoint_url=url, region_name="us-east-1")
            host = MediaHost(StoreBucket("bucket", login, BRIEF), "", url, LOCAL)
            with pytest.raises(TikTokMediaReadError):
                host.release(PUBLISH_ID)
        assert len(requests) == BRIEF.tries
        config = host._bucket._client.meta.config
        assert (config.connect_timeout + config.read_timeout) * BRIEF.tries <= 30


class TestSweep:
    def test_finds_what_is_old_enough_and_ours(self, bucket: Bucket, host: MediaHost) -> None:
        bucket.client.put_object(Bucket=bucket.name, Key="media/tiktok/theirs.jpg", Body=b"x")
        host.remember(PUBLISH_ID, host.stage([file(body=b"12345")]))
        assert host.leftovers(datetime.now(UTC) - timedelta(hours=1)) == []
        found = host.leftovers(FUTURE)
        assert min(each.size for each in found) == 5
        for each in found:
            host.sweep(each)
        assert bucket.listed() == ["media/tiktok/theirs.jpg"]

    def test_finds_uploads_that_did_not_come_to_their_end(self, bucket: Bucket, host: MediaHost) -> None:
        ours = "media/tiktok/airflow-tiktok/staged/x/01.mp4"
        for key in (ours, "theirs.mp4"):
            bucket.client.create_multipart_upload(Bucket=bucket.name, Key=key)
        (found,) = host.leftovers(FUTURE)
        assert (found.key, bool(found.upload_id)) == (ours, True)
        host.sweep(found)
        left = bucket.client.list_multipart_uploads(Bucket=bucket.name)["Uploads"]
        assert [each["Key"] for each in left] == ["theirs.mp4"]

    def test_a_store_that_cannot_list_uploads(
        self,
        bucket: Bucket,
        host: MediaHost,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """What else was left behind goes all the same."""
        host.stage([file()])

        def refused(_: str) -> list[object]:
            raise TikTokMediaError("no ListBucketMultipartUploads")

        monkeypatch.setattr(host._bucket, "uploads", refused)
        assert len(host.leftovers(FUTURE)) == 1
        assert "no ListBucketMultipartUploads" in caplog.text

    def test_an_upload_that_has_ended_meanwhile(self, bucket: Bucket, host: MediaHost) -> None:
        key = "media/tiktok/airflow-tiktok/staged/x/01.mp4"
        bucket.client.create_multipart_upload(Bucket=bucket.name, Key=key)
        (found,) = host.leftovers(FUTURE)
        host.sweep(found)
        host.sweep(found)

    def test_more_than_a_page(self, bucket: Bucket, host: MediaHost, monkeypatch: pytest.MonkeyPatch) -> None:
        for number in range(5):
            key = f"media/tiktok/airflow-tiktok/staged/{number}/01.jpg"
            bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"x")
        paginate = host._bucket._client.get_paginator("list_objects_v2").paginate

        class Small:
            def paginate(self, **where: object) -> object:
                return paginate(**where, PaginationConfig={"PageSize": 2})

        get: Callable[[str], object] = host._bucket._client.get_paginator
        monkeypatch.setattr(
            host._bucket._client,
            "get_paginator",
            lambda name: Small() if name == "list_objects_v2" else get(name),
        )
        assert len(host.leftovers(FUTURE)) == 5


def test_the_readmes_lifecycle_rule_is_one_and_speaks_of_what_is_staged(
    bucket: Bucket, host: MediaHost
) -> None:
    """Its prefix is the one that is used below the README's ``media_prefix``."""
    printed = [each.text for each in blocks("json") if each.heading == "Media that TikTok pulls"]
    hosting, rule = (json.loads(each) for each in printed)
    bucket.client.put_bucket_lifecycle_configuration(Bucket=bucket.name, LifecycleConfiguration=rule)
    (prefix,) = (each["Filter"]["Prefix"] for each in rule["Rules"])
    staged = host_of(bucket, hosting["media_prefix"]).stage([file()])
    assert staged.folder.startswith(prefix)
    assert set(hosting) <= set(EXTRAS)


class TestTheBucketRefuses:
    def test_no_such_bucket(self, bucket: Bucket) -> None:
        host = MediaHost(StoreBucket("not-there", bucket.login), "", bucket.url, LOCAL)
        with pytest.raises(TikTokMediaError, match=r"s3://not-there/airflow-tiktok/staged/.*no such bucket"):
            host.stage([file()])

    def test_no_store(self) -> None:
        """And neither keys nor the endpoint's address are told."""
        login = AwsLogin(
            "AKIASECRET", "verysecret", endpoint_url="http://127.0.0.1:9", region_name="us-east-1"
        )
        host = MediaHost(StoreBucket("bucket", login), "", "http://127.0.0.1:9/", LOCAL)
        with pytest.raises(TikTokMediaReadError, match="did not answer") as caught:
            host.stage([file()])
        assert "secret" not in str(caught.value).lower()
