"""The photo operator with a local TikTok and a real bucket: what is posted, what is refused, what stays."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout, TaskDeferred
from PIL import Image

from airflow_provider_tiktok import exceptions as errors
from airflow_provider_tiktok.media.hosting import MediaHost
from airflow_provider_tiktok.operators.tiktok import TikTokPublishPhotosOperator, TikTokPublishVideoOperator
from airflow_provider_tiktok.sandbox.server import Sandbox
from airflow_provider_tiktok.sensors.tiktok import TikTokPublishStatusSensor
from tests.airflow_tasks import (
    FakeTi,
    context_of,
    ended_publish,
    endpoints_of,
    first_event,
    inits_of,
    publish_connection,
    resume,
    run,
    secrets_in,
)
from tests.buckets import KEYS, Bucket

Hosted = Callable[..., dict[str, Any]]

DIRECT = {"privacy_level": "PUBLIC_TO_EVERYONE"}
DRAFT = {"post_mode": "MEDIA_UPLOAD"}
WAITING = {"wait_for_completion": True, "poll_interval": 1}


def operator(photos: Any, **options: Any) -> TikTokPublishPhotosOperator:
    return TikTokPublishPhotosOperator(task_id="publish", photos=photos, **options)


def jpeg(width: int = 600, height: int = 400, *, colour: str = "teal", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.fixture
def hosted(connect: Hosted, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Hosted:
    """A Connection whose media lies in the bucket, below a prefix."""

    def make(creator: str = "alice", **more: Any) -> dict[str, Any]:
        publish_connection(monkeypatch, "bucket", bucket.connection())
        extra = {
            "media_bucket": bucket.name,
            "media_prefix": "tiktok",
            "media_public_base_url": bucket.url,
            "media_conn_id": "bucket",
        }
        return connect(creator, **{**extra, **more})

    return make


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    """One that is right, one that must be made right."""
    (tmp_path / "right.jpg").write_bytes(jpeg())
    Image.new("RGBA", (3000, 2000), (255, 0, 0, 128)).save(tmp_path / "large.png")
    return [str(tmp_path / "right.jpg"), str(tmp_path / "large.png")]


class TestPublishes:
    def test_a_carousel(self, tiktok: Sandbox, hosted: Hosted, photos: list[str]) -> None:
        hosted()
        publish_id = run(
            operator(photos, title="Two 🎨", description="of #them", photo_cover_index=1, **DIRECT)
        )
        assert publish_id.startswith("p_pub_url~")
        publish = ended_publish(tiktok)
        (post,) = tiktok.posts
        assert (post.publish_id, post.kind, post.title, post.description) == (
            publish_id,
            "photo",
            "Two 🎨",
            "of #them",
        )
        assert tiktok.violations == []
        with Image.open(publish.media[1]) as second:
            assert (second.format, second.size) == ("JPEG", (1620, 1080))

    def test_a_jpeg_that_is_right_arrives_untouched(
        self, tiktok: Sandbox, hosted: Hosted, photos: list[str]
    ) -> None:
        hosted()
        run(operator(photos, **DIRECT))
        assert ended_publish(tiktok).sha256[0] == hashlib.sha256(Path(photos[0]).read_bytes()).hexdigest()

    def test_a_draft(self, tiktok: Sandbox, hosted: Hosted, photos: list[str]) -> None:
        hosted()
        run(operator(photos, title="draft", description="text", **DRAFT))
        assert ended_publish(tiktok).status == "SEND_TO_USER_INBOX"
        assert endpoints_of(tiktok) == ["content_init"], "creator_info is for direct posts"

    def test_what_lies_anywhere(
        self, tiktok: Sandbox, hosted: Hosted, bucket: Bucket, photos: list[str]
    ) -> None:
        """A path, an s3:// URI, a URL elsewhere, Airflow's object storage: in their order."""
        hosted()
        (Path(tiktok.knobs.public_dir) / "web.jpg").write_bytes(jpeg(colour="navy"))
        bucket.client.put_object(Bucket=bucket.name, Key="inputs/in.jpg", Body=jpeg(colour="olive"))
        uris = [
            photos[0],
            f"s3://{bucket.name}/inputs/in.jpg",
            f"{tiktok.url}/public/web.jpg",
            f"file://{photos[0]}",
        ]
        run(operator(uris, **DIRECT))
        wanted = [jpeg(), jpeg(colour="olive"), jpeg(colour="navy"), jpeg()]
        assert ended_publish(tiktok).sha256 == [hashlib.sha256(each).hexdigest() for each in wanted]

    def test_what_is_seen_already_and_right_is_used_as_it_is(
        self, tiktok: Sandbox, hosted: Hosted, bucket: Bucket
    ) -> None:
        """What is seen and not right is staged, in its place."""
        hosted()
        put = bucket.client.put_object
        put(Bucket=bucket.name, Key="tiktok/right.jpg", Body=jpeg(), ContentType="image/jpeg")
        put(Bucket=bucket.name, Key="tiktok/large.jpg", Body=jpeg(4000, 3000), ContentType="image/jpeg")
        urls = [f"{bucket.url}tiktok/large.jpg", f"{bucket.url}tiktok/right.jpg"]
        run(operator(urls, **WAITING, **DIRECT))
        staged, right = ended_publish(tiktok).urls
        assert right == urls[1]
        assert "/tiktok/airflow-tiktok/staged/" in staged
        assert sorted(bucket.listed()) == ["tiktok/large.jpg", "tiktok/right.jpg"], "theirs stay"

    def test_without_a_bucket_what_is_seen_already(
        self, tiktok: Sandbox, connect: Hosted, bucket: Bucket
    ) -> None:
        connect(media_public_base_url=bucket.url)
        bucket.client.put_object(Bucket=bucket.name, Key="right.jpg", Body=jpeg(), ContentType="image/jpeg")
        run(operator(f"{bucket.url}right.jpg", **DIRECT))
        assert ended_publish(tiktok).urls == (f"{bucket.url}right.jpg",)

    def test_what_is_sent(self, tiktok: Sandbox, hosted: Hosted, photos: list[str]) -> None:
        """Brand toggles always, ``is_aigc`` at the top level, and nothing of a video's."""
        hosted()
        tiktok.creator("alice").comment_disabled = True
        run(operator(photos, is_aigc=True, auto_add_music=True, **DIRECT))
        options = ended_publish(tiktok).options
        assert options["is_aigc"] is True
        assert {name: options[name] for name in ("disable_comment", "auto_add_music")} == {
            "disable_comment": True,
            "auto_add_music": True,
        }
        assert (options["brand_content_toggle"], options["brand_organic_toggle"]) == (False, False)
        assert not {"disable_duet", "disable_stitch", "video_cover_timestamp_ms"} & set(options)

    def test_fit(self, tiktok: Sandbox, hosted: Hosted, photos: list[str]) -> None:
        hosted()
        run(operator(photos, fit="pad", aspect_ratio="9:16", background="#102030", **DIRECT))
        for path in ended_publish(tiktok).media:
            with Image.open(path) as image:
                assert abs(image.width / image.height - 9 / 16) < 0.01
                corner = image.convert("RGB").getpixel((2, 2))
                assert max(abs(a - b) for a, b in zip(corner, (16, 32, 48), strict=True)) < 8

    def test_a_list_that_a_template_made_a_text_of(
        self, tiktok: Sandbox, hosted: Hosted, photos: list[str]
    ) -> None:
        hosted()
        task = operator("{{ params.photos }}", **{**DIRECT, "privacy_level": "{{ params.level }}"})
        run(task, params={"photos": photos, "level": "SELF_ONLY"})
        assert len(ended_publish(tiktok).urls) == 2

    def test_a_dry_run(
        self, tiktok: Sandbox, hosted: Hosted, bucket: Bucket, photos: list[str], caplog: Any
    ) -> None:
        hosted()
        caplog.set_level("INFO")
        assert run(operator(photos, dry_run=True, **DIRECT)) is None
        assert (inits_of(tiktok), bucket.listed()) == ([], [])
        assert "Dry run: all checks passed" in caplog.text
        assert "2 of them staged" in caplog.text


