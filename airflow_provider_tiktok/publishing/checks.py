"""
What TikTok would refuse, or drop without a word, is refused here, before anything is sent.

Sources: Direct Post reference and Content Sharing Guidelines (2026-09-11); for drafts, the Upload Video
reference, which knows no settings at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airflow_provider_tiktok.api.models import (
    CreatorInfo,
    PhotoPost,
    PostMode,
    PrivacyLevel,
    Scope,
    VideoPost,
)
from airflow_provider_tiktok.exceptions import TikTokConsentError, TikTokInputError

#: UTF-16 units (Direct Post and Photo Post references, 2026-09-11).
VIDEO_TITLE_MAX, PHOTO_TITLE_MAX, PHOTO_DESCRIPTION_MAX = 2200, 90, 4000

_NEEDED_SCOPE = {PostMode.DIRECT_POST: Scope.VIDEO_PUBLISH, PostMode.MEDIA_UPLOAD: Scope.VIDEO_UPLOAD}


def check_text(name: str, text: str, limit: int) -> None:
    """
    See that a text is not too long, as TikTok counts: in UTF-16 units, an emoji being two.

    :param name: of the argument
    :param text: the text
    :param limit: UTF-16 units
    :raises TikTokInputError: it is
    """
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2
    if units > limit:
        raise TikTokInputError(
            f"{name} has {units} UTF-16 units (an emoji counts two or more); TikTok takes at most {limit}."
        )


def check_branding(privacy_level: str, *, brand_content: bool) -> None:
    """
    See that branded content can be seen (Content Sharing Guidelines, 2026-09-11).

    :param privacy_level: of the post
    :param brand_content: whether it is a paid partnership
    :raises TikTokInputError: it could not be seen
    """
    if brand_content and privacy_level == PrivacyLevel.SELF_ONLY:
        raise TikTokInputError(
            "brand_content_toggle cannot go with privacy_level SELF_ONLY: TikTok wants branded content to be "
            "seen. Choose another privacy_level."
        )


def check_draft(settings: dict[str, Any], carries: str) -> None:
    """
    See that nothing is set that a draft cannot carry.

    :param settings: the arguments of a direct post, by name
    :param carries: what TikTok's inbox takes, for the error
    :raises TikTokInputError: something is set
    """
    dropped = [name for name, value in settings.items() if value not in (None, False, "")]
    if dropped:
        raise TikTokInputError(
            f"post_mode MEDIA_UPLOAD: TikTok would silently drop {', '.join(dropped)}. A {carries}; the "
            "creator chooses them in the app. Remove them, or use post_mode DIRECT_POST."
        )


def check_scope(granted: str, post_mode: PostMode) -> None:
    """
    See that the creator has allowed what is going to be done.

    :param granted: the grant's scopes, comma-separated; empty = not known, so that TikTok must tell
    :param post_mode: a draft needs only ``video.upload``
    :raises TikTokConsentError: they have not
    """
    needed = _NEEDED_SCOPE[post_mode]
    scopes = granted.replace(",", " ").split()
    if scopes and needed not in scopes:
        raise TikTokConsentError(
            f"post_mode {post_mode} needs the scope {needed}; the creator has allowed {', '.join(scopes)}. "
            "Let the creator allow the app again with that scope, and put the new refresh_token into the "
            "Connection.",
            code="scope_not_authorized",
        )


def check_privacy(privacy_level: str | None, creator: CreatorInfo) -> None:
    """
    See that the creator can post with this privacy level right now.

    :param privacy_level: of the post
    :param creator: asked just before
    :raises TikTokInputError: they cannot
    """
    who = f"@{creator.username}" if creator.username else "this creator"
    if privacy_level not in creator.privacy_level_options:
        raise TikTokInputError(
            f"privacy_level {privacy_level} is not open to {who}; TikTok offers "
            f"{', '.join(creator.privacy_level_options) or 'none at all'}."
        )


def fit_to_creator(post: VideoPost, creator: CreatorInfo, *, disable: Mapping[str, bool | None]) -> VideoPost:
    """
    Check a direct post against what the creator may do right now, and settle what was left to the creator.

    :param post: what is to be said of the video
    :param creator: asked just before
    :param disable: ``disable_comment``, ``disable_duet``, ``disable_stitch`` as given; None = as the
        creator's own setting says, and what the creator has disabled stays so
    :raises TikTokInputError: the creator cannot post with this privacy level
    """
    check_privacy(post.privacy_level, creator)
    return replace(
        post,
        disable_comment=bool(disable.get("disable_comment")) or creator.comment_disabled,
        disable_duet=bool(disable.get("disable_duet")) or creator.duet_disabled,
        disable_stitch=bool(disable.get("disable_stitch")) or creator.stitch_disabled,
    )


def fit_photos_to_creator(
    post: PhotoPost, creator: CreatorInfo, *, disable_comment: bool | None
) -> PhotoPost:
    """
    Do for photos what :func:`fit_to_creator` does for a video; duets and stitches there are none.

    :param post: what is to be said of the photos
    :param creator: asked just before
    :param disable_comment: as given; None = as the creator's own setting says
    :raises TikTokInputError: the creator cannot post with this privacy level
    """
    check_privacy(post.privacy_level, creator)
    return replace(post, disable_comment=bool(disable_comment) or creator.comment_disabled)
