"""The video operator against a local TikTok: what it posts, what it refuses, and that it posts once."""

from __future__ import annotations

import contextlib
import hashlib
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
    AirflowTaskTimeout,
    TaskDeferred,
)

from airflow_provider_tiktok import exceptions as errors
from airflow_provider_tiktok.api import chunks, upload
from airflow_provider_tiktok.exceptions import CODES, TikTokError
from airflow_provider_tiktok.operators.tiktok import TikTokPublishVideoOperator
from airflow_provider_tiktok.publishing import status as status_module
from airflow_provider_tiktok.sandbox.server import Sandbox
from airflow_provider_tiktok.sandbox.uploads import Uploads
from airflow_provider_tiktok.sandbox.wire import HTTP_STATUS
from tests.airflow_tasks import (
    FakeClock,
    FakeTi,
    FakeVariables,
    context_of,
    ended_publish,
    endpoints_of,
    executed,
    fail_deferral,
    first_event,
    inits_of,
    longer,
    publish_connection,
    resume,
    run,
)

Connect = Callable[..., dict[str, Any]]

START = datetime(2026, 1, 1, tzinfo=UTC)
DIRECT = {"privacy_level": "PUBLIC_TO_EVERYONE"}
DRAFT = {"post_mode": "MEDIA_UPLOAD"}
ALWAYS_SENT = {
    "disable_comment": False,
    "disable_duet": False,
    "disable_stitch": False,
    "brand_content_toggle": False,
    "brand_organic_toggle": False,
    "is_aigc": False,
}


def operator(video: object, **options: Any) -> TikTokPublishVideoOperator:
    return TikTokPublishVideoOperator(task_id="publish", video=video, **options)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def public_url(tiktok: Sandbox, name: str = "sample.mp4") -> str:
    return f"{tiktok.url}/public/{name}"


@pytest.fixture
def ranges(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, video: Path) -> Path:
    """A video that goes up in three ranges, without being as large as TikTok's bound for one."""
    monkeypatch.setattr(chunks, "ONE_CHUNK_MAX", 8_000_000)
    return longer(video, 17_999_990, tmp_path / "ranges.mp4")


