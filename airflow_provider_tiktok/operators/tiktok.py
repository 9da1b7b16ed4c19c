"""The operators that publish."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, partial
from typing import Any

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    BaseOperator,
    Context,
    conf,
    mask_secret,
)

from airflow_provider_tiktok.api.chunks import TARGET, chunk_plans
from airflow_provider_tiktok.api.models import PostMode, PrivacyLevel, PublishStatus, Source, VideoPost
from airflow_provider_tiktok.exceptions import TikTokError, TikTokInputError, TikTokUnconfirmedError
from airflow_provider_tiktok.hooks.tiktok import TikTokHook
from airflow_provider_tiktok.media.source import MediaAccess, open_source
from airflow_provider_tiktok.media.video import content_type, duration_seconds
from airflow_provider_tiktok.publishing import checks
from airflow_provider_tiktok.publishing.checks import as_bool, as_choice, as_seconds, as_whole
from airflow_provider_tiktok.publishing.events import read_event
from airflow_provider_tiktok.publishing.result import publish_result
from airflow_provider_tiktok.publishing.status import DEFAULT_POLL_INTERVAL, Watch, wait
from airflow_provider_tiktok.publishing.video import Init, check_pull_url, start_pull, start_upload
from airflow_provider_tiktok.triggers.tiktok import TikTokPublishStatusTrigger

_DISABLE = ("disable_comment", "disable_duet", "disable_stitch")
_DRY_RUN = "Dry run: all checks passed, nothing was sent. It would be a %s."
_FLAGS = ("brand_content_toggle", "brand_organic_toggle", "is_aigc")


class TikTokPublishVideoOperator(BaseOperator):
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
    :param source: ``FILE_UPLOAD``, or ``PULL_FROM_URL`` for TikTok to fetch ``video`` itself; ``auto``
        uploads, always: pulls were seen to hang in 2026, and cannot be made exactly once
    :param disable_comment: None = as the creator's own setting says; what they disabled stays so
    :param disable_duet: the same
    :param disable_stitch: the same
    :param video_cover_timestamp_ms: the frame used as cover; None = the first
    :param brand_content_toggle: a paid partnership for a third party; not with ``SELF_ONLY``
    :param brand_organic_toggle: promotes the creator's own business
    :param is_aigc: labelled as made by AI
    :param wait_for_completion: wait until it is posted, or delivered to the inbox
    :param deferrable: wait in the triggerer, without a worker slot
    :param poll_interval: longest pause between two looks at the status, in seconds; the first is about 5
    :param wait_timeout: seconds to wait at most; then the task fails and is not retried
    :param dry_run: check everything, log what would be sent, send nothing, return None
    :param chunk_size: bytes that a range of an upload should have about, 6,000,000 to 64,000,000
    :param tiktok_conn_id: Connection of type ``tiktok``
    :raises TikTokInputError: an argument is refused; nothing was sent
    :raises TikTokError: anything else; what no retry can cure also is an ``AirflowFailException``
    """

    template_fields: Sequence[str] = (
        "video",
        "title",
        "privacy_level",
        "post_mode",
        "source",
        *_DISABLE,
        "video_cover_timestamp_ms",
        *_FLAGS,
        "wait_for_completion",
        "deferrable",
        "poll_interval",
        "wait_timeout",
        "dry_run",
        "chunk_size",
        "tiktok_conn_id",
    )
    ui_color = "#d8f6f5"

    def __init__(
        self,
        *,
        video: str,
        title: str = "",
        privacy_level: str | None = None,
        post_mode: str = PostMode.DIRECT_POST.value,
        source: str = "auto",
        disable_comment: bool | None = None,
        disable_duet: bool | None = None,
        disable_stitch: bool | None = None,
        video_cover_timestamp_ms: int | None = None,
        brand_content_toggle: bool = False,
        brand_organic_toggle: bool = False,
        is_aigc: bool = False,
        wait_for_completion: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        wait_timeout: float = 24 * 3600.0,
        dry_run: bool = False,
        chunk_size: int = TARGET,
        tiktok_conn_id: str = TikTokHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
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
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.wait_timeout = wait_timeout
        self.dry_run = dry_run  # type: ignore[method-assign,assignment]  # BaseOperator has a method of that name
        self.chunk_size = chunk_size
        self.tiktok_conn_id = tiktok_conn_id

    @cached_property
    def hook(self) -> TikTokHook:
        """The account."""
        return TikTokHook(self.tiktok_conn_id)

    def execute(self, context: Context) -> str | None:
        """Check, publish, and wait if that is asked for."""
        waiting = self._waiting()
        try:
            publish_id = self._publish()
            if publish_id is None or waiting is None:
                return publish_id
            context["ti"].xcom_push(key="publish_id", value=publish_id)
            if as_bool("deferrable", self.deferrable):
                self.defer(
                    trigger=TikTokPublishStatusTrigger(
                        self.tiktok_conn_id, publish_id, poll_interval=waiting.poll_interval
                    ),
                    method_name="execute_complete",
                    timeout=timedelta(seconds=waiting.timeout),
                )
            return self._finish(context, publish_id, self._status_when_over(publish_id, waiting))
        finally:
            self.hook.close()

    def execute_complete(self, context: Context, event: Any = None) -> str:
        """Take up what the trigger told."""
        try:
            publish_id, status = read_event(event)
        except TikTokError as error:
            raise _started(error) from error
        try:
            return self._finish(context, publish_id, status)
        finally:
            self.hook.close()

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume; where the waiting itself broke down, fail for good, since a retry would publish again."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowException as error:
            if next_method == "execute_complete":
                raise
            raise _started(error) from error

    # --- before anything is sent ---

    def _waiting(self) -> _Waiting | None:
        waiting = _Waiting(
            as_seconds("poll_interval", self.poll_interval), as_seconds("wait_timeout", self.wait_timeout)
        )
        as_bool("deferrable", self.deferrable)
        return waiting if as_bool("wait_for_completion", self.wait_for_completion) else None

    def _post(self, post_mode: PostMode) -> VideoPost | None:
        """Give what is to be said of the video; None for a draft, of which nothing can be said."""
        flags = {name: as_bool(name, getattr(self, name)) or False for name in _FLAGS}
        cover = as_whole("video_cover_timestamp_ms", self.video_cover_timestamp_ms)
        title = str(self.title or "")
        if post_mode is PostMode.MEDIA_UPLOAD:
            said = {"title": title, "privacy_level": self.privacy_level, **self._disable(), **flags}
            checks.check_draft({**said, "video_cover_timestamp_ms": cover is not None})
            return None
        if self.privacy_level in (None, "", "None"):
            raise TikTokInputError(
                f"privacy_level is needed for a direct post, and has no default: choose one of "
                f"{', '.join(PrivacyLevel)}. (A draft needs none: post_mode MEDIA_UPLOAD.)"
            )
        post = VideoPost(
            privacy_level=as_choice("privacy_level", self.privacy_level, PrivacyLevel),
            title=title,
            video_cover_timestamp_ms=cover,
            **flags,
        )
        checks.check_video_post(post)
        return post

    def _disable(self) -> dict[str, bool | None]:
        return {name: as_bool(name, getattr(self, name)) for name in _DISABLE}

    def _init(self, post_mode: PostMode, post: VideoPost | None, duration: float | None) -> Init:
        """Check against what the grant and the creator allow right now; give the init to be made."""
        checks.check_scope(self.hook.granted_scope(), post_mode)
        if post is None:
            return self.hook.inbox_init
        creator = self.hook.creator_info()
        fitted = checks.fit_to_creator(post, creator, disable=self._disable(), duration=duration)
        self.log.info("Creator %s (@%s), %s.", creator.nickname, creator.username, fitted.privacy_level)
        return partial(self.hook.video_init, fitted)

    # --- sending ---

    def _publish(self) -> str | None:
        post_mode = as_choice("post_mode", self.post_mode, PostMode)
        source = Source.FILE_UPLOAD
        if str(self.source) != "auto":
            source = as_choice("source", self.source, Source)
        dry_run = as_bool("dry_run", self.dry_run) or False
        post = self._post(post_mode)
        if source is Source.PULL_FROM_URL:
            return self._pull(post_mode, post, dry_run=dry_run)
        return self._upload(post_mode, post, dry_run=dry_run)

    def _pull(self, post_mode: PostMode, post: VideoPost | None, *, dry_run: bool) -> str | None:
        check_pull_url(self.video, is_local=self.hook.account.is_local)
        init = self._init(post_mode, post, None)
        if dry_run:
            self.log.info(_DRY_RUN, f"{post_mode} by PULL_FROM_URL")
            return None
        return start_pull(init, self.video)

    def _upload(self, post_mode: PostMode, post: VideoPost | None, *, dry_run: bool) -> str | None:
        target = as_whole("chunk_size", self.chunk_size) or TARGET
        access = MediaAccess(self.hook.account.media_conn_id, allow_loopback=self.hook.account.is_local)
        with closing(open_source(str(self.video), access)) as media:
            kind = content_type(media)
            plans = chunk_plans(media.size, target)
            init = self._init(post_mode, post, duration_seconds(media) if post else None)
            if dry_run:
                self.log.info(_DRY_RUN, f"{post_mode} by FILE_UPLOAD, {kind}, {plans[0].source_info}")
                return None
            return start_upload(
                init,
                self.hook.publish_status,
                media,
                plans,
                content_type=kind,
                base_url=self.hook.account.base_url,
                keep_secret=mask_secret,
            )

    # --- afterwards ---

    def _status_when_over(self, publish_id: str, waiting: _Waiting) -> PublishStatus:
        try:
            return wait(self.hook, publish_id, Watch(waiting.poll_interval), timeout=waiting.timeout)
        except TikTokError as error:
            raise _started(error) from error

    def _finish(self, context: Context, publish_id: str, status: PublishStatus) -> str:
        result = publish_result(self.hook, publish_id, status)
        self.log.info(
            "Publish %s: %s, %s.", publish_id, status.status, result["post_url"] or "no public address"
        )
        context["ti"].xcom_push(key="publish_status", value=result)
        return publish_id


@dataclass(frozen=True)
class _Waiting:
    poll_interval: float
    timeout: float


def _started(error: AirflowException) -> AirflowException:
    """Make an error permanent that was met after the publish was started: a retry would publish again."""
    if isinstance(error, AirflowFailException):
        return error
    return TikTokUnconfirmedError(
        "The publish was started and goes on at TikTok, but its end could not be waited for. The task is not "
        "retried, which would publish again. Wait for the publish_id (XCom publish_id) with a "
        f"TikTokPublishStatusSensor. What happened: {error}"
    )
