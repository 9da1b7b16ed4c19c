"""
A ready retry policy, for Airflow 3.3 and newer: it waits as long as what was met takes, and no longer.

::

    from airflow_provider_tiktok.retry import TIKTOK_RETRY_POLICY

    TikTokPublishVideoOperator(..., retries=5, retry_policy=TIKTOK_RETRY_POLICY)

Built from the same table as the exceptions. Below Airflow 3.3, which has no such thing, importing the name
raises an ``ImportError`` that says so; importing this module does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_tiktok import exceptions
from airflow_provider_tiktok.exceptions import CODES, Helps, TikTokAnswerError, TikTokError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ExceptionRetryPolicy, RetryRule

    TIKTOK_RETRY_POLICY: ExceptionRetryPolicy

#: What helps -> how long it takes; None = longer each time. What nothing helps against is not retried.
DELAYS: dict[Helps, timedelta | None] = {
    Helps.MINUTE: timedelta(seconds=75),
    Helps.DAY: timedelta(hours=1),
    Helps.RETRY: None,
    Helps.REFRESH: None,
}
#: Before the second try, and at most: each wait is twice the one before.
FIRST_DELAY, LONGEST_DELAY = timedelta(minutes=1), timedelta(minutes=30)


def __getattr__(name: str) -> Any:
    """Make the policy when it is asked for: below Airflow 3.3 it cannot be."""
    if name == "TIKTOK_RETRY_POLICY":
        return _policy()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def back_off(tries: int) -> timedelta:
    """
    Give how long to wait after a try that failed.

    :param tries: that were made, 1 at least
    """
    doubled = 1 << min(max(0, tries - 1), 16)
    return min(FIRST_DELAY * doubled, LONGEST_DELAY)


@cache
def _policy() -> ExceptionRetryPolicy:
    try:
        from airflow.providers.common.compat.sdk import ExceptionRetryPolicy, RetryAction
    except ImportError as error:
        raise ImportError(
            "TIKTOK_RETRY_POLICY needs Airflow 3.3 or newer, the first with retry policies. Below it, set "
            "retries, retry_delay and retry_exponential_backoff; what no retry can cure fails at once anyhow."
        ) from error

    class TikTokRetryPolicy(ExceptionRetryPolicy):
        """Rules by exception; where one gives no delay, that grows with the tries."""

        def evaluate(
            self, exception: BaseException, try_number: int, max_tries: int, context: Any = None
        ) -> Any:
            """Decide; called by Airflow on the worker."""
            decision = super().evaluate(exception, try_number, max_tries, context)
            if decision.action is not RetryAction.RETRY or decision.retry_delay is not None:
                return decision
            return replace(decision, retry_delay=back_off(try_number))

    return TikTokRetryPolicy(rules=list(_rules()))


def _rules() -> Iterator[RetryRule]:
    """Give the rules; the first that fits counts."""
    from airflow.providers.common.compat.sdk import RetryAction, RetryRule

    for kind, helps in _helps().items():
        if helps in DELAYS:
            yield RetryRule(kind, RetryAction.RETRY, DELAYS[helps], f"{kind.__name__}: {helps}")
    permanent = [each for each in vars(exceptions).values() if _is_permanent(each)]
    yield RetryRule(list(permanent), RetryAction.FAIL, reason=f"no retry helps: {Helps.NOTHING}")
    yield RetryRule(TikTokError, RetryAction.RETRY, reason="nothing says that a retry would not help")


def _helps() -> dict[type[TikTokAnswerError], Helps]:
    return {row.error: row.helps for row in CODES.values()}


def _is_permanent(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, TikTokError) and issubclass(kind, AirflowFailException)
