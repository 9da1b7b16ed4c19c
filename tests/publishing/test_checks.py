"""What is refused before it is sent; the operator's tests show that it really is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_tiktok.api.models import CreatorInfo, PhotoPost, PostMode, PrivacyLevel, VideoPost
from airflow_provider_tiktok.exceptions import TikTokConsentError, TikTokInputError
from airflow_provider_tiktok.publishing.checks import (
    check_branding,
    check_scope,
    check_text,
    fit_photos_to_creator,
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


def test_a_creator_without_any_option() -> None:
    with pytest.raises(TikTokInputError, match="none at all"):
        fit_to_creator(POST, CreatorInfo(), disable={})


def test_what_is_not_for_the_creator_to_decide_stays() -> None:
    post = VideoPost(
        "SELF_ONLY", title="t", is_aigc=True, brand_organic_toggle=True, video_cover_timestamp_ms=7
    )
    assert fit_to_creator(post, CREATOR, disable={}) == post


def test_photos_have_no_duets_or_stitches() -> None:
    """What the creator has disabled stays so; a level that they do not have is refused."""
    quiet = CreatorInfo(privacy_level_options=("SELF_ONLY",), comment_disabled=True, duet_disabled=True)
    post = PhotoPost(("https://a.example/1.jpg",), privacy_level="SELF_ONLY")
    assert fit_photos_to_creator(post, quiet, disable_comment=None).disable_comment
    assert fit_photos_to_creator(post, CREATOR, disable_comment=None) == post
    assert fit_photos_to_creator(post, CREATOR, disable_comment=True).disable_comment
    public = PhotoPost((), privacy_level="FOLLOWER_OF_CREATOR")
    with pytest.raises(TikTokInputError, match="FOLLOWER_OF_CREATOR is not open to @alice"):
        fit_photos_to_creator(public, CREATOR, disable_comment=None)
