"""What the operators that publish have in common: they publish, and wait for the end if that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowException,
    BaseOperator,
    BaseOperatorLink,
    Context,
    conf,
)

from airflow_provider_tiktok import telling
from airflow_provider_tiktok.links.tiktok import LINKS
from airflow_provider_tiktok.publishing.arguments import as_bool

# Whatever it takes to publish is imported when it is: DAG files import this module every few seconds.
if TYPE_CHECKING:
    from airflow_provider_tiktok.hooks.tiktok import TikTokHook
    from airflow_provider_tiktok.publishing.pace import Limit, Place, Released
    from airflow_provider_tiktok.publishing.post import Post
    from airflow_provider_tiktok.publishing.publisher import Answer, Publisher
    from airflow_provider_tiktok.publishing.request import Rules, Waiting

#: The arguments that every operator here has; all are templated.
COMMON_FIELDS = (
    "wait_for_completion",
    "deferrable",
    "poll_interval",
    "wait_timeout",
    "dry_run",
    "if_published",
    "if_unconfirmed",
    "max_wait",
    "cancel_on_kill",
    "replace_hung_pull",
    "tiktok_conn_id",
)
#: What may differ from one try to the next without making it another post.
_NOT_OF_THE_POST = frozenset({*COMMON_FIELDS, "chunk_size"} - {"tiktok_conn_id"})
#: A day and some hours: TikTok's caps count in days.
DEFAULT_MAX_WAIT = 26 * 3600.0

DEFAULT_DEFERRABLE = conf.getboolean("operators", "default_deferrable", fallback=False)


class TikTokPublishOperator(BaseOperator):
    """
    Publish something to TikTok; a subclass says what.

    Returns the ``publish_id``. With ``wait_for_completion`` the XCom ``publish_status`` holds
    ``{"publish_id", "status", "post_ids", "post_url"}`` too.

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
    """

    template_fields: Sequence[str] = COMMON_FIELDS
    #: The class's own fields, whatever a subclass adds to ``template_fields``.
    arguments: ClassVar[tuple[str, ...]] = COMMON_FIELDS
    operator_extra_links: tuple[BaseOperatorLink, ...] = LINKS
    ui_color = "#d8f6f5"
    #: What was posted, once that is known.
    posted: dict[str, Any] | None = None
    #: Of the creator, once it is known who that is.
    profile = ""
    _cancel: Callable[[], None] | None = None

    def __init__(
        self,
        *,
        wait_for_completion: bool,
        deferrable: bool,
        poll_interval: float,
        wait_timeout: float,
        dry_run: bool,
        if_published: str,
        if_unconfirmed: str,
        max_wait: float | None,
        cancel_on_kill: bool,
        replace_hung_pull: bool,
        tiktok_conn_id: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.wait_timeout = wait_timeout
        self.dry_run = dry_run  # type: ignore[method-assign,assignment]  # BaseOperator has a method of that name
        self.if_published = if_published
        self.if_unconfirmed = if_unconfirmed
        self.max_wait = max_wait
        self.cancel_on_kill = cancel_on_kill
        self.replace_hung_pull = replace_hung_pull
        self.tiktok_conn_id = tiktok_conn_id

    @cached_property
    def hook(self) -> TikTokHook:
        """The account."""
        from airflow_provider_tiktok.hooks.tiktok import TikTokHook

        return TikTokHook(self.tiktok_conn_id)

    def read(self, given: dict[str, Any]) -> Any:
        """
        Read what is asked for; it has a ``post_mode``.

        :param given: the rendered arguments, by name
        :raises TikTokInputError: one is refused
        """
        raise NotImplementedError

    def post(self, request: Any) -> Post:
        """
        Give what is to be posted.

        :param request: from :meth:`read`
        """
        raise NotImplementedError

    @property
    def media(self) -> tuple[str, ...]:
        """Where what is posted lies."""
        raise NotImplementedError

    @telling.counts_failures
    def execute(self, context: Context) -> str | None:
        """Check, publish, and wait if that is asked for."""
        return self._run(context)

    def execute_released(
        self, context: Context, event: Any = None, place: Any = None, waits: Any = None
    ) -> str | None:
        """Go on where the account's queue has let this task go."""
        telling.tell_waited(self, waits)
        return self._run(context, released=event, place=place)

    def execute_complete(self, context: Context, event: Any = None, waits: Any = None) -> str | None:
        """Take up what the trigger told that waited for the end."""
        telling.tell_waited(self, waits)
        return self._ended_unrecorded(context, event) or self._run(context, told=event)

    def _run(
        self, context: Context, *, told: Any = None, released: Any = None, place: Any = None
    ) -> str | None:
        from airflow_provider_tiktok.publishing.pace import is_first_of_backlog
        from airflow_provider_tiktok.publishing.request import read_rules, read_waiting

        given = {name: getattr(self, name) for name in self.arguments}
        waiting, rules, request = read_waiting(given), read_rules(given), self.read(given)
        place, release = self._place(context, place, released)
        queue = self._queue(place, rules, request.post_mode)
        dry = as_bool("dry_run", self.dry_run)
        if queue and not dry and told is None and released is None and is_first_of_backlog(context):
            queue(None)  # at once, its record unread: what that takes is for its turn
        post = self.post(request)
        try:
            if dry:
                from airflow_provider_tiktok.publishing.post import dry_run

                dry_run(post)
                return None
            publisher = self._publisher(
                context, post, given, rules=rules, place=place, release=release, queue=queue
            )
            try:
                return self._published(context, publisher, waiting, self._told(publisher, told))
            finally:
                publisher.beginning.leave()
        finally:
            post.close()
            self.hook.close()

    def _queue(self, place: Place, rules: Rules, post_mode: str) -> Callable[[Limit | None], NoReturn] | None:
        """Give what has the task wait for its turn in the triggerer; None if it waits here."""
        if not as_bool("deferrable", self.deferrable):
            return None
        from airflow_provider_tiktok.operators.deferral import queue_there

        return partial(queue_there, self, place, rules.max_wait, post_mode)

    def _place(self, context: Context, place: Any, event: Any) -> tuple[Place, Released | None]:
        from airflow_provider_tiktok.publishing.pace import Place, new_place

        if event is None:
            return new_place(context), None
        from airflow_provider_tiktok.publishing.events import read_release

        return Place.from_dict(place) if place else new_place(context), read_release(event)

    def _publisher(
        self,
        context: Context,
        post: Post,
        given: dict[str, Any],
        *,
        rules: Rules,
        place: Place,
        release: Released | None,
        queue: Callable[[Limit | None], NoReturn] | None,
    ) -> Publisher:
        from airflow_provider_tiktok.publishing import identity
        from airflow_provider_tiktok.publishing.begin import Beginning
        from airflow_provider_tiktok.publishing.ledger import open_ledger
        from airflow_provider_tiktok.publishing.publisher import Publisher

        record = open_ledger(context)
        request = {name: value for name, value in given.items() if name not in _NOT_OF_THE_POST}
        return Publisher(
            self.hook,
            record,
            post,
            identity.digests(request),
            identity.episode(context),
            rules,
            Beginning(self.hook, record, post, context, place, release, queue),
        )

    def _published(
        self, context: Context, publisher: Publisher, waiting: Waiting | None, told: Answer | None
    ) -> str:
        from airflow_provider_tiktok.operators.deferral import wait_there
        from airflow_provider_tiktok.publishing.result import described
        from airflow_provider_tiktok.publishing.status import Watch, look, wait

        standing = publisher.stand(told)
        telling.tell_begun(self, context, standing.creator, new=told is None)
        while waiting and standing.status is None:
            context["ti"].xcom_push(
                key="publish_id", value=standing.publish_id
            )  # seen while it is waited for
            self._cancel = partial(publisher.cancel, standing)
            stuck_at = publisher.stuck_at(standing)
            if not waiting.deferrable:
                watch = Watch(waiting.poll_interval, stuck_at=stuck_at)
                told = wait(self.hook, standing.publish_id, watch, timeout=waiting.timeout)
            elif told or not (told := look(self.hook, standing.publish_id)):
                wait_there(self, standing.publish_id, waiting, stuck_at, cancels=publisher.cancels)
            standing = publisher.stand(told)
        if standing.status and (waiting or told):
            result = described(self.hook, standing.publish_id, standing.status, standing.creator)
            self._tell_ended(context, result, new=told is not None)
        else:
            telling.tell_sent(self, context, standing.publish_id, new=standing.status is None)
        return standing.publish_id

    def _tell_ended(self, context: Context, result: dict[str, Any], *, new: bool = True) -> None:
        context["ti"].xcom_push(key="publish_status", value=result)
        telling.tell_ended(self, context, result, new=new)

    def _ended_unrecorded(self, context: Context, event: Any) -> str | None:
        """Take a trigger's word where there is no record any more: it must not be posted again."""
        from airflow_provider_tiktok.exceptions import TikTokError, TikTokStoreError, TikTokUnconfirmedError
        from airflow_provider_tiktok.publishing.events import read_event
        from airflow_provider_tiktok.publishing.ledger import open_ledger
        from airflow_provider_tiktok.publishing.result import publish_result

        with suppress(TikTokStoreError):  # that it cannot be read now does not undo the post that it tells of
            if open_ledger(context).latest():
                return None
        try:
            publish_id, status = read_event(event)
        except TikTokError as error:
            raise TikTokUnconfirmedError(
                f"A publish of this task was waited for, and nothing is known of it any more: {error} "
                "Nothing was posted anew. Look in the creator's profile."
            ) from error
        try:
            self._tell_ended(context, publish_result(self.hook, publish_id, status))
        finally:
            self.hook.close()
        return publish_id

    def _told(self, publisher: Publisher, event: Any) -> Answer | None:
        """Read what the trigger told; one that tells of another publish than the record's tells nothing."""
        from airflow_provider_tiktok.exceptions import TikTokAnswerError, TikTokError
        from airflow_provider_tiktok.publishing.events import read_event

        if event is None:
            return None
        try:
            publish_id, status = read_event(event, ended=False)
        except TikTokAnswerError as error:
            return error
        except TikTokError as error:
            self.log.warning("TikTok is asked again: %s", error)
            return None
        return status if publisher.is_about(publish_id) else None

    @telling.counts_failures
    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume; where the waiting broke down, or took too long, say that a retry goes on with it."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowException as error:
            if next_method in ("execute_complete", "execute_released"):
                raise
            from airflow_provider_tiktok.exceptions import TikTokUnfinishedError

            raise TikTokUnfinishedError(
                f"Publish {_pushed_publish_id(context)}: it was not waited for to its end, which may still "
                f"come. The record is kept: a retry goes on with it, and posts nothing anew. ({error})"
            ) from error

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Give the post's lineage; called by Airflow's OpenLineage provider where that is installed."""
        from airflow_provider_tiktok.lineage import posted_lineage

        return posted_lineage(self.media, self.posted)

    def on_kill(self) -> None:
        """Cancel what TikTok is still pulling, if that is asked for; an upload just ends."""
        if self._cancel is not None:
            self._cancel()


def _pushed_publish_id(context: Context) -> str:
    """Give the publish_id that was pushed before the task deferred; Airflow keeps XComs over a deferral."""
    ti = context["ti"]
    try:
        found = ti.xcom_pull(task_ids=ti.task_id, key="publish_id", map_indexes=ti.map_index)
    except Exception:  # the error that is on its way must not be hidden by this one
        found = None
    return str(found or "(see XCom publish_id)")
