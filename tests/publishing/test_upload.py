"""Parts of an upload that are hard to bring about from outside."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_tiktok import exceptions as errors
from airflow_provider_tiktok.api.chunks import ChunkPlan
from airflow_provider_tiktok.api.client import Guard
from airflow_provider_tiktok.api.models import FileUpload, PostMode, PublishInit, Source
from airflow_provider_tiktok.exceptions import answer_error
from airflow_provider_tiktok.hooks.tiktok import TikTokHook
from airflow_provider_tiktok.publishing.ledger import Record, Stage
from airflow_provider_tiktok.publishing.request import VideoRequest
from airflow_provider_tiktok.publishing.upload import (
    VideoUpload,
    _missing_range,
    _refuses_chunks,
    _secrets_of,
)

Init = Callable[[FileUpload, Guard], PublishInit]


def video(init: Init, *plans: ChunkPlan) -> VideoUpload:
    request = VideoRequest("a.mp4", PostMode.MEDIA_UPLOAD, Source.FILE_UPLOAD, None, {})
    made = VideoUpload(TikTokHook(), request, lambda _: None)
    made.__dict__["_plans"], made._init = plans, init  # as if everything had been checked
    return made


def asking(asked: list[FileUpload], *errors_: Exception) -> Init:
    left = list(errors_)

    def init(source: FileUpload, guard: Guard) -> PublishInit:
        asked.append(source)
        if left:
            raise left.pop(0)
        return PublishInit("p", "u")

    return init


class TestInit:
    @pytest.mark.parametrize("code", ["invalid_param", "invalid_params"])
    @pytest.mark.parametrize("text", ["The chunk size is invalid", "The total chunk count is invalid"])
    def test_tries_another_cut(self, code: str, text: str) -> None:
        asked: list[FileUpload] = []
        error = answer_error("video init", code, detail=text, http_status=400)
        post = video(asking(asked, error), ChunkPlan(30, 30, 1), ChunkPlan(30, 10, 3))
        assert post.init(lambda: 30) == PublishInit("p", "u")
        assert asked == [FileUpload(30, 30, 1), FileUpload(30, 10, 3)]
        planned = post.planned(Record(1, Stage.PUBLISH))
        assert (planned.size, planned.chunk_size, planned.chunks) == (30, 10, 3), "a retry goes on with this"

    def test_the_last_cut_tells_its_own_refusal(self) -> None:
        error = answer_error("video init", "invalid_params", detail="The chunk size is invalid")
        with pytest.raises(errors.TikTokRequestError) as caught:
            video(asking([], error), ChunkPlan(30, 30, 1)).init(lambda: 30)
        assert caught.value is error

    def test_a_lost_answer_is_no_reason_for_another_cut(self) -> None:
        asked: list[FileUpload] = []
        lost = errors.TikTokNoAnswerError("The chunk was lost")
        with pytest.raises(errors.TikTokNoAnswerError):
            video(asking(asked, lost), ChunkPlan(30, 30, 1), ChunkPlan(30, 10, 3)).init(lambda: 30)
        assert len(asked) == 1

    def test_other_codes_that_speak_of_chunks(self) -> None:
        error = answer_error("video init", "spam_risk_text", detail="chunky")
        assert not _refuses_chunks(error)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("uploaded", "index"),
    [
        (0, 0),
        (1, 0),
        (9, 0),
        (10, 1),
        (11, 1),
        (19, 1),
        (20, 2),
        (25, 2),
        (34, 2),
        (35, 2),
        (99, 2),
    ],
)
def test_the_range_that_is_missing(uploaded: int, index: int) -> None:
    assert _missing_range(ChunkPlan(35, 10, 3), uploaded) == index


def test_an_upload_urls_secrets() -> None:
    token = "t" * 40
    url = f"https://open-upload.tiktokapis.com/upload/?upload_id=7600000000000000001&upload_token={token}&v=2"
    assert _secrets_of(url) == [url, "7600000000000000001", token]
