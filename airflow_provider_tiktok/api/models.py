"""What TikTok's Content Posting API speaks of: its enums, and one frozen dataclass for each thing sent or got."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class PrivacyLevel(StrEnum):
    """Who may see a direct post (Direct Post reference, 2026-09-11); a creator has three of these four."""

    PUBLIC_TO_EVERYONE = "PUBLIC_TO_EVERYONE"
    MUTUAL_FOLLOW_FRIENDS = "MUTUAL_FOLLOW_FRIENDS"
    FOLLOWER_OF_CREATOR = "FOLLOWER_OF_CREATOR"
    SELF_ONLY = "SELF_ONLY"


class PostMode(StrEnum):
    """``DIRECT_POST`` publishes; ``MEDIA_UPLOAD`` leaves a draft in the creator's inbox."""

    DIRECT_POST = "DIRECT_POST"
    MEDIA_UPLOAD = "MEDIA_UPLOAD"


class Source(StrEnum):
    """How TikTok gets a video: we send its bytes, or TikTok fetches a public URL."""

    FILE_UPLOAD = "FILE_UPLOAD"
    PULL_FROM_URL = "PULL_FROM_URL"


class PublishState(StrEnum):
    """The states of a publish (Get Post Status reference, 2026-08-04)."""

    PROCESSING_UPLOAD = "PROCESSING_UPLOAD"
    PROCESSING_DOWNLOAD = "PROCESSING_DOWNLOAD"
    SEND_TO_USER_INBOX = "SEND_TO_USER_INBOX"
    PUBLISH_COMPLETE = "PUBLISH_COMPLETE"
    FAILED = "FAILED"


class Scope(StrEnum):
    """The OAuth scopes this provider can use (Scopes overview, 2026-09-11)."""

    USER_INFO_BASIC = "user.info.basic"
    USER_INFO_PROFILE = "user.info.profile"
    USER_INFO_STATS = "user.info.stats"
    VIDEO_LIST = "video.list"
    VIDEO_PUBLISH = "video.publish"
    VIDEO_UPLOAD = "video.upload"
