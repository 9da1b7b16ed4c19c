"""What an operator was asked for: its arguments, rendered, read and checked before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from airflow_provider_tiktok.api.chunks import TARGET
from airflow_provider_tiktok.api.models import PhotoPost, PostMode, PrivacyLevel, Source, VideoPost
from airflow_provider_tiktok.exceptions import TikTokInputError
from airflow_provider_tiktok.media.image import Fit, PictureStyle
from airflow_provider_tiktok.publishing.arguments import (
    as_bool,
    as_choice,
    as_ratio,
    as_seconds,
    as_texts,
    as_whole,
)
from airflow_provider_tiktok.publishing.checks import (
    PHOTO_DESCRIPTION_MAX,
    PHOTO_TITLE_MAX,
    VIDEO_TITLE_MAX,
    check_branding,
    check_draft,
    check_text,
)

_DISABLE = ("disable_comment", "disable_duet", "disable_stitch")
_VIDEO_DRAFT = "video draft carries no settings"
_PHOTO_DRAFT = "photo draft carries title and description, and no settings"
#: Of one carousel (Photo Post reference, 2026-09-11).
MAX_PHOTOS = 35
_FLAGS = ("brand_content_toggle", "brand_organic_toggle", "is_aigc")


@dataclass(frozen=True)
class VideoRequest:
    """
    One video to be published.

    :param video: where it lies
    :param post_mode: post, or draft
    :param source: how TikTok gets it
    :param post: what is said of it; None for a draft, of which nothing can be said
    :param disable: ``disable_comment`` and the like, as given; None = as the creator's own setting says
    :param chunk_size: bytes that a range of an upload should have about
    :param dry_run: check everything, send nothing
    """

    video: str
    post_mode: PostMode
    source: Source
    post: VideoPost | None
    disable: Mapping[str, bool | None]
    chunk_size: int = TARGET
    dry_run: bool = False


@dataclass(frozen=True)
class PhotosRequest:
    """
    One photo carousel to be published.

    :param photos: where they lie, in their order
    :param post_mode: post, or draft
    :param post: what is said of them; its ``photo_images`` come when they are known
    :param disable_comment: as given; None = as the creator's own setting says
    :param style: how photos are made to fit
    :param dry_run: check everything, send nothing
    """

    photos: tuple[str, ...]
    post_mode: PostMode
    post: PhotoPost
    disable_comment: bool | None = None
    style: PictureStyle = field(default_factory=PictureStyle)
    dry_run: bool = False


@dataclass(frozen=True)
class Waiting:
    """
    How an operator waits for what it has started.

    :param poll_interval: longest pause between two looks, in seconds
    :param timeout: seconds to wait at most
    :param deferrable: in the triggerer
    """

    poll_interval: float
    timeout: float
    deferrable: bool


def read_video_request(given: Mapping[str, Any]) -> VideoRequest:
    """
    Read a video operator's arguments.

    :param given: the rendered arguments, by name
    :raises TikTokInputError: TikTok would refuse one, or silently drop it
    """
    if not str(given["video"] or "").strip():
        raise TikTokInputError("video is empty: give a path, an https:// URL, or an s3:// or other URI.")
    post_mode = as_choice("post_mode", given["post_mode"], PostMode)
    post = None
    if post_mode is PostMode.DIRECT_POST:
        post = _direct_post(given)
    else:
        _check_draft(given)
    uploads = str(given["source"]) == "auto"
    chunk_size = as_whole("chunk_size", given["chunk_size"])
    return VideoRequest(
        video=str(given["video"]).strip(),
        post_mode=post_mode,
        source=Source.FILE_UPLOAD if uploads else as_choice("source", given["source"], Source),
        post=post,
        disable=_disable(given),
        chunk_size=TARGET if chunk_size is None else chunk_size,
        dry_run=as_bool("dry_run", given["dry_run"]) or False,
    )


def read_photos_request(given: Mapping[str, Any]) -> PhotosRequest:
    """
    Read a photo operator's arguments.

    :param given: the rendered arguments, by name
    :raises TikTokInputError: TikTok would refuse one, or silently drop it
    """
    photos = as_texts("photos", given["photos"])
    if not 1 <= len(photos) <= MAX_PHOTOS:
        raise TikTokInputError(f"photos has {len(photos)} entries; TikTok takes 1 to {MAX_PHOTOS}.")
    cover = as_whole("photo_cover_index", given["photo_cover_index"]) or 0
    if cover >= len(photos):
        raise TikTokInputError(
            f"photo_cover_index {cover} names none of {len(photos)} photos, counted from 0."
        )
    post_mode = as_choice("post_mode", given["post_mode"], PostMode)
    post = PhotoPost(
        photo_images=(),
        photo_cover_index=cover,
        title=_text(given, "title"),
        description=_text(given, "description"),
        **_photo_settings(given, post_mode),
    )
    check_text("title", post.title, PHOTO_TITLE_MAX)
    check_text("description", post.description, PHOTO_DESCRIPTION_MAX)
    return PhotosRequest(
        photos=photos,
        post_mode=post_mode,
        post=post,
        disable_comment=as_bool("disable_comment", given["disable_comment"]),
        style=_style(given),
        dry_run=as_bool("dry_run", given["dry_run"]) or False,
    )


def _photo_settings(given: Mapping[str, Any], post_mode: PostMode) -> dict[str, Any]:
    """Give what a direct post carries beside its texts; a draft carries nothing else."""
    flags = {**_flags(given), "auto_add_music": as_bool("auto_add_music", given["auto_add_music"]) or False}
    if post_mode is PostMode.MEDIA_UPLOAD:
        disable = as_bool("disable_comment", given["disable_comment"])
        set_, carries = {"privacy_level": _level(given), "disable_comment": disable, **flags}, _PHOTO_DRAFT
        check_draft(set_, carries)
        return {}
    level = _privacy_level(given)
    check_branding(level, brand_content=flags["brand_content_toggle"])
    return {"privacy_level": level, **flags}


def _style(given: Mapping[str, Any]) -> PictureStyle:
    fit, ratio = as_choice("fit", given["fit"], Fit), as_ratio("aspect_ratio", given["aspect_ratio"])
    return PictureStyle(fit, ratio, str(given["background"]))


def read_waiting(given: Mapping[str, Any]) -> Waiting | None:
    """
    Read how an operator waits; None if it does not.

    :param given: the rendered arguments, by name
    :raises TikTokInputError: one cannot be used
    """
    waiting = Waiting(
        as_seconds("poll_interval", given["poll_interval"]),
        as_seconds("wait_timeout", given["wait_timeout"]),
        as_bool("deferrable", given["deferrable"]) or False,
    )
    return waiting if as_bool("wait_for_completion", given["wait_for_completion"]) else None


@dataclass(frozen=True)
class Rules:
    """
    What a user has decided about posts that were made, or may have been.

    :param republish: post again what was posted, once a person has cleared the task
    :param republish_unconfirmed: post again what may have been posted
    :param replace_hung: cancel a pull that hangs, and make it anew
    :param cancels: an ending task cancels its publish, where TikTok can
    :param max_wait: seconds to wait for a place without the account making progress; None = for ever
    """

    republish: bool = False
    republish_unconfirmed: bool = False
    replace_hung: bool = False
    cancels: bool = False
    max_wait: float | None = None


class _IfPublished(StrEnum):
    SKIP = "skip"
    REPUBLISH = "republish"


class _IfUnconfirmed(StrEnum):
    FAIL = "fail"
    REPUBLISH = "republish"


def read_rules(given: Mapping[str, Any]) -> Rules:
    """
    Read what a user has decided about posts that were made, or may have been.

    :param given: the rendered arguments, by name
    :raises TikTokInputError: one cannot be used
    """
    published = as_choice("if_published", given["if_published"], _IfPublished)
    unconfirmed = as_choice("if_unconfirmed", given["if_unconfirmed"], _IfUnconfirmed)
    max_wait = given["max_wait"]
    return Rules(
        republish=published is _IfPublished.REPUBLISH,
        republish_unconfirmed=unconfirmed is _IfUnconfirmed.REPUBLISH,
        replace_hung=as_bool("replace_hung_pull", given["replace_hung_pull"]) or False,
        cancels=as_bool("cancel_on_kill", given["cancel_on_kill"]) or False,
        max_wait=None if max_wait in (None, "", "None") else as_seconds("max_wait", max_wait),
    )


def _privacy_level(given: Mapping[str, Any]) -> PrivacyLevel:
    if not _level(given):
        raise TikTokInputError(
            f"privacy_level is needed for a direct post, and has no default: choose one of "
            f"{', '.join(PrivacyLevel)}. (A draft needs none: post_mode MEDIA_UPLOAD.)"
        )
    return as_choice("privacy_level", given["privacy_level"], PrivacyLevel)


def _direct_post(given: Mapping[str, Any]) -> VideoPost:
    post = VideoPost(
        privacy_level=_privacy_level(given),
        title=_text(given, "title"),
        video_cover_timestamp_ms=as_whole("video_cover_timestamp_ms", given["video_cover_timestamp_ms"]),
        **_flags(given),
    )
    check_text("title", post.title, VIDEO_TITLE_MAX)
    check_branding(post.privacy_level, brand_content=post.brand_content_toggle)
    return post


def _check_draft(given: Mapping[str, Any]) -> None:
    cover = as_whole("video_cover_timestamp_ms", given["video_cover_timestamp_ms"])
    said = {"title": _text(given, "title"), "privacy_level": _level(given)}
    settings = {**said, **_disable(given), "video_cover_timestamp_ms": cover is not None, **_flags(given)}
    check_draft(settings, _VIDEO_DRAFT)


def _text(given: Mapping[str, Any], name: str) -> str:
    return "" if given[name] is None else str(given[name])  # a native template makes a number of "0"


def _level(given: Mapping[str, Any]) -> Any:
    return None if given["privacy_level"] in ("", "None") else given["privacy_level"]


def _disable(given: Mapping[str, Any]) -> dict[str, bool | None]:
    return {name: as_bool(name, given[name]) for name in _DISABLE}


def _flags(given: Mapping[str, Any]) -> dict[str, bool]:
    return {name: as_bool(name, given[name]) or False for name in _FLAGS}
