"""What a task tells of its publish: to its page, to the DAGs behind it, and to the metrics."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from airflow_provider_tiktok.links.tiktok import PROFILE_KEY, profile_url

# The metrics are imported where they are used: they need the table of errors, and that needs Airflow's, while
# DAG files import this module every few seconds.
log = logging.getLogger(__name__)
_F = TypeVar("_F", bound=Callable[..., Any])


def tell_begun(task: Any, context: Any, creator: str, *, new: bool) -> None:
    """
    Tell of a publish that is on its way.

    :param task: an operator
    :param context: of the task
    :param creator: the name of whose account it is; empty = not known
    :param new: whether it may be the first time that this is told
    """
    task.profile = profile_url(creator) if creator else ""
    if not (new and creator):
        return
    try:
        context["ti"].xcom_push(key=PROFILE_KEY, value=task.profile)
    except Exception as error:  # whatever it is: the post must not fail for a link
        log.info("The creator's profile could not be pushed (%s).", type(error).__name__)


def tell_sent(task: Any, context: Any, publish_id: str, *, new: bool) -> None:
    """
    Tell of a publish whose end the task does not wait for.

    :param task: an operator
    :param context: of the task
    :param publish_id: of the publish
    :param new: whether it is on its way; else an earlier run of this task has seen it end
    """
    from airflow_provider_tiktok import stats

    if new:
        stats.count_sent(task.tiktok_conn_id)
    task.posted = {"publish_id": publish_id}
    _tell_outlets(task, context)


def tell_ended(task: Any, context: Any, result: dict[str, Any], *, new: bool = True) -> None:
    """
    Tell of a publish that has ended well.

    :param task: an operator or sensor
    :param context: of the task
    :param result: as :func:`~airflow_provider_tiktok.publishing.result.described` gives it
    :param new: whether this task has seen it end; else it only finds that it had
    """
    from airflow_provider_tiktok import stats

    address = result["post_url"] or "no public address"
    log.info("Publish %s: %s, %s.", result["publish_id"], result["status"], address)
    if new:
        stats.count_end(result["status"], task.tiktok_conn_id)
    task.posted = result
    _tell_outlets(task, context)


def _tell_outlets(task: Any, context: Any) -> None:
    """Put what was posted into the events of the assets that the user has declared as outlets."""
    events = context.get("outlet_events")
    for outlet in (task.outlets or ()) if events is not None else ():
        try:
            events[outlet].extra.update(task.posted)
        except Exception as error:  # an alias, or anything else that has no event of its own
            log.info("Outlet %s is not told of the post (%s).", type(outlet).__name__, type(error).__name__)


def began_waiting(reason: str, ago: float = 0.0) -> dict[str, Any]:
    """
    Note when a wait began, in plain JSON, for the process that will see its end.

    :param reason: one of the endings of :attr:`~airflow_provider_tiktok.stats.Metric.WAITED`
    :param ago: seconds
    """
    return {"reason": reason, "since": time.time() - ago}


def tell_waited(task: Any, noted: Any) -> None:
    """
    Tell how long a task has waited.

    :param task: an operator or sensor
    :param noted: by :func:`began_waiting`; None = by an older version of this provider
    """
    if isinstance(noted, Mapping):
        from airflow_provider_tiktok import stats

        stats.waited(noted["reason"], time.time() - noted["since"], task.tiktok_conn_id)


def counts_failures(method: _F) -> _F:
    """
    Have a method count the errors of ours that leave it.

    :param method: of an operator or sensor
    """

    @functools.wraps(method)
    def counting(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            from airflow_provider_tiktok import stats
            from airflow_provider_tiktok.exceptions import TikTokError

            if isinstance(error, TikTokError):
                stats.count_failure(error, self.tiktok_conn_id)
            raise

    return counting  # type: ignore[return-value]
