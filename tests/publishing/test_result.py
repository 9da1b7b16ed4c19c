"""What a finished publish is to the tasks behind it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_tiktok.api.models import CreatorInfo, PublishStatus
from airflow_provider_tiktok.exceptions import TikTokProcessingError, TikTokStoreError
from airflow_provider_tiktok.publishing.result import publish_result


def hook(answer: CreatorInfo | Exception) -> Any:
    def creator_info() -> CreatorInfo:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return SimpleNamespace(creator_info=creator_info)


ALICE = CreatorInfo(username="alice")
COMPLETE = PublishStatus("PUBLISH_COMPLETE", post_ids=("76", "77"))


def test_a_video() -> None:
    assert publish_result(hook(ALICE), "v_pub_file~1", COMPLETE) == {
        "publish_id": "v_pub_file~1",
        "status": "PUBLISH_COMPLETE",
        "post_ids": ["76", "77"],
        "post_url": "https://www.tiktok.com/@alice/video/76",
    }


@pytest.mark.parametrize(
    "answer",
    [CreatorInfo(), TikTokStoreError("x"), RuntimeError("no API server")],
    ids=["nameless", "ours", "any"],
)
def test_without_a_name_there_is_no_address(answer: CreatorInfo | Exception) -> None:
    assert publish_result(hook(answer), "v_pub_file~1", COMPLETE)["post_url"] is None


def test_photos_have_no_address() -> None:
    assert publish_result(hook(ALICE), "p_pub_url~1", COMPLETE)["post_url"] is None


def test_nobody_is_asked_where_there_is_no_post() -> None:
    nobody = hook(AssertionError("asked"))
    assert publish_result(nobody, "v_inbox_file~1", PublishStatus("SEND_TO_USER_INBOX"))["post_ids"] == []


def test_failed() -> None:
    with pytest.raises(TikTokProcessingError, match="video_pull_failed"):
        publish_result(hook(ALICE), "v_pub_url~1", PublishStatus("FAILED", "video_pull_failed"))