class TestStagedFiles:
    """They stay until the publish has ended, and go when somebody sees that."""

    def test_they_stay_while_nobody_waits(
        self, tiktok: Sandbox, hosted: Hosted, bucket: Bucket, photos: list[str]
    ) -> None:
        hosted()
        run(operator(photos, **DIRECT))
        ended_publish(tiktok)
        assert len(bucket.listed("tiktok/airflow-tiktok/staged/")) == 2

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_a_sensor_sees_the_end(
        self, tiktok: Sandbox, hosted: Hosted, bucket: Bucket, photos: list[str], *, deferrable: bool
    ) -> None:
        hosted()
        publish_id = run(operator(photos, **DIRECT))
        ended_publish(tiktok)
        sensor = TikTokPublishStatusSensor(
            task_id="wait", publish_id=publish_id, deferrable=deferrable, poll_interval=1
        )
        run(sensor)
        assert bucket.listed() == []

    @pytest.mark.parametrize(("option", "what"), [("wait_for_post_id", DIRECT), ("wait_for_creator", DRAFT)])
    def test_a_sensor_that_waits_for_more_sees_the_end_too(
        self,
        *,
        tiktok: Sandbox,
        hosted: Hosted,
        bucket: Bucket,
        photos: list[str],
        monkeypatch: pytest.MonkeyPatch,
        option: str,
        what: dict[str, str],
    ) -> None:
        """TikTok has the photos then; moderation and the creator may take days. The bucket is asked once."""
        hosted()
        tiktok.knobs.moderation_seconds = 3600
        publish_id = run(operator(photos, **what))
        ended_publish(tiktok)
        sensor = TikTokPublishStatusSensor(task_id="wait", publish_id=publish_id, **{option: True})
        assert not sensor.poke(context_of())
        assert bucket.listed() == []
        monkeypatch.setattr(MediaHost, "release", None)
        assert not sensor.poke(context_of())

    def test_the_waiting_operator_sees_the_end(
        self, tiktok: Sandbox, hosted: Hosted, bucket: Bucket, photos: list[str]
    ) -> None:
        hosted()
        ti = FakeTi()
        run(operator(photos, **WAITING, **DIRECT), ti)
        assert ti.xcoms["publish_status"]["status"] == "PUBLISH_COMPLETE"
        assert ti.xcoms["publish_status"]["post_url"] is None, "TikTok documents no address of a photo post"
        assert bucket.listed() == []

    async def test_a_deferred_operator_sees_the_end(
        self, tiktok: Sandbox, hosted: Hosted, bucket: Bucket, photos: list[str], clock: Any
    ) -> None:
        hosted()
        task = operator(photos, deferrable=True, **WAITING, **DIRECT)
        with pytest.raises(TaskDeferred) as deferred:
            run(task)
        ended_publish(tiktok)
        assert len(bucket.listed()) == 3, "two photos and a note"
        event = await first_event(deferred.value.trigger)
        resume(task, event)
        assert bucket.listed() == []

    def test_a_publish_that_failed_has_ended_too(
        self, tiktok: Sandbox, hosted: Hosted, bucket: Bucket, photos: list[str], clock: Any
    ) -> None:
        hosted()
        tiktok.fault("content_init", action="fail", fail_reason="spam_risk_text")
        with pytest.raises(errors.TikTokAnswerError, match="spam_risk_text"):
            run(operator(photos, **WAITING, **DIRECT))
        assert bucket.listed() == []

    def test_a_definite_refusal_leaves_nothing(
        self, tiktok: Sandbox, hosted: Hosted, bucket: Bucket, photos: list[str]
    ) -> None:
        hosted()
        tiktok.knobs.verified_prefixes = ["media.example.com"]
        with pytest.raises(errors.TikTokAppError, match="url_ownership_unverified"):
            run(operator(photos, **DIRECT))
        assert bucket.listed() == []

    def test_they_stay_where_tiktok_may_be_pulling(
        self, tiktok: Sandbox, hosted: Hosted, bucket: Bucket, photos: list[str]
    ) -> None:
        """And the task says that it does not know, and is not retried."""
        hosted()
        tiktok.fault("content_init", action="drop", when="after")
        with pytest.raises(
            errors.TikTokUnconfirmedError, match="may have taken these photos or not"
        ) as caught:
            run(operator(photos, **DIRECT))
        assert isinstance(caught.value, AirflowFailException)
        assert len(bucket.listed()) == 2
        assert len(tiktok.publishes) == 1

    def test_a_time_out_after_the_init_is_no_reason_to_post_again(
        self, tiktok: Sandbox, hosted: Hosted, photos: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hosted()
        remember = MediaHost.remember

        def late(*_: object) -> None:
            raise AirflowTaskTimeout("execution_timeout")

        monkeypatch.setattr(MediaHost, "remember", late)
        with pytest.raises(AirflowTaskTimeout):
            run(operator(photos, **DIRECT))
        monkeypatch.setattr(MediaHost, "remember", remember)
        assert run(operator(photos, **DIRECT)) == tiktok.publishes[0].publish_id
        assert len(tiktok.publishes) == 1

    def test_a_time_out_after_a_failure_lets_a_retry_publish_again(
        self, hosted: Hosted, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hosted()

        def late(*_: object) -> None:
            raise AirflowTaskTimeout("execution_timeout")

        monkeypatch.setattr(MediaHost, "release", late)
        event = {"publish_id": "p_pub_url~1", "status": "FAILED", "fail_reason": "photo_pull_failed"}
        with pytest.raises(AirflowTaskTimeout):
            resume(operator(["a.jpg"]), event)

    def test_a_bucket_that_is_gone_by_then_fails_nobody(
        self, tiktok: Sandbox, hosted: Hosted, photos: list[str], caplog: Any
    ) -> None:
        hosted()
        publish_id = run(operator(photos, **DIRECT))
        ended_publish(tiktok)
        hosted(media_conn_id="none-such")
        run(TikTokPublishStatusSensor(task_id="wait", publish_id=publish_id, poll_interval=1))
        assert "airflow-tiktok media sweep" in caplog.text


class TestRefusedBeforeAnythingIsSent:
    def test_every_bad_photo_is_named(
        self, tiktok: Sandbox, hosted: Hosted, bucket: Bucket, photos: list[str], tmp_path: Path
    ) -> None:
        hosted()
        (tmp_path / "text.jpg").write_text("no picture")
        (tmp_path / "cut.jpg").write_bytes(jpeg(2000, 2000, quality=95)[:-2000])
        (tmp_path / "empty.png").touch()
        bad = [str(tmp_path / name) for name in ("text.jpg", "cut.jpg", "empty.png", "none.webp")]
        with pytest.raises(errors.TikTokMediaError) as caught:
            run(operator([photos[0], *bad], **DIRECT))
        for name in bad:
            assert name in str(caught.value)
        assert photos[0] not in str(caught.value)
        assert (endpoints_of(tiktok), bucket.listed()) == ([], [])

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"photos": []}, "photos has 0 entries; TikTok takes 1 to 35"),
            ({"photos": ["a.jpg"] * 36}, "photos has 36 entries"),
            ({"photos": ["a.jpg", ""]}, "none of them empty"),
            ({"photos": 5}, "must be a list of texts"),
            ({"photo_cover_index": 1}, "photo_cover_index 1 names none of 1 photos"),
            ({"photo_cover_index": -1}, "whole number"),
            ({"title": "x" * 91}, "title has 91 UTF-16 units"),
            ({"title": "🎬" * 46}, "title has 92 UTF-16 units"),
            ({"description": "x" * 4001}, "description has 4001"),
            ({"privacy_level": None}, "privacy_level is needed"),
            ({"privacy_level": "SELF_ONLY", "brand_content_toggle": True}, "SELF_ONLY"),
            ({"fit": "stretch"}, "fit must be one of contain, pad, crop"),
            ({"fit": "pad"}, "aspect_ratio"),
            ({"aspect_ratio": "9:16"}, "aspect_ratio"),
            ({"fit": "crop", "aspect_ratio": "wide"}, "aspect_ratio must be like 9:16"),
            ({"background": "nocolour"}, "background is 'nocolour', which Pillow does not know"),
        ],
        ids=str,
    )
    def test_arguments(self, tiktok: Sandbox, hosted: Hosted, options: dict[str, Any], says: str) -> None:
        hosted()
        with pytest.raises(errors.TikTokInputError, match=says):
            run(operator(**{"photos": ["a.jpg"], **DIRECT, **options}))
        assert endpoints_of(tiktok) == []

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("privacy_level", "SELF_ONLY"),
            ("disable_comment", True),
            ("auto_add_music", True),
            ("brand_organic_toggle", True),
            ("is_aigc", True),
        ],
    )
    def test_a_draft_carries_no_settings(
        self, tiktok: Sandbox, hosted: Hosted, name: str, value: object
    ) -> None:
        hosted()
        with pytest.raises(errors.TikTokInputError, match=f"silently drop {name}\\. A photo draft carries"):
            run(operator(["a.jpg"], **{name: value}, **DRAFT))

    def test_no_bucket(self, tiktok: Sandbox, connect: Hosted, photos: list[str]) -> None:
        connect()
        with pytest.raises(errors.TikTokConfigError, match="set its extras media_bucket"):
            run(operator(photos, **DIRECT))
        assert endpoints_of(tiktok) == []

    def test_a_bucket_without_a_public_url(self, connect: Hosted, photos: list[str]) -> None:
        connect(media_bucket="b")
        with pytest.raises(errors.TikTokConfigError, match="media_public_base_url"):
            run(operator(photos, **DIRECT))

    @pytest.mark.parametrize(
        ("base", "says"),
        [("http://media.example.com/", "it is not https"), ("https://192.0.2.7/", "its host is an address")],
    )
    @pytest.mark.parametrize("dry_run", [False, True])
    def test_a_public_url_that_tiktok_would_not_take(
        self,
        *,
        connect: Hosted,
        photos: list[str],
        monkeypatch: pytest.MonkeyPatch,
        base: str,
        says: str,
        dry_run: bool,
    ) -> None:
        """Told before photos are prepared, and by a dry run too."""
        connection = connect(media_bucket="b", media_public_base_url=base)
        publish_connection(monkeypatch, "tiktok_default", {**connection, "host": "https://tiktok.invalid"})
        with pytest.raises(errors.TikTokConfigError, match=says):
            run(operator(photos, dry_run=dry_run, **DIRECT))

    def test_a_photo_that_is_seen_with_another_type(
        self, tiktok: Sandbox, hosted: Hosted, bucket: Bucket
    ) -> None:
        hosted()
        bucket.client.put_object(Bucket=bucket.name, Key="a.jpg", Body=jpeg(), ContentType="text/plain")
        with pytest.raises(errors.TikTokMediaError, match=r"a\.jpg.*its server calls it text/plain"):
            run(operator([f"{bucket.url}a.jpg"], **DIRECT))
        assert inits_of(tiktok) == []

    def test_what_the_creator_cannot_do_is_told_before_anything_is_staged(
        self, tiktok: Sandbox, hosted: Hosted, bucket: Bucket, photos: list[str]
    ) -> None:
        hosted()
        with pytest.raises(errors.TikTokInputError, match="not open to @alice"):
            run(operator(photos, privacy_level="FOLLOWER_OF_CREATOR"))
        assert bucket.listed() == []


