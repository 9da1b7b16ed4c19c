"""The sensor that waits for a publish."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    Context,
    PokeReturnValue,
    conf,
)

from airflow_provider_tiktok import telling
from airflow_provider_tiktok.links.tiktok import LINKS
from airflow_provider_tiktok.publishing.arguments import DEFAULT_POLL_INTERVAL, as_bool, as_seconds

# What it takes to ask TikTok is imported when it is asked: DAG files import this module every few seconds.
if TYPE_CHECKING:
    from airflow_provider_tiktok.api.models import PublishStatus
    from airflow_provider_tiktok.hooks.tiktok import TikTokHook
    from airflow_provider_tiktok.publishing.status import Watch

#: Whoever sets one of these paces the sensor alone.
_PACE = frozenset({"poke_interval", "exponential_backoff", "max_wait"})


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
    operator_extra_links = LINKS
    ui_color = "#d8f6f5"
    #: How the publish has ended, once that is known.
    posted: dict[str, Any] | None = None
    _watch: Watch | None = None
    _cleared = False

    def __init__(
        self,
        *,
        publish_id: str,
        wait_for_creator: bool = False,
        wait_for_post_id: bool = False,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        tiktok_conn_id: str = "tiktok_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._paced = _PACE.isdisjoint(kwargs) and _PACE.isdisjoint(kwargs.get("default_args") or ())
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

    def _new_watch(self, context: Context) -> Watch:
        from airflow_provider_tiktok.publishing.status import Watch

        interval = as_seconds("poll_interval", self.poll_interval)
        waited = _rescheduled_for(context) if self.reschedule else 0.0
        return Watch(interval, waited=waited, **self._finish_line())

    def _finish_line(self) -> dict[str, bool]:
        names = ("wait_for_creator", "wait_for_post_id")
        return {name: as_bool(name, getattr(self, name)) or False for name in names}

    def execute(self, context: Context) -> Any:
        """Look once, then wait: here, or in the triggerer."""
        self._watch = None
        if self._paced:
            self._pace()
        return super().execute(context)

    def _pace(self) -> None:
        """Let the pauses grow as the trigger's do, by the means that sensors have for it."""
        longest = as_seconds("poll_interval", self.poll_interval)
        self.poke_interval = min(5.0, longest)
        self.exponential_backoff = True
        self.max_wait = timedelta(seconds=longest)

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
            kwargs={"waits": telling.began_waiting("processing")},
            timeout=timedelta(seconds=self.timeout),
        )

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once; where the wait is the triggerer's, defer to it."""
        deferrable = as_bool("deferrable", self.deferrable)
        seen = self._look(context)
        if not seen and deferrable:
            self._defer()
        return seen

    def _look(self, context: Context) -> PokeReturnValue:
        from airflow_provider_tiktok.exceptions import TikTokError
        from airflow_provider_tiktok.publishing.status import ask, check_publish_id

        publish_id = check_publish_id(self.publish_id)
        watch = self._watch = self._watch or self._new_watch(context)
        try:
            status = ask(self.hook, publish_id)
        except TikTokError as error:
            if not watch.is_passing(error):
                raise
            self.log.info("Publish %s: the status cannot be asked just now: %s", publish_id, error)
            return PokeReturnValue(is_done=False)
        self.log.info("Publish %s: %s.", publish_id, status.status)
        if not watch.is_over(status):
            self._clear(publish_id, status)
            return PokeReturnValue(is_done=False)
        telling.tell_waited(self, telling.began_waiting("processing", ago=watch.seconds))
        return PokeReturnValue(is_done=True, xcom_value=self._result(context, publish_id, status))

    def _clear(self, publish_id: str, status: PublishStatus) -> None:
        """Take away what was staged for a publish that has ended, though more is waited for."""
        from airflow_provider_tiktok.publishing.pull import release
        from airflow_provider_tiktok.publishing.status import is_finished

        if is_finished(status) and not self._cleared:
            self._cleared = True
            release(self.hook, publish_id)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """
        Resume as in Airflow 3.1: Airflow 2 and 3.0 know no never_fail here.

        Airflow 2 retries a sensor that timed out, and 3.0 fails it although it is to fail softly.
        """
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSkipException:
            raise
        except AirflowException as error:
            if self.never_fail or (self.soft_fail and isinstance(error, AirflowSensorTimeout)):
                option = "never_fail" if self.never_fail else "soft_fail"
                raise AirflowSkipException(f"Skipping due to {option} is set to True.") from error
            if isinstance(error, AirflowSensorTimeout):
                raise
            if next_method != "execute_complete" and "timeout" in str(error):
                raise AirflowSensorTimeout(str(error)) from error
            raise

    def execute_complete(self, context: Context, event: Any = None, waits: Any = None) -> dict[str, Any]:
        """Take up what the trigger told."""
        from airflow_provider_tiktok.publishing.events import read_event

        telling.tell_waited(self, waits)
        return self._result(context, *read_event(event))

    @telling.counts_failures
    def _result(self, context: Context, publish_id: str, status: PublishStatus) -> dict[str, Any]:
        from airflow_provider_tiktok.publishing.result import publish_result

        try:
            result = publish_result(self.hook, publish_id, status)
            telling.tell_ended(self, context, result)
            return result
        finally:
            self.hook.close()


def _rescheduled_for(context: Context) -> float:
    """Tell for how many seconds this sensor has been rescheduled."""
    ti: Any = context["ti"]
    ask = getattr(ti, "get_first_reschedule_date", None)
    began = ask(context) if ask else ti.start_date  # Airflow 2 keeps the first start there
    return (datetime.now(UTC) - began).total_seconds() if began else 0.0
