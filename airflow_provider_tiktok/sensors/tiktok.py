"""The sensor that waits for a publish."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import BaseSensorOperator, Context, PokeReturnValue, conf

from airflow_provider_tiktok.publishing.arguments import as_bool, as_seconds

# What it takes to ask TikTok is imported when it is asked: DAG files import this module every few seconds.
if TYPE_CHECKING:
    from airflow_provider_tiktok.api.models import PublishStatus
    from airflow_provider_tiktok.hooks.tiktok import TikTokHook
    from airflow_provider_tiktok.publishing.status import Watch


class TikTokPublishStatusSensor(BaseSensorOperator):
    """
    Wait until a publish is done, or fail with TikTok's reason.

    Done is ``PUBLISH_COMPLETE`` and, for drafts, ``SEND_TO_USER_INBOX``. The XCom value is ``{"publish_id",
    "status", "post_ids", "post_url"}``; ids are strings, and there are none while a post is private or not
    yet moderated. ``timeout``, ``soft_fail`` and ``never_fail`` work as in any sensor, deferred or not.

    .. seealso:: https://developers.tiktok.com/doc/content-posting-api-reference-get-video-status

    :param publish_id: from a publish operator (templated)
    :param wait_for_creator: a draft in the inbox is not enough; wait until the creator has posted it
        (templated)
    :param wait_for_post_id: wait until TikTok names the public post, usually less than a minute after
        ``PUBLISH_COMPLETE``, at times hours; never for private posts, so set a ``timeout`` (templated)
    :param poll_interval: longest pause between two looks, in seconds; the first is about 5 (templated). In
        poke and reschedule mode a ``poke_interval`` of your own goes before
    :param deferrable: wait in the triggerer, without a worker slot (templated)
    :param tiktok_conn_id: Connection of type ``tiktok`` (templated)
    :raises TikTokAnswerError: the publish has failed, or TikTok does not let this account ask for it
    """

    template_fields: Sequence[str] = (
        "publish_id",
        "wait_for_creator",
        "wait_for_post_id",
        "poll_interval",
        "deferrable",
        "tiktok_conn_id",
    )
    ui_color = "#d8f6f5"

    def __init__(
        self,
        *,
        publish_id: str,
        wait_for_creator: bool = False,
        wait_for_post_id: bool = False,
        poll_interval: float = 30.0,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        tiktok_conn_id: str = "tiktok_default",
        **kwargs: Any,
    ) -> None:
        if isinstance(poll_interval, int | float) and "poke_interval" not in kwargs:
            # the same growing pauses as the trigger's, by the means that sensors have for it
            growing = {"poke_interval": min(5.0, poll_interval), "exponential_backoff": True}
            kwargs = {**growing, "max_wait": float(poll_interval), **kwargs}
        super().__init__(**kwargs)
        self.publish_id = publish_id
        self.wait_for_creator = wait_for_creator
        self.wait_for_post_id = wait_for_post_id
        self.poll_interval = poll_interval
        self.deferrable = deferrable
        self.tiktok_conn_id = tiktok_conn_id

    @cached_property
    def hook(self) -> TikTokHook:
        """The account."""
        from airflow_provider_tiktok.hooks.tiktok import TikTokHook

        return TikTokHook(self.tiktok_conn_id)

    @cached_property
    def _watch(self) -> Watch:
        from airflow_provider_tiktok.publishing.status import Watch

        interval = as_seconds("poll_interval", self.poll_interval)
        return Watch(interval, **self._finish_line())

    def _finish_line(self) -> dict[str, bool]:
        names = ("wait_for_creator", "wait_for_post_id")
        return {name: as_bool(name, getattr(self, name)) or False for name in names}

    def execute(self, context: Context) -> Any:
        """Look once, then wait: here, or in the triggerer."""
        if not as_bool("deferrable", self.deferrable):
            return super().execute(context)
        seen = self.poke(context)
        return seen.xcom_value if seen else self._defer()

    def _defer(self) -> NoReturn:
        from airflow_provider_tiktok.publishing.status import check_publish_id
        from airflow_provider_tiktok.triggers.tiktok import TikTokPublishStatusTrigger

        self.hook.close()
        self.defer(
            trigger=TikTokPublishStatusTrigger(
                tiktok_conn_id=self.tiktok_conn_id,
                publish_id=check_publish_id(self.publish_id),
                poll_interval=as_seconds("poll_interval", self.poll_interval),
                **self._finish_line(),
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""
        from airflow_provider_tiktok.exceptions import TikTokError
        from airflow_provider_tiktok.publishing.status import check_publish_id

        publish_id = check_publish_id(self.publish_id)
        try:
            status = self.hook.publish_status(publish_id)
        except TikTokError as error:
            if not self._watch.is_passing(error):
                raise
            self.log.info("Publish %s: the status cannot be asked just now: %s", publish_id, error)
            return PokeReturnValue(is_done=False)
        self.log.info("Publish %s: %s.", publish_id, status.status)
        if not self._watch.is_over(status):
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self._result(publish_id, status))

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Take up what the trigger told."""
        from airflow_provider_tiktok.publishing.events import read_event

        return self._result(*read_event(event))

    def _result(self, publish_id: str, status: PublishStatus) -> dict[str, Any]:
        from airflow_provider_tiktok.publishing.result import publish_result

        try:
            return publish_result(self.hook, publish_id, status)
        finally:
            self.hook.close()
