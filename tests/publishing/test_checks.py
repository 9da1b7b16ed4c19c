"""What is refused before it is sent; the operator's tests show that it really is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_tiktok.api.models import CreatorInfo, PostMode, PrivacyLevel, VideoPost
from airflow_provider_tiktok.exceptions import TikTokConsentError, TikTokInputError, TikTokMediaError
from airflow_provider_tiktok.publishing.checks import (
    check_branding,
    check_scope,
    check_text,
    fit_to_creator,
)
from airflow_provider_tiktok.sandbox.fields import utf16_units

CREATOR = CreatorInfo(username="alice", privacy_level_options=("SELF_ONLY", "PUBLIC_TO_EVERYONE"))
POST = VideoPost("SELF_ONLY")


@given(st.text(max_size=30))
def test_texts_are_counted_as_tiktok_counts(text: str) -> None:
    """In UTF-16 units, also where half an emoji stands alone."""
    units = utf16_units(text)
    check_text("title", text, units)
    if units:
        with pytest.raises(TikTokInputError, match=f"has {units} UTF-16 units"):
            check_text("title", text, units - 1)


def test_half_an_emoji() -> None:
    check_text("title", "\ud83c", 1)


@pytest.mark.parametrize("level", list(PrivacyLevel))
def test_branded_content_must_be_seen(level: str) -> None:
    check_branding(level, brand_content=False)
    if level != "SELF_ONLY":
        check_branding(level, brand_content=True)
        return
    with pytest.raises(TikTokInputError, match="brand_content_toggle cannot go with"):
        check_branding(level, brand_content=True)


@pytest.mark.parametrize(
    "granted", ["", " ", "video.publish", "user.info.basic, video.publish", "video.publish video.list"]
)
def test_scopes_that_are_enough(granted: str) -> None:
    """Not knowing is no reason to refuse: TikTok will tell."""
    check_scope(granted, PostMode.DIRECT_POST)


@pytest.mark.parametrize("granted", ["video.upload", "video.publish.not", "user.info.basic"])
def test_scopes_that_are_not(granted: str) -> None:
    with pytest.raises(TikTokConsentError):
        check_scope(granted, PostMode.DIRECT_POST)


@pytest.mark.parametrize(
    ("duration", "limit"),
    [(None, 5), (5.0, 5), (0.1, 5), (600.0, 0)],
    ids=["unknown", "exact", "short", "no limit"],
)
def test_durations(duration: float | None, limit: int) -> None:
    creator = CreatorInfo(privacy_level_options=("SELF_ONLY",), max_video_post_duration_sec=limit)
    assert fit_to_creator(POST, creator, disable={}, duration=duration) == POST


def test_too_long() -> None:
    creator = CreatorInfo(privacy_level_options=("SELF_ONLY",), max_video_post_duration_sec=5)
    with pytest.raises(TikTokMediaError, match=r"lasts 5\.1 s; this creator may post at most 5 s"):
        fit_to_creator(POST, creator, disable={}, duration=5.1)


def test_a_creator_without_any_option() -> None:
    with pytest.raises(TikTokInputError, match="none at all"):
        fit_to_creator(POST, CreatorInfo(), disable={}, duration=None)


def test_what_is_not_for_the_creator_to_decide_stays() -> None:
    post = VideoPost(
        "SELF_ONLY", title="t", is_aigc=True, brand_organic_toggle=True, video_cover_timestamp_ms=7
    )
    assert fit_to_creator(post, CREATOR, disable={}, duration=None) == post