class TestPublishes:
    def test_an_upload_arrives_to_the_byte(self, tiktok: Sandbox, connect: Connect, video: Path) -> None:
        connect()
        publish_id = run(operator(video, title="Hello 🎬 #airflow", **DIRECT))
        assert isinstance(publish_id, str)
        assert publish_id.startswith("v_pub_file~")
        (post,) = tiktok.posts
        assert (post.publish_id, post.sha256, post.title) == (
            publish_id,
            (sha256(video),),
            "Hello 🎬 #airflow",
        )
        assert endpoints_of(tiktok) == ["creator_info", "video_init", "upload"]
        assert tiktok.violations == []

    def test_several_ranges_arrive_to_the_byte(
        self, tiktok: Sandbox, connect: Connect, video: Path, tmp_path: Path
    ) -> None:
        connect()
        large = longer(video, 64_000_001, tmp_path / "large.mp4")
        run(operator(large, chunk_size="32000000", **DIRECT))
        assert [each.content_range for each in tiktok.requests if each.endpoint == "upload"] == [
            "bytes 0-21333332/64000001",
            "bytes 21333333-42666665/64000001",
            "bytes 42666666-64000000/64000001",
        ]
        assert tiktok.posts[0].sha256 == (sha256(large),)

    @pytest.mark.parametrize("uri", ["{path}", "file://{path}", "  {path}  "])
    def test_takes_paths_and_uris(self, tiktok: Sandbox, connect: Connect, video: Path, uri: str) -> None:
        connect()
        run(operator(uri.format(path=video), **DIRECT))
        assert tiktok.posts[0].sha256 == (sha256(video),)

    def test_uploads_what_lies_behind_a_url(self, tiktok: Sandbox, connect: Connect, video: Path) -> None:
        connect()
        run(operator(public_url(tiktok), **DIRECT))
        assert (tiktok.posts[0].sha256, inits_of(tiktok)) == ((sha256(video),), ["video_init"])
        assert tiktok.publishes[0].source == "FILE_UPLOAD", "auto uploads, always"

    def test_a_pull(self, tiktok: Sandbox, connect: Connect, video: Path) -> None:
        connect()
        publish_id = run(operator(public_url(tiktok), source="PULL_FROM_URL", title="pulled", **DIRECT))
        assert publish_id.startswith("v_pub_url~")
        publish = ended_publish(tiktok)
        assert (publish.sha256, publish.urls) == ([sha256(video)], (public_url(tiktok),))
        assert [post.title for post in tiktok.posts] == ["pulled"]

    @pytest.mark.parametrize(
        ("source", "prefix"), [("FILE_UPLOAD", "v_inbox_file~"), ("PULL_FROM_URL", "v_inbox_url~")]
    )
    def test_a_draft(self, tiktok: Sandbox, connect: Connect, video: Path, source: str, prefix: str) -> None:
        """A draft needs video.upload alone, and asks no creator_info, which it would not be allowed to."""
        connect(scopes="video.upload")
        what = str(video) if source == "FILE_UPLOAD" else public_url(tiktok)
        publish_id = run(operator(what, source=source, **DRAFT))
        assert publish_id.startswith(prefix)
        assert ended_publish(tiktok).sha256 == [sha256(video)]
        assert [draft.publish_id for draft in tiktok.drafts] == [publish_id]
        assert endpoints_of(tiktok)[0] == "inbox_init"
        assert "creator_info" not in endpoints_of(tiktok)
        assert tiktok.posts == []

    def test_a_direct_post_needs_video_publish_alone(
        self, tiktok: Sandbox, connect: Connect, video: Path
    ) -> None:
        connect(scopes="video.publish")
        run(operator(video, **DIRECT))
        assert len(tiktok.posts) == 1

    def test_the_connections_host_may_be_a_name(
        self, tiktok: Sandbox, connect: Connect, video: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connection = connect()
        host = tiktok.url.replace("127.0.0.1", "localhost")
        publish_connection(monkeypatch, "tiktok_default", {**connection, "host": host})
        run(operator(video, **DIRECT))
        assert len(tiktok.posts) == 1

    def test_uses_the_connection_it_is_given(self, tiktok: Sandbox, connect: Connect, video: Path) -> None:
        connect("alice")
        connect("bob", conn_id="other")
        run(operator(video, tiktok_conn_id="{{ params.who }}", **DIRECT), params={"who": "other"})
        assert [post.creator for post in tiktok.posts] == ["bob"]


class TestInitBody:
    """What TikTok was told, as it arrived."""

    @pytest.mark.parametrize("disabled", [False, True], ids=["creator allows", "creator has disabled"])
    @pytest.mark.parametrize("given", [None, True, False])
    @pytest.mark.parametrize("name", ["comment", "duet", "stitch"])
    def test_interaction_settings(
        self,
        *,
        tiktok: Sandbox,
        connect: Connect,
        video: Path,
        name: str,
        given: bool | None,
        disabled: bool,
    ) -> None:
        """None = the creator's own setting; what the creator has disabled is sent as disabled."""
        connect()
        setattr(tiktok.creator("alice"), f"{name}_disabled", disabled)
        run(operator(video, **{f"disable_{name}": given}, **DIRECT))
        expected = {**ALWAYS_SENT, **DIRECT, "title": "", f"disable_{name}": bool(given) or disabled}
        assert tiktok.publishes[0].options == expected

    def test_all_settings(self, tiktok: Sandbox, connect: Connect, video: Path) -> None:
        connect()
        tiktok.knobs.require_brand_toggles = True
        settings = {
            "title": "Ä" * 2200,
            "privacy_level": "MUTUAL_FOLLOW_FRIENDS",
            "video_cover_timestamp_ms": 1500,
            "brand_content_toggle": True,
            "brand_organic_toggle": True,
            "is_aigc": True,
        }
        run(operator(video, **settings))
        assert tiktok.publishes[0].options == {**ALWAYS_SENT, **settings}

    def test_the_first_frame_as_cover_is_a_choice(
        self, tiktok: Sandbox, connect: Connect, video: Path
    ) -> None:
        connect()
        run(operator(video, video_cover_timestamp_ms=0, **DIRECT))
        assert tiktok.publishes[0].options["video_cover_timestamp_ms"] == 0

    def test_an_upload_says_how_it_comes(self, tiktok: Sandbox, connect: Connect, ranges: Path) -> None:
        connect()
        run(operator(ranges, chunk_size=6_000_000, **DIRECT))
        assert tiktok.publishes[0].size == 17_999_990
        assert [each.content_range for each in tiktok.requests if each.endpoint == "upload"] == [
            "bytes 0-5999995/17999990",
            "bytes 5999996-11999991/17999990",
            "bytes 11999992-17999989/17999990",
        ]


class TestTemplates:
    def test_every_argument_is_templated(self) -> None:
        import inspect

        named = set(inspect.signature(TikTokPublishVideoOperator.__init__).parameters) - {"self", "kwargs"}
        assert set(TikTokPublishVideoOperator.template_fields) == named

    RENDERED = {
        "title": "{{ params.title }}",
        "privacy_level": "{{ params.level }}",
        "post_mode": "{{ params.mode }}",
        "source": "{{ params.source }}",
        "disable_comment": "{{ params.yes }}",
        "disable_duet": "{{ params.no }}",
        "disable_stitch": "{{ params.none }}",
        "video_cover_timestamp_ms": "{{ params.number }}",
        "brand_content_toggle": "{{ params.no }}",
        "brand_organic_toggle": "{{ params.yes }}",
        "is_aigc": "{{ params.yes }}",
        "wait_for_completion": "{{ params.yes }}",
        "deferrable": "{{ params.no }}",
        "poll_interval": "{{ params.seconds }}",
        "wait_timeout": "{{ params.number }}",
        "dry_run": "{{ params.no }}",
        "chunk_size": "{{ params.none }}",
        "tiktok_conn_id": "tiktok_{{ params.who }}",
    }
    PARAMS = {
        "title": "2026",
        "level": "SELF_ONLY",
        "mode": "DIRECT_POST",
        "source": "auto",
        "yes": True,
        "no": False,
        "none": None,
        "number": 1500,
        "seconds": 1.5,
        "who": "default",
    }

    @pytest.mark.parametrize("native", [False, True], ids=["texts", "native"])
    def test_all_at_once(
        self, *, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path, native: bool
    ) -> None:
        """A template makes texts of yes, no, none and numbers, or, native, numbers of texts."""
        connect()
        ti = FakeTi()
        with DAG("d", schedule=None, start_date=START, render_template_as_native_obj=native):
            task = operator("{{ params.video }}", **self.RENDERED)
        run(task, ti, params={**self.PARAMS, "video": str(video)})
        assert tiktok.publishes[0].options == {
            "title": "2026",
            "privacy_level": "SELF_ONLY",
            "disable_comment": True,
            "disable_duet": False,
            "disable_stitch": False,
            "video_cover_timestamp_ms": 1500,
            "brand_content_toggle": False,
            "brand_organic_toggle": True,
            "is_aigc": True,
        }
        assert ti.xcoms["publish_status"]["status"] == "PUBLISH_COMPLETE"

    @pytest.mark.parametrize("title", ["0", "007", "None of your business", "True", "[1]"])
    def test_a_title_stays_a_text(self, tiktok: Sandbox, connect: Connect, video: Path, title: str) -> None:
        connect()
        run(operator(video, title="{{ params.title }}", **DIRECT), params={"title": title})
        assert tiktok.publishes[0].options["title"] == title

    def test_a_native_zero_is_a_title(self, tiktok: Sandbox, connect: Connect, video: Path) -> None:
        connect()
        with DAG("d", schedule=None, start_date=START, render_template_as_native_obj=True):
            task = operator(str(video), title="{{ params.title }}", **DIRECT)
        run(task, params={"title": 0})
        assert tiktok.publishes[0].options["title"] == "0"

    @pytest.mark.parametrize("native", [False, True])
    def test_a_draft_of_rendered_nothings(
        self, tiktok: Sandbox, connect: Connect, video: Path, native: bool
    ) -> None:
        """One DAG for drafts and posts: what a template renders to None or False is not set."""
        connect()
        with DAG("d", schedule=None, start_date=START, render_template_as_native_obj=native):
            task = operator(
                str(video),
                post_mode="MEDIA_UPLOAD",
                **dict.fromkeys(
                    ["privacy_level", "disable_comment", "video_cover_timestamp_ms"], "{{ params.none }}"
                ),
                **dict.fromkeys(["is_aigc", "brand_content_toggle"], "{{ params.no }}"),
            )
        run(task, params=self.PARAMS)
        assert len(tiktok.drafts) == 1

    def test_can_be_mapped(self) -> None:
        with DAG("d", schedule=None, start_date=START) as dag:
            mapped = TikTokPublishVideoOperator.partial(task_id="many", **DIRECT).expand(
                video=["a.mp4", "b.mp4"]
            )
        assert dag.task_dict == {"many": mapped}


class TestRefusedBeforeAnythingIsSent:
    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({}, "privacy_level is needed"),
            ({"privacy_level": ""}, "privacy_level is needed"),
            ({"privacy_level": "{{ none }}"}, "privacy_level is needed"),
            ({"privacy_level": "PUBLIC"}, "privacy_level must be one of"),
            ({"privacy_level": "public_to_everyone"}, "privacy_level must be one of"),
            ({**DIRECT, "post_mode": "DRAFT"}, "post_mode must be one of"),
            ({**DIRECT, "post_mode": None}, "post_mode must be one of"),
            ({**DIRECT, "source": "UPLOAD"}, "source must be one of"),
            ({**DIRECT, "source": "auto "}, "source must be one of"),
            ({**DIRECT, "is_aigc": "maybe"}, "is_aigc must be true or false"),
            ({**DIRECT, "disable_duet": 2}, "disable_duet must be true or false"),
            ({**DIRECT, "brand_organic_toggle": "yes"}, "brand_organic_toggle must be true or false"),
            ({**DIRECT, "wait_for_completion": "later"}, "wait_for_completion must be true or false"),
            ({**DIRECT, "deferrable": "x"}, "deferrable must be true or false"),
            ({**DIRECT, "dry_run": "x"}, "dry_run must be true or false"),
            ({**DIRECT, "video_cover_timestamp_ms": -1}, "video_cover_timestamp_ms must be a whole number"),
            ({**DIRECT, "video_cover_timestamp_ms": "1.5"}, "video_cover_timestamp_ms must be"),
            ({**DIRECT, "video_cover_timestamp_ms": 2**31}, "video_cover_timestamp_ms must be"),
            ({**DIRECT, "video_cover_timestamp_ms": True}, "video_cover_timestamp_ms must be"),
            ({**DIRECT, "poll_interval": 0}, "poll_interval must be"),
            ({**DIRECT, "poll_interval": "soon"}, "poll_interval must be"),
            ({**DIRECT, "poll_interval": "nan"}, "poll_interval must be"),
            ({**DIRECT, "poll_interval": None}, "poll_interval must be"),
            ({**DIRECT, "poll_interval": True}, "poll_interval must be"),
            ({**DIRECT, "wait_timeout": -1}, "wait_timeout must be"),
            ({**DIRECT, "wait_timeout": "inf"}, "wait_timeout must be"),
            ({**DIRECT, "wait_timeout": 1e12}, "wait_timeout must be"),
            ({**DIRECT, "chunk_size": 0}, "chunk_size must be"),
            ({**DIRECT, "chunk_size": 5_999_999}, "chunk_size must be"),
            ({**DIRECT, "chunk_size": "64000001"}, "chunk_size must be"),
            ({"privacy_level": "SELF_ONLY", "brand_content_toggle": True}, "brand_content_toggle cannot go"),
            ({**DIRECT, "title": "a" * 2201}, "2201 UTF-16 units"),
            ({**DIRECT, "title": "🎬" * 1101}, "2202 UTF-16 units"),
            ({**DIRECT, "title": "a" * 2199 + "🎬"}, "2201 UTF-16 units"),
        ],
    )
    def test_arguments(
        self, tiktok: Sandbox, connect: Connect, video: Path, options: dict[str, Any], says: str
    ) -> None:
        connect()
        with pytest.raises(errors.TikTokInputError, match=says) as caught:
            run(operator(video, **options))
        assert isinstance(caught.value, AirflowFailException), "no retry can cure it"
        assert endpoints_of(tiktok) == []

    @pytest.mark.parametrize("title", ["a" * 2200, "🎬" * 1100, "👩‍👩‍👧" * 275])
    def test_the_longest_titles(self, tiktok: Sandbox, connect: Connect, video: Path, title: str) -> None:
        connect()
        run(operator(video, title=title, **DIRECT))
        assert tiktok.posts[0].title == title

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("title", "a caption"),
            ("privacy_level", "SELF_ONLY"),
            ("disable_comment", True),
            ("disable_duet", "true"),
            ("disable_stitch", True),
            ("video_cover_timestamp_ms", 0),
            ("video_cover_timestamp_ms", "1500"),
            ("brand_content_toggle", True),
            ("brand_organic_toggle", "True"),
            ("is_aigc", True),
        ],
    )
    def test_what_a_draft_would_drop(
        self, *, tiktok: Sandbox, connect: Connect, video: Path, name: str, value: object
    ) -> None:
        connect()
        with pytest.raises(errors.TikTokInputError, match=f"silently drop {name}\\."):
            run(operator(video, **{name: value}, **DRAFT))
        assert endpoints_of(tiktok) == []

    @pytest.mark.parametrize(
        "url",
        [
            "video.mp4",
            "/srv/video.mp4",
            "s3://bucket/video.mp4",
            "ftp://media.example.com/video.mp4",
            "http://media.example.com/video.mp4",
            "https://192.0.2.1/video.mp4",
            "https://192.0.2.1./video.mp4",
            "https://[2001:db8::1]/video.mp4",
            "https://user:word@media.example.com/video.mp4",
            "https://user@media.example.com/video.mp4",
            "https://@media.example.com/video.mp4",
            "https://media.example.com:99999/video.mp4",
            "https://media.example.com:port/video.mp4",
            "https://[media.example.com/video.mp4",
            "https:///video.mp4",
            "https://",
        ],
    )
    def test_what_tiktok_cannot_pull(
        self, variables: FakeVariables, monkeypatch: pytest.MonkeyPatch, url: str
    ) -> None:
        """As it is with TikTok's own host; what speaks of secrets or paths is not in the message."""
        connection = {
            "conn_type": "tiktok",
            "login": "k",
            "password": "secret",
            "extra": {"access_token": "act.x", "scope": "video.publish"},
        }
        publish_connection(monkeypatch, "tiktok_default", connection)
        with pytest.raises(
            (errors.TikTokInputError, errors.TikTokConfigError), match="PULL_FROM_URL"
        ) as caught:
            run(operator(url, source="PULL_FROM_URL", **DIRECT))
        assert "word" not in str(caught.value).replace("password", "")

    @pytest.mark.parametrize("url", ["/srv/video.mp4", "ftp://127.0.0.1/v.mp4", "http://u:p@127.0.0.1/v.mp4"])
    def test_what_even_a_local_tiktok_cannot_pull(self, tiktok: Sandbox, connect: Connect, url: str) -> None:
        connect()
        with pytest.raises((errors.TikTokInputError, errors.TikTokConfigError), match="PULL_FROM_URL"):
            run(operator(url, source="PULL_FROM_URL", **DIRECT))
        assert endpoints_of(tiktok) == []

    @pytest.mark.parametrize("video", ["", "   ", None])
    def test_no_video(self, tiktok: Sandbox, connect: Connect, video: object) -> None:
        connect()
        with pytest.raises(errors.TikTokInputError, match="video is empty"):
            run(operator(video, **DIRECT))

    @pytest.mark.parametrize(
        ("name", "content", "says"),
        [
            ("missing.mp4", None, "does not exist"),
            ("empty.mp4", b"", "is empty"),
            ("picture.mp4", b"\x89PNG\r\n\x1a\n" + bytes(64), "PNG picture"),
            ("film.mp4", b"RIFF\0\0\0\0AVI LIST" + bytes(64), "AVI"),
        ],
    )
    @pytest.mark.parametrize("mode", [DIRECT], ids=["direct"])
    def test_media(
        self,
        *,
        tiktok: Sandbox,
        connect: Connect,
        tmp_path: Path,
        name: str,
        content: bytes | None,
        says: str,
        mode: dict[str, Any],
    ) -> None:
        connect()
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(errors.TikTokMediaError, match=says) as caught:
            run(operator(str(tmp_path / name), **mode))  # Airflow 3.0 and 3.1 look for a Path themselves
        assert name in str(caught.value)
        assert endpoints_of(tiktok) == []

    def test_privacy_level_that_the_creator_has_not(
        self, tiktok: Sandbox, connect: Connect, video: Path
    ) -> None:
        connect()
        tiktok.creator("alice").private = True
        with pytest.raises(errors.TikTokInputError, match="FOLLOWER_OF_CREATOR, MUTUAL_FOLLOW") as caught:
            run(operator(video, **DIRECT))
        assert "@alice" in str(caught.value)
        assert endpoints_of(tiktok) == ["creator_info"]

    def test_longer_than_the_creator_may(self, tiktok: Sandbox, connect: Connect, video: Path) -> None:
        pytest.importorskip("av")
        connect()
        tiktok.creator("alice").max_video_post_duration_sec = 4
        with pytest.raises(errors.TikTokMediaError, match=r"lasts 5 s; this creator may send at most 4 s"):
            run(operator(video, **DIRECT))
        assert endpoints_of(tiktok) == ["creator_info"]

    @pytest.mark.parametrize(
        ("scopes", "options", "needed"),
        [
            ("user.info.basic,video.upload", DIRECT, "video.publish"),
            ("user.info.basic,video.publish", DRAFT, "video.upload"),
            ("user.info.basic", DIRECT, "video.publish"),
        ],
    )
    def test_scope_that_was_not_granted(
        self, *, tiktok: Sandbox, connect: Connect, video: Path, scopes: str, options: Any, needed: str
    ) -> None:
        connect(scopes=scopes)
        with pytest.raises(errors.TikTokConsentError, match=f"needs the scope {needed}") as caught:
            run(operator(video, **options))
        assert caught.value.code == "scope_not_authorized"
        assert isinstance(caught.value, AirflowFailException)
        assert endpoints_of(tiktok) == []

    def test_a_creator_that_cannot_post_now(self, tiktok: Sandbox, connect: Connect, video: Path) -> None:
        """creator_info says it with HTTP 200."""
        connect()
        tiktok.creator("alice").banned = True
        with pytest.raises(errors.TikTokCreatorError, match="spam_risk_user_banned_from_posting"):
            run(operator(video, **DIRECT))
        assert inits_of(tiktok) == []

    def test_no_connection(self, tiktok: Sandbox, variables: FakeVariables, video: Path) -> None:
        with pytest.raises(AirflowNotFoundException):
            run(operator(video, tiktok_conn_id="nowhere", **DIRECT))

    def test_a_connection_without_a_grant(
        self, tiktok: Sandbox, connect: Connect, video: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connection = connect()
        publish_connection(monkeypatch, "tiktok_default", {**connection, "extra": {}})
        with pytest.raises(errors.TikTokConfigError, match="there is no grant"):
            run(operator(video, **DIRECT))
        assert endpoints_of(tiktok) == []


class TestDryRun:
    @pytest.mark.parametrize(
        ("options", "asked"),
        [
            (DIRECT, ["creator_info"]),
            (DRAFT, []),
            ({**DIRECT, "wait_for_completion": True, "deferrable": True}, ["creator_info"]),
        ],
    )
    def test_checks_all_and_sends_nothing(
        self,
        *,
        tiktok: Sandbox,
        connect: Connect,
        video: Path,
        caplog: pytest.LogCaptureFixture,
        options: dict[str, Any],
        asked: list[str],
    ) -> None:
        connect()
        caplog.set_level("INFO")
        ti = FakeTi()
        assert run(operator(video, dry_run="{{ true }}", **options), ti) is None
        assert (endpoints_of(tiktok), ti.xcoms) == (asked, {})

    def test_says_what_it_would_send(
        self, tiktok: Sandbox, connect: Connect, video: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        connect()
        caplog.set_level("INFO", "airflow_provider_tiktok")
        run(operator(video, title="A caption", is_aigc=True, dry_run=True, **DIRECT))
        for said in (
            "Dry run",
            "FILE_UPLOAD",
            "video/mp4",
            "A caption",
            "PUBLIC_TO_EVERYONE",
            "is_aigc=True",
        ):
            assert said in caplog.text

    def test_of_a_pull(self, tiktok: Sandbox, connect: Connect) -> None:
        connect()
        options = {"source": "PULL_FROM_URL", "dry_run": True, **DIRECT}
        assert run(operator(public_url(tiktok), **options)) is None
        assert endpoints_of(tiktok) == ["creator_info"]

    def test_refuses_what_would_be_refused(self, tiktok: Sandbox, connect: Connect, video: Path) -> None:
        connect()
        tiktok.creator("alice").private = True
        with pytest.raises(errors.TikTokInputError):
            run(operator(video, dry_run=True, **DIRECT))


PROFILE = "https://www.tiktok.com/@alice"
RESULT_KEYS = {"publish_id", "status", "post_ids", "post_url"}


class TestWaits:
    def test_in_the_task(self, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path) -> None:
        connect()
        tiktok.knobs.processing_seconds, tiktok.knobs.moderation_seconds = 40.0, 0.0
        ti = FakeTi()
        publish_id = run(operator(video, wait_for_completion=True, **DIRECT), ti)
        (post,) = tiktok.posts
        assert ti.xcoms == {
            "creator_profile": PROFILE,
            "publish_id": publish_id,
            "publish_status": {
                "publish_id": publish_id,
                "status": "PUBLISH_COMPLETE",
                "post_ids": [post.post_id],
                "post_url": f"https://www.tiktok.com/@alice/video/{post.post_id}",
            },
        }
        looks = [pause for pause in clock.pauses if pause > 1]
        assert 4.5 <= looks[0] <= 5.5
        assert looks == sorted(looks) or len(looks) > 3

    def test_a_draft_ends_in_the_inbox(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        connect()
        ti = FakeTi()
        publish_id = run(operator(video, wait_for_completion=True, **DRAFT), ti)
        assert ti.xcoms["publish_status"] == {
            "publish_id": publish_id,
            "status": "SEND_TO_USER_INBOX",
            "post_ids": [],
            "post_url": None,
        }

    def test_a_private_post_has_no_address(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        connect()
        ti = FakeTi()
        run(operator(video, wait_for_completion=True, privacy_level="SELF_ONLY"), ti)
        status = ti.xcoms["publish_status"]
        assert (status["status"], status["post_ids"], status["post_url"]) == ("PUBLISH_COMPLETE", [], None)

    @pytest.mark.parametrize("options", [DIRECT, DRAFT])
    async def test_in_the_triggerer(
        self, *, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path, options: dict[str, Any]
    ) -> None:
        connect()
        ti = FakeTi()
        task = operator(video, wait_for_completion=True, deferrable=True, poll_interval="20", **options)
        with pytest.raises(TaskDeferred) as deferred:
            run(task, ti)
        assert (deferred.value.method_name, deferred.value.timeout) == (
            "execute_complete",
            timedelta(hours=24),
        )
        profile = {"creator_profile": PROFILE} if options is DIRECT else {}
        pushed = {"publish_id": tiktok.publishes[0].publish_id, **profile}
        assert ti.xcoms == pushed, "to be seen while it is waited for"
        event = await first_event(deferred.value.trigger)
        assert resume(operator(video, **options), event, ti) == ti.xcoms["publish_id"]
        assert set(ti.xcoms["publish_status"]) == RESULT_KEYS
        assert len(inits_of(tiktok)) == 1

    @pytest.fixture
    def looks(self, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> float:
        """For how long a task that defers waits itself before."""
        monkeypatch.setattr(status_module, "LOOK_SECONDS", 3.0)
        return 3.0

    @pytest.mark.parametrize("options", [DIRECT, DRAFT])
    def test_what_is_over_in_seconds_needs_no_triggerer(
        self, *, tiktok: Sandbox, connect: Connect, looks: float, video: Path, options: dict[str, Any]
    ) -> None:
        connect()
        tiktok.knobs.processing_seconds = looks / 2
        ti = FakeTi()
        publish_id = run(operator(video, wait_for_completion=True, deferrable=True, **options), ti)
        assert ti.xcoms["publish_status"]["publish_id"] == publish_id
        assert set(ti.xcoms["publish_status"]) == RESULT_KEYS

    def test_what_takes_longer_is_looked_at_once(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, looks: float, video: Path
    ) -> None:
        connect()
        tiktok.knobs.processing_seconds = 10 * looks
        task = operator(video, wait_for_completion=True, deferrable=True, **DIRECT)
        with pytest.raises(TaskDeferred):
            run(task)
        asked = [each for each in tiktok.requests if each.endpoint == "status"]
        assert len(asked) == 1
        assert sum(pause for pause in clock.pauses if pause > 1) == pytest.approx(looks, rel=0.01)

    def test_what_cannot_be_looked_at_is_waited_for_there(
        self, tiktok: Sandbox, connect: Connect, looks: float, video: Path
    ) -> None:
        connect()
        tiktok.fault("status", action="error", code="scope_not_authorized")
        with pytest.raises(TaskDeferred):
            run(operator(video, wait_for_completion=True, deferrable=True, **DIRECT))

    def test_without_waiting_only_the_profile_is_pushed(
        self, tiktok: Sandbox, connect: Connect, video: Path
    ) -> None:
        connect()
        ti = FakeTi()
        run(operator(video, deferrable=True, **DIRECT), ti)
        assert ti.xcoms == {"creator_profile": PROFILE}

    @pytest.mark.parametrize(
        "fault",
        [
            {"action": "status", "status": 429},
            {"action": "status", "status": 503},
            {"action": "garbage", "body": "html"},
            {"action": "garbage", "body": "shape"},
            {"action": "garbage", "body": "cut"},
            {"action": "drop"},
            {"action": "redirect"},
        ],
        ids=str,
    )
    def test_trouble_with_the_status_is_no_failure_of_the_post(
        self, *, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path, fault: dict[str, Any]
    ) -> None:
        connect()
        tiktok.fault("status", times=20, **fault)
        ti = FakeTi()
        run(operator(video, wait_for_completion=True, **DIRECT), ti)
        assert ti.xcoms["publish_status"]["status"] == "PUBLISH_COMPLETE"
        assert len(inits_of(tiktok)) == 1

    def test_a_status_nobody_knows_is_waited_out(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        connect()
        tiktok.knobs.processing_seconds, tiktok.knobs.processing_status = 60.0, "PONDERING"
        ti = FakeTi()
        run(operator(video, wait_for_completion=True, **DIRECT), ti)
        assert ti.xcoms["publish_status"]["status"] == "PUBLISH_COMPLETE"

    def test_a_publish_that_is_not_known_yet(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        connect()
        tiktok.knobs.publish_id_delay = 40.0
        run(operator(video, wait_for_completion=True, **DIRECT))
        assert len(inits_of(tiktok)) == 1

    def test_a_pull_that_hangs(self, tiktok: Sandbox, connect: Connect, clock: FakeClock) -> None:
        """The task fails and names the publish; a retry goes on waiting for that."""
        connect()
        tiktok.knobs.hang_pulls, tiktok.knobs.limits = True, False
        ti = FakeTi()
        task = operator(
            public_url(tiktok), source="PULL_FROM_URL", wait_for_completion=True, wait_timeout=600, **DIRECT
        )
        for _ in range(2):
            with pytest.raises(errors.TikTokUnfinishedError, match="not finished after 600 s") as caught:
                run(task, ti)
            assert tiktok.publishes[0].publish_id in str(caught.value)
        assert sum(clock.pauses) == pytest.approx(1200, abs=10)
        assert max(clock.pauses) <= 33.1
        assert len(inits_of(tiktok)) == 1

    def test_execution_timeout_while_waiting(
        self,
        *,
        tiktok: Sandbox,
        connect: Connect,
        video: Path,
        clock: FakeClock,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Airflow retries a task that ran into its execution_timeout: the retry goes on waiting."""
        connect()
        slept = clock.sleep

        def too_long(seconds: float) -> None:
            if seconds > 1:
                raise AirflowTaskTimeout("Timeout")
            slept(seconds)

        monkeypatch.setattr(clock, "sleep", too_long)
        task = operator(video, wait_for_completion=True, **DIRECT)
        with pytest.raises(AirflowTaskTimeout):
            run(task)
        assert run(task) == tiktok.posts[0].publish_id
        assert len(inits_of(tiktok)) == 1

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_an_xcom_that_cannot_be_pushed(
        self, *, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path, deferrable: bool
    ) -> None:
        """It happens after the init: the retry goes on with the publish."""
        connect()
        ti = FakeTi()
        ti.broken = True
        task = operator(video, wait_for_completion=True, deferrable=deferrable, **DIRECT)
        with pytest.raises(RuntimeError, match="API server"):
            run(task, ti)
        ti.broken = False
        assert run(task, ti) == tiktok.posts[0].publish_id, "it is over by now"
        assert len(inits_of(tiktok)) == 1

    async def test_the_last_post_of_a_day_has_its_address(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        """From then on TikTok does not tell who the creator is; it did before the init."""
        connect()
        tiktok.creator("alice").post_cap = 1
        ti, task = FakeTi(), operator(video, wait_for_completion=True, deferrable=True, **DIRECT)
        with pytest.raises(TaskDeferred) as deferred:
            run(task, ti)
        event = await first_event(deferred.value.trigger)
        again = operator(video, wait_for_completion=True, deferrable=True, **DIRECT)
        resume(again, event, ti)
        assert ti.xcoms["publish_status"]["post_url"].startswith(f"{PROFILE}/video/")
        assert again.profile == PROFILE
        assert endpoints_of(tiktok).count("creator_info") == 1

    @pytest.mark.parametrize("broken", [False, True], ids=["no record", "no database"])
    def test_the_result_needs_no_connection(
        self, tiktok: Sandbox, variables: FakeVariables, video: Path, *, broken: bool
    ) -> None:
        """The post is out; that its creator's name cannot be asked must not fail, and repeat, the task."""
        variables.broken = broken
        ti = FakeTi()
        event = {"publish_id": "v_pub_file~1", "status": "PUBLISH_COMPLETE", "post_ids": ["76"]}
        assert resume(operator(video, tiktok_conn_id="gone"), event, ti) == "v_pub_file~1"
        assert ti.xcoms["publish_status"]["post_url"] is None


class TestResumes:
    @pytest.mark.parametrize(
        "event",
        [
            None,
            "done",
            {},
            {"status": "PUBLISH_COMPLETE"},
            {"publish_id": 7, "status": "PUBLISH_COMPLETE"},
            {"publish_id": "p"},
            {"publish_id": "p", "status": "success"},
            {"publish_id": "p", "status": ["FAILED"]},
            {"publish_id": "p", "status": "PROCESSING_UPLOAD"},
            {"publish_id": "p", "status": "error"},
            {"publish_id": "p", "status": "error", "code": "internal_error", "http_status": "many"},
        ],
        ids=str,
    )
    def test_an_event_that_is_none_of_ours_fails_for_good(
        self, connect: Connect, video: Path, event: object
    ) -> None:
        connect()
        with pytest.raises(AirflowFailException, match="publish"):
            resume(operator(video), event)

    @pytest.mark.parametrize("reason", ["Trigger timeout", "Trigger failure", "Unknown"])
    def test_a_deferral_that_breaks_down_is_retried(self, video: Path, reason: str) -> None:
        ti = FakeTi({"publish_id": "v_pub_file~v2-1.7"})
        with pytest.raises(errors.TikTokUnfinishedError, match=r"v_pub_file~v2-1\.7") as caught:
            fail_deferral(operator(video), reason, ti)
        assert reason in str(caught.value)

    def test_even_where_its_publish_id_cannot_be_asked(self, video: Path) -> None:
        ti = FakeTi()
        ti.broken = True
        with pytest.raises(errors.TikTokUnfinishedError, match="XCom publish_id"):
            fail_deferral(operator(video), ti=ti)

    @pytest.mark.parametrize("reason", sorted(code for code, row in CODES.items()))
    def test_a_publish_that_failed(self, connect: Connect, video: Path, reason: str) -> None:
        connect()
        event = {"publish_id": "p", "status": "FAILED", "fail_reason": reason, "log_id": "20261122"}
        with pytest.raises(CODES[reason].error) as caught:
            resume(operator(video), event)
        assert type(caught.value) is CODES[reason].error, "retried where a new publish may help, else not"
        for said in (reason, "20261122", CODES[reason].fix):
            assert said in str(caught.value)


FAIL_REASONS = [
    "file_format_check_failed",
    "duration_check_failed",
    "frame_rate_check_failed",
    "picture_size_check_failed",
    "internal",
    "video_pull_failed",
    "publish_cancelled",
    "auth_removed",
    "spam_risk_too_many_posts",
    "spam_risk_user_banned_from_posting",
    "spam_risk_text",
    "spam_risk",
    "a_reason_of_2027",
]


class TestFailures:
    @pytest.mark.parametrize("code", [code for code in HTTP_STATUS if code != "ok"])
    def test_each_refusal_of_an_init(
        self, *, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path, code: str
    ) -> None:
        connect()
        tiktok.fault("video_init", action="error", code=code, times=None)
        with pytest.raises(TikTokError) as caught:
            run(operator(video, **DIRECT))
        error = caught.value
        assert isinstance(error, CODES[code].error)
        for said in (code, "log_id", CODES[code].fix.replace("CONN_ID", "tiktok_default")):
            assert said in str(error)
        assert "not given" not in str(error)
        permanent = isinstance(error, AirflowFailException)
        assert permanent == (CODES[code].helps == "nothing but a change")
        assert tiktok.publishes == []

    @pytest.mark.parametrize(
        ("deferrable", "reason"),
        [(deferrable, each) for each in FAIL_REASONS for deferrable in (False, True)],
    )
    async def test_each_fail_reason(
        self,
        *,
        tiktok: Sandbox,
        connect: Connect,
        clock: FakeClock,
        video: Path,
        reason: str,
        deferrable: bool,
    ) -> None:
        """TikTok's own trouble is met by a new publish, twice; what a cap has failed waits for its turn."""
        connect()
        tiktok.fault("video_init", action="fail", fail_reason=reason, times=None)
        expected = CODES[reason].error if reason in CODES else errors.TikTokRequestError
        task = operator(video, wait_for_completion=True, deferrable=deferrable, **DIRECT)
        ti, event = FakeTi(), None
        again = 2 if reason in ("internal", "video_pull_failed") else 0
        for _ in range(1 + again if deferrable else 0):
            with pytest.raises(TaskDeferred) as deferred:
                resume(task, event, ti) if event else run(task, ti)
            event = await first_event(deferred.value.trigger)
        if deferrable and reason == "spam_risk_too_many_posts":
            with pytest.raises(TaskDeferred) as deferred:
                resume(task, event, ti)
            assert (type(deferred.value.trigger).__name__, deferred.value.trigger.limit) == (
                "TikTokPaceTrigger",
                "day",
            )
            return
        with pytest.raises(expected) as caught:
            resume(task, event, ti) if deferrable else run(task, ti)
        assert type(caught.value) is expected
        assert len(inits_of(tiktok)) == 1 + again
        publish_id = tiktok.publishes[-1].publish_id
        for said in (reason, publish_id, "log_id 2"):
            assert said in str(caught.value)
        assert "publish_status" not in ti.xcoms

    def test_a_pull_from_an_address_that_is_not_verified(self, tiktok: Sandbox, connect: Connect) -> None:
        connect()
        tiktok.knobs.verified_prefixes = ("media.example.com",)
        with pytest.raises(errors.TikTokAppError, match="url_ownership_unverified"):
            run(operator(public_url(tiktok), source="PULL_FROM_URL", **DIRECT))

    def test_an_app_without_an_audit(self, tiktok: Sandbox, connect: Connect, video: Path) -> None:
        connect()
        tiktok.knobs.unaudited = True
        with pytest.raises(errors.TikTokAppError, match="set the creator's ACCOUNT to private"):
            run(operator(video, privacy_level="SELF_ONLY"))

    @pytest.mark.parametrize("endpoint", ["creator_info", "video_init"])
    def test_a_minutes_limit_is_waited_out(
        self, *, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path, endpoint: str
    ) -> None:
        connect()
        tiktok.fault(endpoint, action="status", status=429, times=2)
        run(operator(video, **DIRECT))
        assert len(tiktok.posts) == 1
        waited = [pause for pause in clock.pauses if pause > 1]
        assert all(30 <= pause <= 60 for pause in waited)
        assert len(waited) == 2

    def test_the_connections_minute_is_taken(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        connect(rate_window=2.0)
        tiktok.fault("video_init", action="status", status=429)
        run(operator(video, **DIRECT))
        assert 1 <= clock.pauses[0] <= 2

    def test_a_minutes_limit_that_lasts(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        connect()
        tiktok.fault("video_init", action="status", status=429, times=None)
        with pytest.raises(errors.TikTokRateLimitError) as caught:
            run(operator(video, **DIRECT))
        assert not isinstance(caught.value, AirflowFailException)
        assert tiktok.publishes == []


def tries(
    task: TikTokPublishVideoOperator, count: int, ti: FakeTi | None = None
) -> list[BaseException | None]:
    """Let a task be tried as often as Airflow would: until it succeeds or must not be retried."""
    ends: list[BaseException | None] = []
    for _ in range(count):
        try:
            run(task, ti)
        except AirflowFailException as error:
            return [*ends, error]
        except AirflowException as error:
            ends.append(error)
        else:
            return [*ends, None]
    return ends


LOST_ANSWERS = [
    {"action": "drop", "when": "before"},
    {"action": "drop", "when": "after"},
    {"action": "status", "status": 500, "when": "before"},
    {"action": "status", "status": 503, "when": "after"},
    {"action": "garbage", "body": "cut", "when": "after"},
    {"action": "redirect", "when": "after"},
]
GARBAGE = [
    {"action": "garbage", "body": body, "when": "after"} for body in ("html", "shape", "truncated", "empty")
]
BAD_ANSWERS = [*LOST_ANSWERS, *GARBAGE]


class TestNeverTwice:
    @pytest.mark.parametrize("fault", BAD_ANSWERS, ids=str)
    @pytest.mark.parametrize("endpoint", ["creator_info", "video_init"])
    def test_an_uploads_lost_answer(
        self,
        *,
        tiktok: Sandbox,
        connect: Connect,
        clock: FakeClock,
        video: Path,
        endpoint: str,
        fault: dict[str, Any],
    ) -> None:
        """An init without bytes posts nothing: another one is made, and there is one post."""
        connect()
        tiktok.fault(endpoint, **fault)
        ends = tries(operator(video, **DIRECT), 2)
        assert ends[-1] is None
        assert len(tiktok.posts) == 1
        assert len(inits_of(tiktok)) == (2 if endpoint == "video_init" else 1)

    @pytest.mark.parametrize("fault", [*LOST_ANSWERS, {"action": "drop", "when": "during"}], ids=str)
    @pytest.mark.parametrize("nth", [1, 2, 3], ids=["first range", "middle range", "last range"])
    def test_a_ranges_lost_answer(
        self,
        *,
        tiktok: Sandbox,
        connect: Connect,
        clock: FakeClock,
        ranges: Path,
        nth: int,
        fault: dict[str, Any],
    ) -> None:
        connect()
        tiktok.fault("upload", nth=nth, **fault)
        task = operator(ranges, chunk_size=6_000_000, **DIRECT)
        ends = tries(task, 3)
        assert ends[-1] is None, ends
        assert [post.sha256 for post in tiktok.posts] == [(sha256(ranges),)]

    @pytest.mark.parametrize("nth", [1, 2], ids=["first range", "middle range"])
    def test_a_gateways_page_is_not_the_end_of_an_upload(
        self, *, tiktok: Sandbox, connect: Connect, clock: FakeClock, ranges: Path, nth: int
    ) -> None:
        connect()
        tiktok.fault("upload", nth=nth, **GARBAGE[0])
        tries(operator(ranges, chunk_size=6_000_000, **DIRECT), 3)
        assert [post.sha256 for post in tiktok.posts] == [(sha256(ranges),)]

    @pytest.mark.parametrize("fault", BAD_ANSWERS, ids=str)
    @pytest.mark.parametrize("mode", [DIRECT, DRAFT], ids=["direct", "draft"])
    def test_a_pulls_lost_answer(
        self,
        *,
        tiktok: Sandbox,
        connect: Connect,
        clock: FakeClock,
        fault: dict[str, Any],
        mode: dict[str, Any],
    ) -> None:
        """Nobody can know whether it was posted: the task fails for good and says where to look."""
        connect()
        tiktok.fault("inbox_init" if mode is DRAFT else "video_init", **fault)
        ends = tries(operator(public_url(tiktok), source="PULL_FROM_URL", **mode), 3)
        assert [type(end) for end in ends] == [errors.TikTokUnconfirmedError]
        assert "might post it twice" in str(ends[0])
        assert len(inits_of(tiktok)) == 1

    @pytest.mark.parametrize("source", ["FILE_UPLOAD", "PULL_FROM_URL"])
    def test_no_connection_to_tiktok(
        self,
        *,
        tiktok: Sandbox,
        connect: Connect,
        clock: FakeClock,
        video: Path,
        monkeypatch: pytest.MonkeyPatch,
        source: str,
    ) -> None:
        """Nothing was sent, so that a retry is safe."""
        connection = connect(scopes="video.upload")
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
            port = taken.getsockname()[1]
        publish_connection(monkeypatch, "tiktok_default", {**connection, "host": f"http://127.0.0.1:{port}"})
        with pytest.raises(errors.TikTokNothingSentError) as caught:
            run(operator(video if source == "FILE_UPLOAD" else public_url(tiktok), source=source, **DRAFT))
        assert not isinstance(caught.value, AirflowFailException)

    def test_the_last_range_is_sent_again_only_where_tiktok_lacks_it(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, ranges: Path
    ) -> None:
        connect()
        tiktok.fault("upload", nth=3, action="drop", when="before")
        run(operator(ranges, chunk_size=6_000_000, **DIRECT))
        sent = [each.content_range for each in tiktok.requests if each.endpoint == "upload"]
        assert sent[2] == sent[3]
        assert len(sent) == 4
        assert endpoints_of(tiktok).index("status") == 5, "after asking what became of it"

    def test_a_last_range_that_arrived_is_not_sent_again(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, ranges: Path
    ) -> None:
        connect()
        tiktok.fault("upload", nth=3, action="drop", when="after")
        run(operator(ranges, chunk_size=6_000_000, **DIRECT))
        assert endpoints_of(tiktok).count("upload") == 3
        assert len(tiktok.posts) == 1

    @pytest.mark.parametrize("told", [True, False], ids=["told", "not told"])
    def test_a_last_range_of_which_nothing_is_known(
        self, *, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path, told: bool
    ) -> None:
        """Whatever TikTok answers from then on, no second publish is begun."""
        connect()
        tiktok.knobs.tell_progress = told
        tiktok.fault("upload", action="drop", when="after")
        tiktok.fault("status", action="status", status=503, times=None)
        publish_id = run(operator(video, **DIRECT))
        assert [post.publish_id for post in tiktok.posts] == [publish_id]

    @pytest.mark.parametrize(
        "code", ["access_token_invalid", "invalid_publish_id", "scope_not_authorized", "internal_error"]
    )
    def test_a_status_that_is_refused_while_settling(
        self, *, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path, code: str
    ) -> None:
        """The bytes may be in: whatever the status is refused for, the task is not tried again."""
        connect()
        tiktok.fault("upload", action="drop", when="after")
        tiktok.fault("status", action="error", code=code, times=None)
        ends = tries(operator(video, **DIRECT), 3)
        assert len(ends) == 1
        assert (len(inits_of(tiktok)), len(tiktok.posts)) == (1, 1)

    def test_a_file_that_is_gone_while_settling(
        self,
        *,
        tiktok: Sandbox,
        connect: Connect,
        clock: FakeClock,
        video: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        connect()
        tiktok.fault("upload", action="drop", when="before")
        genuine = upload.Upload.send

        def send(self: upload.Upload, index: int = 0) -> upload.UploadEnd:
            if self.sealed:
                raise errors.TikTokMediaReadError("the disk is gone")
            return genuine(self, index)

        monkeypatch.setattr(upload.Upload, "send", send)
        ends = tries(operator(video, **DIRECT), 3)
        assert [type(end) for end in ends] == [errors.TikTokMediaReadError] * 3, "it is not posted yet"
        monkeypatch.undo()
        assert (len(inits_of(tiktok)), tiktok.posts) == (1, [])

    @pytest.mark.parametrize("sent", [1, 3], ids=["first range", "last range"])
    def test_a_task_that_runs_out_of_time_while_it_uploads(
        self,
        *,
        tiktok: Sandbox,
        connect: Connect,
        ranges: Path,
        monkeypatch: pytest.MonkeyPatch,
        sent: int,
    ) -> None:
        """Airflow retries it; the retry sends what is missing, once the record says of which publish."""
        connect()
        genuine = upload.Upload._put

        def put(self: upload.Upload, index: int, *rest: Any) -> Any:
            if index == sent - 1:
                raise AirflowTaskTimeout("execution_timeout")
            return genuine(self, index, *rest)

        monkeypatch.setattr(upload.Upload, "_put", put)
        task = operator(ranges, chunk_size=6_000_000, **DIRECT)
        with pytest.raises(AirflowTaskTimeout):
            run(task)
        monkeypatch.setattr(upload.Upload, "_put", genuine)
        run(task)
        assert len(inits_of(tiktok)) <= (1 if sent == 3 else 2), "so early it may not be decided yet"
        assert len(tiktok.posts) == 1

    def test_an_upload_that_is_gone_before_its_end(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, ranges: Path
    ) -> None:
        connect()
        """TikTok is asked once more, two minutes later; then a new publish is made."""
        tiktok.fault("upload", nth=2, action="status", status=403)
        assert tries(operator(ranges, chunk_size=6_000_000, **DIRECT), 3) == [None]
        assert sum(clock.pauses) >= 120
        assert (len(inits_of(tiktok)), len(tiktok.posts)) == (2, 1)

    def test_chunks_that_are_refused_are_cut_another_way(
        self, *, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path, tmp_path: Path
    ) -> None:
        connect()
        large = longer(video, 22_000_000, tmp_path / "large.mp4")
        tiktok.knobs.refuse_chunk_sizes = (22_000_000,)
        run(operator(large, **DIRECT))
        assert len(inits_of(tiktok)) == 2
        assert (len(tiktok.publishes), tiktok.posts[0].sha256) == (1, (sha256(large),))

    def test_another_refusal_is_no_reason_to_cut_another_way(
        self, tiktok: Sandbox, connect: Connect, video: Path, tmp_path: Path
    ) -> None:
        connect()
        large = longer(video, 22_000_000, tmp_path / "large.mp4")
        tiktok.fault("video_init", action="error", code="invalid_params", message="The title is invalid")
        with pytest.raises(errors.TikTokRequestError, match="The title is invalid"):
            run(operator(large, **DIRECT))
        assert len(inits_of(tiktok)) == 1

    @pytest.mark.parametrize("url", ["https://elsewhere.example.com/upload/?upload_token={token}", "{path}"])
    def test_an_upload_address_that_leads_elsewhere(
        self,
        *,
        tiktok: Sandbox,
        connect: Connect,
        video: Path,
        monkeypatch: pytest.MonkeyPatch,
        url: str,
    ) -> None:
        connect()
        token = "t" * 40
        monkeypatch.setattr(Uploads, "open", lambda *_, **__: url.format(token=token, path="/upload/"))
        with pytest.raises(errors.TikTokConfigError, match="nothing was uploaded") as caught:
            run(operator(video, **DIRECT))
        assert token not in str(caught.value)
        assert "upload" not in endpoints_of(tiktok)

    def test_an_access_token_that_ends_between_check_and_init(
        self, tiktok: Sandbox, connect: Connect, video: Path
    ) -> None:
        """TikTok refuses it before it acts: refreshed once, repeated once, one publish."""
        connect()
        tiktok.fault("video_init", action="error", code="access_token_invalid")
        run(operator(video, **DIRECT))
        assert endpoints_of(tiktok) == ["creator_info", "video_init", "token", "video_init", "upload"]
        assert (len(tiktok.publishes), tiktok.reuses) == (1, 0)

    def test_an_access_token_that_ends_while_it_is_waited(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        connect()
        tiktok.knobs.processing_seconds, tiktok.knobs.limits = 3 * 3600.0, False
        run(operator(video, wait_for_completion=True, **DIRECT))
        assert endpoints_of(tiktok).count("token") == 1
        assert (len(inits_of(tiktok)), len(tiktok.posts), tiktok.reuses) == (1, 1, 0)

    def test_a_token_that_stays_refused_while_it_is_waited(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, video: Path
    ) -> None:
        connect()
        tiktok.fault("status", action="error", code="access_token_invalid", times=None)
        ends = tries(operator(video, wait_for_completion=True, **DIRECT), 3)
        assert [type(end) for end in ends] == [errors.TikTokTokenError] * 3
        assert (len(inits_of(tiktok)), len(tiktok.posts)) == (1, 1)


class TestAsAirflowSeesIt:
    def test_defers_by_the_setting_of_airflow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import inspect

        parameter = inspect.signature(TikTokPublishVideoOperator.__init__).parameters["deferrable"]
        assert parameter.default is False

    def test_needs_nothing_but_a_video(self) -> None:
        task = operator("a.mp4")
        given = {name: getattr(task, name) for name in task.template_fields}
        assert given == {
            "video": "a.mp4",
            "title": "",
            "privacy_level": None,
            "post_mode": "DIRECT_POST",
            "source": "auto",
            "disable_comment": None,
            "disable_duet": None,
            "disable_stitch": None,
            "video_cover_timestamp_ms": None,
            "brand_content_toggle": False,
            "brand_organic_toggle": False,
            "is_aigc": False,
            "wait_for_completion": False,
            "deferrable": False,
            "poll_interval": 30.0,
            "wait_timeout": 86400.0,
            "dry_run": False,
            "if_published": "skip",
            "if_unconfirmed": "fail",
            "max_wait": 93600.0,
            "cancel_on_kill": False,
            "replace_hung_pull": False,
            "chunk_size": 10_000_000,
            "tiktok_conn_id": "tiktok_default",
        }

    def test_a_subclass_may_template_less(self, tiktok: Sandbox, connect: Connect, video: Path) -> None:
        class Ours(TikTokPublishVideoOperator):
            template_fields = ("video", "title")

        connect()
        run(Ours(task_id="ours", video=str(video), **DIRECT))
        assert len(tiktok.posts) == 1

    def test_closes_its_connections(self, tiktok: Sandbox, connect: Connect, video: Path) -> None:
        connect()
        task = operator(video, **DIRECT)
        run(task)
        assert not {"_client", "_keeper"} & set(vars(task.hook))

    def test_can_be_tried_again_in_the_same_process(
        self, tiktok: Sandbox, connect: Connect, video: Path
    ) -> None:
        connect()
        """It is another try of the same task, which has posted already."""
        task = operator(video, **DIRECT)
        assert run(task) == run(task) == tiktok.posts[0].publish_id
        assert len(tiktok.posts) == 1

    def test_has_the_upload_address_masked(
        self, tiktok: Sandbox, connect: Connect, video: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The address, and the token in it by itself, before the first byte is sent."""
        connect()
        masked: list[str] = []
        monkeypatch.setattr("airflow_provider_tiktok.operators.tiktok.mask_secret", masked.append)
        run(operator(video, **DIRECT))
        (address,) = [each for each in masked if each.startswith("http")]
        assert address.rpartition("upload_token=")[2] in masked


def test_executes_as_airflow_calls_it(tiktok: Sandbox, connect: Connect, video: Path) -> None:
    connect()
    task = operator(video, **DIRECT)
    assert executed(task, task.execute, context_of())
