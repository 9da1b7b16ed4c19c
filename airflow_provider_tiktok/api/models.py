"""What the Content Posting API speaks of: its enums, and a frozen dataclass for each thing sent or got."""

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


@dataclass(frozen=True)
class CreatorInfo:
    """
    What a creator may do right now (Query Creator Info reference).

    :param username: the @handle
    :param nickname: the name shown in the app
    :param privacy_level_options: the levels a direct post may have
    :param comment_disabled: the creator allows nobody to comment
    :param duet_disabled: the account is private, or duets are off
    :param stitch_disabled: the account is private, or stitches are off
    :param max_video_post_duration_sec: the longest video, in seconds; 0 if TikTok did not say
    """

    username: str = ""
    nickname: str = ""
    privacy_level_options: tuple[str, ...] = ()
    comment_disabled: bool = False
    duet_disabled: bool = False
    stitch_disabled: bool = False
    max_video_post_duration_sec: int = 0


@dataclass(frozen=True)
class VideoPost:
    """
    The ``post_info`` of a direct video post (Direct Post reference, 2026-09-11).

    :param privacy_level: one of the creator's ``privacy_level_options``
    :param title: the caption, at most 2200 UTF-16 units; empty = none
    :param disable_comment: nobody may comment
    :param disable_duet: nobody may duet
    :param disable_stitch: nobody may stitch
    :param video_cover_timestamp_ms: the frame used as cover; None = the first
    :param brand_content_toggle: a paid partnership for a third party
    :param brand_organic_toggle: promotes the creator's own business
    :param is_aigc: labelled as made by AI
    """

    privacy_level: str
    title: str = ""
    disable_comment: bool = False
    disable_duet: bool = False
    disable_stitch: bool = False
    video_cover_timestamp_ms: int | None = None
    brand_content_toggle: bool = False
    brand_organic_toggle: bool = False
    is_aigc: bool = False


@dataclass(frozen=True)
class PhotoPost:
    """
    What is said of a photo carousel (Photo Post reference, 2026-09-11).

    :param photo_images: 1 to 35 public URLs on a verified domain or prefix
    :param photo_cover_index: the picture used as cover, from 0
    :param title: at most 90 UTF-16 units
    :param description: at most 4000 UTF-16 units
    :param privacy_level: one of the creator's ``privacy_level_options``; not for drafts
    :param disable_comment: nobody may comment; not for drafts
    :param auto_add_music: TikTok adds music; not for drafts
    :param brand_content_toggle: a paid partnership for a third party; not for drafts
    :param brand_organic_toggle: promotes the creator's own business; not for drafts
    :param is_aigc: labelled as made by AI
    """

    photo_images: tuple[str, ...]
    photo_cover_index: int = 0
    title: str = ""
    description: str = ""
    privacy_level: str | None = None
    disable_comment: bool = False
    auto_add_music: bool = False
    brand_content_toggle: bool = False
    brand_organic_toggle: bool = False
    is_aigc: bool = False


@dataclass(frozen=True)
class FileUpload:
    """
    The ``source_info`` of a video whose bytes we send (Media Transfer Guide, 2026-09-11).

    :param video_size: bytes
    :param chunk_size: bytes of each chunk but the last
    :param total_chunk_count: how many chunks
    """

    video_size: int
    chunk_size: int
    total_chunk_count: int


@dataclass(frozen=True)
class PullFromUrl:
    """
    The ``source_info`` of a video that TikTok fetches.

    :param video_url: public, https, without redirects, on a verified domain or prefix
    """

    video_url: str


@dataclass(frozen=True)
class PublishInit:
    """
    The answer to an init.

    :param publish_id: names the publish from now on; opaque, at most 64 characters
    :param upload_url: where the bytes go, valid one hour; a secret: who has it may upload
    """

    publish_id: str
    upload_url: str = field(default="", repr=False)


@dataclass(frozen=True)
class PublishStatus:
    """
    How far a publish is (Get Post Status reference, 2026-08-04).

    :param status: one of :class:`PublishState`, or one that TikTok has added since
    :param fail_reason: with ``FAILED``
    :param post_ids: only once the post is public and has passed moderation; 19 digits, so kept as strings
    :param uploaded_bytes: what TikTok has of an upload; None if not told
    :param downloaded_bytes: what TikTok has of a pull; None if not told
    :param log_id: TikTok's id of the status request
    """

    status: str
    fail_reason: str = ""
    post_ids: tuple[str, ...] = ()
    uploaded_bytes: int | None = None
    downloaded_bytes: int | None = None
    log_id: str = ""


@dataclass(frozen=True)
class Token:
    """
    An answer of the token endpoint (Manage User Access Tokens, 2026-11-02).

    :param access_token: sent with each call
    :param expires_in: seconds it lives from now
    :param refresh_token: gives the next token, once; empty for a client token
    :param refresh_expires_in: seconds the refresh token lives from now
    :param open_id: the creator, as this app knows them
    :param scope: what the creator has allowed, comma-separated
    """

    access_token: str = field(repr=False)
    expires_in: int
    refresh_token: str = field(default="", repr=False)
    refresh_expires_in: int = 0
    open_id: str = ""
    scope: str = ""


@dataclass(frozen=True)
class UserInfo:
    """
    Whose token this is (Get User Info reference).

    :param open_id: the creator, as this app knows them
    :param display_name: the name shown in the app
    :param fields: everything TikTok sent, by its field names
    """

    open_id: str = ""
    display_name: str = ""
    fields: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class VideoPage:
    """
    One page of a creator's public videos (List Videos reference).

    :param videos: newest first, each with the fields asked for
    :param cursor: where the next page starts
    :param has_more: whether there is one
    """

    videos: tuple[dict[str, object], ...] = ()
    cursor: int = 0
    has_more: bool = False
