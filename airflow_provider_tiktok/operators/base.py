"""What the operators that publish have in common: they publish, and wait for the end if that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.providers.common.compat.sdk import AirflowException, BaseOperator, Context, conf

# Whatever it takes to publish is imported when it is: DAG files import this module every few seconds.
if TYPE_CHECKING:
    from airflow_provider_tiktok.api.models import PublishStatus
    from airflow_provider_tiktok.hooks.tiktok import TikTokHook
    from airflow_provider_tiktok.publishing.request import Waiting

#: The arguments that every operator here has; all are templated.
COMMON_FIELDS = (
    "wait_for_completion",
    "deferrable",
    "poll_interval",
    "wait_timeout",
    "dry_run",
    "tiktok_conn_id",
)

DEFAULT_DEFERRABLE = conf.getboolean("operators", "default_deferrable", fallback=False)


class TikTokPublishOperator(BaseOperator):
    """
    Publish something to TikTok; a subclass says what.

    Returns the ``publish_id``. With ``wait_for_completion`` the XCom ``publish_status`` holds
    ``{"publish_id", "status", "post_ids", "post_url"}`` too.

    :param wait_for_completion: wait until it is posted, or delivered to the inbox
    :param deferrable: wait in the triggerer, without a worker slot
    :param poll_interval: longest pause between two looks at the status, in seconds; the first is about 5
    :param wait_timeout: seconds to wait at most; then the task fails and is not retried
    :param dry_run: check everything, log what would be sent, send nothing, return None
    :param tiktok_conn_id: Connection of type ``tiktok``
    """

    template_fields: Sequence[str] = COMMON_FIELDS
    #: The class's own fields, whatever a subclass adds to ``template_fields``.
    arguments: ClassVar[tuple[str, ...]] = COMMON_FIELDS
    ui_color = "#d8f6f5"

    def __init__(
        self,
        *,
        wait_for_completion: bool,
        deferrable: bool,
        poll_interval: float,
        wait_timeout: float,
        dry_run: bool,
        tiktok_conn_id: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.wait_timeout = wait_timeout
        self.dry_run = dry_run  # type: ignore[method-assign,assignment]  # BaseOperator has a method of that name
        self.tiktok_conn_id = tiktok_conn_id

    @cached_property
    def hook(self) -> TikTokHook:
        """The account."""
        from airflow_provider_tiktok.hooks.tiktok import TikTokHook

        return TikTokHook(self.tiktok_conn_id)

    def publish(self, given: dict[str, Any]) -> str | None:
        """
        Check, prepare, and start the publish.

        :param given: the rendered arguments, by name
        :return: the ``publish_id``; None after a dry run
        """
        raise NotImplementedError

    def execute(self, context: Context) -> str | None:
        """Check, publish, and wait if that is asked for."""
        from airflow_provider_tiktok.publishing.request import read_waiting

        given = {name: getattr(self, name) for name in self.arguments}
        waiting = read_waiting(given)
        try:
            publish_id = self.publish(given)
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
        from airflow_provider_tiktok.publishing.status import failure

        # only what has failed may be published again by a retry
        with nullcontext() if failure(publish_id, status) else started(publish_id):
            result = publish_result(self.hook, publish_id, status)
            address = result["post_url"] or "no public address"
            self.log.info("Publish %s: %s, %s.", publish_id, status.status, address)
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
