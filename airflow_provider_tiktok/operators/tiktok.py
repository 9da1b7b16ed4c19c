"""The operators that publish."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import mask_secret

from airflow_provider_tiktok.operators.base import (
    COMMON_FIELDS,
    DEFAULT_DEFERRABLE,
    DEFAULT_MAX_WAIT,
    TikTokPublishOperator,
)
from airflow_provider_tiktok.publishing.arguments import DEFAULT_POLL_INTERVAL, as_texts

if TYPE_CHECKING:
    from airflow_provider_tiktok.publishing.post import Post
    from airflow_provider_tiktok.publishing.request import PhotosRequest, VideoRequest


class TikTokPublishVideoOperator(TikTokPublishOperator):
    """
    Publish a video to TikTok, or leave it as a draft in the creator's inbox.

    Everything that TikTok would refuse, or silently drop, is refused before anything is sent. A direct post
    asks ``creator_info`` first, as TikTok's guidelines want. Returns the ``publish_id``; with
    ``wait_for_completion`` the XCom ``publish_status`` holds ``{"publish_id", "status", "post_ids",
    "post_url"}`` too.

    .. seealso:: https://developers.tiktok.com/doc/content-posting-api-reference-direct-post (2026-09-11)

    All parameters are templated.

    :param video: a local path, an ``https://`` URL, an ``s3://`` URI, or any URI that Airflow's
        ``ObjectStoragePath`` opens; MP4, MOV or WebM, at most 4 GB
    :param title: the caption with #hashtags and @mentions; at most 2200 UTF-16 units
    :param privacy_level: who may see it: ``PUBLIC_TO_EVERYONE``, ``MUTUAL_FOLLOW_FRIENDS``,
        ``FOLLOWER_OF_CREATOR`` or ``SELF_ONLY``, as far as the creator has it. No default: TikTok wants a
        choice
    :param post_mode: ``DIRECT_POST``, or ``MEDIA_UPLOAD`` for a draft, which takes the video and no settings
    :param source: ``FILE_UPLOAD``, or ``PULL_FROM_URL`` for TikTok to fetch the video itself: where its URL
        is not under the Connection's ``media_public_base_url``, the video is put into its ``media_bucket``
        first. ``auto`` uploads, always: pulls were seen to hang in 2026, and cannot be made exactly once
    :param disable_comment: None = as the creator's own setting says; what they disabled stays so
    :param disable_duet: the same
    :param disable_stitch: the same
    :param video_cover_timestamp_ms: the frame used as cover; None = the first
    :param brand_content_toggle: a paid partnership for a third party; not with ``SELF_ONLY``
    :param brand_organic_toggle: promotes the creator's own business
    :param is_aigc: labelled as made by AI
    :param wait_for_completion: wait until it is posted, or delivered to the inbox
    :param deferrable: after the first 2 seconds, wait in the triggerer, without a worker slot
    :param poll_interval: longest pause between two looks at the status, in seconds; the first is about 5
    :param wait_timeout: seconds to wait at most; then the task fails, and a retry goes on waiting
    :param dry_run: check everything, log what would be sent, send nothing, return None
    :param if_published: ``skip``: a task that has posted posts nothing more, however often it is run.
        ``republish``: once a person has cleared it, it posts once more; a retry never does
    :param if_unconfirmed: ``fail``: where nobody can know whether a pull was posted, a person has to look.
        ``republish``: it is posted again
    :param max_wait: seconds that a deferrable task waits for a place at TikTok's limits while no post of its
        account gets through; None = for ever
    :param cancel_on_kill: cancel a pull that TikTok is still downloading when the task is ended by a person
    :param replace_hung_pull: cancel a pull that does not come to an end in an hour and a quarter, and make it
        anew
    :param chunk_size: bytes that a range of an upload should have about, 6,000,000 to 64,000,000
    :param tiktok_conn_id: Connection of type ``tiktok``
    :raises TikTokInputError: an argument is refused; nothing was sent
    :raises TikTokError: anything else; what no retry can cure also is an ``AirflowFailException``
    """

    arguments: ClassVar[tuple[str, ...]] = (
        "video",
        "title",
        "privacy_level",
        "post_mode",
        "source",
        "disable_comment",
        "disable_duet",
        "disable_stitch",
        "video_cover_timestamp_ms",
        "brand_content_toggle",
        "brand_organic_toggle",
        "is_aigc",
        "chunk_size",
        *COMMON_FIELDS,
    )
    template_fields: Sequence[str] = arguments

    def __init__(
        self,
        *,
        video: str,
        title: str = "",
        privacy_level: str | None = None,
        post_mode: str = "DIRECT_POST",
        source: str = "auto",
        disable_comment: bool | None = None,
        disable_duet: bool | None = None,
        disable_stitch: bool | None = None,
        video_cover_timestamp_ms: int | None = None,
        brand_content_toggle: bool = False,
        brand_organic_toggle: bool = False,
        is_aigc: bool = False,
        chunk_size: int = 10_000_000,
        wait_for_completion: bool = False,
        deferrable: bool = DEFAULT_DEFERRABLE,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        wait_timeout: float = 24 * 3600.0,
        dry_run: bool = False,
        if_published: str = "skip",
        if_unconfirmed: str = "fail",
        max_wait: float | None = DEFAULT_MAX_WAIT,
        cancel_on_kill: bool = False,
        replace_hung_pull: bool = False,
        tiktok_conn_id: str = "tiktok_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            wait_for_completion=wait_for_completion,
            deferrable=deferrable,
            poll_interval=poll_interval,
            wait_timeout=wait_timeout,
            dry_run=dry_run,
            if_published=if_published,
            if_unconfirmed=if_unconfirmed,
            max_wait=max_wait,
            cancel_on_kill=cancel_on_kill,
            replace_hung_pull=replace_hung_pull,
            tiktok_conn_id=tiktok_conn_id,
            **kwargs,
        )
        self.video = video
        self.title = title
        self.privacy_level = privacy_level
        self.post_mode = post_mode
        self.source = source
        self.disable_comment = disable_comment
        self.disable_duet = disable_duet
        self.disable_stitch = disable_stitch
        self.video_cover_timestamp_ms = video_cover_timestamp_ms
        self.brand_content_toggle = brand_content_toggle
        self.brand_organic_toggle = brand_organic_toggle
        self.is_aigc = is_aigc
        self.chunk_size = chunk_size

    @property
    def media(self) -> tuple[str, ...]:
        """Where the video lies."""
        return (self.video,)

    def read(self, given: dict[str, Any]) -> VideoRequest:
        """Read what is asked for; see :meth:`TikTokPublishOperator.read`."""
        from airflow_provider_tiktok.publishing.request import read_video_request

        return read_video_request(given)

    def post(self, request: VideoRequest) -> Post:
        """Give the video; see :meth:`TikTokPublishOperator.post`."""
        from airflow_provider_tiktok.publishing.video import video_post

        return video_post(self.hook, request, mask_secret)


class TikTokPublishPhotosOperator(TikTokPublishOperator):
    """
    Publish a photo carousel to TikTok, or leave it as a draft in the creator's inbox.

    Every photo is made what TikTok takes (JPEG or WebP, at most 1080 px on the short and 1920 px on the long
    side, 20 MB) before anything is sent; one that already is goes through untouched, but for its EXIF data.
    All photos that cannot be used are named in one error. TikTok takes photos only from a public URL that is
    verified with it: a photo that is right and lies under the Connection's ``media_public_base_url`` is
    pulled from there; the others are put into its ``media_bucket``, and removed once the publish is seen to
    have ended, by this operator or a ``TikTokPublishStatusSensor``. Returns the ``publish_id``; with
    ``wait_for_completion`` the XCom ``publish_status`` holds ``{"publish_id", "status", "post_ids",
    "post_url"}`` too. TikTok documents no address of a photo post: ``post_url`` is None.

    A photo post cannot be made exactly once: where TikTok's answer is lost, the task fails without a retry
    and says so.

    .. seealso:: https://developers.tiktok.com/doc/content-posting-api-reference-photo-post (2026-09-11)

    All parameters are templated.

    :param photos: 1 to 35 pictures in their order, each a local path, an ``https://`` URL, an ``s3://`` URI,
        or any URI that Airflow's ``ObjectStoragePath`` opens; anything that Pillow reads
    :param title: at most 90 UTF-16 units
    :param description: with #hashtags and @mentions; at most 4000 UTF-16 units
    :param privacy_level: who may see it: ``PUBLIC_TO_EVERYONE``, ``MUTUAL_FOLLOW_FRIENDS``,
        ``FOLLOWER_OF_CREATOR`` or ``SELF_ONLY``, as far as the creator has it. No default: TikTok wants a
        choice
    :param post_mode: ``DIRECT_POST``, or ``MEDIA_UPLOAD`` for a draft, which takes photos, title and
        description, and no settings
    :param photo_cover_index: the photo used as cover, counted from 0
    :param disable_comment: None = as the creator's own setting says; what they disabled stays so
    :param auto_add_music: TikTok adds music
    :param brand_content_toggle: a paid partnership for a third party; not with ``SELF_ONLY``
    :param brand_organic_toggle: promotes the creator's own business
    :param is_aigc: labelled as made by AI
    :param fit: ``contain`` keeps a photo's own ratio; ``pad`` and ``crop`` bring it to ``aspect_ratio``
    :param aspect_ratio: width to height, as ``"9:16"`` or a number; for ``pad`` and ``crop``
    :param background: colour under transparent and around padded photos, as ``"white"`` or ``"#ffcc00"``
    :param wait_for_completion: wait until it is posted, or delivered to the inbox
    :param deferrable: after the first 2 seconds, wait in the triggerer, without a worker slot
    :param poll_interval: longest pause between two looks at the status, in seconds; the first is about 5
    :param wait_timeout: seconds to wait at most; then the task fails, and a retry goes on waiting
    :param dry_run: check everything, log what would be sent, send nothing, return None
    :param if_published: ``skip``: a task that has posted posts nothing more, however often it is run.
        ``republish``: once a person has cleared it, it posts once more; a retry never does
    :param if_unconfirmed: ``fail``: where nobody can know whether a pull was posted, a person has to look.
        ``republish``: it is posted again
    :param max_wait: seconds that a deferrable task waits for a place at TikTok's limits while no post of its
        account gets through; None = for ever
    :param cancel_on_kill: cancel a pull that TikTok is still downloading when the task is ended by a person
    :param replace_hung_pull: cancel a pull that does not come to an end in an hour and a quarter, and make it
        anew
    :param tiktok_conn_id: Connection of type ``tiktok``
    :raises TikTokInputError: an argument or a photo is refused; nothing was sent
    :raises TikTokError: anything else; what no retry can cure also is an ``AirflowFailException``
    """

    arguments: ClassVar[tuple[str, ...]] = (
        "photos",
        "title",
        "description",
        "privacy_level",
        "post_mode",
        "photo_cover_index",
        "disable_comment",
        "auto_add_music",
        "brand_content_toggle",
        "brand_organic_toggle",
        "is_aigc",
        "fit",
        "aspect_ratio",
        "background",
        *COMMON_FIELDS,
    )
    template_fields: Sequence[str] = arguments

    def __init__(
        self,
        *,
        photos: Sequence[str] | str,
        title: str = "",
        description: str = "",
        privacy_level: str | None = None,
        post_mode: str = "DIRECT_POST",
        photo_cover_index: int = 0,
        disable_comment: bool | None = None,
        auto_add_music: bool = False,
        brand_content_toggle: bool = False,
        brand_organic_toggle: bool = False,
        is_aigc: bool = False,
        fit: str = "contain",
        aspect_ratio: str | float | None = None,
        background: str = "white",
        wait_for_completion: bool = False,
        deferrable: bool = DEFAULT_DEFERRABLE,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        wait_timeout: float = 24 * 3600.0,
        dry_run: bool = False,
        if_published: str = "skip",
        if_unconfirmed: str = "fail",
        max_wait: float | None = DEFAULT_MAX_WAIT,
        cancel_on_kill: bool = False,
        replace_hung_pull: bool = False,
        tiktok_conn_id: str = "tiktok_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            wait_for_completion=wait_for_completion,
            deferrable=deferrable,
            poll_interval=poll_interval,
            wait_timeout=wait_timeout,
            dry_run=dry_run,
            if_published=if_published,
            if_unconfirmed=if_unconfirmed,
            max_wait=max_wait,
            cancel_on_kill=cancel_on_kill,
            replace_hung_pull=replace_hung_pull,
            tiktok_conn_id=tiktok_conn_id,
            **kwargs,
        )
        self.photos = photos
        self.title = title
        self.description = description
        self.privacy_level = privacy_level
        self.post_mode = post_mode
        self.photo_cover_index = photo_cover_index
        self.disable_comment = disable_comment
        self.auto_add_music = auto_add_music
        self.brand_content_toggle = brand_content_toggle
        self.brand_organic_toggle = brand_organic_toggle
        self.is_aigc = is_aigc
        self.fit = fit
        self.aspect_ratio = aspect_ratio
        self.background = background

    @property
    def media(self) -> tuple[str, ...]:
        """Where the photos lie."""
        return as_texts("photos", self.photos)

    def read(self, given: dict[str, Any]) -> PhotosRequest:
        """Read what is asked for; see :meth:`TikTokPublishOperator.read`."""
        from airflow_provider_tiktok.publishing.request import read_photos_request

        return read_photos_request(given)

    def post(self, request: PhotosRequest) -> Post:
        """Give the carousel; see :meth:`TikTokPublishOperator.post`."""
        from airflow_provider_tiktok.publishing.photos import PhotoCarousel

        return PhotoCarousel(self.hook, request)