class TestVideo:
    """``PULL_FROM_URL`` for a video that lies where TikTok cannot see it."""

    @pytest.mark.parametrize("where", ["path", "s3", "web"])
    def test_is_staged(
        self, tiktok: Sandbox, hosted: Hosted, bucket: Bucket, video: Path, where: str
    ) -> None:
        hosted()
        bucket.client.put_object(Bucket=bucket.name, Key="inputs/in.mp4", Body=video.read_bytes())
        uri = {
            "path": str(video),
            "s3": f"s3://{bucket.name}/inputs/in.mp4",
            "web": f"{tiktok.url}/public/sample.mp4",
        }[where]
        task = TikTokPublishVideoOperator(
            task_id="publish", video=uri, source="PULL_FROM_URL", **WAITING, **DIRECT
        )
        run(task)
        publish = ended_publish(tiktok)
        assert publish.sha256 == [hashlib.sha256(video.read_bytes()).hexdigest()]
        assert "/tiktok/airflow-tiktok/staged/" in publish.urls[0]
        assert bucket.listed() == ["inputs/in.mp4"]

    def test_is_pulled_from_where_it_is_seen(
        self, tiktok: Sandbox, hosted: Hosted, bucket: Bucket, video: Path
    ) -> None:
        hosted()
        bucket.client.put_object(
            Bucket=bucket.name, Key="in.mp4", Body=video.read_bytes(), ContentType="video/mp4"
        )
        url = f"{bucket.url}in.mp4"
        run(TikTokPublishVideoOperator(task_id="publish", video=url, source="PULL_FROM_URL", **DIRECT))
        assert ended_publish(tiktok).urls == (url,)

    def test_a_url_that_redirects(self, tiktok: Sandbox, connect: Hosted, bucket: Bucket) -> None:
        """Found before TikTok is asked; TikTok would tell it as video_pull_failed, minutes later."""
        connect()
        url = f"{bucket.url}none.mp4"
        with pytest.raises(errors.TikTokMediaError, match="HTTP 404"):
            run(TikTokPublishVideoOperator(task_id="publish", video=url, source="PULL_FROM_URL", **DIRECT))
        assert inits_of(tiktok) == []

    def test_a_dry_run_stages_nothing(
        self, tiktok: Sandbox, hosted: Hosted, bucket: Bucket, video: Path
    ) -> None:
        hosted()
        options = {"source": "PULL_FROM_URL", "dry_run": True, **DIRECT}
        assert run(TikTokPublishVideoOperator(task_id="publish", video=str(video), **options)) is None
        assert (inits_of(tiktok), bucket.listed()) == ([], [])


class TestAsAirflowSeesIt:
    def test_every_argument_is_templated(self) -> None:
        import inspect

        named = set(inspect.signature(TikTokPublishPhotosOperator.__init__).parameters) - {"self", "kwargs"}
        assert set(TikTokPublishPhotosOperator.template_fields) == named

    def test_no_secret_is_logged_or_deferred(
        self, tiktok: Sandbox, hosted: Hosted, photos: list[str], caplog: Any
    ) -> None:
        caplog.set_level("DEBUG")
        hosted()
        with pytest.raises(TaskDeferred) as deferred:
            run(operator(photos, deferrable=True, **WAITING, **DIRECT))
        told = [caplog.text, json.dumps(deferred.value.trigger.serialize())]
        assert secrets_in(told, KEYS[1], tiktok.knobs.client_secret) == []
