"""What the state of an account means: one table of what can be wrong, the worst first, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from airflow_provider_tiktok.api.oauth import scopes_of
from airflow_provider_tiktok.cli.accounts import Looked
from airflow_provider_tiktok.cli.scopes import can_publish
from airflow_provider_tiktok.exceptions import TikTokAppError, TikTokConfigError, TikTokConsentError

#: A refresh token with less than this to live is worth a word.
NOTICE_SECONDS = 21 * 86400.0


class Condition(StrEnum):
    """How an account is."""

    OK = "ok"
    ENDING = "ending"
    UNKNOWN = "unknown"
    BROKEN = "broken"


#: An account in one of these needs a person.
NEEDS_A_PERSON = frozenset({Condition.UNKNOWN, Condition.BROKEN})


@dataclass(frozen=True)
class Verdict:
    """
    What is said of an account.

    :param condition: how it is
    :param problem: what is wrong; empty = nothing
    :param fix: a command, or a sentence
    """

    condition: Condition
    problem: str = ""
    fix: str = ""


@dataclass(frozen=True)
class _Row:
    applies: Callable[[Looked, float], bool]
    condition: Condition
    problem: str
    fix: str


_LOGIN = "airflow-tiktok login --conn-id {conn_id}"
_REFRESH = "airflow-tiktok status --refresh --conn-id {conn_id}"


def _refresh_left(seen: Looked, now: float) -> float:
    ends = seen.state.refresh_expires_at
    return ends - now if ends else float("inf")


def _access_over(seen: Looked, now: float) -> bool:
    return bool(seen.state.expires_at) and seen.state.expires_at <= now


_TABLE = (
    _Row(
        lambda seen, _: isinstance(seen.failure, TikTokConfigError | TikTokConsentError | TikTokAppError),
        Condition.BROKEN,
        "{failure}",
        _LOGIN,
    ),
    _Row(
        lambda seen, now: seen.can_refresh is not False and _refresh_left(seen, now) <= 0,
        Condition.BROKEN,
        "The refresh token has ended.",
        _LOGIN,
    ),
    _Row(
        lambda seen, now: seen.can_refresh is False and _access_over(seen, now),
        Condition.BROKEN,
        "The access token has ended, and there is no refresh token.",
        _LOGIN,
    ),
    _Row(
        lambda seen, _: seen.live is False and seen.can_refresh is False,
        Condition.BROKEN,
        "TikTok does not take the access token, and there is no refresh token.",
        _LOGIN,
    ),
    _Row(
        lambda seen, _: seen.live is False,
        Condition.BROKEN,
        "TikTok does not take the access token, though it should live: the creator may have removed the app.",
        f"{_REFRESH} tells; if that fails: {_LOGIN}",
    ),
    _Row(
        lambda seen, _: not can_publish(scopes_of(seen.state.scope)),
        Condition.BROKEN,
        "The creator has allowed neither video.publish nor video.upload: nothing can be published.",
        _LOGIN,
    ),
    _Row(
        lambda seen, _: seen.failure is not None,
        Condition.UNKNOWN,
        "{failure}",
        "airflow-tiktok status --conn-id {conn_id}, once that is mended; the grant itself may be well",
    ),
    _Row(
        lambda seen, _: seen.can_refresh is False,
        Condition.ENDING,
        "There is no refresh token: the grant ends with the access token.",
        _LOGIN,
    ),
    _Row(
        lambda seen, now: _refresh_left(seen, now) < NOTICE_SECONDS,
        Condition.ENDING,
        "The refresh token ends soon.",
        f"{_REFRESH}; if the date stays: {_LOGIN}",
    ),
)


def judge(seen: Looked, now: float) -> Verdict:
    """
    Say how an account is.

    :param seen: what was found
    :param now: seconds since 1970
    """
    for row in _TABLE:
        if row.applies(seen, now):
            problem = row.problem.format(failure=seen.failure)
            return Verdict(row.condition, problem, row.fix.format(conn_id=seen.conn_id))
    return Verdict(Condition.OK)
