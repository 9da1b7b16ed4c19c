"""The operators that publish."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowException,
    BaseOperator,
    Context,
    conf,
    mask_secret,
)

# Whatever it takes to publish is imported when it is: DAG files import this module every few seconds.
if TYPE_CHECKING:
    from airflow_provider_tiktok.api.models import PublishStatus
    from airflow_provider_tiktok.hooks.tiktok import TikTokHook
    from airflow_provider_tiktok.publishing.request import Waiting


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
        "disable_comment",
        "disable_duet",
        "disable_stitch",
        "video_cover_timestamp_ms",
        "brand_content_toggle",
        "brand_organic_toggle",
        "is_aigc",
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
        post_mode: str = "DIRECT_POST",
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
        poll_interval: float = 30.0,
        wait_timeout: float = 24 * 3600.0,
        dry_run: bool = False,
        chunk_size: int = 10_000_000,
        tiktok_conn_id: str = "tiktok_default",
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
        from airflow_provider_tiktok.hooks.tiktok import TikTokHook

        return TikTokHook(self.tiktok_conn_id)

    def execute(self, context: Context) -> str | None:
        """Check, publish, and wait if that is asked for."""
        from airflow_provider_tiktok.publishing.request import read_video_request, read_waiting
        from airflow_provider_tiktok.publishing.video import publish_video

        # this class's fields: a subclass may template others
        given = {name: getattr(self, name) for name in TikTokPublishVideoOperator.template_fields}
        request, waiting = read_video_request(given), read_waiting(given)
        try:
            publish_id = publish_video(self.hook, request, mask_secret)
            if publish_id is None or waiting is None:
                return publish_id
            return self._wait(context, publish_id, waiting)
        finally:
            self.hook.close()

    def _wait(self, context: Context, publish_id: str, waiting: Waiting) -> str:
        from airflow_provider_tiktok.publishing.started import started
        from airflow_provider_tiktok.publishing.status import Watch, wait

        with started(publish_id):
            context["ti"].xcom_push(key="publish_id", value=publish_id)  # to be seen while it is waited for
            if waiting.deferrable:
                self._defer(publish_id, waiting)
            status = wait(self.hook, publish_id, Watch(waiting.poll_interval), timeout=waiting.timeout)
        return self._finish(context, publish_id, status)

    def _defer(self, publish_id: str, waiting: Waiting) -> NoReturn:
        from airflow_provider_tiktok.triggers.tiktok import TikTokPublishStatusTrigger

        self.defer(
            trigger=TikTokPublishStatusTrigger(
                self.tiktok_conn_id, publish_id, poll_interval=waiting.poll_interval
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=waiting.timeout),
        )

    def execute_complete(self, context: Context, event: Any = None) -> str:
        """Take up what the trigger told."""
        from airflow_provider_tiktok.exceptions import TikTokError
        from airflow_provider_tiktok.publishing.events import read_event

        try:
            publish_id, status = read_event(event)
        except TikTokError as error:
            _give_up(context, error)
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
            _give_up(context, error)

    def _finish(self, context: Context, publish_id: str, status: PublishStatus) -> str:
        from airflow_provider_tiktok.publishing.result import publish_result
        from airflow_provider_tiktok.publishing.started import started

        result = publish_result(self.hook, publish_id, status)
        address = result["post_url"] or "no public address"
        self.log.info("Publish %s: %s, %s.", publish_id, status.status, address)
        with started(publish_id):
            context["ti"].xcom_push(key="publish_status", value=result)
        return publish_id


def _give_up(context: Context, error: AirflowException) -> NoReturn:
    from airflow_provider_tiktok.publishing.started import started

    with started(_pushed_publish_id(context)):
        raise error


def _pushed_publish_id(context: Context) -> str:
    """Give the publish_id that was pushed before the task deferred; Airflow keeps XComs over a deferral."""
    ti = context["ti"]
    try:
        found = ti.xcom_pull(task_ids=ti.task_id, key="publish_id", map_indexes=ti.map_index)
    except Exception:  # the error that is on its way must not be hidden by this one
        found = None
    return str(found or "(see XCom publish_id)")
